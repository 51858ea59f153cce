//! Discrete Fourier transforms along the last axis through `rustfft` and `realfft`: each row by one thread.

use super::{Batch, for_each, plans::Number};
use crate::threads::Threads;
use fusewire_ir::{dtype::DType, routine::Routine};
use fusewire_runtime::{backend::LibraryCall, error::Error};
use rustfft::{FftDirection, num_complex::Complex, num_traits::Zero};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Transforms each row.
pub(super) fn call(threads: &Threads, call: &LibraryCall<'_>) -> Result<(), Error> {
    match call.destination.dtype {
        DType::F32 | DType::C64 => rows::<f32>(threads, call),
        DType::F64 | DType::C128 => rows::<f64>(threads, call),
        other => Err(Error::Internal(format!("{} to {other}", call.routine.name()))),
    }
}

fn rows<T: Number>(threads: &Threads, call: &LibraryCall<'_>) -> Result<(), Error> {
    let [length, result] = [&call.operands[0], &call.destination].map(|view| view.shape.last().copied().unwrap_or(0));
    if length == 0 || result == 0 {
        return Ok(());
    }
    match call.routine {
        Routine::Fft { inverse } => {
            let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
            let plan = T::plans().complex(length, direction)?;
            let scratch = plan.get_inplace_scratch_len();
            each(threads, call, &|from: Row<Complex<T>>, to: &mut [Complex<T>]| {
                to.iter_mut().zip(from.elements()).for_each(|(to, from)| *to = from);
                plan.process_with_scratch(to, &mut zeros(scratch)?);
                Some(())
            })
        }
        Routine::Rfft => {
            let plan = T::plans().of_reals(length)?;
            each(threads, call, &|from: Row<T>, to: &mut [Complex<T>]| {
                let (mut row, mut scratch) = (zeros(length)?, zeros(plan.get_scratch_len())?);
                row.iter_mut().zip(from.elements()).for_each(|(to, from)| *to = from);
                plan.process_with_scratch(&mut row, to, &mut scratch).ok()
            })
        }
        Routine::Irfft { odd } => {
            let plan = T::plans().to_real(result)?;
            each(threads, call, &|from: Row<Complex<T>>, to: &mut [T]| {
                let (mut row, mut scratch) = (zeros(length)?, zeros(plan.get_scratch_len())?);
                row.iter_mut().zip(from.elements()).for_each(|(to, from)| *to = from);
                // What real numbers transform to is real there; what else is given does not count.
                row[0].im = T::zero();
                if !odd {
                    row[length - 1].im = T::zero();
                }
                plan.process_with_scratch(&mut row, to, &mut scratch).ok()
            })
        }
        Routine::Sort { .. } | Routine::Argsort { .. } | Routine::Linear { .. } => {
            Err(Error::Internal(format!("{} is no transform", call.routine.name())))
        }
    }
}

/// `None` where there is no memory.
fn zeros<T: Zero + Clone>(count: usize) -> Option<Vec<T>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).ok()?;
    elements.resize(count, T::zero());
    Some(elements)
}

/// A row of the operand.
#[derive(Clone, Copy)]
struct Row<F> {
    start: *const F,
    stride: isize,
    length: usize,
}

impl<F: Copy> Row<F> {
    fn elements(self) -> impl Iterator<Item = F> {
        // SAFETY: the operand of a call lies in its memory, each element at its index times its strides.
        (0..self.length as isize).map(move |i| unsafe { *self.start.wrapping_offset(i * self.stride) })
    }
}

/// Where the result array starts.
struct Start(*mut u8);

// SAFETY: rows of the result are apart from each other, and each is written once.
unsafe impl Sync for Start {}

impl Start {
    fn row(&self, bytes: usize) -> *mut u8 {
        self.0.wrapping_add(bytes)
    }
}

/// Writes the transform of a row; `None` where there is no memory.
type Transform<'a, F, R> = dyn Fn(Row<F>, &mut [R]) -> Option<()> + Sync + 'a;

/// Calls `transform` for each row. `F` and `R` are as large as the elements of operand and result.
fn each<F: Copy, R>(threads: &Threads, call: &LibraryCall<'_>, transform: &Transform<'_, F, R>) -> Result<(), Error> {
    let operand = &call.operands[0];
    let axis = operand.shape.len() - 1;
    let (length, stride) = (operand.shape[axis], operand.strides[axis]);
    let result = call.destination.shape[axis];
    let (from, to) = (Batch::new(operand, call.routine), Start(call.destination.pointer));
    let failed = AtomicBool::new(false);
    let bytes = (length + result).saturating_mul(call.destination.dtype.size());
    let depth = u64::from(usize::BITS - length.leading_zeros());
    for_each(threads, call, from.count(), (bytes, (length as u64).saturating_mul(depth)), &|number| {
        let row = Row { start: from.pointer(number).cast_const().cast(), stride, length };
        let start = to.row(number * result * size_of::<R>()).cast();
        // SAFETY: the result is dense, so that row begins there, and nobody else uses it.
        let result = unsafe { std::slice::from_raw_parts_mut(start, result) };
        if transform(row, result).is_none() {
            failed.store(true, Relaxed);
        }
    })?;
    if failed.into_inner() { Err(Error::OutOfMemory { bytes }) } else { Ok(()) }
}

//! Discrete Fourier transforms along the last axis by cuFFT, all rows in one call.

use super::{
    api::{clear_words, handle},
    library::Wanted,
};
use crate::{
    device::is_dense,
    driver::{Lender, Stream},
};
use cudarc::cufft::sys::{self, cufftHandle, cufftResult, cufftType};
use fusewire_ir::{dtype::DType, routine::Routine, value::Storage};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use parking_lot::Mutex;
use std::{ffi::c_int, ptr, sync::Arc};

/// The library.
const CUFFT: Wanted = Wanted {
    name: "cufft",
    versions: &[("12", "nvidia-cufft"), ("11", "nvidia-cufft-cu12")],
    purpose: "a Fourier transform on a GPU",
    present: sys::is_culib_present,
    library: sys::culib,
    newest: "cufftPlanMany",
};

/// How many plans are kept.
const MOST: usize = 32;

const FORWARD: c_int = -1;
const INVERSE: c_int = 1;

/// Plans, the one that was used last at the end. A plan has memory of its own, so each stream has its plans.
#[derive(Default)]
pub(super) struct Fft(Mutex<Vec<(Key, cufftHandle)>>);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    stream: Stream,
    kind: cufftType,
    /// Of the real numbers, or of the complex ones where there are no others.
    length: c_int,
    rows: c_int,
}

fn check(doing: &str, result: cufftResult) -> Result<(), Error> {
    match result {
        cufftResult::CUFFT_SUCCESS => Ok(()),
        cufftResult::CUFFT_ALLOC_FAILED => Err(Error::OutOfMemory { bytes: 0 }),
        result => Err(Error::Device(format!("cuFFT failed while {doing}: {result:?}"))),
    }
}

impl Fft {
    /// Transforms each row.
    pub fn call(&self, call: &LibraryCall<'_>, stream: Stream, lender: &dyn Lender) -> Result<(), Error> {
        let (operand, result) = (&call.operands[0], &call.destination);
        let taken = length(operand, call.routine.takes_complex());
        let given = length(result, call.routine.gives_complex());
        if operand.shape.contains(&0) || result.shape.contains(&0) {
            return Ok(());
        }
        let single = result.dtype == DType::F32;
        let (kind, numbers) = match (call.routine, single) {
            (Routine::Fft { .. }, true) => (cufftType::CUFFT_C2C, taken),
            (Routine::Fft { .. }, false) => (cufftType::CUFFT_Z2Z, taken),
            (Routine::Rfft, true) => (cufftType::CUFFT_R2C, taken),
            (Routine::Rfft, false) => (cufftType::CUFFT_D2Z, taken),
            (Routine::Irfft { .. }, true) => (cufftType::CUFFT_C2R, given),
            (Routine::Irfft { .. }, false) => (cufftType::CUFFT_Z2D, given),
            (Routine::Sort { .. } | Routine::Argsort { .. } | Routine::Linear { .. }, _) => {
                return Err(Error::Internal(format!("{} is no transform", call.routine.name())));
            }
        };
        let elements = operand.shape.iter().product::<usize>() / if call.routine.takes_complex() { 2 } else { 1 };
        let too_large = || Error::Unsupported("cuFFT takes no more than 2^31 - 1 rows of as many numbers".into());
        let small = |count: usize| c_int::try_from(count).map_err(|_| too_large());
        let key = Key { stream, kind, length: small(numbers)?, rows: small(elements / taken)? };
        let packed = Packed::of(operand, call.routine, stream, lender, taken)?;
        // Locked until the work is asked for: another thread that needs room gives up the oldest plan.
        let mut plans = self.0.lock();
        let plan = plan(&mut plans, key)?;
        let (from, to) = (packed.pointer, result.pointer);
        // SAFETY: the plan is for so many rows of these numbers, which both arrays have, dense.
        let done = unsafe {
            match call.routine {
                Routine::Fft { inverse } => {
                    let direction = if inverse { INVERSE } else { FORWARD };
                    match single {
                        true => sys::cufftExecC2C(plan, from.cast(), to.cast(), direction),
                        false => sys::cufftExecZ2Z(plan, from.cast(), to.cast(), direction),
                    }
                }
                Routine::Rfft if single => sys::cufftExecR2C(plan, from.cast(), to.cast()),
                Routine::Rfft => sys::cufftExecD2Z(plan, from.cast(), to.cast()),
                _ if single => sys::cufftExecC2R(plan, from.cast(), to.cast()),
                _ => sys::cufftExecZ2D(plan, from.cast(), to.cast()),
            }
        };
        check("transforming", done)
    }
}

/// The plan of a key.
fn plan(plans: &mut Vec<(Key, cufftHandle)>, key: Key) -> Result<cufftHandle, Error> {
    if let Some(place) = plans.iter().position(|(known, _)| *known == key) {
        let found = plans.remove(place);
        plans.push(found);
        return Ok(found.1);
    }
    CUFFT.load()?;
    let (mut plan, mut length) = (0, key.length);
    // SAFETY: the library is loaded, and the device's context is the current one; a plan that is destroyed waits for what
    // uses its memory.
    unsafe {
        if plans.len() >= MOST {
            let (_, oldest) = plans.remove(0);
            check("giving up a plan", sys::cufftDestroy(oldest))?;
        }
        let none = ptr::null_mut;
        let made =
            sys::cufftPlanMany(&raw mut plan, 1, &raw mut length, none(), 1, 0, none(), 1, 0, key.kind, key.rows);
        check("planning", made)?;
        if let Err(error) = check("taking a stream", sys::cufftSetStream(plan, handle(key.stream).cast())) {
            sys::cufftDestroy(plan);
            return Err(error);
        }
    }
    plans.push((key, plan));
    Ok(plan)
}

/// How many numbers a row has; complex ones are pairs.
fn length(view: &ArrayView<'_>, complex: bool) -> usize {
    let rank = view.shape.len() - usize::from(complex);
    view.shape[rank - 1]
}

/// The operand as cuFFT takes it.
struct Packed {
    pointer: *mut u8,
    /// Kept until the call is asked for: who gets it next comes later on the stream.
    _memory: Option<Arc<dyn Storage>>,
}

impl Packed {
    fn of(
        operand: &ArrayView<'_>,
        routine: Routine,
        stream: Stream,
        lender: &dyn Lender,
        taken: usize,
    ) -> Result<Packed, Error> {
        let size = operand.dtype.size();
        // Transforms to real numbers overwrite what they take.
        let to_real = matches!(routine, Routine::Irfft { .. });
        let aligned = operand.pointer.addr().is_multiple_of(2 * size);
        if !to_real && aligned && is_dense(operand) {
            return Ok(Packed { pointer: operand.pointer, _memory: None });
        }
        let elements = operand.shape.iter().product::<usize>();
        let memory = lender.memory(elements * size)?;
        lender.pack(operand, memory.pointer())?;
        if let Routine::Irfft { odd } = routine {
            // What real numbers transform to is real there; what else is given does not count.
            let (start, rows) = (memory.pointer().addr() as u64, elements / 2 / taken);
            let places: &[usize] = if odd { &[0] } else { &[0, taken - 1] };
            for place in places {
                let imaginary = start + ((place * 2 + 1) * size) as u64;
                // SAFETY: each row has such a number.
                unsafe { clear_words(imaginary, taken * 2 * size, size, rows, stream)? };
            }
        }
        Ok(Packed { pointer: memory.pointer(), _memory: Some(memory) })
    }
}

//! Linear algebra through `faer`. Each matrix of a batch is computed by one thread, in memory of its own, by columns, as the
//! library likes it best, and its results are written into the call's result array.

mod factor;
mod matrix;
mod spectral;

use self::matrix::{Failure, Number, vector};
use super::{Batch, for_each};
use crate::{product::check_workspace, threads::Threads};
use faer::{MatRef, c64};
use fusewire_ir::{dtype::DType, routine::Linear, shape::Shape};
use fusewire_runtime::{backend::LibraryCall, error::Error};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// The library multiplies matrices of at most so many rows or columns where they lie; of larger ones it copies blocks, which
/// are at most `PACKED_DEPTH` deep and together hardly larger than a row of them and a part of the cache.
const PACKED: usize = 64;
const PACKED_DEPTH: usize = 512;
const CACHE: usize = 4 << 20;

/// Computes each matrix of the batch.
pub(super) fn call(threads: &Threads, call: &LibraryCall<'_>, what: Linear) -> Result<(), Error> {
    match (call.operands[0].dtype, what) {
        (DType::F64, Linear::Eig | Linear::Eigvals) => batch::<f64, c64>(threads, call, what, spectral::real_eig),
        (DType::F64, _) => batch::<f64, f64>(threads, call, what, member),
        (DType::C128, Linear::Svdvals | Linear::Eigvalsh) => batch::<c64, f64>(threads, call, what, real_values),
        (DType::C128, Linear::Eig | Linear::Eigvals) => batch::<c64, c64>(threads, call, what, spectral::complex_eig),
        (DType::C128, _) => batch::<c64, c64>(threads, call, what, member),
        (other, _) => Err(Error::Internal(format!("{} of {other}", call.routine.name()))),
    }
}

/// Computes the results of one matrix, or of one and its right sides.
type Member<T, R> = fn(Linear, &[MatRef<'_, T>], SmallVec<[&mut [R]; 3]>) -> Result<(), Failure>;

fn batch<T: Number, R: Number>(
    threads: &Threads,
    call: &LibraryCall<'_>,
    what: Linear,
    member: Member<T, R>,
) -> Result<(), Error> {
    let operands: SmallVec<[Batch<'_>; 2]> = call.operands.iter().map(|o| Batch::new(o, call.routine)).collect();
    let count = operands[0].count();
    let results = Results::<R>::new(call, count);
    let failure: Mutex<Option<(usize, Failure)>> = Mutex::new(None);
    let [.., m, n] = *call.operands[0].shape else {
        return Err(Error::Internal(format!("{} of what is no matrix", call.routine.name())));
    };
    let right = call.operands.get(1).and_then(|o| o.shape.last()).copied().unwrap_or(1);
    let instructions = (m as u64).saturating_mul(n as u64).saturating_mul(m.min(n).max(right).max(8) as u64);
    let bytes = m.saturating_mul(n).saturating_mul(2 * size_of::<T>());
    if m.min(n) > PACKED {
        // What the library's products inside a routine put in order, which they ask for without being able to fail.
        let ordered = m.max(n).saturating_mul(PACKED_DEPTH * size_of::<T>()).saturating_add(CACHE);
        check_workspace(ordered.saturating_mul(threads.count().min(count)))?;
    }
    for_each(threads, call, count, (bytes, instructions), &|number| {
        let matrices: SmallVec<[MatRef<'_, T>; 2]> = operands.iter().map(|batch| matrix(batch, number)).collect();
        // SAFETY: each member is computed once, and its results are apart from the others'.
        let to = unsafe { results.member(number) };
        if let Err(new) = member(what, &matrices, to) {
            // Which of several failures is told must not depend on who was first.
            let mut failure = failure.lock();
            if failure.is_none_or(|(first, _)| number < first) {
                *failure = Some((number, new));
            }
        }
    })?;
    match failure.into_inner() {
        None => Ok(()),
        Some((number, failure)) => Err(error(call, count, number, failure)),
    }
}

fn error(call: &LibraryCall<'_>, count: usize, number: usize, failure: Failure) -> Error {
    let what = match failure {
        Failure::OutOfMemory(bytes) => return Error::OutOfMemory { bytes },
        Failure::Singular => "is singular",
        Failure::NotPositiveDefinite => "is not positive definite",
        Failure::NotFinite => "holds NaN or infinity",
        Failure::NotConverged => "has no decomposition that the iteration converges to",
    };
    call.has_no_result(count, number, what)
}

fn matrix<'a, T: Number>(batch: &Batch<'a>, number: usize) -> MatRef<'a, T> {
    let (shape, strides) = (batch.array.shape, batch.array.strides);
    let (rows, columns) = (batch.axes, batch.axes + 1);
    let start = batch.pointer(number).cast_const().cast();
    // SAFETY: the operand of a call lies in its memory, which the plan keeps alive and nobody writes meanwhile.
    unsafe { MatRef::from_raw_parts(start, shape[rows], shape[columns], strides[rows], strides[columns]) }
}

/// The parts of a call's result array.
struct Results<T> {
    /// Where each result starts, and how many elements of it belong to one member.
    parts: SmallVec<[(*mut T, usize); 3]>,
}

// SAFETY: members write elements of their own, as the caller of `member` promises.
unsafe impl<T> Sync for Results<T> {}

impl<T> Results<T> {
    fn new(call: &LibraryCall<'_>, count: usize) -> Results<T> {
        let shapes: SmallVec<[&[usize]; 2]> = call.operands.iter().map(|operand| operand.shape).collect();
        let mut start: *mut T = call.destination.pointer.cast();
        let part = |shape: Shape| {
            let elements: usize = shape.iter().product();
            let part = (start, elements.checked_div(count).unwrap_or(0));
            start = start.wrapping_add(elements);
            part
        };
        Results { parts: call.routine.results(&shapes).into_iter().map(part).collect() }
    }

    /// The results of a member, each by rows.
    ///
    /// # Safety
    /// Nobody else uses these meanwhile.
    unsafe fn member<'a>(&self, number: usize) -> SmallVec<[&'a mut [T]; 3]> {
        let part = |&(start, count): &(*mut T, usize)| {
            if count == 0 {
                // What is empty may have no memory.
                return &mut [][..];
            }
            // SAFETY: the plan has checked that the result array has room for the results of the whole batch.
            unsafe { std::slice::from_raw_parts_mut(start.wrapping_add(number * count), count) }
        };
        self.parts.iter().map(part).collect()
    }
}

/// Computes the results of one matrix.
fn member<T: Number>(what: Linear, operands: &[MatRef<'_, T>], mut to: SmallVec<[&mut [T]; 3]>) -> Result<(), Failure> {
    let a = operands[0];
    match (what, to.as_mut_slice()) {
        (Linear::Cholesky, [factor]) => factor::cholesky(a, factor),
        (Linear::Slogdet, [sign, logarithm]) => factor::slogdet(a, &mut sign[0], &mut logarithm[0]),
        (Linear::Inv, [inverse]) => factor::solve(a, None, inverse),
        (Linear::Solve, [solution]) => factor::solve(a, Some(operands[1]), solution),
        (Linear::Qr { .. }, [q, r]) => factor::qr(a, q, r),
        (Linear::Svd { full }, [u, s, vh]) => spectral::svd(a, full, Some((u, vh)), s),
        (Linear::Svdvals, [s]) => spectral::svd(a, false, None, s),
        (Linear::Eigh, [values, vectors]) => spectral::eigh(a, values, Some(vectors)),
        (Linear::Eigvalsh, [values]) => spectral::eigh(a, values, None),
        (what, results) => unreachable!("{what:?} of {} results", results.len()),
    }
}

/// The real results of complex matrices.
fn real_values(what: Linear, operands: &[MatRef<'_, c64>], mut to: SmallVec<[&mut [f64]; 3]>) -> Result<(), Failure> {
    let mut values = vector::<c64>(to[0].len())?;
    member(what, operands, SmallVec::from_iter([values.as_mut_slice()]))?;
    to[0].iter_mut().zip(values).for_each(|(real, value)| *real = value.re);
    Ok(())
}

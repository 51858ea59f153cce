//! Routines of libraries: what a plan calls instead of launching a kernel. The files below know the libraries; here is who
//! does what, and how a batch is spread over the threads.
//!
//! Invariant: results do not depend on how many threads there are.

mod fourier;
mod linear;
mod plans;
mod sort;

use crate::threads::{Threads, Work};
use fusewire_ir::routine::Routine;
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use smallvec::SmallVec;

/// Runs a routine to its end.
pub(crate) fn call(threads: &Threads, call: &LibraryCall<'_>) -> Result<(), Error> {
    match call.routine {
        Routine::Sort { descending } => sort::sort(threads, call, descending),
        Routine::Argsort { descending } => sort::argsort(threads, call, descending),
        Routine::Linear { what, .. } => of_numbers(call, &|call| linear::call(threads, call, what)),
        Routine::Fft { .. } | Routine::Rfft | Routine::Irfft { .. } => {
            of_numbers(call, &|call| fourier::call(threads, call))
        }
    }
}

/// Runs a routine on arrays of complex numbers where those are given as pairs: real arrays with a last axis of extent 2.
fn of_numbers(call: &LibraryCall<'_>, run: &dyn Fn(&LibraryCall<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let halved = |view: &ArrayView<'_>| view.strides.iter().map(|stride| stride / 2).collect::<SmallVec<[isize; 4]>>();
    let whole = |view: &ArrayView<'_>| {
        let strides = view.strides.iter().zip(view.shape);
        let (last, others) = (strides.len() - 1, strides);
        others.take(last).all(|(stride, &extent)| stride % 2 == 0 || extent < 2)
    };
    let strides: SmallVec<[SmallVec<[isize; 4]>; 2]> = call.operands.iter().map(halved).collect();
    let mut operands: SmallVec<[ArrayView<'_>; 2]> = call.operands.iter().copied().collect();
    if call.routine.takes_complex() {
        if !call.operands.iter().all(whole) {
            return Err(Error::Internal(format!("{} of what is not complex", call.routine.name())));
        }
        for (view, strides) in operands.iter_mut().zip(&strides) {
            *view = complex(view, strides);
        }
    }
    let strides = halved(&call.destination);
    let destination =
        if call.routine.gives_complex() { complex(&call.destination, &strides) } else { call.destination };
    run(&LibraryCall { operands: &operands, destination, ..*call })
}

/// A pair as an array of complex numbers with these strides.
fn complex<'a>(pair: &ArrayView<'a>, strides: &'a [isize]) -> ArrayView<'a> {
    let rank = pair.shape.len() - 1;
    ArrayView { dtype: pair.dtype.complex(), shape: &pair.shape[..rank], strides: &strides[..rank], ..*pair }
}

/// The members of a batch: where each starts in an array, by number in row-major order.
struct Batch<'a> {
    array: &'a ArrayView<'a>,
    /// How many of the leading axes are the batch.
    axes: usize,
}

// SAFETY: operands are only read, and the plan keeps their memory alive while a call runs.
unsafe impl Sync for Batch<'_> {}

impl<'a> Batch<'a> {
    fn new(array: &'a ArrayView<'a>, routine: Routine) -> Batch<'a> {
        Batch { array, axes: array.shape.len() - routine.core_rank() }
    }

    fn count(&self) -> usize {
        self.array.shape[..self.axes].iter().product()
    }

    /// The address of the first element of a member.
    fn pointer(&self, mut number: usize) -> *mut u8 {
        let mut offset = 0;
        for axis in (0..self.axes).rev() {
            let extent = self.array.shape[axis];
            offset += (number % extent) as isize * self.array.strides[axis];
            number /= extent;
        }
        self.array.pointer.wrapping_offset(offset * self.array.dtype.size() as isize)
    }
}

/// Calls `run(number)` for each member of a batch, on as many threads as that is worth. `bytes` and `instructions` are what
/// one takes, about.
fn for_each(
    threads: &Threads,
    call: &LibraryCall<'_>,
    count: usize,
    (bytes, instructions): (usize, u64),
    run: &(dyn Fn(usize) + Sync),
) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let work = Work { items: count as u64, bytes: count.saturating_mul(bytes) as u64, item: instructions };
    let workers = threads.workers(&work);
    let chunk = |_: usize, begin: u64, end: u64, stop: &std::sync::atomic::AtomicBool| {
        for number in begin..end {
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            run(number as usize);
        }
    };
    threads.run(&work, workers, &chunk, call.interrupted)
}

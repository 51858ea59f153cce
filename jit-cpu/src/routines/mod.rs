//! Routines of libraries: what a plan calls instead of launching a kernel. The files below know the libraries; here is who
//! does what, and how a batch is spread over the threads.
//!
//! Invariant: results do not depend on how many threads there are.

mod linear;
mod sort;

use crate::threads::{Threads, Work};
use fusewire_ir::routine::Routine;
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};

/// Runs a routine to its end.
pub(crate) fn call(threads: &Threads, call: &LibraryCall<'_>) -> Result<(), Error> {
    match call.routine {
        Routine::Sort { descending } => sort::sort(threads, call, descending),
        Routine::Argsort { descending } => sort::argsort(threads, call, descending),
        Routine::Cholesky
        | Routine::Slogdet
        | Routine::Inv
        | Routine::Solve
        | Routine::Qr { .. }
        | Routine::Svd { .. }
        | Routine::Svdvals
        | Routine::Eigh
        | Routine::Eigvalsh => linear::call(threads, call),
    }
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

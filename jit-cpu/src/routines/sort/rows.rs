//! The rows of a call: where they are in the operand and in the result, and which threads get which.

use super::super::{Batch, for_each};
use crate::threads::{Threads, Work};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
    order::{Order, Word},
};
use smallvec::SmallVec;
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Rows of at least so many elements are sorted one after another, each by all threads.
const LONG: usize = 1 << 15;
/// Shorter ones are taken so many at a time. Columns of an array lie side by side, so that each of its cache lines is read once.
const BLOCK: usize = 8;

/// A row of an operand, in memory.
#[derive(Clone, Copy)]
pub(super) struct Row<W> {
    start: *const W,
    stride: isize,
    length: usize,
}

// SAFETY: rows of operands are only read, and the plan keeps their memory alive while a call runs.
unsafe impl<W> Sync for Row<W> {}

impl<W: Word> Row<W> {
    pub fn len(self) -> usize {
        self.length
    }

    /// The row as a slice, if its elements are neighbours.
    pub fn dense<'a>(self) -> Option<&'a [W]> {
        // SAFETY: as in `at`; nobody writes to an operand while the call runs.
        (self.stride == 1).then(|| unsafe { std::slice::from_raw_parts(self.start, self.length) })
    }

    pub fn at(self, position: usize) -> W {
        assert!(position < self.length, "an element of the row");
        // SAFETY: the operand of a call lies in its memory, each element at its index times its strides.
        unsafe { *self.start.wrapping_offset(position as isize * self.stride) }
    }

    pub fn elements(self) -> impl Iterator<Item = W> {
        (0..self.length).map(move |position| self.at(position))
    }
}

/// The rows of a call's operand, and where those of its result are.
pub(super) struct Rows<'a> {
    from: Batch<'a>,
    to: *mut u8,
    to_size: usize,
    stride: isize,
    pub length: usize,
}

// SAFETY: operands are only read, and rows of the result are apart from each other.
unsafe impl Sync for Rows<'_> {}

impl<'a> Rows<'a> {
    pub fn new(call: &'a LibraryCall<'a>) -> Rows<'a> {
        let operand: &ArrayView<'_> = &call.operands[0];
        let axis = operand.shape.len() - 1;
        Rows {
            from: Batch::new(operand, call.routine),
            to: call.destination.pointer,
            to_size: call.destination.dtype.size(),
            stride: operand.strides[axis],
            length: operand.shape[axis],
        }
    }

    pub fn row<W>(&self, number: usize) -> Row<W> {
        Row { start: self.from.pointer(number).cast_const().cast(), stride: self.stride, length: self.length }
    }

    /// A row of the result.
    ///
    /// # Safety
    /// `W` is as large as an element of the result, and nobody else uses this row meanwhile.
    #[expect(clippy::mut_from_ref, reason = "the rows are memory of the plan, not of this struct")]
    pub unsafe fn result<W>(&self, number: usize) -> &mut [W] {
        // SAFETY: the result is dense, so that row begins there; it is ours by what the caller promises.
        unsafe {
            let start = self.to.wrapping_add(number * self.length * self.to_size).cast();
            std::slice::from_raw_parts_mut(start, self.length)
        }
    }

    /// Writes the keys of rows to the result's rows, one element of each after another.
    ///
    /// # Safety
    /// As [`Rows::result`], for each of the rows.
    pub unsafe fn write_keys<W: Word>(&self, numbers: Range<usize>, order: &Order<W>) {
        for first in numbers.clone().step_by(BLOCK) {
            let block = first..numbers.end.min(first + BLOCK);
            if self.stride == 1 || block.len() == 1 {
                for number in block {
                    // SAFETY: as the caller promises.
                    let to = unsafe { self.result::<W>(number) };
                    match self.row::<W>(number).dense() {
                        Some(from) => to.iter_mut().zip(from).for_each(|(key, &element)| *key = order.key(element)),
                        None => to.iter_mut().zip(self.row(number).elements()).for_each(|(k, e)| *k = order.key(e)),
                    }
                }
                continue;
            }
            let mut pairs: SmallVec<[(Row<W>, &mut [W]); BLOCK]> =
                // SAFETY: as the caller promises; the rows are apart from each other.
                block.map(|number| (self.row(number), unsafe { self.result(number) })).collect();
            for position in 0..self.length {
                for (from, to) in &mut pairs {
                    to[position] = order.key(from.at(position));
                }
            }
        }
    }

    /// Calls `block(numbers, long, stop)` for all rows: for short ones many at a time, for long ones in a pool of threads.
    pub fn each_block(
        &self,
        threads: &Threads,
        call: &LibraryCall<'_>,
        block: &(dyn Fn(Range<usize>, bool, &AtomicBool) + Sync),
    ) -> Result<(), Error> {
        let count = self.from.count();
        if self.length == 0 || count == 0 {
            return Ok(());
        }
        if self.length < LONG {
            let depth = u64::from(usize::BITS - self.length.leading_zeros());
            let bytes = self.length.saturating_mul(2 * self.to_size * BLOCK);
            let instructions = (self.length as u64 * BLOCK as u64).saturating_mul(depth);
            return for_each(threads, call, count.div_ceil(BLOCK), (bytes, instructions), &|number| {
                let first = number * BLOCK;
                block(first..count.min(first + BLOCK), false, &AtomicBool::new(false));
            });
        }
        for number in 0..count {
            // An item that takes long runs in the pool, while this thread asks whether to stop.
            let work = Work { items: 1, bytes: 0, item: u64::MAX };
            let run = |_: usize, _: u64, _: u64, stop: &AtomicBool| {
                if !stop.load(Relaxed) {
                    block(number..number + 1, true, stop);
                }
            };
            threads.run(&work, 1, &run, call.interrupted)?;
        }
        Ok(())
    }
}

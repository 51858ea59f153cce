//! Which steps of a plan may run block by block of rows: kernels and matrix products whose results only the step at their end,
//! or others among them, read. They are moved together here. Whether they do run so is decided with the sizes of the moment
//! (`blocks.rs`).
//!
//! Invariants: steps stay in an order in which everything is written before it is read, and no step is in two chains.

use crate::{
    plan::{PlannedArgument, PlannedArray, PlannedView, Work},
    run_blocks::Cut,
};
use fusewire_lowering::{kernel::Role, program::ArrayId};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::{ops::Range, sync::Arc};

/// Steps of a chain, at most.
const STEPS: usize = 32;

/// Steps one after another that may run block by block.
pub(crate) struct Chain {
    /// The steps, in the plan.
    pub steps: Range<usize>,
    /// The arrays that one writes and others read.
    pub links: Vec<Link>,
    /// How they were cut into blocks the last time.
    pub last: Mutex<Option<Arc<Cut>>>,
}

/// An array between steps of a chain.
pub(crate) struct Link {
    pub array: ArrayId,
    /// Which step of the chain writes it, counted from its first.
    pub writer: usize,
    /// Does nobody read it but steps of the chain?
    pub alone: bool,
}

/// Moves the steps of each chain together.
pub(crate) fn gather(work: Vec<Work>, arrays: &[PlannedArray], results: &[PlannedView]) -> (Vec<Work>, Vec<Chain>) {
    let uses = Uses::of(&work, arrays, results);
    // The number of the chain's last step, by step.
    let mut end: Vec<usize> = (0..work.len()).collect();
    for last in (0..work.len()).rev() {
        if end[last] == last {
            uses.grow(last, &work, &mut end);
        }
    }
    let mut order: Vec<usize> = (0..work.len()).collect();
    // A step moves to just before the last one of its chain; what stands in between does not need it.
    order.sort_by_key(|&step| (end[step], step));
    let mut chains = Vec::new();
    let mut begin = 0;
    while begin < order.len() {
        let length = order[begin..].iter().take_while(|&&step| end[step] == end[order[begin]]).count();
        if length > 1 {
            let members = &order[begin..begin + length];
            let (steps, links) = (begin..begin + length, uses.links(members));
            chains.push(Chain { steps, links, last: Mutex::default() });
        }
        begin += length;
    }
    let mut work: Vec<Option<Work>> = work.into_iter().map(Some).collect();
    (order.iter().filter_map(|&step| work[step].take()).collect(), chains)
}

/// Who writes and reads each array.
struct Uses {
    writers: Vec<SmallVec<[usize; 1]>>,
    readers: Vec<SmallVec<[usize; 2]>>,
    /// Is it a result, or part of one?
    kept: Vec<bool>,
    /// What each step writes.
    written: Vec<SmallVec<[ArrayId; 2]>>,
}

impl Uses {
    fn of(work: &[Work], arrays: &[PlannedArray], results: &[PlannedView]) -> Uses {
        let mut uses = Uses {
            writers: vec![SmallVec::new(); arrays.len()],
            readers: vec![SmallVec::new(); arrays.len()],
            kept: vec![false; arrays.len()],
            written: vec![SmallVec::new(); work.len()],
        };
        for result in results {
            uses.kept[result.array.0 as usize] = true;
        }
        for (step, work) in work.iter().enumerate() {
            match work {
                Work::Launch(launch) => {
                    for (argument, buffer) in launch.arguments.iter().zip(&launch.compiled.kernel.buffers) {
                        match (argument, buffer.role) {
                            (PlannedArgument::Array(array), Role::Output) => uses.writes(step, *array),
                            (PlannedArgument::Array(array), _) => uses.reads(step, *array),
                            (PlannedArgument::Temporary { .. } | PlannedArgument::Scratch, _) => {}
                        }
                    }
                }
                Work::Product(product) => {
                    uses.reads(step, product.left.array);
                    uses.reads(step, product.right.array);
                    product.row.iter().for_each(|row| uses.reads(step, row.array));
                    uses.writes(step, product.destination);
                }
                Work::Call(call) => {
                    call.operands.iter().for_each(|operand| uses.reads(step, operand.array));
                    uses.writes(step, call.destination);
                }
            }
        }
        uses
    }

    fn writes(&mut self, step: usize, array: ArrayId) {
        self.writers[array.0 as usize].push(step);
        self.written[step].push(array);
    }

    fn reads(&mut self, step: usize, array: ArrayId) {
        let readers = &mut self.readers[array.0 as usize];
        if readers.last() != Some(&step) {
            readers.push(step);
        }
    }

    /// Takes steps into the chain of `last` as long as there are any whose results only the chain reads.
    fn grow(&self, last: usize, work: &[Work], end: &mut [usize]) {
        let mut length = 1;
        if matches!(work[last], Work::Call(_)) {
            return;
        }
        // A step before the one at hand never has to join because of an earlier one, so one pass backwards finds all.
        for step in (0..last).rev() {
            let inside = |reader: &usize| end[*reader] == last;
            let fits = |array: &ArrayId| {
                self.writers[array.0 as usize].len() == 1 && self.readers[array.0 as usize].iter().all(inside)
            };
            let needed = |array: &ArrayId| !self.readers[array.0 as usize].is_empty();
            let written = &self.written[step];
            let joins = end[step] == step
                && !matches!(work[step], Work::Call(_))
                && written.iter().all(fits)
                && written.iter().any(needed);
            if joins && length < STEPS {
                end[step] = last;
                length += 1;
            }
        }
    }

    fn links(&self, members: &[usize]) -> Vec<Link> {
        let linked = |(writer, &step): (usize, &usize)| {
            let read = self.written[step].iter().filter(|array| !self.readers[array.0 as usize].is_empty());
            let inside = |array: ArrayId| self.readers[array.0 as usize].iter().all(|reader| members.contains(reader));
            let link = move |array: &ArrayId| Link {
                array: *array,
                writer,
                alone: !self.kept[array.0 as usize] && inside(*array),
            };
            // What the last step writes is read by others only.
            (writer + 1 < members.len()).then(|| read.map(link).collect::<Vec<_>>())
        };
        members.iter().enumerate().filter_map(linked).flatten().collect()
    }
}

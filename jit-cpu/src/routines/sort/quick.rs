//! Sorting the keys of one row: quicksort with vectors where the machine has AVX-512, and threads where the row is long. Where
//! it has not, the standard library's sort.
//!
//! Keys that are equal are the same bits, so no order among them can be seen, and results do not depend on threads.

use super::Sorted;
use fusewire_runtime::order::{Order, Word};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[cfg(target_arch = "x86_64")]
use super::{
    avx512,
    kernels::{self, Machine},
};

/// Parts of at least so many keys are given to another thread that has nothing to do.
const SHARED: usize = 1 << 14;
/// Keys of a long row that a thread takes at a time, before there are parts.
const PIECE: usize = 1 << 18;
/// Keys of which the median is the first pivot of a long row.
const SAMPLE: usize = 511;

macro_rules! sorted {
    ($word:ident, $vector:ident) => {
        impl Sorted for $word {
            fn sort_keys(keys: &mut [$word], order: &Order<$word>, shared: bool, stop: &AtomicBool) {
                #[cfg(target_arch = "x86_64")]
                if avx512::$vector::is_there() {
                    return Quick::<avx512::$vector> { order, shared, stop }.sort(keys);
                }
                sort_plainly(keys, order, shared);
            }

            fn sort_long(elements: &[$word], to: &mut [$word], order: &Order<$word>, stop: &AtomicBool) {
                #[cfg(target_arch = "x86_64")]
                if avx512::$vector::is_there() {
                    return Quick::<avx512::$vector> { order, shared: true, stop }.sort_long(elements, to);
                }
                write_keys(elements, to, order);
                sort_plainly(to, order, true);
            }
        }
    };
}
sorted!(u16, Short);
sorted!(u32, Narrow);
sorted!(u64, Wide);

fn write_keys<W: Word>(elements: &[W], to: &mut [W], order: &Order<W>) {
    to.par_iter_mut().with_min_len(PIECE).zip(elements).for_each(|(key, element)| *key = order.key(*element));
}

pub(super) fn sort_plainly<W: Word>(keys: &mut [W], order: &Order<W>, shared: bool) {
    sort_halves(keys, if shared { rayon::current_num_threads().next_power_of_two() } else { 1 });
    keys.iter_mut().for_each(|key| *key = order.elements.apply(*key));
}

/// Sorts what is below the median and what is above on threads of their own: no memory is taken, and the parts are equal,
/// which beats rayon's sort (10M keys on two busy cores: 123 ms against 231, and 143 on one thread).
fn sort_halves<W: Word>(keys: &mut [W], parts: usize) {
    if parts < 2 || keys.len() < 2 {
        return keys.sort_unstable();
    }
    let (below, _, above) = keys.select_nth_unstable(keys.len() / 2);
    rayon::join(|| sort_halves(below, parts / 2), || sort_halves(above, parts / 2));
}

/// Quicksort with the vectors `V`, of which the machine is known to have the instructions.
#[cfg(target_arch = "x86_64")]
struct Quick<'a, V: Machine> {
    order: &'a Order<V::Word>,
    shared: bool,
    stop: &'a AtomicBool,
}

#[cfg(target_arch = "x86_64")]
impl<V: Machine> Quick<'_, V> {
    const FEW: usize = kernels::NETWORK * V::COUNT;

    fn sort(&self, keys: &mut [V::Word]) {
        // Order, or the opposite, is common, and where there is none that shows soon.
        if keys.len() > Self::FEW {
            if keys.is_sorted_by(|a, b| a >= b) {
                keys.reverse();
            }
            if keys.is_sorted() {
                return self.finish(keys);
            }
        }
        // Pivots that are no better than the tenth smallest of a hundred lead to parts after this depth that the standard library sorts.
        let depth = 8 + 4 * keys.len().checked_ilog2().unwrap_or(0);
        self.sort_part(keys, V::Word::MAX, depth);
    }

    /// Sorts keys none of which is greater than `most`.
    fn sort_part(&self, mut keys: &mut [V::Word], mut most: V::Word, mut depth: u32) {
        while keys.len() > Self::FEW {
            if self.stop.load(Relaxed) {
                return;
            }
            if depth == 0 {
                keys.sort_unstable();
                return self.finish(keys);
            }
            depth -= 1;
            // SAFETY: the machine has the instructions, and there are enough keys.
            let (median, least) = unsafe { V::sample(keys) };
            let pivot = pivot(median, least, most);
            // SAFETY: as above.
            let division = unsafe { V::divide(keys, pivot, self.stop) };
            let (below, above) = keys.split_at_mut(division.below);
            // A pivot of 0 has nothing below.
            let most_below = if pivot == V::Word::ZERO { pivot } else { division.greatest.min(pivot - V::Word::ONE) };
            let equal_below = division.least == most_below;
            let equal_above = division.greatest == pivot;
            match (equal_below, equal_above) {
                (true, true) => {
                    self.finish(below);
                    return self.finish(above);
                }
                (true, false) => {
                    self.finish(below);
                    (keys, most) = (above, division.greatest);
                }
                (false, true) => {
                    self.finish(above);
                    (keys, most) = (below, most_below);
                }
                (false, false) if self.shared && below.len().min(above.len()) >= SHARED / 4 => {
                    rayon::join(
                        || self.sort_part(below, most_below, depth),
                        || self.sort_part(above, division.greatest, depth),
                    );
                    return;
                }
                (false, false) => {
                    self.sort_part(below, most_below, depth);
                    (keys, most) = (above, division.greatest);
                }
            }
        }
        // SAFETY: the machine has the instructions, and there are few keys.
        unsafe { V::sort_few(keys, self.order.elements) };
    }

    /// Keys that are in order become elements.
    fn finish(&self, keys: &mut [V::Word]) {
        keys.iter_mut().for_each(|key| *key = self.order.elements.apply(*key));
    }

    /// The keys are divided once while they are written, by all threads: each counts how many of its elements are below the pivot,
    /// so that it knows where they belong.
    fn sort_long(&self, elements: &[V::Word], to: &mut [V::Word]) {
        let step = (elements.len() / SAMPLE).max(1);
        let mut sample: Vec<V::Word> = elements.iter().step_by(step).map(|&e| self.order.key(e)).collect();
        sample.sort_unstable();
        let pivot = pivot(sample[sample.len() / 2], sample[0], V::Word::MAX);
        let pieces: Vec<&[V::Word]> = elements.chunks(PIECE).collect();
        let counts: Vec<usize> = pieces.par_iter().map(|piece| self.count(piece, pivot)).collect();
        let (mut below, mut above) = to.split_at_mut(counts.iter().sum());
        let mut jobs = Vec::new();
        for (piece, count) in pieces.into_iter().zip(counts) {
            let (lower, upper);
            (lower, below) = below.split_at_mut(count);
            (upper, above) = above.split_at_mut(piece.len() - count);
            jobs.push((piece, lower, upper));
        }
        let total = elements.len() - jobs.iter().map(|job| job.2.len()).sum::<usize>();
        jobs.into_par_iter().for_each(|(piece, lower, upper)| {
            if !self.stop.load(Relaxed) {
                // SAFETY: the machine has the instructions.
                unsafe { V::divide_elements(piece, self.order.keys, pivot, lower, upper) }
            }
        });
        let (below, above) = to.split_at_mut(total);
        rayon::join(|| self.sort(below), || self.sort(above));
    }

    fn count(&self, elements: &[V::Word], pivot: V::Word) -> usize {
        if self.stop.load(Relaxed) {
            return 0;
        }
        // SAFETY: the machine has the instructions.
        unsafe { V::count_below(elements, self.order.keys, pivot) }
    }
}

/// What divides keys so that there are some on both sides, or else they are all equal: `median` and `least` are among them, and
/// none is greater than `most`.
#[cfg(target_arch = "x86_64")]
fn pivot<W: Word>(median: W, least: W, most: W) -> W {
    if median > least || median == most { median } else { median + W::ONE }
}

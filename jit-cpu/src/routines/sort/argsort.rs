//! Sorting positions. Each becomes one word with the leading bits of its element's rank above it, so that the words' order is
//! the stable one; the words are sorted in the result's memory. Where ranks have more bits than there is room for, words that agree in
//! their leading bits are sorted again, by the others.

use super::{
    Sorted,
    rows::{Row, Rows},
};
use crate::threads::Threads;
use fusewire_ir::dtype::DType;
use fusewire_runtime::{
    backend::LibraryCall,
    error::Error,
    order::{Order, Word},
};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Elements that a thread takes at least.
const PIECE: usize = 1 << 14;

/// Sorts positions by values.
pub(in super::super) fn argsort(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    match call.operands[0].dtype.size() {
        1 => argsort_words::<u8>(threads, call, descending),
        2 => argsort_words::<u16>(threads, call, descending),
        4 => argsort_words::<u32>(threads, call, descending),
        _ => argsort_words::<u64>(threads, call, descending),
    }
}

fn argsort_words<W: Word>(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    let order = Order::<W>::new(call.operands[0].dtype, descending);
    let rows = Rows::new(call);
    rows.each_block(threads, call, &|numbers, long, stop| {
        for number in numbers {
            // SAFETY: the result's elements are 64 bits, and each row is given once.
            let words = unsafe { rows.result::<u64>(number) };
            let ranked = Ranked::new(rows.row(number), &order, long, stop);
            ranked.sort(words);
        }
    })
}

/// A row whose positions are sorted.
struct Ranked<'a, W> {
    row: Row<W>,
    order: &'a Order<W>,
    least: u64,
    /// The bits of a position.
    bits: u32,
    /// The lower bits of ranks, for which there is no room.
    left_out: u32,
    shared: bool,
    stop: &'a AtomicBool,
}

impl<'a, W: Word> Ranked<'a, W> {
    fn new(row: Row<W>, order: &'a Order<W>, shared: bool, stop: &'a AtomicBool) -> Ranked<'a, W> {
        let rank = |position: usize| order.rank(row.at(position)).widened();
        let both = |a: (u64, u64), b: (u64, u64)| (a.0.min(b.0), a.1.max(b.1));
        let one = |position: usize| (rank(position), rank(position));
        let none = (u64::MAX, 0);
        let (least, greatest) = if shared {
            (0..row.len()).into_par_iter().with_min_len(PIECE).map(one).reduce(|| none, both)
        } else {
            (0..row.len()).map(one).fold(none, both)
        };
        let bits = usize::BITS - row.len().saturating_sub(1).leading_zeros();
        let rank_bits = u64::BITS - greatest.saturating_sub(least).leading_zeros();
        let left_out = (rank_bits + bits).saturating_sub(u64::BITS);
        Ranked { row, order, least, bits, left_out, shared, stop }
    }

    /// The element's rank, from the least one on.
    fn rank(&self, position: usize) -> u64 {
        // An element that is written meanwhile by others may have become less.
        self.order.rank(self.row.at(position)).widened().wrapping_sub(self.least)
    }

    fn word(&self, position: usize) -> u64 {
        (self.rank(position) >> self.left_out).unbounded_shl(self.bits) | position as u64
    }

    fn position(&self, word: u64) -> usize {
        (word & !u64::MAX.unbounded_shl(self.bits)) as usize
    }

    fn sort(&self, words: &mut [u64]) {
        if self.shared {
            words.par_iter_mut().with_min_len(PIECE).enumerate().for_each(|(i, word)| *word = self.word(i));
        } else {
            words.iter_mut().enumerate().for_each(|(i, word)| *word = self.word(i));
        }
        self.sort_words(words);
        if !self.stop.load(Relaxed) {
            self.finish(words);
        }
    }

    fn sort_words(&self, words: &mut [u64]) {
        // Order, or the opposite, is common, and where there is none that shows soon.
        if words.is_sorted() {
            return;
        }
        if words.is_sorted_by(|a, b| a > b) {
            return words.reverse();
        }
        u64::sort_keys(words, &Order::new(DType::U64, false), self.shared, self.stop);
    }

    /// Words in order become positions.
    fn finish(&self, words: &mut [u64]) {
        if self.shared && words.len() > 2 * PIECE {
            let middle = words.len() / 2;
            let leading = words[middle].unbounded_shr(self.bits);
            // Words with the same leading bits stay together.
            let middle = match self.left_out {
                0 => middle,
                _ => words[..middle].partition_point(|word| word.unbounded_shr(self.bits) < leading),
            };
            if middle > 0 {
                let (before, after) = words.split_at_mut(middle);
                rayon::join(|| self.finish(before), || self.finish(after));
                return;
            }
        }
        if self.left_out == 0 {
            return words.iter_mut().for_each(|word| *word = self.position(*word) as u64);
        }
        for run in words.chunk_by_mut(|a, b| a.unbounded_shr(self.bits) == b.unbounded_shr(self.bits)) {
            if run.len() > 1 {
                self.sort_run(run);
            }
            run.iter_mut().for_each(|word| *word = self.position(*word) as u64);
        }
    }

    /// Sorts words with the same leading bits of ranks by the other bits.
    fn sort_run(&self, run: &mut [u64]) {
        if self.left_out + self.bits > u64::BITS {
            // Billions of elements.
            return run.sort_unstable_by_key(|&word| (self.rank(self.position(word)), word));
        }
        let others = !(u64::MAX << self.left_out);
        for word in &mut *run {
            let position = self.position(*word);
            *word = (self.rank(position) & others) << self.bits | position as u64;
        }
        self.sort_words(run);
    }
}

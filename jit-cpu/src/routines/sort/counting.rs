//! Sorting words of 8 bits by counting how often each comes.

use super::Sorted;
use fusewire_runtime::order::{Flips, Order};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Elements that a thread counts at a time.
const PIECE: usize = 1 << 18;

impl Sorted for u8 {
    fn sort_keys(keys: &mut [u8], order: &Order<u8>, _: bool, stop: &AtomicBool) {
        if keys.len() < 64 {
            keys.sort_unstable();
            return keys.iter_mut().for_each(|key| *key = order.elements.apply(*key));
        }
        write(&count(keys, Flips { set: 0, clear: 0 }, stop), keys, order);
    }

    fn sort_long(elements: &[u8], to: &mut [u8], order: &Order<u8>, stop: &AtomicBool) {
        write(&counts_of(elements, order, stop), to, order);
    }
}

type Counts = [usize; 1 << 8];

/// How often each key comes, counted by all threads.
fn counts_of(elements: &[u8], order: &Order<u8>, stop: &AtomicBool) -> Counts {
    let sum = |a: Counts, b: Counts| std::array::from_fn(|key| a[key] + b[key]);
    elements.par_chunks(PIECE).map(|piece| count(piece, order.keys, stop)).reduce(|| [0; 1 << 8], sum)
}

fn count(words: &[u8], flips: Flips<u8>, stop: &AtomicBool) -> Counts {
    let mut counts = [0; 1 << 8];
    if !stop.load(Relaxed) {
        words.iter().for_each(|&word| counts[usize::from(flips.apply(word))] += 1);
    }
    counts
}

/// Writes elements as often as their keys come.
fn write(counts: &Counts, to: &mut [u8], order: &Order<u8>) {
    let mut rest = to;
    for (key, &count) in counts.iter().enumerate() {
        // What is written meanwhile by others may have been counted differently.
        let part;
        (part, rest) = rest.split_at_mut(count.min(rest.len()));
        part.fill(order.elements.apply(key as u8));
    }
}

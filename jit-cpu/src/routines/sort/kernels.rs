//! The inner loops of sorting, for vectors of any width: dividing keys by a pivot, and sorting few by a network. Which
//! vectors there are is in `avx512.rs`; when these loops run is in `quick.rs`.
//!
//! Everything here becomes part of a function that is compiled for the vectors' machine, hence `inline(always)`.

use fusewire_runtime::order::{Flips, Word};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A vector of keys.
///
/// # Safety
/// Of all methods: the machine has the instructions, and pointers are to as many words as are read or written.
pub(super) trait Lanes: Copy {
    type Word: Word;
    /// How many; a power of two.
    const COUNT: usize;

    unsafe fn splat(word: Self::Word) -> Self;
    unsafe fn load(from: *const Self::Word) -> Self;
    /// The first `count` lanes from memory.
    unsafe fn load_part(from: *const Self::Word, count: usize, rest: Self) -> Self;
    unsafe fn store(self, to: *mut Self::Word);
    /// The first `count` lanes to memory.
    unsafe fn store_part(self, to: *mut Self::Word, count: usize);
    unsafe fn least(self, other: Self) -> Self;
    unsafe fn greatest(self, other: Self) -> Self;
    /// Lane `i` comes from lane `i ^ distance`.
    unsafe fn exchanged(self, distance: usize) -> Self;
    /// The lesser in lanes whose number does not have the bit, the greater in those whose number has it.
    unsafe fn ordered(self, other: Self, bit: usize) -> Self;
    /// Lanes whose number has the bit are those of the other vector.
    unsafe fn with_lanes(self, other: Self, bit: usize) -> Self;
    unsafe fn flipped(self, flips: Flips<Self::Word>) -> Self;
    /// A bit for each lane: is it less than the pivot's?
    unsafe fn below(self, pivot: Self) -> u32;
    /// The lanes with set bits first.
    unsafe fn packed(self, lanes: u32) -> Self;
    /// The lanes with set bits in `first` first, and those of `last`, which are `count`, at the end.
    unsafe fn packed_at_ends(self, first: u32, last: u32, count: usize) -> Self;
    /// Asks for memory to be brought near. Any address is fine.
    unsafe fn prefetch(from: *const Self::Word);
}

/// The loops below, compiled for the machine that has the vectors.
///
/// # Safety
/// Of all unsafe methods: [`Machine::is_there`], and what the loops of the same names ask for.
pub(super) trait Machine: Lanes {
    fn is_there() -> bool;
    unsafe fn divide(keys: &mut [Self::Word], pivot: Self::Word, stop: &AtomicBool) -> Division<Self::Word>;
    /// How many of the elements have keys below the pivot.
    unsafe fn count_below(elements: &[Self::Word], flips: Flips<Self::Word>, pivot: Self::Word) -> usize;
    unsafe fn divide_elements(
        elements: &[Self::Word],
        flips: Flips<Self::Word>,
        pivot: Self::Word,
        below: &mut [Self::Word],
        above: &mut [Self::Word],
    );
    unsafe fn sort_few(keys: &mut [Self::Word], flips: Flips<Self::Word>);
    unsafe fn sample(keys: &[Self::Word]) -> (Self::Word, Self::Word);
}

/// The vectors that a network sorts at most.
pub(super) const NETWORK: usize = 16;
/// The vectors that dividing takes from one side at a time.
const STEP: usize = NETWORK / 2;

/// What dividing finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division<W> {
    /// How many keys are less than the pivot: they stand first.
    pub below: usize,
    pub least: W,
    pub greatest: W,
}

/// Brings keys that are less than the pivot to the front. Keys that are loaded leave room at both ends, into which they are
/// stored; what is loaded next comes from the end with less room, so it never runs out. Loading is a step ahead of storing:
/// a load that waits for what has just been counted makes memory's latency the time of a step. (10M keys of 64 bits: 12 ns each, now 7,
/// with prefetching 5.7; stores with masks are no quicker than twice the whole vector, and much slower out of cache.)
/// Gives up when told to stop.
///
/// # Safety
/// The machine has the instructions of `V`. There are at least `NETWORK` vectors of keys.
#[inline(always)]
pub(super) unsafe fn divide<V: Lanes>(keys: &mut [V::Word], pivot: V::Word, stop: &AtomicBool) -> Division<V::Word> {
    let (count, width) = (keys.len(), V::COUNT);
    debug_assert!(count >= NETWORK * width, "a vector for each end, and each step");
    let start = keys.as_mut_ptr();
    // SAFETY: positions stay in `0..count`. With one step kept and one on its way there is room for two in all; loading
    // another from the end with less leaves room for one at each end, where the one on its way is stored. What is less than
    // a step is loaded from the end with less room too, and at last the room at both ends is one, as long as what is still
    // to be stored.
    unsafe {
        let wide = V::splat(pivot);
        let mut kept = [wide; STEP];
        for i in 0..STEP / 2 {
            kept[2 * i] = V::load(start.add(i * width));
            kept[2 * i + 1] = V::load(start.add(count - (i + 1) * width));
        }
        let mut loads = Loads { start, next: STEP / 2 * width, end: count - STEP / 2 * width };
        let mut ends = Ends {
            pivot: wide,
            lower: start,
            upper: start.add(count),
            least: V::splat(V::Word::MAX),
            greatest: V::splat(V::Word::ZERO),
        };
        let mut on_its_way = loads.step(&ends);
        while loads.end - loads.next >= STEP * width {
            if stop.load(Relaxed) {
                return Division { below: count, least: pivot, greatest: pivot };
            }
            let next = loads.step(&ends);
            for vector in on_its_way {
                ends.store(vector, width);
            }
            on_its_way = next;
        }
        while loads.next < loads.end {
            let size = width.min(loads.end - loads.next);
            let from = loads.take(&ends, size);
            // Lanes that are no keys repeat the pivot, so the extremes are those of the keys and the pivot.
            ends.store(V::load_part(from, size, wide), size);
        }
        for vector in on_its_way.into_iter().chain(kept) {
            ends.store(vector, width);
        }
        debug_assert_eq!(ends.lower, ends.upper, "all are stored");
        let (least, greatest) = (extreme(ends.least, false), extreme(ends.greatest, true));
        Division { below: ends.lower.offset_from_unsigned(start), least, greatest }
    }
}

/// What is to be loaded: from `next` to `end`, from either side.
struct Loads<W> {
    start: *const W,
    next: usize,
    end: usize,
}

impl<W: Word> Loads<W> {
    /// Takes `size` keys from the end with less room.
    #[inline(always)]
    unsafe fn take<V: Lanes<Word = W>>(&mut self, ends: &Ends<V>, size: usize) -> *const W {
        // SAFETY: as the caller promises, all positions are in one slice.
        unsafe {
            let first = self.start.add(self.next);
            let last = self.start.add(self.end);
            let lower = first.offset_from(ends.lower) <= ends.upper.cast_const().offset_from(last);
            let taken = if lower { size } else { 0 };
            self.next += taken;
            self.end -= size - taken;
            if lower { first } else { last.sub(size) }
        }
    }

    #[inline(always)]
    unsafe fn step<V: Lanes<Word = W>>(&mut self, ends: &Ends<V>) -> [V; STEP] {
        // SAFETY: as the caller promises, there are as many keys.
        unsafe {
            let from = self.take(ends, STEP * V::COUNT);
            let mut vectors = [ends.pivot; STEP];
            for (i, vector) in vectors.iter_mut().enumerate() {
                // What is loaded in two steps' time, from whichever end.
                let ahead = (STEP + i) * V::COUNT;
                V::prefetch(self.start.wrapping_add(self.next + ahead));
                V::prefetch(self.start.wrapping_add(self.end).wrapping_sub(ahead + V::COUNT));
                *vector = V::load(from.add(i * V::COUNT));
            }
            vectors
        }
    }
}

/// The state of dividing: keys below the pivot are stored from `lower` on, others up to `upper`.
struct Ends<V: Lanes> {
    pivot: V,
    lower: *mut V::Word,
    upper: *mut V::Word,
    least: V,
    greatest: V,
}

impl<V: Lanes> Ends<V> {
    /// Stores the first `valid` lanes, of which the others repeat the pivot. There is room for a vector at each end, perhaps
    /// the same: it is stored whole at both, and what does not belong there is overwritten later.
    #[inline(always)]
    unsafe fn store(&mut self, vector: V, valid: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            self.least = self.least.least(vector);
            self.greatest = self.greatest.greatest(vector);
            let below = vector.below(self.pivot);
            let valid_lanes = u32::MAX >> (32 - valid);
            let few = below.count_ones() as usize;
            let both = vector.packed_at_ends(below, !below & valid_lanes, valid - few);
            both.store(self.lower);
            both.store(self.upper.sub(V::COUNT));
            self.lower = self.lower.add(few);
            self.upper = self.upper.sub(valid - few);
        }
    }
}

/// The least or greatest lane.
#[inline(always)]
unsafe fn extreme<V: Lanes>(mut vector: V, greatest: bool) -> V::Word {
    let mut lanes = [V::Word::ZERO; 64];
    // SAFETY: as the caller promises; no vector has more lanes.
    unsafe {
        for distance in [16, 8, 4, 2, 1] {
            if distance < V::COUNT {
                let other = vector.exchanged(distance);
                vector = if greatest { vector.greatest(other) } else { vector.least(other) };
            }
        }
        vector.store(lanes.as_mut_ptr());
    }
    lanes[0]
}

/// Writes the keys of elements, those that are less than the pivot and the others apart. If there are other numbers of them
/// than these slices have room for, what is too much is left out.
///
/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn divide_elements<V: Lanes>(
    elements: &[V::Word],
    flips: Flips<V::Word>,
    pivot: V::Word,
    below: &mut [V::Word],
    above: &mut [V::Word],
) {
    let mut room = (below.len(), above.len());
    // SAFETY: only as many words are stored as there is room for, and loaded as there are elements.
    unsafe {
        let wide = V::splat(pivot);
        let (mut lower, mut upper) = (below.as_mut_ptr(), above.as_mut_ptr());
        for part in elements.chunks(V::COUNT) {
            let vector = match part.len() == V::COUNT {
                true => V::load(part.as_ptr()),
                false => V::load_part(part.as_ptr(), part.len(), wide),
            };
            let keys = vector.flipped(flips);
            let mask = keys.below(wide) & (u32::MAX >> (32 - part.len()));
            let other = !mask & (u32::MAX >> (32 - part.len()));
            let (few, many) = ((mask.count_ones() as usize).min(room.0), (other.count_ones() as usize).min(room.1));
            keys.packed(mask).store_part(lower, few);
            keys.packed(other).store_part(upper, many);
            (lower, upper) = (lower.add(few), upper.add(many));
            room = (room.0 - few, room.1 - many);
        }
    }
}

/// Sorts at most [`NETWORK`] vectors of keys, and makes elements of them.
///
/// # Safety
/// The machine has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn sort_few<V: Lanes>(keys: &mut [V::Word], flips: Flips<V::Word>) {
    // SAFETY: as the caller promises; the slice has at most so many vectors.
    unsafe {
        match keys.len().div_ceil(V::COUNT) {
            0 => {}
            1 => sort_vectors::<V, 1>(keys, flips),
            2 => sort_vectors::<V, 2>(keys, flips),
            3..=4 => sort_vectors::<V, 4>(keys, flips),
            5..=8 => sort_vectors::<V, 8>(keys, flips),
            _ => sort_vectors::<V, NETWORK>(keys, flips),
        }
    }
}

/// The median of keys that are spread over the slice, and the least of them: of two vectors, or eight.
///
/// # Safety
/// The machine has the instructions of `V`. There are at least `NETWORK` vectors of keys.
#[inline(always)]
pub(super) unsafe fn sample<V: Lanes>(keys: &[V::Word]) -> (V::Word, V::Word) {
    // SAFETY: as the caller promises; vectors are loaded from inside the slice.
    unsafe { if keys.len() < 256 * V::COUNT { sample_vectors::<V, 2>(keys) } else { sample_vectors::<V, 8>(keys) } }
}

#[inline(always)]
unsafe fn sample_vectors<V: Lanes, const N: usize>(keys: &[V::Word]) -> (V::Word, V::Word) {
    let step = (keys.len() - V::COUNT) / (2 * N);
    // SAFETY: the last vector begins at `(2 * N - 1) * step`, which is at most `keys.len() - V::COUNT`.
    unsafe {
        let mut vectors = [V::splat(V::Word::ZERO); N];
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = V::load(keys.as_ptr().add((2 * i + 1) * step));
        }
        network(&mut vectors);
        let mut words = [V::Word::ZERO; 8 * 64];
        vectors[N / 2].store(words.as_mut_ptr());
        vectors[0].store(words.as_mut_ptr().add(64));
        (words[0], words[64])
    }
}

#[inline(always)]
unsafe fn sort_vectors<V: Lanes, const N: usize>(keys: &mut [V::Word], flips: Flips<V::Word>) {
    let (count, start) = (keys.len(), keys.as_mut_ptr());
    let lanes = |i: usize| count.saturating_sub(i * V::COUNT).min(V::COUNT);
    // SAFETY: lanes beyond the keys are neither loaded nor stored. They are greater than or equal to all keys, so the keys
    // come first.
    unsafe {
        let rest = V::splat(V::Word::MAX);
        let mut vectors = [rest; N];
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = V::load_part(start.wrapping_add(i * V::COUNT), lanes(i), rest);
        }
        network(&mut vectors);
        for (i, vector) in vectors.into_iter().enumerate() {
            vector.flipped(flips).store_part(start.wrapping_add(i * V::COUNT), lanes(i));
        }
    }
}

/// Batcher's bitonic network on all lanes, those of the first vector first. Each stage merges neighbouring runs: keys as far
/// from the middle of two runs are ordered, and then those at half of the distance, and so on.
#[inline(always)]
unsafe fn network<V: Lanes, const N: usize>(vectors: &mut [V; N]) {
    // SAFETY: as the caller promises.
    unsafe {
        if V::COUNT <= N {
            return network_of_columns(vectors);
        }
        stage_in_lanes(vectors, 2);
        stage_in_lanes(vectors, 4);
        stage_in_lanes(vectors, 8);
        stage_in_lanes(vectors, 16);
        stage_in_lanes(vectors, 32);
        stage_of_vectors(vectors, 2);
        stage_of_vectors(vectors, 4);
        stage_of_vectors(vectors, 8);
        stage_of_vectors(vectors, 16);
    }
}

/// The same with the lanes of one number as runs to begin with, which takes two thirds of the instructions: most of the
/// distances are between vectors then, and keys change their lanes at last.
#[inline(always)]
unsafe fn network_of_columns<V: Lanes, const N: usize>(vectors: &mut [V; N]) {
    // SAFETY: as the caller promises.
    unsafe {
        stage_in_columns(vectors, 2);
        stage_in_columns(vectors, 4);
        stage_in_columns(vectors, 8);
        stage_in_columns(vectors, 16);
        stage_of_columns(vectors, 2);
        stage_of_columns(vectors, 4);
        stage_of_columns(vectors, 8);
        stage_of_columns(vectors, 16);
        transpose(vectors, 1);
        transpose(vectors, 2);
        transpose(vectors, 4);
        transpose(vectors, 8);
        let (columns, parts) = (*vectors, N / V::COUNT);
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = columns[i % parts * V::COUNT + i / parts];
        }
    }
}

/// Merges runs within each column to runs of `run`.
#[inline(always)]
unsafe fn stage_in_columns<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    if run > N {
        return;
    }
    // SAFETY: as the caller promises.
    unsafe {
        for i in 0..N {
            let j = i ^ (run - 1);
            if i < j {
                let (a, b) = (vectors[i], vectors[j]);
                vectors[i] = a.least(b);
                vectors[j] = a.greatest(b);
            }
        }
        order_columns_within(vectors, run / 2);
    }
}

/// Merges runs of columns to runs of `run`.
#[inline(always)]
unsafe fn stage_of_columns<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    if run > V::COUNT {
        return;
    }
    // SAFETY: as the caller promises.
    unsafe {
        for i in 0..N / 2 {
            let (a, b) = (vectors[i], vectors[N - 1 - i]);
            vectors[i] = a.ordered(b.exchanged(run - 1), run / 2);
            vectors[N - 1 - i] = b.ordered(a.exchanged(run - 1), run / 2);
        }
        order_within(vectors, run / 2);
        order_columns_within(vectors, N);
    }
}

/// Orders vectors at half of a run's distance, a quarter, and so on.
#[inline(always)]
unsafe fn order_columns_within<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if run >= 16 {
            order_vectors(vectors, 8);
        }
        if run >= 8 {
            order_vectors(vectors, 4);
        }
        if run >= 4 {
            order_vectors(vectors, 2);
        }
        if run >= 2 {
            order_vectors(vectors, 1);
        }
    }
}

/// Exchanges one bit of the numbers of vectors with that of the numbers of lanes.
#[inline(always)]
unsafe fn transpose<V: Lanes, const N: usize>(vectors: &mut [V; N], bit: usize) {
    if bit >= V::COUNT {
        return;
    }
    for i in 0..N {
        if i & bit == 0 {
            let (a, b) = (vectors[i], vectors[i + bit]);
            // SAFETY: as the caller promises.
            unsafe {
                vectors[i] = a.with_lanes(b.exchanged(bit), bit);
                vectors[i + bit] = a.exchanged(bit).with_lanes(b, bit);
            }
        }
    }
}

/// Merges runs of lanes to runs of `run`.
#[inline(always)]
unsafe fn stage_in_lanes<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    if run > V::COUNT {
        return;
    }
    // SAFETY: as the caller promises.
    unsafe {
        order_lanes(vectors, run - 1, run / 2);
        order_within(vectors, run / 2);
    }
}

/// Merges runs of vectors to runs of `run`.
#[inline(always)]
unsafe fn stage_of_vectors<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    if run > N {
        return;
    }
    // SAFETY: as the caller promises.
    unsafe {
        for i in 0..N {
            // The vector as far from the middle, on the other side.
            let j = i ^ (run - 1);
            if i < j {
                let (a, b) = (vectors[i], vectors[j].exchanged(V::COUNT - 1));
                vectors[i] = a.least(b);
                vectors[j] = a.greatest(b);
            }
        }
        if run >= 16 {
            order_vectors(vectors, 4);
        }
        if run >= 8 {
            order_vectors(vectors, 2);
        }
        if run >= 4 {
            order_vectors(vectors, 1);
        }
        order_within(vectors, V::COUNT);
    }
}

/// Orders lanes at half of a run's distance, a quarter, and so on.
#[inline(always)]
unsafe fn order_within<V: Lanes, const N: usize>(vectors: &mut [V; N], run: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if run >= 32 {
            order_lanes(vectors, 16, 16);
        }
        if run >= 16 {
            order_lanes(vectors, 8, 8);
        }
        if run >= 8 {
            order_lanes(vectors, 4, 4);
        }
        if run >= 4 {
            order_lanes(vectors, 2, 2);
        }
        if run >= 2 {
            order_lanes(vectors, 1, 1);
        }
    }
}

#[inline(always)]
unsafe fn order_vectors<V: Lanes, const N: usize>(vectors: &mut [V; N], distance: usize) {
    for i in 0..N {
        if i & distance == 0 && i + distance < N {
            let (a, b) = (vectors[i], vectors[i + distance]);
            // SAFETY: as the caller promises.
            unsafe {
                vectors[i] = a.least(b);
                vectors[i + distance] = a.greatest(b);
            }
        }
    }
}

#[inline(always)]
unsafe fn order_lanes<V: Lanes, const N: usize>(vectors: &mut [V; N], distance: usize, bit: usize) {
    for vector in vectors {
        // SAFETY: as the caller promises.
        unsafe { *vector = vector.ordered(vector.exchanged(distance), bit) };
    }
}

//! Folds of loops, in the order that `fusewire_lowering::kernel::Reduction` lays down.
//!
//! A cascading fold keeps its finished blocks in slots, one a level: slot `k` is in use when bit `k` of the number of finished
//! blocks is set. That is the binary counter. In a loop that is dealt to the threads of a team, each (lane, block of steps) is
//! folded by one thread, a *chunk* of them at a time; the blocks of a lane then combine as the counter would combine them, through
//! shuffles in a warp and through shared memory between warps, and only whole chunks go to slots. All threads go the same way
//! there, whatever the number of iterations.

use super::Emitter;
use crate::schedule::{FOLD_BYTES, PUBLISHED, WARP};
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};
use fusewire_jit_llvm::instructions::{Emitted, Value};
use fusewire_lowering::kernel::{CASCADE_BLOCK, Loop, Reduction};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue},
};

/// More levels than blocks of any loop have.
const LEVELS: u32 = 60;

/// The finished blocks of a cascading fold, in the thread's own memory.
#[derive(Clone, Copy)]
struct Slots<'c> {
    op: ScalarOp,
    dtype: DType,
    memory: PointerValue<'c>,
}

impl<'c> Emitter<'_, 'c> {
    /// Iterations one after another, with their folds: where some cascade, block by block.
    pub(super) fn serial_loop(&mut self, inner: &Loop) -> Emitted<()> {
        let i = self.i;
        let b = &i.builder;
        let (begin, end) = self.bounds(inner.range)?;
        let one = i.index(1);
        let slots = inner.reductions.iter().map(|reduction| Slots::of(self, reduction)).collect::<Emitted<Vec<_>>>()?;
        let mut start: Vec<Value<'c>> = inner.reductions.iter().map(|reduction| unit(self, reduction)).collect();
        start.extend(inner.scans.iter().map(|scan| i.constant(op_unit(scan.op, self.dtype(scan.value)))));
        let mut results = if slots.iter().all(Option::is_none) {
            self.each(inner, begin, end, one, &start)?
        } else {
            let size = i.index(CASCADE_BLOCK.into());
            let count = b.build_int_sub(end, begin, "")?;
            let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
            let blocks = b.build_int_unsigned_div(count, size, "")?;
            let more = b.build_int_add(blocks, one, "")?;
            // The last block is the unfinished one.
            let mut results = i.counted_loop(i.index(0), more, one, &start, |number, carried| {
                let first = b.build_int_add(begin, b.build_int_mul(number, size, "")?, "")?;
                let last = b.build_int_add(first, size, "")?;
                let last = i.intrinsic("smin", &[last.into(), end.into()])?.into_int_value();
                let carried = (0..).zip(carried).map(|(number, &carried)| match slots.get(number) {
                    Some(Some(_)) => start[number],
                    Some(None) | None => carried,
                });
                let sums = self.each(inner, first, last, one, &carried.collect::<Vec<_>>())?;
                let whole = i.compare(IntPredicate::ULT, number.into(), blocks.into())?;
                self.when(whole, |e| {
                    let each = slots.iter().zip(&sums).filter_map(|(slots, &sum)| slots.map(|slots| (slots, sum)));
                    each.into_iter().try_for_each(|(slots, sum)| slots.push(e, sum, number))
                })?;
                Ok(sums)
            })?;
            for (slots, result) in slots.iter().zip(&mut results) {
                if let Some(slots) = slots {
                    *result = slots.fold(self, *result, blocks, blocks)?;
                }
            }
            results
        };
        let scans = results.split_off(inner.reductions.len());
        let folds = inner.reductions.iter().map(|reduction| Some(reduction.result)).zip(results);
        let totals = inner.scans.iter().map(|scan| scan.total).zip(scans);
        for (id, result) in folds.chain(totals) {
            if let Some(id) = id {
                self.values[id.0 as usize] = Some(result);
            }
        }
        Ok(())
    }
}

impl<'c> Slots<'c> {
    fn of(e: &Emitter<'_, 'c>, reduction: &Reduction) -> Emitted<Option<Slots<'c>>> {
        let dtype = e.dtype(reduction.value);
        if !Reduction::cascades(reduction.op, dtype) {
            return Ok(None);
        }
        Ok(Some(Slots { op: reduction.op, dtype, memory: e.i.stack(dtype, 1, LEVELS)? }))
    }

    /// Puts in a finished block, the `number`-th.
    fn push(self, e: &Emitter<'_, 'c>, block: Value<'c>, number: IntValue<'c>) -> Emitted<()> {
        let (whole, slot) = self.combined(e, block, number)?;
        e.i.store(self.dtype, slot, whole)
    }

    /// The `number`-th finished block with those that combine with it, and the slot where it belongs.
    fn combined(
        self,
        e: &Emitter<'_, 'c>,
        block: Value<'c>,
        number: IntValue<'c>,
    ) -> Emitted<(Value<'c>, PointerValue<'c>)> {
        let i = e.i;
        // The lowest bits that are 1: so many finished blocks combine with this one.
        let zeros = i.builder.build_not(number, "")?;
        let ones =
            i.call_intrinsic("cttz", &[zeros.get_type().into()], &[zeros.into(), i.constant(Scalar::bool(false))])?;
        let top = ones.expect("a count").into_int_value();
        let whole = i.counted_loop(i.index(0), top, i.index(1), &[block], |level, carried| {
            let popped = i.load(self.dtype, i.element(self.dtype, self.memory, level)?)?;
            Ok(vec![i.op(self.op, self.dtype, &[popped, carried[0]])?])
        })?;
        Ok((whole[0], i.element(self.dtype, self.memory, top)?))
    }

    /// The unfinished block with all that are finished, so many of at most so many, from the newest on.
    fn fold(
        self,
        e: &Emitter<'_, 'c>,
        rest: Value<'c>,
        blocks: IntValue<'c>,
        most: IntValue<'c>,
    ) -> Emitted<Value<'c>> {
        let i = e.i;
        let sum = i.counted_loop(i.index(0), e.bits_of(most)?, i.index(1), &[rest], |level, carried| {
            let used = bit(e, blocks, level)?;
            // What an unused slot has is not looked at.
            let popped = i.load(self.dtype, i.element(self.dtype, self.memory, level)?)?;
            let folded = i.op(self.op, self.dtype, &[popped, carried[0]])?;
            Ok(vec![i.select(used, folded, carried[0])?])
        })?;
        Ok(sum[0])
    }
}

/// Is this bit set?
fn bit<'c>(e: &Emitter<'_, 'c>, bits: IntValue<'c>, number: IntValue<'c>) -> Emitted<Value<'c>> {
    let i = e.i;
    let bit = i.builder.build_right_shift(bits, number, false, "")?;
    let bit = i.builder.build_and(bit, i.index(1), "")?;
    i.compare(IntPredicate::NE, bit.into(), i.index(0).into())
}

/// A fold of a loop that is dealt to the threads of a team.
struct Dealt<'c> {
    op: ScalarOp,
    dtype: DType,
    /// The unit.
    unit: Value<'c>,
    /// If it cascades, the thread's chunks.
    slots: Option<Slots<'c>>,
    /// Partial results in shared memory, where a team is more than a warp. Several folds have the same place, by turns.
    partial: Option<PointerValue<'c>>,
}

/// How lanes and their blocks of steps are dealt: thread `t` has lane `t % lanes` of block `t / lanes`. A chunk is a block for each
/// thread.
#[derive(Clone, Copy)]
struct Dealing<'c> {
    lanes: u32,
    /// Of a lane in a chunk.
    blocks: u32,
    /// Those of the thread at hand.
    lane: IntValue<'c>,
    block: IntValue<'c>,
}

impl<'c> Emitter<'_, 'c> {
    /// The iterations `begin..end` of a loop with its folds, by the team.
    pub(super) fn dealt_folds(
        &mut self,
        inner: &Loop,
        lanes: u32,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<()> {
        let i = self.i;
        let mut folds = Vec::new();
        for (number, reduction) in (0u32..).zip(&inner.reductions) {
            let place = number % PUBLISHED * FOLD_BYTES;
            let partial = if self.width > WARP { Some(self.shared(place)?) } else { None };
            let (slots, unit) = (Slots::of(self, reduction)?, unit(self, reduction));
            folds.push(Dealt { op: reduction.op, dtype: self.dtype(reduction.value), unit, slots, partial });
        }
        let results = if folds.iter().any(|fold| fold.slots.is_some()) {
            self.dealt_cascade(inner, &folds, lanes, begin, end)?
        } else {
            let units: Vec<Value<'c>> = folds.iter().map(|fold| fold.unit).collect();
            let first = i.builder.build_int_add(begin, self.thread, "")?;
            let own = self.each(inner, first, end, i.index(self.width.into()), &units)?;
            let each = folds.iter().zip(own);
            each.map(|(fold, own)| self.fold_threads(fold, own)).collect::<Emitted<Vec<_>>>()?
        };
        for (reduction, result) in inner.reductions.iter().zip(results) {
            self.values[reduction.result.0 as usize] = Some(result);
        }
        Ok(())
    }

    /// What goes on to the next iteration: the accumulators, and running folds behind them.
    pub(super) fn fold_each(&self, inner: &Loop, accumulators: &[Value<'c>]) -> Emitted<Vec<Value<'c>>> {
        let each = inner.reductions.iter().zip(accumulators);
        let sums = each.map(|(reduction, &sum)| {
            let value = self.value(reduction.value);
            self.i.op(reduction.op, self.dtype(reduction.value), &[sum, value])
        });
        sums.chain(inner.scans.iter().map(|scan| Ok(self.value(scan.running)))).collect()
    }

    /// The fold of a value of each thread, where the order does not matter; every thread gets it.
    fn fold_threads(&mut self, fold: &Dealt<'c>, own: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let mut sum = own;
        let mut distance = self.width.min(WARP) / 2;
        while distance > 0 {
            let other = self.exchanged(sum, fold.dtype, distance)?;
            sum = i.op(fold.op, fold.dtype, &[sum, other])?;
            distance /= 2;
        }
        if fold.partial.is_none() {
            return Ok(sum);
        }
        self.publish(&[(fold, sum)])?;
        let mut total = self.of_thread(fold, sum, i.index(0))?;
        for warp in 1..self.width / WARP {
            let other = self.of_thread(fold, sum, i.index((warp * WARP).into()))?;
            total = i.op(fold.op, fold.dtype, &[total, other])?;
        }
        Ok(total)
    }

    /// The value of the thread whose number differs in these bits, in a warp.
    fn exchanged(&self, value: Value<'c>, dtype: DType, bits: u32) -> Emitted<Value<'c>> {
        self.in_words(value, dtype, |word| self.machine.exchange(self.i, word, bits, self.width))
    }

    /// A value that is moved from thread to thread in words of 32 bits.
    pub(super) fn in_words(
        &self,
        value: Value<'c>,
        dtype: DType,
        moved: impl Fn(IntValue<'c>) -> Emitted<IntValue<'c>>,
    ) -> Emitted<Value<'c>> {
        let (i, i32) = (self.i, self.i.context.i32_type());
        let word = super::to_bits(i, value, dtype)?;
        let low = moved(i.builder.build_int_truncate(word, i32, "")?)?;
        let mut got = i.builder.build_int_z_extend(low, i.context.i64_type(), "")?;
        if dtype.size() == 8 {
            let half = i.index(32);
            let high = i.builder.build_right_shift(word, half, false, "")?;
            let high = moved(i.builder.build_int_truncate(high, i32, "")?)?;
            let high = i.builder.build_int_z_extend(high, i.context.i64_type(), "")?;
            got = i.builder.build_or(got, i.builder.build_left_shift(high, half, "")?, "")?;
        }
        super::from_bits(i, got, dtype)
    }

    /// Lets the team see a value of each of its threads, of some folds whose places are different ones.
    fn publish(&self, values: &[(&Dealt<'c>, Value<'c>)]) -> Emitted<()> {
        if self.width <= WARP {
            return Ok(());
        }
        // What was published before is still being read.
        self.wait()?;
        for (fold, value) in values {
            let partial = fold.partial.expect("teams of more than a warp have places for partial results");
            self.store(fold.dtype, self.i.element(fold.dtype, partial, self.thread)?, *value)?;
        }
        self.wait()
    }

    /// The published value of a thread.
    fn of_thread(&self, fold: &Dealt<'c>, own: Value<'c>, thread: IntValue<'c>) -> Emitted<Value<'c>> {
        match fold.partial {
            Some(partial) => self.load(fold.dtype, self.i.element(fold.dtype, partial, thread)?),
            None => self.in_words(own, fold.dtype, |word| self.machine.take(self.i, word, thread, self.width)),
        }
    }

    /// Folds of which some cascade.
    fn dealt_cascade(
        &mut self,
        inner: &Loop,
        folds: &[Dealt<'c>],
        lanes: u32,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let lane_bits = i.index(lanes.trailing_zeros().into());
        let dealing = Dealing {
            lanes,
            blocks: self.width / lanes,
            lane: b.build_and(self.thread, i.index(i64::from(lanes) - 1), "")?,
            block: b.build_right_shift(self.thread, lane_bits, false, "")?,
        };
        let all_blocks = i.index(dealing.blocks.into());
        let (span, chunk) = (i.index((lanes * CASCADE_BLOCK).into()), i.index((self.width * CASCADE_BLOCK).into()));
        let count = b.build_int_sub(end, begin, "")?;
        let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
        let end = b.build_int_add(begin, count, "")?;
        let chunks = b.build_int_unsigned_div(count, chunk, "")?;
        // The last chunk is less than a whole one; of some lanes it may still have all blocks.
        let most_chunks = b.build_int_add(chunks, i.index(1), "")?;
        let cascading: Vec<usize> = (0..folds.len()).filter(|&number| folds[number].slots.is_some()).collect();

        let mut units: Vec<Value<'c>> = folds.iter().map(|fold| fold.unit).collect();
        units.push(i.index(0).into());
        let mut carried = i.counted_loop(i.index(0), most_chunks, i.index(1), &units, |number, carried| {
            let first = b.build_int_add(begin, b.build_int_mul(number, chunk, "")?, "")?;
            let own = b.build_int_add(first, b.build_int_mul(dealing.block, span, "")?, "")?;
            let own_end = b.build_int_add(own, span, "")?;
            let own_end = i.intrinsic("smin", &[own_end.into(), end.into()])?.into_int_value();
            let own = b.build_int_add(own, dealing.lane, "")?;
            let start = folds.iter().zip(carried);
            let start: Vec<Value<'c>> =
                start.map(|(fold, &carried)| if fold.slots.is_some() { fold.unit } else { carried }).collect();
            let mut sums = self.each(inner, own, own_end, i.index(lanes.into()), &start)?;

            // Finished blocks of the thread's lane.
            let left = b.build_int_sub(end, first, "")?;
            let left = b.build_int_add(left, i.index(i64::from(lanes) - 1), "")?;
            let steps = b.build_right_shift(b.build_int_sub(left, dealing.lane, "")?, lane_bits, false, "")?;
            let step_bits = i.index(CASCADE_BLOCK.trailing_zeros().into());
            let finished = b.build_right_shift(steps, step_bits, false, "")?;
            let finished = i.intrinsic("umin", &[finished.into(), all_blocks.into()])?.into_int_value();
            let is_whole = i.compare(IntPredicate::EQ, finished.into(), all_blocks.into())?;
            for &number in &cascading {
                sums[number] = self.combine_in_warp(&folds[number], dealing, sums[number], finished)?;
            }
            for group in cascading.chunks(PUBLISHED as usize) {
                self.publish(&group.iter().map(|&fold| (&folds[fold], sums[fold])).collect::<Vec<_>>())?;
                for &fold in group {
                    let top = dealing.blocks.trailing_zeros();
                    let root = match self.width <= WARP {
                        true => sums[fold],
                        false => self.tree(&folds[fold], dealing, sums[fold], i.index(0), top)?,
                    };
                    let slots = folds[fold].slots.expect("it cascades");
                    self.when(is_whole, |e| slots.push(e, root, number))?;
                }
            }
            sums.push(finished.into());
            Ok(sums)
        })?;

        // From the newest on: the unfinished block, the finished ones of the last chunk by their levels, then the chunks.
        let finished = carried.pop().expect("it was carried last").into_int_value();
        let is_whole = i.compare(IntPredicate::EQ, finished.into(), all_blocks.into())?;
        let within = b.build_and(finished, i.index(i64::from(dealing.blocks) - 1), "")?;
        let more = b.build_int_z_extend(is_whole.into_int_value(), i.context.i64_type(), "")?;
        let own_chunks = b.build_int_add(chunks, more, "")?;
        let mut results = carried;
        for group in cascading.chunks(PUBLISHED as usize) {
            self.publish(&group.iter().map(|&fold| (&folds[fold], results[fold])).collect::<Vec<_>>())?;
            for &number in group {
                let (fold, own) = (&folds[number], results[number]);
                let rest = self.tree(fold, dealing, own, within, 0)?;
                let mut sum = i.select(is_whole, fold.unit, rest)?;
                for level in 0..dealing.blocks.trailing_zeros() {
                    let above = i.index(i64::from(level) + 1);
                    let first = b.build_left_shift(b.build_right_shift(within, above, false, "")?, above, "")?;
                    let older = self.tree(fold, dealing, own, first, level)?;
                    let folded = i.op(fold.op, fold.dtype, &[older, sum])?;
                    sum = i.select(bit(self, within, i.index(level.into()))?, folded, sum)?;
                }
                let slots = fold.slots.expect("it cascades");
                results[number] = slots.fold(self, sum, own_chunks, most_chunks)?;
            }
        }
        for (fold, result) in folds.iter().zip(&mut results) {
            *result = match fold.slots {
                Some(_) => self.fold_lanes(fold, lanes, *result)?,
                None => self.fold_threads(fold, *result)?,
            };
        }
        Ok(results)
    }

    /// Combines neighbouring blocks of a lane that lie in one warp as the counter would: each thread has then the largest of the
    /// combined that its own block is in, of which all blocks are finished.
    fn combine_in_warp(
        &self,
        fold: &Dealt<'c>,
        dealing: Dealing<'c>,
        own: Value<'c>,
        finished: IntValue<'c>,
    ) -> Emitted<Value<'c>> {
        let i = self.i;
        let (mut sum, mut distance) = (own, dealing.lanes);
        while distance < self.width.min(WARP) {
            let other = self.exchanged(sum, fold.dtype, distance)?;
            let both = i.op(fold.op, fold.dtype, &[sum, other])?;
            let last = i.index(i64::from(distance / dealing.lanes) * 2 - 1);
            let last = i.builder.build_or(dealing.block, last, "")?;
            let there = i.compare(IntPredicate::ULT, last.into(), finished.into())?;
            sum = i.select(there, both, sum)?;
            distance *= 2;
        }
        Ok(sum)
    }

    /// The combined blocks of the thread's lane, `2^level` of them from this one on. Blocks of one warp are combined already.
    fn tree(
        &self,
        fold: &Dealt<'c>,
        dealing: Dealing<'c>,
        own: Value<'c>,
        first: IntValue<'c>,
        level: u32,
    ) -> Emitted<Value<'c>> {
        let (i, b) = (self.i, &self.i.builder);
        if level > 0 && dealing.lanes << level > WARP {
            let middle = b.build_int_add(first, i.index(1 << (level - 1)), "")?;
            let left = self.tree(fold, dealing, own, first, level - 1)?;
            let right = self.tree(fold, dealing, own, middle, level - 1)?;
            return i.op(fold.op, fold.dtype, &[left, right]);
        }
        let thread = b.build_int_mul(first, i.index(dealing.lanes.into()), "")?;
        self.of_thread(fold, own, b.build_int_add(thread, dealing.lane, "")?)
    }

    /// The fold of the lanes, of which each thread has one; as a tree, every thread gets it. Which of two is the first makes no
    /// difference to sums and products.
    fn fold_lanes(&self, fold: &Dealt<'c>, lanes: u32, own: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let (mut sum, mut distance) = (own, lanes / 2);
        while distance > 0 {
            let other = if distance >= WARP {
                self.publish(&[(fold, sum)])?;
                self.of_thread(fold, sum, i.builder.build_xor(self.thread, i.index(distance.into()), "")?)?
            } else {
                self.exchanged(sum, fold.dtype, distance)?
            };
            sum = i.op(fold.op, fold.dtype, &[sum, other])?;
            distance /= 2;
        }
        Ok(sum)
    }
}

/// The unit of a reduction.
fn unit<'c>(e: &Emitter<'_, 'c>, reduction: &Reduction) -> Value<'c> {
    e.i.constant(op_unit(reduction.op, e.dtype(reduction.value)))
}

pub(super) fn op_unit(op: ScalarOp, dtype: DType) -> Scalar {
    op.row().unit.map(|unit| unit(dtype)).expect("reductions are of ops that have a unit")
}

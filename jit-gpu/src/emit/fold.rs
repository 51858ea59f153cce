//! Folds of loops, in the order that `fusewire_lowering::kernel::Reduction` lays down.
//!
//! A cascading fold keeps its finished blocks in slots, one a level: slot `k` is in use when bit `k` of the number of finished
//! blocks is set. That is the binary counter. In a loop that is dealt to the threads of a block, each (lane, block of steps) is
//! folded by one thread; the blocks of a lane then combine as the counter would combine them, in shared memory. What is long
//! there goes the same way in every thread: loops that threads leave one by one inside of each other take more of what the
//! machine remembers such places in than it has.

use super::Emitter;
use crate::schedule::{FOLD_BYTES, THREADS, WARP};
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

/// The folds of a serial loop.
pub(super) struct Serial<'c> {
    /// Of each reduction, if it cascades.
    slots: Vec<Option<Slots<'c>>>,
}

impl<'c> Serial<'c> {
    pub fn begin(e: &Emitter<'_, 'c>, inner: &Loop) -> Emitted<Serial<'c>> {
        let slots = inner.reductions.iter().map(|reduction| Slots::of(e, reduction)).collect::<Emitted<_>>()?;
        Ok(Serial { slots })
    }

    /// What goes from iteration to iteration: the accumulators, and running folds.
    pub fn carried(&self, e: &Emitter<'_, 'c>, inner: &Loop) -> Vec<Value<'c>> {
        let reductions = inner.reductions.iter().map(|reduction| unit(e, reduction));
        let scans = inner.scans.iter().map(|scan| e.i.constant(op_unit(scan.op, e.dtype(scan.value))));
        reductions.chain(scans).collect()
    }

    /// The accumulators after an iteration, the `step`-th.
    pub fn step(
        &self,
        e: &mut Emitter<'_, 'c>,
        inner: &Loop,
        accumulators: &[Value<'c>],
        step: IntValue<'c>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = e.i;
        let mut next = Vec::new();
        for (number, reduction) in inner.reductions.iter().enumerate() {
            let dtype = e.dtype(reduction.value);
            let sum = i.op(reduction.op, dtype, &[accumulators[number], e.value(reduction.value)])?;
            let Some(slots) = self.slots[number] else {
                next.push(sum);
                continue;
            };
            let last = i.index(i64::from(CASCADE_BLOCK) - 1);
            let within = i.builder.build_and(step, last, "")?;
            let full = i.compare(IntPredicate::EQ, within.into(), last.into())?;
            let shift = i.index(CASCADE_BLOCK.trailing_zeros().into());
            let block = i.builder.build_right_shift(step, shift, false, "")?;
            e.when(full, |e| slots.push(e, sum, block))?;
            next.push(i.select(full, unit(e, reduction), sum)?);
        }
        Ok(next)
    }

    /// The results after `count` iterations.
    pub fn finish(
        &self,
        e: &mut Emitter<'_, 'c>,
        inner: &Loop,
        accumulators: &[Value<'c>],
        count: IntValue<'c>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = e.i;
        let mut results = Vec::new();
        for (number, _) in inner.reductions.iter().enumerate() {
            results.push(match self.slots[number] {
                None => accumulators[number],
                Some(slots) => {
                    let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
                    let shift = i.index(CASCADE_BLOCK.trailing_zeros().into());
                    let blocks = i.builder.build_right_shift(count, shift, false, "")?;
                    slots.fold(e, accumulators[number], blocks, blocks)?
                }
            });
        }
        Ok(results)
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
        let sum = i.counted_loop(i.index(0), levels(e, most)?, i.index(1), &[rest], |level, carried| {
            let used = bit(e, blocks, level)?;
            // What an unused slot has is not looked at.
            let popped = i.load(self.dtype, i.element(self.dtype, self.memory, level)?)?;
            let folded = i.op(self.op, self.dtype, &[popped, carried[0]])?;
            Ok(vec![i.select(used, folded, carried[0])?])
        })?;
        Ok(sum[0])
    }
}

/// How many levels so many blocks have.
fn levels<'c>(e: &Emitter<'_, 'c>, blocks: IntValue<'c>) -> Emitted<IntValue<'c>> {
    let i = e.i;
    let zeros =
        i.call_intrinsic("ctlz", &[blocks.get_type().into()], &[blocks.into(), i.constant(Scalar::bool(false))])?;
    i.builder.build_int_sub(i.index(64), zeros.expect("a count").into_int_value(), "")
}

/// Is this bit set?
fn bit<'c>(e: &Emitter<'_, 'c>, bits: IntValue<'c>, number: IntValue<'c>) -> Emitted<Value<'c>> {
    let i = e.i;
    let bit = i.builder.build_right_shift(bits, number, false, "")?;
    let bit = i.builder.build_and(bit, i.index(1), "")?;
    i.compare(IntPredicate::NE, bit.into(), i.index(0).into())
}

/// A fold of a loop that is dealt to the threads of a block.
struct Dealt<'c> {
    op: ScalarOp,
    dtype: DType,
    /// Partial results in shared memory.
    partial: PointerValue<'c>,
    /// Of the threads that combine the blocks of a lane, if it cascades.
    slots: Option<Slots<'c>>,
}

impl<'c> Emitter<'_, 'c> {
    /// The iterations `begin..end` of a vector loop with its folds, by the block.
    pub(super) fn dealt_folds(
        &mut self,
        inner: &Loop,
        lanes: u32,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<()> {
        let i = self.i;
        let mut folds = Vec::new();
        let share = FOLD_BYTES / inner.reductions.len().next_power_of_two() as u32;
        for (number, reduction) in inner.reductions.iter().enumerate() {
            let partial = self.machine.shared(i, number as u32 * share)?;
            let slots = Slots::of(self, reduction)?;
            folds.push(Dealt { op: reduction.op, dtype: self.dtype(reduction.value), partial, slots });
        }
        // What was folded before is still being read.
        self.machine.barrier(i)?;
        let units: Vec<Value<'c>> = inner.reductions.iter().map(|reduction| unit(self, reduction)).collect();
        let results = if folds.iter().any(|fold| fold.slots.is_some()) {
            let pieces = Pieces { count: (share / 8).min(512).max(lanes), lanes };
            self.dealt_cascade(inner, &folds, &units, pieces, begin, end)?
        } else {
            let first = i.builder.build_int_add(begin, self.thread, "")?;
            let step = i.index(THREADS.into());
            let own = i.counted_loop(first, end, step, &units, |iteration, carried| {
                self.iteration(inner, iteration)?;
                self.fold_each(inner, carried)
            })?;
            let each = folds.iter().zip(own);
            each.map(|(fold, own)| self.fold_threads(fold, own)).collect::<Emitted<Vec<_>>>()?
        };
        for (reduction, result) in inner.reductions.iter().zip(results) {
            self.values[reduction.result.0 as usize] = Some(result);
        }
        Ok(())
    }

    fn fold_each(&self, inner: &Loop, accumulators: &[Value<'c>]) -> Emitted<Vec<Value<'c>>> {
        let each = inner.reductions.iter().zip(accumulators);
        each.map(|(reduction, &sum)| {
            let value = self.value(reduction.value);
            self.i.op(reduction.op, self.dtype(reduction.value), &[sum, value])
        })
        .collect()
    }

    /// The fold of a value of each thread, where the order does not matter; every thread gets it.
    fn fold_threads(&mut self, fold: &Dealt<'c>, own: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let mut sum = own;
        let mut distance = WARP / 2;
        while distance > 0 {
            let other = self.exchanged(sum, fold.dtype, distance)?;
            sum = i.op(fold.op, fold.dtype, &[sum, other])?;
            distance /= 2;
        }
        let warp = i.builder.build_right_shift(self.thread, i.index(WARP.trailing_zeros().into()), false, "")?;
        let lane = i.builder.build_and(self.thread, i.index(i64::from(WARP) - 1), "")?;
        let first = i.compare(IntPredicate::EQ, lane.into(), i.index(0).into())?;
        let (partial, dtype) = (fold.partial, fold.dtype);
        self.when(first, |e| e.store(dtype, i.element(dtype, partial, warp)?, sum))?;
        self.machine.barrier(i)?;
        let mut total = self.load(dtype, partial)?;
        for warp in 1..THREADS / WARP {
            let other = self.load(dtype, i.element(dtype, partial, i.index(warp.into()))?)?;
            total = i.op(fold.op, dtype, &[total, other])?;
        }
        Ok(total)
    }

    /// The value of the thread whose number in the warp differs in these bits.
    fn exchanged(&self, value: Value<'c>, dtype: DType, bits: u32) -> Emitted<Value<'c>> {
        let (i, i32) = (self.i, self.i.context.i32_type());
        let word = super::to_bits(i, value, dtype)?;
        let low = i.builder.build_int_truncate(word, i32, "")?;
        let low = self.machine.exchange(i, low, bits)?;
        let mut got = i.builder.build_int_z_extend(low, i.context.i64_type(), "")?;
        if dtype.size() == 8 {
            let half = i.index(32);
            let high = i.builder.build_right_shift(word, half, false, "")?;
            let high = self.machine.exchange(i, i.builder.build_int_truncate(high, i32, "")?, bits)?;
            let high = i.builder.build_int_z_extend(high, i.context.i64_type(), "")?;
            got = i.builder.build_or(got, i.builder.build_left_shift(high, half, "")?, "")?;
        }
        super::from_bits(i, got, dtype)
    }

    /// Folds of which some cascade.
    fn dealt_cascade(
        &mut self,
        inner: &Loop,
        folds: &[Dealt<'c>],
        units: &[Value<'c>],
        pieces: Pieces,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let blocks = i.index(pieces.blocks().into());
        let chunk = i.index(i64::from(pieces.count * CASCADE_BLOCK));
        let count = b.build_int_sub(end, begin, "")?;
        let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
        let chunks = b.build_int_unsigned_div(count, chunk, "")?;
        // Each thread goes on with a lane, several with the same one.
        let lane = b.build_and(self.thread, i.index(i64::from(pieces.lanes) - 1), "")?;

        // Whole chunks: a tree of the blocks of each lane, whose root is a block of a higher level.
        let carried = i.counted_loop(i.index(0), chunks, i.index(1), units, |number, carried| {
            let first = b.build_int_add(begin, b.build_int_mul(number, chunk, "")?, "")?;
            let carried = self.fold_pieces(inner, folds, units, carried, pieces, first, None)?;
            self.machine.barrier(i)?;
            self.combine_blocks(folds, pieces, blocks, &|_, _| Ok(blocks))?;
            for fold in folds {
                let Some(slots) = fold.slots else { continue };
                let root = self.load(fold.dtype, i.element(fold.dtype, fold.partial, lane)?)?;
                slots.push(self, root, number)?;
            }
            self.machine.barrier(i)?;
            Ok(carried)
        })?;

        // What is left is less than a chunk.
        let done = b.build_int_mul(chunks, chunk, "")?;
        let first = b.build_int_add(begin, done, "")?;
        let carried = self.fold_pieces(inner, folds, units, &carried, pieces, first, Some(end))?;
        self.machine.barrier(i)?;
        // The steps of a lane: one more where the last row of lanes reaches it.
        let left = b.build_int_sub(count, done, "")?;
        let rows = b.build_right_shift(left, i.index(pieces.lanes.trailing_zeros().into()), false, "")?;
        let in_last = b.build_and(left, i.index(i64::from(pieces.lanes) - 1), "")?;
        let steps = |lane: IntValue<'c>| {
            let more = i.compare(IntPredicate::ULT, lane.into(), in_last.into())?;
            b.build_int_add(rows, b.build_int_z_extend(more.into_int_value(), i.context.i64_type(), "")?, "")
        };
        let step_bits = i.index(CASCADE_BLOCK.trailing_zeros().into());
        let finished = |_: &Self, lane: IntValue<'c>| b.build_right_shift(steps(lane)?, step_bits, false, "");
        let most = b.build_right_shift(b.build_int_add(rows, i.index(1), "")?, step_bits, false, "")?;
        self.combine_blocks(folds, pieces, most, &finished)?;

        let (own_steps, own) = (steps(lane)?, finished(self, lane)?);
        let unfinished = b.build_and(own_steps, i.index(i64::from(CASCADE_BLOCK) - 1), "")?;
        let unfinished = i.compare(IntPredicate::NE, unfinished.into(), i.index(0).into())?;
        let is_chunk = i.compare(IntPredicate::EQ, own.into(), blocks.into())?;
        let more = b.build_int_z_extend(is_chunk.into_int_value(), i.context.i64_type(), "")?;
        let own_chunks = b.build_int_add(chunks, more, "")?;
        let most_chunks = b.build_int_add(chunks, i.index(1), "")?;
        let levels = levels(self, most)?;
        let mut results = Vec::new();
        for ((fold, &carried), &unit) in folds.iter().zip(&carried).zip(units) {
            let Some(slots) = fold.slots else {
                results.push(self.fold_threads(fold, carried)?);
                continue;
            };
            let block = |e: &Self, number: IntValue<'c>| {
                let place = b.build_int_add(b.build_int_mul(number, i.index(pieces.lanes.into()), "")?, lane, "")?;
                e.load(fold.dtype, i.element(fold.dtype, fold.partial, place)?)
            };
            // From the newest on: the unfinished block, then the finished ones by their levels. All blocks of a chunk are one
            // of the chunks.
            let rest = i.rarely(unfinished, unit, || block(self, own))?;
            let sum = i.counted_loop(i.index(0), levels, i.index(1), &[rest], |level, carried| {
                let above = b.build_int_add(level, i.index(1), "")?;
                let first = b.build_left_shift(b.build_right_shift(own, above, false, "")?, above, "")?;
                let used = b.build_and(
                    bit(self, own, level)?.into_int_value(),
                    b.build_not(is_chunk.into_int_value(), "")?,
                    "",
                )?;
                let sum = i.rarely(used.into(), carried[0], || {
                    let older = block(self, first)?;
                    i.op(fold.op, fold.dtype, &[older, carried[0]])
                })?;
                Ok(vec![sum])
            })?;
            let root = i.rarely(is_chunk, unit, || block(self, i.index(0)))?;
            let (root, slot) = slots.combined(self, root, chunks)?;
            self.when(is_chunk, |e| e.i.store(fold.dtype, slot, root))?;
            let sum = slots.fold(self, sum[0], own_chunks, most_chunks)?;
            results.push(self.fold_lanes(fold, pieces.lanes, sum)?);
        }
        Ok(results)
    }

    /// The blocks of each lane that are finished (`most` or fewer), in place: what the counter would have combined lies where the
    /// first of it lay.
    fn combine_blocks(
        &mut self,
        folds: &[Dealt<'c>],
        pieces: Pieces,
        most: IntValue<'c>,
        finished: &dyn Fn(&Self, IntValue<'c>) -> Emitted<IntValue<'c>>,
    ) -> Emitted<()> {
        let i = self.i;
        let b = &i.builder;
        let lane_bits = i.index(pieces.lanes.trailing_zeros().into());
        let top = b.build_int_sub(levels(self, most)?, i.index(1), "")?;
        i.counted_loop(i.index(0), top, i.index(1), &[], |level, _| {
            let distance = b.build_left_shift(i.index(1), level, "")?;
            let above = b.build_int_add(level, i.index(1), "")?;
            let pairs = b.build_left_shift(b.build_right_shift(most, above, false, "")?, lane_bits, "")?;
            i.counted_loop(i.index(0), pairs, i.index(THREADS.into()), &[], |first, _| {
                let pair = b.build_int_add(first, self.thread, "")?;
                let lane = b.build_and(pair, i.index(i64::from(pieces.lanes) - 1), "")?;
                let left = b.build_left_shift(b.build_right_shift(pair, lane_bits, false, "")?, above, "")?;
                let right = b.build_int_add(left, distance, "")?;
                let end = b.build_int_add(right, distance, "")?;
                let there = i.compare(IntPredicate::ULE, end.into(), finished(self, lane)?.into())?;
                self.when(there, |e| {
                    for fold in folds.iter().filter(|fold| fold.slots.is_some()) {
                        let place = |block: IntValue<'c>| {
                            let place = b.build_int_add(b.build_left_shift(block, lane_bits, "")?, lane, "")?;
                            i.element(fold.dtype, fold.partial, place)
                        };
                        let both = [e.load(fold.dtype, place(left)?)?, e.load(fold.dtype, place(right)?)?];
                        e.store(fold.dtype, place(left)?, i.op(fold.op, fold.dtype, &both)?)?;
                    }
                    Ok(())
                })?;
                Ok(Vec::new())
            })?;
            self.machine.barrier(i)?;
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// The fold of the lanes, of which each thread has one; as a tree, every thread gets it. Which of two is the first makes no
    /// difference to sums and products.
    fn fold_lanes(&mut self, fold: &Dealt<'c>, lanes: u32, own: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let (mut sum, mut distance) = (own, lanes / 2);
        while distance > 0 {
            let other = if distance >= WARP {
                self.machine.barrier(i)?;
                let has_lane = self.thread_below(lanes)?;
                self.when(has_lane, |e| e.store(fold.dtype, i.element(fold.dtype, fold.partial, e.thread)?, sum))?;
                self.machine.barrier(i)?;
                let lane = i.builder.build_and(self.thread, i.index(i64::from(lanes) - 1), "")?;
                let other = i.builder.build_xor(lane, i.index(distance.into()), "")?;
                self.load(fold.dtype, i.element(fold.dtype, fold.partial, other)?)?
            } else {
                self.exchanged(sum, fold.dtype, distance)?
            };
            sum = i.op(fold.op, fold.dtype, &[sum, other])?;
            distance /= 2;
        }
        Ok(sum)
    }

    /// Folds blocks of steps from iteration `first` on into shared memory: those that there are before `end`, or all of a chunk.
    /// Folds that do not cascade go on in the thread's accumulators.
    #[expect(clippy::too_many_arguments, reason = "they are what a fold consists of")]
    fn fold_pieces(
        &mut self,
        inner: &Loop,
        folds: &[Dealt<'c>],
        units: &[Value<'c>],
        accumulators: &[Value<'c>],
        pieces: Pieces,
        first: IntValue<'c>,
        end: Option<IntValue<'c>>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let span = i64::from(pieces.lanes * CASCADE_BLOCK);
        let count = match end {
            None => i.index(pieces.count.into()),
            Some(end) => {
                let left = b.build_int_sub(end, first, "")?;
                let blocks =
                    b.build_int_signed_div(b.build_int_add(left, i.index(span - 1), "")?, i.index(span), "")?;
                b.build_int_mul(blocks, i.index(pieces.lanes.into()), "")?
            }
        };
        // Where there are fewer than threads, some have nothing to do.
        let few = pieces.count < THREADS;
        let has_one = self.thread_below(pieces.count)?;
        i.counted_loop(i.index(0), count, i.index(THREADS.into()), accumulators, |round, accumulators| {
            let piece = b.build_int_add(round, self.thread, "")?;
            let lane = b.build_and(piece, i.index(i64::from(pieces.lanes) - 1), "")?;
            let block = b.build_right_shift(piece, i.index(pieces.lanes.trailing_zeros().into()), false, "")?;
            let begin = b.build_int_add(first, b.build_int_mul(block, i.index(span), "")?, "")?;
            let begin = b.build_int_add(begin, lane, "")?;
            let start: Vec<Value<'c>> = (folds.iter().zip(units).zip(accumulators))
                .map(|((fold, &unit), &own)| if fold.slots.is_some() { unit } else { own })
                .collect();
            let steps = match end {
                None if few => {
                    i.select(has_one, i.index(CASCADE_BLOCK.into()).into(), i.index(0).into())?.into_int_value()
                }
                None => i.index(CASCADE_BLOCK.into()),
                Some(end) => {
                    let left = b.build_int_sub(end, begin, "")?;
                    let left = b.build_int_add(left, i.index(i64::from(pieces.lanes) - 1), "")?;
                    let shift = i.index(pieces.lanes.trailing_zeros().into());
                    let steps = b.build_right_shift(left, shift, true, "")?;
                    i.intrinsic("smin", &[steps.into(), i.index(CASCADE_BLOCK.into()).into()])?.into_int_value()
                }
            };
            let sums = i.counted_loop(i.index(0), steps, i.index(1), &start, |step, carried| {
                let distance = b.build_int_mul(step, i.index(pieces.lanes.into()), "")?;
                self.iteration(inner, b.build_int_add(begin, distance, "")?)?;
                self.fold_each(inner, carried)
            })?;
            let mut next = Vec::new();
            for ((fold, &sum), &unit) in folds.iter().zip(&sums).zip(units) {
                if fold.slots.is_some() {
                    let store = |e: &Self| e.store(fold.dtype, i.element(fold.dtype, fold.partial, piece)?, sum);
                    if few { self.when(has_one, |e| store(e))? } else { store(self)? }
                }
                next.push(if fold.slots.is_some() { unit } else { sum });
            }
            Ok(next)
        })
    }
}

/// Blocks of steps that are folded at a time, each by a thread.
#[derive(Clone, Copy)]
struct Pieces {
    /// Of all lanes.
    count: u32,
    lanes: u32,
}

impl Pieces {
    /// Of each lane.
    fn blocks(self) -> u32 {
        self.count / self.lanes
    }
}

/// The unit of a reduction.
fn unit<'c>(e: &Emitter<'_, 'c>, reduction: &Reduction) -> Value<'c> {
    e.i.constant(op_unit(reduction.op, e.dtype(reduction.value)))
}

fn op_unit(op: ScalarOp, dtype: DType) -> Scalar {
    op.row().unit.map(|unit| unit(dtype)).expect("reductions are of ops that have a unit")
}

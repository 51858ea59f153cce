//! Folds of loops, in the order that `fusewire_lowering::kernel::Reduction` lays down.
//!
//! A cascading fold keeps its finished blocks in slots, one a level: slot `k` is in use when bit `k` of the number of finished
//! blocks is set. That is the binary counter. In a loop that is dealt to the threads of a block, each (lane, block of steps) is
//! folded by one thread; the blocks of a lane then combine as the counter would combine them, in shared memory.

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
            e.when(full, |e| slots.push(e, sum, block, i.index(0)))?;
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
                    slots.fold(e, accumulators[number], blocks)?
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

    /// Puts in a finished block, the `number`-th of those of its level; levels below it are empty.
    fn push(self, e: &mut Emitter<'_, 'c>, block: Value<'c>, number: IntValue<'c>, level: IntValue<'c>) -> Emitted<()> {
        let i = e.i;
        // The lowest bits that are 1: so many finished blocks combine with this one.
        let zeros = i.builder.build_not(number, "")?;
        let ones =
            i.call_intrinsic("cttz", &[zeros.get_type().into()], &[zeros.into(), i.constant(Scalar::bool(false))])?;
        let top = i.builder.build_int_add(level, ones.expect("a count").into_int_value(), "")?;
        let whole = i.counted_loop(level, top, i.index(1), &[block], |level, carried| {
            let popped = i.load(self.dtype, i.element(self.dtype, self.memory, level)?)?;
            Ok(vec![i.op(self.op, self.dtype, &[popped, carried[0]])?])
        })?;
        i.store(self.dtype, i.element(self.dtype, self.memory, top)?, whole[0])
    }

    /// The unfinished block with all that are finished, so many, from the newest on.
    fn fold(self, e: &mut Emitter<'_, 'c>, rest: Value<'c>, blocks: IntValue<'c>) -> Emitted<Value<'c>> {
        let i = e.i;
        let width = i.index(64);
        let zeros =
            i.call_intrinsic("ctlz", &[blocks.get_type().into()], &[blocks.into(), i.constant(Scalar::bool(false))])?;
        let levels = i.builder.build_int_sub(width, zeros.expect("a count").into_int_value(), "")?;
        let sum = i.counted_loop(i.index(0), levels, i.index(1), &[rest], |level, carried| {
            let bit = i.builder.build_right_shift(blocks, level, false, "")?;
            let bit = i.builder.build_and(bit, i.index(1), "")?;
            let used = i.compare(IntPredicate::NE, bit.into(), i.index(0).into())?;
            // What an unused slot has is not looked at.
            let popped = i.load(self.dtype, i.element(self.dtype, self.memory, level)?)?;
            let folded = i.op(self.op, self.dtype, &[popped, carried[0]])?;
            Ok(vec![i.select(used, folded, carried[0])?])
        })?;
        Ok(sum[0])
    }
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
            self.dealt_cascade(inner, &folds, &units, (share / 8).min(512).max(lanes), lanes, begin, end)?
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

    /// Folds of which some cascade. `pieces` (a multiple of `lanes`) blocks of steps are folded at a time, each by a thread.
    #[expect(clippy::too_many_arguments, reason = "they are what a fold consists of")]
    fn dealt_cascade(
        &mut self,
        inner: &Loop,
        folds: &[Dealt<'c>],
        units: &[Value<'c>],
        pieces: u32,
        lanes: u32,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let blocks = pieces / lanes;
        let chunk = i.index(i64::from(pieces * CASCADE_BLOCK));
        let count = b.build_int_sub(end, begin, "")?;
        let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
        let chunks = b.build_int_unsigned_div(count, chunk, "")?;
        let plain: Vec<Value<'c>> = units.to_vec();

        // Whole chunks: a tree of the blocks of each lane, whose root is a block of a higher level.
        let level = i.index(blocks.trailing_zeros().into());
        let carried = i.counted_loop(i.index(0), chunks, i.index(1), &plain, |number, carried| {
            let first = b.build_int_add(begin, b.build_int_mul(number, chunk, "")?, "")?;
            let carried = self.fold_pieces(inner, folds, units, carried, (pieces, lanes), first, end, true)?;
            self.machine.barrier(i)?;
            for distance in (0..blocks.trailing_zeros()).map(|level| 1u32 << level) {
                let pairs = pieces / (2 * distance);
                self.by_threads(pairs, |e, pair| {
                    for fold in folds.iter().filter(|fold| fold.slots.is_some()) {
                        let lane = b.build_and(pair, i.index(i64::from(lanes) - 1), "")?;
                        let block = b.build_right_shift(pair, i.index(lanes.trailing_zeros().into()), false, "")?;
                        let left = b.build_int_mul(block, i.index(i64::from(2 * distance * lanes)), "")?;
                        let left = i.element(fold.dtype, fold.partial, b.build_int_add(left, lane, "")?)?;
                        let right = i.element(fold.dtype, left, i.index(i64::from(distance * lanes)))?;
                        let both = [e.load(fold.dtype, left)?, e.load(fold.dtype, right)?];
                        e.store(fold.dtype, left, i.op(fold.op, fold.dtype, &both)?)?;
                    }
                    Ok(())
                })?;
                self.machine.barrier(i)?;
            }
            let has_lane = self.thread_below(lanes)?;
            self.when(has_lane, |e| {
                for fold in folds {
                    let Some(slots) = fold.slots else { continue };
                    let root = e.load(fold.dtype, i.element(fold.dtype, fold.partial, e.thread)?)?;
                    slots.push(e, root, number, level)?;
                }
                Ok(())
            })?;
            self.machine.barrier(i)?;
            Ok(carried)
        })?;

        // What is left is less than a chunk; a lane's blocks go in one by one.
        let done = b.build_int_mul(chunks, chunk, "")?;
        let first = b.build_int_add(begin, done, "")?;
        let carried = self.fold_pieces(inner, folds, units, &carried, (pieces, lanes), first, end, false)?;
        self.machine.barrier(i)?;
        // The steps of this thread's lane: one more where the last row of lanes reaches it.
        let lane_count = i.index(lanes.into());
        let whole = b.build_int_unsigned_div(count, lane_count, "")?;
        let left = b.build_int_unsigned_rem(count, lane_count, "")?;
        let more = i.compare(IntPredicate::ULT, self.thread.into(), left.into())?;
        let steps =
            b.build_int_add(whole, b.build_int_z_extend(more.into_int_value(), i.context.i64_type(), "")?, "")?;
        let finished = b.build_right_shift(steps, i.index(CASCADE_BLOCK.trailing_zeros().into()), false, "")?;
        let before = b.build_int_mul(chunks, i.index(blocks.into()), "")?;
        let has_lane = self.thread_below(lanes)?;
        self.when(has_lane, |e| {
            for (fold, &unit) in folds.iter().zip(units) {
                let Some(slots) = fold.slots else { continue };
                let place = |e: &Emitter<'_, 'c>, block: IntValue<'c>| {
                    let row = b.build_int_mul(b.build_int_sub(block, before, "")?, lane_count, "")?;
                    i.element(fold.dtype, fold.partial, b.build_int_add(row, e.thread, "")?)
                };
                let own = i.element(fold.dtype, fold.partial, e.thread)?;
                let rest = place(e, finished)?;
                i.counted_loop(before, finished, i.index(1), &[], |block, _| {
                    let from = place(e, block)?;
                    let value = e.load(fold.dtype, from)?;
                    slots.push(e, value, block, i.index(0))?;
                    Ok(Vec::new())
                })?;
                // An unfinished block has its steps in the piece behind; there is none behind the last piece.
                let is_there = b.build_int_sub(finished, before, "")?;
                let is_there = i.compare(IntPredicate::ULT, is_there.into(), i.index(blocks.into()).into())?;
                let tail = i.rarely(is_there, unit, || e.load(fold.dtype, rest))?;
                let sum = slots.fold(e, tail, finished)?;
                e.store(fold.dtype, own, sum)?;
            }
            Ok(())
        })?;
        self.machine.barrier(i)?;

        // The lanes, as a tree.
        let mut distance = lanes / 2;
        while distance > 0 {
            let has_pair = self.thread_below(distance)?;
            self.when(has_pair, |e| {
                for fold in folds.iter().filter(|fold| fold.slots.is_some()) {
                    let lower = i.element(fold.dtype, fold.partial, e.thread)?;
                    let upper = i.element(fold.dtype, lower, i.index(distance.into()))?;
                    let both = [e.load(fold.dtype, lower)?, e.load(fold.dtype, upper)?];
                    e.store(fold.dtype, lower, i.op(fold.op, fold.dtype, &both)?)?;
                }
                Ok(())
            })?;
            self.machine.barrier(i)?;
            distance /= 2;
        }
        let mut results = Vec::new();
        for (fold, &own) in folds.iter().zip(&carried) {
            results.push(match fold.slots {
                Some(_) => self.load(fold.dtype, fold.partial)?,
                None => self.fold_threads(fold, own)?,
            });
        }
        Ok(results)
    }

    /// Folds `pieces` blocks of steps from iteration `first` on, those that there are, into shared memory. `full`: they are all
    /// there. Folds that do not cascade go on in the thread's accumulators.
    #[expect(clippy::too_many_arguments, reason = "they are what a fold consists of")]
    fn fold_pieces(
        &mut self,
        inner: &Loop,
        folds: &[Dealt<'c>],
        units: &[Value<'c>],
        accumulators: &[Value<'c>],
        (pieces, lanes): (u32, u32),
        first: IntValue<'c>,
        end: IntValue<'c>,
        full: bool,
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let (step, span) = (i.index(lanes.into()), i.index(i64::from(lanes * CASCADE_BLOCK)));
        let (from, to) = (self.thread, i.index(pieces.into()));
        i.counted_loop(from, to, i.index(THREADS.into()), accumulators, |piece, accumulators| {
            let lane = b.build_and(piece, i.index(i64::from(lanes) - 1), "")?;
            let block = b.build_right_shift(piece, i.index(lanes.trailing_zeros().into()), false, "")?;
            let begin = b.build_int_add(first, b.build_int_mul(block, span, "")?, "")?;
            let stop = b.build_int_add(begin, span, "")?;
            let stop = match full {
                true => stop,
                false => i.intrinsic("smin", &[stop.into(), end.into()])?.into_int_value(),
            };
            let begin = b.build_int_add(begin, lane, "")?;
            let start: Vec<Value<'c>> = (folds.iter().zip(units).zip(accumulators))
                .map(|((fold, &unit), &own)| if fold.slots.is_some() { unit } else { own })
                .collect();
            let sums = i.counted_loop(begin, stop, step, &start, |iteration, carried| {
                self.iteration(inner, iteration)?;
                self.fold_each(inner, carried)
            })?;
            let mut next = Vec::new();
            for ((fold, &sum), &unit) in folds.iter().zip(&sums).zip(units) {
                if fold.slots.is_some() {
                    self.store(fold.dtype, i.element(fold.dtype, fold.partial, piece)?, sum)?;
                }
                next.push(if fold.slots.is_some() { unit } else { sum });
            }
            Ok(next)
        })
    }

    /// `count` pieces of work, each by a thread.
    fn by_threads(&mut self, count: u32, mut work: impl FnMut(&mut Self, IntValue<'c>) -> Emitted<()>) -> Emitted<()> {
        let i = self.i;
        if count <= THREADS {
            let has_one = self.thread_below(count)?;
            return self.when(has_one, |e| work(e, e.thread));
        }
        let (from, to) = (self.thread, i.index(count.into()));
        i.counted_loop(from, to, i.index(THREADS.into()), &[], |number, _| {
            work(self, number)?;
            Ok(Vec::new())
        })?;
        Ok(())
    }
}

/// The unit of a reduction.
fn unit<'c>(e: &Emitter<'_, 'c>, reduction: &Reduction) -> Value<'c> {
    e.i.constant(op_unit(reduction.op, e.dtype(reduction.value)))
}

fn op_unit(op: ScalarOp, dtype: DType) -> Scalar {
    op.row().unit.map(|unit| unit(dtype)).expect("reductions are of ops that have a unit")
}

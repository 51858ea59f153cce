//! Folds over the iterations of a loop: accumulators, cascading float sums, and the tree over lanes. The order is
//! the one that `fusewire_lowering::kernel::Reduction` lays down, to the bit. Running folds are `scan.rs`.
//!
//! What that order leaves open is used: blocks of a cascade are folded side by side, so that sums wait for memory and not for
//! each other, and combined as the cascade would; integers and extrema, whose order shows in no bit, are combined as a tree.

use super::emit::Emitter;
use crate::{
    access::Step,
    instructions::{Emitted, Value, lanes},
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::{
    kernel::{CASCADE_BLOCK, Kernel, Loop, Reduction, Scan, Stmt},
    loop_facts::Weight,
};
use inkwell::{
    IntPredicate,
    values::{BasicValue, IntValue, PointerValue},
};

/// Entries of the stack of blocks: enough for 2^53 steps.
const LEVELS: u32 = 48;

/// The accumulators of a loop after its iterations.
pub(super) struct Folded<'c> {
    /// One a reduction; of those that cascade, the unfinished block.
    pub accumulators: Vec<Value<'c>>,
    /// The finished blocks, when a reduction cascades.
    pub blocks: Option<Blocks<'c>>,
    /// What each running fold has come to; along lanes the same in every one.
    pub scans: Vec<Value<'c>>,
}

pub(super) struct Blocks<'c> {
    /// How many entries each stack has.
    depth: IntValue<'c>,
    /// One a reduction; some where it cascades.
    stacks: Vec<Option<PointerValue<'c>>>,
}

/// One accumulator or scan: what it folds, and how.
#[derive(Clone, Copy)]
pub(super) struct Fold {
    pub op: ScalarOp,
    pub dtype: DType,
    pub cascades: bool,
    /// Which of the reductions or, behind them, of the scans it is of.
    pub number: usize,
    /// Does it fold the value's bits?
    pub in_bits: bool,
}

impl Fold {
    /// Does the order of its steps show in the result?
    fn is_ordered(&self) -> bool {
        Reduction::cascades(self.op, self.dtype)
    }
}

/// How many iterations (or blocks of a cascade, or rows) go side by side: long bodies have enough to do in one.
pub(super) fn copies(kernel: &Kernel, inner: &Loop) -> u32 {
    let weight = Weight::of(kernel, &inner.body);
    let nested = inner.body.iter().any(|statement| matches!(statement, Stmt::Loop(_)));
    match weight.values {
        _ if nested => 1,
        0..=6 => 4,
        7..=16 => 2,
        _ => 1,
    }
}

impl<'c> Emitter<'_, 'c> {
    /// The iterations `begin..end` with the loop's folds; a whole number of steps.
    pub fn fold_loop(
        &mut self,
        inner: &Loop,
        begin: IntValue<'c>,
        end: IntValue<'c>,
        step: i64,
    ) -> Emitted<Folded<'c>> {
        let mut folds = self.folds_of(inner);
        folds.extend(self.scans_of(inner));
        let units = folds.iter().map(|fold| self.unit(fold)).collect::<Emitted<Vec<_>>>()?;
        let mut folded = if folds.iter().any(|f| f.cascades) {
            self.cascading_loop(inner, &folds, [begin, end], step, units)?
        } else {
            let copies = if inner.scans.is_empty() && !folds.is_empty() { copies(self.kernel, inner) } else { 1 };
            let parts = if copies > 1 { self.in_bits(folds.clone()) } else { folds.clone() };
            let first = parts.iter().map(|part| self.folded(part, units[part.number])).collect::<Emitted<Vec<_>>>()?;
            let accumulators = self.plain_loop(inner, &parts, [begin, end], step, first, copies)?;
            let accumulators = if copies > 1 { self.of_bits(&folds, accumulators)? } else { accumulators };
            Folded { accumulators, blocks: None, scans: Vec::new() }
        };
        folded.scans = folded.accumulators.split_off(inner.reductions.len());
        Ok(folded)
    }

    /// The running folds of a loop, numbered behind its reductions.
    pub(super) fn scans_of(&self, inner: &Loop) -> Vec<Fold> {
        let fold = |(number, scan): (usize, &Scan)| {
            let (op, dtype) = (scan.op, self.dtype(scan.value));
            Fold { op, dtype, cascades: false, number: inner.reductions.len() + number, in_bits: false }
        };
        inner.scans.iter().enumerate().map(fold).collect()
    }

    pub(super) fn folds_of(&self, inner: &Loop) -> Vec<Fold> {
        let fold = |(number, reduction): (usize, &Reduction)| {
            let (dtype, cascades) = (self.dtype(reduction.value), inner.cascades(self.kernel, reduction));
            Fold { op: reduction.op, dtype, cascades, number, in_bits: false }
        };
        inner.reductions.iter().enumerate().map(fold).collect()
    }

    /// The unit of a fold in every lane.
    pub(super) fn unit(&self, fold: &Fold) -> Emitted<Value<'c>> {
        let unit = fold.op.unit(fold.dtype).expect("verified kernels reduce with ops that have a unit");
        self.to.splat(self.to.constant(unit), self.lanes)
    }

    /// `accumulator op value` in every lane.
    pub(super) fn combine(&mut self, fold: &Fold, accumulator: Value<'c>, value: Value<'c>) -> Emitted<Value<'c>> {
        let next = self.op(fold.op, fold.dtype, &[accumulator, value])?;
        self.to.splat(next, lanes(accumulator))
    }

    /// Every fold goes step after step, from the accumulators given.
    fn plain_loop(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        [begin, end]: [IntValue<'c>; 2],
        step: i64,
        first: Vec<Value<'c>>,
        copies: u32,
    ) -> Emitted<Vec<Value<'c>>> {
        let to = self.to;
        let whole = match copies {
            1 => end,
            _ => {
                let group = to.index(step * i64::from(copies));
                let count = to.builder.build_int_sub(end, begin, "")?;
                let rest = to.builder.build_int_signed_rem(count, group, "")?;
                to.builder.build_int_sub(end, rest, "")?
            }
        };
        let folded = self.plain_loop_of(inner, folds, [begin, whole], step, first, copies)?;
        if copies == 1 {
            return Ok(folded);
        }
        // Where the others have left off; `whole` lies before `begin` when there was nothing.
        let from = to.op(ScalarOp::Maximum, DType::I64, &[whole.into(), begin.into()])?.into_int_value();
        self.plain_loop_of(inner, folds, [from, end], step, folded, 1)
    }

    fn plain_loop_of(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        [begin, end]: [IntValue<'c>; 2],
        step: i64,
        first: Vec<Value<'c>>,
        copies: u32,
    ) -> Emitted<Vec<Value<'c>>> {
        let to = self.to;
        let stride = to.index(step * i64::from(copies));
        to.counted_loop(begin, end, stride, &first, |iteration, before| {
            self.poll(inner.range)?;
            if !inner.scans.is_empty() {
                return self.step_with_scans(inner, folds, iteration, before);
            }
            let values = self.side_by_side(inner, iteration, copies, step)?;
            let mut after = Vec::new();
            for (fold, &before) in folds.iter().zip(before) {
                let values = values.iter().map(|copy| self.folded(fold, copy[fold.number]));
                let values = values.collect::<Emitted<Vec<_>>>()?;
                after.push(if fold.is_ordered() {
                    let mut sum = before;
                    for value in values {
                        sum = self.combine(fold, sum, value)?;
                    }
                    sum
                } else {
                    let value = self.tree(fold, values)?;
                    self.combine(fold, before, value)?
                });
            }
            Ok(after)
        })
    }

    /// The body for several iterations so far apart; what each gives to every reduction.
    fn side_by_side(
        &mut self,
        inner: &Loop,
        first: IntValue<'c>,
        copies: u32,
        apart: i64,
    ) -> Emitted<Vec<Vec<Value<'c>>>> {
        let mut values = Vec::new();
        for copy in 0..i64::from(copies) {
            let iteration = self.to.builder.build_int_add(first, self.to.index(copy * apart), "")?;
            self.iteration(inner, iteration)?;
            values.push(inner.reductions.iter().map(|r| self.value(r.value)).collect());
        }
        Ok(values)
    }

    fn tree(&mut self, fold: &Fold, mut values: Vec<Value<'c>>) -> Emitted<Value<'c>> {
        while values.len() > 1 {
            let mut pairs = Vec::new();
            for pair in values.chunks(2) {
                pairs.push(match *pair {
                    [x, y] => self.op(fold.op, fold.dtype, &[x, y])?,
                    _ => pair[0],
                });
            }
            values = pairs;
        }
        Ok(values[0])
    }

    /// Blocks of steps, and the stack of finished blocks of the folds that cascade: first several blocks side by side, then
    /// those that are left one by one, then the unfinished one.
    fn cascading_loop(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        [begin, end]: [IntValue<'c>; 2],
        step: i64,
        units: Vec<Value<'c>>,
    ) -> Emitted<Folded<'c>> {
        let to = self.to;
        let mut stacks = Vec::new();
        for fold in folds {
            stacks.push(if fold.cascades { Some(to.stack(fold.dtype, self.lanes, LEVELS)?) } else { None });
        }
        // Short rows have one block, or none. Few columns, in some of a vector's lanes, are read faster row after row, and the
        // sums of the next block do not wait for this one's.
        let short = !self.turned.is_empty() || self.mask().is_some();
        let copies = if inner.scans.is_empty() && !short { copies(self.kernel, inner) } else { 1 };
        // What goes from block to block: position, number of blocks, depth of the stacks, and the folds that do not cascade.
        let mut state: Vec<Value<'c>> = vec![begin.into(), to.index(0).into(), to.index(0).into()];
        state.extend(folds.iter().zip(&units).filter(|(fold, _)| !fold.cascades).map(|(_, &unit)| unit));
        if copies > 1 {
            state = self.blocks(inner, folds, &stacks, &units, state, end, step, copies)?;
        }
        state = self.blocks(inner, folds, &stacks, &units, state, end, step, 1)?;
        let start = with_plain(folds, &units, &state[3..]);
        let position = state[0].into_int_value();
        let accumulators = self.plain_loop_of(inner, folds, [position, end], step, start, 1)?;
        let depth = state[2].into_int_value();
        Ok(Folded { accumulators, blocks: Some(Blocks { depth, stacks }), scans: Vec::new() })
    }

    /// As many groups of so many blocks as there are. Takes and gives the state that goes from block to block.
    #[expect(clippy::too_many_arguments, reason = "they are what a cascade consists of")]
    fn blocks(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        stacks: &[Option<PointerValue<'c>>],
        units: &[Value<'c>],
        state: Vec<Value<'c>>,
        end: IntValue<'c>,
        step: i64,
        copies: u32,
    ) -> Emitted<Vec<Value<'c>>> {
        let to = self.to;
        let block = step * i64::from(CASCADE_BLOCK);
        let (before, head, group, exit) = (to.here(), to.block("blocks"), to.block("group"), to.block("left"));
        to.jump(head)?;
        to.switch_to(head);
        let phis = state.iter().map(|&value| to.phi(&[(value, before)])).collect::<Emitted<Vec<_>>>()?;
        let values: Vec<Value<'c>> = phis.iter().map(|phi| phi.as_basic_value()).collect();
        let [position, count, depth] = [0, 1, 2].map(|i| values[i].into_int_value());
        let behind = to.builder.build_int_add(position, to.index(block * i64::from(copies)), "")?;
        let whole = to.builder.build_int_compare(IntPredicate::SLE, behind, end, "")?;
        to.branch(whole.into(), group, exit)?;

        to.switch_to(group);
        self.poll(inner.range)?;
        // An accumulator a block for the folds that cascade, one for the others.
        let widths: Vec<usize> = folds.iter().map(|fold| if fold.cascades { copies as usize } else { 1 }).collect();
        let starts = with_plain(folds, units, &values[3..]);
        let carried: Vec<Value<'c>> =
            starts.iter().zip(&widths).flat_map(|(&start, &width)| std::iter::repeat_n(start, width)).collect();
        let limit = to.builder.build_int_add(position, to.index(block), "")?;
        let folded = to.counted_loop(position, limit, to.index(step), &carried, |iteration, before| {
            if !inner.scans.is_empty() {
                return self.step_with_scans(inner, folds, iteration, before);
            }
            let values = self.side_by_side(inner, iteration, copies, block)?;
            let (mut after, mut rest) = (Vec::new(), before);
            for (i, (fold, &width)) in folds.iter().zip(&widths).enumerate() {
                let (mine, others) = rest.split_at(width);
                rest = others;
                if width == copies as usize && fold.cascades {
                    for (&before, copy) in mine.iter().zip(&values) {
                        after.push(self.combine(fold, before, copy[i])?);
                    }
                } else if fold.is_ordered() {
                    unreachable!("of a loop's float sums either all cascade or none");
                } else {
                    let value = self.tree(fold, values.iter().map(|copy| copy[i]).collect())?;
                    after.push(self.combine(fold, mine[0], value)?);
                }
            }
            Ok(after)
        })?;
        let (mut plain, mut cascading, mut rest) = (Vec::new(), Vec::new(), folded.as_slice());
        for (i, (fold, &width)) in folds.iter().zip(&widths).enumerate() {
            let (mine, others) = rest.split_at(width);
            rest = others;
            if fold.cascades {
                cascading.push((i, self.tree(fold, mine.to_vec())?));
            } else {
                plain.push(mine[0]);
            }
        }
        // So many levels are done by that tree.
        let levels = to.index(copies.trailing_zeros().into());
        let bits = to.builder.build_right_shift(count, levels, false, "")?;
        let depth = self.push(folds, stacks, bits, depth, &cascading)?;
        let more = to.builder.build_int_add(count, to.index(copies.into()), "")?;
        let mut next: Vec<Value<'c>> = vec![behind.into(), more.into(), depth.into()];
        next.extend(plain);
        let last = to.here();
        to.jump(head)?;
        for (phi, value) in phis.iter().zip(&next) {
            phi.add_incoming(&[(value as &dyn BasicValue<'c>, last)]);
        }
        to.switch_to(exit);
        Ok(values)
    }

    /// Combines finished blocks with the tops of their stacks as long as the lowest bits are 1, and pushes them. Returns the
    /// stacks' depth.
    fn push(
        &mut self,
        folds: &[Fold],
        stacks: &[Option<PointerValue<'c>>],
        bits: IntValue<'c>,
        depth: IntValue<'c>,
        blocks: &[(usize, Value<'c>)],
    ) -> Emitted<IntValue<'c>> {
        let to = self.to;
        let ones = to.builder.build_not(bits, "")?;
        let exact = to.context.bool_type().const_zero();
        let ones = to.call_intrinsic("cttz", &[ones.get_type().into()], &[ones.into(), exact.into()])?;
        let ones = ones.expect("it counts").into_int_value();
        let first: Vec<Value<'c>> = blocks.iter().map(|&(_, block)| block).collect();
        let merged = to.counted_loop(to.index(0), ones, to.index(1), &first, |popped, values| {
            let below = to.builder.build_int_sub(depth, popped, "")?;
            let below = to.builder.build_int_sub(below, to.index(1), "")?;
            let mut next = Vec::new();
            for (&(i, _), &value) in blocks.iter().zip(values) {
                next.push(self.pop(&folds[i], stacks[i], below, value)?);
            }
            Ok(next)
        })?;
        let place = to.builder.build_int_sub(depth, ones, "")?;
        for (&(i, _), value) in blocks.iter().zip(merged) {
            let entry = self.entry(&folds[i], stacks[i], place)?;
            match value {
                Value::VectorValue(vector) => to.store_lanes(folds[i].dtype, entry, Step::Const(1), vector, None)?,
                element => to.store(folds[i].dtype, entry, element)?,
            }
        }
        to.builder.build_int_add(place, to.index(1), "")
    }

    /// `popped op block` for the entry at a depth.
    fn pop(
        &mut self,
        fold: &Fold,
        stack: Option<PointerValue<'c>>,
        depth: IntValue<'c>,
        block: Value<'c>,
    ) -> Emitted<Value<'c>> {
        let entry = self.entry(fold, stack, depth)?;
        let popped = match self.lanes {
            1 => self.to.load(fold.dtype, entry)?,
            lanes => self.to.load_lanes(fold.dtype, entry, Step::Const(1), lanes, None)?,
        };
        self.combine(fold, popped, block)
    }

    fn entry(&self, fold: &Fold, stack: Option<PointerValue<'c>>, depth: IntValue<'c>) -> Emitted<PointerValue<'c>> {
        let stack = stack.expect("a fold that cascades has a stack");
        let element = self.to.builder.build_int_mul(depth, self.to.index(self.lanes.into()), "")?;
        self.to.element(fold.dtype, stack, element)
    }

    /// Folds the unfinished blocks with the stacks, from their tops to their bottoms.
    pub fn finish(&mut self, inner: &Loop, folded: Folded<'c>) -> Emitted<Vec<Value<'c>>> {
        let Some(Blocks { depth, stacks }) = folded.blocks else { return Ok(folded.accumulators) };
        let to = self.to;
        let folds = self.folds_of(inner);
        let mut results = folded.accumulators;
        let cascading: Vec<usize> = (0..folds.len()).filter(|&i| folds[i].cascades).collect();
        // The stacks are filled to the same depth, so one loop counts down for all.
        let first: Vec<Value<'c>> = cascading.iter().map(|&i| results[i]).collect();
        let last = to.counted_loop(to.index(0), depth, to.index(1), &first, |popped, values| {
            let top = to.builder.build_int_sub(depth, popped, "")?;
            let entry = to.builder.build_int_sub(top, to.index(1), "")?;
            let mut next = Vec::new();
            for (&i, &value) in cascading.iter().zip(values) {
                next.push(self.pop(&folds[i], stacks[i], entry, value)?);
            }
            Ok(next)
        })?;
        for (&i, value) in cascading.iter().zip(last) {
            results[i] = value;
        }
        Ok(results)
    }

    /// The lanes as a tree, lower half with upper half, down to one.
    pub fn fold_lanes(&mut self, op: ScalarOp, dtype: DType, value: Value<'c>) -> Emitted<Value<'c>> {
        let to = self.to;
        let mut value = value;
        while let Value::VectorValue(vector) = value {
            let half = vector.get_type().get_size() / 2;
            if half <= 1 {
                let [low, high] = [0, 1].map(|lane| to.builder.build_extract_element(vector, to.index(lane), ""));
                value = self.op(op, dtype, &[low?, high?])?;
            } else {
                let low = to.shuffle(vector, None, 0..half)?;
                let high = to.shuffle(vector, None, half..2 * half)?;
                value = self.op(op, dtype, &[low.into(), high.into()])?;
            }
        }
        Ok(value)
    }
}

/// The units of the folds that cascade, and the accumulators of the others.
fn with_plain<'c>(folds: &[Fold], units: &[Value<'c>], plain: &[Value<'c>]) -> Vec<Value<'c>> {
    let mut plain = plain.iter();
    let pairs = folds.iter().zip(units);
    pairs.map(|(fold, &unit)| if fold.cascades { unit } else { *plain.next().expect("one for each") }).collect()
}

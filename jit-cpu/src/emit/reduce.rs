//! Folds over the iterations of a loop: accumulators, cascading float sums, and the tree over lanes. The order is
//! the one that `fusewire_lowering::kernel::Reduction` lays down, to the bit. Running folds are `scan.rs`.

use super::{
    Emitter,
    scan::Steps,
    values::{Bundle, Vectors, arguments, scalar_type, vector_type},
};
use crate::vector;
use cranelift::{codegen::ir::StackSlot, prelude::*};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::kernel::{CASCADE_BLOCK, Loop, Reduction};

/// Entries of the stack of blocks: enough for 2^53 steps.
const LEVELS: u32 = 48;

/// The accumulators of a loop after its iterations.
pub(super) struct Folded {
    /// One a reduction; of those that cascade, the unfinished block.
    accumulators: Vec<Bundle>,
    /// The finished blocks, when a reduction cascades.
    blocks: Option<Blocks>,
    /// What each running fold has come to.
    pub scans: Vec<Bundle>,
}

struct Blocks {
    /// How many entries each stack has.
    depth: Value,
    /// One a reduction that cascades.
    stacks: Vec<Option<StackSlot>>,
}

/// One accumulator or scan: what it folds, and how.
struct Fold {
    op: ScalarOp,
    dtype: DType,
    cascades: bool,
}

impl Folded {
    /// The accumulators as plain values.
    pub fn flat(&self) -> Vec<Value> {
        self.accumulators.iter().flat_map(values_of).collect()
    }

    /// The same accumulators with other values.
    pub fn with_flat(self, values: &[Value]) -> Folded {
        let mut rest = values;
        let accumulators = self.accumulators.iter().map(|like| take(&mut rest, like)).collect();
        Folded { accumulators, ..self }
    }
}

pub(super) fn values_of(bundle: &Bundle) -> Vectors {
    match bundle {
        Bundle::Const(_) => unreachable!("accumulators are values"),
        Bundle::One(value) => [*value].into_iter().collect(),
        Bundle::Lanes(vectors) => vectors.clone(),
    }
}

/// The next values, in the form of another bundle.
pub(super) fn take(values: &mut &[Value], like: &Bundle) -> Bundle {
    let count = values_of(like).len();
    let (mine, rest) = values.split_at(count);
    *values = rest;
    match like {
        Bundle::Lanes(_) => Bundle::Lanes(mine.iter().copied().collect()),
        Bundle::Const(_) | Bundle::One(_) => Bundle::One(mine[0]),
    }
}

impl Emitter<'_> {
    /// The iterations `begin..end` with the loop's folds.
    pub(super) fn fold_loop(&mut self, inner: &Loop, begin: Value, end: Value, step: i64) -> Folded {
        let reductions = inner.reductions.iter().map(|r| self.fold_of(inner, r));
        let scans = inner.scans.iter().map(|s| Fold { op: s.op, dtype: self.dtype(s.value), cascades: false });
        let folds: Vec<Fold> = reductions.chain(scans).collect();
        let units = self.units(inner, &folds);
        let mut folded = if folds.iter().any(|f| f.cascades) {
            self.cascading_loop(inner, &folds, begin, end, step, units)
        } else {
            let accumulators = self.plain_loop(inner, &folds, begin, end, step, units);
            Folded { accumulators, blocks: None, scans: Vec::new() }
        };
        folded.scans = folded.accumulators.split_off(inner.reductions.len());
        folded
    }

    /// What the folds begin with. Running folds along lanes go from one group of them to the next as one value.
    fn units(&mut self, inner: &Loop, folds: &[Fold]) -> Vec<Bundle> {
        let (reductions, scans) = folds.split_at(inner.reductions.len());
        let mut units: Vec<Bundle> = reductions.iter().map(|fold| self.unit(fold)).collect();
        let lanes = self.lanes;
        if self.vector_var == Some(inner.var) {
            self.lanes = 1;
        }
        units.extend(scans.iter().map(|fold| self.unit(fold)));
        self.lanes = lanes;
        units
    }

    fn fold_of(&self, inner: &Loop, reduction: &Reduction) -> Fold {
        let dtype = self.dtype(reduction.value);
        Fold { op: reduction.op, dtype, cascades: inner.cascades(self.kernel, reduction) }
    }

    /// The unit of a fold in every lane.
    fn unit(&mut self, fold: &Fold) -> Bundle {
        let unit = Bundle::Const(fold.op.unit(fold.dtype).expect("verified kernels reduce with ops that have a unit"));
        self.accumulator(&unit, fold.dtype)
    }

    /// A value in the form in which accumulators are carried: all lanes; bools as masks of bytes.
    pub(super) fn accumulator(&mut self, bundle: &Bundle, dtype: DType) -> Bundle {
        match dtype {
            _ if self.lanes == 1 => Bundle::One(self.scalar(bundle, dtype)),
            DType::Bool => Bundle::Lanes(self.mask(bundle, 1)),
            _ => Bundle::Lanes(self.vectors(bundle, dtype)),
        }
    }

    /// Every fold goes step after step, from the accumulators given.
    fn plain_loop(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        begin: Value,
        end: Value,
        step: i64,
        first: Vec<Bundle>,
    ) -> Vec<Bundle> {
        // A cascading loop does so itself, once a block.
        let polls = !folds.iter().any(|f| f.cascades);
        if self.vector_var == Some(inner.var) && !folds.is_empty() && inner.scans.is_empty() {
            let strip = self.strip(inner, self.lanes);
            if strip < self.lanes {
                let whole =
                    folds.iter().all(|fold| fold.dtype != DType::Bool && strip as usize * fold.dtype.size() >= 16);
                return match whole && self.is_short(inner) {
                    true => self.strips_in_turn(inner, folds, [begin, end], strip, first, polls),
                    false => self.strip_loop(inner, [begin, end], strip, first, polls),
                };
            }
        }
        let flat = first.iter().flat_map(values_of).collect();
        let last = self.loop_while(begin, end, step, flat, |e, iteration, carried| {
            if polls {
                e.poll(inner.range);
            }
            let mut carried = carried;
            let before: Vec<Bundle> = first.iter().map(|like| take(&mut carried, like)).collect();
            let (before_reductions, before_scans) = before.split_at(inner.reductions.len());
            let running = match e.vector_var == Some(inner.var) {
                true => e.body_with_scans(inner, iteration, before_scans, Steps::Group),
                false => e.body_with_scans(inner, iteration, before_scans, Steps::One),
            };
            let mut after = Vec::new();
            for ((fold, reduction), before) in folds.iter().zip(&inner.reductions).zip(before_reductions) {
                let value = e.value(reduction.value);
                let next = e.op(fold.op, fold.dtype, &[before.clone(), value]);
                after.push(e.accumulator(&next, fold.dtype));
            }
            // Where lanes are results of their own, each would have to be decided.
            let one_result = e.lanes == 1 || e.vector_var == Some(inner.var);
            let go_on = (one_result && inner.may_end_early(e.kernel)).then(|| e.undecided(inner, &after));
            after.extend(running);
            (after.iter().flat_map(values_of).collect(), go_on)
        });
        let mut rest = last.as_slice();
        first.iter().map(|like| take(&mut rest, like)).collect()
    }

    /// Could further iterations change what a loop finds out? `Or` is decided by one lane that is true, `And` by one that is not.
    fn undecided(&mut self, inner: &Loop, accumulators: &[Bundle]) -> Value {
        let mut undecided = self.b.ins().iconst(types::I8, 0);
        for (reduction, accumulator) in inner.reductions.iter().zip(accumulators) {
            let decided = match reduction.op {
                ScalarOp::Or => accumulator.clone(),
                _ => self.op(ScalarOp::Not, DType::Bool, std::slice::from_ref(accumulator)),
            };
            let decided = self.without_idle_lanes(decided);
            let decided = self.any(decided);
            let open = self.b.ins().icmp_imm_s(IntCC::Equal, decided, 0);
            undecided = self.b.ins().bor(undecided, open);
        }
        undecided
    }

    /// A mask of bytes that is false in the lanes of its vector that nobody uses.
    fn without_idle_lanes(&mut self, mask: Bundle) -> Bundle {
        match mask {
            Bundle::Lanes(vectors) if self.lanes < 16 => {
                let used = std::array::from_fn::<u8, 16, _>(|lane| if (lane as u32) < self.lanes { 0xff } else { 0 });
                let used = vector::constant(&mut self.b, types::I8X16, used);
                Bundle::Lanes(vectors.into_iter().map(|vector| self.b.ins().band(vector, used)).collect())
            }
            other => other,
        }
    }

    /// As [`Emitter::plain_loop`], but the body stands there several times, for so many lanes each; the accumulators keep all.
    fn strips_in_turn(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        [begin, end]: [Value; 2],
        strip: u32,
        first: Vec<Bundle>,
        polls: bool,
    ) -> Vec<Bundle> {
        let lanes = self.lanes;
        let flat = first.iter().flat_map(values_of).collect();
        let last = self.counted_loop(begin, end, i64::from(lanes), flat, |e, iteration, before| {
            if polls {
                e.poll(inner.range);
            }
            let mut after = before.to_vec();
            e.lanes = strip;
            for part in 0..lanes / strip {
                let at = e.b.ins().iadd_imm_s(iteration, i64::from(part * strip));
                e.iteration(inner, at);
                let mut place = 0;
                for ((fold, reduction), all) in folds.iter().zip(&inner.reductions).zip(&first) {
                    let count = e.vector_count(fold.dtype.size());
                    let mine = place + part as usize * count..place + (part as usize + 1) * count;
                    let value = e.value(reduction.value);
                    let sum = Bundle::Lanes(after[mine.clone()].iter().copied().collect());
                    let next = e.op(fold.op, fold.dtype, &[sum, value]);
                    let next = e.vectors(&next, fold.dtype);
                    after[mine].copy_from_slice(&next);
                    place += values_of(all).len();
                }
            }
            e.lanes = lanes;
            after
        });
        let mut rest = last.as_slice();
        first.iter().map(|like| take(&mut rest, like)).collect()
    }

    /// As [`Emitter::plain_loop`], but so many lanes at a time, the accumulators in memory.
    fn strip_loop(
        &mut self,
        inner: &Loop,
        [begin, end]: [Value; 2],
        strip: u32,
        first: Vec<Bundle>,
        polls: bool,
    ) -> Vec<Bundle> {
        let folded = Folded { accumulators: first, blocks: None, scans: Vec::new() };
        let places = self.spill(inner, &folded);
        let lanes = self.lanes;
        self.counted_loop(begin, end, i64::from(strip), Vec::new(), |e, iteration, _| {
            if polls {
                e.poll(inner.range);
            }
            e.lanes = strip;
            e.iteration(inner, iteration);
            let step = e.b.ins().isub(iteration, begin);
            let lane = e.b.ins().band_imm_s(step, i64::from(lanes) - 1);
            e.fold_into_memory(inner, &places, lane);
            e.lanes = lanes;
            Vec::new()
        });
        self.reload(inner, folded, &places).accumulators
    }

    /// Blocks of steps, and the stack of finished blocks of the folds that cascade.
    fn cascading_loop(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        begin: Value,
        end: Value,
        step: i64,
        units: Vec<Bundle>,
    ) -> Folded {
        let stacks: Vec<Option<StackSlot>> =
            folds.iter().map(|f| f.cascades.then(|| self.stack_slot(f.dtype, LEVELS))).collect();
        // What goes from block to block: position, number of blocks, depth of the stacks, and the folds that do not cascade.
        let carried = |folds: &[Fold], all: &[Bundle]| -> Vec<Value> {
            let plain = folds.iter().zip(all).filter(|(f, _)| !f.cascades);
            plain.flat_map(|(_, bundle)| values_of(bundle)).collect()
        };
        let (head, push, exit) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let zero = self.constant(0);
        let mut first = vec![begin, zero, zero];
        first.extend(carried(folds, &units));
        for &value in &first {
            let kind = self.b.func.dfg.value_type(value);
            self.b.append_block_param(head, kind);
        }
        self.b.ins().jump(head, &arguments(&first));

        self.b.switch_to_block(head);
        let params = self.b.block_params(head).to_vec();
        let (position, count, depth) = (params[0], params[1], params[2]);
        self.poll(inner.range);
        let mut rest = &params[3..];
        let start: Vec<Bundle> = folds
            .iter()
            .zip(&units)
            .map(|(fold, unit)| if fold.cascades { unit.clone() } else { take(&mut rest, unit) })
            .collect();
        let size = step * i64::from(CASCADE_BLOCK);
        let full = self.b.ins().iadd_imm_s(position, size);
        let limit = self.b.ins().smin(full, end);
        let accumulators = self.plain_loop(inner, folds, position, limit, step, start);
        let complete = self.b.ins().icmp(IntCC::SignedLessThanOrEqual, full, end);
        self.b.ins().brif(complete, push, &[], exit, &[]);

        self.b.switch_to_block(push);
        let cascading: Vec<usize> = (0..folds.len()).filter(|&i| folds[i].cascades).collect();
        let mut state = vec![count, depth];
        state.extend(cascading.iter().flat_map(|&i| values_of(&accumulators[i])));
        let (test, merge, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        for &value in &state {
            let kind = self.b.func.dfg.value_type(value);
            self.b.append_block_param(test, kind);
        }
        self.b.ins().jump(test, &arguments(&state));
        self.b.switch_to_block(test);
        let state = self.b.block_params(test).to_vec();
        let (bits, depth) = (state[0], state[1]);
        let mut rest = &state[2..];
        let blocks: Vec<Bundle> = cascading.iter().map(|&i| take(&mut rest, &accumulators[i])).collect();
        let odd = self.b.ins().band_imm_s(bits, 1);
        self.b.ins().brif(odd, merge, &[], done, &[]);

        self.b.switch_to_block(merge);
        let one = self.b.ins().iconst(types::I32, 1);
        let higher = self.b.ins().ushr(bits, one);
        let below = self.b.ins().iadd_imm_s(depth, -1);
        let mut next = vec![higher, below];
        for (&i, block) in cascading.iter().zip(&blocks) {
            let merged = self.pop(&folds[i], &stacks[i], below, block);
            next.extend(values_of(&merged));
        }
        self.b.ins().jump(test, &arguments(&next));

        self.b.switch_to_block(done);
        for (&i, block) in cascading.iter().zip(&blocks) {
            let place = self.stack_entry(&folds[i], &stacks[i], depth);
            for (k, value) in values_of(block).into_iter().enumerate() {
                self.b.ins().store(MemFlagsData::trusted(), value, place, k as i32 * 16);
            }
        }
        let above = self.b.ins().iadd_imm_s(depth, 1);
        let more = self.b.ins().iadd_imm_s(count, 1);
        let mut next = vec![limit, more, above];
        next.extend(carried(folds, &accumulators));
        self.b.ins().jump(head, &arguments(&next));

        self.b.switch_to_block(exit);
        Folded { accumulators, blocks: Some(Blocks { depth: params[2], stacks }), scans: Vec::new() }
    }

    /// `popped op block` for the entry at a depth.
    fn pop(&mut self, fold: &Fold, stack: &Option<StackSlot>, depth: Value, block: &Bundle) -> Bundle {
        let place = self.stack_entry(fold, stack, depth);
        let popped = self.reload_from(fold.dtype, place);
        self.op(fold.op, fold.dtype, &[popped, block.clone()])
    }

    fn stack_entry(&mut self, fold: &Fold, stack: &Option<StackSlot>, depth: Value) -> Value {
        let slot = stack.expect("a fold that cascades has a stack");
        let base = self.b.ins().stack_addr(types::I64, slot, 0);
        let bytes = i64::from(self.bundle_bytes(fold.dtype));
        let offset = self.b.ins().imul_imm_s(depth, bytes);
        self.b.ins().iadd(base, offset)
    }

    fn bundle_bytes(&self, dtype: DType) -> u32 {
        (self.lanes * dtype.size() as u32).next_multiple_of(16)
    }

    fn stack_slot(&mut self, dtype: DType, bundles: u32) -> StackSlot {
        let bytes = self.bundle_bytes(dtype) * bundles;
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4))
    }

    /// A bundle that lies in aligned memory of its own.
    fn reload_from(&mut self, dtype: DType, place: Value) -> Bundle {
        let flags = MemFlagsData::trusted();
        if self.lanes == 1 {
            return Bundle::One(self.b.ins().load(scalar_type(dtype), flags, place, 0));
        }
        let count = self.vector_count(dtype.size());
        let load = |k| self.b.ins().load(vector_type(dtype), flags, place, k as i32 * 16);
        Bundle::Lanes((0..count).map(load).collect())
    }

    /// Folds the unfinished blocks with the stacks, from their tops to their bottoms.
    pub(super) fn finish(&mut self, inner: &Loop, folded: Folded) -> Vec<Bundle> {
        let Some(Blocks { depth, stacks }) = folded.blocks else { return folded.accumulators };
        let folds: Vec<Fold> = inner.reductions.iter().map(|r| self.fold_of(inner, r)).collect();
        let mut results = folded.accumulators;
        let cascading: Vec<usize> = (0..folds.len()).filter(|&i| folds[i].cascades).collect();
        // The stacks are filled to the same depth, so one loop counts down for all.
        let flat = cascading.iter().flat_map(|&i| values_of(&results[i])).collect();
        let zero = self.constant(0);
        let last = self.counted_loop(zero, depth, 1, flat, |e, popped, values| {
            let mut rest = values;
            let top = e.b.ins().isub(depth, popped);
            let entry = e.b.ins().iadd_imm_s(top, -1);
            let mut next = Vec::new();
            for &i in &cascading {
                let accumulator = take(&mut rest, &results[i]);
                next.extend(values_of(&e.pop(&folds[i], &stacks[i], entry, &accumulator)));
            }
            next
        });
        let mut rest = last.as_slice();
        for &i in &cascading {
            results[i] = take(&mut rest, &results[i]);
        }
        results
    }

    /// Puts accumulators into memory, a slot each; bools as bytes of 0 and 1.
    pub(super) fn spill(&mut self, inner: &Loop, folded: &Folded) -> Vec<StackSlot> {
        let mut slots = Vec::new();
        for (reduction, bundle) in inner.reductions.iter().zip(&folded.accumulators) {
            let dtype = self.dtype(reduction.value);
            let vectors = if dtype == DType::Bool { self.truth_bytes(bundle) } else { self.vectors(bundle, dtype) };
            let slot = self.stack_slot(dtype, 1);
            let place = self.b.ins().stack_addr(types::I64, slot, 0);
            for (k, vector) in vectors.into_iter().enumerate() {
                self.b.ins().store(MemFlagsData::trusted(), vector, place, k as i32 * 16);
            }
            slots.push(slot);
        }
        slots
    }

    /// Folds the values of an iteration into the accumulators in memory, from a lane on.
    pub(super) fn fold_into_memory(&mut self, inner: &Loop, places: &[StackSlot], lane: Value) {
        for (reduction, &slot) in inner.reductions.iter().zip(places) {
            let dtype = self.dtype(reduction.value);
            let base = self.b.ins().stack_addr(types::I64, slot, 0);
            let offset = self.b.ins().imul_imm_s(lane, dtype.size() as i64);
            let place = self.b.ins().iadd(base, offset);
            let value = self.value(reduction.value);
            if self.lanes == 1 {
                let before = self.b.ins().load(scalar_type(dtype), MemFlagsData::trusted(), place, 0);
                let after = self.op(reduction.op, dtype, &[Bundle::One(before), value]);
                let after = self.scalar(&after, dtype);
                self.b.ins().store(MemFlagsData::trusted(), after, place, 0);
                continue;
            }
            let before = self.load_neighbours(dtype, place, 0);
            let before = Bundle::Lanes(self.loaded(dtype, before));
            let after = self.op(reduction.op, dtype, &[before, value]);
            let vectors = if dtype == DType::Bool { self.truth_bytes(&after) } else { self.vectors(&after, dtype) };
            self.store_neighbours(dtype, &vectors, place, 0);
        }
    }

    /// The accumulators from memory.
    pub(super) fn reload(&mut self, inner: &Loop, folded: Folded, places: &[StackSlot]) -> Folded {
        let mut accumulators = Vec::new();
        for (reduction, &slot) in inner.reductions.iter().zip(places) {
            let dtype = self.dtype(reduction.value);
            let place = self.b.ins().stack_addr(types::I64, slot, 0);
            let bundle = match self.reload_from(dtype, place) {
                Bundle::Lanes(vectors) => Bundle::Lanes(self.loaded(dtype, vectors)),
                other => other,
            };
            accumulators.push(bundle);
        }
        Folded { accumulators, ..folded }
    }

    /// The lanes as a tree, lower half with upper half, down to one.
    pub(super) fn fold_lanes(&mut self, op: ScalarOp, dtype: DType, bundle: Bundle) -> Value {
        let Bundle::Lanes(mut vectors) = bundle else { unreachable!("a vector loop has bundles") };
        while vectors.len() > 1 {
            let upper: Vectors = vectors.drain(vectors.len() / 2..).collect();
            vectors = self.fold_halves(op, dtype, vectors, upper);
        }
        let mut lanes = (self.lanes as usize).min(16 / dtype.size());
        while lanes > 1 {
            lanes /= 2;
            let upper = vector::shift_down(&mut self.b, vectors[0], lanes * dtype.size());
            vectors = self.fold_halves(op, dtype, vectors, [upper].into_iter().collect());
        }
        self.lane(&vectors, 0, dtype)
    }

    fn fold_halves(&mut self, op: ScalarOp, dtype: DType, lower: Vectors, upper: Vectors) -> Vectors {
        let (b, machine) = (&mut self.b, self.machine);
        let pairs = lower.iter().zip(&upper);
        pairs
            .map(|(&x, &y)| match dtype {
                DType::Bool => vector::mask_op(b, op, &[x, y]),
                _ => vector::op(b, machine, op, dtype, &[x, y]),
            })
            .collect()
    }
}

//! Serial loops, vector loops with their scalar tail, and the counting that both share.

use super::{
    Emitter,
    reduce::Folded,
    values::{Bundle, arguments},
};
use cranelift::prelude::*;
use fusewire_lowering::kernel::{Loop, Range};

impl Emitter<'_> {
    /// `for i in (begin..end).step_by(step)` around what `body` emits; carried values go from iteration to iteration and are
    /// returned. The condition stands at the bottom, and once before.
    pub(super) fn counted_loop(
        &mut self,
        begin: Value,
        end: Value,
        step: i64,
        carried: Vec<Value>,
        body: impl FnOnce(&mut Self, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        self.loop_while(begin, end, step, carried, |e, i, carried| (body(e, i, carried), None))
    }

    /// As [`Emitter::counted_loop`], but `body` may also say whether to go on at all.
    pub(super) fn loop_while(
        &mut self,
        begin: Value,
        end: Value,
        step: i64,
        carried: Vec<Value>,
        body: impl FnOnce(&mut Self, Value, &[Value]) -> (Vec<Value>, Option<Value>),
    ) -> Vec<Value> {
        let (head, exit) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(head, types::I64);
        for &value in &carried {
            let kind = self.b.func.dfg.value_type(value);
            self.b.append_block_param(head, kind);
            self.b.append_block_param(exit, kind);
        }
        let any = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        let first: Vec<Value> = std::iter::once(begin).chain(carried.iter().copied()).collect();
        self.b.ins().brif(any, head, &arguments(&first), exit, &arguments(&carried));

        self.b.switch_to_block(head);
        let values: Vec<Value> = self.b.block_params(head).to_vec();
        let (results, go_on) = body(self, values[0], &values[1..]);
        let next = self.b.ins().iadd_imm_s(values[0], step);
        let mut more = self.b.ins().icmp(IntCC::SignedLessThan, next, end);
        if let Some(go_on) = go_on {
            more = self.b.ins().band(more, go_on);
        }
        let again: Vec<Value> = std::iter::once(next).chain(results.iter().copied()).collect();
        self.b.ins().brif(more, head, &arguments(&again), exit, &arguments(&results));

        self.b.switch_to_block(exit);
        self.b.block_params(exit).to_vec()
    }

    /// Returns from the function when it is to stop. Stands in every loop whose length is not bounded when compiling.
    pub(super) fn poll(&mut self, range: Range) {
        match range {
            Range::Tile { .. } => {}
            Range::Full(_) => {
                let next = self.b.create_block();
                let stopped = *self.stopped.get_or_insert_with(|| {
                    let stopped = self.b.create_block();
                    self.b.set_cold_block(stopped);
                    stopped
                });
                let stop = self.b.ins().load(types::I8, MemFlagsData::trusted(), self.stop, 0);
                self.b.ins().brif(stop, stopped, &[], next, &[]);
                self.b.switch_to_block(next);
            }
        }
    }

    /// The first iteration and the one behind the last.
    fn bounds(&mut self, range: Range) -> (Value, Value) {
        match range {
            Range::Full(extent) => (self.constant(0), self.int(extent)),
            Range::Tile { extent, tile, size } => {
                let (extent, tile) = (self.int(extent), self.var(tile));
                let begin = self.b.ins().imul_imm_s(tile, i64::from(size));
                let full = self.b.ins().iadd_imm_s(begin, i64::from(size));
                let end = self.b.ins().smin(full, extent);
                // A block behind the extent is empty, not negative.
                (begin, self.b.ins().smax(end, begin))
            }
        }
    }

    /// A loop whose iterations come one after another, each in all lanes of a vector loop around it.
    pub(super) fn serial_loop(&mut self, inner: &Loop) {
        let outside = self.hoist(inner);
        let (begin, end) = self.bounds(inner.range);
        let mut folded = self.fold_loop(inner, begin, end, 1);
        let scans = std::mem::take(&mut folded.scans);
        let results = self.finish(inner, folded);
        self.hoisted = outside;
        self.define_totals(inner, scans);
        for (reduction, bundle) in inner.reductions.iter().zip(results) {
            self.values[reduction.result.0 as usize] = Some(bundle);
        }
    }

    /// As many full groups of lanes as there are, then the rest one by one.
    pub(super) fn vector_loop(&mut self, inner: &Loop, lanes: u32) {
        let free = inner.reductions.is_empty() && inner.scans.is_empty();
        let lanes = if free { self.strip(inner, lanes) } else { lanes };
        let (begin, end) = self.bounds(inner.range);
        let count = self.b.ins().isub(end, begin);
        let full = self.b.ins().band_imm_s(count, -i64::from(lanes));
        let tail = self.b.ins().iadd(begin, full);

        self.lanes = lanes;
        self.vector_var = Some(inner.var);
        let outside = self.hoist(inner);
        if inner.reductions.is_empty() && inner.may_give_up_lanes(self.kernel) {
            self.escaping_loop(inner, lanes, [begin, tail, end]);
            self.vector_var = None;
            self.hoisted = outside;
            return;
        }
        let mut folded = self.fold_loop(inner, begin, tail, i64::from(lanes));
        self.lanes = 1;
        folded = self.tail(inner, folded, lanes, tail, end);
        let scans = std::mem::take(&mut folded.scans);
        self.lanes = lanes;
        let bundles = self.finish(inner, folded);
        let mut results = Vec::new();
        for (reduction, bundle) in inner.reductions.iter().zip(bundles) {
            let dtype = self.dtype(reduction.value);
            results.push(self.fold_lanes(reduction.op, dtype, bundle));
        }
        self.lanes = 1;
        self.vector_var = None;
        self.hoisted = outside;
        for (reduction, result) in inner.reductions.iter().zip(results) {
            self.values[reduction.result.0 as usize] = Some(Bundle::One(result));
        }
        self.define_totals(inner, scans);
    }

    /// What running folds have come to, where it is wanted.
    fn define_totals(&mut self, inner: &Loop, scans: Vec<Bundle>) {
        for (scan, bundle) in inner.scans.iter().zip(scans) {
            if let Some(total) = scan.total {
                self.values[total.0 as usize] = Some(bundle);
            }
        }
    }

    /// The iterations that fill no group of lanes. Number `r` of them goes to lane `r` of the accumulators, through memory.
    fn tail(&mut self, inner: &Loop, folded: Folded, lanes: u32, begin: Value, end: Value) -> Folded {
        if !inner.scans.is_empty() {
            let mut folded = folded;
            folded.scans = self.rest_with_scans(inner, &folded.scans, lanes, [begin, end]);
            return folded;
        }
        if inner.reductions.is_empty() {
            self.counted_loop(begin, end, 1, Vec::new(), |e, iteration, _| {
                e.iteration(inner, iteration);
                Vec::new()
            });
            return folded;
        }
        let (rest, join) = (self.b.create_block(), self.b.create_block());
        let whole = folded.flat();
        for &value in &whole {
            let kind = self.b.func.dfg.value_type(value);
            self.b.append_block_param(join, kind);
        }
        let any = self.b.ins().icmp(IntCC::SignedLessThan, begin, end);
        self.b.ins().brif(any, rest, &[], join, &arguments(&whole));

        self.b.switch_to_block(rest);
        self.lanes = lanes;
        let places = self.spill(inner, &folded);
        self.lanes = 1;
        self.counted_loop(begin, end, 1, Vec::new(), |e, iteration, _| {
            e.iteration(inner, iteration);
            let lane = e.b.ins().isub(iteration, begin);
            e.fold_into_memory(inner, &places, lane);
            Vec::new()
        });
        self.lanes = lanes;
        let folded = self.reload(inner, folded, &places);
        self.lanes = 1;
        self.b.ins().jump(join, &arguments(&folded.flat()));

        self.b.switch_to_block(join);
        let values = self.b.block_params(join).to_vec();
        folded.with_flat(&values)
    }

    /// The body for one iteration (of the first lane).
    pub(super) fn iteration(&mut self, inner: &Loop, iteration: Value) {
        self.vars[inner.var.0 as usize] = Some((iteration, self.depth));
        self.depth += 1;
        self.block(&inner.body);
        self.leave(inner);
    }

    /// Behind the body: the variable is not known any more.
    pub(super) fn leave(&mut self, inner: &Loop) {
        self.depth -= 1;
        self.vars[inner.var.0 as usize] = None;
    }
}

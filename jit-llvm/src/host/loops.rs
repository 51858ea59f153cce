//! Serial loops, vector loops with what fills no vector behind them, and when loops look whether to stop.

use super::{
    emit::{Emitter, There},
    folds::Folded,
    transpose::transposing_copy,
};
use crate::instructions::{Emitted, Value};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::{
    kernel::{Coefficient, Loop, Range, Stmt, VarId},
    loop_facts::Weight,
};
use inkwell::{
    IntPredicate,
    values::{BasicValue, IntValue},
};

/// Values of a loop that waits for memory rather than for what it computes, at most.
const LIGHT: usize = 32;

/// Lanes for what is left of a vector loop around other loops, where that is no more: few columns of long arrays.
const FEW: u32 = 8;

impl<'c> Emitter<'_, 'c> {
    /// Returns from the function when it is to stop. Stands in every loop whose length is not bounded when compiling.
    pub fn poll(&mut self, range: Range) -> Emitted<()> {
        match range {
            Range::Tile { .. } => Ok(()),
            Range::Full(_) => {
                let to = self.to;
                let (stopped, next) = (self.stopped.unwrap_or_else(|| to.block("stopped")), to.block("on"));
                self.stopped = Some(stopped);
                let stop = to.load(DType::U8, self.stop)?;
                Self::volatile(&stop);
                let stop = to.cast(stop, DType::U8, DType::Bool)?;
                to.branch(stop, stopped, next)?;
                to.switch_to(next);
                Ok(())
            }
        }
    }

    /// The first iteration and the one behind the last.
    pub fn bounds(&self, range: Range) -> Emitted<(IntValue<'c>, IntValue<'c>)> {
        let to = self.to;
        match range {
            Range::Full(extent) => Ok((to.index(0), self.int(extent))),
            Range::Tile { extent, tile, size } => {
                let size = to.index(size.into());
                let begin = to.builder.build_int_mul(self.var(tile), size, "")?;
                let full = to.builder.build_int_add(begin, size, "")?;
                let extreme = |op, x: IntValue<'c>, y: IntValue<'c>| to.op(op, DType::I64, &[x.into(), y.into()]);
                let end = extreme(ScalarOp::Minimum, full, self.int(extent))?.into_int_value();
                // A block behind the extent is empty, not negative.
                Ok((begin, extreme(ScalarOp::Maximum, end, begin)?.into_int_value()))
            }
        }
    }

    /// A loop whose iterations come one after another, each in all lanes of a vector loop around it.
    pub fn serial_loop(&mut self, inner: &Loop) -> Emitted<()> {
        if let Some(copy) = transposing_copy(self.kernel, inner).filter(|_| self.lanes == 1) {
            return self.copy_transposed(&copy);
        }
        let (begin, end) = self.bounds(inner.range)?;
        let known = self.turned.len();
        self.turn_rows(inner, begin, end)?;
        let folded = self.fold_loop(inner, begin, end, 1)?;
        self.turned.truncate(known);
        self.define_totals(inner, &folded.scans)?;
        let results = self.finish(inner, folded)?;
        for (reduction, result) in inner.reductions.iter().zip(results) {
            self.values[reduction.result.0 as usize] = Some(result);
        }
        Ok(())
    }

    /// A loop in lanes, with the results of its folds.
    pub fn vector_loop(&mut self, inner: &Loop, lanes: u32) -> Emitted<()> {
        let results = self.lanes_of_loop(inner, lanes)?;
        for (reduction, result) in inner.reductions.iter().zip(results) {
            let dtype = self.dtype(reduction.value);
            self.values[reduction.result.0 as usize] = Some(self.fold_lanes(reduction.op, dtype, result)?);
        }
        Ok(())
    }

    /// As many full vectors as there are, then a part of one. Gives what each lane has folded.
    pub fn lanes_of_loop(&mut self, inner: &Loop, lanes: u32) -> Emitted<Vec<Value<'c>>> {
        let to = self.to;
        let free = inner.reductions.is_empty();
        let lanes = if free && inner.scans.is_empty() { self.free_lanes(inner, lanes) } else { lanes };
        let (begin, end) = self.bounds(inner.range)?;
        self.lanes = lanes;
        self.vector_var = Some(inner.var);
        let results = if free && inner.may_give_up_lanes(self.kernel) {
            self.escaping_loop(inner, begin, end)?;
            Vec::new()
        } else if let Some(streams) = self.streams.filter(|_| free && self.may_stream(inner)) {
            let [far, near, join] = ["far", "near", "stored"].map(|name| to.block(name));
            to.branch(streams.into(), far, near)?;
            for (block, streaming) in [(far, true), (near, false)] {
                to.switch_to(block);
                self.streaming = streaming;
                self.vectors_of_loop(inner, begin, end)?;
                to.jump(join)?;
            }
            to.switch_to(join);
            Vec::new()
        } else {
            self.vectors_of_loop(inner, begin, end)?
        };
        self.lanes = 1;
        self.vector_var = None;
        Ok(results)
    }

    /// Full vectors, then a part of one.
    fn vectors_of_loop(&mut self, inner: &Loop, begin: IntValue<'c>, end: IntValue<'c>) -> Emitted<Vec<Value<'c>>> {
        let (to, lanes) = (self.to, i64::from(self.lanes));
        let count = to.builder.build_int_sub(end, begin, "")?;
        let full = to.builder.build_and(count, to.index(-lanes), "")?;
        let tail = to.builder.build_int_add(begin, full, "")?;
        let folded = self.fold_loop(inner, begin, tail, lanes)?;
        let nested = inner.body.iter().any(|statement| matches!(statement, Stmt::Loop(_)));
        if nested && inner.reductions.is_empty() && self.lanes > FEW {
            self.short_tail(inner, tail, end)?;
            return Ok(Vec::new());
        }
        let folded = self.tail(inner, folded, tail, end)?;
        self.define_totals(inner, &folded.scans)?;
        self.finish(inner, folded)
    }

    /// What is left of a loop around other loops, which has nothing to fold: few iterations are lanes of a narrow vector.
    fn short_tail(&mut self, inner: &Loop, begin: IntValue<'c>, end: IntValue<'c>) -> Emitted<()> {
        let (to, lanes) = (self.to, self.lanes);
        let left = to.builder.build_int_sub(end, begin, "")?;
        let is_few = to.builder.build_int_compare(IntPredicate::SLE, left, to.index(FEW.into()), "")?;
        let [few, many, join] = ["few", "many", "rest_done"].map(|name| to.block(name));
        to.branch(is_few.into(), few, many)?;
        for (block, lanes) in [(few, FEW), (many, lanes)] {
            to.switch_to(block);
            self.lanes = lanes;
            self.tail(inner, Folded { accumulators: Vec::new(), blocks: None, scans: Vec::new() }, begin, end)?;
            to.jump(join)?;
        }
        to.switch_to(join);
        Ok(())
    }

    /// Is the loop worth code of its own for stores past the caches? It writes neighbours of a result, and memory is what it waits for.
    fn may_stream(&self, inner: &Loop) -> bool {
        let one = Some(Coefficient::Const(1));
        let totals = inner.scans.iter().any(|scan| scan.total.is_some());
        let streams = |statement: &Stmt| match statement {
            Stmt::Store { buffer, at, .. } => self.streamed.contains(buffer) && at.coefficient(inner.var) == one,
            Stmt::Let(_) | Stmt::Loop(_) => false,
        };
        !totals && inner.body.iter().any(streams) && Weight::of(self.kernel, &inner.body).values <= LIGHT
    }

    /// How many lanes a loop gets that may have any number: vectors of the machine, two of each value where values are few.
    fn free_lanes(&self, inner: &Loop, lanes: u32) -> u32 {
        let weight = Weight::of(self.kernel, &inner.body);
        let vectors = if weight.values <= 12 { 2 } else { 1 };
        (vectors * self.machine.vector_bytes() / weight.widest.max(1) as u32).clamp(2, 128).max(lanes.min(16))
    }

    /// One more iteration, of the lanes that are there, when there are any.
    fn tail(
        &mut self,
        inner: &Loop,
        folded: Folded<'c>,
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<Folded<'c>> {
        let to = self.to;
        let before = to.here();
        let (rest, join) = (to.block("rest"), to.block("joined"));
        let any = to.builder.build_int_compare(IntPredicate::SLT, begin, end, "")?;
        to.branch(any.into(), rest, join)?;
        to.switch_to(rest);
        let count = to.builder.build_int_sub(end, begin, "")?;
        self.there = Some(self.first_lanes(count)?);
        let mut more = match inner.scans.is_empty() {
            true => {
                self.iteration(inner, begin)?;
                Vec::new()
            }
            false => self.step_with_scans(inner, &self.scans_of(inner), begin, &folded.scans)?,
        };
        for (reduction, &accumulator) in inner.reductions.iter().zip(&folded.accumulators) {
            let value = self.value(reduction.value);
            let next = self.op(reduction.op, self.dtype(reduction.value), &[accumulator, value])?;
            let mask = self.mask().expect("set above");
            more.push(to.select(mask.into(), next, accumulator)?);
        }
        self.there = None;
        let from = to.here();
        to.jump(join)?;
        to.switch_to(join);
        let pairs = folded.scans.iter().chain(&folded.accumulators).zip(more);
        let joined = pairs.map(|(&less, more)| Ok(to.phi(&[(less, before), (more, from)])?.as_basic_value()));
        let mut scans = joined.collect::<Emitted<Vec<_>>>()?;
        let accumulators = scans.split_off(folded.scans.len());
        Ok(Folded { accumulators, scans, ..folded })
    }

    /// The first so many lanes.
    pub fn first_lanes(&self, count: IntValue<'c>) -> Emitted<There<'c>> {
        self.first_lanes_of(self.lanes, count)
    }

    /// The first so many of several lanes.
    pub fn first_lanes_of(&self, lanes: u32, count: IntValue<'c>) -> Emitted<There<'c>> {
        let to = self.to;
        // In 32 bits, which is half the vectors.
        let short = to.context.i32_type();
        let numbers: Vec<_> = (0..lanes).map(|lane| short.const_int(lane.into(), false)).collect();
        let numbers = inkwell::types::VectorType::const_vector(&numbers);
        let limit = to.index(i64::from(lanes));
        let few = to.op(ScalarOp::Minimum, DType::I64, &[count.into(), limit.into()])?;
        let few_short = to.cast(few, DType::I64, DType::U32)?;
        let mask = to.compare(IntPredicate::ULT, numbers.into(), few_short)?.into_vector_value();
        Ok(There { mask, count: few.into_int_value() })
    }

    /// The body for one iteration (of the first lane).
    pub fn iteration(&mut self, inner: &Loop, iteration: IntValue<'c>) -> Emitted<()> {
        self.enter(inner.var, iteration);
        self.block(&inner.body)?;
        self.leave(inner.var);
        Ok(())
    }

    /// Before a body: its variable is known.
    pub fn enter(&mut self, var: VarId, value: IntValue<'c>) {
        self.vars[var.0 as usize] = Some((value, self.depth));
        self.depth += 1;
    }

    /// Behind a body: its variable is not known any more.
    pub fn leave(&mut self, var: VarId) {
        self.depth -= 1;
        self.vars[var.0 as usize] = None;
    }

    /// The iterations in vectors, and those given up or at the end in vectors of which only a part may be there.
    fn escaping_loop(&mut self, inner: &Loop, begin: IntValue<'c>, end: IntValue<'c>) -> Emitted<()> {
        let to = self.to;
        let lanes = to.index(i64::from(self.lanes));
        let [done, some, group, given_up, part, exit] =
            ["done", "some", "group", "given_up", "part", "exit"].map(|name| to.block(name));
        let before = to.here();
        to.jump(done)?;

        // Everything before `reached` is computed; what comes next?
        to.switch_to(done);
        let reached = to.phi(&[(begin.into(), before)])?;
        let at = reached.as_basic_value().into_int_value();
        let left = to.builder.build_int_sub(end, at, "")?;
        let whole = to.builder.build_int_compare(IntPredicate::SGE, left, lanes, "")?;
        to.branch(whole.into(), group, some)?;
        to.switch_to(some);
        let any = to.builder.build_int_compare(IntPredicate::SGT, left, to.index(0), "")?;
        to.branch(any.into(), part, exit)?;

        to.switch_to(group);
        let first = to.phi(&[(at.into(), done)])?;
        let at_group = first.as_basic_value().into_int_value();
        self.poll(inner.range)?;
        self.escape = Some((given_up, Vec::new()));
        self.iteration(inner, at_group)?;
        self.escape = None;
        let next = to.builder.build_int_nsw_add(at_group, lanes, "")?;
        let behind = to.builder.build_int_nsw_add(next, lanes, "")?;
        let more = to.builder.build_int_compare(IntPredicate::SLE, behind, end, "")?;
        let last = to.here();
        to.branch(more.into(), group, done)?;
        first.add_incoming(&[(&next, last)]);
        reached.add_incoming(&[(&next, last)]);

        to.switch_to(given_up);
        to.jump(part)?;

        to.switch_to(part);
        let at_part = to.phi(&[(at.into(), some), (at_group.into(), given_up)])?.as_basic_value().into_int_value();
        let count = to.phi(&[(left.into(), some), (lanes.into(), given_up)])?.as_basic_value().into_int_value();
        self.there = Some(self.first_lanes(count)?);
        self.iteration(inner, at_part)?;
        self.there = None;
        let next = to.builder.build_int_nsw_add(at_part, count, "")?;
        let last = to.here();
        to.jump(done)?;
        reached.add_incoming(&[(&next as &dyn BasicValue<'c>, last)]);
        to.switch_to(exit);
        Ok(())
    }
}

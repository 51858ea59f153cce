//! Loops that find the first iteration of which something is true: they end there, and what they compare are lanes of the elements,
//! not of 64-bit indices. The index is computed once, where it was found.

use super::emit::Emitter;
use crate::instructions::{Emitted, Value};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::{
    kernel::{Inst, Loop},
    loop_facts::{Search, Weight},
};
use inkwell::{
    IntPredicate,
    values::{BasicValue, IntValue},
};

/// Vectors that are compared before somebody looks whether there was one.
const VECTORS: u32 = 4;

impl<'c> Emitter<'_, 'c> {
    /// Emits such a loop, and its result.
    pub fn search_loop(&mut self, inner: &Loop, search: &Search) -> Emitted<()> {
        let to = self.to;
        let widest = Weight::of(self.kernel, &search.body).widest.max(1) as u32;
        let lanes = (self.machine.vector_bytes() / widest).clamp(2, 64);
        let vectors = VECTORS.min(64 / lanes);
        let (begin, end) = self.bounds(inner.range)?;
        self.lanes = lanes;
        self.vector_var = Some(inner.var);

        // Whole groups of vectors, then one vector after another of which a part may be there.
        let [head, group, in_group, rest, part, in_part, none, done] =
            ["search", "group", "in_group", "rest", "part", "in_part", "none", "done"].map(|name| to.block(name));
        let before = to.here();
        to.jump(head)?;
        to.switch_to(head);
        let reached = to.phi(&[(begin.into(), before)])?;
        let at = reached.as_basic_value().into_int_value();
        let behind = to.builder.build_int_add(at, to.index((lanes * vectors).into()), "")?;
        let whole = to.builder.build_int_compare(IntPredicate::SLE, behind, end, "")?;
        to.branch(whole.into(), group, rest)?;

        to.switch_to(group);
        self.poll(inner.range)?;
        let mut truths = Vec::new();
        for vector in 0..vectors {
            let first = to.builder.build_int_add(at, to.index((vector * lanes).into()), "")?;
            truths.push(self.condition(inner, search, first)?);
        }
        let mut any = truths[0];
        for &truth in &truths[1..] {
            any = to.op(ScalarOp::Or, DType::Bool, &[any, truth])?;
        }
        let any = to.any(any)?;
        let last = to.here();
        to.branch(any, in_group, head)?;
        reached.add_incoming(&[(&behind as &dyn BasicValue<'c>, last)]);
        to.switch_to(in_group);
        let found_in_group = self.first_true(at, &truths)?;
        to.jump(done)?;

        to.switch_to(rest);
        let reached = to.phi(&[(at.into(), head)])?;
        let at = reached.as_basic_value().into_int_value();
        let more = to.builder.build_int_compare(IntPredicate::SLT, at, end, "")?;
        to.branch(more.into(), part, none)?;
        to.switch_to(part);
        let left = to.builder.build_int_sub(end, at, "")?;
        let there = self.first_lanes_of(lanes, left)?;
        self.there = Some(there);
        let truth = self.condition(inner, search, at)?;
        self.there = None;
        let truth = to.op(ScalarOp::And, DType::Bool, &[truth, there.mask.into()])?;
        let any = to.any(truth)?;
        let next = to.builder.build_int_add(at, to.index(lanes.into()), "")?;
        let last = to.here();
        to.branch(any, in_part, rest)?;
        reached.add_incoming(&[(&next as &dyn BasicValue<'c>, last)]);
        to.switch_to(in_part);
        let found_in_part = self.first_true(at, &[truth])?;
        to.jump(done)?;
        to.switch_to(none);
        to.jump(done)?;

        to.switch_to(done);
        let places = [(found_in_group.into(), in_group), (found_in_part.into(), in_part), (begin.into(), none)];
        let found = to.phi(&places)?.as_basic_value().into_int_value();
        let [yes, no] = [1, 0].map(|truth| Value::from(to.context.bool_type().const_int(truth, false)));
        let is_somewhere = to.phi(&[(yes, in_group), (yes, in_part), (no, none)])?.as_basic_value();
        self.lanes = 1;
        self.vector_var = None;
        self.enter(inner.var, found);
        let index = match &self.kernel.value(search.index).inst {
            Inst::Index(at) => self.index(at)?,
            _ => unreachable!("a search finds an index"),
        };
        self.leave(inner.var);
        let nowhere = self.value(search.nowhere);
        let result = to.select(is_somewhere, index, nowhere)?;
        self.values[inner.reductions[0].result.0 as usize] = Some(result);
        Ok(())
    }

    /// The condition in the lanes from an iteration on.
    fn condition(&mut self, inner: &Loop, search: &Search, first: IntValue<'c>) -> Emitted<Value<'c>> {
        self.enter(inner.var, first);
        self.block(&search.body)?;
        self.leave(inner.var);
        self.to.splat(self.value(search.condition), self.lanes)
    }

    /// The first true lane of vectors, counted from the index of their first lane; there is one.
    fn first_true(&self, first: IntValue<'c>, truths: &[Value<'c>]) -> Emitted<IntValue<'c>> {
        let to = self.to;
        let word = to.context.i64_type();
        let mut bits = word.const_zero();
        for (number, &truth) in truths.iter().enumerate() {
            let lanes = to.context.custom_width_int_type(std::num::NonZero::new(self.lanes).expect("some lanes"));
            let lanes = lanes.expect("an integer has a bit for each lane");
            let some = to.builder.build_bit_cast(truth, lanes, "")?.into_int_value();
            let some = to.builder.build_int_z_extend(some, word, "")?;
            let place = to.index(number as i64 * i64::from(self.lanes));
            let some = to.builder.build_left_shift(some, place, "")?;
            bits = to.builder.build_or(bits, some, "")?;
        }
        let never_zero = to.context.bool_type().const_all_ones();
        let place = to.call_intrinsic("cttz", &[word.into()], &[bits.into(), never_zero.into()])?;
        to.builder.build_int_add(first, place.expect("it counts").into_int_value(), "")
    }
}

//! Short rows side by side: lanes that go through rows of a buffer together, each along its own, gather an element a row in each step
//! of the loop. Where rows are short, they are read whole before the loop and turned in registers, into memory of the function
//! itself; the loop then loads neighbours. Where they are long, nothing is turned, and the lanes gather: which it is, is asked when
//! the code runs.

use super::{emit::Emitter, transpose::PART};
use crate::{
    access::Step,
    instructions::{Emitted, Value},
};
use fusewire_ir::dtype::DType;
use fusewire_lowering::{
    kernel::{Affine, BufferId, Coefficient, Inst, Loop, Stmt, VarId},
    walk::for_each_stmt,
};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue, VectorValue},
};

/// The longest rows that are turned. Longer ones do not go side by side where it is up to us.
const LONGEST: u32 = 32;

/// Buffers whose rows are turned for one loop, at most.
const MOST: usize = 4;

/// Stands for the distance of lanes whose rows were turned.
pub(super) const TURNED: i64 = i64::MIN;

/// Rows that may have been turned.
#[derive(Clone)]
pub(super) struct Turned<'c> {
    buffer: BufferId,
    at: Affine,
    /// The elements, those of all lanes for each step of the loop.
    place: PointerValue<'c>,
    /// The loop's variable, and where it begins.
    var: VarId,
    begin: IntValue<'c>,
    /// Elements from one lane to the next; [`TURNED`] when the rows were turned.
    pub step: IntValue<'c>,
}

impl<'c> Emitter<'_, 'c> {
    /// Before a serial loop inside a vector loop: turns the rows through which it goes, where they are short.
    pub fn turn_rows(&mut self, inner: &Loop, begin: IntValue<'c>, end: IntValue<'c>) -> Emitted<()> {
        // Lanes that are not all there come once behind many that are.
        if self.there.is_some() {
            return Ok(());
        }
        for (buffer, at) in self.rows_along(inner) {
            let Some(Step::Run(step)) = self.step(&at) else { continue };
            let (to, dtype) = (self.to, self.kernel.buffers[buffer.0 as usize].dtype);
            let part = PART / dtype.size() as u32;
            let place = to.stack(dtype, self.lanes, LONGEST)?;
            let length = to.builder.build_int_sub(end, begin, "")?;
            let short = to.builder.build_int_compare(IntPredicate::SLE, length, to.index(LONGEST.into()), "")?;
            let far = to.builder.build_int_compare(IntPredicate::UGT, step, to.index(4), "")?;
            let turns = to.builder.build_and(short, far, "")?;
            let (turn, join) = (to.block("turn"), to.block("rows"));
            to.branch(turns.into(), turn, join)?;
            to.switch_to(turn);
            to.counted_loop(begin, end, to.index(part.into()), &[], |column, _| {
                self.enter(inner.var, column);
                let address = self.address(buffer, &at);
                self.leave(inner.var);
                let done = to.builder.build_int_sub(column, begin, "")?;
                let done = to.builder.build_int_mul(done, to.index(self.lanes.into()), "")?;
                let into = to.element(dtype, place, done)?;
                let left = to.builder.build_int_sub(end, column, "")?;
                let address = address?;
                // The machine does not read ahead for loads of which lanes are left out: with such, one thread sums a
                // million rows of 8 float32 in 4.6 instead of 1.1 ms.
                let whole = to.builder.build_int_compare(IntPredicate::SGE, left, to.index(part.into()), "")?;
                let [all, some, next] = ["all", "some", "next"].map(|name| to.block(name));
                to.branch(whole.into(), all, some)?;
                to.switch_to(all);
                self.turn_columns(dtype, address, step, None, into)?;
                to.jump(next)?;
                to.switch_to(some);
                let there = self.first_lanes_of(part, left)?;
                self.turn_columns(dtype, address, step, Some(there.mask), into)?;
                to.jump(next)?;
                to.switch_to(next);
                Ok(Vec::new())
            })?;
            to.jump(join)?;
            to.switch_to(join);
            let step = to.builder.build_select(turns, to.index(TURNED), step, "")?.into_int_value();
            self.turned.push(Turned { buffer, at, place, var: inner.var, begin, step });
        }
        Ok(())
    }

    /// What the loop's own statements load along rows, the lanes' being so far apart as is known when the code runs.
    fn rows_along(&self, inner: &Loop) -> Vec<(BufferId, Affine)> {
        let mut found: Vec<(BufferId, Affine)> = Vec::new();
        for statement in &inner.body {
            if let Stmt::Let(id) = statement
                && let Inst::Load { buffer, at } = &self.kernel.value(*id).inst
                && matches!(self.step(at), Some(Step::Run(_)))
                && at.coefficient(inner.var) == Some(Coefficient::Const(1))
                && self.kernel.dtype(*id).size() >= 4
                && self.lanes >= PART / self.kernel.dtype(*id).size() as u32
                && !stores_to(inner, *buffer)
                && found.len() < MOST
                && !found.contains(&(*buffer, at.clone()))
            {
                found.push((*buffer, at.clone()));
            }
        }
        found
    }

    /// 16 bytes of all lanes' rows, perhaps of which these columns are there only, into as many vectors.
    fn turn_columns(
        &mut self,
        dtype: DType,
        address: PointerValue<'c>,
        step: IntValue<'c>,
        there: Option<VectorValue<'c>>,
        into: PointerValue<'c>,
    ) -> Emitted<()> {
        let to = self.to;
        let size = dtype.size() as u32;
        // Stored in vectors as they are loaded, or the loads would have to wait until all their parts are in the cache.
        let rows = (self.machine.vector_bytes() / size).min(self.lanes);
        for first in (0..self.lanes).step_by(rows as usize) {
            let vectors = self.turned_part(dtype, rows, |row| {
                let distance = to.builder.build_int_mul(to.index((first + row).into()), step, "")?;
                let row = to.element(dtype, address, distance)?;
                let row = to.load_lanes(dtype, row, Step::Const(1), PART / size, there)?;
                Ok(row.into_vector_value())
            })?;
            for (column, vector) in vectors.into_iter().enumerate() {
                let place = to.element(dtype, into, to.index((column as u32 * self.lanes + first).into()))?;
                to.store_lanes(dtype, place, Step::Const(1), vector, None)?;
            }
        }
        Ok(())
    }

    /// The rows behind a load, if they may have been turned.
    pub fn turned_load(&self, buffer: BufferId, at: &Affine) -> Option<Turned<'c>> {
        self.turned.iter().find(|turned| turned.buffer == buffer && turned.at == *at).cloned()
    }

    /// An element of each lane's row, from where they were turned to.
    pub fn load_turned(&mut self, dtype: DType, turned: &Turned<'c>) -> Emitted<Value<'c>> {
        let to = self.to;
        let column = to.builder.build_int_sub(self.var(turned.var), turned.begin, "")?;
        let element = to.builder.build_int_mul(column, to.index(self.lanes.into()), "")?;
        let place = to.element(dtype, turned.place, element)?;
        to.load_lanes(dtype, place, Step::Const(1), self.lanes, None)
    }
}

fn stores_to(inner: &Loop, buffer: BufferId) -> bool {
    let mut found = false;
    for_each_stmt(&inner.body, &mut |stmt| found |= matches!(stmt, Stmt::Store { buffer: to, .. } if *to == buffer));
    found
}

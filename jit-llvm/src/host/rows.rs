//! Short rows side by side: lanes that go through rows of a buffer together, each along its own, gather an element a row in each step
//! of the loop. Where rows are short, they are read whole before the loop and turned in registers, into memory of the function
//! itself; the loop then loads neighbours. Where they are long, nothing is turned, and the lanes gather: which it is, is asked when
//! the code runs.

use super::{emit::Emitter, transpose::SIDE};
use crate::{
    access::Step,
    instructions::{Emitted, Value, lanes},
};
use fusewire_ir::dtype::DType;
use fusewire_lowering::{
    kernel::{Affine, BufferId, Coefficient, Inst, Loop, Stmt, VarId},
    walk::for_each_stmt,
};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue},
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
        if !self.lanes.is_multiple_of(SIDE) || self.there.is_some() {
            return Ok(());
        }
        for (buffer, at) in self.rows_along(inner) {
            let Some(Step::Run(step)) = self.step(&at) else { continue };
            let dtype = match self.kernel.buffers[buffer.0 as usize].dtype {
                // A truth is a byte in memory.
                DType::Bool => DType::U8,
                dtype => dtype,
            };
            let to = self.to;
            let place = to.stack(dtype, self.lanes, LONGEST)?;
            let length = to.builder.build_int_sub(end, begin, "")?;
            let short = to.builder.build_int_compare(IntPredicate::SLE, length, to.index(LONGEST.into()), "")?;
            let far = to.builder.build_int_compare(IntPredicate::UGT, step, to.index(4), "")?;
            let turns = to.builder.build_and(short, far, "")?;
            let (turn, join) = (to.block("turn"), to.block("rows"));
            to.branch(turns.into(), turn, join)?;
            to.switch_to(turn);
            to.counted_loop(begin, end, to.index(SIDE.into()), &[], |column, _| {
                self.enter(inner.var, column);
                let address = self.address(buffer, &at);
                self.leave(inner.var);
                let done = to.builder.build_int_sub(column, begin, "")?;
                let done = to.builder.build_int_mul(done, to.index(self.lanes.into()), "")?;
                let into = to.element(dtype, place, done)?;
                let left = to.builder.build_int_sub(end, column, "")?;
                self.turn_columns(dtype, address?, step, left, into)?;
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
                && (self.machine.vector_bytes() == 64 || self.kernel.dtype(*id).size() >= 4)
                && !stores_to(inner, *buffer)
                && found.len() < MOST
                && !found.contains(&(*buffer, at.clone()))
            {
                found.push((*buffer, at.clone()));
            }
        }
        found
    }

    /// Some columns of all lanes' rows, of which so many are there, into as many vectors.
    fn turn_columns(
        &mut self,
        dtype: DType,
        address: PointerValue<'c>,
        step: IntValue<'c>,
        left: IntValue<'c>,
        into: PointerValue<'c>,
    ) -> Emitted<()> {
        let to = self.to;
        let columns = self.first_lanes_of(SIDE, left)?;
        let mut squares = Vec::new();
        for first in (0..self.lanes).step_by(SIDE as usize) {
            let mut lines = Vec::new();
            for row in first..first + SIDE {
                let distance = to.builder.build_int_mul(to.index(row.into()), step, "")?;
                let row = to.element(dtype, address, distance)?;
                lines.push(to.load_lanes(dtype, row, Step::Const(1), SIDE, Some(columns.mask))?.into_vector_value());
            }
            squares.push(self.turned(lines)?);
        }
        // Stored in vectors as they are loaded, or the loads would have to wait until all their parts are in the cache.
        let whole = (self.machine.vector_bytes() / dtype.size() as u32).clamp(SIDE, self.lanes);
        for column in 0..SIDE {
            let mut parts: Vec<_> = squares.iter().map(|square| square[column as usize]).collect();
            let mut width = SIDE;
            while width < whole {
                let pairs = parts.chunks(2).map(|pair| to.shuffle(pair[0], Some(pair[1]), 0..2 * width));
                parts = pairs.collect::<Emitted<_>>()?;
                width *= 2;
            }
            for (number, part) in parts.into_iter().enumerate() {
                debug_assert_eq!(lanes(part.into()), width);
                let element = column * self.lanes + number as u32 * width;
                let place = to.element(dtype, into, to.index(element.into()))?;
                to.store_lanes(dtype, place, Step::Const(1), part, None)?;
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

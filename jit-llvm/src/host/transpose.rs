//! Copies that transpose: a nest of two loops that reads the rows of one buffer and writes them as the columns of another, as
//! kernels fill scratch with blocks of a transposed array. Squares of elements are loaded as rows, turned in registers, and stored
//! as rows of the other buffer; nothing is scattered.

use super::emit::{Emitter, There};
use crate::{access::Step, instructions::Emitted};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::kernel::{Affine, BufferId, Coefficient, Inst, Kernel, Loop, LoopKind, Stmt};
use inkwell::{
    IntPredicate,
    values::{IntValue, VectorValue},
};

/// Elements along each side of a square: 8 registers of 32 bytes are turned in 24 shuffles.
pub(super) const SIDE: u32 = 8;

/// What such a nest copies.
pub(super) struct Copy<'k> {
    outer: &'k Loop,
    inner: &'k Loop,
    dtype: DType,
    from: (BufferId, &'k Affine),
    to: (BufferId, &'k Affine),
}

/// What the nest copies, if it is one of these.
pub(super) fn transposing_copy<'k>(kernel: &'k Kernel, outer: &'k Loop) -> Option<Copy<'k>> {
    let [Stmt::Loop(inner)] = outer.body.as_slice() else { return None };
    let [Stmt::Let(id), Stmt::Store { buffer, at, value }] = inner.body.as_slice() else { return None };
    let Inst::Load { buffer: source, at: place } = &kernel.value(*id).inst else { return None };
    let one = Some(Coefficient::Const(1));
    let turns = id == value
        && matches!(inner.kind, LoopKind::Vector { .. })
        && inner.range.tile() != Some(outer.var)
        && place.coefficient(inner.var) == one
        && at.coefficient(outer.var) == one
        && at.mentions(inner.var)
        && source != buffer;
    let copies = outer.reductions.is_empty() && outer.scans.is_empty() && inner.reductions.is_empty();
    // A truth is a byte here as well.
    let dtype = match kernel.dtype(*id) {
        DType::Bool => DType::U8,
        dtype => dtype,
    };
    let (from, to) = ((*source, place), (*buffer, at));
    (turns && copies).then_some(Copy { outer, inner, dtype, from, to })
}

impl<'c> Emitter<'_, 'c> {
    /// Emits it.
    pub fn copy_transposed(&mut self, copy: &Copy<'_>) -> Emitted<()> {
        let to = self.to;
        let (rows, columns) = (self.bounds(copy.outer.range)?, self.bounds(copy.inner.range)?);
        let side = to.index(SIDE.into());
        to.counted_loop(rows.0, rows.1, side, &[], |row, _| {
            to.counted_loop(columns.0, columns.1, side, &[], |column, _| {
                self.poll(copy.inner.range)?;
                let left = |at: IntValue<'c>, end| to.builder.build_int_sub(end, at, "");
                let (more_rows, more_columns) = (left(row, rows.1)?, left(column, columns.1)?);
                let fits = |left| to.builder.build_int_compare(IntPredicate::SGE, left, side, "");
                let whole = to.builder.build_and(fits(more_rows)?, fits(more_columns)?, "")?;
                let [square, part, next] = ["square", "part", "next"].map(|name| to.block(name));
                to.branch(whole.into(), square, part)?;
                to.switch_to(square);
                self.square(copy, [row, column], None)?;
                to.jump(next)?;
                to.switch_to(part);
                self.square(copy, [row, column], Some([more_rows, more_columns]))?;
                to.jump(next)?;
                to.switch_to(next);
                Ok(Vec::new())
            })
        })?;
        Ok(())
    }

    /// A square from a row and a column on, of which perhaps only so many rows and columns are there.
    fn square(
        &mut self,
        copy: &Copy<'_>,
        [row, column]: [IntValue<'c>; 2],
        there: Option<[IntValue<'c>; 2]>,
    ) -> Emitted<()> {
        let to = self.to;
        let (rows, columns) = match there {
            None => (None, None),
            Some([rows, columns]) => {
                (Some(self.first_lanes_of(SIDE, rows)?), Some(self.first_lanes_of(SIDE, columns)?))
            }
        };
        let mut lines = Vec::new();
        for line in 0..i64::from(SIDE) {
            let row = self.nth(row, line, rows)?;
            let address = self.address_in(copy, copy.from, [row, column])?;
            let mask = columns.map(|there| there.mask);
            lines.push(to.load_lanes(copy.dtype, address, Step::Const(1), SIDE, mask)?.into_vector_value());
        }
        for (line, turned) in self.turned(lines)?.into_iter().enumerate() {
            let column = self.nth(column, line as i64, columns)?;
            let address = self.address_in(copy, copy.to, [row, column])?;
            // A line of a column that is not there has no element.
            let mask = match (rows, columns) {
                (Some(rows), Some(columns)) => {
                    let there = to.builder.build_extract_element(columns.mask, to.index(line as i64), "")?;
                    Some(to.op(ScalarOp::And, DType::Bool, &[rows.mask.into(), there])?.into_vector_value())
                }
                _ => None,
            };
            to.store_lanes(copy.dtype, address, Step::Const(1), turned, mask)?;
        }
        Ok(())
    }

    /// The index so many lines on; the last one that is there, where that is not.
    fn nth(&self, first: IntValue<'c>, line: i64, there: Option<There<'c>>) -> Emitted<IntValue<'c>> {
        let to = self.to;
        let distance = match there {
            None => to.index(line).into(),
            Some(there) => {
                let last = to.builder.build_int_sub(there.count, to.index(1), "")?;
                to.op(ScalarOp::Minimum, DType::I64, &[to.index(line).into(), last.into()])?
            }
        };
        to.builder.build_int_add(first, distance.into_int_value(), "")
    }

    /// Where the element of a row and a column lies in one of the buffers.
    fn address_in(
        &mut self,
        copy: &Copy<'_>,
        (buffer, at): (BufferId, &Affine),
        [row, column]: [IntValue<'c>; 2],
    ) -> Emitted<inkwell::values::PointerValue<'c>> {
        self.enter(copy.outer.var, row);
        self.enter(copy.inner.var, column);
        let address = self.address(buffer, at);
        self.leave(copy.inner.var);
        self.leave(copy.outer.var);
        address
    }

    /// Rows as columns: in each round the lanes of line `i` and of the line half of all further on alternate in two lines.
    pub fn turned(&self, mut lines: Vec<VectorValue<'c>>) -> Emitted<Vec<VectorValue<'c>>> {
        let half = SIDE / 2;
        for _ in 0..SIDE.trailing_zeros() {
            let mut next = Vec::new();
            let (upper, lower) = lines.split_at(half as usize);
            for (&x, &y) in upper.iter().zip(lower) {
                for begin in [0, half] {
                    let order = (0..half).flat_map(|lane| [begin + lane, begin + lane + SIDE]);
                    next.push(self.to.shuffle(x, Some(y), order)?);
                }
            }
            lines = next;
        }
        Ok(lines)
    }
}

//! The run-time integers of a plan in one table: extents, strides, offsets and loop bounds of all its kernels and views,
//! equal ones shared. Building resolves whose stride is meant, so evaluating is one pass over plain rows.
//!
//! Invariant: a row refers to earlier rows only.

use fusewire_ir::{
    shape::{Dim, SymId, SymShape},
    value::Buffer,
};
use fusewire_lowering::kernel::IntExpr;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Index into an [`IntTable`] and into its values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct RowId(u32);

/// The values of a table's rows.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Values(SmallVec<[i64; 64]>);

impl std::ops::Index<RowId> for Values {
    type Output = i64;
    fn index(&self, row: RowId) -> &i64 {
        &self.0[row.0 as usize]
    }
}

/// How an integer is computed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Row {
    Const(i64),
    Sym(SymId),
    Workers,
    /// The stride in elements of an axis of an input of the graph.
    Stride {
        input: u32,
        axis: u8,
    },
    Add(RowId, RowId),
    Sub(RowId, RowId),
    Mul(RowId, RowId),
    CeilDiv(RowId, RowId),
    Min(RowId, RowId),
    Max(RowId, RowId),
}

/// Every integer of a plan.
#[derive(Default, Debug)]
pub(crate) struct IntTable {
    rows: Vec<Row>,
}

impl IntTable {
    /// Computes every row. Arithmetic wraps; what must not overflow (sizes in bytes) is checked by who allocates.
    pub(crate) fn evaluate(&self, symbols: &[i64], inputs: &[&Buffer], workers: usize) -> Values {
        let mut values = Values(SmallVec::with_capacity(self.rows.len()));
        for row in &self.rows {
            let value = match *row {
                Row::Const(value) => value,
                Row::Sym(symbol) => symbols[symbol.0 as usize],
                Row::Workers => workers as i64,
                Row::Stride { input, axis } => inputs[input as usize].strides[axis as usize] as i64,
                Row::Add(a, b) => values[a].wrapping_add(values[b]),
                Row::Sub(a, b) => values[a].wrapping_sub(values[b]),
                Row::Mul(a, b) => values[a].wrapping_mul(values[b]),
                Row::CeilDiv(a, b) => ceil_div(values[a], values[b]),
                Row::Min(a, b) => values[a].min(values[b]),
                Row::Max(a, b) => values[a].max(values[b]),
            };
            values.0.push(value);
        }
        values
    }

    /// The row's value where it does not depend on sizes.
    pub(crate) fn constant(&self, row: RowId) -> Option<i64> {
        match self.rows[row.0 as usize] {
            Row::Const(value) => Some(value),
            _ => None,
        }
    }
}

/// A kernel divides by block sizes only; zero cannot occur, and must not trap if it does.
fn ceil_div(a: i64, b: i64) -> i64 {
    if b <= 0 { 0 } else { a / b + i64::from(a % b > 0) }
}

/// Fills a table.
#[derive(Default)]
pub(crate) struct IntTableBuilder {
    table: IntTable,
    known: FxHashMap<Row, RowId>,
}

/// Where the strides of a buffer come from.
#[derive(Clone, Copy)]
pub(crate) enum StrideSource<'a> {
    /// An input of the graph: from its memory, when the plan runs.
    Input(u32),
    /// Dense: from the rows of its extents.
    Dense(&'a [RowId]),
}

impl IntTableBuilder {
    pub(crate) fn finish(self) -> IntTable {
        self.table
    }

    pub(crate) fn table(&self) -> &IntTable {
        &self.table
    }

    pub(crate) fn constant(&mut self, value: i64) -> RowId {
        self.row(Row::Const(value))
    }

    /// The rows of a shape's extents.
    pub(crate) fn extents(&mut self, shape: &SymShape) -> SmallVec<[RowId; 4]> {
        let dim = |dim: &Dim| match *dim {
            Dim::Zero => self.row(Row::Const(0)),
            Dim::One => self.row(Row::Const(1)),
            Dim::Two => self.row(Row::Const(2)),
            Dim::Sym(symbol) => self.row(Row::Sym(symbol)),
        };
        shape.iter().map(dim).collect()
    }

    /// The rows of a list of integers that refer to each other, to symbols and to the strides of buffers.
    pub(crate) fn list<'a>(&mut self, ints: &[IntExpr], source: impl Fn(u32) -> StrideSource<'a>) -> Vec<RowId> {
        let mut rows: Vec<RowId> = Vec::with_capacity(ints.len());
        for int in ints {
            let at = |id: fusewire_lowering::kernel::IntId| rows[id.0 as usize];
            let row = match *int {
                IntExpr::Const(value) => self.constant(value),
                IntExpr::Sym(symbol) => self.row(Row::Sym(symbol)),
                IntExpr::Workers => self.row(Row::Workers),
                IntExpr::Stride { buffer, axis } => match source(buffer.0) {
                    StrideSource::Input(input) => self.row(Row::Stride { input, axis }),
                    StrideSource::Dense(extents) => self.dense_stride(extents, axis),
                },
                IntExpr::Add(a, b) => self.row(Row::Add(at(a), at(b))),
                IntExpr::Sub(a, b) => self.row(Row::Sub(at(a), at(b))),
                IntExpr::Mul(a, b) => self.product(at(a), at(b)),
                IntExpr::CeilDiv(a, b) => self.row(Row::CeilDiv(at(a), at(b))),
                IntExpr::Min(a, b) => self.row(Row::Min(at(a), at(b))),
                IntExpr::Max(a, b) => self.row(Row::Max(at(a), at(b))),
            };
            rows.push(row);
        }
        rows
    }

    fn dense_stride(&mut self, extents: &[RowId], axis: u8) -> RowId {
        let one = self.constant(1);
        extents[axis as usize + 1..].iter().rev().fold(one, |stride, &extent| self.product(extent, stride))
    }

    /// Operands in order and units dropped, so that one product has one row.
    fn product(&mut self, a: RowId, b: RowId) -> RowId {
        match (self.table.constant(a), self.table.constant(b)) {
            (Some(1), _) => b,
            (_, Some(1)) => a,
            (Some(x), Some(y)) => self.constant(x.wrapping_mul(y)),
            _ => self.row(Row::Mul(a.min(b), a.max(b))),
        }
    }

    fn row(&mut self, row: Row) -> RowId {
        let next = RowId(self.table.rows.len() as u32);
        let id = *self.known.entry(row).or_insert(next);
        if id == next {
            self.table.rows.push(row);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusewire_lowering::kernel::{BufferId, IntId};

    #[test]
    fn equal_integers_share_a_row_and_dense_strides_are_products() {
        let mut builder = IntTableBuilder::default();
        let shape: SymShape =
            [Dim::Sym(SymId(0)), Dim::Sym(SymId(1)), Dim::One, Dim::Sym(SymId(2))].into_iter().collect();
        let extents = builder.extents(&shape);
        let stride = |axis| IntExpr::Stride { buffer: BufferId(0), axis };
        let ints = [
            stride(0),
            stride(1),
            stride(2),
            stride(3),
            IntExpr::Sym(SymId(1)),
            IntExpr::Sym(SymId(2)),
            IntExpr::Mul(IntId(5), IntId(4)),
        ];
        let rows = builder.list(&ints, |_| StrideSource::Dense(&extents));
        assert_eq!(rows[0], rows[6]);
        assert_eq!((rows[1], rows[2]), (extents[3], extents[3]));
        let table = builder.finish();
        let values = table.evaluate(&[5, 7, 11], &[], 1);
        assert_eq!(rows.iter().map(|&r| values[r]).collect::<Vec<_>>(), [77, 11, 11, 1, 7, 11, 77]);
    }

    #[test]
    fn arithmetic_is_what_the_expressions_say() {
        let mut builder = IntTableBuilder::default();
        let [a, b] = [IntId(0), IntId(1)];
        let ints = [
            IntExpr::Sym(SymId(0)),
            IntExpr::Const(4),
            IntExpr::Add(a, b),
            IntExpr::Sub(a, b),
            IntExpr::CeilDiv(a, b),
            IntExpr::Min(a, b),
            IntExpr::Max(a, b),
        ];
        let rows = builder.list(&ints, |_| StrideSource::Dense(&[]));
        let table = builder.finish();
        for (x, expected) in [(9, [13, 5, 3, 4, 9]), (8, [12, 4, 2, 4, 8]), (0, [4, -4, 0, 0, 4])] {
            let values = table.evaluate(&[x], &[], 1);
            assert_eq!(rows[2..].iter().map(|&r| values[r]).collect::<Vec<_>>(), expected);
        }
        assert_eq!(ceil_div(3, 0), 0);
    }
}

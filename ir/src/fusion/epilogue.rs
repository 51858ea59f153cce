//! Sums of a matrix product and one row for all of its rows, `x @ w + b`: where the library that multiplies adds the row itself,
//! as cuBLASLt does, the sum is stored in place of the product, and no kernel reads and writes it once more.
//!
//! So it is for float32 and float64 alone: they are rounded twice either way, halves would have to be between the product and the
//! sum. What may follow the sum (a `maximum` with 0 above all) stays a kernel's: what cuBLASLt makes of NaN there is not
//! documented. A row that would have to be computed first stays one, too, for that would be a kernel of its own.

use crate::{
    dtype::DType,
    fusion::cost::Limits,
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    ops::ScalarOp,
    shape::Dim,
};

/// The operands of a sum that is computed with its product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Epilogue {
    /// The product, which nobody else needs.
    pub product: NodeId,
    /// An array in memory of the product's columns, all other extents 1.
    pub row: NodeId,
}

/// The sums that are computed with their products, by node.
pub(super) fn epilogues(graph: &Graph, limits: Limits, live: &[bool]) -> Vec<Option<Epilogue>> {
    let mut epilogues = vec![None; graph.len()];
    if !limits.products_add_rows {
        return epilogues;
    }
    let mut users = vec![0usize; graph.len()];
    let operands = graph.iter().filter(|(id, _)| live[id.0 as usize]).flat_map(|(_, node)| &node.inputs);
    operands.chain(&graph.roots).for_each(|operand| users[operand.0 as usize] += 1);
    for (id, node) in graph.iter() {
        let Node { op: Op::Map(ScalarOp::Add), inputs, dtype: DType::F32 | DType::F64, .. } = node else { continue };
        let found = [(inputs[0], inputs[1]), (inputs[1], inputs[0])].into_iter().find_map(|(product, other)| {
            let alone = graph.node(product).op == Op::Dot && users[product.0 as usize] == 1;
            Some(Epilogue { product, row: row_of(graph, other).filter(|_| alone)? })
        });
        epilogues[id.0 as usize] = found;
    }
    epilogues
}

/// The row in memory that an operand repeats.
fn row_of(graph: &Graph, repeated: NodeId) -> Option<NodeId> {
    let Node { op: Op::View(View::Expand), inputs, shape, .. } = graph.node(repeated) else { return None };
    let row = inputs[0];
    let (columns, outer) = graph.node(row).shape.split_last()?;
    let is_row = *columns != Dim::One && shape.last() == Some(columns) && outer.iter().all(|dim| *dim == Dim::One);
    let mut base = row;
    while let Node { op: Op::View(_), inputs, .. } = graph.node(base) {
        base = inputs[0];
    }
    let stored = matches!(graph.node(base).op, Op::Input(_) | Op::Concat { .. } | Op::Dot | Op::Call(_));
    (is_row && stored).then_some(row)
}

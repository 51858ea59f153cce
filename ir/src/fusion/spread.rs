//! Sums of squared distances from a mean, `sum((x - mean(x))^2)`, as variances record them. A region over outer axes takes no other
//! users of its reductions in, but it takes these: the kernel pass `split-reductions` computes them in one read.

use crate::{
    fusion::{
        cost::{self, Cost},
        facts::reduced_extents,
    },
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    ops::ScalarOp,
    shape::SymShape,
};

/// For each node that stands between `x` and the distance in such a sum (the mean, and the sum that it is computed from), the
/// extents that are folded.
pub(super) fn centres(graph: &Graph, uniform: &[bool], costs: &[Cost]) -> Vec<Option<SymShape>> {
    let mut centres = vec![None; graph.len()];
    for (_, node) in graph.iter() {
        if let Some((mean, total)) = centre_of(graph, uniform, costs, node) {
            let extents = reduced_extents(graph, node);
            centres[mean.0 as usize] = Some(extents.clone());
            centres[total.0 as usize] = Some(extents);
        }
    }
    centres
}

/// The mean and the sum of a sum of squared distances.
fn centre_of(graph: &Graph, uniform: &[bool], costs: &[Cost], node: &Node) -> Option<(NodeId, NodeId)> {
    let sum_of = |id: NodeId| match graph.node(id) {
        Node { op: Op::Reduce { op: ScalarOp::Add, axes }, inputs, dtype, .. } if dtype.is_float() => {
            Some((axes, inputs[0]))
        }
        _ => None,
    };
    let operands = |id: NodeId, op: ScalarOp| match graph.node(id) {
        Node { op: Op::Map(found), inputs, .. } if *found == op => Some([inputs[0], inputs[1]]),
        _ => None,
    };
    let Node { op: Op::Reduce { op: ScalarOp::Add, axes }, inputs, .. } = node else { return None };
    let [distance, same] = operands(inputs[0], ScalarOp::Multiply)?;
    let [x, centre] = operands(distance, ScalarOp::Subtract).filter(|_| distance == same)?;
    let Node { op: Op::View(View::Expand), inputs, .. } = graph.node(centre) else { return None };
    let mean = inputs[0];
    let [total, count] = operands(mean, ScalarOp::Divide).or_else(|| operands(mean, ScalarOp::Multiply))?;
    // `x` is computed twice.
    let cheap = cost::recompute_in_row(costs[x.0 as usize], graph.node(x).dtype, true)
        && cost::recompute_in_row(costs[x.0 as usize], graph.node(x).dtype, false);
    (sum_of(total) == Some((axes, x)) && uniform[count.0 as usize] && cheap).then_some((mean, total))
}

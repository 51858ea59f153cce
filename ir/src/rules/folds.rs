//! Rules on reductions, scans and joins.

use super::{splat, view_of};
use crate::{
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    ops::ScalarOp as S,
    shape::{Axes, Dim},
};
use smallvec::SmallVec;

type Rewritten = Option<NodeId>;

fn reduction(g: &Graph, id: NodeId) -> Option<(S, Axes, NodeId)> {
    let node = g.node(id);
    match &node.op {
        Op::Reduce { op, axes } => Some((*op, axes.clone(), node.inputs[0])),
        _ => None,
    }
}

pub(super) fn reduce_nothing(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, axes, x) = reduction(g, id)?;
    let operand = g.node(x);
    if !axes.iter().any(|&axis| operand.shape[axis as usize] == Dim::Zero) {
        return None;
    }
    let unit = op.unit(operand.dtype)?;
    splat(g, id, unit)
}

pub(super) fn reduce_fewer_axes(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, axes, x) = reduction(g, id)?;
    let operand = g.node(x);
    let needed: Axes = axes.iter().copied().filter(|&axis| operand.shape[axis as usize] != Dim::One).collect();
    if needed.len() == axes.len() {
        return None;
    }
    if !needed.is_empty() {
        return Some(g.reduce(op, x, needed));
    }
    // A fold of one element is that element, but for the sum of one -0.0.
    (op != S::Add || !operand.dtype.is_float()).then_some(x)
}

pub(super) fn reduce_once(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, mut axes, middle) = reduction(g, id)?;
    let (inner_op, inner_axes, x) = reduction(g, middle)?;
    if op != inner_op || !op.row().associative.holds(g.node(id).dtype) {
        return None;
    }
    axes.extend(inner_axes);
    axes.sort_unstable();
    axes.dedup();
    Some(g.reduce(op, x, axes))
}

pub(super) fn reduce_before_expand(g: &mut Graph, id: NodeId) -> Rewritten {
    let (op, axes, middle) = reduction(g, id)?;
    let (View::Expand, x) = view_of(g, middle)? else { return None };
    let repeated: Axes = axes.iter().copied().filter(|&a| is_repeated(g, x, middle, a)).collect();
    if repeated.is_empty() || !op.row().idempotent.holds(g.node(id).dtype) {
        return None;
    }
    // The axes that were repeated become 1 again; the others stay expanded.
    let mut shape = g.node(middle).shape.clone();
    for &axis in &repeated {
        shape[axis as usize] = Dim::One;
    }
    let expanded = g.view(View::Expand, x, shape);
    let rest: Axes = axes.iter().copied().filter(|a| !repeated.contains(a)).collect();
    Some(if rest.is_empty() { expanded } else { g.reduce(op, expanded, rest) })
}

/// Does the expand repeat the axis, at least twice?
fn is_repeated(g: &Graph, from: NodeId, to: NodeId, axis: u8) -> bool {
    let axis = axis as usize;
    g.node(from).shape[axis] == Dim::One && matches!(g.node(to).shape[axis], Dim::Sym(_))
}

pub(super) fn scan_one(g: &mut Graph, id: NodeId) -> Rewritten {
    let node = g.node(id);
    let Op::Scan { op, axis } = node.op else { return None };
    let exact = op != S::Add || !node.dtype.is_float();
    let short = matches!(node.shape[axis as usize], Dim::Zero | Dim::One);
    (exact && short).then(|| node.inputs[0])
}

pub(super) fn join_fewer(g: &mut Graph, id: NodeId) -> Rewritten {
    let node = g.node(id);
    let Op::Concat { axis } = node.op else { return None };
    if let [x] = node.inputs[..] {
        return Some(x);
    }
    let mut operands: SmallVec<[NodeId; 3]> = SmallVec::new();
    for &x in &node.inputs {
        let operand = g.node(x);
        match operand.op {
            Op::Concat { axis: inner } if inner == axis => operands.extend_from_slice(&operand.inputs),
            _ if operand.shape[axis as usize] == Dim::Zero => {}
            _ => operands.push(x),
        }
    }
    if operands.is_empty() {
        operands.push(node.inputs[0]);
    }
    if operands == node.inputs {
        return None;
    }
    if let [x] = operands[..] {
        return (g.node(x).shape == node.shape).then_some(x);
    }
    let node = Node { inputs: operands, ..node.clone() };
    Some(g.add(node))
}

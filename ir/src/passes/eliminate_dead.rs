//! Keeps what the roots reach, once: dead nodes go, and nodes that differ only in the order of commutative operands merge.

use crate::{
    graph::{Graph, Node},
    node::Op,
    pass::{Pass, rebuild},
    rules::constant_of,
};
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass = Pass {
    name: "eliminate-dead",
    doc: "Keeps what the results need, each value once, commutative operands in one order.",
    run: |graph| {
        Cow::Owned(rebuild(graph, |new, node| {
            let node = ordered(new, node);
            new.add(node)
        }))
    },
};

/// The node with commutative operands in the order of their ids, constants last.
fn ordered(graph: &Graph, mut node: Node) -> Node {
    if let Op::Map(op) = node.op
        && op.row().arity == 2
        && op.row().commutative.holds(graph.node(node.inputs[0]).dtype)
    {
        node.inputs.sort_by_key(|&id| (constant_of(graph, id).is_some(), id));
    }
    node
}

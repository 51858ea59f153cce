//! Replaces composite ops by their bodies (`composite.rs`), so that no later stage sees one.

use crate::{
    dtype::DType,
    emit::{Emit, V},
    graph::{Graph, NodeId},
    node::{GraphForm, Op},
    ops::{Class, ScalarOp},
    pass::{Pass, rebuild},
    scalar::Scalar,
    shape::SymShape,
};
use smallvec::SmallVec;
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass = Pass {
    name: "expand-composites",
    doc: "Replaces composite ops by their bodies.",
    run: |graph| {
        let composite = |op: &Op<GraphForm>| match op {
            Op::Map(op) if matches!(op.row().class, Class::Composite(_)) => Some(*op),
            _ => None,
        };
        if !graph.iter().any(|(_, node)| composite(&node.op).is_some()) {
            return Cow::Borrowed(graph);
        }
        Cow::Owned(rebuild(graph, |new, node| match composite(&node.op) {
            Some(op) => {
                let operands: SmallVec<[V; 3]> = node.inputs.iter().map(|i| V(i.0)).collect();
                NodeId(GraphEmit { graph: new, shape: node.shape }.op(op, &operands).0)
            }
            None => new.add(node),
        }))
    },
};

/// Builds scalar code as nodes of one shape; composites are expanded on the way.
pub struct GraphEmit<'g> {
    /// Where the nodes go. A [`V`] has the number of its [`NodeId`].
    pub graph: &'g mut Graph,
    /// The shape of every value.
    pub shape: SymShape,
}

impl Emit for GraphEmit<'_> {
    fn constant(&mut self, value: Scalar) -> V {
        let constant = self.graph.constant(value);
        V(self.graph.broadcast(constant, &self.shape).0)
    }

    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V {
        match op.row().class {
            Class::Composite(body) => body(self, operands),
            Class::Primitive | Class::Maths | Class::Parts => {
                let operands: SmallVec<[NodeId; 3]> = operands.iter().map(|v| NodeId(v.0)).collect();
                V(self.graph.map(op, &operands).0)
            }
        }
    }

    fn cast(&mut self, to: DType, value: V) -> V {
        V(self.graph.cast(to, NodeId(value.0)).0)
    }

    fn dtype(&self, value: V) -> DType {
        self.graph.node(NodeId(value.0)).dtype
    }
}

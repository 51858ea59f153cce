//! Gets reshapes that merge axes out of the way of fusion. Every other view is an affine index map, which fusion looks
//! through wherever it stands; a reshape that merges axes is one only on top of an array in memory whose axes lie one inside
//! the other. So such a reshape is pushed up through element-wise nodes when all leaves above are such arrays, and the
//! nodes in between have no other user (nothing is computed twice). Elsewhere it stays, and fusion stores its operand.
//!
//! An input that would have to be copied for a reshape gets a permutation that permutes nothing: the copy is a node.

use crate::{
    fusion::{
        cost::REGION_LIMIT,
        index::{is_affine, reshape_groups},
        strided::Strided,
    },
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    pass::Pass,
    shape::{Dim, SymShape},
};
use smallvec::SmallVec;

/// See the head of this file.
pub const PASS: Pass =
    Pass { name: "hoist-views", doc: "Pushes reshapes that merge axes up to arrays in memory.", run: hoist_views };

fn hoist_views(graph: &Graph) -> Graph {
    let mut hoister = Hoister {
        graph,
        new: graph.emptied(),
        renamed: vec![None; graph.len()],
        strided: vec![None; graph.len()],
        uses: vec![0; graph.len()],
    };
    let reached = graph.reached();
    for id in reached.iter().flat_map(|&id| &graph.node(id).inputs).chain(&graph.roots) {
        hoister.uses[id.0 as usize] += 1;
    }
    for id in reached {
        let new = hoister.rewrite(id);
        hoister.renamed[id.0 as usize] = Some(new);
    }
    let roots = graph.roots.iter().map(|&root| hoister.at(root)).collect();
    hoister.new.roots = roots;
    hoister.new
}

struct Hoister<'a> {
    graph: &'a Graph,
    new: Graph,
    renamed: Vec<Option<NodeId>>,
    /// The strides of the nodes that are views of inputs or of nodes that are always stored.
    strided: Vec<Option<Strided>>,
    uses: Vec<u32>,
}

impl Hoister<'_> {
    fn at(&self, id: NodeId) -> NodeId {
        self.renamed[id.0 as usize].expect("operands come first")
    }

    fn rewrite(&mut self, id: NodeId) -> NodeId {
        let graph = self.graph;
        let node = graph.node(id);
        self.strided[id.0 as usize] = self.strides(node);
        if let Op::View(View::Reshape) = node.op
            && self.strided[id.0 as usize].is_none()
            && !is_affine(node, graph.node(node.inputs[0]))
        {
            let operand = node.inputs[0];
            if self.can_push(operand, &node.shape, 0) {
                return self.push(operand, &node.shape);
            }
            if matches!(graph.node(operand).op, Op::Input(_)) {
                let axes = (0..graph.node(operand).shape.len() as u8).collect();
                let new_operand = self.at(operand);
                let copy = self.new.permute(new_operand, axes);
                return self.new.view(View::Reshape, copy, node.shape.clone());
            }
        }
        let inputs = node.inputs.iter().map(|&i| self.at(i)).collect();
        self.new.add(Node { inputs, ..node.clone() })
    }

    fn strides(&self, node: &Node) -> Option<Strided> {
        match &node.op {
            Op::Input(input) => Some(Strided::input(*input, &self.graph.inputs[input.0 as usize])),
            Op::Concat { .. } | Op::Dot => Some(Strided::dense(&node.shape)),
            Op::View(view) => {
                let operand = node.inputs[0];
                let strided = self.strided[operand.0 as usize].as_ref()?;
                strided.view(view, &self.graph.node(operand).shape, &node.shape)
            }
            Op::Const(_)
            | Op::Param(_)
            | Op::Iota { .. }
            | Op::Map(_)
            | Op::Cast
            | Op::Reduce { .. }
            | Op::Scan { .. } => None,
        }
    }

    /// Is the node, reshaped, made of affine loads only?
    fn can_push(&self, id: NodeId, to: &SymShape, depth: usize) -> bool {
        let node = self.graph.node(id);
        if let Some(strided) = &self.strided[id.0 as usize] {
            return strided.view(&View::Reshape, &node.shape, to).is_some();
        }
        match &node.op {
            Op::Const(_) | Op::Param(_) => true,
            Op::Map(_) | Op::Cast => {
                let inside = self.uses[id.0 as usize] == 1 && depth < REGION_LIMIT;
                inside && node.inputs.iter().all(|&i| self.can_push(i, to, depth + 1))
            }
            Op::View(view) => {
                // One reshape after another is one.
                let again = matches!(view, View::Reshape) && self.uses[id.0 as usize] == 1 && depth < REGION_LIMIT;
                splits(&node.shape, to)
                    || self.scalar_below(id).is_some()
                    || again && self.can_push(node.inputs[0], to, depth + 1)
            }
            Op::Input(_) | Op::Iota { .. } | Op::Reduce { .. } | Op::Scan { .. } | Op::Concat { .. } | Op::Dot => {
                splits(&node.shape, to)
            }
        }
    }

    /// What a chain of views of something 0-d is a view of.
    fn scalar_below(&self, mut id: NodeId) -> Option<NodeId> {
        while let Node { op: Op::View(View::Reshape | View::Expand), inputs, .. } = self.graph.node(id) {
            id = inputs[0];
        }
        self.graph.node(id).shape.is_empty().then_some(id)
    }

    /// The node reshaped; only after `can_push`.
    fn push(&mut self, id: NodeId, to: &SymShape) -> NodeId {
        let graph = self.graph;
        let node = graph.node(id);
        if self.strided[id.0 as usize].is_none() {
            match &node.op {
                Op::Map(_) | Op::Cast => {
                    let inputs: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&i| self.push(i, to)).collect();
                    return self.new.add(Node { inputs, shape: to.clone(), ..node.clone() });
                }
                Op::View(_) => {
                    if let Some(scalar) = self.scalar_below(id) {
                        let scalar = self.at(scalar);
                        return self.new.broadcast(scalar, to);
                    }
                    if !splits(&node.shape, to) {
                        return self.push(node.inputs[0], to);
                    }
                }
                _ => {}
            }
        }
        let operand = self.at(id);
        self.new.view(View::Reshape, operand, to.clone())
    }
}

/// Does a reshape only split axes? Then it is an affine index map.
fn splits(from: &[Dim], to: &[Dim]) -> bool {
    reshape_groups(from, to).iter().all(|group| group.from.len() <= 1)
}

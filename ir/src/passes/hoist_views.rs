//! Gets reshapes that merge axes out of the way of fusion. Every other view is an affine index map, which fusion looks
//! through wherever it stands; a reshape that merges axes is one only on top of an array in memory whose axes lie one inside
//! the other. So such a reshape is pushed up through element-wise nodes when all leaves above are such arrays, and the
//! nodes in between have no other user (nothing is computed twice). Elsewhere it stays, and fusion stores its operand.
//!
//! An input that would have to be copied for a reshape gets a permutation that permutes nothing: the copy is a node.

use crate::{
    fusion::{
        cost::Limits,
        index::{is_affine, reshape_groups},
        strided::Strided,
    },
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    pass::Pass,
    shape::{Dim, SymShape},
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass =
    Pass { name: "hoist-views", doc: "Pushes reshapes that merge axes up to arrays in memory.", run: hoist_views };

fn hoist_views(graph: &Graph) -> Cow<'_, Graph> {
    let merges = |node: &Node| node.op == Op::View(View::Reshape) && !is_affine(node, graph.node(node.inputs[0]));
    if !graph.iter().any(|(_, node)| merges(node)) {
        return Cow::Borrowed(graph);
    }
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
    Cow::Owned(hoister.new)
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
            if self.can_push(operand, &node.shape) {
                return self.push(operand, &node.shape, &mut FxHashMap::default());
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
            Op::Concat { .. } | Op::Dot | Op::Call(_) => Some(Strided::dense(&node.shape)),
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
            | Op::Scan { .. }
            | Op::Gather => None,
        }
    }

    /// Can the node be reshaped by reshaping arrays in memory instead? Everything in between has to be used there only.
    fn can_push(&self, top: NodeId, to: &SymShape) -> bool {
        let mut uses_here: FxHashMap<NodeId, u32> = FxHashMap::default();
        let mut stack = vec![top];
        uses_here.insert(top, 1);
        let mut between = Vec::new();
        while let Some(id) = stack.pop() {
            match self.step(id, to) {
                Step::No => return false,
                Step::Here => {}
                Step::Above => {
                    between.push(id);
                    for &operand in &self.graph.node(id).inputs {
                        let uses = uses_here.entry(operand).or_insert(0);
                        *uses += 1;
                        if *uses == 1 {
                            stack.push(operand);
                        }
                    }
                }
            }
            if between.len() > Limits::CPU.region {
                return false;
            }
        }
        between.iter().all(|id| uses_here[id] == self.uses[id.0 as usize])
    }

    /// Where the reshape of a node goes.
    fn step(&self, id: NodeId, to: &SymShape) -> Step {
        let node = self.graph.node(id);
        let here = |fits| if fits { Step::Here } else { Step::No };
        if let Some(strided) = &self.strided[id.0 as usize] {
            return here(strided.view(&View::Reshape, &node.shape, to).is_some());
        }
        match &node.op {
            _ if self.scalar_below(id).is_some() || splits(&node.shape, to) => Step::Here,
            // One reshape after another is one.
            Op::Map(_) | Op::Cast | Op::View(View::Reshape) => Step::Above,
            Op::Const(_)
            | Op::Param(_)
            | Op::Input(_)
            | Op::Iota { .. }
            | Op::View(_)
            | Op::Reduce { .. }
            | Op::Scan { .. }
            | Op::Concat { .. }
            | Op::Gather
            | Op::Dot
            | Op::Call(_) => Step::No,
        }
    }

    /// What a chain of views of something 0-d is a view of.
    fn scalar_below(&self, mut id: NodeId) -> Option<NodeId> {
        while let Node { op: Op::View(View::Reshape | View::Expand), inputs, .. } = self.graph.node(id) {
            id = inputs[0];
        }
        self.graph.node(id).shape.is_empty().then_some(id)
    }

    /// The node reshaped; only after `can_push`. `pushed` has what is reshaped already.
    fn push(&mut self, id: NodeId, to: &SymShape, pushed: &mut FxHashMap<NodeId, NodeId>) -> NodeId {
        if let Some(&known) = pushed.get(&id) {
            return known;
        }
        let graph = self.graph;
        let node = graph.node(id);
        let new = match (self.step(id, to), self.scalar_below(id)) {
            (Step::Above, _) if matches!(node.op, Op::View(_)) => self.push(node.inputs[0], to, pushed),
            (Step::Above, _) => {
                let inputs: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&i| self.push(i, to, pushed)).collect();
                self.new.add(Node { inputs, shape: to.clone(), ..node.clone() })
            }
            (_, Some(scalar)) if self.strided[id.0 as usize].is_none() => {
                let scalar = self.at(scalar);
                self.new.broadcast(scalar, to)
            }
            _ => {
                let operand = self.at(id);
                self.new.view(View::Reshape, operand, to.clone())
            }
        };
        pushed.insert(id, new);
        new
    }
}

/// What to do with a node that is to be reshaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Reshape it: that is an affine index map.
    Here,
    /// Reshape its operands.
    Above,
    /// Neither is possible.
    No,
}

/// Does a reshape only split axes? Then it is an affine index map.
fn splits(from: &[Dim], to: &[Dim]) -> bool {
    reshape_groups(from, to).iter().all(|group| group.from.len() <= 1)
}

//! The captured graph: a short-lived, hash-consed arena on which passes work. Symbolic, strict (explicit casts and
//! expands), and the same for every size. Lazy nodes, which users hold, are `lazy.rs`; capturing them is `capture.rs`.

use crate::{
    dtype::DType,
    node::{GraphForm, Op},
    shape::SymShape,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Index into a graph's nodes. Operands always have smaller ids than the node itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u32);

/// A node of the arena.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op<GraphForm>,
    /// The operands.
    pub inputs: SmallVec<[NodeId; 3]>,
    /// The result's dtype.
    pub dtype: DType,
    /// The result's extents.
    pub shape: SymShape,
}

/// How an input's axes are laid out, as far as code depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stride {
    /// Every index is the same element.
    Zero,
    /// Neighbouring indices are neighbouring elements.
    One,
    /// Known when the plan runs.
    Dynamic,
}

/// What a plan may assume of an input's memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Layout {
    /// Dense, row-major.
    Contiguous,
    /// Strided; one entry an axis (axes of extent 1 are `Zero`).
    Strided(SmallVec<[Stride; 4]>),
}

/// An input of the graph.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InputDecl {
    /// Its dtype.
    pub dtype: DType,
    /// Its extents.
    pub shape: SymShape,
    /// Its memory.
    pub layout: Layout,
}

/// A captured graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    interned: FxHashMap<Node, NodeId>,
    /// The inputs, by `InputId`.
    pub inputs: Vec<InputDecl>,
    /// The scalar parameters' dtypes, by `ParamId`.
    pub params: Vec<DType>,
    /// How many symbols there are.
    pub symbols: u32,
    /// The results, in order.
    pub roots: Vec<NodeId>,
}

impl Graph {
    /// Adds a node, or finds the equal one. The caller has worked out dtype and shape (`infer.rs`).
    pub fn add(&mut self, node: Node) -> NodeId {
        debug_assert!(node.inputs.iter().all(|i| (i.0 as usize) < self.nodes.len()));
        let next = NodeId(self.nodes.len() as u32);
        match self.interned.entry(node) {
            std::collections::hash_map::Entry::Occupied(entry) => *entry.get(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.nodes.push(entry.key().clone());
                entry.insert(next);
                next
            }
        }
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Every node with its id, operands first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> + ExactSizeIterator {
        self.nodes.iter().enumerate().map(|(i, n)| (NodeId(i as u32), n))
    }

    /// How many nodes there are, dead ones included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Is there no node?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A graph without nodes and roots but with the same inputs, parameters and symbols: where a pass starts.
    pub fn emptied(&self) -> Graph {
        Graph { inputs: self.inputs.clone(), params: self.params.clone(), symbols: self.symbols, ..Graph::default() }
    }
}

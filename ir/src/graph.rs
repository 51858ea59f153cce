//! The captured graph: a short-lived, hash-consed arena on which passes work. Symbolic, strict (explicit casts and
//! expands), and the same for every size. Lazy nodes, which users hold, are `lazy.rs`; capturing them is `capture.rs`.

use crate::{
    dtype::DType,
    infer,
    node::{GraphForm, InputId, Op, ParamId, View},
    ops::ScalarOp,
    routine::Routine,
    scalar::Scalar,
    shape::{Axes, Dim, SymShape},
};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
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
    nodes: IndexSet<Node, FxBuildHasher>,
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
        NodeId(self.nodes.insert_full(node).0 as u32)
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

/// Typed construction: each method works out the node's dtype and shape. Operands must fit, as `infer::check` says.
impl Graph {
    fn typed(&mut self, op: Op<GraphForm>, inputs: &[NodeId], dtype: DType, shape: SymShape) -> NodeId {
        if cfg!(debug_assertions) {
            let operands: Vec<(DType, &[Dim])> =
                inputs.iter().map(|&i| (self.node(i).dtype, self.node(i).shape.as_slice())).collect();
            if let Err(mismatch) = infer::check(&op, &operands, dtype, &shape) {
                panic!("{op:?} on {operands:?} as {dtype} {shape:?}: {mismatch}");
            }
        }
        self.add(Node { op, inputs: inputs.into(), dtype, shape })
    }

    /// An input leaf.
    pub fn input(&mut self, id: InputId) -> NodeId {
        let InputDecl { dtype, shape, .. } = self.inputs[id.0 as usize].clone();
        self.typed(Op::Input(id), &[], dtype, shape)
    }

    /// A 0-d constant.
    pub fn constant(&mut self, value: Scalar) -> NodeId {
        self.typed(Op::Const(value), &[], value.dtype(), SymShape::new())
    }

    /// A 0-d scalar parameter.
    pub fn param(&mut self, id: ParamId) -> NodeId {
        let dtype = self.params[id.0 as usize];
        self.typed(Op::Param(id), &[], dtype, SymShape::new())
    }

    /// Indices along an axis.
    pub fn iota(&mut self, axis: u8, shape: SymShape) -> NodeId {
        self.typed(Op::Iota { axis }, &[], DType::I64, shape)
    }

    /// A scalar op on operands of one shape.
    pub fn map(&mut self, op: ScalarOp, operands: &[NodeId]) -> NodeId {
        let dtypes: SmallVec<[DType; 3]> = operands.iter().map(|&i| self.node(i).dtype).collect();
        let dtype = op.result_dtype(&dtypes).expect("the op-table row accepts the operands");
        let shape = self.node(operands[0]).shape.clone();
        self.typed(Op::Map(op), operands, dtype, shape)
    }

    /// A conversion; the operand itself when it has the dtype already.
    pub fn cast(&mut self, to: DType, operand: NodeId) -> NodeId {
        if self.node(operand).dtype == to {
            return operand;
        }
        let shape = self.node(operand).shape.clone();
        self.typed(Op::Cast, &[operand], to, shape)
    }

    /// A view with a given result shape: reshape, expand, slice. The operand itself when nothing changes.
    pub fn view(&mut self, view: View<GraphForm>, operand: NodeId, shape: SymShape) -> NodeId {
        let same = self.node(operand).shape == shape;
        if same && matches!(view, View::Reshape | View::Expand) {
            return operand;
        }
        let dtype = self.node(operand).dtype;
        self.typed(Op::View(view), &[operand], dtype, shape)
    }

    /// A permutation of axes.
    pub fn permute(&mut self, operand: NodeId, axes: Axes) -> NodeId {
        let shape = infer::permuted(&self.node(operand).shape, &axes);
        self.view(View::Permute(axes), operand, shape)
    }

    /// NumPy's broadcasting: leading axes of extent 1, then expansion.
    pub fn broadcast(&mut self, operand: NodeId, shape: &SymShape) -> NodeId {
        let from = &self.node(operand).shape;
        let mut aligned: SymShape = SymShape::from_elem(Dim::One, shape.len() - from.len());
        aligned.extend(from.iter().copied());
        let aligned = self.view(View::Reshape, operand, aligned);
        self.view(View::Expand, aligned, shape.clone())
    }

    /// A reduction.
    pub fn reduce(&mut self, op: ScalarOp, operand: NodeId, axes: Axes) -> NodeId {
        let node = self.node(operand);
        let (dtype, shape) = (node.dtype, infer::reduced(&node.shape, &axes));
        self.typed(Op::Reduce { op, axes }, &[operand], dtype, shape)
    }

    /// A running fold.
    pub fn scan(&mut self, op: ScalarOp, operand: NodeId, axis: u8) -> NodeId {
        let Node { dtype, shape, .. } = self.node(operand).clone();
        self.typed(Op::Scan { op, axis }, &[operand], dtype, shape)
    }

    /// Operands one after another; `shape` has the summed extent.
    pub fn concat(&mut self, axis: u8, operands: &[NodeId], shape: SymShape) -> NodeId {
        let dtype = self.node(operands[0]).dtype;
        self.typed(Op::Concat { axis }, operands, dtype, shape)
    }

    /// Elements at computed positions: of an array `[s..., e...]` at indices `[s...]`, one for each of the axes `e`.
    pub fn gather(&mut self, array: NodeId, indices: &[NodeId]) -> NodeId {
        let (dtype, shape) = (self.node(array).dtype, self.node(indices[0]).shape.clone());
        let inputs: SmallVec<[NodeId; 3]> = std::iter::once(array).chain(indices.iter().copied()).collect();
        self.typed(Op::Gather, &inputs, dtype, shape)
    }

    /// A batched matrix product.
    pub fn dot(&mut self, left: NodeId, right: NodeId) -> NodeId {
        let shape = infer::product(&self.node(left).shape, &self.node(right).shape);
        let dtype = self.node(left).dtype;
        self.typed(Op::Dot, &[left, right], dtype, shape)
    }

    /// A call; the caller says the result array's dtype and shape.
    pub fn call(&mut self, routine: Routine, operands: &[NodeId], dtype: DType, shape: SymShape) -> NodeId {
        self.typed(Op::Call(routine), operands, dtype, shape)
    }
}

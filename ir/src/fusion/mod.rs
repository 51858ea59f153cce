//! Fusion: cuts a graph into regions, each of which becomes one kernel (or one library call). Decides *what is computed
//! together and what is stored*; loops and code are `fusewire-lowering`'s.
//!
//! A region has loop variables, a row (the variables of the loops inside an item; the others number the parallel items)
//! and outputs. Everything else follows by pulling: an output's element at its indices needs its operands' elements at
//! indices affine in the variables, and so on down to arrays in memory. A reduction in a region folds over the row. A node
//! that several regions pull is computed in each of them; a node that is stored is loaded by all regions but its home.
//!
//! - `facts.rs`: which nodes must be in memory, which views are free;
//! - `pieces.rs`: where long chains of element-wise nodes are cut;
//! - `epilogue.rs`: sums that are computed with the matrix product below them;
//! - `spread.rs`: variances, whose means are computed where they are used;
//! - `cost.rs`: every figure of the cost model;
//! - `grow.rs`: from the roots down, which region computes which node; `fit.rs`: can it; `draft.rs`: regions while they grow;
//! - `order.rs`: in which order the regions run;
//! - `index.rs`, `strided.rs`, `poly.rs`: index maps, strides, and the integers in them;
//! - `text.rs`: the readable form.
//!
//! Invariants of a partition: each root is a view of an input or of a stored node; each stored node has a home; regions are
//! in an order in which homes come before readers; the reductions in a region fold extents equal to its row's.

pub mod cost;
mod draft;
mod epilogue;
mod facts;
mod fit;
mod grow;
pub mod index;
mod order;
mod pieces;
pub mod poly;
mod spread;
pub mod strided;
mod text;

use crate::{
    fusion::{
        cost::Limits,
        index::{Indices, Var},
        strided::Strided,
    },
    graph::{Graph, NodeId},
    shape::SymShape,
};
use smallvec::SmallVec;

/// Cuts the graph into regions of at most so much.
pub fn partition(graph: &Graph, limits: Limits) -> Partition {
    order::finish(grow::grow(graph, limits))
}

/// A graph cut into regions.
#[derive(Clone, PartialEq, Debug)]
pub struct Partition {
    /// In an order in which they can run.
    pub regions: Vec<Region>,
    /// The regions that store a node, by node: several for the parts of a concatenation, none for what is not stored.
    pub homes: Vec<SmallVec<[RegionId; 1]>>,
    /// Why a stored node is stored, by node.
    pub why: Vec<Option<Why>>,
    /// The array in memory that a node is a strided view of, by node. Loads go there, unless the node is stored itself.
    pub access: Vec<Option<Access>>,
    /// Is the node the same at every index?, by node.
    pub uniform: Vec<bool>,
    /// Where each root is found.
    pub results: Vec<ResultView>,
}

/// Index into [`Partition::regions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RegionId(pub u32);

/// A strided view of an array in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// An input or a stored node.
    pub base: NodeId,
    /// Which elements of it.
    pub strided: Strided,
}

/// Where a root is: all or part of an input or of a stored node.
pub type ResultView = Access;

/// What becomes one step of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct Region {
    /// What it does.
    pub body: Body,
    /// The nodes it computes, in the order of the graph. Views are not computed.
    pub members: Vec<NodeId>,
    /// The inputs and stored nodes it reads, in the order of the graph.
    pub reads: Vec<NodeId>,
}

/// What a region does.
#[expect(clippy::large_enum_variant, reason = "most are nests, and there are few regions")]
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Loops: a kernel.
    Nest(Nest),
    /// A library call: a matrix product or another routine.
    Call {
        /// The node that is stored.
        node: NodeId,
        /// What is taken: the operands of the node; left, right and the row of a product with one.
        takes: SmallVec<[NodeId; 2]>,
        /// Where each of them is.
        operands: SmallVec<[Access; 2]>,
    },
}

/// Loops around what the outputs pull.
#[derive(Clone, PartialEq, Debug)]
pub struct Nest {
    /// The extents of the variables.
    pub vars: SymShape,
    /// The variables of the loops inside an item, outermost first. The others are the items'.
    pub row: SmallVec<[Var; 2]>,
    /// What is stored.
    pub outputs: Vec<Output>,
}

/// What a region stores.
#[derive(Clone, PartialEq, Debug)]
pub struct Output {
    /// The stored node.
    pub node: NodeId,
    /// The whole of it, or the operand of this number of a concatenation.
    pub part: Option<usize>,
    /// The element (of the node, or of the part) that the variables stand for.
    pub at: Indices,
}

/// Why a node is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It is a result, or what results are views of.
    Root,
    /// A reshape of it merges axes that do not lie one inside the other.
    Reshape,
    /// It is a matrix product.
    Product,
    /// It is an operand of a matrix product.
    ProductOperand,
    /// Elements of it are taken at computed indices.
    Gathered,
    /// It is the result of a routine.
    Call,
    /// It is an operand of a routine.
    CallOperand,
    /// It is a concatenation.
    Concat,
    /// This many regions use it, and computing it in each would cost more.
    Regions(u32),
    /// One region uses it at this many places, and computing it for each would cost more.
    Shifts(u32),
    /// A larger array needs each of its elements many times, and computing it each time would cost more.
    Broadcast,
    /// Its reduction cannot be taken row by row where it is used.
    NotByRows,
    /// Its running fold is not used in the order in which it runs.
    NotInOrder,
    /// The region that uses it is as large as a region may be, or computes another piece of a long chain.
    Full,
}

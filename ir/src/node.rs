//! What a node can be. The same few structural operations serve both forms of the IR: `Lazy` nodes that users hold
//! (concrete integers) and the captured `Graph` (symbolic integers, numbered inputs and parameters).

use crate::{
    ops::ScalarOp,
    routine::Routine,
    scalar::Scalar,
    shape::{Axes, Int},
};
use smallvec::SmallVec;
use std::{fmt::Debug, hash::Hash};

/// The associated types in which the two forms differ.
pub trait Form: Copy + Clone + Debug + PartialEq + Eq + Hash + 'static {
    /// A slice's start or step.
    type Int: Copy + Debug + PartialEq + Eq + Hash;
    /// What an input leaf carries.
    type Input: Copy + Debug + PartialEq + Eq + Hash;
    /// What a scalar parameter leaf carries.
    type Param: Copy + Debug + PartialEq + Eq + Hash;
}

/// Lazy nodes: integers and parameter values are concrete; an input's buffer is in the node's slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LazyForm;
impl Form for LazyForm {
    type Int = i64;
    type Input = ();
    type Param = Scalar;
}

/// Captured graphs: integers are symbols; inputs and parameters are numbered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GraphForm;
impl Form for GraphForm {
    type Int = Int;
    type Input = InputId;
    type Param = ParamId;
}

/// The number of an input of a captured graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InputId(pub u32);

/// The number of a scalar parameter of a captured graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ParamId(pub u32);

/// A node's operation. The node around it has the operands, the result's dtype and its shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op<F: Form> {
    /// An array that already has a buffer.
    Input(F::Input),
    /// A 0-d constant that is part of the structure: another value is another graph.
    Const(Scalar),
    /// A 0-d scalar known when the plan runs (a Python number): another value is the same graph.
    Param(F::Param),
    /// int64 indices along `axis`: element `i` of that axis is `i`.
    Iota {
        /// The axis that counts.
        axis: u8,
    },
    /// One scalar op on operands of one shape.
    Map(ScalarOp),
    /// Conversion to the node's dtype; the rule is `reference::cast`.
    Cast,
    /// The same elements in another arrangement; one operand.
    View(View<F>),
    /// Fold of `axes` with an associative op, from its unit. The axes stay, with extent 1.
    Reduce {
        /// `Add Mul Min Max And Or`.
        op: ScalarOp,
        /// Ascending.
        axes: Axes,
    },
    /// Inclusive running fold along one axis.
    Scan {
        /// `Add` or `Mul`.
        op: ScalarOp,
        /// The axis.
        axis: u8,
    },
    /// The operands one after another along `axis`.
    Concat {
        /// The axis.
        axis: u8,
    },
    /// Elements at computed positions: operands are an array `[s..., e...]` and one int64 array `[s...]` for each of the
    /// axes `e`; the result at `s` is the array's element at `s` and, along `e`, at these indices. Negative ones count from
    /// the axis' end; one outside its axis is an IndexError when the element is computed, and reads nothing.
    Gather,
    /// Batched matrix product `[b..., m, k] x [b..., k, n] -> [b..., m, n]` of floats; equal batch extents.
    Dot,
    /// A routine of a library; operands of one dtype. See `routine.rs` for what its result array is.
    Call(Routine),
}

impl<F: Form> Op<F> {
    /// The name of the Python function that records it, or of one that users would recognise it by.
    pub fn public_name(&self) -> &'static str {
        match self {
            Op::Input(_) => "input",
            Op::Const(_) | Op::Param(_) => "scalar",
            Op::Iota { .. } => "arange",
            Op::Map(op) => op.row().name,
            Op::Cast => "astype",
            Op::View(View::Reshape) => "reshape",
            Op::View(View::Permute(_)) => "permute_dims",
            Op::View(View::Expand) => "broadcast_to",
            Op::View(View::Slice { .. }) => "slice",
            Op::Reduce { op, .. } => op.row().name,
            Op::Scan { op, .. } => op.row().name,
            Op::Concat { .. } => "concat",
            Op::Gather => "take",
            Op::Dot => "matmul",
            Op::Call(routine) => routine.public_name(),
        }
    }
}

/// How a view arranges its operand. The result's extents are the node's shape.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum View<F: Form> {
    /// Row-major renumbering to the node's shape.
    Reshape,
    /// Result axis `i` is operand axis `axes[i]`.
    Permute(Axes),
    /// Axes of extent 1 repeat to the node's extent; the rank stays.
    Expand,
    /// Result index `i` on axis `a` is operand index `starts[a] + i * steps[a]`; the rank stays. Flip is a step of -1.
    Slice {
        /// One start an axis.
        starts: SmallVec<[F::Int; 2]>,
        /// One step an axis, never 0.
        steps: SmallVec<[F::Int; 2]>,
    },
}

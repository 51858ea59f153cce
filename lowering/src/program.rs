//! What a captured graph compiles to: arrays, and steps that fill them. Still symbolic, so one program serves every size.
//! The runtime turns it into a plan (compiled kernels, lifetimes) and runs that with the sizes of the moment.

use crate::kernel::{IntExpr, IntId, Kernel};
use fusewire_ir::{
    dtype::DType,
    node::{InputId, ParamId},
    routine::Routine,
    shape::SymShape,
};
use smallvec::SmallVec;

/// Index into [`Program::arrays`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ArrayId(pub u32);

/// An array that exists in memory while the program runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArrayDecl {
    /// Its dtype.
    pub dtype: DType,
    /// Its extents.
    pub shape: SymShape,
    /// The graph's input it is (any strides); `None`: allocated by the plan, dense and row-major.
    pub input: Option<InputId>,
}

/// A strided view of an array, its integers computed by [`Program::ints`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StridedView {
    /// The array.
    pub array: ArrayId,
    /// Extents of the view.
    pub shape: SymShape,
    /// Elements from the array's element `[0, 0, ...]` to the view's; `None` is 0.
    pub offset: Option<IntId>,
    /// Elements from one index to the next, an entry an axis.
    pub strides: Vec<IntId>,
}

/// What a pointer argument of a kernel is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// An array: for the kernel's `Input` and `Output` buffers.
    Array(ArrayId),
    /// Memory for this launch only: for the kernel's `Temporary` buffers.
    Temporary,
    /// Nothing; the back end provides `Scratch`.
    Scratch,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Launch a kernel.
    Launch {
        /// What to compile and launch. Its `ints` refer to the graph's symbols and to its own input buffers' strides.
        kernel: Kernel,
        /// One entry a buffer of the kernel.
        arguments: Vec<Argument>,
        /// The graph's parameter behind each parameter of the kernel.
        params: Vec<ParamId>,
    },
    /// A batched matrix product into a dense array.
    Product {
        /// `[b..., m, k]`.
        left: StridedView,
        /// `[b..., k, n]`.
        right: StridedView,
        /// `[1..., n]`: what is added to each row of the product, if anything.
        row: Option<StridedView>,
        /// `[b..., m, n]`, allocated, dense.
        destination: ArrayId,
    },
    /// A routine of a library into a dense array.
    Call {
        /// Which.
        routine: Routine,
        /// What it takes.
        operands: SmallVec<[StridedView; 2]>,
        /// Its result array.
        destination: ArrayId,
    },
}

/// A compiled graph.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Every array.
    pub arrays: Vec<ArrayDecl>,
    /// In order. An array is written (possibly in parts, by several steps: concat) before it is read.
    pub steps: Vec<Step>,
    /// Integers of the strided views; `IntExpr::Stride { buffer, axis }` means array number `buffer` here.
    pub ints: Vec<IntExpr>,
    /// Where each root of the graph is found: a whole array or a view of one (then the result shares its memory).
    pub results: Vec<StridedView>,
}

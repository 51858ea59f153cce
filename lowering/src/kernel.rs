//! The kernel IR: loops over buffers, in SSA form. It says *what each element is and in which order sums are taken*, so
//! that the interpreter, the CPU and the GPU compute the same bits; it does not say which machine runs it.
//!
//! A kernel is a list of phases that run one after another. A phase is one parallel loop nest whose *items* may run in any
//! order on any thread; an item is a block of statements: serial and vector loops, loads, scalar ops, stores.
//!
//! Invariants, held by `verify.rs`: values are defined before use and only used inside the block (or a nested block of
//! it) that defines them, but for a loop's results; loop variables are used inside their loops; op operands have the dtypes
//! their row accepts; composites and float maths ops do not occur; no two items store to one element.

use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar, shape::SymId};
use smallvec::SmallVec;

/// Index into [`Kernel::values`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId(pub u32);

/// Index into [`Kernel::buffers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// Index into [`Kernel::ints`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct IntId(pub u32);

/// Index into [`Kernel::params`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KernelParam(pub u32);

/// A loop variable; numbered across the kernel, [`Kernel::vars`] of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct VarId(pub u32);

/// One compiled unit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// For reading: which ops it fuses.
    pub name: String,
    /// Pointer arguments, in order.
    pub buffers: Vec<BufferDecl>,
    /// Scalar arguments, in order.
    pub params: Vec<DType>,
    /// Integer arguments, in order; each may refer to earlier ones. The runtime evaluates them before a launch.
    pub ints: Vec<IntExpr>,
    /// Every value, by id.
    pub values: Vec<Value>,
    /// How many loop variables there are.
    pub vars: u32,
    /// Run in order, each complete before the next begins.
    pub phases: Vec<Phase>,
}

/// What a pointer argument is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Read only; any strides.
    Input,
    /// Written; dense, row-major.
    Output,
    /// Written by one phase and read by a later one (partial results); dense. The plan allocates it.
    Temporary,
    /// Private to one item, without meaning between items; dense. The launcher gives each thread one.
    Scratch,
}

/// A pointer argument.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BufferDecl {
    /// Element type. Bool is one byte, 0 or 1.
    pub dtype: DType,
    /// What it is for.
    pub role: Role,
    /// Elements, for outputs, temporaries and scratch. (Inputs are as large as their strides reach.)
    pub length: Option<IntId>,
}

/// How a run-time integer is computed from symbols and strides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntExpr {
    /// A literal.
    Const(i64),
    /// A symbol of the captured graph: an extent, a slice's start or step.
    Sym(SymId),
    /// How many items the device computes side by side. It may decide which of several phases has items that store the same
    /// elements to the same outputs, and nothing that shows in them.
    Workers,
    /// The stride in elements of an input buffer's axis.
    Stride {
        /// An input.
        buffer: BufferId,
        /// Its axis.
        axis: u8,
    },
    /// Sum.
    Add(IntId, IntId),
    /// Difference.
    Sub(IntId, IntId),
    /// Product.
    Mul(IntId, IntId),
    /// Quotient of non-negative integers, rounded up.
    CeilDiv(IntId, IntId),
    /// The smaller one.
    Min(IntId, IntId),
    /// The larger one.
    Max(IntId, IntId),
}

/// `offset + sum of coefficient * variable`, in elements.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Affine {
    /// Added once; none is 0.
    pub offset: Option<IntId>,
    /// Variables with their coefficients, each variable at most once.
    pub terms: SmallVec<[(VarId, Coefficient); 4]>,
}

/// What a loop variable is multiplied with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Coefficient {
    /// A literal; code generation relies on 1 (contiguous) and -1 (reversed).
    Const(i64),
    /// Known when the kernel runs.
    Int(IntId),
}

/// A value: what computes it, and its dtype.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    /// What computes it.
    pub inst: Inst,
    /// Its dtype.
    pub dtype: DType,
}

/// What computes a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst {
    /// A constant.
    Const(Scalar),
    /// A scalar argument.
    Param(KernelParam),
    /// The index itself, as int64.
    Index(Affine),
    /// An element of a buffer.
    Load {
        /// From which buffer.
        buffer: BufferId,
        /// Which element.
        at: Affine,
    },
    /// An int64 index, counted from the end where it is negative: a position in `0..extent`. Anything else is a fault of the
    /// launch, and position 0. There are no positions in extent 0, so it is never computed for one.
    Position {
        /// The index.
        index: ValueId,
        /// How many positions there are.
        extent: IntId,
    },
    /// An element of an input at computed positions: `at` plus the sum of the positions times their strides.
    Gather {
        /// From which input.
        buffer: BufferId,
        /// What the loops decide of the place.
        at: Affine,
        /// [`Inst::Position`] values, or what memory kept of them; one or more.
        positions: SmallVec<[ValueId; 3]>,
        /// Elements from one position to the next, one for each of them.
        strides: SmallVec<[Coefficient; 3]>,
    },
    /// A scalar op: a primitive, or `pow` of integers.
    Op(ScalarOp, SmallVec<[ValueId; 3]>),
    /// Conversion to the value's dtype, by `reference::cast`.
    Cast(ValueId),
    /// The result of a reduction, or what a running fold came to, of the loop that stands before.
    Reduced,
    /// Inside a loop with a scan: the running fold up to and including this iteration.
    Running,
}

/// One parallel loop nest.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Phase {
    /// The variables whose combinations are the items, outermost first, with their extents. None: one item.
    pub dims: Vec<(VarId, IntId)>,
    /// What an item does.
    pub body: Vec<Stmt>,
}

/// A statement.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stmt {
    /// Computes a value here.
    Let(ValueId),
    /// Writes an element.
    Store {
        /// An output, temporary or scratch buffer.
        buffer: BufferId,
        /// Which element.
        at: Affine,
        /// What is written; of the buffer's dtype.
        value: ValueId,
    },
    /// Repeats a block.
    Loop(Loop),
}

/// A loop inside an item.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Loop {
    /// Its variable, absolute: it runs over `range` in steps of 1.
    pub var: VarId,
    /// From where to where.
    pub range: Range,
    /// Serial, or in lanes.
    pub kind: LoopKind,
    /// Folds over the iterations, whose results are values after the loop.
    pub reductions: Vec<Reduction>,
    /// Running folds, visible inside the loop. A vector loop that has some has no other folds, and no loops inside.
    pub scans: Vec<Scan>,
    /// What an iteration does.
    pub body: Vec<Stmt>,
}

/// The iterations of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Range {
    /// `0 .. extent`.
    Full(IntId),
    /// The `tile`-th block of `size` iterations of `0 .. extent`: `tile * size .. min(tile * size + size, extent)`.
    Tile {
        /// The whole range's extent.
        extent: IntId,
        /// The variable that numbers the blocks.
        tile: VarId,
        /// Iterations of a block.
        size: u32,
    },
}

/// How iterations are executed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoopKind {
    /// One after another.
    Serial,
    /// `lanes` (a power of two) neighbouring iterations at once, then the rest one by one. No other loop of an item's nest
    /// around or inside it is a vector loop. Reductions fold each lane by itself, see [`Reduction`].
    Vector {
        /// Iterations at once. Part of the meaning of float sums, so the same on every machine.
        lanes: u8,
    },
}

/// A fold over the iterations of a loop, from the op's unit.
///
/// The order is part of the meaning. Let `r` be an iteration's number counted from the loop's first one. In a vector loop
/// with `L` lanes, iteration `r` belongs to lane `r % L` as its step `r / L`; a serial loop has one lane. Each lane folds its
/// steps by itself, and the lanes are folded as a tree: lane `l` with lane `l + L/2` for `l < L/2`, and so on down to one
/// (`lower op upper`).
///
/// Within a lane, integers, booleans, minimum and maximum fold step after step. Float sums and products *cascade*: every
/// [`CASCADE_BLOCK`] steps make a block, folded in order from the unit; finished blocks combine like a binary counter: after
/// block number `b` (from 0) is finished, as long as the lowest bits of `b` are 1, the newest entry of the stack is popped
/// and the block becomes `popped op block`; then it is pushed. In the end the unfinished block (the unit when there is
/// none) is folded with the stack from its top to its bottom: `acc = popped op acc`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reduction {
    /// `Add Multiply Minimum Maximum And Or Xor`.
    pub op: ScalarOp,
    /// What an iteration contributes; may be the same for all.
    pub value: ValueId,
    /// The value after the loop; its inst is [`Inst::Reduced`].
    pub result: ValueId,
}

/// A running fold over the iterations of a loop, from the op's unit.
///
/// The order is part of the meaning. A serial loop goes step after step: `running = running op value`. In a vector loop with `L`
/// lanes, each group of `L` iterations is folded by itself in `log2(L)` levels: at level `k`, each lane whose bit `k` is 1 takes
/// what the lane has come to that lies last before its block of `2^k` lanes, `value = other op value`. Each lane is then what came
/// before the group and its own, `running = before op value`, and what the last lane comes to is before the next group. So a lane
/// needs only lanes below it, which is all there is to a group that is not full; and folds of numbers that are not negative never
/// fall, whichever way they are rounded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scan {
    /// `Add` or `Multiply`.
    pub op: ScalarOp,
    /// What an iteration contributes; defined in the body before `running` is used.
    pub value: ValueId,
    /// The running value; its inst is [`Inst::Running`]; available in the body right after `value`'s definition.
    pub running: ValueId,
    /// What it is after the last iteration, where that is wanted: a value after the loop, whose inst is [`Inst::Reduced`].
    pub total: Option<ValueId>,
}

/// Steps of a lane that float sums and products fold in order before blocks combine pairwise: as many as in NumPy, whose blocks
/// of 128 elements have 8 accumulators.
pub const CASCADE_BLOCK: u32 = 16;

impl Reduction {
    /// Does a reduction of this op and dtype cascade, or fold step after step?
    pub fn cascades(op: ScalarOp, dtype: DType) -> bool {
        dtype.is_float() && matches!(op, ScalarOp::Add | ScalarOp::Multiply)
    }
}

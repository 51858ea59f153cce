//! Extents and integers: concrete in lazy nodes, symbolic in captured graphs.
//!
//! A captured graph knows only *which* extents are equal, never how large they are; that is why a new shape of the same
//! pattern reuses a compiled plan. Only 0 and 1 stay literal, because broadcasting and emptiness change the structure.

use smallvec::SmallVec;

/// Concrete extents, outermost first.
pub type Shape = SmallVec<[usize; 4]>;

/// Axis numbers, non-negative, ascending unless they are a permutation.
pub type Axes = SmallVec<[u8; 4]>;

/// A run-time integer of a captured graph: an extent, or a slice's start or step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SymId(pub u32);

/// One symbolic extent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dim {
    /// An empty axis.
    Zero,
    /// An axis that broadcasts.
    One,
    /// The two parts of complex numbers. Only `passes/split_complex.rs` makes such axes; a user's extent of 2 is a symbol.
    Two,
    /// An extent of two or more, known when the plan runs.
    Sym(SymId),
}

/// Symbolic extents, outermost first.
pub type SymShape = SmallVec<[Dim; 4]>;

/// A start or a step of a slice in a captured graph. Literal are only 0 and 1 as a start (1 is the
/// imaginary part of a pair), and 1 and -1 as a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Int {
    /// Known when compiling.
    Const(i64),
    /// Known when the plan runs.
    Sym(SymId),
}

/// The number of elements; `None` when it does not fit (the caller raises MemoryError or ValueError).
pub fn element_count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= isize::MAX as usize)
}

//! Types of nodes: the only place where dtypes and shapes of results are worked out or checked, for lazy nodes
//! (concrete extents) and for graphs (symbolic ones) alike.

use crate::{
    dtype::DType,
    node::{Form, Op, View},
    routine::Routine,
    shape::{Axes, Dim},
};
use smallvec::SmallVec;
use std::fmt::Debug;

/// An extent, concrete or symbolic.
pub trait Extent: Copy + Eq + Debug {
    /// The extent that broadcasts.
    const ONE: Self;
    /// The extent of no elements.
    const ZERO: Self;
    /// The extent of the parts of complex numbers; lazy nodes have complex dtypes instead.
    const PAIR: Option<Self>;
}

impl Extent for usize {
    const ONE: usize = 1;
    const ZERO: usize = 0;
    const PAIR: Option<usize> = None;
}

impl Extent for Dim {
    const ONE: Dim = Dim::One;
    const ZERO: Dim = Dim::Zero;
    const PAIR: Option<Dim> = Some(Dim::Two);
}

/// Extents of either kind.
pub type Extents<D> = SmallVec<[D; 4]>;

/// The shape of a reduction over `axes`.
pub fn reduced<D: Extent>(shape: &[D], axes: &[u8]) -> Extents<D> {
    shape.iter().enumerate().map(|(i, &d)| if axes.contains(&(i as u8)) { D::ONE } else { d }).collect()
}

/// The shape after a permutation.
pub fn permuted<D: Extent>(shape: &[D], axes: &[u8]) -> Extents<D> {
    axes.iter().map(|&a| shape[a as usize]).collect()
}

/// The shape of a batched product of `[b..., m, k]` and `[b..., k, n]`.
pub fn product<D: Extent>(left: &[D], right: &[D]) -> Extents<D> {
    let mut shape: Extents<D> = left.into();
    if let (Some(last), Some(&n)) = (shape.last_mut(), right.last()) {
        *last = n;
    }
    shape
}

/// What an array in memory holds: pairs of floats are complex numbers.
fn held<D: Extent>((dtype, shape): (DType, &[D])) -> (DType, &[D]) {
    match shape.split_last() {
        Some((&last, rest)) if Some(last) == D::PAIR => (dtype.complex(), rest),
        _ => (dtype, shape),
    }
}

/// Is the axis list ascending and inside the rank?
fn ascending(axes: &Axes, rank: usize) -> bool {
    axes.windows(2).all(|w| w[0] < w[1]) && axes.last().is_none_or(|&a| (a as usize) < rank)
}

/// Checks that a node with this op and these operands has this dtype and shape. The error says what does not fit.
pub fn check<F: Form, D: Extent>(
    op: &Op<F>,
    operands: &[(DType, &[D])],
    dtype: DType,
    shape: &[D],
) -> Result<(), String> {
    let want = |condition: bool, what: &str| if condition { Ok(()) } else { Err(what.to_owned()) };
    let arity = match op {
        Op::Input(_) | Op::Const(_) | Op::Param(_) | Op::Iota { .. } => 0,
        Op::Map(op) => op.row().arity,
        Op::Cast | Op::View(_) | Op::Reduce { .. } | Op::Scan { .. } => 1,
        Op::Dot => 2,
        Op::Call(routine) => routine.arity(),
        Op::Concat { .. } => operands.len().max(1),
        Op::Gather => operands.len().max(2),
    };
    if operands.len() != arity {
        return Err(format!("expected {arity} operands, found {}", operands.len()));
    }
    let same_dtype = || want(operands.iter().all(|o| o.0 == dtype), "the operands must have the result's dtype");
    match op {
        Op::Input(_) => Ok(()),
        Op::Const(value) => {
            want(value.dtype() == dtype, "a constant has its value's dtype")?;
            want(shape.is_empty(), "a constant has no axes")
        }
        Op::Param(_) => {
            want(!dtype.is_complex(), "a parameter is not complex")?;
            want(shape.is_empty(), "a parameter has no axes")
        }
        Op::Iota { axis } => {
            want(dtype == DType::I64, "an iota is int64")?;
            want((*axis as usize) < shape.len(), "the axis is outside the rank")
        }
        Op::Map(op) => {
            let dtypes: SmallVec<[DType; 3]> = operands.iter().map(|o| o.0).collect();
            match op.result_dtype(&dtypes) {
                None => Err(format!("{} does not take {dtypes:?}", op.row().name)),
                Some(result) => {
                    want(result == dtype, &format!("the result of {} is {result}", op.row().name))?;
                    want(operands.iter().all(|o| o.1 == shape), "the operands must have the result's shape")
                }
            }
        }
        Op::Cast => want(operands[0].1 == shape, "a cast keeps the shape"),
        Op::View(view) => {
            same_dtype()?;
            let from = operands[0].1;
            match view {
                View::Reshape => Ok(()),
                View::Permute(axes) => {
                    let mut sorted = axes.clone();
                    sorted.sort_unstable();
                    let complete = sorted.iter().enumerate().all(|(i, &a)| i == a as usize);
                    want(complete && axes.len() == from.len(), "the axes must be a permutation")?;
                    want(permuted(from, axes).as_slice() == shape, "the shape must be the permuted one")
                }
                View::Expand => {
                    let fits = from.len() == shape.len() && from.iter().zip(shape).all(|(f, t)| f == t || *f == D::ONE);
                    want(fits, "an expand keeps the rank and stretches only axes of extent 1")
                }
                View::Slice { starts, steps } => {
                    let fits = [starts.len(), steps.len(), shape.len()].iter().all(|&n| n == from.len());
                    want(fits, "a slice has a start and a step for each axis")
                }
            }
        }
        Op::Reduce { op, axes } => {
            same_dtype()?;
            want(op.folds(dtype), "the op cannot reduce this dtype")?;
            want(ascending(axes, shape.len()), "the axes must be ascending and inside the rank")?;
            want(reduced(operands[0].1, axes).as_slice() == shape, "reduced axes have extent 1, the others stay")
        }
        Op::Scan { op, axis } => {
            same_dtype()?;
            want(op.folds(dtype), "the op cannot scan this dtype")?;
            want((*axis as usize) < shape.len() && operands[0].1 == shape, "a scan keeps the shape")
        }
        Op::Concat { axis } => {
            same_dtype()?;
            let axis = *axis as usize;
            want(axis < shape.len(), "the axis is outside the rank")?;
            let fits = |o: &[D]| {
                o.len() == shape.len() && o.iter().zip(shape).enumerate().all(|(i, (a, b))| i == axis || a == b)
            };
            want(operands.iter().all(|o| fits(o.1)), "the operands must agree but for the axis")
        }
        Op::Gather => {
            let ((array_dtype, array), indices) = (operands[0], &operands[1..]);
            want(array_dtype == dtype, "the array must have the result's dtype")?;
            want(
                indices.iter().all(|i| i.0 == DType::I64 && i.1 == shape),
                "an index is int64 and has the result's shape",
            )?;
            let fits = array.len() == shape.len() + indices.len() && array.starts_with(shape);
            want(fits, "the array has the result's axes, and then one for each index")?;
            let empty = array[shape.len()..].contains(&D::ZERO) && !shape.contains(&D::ZERO);
            want(!empty, "nothing can be at an index of an axis without elements")
        }
        Op::Dot => {
            same_dtype()?;
            want(dtype.is_float() || dtype.is_complex(), "a product is of floats")?;
            let (left, right, rank) = (operands[0].1, operands[1].1, shape.len());
            want(rank >= 2 && left.len() == rank && right.len() == rank, "the ranks must agree and be at least 2")?;
            let batch = rank - 2;
            want(left[..batch] == right[..batch], "the batch extents must agree")?;
            want(left[rank - 1] == right[rank - 2], "the summed extents must agree")?;
            want(product(left, right).as_slice() == shape, "the result is [batch..., m, n]")
        }
        Op::Call(routine) => {
            let operands: SmallVec<[(DType, &[D]); 2]> = operands.iter().map(|&operand| held(operand)).collect();
            let (dtype, shape) = held((dtype, shape));
            let takes = operands[0].0;
            want(operands.iter().all(|o| o.0 == takes), "the operands must have one dtype")?;
            let Some(result) = routine.result_dtype(takes) else {
                return Err(format!("{} does not take {takes}", routine.name()));
            };
            want(result == dtype, &format!("the result of {} is {result}", routine.name()))?;
            let core = routine.core_rank();
            want(operands.iter().all(|o| o.1.len() >= core), "an operand has too few axes")?;
            let (operand, core) = (operands[0].1, operands[0].1.len() - core);
            let square = |o: &[D]| o[o.len() - 2] == o[o.len() - 1];
            let all_but_last = |rank: usize| &operand[..rank - 1];
            match routine {
                Routine::Sort { .. } | Routine::Argsort { .. } => {
                    want(operand == shape, "the result has the operand's shape")
                }
                Routine::Cholesky | Routine::Inv => {
                    want(square(operand), "the matrices must be square")?;
                    want(operand == shape, "the result has the operand's shape")
                }
                Routine::Solve => {
                    want(square(operand), "the matrices must be square")?;
                    let right = operands[1].1;
                    let fits = right.len() == operand.len() && right[..core + 1] == *all_but_last(operand.len());
                    want(fits, "the right sides must fit the matrices")?;
                    want(right == shape, "the result has the shape of the right sides")
                }
                Routine::Eigvalsh => {
                    want(square(operand), "the matrices must be square")?;
                    want(shape == all_but_last(operand.len()), "the result has an eigenvalue a row")
                }
                // The least of two extents is known when the plan runs.
                Routine::Svdvals => {
                    want(shape.len() == core + 1 && shape[..core] == operand[..core], "the batches must agree")
                }
                Routine::Slogdet | Routine::Eigh => {
                    want(square(operand), "the matrices must be square")?;
                    want(shape.len() == 1, "several results are a flat array")
                }
                Routine::Qr { .. } | Routine::Svd { .. } => want(shape.len() == 1, "several results are a flat array"),
            }
        }
    }
}

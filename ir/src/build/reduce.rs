//! Reductions and running folds. Mean, variance, argmax and the like decompose into primitives here; fusion puts them
//! back together.

use super::{Operand, astype, axes, axis, cast, complex, concat, constant, create::iota, elementwise, reshaped, tuple};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::Lazy,
    node::Op,
    ops::ScalarOp as S,
    promote::{Weak, accumulator},
    scalar::Scalar,
    shape::{Axes, Shape, element_count},
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The axes of a reduction: all, or a list counted from either end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Axis {
    /// Every axis.
    All,
    /// These.
    List(SmallVec<[i64; 4]>),
}

fn resolved(list: &Axis, rank: usize, name: &str) -> Recorded<Axes> {
    let mut result: Axes = match list {
        Axis::All => (0..rank as u8).collect(),
        Axis::List(list) => axes(list, rank, name)?.into_iter().map(|a| a as u8).collect(),
    };
    result.sort_unstable();
    Ok(result)
}

/// The bare reduction node, axes kept with extent 1.
fn reduced(op: S, x: &Arc<Lazy>, axes: &Axes) -> Recorded<Arc<Lazy>> {
    if !op.folds(x.dtype) {
        return Err(RecordError::dtype(format!("{}: dtype not supported: {}", op.row().name, x.dtype.numpy_name())));
    }
    if axes.is_empty() {
        return Ok(x.clone());
    }
    let shape = crate::infer::reduced(&x.shape, axes);
    super::record(Op::Reduce { op, axes: axes.clone() }, smallvec![x.clone()], x.dtype, shape)
}

/// Without the reduced axes, unless they are to be kept.
fn finish(x: &Arc<Lazy>, axes: &Axes, keepdims: bool) -> Recorded<Arc<Lazy>> {
    if keepdims {
        return Ok(x.clone());
    }
    let shape = x.shape.iter().enumerate().filter(|(i, _)| !axes.contains(&(*i as u8))).map(|(_, &d)| d).collect();
    reshaped(x, shape)
}

fn count(x: &Arc<Lazy>, axes: &Axes) -> usize {
    let extents: Shape = axes.iter().map(|&a| x.shape[a as usize]).collect();
    element_count(&extents).unwrap_or(usize::MAX)
}

fn fold(op: S, x: &Arc<Lazy>, along: &Axis, dtype: Option<DType>, keepdims: bool, name: &str) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), name)?;
    let dtype = dtype.unwrap_or(accumulator(x.dtype));
    // A sum to bool: is any element true; a product: are all.
    let op = match (op, dtype) {
        (S::Add, DType::Bool) => S::Or,
        (_, DType::Bool) => S::And,
        _ => op,
    };
    let x = astype(x, dtype)?;
    let result =
        if op == S::Multiply && dtype.is_complex() { complex::product(&x, &axes) } else { reduced(op, &x, &axes) };
    finish(&result?, &axes, keepdims)
}

/// Sum; small integers accumulate in 64 bits.
pub fn sum(x: &Arc<Lazy>, along: &Axis, dtype: Option<DType>, keepdims: bool) -> Recorded<Arc<Lazy>> {
    fold(S::Add, x, along, dtype, keepdims, "sum")
}

/// Product; small integers accumulate in 64 bits.
pub fn prod(x: &Arc<Lazy>, along: &Axis, dtype: Option<DType>, keepdims: bool) -> Recorded<Arc<Lazy>> {
    fold(S::Multiply, x, along, dtype, keepdims, "prod")
}

fn extremum(op: S, x: &Arc<Lazy>, along: &Axis, keepdims: bool, name: &str) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), name)?;
    if count(x, &axes) == 0 {
        return Err(RecordError::value(format!(
            "{name}: shape {} has no elements along the reduced axes, and {name} has no identity",
            tuple(&x.shape)
        )));
    }
    finish(&reduced(op, x, &axes)?, &axes, keepdims)
}

/// Largest element; NaN if there is one.
pub fn max(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    extremum(S::Maximum, x, along, keepdims, "max")
}

/// Smallest element; NaN if there is one.
pub fn min(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    extremum(S::Minimum, x, along, keepdims, "min")
}

fn logical(op: S, x: &Arc<Lazy>, along: &Axis, keepdims: bool, name: &str) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), name)?;
    finish(&reduced(op, &cast(x, DType::Bool)?, &axes)?, &axes, keepdims)
}

/// Is any element true (not 0)?
pub fn any(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    logical(S::Or, x, along, keepdims, "any")
}

/// Are all elements true (not 0)?
pub fn all(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    logical(S::And, x, along, keepdims, "all")
}

/// How many elements are true (not 0), as int64.
pub fn count_nonzero(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), "count_nonzero")?;
    let ones = cast(&cast(x, DType::Bool)?, DType::I64)?;
    finish(&reduced(S::Add, &ones, &axes)?, &axes, keepdims)
}

/// A number as the divisor of an array: a parameter, so that another extent is the same structure.
fn number(value: f64) -> Operand {
    Operand::Scalar(Weak::Float(value))
}

/// The arithmetic mean with its axes kept, in the operand's dtype, which is a float or complex.
fn mean_kept(x: &Arc<Lazy>, axes: &Axes) -> Recorded<Arc<Lazy>> {
    if x.dtype.is_complex() {
        let part = |op| mean_kept(&elementwise(op, &[Operand::Array(x.clone())])?, axes);
        return super::of_parts(&part(S::Real)?, &part(S::Imag)?);
    }
    let total = reduced(S::Add, x, axes)?;
    elementwise(S::Divide, &[Operand::Array(total), number(count(x, axes) as f64)])
}

/// The operand in the float or complex dtype that statistics are computed in, and the dtype of their results. Means of halves are
/// rounded once, at the end.
fn to_float(x: &Arc<Lazy>) -> Recorded<(Arc<Lazy>, DType)> {
    let dtype = if x.dtype.is_float() || x.dtype.is_complex() { x.dtype } else { DType::F64 };
    Ok((cast(x, if dtype.is_half() { DType::F32 } else { dtype })?, dtype))
}

/// Arithmetic mean; NaN over no elements.
pub fn mean(x: &Arc<Lazy>, along: &Axis, keepdims: bool) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), "mean")?;
    let (x, dtype) = to_float(x)?;
    finish(&cast(&mean_kept(&x, &axes)?, dtype)?, &axes, keepdims)
}

/// Mean squared distance from the mean, over `n - correction`.
pub fn var(x: &Arc<Lazy>, along: &Axis, correction: f64, keepdims: bool) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), "var")?;
    let (variance, dtype) = var_kept(x, &axes, correction, "var")?;
    finish(&cast(&variance, dtype)?, &axes, keepdims)
}

/// The variance with its axes kept, and the dtype that it is to be rounded to.
fn var_kept(x: &Arc<Lazy>, axes: &Axes, correction: f64, name: &str) -> Recorded<(Arc<Lazy>, DType)> {
    if x.dtype.is_complex() {
        return Err(RecordError::dtype(format!("{name}: dtype not supported: {}", x.dtype.numpy_name())));
    }
    let (x, dtype) = to_float(x)?;
    let centre = mean_kept(&x, axes)?;
    let distance = elementwise(S::Subtract, &[Operand::Array(x.clone()), Operand::Array(centre)])?;
    let squared = elementwise(S::Multiply, &[Operand::Array(distance.clone()), Operand::Array(distance)])?;
    let total = reduced(S::Add, &squared, axes)?;
    let divisor = (count(&x, axes) as f64 - correction).max(0.0);
    Ok((elementwise(S::Divide, &[Operand::Array(total), number(divisor)])?, dtype))
}

/// Square root of [`var`].
pub fn std(x: &Arc<Lazy>, along: &Axis, correction: f64, keepdims: bool) -> Recorded<Arc<Lazy>> {
    let axes = resolved(along, x.shape.len(), "std")?;
    let (variance, dtype) = var_kept(x, &axes, correction, "std")?;
    finish(&cast(&elementwise(S::Sqrt, &[Operand::Array(variance)])?, dtype)?, &axes, keepdims)
}

/// The first position of the extremum: the smallest index among the elements equal to it (or NaN, which wins).
fn arg_extremum(op: S, x: &Arc<Lazy>, along: Option<i64>, keepdims: bool, name: &str) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    let (flat, a) = match along {
        Some(a) => (x.clone(), axis(a, rank, name)?),
        None => (reshaped(x, smallvec![element_count(&x.shape).unwrap_or(0)])?, 0),
    };
    if flat.shape[a] == 0 {
        return Err(RecordError::value(format!("{name}: shape {} has no elements to choose from", tuple(&x.shape))));
    }
    let axes: Axes = smallvec![a as u8];
    let best = reduced(op, &flat, &axes)?;
    let array = |x: &Arc<Lazy>| Operand::Array(x.clone());
    let mut found = elementwise(S::Equal, &[array(&flat), array(&best)])?;
    if x.dtype.is_float() {
        let nan = elementwise(S::NotEqual, &[array(&flat), array(&flat)])?;
        found = elementwise(S::Or, &[array(&found), array(&nan)])?;
    }
    let position = iota(a, flat.shape.clone())?;
    let none = constant(Scalar::i64(i64::MAX))?;
    let candidates = elementwise(S::Where, &[array(&found), array(&position), array(&none)])?;
    let result = reduced(S::Minimum, &candidates, &axes)?;
    match (along, keepdims) {
        (Some(_), _) => finish(&result, &axes, keepdims),
        (None, false) => reshaped(&result, Shape::new()),
        (None, true) => reshaped(&result, SmallVec::from_elem(1, rank)),
    }
}

/// First position of the largest element along an axis (of the flattened array without one), int64.
pub fn argmax(x: &Arc<Lazy>, along: Option<i64>, keepdims: bool) -> Recorded<Arc<Lazy>> {
    arg_extremum(S::Maximum, x, along, keepdims, "argmax")
}

/// First position of the smallest element along an axis (of the flattened array without one), int64.
pub fn argmin(x: &Arc<Lazy>, along: Option<i64>, keepdims: bool) -> Recorded<Arc<Lazy>> {
    arg_extremum(S::Minimum, x, along, keepdims, "argmin")
}

fn running(
    op: S,
    x: &Arc<Lazy>,
    along: Option<i64>,
    dtype: Option<DType>,
    include_initial: bool,
    name: &str,
) -> Recorded<Arc<Lazy>> {
    let dtype = dtype.unwrap_or(accumulator(x.dtype));
    if dtype == DType::Bool {
        return Err(RecordError::dtype(format!("{name}: dtype not supported: bool (of {})", tuple(&x.shape))));
    }
    let a = match along {
        Some(a) => axis(a, x.shape.len(), name)?,
        None if x.shape.len() == 1 => 0,
        None => {
            return Err(RecordError::value(format!("{name}: shape {} needs an axis", tuple(&x.shape))));
        }
    };
    let x = astype(x, dtype)?;
    let result = if op == S::Multiply && dtype.is_complex() {
        complex::running_product(&x, a)?
    } else {
        super::record(Op::Scan { op, axis: a as u8 }, smallvec![x.clone()], x.dtype, x.shape.clone())?
    };
    if !include_initial {
        return Ok(result);
    }
    let mut shape = x.shape.clone();
    shape[a] = 1;
    let unit = super::integer(i64::from(op == S::Multiply), x.dtype)?;
    let first = super::expanded(&unit, &shape)?;
    concat(&[first, result], Some(a as i64))
}

/// Sums of the elements up to each one.
pub fn cumulative_sum(
    x: &Arc<Lazy>,
    along: Option<i64>,
    dtype: Option<DType>,
    include_initial: bool,
) -> Recorded<Arc<Lazy>> {
    running(S::Add, x, along, dtype, include_initial, "cumulative_sum")
}

/// Products of the elements up to each one.
pub fn cumulative_prod(
    x: &Arc<Lazy>,
    along: Option<i64>,
    dtype: Option<DType>,
    include_initial: bool,
) -> Recorded<Arc<Lazy>> {
    running(S::Multiply, x, along, dtype, include_initial, "cumulative_prod")
}

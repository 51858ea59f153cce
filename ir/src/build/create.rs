//! Creation functions. Values are parameters, so that another value or another length compiles nothing.

use super::{Operand, cast, check_size, elementwise, expanded, integer, number, parameter, record, scalar};
use crate::{
    dtype::DType,
    error::{Mistake, RecordError, Recorded},
    lazy::{Lazy, Operands},
    node::Op,
    ops::ScalarOp as S,
    promote::Weak,
    reference,
    scalar::Scalar,
    shape::Shape,
};
use smallvec::smallvec;
use std::sync::Arc;

/// int64 indices along `axis` of a shape.
pub(super) fn iota(axis: usize, shape: Shape) -> Recorded<Arc<Lazy>> {
    check_size(&shape, DType::I64)?;
    record(Op::Iota { axis: axis as u8 }, Operands::new(), DType::I64, shape)
}

/// Every element the same Python scalar.
pub fn full(shape: Shape, value: Weak, dtype: DType) -> Recorded<Arc<Lazy>> {
    check_size(&shape, dtype)?;
    let value = match value {
        // A float to an integer dtype converts as astype does.
        Weak::Float(f) if !dtype.is_float() && !dtype.is_complex() => {
            parameter(reference::cast(Scalar::f64(f), dtype))?
        }
        value => number(value, dtype, false)?,
    };
    expanded(&value, &shape)
}

/// Every element 0.
pub fn zeros(shape: Shape, dtype: DType) -> Recorded<Arc<Lazy>> {
    check_size(&shape, dtype)?;
    expanded(&integer(0, dtype)?, &shape)
}

/// Every element 1.
pub fn ones(shape: Shape, dtype: DType) -> Recorded<Arc<Lazy>> {
    check_size(&shape, dtype)?;
    expanded(&integer(1, dtype)?, &shape)
}

/// `start + i * step` below `stop`: `ceil((stop - start) / step)` elements, computed as NumPy does.
pub fn arange(start: Weak, stop: Weak, step: Weak, dtype: Option<DType>) -> Recorded<Arc<Lazy>> {
    let is_complex = |v: &Weak| matches!(v, Weak::Complex(..));
    if [start, stop, step].iter().any(is_complex) || dtype.is_some_and(DType::is_complex) {
        return Err(RecordError::dtype("arange: complex numbers have no order to count in"));
    }
    let integers = [start, stop, step].map(|v| match v {
        Weak::Int(i) => Some(i),
        Weak::Bool(b) => Some(b as i128),
        Weak::Float(_) | Weak::Complex(..) => None,
    });
    let too_large = || RecordError::new(Mistake::Memory, "arange: the result is too large");
    if let [Some(start), Some(stop), Some(step)] = integers {
        if step == 0 {
            return Err(RecordError::value("arange: the step must not be 0"));
        }
        let distance = stop.saturating_sub(start);
        let length =
            if (distance > 0) == (step > 0) { distance.unsigned_abs().div_ceil(step.unsigned_abs()) } else { 0 };
        let length = usize::try_from(length).map_err(|_| too_large())?;
        let dtype = dtype.unwrap_or(DType::I64);
        if dtype.is_float() {
            return float_range(start as f64, start.saturating_add(step) as f64, length, dtype);
        }
        return integer_range(start, start.saturating_add(step), length, dtype);
    }
    let [start, stop, step] = [start, stop, step].map(|bound| bound.parts().0);
    if step == 0.0 {
        return Err(RecordError::value("arange: the step must not be 0"));
    }
    let length = ((stop - start) / step).ceil();
    if length.is_nan() || length >= isize::MAX as f64 {
        return Err(RecordError::value("arange: the length is not a number, or the result is too large"));
    }
    let length = length.max(0.0) as usize;
    match dtype.unwrap_or(DType::F64) {
        dtype if dtype.is_float() => float_range(start, start + step, length, dtype),
        dtype => integer_range(start as i128, (start + step) as i128, length, dtype),
    }
}

/// From the first two elements on, as NumPy: what rounding makes of the second one is the step.
fn integer_range(first: i128, second: i128, length: usize, dtype: DType) -> Recorded<Arc<Lazy>> {
    if dtype == DType::Bool && length > 2 {
        return Err(RecordError::dtype(format!("arange: {length} elements of dtype bool; it takes at most 2")));
    }
    for (position, element) in [first, second].into_iter().enumerate() {
        if length > position {
            scalar(Weak::Int(element), dtype)?;
        }
    }
    let wrapped = |value: i128| Operand::Scalar(Weak::Int(value as i64 as i128));
    let ramp = iota(0, smallvec![length])?;
    let scaled = elementwise(S::Multiply, [Operand::Array(ramp), wrapped(second.wrapping_sub(first))])?;
    let shifted = elementwise(S::Add, [Operand::Array(scaled), wrapped(first)])?;
    cast(&shifted, dtype)
}

/// As [`integer_range`]; halves are counted in float32.
fn float_range(first: f64, second: f64, length: usize, dtype: DType) -> Recorded<Arc<Lazy>> {
    if dtype.is_half() {
        let [first, second] = [first, second].map(|bound| Scalar::from_f64(dtype, bound).as_f64());
        return cast(&float_range(first, second, length, DType::F32)?, dtype);
    }
    let step = match dtype {
        DType::F32 => f64::from(second as f32 - first as f32),
        _ => second - first,
    };
    let ramp = cast(&iota(0, smallvec![length])?, dtype)?;
    let scaled = elementwise(S::Multiply, [Operand::Array(ramp), Operand::Scalar(Weak::Float(step))])?;
    elementwise(S::Add, [Operand::Array(scaled), Operand::Scalar(Weak::Float(first))])
}

/// `num` points from start to stop, NumPy's formula; the last one is exactly `stop` with `endpoint`. Complex ones are evenly
/// spaced in either part.
pub fn linspace(start: Weak, stop: Weak, num: usize, dtype: Option<DType>, endpoint: bool) -> Recorded<Arc<Lazy>> {
    let complex = [start, stop].iter().any(|bound| matches!(bound, Weak::Complex(..)));
    let dtype = dtype.unwrap_or(if complex { DType::C128 } else { DType::F64 });
    if complex && !dtype.is_complex() {
        return Err(RecordError::dtype(format!("linspace: complex bounds for dtype {}", dtype.numpy_name())));
    }
    let ((start, start_im), (stop, stop_im)) = (start.parts(), stop.parts());
    let re = real_linspace(start, stop, num, dtype.component(), endpoint)?;
    if !dtype.is_complex() {
        return Ok(re);
    }
    super::of_parts(&re, &real_linspace(start_im, stop_im, num, dtype.component(), endpoint)?)
}

fn real_linspace(start: f64, stop: f64, num: usize, dtype: DType, endpoint: bool) -> Recorded<Arc<Lazy>> {
    let intervals = if endpoint { num.saturating_sub(1) } else { num };
    let delta = stop - start;
    let ramp = iota(0, smallvec![num])?;
    let index = cast(&ramp, DType::F64)?;
    let float = |v: f64| Operand::Scalar(Weak::Float(v));
    let step = delta / intervals as f64;
    let scaled = if intervals == 0 {
        elementwise(S::Multiply, &[Operand::Array(index), float(delta)])?
    } else if step == 0.0 {
        // Underflow: divide first.
        let part = elementwise(S::Divide, &[Operand::Array(index), float(intervals as f64)])?;
        elementwise(S::Multiply, &[Operand::Array(part), float(delta)])?
    } else {
        elementwise(S::Multiply, &[Operand::Array(index), float(step)])?
    };
    let mut result = elementwise(S::Add, &[Operand::Array(scaled), float(start)])?;
    if endpoint && num > 1 {
        let last = elementwise(S::Equal, &[Operand::Array(ramp), Operand::Scalar(Weak::Int(num as i128 - 1))])?;
        result = super::where_(&Operand::Array(last), &float(stop), &Operand::Array(result))?;
    }
    if dtype.is_integer() {
        result = elementwise(S::Floor, &[Operand::Array(result)])?;
    }
    cast(&result, dtype)
}

/// Ones on diagonal `k`, zeros elsewhere.
pub fn eye(rows: usize, columns: usize, k: i64, dtype: DType) -> Recorded<Arc<Lazy>> {
    check_size(&[rows, columns], dtype)?;
    cast(&diagonal_compare(S::Equal, smallvec![rows, columns], k)?, dtype)
}

/// `column - row <op> k` over the last two axes.
fn diagonal_compare(op: S, shape: Shape, k: i64) -> Recorded<Arc<Lazy>> {
    let rank = shape.len();
    let (rows, columns) = (iota(rank - 2, shape.clone())?, iota(rank - 1, shape)?);
    let diagonal = elementwise(S::Subtract, &[Operand::Array(columns), Operand::Array(rows)])?;
    elementwise(op, &[Operand::Array(diagonal), Operand::Scalar(Weak::Int(k as i128))])
}

/// `tril` (keep column <= row + k) or `triu` (keep column >= row + k) of a stack of matrices.
pub fn tri(x: &Arc<Lazy>, k: i64, lower: bool) -> Recorded<Arc<Lazy>> {
    let (name, op) = if lower { ("tril", S::LessEqual) } else { ("triu", S::GreaterEqual) };
    if x.shape.len() < 2 {
        return Err(RecordError::value(format!(
            "{name}: needs at least 2 dimensions, got shape {}",
            super::tuple(&x.shape)
        )));
    }
    let keep = diagonal_compare(op, x.shape.clone(), k)?;
    let zero = integer(0, x.dtype)?;
    super::where_(&Operand::Array(keep), &Operand::Array(x.clone()), &Operand::Array(zero))
}

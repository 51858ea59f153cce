//! Element-wise functions: promotion by the op-table row, Python scalars as parameters, broadcasting.

use super::{Arguments, Operand, common_shape, complex, constant, number, record};
use crate::{
    dtype::{DType, Kind},
    error::{RecordError, Recorded},
    lazy::{Lazy, Operands},
    node::Op,
    ops::{Promotion, ScalarOp},
    promote::{Weak, common_of, float_for, integer_range, result_type},
    scalar::Scalar,
    shape::Shape,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Applies an op to arrays and Python scalars, NumPy's way.
///
/// Fails with TypeError when the op does not take the dtypes, ValueError when shapes do not broadcast, OverflowError when
/// a Python integer does not fit.
pub fn elementwise(op: ScalarOp, operands: impl Into<Arguments>) -> Recorded<Arc<Lazy>> {
    apply(op, operands.into().0)
}

fn apply(op: ScalarOp, arguments: SmallVec<[Operand; 3]>) -> Recorded<Arc<Lazy>> {
    let row = op.row();
    let operands = arguments.as_slice();
    if operands.len() != row.arity {
        return Err(RecordError::dtype(format!("{} takes {} arguments, got {}", row.name, row.arity, operands.len())));
    }
    if let [condition, a, b] = operands {
        return where_(condition, a, b);
    }
    let common = operand_type(operands);
    if let Some(answer) = out_of_range_comparison(op, operands, common)? {
        return Ok(answer);
    }
    if let Some(answer) = exact_comparison(op, operands)? {
        return Ok(answer);
    }
    let (op, dtype) = compute_type(op, operands, common);
    let inexact = dtype.is_float() || dtype.is_complex();
    match row.promotion {
        Promotion::IntegerIdentity if !inexact => {
            return convert(operands[0].clone(), dtype, false);
        }
        _ if op == ScalarOp::Abs && dtype == DType::Bool => return convert(operands[0].clone(), dtype, false),
        _ if matches!(op, ScalarOp::Real | ScalarOp::Conj) && !dtype.is_complex() => {
            return convert(operands[0].clone(), dtype, false);
        }
        Promotion::IntegerConstant(answer) if !inexact => {
            let shape = operands[0].array().map(|a| a.shape.clone()).unwrap_or_default();
            return super::expanded(&constant(Scalar::bool(answer))?, &shape);
        }
        _ => {}
    }
    if !op.row().accepts(dtype) || op.row().promotion == Promotion::Internal {
        return Err(not_taken(op, operands));
    }
    if let (ScalarOp::Pow, Operand::Scalar(Weak::Int(exponent))) = (op, &operands[operands.len() - 1])
        && dtype.is_integer()
        && *exponent < 0
    {
        return Err(RecordError::value("pow: integers to negative integer powers are not allowed"));
    }
    if let (ScalarOp::Pow, [Operand::Array(base), Operand::Scalar(exponent)]) = (op, operands)
        && dtype.is_complex()
        && let Some(exponent) = complex::whole_exponent(*exponent)
    {
        return complex::integer_power(&cast(base, dtype)?, exponent);
    }
    // An integer exponent decides the code (x ** 2 is a product), so it stays part of the structure.
    let structural = op == ScalarOp::Pow;
    let mut inputs = Operands::new();
    for (i, operand) in arguments.into_iter().enumerate() {
        inputs.push(convert(operand, dtype, structural && i == 1)?);
    }
    mapped(op, inputs)
}

/// The node of an op whose operands have the right dtypes already.
pub(super) fn mapped(op: ScalarOp, inputs: Operands) -> Recorded<Arc<Lazy>> {
    let mut dtypes = [DType::Bool; 3];
    for (dtype, input) in dtypes.iter_mut().zip(&inputs) {
        *dtype = input.dtype;
    }
    let dtypes = &dtypes[..inputs.len().min(3)];
    let Some(dtype) = op.result_dtype(dtypes) else {
        let list = dtypes.iter().map(|d| d.numpy_name()).collect::<Vec<_>>().join(", ");
        return Err(RecordError::dtype(format!("{} does not take {list}", op.row().name)));
    };
    let shape = match inputs.as_slice() {
        // No larger than an operand: such an array can be addressed.
        [one] if dtype.size() <= one.dtype.size() => Shape::from_slice(&one.shape),
        [a, b] if (a.shape == b.shape || b.shape.is_empty()) && dtype.size() <= a.dtype.size() => {
            Shape::from_slice(&a.shape)
        }
        _ => {
            let shape = common_shape(op.row().name, inputs.iter().map(|i| i.shape.as_slice()))?;
            super::check_size(&shape, dtype)?;
            shape
        }
    };
    record(Op::Map(op), inputs, dtype, shape)
}

/// `op` on two nodes of one dtype.
pub(super) fn map2(op: ScalarOp, a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    mapped(op, smallvec::smallvec![a.clone(), b.clone()])
}

/// NumPy's result_type of the operands.
fn operand_type(operands: &[Operand]) -> DType {
    let arrays = operands.iter().filter_map(|o| o.array()).map(|a| a.dtype);
    let scalars = operands.iter().filter_map(|o| match o {
        Operand::Scalar(weak) => Some(*weak),
        Operand::Array(_) => None,
    });
    result_type(arrays, scalars).unwrap_or(DType::F64)
}

/// The op and dtype NumPy computes with: booleans add and multiply as logic, other arithmetic on them is int8.
fn compute_type(op: ScalarOp, operands: &[Operand], common: DType) -> (ScalarOp, DType) {
    use ScalarOp as S;
    match (op, op.row().promotion) {
        (_, Promotion::Float) if common.is_complex() => (op, common),
        (S::Divide, _) if !common.is_float() => (op, DType::F64),
        (_, Promotion::Float) => (op, common_float(operands, common)),
        _ if common != DType::Bool => (op, common),
        (S::Add, _) => (S::Or, common),
        (S::Multiply, _) => (S::And, common),
        (S::Square | S::Reciprocal | S::Signbit, _) => (op, DType::I8),
        (S::FloorDivide | S::Remainder | S::Pow | S::ShiftLeft | S::ShiftRight, _) => (op, DType::I8),
        (S::Round, _) => (op, float_for(common)),
        _ => (op, common),
    }
}

/// The float that holds each array by itself: float32 for int8 and uint16, though int32 is what they have in common.
fn common_float(operands: &[Operand], common: DType) -> DType {
    if common.is_float() || operands.iter().any(|o| o.array().is_none()) {
        return float_for(common);
    }
    common_of(operands.iter().filter_map(Operand::array).map(|a| float_for(a.dtype))).unwrap_or(DType::F64)
}

fn not_taken(op: ScalarOp, operands: &[Operand]) -> RecordError {
    let list = operands
        .iter()
        .map(|o| match o {
            Operand::Array(a) => format!("{} {}", a.dtype.numpy_name(), super::tuple(&a.shape)),
            Operand::Scalar(Weak::Bool(_)) => "bool".to_owned(),
            Operand::Scalar(Weak::Int(_)) => "int".to_owned(),
            Operand::Scalar(Weak::Float(_)) => "float".to_owned(),
            Operand::Scalar(Weak::Complex(..)) => "complex".to_owned(),
        })
        .collect::<Vec<_>>()
        .join(", ");
    RecordError::dtype(format!("{}: dtypes not supported: {list}", op.row().name))
}

/// An operand as a node of that dtype.
fn convert(operand: Operand, dtype: DType, structural: bool) -> Recorded<Arc<Lazy>> {
    match operand {
        Operand::Array(array) if array.dtype == dtype => Ok(array),
        Operand::Array(array) => cast(&array, dtype),
        Operand::Scalar(value) => {
            let integral = matches!(value, Weak::Int(_) | Weak::Bool(_))
                || matches!(value, Weak::Float(f) if f.fract() == 0.0 && f.abs() <= 16.0);
            number(value, dtype, structural && integral)
        }
    }
}

/// Signed integers and uint64 compare by value, as in NumPy: float64, which they have in common, does not hold them.
fn exact_comparison(op: ScalarOp, operands: &[Operand]) -> Recorded<Option<Arc<Lazy>>> {
    use ScalarOp as S;
    let [Operand::Array(a), Operand::Array(b)] = operands else { return Ok(None) };
    let signed_first = match (a.dtype.kind(), b.dtype.kind()) {
        (Kind::Signed, _) if b.dtype == DType::U64 => true,
        (_, Kind::Signed) if a.dtype == DType::U64 => false,
        _ => return Ok(None),
    };
    // What is negative is less than all of uint64.
    let answer_of_negative = match op {
        S::Equal => false,
        S::NotEqual => true,
        S::Less | S::LessEqual => signed_first,
        S::Greater | S::GreaterEqual => !signed_first,
        _ => return Ok(None),
    };
    let signed = if signed_first { a } else { b };
    let compared = mapped(op, smallvec::smallvec![cast(a, DType::U64)?, cast(b, DType::U64)?])?;
    let zero = constant(Scalar::from_i64(signed.dtype, 0))?;
    if answer_of_negative {
        map2(S::Or, &map2(S::Less, signed, &zero)?, &compared).map(Some)
    } else {
        map2(S::And, &map2(S::GreaterEqual, signed, &zero)?, &compared).map(Some)
    }
}

/// A Python integer outside the array's dtype compares by value; the answer does not depend on the array.
fn out_of_range_comparison(op: ScalarOp, operands: &[Operand], dtype: DType) -> Recorded<Option<Arc<Lazy>>> {
    use ScalarOp as S;
    if !dtype.is_integer()
        || !matches!(op, S::Equal | S::NotEqual | S::Less | S::LessEqual | S::Greater | S::GreaterEqual)
    {
        return Ok(None);
    }
    let (array, value, array_first) = match operands {
        [Operand::Array(a), Operand::Scalar(Weak::Int(v))] => (a, *v, true),
        [Operand::Scalar(Weak::Int(v)), Operand::Array(a)] => (a, *v, false),
        _ => return Ok(None),
    };
    let (low, high) = integer_range(dtype);
    if (low..=high).contains(&value) {
        return Ok(None);
    }
    let array_is_less = value > high;
    let answer = match op {
        S::Equal => false,
        S::NotEqual => true,
        S::Less | S::LessEqual => array_is_less == array_first,
        _ => array_is_less != array_first,
    };
    super::expanded(&constant(Scalar::bool(answer))?, &array.shape).map(Some)
}

/// The array converted to a dtype; the array itself when it has it.
pub fn cast(array: &Arc<Lazy>, dtype: DType) -> Recorded<Arc<Lazy>> {
    if array.dtype == dtype {
        return Ok(array.clone());
    }
    super::check_size(&array.shape, dtype)?;
    record(Op::Cast, SmallVec::from_elem(array.clone(), 1), dtype, array.shape.clone())
}

/// `astype`: as [`cast`], but that complex numbers do not become real ones (TypeError); the front end decides about copies.
pub fn astype(array: &Arc<Lazy>, dtype: DType) -> Recorded<Arc<Lazy>> {
    if array.dtype.is_complex() && !dtype.is_complex() && dtype != DType::Bool {
        let (from, to) = (array.dtype.numpy_name(), dtype.numpy_name());
        return Err(RecordError::dtype(format!("astype: {from} cannot become {to}; take real(), imag() or abs()")));
    }
    cast(array, dtype)
}

/// Elements of `a` where the condition is true (not 0), else of `b`.
pub fn where_(condition: &Operand, a: &Operand, b: &Operand) -> Recorded<Arc<Lazy>> {
    let condition = convert(condition.clone(), DType::Bool, false)?;
    let dtype = operand_type(&[a.clone(), b.clone()]);
    mapped(
        ScalarOp::Where,
        smallvec::smallvec![condition, convert(a.clone(), dtype, false)?, convert(b.clone(), dtype, false)?],
    )
}

/// `minimum(maximum(x, min), max)`, either bound optional.
pub fn clip(x: &Arc<Lazy>, min: Option<&Operand>, max: Option<&Operand>) -> Recorded<Arc<Lazy>> {
    let all: SmallVec<[Operand; 3]> =
        std::iter::once(Operand::Array(x.clone())).chain(min.cloned()).chain(max.cloned()).collect();
    let dtype = operand_type(&all);
    if dtype.kind() == Kind::Bool {
        return Err(RecordError::dtype("clip: dtypes not supported: bool"));
    }
    let mut result = cast(x, dtype)?;
    for (op, bound) in [(ScalarOp::Maximum, min), (ScalarOp::Minimum, max)] {
        if let Some(bound) = bound {
            // A bound outside the dtype's range does not bind: saturate it instead of refusing, as NumPy does.
            let bound = match bound {
                Operand::Scalar(Weak::Int(v)) if dtype.is_integer() => {
                    let (low, high) = integer_range(dtype);
                    Operand::Scalar(Weak::Int((*v).clamp(low, high)))
                }
                other => other.clone(),
            };
            result = mapped(op, smallvec::smallvec![result, convert(bound, dtype, false)?])?;
        }
    }
    Ok(result)
}

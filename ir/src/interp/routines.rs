//! What routines of libraries mean: textbook methods on scalars, slow and obvious.

use crate::{
    dtype::{DType, Kind},
    routine::Routine,
    scalar::Scalar,
};
use ndarray::{ArrayD, Axis};
use std::cmp::Ordering;

/// The result array of a call, whose dtype is `dtype`.
pub fn call(routine: Routine, operands: &[ArrayD<Scalar>], dtype: DType) -> Result<ArrayD<Scalar>, String> {
    let operand = operands.first().ok_or("a routine takes an operand")?;
    match routine {
        Routine::Sort { descending } => {
            Ok(sorted(operand, dtype, |order, row| order.iter().map(|&position| row[position]).collect(), descending))
        }
        Routine::Argsort { descending } => Ok(sorted(
            operand,
            dtype,
            |order, _| order.iter().map(|&position| Scalar::i64(position as i64)).collect(),
            descending,
        )),
    }
}

/// Each row along the last axis replaced by what `give` makes of the order of its elements.
fn sorted(
    operand: &ArrayD<Scalar>,
    dtype: DType,
    give: impl Fn(&[usize], &[Scalar]) -> Vec<Scalar>,
    descending: bool,
) -> ArrayD<Scalar> {
    let mut result = operand.map(|_| Scalar::from_i64(dtype, 0));
    let last = Axis(operand.ndim() - 1);
    for (from, mut to) in operand.lanes(last).into_iter().zip(result.lanes_mut(last)) {
        let row: Vec<Scalar> = from.iter().copied().collect();
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| in_order(row[a], row[b], descending));
        for (element, value) in to.iter_mut().zip(give(&order, &row)) {
            *element = value;
        }
    }
    result
}

/// Which comes first. NaN comes last; zeros of both signs are equal.
pub fn in_order(a: Scalar, b: Scalar, descending: bool) -> Ordering {
    if a.dtype().is_float() {
        let (a, b) = (a.as_f64(), b.as_f64());
        let ascending = a.partial_cmp(&b);
        return ascending
            .map(|order| if descending { order.reverse() } else { order })
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    }
    let order = if matches!(a.dtype().kind(), Kind::Bool | Kind::Unsigned) {
        a.bits().cmp(&b.bits())
    } else {
        a.as_i64().cmp(&b.as_i64())
    };
    if descending { order.reverse() } else { order }
}

//! What routines of libraries mean: textbook methods on scalars, slow and obvious.

use super::linear::{self, Matrix};
use crate::{
    dtype::{DType, Kind},
    routine::Routine,
    scalar::Scalar,
};
use ndarray::{Array1, ArrayD, Axis, IxDyn};
use num_complex::Complex64 as C;
use std::cmp::Ordering;

/// The result array of a call, whose dtype is `dtype`.
pub fn call(routine: Routine, operands: &[ArrayD<Scalar>], dtype: DType) -> Result<ArrayD<Scalar>, String> {
    let operand = operands.first().ok_or("a routine takes an operand")?;
    match routine {
        Routine::Sort { descending } => {
            let give = |order: &[usize], row: &[Scalar]| order.iter().map(|&position| row[position]).collect();
            Ok(sorted(operand, dtype, descending, give))
        }
        Routine::Argsort { descending } => {
            let give = |order: &[usize], _: &[Scalar]| order.iter().map(|&at| Scalar::i64(at as i64)).collect();
            Ok(sorted(operand, dtype, descending, give))
        }
        Routine::Cholesky
        | Routine::Slogdet
        | Routine::Inv
        | Routine::Solve
        | Routine::Qr { .. }
        | Routine::Svd { .. }
        | Routine::Svdvals
        | Routine::Eigh
        | Routine::Eigvalsh => matrices(routine, operands, dtype),
    }
}

/// Each row along the last axis replaced by what `give` makes of the order of its elements.
fn sorted(
    operand: &ArrayD<Scalar>,
    dtype: DType,
    descending: bool,
    give: impl Fn(&[usize], &[Scalar]) -> Vec<Scalar>,
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
fn in_order(a: Scalar, b: Scalar, descending: bool) -> Ordering {
    if a.dtype().is_float() {
        let (a, b) = (a.as_f64(), b.as_f64());
        let ascending = a.partial_cmp(&b);
        return ascending
            .map(|order| if descending { order.reverse() } else { order })
            .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    }
    let unsigned = matches!(a.dtype().kind(), Kind::Bool | Kind::Unsigned);
    let order = if unsigned { a.bits().cmp(&b.bits()) } else { a.as_i64().cmp(&b.as_i64()) };
    if descending { order.reverse() } else { order }
}

/// A routine on each matrix of a batch; the results of all members for each result, one result after another.
fn matrices(routine: Routine, operands: &[ArrayD<Scalar>], dtype: DType) -> Result<ArrayD<Scalar>, String> {
    let batch = operands[0].ndim() - 2;
    let count: usize = operands[0].shape()[..batch].iter().product();
    let shapes: Vec<&[usize]> = operands.iter().map(|operand| operand.shape()).collect();
    let mut results: Vec<Vec<C>> = vec![Vec::new(); routine.results(&shapes).len()];
    for number in 0..count {
        let members: Vec<Matrix> = operands.iter().map(|operand| member(operand, number)).collect();
        for (result, part) in results.iter_mut().zip(of_one(routine, &members)?) {
            result.extend(part);
        }
    }
    let elements: Array1<Scalar> =
        results.concat().into_iter().map(|value| Scalar::from_f64(dtype, value.re)).collect();
    let shape = routine.result_shape(&shapes).ok_or("the results are too large together")?;
    elements.into_shape_with_order(IxDyn(&shape)).map_err(|error| error.to_string())
}

fn member(operand: &ArrayD<Scalar>, number: usize) -> Matrix {
    let [.., rows, columns] = *operand.shape() else { return Matrix::identity(0) };
    let elements = operand.iter().skip(number * rows * columns).take(rows * columns);
    Matrix { rows, columns, elements: elements.map(|element| C::from(element.as_f64())).collect() }
}

fn of_one(routine: Routine, operands: &[Matrix]) -> Result<Vec<Vec<C>>, String> {
    let a = &operands[0];
    let real = |values: Vec<f64>| values.into_iter().map(C::from).collect::<Vec<C>>();
    Ok(match routine {
        Routine::Cholesky => vec![linear::cholesky(a)?.elements],
        Routine::Slogdet => linear::eliminate(a, &Matrix::identity(a.rows)).0.map(|value| vec![value]).to_vec(),
        Routine::Inv => vec![linear::eliminate(a, &Matrix::identity(a.rows)).1?.elements],
        Routine::Solve => vec![linear::eliminate(a, &operands[1]).1?.elements],
        Routine::Qr { complete } => linear::qr(a, complete).map(|matrix| matrix.elements).to_vec(),
        Routine::Svd { full } => {
            let (u, s, vh) = linear::svd(a, full);
            vec![u.elements, real(s), vh.elements]
        }
        Routine::Svdvals => vec![real(linear::svd(a, false).1)],
        Routine::Eigh => {
            let (values, vectors) = linear::eigh(a);
            vec![real(values), vectors.elements]
        }
        Routine::Eigvalsh => vec![real(linear::eigh(a).0)],
        Routine::Sort { .. } | Routine::Argsort { .. } => return Err(format!("{routine:?} takes no matrices")),
    })
}

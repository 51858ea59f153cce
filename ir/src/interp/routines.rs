//! What routines of libraries mean: textbook methods on scalars, slow and obvious.

use super::linear::{self, Matrix};
use crate::{
    dtype::{DType, Kind},
    routine::{Linear, Routine},
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
        Routine::Linear { what, .. } => on_members(routine, operands, dtype, &|members| of_matrices(what, members)),
        Routine::Fft { inverse } => {
            on_members(routine, operands, dtype, &|members| Ok(vec![fourier(&members[0].elements, inverse)]))
        }
        Routine::Rfft => on_members(routine, operands, dtype, &|members| {
            let row = &members[0].elements;
            Ok(vec![fourier(row, false)[..row.len() / 2 + 1].to_vec()])
        }),
        Routine::Irfft { odd } => on_members(routine, operands, dtype, &|members| {
            let half = &members[0].elements;
            let mut whole = half.clone();
            whole[0] = C::from(whole[0].re);
            if !odd && half.len() > 1 {
                let middle = half.len() - 1;
                whole[middle] = C::from(half[middle].re);
            }
            let mirrored = if odd { 1..half.len() } else { 1..half.len() - 1 };
            whole.extend(half[mirrored].iter().rev().map(|value| value.conj()));
            whole.truncate((half.len() - 1) * 2 + usize::from(odd));
            Ok(vec![fourier(&whole, true)])
        }),
    }
}

/// The transform, by its definition.
fn fourier(row: &[C], inverse: bool) -> Vec<C> {
    let sign = if inverse { 1.0 } else { -1.0 };
    let n = row.len();
    let turn = |i: usize| C::from_polar(1.0, sign * std::f64::consts::TAU * (i % n) as f64 / n as f64);
    (0..n).map(|k| row.iter().enumerate().map(|(i, value)| value * turn(i * k)).sum()).collect()
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

/// The elements of each result of one member of a batch.
type OfOne = Result<Vec<Vec<C>>, String>;

/// A routine on each member of a batch; the results of all members for each result, one result after another. Complex arrays
/// are pairs.
fn on_members(
    routine: Routine,
    operands: &[ArrayD<Scalar>],
    dtype: DType,
    of_one: &dyn Fn(&[Matrix]) -> OfOne,
) -> Result<ArrayD<Scalar>, String> {
    let complex = usize::from(routine.takes_complex());
    let whole: Vec<&[usize]> = operands.iter().map(|operand| operand.shape()).collect();
    let shapes: Vec<&[usize]> = whole.iter().map(|shape| &shape[..shape.len() - complex]).collect();
    let count: usize = shapes[0][..shapes[0].len() - routine.core_rank()].iter().product();
    let mut results: Vec<Vec<C>> = vec![Vec::new(); routine.results(&shapes).len()];
    for number in 0..count {
        let member = |(operand, shape): (&ArrayD<Scalar>, &&[usize])| {
            let [rows, columns] = match **shape {
                [.., length] if routine.core_rank() == 1 => [1, length],
                [.., rows, columns] => [rows, columns],
                _ => [0, 0],
            };
            let size = (rows * columns) << complex;
            let parts: Vec<f64> = operand.iter().skip(number * size).take(size).map(|part| part.as_f64()).collect();
            let number = |part: &[f64]| C::new(part[0], part.get(1).copied().unwrap_or(0.0));
            Matrix { rows, columns, elements: parts.chunks(1 << complex).map(number).collect() }
        };
        let members: Vec<Matrix> = operands.iter().zip(&shapes).map(member).collect();
        for (result, part) in results.iter_mut().zip(of_one(&members)?) {
            result.extend(part);
        }
    }
    let parts = |value: C| match routine.gives_complex() {
        true => vec![value.re, value.im],
        false => vec![value.re],
    };
    let elements: Array1<Scalar> =
        results.concat().into_iter().flat_map(parts).map(|part| Scalar::from_f64(dtype, part)).collect();
    let shape = routine.result_shape_of_pairs(&whole).ok_or("the results are too large together")?;
    elements.into_shape_with_order(IxDyn(&shape)).map_err(|error| error.to_string())
}

fn of_matrices(what: Linear, operands: &[Matrix]) -> OfOne {
    let a = &operands[0];
    let real = |values: Vec<f64>| values.into_iter().map(C::from).collect::<Vec<C>>();
    Ok(match what {
        Linear::Cholesky => vec![linear::cholesky(a)?.elements],
        Linear::Slogdet => linear::eliminate(a, &Matrix::identity(a.rows)).0.map(|value| vec![value]).to_vec(),
        Linear::Inv => vec![linear::eliminate(a, &Matrix::identity(a.rows)).1?.elements],
        Linear::Solve => vec![linear::eliminate(a, &operands[1]).1?.elements],
        Linear::Qr { complete } => linear::qr(a, complete).map(|matrix| matrix.elements).to_vec(),
        Linear::Svd { full } => {
            let (u, s, vh) = linear::svd(a, full);
            vec![u.elements, real(s), vh.elements]
        }
        Linear::Svdvals => vec![real(linear::svd(a, false).1)],
        Linear::Eigh => {
            let (values, vectors) = linear::eigh(a);
            vec![real(values), vectors.elements]
        }
        Linear::Eigvalsh => vec![real(linear::eigh(a).0)],
        Linear::Eig => {
            let (values, vectors) = linear::eig(a)?;
            vec![values, vectors.elements]
        }
        Linear::Eigvals => vec![linear::eig(a)?.0],
    })
}

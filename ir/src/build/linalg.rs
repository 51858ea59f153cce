//! Linear algebra that libraries compute: factorisations and what follows from them. Matrices are the last two axes.
//!
//! As in NumPy, float32 is computed in float64 and rounded at the end, and integers and booleans become float64.

use super::{
    Operand,
    call::{call, call_of_several},
    cast, common_shape, elementwise, expanded,
    linear::matrix_transpose,
    reshaped, tuple,
};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::Lazy,
    ops::ScalarOp as S,
    promote::common,
    routine::Routine,
    shape::Shape,
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Several results of one call.
pub type Several = SmallVec<[Arc<Lazy>; 3]>;

/// The triangular factor: lower, or upper, for which the upper triangle is read.
pub fn cholesky(x: &Arc<Lazy>, upper: bool) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "cholesky")?;
    let lower = |x: Arc<Lazy>| one(Routine::Cholesky, x, dtype);
    if upper { matrix_transpose(&lower(matrix_transpose(&x)?)?) } else { lower(x) }
}

/// The sign and the logarithm of the absolute value of the determinant.
pub fn slogdet(x: &Arc<Lazy>) -> Recorded<Several> {
    let (x, dtype) = square(x, "slogdet")?;
    several(Routine::Slogdet, x, dtype)
}

/// The determinant.
pub fn det(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "det")?;
    let mut parts = several(Routine::Slogdet, x, DType::F64)?;
    let (logarithm, sign) = (parts.pop(), parts.pop());
    let (Some(sign), Some(logarithm)) = (sign, logarithm) else { unreachable!("slogdet has two results") };
    let modulus = elementwise(S::Exp, [Operand::Array(logarithm)])?;
    cast(&elementwise(S::Multiply, [Operand::Array(sign), Operand::Array(modulus)])?, dtype)
}

/// The inverse.
pub fn inv(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "inv")?;
    one(Routine::Inv, x, dtype)
}

/// The solution of `a @ x = b`; `b` is a vector if it has one axis, otherwise matrices that broadcast with those of `a`.
pub fn solve(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (matrices, a_dtype) = square(a, "solve")?;
    let dtype = common(a_dtype, floating(b.dtype));
    let b = cast(b, matrices.dtype)?;
    let mismatch =
        || RecordError::value(format!("solve: shapes {} and {} do not fit", tuple(&a.shape), tuple(&b.shape)));
    let is_vector = b.shape.len() == 1;
    let right = match b.shape.len() {
        0 => return Err(mismatch()),
        1 => reshaped(&b, smallvec![b.shape[0], 1])?,
        _ => b.clone(),
    };
    let n = a.shape[a.shape.len() - 1];
    let [rows, columns] = [2, 1].map(|back| right.shape[right.shape.len() - back]);
    if rows != n {
        return Err(mismatch());
    }
    let batches = [&matrices, &right].map(|x| &x.shape[..x.shape.len() - 2]);
    let batch = common_shape("solve", batches.into_iter()).map_err(|_| mismatch())?;
    let stacked = |x: &Arc<Lazy>, columns: usize| {
        let shape: Shape = batch.iter().copied().chain([n, columns]).collect();
        expanded(x, &shape)
    };
    let solution = call(Routine::Solve, smallvec![stacked(&matrices, n)?, stacked(&right, columns)?])?;
    let solution = cast(&solution, dtype)?;
    if is_vector { reshaped(&solution, batch.iter().copied().chain([n]).collect()) } else { Ok(solution) }
}

/// `Q` and `R`.
pub fn qr(x: &Arc<Lazy>, complete: bool) -> Recorded<Several> {
    let (x, dtype) = matrices(x, "qr")?;
    several(Routine::Qr { complete }, x, dtype)
}

/// `U`, the singular values and `V^H`.
pub fn svd(x: &Arc<Lazy>, full: bool) -> Recorded<Several> {
    let (x, dtype) = matrices(x, "svd")?;
    several(Routine::Svd { full }, x, dtype)
}

/// The singular values.
pub fn svdvals(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = matrices(x, "svdvals")?;
    one(Routine::Svdvals, x, dtype)
}

/// The eigenvalues and eigenvectors of a symmetric matrix, whose lower triangle is read.
pub fn eigh(x: &Arc<Lazy>) -> Recorded<Several> {
    let (x, dtype) = square(x, "eigh")?;
    several(Routine::Eigh, x, dtype)
}

/// The eigenvalues of a symmetric matrix, whose lower triangle is read.
pub fn eigvalsh(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "eigvalsh")?;
    one(Routine::Eigvalsh, x, dtype)
}

fn one(routine: Routine, x: Arc<Lazy>, dtype: DType) -> Recorded<Arc<Lazy>> {
    cast(&call(routine, smallvec![x])?, dtype)
}

fn several(routine: Routine, x: Arc<Lazy>, dtype: DType) -> Recorded<Several> {
    call_of_several(routine, smallvec![x])?.iter().map(|result| cast(result, dtype)).collect()
}

/// The dtype of results.
fn floating(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F64 }
}

/// Matrices as they are computed, and the dtype of the results.
fn matrices(x: &Arc<Lazy>, name: &str) -> Recorded<(Arc<Lazy>, DType)> {
    if x.shape.len() < 2 {
        return Err(RecordError::value(format!("{name}: needs at least 2 dimensions, got shape {}", tuple(&x.shape))));
    }
    Ok((cast(x, DType::F64)?, floating(x.dtype)))
}

fn square(x: &Arc<Lazy>, name: &str) -> Recorded<(Arc<Lazy>, DType)> {
    let matrices = matrices(x, name)?;
    match x.shape.as_slice() {
        [.., rows, columns] if rows == columns => Ok(matrices),
        _ => Err(RecordError::value(format!("{name}: the matrices must be square, got shape {}", tuple(&x.shape)))),
    }
}

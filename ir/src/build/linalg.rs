//! Linear algebra that libraries compute: factorisations and what follows from them. Matrices are the last two axes.
//!
//! As in NumPy, single precision is computed in double precision and rounded at the end, and integers and booleans become
//! float64.

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
    routine::{Linear, Routine},
    shape::Shape,
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Several results of one call.
pub type Several = SmallVec<[Arc<Lazy>; 3]>;

/// The triangular factor: lower, or upper, for which the upper triangle is read.
pub fn cholesky(x: &Arc<Lazy>, upper: bool) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "cholesky")?;
    let lower = |x: Arc<Lazy>| one(Linear::Cholesky, x, dtype);
    if upper { adjoint(&lower(adjoint(&x)?)?) } else { lower(x) }
}

/// The sign and the logarithm of the absolute value of the determinant.
pub fn slogdet(x: &Arc<Lazy>) -> Recorded<Several> {
    let (x, dtype) = square(x, "slogdet")?;
    several(Linear::Slogdet, x, dtype)
}

/// The determinant.
pub fn det(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "det")?;
    let double = x.dtype;
    let mut parts = several(Linear::Slogdet, x, double)?;
    let (logarithm, sign) = (parts.pop(), parts.pop());
    let (Some(sign), Some(logarithm)) = (sign, logarithm) else { unreachable!("slogdet has two results") };
    let modulus = elementwise(S::Exp, [Operand::Array(logarithm)])?;
    cast(&elementwise(S::Multiply, [Operand::Array(sign), Operand::Array(modulus)])?, dtype)
}

/// The inverse.
pub fn inv(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "inv")?;
    one(Linear::Inv, x, dtype)
}

/// The solution of `a @ x = b`; `b` is a vector if it has one axis, otherwise matrices that broadcast with those of `a`.
pub fn solve(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (matrices, a_dtype) = square(a, "solve")?;
    let dtype = common(a_dtype, floating(b.dtype, "solve")?);
    let double = common(dtype, DType::F64);
    let (matrices, b) = (cast(&matrices, double)?, cast(b, double)?);
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
    let operands = smallvec![stacked(&matrices, n)?, stacked(&right, columns)?];
    let solution = call(Routine::Linear { what: Linear::Solve, complex: double.is_complex() }, operands)?;
    let solution = cast(&solution, dtype)?;
    if is_vector { reshaped(&solution, batch.iter().copied().chain([n]).collect()) } else { Ok(solution) }
}

/// `Q` and `R`.
pub fn qr(x: &Arc<Lazy>, complete: bool) -> Recorded<Several> {
    let (x, dtype) = matrices(x, "qr")?;
    several(Linear::Qr { complete }, x, dtype)
}

/// `U`, the singular values and `V^H`.
pub fn svd(x: &Arc<Lazy>, full: bool) -> Recorded<Several> {
    let (x, dtype) = matrices(x, "svd")?;
    several(Linear::Svd { full }, x, dtype)
}

/// The singular values.
pub fn svdvals(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = matrices(x, "svdvals")?;
    one(Linear::Svdvals, x, dtype)
}

/// The eigenvalues and eigenvectors of a symmetric matrix, whose lower triangle is read.
pub fn eigh(x: &Arc<Lazy>) -> Recorded<Several> {
    let (x, dtype) = square(x, "eigh")?;
    several(Linear::Eigh, x, dtype)
}

/// The eigenvalues of a symmetric matrix, whose lower triangle is read.
pub fn eigvalsh(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "eigvalsh")?;
    one(Linear::Eigvalsh, x, dtype)
}

/// The eigenvalues and eigenvectors of any square matrix, complex.
pub fn eig(x: &Arc<Lazy>) -> Recorded<Several> {
    let (x, dtype) = square(x, "eig")?;
    several(Linear::Eig, x, dtype.complex())
}

/// The eigenvalues of any square matrix, complex.
pub fn eigvals(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let (x, dtype) = square(x, "eigvals")?;
    one(Linear::Eigvals, x, dtype)
}

/// A call of one result, which gets the precision of a dtype.
fn one(what: Linear, x: Arc<Lazy>, dtype: DType) -> Recorded<Arc<Lazy>> {
    let complex = x.dtype.is_complex();
    let result = call(Routine::Linear { what, complex }, smallvec![x])?;
    let dtype = if result.dtype.is_complex() { dtype.complex() } else { dtype.component() };
    cast(&result, dtype)
}

/// A call of several results of a dtype, but for those that are real.
fn several(what: Linear, x: Arc<Lazy>, dtype: DType) -> Recorded<Several> {
    let complex = x.dtype.is_complex();
    let real = match what {
        Linear::Slogdet | Linear::Svd { .. } => Some(1),
        Linear::Eigh => Some(0),
        _ => None,
    };
    let results = call_of_several(Routine::Linear { what, complex }, smallvec![x])?;
    let rounded = |(number, result): (usize, &Arc<Lazy>)| match result.dtype.is_complex() && real == Some(number) {
        true => cast(&elementwise(S::Real, [Operand::Array(result.clone())])?, dtype.component()),
        false => cast(result, dtype),
    };
    results.iter().enumerate().map(rounded).collect()
}

/// The dtype of results. As in NumPy, matrices of 16-bit floats are refused (TypeError).
fn floating(dtype: DType, name: &str) -> Recorded<DType> {
    match dtype {
        half if half.is_half() => {
            Err(RecordError::dtype(format!("{name}: dtype not supported: {}; convert to float32", dtype.numpy_name())))
        }
        dtype if dtype.is_float() || dtype.is_complex() => Ok(dtype),
        _ => Ok(DType::F64),
    }
}

/// The conjugate transposes.
fn adjoint(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let transposed = matrix_transpose(x)?;
    if x.dtype.is_complex() { elementwise(S::Conj, [Operand::Array(transposed)]) } else { Ok(transposed) }
}

/// Matrices as they are computed, and the dtype of the results.
fn matrices(x: &Arc<Lazy>, name: &str) -> Recorded<(Arc<Lazy>, DType)> {
    if x.shape.len() < 2 {
        return Err(RecordError::value(format!("{name}: needs at least 2 dimensions, got shape {}", tuple(&x.shape))));
    }
    let dtype = floating(x.dtype, name)?;
    Ok((cast(x, common(dtype, DType::F64))?, dtype))
}

fn square(x: &Arc<Lazy>, name: &str) -> Recorded<(Arc<Lazy>, DType)> {
    let matrices = matrices(x, name)?;
    match x.shape.as_slice() {
        [.., rows, columns] if rows == columns => Ok(matrices),
        _ => Err(RecordError::value(format!("{name}: the matrices must be square, got shape {}", tuple(&x.shape)))),
    }
}

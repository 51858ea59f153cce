//! Products of matrices and vectors. Those of float matrices become `Dot` nodes (a library call); those with vectors, and of integers
//! and booleans, a fused multiply-and-sum.

use super::{Axis, Operand, axis, common_shape, elementwise, expanded, manipulate, record, reshaped, sum, tuple};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    infer,
    lazy::Lazy,
    node::Op,
    ops::ScalarOp as S,
    promote::common,
    shape::{Shape, element_count},
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Both in the common dtype. Products of booleans are conjunctions, and their sum is whether any is true.
fn promoted(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<[Arc<Lazy>; 2]> {
    let dtype = common(a.dtype, b.dtype);
    Ok([super::cast(a, dtype)?, super::cast(b, dtype)?])
}

/// Matrix product, NumPy's rules: vectors get a unit axis that goes again, leading axes broadcast.
pub fn matmul(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let mismatch =
        || RecordError::value(format!("matmul: shapes {} and {} do not fit", tuple(&a.shape), tuple(&b.shape)));
    if a.shape.is_empty() || b.shape.is_empty() {
        return Err(RecordError::value(format!(
            "matmul: needs at least one dimension, got shapes {} and {}",
            tuple(&a.shape),
            tuple(&b.shape)
        )));
    }
    let (a_vector, b_vector) = (a.shape.len() == 1, b.shape.len() == 1);
    let [mut left, mut right] = promoted(a, b)?;
    if a_vector {
        left = reshaped(&left, smallvec![1, left.shape[0]])?;
    }
    if b_vector {
        right = reshaped(&right, smallvec![right.shape[0], 1])?;
    }
    let [m, k] = last_two(&left.shape);
    let [k_right, n] = last_two(&right.shape);
    if k != k_right {
        return Err(mismatch());
    }
    let batches = [&left, &right].map(|x| &x.shape[..x.shape.len() - 2]);
    let batch = common_shape("matmul", batches.into_iter()).map_err(|_| mismatch())?;
    let stacked = |x: &Arc<Lazy>, rows: usize, columns: usize| {
        let mut shape = batch.clone();
        shape.extend([rows, columns]);
        expanded(x, &shape)
    };
    let (left, right) = (stacked(&left, m, k)?, stacked(&right, k, n)?);
    let product = dot(&left, &right)?;
    let mut shape = batch;
    if !a_vector {
        shape.push(m);
    }
    if !b_vector {
        shape.push(n);
    }
    reshaped(&product, shape)
}

fn last_two(shape: &[usize]) -> [usize; 2] {
    [shape[shape.len() - 2], shape[shape.len() - 1]]
}

/// `[b..., m, k] x [b..., k, n]`, of one dtype. With a vector on either side each element of the other is used once: that is bound by
/// memory, and fuses with what is around it.
fn dot(left: &Arc<Lazy>, right: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let shape: Shape = infer::product(&left.shape, &right.shape);
    super::check_size(&shape, left.dtype)?;
    let ([m, k], n) = (last_two(&left.shape), last_two(&right.shape)[1]);
    let summed = |a: Arc<Lazy>, b: Arc<Lazy>, axis: i64, keepdims: bool| {
        let products = elementwise(S::Multiply, &[Operand::Array(a), Operand::Array(b)])?;
        sum(&products, &Axis::List(smallvec![axis]), Some(left.dtype), keepdims)
    };
    if n == 1 {
        summed(left.clone(), matrix_transpose(right)?, -1, true)
    } else if m == 1 {
        summed(matrix_transpose(left)?, right.clone(), -2, true)
    } else if k == 1 {
        elementwise(S::Multiply, [left, right].map(|x| Operand::Array(x.clone())))
    } else if left.dtype.is_float() || left.dtype.is_complex() {
        record(Op::Dot, smallvec![left.clone(), right.clone()], left.dtype, shape)
    } else {
        // [b..., m, 1, k] * [b..., 1, n, k], summed over k.
        let rank = left.shape.len() as i64;
        let columns = matrix_transpose(right)?;
        summed(manipulate::expand_dims(left, &[rank - 1])?, manipulate::expand_dims(&columns, &[rank - 2])?, -1, false)
    }
}

/// The last two axes swapped.
pub fn matrix_transpose(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    if rank < 2 {
        return Err(RecordError::value(format!(
            "matrix_transpose: needs at least 2 dimensions, got shape {}",
            tuple(&x.shape)
        )));
    }
    let mut order: SmallVec<[usize; 4]> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    manipulate::permuted(x, &order)
}

/// Sum of products along an axis that both arrays have, the first one conjugated, after broadcasting. (`axis` counts from the last: negative.)
pub fn vecdot(a: &Arc<Lazy>, b: &Arc<Lazy>, along: i64) -> Recorded<Arc<Lazy>> {
    let [a, b] = promoted(a, b)?;
    let rank = a.shape.len().min(b.shape.len());
    let from_end = axis(along, rank, "vecdot")? as i64 - rank as i64;
    let extent = |x: &Arc<Lazy>| x.shape[(x.shape.len() as i64 + from_end) as usize];
    if extent(&a) != extent(&b) {
        return Err(RecordError::value(format!(
            "vecdot: shapes {} and {} differ along axis {along}",
            tuple(&a.shape),
            tuple(&b.shape)
        )));
    }
    let dtype = a.dtype;
    if dtype.is_half() {
        // Rounded once, as other products are.
        let [a, b] = [super::cast(&a, DType::F32)?, super::cast(&b, DType::F32)?];
        return super::cast(&vecdot(&a, &b, along)?, dtype);
    }
    let a = if dtype.is_complex() { elementwise(S::Conj, &[Operand::Array(a)])? } else { a };
    let products = elementwise(S::Multiply, &[Operand::Array(a), Operand::Array(b)])?;
    sum(&products, &Axis::List(smallvec![from_end]), Some(dtype), false)
}

/// Sum of products over pairs of axes: `left[i]` of `a` with `right[i]` of `b`.
pub fn tensordot(a: &Arc<Lazy>, b: &Arc<Lazy>, left: &[i64], right: &[i64]) -> Recorded<Arc<Lazy>> {
    let [a, b] = promoted(a, b)?;
    let left = super::axes(left, a.shape.len(), "tensordot")?;
    let right = super::axes(right, b.shape.len(), "tensordot")?;
    if left.len() != right.len() || left.iter().zip(&right).any(|(&l, &r)| a.shape[l] != b.shape[r]) {
        return Err(RecordError::value(format!(
            "tensordot: shapes {} and {} do not agree on the summed axes {left:?} and {right:?}",
            tuple(&a.shape),
            tuple(&b.shape)
        )));
    }
    let free = |x: &Arc<Lazy>, summed: &[usize]| -> SmallVec<[usize; 4]> {
        (0..x.shape.len()).filter(|i| !summed.contains(i)).collect()
    };
    let (a_free, b_free) = (free(&a, &left), free(&b, &right));
    let size = |x: &Arc<Lazy>, axes: &[usize]| {
        let extents: Shape = axes.iter().map(|&i| x.shape[i]).collect();
        element_count(&extents).unwrap_or(usize::MAX)
    };
    let (m, k, n) = (size(&a, &a_free), size(&a, &left), size(&b, &b_free));
    let a_order: SmallVec<[usize; 4]> = a_free.iter().chain(&left).copied().collect();
    let b_order: SmallVec<[usize; 4]> = right.iter().chain(&b_free).copied().collect();
    let rows = reshaped(&manipulate::permuted(&a, &a_order)?, smallvec![m, k])?;
    let columns = reshaped(&manipulate::permuted(&b, &b_order)?, smallvec![k, n])?;
    let shape: Shape = a_free.iter().map(|&i| a.shape[i]).chain(b_free.iter().map(|&i| b.shape[i])).collect();
    super::check_size(&shape, a.dtype)?;
    reshaped(&dot(&rows, &columns)?, shape)
}

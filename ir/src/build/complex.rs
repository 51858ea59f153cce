//! What complex numbers need beside the op table: powers, products and running products. A product of complex numbers is not two
//! of anything that kernels can fold, so these are recorded as trees of multiplications: a number of nodes that grows with the
//! logarithm of the extent, work that grows with the extent, the same order of multiplications always.

use super::{Operand, concat, elementwise, expanded, integer, manipulate, sliced};
use crate::{
    error::Recorded,
    lazy::Lazy,
    ops::ScalarOp as S,
    promote::Weak,
    shape::{Axes, Shape},
};
use std::sync::Arc;

/// Beyond it powers are taken through the logarithm, as in NumPy.
const LARGEST_POWER: f64 = 100.0;

/// The exponent, if powers to it are products.
pub(super) fn whole_exponent(exponent: Weak) -> Option<i64> {
    let (re, im) = exponent.parts();
    (im == 0.0 && re.fract() == 0.0 && re.abs() < LARGEST_POWER).then_some(re as i64)
}

/// `x` to an integer power, by squaring.
pub(super) fn integer_power(x: &Arc<Lazy>, exponent: i64) -> Recorded<Arc<Lazy>> {
    let mut left = exponent.unsigned_abs();
    let (mut result, mut square) = (None, x.clone());
    while left > 0 {
        if left % 2 == 1 {
            result = Some(match &result {
                None => square.clone(),
                Some(so_far) => times(so_far, &square)?,
            });
        }
        left /= 2;
        if left > 0 {
            square = times(&square, &square)?;
        }
    }
    match result {
        None => expanded(&integer(1, x.dtype)?, &x.shape),
        Some(power) if exponent < 0 => elementwise(S::Reciprocal, [Operand::Array(power)]),
        Some(power) => Ok(power),
    }
}

fn times(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    elementwise(S::Multiply, [Operand::Array(a.clone()), Operand::Array(b.clone())])
}

/// The product over axes, which stay with extent 1.
pub(super) fn product(x: &Arc<Lazy>, axes: &Axes) -> Recorded<Arc<Lazy>> {
    axes.iter().try_fold(x.clone(), |x, &axis| product_along(&x, axis as usize))
}

/// Multiplies what is beyond the largest power of two onto the front, then halves.
fn product_along(x: &Arc<Lazy>, axis: usize) -> Recorded<Arc<Lazy>> {
    let extent = x.shape[axis];
    if extent == 0 {
        let mut shape = x.shape.clone();
        shape[axis] = 1;
        return expanded(&integer(1, x.dtype)?, &shape);
    }
    let part = |x: &Arc<Lazy>, start: usize, extent: usize| sliced(x, axis, start as i64, 1, extent);
    let mut length = 1 << extent.ilog2();
    let beyond = extent - length;
    let mut result = x.clone();
    if beyond > 0 {
        let front = times(&part(x, 0, beyond)?, &part(x, length, beyond)?)?;
        result = concat(&[front, part(x, beyond, length - beyond)?], Some(axis as i64))?;
    }
    while length > 1 {
        length /= 2;
        result = times(&part(&result, 0, length)?, &part(&result, length, length)?)?;
    }
    Ok(result)
}

/// The products up to each element along an axis.
pub(super) fn running_product(x: &Arc<Lazy>, axis: usize) -> Recorded<Arc<Lazy>> {
    let extent = x.shape[axis];
    let padded = extent.next_power_of_two();
    if extent < 2 || padded == extent {
        return running_halves(x, axis);
    }
    let mut shape = x.shape.clone();
    shape[axis] = padded - extent;
    let ones = expanded(&integer(1, x.dtype)?, &shape)?;
    let result = running_halves(&concat(&[x.clone(), ones], Some(axis as i64))?, axis)?;
    sliced(&result, axis, 0, 1, extent)
}

/// The running product of neighbours' products is every second result; the others have one more factor.
fn running_halves(x: &Arc<Lazy>, axis: usize) -> Recorded<Arc<Lazy>> {
    let half = x.shape[axis] / 2;
    if half == 0 {
        return Ok(x.clone());
    }
    let every_second = |start: i64, extent: usize| sliced(x, axis, start, 2, extent);
    let odd = running_halves(&times(&every_second(0, half)?, &every_second(1, half)?)?, axis)?;
    let first = sliced(x, axis, 0, 1, 1)?;
    let even = if half == 1 {
        first
    } else {
        let later = times(&sliced(&odd, axis, 0, 1, half - 1)?, &every_second(2, half - 1)?)?;
        concat(&[first, later], Some(axis as i64))?
    };
    let pairs = manipulate::stack(&[even, odd], axis as i64 + 1)?;
    let shape: Shape = x.shape.clone();
    super::reshaped(&pairs, shape)
}

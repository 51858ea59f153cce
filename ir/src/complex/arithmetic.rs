//! Arithmetic and comparison of complex numbers.

use super::{B, Z};
use crate::{emit::V, ops::ScalarOp as S};

pub(crate) fn add(b: &mut B<'_>, a: &[Z]) -> Z {
    Z { re: b.add(a[0].re, a[1].re), im: b.add(a[0].im, a[1].im) }
}

pub(crate) fn subtract(b: &mut B<'_>, a: &[Z]) -> Z {
    Z { re: b.sub(a[0].re, a[1].re), im: b.sub(a[0].im, a[1].im) }
}

pub(crate) fn negative(b: &mut B<'_>, a: &[Z]) -> Z {
    Z { re: b.neg(a[0].re), im: b.neg(a[0].im) }
}

pub(crate) fn conj(b: &mut B<'_>, a: &[Z]) -> Z {
    Z { re: a[0].re, im: b.neg(a[0].im) }
}

pub(crate) fn multiply(b: &mut B<'_>, a: &[Z]) -> Z {
    let (x, y) = (a[0], a[1]);
    let (rr, ii) = (b.mul(x.re, y.re), b.mul(x.im, y.im));
    let (ri, ir) = (b.mul(x.re, y.im), b.mul(x.im, y.re));
    Z { re: b.sub(rr, ii), im: b.add(ri, ir) }
}

pub(crate) fn square(b: &mut B<'_>, a: &[Z]) -> Z {
    multiply(b, &[a[0], a[0]])
}

/// Smith's division, as NumPy does it: neither the quotient of the divisor's parts nor what it scales overflows. Division by
/// zero divides the parts.
pub(crate) fn divide(b: &mut B<'_>, a: &[Z]) -> Z {
    let (x, y) = (a[0], a[1]);
    let (re, im) = (b.abs(y.re), b.abs(y.im));
    let flat = b.bin(S::GreaterEqual, re, im);
    let (large, small) = (b.select(flat, y.re, y.im), b.select(flat, y.im, y.re));
    let zero = b.lit(re, 0.0);
    let by_zero = b.bin(S::Equal, large, zero);
    let ratio = b.div(small, large);
    let scaled = b.mul(small, ratio);
    let divisor = b.add(large, scaled);
    let (re_ratio, im_ratio) = (b.mul(x.re, ratio), b.mul(x.im, ratio));
    let re_flat = b.add(x.re, im_ratio);
    let im_flat = b.sub(x.im, re_ratio);
    let re_steep = b.add(re_ratio, x.im);
    let im_steep = b.sub(im_ratio, x.re);
    let (re_sum, im_sum) = (b.select(flat, re_flat, re_steep), b.select(flat, im_flat, im_steep));
    let quotient = Z { re: b.div(re_sum, divisor), im: b.div(im_sum, divisor) };
    let infinite = Z { re: b.div(x.re, re), im: b.div(x.im, re) };
    select(b, by_zero, infinite, quotient)
}

pub(crate) fn reciprocal(b: &mut B<'_>, a: &[Z]) -> Z {
    let one = Z { re: b.lit(a[0].re, 1.0), im: b.lit(a[0].re, 0.0) };
    divide(b, &[one, a[0]])
}

pub(crate) fn abs(b: &mut B<'_>, a: &[Z]) -> V {
    b.bin(S::Hypot, a[0].re, a[0].im)
}

pub(crate) fn equal(b: &mut B<'_>, a: &[Z]) -> V {
    let (re, im) = (b.bin(S::Equal, a[0].re, a[1].re), b.bin(S::Equal, a[0].im, a[1].im));
    b.bin(S::And, re, im)
}

pub(crate) fn not_equal(b: &mut B<'_>, a: &[Z]) -> V {
    let (re, im) = (b.bin(S::NotEqual, a[0].re, a[1].re), b.bin(S::NotEqual, a[0].im, a[1].im));
    b.bin(S::Or, re, im)
}

/// `if condition { x } else { y }`.
pub(super) fn select(b: &mut B<'_>, condition: V, x: Z, y: Z) -> Z {
    Z { re: b.select(condition, x.re, y.re), im: b.select(condition, x.im, y.im) }
}

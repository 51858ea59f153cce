//! Arithmetic and comparison of complex numbers.

use super::{B, Z, converted, is_zero, select};
use crate::{dtype::DType, emit::V, ops::ScalarOp as S};

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
/// zero divides the parts. On float64 parts, as functions are.
pub(crate) fn divide(b: &mut B<'_>, a: &[Z]) -> Z {
    let own = b.dtype(a[0].re);
    let (x, y) = (converted(b, a[0], DType::F64), converted(b, a[1], DType::F64));
    let (re, im) = (b.abs(y.re), b.abs(y.im));
    let flat = b.bin(S::GreaterEqual, re, im);
    let (large, small) = (b.select(flat, y.re, y.im), b.select(flat, y.im, y.re));
    let by_zero = is_zero(b, large);
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
    let quotient = select(b, by_zero, infinite, quotient);
    converted(b, quotient, own)
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

/// `z / |z|`, 0 for 0; for one infinite part, the direction of its axis.
pub(crate) fn sign(b: &mut B<'_>, a: &[Z]) -> Z {
    let z = a[0];
    // Brought near 1, so that the length neither overflows nor is subnormal.
    let single = b.dtype(z.re) == DType::F32;
    let (tiny, huge) = if single { (1e-30, 1e30) } else { (1e-290, 1e290) };
    let (tiny, huge) = (b.lit(z.re, tiny), b.lit(z.re, huge));
    let (down, up, one) = (b.lit(z.re, 2f64.powi(-8)), b.lit(z.re, 2f64.powi(60)), b.lit(z.re, 1.0));
    let large = super::magnitude(b, z);
    let (is_low, is_high) = (b.bin(S::Less, large, tiny), b.bin(S::Greater, large, huge));
    let factor = b.select(is_low, up, one);
    let factor = b.select(is_high, down, factor);
    let Z { re, im } = super::scale(b, z, factor);
    let length = b.bin(S::Hypot, re, im);
    let zero = b.lit(re, 0.0);
    let direction = Z { re: b.div(re, length), im: b.div(im, length) };
    let at_zero = is_zero(b, length);
    let direction = select(b, at_zero, Z { re: zero, im: zero }, direction);
    let (re_infinite, im_infinite) = (b.un(S::IsInf, re), b.un(S::IsInf, im));
    let (re_finite, im_finite) = (b.un(S::IsFinite, re), b.un(S::IsFinite, im));
    let along_re = b.bin(S::And, re_infinite, im_finite);
    let along_im = b.bin(S::And, im_infinite, re_finite);
    let (re_unit, im_unit) = (b.bin(S::Copysign, one, re), b.bin(S::Copysign, one, im));
    let direction = select(b, along_re, Z { re: re_unit, im: zero }, direction);
    let direction = select(b, along_im, Z { re: zero, im: im_unit }, direction);
    let (nan, no_number) = (b.lit(re, f64::NAN), isnan(b, a));
    select(b, no_number, Z { re: nan, im: nan }, direction)
}

pub(crate) fn round(b: &mut B<'_>, a: &[Z]) -> Z {
    Z { re: b.un(S::Round, a[0].re), im: b.un(S::Round, a[0].im) }
}

pub(crate) fn isfinite(b: &mut B<'_>, a: &[Z]) -> V {
    let (re, im) = (b.un(S::IsFinite, a[0].re), b.un(S::IsFinite, a[0].im));
    b.bin(S::And, re, im)
}

pub(crate) fn isinf(b: &mut B<'_>, a: &[Z]) -> V {
    super::either_infinite(b, a[0])
}

pub(crate) fn isnan(b: &mut B<'_>, a: &[Z]) -> V {
    let (re, im) = (b.un(S::IsNan, a[0].re), b.un(S::IsNan, a[0].im));
    b.bin(S::Or, re, im)
}

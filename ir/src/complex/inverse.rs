//! Inverse trigonometric and hyperbolic functions, after Kahan ("Branch cuts for complex elementary functions", 1987) and, for atanh,
//! FreeBSD's catrig. Special values are those of C99's Annex G; signed zeros tell the sides of the branch cuts apart. Everything
//! is computed on float64 parts (see `in_double`).

use super::{B, Z, either_infinite, exponential::sqrt_double, in_double, is_zero, magnitude, scale, select, turned};
use crate::{emit::V, ops::ScalarOp as S};
use std::f64::consts::{FRAC_PI_2, LN_2};

pub(crate) fn asin(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], asin_double)
}

/// `atan2(x, Re(r s))` and `asinh(Im(conj(r) s))` with `r = sqrt(1 - z)` and `s = sqrt(1 + z)`: no difference cancels.
fn asin_double(b: &mut B<'_>, z: Z) -> Z {
    let Roots { minus, plus, z: near, offset } = roots(b, z);
    let (re_re, im_im) = (b.mul(minus.re, plus.re), b.mul(minus.im, plus.im));
    let across = b.sub(re_re, im_im);
    let re = b.bin(S::Atan2, near.re, across);
    let im = crossed_asinh(b, minus, plus, offset);
    // Infinities count, whatever the other part; NaN leaves a zero real part.
    let (infinity, size) = (b.lit(re, f64::INFINITY), b.abs(z.im));
    let infinite = either_infinite(b, z);
    let angle = b.bin(S::Atan2, z.re, size);
    let im_far = b.bin(S::Copysign, infinity, z.im);
    let Z { re, im } = select(b, infinite, Z { re: angle, im: im_far }, Z { re, im });
    let at_zero = is_zero(b, z.re);
    Z { re: b.select(at_zero, z.re, re), im }
}

pub(crate) fn acos(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], acos_double)
}

/// `2 atan2(Re(r), Re(s))` and `asinh(Im(conj(s) r))`, with the roots of asin.
fn acos_double(b: &mut B<'_>, z: Z) -> Z {
    let Roots { minus, plus, offset, .. } = roots(b, z);
    let half = b.bin(S::Atan2, minus.re, plus.re);
    let re = b.add(half, half);
    let im = crossed_asinh(b, plus, minus, offset);
    let (minus_infinity, size) = (b.lit(re, f64::NEG_INFINITY), b.abs(z.im));
    let infinite = either_infinite(b, z);
    let angle = b.bin(S::Atan2, size, z.re);
    let im_far = b.bin(S::Copysign, minus_infinity, z.im);
    let im_far = b.neg(im_far);
    let Z { re, im } = select(b, infinite, Z { re: angle, im: im_far }, Z { re, im });
    let (at_zero, no_number, right_angle) = (is_zero(b, z.re), b.un(S::IsNan, z.im), b.lit(re, FRAC_PI_2));
    let upright = b.bin(S::And, at_zero, no_number);
    Z { re: b.select(upright, right_angle, re), im }
}

/// What asin and acos are made of.
struct Roots {
    /// `sqrt(1 - z)`.
    minus: Z,
    /// `sqrt(1 + z)`.
    plus: Z,
    /// z, or where it is huge a part of it.
    z: Z,
    /// What that takes from the size of the imaginary part.
    offset: V,
}

fn roots(b: &mut B<'_>, z: Z) -> Roots {
    let large = magnitude(b, z);
    let (limit, one, zero) = (b.lit(large, 2f64.powi(1000)), b.lit(large, 1.0), b.lit(large, 0.0));
    let (down, lost) = (b.lit(large, 2f64.powi(-100)), b.lit(large, 100.0 * LN_2));
    let huge = b.bin(S::Greater, large, limit);
    let factor = b.select(huge, down, one);
    let offset = b.select(huge, lost, zero);
    let z = scale(b, z, factor);
    let (left, right, below) = (b.sub(one, z.re), b.add(one, z.re), b.neg(z.im));
    let minus = sqrt_double(b, Z { re: left, im: below });
    let plus = sqrt_double(b, Z { re: right, im: z.im });
    Roots { minus, plus, z, offset }
}

/// `asinh(Im(conj(r) s))`, its size larger by `offset`.
fn crossed_asinh(b: &mut B<'_>, r: Z, s: Z, offset: V) -> V {
    let (re_im, im_re) = (b.mul(r.re, s.im), b.mul(r.im, s.re));
    let crossed = b.sub(re_im, im_re);
    let result = b.un(S::Asinh, crossed);
    let signed = b.bin(S::Copysign, offset, result);
    b.add(result, signed)
}

pub(crate) fn asinh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| turned(b, z, asin_double))
}

/// acos turned so that its real part is not negative.
pub(crate) fn acosh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| {
        let Z { re, im } = acos_double(b, z);
        Z { re: b.abs(im), im: b.bin(S::Copysign, re, z.im) }
    })
}

pub(crate) fn atanh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], atanh_double)
}

/// `log1p(4|x| / ((|x| - 1)^2 + y^2)) / 4` and `atan2(2|y|, (1 - |x|)(1 + |x|) - y^2) / 2`, with the signs of the parts. Far out,
/// the real part of `1 / z` and a right angle.
fn atanh_double(b: &mut B<'_>, z: Z) -> Z {
    let (width, height) = (b.abs(z.re), b.abs(z.im));
    let (one, half, quarter, four) = (b.lit(width, 1.0), b.lit(width, 0.5), b.lit(width, 0.25), b.lit(width, 4.0));
    let (inside, outside) = (b.sub(one, width), b.add(one, width));
    let height_square = b.mul(height, height);
    let distance = b.fma(inside, inside, height_square);
    let ratio = b.mul(width, four);
    let ratio = b.div(ratio, distance);
    let logarithm = b.un(S::Log1p, ratio);
    let re = b.mul(logarithm, quarter);
    // Just above and below 1 the square of the height is lost: (log(2) - log(y)) / 2.
    let (epsilon, log_two) = (b.lit(width, f64::EPSILON), b.lit(width, LN_2));
    let (level, low) = (b.bin(S::Equal, width, one), b.bin(S::Less, height, epsilon));
    let at_pole = b.bin(S::And, level, low);
    let near_pole = b.un(S::Log, height);
    let near_pole = b.sub(log_two, near_pole);
    let near_pole = b.mul(near_pole, half);
    let re = b.select(at_pole, near_pole, re);

    let product = b.mul(inside, outside);
    let across = b.sub(product, height_square);
    let up = b.add(height, height);
    let angle = b.bin(S::Atan2, up, across);
    let im = b.mul(angle, half);

    let limit = b.lit(width, 1.0 / f64::EPSILON);
    let (wide, tall) = (b.bin(S::Greater, width, limit), b.bin(S::Greater, height, limit));
    let far = b.bin(S::Or, wide, tall);
    let (half_width, half_height) = (b.mul(width, half), b.mul(height, half));
    let length = b.bin(S::Hypot, half_width, half_height);
    let reciprocal = b.div(half_width, length);
    let reciprocal = b.div(reciprocal, length);
    let reciprocal = b.mul(reciprocal, half);
    let (infinite, zero) = (either_infinite(b, z), b.lit(width, 0.0));
    let reciprocal = b.select(infinite, zero, reciprocal);
    let right_angle = b.lit(width, FRAC_PI_2);
    let Z { re, im } = select(b, far, Z { re: reciprocal, im: right_angle }, Z { re, im });
    let (no_height, no_width) = (b.un(S::IsNan, z.im), b.un(S::IsNan, z.re));
    let finite = b.un(S::IsFinite, z.im);
    let no_angle = b.bin(S::And, no_width, finite);
    let im = b.select(no_height, z.im, im);
    let im = b.select(no_angle, z.re, im);
    let at_zero = is_zero(b, z.re);
    let re = b.select(at_zero, width, re);
    Z { re: b.bin(S::Copysign, re, z.re), im: b.bin(S::Copysign, im, z.im) }
}

pub(crate) fn atan(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| turned(b, z, atanh_double))
}

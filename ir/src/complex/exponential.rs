//! Exponential, logarithm, powers, and the trigonometric and hyperbolic functions made of them. Special values are those of
//! C99's Annex G, which are the standard's. Everything is computed on float64 parts (see `in_double`).

use super::{
    B, Z, converted, either_infinite, exact_square, in_double, is_zero, magnitude, multiply, reciprocal, scale, select,
    sum_twice_as_precise, turned,
};
use crate::{dtype::DType, emit::V, ops::ScalarOp as S};
use std::f64::consts::{LN_2, LN_10};

/// Beyond it, `exp` of half the operand is taken twice, so that a product may be finite though `exp(x)` is not.
const HALVED: f64 = 700.0;
/// Beyond it, sinh and cosh are half of `exp`.
const ONLY_EXP: f64 = 40.0;
/// Beyond it, tanh is 1.
const FLAT: f64 = 22.0;

pub(crate) fn exp(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], exp_double)
}

fn exp_double(b: &mut B<'_>, z: Z) -> Z {
    let direction = Z { re: b.un(S::Cos, z.im), im: b.un(S::Sin, z.im) };
    let Z { re, im } = times_exp(b, z.re, direction);
    let real = is_zero(b, z.im);
    let im = b.select(real, z.im, im);
    // exp(-inf) is 0 in whatever direction, exp(inf) is infinite in an unknown one.
    let (zero, infinity) = (b.lit(re, 0.0), b.lit(re, f64::INFINITY));
    let minus_infinity = b.lit(re, f64::NEG_INFINITY);
    let (low, high) = (b.bin(S::Equal, z.re, minus_infinity), b.bin(S::Equal, z.re, infinity));
    let finite = b.un(S::IsFinite, z.im);
    let nowhere = b.un(S::Not, finite);
    let (low, high) = (b.bin(S::And, low, nowhere), b.bin(S::And, high, nowhere));
    let re = b.select(high, infinity, re);
    let signed = b.bin(S::Copysign, zero, z.im);
    select(b, low, Z { re: zero, im: signed }, Z { re, im })
}

/// `exp(x) * z`, finite where the result is.
fn times_exp(b: &mut B<'_>, x: V, z: Z) -> Z {
    let (size, limit) = (b.abs(x), b.lit(x, HALVED));
    let far = b.bin(S::Greater, size, limit);
    let (half, one) = (b.lit(x, 0.5), b.lit(x, 1.0));
    let halved = b.mul(x, half);
    let operand = b.select(far, halved, x);
    let first = b.un(S::Exp, operand);
    let second = b.select(far, first, one);
    let z = scale(b, z, first);
    scale(b, z, second)
}

pub(crate) fn expm1(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], expm1_double)
}

/// `expm1(x) cos(y) - 2 sin(y / 2)^2` and `exp(x) sin(y)`; the exponential itself where 1 does not count.
fn expm1_double(b: &mut B<'_>, z: Z) -> Z {
    let whole = exp_double(b, z);
    let (half, minus_two) = (b.lit(z.re, 0.5), b.lit(z.re, -2.0));
    let halved = b.mul(z.im, half);
    let (sine, cosine, less) = (b.un(S::Sin, halved), b.un(S::Cos, z.im), b.un(S::Expm1, z.re));
    let square = b.mul(sine, sine);
    let correction = b.mul(square, minus_two);
    let re = b.fma(less, cosine, correction);
    // The standard's answer for either zero is 0.0.
    let (real, zero) = (is_zero(b, z.im), b.lit(re, 0.0));
    let less = b.add(less, zero);
    let re = b.select(real, less, re);
    let (minus_infinity, minus_one) = (b.lit(re, f64::NEG_INFINITY), b.lit(re, -1.0));
    let nothing = b.bin(S::Equal, z.re, minus_infinity);
    let re = b.select(nothing, minus_one, re);
    let limit = b.lit(re, ONLY_EXP);
    let large = b.bin(S::Greater, z.re, limit);
    Z { re: b.select(large, whole.re, re), im: whole.im }
}

pub(crate) fn log(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], log_double)
}

/// `log|z|` and the angle.
fn log_double(b: &mut B<'_>, z: Z) -> Z {
    Z { re: log_length(b, z), im: b.bin(S::Atan2, z.im, z.re) }
}

/// `log|z|`: half the logarithm of the square, whose distance from 1 is computed in twice the precision where it is near 1.
fn log_length(b: &mut B<'_>, z: Z) -> V {
    let large = magnitude(b, z);
    let (high, low) = (b.lit(large, 2f64.powi(500)), b.lit(large, 2f64.powi(-450)));
    let (down, up, one) = (b.lit(large, 2f64.powi(-600)), b.lit(large, 2f64.powi(600)), b.lit(large, 1.0));
    let (is_high, is_low) = (b.bin(S::Greater, large, high), b.bin(S::Less, large, low));
    let factor = b.select(is_low, up, one);
    let factor = b.select(is_high, down, factor);
    let (plus, minus, zero) = (b.lit(large, 600.0 * LN_2), b.lit(large, -600.0 * LN_2), b.lit(large, 0.0));
    let offset = b.select(is_low, minus, zero);
    let offset = b.select(is_high, plus, offset);
    let (re, im) = (b.abs(z.re), b.abs(z.im));
    let small = b.bin(S::Minimum, re, im);
    let (long, short) = (b.mul(large, factor), b.mul(small, factor));
    let ((long_square, long_rest), (short_square, short_rest)) = (exact_square(b, long), exact_square(b, short));
    let half = b.lit(large, 0.5);
    let square = b.add(long_square, short_square);
    let logarithm = b.un(S::Log, square);
    let far = b.fma(logarithm, half, offset);

    // What is near 0 is so after the second term or after the third, and what leads there is exact.
    let minus_one = b.lit(large, -1.0);
    let difference = sum_twice_as_precise(b, [long_square, minus_one, short_square, long_rest, short_rest]);
    let near = half_log1p(b, difference);

    let unscaled = b.bin(S::Equal, factor, one);
    let near_one = is_near_one(b, difference);
    let near_one = b.bin(S::And, near_one, unscaled);
    let result = b.select(near_one, near, far);
    let infinite = either_infinite(b, z);
    let infinity = b.lit(large, f64::INFINITY);
    b.select(infinite, infinity, result)
}

/// `log(1 + x) / 2`.
fn half_log1p(b: &mut B<'_>, x: V) -> V {
    let (logarithm, half) = (b.un(S::Log1p, x), b.lit(x, 0.5));
    b.mul(logarithm, half)
}

/// Is `1 + x`, the square of a length, so near to 1 that its logarithm needs x?
fn is_near_one(b: &mut B<'_>, x: V) -> V {
    let (low, high) = (b.lit(x, -0.75), b.lit(x, 3.0));
    let (above, below) = (b.bin(S::Greater, x, low), b.bin(S::Less, x, high));
    b.bin(S::And, above, below)
}

pub(crate) fn log1p(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], log1p_double)
}

/// As `log_double` of `1 + z`; near 1 from `|1 + z|^2 - 1 = 2x + x^2 + y^2`.
fn log1p_double(b: &mut B<'_>, z: Z) -> Z {
    let one = b.lit(z.re, 1.0);
    let shifted = Z { re: b.add(z.re, one), im: z.im };
    let far = log_double(b, shifted);
    let ((re_square, re_rest), (im_square, im_rest)) = (exact_square(b, z.re), exact_square(b, z.im));
    let twice = b.add(z.re, z.re);
    let difference = sum_twice_as_precise(b, [twice, im_square, re_square, im_rest, re_rest]);
    let near = half_log1p(b, difference);
    let near_one = is_near_one(b, difference);
    // Left of it `1 + x` is exact.
    let limit = b.lit(one, -0.5);
    let right = b.bin(S::Greater, z.re, limit);
    let near_one = b.bin(S::And, near_one, right);
    Z { re: b.select(near_one, near, far.re), im: far.im }
}

pub(crate) fn log2(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| divided_log(b, z, LN_2))
}

pub(crate) fn log10(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| divided_log(b, z, LN_10))
}

fn divided_log(b: &mut B<'_>, z: Z, by: f64) -> Z {
    let Z { re, im } = log_double(b, z);
    let by = b.lit(re, by);
    Z { re: b.div(re, by), im: b.div(im, by) }
}

pub(crate) fn sqrt(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], sqrt_double)
}

/// The root on the side of the positive numbers: `sqrt((|x| + |z|) / 2)` is the larger part, `|y|` over twice that the smaller
/// one. What would overflow or is subnormal is scaled.
pub(super) fn sqrt_double(b: &mut B<'_>, z: Z) -> Z {
    let large = magnitude(b, z);
    let (high, low) = (b.lit(large, 2f64.powi(1020)), b.lit(large, 2f64.powi(-960)));
    let (is_high, is_low) = (b.bin(S::Greater, large, high), b.bin(S::Less, large, low));
    let (down, up, one) = (b.lit(large, 2f64.powi(-4)), b.lit(large, 2f64.powi(108)), b.lit(large, 1.0));
    let (wider, narrower) = (b.lit(large, 2f64.powi(2)), b.lit(large, 2f64.powi(-54)));
    let factor = b.select(is_low, up, one);
    let factor = b.select(is_high, down, factor);
    let back = b.select(is_low, narrower, one);
    let back = b.select(is_high, wider, back);
    let scaled = scale(b, z, factor);

    let (width, height) = (b.abs(scaled.re), b.abs(scaled.im));
    let length = b.bin(S::Hypot, width, height);
    let (sum, half) = (b.add(width, length), b.lit(large, 0.5));
    let sum = b.mul(sum, half);
    let first = b.un(S::Sqrt, sum);
    let twice = b.add(first, first);
    let second = b.div(height, twice);
    let (first, second) = (b.mul(first, back), b.mul(second, back));
    // At the origin there is nothing to divide.
    let zero = b.lit(large, 0.0);
    let origin = is_zero(b, sum);
    let second = b.select(origin, zero, second);
    let right = b.bin(S::GreaterEqual, z.re, zero);
    let (re, im) = (b.select(right, first, second), b.select(right, second, first));
    let im = b.bin(S::Copysign, im, z.im);
    // Infinite height counts, whatever the width.
    let infinity = b.lit(large, f64::INFINITY);
    let tall = b.un(S::IsInf, z.im);
    Z { re: b.select(tall, infinity, re), im: b.select(tall, z.im, im) }
}

pub(crate) fn sinh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], sinh_double)
}

/// `sinh(x) cos(y)` and `cosh(x) sin(y)`.
fn sinh_double(b: &mut B<'_>, z: Z) -> Z {
    let Hyperbolic { sinh, cosh, sine, cosine, far, direction } = hyperbolic(b, z);
    let (re, im) = (b.mul(sinh, cosine), b.mul(cosh, sine));
    let (re, im) = (b.select(far, direction.re, re), b.select(far, direction.im, im));
    // The real part stays a zero or an infinity even in an unknown direction.
    let keeps = zero_or_infinite_going_nowhere(b, z);
    let real = is_zero(b, z.im);
    Z { re: b.select(keeps, z.re, re), im: b.select(real, z.im, im) }
}

pub(crate) fn cosh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], cosh_double)
}

/// `cosh(x) cos(y)` and `sinh(x) sin(y)`.
fn cosh_double(b: &mut B<'_>, z: Z) -> Z {
    let Hyperbolic { sinh, cosh, sine, cosine, far, direction } = hyperbolic(b, z);
    let (re, im) = (b.mul(cosh, cosine), b.mul(sinh, sine));
    // `direction` is that of sinh: what is odd in one is even in the other.
    let one = b.lit(re, 1.0);
    let sign = b.bin(S::Copysign, one, z.re);
    let direction = scale(b, direction, sign);
    let (re, im) = (b.select(far, direction.re, re), b.select(far, direction.im, im));
    let infinite = b.un(S::IsInf, z.re);
    let finite = b.un(S::IsFinite, z.im);
    let nowhere = b.un(S::Not, finite);
    let (at_zero, zero, size) = (is_zero(b, z.re), b.lit(re, 0.0), b.abs(z.re));
    let (stays_infinite, stays_zero) = (b.bin(S::And, infinite, nowhere), b.bin(S::And, at_zero, nowhere));
    let re = b.select(stays_infinite, size, re);
    let im = b.select(stays_zero, zero, im);
    let (real, signed) = (is_zero(b, z.im), b.mul(z.im, sign));
    Z { re, im: b.select(real, signed, im) }
}

/// What sinh and cosh are made of.
struct Hyperbolic {
    sinh: V,
    cosh: V,
    sine: V,
    cosine: V,
    /// Is the real part so large that both are half of the exponential?
    far: V,
    /// sinh there.
    direction: Z,
}

fn hyperbolic(b: &mut B<'_>, z: Z) -> Hyperbolic {
    let (sine, cosine) = (b.un(S::Sin, z.im), b.un(S::Cos, z.im));
    let (size, limit, half) = (b.abs(z.re), b.lit(z.re, ONLY_EXP), b.lit(z.re, 0.5));
    let far = b.bin(S::Greater, size, limit);
    let signed_half = b.bin(S::Copysign, half, z.re);
    let (re, im) = (b.mul(cosine, signed_half), b.mul(sine, half));
    let direction = times_exp(b, size, Z { re, im });
    let (sinh, cosh) = (b.un(S::Sinh, z.re), b.un(S::Cosh, z.re));
    Hyperbolic { sinh, cosh, sine, cosine, far, direction }
}

/// Is the real part zero or infinite, and the imaginary one no finite number?
fn zero_or_infinite_going_nowhere(b: &mut B<'_>, z: Z) -> V {
    let (at_zero, infinite) = (is_zero(b, z.re), b.un(S::IsInf, z.re));
    let either = b.bin(S::Or, at_zero, infinite);
    let finite = b.un(S::IsFinite, z.im);
    let nowhere = b.un(S::Not, finite);
    b.bin(S::And, either, nowhere)
}

pub(crate) fn tanh(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], tanh_double)
}

/// Kahan's formula: with `t = tan(y)`, `s = sinh(x)` and `d = 1 + (1 + t^2) s^2`, the parts are `(1 + t^2) sqrt(1 + s^2) s / d`
/// and `t / d`. Far out, 1 and `4 sin(y) cos(y) exp(-2x)`.
fn tanh_double(b: &mut B<'_>, z: Z) -> Z {
    let (size, limit, one) = (b.abs(z.re), b.lit(z.re, FLAT), b.lit(z.re, 1.0));
    let far = b.bin(S::GreaterEqual, size, limit);
    let (tangent, sinh) = (b.un(S::Tan, z.im), b.un(S::Sinh, z.re));
    let beta = b.fma(tangent, tangent, one);
    let square = b.mul(sinh, sinh);
    let rho = b.add(square, one);
    let rho = b.un(S::Sqrt, rho);
    let divisor = b.fma(beta, square, one);
    let re = b.mul(beta, rho);
    let re = b.mul(re, sinh);
    let near = Z { re: b.div(re, divisor), im: b.div(tangent, divisor) };

    let (sine, cosine) = (b.un(S::Sin, z.im), b.un(S::Cos, z.im));
    let (minus_two, four, zero) = (b.lit(one, -2.0), b.lit(one, 4.0), b.lit(one, 0.0));
    let decay = b.mul(size, minus_two);
    let decay = b.un(S::Exp, decay);
    let turn = b.mul(sine, cosine);
    let turn = b.mul(turn, four);
    let im = b.mul(turn, decay);
    let unit = b.bin(S::Copysign, one, z.re);
    // The standard has a zero of the sign of y for every y, where C's Annex G has the sign of sin(2y).
    let infinite = b.un(S::IsInf, z.re);
    let signed = b.bin(S::Copysign, zero, z.im);
    let im = b.select(infinite, signed, im);
    let no_number = b.un(S::IsNan, im);
    let re = b.select(no_number, im, unit);
    let Z { re, im } = select(b, far, Z { re, im }, near);
    let (at_zero, real) = (is_zero(b, z.re), is_zero(b, z.im));
    Z { re: b.select(at_zero, z.re, re), im: b.select(real, z.im, im) }
}

pub(crate) fn sin(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| turned(b, z, sinh_double))
}

pub(crate) fn cos(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| {
        let minus_im = b.neg(z.im);
        cosh_double(b, Z { re: minus_im, im: z.re })
    })
}

pub(crate) fn tan(b: &mut B<'_>, a: &[Z]) -> Z {
    in_double(b, a[0], |b, z| turned(b, z, tanh_double))
}

/// `exp(y log(x))`; NumPy's results for powers of 0, and products for integer powers below 100 in size, as there.
pub(crate) fn pow(b: &mut B<'_>, a: &[Z]) -> Z {
    let own = b.dtype(a[0].re);
    let [x, y] = [a[0], a[1]].map(|z| converted(b, z, DType::F64));
    let logarithm = log_double(b, x);
    let exponent = multiply(b, &[y, logarithm]);
    let general = exp_double(b, exponent);

    let (zero, one) = (b.lit(x.re, 0.0), b.lit(x.re, 1.0));
    let (limit, size) = (b.lit(x.re, 100.0), b.abs(y.re));
    let (floor, small, real) = (b.un(S::Floor, y.re), b.bin(S::Less, size, limit), is_zero(b, y.im));
    let whole = b.bin(S::Equal, floor, y.re);
    let integer = b.bin(S::And, whole, small);
    let integer = b.bin(S::And, integer, real);
    let product = product_power(b, x, size);
    let inverse = reciprocal(b, &[product]);
    let negative = b.bin(S::Less, y.re, zero);
    let power = select(b, negative, inverse, product);
    let result = select(b, integer, power, general);

    let (re_zero, im_zero) = (is_zero(b, x.re), is_zero(b, x.im));
    let of_zero = b.bin(S::And, re_zero, im_zero);
    let nan = b.lit(x.re, f64::NAN);
    let positive = b.bin(S::Greater, y.re, zero);
    let at_zero = select(b, positive, Z { re: zero, im: zero }, Z { re: nan, im: nan });
    let result = select(b, of_zero, at_zero, result);
    let no_power = is_zero(b, y.re);
    let no_power = b.bin(S::And, no_power, real);
    let result = select(b, no_power, Z { re: one, im: zero }, result);
    converted(b, result, own)
}

/// `x` to an integer power between 0 and 127, by squaring.
fn product_power(b: &mut B<'_>, x: Z, power: V) -> Z {
    let (zero, one, half) = (b.lit(power, 0.0), b.lit(power, 1.0), b.lit(power, 0.5));
    let (mut left, mut square) = (power, x);
    let mut result: Option<Z> = None;
    for _ in 0..7 {
        let halved = b.mul(left, half);
        let floor = b.un(S::Floor, halved);
        let odd = b.bin(S::NotEqual, floor, halved);
        result = Some(match result {
            None => select(b, odd, square, Z { re: one, im: zero }),
            Some(so_far) => {
                let more = multiply(b, &[so_far, square]);
                select(b, odd, more, so_far)
            }
        });
        left = floor;
        square = multiply(b, &[square, square]);
    }
    result.unwrap_or(x)
}

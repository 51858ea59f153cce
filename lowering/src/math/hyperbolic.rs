//! Hyperbolic functions and their inverses: the former from the exponential, the latter from `log(1 + v)`.
//!
//! Odd functions are computed on the magnitude and get the operand's sign bit at the end, which keeps the sign of zero.

use super::{B, at_most, exp, format, is_f32, log, polynomial, with_sign_of};
use fusewire_ir::{emit::V, ops::ScalarOp as S};

/// sinh(x) = x + x^3 p(x^2) for |x| <= 1. Largest relative error 2^-31.5.
const SINH_F32: [f64; 4] = [0.1666666716337204, 0.008333311416208744, 0.00019842630717903376, 2.783978970910539e-06];

/// As `SINH_F32`. Largest relative error 2^-62.9.
const SINH_F64: [f64; 8] = [
    0.16666666666666666,
    0.00833333333333357,
    0.0001984126984106654,
    2.7557319307094783e-06,
    2.50520902121117e-08,
    1.6061228547669475e-10,
    7.510924760177433e-13,
    6.265480909189784e-15,
];

/// tanh(x) = x + x^3 p(x^2) for |x| <= 0.55. Largest relative error 2^-29.8.
const TANH_F32: [f64; 5] =
    [-0.33333319425582886, 0.13332636654376984, -0.05385684221982956, 0.02108823135495186, -0.006295470055192709];

/// As `TANH_F32`. Largest relative error 2^-55.5.
const TANH_F64: [f64; 10] = [
    -0.3333333333333235,
    0.1333333333317336,
    -0.05396825387818078,
    0.021869486021380766,
    -0.008863195088300815,
    0.0035917241234220357,
    -0.0014532374123869553,
    0.0005791950946816523,
    -0.00021039262271486681,
    5.108095500353553e-05,
];

/// Hyperbolic sine: a polynomial up to 1, where the two exponentials would cancel.
pub(super) fn sinh(b: &mut B<'_>, x: V) -> V {
    let magnitude = b.abs(x);
    let (half_exp, quarter) = (half_exp(b, magnitude), b.lit(x, 0.25));
    let other = b.div(quarter, half_exp);
    let large = b.sub(half_exp, other);

    let square = b.mul(magnitude, magnitude);
    let table: &[f64] = if is_f32(b, x) { &SINH_F32 } else { &SINH_F64 };
    let p = polynomial(b, square, table);
    let cube = b.mul(square, magnitude);
    let small = b.fma(cube, p, magnitude);

    let one = b.lit(x, 1.0);
    let is_small = b.bin(S::Less, magnitude, one);
    let result = b.select(is_small, small, large);
    with_sign_of(b, result, x)
}

/// Hyperbolic cosine.
pub(super) fn cosh(b: &mut B<'_>, x: V) -> V {
    let magnitude = b.abs(x);
    let (half_exp, quarter) = (half_exp(b, magnitude), b.lit(x, 0.25));
    let other = b.div(quarter, half_exp);
    b.add(half_exp, other)
}

/// Hyperbolic tangent: a polynomial up to 0.55, then `1 - 2 e / (1 + e)` with `e = exp(-2 |x|)`, whose second term is at
/// most half of the first.
pub(super) fn tanh(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    let magnitude = b.abs(x);
    // Beyond this the result is 1.
    let limit = if is_f32(b, x) { 10.0 } else { 20.0 };
    let clamped = at_most(b, magnitude, limit);
    let (one, minus_two) = (b.lit(x, 1.0), b.lit(x, -2.0));
    let doubled = b.mul(clamped, minus_two);
    let exp::Reduced { tail, r, .. } = exp::reduce(b, doubled, f.bias);
    let p = exp::exp_of_small(b, r);
    let power = exp::shift_to_power(b, tail, f);
    let e = b.mul(p, power);
    let divisor = b.add(e, one);
    let quotient = b.div(e, divisor);
    let large = b.fma(quotient, minus_two, one);

    let square = b.mul(magnitude, magnitude);
    let table: &[f64] = if is_f32(b, x) { &TANH_F32 } else { &TANH_F64 };
    let p = polynomial(b, square, table);
    let cube = b.mul(square, magnitude);
    let small = b.fma(cube, p, magnitude);

    let limit = b.lit(x, 0.55);
    let is_small = b.bin(S::Less, magnitude, limit);
    let result = b.select(is_small, small, large);
    with_sign_of(b, result, x)
}

/// Inverse hyperbolic sine: log(a + sqrt(a^2 + 1)) for a = |x|.
pub(super) fn asinh(b: &mut B<'_>, x: V) -> V {
    let (magnitude, one) = (b.abs(x), b.lit(x, 1.0));
    let square = b.fma(magnitude, magnitude, one);
    let root = b.un(S::Sqrt, square);
    let divisor = b.add(root, one);
    let quotient = b.div(magnitude, divisor);
    let v = b.fma(magnitude, quotient, magnitude);
    let result = log1p_or_log_of_double(b, v, None, magnitude);
    with_sign_of(b, result, x)
}

/// Inverse hyperbolic cosine: log(1 + t + sqrt(2 t + t^2)) for t = x - 1.
pub(super) fn acosh(b: &mut B<'_>, x: V) -> V {
    let one = b.lit(x, 1.0);
    let t = b.sub(x, one);
    let twice = b.add(t, t);
    let square = b.fma(t, t, twice);
    let root = b.un(S::Sqrt, square);
    let v = b.add(root, t);
    // The root is the larger one. Without what this sum lost the bound would be broken, by a little, near 1.03.
    let low = b.sub(v, root);
    let low = b.sub(t, low);
    let result = log1p_or_log_of_double(b, v, Some(low), x);
    let nan = b.lit(x, f64::NAN);
    let outside = b.bin(S::Less, x, one);
    b.select(outside, nan, result)
}

/// Inverse hyperbolic tangent: half of log(1 + v) with v = 2 a / (1 - a) = 2 a + 2 a (a / (1 - a)), a = |x|.
pub(super) fn atanh(b: &mut B<'_>, x: V) -> V {
    let (magnitude, one, half) = (b.abs(x), b.lit(x, 1.0), b.lit(x, 0.5));
    let twice = b.add(magnitude, magnitude);
    let divisor = b.sub(one, magnitude);
    let quotient = b.div(magnitude, divisor);
    let v = b.fma(twice, quotient, twice);
    let result = log::log1p_unchecked(b, v, None, None);
    let result = b.mul(result, half);
    let (infinity, nan) = (b.lit(x, f64::INFINITY), b.lit(x, f64::NAN));
    let at_one = b.bin(S::Equal, magnitude, one);
    let outside = b.select(at_one, infinity, nan);
    let inside = b.bin(S::Less, magnitude, one);
    let result = b.select(inside, result, outside);
    with_sign_of(b, result, x)
}

/// e^x / 2 for `x >= 0`, which overflows only where the hyperbolic sine does.
fn half_exp(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    let limit = if is_f32(b, x) { 90.0 } else { 711.0 };
    let x = at_most(b, x, limit);
    let exp::Reduced { tail, r, .. } = exp::reduce(b, x, f.bias - 2);
    let p = exp::exp_of_small(b, r);
    let twice = b.add(p, p);
    let power = exp::shift_to_power(b, tail, f);
    b.mul(twice, power)
}

/// `log(1 + v + low)`, or `log(2 x)` where x is so large that its square might overflow. Infinity and NaN stay.
fn log1p_or_log_of_double(b: &mut B<'_>, v: V, low: Option<V>, x: V) -> V {
    let (limit, infinity) =
        (b.lit(x, if is_f32(b, x) { 2f64.powi(40) } else { 2f64.powi(100) }), b.lit(x, f64::INFINITY));
    let (zero, one) = (b.lit(x, 0.0), b.lit(x, 1.0));
    let large = b.bin(S::Greater, x, limit);
    let v = b.select(large, x, v);
    let low = low.map(|low| b.select(large, zero, low));
    let extra = b.select(large, one, zero);
    let result = log::log1p_unchecked(b, v, low, Some(extra));
    let finite = b.bin(S::Less, x, infinity);
    b.select(finite, result, x)
}

//! Powers, and the length of a vector.
//!
//! `x^y = e^(y log |x|)` with the logarithm to more bits than the result has: float32 computes in float64; float64 carries
//! the logarithm as a sum of two numbers, each product's and sum's rounding error kept, after fdlibm's `e_pow.c` in plan
//! but with fma in place of split factors.

use super::{B, F64, at_least, at_most, exp, is_f32, log, polynomial, sign_of};
use fusewire_ir::{dtype::DType, emit::V, ops::ScalarOp as S};

/// log(1 + f) = 2 s + s z p(z) with s = f / (2 + f), z = s^2. Largest error, relative to s: 2^-36.6.
const LOG_FOR_F32: [f64; 4] = [0.6666666564475671, 0.40000335348441945, 0.28537297933061406, 0.2358236471876629];

/// e^r = 1 + r + r^2 p(r). Largest relative error 2^-28.3.
const EXP_FOR_F32: [f64; 5] =
    [0.4999999345043073, 0.1666652062466772, 0.0416683875166223, 0.008368717535152694, 0.001381462506872174];

/// log(1 + f) = 2 s + s (2/3 z + z^2 p(z)). Largest error, relative to s: 2^-76.4.
const LOG_FOR_F64: [f64; 10] = [
    0.4,
    0.28571428571426577,
    0.22222222222919935,
    0.18181818053158239,
    0.15384629453956591,
    0.13332373236848433,
    0.11806033638180252,
    0.09435479269403803,
    0.25636683789734716,
    -0.9293925855508467,
];

/// 2/3 as a sum of two numbers.
const TWO_THIRDS: (f64, f64) = (0.6666666666666666, 3.700743415417188e-17);

/// x to the power y.
pub(super) fn pow(b: &mut B<'_>, x: V, y: V) -> V {
    let magnitude = b.abs(x);
    let result = if is_f32(b, x) {
        let (base, exponent) = (b.cast(DType::F64, magnitude), b.cast(DType::F64, y));
        let result = pow_in_f64(b, base, exponent);
        b.cast(DType::F32, result)
    } else {
        pow_in_dd(b, magnitude, y)
    };
    with_sign_and_domain(b, result, x, y, magnitude)
}

/// The length of the vector (x, y).
pub(super) fn hypot(b: &mut B<'_>, x: V, y: V) -> V {
    let infinity = b.lit(x, f64::INFINITY);
    let (a, c) = (b.abs(x), b.abs(y));
    let result = if is_f32(b, x) {
        let (a, c) = (b.cast(DType::F64, a), b.cast(DType::F64, c));
        let square = b.mul(a, a);
        let sum = b.fma(c, c, square);
        let root = b.un(S::Sqrt, sum);
        b.cast(DType::F32, root)
    } else {
        // Scaled by a power of two where the squares might overflow or lose bits below.
        let (high, low) = (b.lit(x, 2f64.powi(500)), b.lit(x, 2f64.powi(-450)));
        let (down, up, one) = (b.lit(x, 2f64.powi(-600)), b.lit(x, 2f64.powi(600)), b.lit(x, 1.0));
        let first = b.bin(S::Greater, a, c);
        let larger = b.select(first, a, c);
        let is_high = b.bin(S::Greater, larger, high);
        let is_low = b.bin(S::Less, larger, low);
        let scale = b.select(is_low, up, one);
        let back = b.select(is_low, down, one);
        let scale = b.select(is_high, down, scale);
        let back = b.select(is_high, up, back);
        let (a, c) = (b.mul(a, scale), b.mul(c, scale));
        let square = b.mul(a, a);
        let sum = b.fma(c, c, square);
        let root = b.un(S::Sqrt, sum);
        b.mul(root, back)
    };
    // Infinity wins over NaN.
    let (first, second) = (b.bin(S::Equal, a, infinity), b.bin(S::Equal, c, infinity));
    let infinite = b.bin(S::Or, first, second);
    b.select(infinite, infinity, result)
}

/// The result's sign, and the cases that do not follow from the logarithm. `result` is |x|^y.
fn with_sign_and_domain(b: &mut B<'_>, result: V, x: V, y: V, magnitude: V) -> V {
    let (zero, one, half) = (b.lit(x, 0.0), b.lit(x, 1.0), b.lit(x, 0.5));
    let (infinity, nan) = (b.lit(x, f64::INFINITY), b.lit(x, f64::NAN));
    // y is an odd integer when it is an integer and its half is none.
    let floor = b.un(S::Floor, y);
    let integer = b.bin(S::Equal, floor, y);
    let halved = b.mul(y, half);
    let floor = b.un(S::Floor, halved);
    let half_is_none = b.bin(S::NotEqual, floor, halved);
    let odd = b.bin(S::And, integer, half_is_none);
    let sign = sign_of(b, x);
    let none = b.int(sign, 0);
    let sign = b.select(odd, sign, none);
    let bits = b.un(S::ToBits, result);
    let bits = b.bin(S::Or, bits, sign);
    let result = b.un(S::FromBits, bits);
    // A finite negative base has no power that is not an integer. NaN as exponent counts as one, and gives NaN anyway.
    let negative = b.bin(S::Less, x, zero);
    let finite = b.bin(S::Less, magnitude, infinity);
    let negative = b.bin(S::And, negative, finite);
    let fraction = b.un(S::Not, integer);
    let outside = b.bin(S::And, negative, fraction);
    let result = b.select(outside, nan, result);
    // 1 to any power and anything to the power 0 is 1, NaN included.
    let base_one = b.bin(S::Equal, x, one);
    let exponent_zero = b.bin(S::Equal, y, zero);
    let is_one = b.bin(S::Or, base_one, exponent_zero);
    b.select(is_one, one, result)
}

/// x^y for float64 numbers `x >= 0` and y that were float32: a few bits more than float32 needs.
fn pow_in_f64(b: &mut B<'_>, x: V, y: V) -> V {
    let log::Split { k, f, .. } = log::split_normal(b, x);
    let two = b.lit(x, 2.0);
    let divisor = b.add(f, two);
    let s = b.div(f, divisor);
    let z = b.mul(s, s);
    let p = polynomial(b, z, &LOG_FOR_F32);
    let p = b.fma(p, z, two);
    let (ln2, product) = (b.lit(x, std::f64::consts::LN_2), b.mul(p, s));
    let logarithm = b.fma(k, ln2, product);
    let logarithm = at_ends(b, logarithm, x);
    let y = finite_exponent(b, y);
    let product = b.mul(y, logarithm);
    // Beyond these the result overflows or vanishes in float32.
    let product = at_most(b, product, 100.0);
    let product = at_least(b, product, -150.0);
    let exp::Reduced { tail, r, .. } = exp::reduce(b, product, F64.bias);
    let p = polynomial(b, r, &EXP_FOR_F32);
    let one = b.lit(x, 1.0);
    let p = b.fma(p, r, one);
    let p = b.fma(p, r, one);
    let power = exp::shift_to_power(b, tail, &F64);
    b.mul(p, power)
}

/// x^y for float64 numbers `x >= 0` and y, with the logarithm as a sum of two numbers.
fn pow_in_dd(b: &mut B<'_>, x: V, y: V) -> V {
    let log::Split { k, f, .. } = log::split(b, x);
    let (one, two) = (b.lit(x, 1.0), b.lit(x, 2.0));
    // s = f / (2 + f).
    let sum = b.add(f, two);
    let sum_error = b.sub(sum, two);
    let sum_error = b.sub(f, sum_error);
    let reciprocal = b.div(one, sum);
    let s = b.mul(f, reciprocal);
    let minus = b.neg(s);
    let rest = b.fma(minus, sum, f);
    let rest = b.fma(minus, sum_error, rest);
    let s_low = b.mul(rest, reciprocal);
    // z = s^2.
    let z = b.mul(s, s);
    let minus = b.neg(z);
    let z_low = b.fma(s, s, minus);
    let twice = b.add(s, s);
    let z_low = b.fma(twice, s_low, z_low);
    // q = 2/3 + z p(z).
    let p = polynomial(b, z, &LOG_FOR_F64);
    let (third, third_low) = (b.lit(x, TWO_THIRDS.0), b.lit(x, TWO_THIRDS.1));
    let q = b.fma(z, p, third);
    let q_low = b.sub(third, q);
    let q_low = b.fma(z, p, q_low);
    let q_low = b.add(q_low, third_low);
    // w = z q, t = s w: log(1 + f) = 2 s + t.
    let (w, w_low) = product(b, (z, z_low), (q, q_low));
    let (t, t_low) = product(b, (s, s_low), (w, w_low));
    let twice_low = b.add(s_low, s_low);
    let t_low = b.add(t_low, twice_low);
    // The logarithm: k ln 2 + 2 s + t, the largest term first.
    let (ln2, ln2_low) = (b.lit(x, F64.ln2.0), b.lit(x, F64.ln2.1));
    let first = b.fma(k, ln2, twice);
    let minus = b.neg(first);
    let error = b.fma(k, ln2, minus);
    let error = b.add(error, twice);
    let high = b.add(first, t);
    let error_of_high = b.sub(first, high);
    let error_of_high = b.add(error_of_high, t);
    let low = b.fma(k, ln2_low, t_low);
    let low = b.add(low, error);
    let low = b.add(low, error_of_high);
    let high = at_ends(b, high, x);
    // y log x, as a sum of two again; beyond the limits the result overflows or vanishes, and the low part is of no use.
    let y = finite_exponent(b, y);
    let exponent = b.mul(y, high);
    let minus = b.neg(exponent);
    let exponent_low = b.fma(y, high, minus);
    let exponent_low = b.fma(y, low, exponent_low);
    let (size, limit, zero) = (b.abs(exponent), b.lit(x, 1000.0), b.lit(x, 0.0));
    let inside = b.bin(S::Less, size, limit);
    let exponent_low = b.select(inside, exponent_low, zero);
    let exponent = at_most(b, exponent, 710.0);
    let exponent = at_least(b, exponent, -746.0);
    let reduced = exp::reduce(b, exponent, 2 * F64.bias);
    let minus_ln2_low = b.lit(x, -F64.ln2.1);
    let r = b.fma(reduced.n, minus_ln2_low, exponent_low);
    let r = b.add(reduced.high, r);
    let p = exp::exp_of_small(b, r);
    exp::scale_twice(b, p, reduced.tail)
}

/// The product of two sums of two.
fn product(b: &mut B<'_>, x: (V, V), y: (V, V)) -> (V, V) {
    let high = b.mul(x.0, y.0);
    let minus = b.neg(high);
    let low = b.fma(x.0, y.0, minus);
    let low = b.fma(x.0, y.1, low);
    let low = b.fma(x.1, y.0, low);
    (high, low)
}

/// The logarithm of `x >= 0`, with the ends of the domain put right; NaN stays.
fn at_ends(b: &mut B<'_>, logarithm: V, x: V) -> V {
    let (zero, infinity, minus_infinity) = (b.lit(x, 0.0), b.lit(x, f64::INFINITY), b.lit(x, f64::NEG_INFINITY));
    let at_zero = b.bin(S::Equal, x, zero);
    let logarithm = b.select(at_zero, minus_infinity, logarithm);
    let finite = b.bin(S::Less, x, infinity);
    b.select(finite, logarithm, x)
}

/// The exponent, kept finite, so that its product with the logarithm 0 of 1 is 0. The limit times the logarithm of any
/// number but 1 is still far outside the exponential's range.
fn finite_exponent(b: &mut B<'_>, y: V) -> V {
    let limit = 2f64.powi(100);
    let y = at_most(b, y, limit);
    at_least(b, y, -limit)
}

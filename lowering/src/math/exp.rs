//! Exponentials: `exp`, `exp2`, `expm1`, and the scaled exponential that the hyperbolic functions are made of.
//!
//! `e^x = 2^n e^r` with the nearest integer n to `x / ln 2`, so that `|r| <= ln 2 / 2`. Adding `Format::magic` both rounds to
//! n and leaves n, plus any constant that was added with it, in the last bits of the sum: shifted into the exponent's
//! place that is a power of two, without any conversion.

use super::{B, Format, at_least, at_most, format, from_logical, is_f32, polynomial, to_logical};
use fusewire_ir::{emit::V, ops::ScalarOp as S};

/// e^r = 1 + r + r^2 p(r). Largest relative error 2^-28.0.
const EXP_F32: [f64; 5] =
    [0.4999999403953552, 0.1666652113199234, 0.04166838899254799, 0.0083687175065279, 0.001381462556309998];

/// As `EXP_F32`. Largest relative error 2^-56.4.
const EXP_F64: [f64; 10] = [
    0.5000000000000011,
    0.16666666666666413,
    0.04166666666653016,
    0.008333333333494446,
    0.0013888888943629925,
    0.0001984126950660702,
    2.480149309902565e-05,
    2.755758635352228e-06,
    2.763024836847288e-07,
    2.5000066626477466e-08,
];

/// e^r = 1 + r + r^2 p(r). Largest error, relative to e^r - 1: 2^-28.8.
const EXPM1_F32: [f64; 6] = [
    0.5,
    0.1666666567325592,
    0.041666362434625626,
    0.008333389647305012,
    0.0013940626522526145,
    0.00019845901988446712,
];

/// As `EXPM1_F32`. Largest error, relative to e^r - 1: 2^-59.9.
const EXPM1_F64: [f64; 11] = [
    0.5,
    0.16666666666666677,
    0.04166666666666651,
    0.008333333333321691,
    0.0013888888888962366,
    0.00019841269885965583,
    2.4801587172534107e-05,
    2.7557244374556412e-06,
    2.7557402656555396e-07,
    2.510897874074173e-08,
    2.08753232102009e-09,
];

/// 2^r = 1 + r p(r). Largest error 2^-25.9.
const EXP2_F32: [f64; 6] = [
    0.6931471824645996,
    0.24022647738456726,
    0.055503323674201965,
    0.00961843691766262,
    0.0013398876180872321,
    0.00015353393973782659,
];

/// As `EXP2_F32`. Largest error 2^-55.0.
const EXP2_F64: [f64; 11] = [
    std::f64::consts::LN_2,
    0.2402265069591013,
    0.055504108664820084,
    0.009618129107594112,
    0.0013333558146774575,
    0.00015403530457122898,
    1.525273349316495e-05,
    1.3215435276841366e-06,
    1.0178199554652274e-07,
    7.0737842092492e-09,
    4.4347744108247747e-10,
];

/// e^x.
pub(super) fn exp(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    // Beyond these the result is infinite or 0 anyway, and the exponents below stay in their fields.
    let (low, high) = if is_f32(b, x) { (-104.0, 89.0) } else { (-746.0, 710.0) };
    let x = at_most(b, x, high);
    let x = at_least(b, x, low);
    let reduced = reduce(b, x, 2 * f.bias);
    let p = exp_of_small(b, reduced.r);
    scale_twice(b, p, reduced.tail)
}

/// 2^x.
pub(super) fn exp2(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    let (low, high) = if is_f32(b, x) { (-151.0, 129.0) } else { (-1076.0, 1025.0) };
    let x = at_most(b, x, high);
    let x = at_least(b, x, low);
    let magic = b.lit(x, f.magic + (2 * f.bias) as f64);
    let tail = b.add(x, magic);
    let n = b.sub(tail, magic);
    let r = b.sub(x, n);
    let table: &[f64] = if is_f32(b, x) { &EXP2_F32 } else { &EXP2_F64 };
    let p = polynomial(b, r, table);
    let one = b.lit(x, 1.0);
    let p = b.fma(r, p, one);
    scale_twice(b, p, tail)
}

/// e^x - 1. Computed at half the size, so that e^x itself cannot overflow before the result does:
/// `s (1 + r + r^2 p) - 1/2` with `s = 2^(n-1)`, in which s - 1/2, and then s r, are added with their rounding errors kept.
pub(super) fn expm1(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    let (low, high) = if is_f32(b, x) { (-18.0, 89.0) } else { (-38.0, 710.0) };
    let clamped = at_most(b, x, high);
    let clamped = at_least(b, clamped, low);
    let reduced = reduce(b, clamped, f.bias - 1);
    let (tail, r) = (reduced.tail, reduced.r);
    let error = reduction_error(b, &reduced);
    let square = b.mul(r, r);
    let p = tail_of_small(b, r);
    let p = b.fma(square, p, error);

    let s = shift_to_power(b, tail, f);
    let half = b.lit(x, 0.5);
    let base = b.sub(s, half);
    let base_error = b.sub(s, base);
    let base_error = b.sub(base_error, half);
    let sum = b.fma(s, r, base);
    let sum_error = b.sub(base, sum);
    let sum_error = b.fma(s, r, sum_error);
    let low = b.add(sum_error, base_error);
    let low = b.fma(s, p, low);
    let halved = b.add(sum, low);
    let result = b.add(halved, halved);
    // Near 0 the result is x to the last bit, the sign of 0 and the last bit of a subnormal included.
    let magnitude = b.abs(x);
    let tiny = b.lit(x, f.min_normal * 4.0);
    let is_tiny = b.bin(S::Less, magnitude, tiny);
    b.select(is_tiny, x, result)
}

/// An argument of the exponential, reduced.
pub(super) struct Reduced {
    /// A float with n and the wanted bias in its last bits.
    pub tail: V,
    /// The integer n nearest to `x / ln 2`.
    pub n: V,
    /// `x - n ln2.0`, exact.
    pub high: V,
    /// `x - n ln 2`.
    pub r: V,
}

/// Reduces `x`; `bias` is added to n in the last bits of `tail`.
pub(super) fn reduce(b: &mut B<'_>, x: V, bias: i64) -> Reduced {
    let f = format(b, x);
    let (log2_e, magic) = (b.lit(x, f.log2_e.0), b.lit(x, f.magic + bias as f64));
    let tail = b.fma(x, log2_e, magic);
    let n = b.sub(tail, magic);
    let (ln2_high, ln2_low) = (b.lit(x, -f.ln2.0), b.lit(x, -f.ln2.1));
    let high = b.fma(n, ln2_high, x);
    let r = b.fma(n, ln2_low, high);
    Reduced { tail, n, high, r }
}

/// The rounding error of r, which counts where r and 2^n - 1 nearly cancel.
pub(super) fn reduction_error(b: &mut B<'_>, reduced: &Reduced) -> V {
    let f = format(b, reduced.r);
    let minus_ln2_low = b.lit(reduced.r, -f.ln2.1);
    let error = b.sub(reduced.high, reduced.r);
    b.fma(reduced.n, minus_ln2_low, error)
}

/// `(e^r - 1 - r) / r^2` for a reduced r, accurate relative to e^r - 1.
pub(super) fn tail_of_small(b: &mut B<'_>, r: V) -> V {
    let table: &[f64] = if is_f32(b, r) { &EXPM1_F32 } else { &EXPM1_F64 };
    polynomial(b, r, table)
}

/// e^r for a reduced r.
pub(super) fn exp_of_small(b: &mut B<'_>, r: V) -> V {
    let table: &[f64] = if is_f32(b, r) { &EXP_F32 } else { &EXP_F64 };
    let p = polynomial(b, r, table);
    let one = b.lit(r, 1.0);
    let p = b.fma(p, r, one);
    b.fma(p, r, one)
}

/// 2^k for the float `tail` with `k + bias` in its last bits.
pub(super) fn shift_to_power(b: &mut B<'_>, tail: V, f: &Format) -> V {
    let bits = b.un(S::ToBits, tail);
    let mantissa = b.int(bits, f.mantissa);
    let bits = b.bin(S::ShiftLeft, bits, mantissa);
    b.un(S::FromBits, bits)
}

/// `p 2^n` for the float `tail` with `n + 2 bias` in its last bits, as two products, because 2^n alone may overflow, and
/// so that a subnormal result is rounded once.
pub(super) fn scale_twice(b: &mut B<'_>, p: V, tail: V) -> V {
    let f = format(b, p);
    let bits = b.un(S::ToBits, tail);
    let bits = to_logical(b, bits);
    let (one, mantissa) = (b.int(bits, 1), b.int(bits, f.mantissa));
    let first = b.bin(S::ShiftRight, bits, one);
    let second = b.sub(bits, first);
    let mut result = p;
    for part in [first, second] {
        let power = b.bin(S::ShiftLeft, part, mantissa);
        let power = from_logical(b, power);
        let power = b.un(S::FromBits, power);
        result = b.mul(result, power);
    }
    result
}

//! Logarithms: `log`, `log1p`, `log2`, `log10`, and the `log(1 + v)` that the inverse hyperbolic functions end in.
//!
//! `x = 2^k m` with m between sqrt(1/2) and sqrt(2), and `log x = k ln 2 + f + t` with the exact `f = m - 1` and the *tail*
//! `t = log(1 + f) - f`: a polynomial in f for float32; for float64 fdlibm's form (Sun, `e_log.c`),
//! `t = s (f^2/2 + R) - f^2/2` with `s = f / (2 + f)` and a polynomial R in s^2, which a division makes half as long.

use super::{B, format, from_logical, is_f32, polynomial, sign_of, to_logical};
use fusewire_ir::{dtype::DType, emit::V, ops::ScalarOp as S};

/// log(1 + f) = f + f^2 p(f). Largest relative error 2^-27.6.
const LOG_F32: [f64; 9] = [
    -0.49999988079071045,
    0.33333325386047363,
    -0.25001582503318787,
    0.2000197470188141,
    -0.16609087586402893,
    0.1418181210756302,
    -0.1324293613433838,
    0.1290450245141983,
    -0.07621994614601135,
];

/// log2(1 + f) = f log2 e + f^2 p(f). Largest relative error 2^-28.8. Its own, because a product with log2 e would round once
/// more, just below log2 sqrt(2), where there is no room for it.
const LOG2_F32: [f64; 10] = [
    -0.7213475108146667,
    0.48089802265167236,
    -0.3606741428375244,
    0.2885710299015045,
    -0.24046392738819122,
    0.2051178216934204,
    -0.17900000512599945,
    0.17169414460659027,
    -0.16845014691352844,
    0.09702343493700027,
];

/// log(1 + f) = 2 s + s z p(z) with z = s^2. Largest error, relative to s: 2^-58.5.
const LOG_F64: [f64; 7] = [
    0.6666666666666734,
    0.3999999999941653,
    0.28571428742067023,
    0.22222198600039347,
    0.18183563155043658,
    0.15314076091480802,
    0.147957303834413,
];

/// Natural logarithm.
pub(super) fn log(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    let split = split(b, x);
    let t = tail(b, split.f);
    let (ln2_high, ln2_low) = (b.lit(x, f.ln2.0), b.lit(x, f.ln2.1));
    let t = b.fma(split.k, ln2_low, t);
    let sum = b.add(split.f, t);
    let result = b.fma(split.k, ln2_high, sum);
    with_domain(b, result, x, x)
}

/// Binary logarithm.
pub(super) fn log2(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    log_to_base(b, x, (1.0, 0.0), f.log2_e)
}

/// Decimal logarithm.
pub(super) fn log10(b: &mut B<'_>, x: V) -> V {
    let f = format(b, x);
    log_to_base(b, x, f.log10_2, f.log10_e)
}

/// log(1 + x).
pub(super) fn log1p(b: &mut B<'_>, x: V) -> V {
    let result = log1p_unchecked(b, x, None, None);
    // The result has the sign of x, that of 0 too.
    let sign = sign_of(b, x);
    let bits = b.un(S::ToBits, result);
    let bits = b.bin(S::Or, bits, sign);
    let result = b.un(S::FromBits, bits);
    let one = b.lit(x, 1.0);
    let moved = b.add(x, one);
    with_domain(b, result, moved, x)
}

/// `log(1 + v + low) + extra ln 2` for finite `v > -1`, where low is what v lacks by rounding; the result for 0 may have
/// either sign.
pub(super) fn log1p_unchecked(b: &mut B<'_>, v: V, low: Option<V>, extra: Option<V>) -> V {
    let f = format(b, v);
    // 1 + v = u + c, exactly.
    let one = b.lit(v, 1.0);
    let u = b.add(v, one);
    let back = b.sub(u, v);
    let rest = b.sub(u, back);
    let rest = b.sub(v, rest);
    let c = b.sub(one, back);
    let c = b.add(rest, c);
    let c = match low {
        Some(low) => b.add(c, low),
        None => c,
    };

    let Split { k, f: leading, exponent } = split_normal(b, u);
    // c 2^-k is the rest of f. Where v is so large that 2^-k might not be a number, it is too small to count.
    let top = b.int(exponent, (f.bias << f.mantissa).wrapping_add(exponent_offset(b, v) << f.mantissa));
    let scale = b.sub(top, exponent);
    let scale = b.un(S::FromBits, scale);
    let (large, zero) = (b.lit(v, 2f64.powi(f.mantissa as i32 + 20)), b.lit(v, 0.0));
    let counts = b.bin(S::Less, v, large);
    let scale = b.select(counts, scale, zero);
    let whole = b.fma(c, scale, leading);
    let error = b.sub(leading, whole);
    let error = b.fma(c, scale, error);
    // log(1 + f + error) is log(1 + f) + error / (1 + f), of which two terms of the series are enough.
    let minus = b.neg(error);
    let error = b.fma(minus, whole, error);

    let t = tail(b, whole);
    let t = b.add(t, error);
    let k = match extra {
        Some(extra) => b.add(k, extra),
        None => k,
    };
    let (ln2_high, ln2_low) = (b.lit(v, f.ln2.0), b.lit(v, f.ln2.1));
    let t = b.fma(k, ln2_low, t);
    let sum = b.add(whole, t);
    b.fma(k, ln2_high, sum)
}

/// `k a + (f + t) c` for a logarithm to another base: `a` is the logarithm of 2 in two parts, the first of which times k
/// is exact, and `c` the factor in two parts. The two leading products are added with their rounding errors kept.
fn log_to_base(b: &mut B<'_>, x: V, a: (f64, f64), c: (f64, f64)) -> V {
    let Split { k, f, .. } = split(b, x);
    let (c_high, c_low) = (b.lit(x, c.0), b.lit(x, c.1));
    let product = b.mul(f, c_high);
    let minus = b.neg(product);
    // The small parts come first, so that only the last of these sums is rounded to a last place that counts.
    let low = b.fma(f, c_high, minus);
    let (sum, low) = if a == (1.0, 0.0) {
        let sum = b.add(k, product);
        let error = b.sub(k, sum);
        let error = b.add(error, product);
        (sum, b.add(low, error))
    } else {
        let (a_high, a_low) = (b.lit(x, a.0), b.lit(x, a.1));
        let sum = b.fma(k, a_high, product);
        let minus = b.neg(sum);
        let error = b.fma(k, a_high, minus);
        let error = b.add(error, product);
        let low = b.add(low, error);
        (sum, b.fma(k, a_low, low))
    };
    let low = b.fma(f, c_low, low);
    let low = if is_f32(b, x) && a == (1.0, 0.0) {
        let square = b.mul(f, f);
        let p = polynomial(b, f, &LOG2_F32);
        b.fma(square, p, low)
    } else {
        let t = tail(b, f);
        b.fma(t, c_high, low)
    };
    let result = b.add(sum, low);
    with_domain(b, result, x, x)
}

/// A positive number `2^k (1 + f)`.
pub(super) struct Split {
    /// The exponent, as a float.
    pub k: V,
    /// Between sqrt(1/2) - 1 and sqrt(2) - 1, exact.
    pub f: V,
    /// k plus [`exponent_offset`] in the exponent's place, as bits.
    pub exponent: V,
}

/// What float64 exponents are raised by while they are taken out of the bits, so that they are positive: vectors have
/// only the logical shift of 64-bit integers. The sign bit is the exponent's topmost here.
fn exponent_offset(b: &B<'_>, x: V) -> i64 {
    if is_f32(b, x) { 0 } else { 1088 }
}

/// Splits a number; any but a positive finite one gives finite nonsense.
pub(super) fn split(b: &mut B<'_>, x: V) -> Split {
    let f = format(b, x);
    // Subnormals are scaled up, and their exponents down by as much.
    let shift = f.mantissa + 1;
    let (min_normal, up) = (b.lit(x, f.min_normal), b.lit(x, 2f64.powi(shift as i32)));
    let small = b.bin(S::Less, x, min_normal);
    let scaled = b.mul(x, up);
    let x = b.select(small, scaled, x);
    let offset = f.sqrt_half.wrapping_sub(exponent_offset(b, x) << f.mantissa);
    let bits = b.un(S::ToBits, x);
    let (normal, raised) = (b.int(bits, offset), b.int(bits, offset.wrapping_add(shift << f.mantissa)));
    let offset = b.select(small, raised, normal);
    split_bits(b, x, bits, offset)
}

/// As [`split`], for a number that is no subnormal.
pub(super) fn split_normal(b: &mut B<'_>, x: V) -> Split {
    let f = format(b, x);
    let offset = f.sqrt_half.wrapping_sub(exponent_offset(b, x) << f.mantissa);
    let bits = b.un(S::ToBits, x);
    let offset = b.int(bits, offset);
    split_bits(b, x, bits, offset)
}

fn split_bits(b: &mut B<'_>, x: V, bits: V, offset: V) -> Split {
    let f = format(b, x);
    let difference = b.sub(bits, offset);
    let mantissa = b.int(bits, f.mantissa);
    let k = if is_f32(b, x) {
        let k = b.bin(S::ShiftRight, difference, mantissa);
        b.cast(DType::F32, k)
    } else {
        let unsigned = to_logical(b, difference);
        let mantissa = b.int(unsigned, f.mantissa);
        let k = b.bin(S::ShiftRight, unsigned, mantissa);
        // 2^52 + k, whose last place is 1.
        let power = b.int(k, 0x4330_0000_0000_0000);
        let k = b.bin(S::Or, k, power);
        let k = from_logical(b, k);
        let k = b.un(S::FromBits, k);
        let power = b.lit(x, 2f64.powi(52) + exponent_offset(b, x) as f64);
        b.sub(k, power)
    };
    let (mask, inverse) = (b.int(bits, f.mantissa_mask), b.int(bits, !f.mantissa_mask));
    let m = b.bin(S::And, difference, mask);
    let sqrt_half = b.int(bits, f.sqrt_half);
    let m = b.add(m, sqrt_half);
    let m = b.un(S::FromBits, m);
    let one = b.lit(x, 1.0);
    let fraction = b.sub(m, one);
    let exponent = b.bin(S::And, difference, inverse);
    Split { k, f: fraction, exponent }
}

/// `log(1 + f) - f`.
fn tail(b: &mut B<'_>, f: V) -> V {
    if is_f32(b, f) {
        let square = b.mul(f, f);
        let p = polynomial(b, f, &LOG_F32);
        return b.mul(square, p);
    }
    let (two, half) = (b.lit(f, 2.0), b.lit(f, 0.5));
    let sum = b.add(f, two);
    let s = b.div(f, sum);
    let z = b.mul(s, s);
    let p = polynomial(b, z, &LOG_F64);
    let halved = b.mul(f, half);
    let half_square = b.mul(halved, f);
    let r = b.fma(z, p, half_square);
    let minus = b.neg(half_square);
    b.fma(s, r, minus)
}

/// `result` where `y` is positive and finite; the logarithm's special results elsewhere. `x` is infinite or NaN with y,
/// and is then the result.
fn with_domain(b: &mut B<'_>, result: V, y: V, x: V) -> V {
    let (zero, infinity) = (b.lit(x, 0.0), b.lit(x, f64::INFINITY));
    let (minus_infinity, nan) = (b.lit(x, f64::NEG_INFINITY), b.lit(x, f64::NAN));
    let at_zero = b.bin(S::Equal, y, zero);
    let outside = b.select(at_zero, minus_infinity, nan);
    let inside = b.bin(S::Greater, y, zero);
    let result = b.select(inside, result, outside);
    let finite = b.bin(S::Less, x, infinity);
    b.select(finite, result, x)
}

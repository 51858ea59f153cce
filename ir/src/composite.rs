//! The bodies of the composite rows of the op table.

use crate::{
    dtype::{DType, Kind},
    emit::{Emit, V},
    ops::ScalarOp as S,
    reference,
    scalar::Scalar,
};

type B<'a> = dyn Emit + 'a;

pub(crate) fn positive(_: &mut B<'_>, a: &[V]) -> V {
    a[0]
}

pub(crate) fn square(b: &mut B<'_>, a: &[V]) -> V {
    b.mul(a[0], a[0])
}

pub(crate) fn reciprocal(b: &mut B<'_>, a: &[V]) -> V {
    let x = a[0];
    let one = b.lit(x, 1.0);
    let quotient = b.div(one, x);
    match b.dtype(x) {
        // The infinity that NumPy's quotient is, in an integer.
        dtype @ (DType::I32 | DType::I64) => {
            let (zero, none) = (b.int(x, 0), b.constant(reference::cast(Scalar::f64(f64::INFINITY), dtype)));
            let infinite = b.bin(S::Equal, x, zero);
            b.select(infinite, none, quotient)
        }
        _ => quotient,
    }
}

pub(crate) fn sign(b: &mut B<'_>, a: &[V]) -> V {
    let x = a[0];
    let (zero, one) = (b.lit(x, 0.0), b.lit(x, 1.0));
    let positive = b.bin(S::Greater, x, zero);
    match b.dtype(x).kind() {
        Kind::Unsigned | Kind::Bool => b.select(positive, one, zero),
        Kind::Signed => {
            let minus_one = b.lit(x, -1.0);
            let negative = b.bin(S::Less, x, zero);
            let rest = b.select(negative, minus_one, zero);
            b.select(positive, one, rest)
        }
        Kind::Float => {
            let minus_one = b.lit(x, -1.0);
            let negative = b.bin(S::Less, x, zero);
            let is_zero = b.bin(S::Equal, x, zero);
            // Neither of the three: NaN, which stays.
            let rest = b.select(is_zero, zero, x);
            let rest = b.select(negative, minus_one, rest);
            b.select(positive, one, rest)
        }
        Kind::Complex => unreachable!("bodies are on real parts"),
    }
}

pub(crate) fn signbit(b: &mut B<'_>, a: &[V]) -> V {
    let x = if b.dtype(a[0]).is_float() { b.un(S::ToBits, a[0]) } else { a[0] };
    let zero = b.lit(x, 0.0);
    b.bin(S::Less, x, zero)
}

/// The constant with only the sign bit set, as the integer type of a float's bits.
fn sign_mask(b: &mut B<'_>, bits: V) -> V {
    match b.dtype(bits) {
        DType::I32 => b.int(bits, i32::MIN as i64),
        _ => b.int(bits, i64::MIN),
    }
}

pub(crate) fn copysign(b: &mut B<'_>, a: &[V]) -> V {
    let (magnitude, sign) = (b.un(S::ToBits, a[0]), b.un(S::ToBits, a[1]));
    let mask = sign_mask(b, magnitude);
    let inverse = b.un(S::Not, mask);
    let magnitude = b.bin(S::And, magnitude, inverse);
    let sign = b.bin(S::And, sign, mask);
    let bits = b.bin(S::Or, magnitude, sign);
    b.un(S::FromBits, bits)
}

pub(crate) fn nextafter(b: &mut B<'_>, a: &[V]) -> V {
    next_by(b, a[0], a[1], S::ToBits, S::FromBits)
}

/// As [`nextafter`], among the numbers that have bits by the one op, and are made of them by the other.
pub(crate) fn next_by(b: &mut B<'_>, x: V, towards: V, to_bits: S, from_bits: S) -> V {
    let bits = b.un(to_bits, x);
    let (zero, zero_bits, one_bits) = (b.lit(x, 0.0), b.int(bits, 0), b.int(bits, 1));
    // Away from zero the bits count up, towards zero down, for either sign.
    let up = b.bin(S::Greater, towards, x);
    let negative = b.bin(S::Less, bits, zero_bits);
    let away = b.bin(S::Xor, up, negative);
    let plus = b.add(bits, one_bits);
    let minus = b.sub(bits, one_bits);
    let stepped = b.select(away, plus, minus);
    let stepped = b.un(from_bits, stepped);
    // From either zero: the smallest subnormal with the sign of the other operand.
    let smallest = b.un(from_bits, one_bits);
    let smallest = copysign(b, &[smallest, towards]);
    let at_zero = b.bin(S::Equal, x, zero);
    let moved = b.select(at_zero, smallest, stepped);
    let equal = b.bin(S::Equal, x, towards);
    let result = b.select(equal, towards, moved);
    let sum = b.add(x, towards);
    let unordered = isnan(b, &[sum]);
    let both_infinite_apart = isnan(b, &[x]);
    let towards_nan = isnan(b, &[towards]);
    let nan = b.bin(S::Or, both_infinite_apart, towards_nan);
    let nan = b.bin(S::And, nan, unordered);
    b.select(nan, sum, result)
}

pub(crate) fn isfinite(b: &mut B<'_>, a: &[V]) -> V {
    let (magnitude, infinity) = (b.abs(a[0]), b.lit(a[0], f64::INFINITY));
    b.bin(S::Less, magnitude, infinity)
}

pub(crate) fn isinf(b: &mut B<'_>, a: &[V]) -> V {
    let (magnitude, infinity) = (b.abs(a[0]), b.lit(a[0], f64::INFINITY));
    b.bin(S::Equal, magnitude, infinity)
}

pub(crate) fn isnan(b: &mut B<'_>, a: &[V]) -> V {
    b.bin(S::NotEqual, a[0], a[0])
}

/// Integers: is the truncated quotient one above the floor? True when the remainder is not 0 and its sign differs from
/// the divisor's.
fn needs_correction(b: &mut B<'_>, remainder: V, divisor: V) -> V {
    let zero = b.lit(divisor, 0.0);
    let inexact = b.bin(S::NotEqual, remainder, zero);
    let signs = if b.dtype(divisor).is_float() {
        let (r, d) = (b.bin(S::Less, remainder, zero), b.bin(S::Less, divisor, zero));
        b.bin(S::Xor, r, d)
    } else {
        let signs = b.bin(S::Xor, remainder, divisor);
        b.bin(S::Less, signs, zero)
    };
    b.bin(S::And, inexact, signs)
}

pub(crate) fn floor_divide(b: &mut B<'_>, a: &[V]) -> V {
    let (x, y) = (a[0], a[1]);
    let dtype = b.dtype(x);
    let one = b.lit(x, 1.0);
    match dtype.kind() {
        Kind::Unsigned | Kind::Bool => b.div(x, y),
        Kind::Signed => {
            let (quotient, remainder) = (b.div(x, y), b.bin(S::TruncatedRemainder, x, y));
            let correct = needs_correction(b, remainder, y);
            let lower = b.sub(quotient, one);
            b.select(correct, lower, quotient)
        }
        // NumPy's npy_divmod (numpy/_core/src/npymath/npy_math_internal.h.src): exact remainder first, so that the quotient
        // is an integer up to one rounding.
        Kind::Float => {
            let zero = b.lit(x, 0.0);
            let direct = b.div(x, y);
            let remainder = b.bin(S::TruncatedRemainder, x, y);
            let difference = b.sub(x, remainder);
            let quotient = b.div(difference, y);
            let correct = needs_correction(b, remainder, y);
            let lower = b.sub(quotient, one);
            let quotient = b.select(correct, lower, quotient);
            let floor = b.un(S::Floor, quotient);
            let rest = b.sub(quotient, floor);
            let half = b.lit(x, 0.5);
            let high = b.bin(S::Greater, rest, half);
            let above = b.add(floor, one);
            let rounded = b.select(high, above, floor);
            let signed_zero = copysign(b, &[zero, direct]);
            let is_zero = b.bin(S::Equal, quotient, zero);
            let result = b.select(is_zero, signed_zero, rounded);
            // Division by zero, of infinities and by infinities is what the standard's table says, not NumPy: the quotient.
            let infinity = b.lit(x, f64::INFINITY);
            let (quotient_size, divisor_size) = (b.abs(direct), b.abs(y));
            let finite_quotient = b.bin(S::Less, quotient_size, infinity);
            let finite_divisor = b.bin(S::Less, divisor_size, infinity);
            let finite = b.bin(S::And, finite_quotient, finite_divisor);
            b.select(finite, result, direct)
        }
        Kind::Complex => unreachable!("bodies are on real parts"),
    }
}

pub(crate) fn remainder(b: &mut B<'_>, a: &[V]) -> V {
    let (x, y) = (a[0], a[1]);
    let remainder = b.bin(S::TruncatedRemainder, x, y);
    if b.dtype(x).kind() == Kind::Unsigned {
        return remainder;
    }
    let correct = needs_correction(b, remainder, y);
    let shifted = b.add(remainder, y);
    let result = b.select(correct, shifted, remainder);
    if !b.dtype(x).is_float() {
        return result;
    }
    // A zero remainder has the divisor's sign; by zero it is the NaN of fmod.
    let zero = b.lit(x, 0.0);
    let signed_zero = copysign(b, &[zero, y]);
    let is_zero = b.bin(S::Equal, remainder, zero);
    b.select(is_zero, signed_zero, result)
}

pub(crate) fn logaddexp(b: &mut B<'_>, a: &[V]) -> V {
    let (x, y) = (a[0], a[1]);
    let difference = b.sub(x, y);
    let magnitude = b.abs(difference);
    let minus = b.neg(magnitude);
    let small = b.un(S::Exp, minus);
    let correction = b.un(S::Log1p, small);
    let larger = b.bin(S::Maximum, x, y);
    let sum = b.add(larger, correction);
    // Equal operands, infinities included: their difference may be NaN.
    let equal = b.bin(S::Equal, x, y);
    let ln2 = b.lit(x, std::f64::consts::LN_2);
    let doubled = b.add(x, ln2);
    b.select(equal, doubled, sum)
}

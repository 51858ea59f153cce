//! The maths expansions: each maths op of the op table, on floats, what 16-bit floats need, and the division of integers, in terms of primitive ops,
//! written once and used by every back end, so that vectors, GPU threads and interpreters run the same polynomials and give the same bits.
//!
//! Not a library of numbers: nothing here computes, it builds code through [`Emit`]. Every expansion is branch-free,
//! uses no table, no call, no integer product and no shift by a variable amount, and keeps to what 128-bit vectors
//! have: `a < b ? a : b` instead of `minimum` (which also orders zeros and NaNs), and the exponent of a float64 is
//! turned into a float and back by adding numbers whose last place is 1 (`Format::magic`), for want of conversions.
//!
//! Invariants: the error is at most the op table's `ulps` on the whole domain, subnormals included; infinities, NaNs and
//! the signs of zeros are C99's; no intermediate relies on flushing subnormals or on a rounding mode other than nearest.
//! Polynomial coefficients are minimax fits from `testdata/minimax.py`.

mod division;
mod evaluator;
mod exp;
mod half;
mod hyperbolic;
mod inverse_trig;
mod log;
mod pow;
mod trig;
#[cfg(test)]
mod trig_accuracy;

pub use evaluator::Evaluator;

use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::{Class, Outcome, ScalarOp as S},
};

/// What expansions build with.
type B<'a> = dyn Emit + 'a;

/// Is the op on operands of this dtype expanded?
pub fn expands(op: S, dtype: DType) -> bool {
    let float = dtype.is_float() || op.row().outcome == Outcome::FromBits;
    (matches!(op.row().class, Class::Maths) && float) || division::expands(op, dtype)
}

/// Builds the expansion of an op that is expanded.
///
/// # Panics
/// When the op is not: a programming error.
pub fn expand(op: S, b: &mut dyn Emit, operands: &[V]) -> V {
    let x = operands[0];
    match op {
        S::Exp => exp::exp(b, x),
        S::Exp2 => exp::exp2(b, x),
        S::Expm1 => exp::expm1(b, x),
        S::Log => log::log(b, x),
        S::Log1p => log::log1p(b, x),
        S::Log2 => log::log2(b, x),
        S::Log10 => log::log10(b, x),
        S::Sin => trig::sin(b, x),
        S::Cos => trig::cos(b, x),
        S::Tan => trig::tan(b, x),
        S::Asin => inverse_trig::asin(b, x),
        S::Acos => inverse_trig::acos(b, x),
        S::Atan => inverse_trig::atan(b, x),
        S::Atan2 => inverse_trig::atan2(b, x, operands[1]),
        S::Sinh => hyperbolic::sinh(b, x),
        S::Cosh => hyperbolic::cosh(b, x),
        S::Tanh => hyperbolic::tanh(b, x),
        S::Asinh => hyperbolic::asinh(b, x),
        S::Acosh => hyperbolic::acosh(b, x),
        S::Atanh => hyperbolic::atanh(b, x),
        S::Hypot => pow::hypot(b, x, operands[1]),
        S::Pow => pow::pow(b, x, operands[1]),
        S::RoundToFloat16 => half::round(b, x, DType::F16),
        S::RoundToBfloat16 => half::round(b, x, DType::BF16),
        S::Float16Bits => half::to_bits(b, x, DType::F16),
        S::Bfloat16Bits => half::to_bits(b, x, DType::BF16),
        S::Float16FromBits => half::from_bits(b, x, DType::F16),
        S::Bfloat16FromBits => half::from_bits(b, x, DType::BF16),
        S::Divide => division::quotient(b, x, operands[1]),
        S::TruncatedRemainder => division::remainder(b, x, operands[1]),
        // Which ops are maths is the op table's to say. The op sweep finds a row of that class that has no arm here.
        _ => panic!("{} is not a maths op", op.row().name),
    }
}

/// What the expansions need to know of a float format.
struct Format {
    /// Bits of the significand behind the point.
    mantissa: i64,
    /// What is added to the exponent in the bits.
    bias: i64,
    /// 1.5 * 2^mantissa. A small number added to it is rounded to an integer, which stands in the last bits of the sum.
    magic: f64,
    /// The smallest normal number.
    min_normal: f64,
    /// The sign bit.
    sign: i64,
    /// The bits of the significand.
    mantissa_mask: i64,
    /// The bits of the square root of 1/2.
    sqrt_half: i64,
    /// ln 2 = `ln2.0 + ln2.1`; a product of the first and an exponent is exact.
    ln2: (f64, f64),
    /// log10 2, likewise.
    log10_2: (f64, f64),
    /// log2 e, as the nearest number and what it lacks.
    log2_e: (f64, f64),
    /// log10 e, likewise.
    log10_e: (f64, f64),
}

const F32: Format = Format {
    mantissa: 23,
    bias: 127,
    magic: 1.5 * (1 << 23) as f64,
    min_normal: f32::MIN_POSITIVE as f64,
    sign: i32::MIN as i64,
    mantissa_mask: (1 << 23) - 1,
    sqrt_half: 0x3f3504f3,
    ln2: (0.693145751953125, 1.428606765330187e-06),
    log10_2: (0.301025390625, 4.605039066518657e-06),
    log2_e: (1.4426950216293335, 1.925963033500011e-08),
    log10_e: (0.4342944920063019, -1.0103049952192578e-08),
};

const F64: Format = Format {
    mantissa: 52,
    bias: 1023,
    magic: 1.5 * (1i64 << 52) as f64,
    min_normal: f64::MIN_POSITIVE,
    sign: i64::MIN,
    mantissa_mask: (1 << 52) - 1,
    sqrt_half: 0x3fe6_a09e_667f_3bcd,
    ln2: (0.6931471805601177, -1.7239444525614835e-13),
    log10_2: (0.3010299956640665, -8.532344317057107e-14),
    log2_e: (std::f64::consts::LOG2_E, 2.0355273740931033e-17),
    log10_e: (std::f64::consts::LOG10_E, 1.098319650216765e-17),
};

/// Is the value float32 (else it is float64)?
fn is_f32(b: &B<'_>, x: V) -> bool {
    b.dtype(x) == DType::F32
}

/// The format of a float value.
fn format(b: &B<'_>, x: V) -> &'static Format {
    if is_f32(b, x) { &F32 } else { &F64 }
}

/// The polynomial with these coefficients, the lowest power first, by Horner's rule.
fn polynomial(b: &mut B<'_>, x: V, coefficients: &[f64]) -> V {
    let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    let mut sum = b.lit(x, *last);
    for &c in rest.iter().rev() {
        let c = b.lit(x, c);
        sum = b.fma(sum, x, c);
    }
    sum
}

/// `x`, but `limit` where `x` is above it; NaN stays. One instruction on vectors, unlike `minimum`.
fn at_most(b: &mut B<'_>, x: V, limit: f64) -> V {
    let limit = b.lit(x, limit);
    let above = b.bin(S::Less, limit, x);
    b.select(above, limit, x)
}

/// `x`, but `limit` where `x` is below it; NaN stays.
fn at_least(b: &mut B<'_>, x: V, limit: f64) -> V {
    let limit = b.lit(x, limit);
    let below = b.bin(S::Less, x, limit);
    b.select(below, limit, x)
}

/// The bits of a float such that a shift to the right is one that vectors have: the logical one for 64 bits.
fn to_logical(b: &mut B<'_>, bits: V) -> V {
    if b.dtype(bits) == DType::I64 { b.cast(DType::U64, bits) } else { bits }
}

/// The inverse of [`to_logical`].
fn from_logical(b: &mut B<'_>, bits: V) -> V {
    if b.dtype(bits) == DType::U64 { b.cast(DType::I64, bits) } else { bits }
}

/// The sign bit of a float, as bits.
fn sign_of(b: &mut B<'_>, x: V) -> V {
    let mask = format(b, x).sign;
    let bits = b.un(S::ToBits, x);
    let mask = b.int(bits, mask);
    b.bin(S::And, bits, mask)
}

/// A float without sign bit, or one that has it already, with the sign bit of `x`.
fn with_sign_of(b: &mut B<'_>, magnitude: V, x: V) -> V {
    let sign = sign_of(b, x);
    let bits = b.un(S::ToBits, magnitude);
    let bits = b.bin(S::Or, bits, sign);
    b.un(S::FromBits, bits)
}

#[cfg(test)]
mod tests;

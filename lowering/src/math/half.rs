//! Floats of 16 bits in terms of wider ones: rounding to the numbers that they have, ties to even, and their bits, as integers of
//! which the last 16 count.
//!
//! Rounding lets an addition do it: `|x| + c`, where c is a power of two so large that the last place of the sum is that of the
//! half nearest to x, and then `- c`, which is exact. c follows the exponent of x down to the smallest normal half, so subnormal
//! halves come out right, and nothing here is a subnormal of the wider format, which processors are slow with. The sum has the
//! half's significand in its last bits. bfloat16 has the exponents of float32, where there is no such c for large numbers: there its
//! significand is rounded as an integer.

use super::{B, at_least, format as wide_format, is_f32, sign_of, with_sign_of};
use fusewire_ir::{
    dtype::DType,
    emit::V,
    half::{Format, format},
    ops::ScalarOp as S,
    scalar::Scalar,
};

/// The nearest number that the half has, in the dtype of `x`.
pub(super) fn round(b: &mut B<'_>, x: V, half: DType) -> V {
    if half == DType::BF16 && is_f32(b, x) {
        let bits = bfloat16_in_place(b, x);
        return b.un(S::FromBits, bits);
    }
    let Aligned { magnitude, addend, sum, .. } = align(b, x, format(half));
    let rounded = b.sub(sum, addend);
    let infinity = b.lit(x, f64::INFINITY);
    let overflows = overflows(b, magnitude, format(half));
    let rounded = b.select(overflows, infinity, rounded);
    with_sign_of(b, rounded, x)
}

/// The bits of the nearest half, sign-extended to the width of `x`.
pub(super) fn to_bits(b: &mut B<'_>, x: V, half: DType) -> V {
    if !is_f32(b, x) {
        // What is rounded is a float32 too.
        let rounded = round(b, x, half);
        let single = b.cast(DType::F32, rounded);
        let bits = to_bits(b, single, half);
        return b.cast(DType::I64, bits);
    }
    let places = b.constant(Scalar::from_i64(DType::I32, 16));
    if half == DType::BF16 {
        let bits = bfloat16_in_place(b, x);
        return b.bin(S::ShiftRight, bits, places);
    }
    let f = format(half);
    let Aligned { magnitude, power, addend, sum } = align(b, x, f);
    let [sum, addend, power] = [sum, addend, power].map(|v| b.un(S::ToBits, v));
    let significand = b.sub(sum, addend);
    let smallest = b.int(power, (127 + i64::from(f.least)) << 23);
    let exponent = b.sub(power, smallest);
    let dropped = b.int(power, 23 - i64::from(f.digits));
    let exponent = b.bin(S::ShiftRight, exponent, dropped);
    let bits = b.add(exponent, significand);
    let (infinity, nan) = (b.int(bits, f.infinity().into()), b.int(bits, f.nan().into()));
    let overflows = overflows(b, magnitude, f);
    let bits = b.select(overflows, infinity, bits);
    let is_nan = b.bin(S::NotEqual, x, x);
    let bits = b.select(is_nan, nan, bits);
    let sign = sign_of(b, x);
    let sign = b.bin(S::ShiftRight, sign, places);
    b.bin(S::Or, bits, sign)
}

/// The number that the last 16 bits are, in the float of the width of `bits`.
pub(super) fn from_bits(b: &mut B<'_>, bits: V, half: DType) -> V {
    if b.dtype(bits) == DType::I64 {
        let bits = b.cast(DType::I32, bits);
        let single = from_bits(b, bits, half);
        return b.cast(DType::F64, single);
    }
    let places = b.int(bits, 16);
    if half == DType::BF16 {
        let bits = b.bin(S::ShiftLeft, bits, places);
        return b.un(S::FromBits, bits);
    }
    let f = format(half);
    let shift = 23 - i64::from(f.digits);
    let (sign_mask, mask, dropped) = (b.int(bits, 0x8000), b.int(bits, 0x7fff), b.int(bits, shift));
    let magnitude = b.bin(S::And, bits, mask);
    let aligned = b.bin(S::ShiftLeft, magnitude, dropped);
    // What is to be added to the exponent: the difference of the biases, and again as much for infinities and NaNs.
    let bias = 126 + i64::from(f.least);
    let (infinity, normal, special) =
        (b.int(bits, f.infinity().into()), b.int(bits, bias << 23), b.int(bits, (2 * bias) << 23));
    let finite = b.bin(S::Less, magnitude, infinity);
    let offset = b.select(finite, normal, special);
    let moved = b.add(aligned, offset);
    // Subnormal halves stand behind the point of the smallest normal one, which goes again.
    let (one_more, smallest_normal) = (b.int(bits, (bias + 1) << 23), b.int(bits, 1 << f.digits));
    let above = b.add(aligned, one_more);
    let above = b.un(S::FromBits, above);
    let unit = b.lit(above, 2f64.powi(f.least));
    let subnormal = b.sub(above, unit);
    let subnormal = b.un(S::ToBits, subnormal);
    let is_subnormal = b.bin(S::Less, magnitude, smallest_normal);
    let result = b.select(is_subnormal, subnormal, moved);
    let sign = b.bin(S::And, bits, sign_mask);
    let sign = b.bin(S::ShiftLeft, sign, places);
    let result = b.bin(S::Or, result, sign);
    b.un(S::FromBits, result)
}

/// A number whose last place is a half's.
struct Aligned {
    /// |x|.
    magnitude: V,
    /// The power of two below it, at least the smallest normal half.
    power: V,
    /// The power of two whose last place is the half's.
    addend: V,
    /// |x| and the addend, rounded. Infinities, NaNs and what overflows the half: any number, and NaN for NaN.
    sum: V,
}

fn align(b: &mut B<'_>, x: V, f: Format) -> Aligned {
    let wide = wide_format(b, x);
    let magnitude = b.abs(x);
    let bits = b.un(S::ToBits, magnitude);
    let mask = b.int(bits, !(wide.mantissa_mask | wide.sign));
    let power = b.bin(S::And, bits, mask);
    let power = b.un(S::FromBits, power);
    let power = at_least(b, power, 2f64.powi(f.least));
    let factor = b.lit(x, 2f64.powi(wide.mantissa as i32 - f.digits as i32));
    let addend = b.mul(power, factor);
    let sum = b.add(magnitude, addend);
    Aligned { magnitude, power, addend, sum }
}

/// Is it nearer to the power of two behind the largest half than to that?
fn overflows(b: &mut B<'_>, magnitude: V, f: Format) -> V {
    let limit = 2f64.powi(1 - f.least) * (2.0 - 0.5f64.powi(f.digits as i32 + 1));
    let limit = b.lit(magnitude, limit);
    b.bin(S::GreaterEqual, magnitude, limit)
}

/// The bits of the bfloat16 nearest to a float32, with 16 zeros behind them.
fn bfloat16_in_place(b: &mut B<'_>, x: V) -> V {
    let bits = b.un(S::ToBits, x);
    let (places, one, below_half) = (b.int(bits, 16), b.int(bits, 1), b.int(bits, 0x7fff));
    let last = b.bin(S::ShiftRight, bits, places);
    let odd = b.bin(S::And, last, one);
    let carried = b.add(bits, below_half);
    let carried = b.add(carried, odd);
    let mask = b.int(bits, !0xffff);
    let rounded = b.bin(S::And, carried, mask);
    // What is carried into a NaN's exponent would make something else of it.
    let quiet = b.int(bits, i64::from(format(DType::BF16).nan()) << 16);
    let sign = sign_of(b, x);
    let nan = b.bin(S::Or, sign, quiet);
    let is_nan = b.bin(S::NotEqual, x, x);
    b.select(is_nan, nan, rounded)
}

#[cfg(test)]
mod tests {
    use super::{super::Evaluator, *};
    use fusewire_ir::half;

    fn agree(op: S, operand: Scalar) {
        let (found, wanted) = (Evaluator::evaluate(op, &[operand]), (op.row().reference)(&[operand]));
        let both_nan = wanted.dtype().is_float() && wanted.as_f64().is_nan() && found.as_f64().is_nan();
        assert!(found == wanted || both_nan, "{op:?} of {operand:?}: {found:?}, wanted {wanted:?}");
    }

    #[test]
    fn the_numbers_of_all_bits_are_right() {
        for bits in 0..=u16::MAX {
            for op in [S::Float16FromBits, S::Bfloat16FromBits] {
                agree(op, Scalar::from_i64(DType::I32, i64::from(bits)));
                agree(op, Scalar::from_i64(DType::I64, i64::from(bits as i16)));
            }
        }
    }

    #[test]
    fn numbers_at_and_between_the_halves_are_rounded_right() {
        let ops = [S::RoundToFloat16, S::Float16Bits, S::RoundToBfloat16, S::Bfloat16Bits];
        for half in [DType::F16, DType::BF16] {
            for bits in 0..format(half).infinity() {
                let (low, high) = (half::to_f64(half, bits), half::to_f64(half, bits + 1));
                let middle = if high.is_finite() { (low + high) / 2.0 } else { low * (1.0 + 0.5f64.powi(9)) };
                for x in [low, middle, middle.next_up(), -middle.next_down()] {
                    let single = x as f32;
                    let singles = [single, single.next_up(), -single.next_down()].map(Scalar::f32);
                    for op in ops {
                        agree(op, Scalar::f64(x));
                        singles.iter().for_each(|&x| agree(op, x));
                    }
                }
            }
        }
    }

    #[test]
    fn all_exponents_and_special_numbers_are_rounded_right() {
        let ops = [S::RoundToFloat16, S::Float16Bits, S::RoundToBfloat16, S::Bfloat16Bits];
        let singles = (0..u32::MAX).step_by(1_300_021).map(|bits| Scalar::f32(f32::from_bits(bits)));
        let doubles = (0..u64::MAX).step_by(5_600_000_000_000_021).map(|bits| Scalar::f64(f64::from_bits(bits)));
        let special = [0.0, f64::INFINITY, f64::MAX, f64::NAN, 65519.99, 65520.0, f64::from_bits(1)];
        let special = special.into_iter().flat_map(|x| [x, -x]).flat_map(|x| [Scalar::f64(x), Scalar::f32(x as f32)]);
        for x in singles.chain(doubles).chain(special) {
            ops.iter().for_each(|&op| agree(op, x));
        }
    }
}

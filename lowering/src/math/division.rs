//! Quotients and remainders of integers, in terms of what vectors have: no machine divides vectors of integers.
//!
//! The quotient truncates, as the op table's `divide` does, and both are 0 for a divisor of 0.

use super::B;
use fusewire_ir::{dtype::DType, emit::V, ops::ScalarOp as S, scalar::Scalar};

/// Is the op on the dtype expanded here? A quotient of 64 bits is not: no float holds it.
pub(super) fn expands(op: S, dtype: DType) -> bool {
    match op {
        S::Divide => dtype.is_integer() && dtype.size() <= 4,
        S::TruncatedRemainder => dtype.is_integer(),
        _ => false,
    }
}

/// `x / y` through floats: `(|x| + 1/2) * (1/y)`, truncated. A divisor that a loop does not change is inverted once.
///
/// `(|x| + 1/2) / |y|` is at least `1/2|y|` away from every integer, and the two roundings move the product by at most
/// `|x|/|y|` times 2^-23 in float32, 2^-52 in float64: too little, as |x| is at most 2^16 and 2^32.
pub(super) fn quotient(b: &mut B<'_>, x: V, y: V) -> V {
    let dtype = b.dtype(x);
    let float = if dtype.size() <= 2 { DType::F32 } else { DType::F64 };
    let (wide, divisor) = (b.cast(float, x), b.cast(float, y));
    let one = b.lit(divisor, 1.0);
    let inverse = b.div(one, divisor);
    let half = if dtype.is_signed_integer() { half_like(b, wide) } else { b.lit(wide, 0.5) };
    let away = b.add(wide, half);
    let product = b.mul(away, inverse);
    let quotient = truncated(b, product, dtype);
    zero_for_zero(b, y, quotient)
}

/// 1/2 with the sign of a float.
fn half_like(b: &mut B<'_>, x: V) -> V {
    let bits = b.un(S::ToBits, x);
    let (sign_bit, half_bits) = match b.dtype(x) {
        DType::F32 => (i32::MIN.into(), 0.5f32.to_bits().into()),
        _ => (i64::MIN, 0.5f64.to_bits() as i64),
    };
    let (sign_bit, half_bits) = (b.int(bits, sign_bit), b.int(bits, half_bits));
    let sign = b.bin(S::And, bits, sign_bit);
    let signed = b.bin(S::Or, sign, half_bits);
    b.un(S::FromBits, signed)
}

/// A float, of which the integer part fits a dtype, as that integer. The most negative number over -1 wraps.
fn truncated(b: &mut B<'_>, x: V, dtype: DType) -> V {
    if dtype != DType::U32 {
        return b.cast(dtype, x);
    }
    // Vectors convert to signed integers only: the range is moved to theirs and back.
    let whole = b.un(S::Trunc, x);
    let middle = b.lit(x, 2f64.powi(31));
    let moved = b.sub(whole, middle);
    let moved = b.cast(DType::I32, moved);
    let bits = b.cast(DType::U32, moved);
    let top = b.constant(Scalar::from_u64(DType::U32, 1 << 31));
    b.bin(S::Xor, bits, top)
}

/// `x - x / y * y`.
pub(super) fn remainder(b: &mut B<'_>, x: V, y: V) -> V {
    let quotient = if expands(S::Divide, b.dtype(x)) { quotient(b, x, y) } else { b.div(x, y) };
    let product = b.mul(quotient, y);
    let rest = b.sub(x, product);
    zero_for_zero(b, y, rest)
}

fn zero_for_zero(b: &mut B<'_>, divisor: V, result: V) -> V {
    let zero = b.int(divisor, 0);
    let by_zero = b.bin(S::Equal, divisor, zero);
    b.select(by_zero, zero, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Evaluator;

    /// Asserts what the op table says of both, on one pair.
    fn check(dtype: DType, x: i64, y: i64) {
        let operands = [Scalar::from_i64(dtype, x), Scalar::from_i64(dtype, y)];
        for op in [S::Divide, S::TruncatedRemainder] {
            let wanted = (op.row().reference)(&operands);
            assert_eq!(Evaluator::evaluate(op, &operands), wanted, "{} of {operands:?}", op.row().name);
        }
    }

    #[test]
    fn all_pairs_of_bytes() {
        for dtype in [DType::I8, DType::U8] {
            (0..256).for_each(|x| (0..256).for_each(|y| check(dtype, x, y)));
        }
    }

    #[test]
    fn multiples_their_neighbours_and_the_ends_of_each_type() {
        let mut random = fastrand::Rng::with_seed(7);
        for dtype in DType::ALL.into_iter().filter(|d| d.is_integer()) {
            let ends =
                [0, 1, 2, -1, -2, i64::MIN, i64::MAX, 1 << 15, 1 << 31, (1 << 16) - 1, (1 << 32) - 1, i32::MIN.into()];
            for x in ends {
                ends.iter().for_each(|&y| check(dtype, x, y));
            }
            for _ in 0..20_000 {
                let bits = random.u32(1..=dtype.bits());
                let y = random.i64(..) >> (64 - bits);
                let multiple = random.i64(..).wrapping_mul(y);
                (-1..2).for_each(|near| check(dtype, multiple.wrapping_add(near), y));
                check(dtype, random.i64(..), y);
            }
        }
    }
}

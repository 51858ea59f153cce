//! The two floats of 16 bits, by their bits: what they are worth, and the one nearest to a number. Slow and obvious, for
//! constants, parameters and the interpreters; what compiled code does is `fusewire_lowering::math`.

use crate::dtype::DType;

/// What has to be known of a format.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Bits of the significand behind the point.
    pub digits: u32,
    /// The exponent of the smallest normal number.
    pub least: i32,
}

impl Format {
    /// The bits of infinity.
    pub const fn infinity(self) -> u16 {
        0x8000 - (1 << self.digits)
    }

    /// The bits of the quiet NaN without sign and payload.
    pub const fn nan(self) -> u16 {
        self.infinity() | 1 << (self.digits - 1)
    }
}

/// The format of float16 or bfloat16.
pub const fn format(dtype: DType) -> Format {
    match dtype {
        DType::F16 => Format { digits: 10, least: -14 },
        DType::BF16 => Format { digits: 7, least: -126 },
        _ => panic!("a float of 16 bits"),
    }
}

/// The bits of the float nearest to `significand * 2^exponent`, that with the even last place of two.
pub const fn nearest(dtype: DType, negative: bool, significand: u64, exponent: i32) -> u16 {
    let format = format(dtype);
    let sign = (negative as u16) << 15;
    if significand == 0 {
        return sign;
    }
    let first = exponent + significand.ilog2() as i32;
    let binade = if first > format.least { first } else { format.least };
    // How many places of the significand are too many.
    let dropped = binade - format.digits as i32 - exponent;
    let kept = match dropped {
        ..=0 => significand << -dropped,
        1..=63 => {
            let (kept, half) = (significand >> dropped, 1 << (dropped - 1));
            let rest = significand - (kept << dropped);
            kept + (rest > half || (rest == half && kept % 2 == 1)) as u64
        }
        64 => (significand > 1 << 63) as u64,
        _ => 0,
    };
    // The significand's leading bit, and what rounding carries, count the exponent up.
    let bits = ((binade - format.least) as u64).saturating_mul(1 << format.digits) + kept;
    sign | if bits < format.infinity() as u64 { bits as u16 } else { format.infinity() }
}

/// The bits of the float nearest to a float64. Of a NaN only the sign is kept.
pub fn of_f64(dtype: DType, value: f64) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 48) & 0x8000) as u16;
    let (exponent, mantissa) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let format = format(dtype);
    match exponent {
        0x7ff if mantissa != 0 => sign | format.nan(),
        0x7ff => sign | format.infinity(),
        0 => nearest(dtype, sign != 0, mantissa, -1074),
        _ => nearest(dtype, sign != 0, mantissa | 1 << 52, exponent - 1075),
    }
}

/// The value, which a float64 holds exactly.
pub fn to_f64(dtype: DType, bits: u16) -> f64 {
    let format = format(dtype);
    let magnitude = bits & 0x7fff;
    let (exponent, mantissa) = (i32::from(magnitude >> format.digits), magnitude & ((1 << format.digits) - 1));
    let value = if magnitude >= format.infinity() {
        f64::from_bits(0x7ff << 52 | u64::from(mantissa) << (52 - format.digits))
    } else {
        let significand = if exponent == 0 { mantissa } else { mantissa | 1 << format.digits };
        f64::from(significand) * 2f64.powi(format.least - format.digits as i32 + (exponent - 1).max(0))
    };
    if bits & 0x8000 != 0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_the_nearest_to_itself() {
        for dtype in [DType::F16, DType::BF16] {
            for bits in 0..=u16::MAX {
                let value = to_f64(dtype, bits);
                let again = of_f64(dtype, value);
                let nan = bits & 0x8000 | format(dtype).nan();
                assert_eq!(again, if value.is_nan() { nan } else { bits }, "{dtype} {bits:#x}");
                if dtype == DType::BF16 && !value.is_nan() {
                    assert_eq!(value, f64::from(f32::from_bits(u32::from(bits) << 16)));
                }
            }
        }
    }

    #[test]
    fn what_lies_between_two_goes_to_the_nearer_one_or_the_even_one() {
        for dtype in [DType::F16, DType::BF16] {
            let infinity = format(dtype).infinity();
            for bits in 0..infinity {
                let low = to_f64(dtype, bits);
                // Behind the largest finite one, a power of two stands in for infinity.
                let high = match bits + 1 {
                    next if next == infinity => 2.0 * to_f64(dtype, infinity - (1 << format(dtype).digits)),
                    next => to_f64(dtype, next),
                };
                let middle = (low + high) / 2.0;
                assert_eq!(of_f64(dtype, middle), bits + bits % 2, "{dtype} {bits:#x}");
                assert_eq!(of_f64(dtype, middle.next_down()), bits);
                assert_eq!(of_f64(dtype, -middle.next_up()), 0x8000 | (bits + 1));
            }
            assert_eq!(of_f64(dtype, f64::from_bits(1)), 0);
            assert_eq!(of_f64(dtype, f64::MAX), infinity);
        }
    }

    #[test]
    fn wide_integers_are_rounded_once() {
        // Between two bfloat16, and above their middle by less than a float64 of that size holds.
        let middle = (1 << 62) + (1 << 54);
        assert_eq!(nearest(DType::BF16, false, middle, 0), nearest(DType::BF16, false, 1 << 62, 0));
        assert_eq!(nearest(DType::BF16, false, middle + 1, 0), nearest(DType::BF16, false, 1 << 62, 0) + 1);
        assert_eq!(nearest(DType::F16, true, 65519, 0), 0xfbff);
        assert_eq!(nearest(DType::F16, true, 65520, 0), 0xfc00);
    }
}

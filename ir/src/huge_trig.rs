//! Exact reduction of huge trigonometric arguments modulo pi/2 (Payne and Hanek's method), in integers.
//!
//! This is the meaning of the ops `huge-trig-remainder` and `huge-trig-quadrant`, and what back ends call on the rare
//! path. It is not the reduction of ordinary arguments: below 2^20 everything here is 0.
//!
//! The argument is an integer m of 53 bits times 2^e. Of the product with 2/pi only the part modulo 4 counts, so the
//! bits of 2/pi that weigh at least 4 after the multiplication are left out, and 256 of those that follow are taken.
//! What is cut off is below 2^-200 of a quadrant, while no float64 comes closer than 2^-62 to a multiple of pi/2, so
//! that at least 128 significant bits of the fraction are right.

/// The first 1280 bits of 2/pi after the binary point, after one word of zeros for exponents below 2.
pub const TWO_OVER_PI: [u64; 21] = [
    0,
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
];

/// pi/2 in units of 2^-127, rounded down.
pub const HALF_PI: u128 = 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1;

/// See the op table's `huge-trig-remainder`, in float32.
pub fn remainder_f32(x: f32) -> f32 {
    let Some(reduced) = reduce(f64::from(x)) else { return 0.0 };
    // Rounded here, once; neither the conversion to float64 nor the one to float32 rounds again.
    reduced.rounded_to(24) as f32
}

/// See the op table's `huge-trig-remainder`, in float64.
pub fn remainder_f64(x: f64) -> f64 {
    reduce(x).map_or(0.0, |reduced| reduced.rounded_to(53))
}

/// See the op table's `huge-trig-quadrant`.
pub fn quadrant(x: f64) -> f64 {
    reduce(x).map_or(0.0, |reduced| f64::from(reduced.quadrant))
}

/// An argument modulo pi/2: the remainder's magnitude is `significand * 2^exponent`.
struct Reduced {
    /// The nearest multiple of pi/2, modulo 4.
    quadrant: u8,
    negative: bool,
    /// The top bit is set. Truncated: the true value is never a float, nor halfway between two.
    significand: u128,
    exponent: i32,
}

impl Reduced {
    /// The remainder, rounded to nearest with a significand of this many bits (at most 53).
    fn rounded_to(&self, bits: u32) -> f64 {
        let dropped = 128 - bits;
        let kept = (self.significand >> dropped) + (self.significand >> (dropped - 1) & 1);
        // The exponent is -192 to -126, so the scale is a normal number and the product exact.
        let scale = f64::from_bits(((self.exponent + dropped as i32 + 1023) as u64) << 52);
        let magnitude = kept as f64 * scale;
        if self.negative { -magnitude } else { magnitude }
    }
}

/// `None` below 2^20, for infinities and for NaN.
fn reduce(x: f64) -> Option<Reduced> {
    let magnitude = x.abs();
    if !(1048576.0..f64::INFINITY).contains(&magnitude) {
        return None;
    }
    // From 2^20 on, the argument is normal.
    let bits = magnitude.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let exponent = (bits >> 52) as i32 - 1075;

    // Bit i of 2/pi (from 0) weighs 2^(exponent - 1 - i) after the multiplication. The first that counts weighs 2,
    // hence i = exponent - 2; the word of zeros moves it by 64, so this is 30 to 1033 and the table suffices.
    let start = (exponent + 62) as usize;
    let (word, shift) = (start / 64, start % 64);
    let mut product = [0u64; 4]; // most significant first: two integer bits, then the fraction
    let mut carry = 0u64;
    for i in (0..4).rev() {
        let (high, low) = (TWO_OVER_PI[word + i], TWO_OVER_PI[word + i + 1]);
        let window = ((u128::from(high) << 64 | u128::from(low)) << shift >> 64) as u64;
        let wide = u128::from(window) * u128::from(mantissa) + u128::from(carry);
        product[i] = wide as u64;
        carry = (wide >> 64) as u64;
    }

    // Split off the integer; a fraction of a half or more is that of the next multiple, negated.
    let mut quadrant = (product[0] >> 62) as u8;
    let mut fraction = product;
    fraction[0] &= (1 << 62) - 1;
    let mut negative = false;
    if fraction[0] >> 61 == 1 {
        quadrant += 1;
        negative = true;
        // Minus the fraction, modulo 1. The last bit that a full negation would carry is far below what counts.
        fraction = fraction.map(|word| !word);
        fraction[0] &= (1 << 62) - 1;
    }
    if x < 0.0 {
        quadrant = 4 - quadrant;
        negative = !negative;
    }

    let high = u128::from(fraction[0]) << 64 | u128::from(fraction[1]);
    let low = u128::from(fraction[2]) << 64 | u128::from(fraction[3]);
    // 3 to 65: the fraction is a half at most and 2^-63 at least, below two integer bits.
    let zeros = high.leading_zeros().clamp(1, 127);
    let fraction = high << zeros | low >> (128 - zeros);

    // fraction * 2^-(126 + zeros) * HALF_PI * 2^-127, of which the upper 128 bits are kept.
    let product = multiply_high(fraction, HALF_PI);
    let shift = product.leading_zeros();
    Some(Reduced {
        quadrant: quadrant % 4,
        negative,
        significand: product << shift,
        exponent: -(zeros as i32) - shift as i32 - 125,
    })
}

/// The upper half of the product of two 128-bit integers.
fn multiply_high(a: u128, b: u128) -> u128 {
    let mask = u128::from(u64::MAX);
    let (a1, a0, b1, b0) = (a >> 64, a & mask, b >> 64, b & mask);
    let middle = a1 * b0 + ((a0 * b0) >> 64);
    let other = a0 * b1 + (middle & mask);
    a1 * b1 + (middle >> 64) + (other >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line an argument: its bits, the bits of the remainder, the quadrant; from mpmath with 2000 bits.
    /// `lowering/testdata/generate_trig.py` writes them.
    const F64: &str = include_str!("../testdata/huge_trig_f64.txt");
    const F32: &str = include_str!("../testdata/huge_trig_f32.txt");

    fn lines(text: &str) -> impl Iterator<Item = (u64, u64, f64)> + '_ {
        text.lines().map(|line| {
            let mut words = line.split_whitespace();
            let mut bits = || u64::from_str_radix(words.next().unwrap(), 16).unwrap();
            (bits(), bits(), bits() as f64)
        })
    }

    #[test]
    fn float64_remainders_and_quadrants_are_exact() {
        let mut count = 0;
        for (x, remainder, expected) in lines(F64) {
            let x = f64::from_bits(x);
            assert_eq!(remainder_f64(x).to_bits(), remainder, "remainder of {x:e}");
            assert_eq!(quadrant(x), expected, "quadrant of {x:e}");
            count += 1;
        }
        assert!(count > 1000);
    }

    #[test]
    fn float32_remainders_are_rounded_once() {
        let mut count = 0;
        for (x, remainder, expected) in lines(F32) {
            let x = f32::from_bits(x as u32);
            assert_eq!(u64::from(remainder_f32(x).to_bits()), remainder, "remainder of {x:e}");
            assert_eq!(quadrant(f64::from(x)), expected, "quadrant of {x:e}");
            count += 1;
        }
        assert!(count > 1000);
    }

    #[test]
    fn the_hardest_float64_keeps_all_its_bits() {
        // The double that is closest to a multiple of pi/2 (Muller et al., Handbook of Floating-Point Arithmetic).
        let x = 6381956970095103.0 * 2f64.powi(797);
        assert_eq!(remainder_f64(x), 4.687165924254628e-19);
        assert_eq!(quadrant(x), 1.0);
        assert_eq!(quadrant(-x), 3.0);
    }

    #[test]
    fn small_and_special_arguments_give_zero() {
        let below = 1048576f64.next_down();
        for x in [0.0, -0.0, 1.0, below, -below, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE] {
            assert_eq!(remainder_f64(x).to_bits(), 0, "{x:e}");
            assert_eq!(quadrant(x).to_bits(), 0, "{x:e}");
            assert_eq!(remainder_f32(x as f32).to_bits() == 0, x.abs() != below, "{x:e}");
        }
        assert_ne!(remainder_f64(1048576.0), 0.0);
    }

    #[test]
    fn negation_negates_the_remainder() {
        for exponent in 1043..2047u64 {
            let x = f64::from_bits((exponent << 52) | (0x000a_5a5a_1234_5678 * exponent % (1 << 52)));
            assert_eq!(remainder_f64(-x), -remainder_f64(x), "{x:e}");
            assert_eq!(quadrant(-x), (4.0 - quadrant(x)) % 4.0, "{x:e}");
            assert!(remainder_f64(x).abs() <= std::f64::consts::FRAC_PI_4, "{x:e}");
        }
    }
}

//! Sine, cosine and tangent, as branch-free primitive ops for float32 and float64.
//!
//! All three work on |x|, so that the sign symmetries (and -0.0) are exact. The argument is reduced modulo pi/2 by
//! three fused multiply-adds (Cody and Waite) below 2^20 and by the exact huge-trig ops from there on. `sin` and `cos`
//! of one value emit the same reduction and the same two polynomials; only the choice between them differs.

use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::ScalarOp as S,
};

/// The sine of x radians.
pub fn sin(b: &mut dyn Emit, x: V) -> V {
    let reduced = reduce(b, x);
    let r = rounded(b, &reduced);
    let (sine, cosine) = sine_and_cosine(b, r);
    let even = is_even(b, reduced.quadrant);
    let magnitude = b.select(even, sine, cosine);
    // Bit 1 of the quadrant, moved to the sign bit.
    let up = b.int(reduced.quadrant, b.dtype(reduced.quadrant).bits() as i64 - 2);
    let turn = b.bin(S::ShiftLeft, reduced.quadrant, up);
    let sign = b.un(S::ToBits, x);
    let flip = b.bin(S::Xor, turn, sign);
    flip_sign(b, magnitude, flip)
}

/// The cosine of x radians.
pub fn cos(b: &mut dyn Emit, x: V) -> V {
    let reduced = reduce(b, x);
    let r = rounded(b, &reduced);
    let (sine, cosine) = sine_and_cosine(b, r);
    let even = is_even(b, reduced.quadrant);
    let magnitude = b.select(even, cosine, sine);
    // Negative in quadrants 1 and 2: bit 1 of the next quadrant.
    let one = b.int(reduced.quadrant, 1);
    let next = b.add(reduced.quadrant, one);
    let up = b.int(next, b.dtype(next).bits() as i64 - 2);
    let flip = b.bin(S::ShiftLeft, next, up);
    flip_sign(b, magnitude, flip)
}

/// The tangent of x radians.
pub fn tan(b: &mut dyn Emit, x: V) -> V {
    let reduced = reduce(b, x);
    // The derivative is up to 2 and a division follows, so what the remainder loses in rounding is kept. `first` is a
    // multiple of the last place of `product`, so `difference` is exact, and `low` holds the errors of `product` and
    // of `r`, and the third part.
    let product = b.mul(reduced.multiple, reduced.minus_parts[1]);
    let r = b.add(reduced.first, product);
    let difference = b.sub(reduced.first, r);
    let low = b.fma(reduced.multiple, reduced.minus_parts[1], difference);
    let low = b.fma(reduced.multiple, reduced.minus_parts[2], low);
    let zero = b.lit(x, 0.0);
    let low = b.select(reduced.huge, zero, low);
    let r = b.select(reduced.huge, reduced.huge_remainder, r);

    let square = b.mul(r, r);
    // The first term of the series is taken by itself, to be rounded with the sum only.
    let (first_term, coefficients) = constants(b.dtype(x)).tan;
    let series = polynomial(b, square, coefficients);
    let cube = b.mul(r, square);
    let fifth = b.mul(cube, square);
    let correction = b.fma(fifth, series, low);
    let first_term = b.lit(x, first_term);
    let correction = b.fma(cube, first_term, correction);
    let high = b.add(r, correction);
    let rest = b.sub(high, r);
    let rest = b.sub(correction, rest);

    // In odd quadrants the result is -1 / (high + rest): a division and one Newton step, in which `rest` takes part.
    let (one, minus_one) = (b.lit(x, 1.0), b.lit(x, -1.0));
    let quotient = b.div(minus_one, high);
    let error = b.fma(high, quotient, one);
    let error = b.fma(rest, quotient, error);
    let quotient = b.fma(quotient, error, quotient);

    let even = is_even(b, reduced.quadrant);
    let magnitude = b.select(even, high, quotient);
    let sign = b.un(S::ToBits, x);
    flip_sign(b, magnitude, sign)
}

/// |x| modulo pi/2.
struct Reduced {
    /// The multiple of pi/2 that is subtracted, below 2^20.
    multiple: V,
    /// pi/2 in three parts, negated.
    minus_parts: [V; 3],
    /// |x| less the first part times the multiple, exact.
    first: V,
    /// Is |x| finite and at least 2^20?
    huge: V,
    /// The remainder of such x.
    huge_remainder: V,
    /// An integer as wide as x whose lowest two bits are the quadrant.
    quadrant: V,
}

fn reduce(b: &mut dyn Emit, x: V) -> Reduced {
    let constants = constants(b.dtype(x));
    let magnitude = b.abs(x);
    // Adding this number rounds to an integer, whose lowest bits are then those of the sum.
    let magic = b.lit(x, constants.magic);
    let two_over_pi = b.lit(x, std::f64::consts::FRAC_2_PI);
    let sum = b.fma(magnitude, two_over_pi, magic);
    let multiple = b.sub(sum, magic);
    let minus_parts = constants.half_pi.map(|part| b.lit(x, -part));
    let first = b.fma(multiple, minus_parts[0], magnitude);

    // The remainder of a huge argument is never 0, as pi is irrational, and that of any other is. Infinities and NaN
    // count as small: there `first` is NaN.
    let huge_remainder = b.un(S::HugeTrigRemainder, magnitude);
    let huge_quadrant = b.un(S::HugeTrigQuadrant, magnitude);
    let zero = b.lit(x, 0.0);
    let huge = b.bin(S::NotEqual, huge_remainder, zero);
    let huge_sum = b.add(huge_quadrant, magic);
    let sum = b.select(huge, huge_sum, sum);
    let quadrant = b.un(S::ToBits, sum);
    Reduced { multiple, minus_parts, first, huge, huge_remainder, quadrant }
}

/// The remainder as one float. Its error is half a unit in the last place, and up to one where the remainder is so
/// small that the third part of pi/2 matters.
fn rounded(b: &mut dyn Emit, reduced: &Reduced) -> V {
    let second = b.fma(reduced.multiple, reduced.minus_parts[1], reduced.first);
    let third = b.fma(reduced.multiple, reduced.minus_parts[2], second);
    b.select(reduced.huge, reduced.huge_remainder, third)
}

/// The sine and cosine of r in [-0.82, 0.82].
fn sine_and_cosine(b: &mut dyn Emit, r: V) -> (V, V) {
    let constants = constants(b.dtype(r));
    let square = b.mul(r, r);
    let series = polynomial(b, square, constants.sin);
    let cube = b.mul(r, square);
    let sine = b.fma(cube, series, r);

    let series = polynomial(b, square, constants.cos);
    let (minus_half, one) = (b.lit(r, -0.5), b.lit(r, 1.0));
    let head = b.fma(square, minus_half, one);
    let fourth = b.mul(square, square);
    let cosine = b.fma(fourth, series, head);
    (sine, cosine)
}

fn is_even(b: &mut dyn Emit, integer: V) -> V {
    let (zero, one) = (b.int(integer, 0), b.int(integer, 1));
    let lowest = b.bin(S::And, integer, one);
    b.bin(S::Equal, lowest, zero)
}

/// `value` with its sign flipped where the top bit of `flip` is set.
pub(super) fn flip_sign(b: &mut dyn Emit, value: V, flip: V) -> V {
    let mask = b.int(flip, if b.dtype(flip) == DType::I32 { i32::MIN as i64 } else { i64::MIN });
    let flip = b.bin(S::And, flip, mask);
    let bits = b.un(S::ToBits, value);
    let bits = b.bin(S::Xor, bits, flip);
    b.un(S::FromBits, bits)
}

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's scheme.
pub(super) fn polynomial(b: &mut dyn Emit, x: V, coefficients: &[f64]) -> V {
    let (last, rest) = coefficients.split_last().expect("a polynomial has a coefficient");
    let mut value = b.lit(x, *last);
    for &c in rest.iter().rev() {
        let c = b.lit(x, c);
        value = b.fma(value, x, c);
    }
    value
}

struct Constants {
    /// 1.5 times 2 to the significand's width.
    magic: f64,
    /// pi/2 as a sum of three floats, each rounded to nearest. The product of the first with an integer below 2^20,
    /// subtracted from the argument, is exact in one fused multiply-add.
    half_pi: [f64; 3],
    /// sin(r) = r + r z P(z), z = r^2.
    sin: &'static [f64],
    /// cos(r) = 1 - z/2 + z^2 P(z).
    cos: &'static [f64],
    /// tan(r) = r + r z (c + z P(z)): c and P.
    tan: (f64, &'static [f64]),
}

fn constants(dtype: DType) -> &'static Constants {
    if dtype == DType::F32 { &F32 } else { &F64 }
}

// The polynomials are weighted minimax fits, printed by lowering/testdata/fit_trig.py. Their relative errors are
// 2^-27.4 (sin), 2^-32.2 (cos) and 2^-31.7 (tan) in float32, on |r| <= 0.82: near 2^20 the nearest multiple may be
// missed by that ...
static F32: Constants = Constants {
    magic: 12582912.0,
    half_pi: [1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15],
    sin: &[-0.16666650772094727, 0.008331924676895142, -0.00019484147196635604],
    cos: &[0.04166663810610771, -0.0013886959059163928, 2.4393646526732482e-05],
    tan: (
        0.3333333134651184,
        &[
            0.13333433866500854,
            0.05395004525780678,
            0.022024234756827354,
            0.008161552250385284,
            0.005374332889914513,
            -0.0010257550748065114,
            0.0022328293416649103,
        ],
    ),
};

// ... and 2^-57.8, 2^-63.2 and 2^-56.0 on |r| <= pi/4 in float64.
static F64: Constants = Constants {
    magic: 6755399441055744.0,
    half_pi: [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33],
    sin: &[
        -0.1666666666666663,
        0.00833333333332184,
        -0.0001984126982935819,
        2.755731353819177e-06,
        -2.505073429415242e-08,
        1.5895424454193932e-10,
    ],
    cos: &[
        0.041666666666666595,
        -0.0013888888888873422,
        2.4801587289087196e-05,
        -2.7557314249309567e-07,
        2.0875710619680346e-09,
        -1.135905590770874e-11,
    ],
    tan: (
        0.3333333333333278,
        &[
            0.1333333333341406,
            0.05396825392693513,
            0.02186948960266118,
            0.008863219252239705,
            0.003592288301099885,
            0.001454762569471185,
            0.0005950459662596155,
            0.00022243337264144227,
            0.00013641886173751172,
            -2.6240780811194123e-05,
            8.93231099254847e-05,
            -4.480904412022277e-05,
            2.0847528358552275e-05,
        ],
    ),
};

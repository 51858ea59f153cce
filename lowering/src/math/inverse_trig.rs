//! Inverse sine, cosine and tangent, and the angle of a point, as branch-free primitive ops for float32 and float64.
//!
//! Every result is `(base + r) + (r z P(z) + base_low)` with z = r^2, where base + base_low is 0, pi/2 or pi to twice
//! the precision: the first sum loses at most half a unit, and all that is small is added in one go.

use super::trig::{flip_sign, polynomial};
use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::ScalarOp as S,
};

/// The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1].
pub fn asin(b: &mut dyn Emit, x: V) -> V {
    let constants = constants(b.dtype(x));
    let zero = b.lit(x, 0.0);
    let magnitude = b.abs(x);
    let arc = Arc::new(b, magnitude);
    // asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)).
    let minus = b.neg(arc.double_root);
    let r = b.select(arc.outer, minus, magnitude);
    let [base, low] = constants.half_pi.map(|part| {
        let part = b.lit(x, part);
        b.select(arc.outer, part, zero)
    });
    // Where base + r is above 1 and the result below, the sum would be rounded too coarsely: what it loses is kept.
    let sum = b.add(base, r);
    let taken = b.sub(sum, base);
    let lost = b.sub(r, taken);
    let low = b.add(low, lost);
    let result = combine(b, [base, low], r, arc.square, constants.asin);
    let sign = b.un(S::ToBits, x);
    flip_sign(b, result, sign)
}

/// The angle in [0, pi] whose cosine is x; NaN outside [-1, 1].
pub fn acos(b: &mut dyn Emit, x: V) -> V {
    let constants = constants(b.dtype(x));
    let zero = b.lit(x, 0.0);
    let magnitude = b.abs(x);
    let arc = Arc::new(b, magnitude);
    // pi/2 - asin(x) inside; 2 asin(sqrt((1 - x) / 2)) above, and pi less that of -x below.
    let sign = b.un(S::ToBits, x);
    let signed_root = flip_sign(b, arc.double_root, sign);
    let minus = b.neg(x);
    let r = b.select(arc.outer, signed_root, minus);
    let negative = b.bin(S::Less, x, zero);
    let base = constants.half_pi.map(|part| {
        let (half_turn, quarter_turn) = (b.lit(x, 2.0 * part), b.lit(x, part));
        let outer = b.select(negative, half_turn, zero);
        b.select(arc.outer, outer, quarter_turn)
    });
    combine(b, base, r, arc.square, constants.asin)
}

/// The angle in [-pi/2, pi/2] whose tangent is x.
pub fn atan(b: &mut dyn Emit, x: V) -> V {
    let constants = constants(b.dtype(x));
    let (zero, one, minus_one) = (b.lit(x, 0.0), b.lit(x, 1.0), b.lit(x, -1.0));
    let magnitude = b.abs(x);
    // atan(a) = pi/2 + atan(-1 / a).
    let outer = b.bin(S::Greater, magnitude, one);
    let inverse = b.div(minus_one, magnitude);
    let r = b.select(outer, inverse, magnitude);
    let base = constants.half_pi.map(|part| {
        let part = b.lit(x, part);
        b.select(outer, part, zero)
    });
    let square = b.mul(r, r);
    let result = combine(b, base, r, square, constants.atan);
    let sign = b.un(S::ToBits, x);
    flip_sign(b, result, sign)
}

/// The angle of the point (x, y) in [-pi, pi], with C's results for zeros and infinities.
pub fn atan2(b: &mut dyn Emit, y: V, x: V) -> V {
    let constants = constants(b.dtype(x));
    let (zero, one) = (b.lit(x, 0.0), b.lit(x, 1.0));
    let (height, width) = (b.abs(y), b.abs(x));
    let steep = b.bin(S::Greater, height, width);
    let numerator = b.select(steep, width, height);
    let denominator = b.select(steep, height, width);
    // Two infinities count as equal lengths; two zeros as the angle of the axis. A NaN gets through both choices: with
    // one operand NaN, `steep` is false, and the numerator is y.
    let quotient = b.div(numerator, denominator);
    let diagonal = b.bin(S::Equal, numerator, denominator);
    let quotient = b.select(diagonal, one, quotient);
    let on_axis = b.bin(S::Equal, denominator, zero);
    let quotient = b.select(on_axis, numerator, quotient);

    // Steep angles count from the y axis and the others from the x axis; downwards where one of `steep` and `x < 0`
    // holds.
    let x_bits = b.un(S::ToBits, x);
    let zero_bits = b.int(x_bits, 0);
    let left = b.bin(S::Less, x_bits, zero_bits);
    let down = b.bin(S::Xor, steep, left);
    let minus = b.neg(quotient);
    let r = b.select(down, minus, quotient);
    let base = constants.half_pi.map(|part| {
        let (half_turn, quarter_turn) = (b.lit(x, 2.0 * part), b.lit(x, part));
        let flat = b.select(left, half_turn, zero);
        b.select(steep, quarter_turn, flat)
    });
    let square = b.mul(r, r);
    let result = combine(b, base, r, square, constants.atan);
    let sign = b.un(S::ToBits, y);
    flip_sign(b, result, sign)
}

/// What asin and acos share: the inner half |x| <= 1/2 takes the series of asin itself, the outer one that of
/// sqrt((1 - |x|) / 2), which is at most 1/2 too.
struct Arc {
    outer: V,
    /// Twice the root.
    double_root: V,
    /// The square of the argument of the series.
    square: V,
}

impl Arc {
    fn new(b: &mut dyn Emit, magnitude: V) -> Arc {
        let (half, minus_half) = (b.lit(magnitude, 0.5), b.lit(magnitude, -0.5));
        let outer = b.bin(S::Greater, magnitude, half);
        // Exact: the subtraction of close numbers and the multiplication by a power of two.
        let outer_square = b.fma(magnitude, minus_half, half);
        let root = b.un(S::Sqrt, outer_square);
        let double_root = b.add(root, root);
        let inner_square = b.mul(magnitude, magnitude);
        let square = b.select(outer, outer_square, inner_square);
        Arc { outer, double_root, square }
    }
}

/// `(base + r) + (r z P(z) + base_low)`.
fn combine(b: &mut dyn Emit, base: [V; 2], r: V, square: V, coefficients: &[f64]) -> V {
    let series = polynomial(b, square, coefficients);
    let cube = b.mul(r, square);
    let small = b.fma(cube, series, base[1]);
    let large = b.add(base[0], r);
    b.add(large, small)
}

struct Constants {
    /// pi/2 rounded to nearest, and the rest.
    half_pi: [f64; 2],
    /// asin(r) = r + r z P(z) for |r| <= 1/2, z = r^2.
    asin: &'static [f64],
    /// atan(r) = r + r z P(z) for |r| <= 1.
    atan: &'static [f64],
}

fn constants(dtype: DType) -> &'static Constants {
    if dtype == DType::F32 { &F32 } else { &F64 }
}

// The polynomials are weighted minimax fits, printed by lowering/testdata/fit_trig.py. Their relative errors are
// 2^-27.6 (asin) and 2^-25.7 (atan) in float32 ...
static F32: Constants = Constants {
    half_pi: [1.5707963705062866, -4.371138828673793e-08],
    asin: &[0.16666752099990845, 0.07495314627885818, 0.045468077063560486, 0.024191563948988914, 0.04214487224817276],
    atan: &[
        -0.33333152532577515,
        0.19993773102760315,
        -0.14211055636405945,
        0.10666005313396454,
        -0.07552216202020645,
        0.04321187734603882,
        -0.01636793464422226,
        0.0029206937178969383,
    ],
};

// ... and 2^-55.9 and 2^-54.7 in float64.
static F64: Constants = Constants {
    half_pi: [std::f64::consts::FRAC_PI_2, 6.123233995736766e-17],
    asin: &[
        0.16666666666665408,
        0.07500000000337141,
        0.04464285682821906,
        0.030381959141577545,
        0.02237175793980394,
        0.017359706393703024,
        0.013885220091205604,
        0.012169306048856748,
        0.006527599927538727,
        0.019529196105648804,
        -0.016225560672747153,
        0.031913063816712696,
    ],
    atan: &[
        -0.3333333333333186,
        0.1999999999975527,
        -0.14285714271348304,
        0.11111110679118252,
        -0.09090901241408084,
        0.07692212994325442,
        -0.06665860828956999,
        0.05877310203305535,
        -0.05239242323400647,
        0.04673976329265512,
        -0.040926961901887084,
        0.03406876814038527,
        -0.025827999259446503,
        0.016979175919080196,
        -0.009185360753050681,
        0.0038563796879806287,
        -0.0011642104570395765,
        0.00022305124783051492,
        -2.0261299645654895e-05,
    ],
};

//! The expansions against correctly rounded float64 results (`testdata/`, made with mpmath) and, in float32, against the
//! float64 functions of the op table on a sample of all numbers. The full sweep is `examples/exhaustive`.

use super::Evaluator;
use fusewire_ir::{
    dtype::DType,
    ops::{Class, OPS, OpRow, ScalarOp as S},
    scalar::Scalar,
};

/// The test data of the functions that have some.
const FILES: &[(S, &str)] = &[
    (S::Exp, include_str!("../../testdata/exp.txt")),
    (S::Exp2, include_str!("../../testdata/exp2.txt")),
    (S::Expm1, include_str!("../../testdata/expm1.txt")),
    (S::Log, include_str!("../../testdata/log.txt")),
    (S::Log1p, include_str!("../../testdata/log1p.txt")),
    (S::Log2, include_str!("../../testdata/log2.txt")),
    (S::Log10, include_str!("../../testdata/log10.txt")),
    (S::Sinh, include_str!("../../testdata/sinh.txt")),
    (S::Cosh, include_str!("../../testdata/cosh.txt")),
    (S::Tanh, include_str!("../../testdata/tanh.txt")),
    (S::Asinh, include_str!("../../testdata/asinh.txt")),
    (S::Acosh, include_str!("../../testdata/acosh.txt")),
    (S::Atanh, include_str!("../../testdata/atanh.txt")),
    (S::Hypot, include_str!("../../testdata/hypot.txt")),
    (S::Pow, include_str!("../../testdata/pow.txt")),
];

/// The error in units in the last place of the result, infinite where a special result is missed.
fn error_f64(got: Scalar, wanted: u64, lacks: f64) -> f64 {
    let (x, y) = (got.as_f64(), f64::from_bits(wanted));
    if x.is_nan() || y.is_nan() {
        return if x.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if x.is_sign_negative() != y.is_sign_negative() {
        return f64::INFINITY;
    }
    // Both have the same sign, and neighbours differ by 1; what is lacking counts away from 0 in either sign.
    let magnitude = |bits: u64| (bits & i64::MAX as u64) as i64;
    let lacks = if y.is_sign_negative() { -lacks } else { lacks };
    ((magnitude(got.bits()) - magnitude(wanted)) as f64 - lacks).abs()
}

/// Trigonometric functions have theirs in `trig_accuracy.rs`; what is exact is compared with its reference in `half.rs`.
#[test]
fn every_maths_op_has_exact_results_to_compare_with() {
    let trigonometric = [S::Sin, S::Cos, S::Tan, S::Asin, S::Acos, S::Atan, S::Atan2];
    for row in OPS.iter().filter(|row| matches!(row.class, Class::Maths) && row.ulps > 0) {
        let known = trigonometric.contains(&row.op) || FILES.iter().any(|&(op, _)| op == row.op);
        assert!(known, "{} has no results in testdata/", row.name);
    }
}

#[test]
fn float64_results_are_within_the_bounds_of_the_op_table() {
    for &(op, text) in FILES {
        let row = op.row();
        let (mut worst, mut at, mut lines) = (-1.0, "", 0);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let bits = |word: &str| u64::from_str_radix(word, 16).expect("bits in hexadecimal");
            let (operands, result) = words.split_at(row.arity);
            let operands: Vec<Scalar> = operands.iter().map(|w| Scalar::from_bits(DType::F64, bits(w))).collect();
            let lacks: f64 = result[1].parse().expect("a number");
            let error = error_f64(Evaluator::evaluate(op, &operands), bits(result[0]), lacks / 1000.0);
            if error > worst {
                (worst, at) = (error, line);
            }
            lines += 1;
        }
        println!("{:6} f64 {worst:7.3} ulp at {at}", row.name);
        assert!(lines > 1000, "{}: {lines} lines", row.name);
        assert!(worst <= row.ulps as f64, "{}: {worst} ulp at {at}", row.name);
    }
}

/// Special numbers, and powers of two with their neighbours.
fn special_f32() -> Vec<f32> {
    let mut numbers =
        vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 16777215.0, 16777216.0, 88.8, 89.5, 103.9, 128.0, 149.5, f32::MAX];
    for exponent in [-149, -148, -126, -100, -24, -1, 0, 1, 40, 64, 127] {
        let bits = (exponent as f32).exp2().to_bits();
        numbers.extend([bits.saturating_sub(1), bits, bits + 1].map(f32::from_bits));
    }
    numbers.push(f32::INFINITY);
    let negative: Vec<f32> = numbers.iter().map(|x| -x).collect();
    numbers.extend(negative);
    numbers.push(f32::NAN);
    numbers
}

/// The error in units in the last place of the exact result, infinite where a special result is missed.
fn error_f32(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if got.to_bits() == rounded.to_bits() || got.is_nan() && rounded.is_nan() {
        return 0.0;
    }
    if got.is_nan() || rounded.is_nan() || got.is_sign_negative() != rounded.is_sign_negative() {
        return f64::INFINITY;
    }
    // Infinity counts as the number after the largest.
    let finite = |x: f64| x.clamp(-(2f64.powi(128)), 2f64.powi(128));
    let exponent = ((finite(exact).abs().to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    (finite(got.into()) - finite(exact)).abs() / 2f64.powi(exponent - 23)
}

fn check_f32(row: &OpRow, operands: &[f32]) {
    let narrow: Vec<Scalar> = operands.iter().map(|&x| Scalar::f32(x)).collect();
    let wide: Vec<Scalar> = operands.iter().map(|&x| Scalar::f64(x.into())).collect();
    let (got, exact) = (Evaluator::evaluate(row.op, &narrow), (row.reference)(&wide).as_f64());
    let error = error_f32(got.as_f32(), exact);
    assert!(error <= row.ulps as f64, "{} of {operands:?} is {}, wanted {exact}: {error} ulp", row.name, got.as_f32());
}

#[test]
fn float32_results_are_within_the_bounds_of_the_op_table() {
    for &(op, _) in FILES {
        let row = op.row();
        let special = special_f32();
        if row.arity == 2 {
            for &x in &special {
                special.iter().for_each(|&y| check_f32(row, &[x, y]));
            }
        } else {
            let sample = (0..u32::MAX).step_by(1_300_021).map(f32::from_bits);
            let inside =
                (0..4000).map(|i| (row.samples.0 + (row.samples.1 - row.samples.0) * f64::from(i) / 4000.0) as f32);
            special.into_iter().chain(sample).chain(inside).for_each(|x| check_f32(row, &[x]));
        }
    }
}

#[test]
fn powers_follow_c99_at_the_ends_of_the_domain() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        (0.0, -3.0, inf),
        (-0.0, -3.0, -inf),
        (-0.0, -2.0, inf),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.5, 0.0),
        (-1.0, inf, 1.0),
        (-1.0, -inf, 1.0),
        (1.0, nan, 1.0),
        (nan, 0.0, 1.0),
        (nan, -0.0, 1.0),
        (nan, 1.0, nan),
        (2.0, nan, nan),
        (-8.0, 1.0 / 3.0, nan),
        (0.5, -inf, inf),
        (-0.5, inf, 0.0),
        (2.0, -inf, 0.0),
        (-inf, -3.0, -0.0),
        (-inf, -2.5, 0.0),
        (-inf, 3.0, -inf),
        (-inf, 2.5, inf),
        (inf, -1.0, 0.0),
        (-2.0, 3.0, -8.0),
        (-3.0, 4.0, 81.0),
        (-1.0, 9007199254740993.0, 1.0),
    ];
    for (x, y, wanted) in cases {
        for dtype in [DType::F32, DType::F64] {
            let operands = [Scalar::from_f64(dtype, x), Scalar::from_f64(dtype, y)];
            let got = Evaluator::evaluate(S::Pow, &operands);
            let wanted = Scalar::from_f64(dtype, wanted);
            let same = got == wanted || got.as_f64().is_nan() && wanted.as_f64().is_nan();
            assert!(same, "{x} to the {y} as {dtype}: {}, wanted {}", got.as_f64(), wanted.as_f64());
        }
    }
}

#[test]
fn squares_and_other_exact_powers_are_exact() {
    for (x, y) in
        [(3.0, 2.0), (7.0, 3.0), (10.0, 10.0), (2.0, -1022.0), (2.0, 1023.0), (2.0, -1074.0), (1.5, 20.0), (9.0, 0.5)]
    {
        let got = Evaluator::evaluate(S::Pow, &[Scalar::f64(x), Scalar::f64(y)]).as_f64();
        assert_eq!(got, x.powf(y), "{x} to the {y}");
    }
}

#[test]
#[should_panic(expected = "not a maths op")]
fn an_op_that_is_no_maths_op_has_no_expansion() {
    let mut evaluator = Evaluator::default();
    let x = fusewire_ir::emit::Emit::constant(&mut evaluator, Scalar::f32(1.0));
    super::expand(S::Sqrt, &mut evaluator, &[x]);
}

//! Tests of the trigonometric expansions: error bounds, special values, symmetry and shared reductions.
//!
//! The expansions run on numbers here: each is recorded once as a tape of ops, which is then evaluated with the op
//! table's reference for every input. float64 is compared with mpmath (`testdata/generate_trig.py`), float32 with
//! float64.

use super::{inverse_trig, trig};
use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::ScalarOp,
    reference,
    scalar::Scalar,
};

/// One step of a recorded expansion; `Operand(i)` is the function's i-th operand.
#[derive(Clone, PartialEq, Debug)]
enum Step {
    Operand(usize),
    Constant(Scalar),
    Op(ScalarOp, Vec<V>),
    Cast(V),
}

/// A recorded expansion, hash-consed as a kernel is.
#[derive(Default)]
struct Tape {
    steps: Vec<(Step, DType)>,
    result: usize,
}

impl Tape {
    fn record(dtype: DType, arity: usize, function: impl FnOnce(&mut dyn Emit, &[V]) -> V) -> Tape {
        let mut tape = Tape::default();
        let operands: Vec<V> = (0..arity).map(|i| tape.push(Step::Operand(i), dtype)).collect();
        tape.result = function(&mut tape, &operands).0 as usize;
        tape
    }

    fn push(&mut self, step: Step, dtype: DType) -> V {
        let known = self.steps.iter().position(|known| known.0 == step && known.1 == dtype);
        let index = known.unwrap_or_else(|| {
            self.steps.push((step, dtype));
            self.steps.len() - 1
        });
        V(index as u32)
    }

    fn ops(&self) -> usize {
        self.steps.iter().filter(|(step, _)| matches!(step, Step::Op(..))).count()
    }

    fn run(&self, operands: &[Scalar]) -> Scalar {
        let mut values: Vec<Scalar> = Vec::with_capacity(self.steps.len());
        for (step, dtype) in &self.steps {
            let value = match step {
                Step::Operand(i) => operands[*i],
                Step::Constant(value) => *value,
                Step::Op(op, inputs) => {
                    let mut taken = [Scalar::bool(false); 3];
                    for (place, input) in taken.iter_mut().zip(inputs) {
                        *place = values[input.0 as usize];
                    }
                    (op.row().reference)(&taken[..inputs.len()])
                }
                Step::Cast(input) => reference::cast(values[input.0 as usize], *dtype),
            };
            assert_eq!(value.dtype(), *dtype);
            values.push(value);
        }
        values[self.result]
    }

    fn f32s(&self, operands: &[f32]) -> f32 {
        let operands: Vec<Scalar> = operands.iter().map(|&x| Scalar::f32(x)).collect();
        self.run(&operands).as_f32()
    }

    fn f64s(&self, operands: &[f64]) -> f64 {
        let operands: Vec<Scalar> = operands.iter().map(|&x| Scalar::f64(x)).collect();
        self.run(&operands).as_f64()
    }
}

impl Emit for Tape {
    fn constant(&mut self, value: Scalar) -> V {
        self.push(Step::Constant(value), value.dtype())
    }
    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V {
        let dtypes: Vec<DType> = operands.iter().map(|&v| self.dtype(v)).collect();
        let dtype = op.result_dtype(&dtypes).unwrap_or_else(|| panic!("{op:?} of {dtypes:?}"));
        self.push(Step::Op(op, operands.to_vec()), dtype)
    }
    fn cast(&mut self, to: DType, value: V) -> V {
        self.push(Step::Cast(value), to)
    }
    fn dtype(&self, value: V) -> DType {
        self.steps[value.0 as usize].1
    }
}

type Unary = fn(&mut dyn Emit, V) -> V;

struct Function {
    name: &'static str,
    expansion: Unary,
    reference: fn(f64) -> f64,
    vectors: &'static str,
    /// Largest errors, float32 and float64, in units in the last place of the true result: a little above what at least
    /// a quarter of all float32s and 100,000 float64s gave.
    bounds: (f64, f64),
}

const UNARY: [Function; 6] = [
    Function {
        name: "sin",
        expansion: trig::sin,
        reference: f64::sin,
        vectors: include_str!("../../testdata/trig_sin.txt"),
        bounds: (1.7, 1.6),
    },
    Function {
        name: "cos",
        expansion: trig::cos,
        reference: f64::cos,
        vectors: include_str!("../../testdata/trig_cos.txt"),
        bounds: (1.85, 1.6),
    },
    Function {
        name: "tan",
        expansion: trig::tan,
        reference: f64::tan,
        vectors: include_str!("../../testdata/trig_tan.txt"),
        bounds: (2.0, 1.8),
    },
    Function {
        name: "asin",
        expansion: inverse_trig::asin,
        reference: f64::asin,
        vectors: include_str!("../../testdata/trig_asin.txt"),
        bounds: (1.2, 1.3),
    },
    Function {
        name: "acos",
        expansion: inverse_trig::acos,
        reference: f64::acos,
        vectors: include_str!("../../testdata/trig_acos.txt"),
        bounds: (1.2, 1.2),
    },
    Function {
        name: "atan",
        expansion: inverse_trig::atan,
        reference: f64::atan,
        vectors: include_str!("../../testdata/trig_atan.txt"),
        bounds: (1.4, 1.3),
    },
];

impl Function {
    fn tape(&self, dtype: DType) -> Tape {
        Tape::record(dtype, 1, |b, x| (self.expansion)(b, x[0]))
    }
}

/// The error of a float32 result in units in the last place of the true one; infinite where only one of them is NaN.
fn error_f32(result: f32, exact: f64) -> f64 {
    if result.is_nan() || exact.is_nan() {
        return if result.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = exact as f32;
    if rounded.is_infinite() || result.is_infinite() || exact == 0.0 {
        return if rounded.to_bits() == result.to_bits() { 0.0 } else { f64::INFINITY };
    }
    if rounded.is_sign_negative() != result.is_sign_negative() {
        return f64::INFINITY;
    }
    let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
    (f64::from(result) - exact).abs() / 2f64.powi((exponent - 23).max(-149))
}

/// The distance of a float64 result from the nearest float64 of the true one, less the part of a unit (`rest`, in
/// hundredths) by which that one was rounded.
fn error_f64(result: f64, rounded: f64, rest: f64) -> f64 {
    if result.is_nan() || result.is_sign_negative() != rounded.is_sign_negative() {
        return f64::INFINITY;
    }
    let steps = result.abs().to_bits() as i64 - rounded.abs().to_bits() as i64;
    let rest = if rounded < 0.0 { -rest } else { rest };
    (steps as f64 - rest / 100.0).abs()
}

#[test]
fn float32_errors_stay_inside_the_bounds() {
    for function in &UNARY {
        let tape = function.tape(DType::F32);
        let (mut worst, mut at) = (0.0, 0.0);
        // A prime stride visits every exponent and both signs, NaN included. Below 2^20 the reduction is at its worst.
        let near_the_limit = 524288f32.to_bits()..1048576f32.to_bits();
        for bits in (0..=u32::MAX).step_by(42953).chain(near_the_limit.step_by(419)) {
            let x = f32::from_bits(bits);
            let error = error_f32(tape.f32s(&[x]), (function.reference)(f64::from(x)));
            if error > worst {
                (worst, at) = (error, x);
            }
        }
        println!("{} float32: {worst:.3} at {at:e}, {} ops", function.name, tape.ops());
        assert!(worst <= function.bounds.0, "{} of {at:e}: {worst} units", function.name);
    }
}

fn words(line: &str) -> (Vec<f64>, f64) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (rest, bits) = words.split_last().unwrap();
    let floats = bits.iter().map(|word| f64::from_bits(u64::from_str_radix(word, 16).unwrap())).collect();
    (floats, rest.parse().unwrap())
}

#[test]
fn float64_errors_stay_inside_the_bounds() {
    for function in &UNARY {
        let tape = function.tape(DType::F64);
        let (mut worst, mut at, mut count) = (0.0, 0.0, 0);
        for line in function.vectors.lines() {
            let (values, rest) = words(line);
            let error = error_f64(tape.f64s(&values[..1]), values[1], rest);
            if error > worst {
                (worst, at) = (error, values[0]);
            }
            count += 1;
        }
        println!("{} float64: {worst:.3} at {at:e}, {} ops", function.name, tape.ops());
        assert!(count > 1500);
        assert!(worst <= function.bounds.1, "{} of {at:e}: {worst} units", function.name);
    }
}

fn atan2(dtype: DType) -> Tape {
    Tape::record(dtype, 2, |b, a| inverse_trig::atan2(b, a[0], a[1]))
}

#[test]
fn atan2_errors_stay_inside_the_bounds() {
    let tape = atan2(DType::F64);
    let mut worst = 0.0f64;
    for line in include_str!("../../testdata/trig_atan2.txt").lines() {
        let (values, rest) = words(line);
        let error = error_f64(tape.f64s(&values[..2]), values[2], rest);
        assert!(error <= 1.7, "atan2 of {:e}, {:e}: {error} units", values[0], values[1]);
        worst = worst.max(error);
    }
    println!("atan2 float64: {worst:.3}, {} ops", tape.ops());
    let tape = atan2(DType::F32);
    let mut worst = 0.0f64;
    let mut state = 1u64;
    for i in 0..100_000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (y, x) = ((state >> 32) as u32, (state >> 8) as u32);
        // Every second pair has close exponents, where the angle is not next to an axis.
        let x = if i % 2 == 0 { x } else { x & 0x80ff_ffff | y & 0x7f00_0000 };
        let (y, x) = (f32::from_bits(y), f32::from_bits(x));
        let error = error_f32(tape.f32s(&[y, x]), f64::from(y).atan2(f64::from(x)));
        assert!(error <= 1.7, "atan2 of {y:e}, {x:e}: {error} units");
        worst = worst.max(error);
    }
    println!("atan2 float32: {worst:.3}, {} ops", tape.ops());
}

#[test]
fn atan2_has_the_special_cases_of_the_array_api() {
    let (zero, one, infinity) = (0.0, 1.0, f64::INFINITY);
    let specials = [zero, -zero, one, -one, infinity, -infinity, f64::NAN, 5e-324, -5e-324, f64::MAX, 1e-40, -1e-40];
    for dtype in [DType::F32, DType::F64] {
        let tape = atan2(dtype);
        for y in specials {
            for x in specials {
                let (y, x) = (Scalar::from_f64(dtype, y), Scalar::from_f64(dtype, x));
                // The host's atan2 follows C's table.
                let expected = Scalar::from_f64(dtype, y.as_f64().atan2(x.as_f64()));
                let result = tape.run(&[y, x]);
                let same = result == expected || result.as_f64().is_nan() && expected.as_f64().is_nan();
                assert!(same, "{dtype} atan2({}, {}) = {}", y.as_f64(), x.as_f64(), result.as_f64());
            }
        }
    }
}

#[test]
fn zeros_infinities_and_nan_give_the_standard_results() {
    for function in &UNARY {
        for dtype in [DType::F32, DType::F64] {
            let tape = function.tape(dtype);
            for x in [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.5, -1.5] {
                let x = Scalar::from_f64(dtype, x);
                let result = tape.run(&[x]);
                let expected = Scalar::from_f64(dtype, (function.reference)(x.as_f64()));
                let special = x.as_f64() == 0.0 || !x.as_f64().is_finite();
                let name = function.name;
                assert_eq!(result.as_f64().is_nan(), expected.as_f64().is_nan(), "{dtype} {name}({})", x.as_f64());
                if special && !expected.as_f64().is_nan() {
                    assert_eq!(result, expected, "{dtype} {name}({})", x.as_f64());
                }
            }
        }
    }
}

#[test]
fn subnormals_pass_through_the_odd_functions() {
    for function in UNARY.iter().filter(|f| !["cos", "acos"].contains(&f.name)) {
        let tape = function.tape(DType::F32);
        for x in [f32::from_bits(1), -f32::from_bits(1), f32::from_bits(0x7fffff), f32::MIN_POSITIVE] {
            assert_eq!(tape.f32s(&[x]).to_bits(), x.to_bits(), "{}({x:e})", function.name);
        }
    }
}

#[test]
fn sine_and_cosine_of_one_value_share_all_but_the_choice() {
    for dtype in [DType::F32, DType::F64] {
        let alone = UNARY[0].tape(dtype).ops();
        let both = Tape::record(dtype, 1, |b, x| {
            let sine = trig::sin(b, x[0]);
            let cosine = trig::cos(b, x[0]);
            b.add(sine, cosine)
        });
        // A choice, the next quadrant, its shift, the mask, the bits, the flip and back; then the sum.
        assert!(both.ops() <= alone + 8, "{dtype}: {} against {alone}", both.ops());
    }
}

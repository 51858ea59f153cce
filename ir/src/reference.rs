//! The meaning of every scalar op, one element at a time: what the interpreters run, constant folding evaluates and the
//! compiled code is tested against. Slow and obvious. Integers wrap; nothing here can trap.

use crate::{
    dtype::{DType, Kind},
    half, huge_trig,
    ops::ScalarOp,
    scalar::Scalar,
};
use smallvec::SmallVec;

/// What an op makes of elements. Floats of 16 bits are computed in float32, and the result is rounded.
pub fn evaluate(op: ScalarOp, operands: &[Scalar]) -> Scalar {
    let Some(half) = operands.iter().map(|operand| operand.dtype()).find(|dtype| dtype.is_half()) else {
        return (op.row().reference)(operands);
    };
    match op {
        ScalarOp::Where => select(operands),
        ScalarOp::ToBits => to_bits(operands),
        ScalarOp::Nextafter => next_half(operands[0], operands[1]),
        _ => {
            let wide: SmallVec<[Scalar; 3]> = operands.iter().map(|&operand| cast(operand, DType::F32)).collect();
            let result = (op.row().reference)(&wide);
            if result.dtype() == DType::F32 { cast(result, half) } else { result }
        }
    }
}

/// 0 (false).
pub fn zero(dtype: DType) -> Scalar {
    Scalar::from_i64(dtype, 0)
}

/// 1 (true).
pub fn one(dtype: DType) -> Scalar {
    Scalar::from_i64(dtype, 1)
}

/// Every bit set (true): the unit of `and`.
pub fn all_ones(dtype: DType) -> Scalar {
    Scalar::from_bits(dtype, u64::MAX)
}

/// The unit of `maximum`.
pub fn lowest(dtype: DType) -> Scalar {
    match dtype.kind() {
        Kind::Bool | Kind::Unsigned => zero(dtype),
        Kind::Signed => Scalar::from_bits(dtype, 1 << (dtype.bits() - 1)),
        Kind::Float => Scalar::from_f64(dtype, f64::NEG_INFINITY),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

/// The unit of `minimum`.
pub fn highest(dtype: DType) -> Scalar {
    match dtype.kind() {
        Kind::Bool | Kind::Unsigned => all_ones(dtype),
        Kind::Signed => Scalar::from_bits(dtype, (1 << (dtype.bits() - 1)) - 1),
        Kind::Float => Scalar::from_f64(dtype, f64::INFINITY),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

/// Conversion between dtypes: to bool is `!= 0`; between integers wraps; to float rounds to nearest even; float to
/// integer truncates. What C leaves undefined there is what NumPy gives on x86-64: to int32, int64 and uint32 or uint64
/// through the hardware's 64-bit or 32-bit conversion, whose answer out of range is MIN; narrower integers go through int32.
pub fn cast(value: Scalar, to: DType) -> Scalar {
    let from = value.dtype();
    match (from.kind(), to.kind()) {
        _ if from == to => value,
        (_, Kind::Bool) => Scalar::bool(value.as_bool()),
        (Kind::Float, Kind::Float) => match to {
            DType::F16 | DType::BF16 => Scalar::from_bits(to, half::of_f64(to, value.as_f64()).into()),
            DType::F32 => Scalar::f32(value.as_f64() as f32),
            _ => Scalar::f64(value.as_f64()),
        },
        (Kind::Complex, _) | (_, Kind::Complex) => unreachable!("no scalar is complex"),
        (Kind::Float, Kind::Signed | Kind::Unsigned) => {
            Scalar::from_bits(to, float_to_integer(value.as_f64(), to) as u64)
        }
        (Kind::Unsigned | Kind::Bool, _) => Scalar::from_u64(to, value.bits()),
        (Kind::Signed, _) => Scalar::from_i64(to, value.as_i64()),
    }
}

fn float_to_integer(x: f64, to: DType) -> i64 {
    let wide = |x: f64| if x >= -(2f64.powi(63)) && x < 2f64.powi(63) { x as i64 } else { i64::MIN };
    let narrow =
        |x: f64| if x > -(2f64.powi(31)) - 1.0 && x < 2f64.powi(31) { x as i32 as i64 } else { i32::MIN as i64 };
    match to {
        DType::I64 | DType::U32 => wide(x),
        // Compilers subtract 2^63 first where the value is at least that, and put the bit back.
        DType::U64 if x >= 2f64.powi(63) => wide(x - 2f64.powi(63)) ^ i64::MIN,
        DType::U64 => wide(x),
        _ => narrow(x),
    }
}

/// Applies a float function in the operand's precision, or an integer function on 64 bits, wrapped.
fn arithmetic2(
    a: &[Scalar],
    f32s: fn(f32, f32) -> f32,
    f64s: fn(f64, f64) -> f64,
    integers: fn(i64, i64) -> i64,
) -> Scalar {
    match a[0].dtype() {
        DType::F32 => Scalar::f32(f32s(a[0].as_f32(), a[1].as_f32())),
        DType::F64 => Scalar::f64(f64s(a[0].as_f64(), a[1].as_f64())),
        dtype => Scalar::from_i64(dtype, integers(a[0].as_i64(), a[1].as_i64())),
    }
}

fn arithmetic1(a: &[Scalar], f32s: fn(f32) -> f32, f64s: fn(f64) -> f64, integers: fn(i64) -> i64) -> Scalar {
    match a[0].dtype() {
        DType::F32 => Scalar::f32(f32s(a[0].as_f32())),
        DType::F64 => Scalar::f64(f64s(a[0].as_f64())),
        dtype => Scalar::from_i64(dtype, integers(a[0].as_i64())),
    }
}

pub(crate) fn add(a: &[Scalar]) -> Scalar {
    arithmetic2(a, |x, y| x + y, |x, y| x + y, i64::wrapping_add)
}
pub(crate) fn subtract(a: &[Scalar]) -> Scalar {
    arithmetic2(a, |x, y| x - y, |x, y| x - y, i64::wrapping_sub)
}
pub(crate) fn multiply(a: &[Scalar]) -> Scalar {
    arithmetic2(a, |x, y| x * y, |x, y| x * y, i64::wrapping_mul)
}
pub(crate) fn divide(a: &[Scalar]) -> Scalar {
    if a[0].dtype() == DType::U64 {
        return Scalar::from_u64(DType::U64, a[0].bits().checked_div(a[1].bits()).unwrap_or(0));
    }
    arithmetic2(a, |x, y| x / y, |x, y| x / y, |x, y| if y == 0 { 0 } else { x.wrapping_div(y) })
}
pub(crate) fn truncated_remainder(a: &[Scalar]) -> Scalar {
    if a[0].dtype() == DType::U64 {
        return Scalar::from_u64(DType::U64, a[0].bits().checked_rem(a[1].bits()).unwrap_or(0));
    }
    arithmetic2(a, |x, y| x % y, |x, y| x % y, |x, y| if y == 0 { 0 } else { x.wrapping_rem(y) })
}
pub(crate) fn fma(a: &[Scalar]) -> Scalar {
    match a[0].dtype() {
        DType::F32 => Scalar::f32(a[0].as_f32().mul_add(a[1].as_f32(), a[2].as_f32())),
        _ => Scalar::f64(a[0].as_f64().mul_add(a[1].as_f64(), a[2].as_f64())),
    }
}
pub(crate) fn negative(a: &[Scalar]) -> Scalar {
    arithmetic1(a, |x| -x, |x| -x, i64::wrapping_neg)
}
pub(crate) fn abs(a: &[Scalar]) -> Scalar {
    if matches!(a[0].dtype().kind(), Kind::Unsigned | Kind::Bool) {
        return a[0];
    }
    arithmetic1(a, f32::abs, f64::abs, i64::wrapping_abs)
}

/// -1, 0, 1 as `a` is below, equal to or above `b`; `None` when unordered.
fn order(a: Scalar, b: Scalar) -> Option<std::cmp::Ordering> {
    match a.dtype().kind() {
        Kind::Float => a.as_f64().partial_cmp(&b.as_f64()),
        Kind::Signed => Some(a.as_i64().cmp(&b.as_i64())),
        Kind::Unsigned | Kind::Bool => Some(a.bits().cmp(&b.bits())),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

fn extremum(a: &[Scalar], wanted: std::cmp::Ordering) -> Scalar {
    use std::cmp::Ordering::Equal;
    match order(a[0], a[1]) {
        None => add(a), // NaN
        // -0.0 and 0.0 compare equal but differ in the sign bit.
        Some(Equal) if a[0].dtype().is_float() => {
            let first_positive = a[0].as_f64().is_sign_positive();
            if first_positive == (wanted == std::cmp::Ordering::Greater) { a[0] } else { a[1] }
        }
        Some(o) => {
            if o == wanted {
                a[0]
            } else {
                a[1]
            }
        }
    }
}
pub(crate) fn maximum(a: &[Scalar]) -> Scalar {
    extremum(a, std::cmp::Ordering::Greater)
}
pub(crate) fn minimum(a: &[Scalar]) -> Scalar {
    extremum(a, std::cmp::Ordering::Less)
}

/// A float function, evaluated in float64 and rounded once more for float32.
fn float1(a: &[Scalar], f: fn(f64) -> f64) -> Scalar {
    Scalar::from_f64(a[0].dtype(), f(a[0].as_f64()))
}
fn float2(a: &[Scalar], f: fn(f64, f64) -> f64) -> Scalar {
    Scalar::from_f64(a[0].dtype(), f(a[0].as_f64(), a[1].as_f64()))
}

pub(crate) fn sqrt(a: &[Scalar]) -> Scalar {
    float1(a, f64::sqrt)
}
pub(crate) fn floor(a: &[Scalar]) -> Scalar {
    float1(a, f64::floor)
}
pub(crate) fn ceil(a: &[Scalar]) -> Scalar {
    float1(a, f64::ceil)
}
pub(crate) fn trunc(a: &[Scalar]) -> Scalar {
    float1(a, f64::trunc)
}
pub(crate) fn round(a: &[Scalar]) -> Scalar {
    float1(a, f64::round_ties_even)
}

pub(crate) fn and(a: &[Scalar]) -> Scalar {
    Scalar::from_bits(a[0].dtype(), a[0].bits() & a[1].bits())
}
pub(crate) fn or(a: &[Scalar]) -> Scalar {
    Scalar::from_bits(a[0].dtype(), a[0].bits() | a[1].bits())
}
pub(crate) fn xor(a: &[Scalar]) -> Scalar {
    Scalar::from_bits(a[0].dtype(), a[0].bits() ^ a[1].bits())
}
pub(crate) fn not(a: &[Scalar]) -> Scalar {
    match a[0].dtype() {
        DType::Bool => Scalar::bool(a[0].bits() == 0),
        dtype => Scalar::from_bits(dtype, !a[0].bits()),
    }
}

/// The shift amount when it is inside the width.
fn shift_amount(by: Scalar, width: u32) -> Option<u32> {
    (by.bits() < width as u64).then_some(by.bits() as u32)
}
pub(crate) fn shift_left(a: &[Scalar]) -> Scalar {
    let dtype = a[0].dtype();
    Scalar::from_bits(dtype, shift_amount(a[1], dtype.bits()).map_or(0, |by| a[0].bits() << by))
}
pub(crate) fn shift_right(a: &[Scalar]) -> Scalar {
    let dtype = a[0].dtype();
    match shift_amount(a[1], dtype.bits()) {
        Some(by) if dtype.is_signed_integer() => Scalar::from_i64(dtype, a[0].as_i64() >> by),
        Some(by) => Scalar::from_bits(dtype, a[0].bits() >> by),
        None if dtype.is_signed_integer() && a[0].as_i64() < 0 => all_ones(dtype),
        None => zero(dtype),
    }
}
pub(crate) fn to_bits(a: &[Scalar]) -> Scalar {
    Scalar::from_bits(a[0].dtype().same_width_signed(), a[0].bits())
}
pub(crate) fn from_bits(a: &[Scalar]) -> Scalar {
    let dtype = if a[0].dtype() == DType::I32 { DType::F32 } else { DType::F64 };
    Scalar::from_bits(dtype, a[0].bits())
}

pub(crate) fn equal(a: &[Scalar]) -> Scalar {
    Scalar::bool(order(a[0], a[1]).is_some_and(|o| o.is_eq()))
}
pub(crate) fn not_equal(a: &[Scalar]) -> Scalar {
    not(&[equal(a)])
}
pub(crate) fn less(a: &[Scalar]) -> Scalar {
    Scalar::bool(order(a[0], a[1]).is_some_and(|o| o.is_lt()))
}
pub(crate) fn less_equal(a: &[Scalar]) -> Scalar {
    Scalar::bool(order(a[0], a[1]).is_some_and(|o| o.is_le()))
}
pub(crate) fn greater(a: &[Scalar]) -> Scalar {
    Scalar::bool(order(a[0], a[1]).is_some_and(|o| o.is_gt()))
}
pub(crate) fn greater_equal(a: &[Scalar]) -> Scalar {
    Scalar::bool(order(a[0], a[1]).is_some_and(|o| o.is_ge()))
}
pub(crate) fn select(a: &[Scalar]) -> Scalar {
    if a[0].as_bool() { a[1] } else { a[2] }
}

pub(crate) fn huge_trig_remainder(a: &[Scalar]) -> Scalar {
    match a[0].dtype() {
        DType::F32 => Scalar::f32(huge_trig::remainder_f32(a[0].as_f32())),
        _ => Scalar::f64(huge_trig::remainder_f64(a[0].as_f64())),
    }
}
pub(crate) fn huge_trig_quadrant(a: &[Scalar]) -> Scalar {
    // A float32 is a float64 too, with the same quadrant.
    Scalar::from_f64(a[0].dtype(), huge_trig::quadrant(a[0].as_f64()))
}

pub(crate) fn positive(a: &[Scalar]) -> Scalar {
    a[0]
}
pub(crate) fn square(a: &[Scalar]) -> Scalar {
    multiply(&[a[0], a[0]])
}
pub(crate) fn reciprocal(a: &[Scalar]) -> Scalar {
    match a[0].dtype() {
        // The infinity that NumPy's quotient is, in an integer.
        dtype @ (DType::I32 | DType::I64) if a[0].bits() == 0 => cast(Scalar::f64(f64::INFINITY), dtype),
        dtype => divide(&[one(dtype), a[0]]),
    }
}
pub(crate) fn sign(a: &[Scalar]) -> Scalar {
    let (x, none) = (a[0], zero(a[0].dtype()));
    match order(x, none) {
        Some(o) => Scalar::from_i64(x.dtype(), o as i64),
        None => x,
    }
}
pub(crate) fn signbit(a: &[Scalar]) -> Scalar {
    Scalar::bool(match a[0].dtype().kind() {
        Kind::Float => a[0].as_f64().is_sign_negative(),
        Kind::Signed => a[0].as_i64() < 0,
        Kind::Unsigned | Kind::Bool => false,
        Kind::Complex => unreachable!("no scalar is complex"),
    })
}
pub(crate) fn copysign(a: &[Scalar]) -> Scalar {
    float2(a, f64::copysign)
}
pub(crate) fn nextafter(a: &[Scalar]) -> Scalar {
    arithmetic2(a, libm::nextafterf, libm::nextafter, |x, _| x)
}
/// Bits without sign are in the order of the numbers.
fn next_half(x: Scalar, towards: Scalar) -> Scalar {
    let (from, to) = (x.as_f64(), towards.as_f64());
    match from.partial_cmp(&to) {
        None => Scalar::from_f64(x.dtype(), f64::NAN),
        Some(std::cmp::Ordering::Equal) => towards,
        Some(_) if from == 0.0 => Scalar::from_bits(x.dtype(), 1 | towards.bits() & 0x8000),
        Some(order) => {
            let grows = (order == std::cmp::Ordering::Less) == (from > 0.0);
            Scalar::from_bits(x.dtype(), if grows { x.bits() + 1 } else { x.bits() - 1 })
        }
    }
}

/// The nearest number that a float of 16 bits holds.
fn rounded_to(half: DType, x: Scalar) -> Scalar {
    Scalar::from_f64(x.dtype(), half::to_f64(half, half::of_f64(half, x.as_f64())))
}
/// Its bits, as a signed integer of the operand's width.
fn bits_of(half: DType, x: Scalar) -> Scalar {
    Scalar::from_i64(x.dtype().same_width_signed(), (half::of_f64(half, x.as_f64()) as i16).into())
}
/// The number that has the last 16 bits of the operand.
fn of_bits(half: DType, bits: Scalar) -> Scalar {
    let dtype = if bits.dtype() == DType::I32 { DType::F32 } else { DType::F64 };
    Scalar::from_f64(dtype, half::to_f64(half, bits.bits() as u16))
}
pub(crate) fn round_to_float16(a: &[Scalar]) -> Scalar {
    rounded_to(DType::F16, a[0])
}
pub(crate) fn round_to_bfloat16(a: &[Scalar]) -> Scalar {
    rounded_to(DType::BF16, a[0])
}
pub(crate) fn float16_bits(a: &[Scalar]) -> Scalar {
    bits_of(DType::F16, a[0])
}
pub(crate) fn bfloat16_bits(a: &[Scalar]) -> Scalar {
    bits_of(DType::BF16, a[0])
}
pub(crate) fn float16_from_bits(a: &[Scalar]) -> Scalar {
    of_bits(DType::F16, a[0])
}
pub(crate) fn bfloat16_from_bits(a: &[Scalar]) -> Scalar {
    of_bits(DType::BF16, a[0])
}
pub(crate) fn isfinite(a: &[Scalar]) -> Scalar {
    Scalar::bool(a[0].as_f64().is_finite())
}
pub(crate) fn isinf(a: &[Scalar]) -> Scalar {
    Scalar::bool(a[0].as_f64().is_infinite())
}
pub(crate) fn isnan(a: &[Scalar]) -> Scalar {
    Scalar::bool(a[0].as_f64().is_nan())
}

fn floor_divide_f64(x: f64, y: f64) -> f64 {
    let remainder = x % y;
    if y == 0.0 || x.is_infinite() || y.is_infinite() {
        return x / y;
    }
    let mut quotient = (x - remainder) / y;
    if remainder != 0.0 && (y < 0.0) != (remainder < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f64.copysign(x / y);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}
fn floor_divide_f32(x: f32, y: f32) -> f32 {
    let remainder = x % y;
    if y == 0.0 || x.is_infinite() || y.is_infinite() {
        return x / y;
    }
    let mut quotient = (x - remainder) / y;
    if remainder != 0.0 && (y < 0.0) != (remainder < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f32.copysign(x / y);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}
fn floor_divide_i64(x: i64, y: i64) -> i64 {
    if y == 0 {
        return 0;
    }
    let quotient = x.wrapping_div(y);
    if x.wrapping_rem(y) != 0 && (x < 0) != (y < 0) { quotient - 1 } else { quotient }
}
pub(crate) fn floor_divide(a: &[Scalar]) -> Scalar {
    if a[0].dtype() == DType::U64 {
        return divide(a);
    }
    arithmetic2(a, floor_divide_f32, floor_divide_f64, floor_divide_i64)
}
pub(crate) fn remainder(a: &[Scalar]) -> Scalar {
    let (rest, divisor) = (truncated_remainder(a), a[1]);
    let none = zero(divisor.dtype());
    if rest.as_bool() {
        let differ = signbit(&[rest]) != signbit(&[divisor]);
        let nan = divisor.dtype().is_float() && rest.as_f64().is_nan();
        if differ && !nan { add(&[rest, divisor]) } else { rest }
    } else if divisor.dtype().is_float() {
        copysign(&[none, divisor])
    } else {
        rest
    }
}
pub(crate) fn logaddexp(a: &[Scalar]) -> Scalar {
    float2(a, |x, y| {
        if x == y {
            x + std::f64::consts::LN_2
        } else if x.is_nan() || y.is_nan() {
            x + y
        } else {
            x.max(y) + (-(x - y).abs()).exp().ln_1p()
        }
    })
}

pub(crate) fn exp(a: &[Scalar]) -> Scalar {
    float1(a, f64::exp)
}
pub(crate) fn exp2(a: &[Scalar]) -> Scalar {
    float1(a, f64::exp2)
}
pub(crate) fn expm1(a: &[Scalar]) -> Scalar {
    float1(a, f64::exp_m1)
}
pub(crate) fn log(a: &[Scalar]) -> Scalar {
    float1(a, f64::ln)
}
pub(crate) fn log1p(a: &[Scalar]) -> Scalar {
    float1(a, f64::ln_1p)
}
pub(crate) fn log2(a: &[Scalar]) -> Scalar {
    float1(a, f64::log2)
}
pub(crate) fn log10(a: &[Scalar]) -> Scalar {
    float1(a, f64::log10)
}
pub(crate) fn sin(a: &[Scalar]) -> Scalar {
    float1(a, f64::sin)
}
pub(crate) fn cos(a: &[Scalar]) -> Scalar {
    float1(a, f64::cos)
}
pub(crate) fn tan(a: &[Scalar]) -> Scalar {
    float1(a, f64::tan)
}
pub(crate) fn asin(a: &[Scalar]) -> Scalar {
    float1(a, f64::asin)
}
pub(crate) fn acos(a: &[Scalar]) -> Scalar {
    float1(a, f64::acos)
}
pub(crate) fn atan(a: &[Scalar]) -> Scalar {
    float1(a, f64::atan)
}
pub(crate) fn atan2(a: &[Scalar]) -> Scalar {
    float2(a, f64::atan2)
}
pub(crate) fn sinh(a: &[Scalar]) -> Scalar {
    float1(a, f64::sinh)
}
pub(crate) fn cosh(a: &[Scalar]) -> Scalar {
    float1(a, f64::cosh)
}
pub(crate) fn tanh(a: &[Scalar]) -> Scalar {
    float1(a, f64::tanh)
}
// Rust's own inverse hyperbolic functions lose bits; libm's do not.
pub(crate) fn asinh(a: &[Scalar]) -> Scalar {
    float1(a, libm::asinh)
}
pub(crate) fn acosh(a: &[Scalar]) -> Scalar {
    // Left of the domain libm's is not NaN for every number.
    float1(a, |x| if x < 1.0 { f64::NAN } else { libm::acosh(x) })
}
pub(crate) fn atanh(a: &[Scalar]) -> Scalar {
    float1(a, libm::atanh)
}
pub(crate) fn hypot(a: &[Scalar]) -> Scalar {
    float2(a, f64::hypot)
}

/// `base` to a power by squaring, wrapping at 64 bits; negative exponents give the truncated reciprocal.
pub fn integer_pow(base: i64, exponent: i64) -> i64 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    unsigned_pow(base as u64, exponent as u64) as i64
}

/// `base` to a power by squaring, wrapping at 64 bits.
pub fn unsigned_pow(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1u64;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}
pub(crate) fn pow(a: &[Scalar]) -> Scalar {
    match a[0].dtype().kind() {
        Kind::Float => float2(a, f64::powf),
        Kind::Signed => Scalar::from_i64(a[0].dtype(), integer_pow(a[0].as_i64(), a[1].as_i64())),
        Kind::Unsigned | Kind::Bool => Scalar::from_u64(a[0].dtype(), unsigned_pow(a[0].bits(), a[1].bits())),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

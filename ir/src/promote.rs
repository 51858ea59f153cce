//! NumPy 2's promotion (NEP 50), which contains the standard's: the common dtype of dtypes and weak Python scalars.

use crate::dtype::{DType, Kind};

/// A Python scalar, whose dtype follows its partners.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Weak {
    /// A bool; as good as a bool array.
    Bool(bool),
    /// An integer (what does not fit in 128 bits was refused before).
    Int(i128),
    /// A float.
    Float(f64),
    /// A complex number: its real and its imaginary part.
    Complex(f64, f64),
}

impl Weak {
    /// The real and the imaginary part, as the nearest float64.
    pub fn parts(self) -> (f64, f64) {
        match self {
            Weak::Bool(value) => (f64::from(value), 0.0),
            Weak::Int(value) => (value as f64, 0.0),
            Weak::Float(value) => (value, 0.0),
            Weak::Complex(re, im) => (re, im),
        }
    }

    /// Is it not 0?
    pub fn is_true(self) -> bool {
        match self {
            Weak::Bool(value) => value,
            Weak::Int(value) => value != 0,
            Weak::Float(_) | Weak::Complex(..) => self.parts() != (0.0, 0.0),
        }
    }
}

/// The common dtype of two dtypes.
pub fn common(a: DType, b: DType) -> DType {
    use Kind::{Bool, Complex, Float, Signed, Unsigned};
    let wider = |x: DType, y: DType| if x.size() >= y.size() { x } else { y };
    match (a.kind(), b.kind()) {
        _ if a == b => a,
        (Bool, _) => b,
        (_, Bool) => a,
        (Complex, _) | (_, Complex) => common(a.component(), b.component()).complex(),
        // Neither holds the other.
        (Float, Float) if a.is_half() && b.is_half() => DType::F32,
        (Float, Float) | (Signed, Signed) | (Unsigned, Unsigned) => wider(a, b),
        (Signed, Unsigned) => signed_unsigned(a, b),
        (Unsigned, Signed) => signed_unsigned(b, a),
        (Float, _) => float_integer(a, b),
        (_, Float) => float_integer(b, a),
    }
}

/// May an array of the first dtype become one of the second in place (NumPy's `same_kind`)? Within a kind, and to a later one of
/// bool, unsigned, signed, float, complex.
pub fn same_kind(from: DType, to: DType) -> bool {
    let rank = |dtype: DType| match dtype.kind() {
        Kind::Bool => 0,
        Kind::Unsigned => 1,
        Kind::Signed => 2,
        Kind::Float => 3,
        Kind::Complex => 4,
    };
    rank(from) <= rank(to)
}

/// The smallest signed type that holds both; float64 where there is none.
fn signed_unsigned(signed: DType, unsigned: DType) -> DType {
    if signed.size() > unsigned.size() {
        return signed;
    }
    match unsigned.size() {
        1 => DType::I16,
        2 => DType::I32,
        4 => DType::I64,
        _ => DType::F64,
    }
}

/// Floats of 16 bits go with integers of 8 bits, float32 with those of up to 16 bits; wider ones need float64. (Of bfloat16, which
/// does not hold all integers of 8 bits either, `ml_dtypes` says so too.)
fn float_integer(float: DType, integer: DType) -> DType {
    match integer.size() {
        1 => float,
        2 if float.is_half() => DType::F32,
        2 => float,
        _ => DType::F64,
    }
}

/// The common dtype of many. Floats come first, as in NumPy: int8 and uint16 have int32 in common, which float32 does not
/// hold, but it holds each of them.
pub fn common_of(dtypes: impl IntoIterator<Item = DType, IntoIter: Clone>) -> Option<DType> {
    let all = dtypes.into_iter();
    let is_inexact = |dtype: &DType| dtype.is_float() || dtype.is_complex();
    all.clone().filter(is_inexact).chain(all.filter(|dtype| !is_inexact(dtype))).reduce(common)
}

/// The common dtype of arrays and weak scalars; `None` when there is neither.
pub fn result_type(
    dtypes: impl IntoIterator<Item = DType, IntoIter: Clone>,
    scalars: impl IntoIterator<Item = Weak>,
) -> Option<DType> {
    let strong = common_of(dtypes);
    scalars.into_iter().fold(strong, |so_far, scalar| Some(with_weak(so_far, scalar)))
}

/// A dtype (or nothing yet) together with a weak scalar.
fn with_weak(dtype: Option<DType>, scalar: Weak) -> DType {
    match (dtype, scalar) {
        (None, Weak::Bool(_)) => DType::Bool,
        (Some(dtype), Weak::Bool(_)) => dtype,
        (None | Some(DType::Bool), Weak::Int(_)) => DType::I64,
        (Some(dtype), Weak::Int(_)) => dtype,
        (Some(dtype), Weak::Float(_)) if dtype.is_float() || dtype.is_complex() => dtype,
        (None | Some(_), Weak::Float(_)) => DType::F64,
        (None, Weak::Complex(..)) => DType::C128,
        (Some(dtype), Weak::Complex(..)) => dtype.complex(),
    }
}

/// The float that functions of floats give for an integer dtype.
pub fn float_for(dtype: DType) -> DType {
    match (dtype.kind(), dtype.size()) {
        (Kind::Float | Kind::Complex, _) => dtype,
        (_, 1) => DType::F16,
        (_, 2) => DType::F32,
        _ => DType::F64,
    }
}

/// The dtype in which sums and products of this dtype accumulate: at least 64 bits for integers.
pub fn accumulator(dtype: DType) -> DType {
    match dtype.kind() {
        Kind::Bool | Kind::Signed => DType::I64,
        Kind::Unsigned => DType::U64,
        Kind::Float | Kind::Complex => dtype,
    }
}

/// The range of an integer dtype.
pub fn integer_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits();
    match dtype.kind() {
        Kind::Signed => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        Kind::Unsigned => (0, (1i128 << bits) - 1),
        Kind::Bool => (0, 1),
        Kind::Float | Kind::Complex => (i128::MIN, i128::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_mixed_sign_take_the_next_wider_signed_type() {
        assert_eq!(common(DType::I8, DType::U8), DType::I16);
        assert_eq!(common(DType::U32, DType::I32), DType::I64);
        assert_eq!(common(DType::I64, DType::U64), DType::F64);
        assert_eq!(common(DType::I64, DType::U8), DType::I64);
    }

    #[test]
    fn wide_integers_turn_float32_into_float64() {
        assert_eq!(common(DType::F32, DType::I16), DType::F32);
        assert_eq!(common(DType::U32, DType::F32), DType::F64);
    }

    #[test]
    fn floats_of_16_bits_hold_integers_of_8() {
        assert_eq!(common(DType::F16, DType::U8), DType::F16);
        assert_eq!(common(DType::I8, DType::BF16), DType::BF16);
        assert_eq!(common(DType::F16, DType::I16), DType::F32);
        assert_eq!(common(DType::U32, DType::F16), DType::F64);
        assert_eq!(common(DType::F16, DType::BF16), DType::F32);
        assert_eq!(common(DType::BF16, DType::C64), DType::C64);
        assert_eq!(result_type([DType::BF16], [Weak::Float(1.5)]), Some(DType::BF16));
        assert_eq!(result_type([DType::F16], [Weak::Complex(0.0, 1.0)]), Some(DType::C64));
    }

    #[test]
    fn a_float_meets_each_integer_by_itself() {
        assert_eq!(result_type([DType::I8, DType::U16, DType::F32], []), Some(DType::F32));
        assert_eq!(result_type([DType::U8, DType::I8, DType::U16], []), Some(DType::I32));
    }

    #[test]
    fn python_scalars_are_weak() {
        assert_eq!(result_type([DType::F32], [Weak::Float(1.5)]), Some(DType::F32));
        assert_eq!(result_type([DType::U8], [Weak::Int(3)]), Some(DType::U8));
        assert_eq!(result_type([DType::I32], [Weak::Float(1.0)]), Some(DType::F64));
        assert_eq!(result_type([DType::Bool], [Weak::Int(3)]), Some(DType::I64));
        assert_eq!(result_type([], [Weak::Int(3), Weak::Bool(true)]), Some(DType::I64));
    }

    #[test]
    fn complex_dtypes_hold_what_their_parts_hold() {
        assert_eq!(common(DType::C64, DType::F64), DType::C128);
        assert_eq!(common(DType::I16, DType::C64), DType::C64);
        assert_eq!(common(DType::C64, DType::I32), DType::C128);
        assert_eq!(result_type([DType::I8, DType::U16, DType::C64], []), Some(DType::C64));
        assert_eq!(result_type([DType::F32], [Weak::Complex(0.0, 1.0)]), Some(DType::C64));
        assert_eq!(result_type([DType::I8], [Weak::Complex(0.0, 1.0)]), Some(DType::C128));
        assert_eq!(result_type([DType::C64], [Weak::Float(1.5)]), Some(DType::C64));
        assert_eq!(result_type([], [Weak::Complex(0.0, 1.0)]), Some(DType::C128));
    }
}

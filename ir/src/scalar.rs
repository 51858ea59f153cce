//! One element as a value: a dtype and its bits. Equality and hashing are by bits, so NaN equals itself and -0.0 differs
//! from 0.0, which is what a compiler wants. Arithmetic on scalars is `reference.rs`, not here.
//!
//! Invariant: no scalar is complex. A complex number is recorded as a node that puts two real ones together.

use crate::{
    dtype::{DType, Kind},
    half,
};

/// A dtype and the bits of one element, zero-extended to 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scalar {
    dtype: DType,
    bits: u64,
}

impl Scalar {
    /// From raw bits; bits above the dtype's width are dropped (for bool: any bit set is true).
    pub const fn from_bits(dtype: DType, bits: u64) -> Scalar {
        debug_assert!(!dtype.is_complex(), "no scalar is complex");
        let bits = match (dtype, dtype.bits()) {
            (DType::Bool, _) => (bits != 0) as u64,
            (_, 64) => bits,
            (_, width) => bits & ((1 << width) - 1),
        };
        Scalar { dtype, bits }
    }

    /// From an integer, wrapping to the dtype's width; exact conversion rounding to nearest for floats.
    pub const fn from_i64(dtype: DType, value: i64) -> Scalar {
        match dtype {
            DType::F16 | DType::BF16 => {
                Scalar::from_bits(dtype, half::nearest(dtype, value < 0, value.unsigned_abs(), 0) as u64)
            }
            DType::F32 => Scalar::f32(value as f32),
            DType::F64 => Scalar::f64(value as f64),
            _ => Scalar::from_bits(dtype, value as u64),
        }
    }

    /// From an unsigned integer, as [`Scalar::from_i64`].
    pub const fn from_u64(dtype: DType, value: u64) -> Scalar {
        match dtype {
            DType::F16 | DType::BF16 => Scalar::from_bits(dtype, half::nearest(dtype, false, value, 0) as u64),
            DType::F32 => Scalar::f32(value as f32),
            DType::F64 => Scalar::f64(value as f64),
            _ => Scalar::from_bits(dtype, value),
        }
    }

    /// From a float. Integers follow the cast rule of [`crate::reference::cast`]: truncation, NumPy's result out of range.
    pub fn from_f64(dtype: DType, value: f64) -> Scalar {
        crate::reference::cast(Scalar::f64(value), dtype)
    }

    /// A float32.
    pub const fn f32(value: f32) -> Scalar {
        Scalar { dtype: DType::F32, bits: value.to_bits() as u64 }
    }

    /// A float64.
    pub const fn f64(value: f64) -> Scalar {
        Scalar { dtype: DType::F64, bits: value.to_bits() }
    }

    /// A bool.
    pub const fn bool(value: bool) -> Scalar {
        Scalar { dtype: DType::Bool, bits: value as u64 }
    }

    /// An int64.
    pub const fn i64(value: i64) -> Scalar {
        Scalar { dtype: DType::I64, bits: value as u64 }
    }

    /// The dtype.
    pub const fn dtype(self) -> DType {
        self.dtype
    }

    /// The bits, zero-extended.
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// The integer value, sign-extended for signed dtypes and wrapped for uint64. Floats: a programming error.
    pub fn as_i64(self) -> i64 {
        match self.dtype {
            DType::I8 => self.bits as i8 as i64,
            DType::I16 => self.bits as i16 as i64,
            DType::I32 => self.bits as i32 as i64,
            DType::I64 | DType::U64 | DType::U8 | DType::U16 | DType::U32 | DType::Bool => self.bits as i64,
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 | DType::C64 | DType::C128 => {
                panic!("as_i64 of a float scalar")
            }
        }
    }

    /// The value as the nearest float64 (exact but for 64-bit integers).
    pub fn as_f64(self) -> f64 {
        match self.dtype.kind() {
            Kind::Float if self.dtype.is_half() => half::to_f64(self.dtype, self.bits as u16),
            Kind::Float if self.dtype == DType::F32 => f32::from_bits(self.bits as u32) as f64,
            Kind::Float => f64::from_bits(self.bits),
            Kind::Signed => self.as_i64() as f64,
            Kind::Unsigned | Kind::Bool => self.bits as f64,
            Kind::Complex => unreachable!("no scalar is complex"),
        }
    }

    /// The float32 value. Other dtypes: a programming error.
    pub fn as_f32(self) -> f32 {
        assert_eq!(self.dtype, DType::F32);
        f32::from_bits(self.bits as u32)
    }

    /// True when any bit of the value counts as true (NaN is true, -0.0 is false).
    pub fn as_bool(self) -> bool {
        match self.dtype.kind() {
            Kind::Float => self.as_f64() != 0.0,
            _ => self.bits != 0,
        }
    }
}

//! Ops that have no vector instructions here and are too long to write out inline: native functions over the lanes of a
//! bundle, which compiled code calls through their names. Also Cranelift's own library calls, for CPUs without FMA or SSE4.1.

use cranelift::codegen::ir::LibCall;
use fusewire_ir::{dtype::DType, huge_trig, ops::ScalarOp, reference};

/// `out[l] = op(a[l], b[l])` for `lanes` lanes; ops of one operand get it twice.
pub(crate) type Native = unsafe extern "C" fn(out: *mut u8, a: *const u8, b: *const u8, lanes: usize);

/// The function of an op on a dtype, when it is a native one.
pub(crate) fn function(op: ScalarOp, dtype: DType) -> Option<Native> {
    macro_rules! integers {
        ($method:ident) => {
            match dtype {
                DType::I8 => Some($method::<i8> as Native),
                DType::I16 => Some($method::<i16>),
                DType::I32 => Some($method::<i32>),
                DType::I64 => Some($method::<i64>),
                DType::U8 => Some($method::<u8>),
                DType::U16 => Some($method::<u16>),
                DType::U32 => Some($method::<u32>),
                DType::U64 => Some($method::<u64>),
                DType::Bool | DType::F32 | DType::F64 => None,
                DType::F16 | DType::BF16 | DType::C64 | DType::C128 => None,
            }
        };
    }
    match (op, dtype) {
        (ScalarOp::TruncatedRemainder, DType::F32) => Some(remainder_f32),
        (ScalarOp::TruncatedRemainder, DType::F64) => Some(remainder_f64),
        (ScalarOp::HugeTrigRemainder, DType::F32) => Some(huge_remainder_f32),
        (ScalarOp::HugeTrigRemainder, DType::F64) => Some(huge_remainder_f64),
        (ScalarOp::HugeTrigQuadrant, DType::F32) => Some(huge_quadrant_f32),
        (ScalarOp::HugeTrigQuadrant, DType::F64) => Some(huge_quadrant_f64),
        (ScalarOp::Divide, DType::I64) => Some(divide_i64),
        (ScalarOp::Divide, DType::U64) => Some(divide_u64),
        (ScalarOp::ShiftLeft, _) => integers!(shift_left),
        (ScalarOp::ShiftRight, _) => integers!(shift_right),
        (ScalarOp::Pow, _) => integers!(pow),
        _ => None,
    }
}

/// The name under which compiled code calls it.
pub(crate) fn name(op: ScalarOp, dtype: DType) -> String {
    format!("{}:{}", op.row().name, dtype)
}

/// The address behind a name in compiled code.
pub(crate) fn address(name: &str) -> Option<*const u8> {
    if let Ok(call) = name.parse::<LibCall>() {
        return library_call(call);
    }
    let (op, dtype) = name.split_once(':')?;
    let native = function(ScalarOp::from_name(op)?, DType::from_short_name(dtype)?)?;
    Some(native as *const u8)
}

/// What Cranelift calls where the machine has no instruction for it.
fn library_call(call: LibCall) -> Option<*const u8> {
    macro_rules! functions {
        ($($call:ident($($x:ident),+): $float:ty = $result:expr;)+) => {
            match call {
                $(LibCall::$call => {
                    extern "C" fn function($($x: $float),+) -> $float {
                        $result
                    }
                    Some(function as *const u8)
                })+
                _ => None,
            }
        };
    }
    functions! {
        CeilF32(x): f32 = x.ceil();
        CeilF64(x): f64 = x.ceil();
        FloorF32(x): f32 = x.floor();
        FloorF64(x): f64 = x.floor();
        TruncF32(x): f32 = x.trunc();
        TruncF64(x): f64 = x.trunc();
        NearestF32(x): f32 = x.round_ties_even();
        NearestF64(x): f64 = x.round_ties_even();
        FmaF32(x, y, z): f32 = x.mul_add(y, z);
        FmaF64(x, y, z): f64 = x.mul_add(y, z);
    }
}

/// # Safety
/// `out`, `a` and `b` point to `lanes` elements each; `out` overlaps neither.
unsafe fn each<T: Copy>(out: *mut u8, a: *const u8, b: *const u8, lanes: usize, f: impl Fn(T, T) -> T) {
    for lane in 0..lanes {
        // SAFETY: `lane < lanes`, which the caller vouches for. The stack slots need not be aligned to T.
        unsafe {
            let x = a.cast::<T>().add(lane).read_unaligned();
            let y = b.cast::<T>().add(lane).read_unaligned();
            out.cast::<T>().add(lane).write_unaligned(f(x, y));
        }
    }
}

/// Integers whose shifts and powers follow [`reference`].
trait Integer: Copy {
    fn shift_left(self, by: Self) -> Self;
    fn shift_right(self, by: Self) -> Self;
    fn pow(self, exponent: Self) -> Self;
}

macro_rules! integer {
    ($type:ident, $out_of_range:expr, $pow:expr) => {
        impl Integer for $type {
            fn shift_left(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|by| self.checked_shl(by)).unwrap_or(0)
            }
            fn shift_right(self, by: Self) -> Self {
                let by = u32::try_from(by).ok();
                by.and_then(|by| self.checked_shr(by)).unwrap_or_else(|| $out_of_range(self))
            }
            fn pow(self, exponent: Self) -> Self {
                $pow(self as _, exponent as _) as $type
            }
        }
    };
}
integer!(i8, |x: i8| x >> 7, reference::integer_pow);
integer!(i16, |x: i16| x >> 15, reference::integer_pow);
integer!(i32, |x: i32| x >> 31, reference::integer_pow);
integer!(i64, |x: i64| x >> 63, reference::integer_pow);
integer!(u8, |_| 0, reference::unsigned_pow);
integer!(u16, |_| 0, reference::unsigned_pow);
integer!(u32, |_| 0, reference::unsigned_pow);
integer!(u64, |_| 0, reference::unsigned_pow);

macro_rules! natives {
    ($($name:ident $(<$generic:ident>)? : $type:ty = $f:expr;)*) => {
        $(
            /// # Safety
            /// As [`each`].
            unsafe extern "C" fn $name $(<$generic: Integer>)? (out: *mut u8, a: *const u8, b: *const u8, lanes: usize) {
                // SAFETY: the same contract.
                unsafe { each::<$type>(out, a, b, lanes, $f) }
            }
        )*
    };
}
natives! {
    divide_i64: i64 = |x, y| if y == 0 { 0 } else { x.wrapping_div(y) };
    divide_u64: u64 = |x, y| x.checked_div(y).unwrap_or(0);
    shift_left<T>: T = T::shift_left;
    shift_right<T>: T = T::shift_right;
    pow<T>: T = T::pow;
    remainder_f32: f32 = |x, y| x % y;
    remainder_f64: f64 = |x, y| x % y;
    huge_remainder_f32: f32 = |x, _| huge_trig::remainder_f32(x);
    huge_remainder_f64: f64 = |x, _| huge_trig::remainder_f64(x);
    huge_quadrant_f32: f32 = |x, _| huge_trig::quadrant(f64::from(x)) as f32;
    huge_quadrant_f64: f64 = |x, _| huge_trig::quadrant(x);
}

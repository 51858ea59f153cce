//! Scalar ops and conversions as Cranelift instructions, one element at a time; semantics of `fusewire_ir::reference`.
//!
//! Bool is an `i8` of 0 or 1. Ops that `native.rs` computes are not here, and neither are composites and float maths, which
//! no kernel has.

use cranelift::prelude::*;
use fusewire_ir::{
    dtype::{DType, Kind},
    ops::ScalarOp,
    scalar::Scalar,
};

/// A constant of a dtype.
pub(crate) fn constant(b: &mut FunctionBuilder<'_>, dtype: DType, value: Scalar) -> Value {
    match dtype {
        DType::F32 => b.ins().f32const(Ieee32::with_bits(value.bits() as u32)),
        DType::F64 => b.ins().f64const(Ieee64::with_bits(value.bits())),
        DType::F16 | DType::BF16 | DType::C64 | DType::C128 => unreachable!("kernels are verified to have none"),
        DType::Bool | DType::I8 | DType::U8 => b.ins().iconst(types::I8, value.bits() as i64),
        DType::I16 | DType::U16 => b.ins().iconst(types::I16, value.bits() as i64),
        DType::I32 | DType::U32 => b.ins().iconst(types::I32, value.bits() as i64),
        DType::I64 | DType::U64 => b.ins().iconst(types::I64, value.bits() as i64),
    }
}

/// An op on operands of a dtype (for `where`: of the choices).
pub(crate) fn op(b: &mut FunctionBuilder<'_>, op: ScalarOp, dtype: DType, operands: &[Value]) -> Value {
    use ScalarOp::*;
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    match op {
        Not if dtype == DType::Bool => b.ins().bxor_imm_u(x, 1),
        ShiftLeft => {
            let shifted = b.ins().ishl(x, y);
            inside_width(b, dtype, y, shifted)
        }
        ShiftRight if dtype.is_signed_integer() => {
            let most = constant(b, dtype, Scalar::from_i64(dtype, i64::from(dtype.bits()) - 1));
            let amount = b.ins().umin(y, most);
            b.ins().sshr(x, amount)
        }
        ShiftRight => {
            let shifted = b.ins().ushr(x, y);
            inside_width(b, dtype, y, shifted)
        }
        ToBits if dtype == DType::F32 => b.ins().bitcast(types::I32, MemFlagsData::new(), x),
        ToBits => b.ins().bitcast(types::I64, MemFlagsData::new(), x),
        FromBits if dtype == DType::I32 => b.ins().bitcast(types::F32, MemFlagsData::new(), x),
        FromBits => b.ins().bitcast(types::F64, MemFlagsData::new(), x),
        Where => b.ins().select(x, y, operands[2]),
        _ => plain_op(b, op, dtype, operands),
    }
}

/// An op that is one instruction, the same for elements and for vectors of them.
pub(crate) fn plain_op(b: &mut FunctionBuilder<'_>, op: ScalarOp, dtype: DType, operands: &[Value]) -> Value {
    use ScalarOp::*;
    let (x, float) = (operands[0], dtype.is_float());
    let y = operands.get(1).copied().unwrap_or(x);
    let kind = dtype.kind();
    match op {
        Add if float => b.ins().fadd(x, y),
        Add => b.ins().iadd(x, y),
        Subtract if float => b.ins().fsub(x, y),
        Subtract => b.ins().isub(x, y),
        Multiply if float => b.ins().fmul(x, y),
        Multiply => b.ins().imul(x, y),
        Divide => b.ins().fdiv(x, y),
        Fma => b.ins().fma(x, y, operands[2]),
        Negative if float => b.ins().fneg(x),
        Negative => b.ins().ineg(x),
        Abs => match kind {
            Kind::Float => b.ins().fabs(x),
            Kind::Signed => b.ins().iabs(x),
            Kind::Unsigned | Kind::Bool => x,
            Kind::Complex => unreachable!("kernels are verified to have real types"),
        },
        Maximum => match kind {
            Kind::Float => b.ins().fmax(x, y),
            Kind::Signed => b.ins().smax(x, y),
            Kind::Unsigned | Kind::Bool => b.ins().umax(x, y),
            Kind::Complex => unreachable!("kernels are verified to have real types"),
        },
        Minimum => match kind {
            Kind::Float => b.ins().fmin(x, y),
            Kind::Signed => b.ins().smin(x, y),
            Kind::Unsigned | Kind::Bool => b.ins().umin(x, y),
            Kind::Complex => unreachable!("kernels are verified to have real types"),
        },
        Sqrt => b.ins().sqrt(x),
        Floor => b.ins().floor(x),
        Ceil => b.ins().ceil(x),
        Trunc => b.ins().trunc(x),
        Round => b.ins().nearest(x),
        And => b.ins().band(x, y),
        Or => b.ins().bor(x, y),
        Xor => b.ins().bxor(x, y),
        Not => b.ins().bnot(x),
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual if float => {
            b.ins().fcmp(float_condition(op), x, y)
        }
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => b.ins().icmp(integer_condition(op, kind), x, y),
        _ => unreachable!("verified kernels have no {} on {dtype} here", op.row().name),
    }
}

/// `shifted` when the amount is below the width, else 0.
fn inside_width(b: &mut FunctionBuilder<'_>, dtype: DType, amount: Value, shifted: Value) -> Value {
    let inside = b.ins().icmp_imm_u(IntCC::UnsignedLessThan, amount, i64::from(dtype.bits()));
    let zero = constant(b, dtype, Scalar::from_i64(dtype, 0));
    b.ins().select(inside, shifted, zero)
}

/// The condition of a comparison op on floats.
fn float_condition(op: ScalarOp) -> FloatCC {
    match op {
        ScalarOp::Equal => FloatCC::Equal,
        ScalarOp::NotEqual => FloatCC::NotEqual,
        ScalarOp::Less => FloatCC::LessThan,
        ScalarOp::LessEqual => FloatCC::LessThanOrEqual,
        ScalarOp::Greater => FloatCC::GreaterThan,
        ScalarOp::GreaterEqual => FloatCC::GreaterThanOrEqual,
        _ => unreachable!("{} is no comparison", op.row().name),
    }
}

/// The condition of a comparison op on integers and bools.
fn integer_condition(op: ScalarOp, kind: Kind) -> IntCC {
    let signed = kind == Kind::Signed;
    match op {
        ScalarOp::Equal => IntCC::Equal,
        ScalarOp::NotEqual => IntCC::NotEqual,
        ScalarOp::Less if signed => IntCC::SignedLessThan,
        ScalarOp::Less => IntCC::UnsignedLessThan,
        ScalarOp::LessEqual if signed => IntCC::SignedLessThanOrEqual,
        ScalarOp::LessEqual => IntCC::UnsignedLessThanOrEqual,
        ScalarOp::Greater if signed => IntCC::SignedGreaterThan,
        ScalarOp::Greater => IntCC::UnsignedGreaterThan,
        ScalarOp::GreaterEqual if signed => IntCC::SignedGreaterThanOrEqual,
        ScalarOp::GreaterEqual => IntCC::UnsignedGreaterThanOrEqual,
        _ => unreachable!("{} is no comparison", op.row().name),
    }
}

/// A conversion, by the rule of `fusewire_ir::reference::cast`.
pub(crate) fn cast(b: &mut FunctionBuilder<'_>, x: Value, from: DType, to: DType) -> Value {
    match (from.kind(), to.kind()) {
        _ if from == to => x,
        (Kind::Float, Kind::Bool) => {
            let zero = constant(b, from, Scalar::from_i64(from, 0));
            b.ins().fcmp(FloatCC::NotEqual, x, zero)
        }
        (Kind::Complex, _) | (_, Kind::Complex) => unreachable!("kernels are verified to have real types"),
        (_, Kind::Bool) => b.ins().icmp_imm_u(IntCC::NotEqual, x, 0),
        (Kind::Float, Kind::Float) if to == DType::F64 => b.ins().fpromote(types::F64, x),
        (Kind::Float, Kind::Float) => b.ins().fdemote(types::F32, x),
        (Kind::Float, Kind::Signed | Kind::Unsigned) => float_to_integer(b, x, from, to),
        (Kind::Signed, Kind::Float) => b.ins().fcvt_from_sint(float_type(to), x),
        (Kind::Unsigned | Kind::Bool, Kind::Float) => b.ins().fcvt_from_uint(float_type(to), x),
        (Kind::Signed | Kind::Unsigned | Kind::Bool, Kind::Signed | Kind::Unsigned) => {
            let kind = integer_type(to);
            match from.size().cmp(&to.size()) {
                std::cmp::Ordering::Equal => x,
                std::cmp::Ordering::Greater => b.ins().ireduce(kind, x),
                std::cmp::Ordering::Less if from.is_signed_integer() => b.ins().sextend(kind, x),
                std::cmp::Ordering::Less => b.ins().uextend(kind, x),
            }
        }
    }
}

fn float_type(dtype: DType) -> Type {
    if dtype == DType::F32 { types::F32 } else { types::F64 }
}

fn integer_type(dtype: DType) -> Type {
    match dtype.size() {
        1 => types::I8,
        2 => types::I16,
        4 => types::I32,
        _ => types::I64,
    }
}

fn float_to_integer(b: &mut FunctionBuilder<'_>, x: Value, from: DType, to: DType) -> Value {
    match to {
        DType::I64 => through(b, x, from, types::I64),
        DType::U32 => {
            let wide = through(b, x, from, types::I64);
            b.ins().ireduce(types::I32, wide)
        }
        DType::U64 => {
            let limit = constant(b, from, Scalar::from_f64(from, 2f64.powi(63)));
            let large = b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, limit);
            let below = b.ins().fsub(x, limit);
            let reduced = b.ins().select(large, below, x);
            let wide = through(b, reduced, from, types::I64);
            let bit = b.ins().iconst(types::I64, i64::MIN);
            let flipped = b.ins().bxor(wide, bit);
            b.ins().select(large, flipped, wide)
        }
        _ => {
            let wide = through(b, x, from, types::I32);
            if to.size() == 4 { wide } else { b.ins().ireduce(integer_type(to), wide) }
        }
    }
}

/// Truncation to a signed integer; MIN where the value does not fit and for NaN. (Saturation gives that below the range.)
fn through(b: &mut FunctionBuilder<'_>, x: Value, from: DType, to: Type) -> Value {
    let limit = constant(b, from, Scalar::from_f64(from, 2f64.powi(to.bits() as i32 - 1)));
    let below = b.ins().fcmp(FloatCC::LessThan, x, limit);
    let saturated = b.ins().fcvt_to_sint_sat(to, x);
    let minimum = b.ins().iconst(to, if to == types::I64 { i64::MIN } else { i64::from(i32::MIN as u32) });
    b.ins().select(below, saturated, minimum)
}

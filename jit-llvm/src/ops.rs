//! Every scalar op as LLVM instructions, on elements and on vectors; semantics of `fusewire_ir::reference`.
//!
//! Composites and float maths are not here: no kernel has them. Neither is what takes LLVM a function of some library, see
//! [`needs_function`].

use crate::instructions::{Emitted, Instructions, Value};
use fusewire_ir::{
    dtype::{DType, Kind},
    ops::ScalarOp,
    reference,
    scalar::Scalar,
};
use inkwell::{FloatPredicate, IntPredicate, values::InstructionOpcode as Opcode};

/// Is the op on this dtype none of instructions? Then the target has to call something: `fmod`, the exact reduction of huge
/// trigonometric arguments, powers of integers.
pub fn needs_function(op: ScalarOp, dtype: DType) -> bool {
    match op {
        ScalarOp::TruncatedRemainder => dtype.is_float(),
        ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant | ScalarOp::Pow => true,
        _ => false,
    }
}

impl<'c> Instructions<'c> {
    /// An op on operands of a dtype (for `where`: of the choices) that is not one of [`needs_function`].
    pub fn op(&self, op: ScalarOp, dtype: DType, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        use ScalarOp::*;
        let x = operands[0];
        let y = operands.get(1).copied().unwrap_or(x);
        let (float, kind) = (dtype.is_float(), dtype.kind());
        match op {
            Add => self.binary(if float { Opcode::FAdd } else { Opcode::Add }, x, y),
            Subtract => self.binary(if float { Opcode::FSub } else { Opcode::Sub }, x, y),
            Multiply => self.binary(if float { Opcode::FMul } else { Opcode::Mul }, x, y),
            Divide if float => self.binary(Opcode::FDiv, x, y),
            Divide => self.divide(dtype, x, y, [Opcode::SDiv, Opcode::UDiv]),
            TruncatedRemainder => self.divide(dtype, x, y, [Opcode::SRem, Opcode::URem]),
            Fma => {
                let operands = self.alike([x, y, operands[2]])?;
                self.intrinsic("fma", &operands)
            }
            Negative if float => self.negate(x),
            Negative => self.binary(Opcode::Sub, self.number(dtype, 0), x),
            Abs => match kind {
                Kind::Float => self.intrinsic("fabs", &[x]),
                Kind::Signed => {
                    let wraps = self.constant(Scalar::bool(false));
                    self.intrinsic("abs", &[x, wraps])
                }
                Kind::Unsigned | Kind::Bool => Ok(x),
                Kind::Complex => unreachable!("kernels are verified to have real types"),
            },
            Maximum => self.extremum(kind, ["maximum", "smax", "umax"], Opcode::Or, x, y),
            Minimum => self.extremum(kind, ["minimum", "smin", "umin"], Opcode::And, x, y),
            Sqrt => self.intrinsic("sqrt", &[x]),
            Floor => self.intrinsic("floor", &[x]),
            Ceil => self.intrinsic("ceil", &[x]),
            Trunc => self.intrinsic("trunc", &[x]),
            Round => self.intrinsic("roundeven", &[x]),
            And => self.binary(Opcode::And, x, y),
            Or => self.binary(Opcode::Or, x, y),
            Xor => self.binary(Opcode::Xor, x, y),
            Not => self.binary(Opcode::Xor, x, self.constant(reference::all_ones(dtype))),
            ShiftLeft => {
                let shifted = self.binary(Opcode::Shl, x, y)?;
                self.inside_width(dtype, y, shifted)
            }
            ShiftRight if kind == Kind::Signed => {
                let most = self.number(dtype, i64::from(dtype.bits()) - 1);
                let [amount, most] = self.alike([y, most])?;
                let amount = self.intrinsic("umin", &[amount, most])?;
                self.binary(Opcode::AShr, x, amount)
            }
            ShiftRight => {
                let shifted = self.binary(Opcode::LShr, x, y)?;
                self.inside_width(dtype, y, shifted)
            }
            ToBits => self.convert(Opcode::BitCast, x, self.memory_type(dtype.same_width_signed())),
            FromBits => {
                let float = if dtype == DType::I32 { DType::F32 } else { DType::F64 };
                self.convert(Opcode::BitCast, x, self.memory_type(float))
            }
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual if float => {
                self.compare_floats(float_predicate(op), x, y)
            }
            Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => {
                self.compare(integer_predicate(op, kind), x, y)
            }
            Where => self.select(x, y, operands[2]),
            _ => unreachable!("verified kernels have no {} on {dtype} here", op.row().name),
        }
    }

    fn negate(&self, x: Value<'c>) -> Emitted<Value<'c>> {
        Ok(match x {
            Value::VectorValue(x) => self.builder.build_float_neg(x, "")?.into(),
            x => self.builder.build_float_neg(x.into_float_value(), "")?.into(),
        })
    }

    /// The intrinsic for floats, signed and unsigned integers; the opcode for bools.
    fn extremum(
        &self,
        kind: Kind,
        [float, signed, unsigned]: [&str; 3],
        truth: Opcode,
        x: Value<'c>,
        y: Value<'c>,
    ) -> Emitted<Value<'c>> {
        let operands = self.alike([x, y])?;
        match kind {
            Kind::Float => self.intrinsic(float, &operands),
            Kind::Signed => self.intrinsic(signed, &operands),
            Kind::Unsigned => self.intrinsic(unsigned, &operands),
            Kind::Bool => self.binary(truth, x, y),
            Kind::Complex => unreachable!("kernels are verified to have real types"),
        }
    }

    /// A quotient or remainder of integers: 0 by 0, and what wraps for MIN by -1. Neither division may happen.
    fn divide(&self, dtype: DType, x: Value<'c>, y: Value<'c>, [signed, unsigned]: [Opcode; 2]) -> Emitted<Value<'c>> {
        let (zero, one) = (self.number(dtype, 0), self.number(dtype, 1));
        let by_zero = self.compare(IntPredicate::EQ, y, zero)?;
        if !dtype.is_signed_integer() {
            let divisor = self.select(by_zero, one, y)?;
            let result = self.binary(unsigned, x, divisor)?;
            return self.select(by_zero, zero, result);
        }
        let by_minus_one = self.compare(IntPredicate::EQ, y, self.number(dtype, -1))?;
        let either = self.binary(Opcode::Or, by_zero, by_minus_one)?;
        let divisor = self.select(either, one, y)?;
        let result = self.binary(signed, x, divisor)?;
        let negated = if signed == Opcode::SDiv { self.binary(Opcode::Sub, zero, x)? } else { zero };
        let result = self.select(by_minus_one, negated, result)?;
        self.select(by_zero, zero, result)
    }

    /// `shifted` where the amount is below the width, else 0. (Otherwise LLVM's shift has no value.)
    fn inside_width(&self, dtype: DType, amount: Value<'c>, shifted: Value<'c>) -> Emitted<Value<'c>> {
        let inside = self.compare(IntPredicate::ULT, amount, self.number(dtype, i64::from(dtype.bits())))?;
        self.select(inside, shifted, self.number(dtype, 0))
    }
}

fn float_predicate(op: ScalarOp) -> FloatPredicate {
    match op {
        ScalarOp::Equal => FloatPredicate::OEQ,
        ScalarOp::NotEqual => FloatPredicate::UNE,
        ScalarOp::Less => FloatPredicate::OLT,
        ScalarOp::LessEqual => FloatPredicate::OLE,
        ScalarOp::Greater => FloatPredicate::OGT,
        ScalarOp::GreaterEqual => FloatPredicate::OGE,
        _ => unreachable!("{} is no comparison", op.row().name),
    }
}

fn integer_predicate(op: ScalarOp, kind: Kind) -> IntPredicate {
    let signed = kind == Kind::Signed;
    match op {
        ScalarOp::Equal => IntPredicate::EQ,
        ScalarOp::NotEqual => IntPredicate::NE,
        ScalarOp::Less if signed => IntPredicate::SLT,
        ScalarOp::Less => IntPredicate::ULT,
        ScalarOp::LessEqual if signed => IntPredicate::SLE,
        ScalarOp::LessEqual => IntPredicate::ULE,
        ScalarOp::Greater if signed => IntPredicate::SGT,
        ScalarOp::Greater => IntPredicate::UGT,
        ScalarOp::GreaterEqual if signed => IntPredicate::SGE,
        ScalarOp::GreaterEqual => IntPredicate::UGE,
        _ => unreachable!("{} is no comparison", op.row().name),
    }
}

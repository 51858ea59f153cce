//! Conversions between dtypes as LLVM instructions, by the rule of `fusewire_ir::reference::cast`.

use crate::instructions::{Emitted, Instructions, Value};
use fusewire_ir::{
    dtype::{DType, Kind},
    reference,
    scalar::Scalar,
};
use inkwell::{FloatPredicate, IntPredicate, values::InstructionOpcode as Opcode};

impl<'c> Instructions<'c> {
    /// Converts an element, or a vector of them.
    pub fn cast(&self, x: Value<'c>, from: DType, to: DType) -> Emitted<Value<'c>> {
        let kind = self.element_type(to);
        match (from.kind(), to.kind()) {
            _ if from == to => Ok(x),
            (Kind::Float, Kind::Bool) => self.compare_floats(FloatPredicate::UNE, x, self.number(from, 0)),
            (Kind::Complex, _) | (_, Kind::Complex) => unreachable!("kernels are verified to have real types"),
            (_, Kind::Bool) => self.compare(IntPredicate::NE, x, self.number(from, 0)),
            (Kind::Float, Kind::Float) if to == DType::F64 => self.convert(Opcode::FPExt, x, kind),
            (Kind::Float, Kind::Float) => self.convert(Opcode::FPTrunc, x, kind),
            (Kind::Float, Kind::Signed | Kind::Unsigned) => self.float_to_integer(x, from, to),
            (Kind::Signed, Kind::Float) => self.convert(Opcode::SIToFP, x, kind),
            (Kind::Unsigned | Kind::Bool, Kind::Float) => self.convert(Opcode::UIToFP, x, kind),
            (Kind::Signed | Kind::Unsigned | Kind::Bool, Kind::Signed | Kind::Unsigned) => {
                match from.size().cmp(&to.size()) {
                    _ if from == DType::Bool => self.convert(Opcode::ZExt, x, kind),
                    std::cmp::Ordering::Equal => Ok(x),
                    std::cmp::Ordering::Greater => self.convert(Opcode::Trunc, x, kind),
                    std::cmp::Ordering::Less if from.is_signed_integer() => self.convert(Opcode::SExt, x, kind),
                    std::cmp::Ordering::Less => self.convert(Opcode::ZExt, x, kind),
                }
            }
        }
    }

    fn float_to_integer(&self, x: Value<'c>, from: DType, to: DType) -> Emitted<Value<'c>> {
        match to {
            DType::I64 => self.truncate(x, from, DType::I64),
            DType::U32 => {
                let wide = self.truncate(x, from, DType::I64)?;
                self.cast(wide, DType::I64, to)
            }
            DType::U64 => {
                let limit = self.constant(Scalar::from_f64(from, 2f64.powi(63)));
                let large = self.compare_floats(FloatPredicate::OGE, x, limit)?;
                let below = self.binary(Opcode::FSub, x, limit)?;
                let reduced = self.select(large, below, x)?;
                let wide = self.truncate(reduced, from, DType::I64)?;
                let flipped = self.binary(Opcode::Xor, wide, self.constant(reference::lowest(DType::I64)))?;
                self.select(large, flipped, wide)
            }
            _ => {
                let wide = self.truncate(x, from, DType::I32)?;
                self.cast(wide, DType::I32, to)
            }
        }
    }

    /// Truncation to int32 or int64; MIN where the value does not fit and for NaN, for which LLVM's own has no value.
    fn truncate(&self, x: Value<'c>, from: DType, to: DType) -> Emitted<Value<'c>> {
        let limit = 2f64.powi(to.bits() as i32 - 1);
        // What lies strictly between -2^31 - 1 and -2^31 truncates to MIN too, which is what it gets.
        let least = self.compare_floats(FloatPredicate::OGE, x, self.constant(Scalar::from_f64(from, -limit)))?;
        let most = self.compare_floats(FloatPredicate::OLT, x, self.constant(Scalar::from_f64(from, limit)))?;
        let fits = self.binary(Opcode::And, least, most)?;
        let safe = self.select(fits, x, self.number(from, 0))?;
        let result = self.convert(Opcode::FPToSI, safe, self.memory_type(to))?;
        self.select(fits, result, self.constant(reference::lowest(to)))
    }
}

//! What computes a kernel's values: constants, ops, casts, positions, and functions that are called for what has no instructions.
//!
//! Huge arguments of trigonometric functions are so rare that lanes do without them: a loop that can (`loops.rs`) tests its lanes,
//! computes as if no argument were huge, and hands a group of lanes with a huge one to the code that also has the rest of the
//! iterations; elsewhere a function is called on a path of its own.

use super::emit::Emitter;
use crate::{
    access::Step,
    instructions::{Emitted, Value, lanes, metadata},
    ops::needs_function,
};
use fusewire_ir::{
    dtype::DType,
    ops::{Outcome, ScalarOp},
    scalar::Scalar,
};
use fusewire_lowering::kernel::{Inst, IntId, ValueId};
use inkwell::{AddressSpace, values::PointerValue};

impl<'c> Emitter<'_, 'c> {
    /// Computes a value here.
    pub fn define(&mut self, id: ValueId) -> Emitted<()> {
        let kernel = self.kernel;
        let definition = &kernel.values[id.0 as usize];
        let value = match &definition.inst {
            Inst::Const(scalar) => self.to.constant(*scalar),
            Inst::Param(param) => self.params[param.0 as usize].expect("every parameter is loaded at the start"),
            Inst::Index(at) => self.index(at)?,
            Inst::Load { buffer, at } => self.load(*buffer, at)?,
            Inst::Position { index, extent } => self.position(*index, *extent)?,
            Inst::Gather { buffer, at, positions, strides } => self.gather(*buffer, at, positions, strides)?,
            Inst::Cast(from) => self.to.cast(self.value(*from), self.dtype(*from), definition.dtype)?,
            Inst::Op(op, operands) => {
                // `where` is an op on the dtype of its second operand.
                let subject = operands[usize::from(op.row().outcome == Outcome::Select)];
                let values: Vec<Value<'c>> = operands.iter().map(|&operand| self.value(operand)).collect();
                self.op(*op, self.dtype(subject), &values)?
            }
            // Defined by their loop.
            Inst::Reduced | Inst::Running => return Ok(()),
        };
        self.values[id.0 as usize] = Some(value);
        Ok(())
    }

    /// An op on operands of a dtype (for `where`: of the choices).
    pub fn op(&mut self, op: ScalarOp, dtype: DType, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        match op {
            ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant => self.huge_trig(op, dtype, operands[0]),
            ScalarOp::Maximum | ScalarOp::Minimum if dtype.is_float() => match *operands {
                [Value::VectorValue(lanes), same @ (Value::FloatValue(_) | Value::IntValue(_))]
                | [same @ (Value::FloatValue(_) | Value::IntValue(_)), Value::VectorValue(lanes)] => {
                    self.bounded(op, dtype, lanes.into(), same)
                }
                _ => self.to.op(op, dtype, operands),
            },
            _ if needs_function(op, dtype) => self.call(op, dtype, operands),
            _ => self.to.op(op, dtype, operands),
        }
    }

    /// The extremum of each lane and one number. The machine's instruction gives the lane where either is NaN or both are zero; what
    /// is wrong with that depends on the number alone, and is mended by bits that are known before the loop: two instructions
    /// instead of six, and one where the number is a constant.
    fn bounded(&mut self, op: ScalarOp, dtype: DType, lanes: Value<'c>, number: Value<'c>) -> Emitted<Value<'c>> {
        let to = self.to;
        let (is_maximum, bits) = (op == ScalarOp::Maximum, if dtype == DType::F32 { DType::I32 } else { DType::I64 });
        let comparison = if is_maximum { ScalarOp::Greater } else { ScalarOp::Less };
        let beyond = to.op(comparison, dtype, &[number, lanes])?;
        let nearly = to.op(ScalarOp::ToBits, dtype, &[to.select(beyond, number, lanes)?])?;

        let pattern = to.op(ScalarOp::ToBits, dtype, &[number])?;
        let constant = |value: f64| to.op(ScalarOp::ToBits, dtype, &[to.constant(Scalar::from_f64(dtype, value))]);
        let when = |condition: Value<'c>, yes: Value<'c>, no: i64| to.select(condition, yes, to.number(bits, no));
        // A maximum with 0.0 has no sign, a minimum with -0.0 always has.
        let negative_zero = constant(-0.0)?;
        let zero = if is_maximum { to.number(bits, 0) } else { negative_zero };
        let is_zero = to.op(ScalarOp::Equal, bits, &[pattern, zero])?;
        let is_nan = to.op(ScalarOp::NotEqual, dtype, &[number, number])?;
        let nan = when(is_nan, constant(f64::NAN)?, 0)?;
        let mended = if is_maximum {
            let kept = when(is_zero, to.op(ScalarOp::Not, bits, &[negative_zero])?, -1)?;
            to.op(ScalarOp::And, bits, &[nearly, kept])?
        } else {
            to.op(ScalarOp::Or, bits, &[nearly, when(is_zero, negative_zero, 0)?])?
        };
        let mended = to.op(ScalarOp::Or, bits, &[mended, nan])?;
        to.op(ScalarOp::FromBits, bits, &[mended])
    }

    /// A checked position: where an index is outside, the launch is marked as failed and the position is 0.
    fn position(&mut self, index: ValueId, extent: IntId) -> Emitted<Value<'c>> {
        let to = self.to;
        let (index, extent) = (self.value(index), Value::from(self.int(extent)));
        let zero = Value::from(to.index(0));
        let op = |op, operands: &[Value<'c>]| to.op(op, DType::I64, operands);
        let negative = op(ScalarOp::Less, &[index, zero])?;
        let from_end = op(ScalarOp::Add, &[index, extent])?;
        let counted = op(ScalarOp::Where, &[negative, from_end, index])?;
        let below = op(ScalarOp::Less, &[counted, zero])?;
        let above = op(ScalarOp::GreaterEqual, &[counted, extent])?;
        let outside = to.op(ScalarOp::Or, DType::Bool, &[below, above])?;
        let position = op(ScalarOp::Where, &[outside, zero, counted])?;
        let any = self.any_there(outside)?;
        let (fault, next) = (to.block("fault"), to.block("inside"));
        to.branch(any, fault, next)?;
        to.switch_to(fault);
        to.store(DType::U8, self.fault, to.number(DType::U8, 1))?;
        to.jump(next)?;
        to.switch_to(next);
        Ok(position)
    }

    /// Is it true in any lane that is there?
    fn any_there(&self, truth: Value<'c>) -> Emitted<Value<'c>> {
        match (truth, self.mask()) {
            (Value::VectorValue(_), Some(mask)) => {
                let there = self.to.op(ScalarOp::And, DType::Bool, &[truth, mask.into()])?;
                self.to.any(there)
            }
            _ => self.to.any(truth),
        }
    }

    /// An op that is zero but for huge arguments, which are finite and at least 2^20.
    fn huge_trig(&mut self, op: ScalarOp, dtype: DType, operand: Value<'c>) -> Emitted<Value<'c>> {
        let to = self.to;
        let zero = to.number(dtype, 0);
        if let Some((given_up, tested)) = &mut self.escape
            && operand.is_vector_value()
        {
            if !tested.contains(&operand) {
                tested.push(operand);
                let (given_up, next) = (*given_up, to.block("small"));
                let huge = self.any_huge(dtype, operand)?;
                to.branch(huge, given_up, next)?;
                to.switch_to(next);
            }
            return Ok(zero);
        }
        let huge = self.any_huge(dtype, operand)?;
        let zeros = to.splat(zero, lanes(operand))?;
        to.rarely(huge, zeros, || self.call(op, dtype, &[operand]))
    }

    /// Is any magnitude at least 2^20? Of infinities too, for which the ops are zero: to tell them apart would cost every
    /// group of lanes.
    fn any_huge(&self, dtype: DType, operand: Value<'c>) -> Emitted<Value<'c>> {
        let limit = self.to.constant(Scalar::from_f64(dtype, f64::from(1 << 20)));
        let magnitude = self.to.op(ScalarOp::Abs, dtype, &[operand])?;
        let huge = self.to.op(ScalarOp::GreaterEqual, dtype, &[magnitude, limit])?;
        self.to.any(huge)
    }

    /// Calls a function on all lanes, through memory.
    fn call(&mut self, op: ScalarOp, dtype: DType, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        let to = self.to;
        let count = operands.iter().map(|&operand| lanes(operand)).max().unwrap_or(1);
        let mut places = [self.native_slot(0)?, self.native_slot(1)?, self.native_slot(2)?];
        for (&operand, &place) in operands.iter().zip(&places[1..]) {
            match to.splat(operand, count)? {
                Value::VectorValue(vector) => to.store_lanes(dtype, place, Step::Const(1), vector, None)?,
                element => to.store(dtype, place, element)?,
            }
        }
        if operands.len() == 1 {
            places[2] = places[1];
        }
        let (name, address) = (self.functions)(op, dtype);
        let function = match to.module.get_function(&name) {
            Some(function) => function,
            None => {
                let pointer = to.context.ptr_type(AddressSpace::default()).into();
                let kind = [pointer, pointer, pointer, to.context.i64_type().into()];
                let function = to.module.add_function(&name, to.context.void_type().fn_type(&kind, false), None);
                self.externs.push((name, address));
                function
            }
        };
        let arguments = [places[0].into(), places[1].into(), places[2].into(), to.index(count.into()).into()];
        to.builder.build_call(function, &metadata(&arguments), "")?;
        match count {
            1 => to.load(dtype, places[0]),
            _ => to.load_lanes(dtype, places[0], Step::Const(1), count, None),
        }
    }

    fn native_slot(&mut self, index: usize) -> Emitted<PointerValue<'c>> {
        if let Some(slot) = self.native_slots[index] {
            return Ok(slot);
        }
        // Large enough for 128 lanes of 8 bytes, the most there can be.
        let slot = self.to.stack(DType::I64, 128, 1)?;
        self.native_slots[index] = Some(slot);
        Ok(slot)
    }
}

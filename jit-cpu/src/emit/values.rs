//! What a kernel value becomes: how it is represented, and which code computes it.

use super::Emitter;
use crate::{native, scalar, vector};
use cranelift::{codegen::ir::BlockArg, prelude::*};
use fusewire_ir::{
    dtype::DType,
    ops::{Outcome, ScalarOp},
    scalar::Scalar,
};
use fusewire_lowering::kernel::{Inst, IntId, ValueId};
use smallvec::SmallVec;

/// The vectors of a bundle, first lanes first.
pub(super) type Vectors = SmallVec<[Value; 4]>;

/// A kernel value while code is emitted.
#[derive(Clone, Debug)]
pub(super) enum Bundle {
    /// Known when compiling; the same in every lane.
    Const(Scalar),
    /// One scalar: outside vector loops the value, inside the same in every lane. Bool is an `i8`, 0 or 1.
    One(Value),
    /// A value a lane, in 128-bit vectors; lanes that fill less than one vector lie in its low part, and what lies above
    /// them means nothing. Bool is a mask, all ones or all zeros, as wide as the compare that made it.
    Lanes(Vectors),
}

/// The type of one element.
pub(super) fn scalar_type(dtype: DType) -> Type {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => types::I8,
        DType::I16 | DType::U16 => types::I16,
        DType::I32 | DType::U32 => types::I32,
        DType::I64 | DType::U64 => types::I64,
        DType::F32 => types::F32,
        DType::F64 => types::F64,
        DType::F16 | DType::BF16 | DType::C64 | DType::C128 => unreachable!("kernels are verified to have none"),
    }
}

/// The 128-bit vector of a dtype.
pub(super) fn vector_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => types::F32X4,
        DType::F64 => types::F64X2,
        _ => integer_vector(dtype.size()),
    }
}

/// The 128-bit vector of integers of so many bytes.
pub(super) fn integer_vector(size: usize) -> Type {
    match size {
        1 => types::I8X16,
        2 => types::I16X8,
        4 => types::I32X4,
        _ => types::I64X2,
    }
}

impl Emitter<'_> {
    /// Computes a value here.
    pub(super) fn define(&mut self, id: ValueId) {
        let value = &self.kernel.values[id.0 as usize];
        let bundle = match &value.inst {
            Inst::Const(scalar) => Bundle::Const(*scalar),
            Inst::Param(param) => {
                Bundle::One(self.params[param.0 as usize].expect("every parameter of the phase is loaded at its start"))
            }
            Inst::Index(at) => self.index(at),
            Inst::Load { buffer, at } => self.load(*buffer, at),
            Inst::Position { index, extent } => self.position(*index, *extent),
            Inst::Gather { buffer, at, positions, strides } => self.gather_at(*buffer, at, positions, strides),
            Inst::Cast(from) => {
                let source = self.dtype(*from);
                let operand = self.value(*from);
                self.cast(operand, source, value.dtype)
            }
            Inst::Op(op, operands) => {
                // `where` is an op on the dtype of its second operand.
                let subject = operands[usize::from(op.row().outcome == Outcome::Select)];
                let dtype = self.dtype(subject);
                let operands: SmallVec<[Bundle; 3]> = operands.iter().map(|&o| self.value(o)).collect();
                self.op(*op, dtype, &operands)
            }
            // Defined by their loop.
            Inst::Reduced | Inst::Running => return,
        };
        self.values[id.0 as usize] = Some(bundle);
    }

    /// A checked position: where an index is outside, the launch is marked as failed and the position is 0.
    fn position(&mut self, index: ValueId, extent: IntId) -> Bundle {
        let [index, extent] = [self.value(index), Bundle::One(self.int(extent))];
        let zero = Bundle::Const(Scalar::i64(0));
        let mut op = |op, operands: &[&Bundle], dtype| {
            let operands: SmallVec<[Bundle; 3]> = operands.iter().map(|&o| o.clone()).collect();
            self.op(op, dtype, &operands)
        };
        let negative = op(ScalarOp::Less, &[&index, &zero], DType::I64);
        let from_end = op(ScalarOp::Add, &[&index, &extent], DType::I64);
        let counted = op(ScalarOp::Where, &[&negative, &from_end, &index], DType::I64);
        let below = op(ScalarOp::Less, &[&counted, &zero], DType::I64);
        let above = op(ScalarOp::GreaterEqual, &[&counted, &extent], DType::I64);
        let outside = op(ScalarOp::Or, &[&below, &above], DType::Bool);
        let position = op(ScalarOp::Where, &[&outside, &zero, &counted], DType::I64);
        let any = self.any(outside);
        let (fault, next) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(fault);
        self.b.ins().brif(any, fault, &[], next, &[]);
        self.b.switch_to_block(fault);
        let one = self.b.ins().iconst(types::I8, 1);
        self.b.ins().store(MemFlagsData::trusted(), one, self.fault, 0);
        self.b.ins().jump(next, &[]);
        self.b.switch_to_block(next);
        position
    }

    /// An op on operands of a dtype (for `where`: of the choices).
    pub(super) fn op(&mut self, op: ScalarOp, dtype: DType, operands: &[Bundle]) -> Bundle {
        use ScalarOp::*;
        if let Some(known) = known(op, operands) {
            return known;
        }
        let uniform = !operands.iter().any(|o| matches!(o, Bundle::Lanes(_)));
        match op {
            HugeTrigRemainder | HugeTrigQuadrant => self.huge_trig(op, dtype, &operands[0]),
            ShiftLeft | ShiftRight if !uniform => self.shift(op, dtype, operands),
            ShiftLeft | ShiftRight => self.uniform_op(op, dtype, operands),
            _ if native::function(op, dtype).is_some() => self.call_native(op, dtype, operands),
            _ if uniform => self.uniform_op(op, dtype, operands),
            Where => {
                let width = if dtype == DType::Bool { self.mask_width(operands) } else { dtype.size() };
                let condition = self.mask(&operands[0], width);
                let choices = [1, 2].map(|i| self.vectors_like(&operands[i], dtype, &condition));
                let machine = self.machine;
                let b = &mut self.b;
                let vectors = condition.iter().zip(&choices[0]).zip(&choices[1]);
                Bundle::Lanes(vectors.map(|((&c, &x), &y)| vector::select(b, machine, c, x, y)).collect())
            }
            Abs if dtype.is_float() => self.magnitude(dtype, &operands[0]),
            _ if dtype == DType::Bool => {
                let width = self.mask_width(operands);
                let masks: SmallVec<[Vectors; 3]> = operands.iter().map(|o| self.mask(o, width)).collect();
                self.each_vector(&masks, |b, vectors| vector::mask_op(b, op, vectors))
            }
            _ => {
                let vectors: SmallVec<[Vectors; 3]> = operands.iter().map(|o| self.vectors(o, dtype)).collect();
                let machine = self.machine;
                self.each_vector(&vectors, |b, vectors| vector::op(b, machine, op, dtype, vectors))
            }
        }
    }

    /// Without the sign bit. (`fabs` would make its mask in two instructions for each vector anew.)
    fn magnitude(&mut self, dtype: DType, operand: &Bundle) -> Bundle {
        let mask = Scalar::from_bits(dtype, u64::MAX >> (65 - dtype.bits()));
        let [vectors, masks] = [operand, &Bundle::Const(mask)].map(|bundle| self.vectors(bundle, dtype));
        let b = &mut self.b;
        let without = |(&x, &mask)| if vector::masked(b, x, mask) { x } else { b.ins().band(x, mask) };
        Bundle::Lanes(vectors.iter().zip(&masks).map(without).collect())
    }

    fn uniform_op(&mut self, op: ScalarOp, dtype: DType, operands: &[Bundle]) -> Bundle {
        let scalars: SmallVec<[Value; 3]> = operands
            .iter()
            .enumerate()
            .map(|(i, operand)| {
                let condition = op.row().outcome == Outcome::Select && i == 0;
                self.scalar(operand, if condition { DType::Bool } else { dtype })
            })
            .collect();
        Bundle::One(scalar::op(&mut self.b, op, dtype, &scalars))
    }

    fn each_vector(
        &mut self,
        operands: &[Vectors],
        mut f: impl FnMut(&mut FunctionBuilder<'_>, &[Value]) -> Value,
    ) -> Bundle {
        let mut results = Vectors::new();
        for index in 0..operands[0].len() {
            let vectors: SmallVec<[Value; 3]> = operands.iter().map(|o| o[index]).collect();
            results.push(f(&mut self.b, &vectors));
        }
        Bundle::Lanes(results)
    }

    /// The operands for a choice: bools as masks of the condition's width.
    fn vectors_like(&mut self, operand: &Bundle, dtype: DType, condition: &Vectors) -> Vectors {
        if dtype == DType::Bool {
            let width = self.b.func.dfg.value_type(condition[0]).lane_type().bytes() as usize;
            self.mask(operand, width)
        } else {
            self.vectors(operand, dtype)
        }
    }

    /// Shifts by one amount have vector instructions; by an amount a lane they have not, before AVX2.
    fn shift(&mut self, op: ScalarOp, dtype: DType, operands: &[Bundle]) -> Bundle {
        if matches!(operands[1], Bundle::Lanes(_)) {
            return self.call_native(op, dtype, operands);
        }
        let vectors = self.vectors(&operands[0], dtype);
        let b = &mut self.b;
        match operands[1] {
            Bundle::Const(amount) => {
                Bundle::Lanes(vectors.iter().map(|&x| vector::shift_by_constant(b, op, dtype, x, amount)).collect())
            }
            Bundle::One(amount) => {
                let amount = vector::ShiftAmount::new(b, op, dtype, amount);
                Bundle::Lanes(vectors.iter().map(|&x| amount.shift(b, x)).collect())
            }
            Bundle::Lanes(_) => unreachable!("answered above"),
        }
    }

    /// Calls a native function on all lanes, through memory.
    pub(super) fn call_native(&mut self, op: ScalarOp, dtype: DType, operands: &[Bundle]) -> Bundle {
        let uniform = !operands.iter().any(|o| matches!(o, Bundle::Lanes(_)));
        let lanes = if uniform { 1 } else { self.lanes };
        let mut places = [0, 1, 2].map(|i| self.native_slot(i));
        for (operand, &place) in operands.iter().zip(&places[1..]) {
            if uniform {
                let value = self.scalar(operand, dtype);
                self.b.ins().store(MemFlagsData::trusted(), value, place, 0);
            } else {
                for (i, vector) in self.vectors(operand, dtype).into_iter().enumerate() {
                    self.b.ins().store(MemFlagsData::trusted(), vector, place, i as i32 * 16);
                }
            }
        }
        if operands.len() == 1 {
            places[2] = places[1];
        }
        let function = self.native(op, dtype);
        let count = self.constant(i64::from(lanes));
        self.b.ins().call(function, &[places[0], places[1], places[2], count]);
        if uniform {
            return Bundle::One(self.b.ins().load(scalar_type(dtype), MemFlagsData::trusted(), places[0], 0));
        }
        let vectors = 0..self.vector_count(dtype.size());
        let load = |i| self.b.ins().load(vector_type(dtype), MemFlagsData::trusted(), places[0], i as i32 * 16);
        Bundle::Lanes(vectors.map(load).collect())
    }

    fn native_slot(&mut self, index: usize) -> Value {
        let slot = match self.native_slots[index] {
            Some(slot) => slot,
            None => {
                // Large enough for 128 lanes of 8 bytes, the most there can be.
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 128 * 8, 4);
                let slot = self.b.create_sized_stack_slot(data);
                self.native_slots[index] = Some(slot);
                slot
            }
        };
        self.b.ins().stack_addr(types::I64, slot, 0)
    }

    fn native(&mut self, op: ScalarOp, dtype: DType) -> codegen::ir::FuncRef {
        if let Some(&function) = self.natives.get(&(op, dtype)) {
            return function;
        }
        let mut signature = Signature::new(self.machine.isa.default_call_conv());
        signature.params = vec![AbiParam::new(types::I64); 4];
        let signature = self.b.import_signature(signature);
        let function = self.b.import_function(ExtFuncData {
            name: ExternalName::testcase(native::name(op, dtype)),
            signature,
            colocated: false,
            patchable: false,
        });
        self.natives.insert((op, dtype), function);
        function
    }
}

/// What an op gives whatever the kernel runs on: an op on constants, a choice by a constant.
fn known(op: ScalarOp, operands: &[Bundle]) -> Option<Bundle> {
    if let (ScalarOp::Where, Bundle::Const(condition)) = (op, &operands[0]) {
        return Some(operands[if condition.as_bool() { 1 } else { 2 }].clone());
    }
    let constant = |operand: &Bundle| match operand {
        Bundle::Const(value) => Some(*value),
        Bundle::One(_) | Bundle::Lanes(_) => None,
    };
    let constants: Option<SmallVec<[Scalar; 3]>> = operands.iter().map(constant).collect();
    Some(Bundle::Const((op.row().reference)(&constants?)))
}

/// Values as arguments of a block.
pub(super) fn arguments(values: &[Value]) -> SmallVec<[BlockArg; 8]> {
    values.iter().map(|&value| BlockArg::Value(value)).collect()
}

//! Ops that take more than instructions: remainders of floats, powers of integers, the exact reduction of huge trigonometric
//! arguments. The emulator computes them itself.

use super::{Emitter, from_bits, machine::Target, to_bits};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_jit_llvm::{
    instructions::{Emitted, Value},
    ops::needs_function,
};
use fusewire_lowering::kernel::{Inst, Kernel};

/// The first op of a kernel that PTX has no code for yet.
pub(crate) fn missing_in_ptx(kernel: &Kernel) -> Option<ScalarOp> {
    kernel.values.iter().find_map(|value| match &value.inst {
        Inst::Op(op, operands) => {
            let dtype = kernel.values[operands[operands.len() - 1].0 as usize].dtype;
            needs_function(*op, dtype).then_some(*op)
        }
        _ => None,
    })
}

impl<'c> Emitter<'_, 'c> {
    pub(super) fn native(&mut self, op: ScalarOp, dtype: DType, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        debug_assert_eq!(self.target, Target::Emulator, "kernels for PTX are checked before");
        let i = self.i;
        let number = |n: u32| -> Value<'c> { i.context.i32_type().const_int(n.into(), false).into() };
        let bits = |value: Value<'c>| to_bits(i, value, dtype);
        let (x, y) = (bits(operands[0])?, bits(operands[operands.len() - 1])?);
        let arguments = [number(op as u32), number(dtype as u32), x.into(), y.into()];
        let result = self.machine.call(i, "simt_native", &arguments)?;
        from_bits(i, result.expect("a native op has a result").into_int_value(), dtype)
    }
}

//! Ops on single 128-bit vectors as Cranelift instructions; semantics of `fusewire_ir::reference`, lane by lane.
//!
//! Bool is a mask here. Only instructions that every Cranelift back end has, but where [`Machine::x86`] is asked.

use crate::{isa::Machine, scalar::plain_op};
use cranelift::{
    codegen::ir::{ConstantData, Endianness, InstructionData, Opcode},
    prelude::*,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};

/// Constant bits as a vector of a type.
pub(crate) fn constant(b: &mut FunctionBuilder<'_>, kind: Type, bytes: [u8; 16]) -> Value {
    let handle = b.func.dfg.constants.insert(ConstantData::from(bytes.as_slice()));
    b.ins().vconst(kind, handle)
}

/// A constant in every lane. Not for bools.
pub(crate) fn splat_constant(b: &mut FunctionBuilder<'_>, dtype: DType, value: Scalar) -> Value {
    let (size, bits) = (dtype.size(), value.bits().to_le_bytes());
    constant(b, vector_type(dtype), std::array::from_fn(|i| bits[i % size]))
}

fn vector_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => types::F32X4,
        DType::F64 => types::F64X2,
        _ => integers(dtype.size()),
    }
}

fn integers(size: usize) -> Type {
    match size {
        1 => types::I8X16,
        2 => types::I16X8,
        4 => types::I32X4,
        _ => types::I64X2,
    }
}

/// The same bits as another vector type.
pub(crate) fn reinterpret(b: &mut FunctionBuilder<'_>, to: Type, x: Value) -> Value {
    if b.func.dfg.value_type(x) == to {
        return x;
    }
    b.ins().bitcast(to, MemFlagsData::new().with_endianness(Endianness::Little), x)
}

/// An op on vectors of a dtype other than bool; comparisons give masks as wide as the dtype. Shifts are below.
pub(crate) fn op(
    b: &mut FunctionBuilder<'_>,
    machine: &Machine,
    op: ScalarOp,
    dtype: DType,
    operands: &[Value],
) -> Value {
    use ScalarOp::*;
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    match op {
        Multiply if dtype.size() == 1 => multiply_bytes(b, x, y),
        Maximum | Minimum if dtype.is_float() && machine.x86 => float_extremum(b, op == Maximum, x, y),
        ToBits => reinterpret(b, integers(dtype.size()), x),
        FromBits if dtype == DType::I32 => reinterpret(b, types::F32X4, x),
        FromBits => reinterpret(b, types::F64X2, x),
        _ => plain_op(b, op, dtype, operands),
    }
}

/// Each bitselect of a comparison and its operands is one instruction, `max` or `min`, which gives its second operand for
/// zeros and NaN. Both orders together have what IEEE wants: for the maximum, +0 is the `and` of two zeros, and NaN is put
/// in; for the minimum, -0 is their `or`, and so is a NaN with anything.
fn float_extremum(b: &mut FunctionBuilder<'_>, maximum: bool, x: Value, y: Value) -> Value {
    let kind = b.func.dfg.value_type(x);
    let mut either = |x: Value, y: Value| {
        let first = if maximum { b.ins().fcmp(FloatCC::LessThan, y, x) } else { b.ins().fcmp(FloatCC::LessThan, x, y) };
        let first = reinterpret(b, kind, first);
        b.ins().bitselect(first, x, y)
    };
    let (one, other) = (either(x, y), either(y, x));
    if !maximum {
        return b.ins().bor(one, other);
    }
    let both = b.ins().band(one, other);
    let unordered = b.ins().fcmp(FloatCC::Unordered, x, y);
    let unordered = reinterpret(b, kind, unordered);
    b.ins().bor(both, unordered)
}

/// An op on masks of one width. All ones counts as 1, so unsigned comparisons keep their meaning.
pub(crate) fn mask_op(b: &mut FunctionBuilder<'_>, op: ScalarOp, operands: &[Value]) -> Value {
    use ScalarOp::*;
    let x = operands[0];
    let y = operands.get(1).copied().unwrap_or(x);
    match op {
        And | Minimum => b.ins().band(x, y),
        Or | Maximum => b.ins().bor(x, y),
        Xor | NotEqual => b.ins().bxor(x, y),
        Not => b.ins().bnot(x),
        Equal => {
            let unequal = b.ins().bxor(x, y);
            b.ins().bnot(unequal)
        }
        Less => b.ins().band_not(y, x),
        Greater => b.ins().band_not(x, y),
        LessEqual => b.ins().bor_not(y, x),
        GreaterEqual => b.ins().bor_not(x, y),
        _ => unreachable!("verified kernels have no {} on bool here", op.row().name),
    }
}

/// x86 has no byte products: the low bytes of 16-bit products of the even and of the odd bytes.
fn multiply_bytes(b: &mut FunctionBuilder<'_>, x: Value, y: Value) -> Value {
    let [x, y] = [x, y].map(|v| reinterpret(b, types::I16X8, v));
    let even = b.ins().imul(x, y);
    let high = constant(b, types::I16X8, [0, 0xff].repeat(8).try_into().expect("16 bytes"));
    let eight = b.ins().iconst(types::I32, 8);
    let x_odd = b.ins().ushr(x, eight);
    let y_odd = b.ins().band(y, high);
    // (x >> 8) * (y & 0xff00) has the odd product in its upper byte.
    let odd = b.ins().imul(x_odd, y_odd);
    let low = b.ins().band_not(even, high);
    let both = b.ins().bor(low, odd);
    reinterpret(b, types::I8X16, both)
}

/// `mask ? x : y`, lane by lane; the mask is as wide as their lanes.
pub(crate) fn select(b: &mut FunctionBuilder<'_>, machine: &Machine, mask: Value, x: Value, y: Value) -> Value {
    if let Some(chosen) = extremum(b, mask, x, y) {
        return chosen;
    }
    let kind = b.func.dfg.value_type(x);
    let blend = match kind.lane_bits() {
        32 => types::I32X4,
        64 => types::I64X2,
        _ => types::I8X16,
    };
    // Cranelift knows by itself that a comparison's result can be blended with, that of integers only as what it is; of
    // other masks it must be told.
    let compared = b.func.dfg.value_def(mask).inst().is_some_and(|inst| match b.func.dfg.insts[inst] {
        InstructionData::FloatCompare { .. } => true,
        InstructionData::IntCompare { .. } => kind == b.func.dfg.value_type(mask),
        _ => false,
    });
    if machine.x86 && !compared {
        let [mask, x, y] = [mask, x, y].map(|v| reinterpret(b, blend, v));
        let chosen = b.ins().blendv(mask, x, y);
        return reinterpret(b, kind, chosen);
    }
    let mask = reinterpret(b, kind, mask);
    b.ins().bitselect(mask, x, y)
}

/// The smaller or the larger of two floats, where a choice by their comparison is that, in the form that becomes one
/// instruction: all its operands the very same values, while constants are made anew for each use.
fn extremum(b: &mut FunctionBuilder<'_>, mask: Value, x: Value, y: Value) -> Option<Value> {
    let compare = b.func.dfg.value_def(mask).inst()?;
    let InstructionData::FloatCompare { cond, args, .. } = b.func.dfg.insts[compare] else { return None };
    let [low, high] = match cond {
        FloatCC::LessThan => args,
        FloatCC::GreaterThan => [args[1], args[0]],
        _ => return None,
    };
    let smaller = same(b, low, x) && same(b, high, y);
    let larger = same(b, high, x) && same(b, low, y);
    if !smaller && !larger {
        return None;
    }
    let kind = b.func.dfg.value_type(x);
    let less = if cond == FloatCC::LessThan { mask } else { b.ins().fcmp(FloatCC::LessThan, low, high) };
    let less = reinterpret(b, kind, less);
    Some(if smaller { b.ins().bitselect(less, low, high) } else { b.ins().bitselect(less, high, low) })
}

/// Was the vector masked with these bits already?
pub(crate) fn masked(b: &FunctionBuilder<'_>, x: Value, mask: Value) -> bool {
    let dfg = &b.func.dfg;
    let Some(inst) = dfg.value_def(x).inst() else { return false };
    let InstructionData::Binary { opcode: Opcode::Band, args } = dfg.insts[inst] else { return false };
    same(b, args[1], mask)
}

/// Are two vectors known to have the same bits and type?
fn same(b: &FunctionBuilder<'_>, x: Value, y: Value) -> bool {
    let dfg = &b.func.dfg;
    let constant = |v| match dfg.insts[dfg.value_def(v).inst()?] {
        InstructionData::UnaryConst { constant_handle, .. } => Some(constant_handle),
        _ => None,
    };
    x == y || (dfg.value_type(x) == dfg.value_type(y) && constant(x).is_some_and(|c| constant(y) == Some(c)))
}

/// `value` where the mask is set, else bits of 0, as a vector of a type.
pub(crate) fn and_mask(b: &mut FunctionBuilder<'_>, kind: Type, mask: Value, value: Value) -> Value {
    let integer = b.func.dfg.value_type(mask);
    let value = reinterpret(b, integer, value);
    let result = b.ins().band(mask, value);
    reinterpret(b, kind, result)
}

/// A shift of every lane by a constant.
pub(crate) fn shift_by_constant(
    b: &mut FunctionBuilder<'_>,
    op: ScalarOp,
    dtype: DType,
    x: Value,
    amount: Scalar,
) -> Value {
    let width = u64::from(dtype.bits());
    let inside = amount.bits() < width;
    let by = b.ins().iconst(types::I32, amount.bits().min(width - 1) as i64);
    match op {
        ScalarOp::ShiftRight if dtype.is_signed_integer() => b.ins().sshr(x, by),
        _ if !inside => constant(b, vector_type(dtype), [0; 16]),
        ScalarOp::ShiftRight => b.ins().ushr(x, by),
        _ => b.ins().ishl(x, by),
    }
}

/// A shift of every lane by one amount that is known when the kernel runs.
pub(crate) struct ShiftAmount {
    op: ScalarOp,
    signed: bool,
    by: Value,
    /// Zero when the amount is not inside the width.
    keep: Value,
}

impl ShiftAmount {
    /// Prepares the amount, of the dtype that is shifted.
    pub fn new(b: &mut FunctionBuilder<'_>, op: ScalarOp, dtype: DType, amount: Value) -> ShiftAmount {
        let lane = b.func.dfg.value_type(amount);
        let most = b.ins().iconst(lane, i64::from(dtype.bits()) - 1);
        let inside = b.ins().icmp(IntCC::UnsignedLessThanOrEqual, amount, most);
        let by = b.ins().umin(amount, most);
        let (ones, none) = (b.ins().iconst(types::I64, -1), b.ins().iconst(types::I64, 0));
        let keep = b.ins().select(inside, ones, none);
        let keep = b.ins().splat(types::I64X2, keep);
        let keep = reinterpret(b, vector_type(dtype), keep);
        ShiftAmount { op, signed: dtype.is_signed_integer(), by, keep }
    }

    /// Shifts a vector.
    pub fn shift(&self, b: &mut FunctionBuilder<'_>, x: Value) -> Value {
        let shifted = match self.op {
            ScalarOp::ShiftRight if self.signed => return b.ins().sshr(x, self.by),
            ScalarOp::ShiftRight => b.ins().ushr(x, self.by),
            _ => b.ins().ishl(x, self.by),
        };
        b.ins().band(shifted, self.keep)
    }
}

/// Two vectors of integers of `size` bytes to one of half the width: the low halves, or, for masks, what they are.
pub(crate) fn narrow(b: &mut FunctionBuilder<'_>, size: usize, low: Value, high: Value, mask: bool) -> Value {
    match size {
        8 => {
            let [low, high] = [low, high].map(|v| reinterpret(b, types::I8X16, v));
            let even = bytes(|i| (i / 4 * 8 + i % 4) as u8);
            let narrow = shuffle(b, low, high, even);
            reinterpret(b, types::I32X4, narrow)
        }
        _ if mask => b.ins().snarrow(low, high),
        _ => {
            // Saturation must not see the upper half.
            let keep = bytes(|i| if i % size < size / 2 { 0xff } else { 0 });
            let keep = constant(b, integers(size), keep);
            let (low, high) = (b.ins().band(low, keep), b.ins().band(high, keep));
            b.ins().unarrow(low, high)
        }
    }
}

/// The first `lanes` lanes of `size` bytes in the opposite order.
pub(crate) fn reverse(b: &mut FunctionBuilder<'_>, x: Value, size: usize, lanes: usize) -> Value {
    let used = size * lanes;
    permute(b, x, bytes(|i| if i < used { ((lanes - 1 - i / size) * size + i % size) as u8 } else { i as u8 }))
}

/// The lanes from `bytes_down` bytes upwards, at the bottom.
pub(crate) fn shift_down(b: &mut FunctionBuilder<'_>, x: Value, bytes_down: usize) -> Value {
    permute(b, x, bytes(|i| ((i + bytes_down) % 16) as u8))
}

/// For each lane of `size` bytes the lane that it is `from`, or the one of another vector where it is from none.
pub(crate) fn lanes_or(
    b: &mut FunctionBuilder<'_>,
    x: Value,
    other: Value,
    size: usize,
    from: impl Fn(usize) -> Option<usize>,
) -> Value {
    let kind = b.func.dfg.value_type(x);
    let [x, other] = [x, other].map(|v| reinterpret(b, types::I8X16, v));
    let order = bytes(|i| from(i / size).map_or(16 + i, |lane| lane * size + i % size) as u8);
    let result = shuffle(b, x, other, order);
    reinterpret(b, kind, result)
}

/// The upper eight bytes, at the bottom.
pub(crate) fn high_half(b: &mut FunctionBuilder<'_>, x: Value) -> Value {
    shift_down(b, x, 8)
}

/// The lower eight bytes of two vectors.
pub(crate) fn join_low_halves(b: &mut FunctionBuilder<'_>, low: Value, high: Value) -> Value {
    let kind = b.func.dfg.value_type(low);
    let [low, high] = [low, high].map(|v| reinterpret(b, types::I8X16, v));
    let joined = shuffle(b, low, high, bytes(|i| (i + i / 8 * 8) as u8));
    reinterpret(b, kind, joined)
}

fn bytes(f: impl Fn(usize) -> u8) -> [u8; 16] {
    std::array::from_fn(f)
}

fn permute(b: &mut FunctionBuilder<'_>, x: Value, order: [u8; 16]) -> Value {
    let kind = b.func.dfg.value_type(x);
    let x = reinterpret(b, types::I8X16, x);
    let result = shuffle(b, x, x, order);
    reinterpret(b, kind, result)
}

fn shuffle(b: &mut FunctionBuilder<'_>, low: Value, high: Value, order: [u8; 16]) -> Value {
    let order = b.func.dfg.immediates.push(ConstantData::from(order.as_slice()));
    b.ins().shuffle(low, high, order)
}

/// float32 to int32: truncation, MIN where the value does not fit and for NaN.
pub(crate) fn f32_to_i32(b: &mut FunctionBuilder<'_>, machine: &Machine, x: Value) -> Value {
    if machine.x86 {
        return b.ins().x86_cvtt2dq(types::I32X4, x);
    }
    let limit = splat_constant(b, DType::F32, Scalar::f32(2f32.powi(31)));
    let below = b.ins().fcmp(FloatCC::LessThan, x, limit);
    let saturated = b.ins().fcvt_to_sint_sat(types::I32X4, x);
    let minimum = splat_constant(b, DType::I32, Scalar::from_i64(DType::I32, i64::from(i32::MIN)));
    b.ins().bitselect(below, saturated, minimum)
}

/// Two float64 to int32 in the low half; x86 only.
pub(crate) fn f64_to_i32(b: &mut FunctionBuilder<'_>, x: Value) -> Value {
    // The back end knows this pair of instructions as one.
    let wide = b.ins().x86_cvtt2dq(types::I64X2, x);
    let zero = constant(b, types::I64X2, [0; 16]);
    b.ins().snarrow(wide, zero)
}

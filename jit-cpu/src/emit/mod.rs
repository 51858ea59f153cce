//! A phase of a kernel to one Cranelift function, `extern "C" fn(buffers, ints, params, scratch, begin, end, stop, fault)`,
//! which runs the items `begin..end` of the phase in row-major order, and gives up soon after the byte behind `stop` is not 0
//! any more. An index of the data that is outside its axis sets the byte behind `fault` to 1.
//!
//! The same code emits scalar and vector loops: inside a vector loop [`Emitter::lanes`] is more than 1, and a value is a
//! [`values::Bundle`] of as many 128-bit vectors as its lanes need. Instructions of single ops are in `scalar.rs` and
//! `vector.rs`, one level up; here is what connects them.

mod access;
mod cast;
mod hoist;
mod lanes;
mod loops;
mod rare;
mod reduce;
mod scan;
mod strips;
mod values;

use crate::isa::Machine;
use cranelift::{
    codegen::ir::{FuncRef, Function, StackSlot, UserFuncName},
    prelude::*,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::kernel::{
    BufferId, Inst, IntId, Kernel, KernelParam, Loop, LoopKind, Phase, Range, Role, Stmt, ValueId, VarId,
};
use rustc_hash::{FxHashMap, FxHashSet};
use values::Bundle;

/// Bytes between the scratch buffers of an item.
pub(crate) const SCRATCH_ALIGNMENT: u64 = 64;

/// Emits phase `index` of a kernel into an empty function.
pub(crate) fn phase(
    kernel: &Kernel,
    index: usize,
    machine: &Machine,
    function: &mut Function,
    context: &mut FunctionBuilderContext,
) {
    let phase = &kernel.phases[index];
    function.name = UserFuncName::testcase(format!("phase{index}"));
    let pointer = AbiParam::new(types::I64);
    function.signature = Signature::new(machine.isa.default_call_conv());
    function.signature.params = vec![pointer; 9];

    let mut b = FunctionBuilder::new(function, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let arguments: [Value; 8] = std::array::from_fn(|i| b.block_params(entry)[i]);
    let mut emitter = Emitter {
        b,
        kernel,
        machine,
        buffers: vec![None; kernel.buffers.len()],
        ints: vec![None; kernel.ints.len()],
        params: vec![None; kernel.params.len()],
        vars: vec![None; kernel.vars as usize],
        depth: 0,
        values: vec![None; kernel.values.len()],
        lanes: 1,
        vector_var: None,
        hoisted: hoist::Hoisted::default(),
        escape: None,
        stop: arguments[6],
        fault: arguments[7],
        stopped: None,
        native_slots: [None; 3],
        natives: FxHashMap::default(),
    };
    emitter.arguments(phase, arguments);
    emitter.items(phase, arguments[4], arguments[5]);
    emitter.b.ins().return_(&[]);
    if let Some(stopped) = emitter.stopped {
        emitter.b.switch_to_block(stopped);
        emitter.b.ins().return_(&[]);
    }
    emitter.b.seal_all_blocks();
    emitter.b.finalize(machine.isa.frontend_config());
}

/// What is known while a phase is being emitted.
pub(crate) struct Emitter<'a> {
    b: FunctionBuilder<'a>,
    kernel: &'a Kernel,
    machine: &'a Machine,
    /// The arguments that the phase uses.
    buffers: Vec<Option<Value>>,
    ints: Vec<Option<Value>>,
    params: Vec<Option<Value>>,
    /// The variables in scope: the value (of the first lane), and how deep its loop is.
    vars: Vec<Option<(Value, u32)>>,
    depth: u32,
    values: Vec<Option<Bundle>>,
    /// Lanes of the vector loop that is being emitted, else 1.
    lanes: u32,
    vector_var: Option<VarId>,
    hoisted: hoist::Hoisted,
    /// Inside vector loops that can give up a group of lanes.
    escape: Option<rare::Escape>,
    /// Where the byte lies that says whether to stop, and the block that returns then.
    stop: Value,
    stopped: Option<Block>,
    /// Where the byte lies that says that an index was out of bounds.
    fault: Value,
    /// Memory through which bundles are passed to native functions and back.
    native_slots: [Option<StackSlot>; 3],
    natives: FxHashMap<(ScalarOp, DType), FuncRef>,
}

impl Emitter<'_> {
    /// Loads the arguments that the phase uses; the code after it never touches the argument arrays again.
    fn arguments(&mut self, phase: &Phase, [buffers, ints, params, scratch, ..]: [Value; 8]) {
        let mut uses = Uses::of(self.kernel);
        uses.phase(phase);
        let scratch_used = uses.buffers.iter().any(|&id| self.kernel.buffers[id.0 as usize].role == Role::Scratch);
        if scratch_used {
            for declaration in self.kernel.buffers.iter().filter(|d| d.role == Role::Scratch) {
                uses.ints.extend(declaration.length);
            }
        }
        // In the order of the declarations, so that equal kernels give equal code.
        let flags = MemFlagsData::trusted().with_readonly().with_can_move();
        for (index, place) in self.ints.iter_mut().enumerate() {
            if uses.ints.contains(&IntId(index as u32)) {
                *place = Some(self.b.ins().load(types::I64, flags, ints, index as i32 * 8));
            }
        }
        for (index, place) in self.params.iter_mut().enumerate() {
            if uses.params.contains(&KernelParam(index as u32)) {
                let dtype = self.kernel.params[index];
                *place = Some(self.b.ins().load(values::scalar_type(dtype), flags, params, index as i32 * 8));
            }
        }
        let mut scratch_end = scratch;
        for (index, declaration) in self.kernel.buffers.iter().enumerate() {
            let used = uses.buffers.contains(&BufferId(index as u32));
            match declaration.role {
                Role::Input | Role::Output | Role::Temporary if used => {
                    self.buffers[index] = Some(self.b.ins().load(types::I64, flags, buffers, index as i32 * 8));
                }
                Role::Input | Role::Output | Role::Temporary => {}
                Role::Scratch if scratch_used => {
                    self.buffers[index] = Some(scratch_end);
                    let length = self.int(declaration.length.expect("scratch has a length"));
                    let bytes = self.b.ins().imul_imm_s(length, declaration.dtype.size() as i64);
                    let rounded = self.b.ins().iadd_imm_s(bytes, SCRATCH_ALIGNMENT as i64 - 1);
                    let rounded = self.b.ins().band_imm_s(rounded, -(SCRATCH_ALIGNMENT as i64));
                    scratch_end = self.b.ins().iadd(scratch_end, rounded);
                }
                Role::Scratch => {}
            }
        }
    }

    /// The loop over items. Indices are decoded from `begin` once and then counted like an odometer.
    fn items(&mut self, phase: &Phase, begin: Value, end: Value) {
        let extents: Vec<Value> = phase.dims.iter().map(|&(_, extent)| self.int(extent)).collect();
        let mut first = Vec::new();
        if phase.dims.len() > 1 {
            let mut rest = begin;
            for (axis, &extent) in extents.iter().enumerate().rev() {
                if axis == 0 {
                    first.push(rest);
                } else {
                    first.push(self.b.ins().urem(rest, extent));
                    rest = self.b.ins().udiv(rest, extent);
                }
            }
            first.reverse();
        }
        self.hoist_places(&phase.body);
        self.counted_loop(begin, end, 1, first, |e, item, indices| {
            let indices_or_item = if phase.dims.len() == 1 { std::slice::from_ref(&item) } else { indices };
            for (&(var, _), &index) in phase.dims.iter().zip(indices_or_item) {
                e.vars[var.0 as usize] = Some((index, e.depth));
                e.depth += 1;
            }
            e.block(&phase.body);
            let mut carry = None;
            let mut next = indices.to_vec();
            for (index, &extent) in next.iter_mut().zip(&extents).rev() {
                let stepped = match carry {
                    None => e.b.ins().iadd_imm_s(*index, 1),
                    Some(carry) => {
                        let carry = e.b.ins().uextend(types::I64, carry);
                        e.b.ins().iadd(*index, carry)
                    }
                };
                let wraps = e.b.ins().icmp(IntCC::Equal, stepped, extent);
                let zero = e.b.ins().iconst(types::I64, 0);
                *index = e.b.ins().select(wraps, zero, stepped);
                carry = Some(wraps);
            }
            next
        });
    }

    /// Statements in order.
    fn block(&mut self, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(value) => self.define(*value),
                Stmt::Store { buffer, at, value } => self.store(*buffer, at, *value),
                Stmt::Loop(inner) => self.any_loop(inner),
            }
        }
    }

    fn any_loop(&mut self, inner: &Loop) {
        match inner.kind {
            LoopKind::Vector { lanes } if lanes > 1 && self.lanes == 1 => self.vector_loop(inner, u32::from(lanes)),
            LoopKind::Vector { .. } | LoopKind::Serial => self.serial_loop(inner),
        }
    }

    fn int(&self, id: IntId) -> Value {
        self.ints[id.0 as usize].expect("every integer of the phase is loaded at its start")
    }

    fn var(&self, id: VarId) -> Value {
        self.vars[id.0 as usize].expect("verified kernels use variables inside their loops").0
    }

    fn value(&self, id: ValueId) -> Bundle {
        self.values[id.0 as usize].clone().expect("verified kernels define values before they use them")
    }

    fn dtype(&self, id: ValueId) -> DType {
        self.kernel.values[id.0 as usize].dtype
    }

    fn constant(&mut self, value: i64) -> Value {
        self.b.ins().iconst(types::I64, value)
    }
}

/// The arguments that a phase uses.
struct Uses<'a> {
    kernel: &'a Kernel,
    buffers: FxHashSet<BufferId>,
    ints: FxHashSet<IntId>,
    params: FxHashSet<KernelParam>,
}

impl<'a> Uses<'a> {
    fn of(kernel: &'a Kernel) -> Uses<'a> {
        Uses { kernel, buffers: FxHashSet::default(), ints: FxHashSet::default(), params: FxHashSet::default() }
    }

    fn phase(&mut self, phase: &Phase) {
        self.ints.extend(phase.dims.iter().map(|&(_, extent)| extent));
        self.block(&phase.body);
    }

    fn block(&mut self, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(value) => match &self.kernel.values[value.0 as usize].inst {
                    Inst::Param(param) => {
                        self.params.insert(*param);
                    }
                    inst @ (Inst::Index(_) | Inst::Position { .. }) => self.ints.extend(inst.ints()),
                    inst @ (Inst::Load { buffer, .. } | Inst::Gather { buffer, .. }) => {
                        self.buffers.insert(*buffer);
                        self.ints.extend(inst.ints());
                    }
                    Inst::Const(_) | Inst::Op(..) | Inst::Cast(_) | Inst::Reduced | Inst::Running => {}
                },
                Stmt::Store { buffer, at, .. } => {
                    self.buffers.insert(*buffer);
                    self.ints.extend(at.ints());
                }
                Stmt::Loop(inner) => {
                    match inner.range {
                        Range::Full(extent) | Range::Tile { extent, .. } => self.ints.insert(extent),
                    };
                    self.block(&inner.body);
                }
            }
        }
    }
}

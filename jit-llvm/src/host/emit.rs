//! The function around a phase's body: its arguments, the loop over items, statements in order.

use super::{
    Functions,
    groups::Groups,
    machine::{Extern, Machine},
    rows::Turned,
};
use crate::instructions::{Emitted, Instructions, Value};
use fusewire_ir::dtype::DType;
use fusewire_lowering::kernel::{IntId, Kernel, Loop, LoopKind, Phase, Role, Stmt, ValueId, VarId};
use inkwell::{
    AddressSpace, IntPredicate,
    basic_block::BasicBlock,
    values::{BasicValue, IntValue, PointerValue, VectorValue},
};

/// Bytes between the scratch buffers of an item.
pub const SCRATCH_ALIGNMENT: u64 = 64;

/// What a phase's function is called inside its module.
pub(super) const NAME: &str = "phase";

/// Emits phase `index` of a kernel as the one function of a module. Returns the functions that it calls.
pub(super) fn phase(
    to: &Instructions<'_>,
    machine: &Machine,
    kernel: &Kernel,
    index: usize,
    functions: &Functions,
) -> Result<Vec<Extern>, String> {
    let phase = &kernel.phases[index];
    let pointer = to.context.ptr_type(AddressSpace::default());
    let word = to.context.i64_type();
    let parameters = [pointer, pointer, pointer, pointer].map(Into::into);
    let parameters = [&parameters[..], &[word.into(), word.into(), pointer.into(), pointer.into()]].concat();
    let function = to.module.add_function(NAME, to.context.void_type().fn_type(&parameters, false), None);
    machine.mark(to.context, function);
    let at = |i: u32| function.get_nth_param(i).expect("a parameter");
    let pointer = |i: u32| at(i).into_pointer_value();
    to.switch_to(to.context.append_basic_block(function, "entry"));
    let mut emitter = Emitter {
        to,
        machine,
        kernel,
        functions,
        externs: Vec::new(),
        buffers: vec![None; kernel.buffers.len()],
        ints: vec![None; kernel.ints.len()],
        params: vec![None; kernel.params.len()],
        arguments: [pointer(0), pointer(1), pointer(2), pointer(3)],
        vars: vec![None; kernel.vars as usize],
        depth: 0,
        values: vec![None; kernel.values.len()],
        lanes: 1,
        vector_var: None,
        there: None,
        turned: Vec::new(),
        escape: None,
        stop: pointer(6),
        fault: pointer(7),
        stopped: None,
        native_slots: [None; 3],
    };
    let mut body = || {
        emitter.load_arguments()?;
        emitter.items(phase, at(4).into_int_value(), at(5).into_int_value())?;
        to.builder.build_return(None)?;
        if let Some(stopped) = emitter.stopped {
            to.switch_to(stopped);
            to.builder.build_return(None)?;
        }
        Emitted::Ok(())
    };
    body().map_err(|error| error.to_string())?;
    Ok(emitter.externs)
}

/// What is known while a phase is being emitted.
pub(super) struct Emitter<'k, 'c> {
    pub to: &'k Instructions<'c>,
    pub machine: &'k Machine,
    pub kernel: &'k Kernel,
    pub functions: &'k Functions,
    pub externs: Vec<Extern>,
    buffers: Vec<Option<PointerValue<'c>>>,
    ints: Vec<Option<IntValue<'c>>>,
    pub params: Vec<Option<Value<'c>>>,
    /// The arrays of buffers, integers and parameters; scratch.
    arguments: [PointerValue<'c>; 4],
    /// The variables in scope: the value (of the first lane), and how deep its loop is.
    pub vars: Vec<Option<(IntValue<'c>, u32)>>,
    pub depth: u32,
    /// An element where all lanes have the same.
    pub values: Vec<Option<Value<'c>>>,
    /// Lanes of the vector loop that is being emitted, else 1.
    pub lanes: u32,
    pub vector_var: Option<VarId>,
    /// The lanes that are there, where not all of them may be.
    pub there: Option<There<'c>>,
    /// Inside a serial loop of a vector loop: loads that find short rows turned.
    pub turned: Vec<Turned<'c>>,
    /// Inside vector loops that can give up a group of lanes: where to go then, and which arguments were tested.
    pub escape: Option<(BasicBlock<'c>, Vec<Value<'c>>)>,
    /// Where the byte lies that says whether to stop, and the block that returns then.
    pub stop: PointerValue<'c>,
    pub stopped: Option<BasicBlock<'c>>,
    /// Where the byte lies that says that an index was out of bounds.
    pub fault: PointerValue<'c>,
    /// Memory through which vectors are passed to functions and back.
    pub native_slots: [Option<PointerValue<'c>>; 3],
}

/// Lanes of a vector: the first so many.
#[derive(Clone, Copy)]
pub(super) struct There<'c> {
    pub mask: VectorValue<'c>,
    pub count: IntValue<'c>,
}

impl<'c> Emitter<'_, 'c> {
    /// Loads the arguments. Those that the phase does not use are dropped by LLVM.
    fn load_arguments(&mut self) -> Emitted<()> {
        let to = self.to;
        let [buffers, ints, params, scratch] = self.arguments;
        for index in 0..self.ints.len() {
            let place = to.element(DType::I64, ints, to.index(index as i64))?;
            self.ints[index] = Some(to.load(DType::I64, place)?.into_int_value());
        }
        for (index, &dtype) in self.kernel.params.iter().enumerate() {
            let place = to.element(DType::I64, params, to.index(index as i64))?;
            self.params[index] = Some(to.load(dtype, place)?);
        }
        let mut scratch_end = scratch;
        for (index, declaration) in self.kernel.buffers.iter().enumerate() {
            self.buffers[index] = Some(match declaration.role {
                Role::Input | Role::Output | Role::Temporary => {
                    let place = to.element(DType::I64, buffers, to.index(index as i64))?;
                    to.builder.build_load(scratch.get_type(), place, "")?.into_pointer_value()
                }
                Role::Scratch => {
                    let length = self.int(declaration.length.expect("scratch has a length"));
                    let size = to.index(declaration.dtype.size() as i64);
                    let bytes = to.builder.build_int_mul(length, size, "")?;
                    let more = to.builder.build_int_add(bytes, to.index(SCRATCH_ALIGNMENT as i64 - 1), "")?;
                    let rounded = to.builder.build_and(more, to.index(-(SCRATCH_ALIGNMENT as i64)), "")?;
                    let next = to.offset(scratch_end, rounded)?;
                    std::mem::replace(&mut scratch_end, next)
                }
            });
        }
        Ok(())
    }

    /// The loop over items. Indices are decoded from `begin` once and then counted like an odometer.
    fn items(&mut self, phase: &Phase, begin: IntValue<'c>, end: IntValue<'c>) -> Emitted<()> {
        let to = self.to;
        let extents: Vec<IntValue<'c>> = phase.dims.iter().map(|&(_, extent)| self.int(extent)).collect();
        let mut first: Vec<Value<'c>> = Vec::new();
        if phase.dims.len() > 1 {
            // Only where there are items: an extent may be 0.
            let (decode, none) = (to.block("decode"), to.block("none"));
            let any = to.builder.build_int_compare(IntPredicate::SLT, begin, end, "")?;
            to.branch(any.into(), decode, none)?;
            to.switch_to(none);
            to.builder.build_return(None)?;
            to.switch_to(decode);
            let mut rest = begin;
            for (axis, &extent) in extents.iter().enumerate().rev() {
                if axis == 0 {
                    first.push(rest.into());
                } else {
                    first.push(to.builder.build_int_unsigned_rem(rest, extent, "")?.into());
                    rest = to.builder.build_int_unsigned_div(rest, extent, "")?;
                }
            }
            first.reverse();
        }
        let begin = match Groups::of(self.kernel, phase) {
            Some(groups) => self.groups(&groups, begin, end)?,
            None => begin,
        };
        to.counted_loop(begin, end, to.index(1), &first, |item, indices| {
            let mut indices: Vec<IntValue<'c>> = indices.iter().map(|index| index.into_int_value()).collect();
            let known = if phase.dims.len() == 1 { std::slice::from_ref(&item) } else { &indices };
            for (&(var, _), &index) in phase.dims.iter().zip(known) {
                self.enter(var, index);
            }
            self.block(&phase.body)?;
            let mut carry = to.index(1);
            for (index, &extent) in indices.iter_mut().zip(&extents).rev() {
                let stepped = to.builder.build_int_add(*index, carry, "")?;
                let wraps = to.builder.build_int_compare(IntPredicate::EQ, stepped, extent, "")?;
                *index = to.builder.build_select(wraps, to.index(0), stepped, "")?.into_int_value();
                carry = to.builder.build_int_z_extend(wraps, to.context.i64_type(), "")?;
            }
            Ok(indices.into_iter().map(Into::into).collect())
        })?;
        Ok(())
    }

    /// Statements in order.
    pub fn block(&mut self, statements: &[Stmt]) -> Emitted<()> {
        for statement in statements {
            match statement {
                Stmt::Let(value) => self.define(*value)?,
                Stmt::Store { buffer, at, value } => self.store(*buffer, at, *value)?,
                Stmt::Loop(inner) => self.any_loop(inner)?,
            }
        }
        Ok(())
    }

    fn any_loop(&mut self, inner: &Loop) -> Emitted<()> {
        match inner.kind {
            LoopKind::Vector { lanes } if lanes > 1 && self.lanes == 1 => match inner.search(self.kernel) {
                Some(search) => self.search_loop(inner, &search),
                None => self.vector_loop(inner, u32::from(lanes)),
            },
            LoopKind::Vector { .. } | LoopKind::Serial => self.serial_loop(inner),
        }
    }

    pub fn buffer(&self, index: u32) -> PointerValue<'c> {
        self.buffers[index as usize].expect("every buffer is loaded at the start")
    }

    pub fn int(&self, id: IntId) -> IntValue<'c> {
        self.ints[id.0 as usize].expect("every integer is loaded at the start")
    }

    pub fn var(&self, id: VarId) -> IntValue<'c> {
        self.vars[id.0 as usize].expect("verified kernels use variables inside their loops").0
    }

    pub fn value(&self, id: ValueId) -> Value<'c> {
        self.values[id.0 as usize].expect("verified kernels define values before they use them")
    }

    pub fn dtype(&self, id: ValueId) -> DType {
        self.kernel.values[id.0 as usize].dtype
    }

    /// The lanes that are there, when not all of them are known to be.
    pub fn mask(&self) -> Option<VectorValue<'c>> {
        self.there.map(|there| there.mask)
    }

    /// A memory access that nothing may move or leave out.
    pub fn volatile(value: &dyn BasicValue<'c>) {
        if let Some(instruction) = value.as_instruction_value() {
            instruction.set_volatile(true).expect("loads can be volatile");
        }
    }
}

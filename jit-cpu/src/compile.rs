//! A kernel to a compiled kernel: one function a phase, and what a launch needs to know about it.

use crate::{
    code::Code,
    cost::Cost,
    emit,
    isa::{self, Machine},
};
use cranelift::{
    codegen::{CodegenError, Context, control::ControlPlane, ir::Function},
    prelude::FunctionBuilderContext,
};
use fusewire_lowering::kernel::{IntId, Kernel, Role};
use fusewire_runtime::{backend::Executable, error::Error};
use std::{any::Any, cell::Cell};

/// A kernel's machine code.
#[derive(Debug)]
pub(crate) struct Compiled {
    code: Code,
    /// In the order of the kernel.
    pub phases: Vec<CompiledPhase>,
    /// Length and element size of each scratch buffer.
    pub scratch: Vec<(IntId, usize)>,
}

/// One phase's function.
#[derive(Debug)]
pub(crate) struct CompiledPhase {
    /// Where it begins; valid as long as the kernel.
    pub function: PhaseFunction,
    /// The extents whose product is the number of items.
    pub extents: Vec<IntId>,
    /// What an item computes.
    pub cost: Cost,
}

/// What a phase's function looks like from outside; see `emit`.
pub(crate) type PhaseFunction = unsafe extern "C" fn(
    buffers: *const *mut u8,
    ints: *const i64,
    params: *const u64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
    stop: *const bool,
);

impl Executable for Compiled {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.code.bytes()
    }
}

thread_local! {
    /// Cranelift's memory, kept from compilation to compilation.
    static CONTEXT: Cell<Option<Box<(Context, FunctionBuilderContext)>>> = const { Cell::new(None) };
}

/// Compiles every phase of a kernel.
pub(crate) fn compile(kernel: &Kernel) -> Result<Compiled, Error> {
    let mut code = Code::new(isa::machine()?);
    let mut functions = Vec::with_capacity(kernel.phases.len());
    for index in 0..kernel.phases.len() {
        let name = format!("{}:{index}", kernel.name);
        functions.push(with_emitted(kernel, index, |_, context| code.define(&name, context))?);
    }
    code.finish()?;
    let phases = kernel.phases.iter().zip(functions).map(|(phase, function)| {
        let address = code.address(function);
        // SAFETY: at this address lies the code of a function that was compiled with exactly this signature.
        let function = unsafe { std::mem::transmute::<*const u8, PhaseFunction>(address) };
        let extents = phase.dims.iter().map(|&(_, extent)| extent).collect();
        CompiledPhase { function, extents, cost: Cost::of_item(kernel, phase) }
    });
    let phases = phases.collect();
    let scratch = kernel.buffers.iter().filter(|b| b.role == Role::Scratch);
    let scratch = scratch.filter_map(|b| b.length.map(|length| (length, b.dtype.size()))).collect();
    Ok(Compiled { code, phases, scratch })
}

/// The kernel as Cranelift's code before it optimises, and as assembly.
pub(crate) fn explain(kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
    let (mut clif, mut assembly) = (String::new(), String::new());
    for index in 0..kernel.phases.len() {
        with_emitted(kernel, index, |machine, context| {
            context.set_disasm(true);
            clif.push_str(&context.func.display().to_string());
            let code = context.compile(machine.isa.as_ref(), &mut ControlPlane::default());
            let code = code.map_err(|error| refused(&kernel.name, &error.inner, error.func))?;
            assembly.push_str(&format!("phase{index}:\n"));
            assembly.push_str(code.vcode.as_deref().unwrap_or_default());
            Ok(())
        })?;
    }
    Ok(vec![("clif", clif), ("asm", assembly)])
}

/// What Cranelift says of code that it cannot compile.
pub(crate) fn refused(name: &str, error: &CodegenError, function: &Function) -> Error {
    Error::Internal(format!("Cranelift refuses kernel {name}: {error:?}\n{}", function.display()))
}

/// Emits a phase into a context, and hands it over.
fn with_emitted<T>(
    kernel: &Kernel,
    phase: usize,
    finish: impl FnOnce(&Machine, &mut Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let machine = isa::machine()?;
    // Taken out, and put back only after success: what a failure leaves behind must not meet the next kernel.
    let mut kept = CONTEXT.take().unwrap_or_else(|| Box::new((Context::new(), FunctionBuilderContext::new())));
    let (context, builder) = &mut *kept;
    context.clear();
    context.set_disasm(false);
    emit::phase(kernel, phase, machine, &mut context.func, builder);
    let result = finish(machine, context)?;
    CONTEXT.set(Some(kept));
    Ok(result)
}

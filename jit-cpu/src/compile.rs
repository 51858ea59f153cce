//! A kernel to a compiled kernel: one function a phase, and what a launch needs to know about it.

use crate::{
    code::{Code, Function},
    emit, isa,
};
use cranelift::{
    codegen::{Context, control::ControlPlane},
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
    offset: usize,
    /// The extents whose product is the number of items.
    pub extents: Vec<IntId>,
}

/// What a phase's function looks like from outside; see `emit`.
pub(crate) type PhaseFunction = unsafe extern "C" fn(
    buffers: *const *mut u8,
    ints: *const i64,
    params: *const u64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
);

impl Compiled {
    /// The function of a phase; valid as long as `self`.
    pub fn function(&self, phase: &CompiledPhase) -> PhaseFunction {
        let address = self.code.address(phase.offset);
        // SAFETY: at this address lies the code of a function that was compiled with exactly this signature.
        unsafe { std::mem::transmute::<*const u8, PhaseFunction>(address) }
    }
}

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
    let mut functions = Vec::with_capacity(kernel.phases.len());
    for index in 0..kernel.phases.len() {
        functions.push(with_compiled(kernel, index, false, |context, _| {
            let code = context.compiled_code().ok_or_else(|| Error::Internal("no code".into()))?;
            let buffer = &code.buffer;
            Ok(Function { bytes: buffer.data().to_vec(), relocations: buffer.relocs().to_vec() })
        })?);
    }
    let (code, offsets) = Code::new(&functions)?;
    let phases = kernel.phases.iter().zip(offsets).map(|(phase, offset)| CompiledPhase {
        offset,
        extents: phase.dims.iter().map(|&(_, extent)| extent).collect(),
    });
    let scratch = kernel.buffers.iter().filter(|b| b.role == Role::Scratch);
    let scratch = scratch.filter_map(|b| b.length.map(|length| (length, b.dtype.size()))).collect();
    Ok(Compiled { code, phases: phases.collect(), scratch })
}

/// The kernel as Cranelift's code before it optimises, and as assembly.
pub(crate) fn explain(kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
    let (mut clif, mut assembly) = (String::new(), String::new());
    for index in 0..kernel.phases.len() {
        with_compiled(kernel, index, true, |context, text| {
            clif.push_str(&text);
            assembly.push_str(&format!("phase{index}:\n"));
            assembly.push_str(context.compiled_code().and_then(|code| code.vcode.as_deref()).unwrap_or_default());
            Ok(())
        })?;
    }
    Ok(vec![("clif", clif), ("asm", assembly)])
}

fn with_compiled<T>(
    kernel: &Kernel,
    phase: usize,
    text: bool,
    finish: impl FnOnce(&Context, String) -> Result<T, Error>,
) -> Result<T, Error> {
    let machine = isa::machine()?;
    // Taken out, and put back only after success: what a failure leaves behind must not meet the next kernel.
    let mut kept = CONTEXT.take().unwrap_or_else(|| Box::new((Context::new(), FunctionBuilderContext::new())));
    let (context, builder) = &mut *kept;
    context.clear();
    context.set_disasm(text);
    emit::phase(kernel, phase, machine, &mut context.func, builder);
    let clif = if text { context.func.display().to_string() } else { String::new() };
    if let Err(error) = context.compile(machine.isa.as_ref(), &mut ControlPlane::default()) {
        let (name, inner) = (&kernel.name, &error.inner);
        return Err(Error::Internal(format!("Cranelift refuses kernel {name}: {inner:?}\n{}", error.func.display())));
    }
    let result = finish(context, clif);
    CONTEXT.set(Some(kept));
    result
}

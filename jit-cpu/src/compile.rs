//! A kernel to a compiled kernel: one function a phase, and what a launch needs to know about it. A phase is compiled when
//! it first has items: kernels have phases for wide and for narrow arrays, and most only ever meet one of the two.

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
use std::{any::Any, cell::Cell, sync::OnceLock};

/// A kernel with the machine code of the phases that have run.
#[derive(Debug)]
pub(crate) struct Compiled {
    kernel: Kernel,
    /// In the order of the kernel.
    pub phases: Vec<CompiledPhase>,
    /// Length and element size of each scratch buffer.
    pub scratch: Vec<(IntId, usize)>,
}

/// One phase's function.
#[derive(Debug)]
pub(crate) struct CompiledPhase {
    index: usize,
    code: OnceLock<Code>,
    /// The extents whose product is the number of items.
    pub extents: Vec<IntId>,
}

/// What the books say of the code of a phase that is not compiled yet.
const EXPECTED_CODE_BYTES: usize = 4096;

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
    pub fn function(&self, phase: &CompiledPhase) -> Result<PhaseFunction, Error> {
        let code = match phase.code.get() {
            Some(code) => code,
            None => {
                // Compiled outside the lock: a process that forks meanwhile must not inherit a lock that nobody opens.
                // Of two threads that compile at once, one throws its code away.
                let code = compile_phase(&self.kernel, phase.index)?;
                phase.code.get_or_init(|| code)
            }
        };
        // SAFETY: at this address lies the code of a function that was compiled with exactly this signature.
        Ok(unsafe { std::mem::transmute::<*const u8, PhaseFunction>(code.address()) })
    }
}

impl Executable for Compiled {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.phases.iter().map(|phase| phase.code.get().map_or(EXPECTED_CODE_BYTES, Code::bytes)).sum()
    }
}

thread_local! {
    /// Cranelift's memory, kept from compilation to compilation.
    static CONTEXT: Cell<Option<Box<(Context, FunctionBuilderContext)>>> = const { Cell::new(None) };
}

/// Prepares a kernel. The work is done when a phase first runs.
pub(crate) fn compile(kernel: &Kernel) -> Compiled {
    let phases = kernel.phases.iter().enumerate().map(|(index, phase)| CompiledPhase {
        index,
        code: OnceLock::new(),
        extents: phase.dims.iter().map(|&(_, extent)| extent).collect(),
    });
    let scratch = kernel.buffers.iter().filter(|b| b.role == Role::Scratch);
    let scratch = scratch.filter_map(|b| b.length.map(|length| (length, b.dtype.size()))).collect();
    Compiled { phases: phases.collect(), scratch, kernel: kernel.clone() }
}

fn compile_phase(kernel: &Kernel, index: usize) -> Result<Code, Error> {
    with_compiled(kernel, index, false, |context, _| {
        let code = context.compiled_code().ok_or_else(|| Error::Internal("no code".into()))?;
        let buffer = &code.buffer;
        Code::new(&Function { bytes: buffer.data().to_vec(), relocations: buffer.relocs().to_vec() })
    })
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

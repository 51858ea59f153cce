//! A kernel to a compiled kernel: one function a phase, and what a launch needs to know about it.
//!
//! A phase is compiled when it first has items: kernels have phases for wide and for narrow arrays, and most only ever
//! meet one of the two. What has never run on much data is compiled in a hurry, and again with care when it has run for about as
//! long as that takes or meets a lot: code that runs once should not cost more than it saves. What has run for long is compiled once more, by LLVM
//! (`hot.rs`). All compute the same bits.

use crate::{
    code::Code,
    cost::Cost,
    emit, hot,
    isa::{self, Effort, Machine},
    threads::Work,
};
use cranelift::{
    codegen::{CodegenError, Context, control::ControlPlane, ir::Function},
    prelude::FunctionBuilderContext,
};
use fusewire_jit_llvm::host::PhaseFunction;
use fusewire_lowering::kernel::{IntId, Kernel, Role};
use fusewire_runtime::{backend::Executable, error::Error};
use std::{
    any::Any,
    cell::Cell,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Which code a phase runs as. The results' bits do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// Cranelift's at first, LLVM's once it is hot; compiled on a thread of its own.
    #[default]
    Rising,
    /// Cranelift's, always.
    Cranelift,
    /// LLVM's from the start, compiled by whoever launches it; Cranelift's on machines that LLVM's is not made for.
    Llvm,
}

/// A kernel with the machine code of the phases that have run.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub parts: Arc<Parts>,
    tier: Tier,
}

/// What a compiled kernel consists of; the compiling thread holds it weakly.
#[derive(Debug)]
pub(crate) struct Parts {
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
    quick: OnceLock<Code>,
    thorough: OnceLock<Code>,
    optimised: OnceLock<hot::Code>,
    /// Vector instructions that it ran as quick code, about.
    run: AtomicU64,
    heat: hot::Heat,
    /// The extents whose product is the number of items.
    pub extents: Vec<IntId>,
    /// What an item computes.
    pub cost: Cost,
}

/// A launch that moves more bytes is worth careful code at once, ...
const MUCH_DATA: u64 = 256 << 10;

/// ... and so is what computes more instructions, in one launch or in many: careful code takes a few hundred us to make, and
/// saves a third or so of the time that quick code takes.
const MUCH_WORK: u64 = 1 << 21;

/// What a launch counts for at least, in instructions.
const LAUNCH: u64 = 1 << 10;

/// What the books say of the code of a phase that is not compiled yet.
const EXPECTED_CODE_BYTES: usize = 4096;

impl CompiledPhase {
    /// Is careful code to be made before this launch, which else is one more with quick code?
    fn is_worth_care(&self, work: &Work) -> bool {
        let now = work.instructions().saturating_add(LAUNCH);
        work.bytes > MUCH_DATA || self.run.fetch_add(now, Relaxed).saturating_add(now) > MUCH_WORK
    }
}

impl Compiled {
    /// The function of a phase for so much work; valid as long as `self`.
    pub fn function(&self, phase: &CompiledPhase, work: &Work) -> Result<PhaseFunction, Error> {
        if let Some(code) = self.optimised(phase, work)? {
            return Ok(function(code.address()));
        }
        let code = match phase.thorough.get() {
            Some(code) => code,
            None if phase.is_worth_care(work) => self.parts.compiled(phase, &phase.thorough, Effort::Thorough)?,
            None => self.parts.compiled(phase, &phase.quick, Effort::Quick)?,
        };
        Ok(function(code.address()))
    }

    /// LLVM's code, when there is some. Where it would pay to have it, it is ordered.
    fn optimised<'a>(&self, phase: &'a CompiledPhase, work: &Work) -> Result<Option<&'a hot::Code>, Error> {
        if let Some(code) = phase.optimised.get() {
            return Ok(Some(code));
        }
        match self.tier {
            Tier::Cranelift => Ok(None),
            Tier::Rising => {
                if phase.heat.rises(work) {
                    hot::order(Arc::downgrade(&self.parts), phase.index);
                }
                Ok(None)
            }
            Tier::Llvm => self.parts.optimise(phase.index).map(|()| phase.optimised.get()),
        }
    }
}

/// A phase's code as what it is.
fn function(address: *const u8) -> PhaseFunction {
    // SAFETY: at this address lies the code of a function that was compiled with exactly this signature.
    unsafe { std::mem::transmute::<*const u8, PhaseFunction>(address) }
}

impl Parts {
    /// Compiles a phase with LLVM, where this machine has that.
    pub fn optimise(&self, index: usize) -> Result<(), Error> {
        if let Some(code) = hot::compile(&self.kernel, index)? {
            let _ = self.phases[index].optimised.set(code);
        }
        Ok(())
    }

    /// The code in a slot, compiled if need be. Outside the slot's lock: a process that forks meanwhile must not inherit a
    /// lock that nobody opens. Of two threads that compile at once, one throws its code away.
    fn compiled<'a>(&self, phase: &CompiledPhase, slot: &'a OnceLock<Code>, effort: Effort) -> Result<&'a Code, Error> {
        if let Some(code) = slot.get() {
            return Ok(code);
        }
        let name = format!("{}:{}", self.kernel.name, phase.index);
        let code = with_emitted(&self.kernel, phase.index, effort, |machine, context| {
            Code::new(&name, &machine.isa, context)
        })?;
        Ok(slot.get_or_init(|| code))
    }
}

impl Executable for Compiled {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        let slots = |phase: &CompiledPhase| {
            let compiled = [&phase.quick, &phase.thorough].into_iter().filter_map(OnceLock::get);
            let optimised = phase.optimised.get().map_or(0, hot::Code::bytes);
            (compiled.map(Code::bytes).sum::<usize>() + optimised).max(EXPECTED_CODE_BYTES)
        };
        self.parts.phases.iter().map(slots).sum()
    }
}

thread_local! {
    /// Cranelift's memory, kept from compilation to compilation.
    static CONTEXT: Cell<Option<Box<(Context, FunctionBuilderContext)>>> = const { Cell::new(None) };
}

/// Prepares a kernel. The work is done when a phase first runs.
pub(crate) fn compile(kernel: &Kernel, tier: Tier) -> Compiled {
    let phases = kernel.phases.iter().enumerate().map(|(index, phase)| CompiledPhase {
        index,
        quick: OnceLock::new(),
        thorough: OnceLock::new(),
        optimised: OnceLock::new(),
        run: AtomicU64::new(0),
        heat: hot::Heat::of(kernel, &phase.body),
        extents: phase.dims.iter().map(|&(_, extent)| extent).collect(),
        cost: Cost::of_item(kernel, phase),
    });
    let scratch = kernel.buffers.iter().filter(|b| b.role == Role::Scratch);
    let scratch = scratch.filter_map(|b| b.length.map(|length| (length, b.dtype.size()))).collect();
    let parts = Parts { phases: phases.collect(), scratch, kernel: kernel.clone() };
    Compiled { parts: Arc::new(parts), tier }
}

/// The kernel as Cranelift's code before it optimises, and as assembly; as LLVM's code after it has optimised, and as assembly.
pub(crate) fn explain(kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
    let (mut clif, mut assembly) = (String::new(), String::new());
    for index in 0..kernel.phases.len() {
        with_emitted(kernel, index, Effort::Thorough, |machine, context| {
            context.set_disasm(true);
            clif.push_str(&context.func.display().to_string());
            let code = context.compile(machine.isa.as_ref(), &mut ControlPlane::default());
            let code = code.map_err(|error| refused(&kernel.name, &error.inner, error.func))?;
            assembly.push_str(&format!("phase{index}:\n"));
            assembly.push_str(code.vcode.as_deref().unwrap_or_default());
            Ok(())
        })?;
    }
    let mut stages = vec![("clif", clif), ("asm", assembly)];
    stages.extend(hot::explain(kernel)?);
    Ok(stages)
}

/// What Cranelift says of code that it cannot compile.
pub(crate) fn refused(name: &str, error: &CodegenError, function: &Function) -> Error {
    Error::Internal(format!("Cranelift refuses kernel {name}: {error:?}\n{}", function.display()))
}

/// Emits a phase into a context, and hands it over.
fn with_emitted<T>(
    kernel: &Kernel,
    phase: usize,
    effort: Effort,
    finish: impl FnOnce(&Machine, &mut Context) -> Result<T, Error>,
) -> Result<T, Error> {
    let machine = isa::machine(effort)?;
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

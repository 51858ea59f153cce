//! A phase's kernel in this machine's code.

use super::machine::{Function, functions};
use crate::{
    emit::{self, machine::Target},
    schedule::{Schedule, THREADS},
};
use fusewire_jit_llvm::{host, instructions::Instructions};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::error::Error;
use inkwell::context::Context;

/// The code of a phase. Dropping it frees it.
pub(crate) struct Code {
    code: host::Code,
    /// How many threads wait for each other.
    team: usize,
}

/// What the function is called.
const NAME: &str = "kernel";

impl Code {
    /// Compiles a phase.
    pub fn compile(kernel: &Kernel, number: usize, schedule: &Schedule) -> Result<Code, Error> {
        let context = Context::create();
        let i = emitted(&context, kernel, number, schedule)?;
        let waits = ["simt_barrier", "simt_exchange"].iter().any(|name| i.module.get_function(name).is_some());
        let externs = functions().map(|(name, address)| (name.to_owned(), address));
        let Instructions { module, builder, .. } = i;
        drop(builder);
        let code = machine()?.load(module, NAME, &externs).map_err(|message| refused(kernel, &message))?;
        let team = if waits { THREADS / schedule.worker.in_block() } else { 1 };
        Ok(Code { code, team: team as usize })
    }

    /// The function; valid as long as `self`.
    pub fn function(&self) -> Function {
        // SAFETY: at this address lies the code of a function that was emitted with exactly this signature.
        unsafe { std::mem::transmute::<*const u8, Function>(self.code.address()) }
    }

    /// How many threads wait for each other, at most; 1 where none does.
    pub fn team(&self) -> usize {
        self.team
    }
}

fn machine() -> Result<&'static host::Machine, Error> {
    host::Machine::hurried()
        .ok_or_else(|| Error::Unsupported("the emulator needs an x86-64 processor with AVX2".into()))
}

fn emitted<'c>(
    context: &'c Context,
    kernel: &Kernel,
    number: usize,
    schedule: &Schedule,
) -> Result<Instructions<'c>, Error> {
    let (machine, i) = (machine()?, Instructions::new(context, &kernel.name));
    emit::phase(&i, kernel, &kernel.phases[number], schedule, Target::Emulator, NAME)
        .map_err(|error| refused(kernel, &error.to_string()))?;
    machine.mark(context, i.function());
    machine.optimise(&i.module).map_err(|message| refused(kernel, &message))?;
    Ok(i)
}

fn refused(kernel: &Kernel, message: &str) -> Error {
    Error::Internal(format!("LLVM refuses kernel {}: {message}", kernel.name))
}

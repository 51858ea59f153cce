//! A GPU's code as this machine's.

use super::machine::{Function, functions};
use crate::{driver::Source, emit::machine::Target};
use fusewire_jit_llvm::{host, instructions::Instructions};
use fusewire_runtime::error::Error;
use inkwell::context::Context;

/// Code. Dropping it frees it.
pub(crate) struct Code {
    code: host::Code,
    /// How many threads wait for each other.
    team: usize,
}

/// What the function is called.
const NAME: &str = "kernel";

impl Code {
    /// Compiles it.
    pub fn compile(source: Source<'_>) -> Result<Code, Error> {
        let context = Context::create();
        let i = emitted(&context, source)?;
        let waits = ["simt_barrier", "simt_exchange"].iter().any(|name| i.module.get_function(name).is_some());
        let externs = functions().map(|(name, address)| (name.to_owned(), address));
        let Instructions { module, builder, .. } = i;
        drop(builder);
        let code = machine()?.load(module, NAME, &externs).map_err(|message| refused(source, &message))?;
        Ok(Code { code, team: if waits { source.team() as usize } else { 1 } })
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

fn emitted<'c>(context: &'c Context, source: Source<'_>) -> Result<Instructions<'c>, Error> {
    let (machine, i) = (machine()?, Instructions::new(context, &source.name()));
    source.emit(&i, Target::Emulator, NAME).map_err(|error| refused(source, &error.to_string()))?;
    machine.mark(context, i.function());
    machine.optimise(&i.module).map_err(|message| refused(source, &message))?;
    Ok(i)
}

fn refused(source: Source<'_>, message: &str) -> Error {
    Error::Internal(format!("LLVM refuses kernel {}: {message}", source.name()))
}

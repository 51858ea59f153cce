//! The machine that code is made for: this one, with every extension that it has, compiled for in a hurry or with care.
//! Each is built once a process.

use cranelift::codegen::{
    isa::OwnedTargetIsa,
    settings::{self, Configurable},
};
use fusewire_runtime::error::Error;
use std::sync::OnceLock;

/// How much time a compilation may take. The results' bits do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effort {
    /// Registers in one pass: about 0.6 of the time, for a kernel that has not shown that it will come back.
    Quick,
    /// Registers with backtracking.
    Thorough,
}

/// Cranelift's description of this machine, and the settings of every compilation.
pub(crate) struct Machine {
    /// The instruction set and its settings.
    pub isa: OwnedTargetIsa,
    /// Does it have x86-64's own instructions (`cvttps2dq` and its like)?
    pub x86: bool,
}

/// The machine, or why it cannot be compiled for.
pub(crate) fn machine(effort: Effort) -> Result<&'static Machine, Error> {
    static QUICK: OnceLock<Result<Machine, Error>> = OnceLock::new();
    static THOROUGH: OnceLock<Result<Machine, Error>> = OnceLock::new();
    let built = match effort {
        Effort::Quick => &QUICK,
        Effort::Thorough => &THOROUGH,
    };
    built.get_or_init(|| build(effort)).as_ref().map_err(Clone::clone)
}

fn build(effort: Effort) -> Result<Machine, Error> {
    let internal = |message: String| Error::Internal(format!("Cranelift cannot compile for this machine: {message}"));
    let mut flags = settings::builder();
    let mut set = |name: &str, value: &str| flags.set(name, value).map_err(|e| internal(e.to_string()));
    // Measured on a 30-op float32 kernel and on Black-Scholes in float64 (306 values, 4 lanes), with the emitter's own
    // hoisting: "none" compiles them in 0.36 and 0.9 ms and the second takes 16 ns an element; "speed" needs 0.62 and 1.8 ms,
    // and 34 ns, because it moves more constants out of the loop than there are registers.
    set("opt_level", "none")?;
    set(
        "regalloc_algorithm",
        match effort {
            Effort::Quick => "single_pass",
            Effort::Thorough => "backtracking",
        },
    )?;
    set("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" })?;
    // Frames may be larger than a guard page: a kernel keeps the stacks of its cascading sums there.
    set("enable_probestack", "true")?;
    set("probestack_strategy", "inline")?;
    // Nothing unwinds through a kernel, and native functions are called through their absolute addresses.
    set("unwind_info", "false")?;
    set("is_pic", "false")?;
    set("use_colocated_libcalls", "false")?;
    let builder = cranelift_native::builder().map_err(|e| internal(e.to_string()))?;
    let isa = builder.finish(settings::Flags::new(flags)).map_err(|e| internal(e.to_string()))?;
    let x86 = isa.name() == "x64";
    Ok(Machine { isa, x86 })
}

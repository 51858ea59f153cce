//! A phase of a kernel as a function of this machine, a [`PhaseFunction`], which runs the items `begin..end` of the phase in row-major
//! order, and gives up soon after the byte behind `stop` is not 0 any more. An index of the data that is outside its axis sets the byte
//! behind `fault` to 1.
//!
//! A vector loop of L lanes computes with `<L x T>` vectors, which LLVM spreads over the machine's registers. The iterations that
//! fill no vector are one more vector of which a mask says how much is there. Loops without reductions may have other lanes
//! than the kernel says; those of reductions are part of the meaning.

mod code;
mod emit;
mod extrema;
mod folds;
mod groups;
mod loops;
mod machine;
mod places;
mod rows;
mod scan;
mod search;
mod transpose;
mod values;

pub use code::Code;
pub use emit::SCRATCH_ALIGNMENT;
pub use machine::{Extern, Machine};

use crate::instructions::Instructions;
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::kernel::Kernel;
use inkwell::context::Context;

/// What a phase's function looks like from outside, whoever has compiled it.
pub type PhaseFunction = unsafe extern "C" fn(
    buffers: *const *mut u8,
    ints: *const i64,
    params: *const u64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
    stop: *const bool,
    fault: *mut bool,
    // Not 0 where results are so large that they had better go past the caches.
    streams: i64,
);

/// The function of an op on a dtype, for those of which [`crate::ops::needs_function`] is true: how it is called in texts, and
/// its address. It computes `out[l] = op(a[l], b[l])` for so many lanes, `extern "C" fn(out, a, b, lanes)`; ops of one operand
/// get it twice.
pub type Functions = dyn Fn(ScalarOp, DType) -> Extern;

/// Phase `index` of a kernel in memory.
pub fn compile(machine: &Machine, kernel: &Kernel, index: usize, functions: &Functions) -> Result<Code, String> {
    if !code::Memory::has_room() {
        return Err("there is not enough memory to compile in".to_owned());
    }
    let context = Context::create();
    let to = Instructions::new(&context, &kernel.name);
    let externs = emit::phase(&to, machine, kernel, index, functions)?;
    machine.optimise(&to.module)?;
    machine.load(to.module, emit::NAME, &externs)
}

/// Phase `index` of a kernel as optimised LLVM IR, and as assembly.
pub fn explain(
    machine: &Machine,
    kernel: &Kernel,
    index: usize,
    functions: &Functions,
) -> Result<(String, String), String> {
    let context = Context::create();
    let to = Instructions::new(&context, &kernel.name);
    emit::phase(&to, machine, kernel, index, functions)?;
    machine.optimise(&to.module)?;
    let assembly = machine.assembly(&to.module)?;
    Ok((to.module.print_to_string().to_string(), assembly))
}

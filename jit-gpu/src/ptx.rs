//! A kernel's phases as PTX, the text that NVIDIA's driver and `ptxas` make machine code of.

use crate::{
    emit::{self, machine::Target},
    schedule::Schedule,
};
use fusewire_jit_llvm::instructions::Instructions;
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::error::Error;
use inkwell::{
    OptimizationLevel,
    context::Context,
    passes::PassBuilderOptions,
    targets::{
        CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple,
    },
};

/// A GPU's compute capability, as in `sm_80`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Capability(pub u32);

/// What the kernel of a phase is called.
pub fn name(phase: usize) -> String {
    format!("phase{phase}")
}

/// A kernel after the kernel passes: a module with a GPU kernel a phase.
pub fn module(kernel: &Kernel, capability: Capability) -> Result<String, Error> {
    let refused = |message: String| Error::Internal(format!("LLVM refuses kernel {}: {message}", kernel.name));
    let machine = machine(capability).map_err(refused)?;
    let context = Context::create();
    let i = Instructions::new(&context, &kernel.name);
    for (number, phase) in kernel.phases.iter().enumerate() {
        let schedule = Schedule::of(kernel, phase);
        emit::phase(&i, kernel, phase, &schedule, Target::Ptx, &name(number))
            .map_err(|error| refused(error.to_string()))?;
    }
    i.module.set_triple(&machine.get_triple());
    i.module.set_data_layout(&machine.get_target_data().get_data_layout());
    i.module.verify().map_err(|message| refused(message.to_string()))?;
    // The assembler unrolls what is worth it; done before, it is left with more at once than there are registers.
    let options = PassBuilderOptions::create();
    options.set_loop_unrolling(false);
    i.module.run_passes("default<O2>", &machine, options).map_err(|message| refused(message.to_string()))?;
    let text = machine.write_to_memory_buffer(&i.module, FileType::Assembly);
    let text = text.map_err(|message| refused(message.to_string()))?;
    Ok(String::from_utf8_lossy(text.as_slice()).trim_end_matches('\0').to_owned())
}

fn machine(capability: Capability) -> Result<TargetMachine, String> {
    LlvmTarget::initialize_nvptx(&InitializationConfig::default());
    let triple = TargetTriple::create("nvptx64-nvidia-cuda");
    let target = LlvmTarget::from_triple(&triple).map_err(|message| message.to_string())?;
    let (cpu, level) = (format!("sm_{}", capability.0), OptimizationLevel::Default);
    let machine = target.create_target_machine(&triple, &cpu, "+ptx80", level, RelocMode::Default, CodeModel::Default);
    machine.ok_or_else(|| format!("there is no target {cpu}"))
}

//! A kernel's phases as PTX, the text that NVIDIA's driver and `ptxas` make machine code of.

use crate::{driver::Source, emit::machine::Target, schedule::Schedules};
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

impl Capability {
    /// What code is made for on a GPU of this capability: the newest target that it runs. Newer GPUs run the code of older ones.
    /// `None` where there is none.
    pub fn target(major: u32, minor: u32) -> Option<Capability> {
        let own = major * 10 + minor;
        TARGETS.iter().rev().find(|&&target| target <= own).copied().map(Capability)
    }
}

/// What is shown of kernels where there is no GPU.
pub const SHOWN: Capability = Capability(80);

/// Targets that LLVM has for the PTX of [`machine`].
const TARGETS: [u32; 6] = [75, 80, 86, 87, 89, 90];

/// Words of arguments that a kernel has at most in PTX 8.0, which every driver for CUDA 12 knows. In PTX 8.1, which those for
/// CUDA 12.1 and newer know, there are eight times as many.
const MOST_WORDS: usize = 512;

/// What the kernel of a module of one is called.
pub const NAME: &str = "kernel";

/// A kernel after the kernel passes: a module with a GPU kernel for each schedule of each phase.
pub fn module(kernel: &Kernel, capability: Capability) -> Result<String, Error> {
    Ok(texts(&kernel.name, &phases(kernel), capability)?.assembly)
}

/// A module with one GPU kernel, [`NAME`].
pub fn text(source: Source<'_>, capability: Capability) -> Result<String, Error> {
    Ok(texts(&source.name(), &[(source, NAME.into())], capability)?.assembly)
}

/// Every schedule of every phase, with the name of its GPU kernel.
fn phases(kernel: &Kernel) -> Vec<(Source<'_>, String)> {
    let schedules = |number: usize| {
        let named = move |schedule: usize| match schedule {
            0 => format!("phase{number}"),
            _ => format!("phase{number}_{schedule}"),
        };
        let all = 0..Schedules::of(kernel, &kernel.phases[number]).all.len();
        all.map(move |schedule| (Source::Phase(kernel, number, schedule), named(schedule)))
    };
    (0..kernel.phases.len()).flat_map(schedules).collect()
}

/// The stages of a kernel as text, by their names: LLVM's IR of its GPU kernels, and PTX.
pub fn stages(kernel: &Kernel, capability: Capability) -> Result<Vec<(&'static str, String)>, Error> {
    let Texts { ir, assembly } = texts(&kernel.name, &phases(kernel), capability)?;
    Ok(vec![("gpu", ir), ("ptx", assembly)])
}

/// A module as LLVM's IR, and as what becomes of it.
struct Texts {
    ir: String,
    assembly: String,
}

fn texts(name: &str, sources: &[(Source<'_>, String)], capability: Capability) -> Result<Texts, Error> {
    let refused = |message: String| Error::Internal(format!("LLVM refuses kernel {name}: {message}"));
    let words = sources.iter().map(|(source, _)| source.words().0).max().unwrap_or(0);
    let machine = machine(capability, if words <= MOST_WORDS { "+ptx80" } else { "+ptx81" }).map_err(refused)?;
    let context = Context::create();
    let i = Instructions::new(&context, name);
    for (source, name) in sources {
        source.emit(&i, Target::Ptx, name).map_err(|error| refused(error.to_string()))?;
    }
    i.module.set_triple(&machine.get_triple());
    i.module.set_data_layout(&machine.get_target_data().get_data_layout());
    i.module.verify().map_err(|message| refused(message.to_string()))?;
    // The assembler unrolls what is worth it; done before, it is left with more at once than there are registers.
    let options = PassBuilderOptions::create();
    options.set_loop_unrolling(false);
    i.module.run_passes("default<O2>", &machine, options).map_err(|message| refused(message.to_string()))?;
    let ir = i.module.print_to_string().to_string();
    let text = machine.write_to_memory_buffer(&i.module, FileType::Assembly);
    let text = text.map_err(|message| refused(message.to_string()))?;
    Ok(Texts { ir, assembly: String::from_utf8_lossy(text.as_slice()).trim_end_matches('\0').to_owned() })
}

fn machine(capability: Capability, version: &str) -> Result<TargetMachine, String> {
    LlvmTarget::initialize_nvptx(&InitializationConfig::default());
    let triple = TargetTriple::create("nvptx64-nvidia-cuda");
    let target = LlvmTarget::from_triple(&triple).map_err(|message| message.to_string())?;
    let (cpu, level) = (format!("sm_{}", capability.0), OptimizationLevel::Default);
    let machine = target.create_target_machine(&triple, &cpu, version, level, RelocMode::Default, CodeModel::Default);
    machine.ok_or_else(|| format!("there is no target {cpu}"))
}

#[cfg(test)]
mod tests {
    use super::Capability;

    #[test]
    fn targets_are_the_newest_that_a_gpu_runs() {
        let targets = [(7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 1)];
        let targets = targets.map(|(major, minor)| Capability::target(major, minor).map(|target| target.0));
        assert_eq!(targets, [None, Some(75), Some(80), Some(86), Some(89), Some(90), Some(90), Some(90)]);
    }
}

//! This machine as LLVM's target: what it is called, which instructions it has, and how a module becomes code for it.

use crate::host::code::{Code, Memory};
use inkwell::{
    OptimizationLevel,
    attributes::AttributeLoc,
    context::Context,
    module::Module,
    passes::PassBuilderOptions,
    targets::{CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple},
    values::FunctionValue,
};
use std::sync::OnceLock;

/// What to compile for.
#[derive(Debug)]
pub struct Machine {
    triple: String,
    cpu: String,
    features: String,
    level: OptimizationLevel,
    passes: &'static str,
}

/// A function that compiled code calls: its name, and its address.
pub type Extern = (String, usize);

/// What the passes do, in order, after the emitter: common parts of addresses and splats exist once, what loops do not change is
/// computed before them, and small things are put into one instruction. Nothing is vectorised, nothing is unrolled: the
/// emitter has done that.
const PASSES: &str = "function(early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm<allowspeculation>),\
                      gvn<no-pre;no-load-pre;no-split-backedge-load-pre>,instsimplify)";

/// What the passes do where code runs once, on little: code is compiled faster for it than they take.
const FEW_PASSES: &str = "function(early-cse)";

/// Makes LLVM's x86 known to it; again does nothing.
fn initialise() {
    let config = InitializationConfig {
        asm_parser: false,
        asm_printer: true,
        base: true,
        disassembler: false,
        info: true,
        machine_code: true,
    };
    Target::initialize_x86(&config);
}

impl Machine {
    /// This machine, when it has what the emitted code needs: x86-64 with AVX2 and FMA, without which LLVM calls functions for
    /// single instructions.
    pub fn this() -> Option<&'static Machine> {
        static THIS: OnceLock<Option<Machine>> = OnceLock::new();
        THIS.get_or_init(|| {
            if !cfg!(target_arch = "x86_64") {
                return None;
            }
            initialise();
            let machine = Machine {
                triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
                cpu: TargetMachine::get_host_cpu_name().to_string(),
                features: TargetMachine::get_host_cpu_features().to_string(),
                level: OptimizationLevel::Default,
                passes: PASSES,
            };
            machine.has("avx2").then_some(machine).filter(|machine| machine.has("fma"))
        })
        .as_ref()
    }

    /// This machine, for code that runs once, on little: compiling is what takes the time then. It has the instructions that
    /// every processor with AVX2 has, so that their list is not read again for every function.
    pub fn hurried() -> Option<&'static Machine> {
        static HURRIED: OnceLock<Option<Machine>> = OnceLock::new();
        let hurried = |machine: &Machine| Machine {
            triple: machine.triple.clone(),
            cpu: "x86-64-v3".to_owned(),
            features: String::new(),
            level: OptimizationLevel::None,
            passes: FEW_PASSES,
        };
        HURRIED.get_or_init(|| Machine::this().map(hurried)).as_ref()
    }

    /// A processor by LLVM's name with features such as `+avx2`, to see code for; this machine may be another one.
    pub fn named(cpu: &str, features: &str) -> Machine {
        initialise();
        Machine {
            triple: "x86_64-unknown-linux-gnu".into(),
            cpu: cpu.into(),
            features: features.into(),
            level: OptimizationLevel::Default,
            passes: PASSES,
        }
    }

    /// Does it have the instructions of this name?
    pub fn has(&self, feature: &str) -> bool {
        self.features.split(',').any(|known| known.strip_prefix('+') == Some(feature))
    }

    /// Bytes of its vectors.
    pub fn vector_bytes(&self) -> u32 {
        let wide = ["avx512f", "avx512bw", "avx512dq", "avx512vl"].iter().all(|feature| self.has(feature));
        if wide { 64 } else { 32 }
    }

    /// Says that a function is for this machine, and that nothing unwinds through it.
    pub fn mark<'c>(&self, context: &'c Context, function: FunctionValue<'c>) {
        let add = |attribute| function.add_attribute(AttributeLoc::Function, attribute);
        add(context.create_string_attribute("target-cpu", &self.cpu));
        add(context.create_string_attribute("target-features", &self.features));
        // Frames may be larger than a guard page: the stacks of cascading sums lie there.
        add(context.create_string_attribute("probe-stack", "inline-asm"));
        let unwinds = inkwell::attributes::Attribute::get_named_enum_kind_id("nounwind");
        add(context.create_enum_attribute(unwinds, 0));
    }

    /// Runs the passes over a module.
    pub fn optimise(&self, module: &Module<'_>) -> Result<(), String> {
        if cfg!(debug_assertions) {
            module.verify().map_err(|error| format!("{error}\n{}", module.print_to_string()))?;
        }
        let target = self.target()?;
        module.set_triple(&target.get_triple());
        module.set_data_layout(&target.get_target_data().get_data_layout());
        module.run_passes(self.passes, &target, PassBuilderOptions::create()).map_err(|error| error.to_string())
    }

    /// The assembly of an optimised module.
    pub fn assembly(&self, module: &Module<'_>) -> Result<String, String> {
        let buffer = self.target()?.write_to_memory_buffer(module, FileType::Assembly);
        let buffer = buffer.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(buffer.as_slice()).trim_end_matches('\0').to_owned())
    }

    /// The code of a function of an optimised module, in memory of its own.
    pub fn load(&self, module: Module<'_>, name: &str, externs: &[Extern]) -> Result<Code, String> {
        let memory = Memory::reserve()?;
        let engine = module
            .create_mcjit_execution_engine_with_memory_manager(
                memory.clone(),
                self.level,
                CodeModel::Small,
                false,
                false,
            )
            .map_err(|error| error.to_string())?;
        for (name, address) in externs {
            if let Some(function) = module.get_function(name) {
                engine.add_global_mapping(&function, *address);
            }
        }
        let address = engine.get_function_address(name).map_err(|error| error.to_string())?;
        drop((module, engine));
        memory.into_code(address)
    }

    fn target(&self) -> Result<TargetMachine, String> {
        let triple = TargetTriple::create(&self.triple);
        let target = Target::from_triple(&triple).map_err(|error| error.to_string())?;
        target
            .create_target_machine(&triple, &self.cpu, &self.features, self.level, RelocMode::PIC, CodeModel::Small)
            .ok_or_else(|| format!("LLVM has no target for {} on {}", self.cpu, self.triple))
    }
}

//! Every stage of a graph as text, from capture to machine code: what `dump-ir` prints and the stage files of the tests
//! hold. The texts are those of the IRs; here they are only collected, in order.

use crate::{backend::Backend, compile, error::Error};
use fusewire_ir::{fusion::partition, graph::Graph};
use fusewire_lowering::{kernel::Kernel, lower, pass::KernelPass, program::Step, text};

/// A stage that a graph goes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage {
    /// What `dump-ir --stage` calls it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

/// The graph as it was captured.
pub const CAPTURED: Stage = Stage { name: "captured", doc: "The graph as it was captured." };
/// The graph after each graph pass.
pub const GRAPH_PASS: Stage = Stage { name: "graph-pass", doc: "The graph after each graph pass." };
/// The regions that fusion cut the graph into, each with its reasons and its traffic.
pub const REGIONS: Stage = Stage { name: "regions", doc: "The regions that fusion cut the graph into." };
/// What lowering made of them.
pub const PROGRAM: Stage = Stage { name: "program", doc: "Arrays and steps: what lowering made of the regions." };
/// Each kernel as lowering made it.
pub const KERNEL: Stage = Stage { name: "kernel", doc: "Each kernel as lowering made it." };
/// Each kernel after each kernel pass.
pub const KERNEL_PASS: Stage = Stage { name: "kernel-pass", doc: "Each kernel after each kernel pass." };
/// What the back end makes of each kernel.
pub const CODE: Stage =
    Stage { name: "code", doc: "The back end's own stages of each kernel: on the CPU clif and asm." };

/// Every stage, in order.
pub const STAGES: &[Stage] = &[CAPTURED, GRAPH_PASS, REGIONS, PROGRAM, KERNEL, KERNEL_PASS, CODE];

/// The name of a [`CODE`] text that says why there is no code.
pub const FAILED: &str = "failed";

/// One text of a stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageText {
    /// The stage.
    pub stage: Stage,
    /// For passes the pass's name, for code the back end's stage (`clif`), else the stage's name.
    pub name: &'static str,
    /// Which step of the program it belongs to; `None`: the whole graph.
    pub step: Option<usize>,
    /// The graph, program, kernel or code.
    pub text: String,
}

/// Every stage of a captured graph. A pass that changes nothing has its text all the same.
pub fn stages(graph: &Graph, backend: &dyn Backend) -> Result<Vec<StageText>, Error> {
    let mut texts = Vec::new();
    let mut add = |stage: Stage, name, text| texts.push(StageText { stage, name, step: None, text });
    add(CAPTURED, CAPTURED.name, graph.to_string());
    let optimized = compile::optimize_graph(graph, &mut |pass, graph| add(GRAPH_PASS, pass.name, graph.to_string()))?;
    let partition = partition(&optimized, backend.limits());
    add(REGIONS, REGIONS.name, partition.text(&optimized));
    let program = lower::program_of(&optimized, &partition);
    add(PROGRAM, PROGRAM.name, text::print_program(&program));
    for (number, step) in program.steps.iter().enumerate() {
        let Step::Launch { kernel, .. } = step else { continue };
        texts.extend(kernel_stages(kernel, Some(number), backend)?);
    }
    Ok(texts)
}

/// The stages of one kernel as lowering made it; `step` is its number in a program, if it is in one.
pub fn kernel_stages(kernel: &Kernel, step: Option<usize>, backend: &dyn Backend) -> Result<Vec<StageText>, Error> {
    let mut texts = Vec::new();
    let mut add = |stage: Stage, name, text| texts.push(StageText { stage, name, step, text });
    add(KERNEL, KERNEL.name, text::print(kernel));
    let mut observe = |pass: &KernelPass, kernel: &Kernel| add(KERNEL_PASS, pass.name, text::print(kernel));
    let optimized = compile::optimize_kernel(kernel.clone(), &mut observe)?;
    // What the back end cannot compile is what one wants to look at.
    match backend.explain(&optimized) {
        Ok(codes) => codes.into_iter().for_each(|(name, code)| add(CODE, name, code)),
        Err(problem) => add(CODE, FAILED, format!("{problem}\n")),
    }
    Ok(texts)
}

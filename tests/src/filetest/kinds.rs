//! What a filetest can do: [`KINDS`] has a row for each kind.

use super::{Case, kernels, values};
use fusewire_ir::{
    dtype::DType,
    fusion::{cost::Limits, partition},
    graph::Graph,
    interp::evaluate,
    ops::ScalarOp,
    pass::{PIPELINE, Pass, find, run_pipeline},
    text::parse::parse,
    verify::verify,
};
use fusewire_jit_cpu::CpuBackend;
use fusewire_jit_llvm::host::{self, Machine};
use fusewire_lowering::{
    lower,
    program::{Program, Step},
    text,
    verify::verify_lowered,
};
use fusewire_runtime::backend::Backend;

/// Parses text and prints it.
pub type Reprint = fn(&str) -> Result<String, String>;

/// A kind of test.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What stands in the header.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Parses the file's text and prints it; checked to be stable for every file of the kind. `None` for text that is wrong
    /// on purpose.
    pub reprint: Option<Reprint>,
    /// Does `run` itself decide, so that the file needs no checks?
    pub decides: bool,
    /// Runs the test and gives what the file's checks look at.
    pub run: fn(&Case<'_>) -> Result<String, String>,
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "parse-error",
        doc: "The text does not parse; the output is the error with its line and column in the file.",
        reprint: None,
        decides: false,
        run: |case| match parse(case.text) {
            Ok(_) => Err("it parses".to_owned()),
            Err(error) => Ok(format!("{error}\n")),
        },
    },
    Kind {
        name: "round-trip",
        doc: "The text is canonical: it prints as it stands. The output is that text.",
        reprint: Some(reprint_graph),
        decides: true,
        run: |case| {
            let printed = reprint_graph(case.text)?;
            if printed == case.body { Ok(printed) } else { Err(format!("prints as:\n{printed}")) }
        },
    },
    Kind {
        name: "print",
        doc: "The output is the canonical text.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| reprint_graph(case.text),
    },
    Kind {
        name: "interp",
        doc: "Evaluates the graph with the file's settings; the output has a line for each result, or the error.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| {
            let graph = graph(case.text)?;
            let results = evaluate(&graph, &values::binding(&graph, &case.settings)?);
            Ok(results.map_or_else(|e| format!("error: {e}\n"), |r| values::print(&r)))
        },
    },
    Kind {
        name: "pass",
        doc: "Runs the passes that the header names; results must stay the same on random inputs. The output is the graph.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| {
            let passes: Vec<&Pass> = case
                .arguments
                .iter()
                .map(|name| find(name).ok_or_else(|| format!("there is no pass `{name}`")))
                .collect::<Result<_, _>>()?;
            run_passes(case, &passes)
        },
    },
    Kind {
        name: "pipeline",
        doc: "Runs the whole pipeline; results must stay the same after each pass. The output is the graph.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| run_passes(case, &PIPELINE.iter().collect::<Vec<_>>()),
    },
    Kind {
        name: "regions",
        doc: "Runs the pipeline and fuses, with the argument `gpu` for a GPU; the lowered program must give the interpreter's results. \
              The output is the regions.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| {
            let (graph, program) = lowered(case)?;
            values::agree_lowered(&graph, &program, &case.settings)?;
            Ok(partition(&graph, limits(case)?).text(&graph))
        },
    },
    Kind {
        name: "lower",
        doc: "As `regions`; the output is the program and its kernels before any kernel pass.",
        reprint: Some(reprint_graph),
        decides: false,
        run: |case| {
            let (graph, program) = lowered(case)?;
            values::agree_lowered(&graph, &program, &case.settings)?;
            let kernel = |step: &Step| match step {
                Step::Launch { kernel, .. } => format!("\n{}", text::print(kernel)),
                Step::Product { .. } | Step::Call { .. } => String::new(),
            };
            Ok(text::print_program(&program) + &program.steps.iter().map(kernel).collect::<String>())
        },
    },
    Kind {
        name: "kernel",
        doc: "A kernel whose text is canonical and which the back ends would take. The output is that text.",
        reprint: Some(kernels::reprint_kernel),
        decides: true,
        run: |case| {
            let kernel = kernels::kernel(case.text)?;
            verify_lowered(&kernel)?;
            let printed = kernels::reprint_kernel(case.text)?;
            if printed == case.body { Ok(printed) } else { Err(format!("prints as:\n{printed}")) }
        },
    },
    Kind {
        name: "kernel-error",
        doc: "The text is no kernel, or none that verifies; the output is the error.",
        reprint: None,
        decides: false,
        run: |case| match kernels::kernel(case.text).and_then(|kernel| verify_lowered(&kernel)) {
            Ok(()) => Err("it parses and verifies".to_owned()),
            Err(error) => Ok(format!("{error}\n")),
        },
    },
    Kind {
        name: "kernel-pass",
        doc: "Runs the kernel passes that the header names; results must stay the same on random inputs. The output is the kernel.",
        reprint: Some(kernels::reprint_kernel),
        decides: false,
        run: kernels::run_named,
    },
    Kind {
        name: "kernel-pipeline",
        doc: "Runs all kernel passes; results must stay the same after each. The output is the kernel.",
        reprint: Some(kernels::reprint_kernel),
        decides: false,
        run: kernels::run_pipeline,
    },
    Kind {
        name: "kernel-interp",
        doc: "Runs the kernel in the interpreter with the file's settings; the output has a line for each output, or the error.",
        reprint: Some(kernels::reprint_kernel),
        decides: false,
        run: kernels::interpret,
    },
    Kind {
        name: "clif",
        doc: "Compiles the kernel for the CPU; the output is Cranelift's code as the emitter wrote it.",
        reprint: Some(kernels::reprint_kernel),
        decides: false,
        run: |case| {
            let kernel = kernels::kernel(case.text)?;
            verify_lowered(&kernel)?;
            let stages = CpuBackend::new(Some(1)).explain(&kernel).map_err(|e| e.to_string())?;
            stages
                .into_iter()
                .find(|(stage, _)| *stage == "clif")
                .map(|(_, text)| text)
                .ok_or("no such stage".to_owned())
        },
    },
    Kind {
        name: "llvm",
        doc: "Makes LLVM's code of the kernel for a processor with AVX-512, whatever this one has; the output is that code, optimised.",
        reprint: Some(kernels::reprint_kernel),
        decides: false,
        run: |case| {
            let kernel = kernels::kernel(case.text)?;
            verify_lowered(&kernel)?;
            let machine = Machine::named("x86-64-v4", "+avx2,+fma,+avx512f,+avx512bw,+avx512dq,+avx512vl");
            let function = |op: ScalarOp, dtype: DType| (format!("{}:{dtype}", op.row().name), 0);
            let phases = (0..kernel.phases.len()).map(|index| host::explain(&machine, &kernel, index, &function));
            phases.map(|phase| phase.map(|(llvm, _)| llvm)).collect()
        },
    },
];

/// How much the kernels of the file's device compute.
fn limits(case: &Case<'_>) -> Result<Limits, String> {
    match case.arguments[..] {
        [] => Ok(Limits::CPU),
        ["gpu"] => Ok(Limits::GPU),
        ref others => Err(format!("unknown arguments {others:?}")),
    }
}

/// What the pipeline makes of the file's graph, and its program.
fn lowered(case: &Case<'_>) -> Result<(Graph, Program), String> {
    let graph = run_pipeline(&graph(case.text)?, true, &mut |_, _| {})?;
    let program = lower::program(&graph, limits(case)?);
    Ok((graph, program))
}

/// The graph of a file.
pub fn graph(text: &str) -> Result<Graph, String> {
    parse(text).map_err(|e| e.to_string())
}

/// For [`Kind::reprint`] of the kinds whose files have a graph.
pub fn reprint_graph(text: &str) -> Result<String, String> {
    graph(text).map(|graph| graph.to_string())
}

fn run_passes(case: &Case<'_>, passes: &[&Pass]) -> Result<String, String> {
    let start = graph(case.text)?;
    let mut current = start.clone();
    for pass in passes {
        let next = (pass.run)(&current).into_owned();
        let context = |e| format!("after {}: {e}\n{next}", pass.name);
        verify(&next).map_err(context)?;
        values::agree(&start, &next, &case.settings).map_err(context)?;
        let again = (pass.run)(&next);
        if again.to_string() != next.to_string() {
            return Err(context(format!("the pass changes its own result once more, to\n{again}")));
        }
        current = next;
    }
    Ok(current.to_string())
}

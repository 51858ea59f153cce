//! The fuzz target: random recorded programs give the same bits at every stage, from the captured graph to compiled code.
//!
//! `FUSEWIRE_FUZZ_SECONDS` sets for how long (default 10), `FUSEWIRE_FUZZ_SEED` where the seeds start (default 0).
//! A failure prints the graph that shows it; its text goes into a filetest.

use fusewire_ir::{
    capture::graph_of,
    fusion::{cost::Limits, partition},
    graph::Graph,
    interp,
    node::Op,
    pass,
};
use fusewire_lowering::{
    lower,
    program::{Program, Step},
    program_interp, text,
};
use fusewire_runtime::evaluate::evaluate;
use fusewire_tests::{
    engine,
    memory::tensor,
    oracle::{binding, disagreement},
    random_program::random_program,
};
use std::time::{Duration, Instant};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Checks one program; the error says at which stage which element differs.
fn check(seed: u64) -> Result<(), String> {
    let roots = random_program(seed);
    if roots.is_empty() {
        return Ok(());
    }
    let (graph, values) = graph_of(&roots);
    let binding = binding(&values);
    let wanted = interp::evaluate(&graph, &binding)?;
    let shown = |stage: &str, problem: String| format!("after {stage}: {problem}\n{}", graph);
    let mut problem = None;
    let lowered = pass::run_pipeline(&graph, true, &mut |pass, graph| {
        if problem.is_some() {
            return;
        }
        let stage = pass.name;
        problem = match interp::evaluate(graph, &binding) {
            Err(message) => Some(shown(stage, message)),
            Ok(found) => found
                .iter()
                .zip(&wanted)
                .find_map(|(f, w)| disagreement(f, w, 0))
                .map(|p| shown(stage, p + "\n" + &graph.to_string())),
        };
    })?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let program = lower::program(&lowered, Limits::CPU);
    let found = program_interp::evaluate(&lowered, &program, &binding)
        .map_err(|e| format!("lowered: {e}\n{}", shown_program(&lowered, &program)))?;
    let problem = found.iter().zip(&wanted).find_map(|(f, w)| disagreement(f, w, 0));
    if let Some(problem) = problem {
        return Err(format!("lowered: {problem}\n{}", shown_program(&lowered, &program)));
    }
    let compiled = |problem: String| format!("compiled: {problem}\n{}", shown_program(&lowered, &program));
    evaluate(&roots, &|| false).map_err(|e| compiled(e.to_string()))?;
    // The library behind products does not say whether a sum of zeros is 0.0 or -0.0.
    let ulps = u64::from(graph.iter().any(|(_, node)| node.op == Op::Dot));
    let found = roots.iter().map(tensor);
    let problem = found.zip(&wanted).find_map(|(f, w)| disagreement(&f, w, ulps));
    problem.map_or(Ok(()), |problem| Err(compiled(problem)))
}

fn shown_program(graph: &Graph, program: &Program) -> String {
    let kernels = program.steps.iter().filter_map(|step| match step {
        Step::Launch { kernel, arguments, .. } => Some(format!("{}{arguments:?}\n", text::print(kernel))),
        Step::Product { .. } | Step::Call { .. } => None,
    });
    format!("{graph}\n{}{}", partition(graph, Limits::CPU).text(graph), kernels.collect::<String>())
}

#[test]
fn random_programs_have_the_same_bits_at_every_stage() {
    engine::start();
    let end = Instant::now() + Duration::from_secs(setting("FUSEWIRE_FUZZ_SECONDS", 10));
    let start = setting("FUSEWIRE_FUZZ_SEED", 0);
    let mut programs = 0;
    while Instant::now() < end {
        let seed = start + programs;
        let outcome = std::panic::catch_unwind(|| check(seed)).unwrap_or_else(|_| Err("a panic".to_owned()));
        if let Err(problem) = outcome {
            panic!("seed {seed}: {problem}");
        }
        programs += 1;
    }
    println!("{programs} programs");
    assert!(programs > 100, "only {programs} programs in the time given");
}

//! Random programs through the whole runtime (capture, passes, lowering, kernel passes, plan, a back end) against the graph
//! interpreter; and op by op against compiled.

use crate::{
    memory::tensor,
    oracle::{disagreement, expected},
    random_program::{random_program, rounding_program},
};
use fusewire_ir::{capture::graph_of, lazy::Device};
use fusewire_runtime::{
    backend::Backend, cache::PlanCache, counters, error::Error, evaluate::evaluate_on, op_by_op::FirstRun,
    stages::stages,
};

/// Computes the random program of a seed on a device, which is that of the tests' arrays; the error says which root differs where, and shows every stage.
pub fn check(backend: &dyn Backend, device: Device, plans: &PlanCache, seed: u64) -> Result<(), String> {
    let roots = random_program(seed);
    if roots.is_empty() {
        return Ok(());
    }
    let wanted = expected(&roots)?;
    let (graph, _) = graph_of(&roots);
    let shown = |problem: String| {
        let stages = stages(&graph, backend).map_err(|e| e.to_string()).unwrap_or_default();
        let texts: Vec<String> =
            stages.iter().map(|t| format!("--- {}: {}\n{}", t.stage.name, t.name, t.text)).collect();
        format!("seed {seed} on {}: {problem}\n{}", backend.name(), texts.join("\n"))
    };
    evaluate_on(backend, device, plans, &roots, &|| false).map_err(|e| shown(e.to_string()))?;
    for (number, (root, wanted)) in roots.iter().zip(&wanted).enumerate() {
        if let Some(problem) = disagreement(&tensor(root), wanted, 0) {
            return Err(shown(format!("root {number}: {problem}")));
        }
    }
    Ok(())
}

/// Computes the random program of a seed, which may round, op by op and compiled; the error says which root differs where. True:
/// it was not compiled the first time.
pub fn check_op_by_op(backend: &dyn Backend, plans: &PlanCache, seed: u64) -> Result<bool, String> {
    let compute = |mode| {
        let roots = rounding_program(seed);
        plans.set_first_run(mode);
        let done = evaluate_on(backend, Device::Cpu, plans, &roots, &|| false);
        (roots, done)
    };
    let before = counters::GRAPHS_OP_BY_OP.get();
    let (stepped, first) = compute(FirstRun::OpByOp);
    let by_op = counters::GRAPHS_OP_BY_OP.get() > before;
    if !by_op {
        return Ok(false);
    }
    let (compiled, second) = compute(FirstRun::Compiled);
    match (first, second) {
        (Ok(()), Ok(())) => {}
        (Err(Error::LinearAlgebra(_)), Err(Error::LinearAlgebra(_))) => return Ok(true),
        (first, second) => return Err(format!("seed {seed}: {first:?} op by op, {second:?} compiled")),
    }
    for (number, (root, wanted)) in stepped.iter().zip(&compiled).enumerate() {
        if let Some(problem) = disagreement(&tensor(root), &tensor(wanted), 0) {
            let (graph, _) = graph_of(&rounding_program(seed));
            return Err(format!("seed {seed}, root {number}, op by op and compiled: {problem}\n{graph}"));
        }
    }
    Ok(true)
}

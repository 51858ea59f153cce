//! Random programs through the whole runtime (capture, passes, lowering, kernel passes, plan, a back end) against the graph
//! interpreter.

use crate::{
    memory::tensor,
    oracle::{disagreement, expected},
    random_program::random_program,
};
use fusewire_ir::{capture::graph_of, lazy::Device};
use fusewire_runtime::{backend::Backend, cache::PlanCache, evaluate::evaluate_on, stages::stages};

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

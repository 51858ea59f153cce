//! Passes over captured graphs: what a pass is, the list of them, and the driver that runs the list. What a pass does
//! stands in its own file under `passes/`; the algebra is `rules/`.

use crate::{
    graph::{Graph, Node, NodeId},
    passes::{eliminate_dead, expand_composites, hoist_views, simplify, split_complex, widen_halves},
    verify::verify,
};
use std::borrow::Cow;

/// A pass: a graph in, a graph that means the same out. Inputs, parameters and symbols keep their numbers.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What `dump-ir --after` and filetests call it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// The pass; a graph in which there is nothing to do stays what it is.
    pub run: fn(&Graph) -> Cow<'_, Graph>,
}

/// The passes that a captured graph goes through, in order. A name may stand here more than once.
pub const PIPELINE: &[Pass] = &[
    // First, so that nothing else has to know complex numbers.
    split_complex::PASS,
    // Before anything that counts ops or knows formats of floats; after the complex ones, whose parts may come of such floats.
    widen_halves::PASS,
    // Before the composites are taken apart, because their bodies hide what they are: `pow(x, 2)`, `x // 1`.
    simplify::PASS,
    // Before the second simplification, because bodies bring constants that meet constants of the graph.
    expand_composites::PASS,
    simplify::PASS,
    // After the views are merged; simplifying would drop the copies that it marks.
    hoist_views::PASS,
    // Last, so that what later stages count and print is what will run.
    eliminate_dead::PASS,
];

/// Every pass by its name; each stands in [`PIPELINE`].
pub fn find(name: &str) -> Option<&'static Pass> {
    PIPELINE.iter().find(|pass| pass.name == name)
}

/// Runs [`PIPELINE`]. `observe` is called with each pass's name and result. With `check`, the graph is verified at the
/// start and after each pass; what does not verify is our mistake, and the error says whose.
pub fn run_pipeline(graph: &Graph, check: bool, observe: &mut dyn FnMut(&Pass, &Graph)) -> Result<Graph, String> {
    let checked = |after: &str, graph: &Graph| {
        if !check {
            return Ok(());
        }
        verify(graph).map_err(|e| format!("after {after}: {e}\n{graph}"))
    };
    checked("capture", graph)?;
    let mut current = Cow::Borrowed(graph);
    for pass in PIPELINE {
        if let Cow::Owned(next) = (pass.run)(&current) {
            current = Cow::Owned(next);
            checked(pass.name, &current)?;
        }
        observe(pass, &current);
    }
    Ok(current.into_owned())
}

/// Walks what the roots reach, operands first, and builds a new graph from what `rewrite` makes of each node. The node
/// that `rewrite` gets has its operands in the new graph already. Equal nodes of the new graph are one node.
pub fn rebuild(graph: &Graph, mut rewrite: impl FnMut(&mut Graph, Node) -> NodeId) -> Graph {
    let mut new = graph.emptied();
    let mut renamed: Vec<Option<NodeId>> = vec![None; graph.len()];
    let at = |renamed: &[Option<NodeId>], id: NodeId| renamed[id.0 as usize].expect("operands come first");
    for id in graph.reached() {
        let mut node = graph.node(id).clone();
        for operand in &mut node.inputs {
            *operand = at(&renamed, *operand);
        }
        renamed[id.0 as usize] = Some(rewrite(&mut new, node));
    }
    new.roots = graph.roots.iter().map(|&root| at(&renamed, root)).collect();
    new
}

//! Applies the rules of `rules::RULES`, bottom-up, until none fires or the fuel is used up.

use crate::{
    graph::Graph,
    pass::{Pass, rebuild},
    rules::{RULES, Rule},
};
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass = Pass {
    name: "simplify",
    doc: "Applies the algebraic, cast, view, reduction and constant rules.",
    run: |graph| Cow::Owned(simplify(graph, RULES)),
};

/// Rules may fire this often, for each node of the graph and in total besides. Rules make graphs smaller or more
/// canonical, so real graphs stay far below it; it bounds what a pair of rules that undo each other could cost.
const FUEL: (usize, usize) = (4, 64);

/// A walk applies the rules at each node until none fires there. What a rule built below its result waits for the next
/// walk; few graphs need a third.
const WALKS: usize = 8;

/// Applies some rules.
pub fn simplify(graph: &Graph, rules: &[Rule]) -> Graph {
    let mut fuel = FUEL.0 * graph.len() + FUEL.1;
    let mut current = None;
    for _ in 0..WALKS {
        let mut fired = false;
        let walked = rebuild(current.as_ref().unwrap_or(graph), |new, node| {
            let mut id = new.add(node);
            while fuel > 0 {
                let Some(better) = rules.iter().find_map(|rule| (rule.apply)(new, id)) else { break };
                debug_assert!(
                    better != id
                        && new.node(better).dtype == new.node(id).dtype
                        && new.node(better).shape == new.node(id).shape
                );
                fuel -= 1;
                fired = true;
                id = better;
            }
            id
        });
        current = Some(walked);
        if !fired {
            break;
        }
    }
    current.expect("there is at least one walk")
}

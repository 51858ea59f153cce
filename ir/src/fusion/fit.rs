//! Can a region compute a node, where it needs it? Correctness never hangs on the answer for element-wise nodes; it is about
//! cost. For reductions and running folds it says which variables become the row.

use crate::{
    fusion::{
        Why, cost,
        draft::Draft,
        facts::{Below, Facts, are_rows, reduced_extents},
        index::{Indices, Var, mentions},
    },
    graph::{Graph, Node, NodeId},
    node::Op,
    shape::{Dim, SymShape},
};
use smallvec::{SmallVec, smallvec};

/// Elements of a node that a region needs.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub region: usize,
    /// An index an axis of the node; for `loads`, the address in the node's array alone.
    pub at: Indices,
    /// Is it needed inside loops that it does not depend on?
    pub outside: bool,
    /// The node is in memory, and this is the address of an element of a view of it.
    pub loads: bool,
}

/// What has to change in a region before it computes the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// Nothing.
    Keep,
    /// New variables of these extents become the row.
    NewRow { extents: SymShape, by_rows: bool },
    /// These variables become the row, that of reductions.
    Row(SmallVec<[Var; 2]>),
    /// This variable becomes the row, that of running folds.
    Running(Var),
}

/// What the region would have to change to compute the node at these places, or why it should not.
pub(super) fn fit(graph: &Graph, facts: &Facts, id: NodeId, draft: &Draft, demands: &[&Demand]) -> Result<Plan, Why> {
    let node = graph.node(id);
    if facts.free_everywhere(id) || matches!(node.op, Op::Iota { .. }) {
        return Ok(Plan::Keep);
    }
    if draft.members.len() >= facts.limits.region || !draft.admits(facts.pieces[id.0 as usize].as_slice()) {
        return Err(Why::Full);
    }
    if facts.uniform[id.0 as usize] {
        return Ok(Plan::Keep);
    }
    match &node.op {
        Op::Reduce { .. } => {
            let extents = reduced_extents(graph, node);
            if extents.is_empty() {
                return fit_elementwise(facts, id, draft, demands);
            }
            match demands {
                [demand] => fit_reduction(facts, id, extents, draft, demand),
                _ => Err(Why::Shifts(demands.len() as u32)),
            }
        }
        Op::Scan { axis, .. } if node.shape[*axis as usize] != Dim::One => match demands {
            [demand] => fit_scan(node, *axis, draft, demand),
            _ => Err(Why::Shifts(demands.len() as u32)),
        },
        Op::Const(_)
        | Op::Param(_)
        | Op::Iota { .. }
        | Op::Map(_)
        | Op::Cast
        | Op::View(_)
        | Op::Gather
        | Op::Scan { .. } => fit_elementwise(facts, id, draft, demands),
        Op::Input(_) | Op::Concat { .. } | Op::Dot | Op::Call(_) => Err(Why::Regions(1)),
    }
}

fn missing(draft: &Draft, demand: &Demand) -> SmallVec<[Var; 4]> {
    (0..draft.vars.len() as Var).filter(|&var| !mentions(&demand.at, var)).collect()
}

/// Can these variables become the row of reductions of these extents?
fn can_be_row(draft: &Draft, vars: &[Var], extents: &SymShape) -> bool {
    !vars.is_empty()
        && draft.extents(vars) == *extents
        && are_rows(draft.vars.len(), |var| vars.contains(&(var as Var)))
}

/// Is it what a sum of squared distances over the row is centred at?
fn is_centre(facts: &Facts, id: NodeId, draft: &Draft) -> bool {
    facts.centres[id.0 as usize].as_ref() == Some(&draft.extents(&draft.row))
}

fn fit_elementwise(facts: &Facts, id: NodeId, draft: &Draft, demands: &[&Demand]) -> Result<Plan, Why> {
    let (cost, below) = (facts.cost[id.0 as usize], &facts.below[id.0 as usize]);
    if demands.len() > 1 && (*below != Below::Nothing || !cost::recompute_shifted(cost, demands.len())) {
        return Err(Why::Shifts(demands.len() as u32));
    }
    for demand in demands {
        let missing = missing(draft, demand);
        // The reductions below are inside the items when they are taken row by row.
        let (repeated, below_fits) = if draft.row.is_empty() {
            let by_rows = matches!(below, Below::Rows(extents) if can_be_row(draft, &missing, extents));
            (!missing.is_empty() && !by_rows, by_rows)
        } else {
            let repeated = missing.iter().any(|var| !draft.row.contains(var));
            let rows = matches!(below, Below::Rows(extents) if draft.extents(&draft.row) == *extents);
            (repeated, !demand.outside || (draft.by_rows && rows) || is_centre(facts, id, draft))
        };
        if repeated && (*below != Below::Nothing || !cost::recompute_broadcast(cost)) {
            return Err(Why::Broadcast);
        }
        if !missing.is_empty() && *below != Below::Nothing && !below_fits {
            return Err(Why::NotByRows);
        }
    }
    Ok(Plan::Keep)
}

fn fit_reduction(facts: &Facts, id: NodeId, extents: SymShape, draft: &Draft, demand: &Demand) -> Result<Plan, Why> {
    // Each item needs one fold, and no fold is needed by two items.
    let mut mentioned: SmallVec<[Var; 4]> = SmallVec::new();
    for index in demand.at.iter() {
        match index.terms.as_slice() {
            [] => {}
            [(var, _)] if !mentioned.contains(var) => mentioned.push(*var),
            _ => return Err(Why::NotByRows),
        }
    }
    mentioned.sort_unstable();
    let by_rows = matches!(facts.below[id.0 as usize], Below::Rows(_));
    if draft.row.is_empty() {
        let missing = missing(draft, demand);
        if missing.is_empty() {
            return Ok(Plan::NewRow { by_rows, extents });
        }
        let fits = by_rows && can_be_row(draft, &missing, &extents);
        return if fits { Ok(Plan::Row(missing.into_iter().collect())) } else { Err(Why::NotByRows) };
    }
    let same_loops = draft.extents(&draft.row) == extents && mentioned == draft.items();
    let usable = !demand.outside || (draft.by_rows && by_rows) || is_centre(facts, id, draft);
    if same_loops && usable { Ok(Plan::Keep) } else { Err(Why::NotByRows) }
}

fn fit_scan(node: &Node, axis: u8, draft: &Draft, demand: &Demand) -> Result<Plan, Why> {
    let axis = axis as usize;
    let var = demand.at[axis].as_var().ok_or(Why::NotInOrder)?;
    let elsewhere = demand.at.iter().enumerate().any(|(a, i)| a != axis && mentions(std::slice::from_ref(i), var));
    let whole_axis = draft.vars[var as usize] == node.shape[axis];
    let row: SmallVec<[Var; 2]> = smallvec![var];
    if elsewhere || !whole_axis {
        return Err(Why::NotInOrder);
    }
    match draft.row.as_slice() {
        // Other variables than its own would repeat the fold.
        [] if missing(draft, demand).is_empty() => Ok(Plan::Running(var)),
        // A reduction of everything is split into parallel phases, and a running fold cannot be.
        _ if draft.by_rows && draft.items().is_empty() => Err(Why::NotInOrder),
        same if same == row.as_slice() && missing(draft, demand).is_empty() => Ok(Plan::Keep),
        _ => Err(Why::NotInOrder),
    }
}

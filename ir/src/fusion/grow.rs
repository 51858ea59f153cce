//! Regions grow from the roots down. Nodes are placed users first: when a node's turn comes, every region that needs it has
//! said at which indices (a demand). Regions that need the same element at the same place in the same loops are joined;
//! then the node is computed in the regions that need it, or stored by one region and loaded by the others.

use crate::{
    fusion::{
        Access, Output, ResultView, Why,
        cost::{self, Limits},
        draft::{Draft, renamed},
        epilogue::Epilogue,
        facts::{Below, Facts},
        fit::{Demand, Plan, fit},
        index::{Index, Indices, Var, mentions, origin, through_view},
    },
    graph::{Graph, NodeId},
    node::{Op, View},
    shape::{Dim, SymShape},
};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::collections::hash_map::Entry;

/// With how many of the regions that need a node, and could not be joined, a further one is tried. Keeps the time linear where
/// thousands of regions need one node.
const JOIN_ATTEMPTS: usize = 16;

/// What growing ends with.
pub(super) struct Grown {
    /// Those not joined into others are regions.
    pub drafts: Vec<Draft>,
    /// The drafts that store a node, by node.
    pub homes: Vec<SmallVec<[usize; 1]>>,
    pub why: Vec<Option<Why>>,
    pub access: Vec<Option<Access>>,
    pub uniform: Vec<bool>,
    pub results: Vec<ResultView>,
    /// What the calls take, and where that is.
    pub calls: Vec<Call>,
}

/// A library call: what it stores and takes, and where that is.
pub(super) struct Call {
    pub node: NodeId,
    pub takes: SmallVec<[NodeId; 2]>,
    pub operands: SmallVec<[Access; 2]>,
}

/// Grows the regions of a graph.
pub(super) fn grow(graph: &Graph, limits: Limits) -> Grown {
    let facts = Facts::of(graph, limits);
    let count = graph.len();
    let mut grower = Grower {
        graph,
        facts,
        drafts: Vec::new(),
        demands: vec![Vec::new(); count],
        homes: vec![SmallVec::new(); count],
        why: vec![None; count],
        calls: Vec::new(),
    };
    for (id, _) in graph.iter().rev() {
        grower.place(id);
    }
    grower.join_results();
    for id in 0..count {
        for at in 0..grower.homes[id].len() {
            grower.homes[id][at] = grower.current(grower.homes[id][at]);
        }
    }
    let Grower { facts, drafts, homes, why, calls, .. } = grower;
    let Facts { access, uniform, results, .. } = facts;
    Grown { drafts, homes, why, access, uniform, results, calls }
}

/// Regions, and whether each can compute the node in question.
type Regions = SmallVec<[(usize, Result<Plan, Why>); 1]>;

struct Grower<'a> {
    graph: &'a Graph,
    facts: Facts,
    drafts: Vec<Draft>,
    /// Of the nodes that are not placed yet, by node.
    demands: Vec<Vec<Demand>>,
    homes: Vec<SmallVec<[usize; 1]>>,
    why: Vec<Option<Why>>,
    calls: Vec<Call>,
}

impl Grower<'_> {
    fn place(&mut self, id: NodeId) {
        let mut demands = std::mem::take(&mut self.demands[id.0 as usize]);
        let required = self.facts.required[id.0 as usize];
        if demands.is_empty() && required.is_none() {
            return;
        }
        self.join_sharing(&mut demands);
        let graph = self.graph;
        let node = graph.node(id);
        if let Some(Epilogue { product, row }) = self.facts.epilogues[id.0 as usize] {
            self.read_by(id, &demands);
            let takes = graph.node(product).inputs.iter().copied().chain([row]).collect();
            let region = self.place_call(id, takes);
            self.drafts[region].members.insert(product);
            return;
        }
        match &node.op {
            Op::Input(_) => self.read_by(id, &demands),
            Op::Dot | Op::Call(_) => {
                self.read_by(id, &demands);
                self.place_call(id, node.inputs.iter().copied().collect());
            }
            Op::Concat { .. } => {
                self.read_by(id, &demands);
                self.place_parts(id);
            }
            // Views are not computed, but a slice of what would be computed much too often is stored.
            Op::View(view) if required.is_none() => {
                let slice = matches!(view, View::Slice { .. });
                let regions = self.regions_of(&demands, id);
                match regions.iter().find_map(|(_, fits)| fits.as_ref().err()) {
                    Some(why @ Why::Broadcast) if slice => self.store(id, *why, &demands),
                    _ => self.compute_in_all(id, regions, &demands),
                }
            }
            Op::Const(_)
            | Op::Param(_)
            | Op::Iota { .. }
            | Op::Map(_)
            | Op::Cast
            | Op::View(_)
            | Op::Reduce { .. }
            | Op::Gather
            | Op::Scan { .. } => self.place_computed(id, required, &demands),
        }
    }

    fn place_computed(&mut self, id: NodeId, required: Option<Why>, demands: &[Demand]) {
        if let Some(why) = required {
            return self.store(id, why, demands);
        }
        let regions = self.regions_of(demands, id);
        if let Some(why) = regions.iter().find_map(|(_, fits)| fits.as_ref().err()) {
            return self.store(id, *why, demands);
        }
        let cheap = self.facts.free_everywhere(id)
            || (self.facts.below[id.0 as usize] == Below::Nothing
                && cost::recompute_in_regions(
                    self.facts.cost[id.0 as usize],
                    self.graph.node(id).dtype,
                    regions.len(),
                ));
        let folds = matches!(self.graph.node(id).op, Op::Reduce { .. } | Op::Scan { .. });
        if regions.len() == 1 || (cheap && !folds) {
            self.compute_in_all(id, regions, demands);
        } else {
            self.store(id, Why::Regions(regions.len() as u32), demands);
        }
    }

    /// The regions that need the node's elements as such (not through loads), and whether they can compute it.
    fn regions_of(&self, demands: &[Demand], id: NodeId) -> Regions {
        let mut regions: SmallVec<[usize; 4]> = demands.iter().filter(|d| !d.loads).map(|d| d.region).collect();
        regions.sort_unstable();
        regions.dedup();
        let fits = |region| {
            let own: SmallVec<[&Demand; 4]> = demands.iter().filter(|d| d.region == region && !d.loads).collect();
            (region, fit(self.graph, &self.facts, id, &self.drafts[region], &own))
        };
        regions.into_iter().map(fits).collect()
    }

    fn compute_in_all(&mut self, id: NodeId, regions: Regions, demands: &[Demand]) {
        for (region, fits) in regions {
            // A view that does not fit is looked through all the same; its operand decides.
            self.compute_in(id, region, fits.unwrap_or(Plan::Keep), demands);
        }
    }

    /// Makes a region compute the node: what it needs for that becomes its demands.
    fn compute_in(&mut self, id: NodeId, region: usize, plan: Plan, demands: &[Demand]) {
        let draft = &mut self.drafts[region];
        if !matches!(self.graph.node(id).op, Op::View(_)) {
            draft.members.insert(id);
            self.facts.pieces[id.0 as usize].into_iter().for_each(|piece| draft.enters(piece));
        }
        draft.apply(&plan);
        for demand in demands.iter().filter(|d| d.region == region && !d.loads) {
            self.demand_operands(id, demand);
        }
    }

    fn demand_operands(&mut self, id: NodeId, demand: &Demand) {
        let graph = self.graph;
        let node = graph.node(id);
        let region = demand.region;
        match &node.op {
            Op::Map(_) | Op::Cast | Op::Scan { .. } => {
                for &operand in &node.inputs {
                    self.demand(operand, demand.clone());
                }
            }
            Op::View(view) => {
                if let Some(Access { base, strided }) = &self.facts.access[id.0 as usize] {
                    let at = [strided.address(&demand.at)].into();
                    let (base, loaded) = (*base, Demand { at, loads: true, ..demand.clone() });
                    return self.push(base, loaded);
                }
                let operand = node.inputs[0];
                let at = match through_view(view, node, graph.node(operand), &demand.at) {
                    Some(at) => at,
                    // Only of what is the same everywhere; else `facts` would have stored the operand.
                    None => origin(graph.node(operand).shape.len()),
                };
                let vars = self.drafts[region].vars.len() as Var;
                let outside = demand.outside || (0..vars).any(|v| mentions(&demand.at, v) && !mentions(&at, v));
                self.demand(operand, Demand { at, outside, ..demand.clone() });
            }
            Op::Reduce { axes, .. } => {
                let operand = node.inputs[0];
                let mut at = demand.at.to_vec();
                let mut row = self.drafts[region].row.iter();
                let long = |axis: &&u8| graph.node(operand).shape[**axis as usize] != Dim::One;
                for (&axis, &var) in axes.iter().filter(long).zip(&mut row) {
                    at[axis as usize] = Index::var(var);
                }
                self.demand(operand, Demand { at: at.into(), outside: false, ..demand.clone() });
            }
            Op::Gather => {
                for &index in &node.inputs[1..] {
                    self.demand(index, demand.clone());
                }
                let array = self.facts.resolve(graph, node.inputs[0]).expect("facts made gathered arrays addressable");
                let at = [array.strided.address(&demand.at)].into();
                self.push(array.base, Demand { at, loads: true, ..demand.clone() });
            }
            Op::Const(_)
            | Op::Param(_)
            | Op::Iota { .. }
            | Op::Input(_)
            | Op::Concat { .. }
            | Op::Dot
            | Op::Call(_) => {}
        }
    }

    /// Records that a region needs an element of a node.
    fn demand(&mut self, id: NodeId, mut demand: Demand) {
        if self.facts.uniform[id.0 as usize] {
            demand.at = origin(self.graph.node(id).shape.len());
        } else if self.facts.required[id.0 as usize].is_none()
            && let Some(Access { base, strided }) = &self.facts.access[id.0 as usize]
        {
            let (base, at) = (*base, [strided.address(&demand.at)].into());
            return self.push(base, Demand { at, loads: true, ..demand });
        }
        self.push(id, demand);
    }

    fn push(&mut self, id: NodeId, demand: Demand) {
        self.drafts[demand.region].waiting.push(id);
        let demands = &mut self.demands[id.0 as usize];
        let same = |d: &&mut Demand| d.region == demand.region && d.loads == demand.loads && d.at == demand.at;
        // What escapes the short look back is found when the node is placed.
        match demands.iter_mut().rev().take(8).find(same) {
            Some(known) => known.outside |= demand.outside,
            None => demands.push(demand),
        }
    }

    /// Stores the node: in a region that needs all of it and can come before all others that need it, or in one of its own.
    fn store(&mut self, id: NodeId, why: Why, demands: &[Demand]) {
        self.why[id.0 as usize] = Some(why);
        let home = self.regions_of(demands, id).into_iter().find_map(|(region, fits)| {
            let plan = fits.ok()?;
            let mut after = self.drafts[region].loops();
            after.apply(&plan);
            let shape = &self.graph.node(id).shape;
            // Loops that never run store nothing.
            if self.drafts[region].is_empty() && !shape.contains(&Dim::Zero) {
                return None;
            }
            let at = demands.iter().find(|d| d.region == region && !d.loads && after.covers(&d.at, shape))?.at.clone();
            let before = |d: &Demand| {
                (d.region != region && !self.reaches(region, d.region)) || (d.region == region && !d.loads)
            };
            demands.iter().all(before).then_some((region, plan, at))
        });
        let (region, plan, at) = match home {
            Some(home) => {
                let elsewhere: Vec<Demand> = demands.iter().filter(|d| d.region != home.0).cloned().collect();
                self.read_by(id, &elsewhere);
                self.homes[id.0 as usize].push(home.0);
                self.compute_in(id, home.0, home.1, demands);
                self.drafts[home.0].outputs.push(Output { node: id, part: None, at: home.2 });
                return;
            }
            None => {
                self.read_by(id, demands);
                let (region, at) = self.new_draft(&self.graph.node(id).shape.clone());
                let demand = Demand { region, at: at.clone(), outside: false, loads: false };
                let plan = fit(self.graph, &self.facts, id, &self.drafts[region], &[&demand]).unwrap_or(Plan::Keep);
                (region, plan, at)
            }
        };
        self.homes[id.0 as usize].push(region);
        self.drafts[region].outputs.push(Output { node: id, part: None, at: at.clone() });
        self.compute_in(id, region, plan, &[Demand { region, at, outside: false, loads: false }]);
    }

    fn place_call(&mut self, id: NodeId, takes: SmallVec<[NodeId; 2]>) -> usize {
        let routine = matches!(self.graph.node(id).op, Op::Call(_));
        self.why[id.0 as usize] = Some(if routine { Why::Call } else { Why::Product });
        let (region, _) = self.new_draft(&SymShape::new());
        self.drafts[region].call = Some(id);
        self.drafts[region].members.insert(id);
        self.homes[id.0 as usize].push(region);
        let mut operands = SmallVec::new();
        for &operand in &takes {
            let access = self.facts.resolve(self.graph, operand).expect("facts made the operands of calls addressable");
            // What is read is a matter of the library; only that it is read counts.
            let demand = Demand { region, at: origin(0), outside: false, loads: true };
            self.push(access.base, demand);
            operands.push(access);
        }
        self.calls.push(Call { node: id, takes, operands });
        region
    }

    /// Each operand of a concatenation is stored at its offset by a region of its own, to begin with.
    fn place_parts(&mut self, id: NodeId) {
        self.why[id.0 as usize] = Some(Why::Concat);
        for (part, &operand) in self.graph.node(id).inputs.iter().enumerate() {
            let (region, at) = self.new_draft(&self.graph.node(operand).shape.clone());
            self.drafts[region].outputs.push(Output { node: id, part: Some(part), at: at.clone() });
            self.homes[id.0 as usize].push(region);
            self.demand(operand, Demand { region, at, outside: false, loads: false });
        }
    }

    /// A region over a shape, and the indices of an array of that shape.
    fn new_draft(&mut self, shape: &SymShape) -> (usize, Indices) {
        let mut vars = SymShape::new();
        let index = |&dim: &Dim| {
            if dim == Dim::One {
                return Index::zero();
            }
            vars.push(dim);
            Index::var(vars.len() as Var - 1)
        };
        let at = shape.iter().map(index).collect();
        self.drafts.push(Draft { vars, ..Draft::default() });
        (self.drafts.len() - 1, at)
    }

    fn read_by(&mut self, id: NodeId, demands: &[Demand]) {
        for demand in demands {
            self.drafts[demand.region].reads.insert(id);
        }
    }

    fn current(&self, mut region: usize) -> usize {
        while let Some(joined) = self.drafts[region].joined {
            region = joined;
        }
        region
    }

    /// Does `from` have to run after `to`?
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.drafts.len()];
        let mut stack = vec![from];
        while let Some(region) = stack.pop() {
            if region == to {
                return true;
            }
            if std::mem::replace(&mut seen[region], true) {
                continue;
            }
            for read in &self.drafts[region].reads {
                stack.extend(self.homes[read.0 as usize].iter().map(|&home| self.current(home)));
            }
        }
        false
    }

    /// Joins regions that need the same elements in the same loops.
    fn join_sharing(&mut self, demands: &mut Vec<Demand>) {
        if demands.len() < 2 {
            return;
        }
        let mut regions: Vec<usize> = Vec::new();
        let mut needed: FxHashMap<usize, FxHashSet<(bool, Indices)>> = FxHashMap::default();
        for demand in demands.iter() {
            needed.entry(demand.region).or_insert_with(|| {
                regions.push(demand.region);
                FxHashSet::default()
            });
            needed.entry(demand.region).and_modify(|known| {
                known.insert((demand.loads, demand.at.clone()));
            });
        }
        // Regions that could not be joined with each other.
        let mut apart: Vec<usize> = Vec::new();
        for region in regions {
            let recent = apart.len().saturating_sub(JOIN_ATTEMPTS)..apart.len();
            let joined = recent.rev().find_map(|at| {
                let (mut host, mut guest) = (apart[at], region);
                // The one with the loops over a row can take in the other.
                if self.drafts[host].row.is_empty() && !self.drafts[guest].row.is_empty() {
                    (host, guest) = (guest, host);
                }
                let (theirs, ours) = (&needed[&guest], &needed[&host]);
                let shares = |map: &SmallVec<[Var; 4]>| {
                    theirs.iter().any(|(loads, at)| ours.contains(&(*loads, renamed(at, map))))
                };
                let map = self.drafts[host].correspondences(&self.drafts[guest]).into_iter().find(shares)?;
                if !self.join(host, guest, &map, demands) {
                    return None;
                }
                let theirs = needed.remove(&guest).unwrap_or_default();
                let theirs = theirs.into_iter().map(|(loads, at)| (loads, renamed(&at, &map)));
                needed.entry(host).or_default().extend(theirs);
                Some((at, host))
            });
            match joined {
                Some((at, host)) => apart[at] = host,
                None => apart.push(region),
            }
        }
        // Joining can make two demands one.
        let mut positions: FxHashMap<(usize, bool, Indices), usize> = FxHashMap::default();
        let mut kept: Vec<Demand> = Vec::with_capacity(demands.len());
        for demand in demands.drain(..) {
            match positions.entry((demand.region, demand.loads, demand.at.clone())) {
                Entry::Occupied(known) => kept[*known.get()].outside |= demand.outside,
                Entry::Vacant(new) => {
                    new.insert(kept.len());
                    kept.push(demand);
                }
            }
        }
        *demands = kept;
    }

    /// Joins region `b` into `a`, which admits it, if neither has to run after the other and they are not too large together.
    /// `in_hand` are demands that are not recorded.
    fn join(&mut self, a: usize, b: usize, map: &[Var], in_hand: &mut [Demand]) -> bool {
        let (ours, theirs) = (&self.drafts[a].members, &self.drafts[b].members);
        let size = ours.len() + theirs.iter().filter(|id| !ours.contains(id)).count();
        let empty = [a, b].map(|region| self.drafts[region].is_empty());
        if size > self.facts.limits.region || empty[0] != empty[1] || self.reaches(a, b) || self.reaches(b, a) {
            return false;
        }
        let mut other = std::mem::take(&mut self.drafts[b]);
        let rename = |demand: &mut Demand| {
            if demand.region == b {
                demand.region = a;
                demand.at = renamed(&demand.at, map);
            }
        };
        for id in &other.waiting {
            self.demands[id.0 as usize].iter_mut().for_each(rename);
        }
        in_hand.iter_mut().for_each(rename);
        self.drafts[a].absorb(&mut other, map);
        self.drafts[b].joined = Some(a);
        true
    }

    /// Joins element-wise regions over the same extents that only store results, or parts of one concatenation: a launch
    /// less, though they share nothing.
    fn join_results(&mut self) {
        let kind = |grower: &Self, region: usize| {
            let draft = &grower.drafts[region];
            let concat = draft.outputs.first().and_then(|o| o.part.map(|_| o.node));
            let fits = |o: &Output| match concat {
                Some(node) => o.node == node,
                None => o.part.is_none() && grower.why[o.node.0 as usize] == Some(Why::Root),
            };
            let joinable = draft.joined.is_none() && draft.row.is_empty() && draft.call.is_none();
            (joinable && !draft.outputs.is_empty() && draft.outputs.iter().all(fits)).then_some(concat)
        };
        let mut heads: Vec<(Option<NodeId>, SymShape, usize)> = Vec::new();
        for region in 0..self.drafts.len() {
            let Some(concat) = kind(self, region) else { continue };
            let vars = self.drafts[region].vars.clone();
            match heads.iter().position(|(c, v, _)| *c == concat && *v == vars) {
                Some(at) => {
                    let map: SmallVec<[Var; 4]> = (0..vars.len() as Var).collect();
                    let head = heads[at].2;
                    let admitted = self.drafts[head].admits(&self.drafts[region].pieces);
                    if !admitted || !self.join(head, region, &map, &mut []) {
                        heads[at].2 = region;
                    }
                }
                None => heads.push((concat, vars, region)),
            }
        }
    }
}

//! Which loop over a region's row computes what. The loops follow one another inside an item: a fold that needs the result
//! of another fold over the row goes to a later loop, and so does everything over the row that needs it. Values over the row
//! that several loops need are computed again, unless that costs too much; then a scratch row keeps them.

use fusewire_ir::{
    fusion::{
        Access, Nest, Partition, RegionId,
        cost::{self, Cost},
        index::{Index, Indices, mentions, origin, through_view},
        strided::Strided,
    },
    graph::{Graph, Node, NodeId},
    node::Op,
    shape::Dim,
};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// An element of a node that a region computes.
pub(super) type Element = (NodeId, Indices);

/// The loops over a row.
pub(super) struct Rows {
    /// In order.
    pub loops: Vec<RowLoop>,
    /// The outputs that are stored once an item, by their numbers.
    pub item_outputs: Vec<usize>,
    /// The elements that a scratch row keeps.
    pub kept: FxHashSet<Element>,
}

/// What one loop over the row is for.
#[derive(Default)]
pub(super) struct RowLoop {
    /// The reductions it takes.
    pub folds: Vec<Element>,
    /// The outputs it stores, by their numbers.
    pub outputs: Vec<usize>,
}

/// Which elements a region's element needs, and from where. Both the schedule and the code follow it.
pub(super) struct Pull<'a> {
    pub graph: &'a Graph,
    pub partition: &'a Partition,
    pub region: RegionId,
    pub nest: &'a Nest,
}

/// Where an element comes from.
pub(super) enum Source {
    /// From an input or a stored node, at this address.
    Load { base: NodeId, address: Index },
    /// It is computed from these, by the node's op.
    Computed(SmallVec<[Element; 3]>),
    /// It is a reduction of this element over the row.
    Fold(Element),
}

impl Pull<'_> {
    /// The element that an element is when views are looked through, and where that comes from.
    pub fn source(&self, element: &Element) -> (Element, Source) {
        let (mut id, mut at) = element.clone();
        loop {
            let node = self.graph.node(id);
            let homes = &self.partition.homes[id.0 as usize];
            if !homes.is_empty() && !homes.contains(&self.region) {
                let address = Strided::dense(&node.shape).address(&at);
                return ((id, at), Source::Load { base: id, address });
            }
            if let Some(access) = &self.partition.access[id.0 as usize] {
                let address = access.strided.address(&at);
                return ((id, at), Source::Load { base: access.base, address });
            }
            let Op::View(view) = &node.op else {
                let source = self.computed(node, &at);
                return ((id, at), source);
            };
            let operand = node.inputs[0];
            let below = self.graph.node(operand);
            // Only what is the same everywhere has views that are not affine.
            let through = through_view(view, node, below, &at);
            (id, at) = self.element(operand, through.unwrap_or_else(|| origin(below.shape.len())));
        }
    }

    fn computed(&self, node: &Node, at: &Indices) -> Source {
        match &node.op {
            Op::Reduce { axes, .. } if !self.folds_nothing(node) => {
                let operand = node.inputs[0];
                let mut inner = at.to_vec();
                let mut row = self.nest.row.iter();
                for &axis in axes {
                    if self.graph.node(operand).shape[axis as usize] != Dim::One
                        && let Some(&var) = row.next()
                    {
                        inner[axis as usize] = Index::var(var);
                    }
                }
                Source::Fold(self.element(operand, inner.into()))
            }
            // The array is in memory; what is computed are the indices.
            Op::Gather => Source::Computed(node.inputs[1..].iter().map(|&i| self.element(i, at.clone())).collect()),
            Op::Const(_)
            | Op::Param(_)
            | Op::Iota { .. }
            | Op::Input(_)
            | Op::Map(_)
            | Op::Cast
            | Op::View(_)
            | Op::Reduce { .. }
            | Op::Scan { .. }
            | Op::Concat { .. }
            | Op::Dot
            | Op::Call(_) => Source::Computed(node.inputs.iter().map(|&i| self.element(i, at.clone())).collect()),
        }
    }

    /// The array in memory that a node is, or is a view of.
    pub fn memory(&self, id: NodeId) -> Option<Access> {
        if self.partition.homes[id.0 as usize].is_empty() {
            return self.partition.access[id.0 as usize].clone();
        }
        Some(Access { base: id, strided: Strided::dense(&self.graph.node(id).shape) })
    }

    /// An element; of what is the same everywhere, the first one.
    pub fn element(&self, id: NodeId, at: Indices) -> Element {
        if self.partition.uniform[id.0 as usize] {
            return (id, origin(self.graph.node(id).shape.len()));
        }
        (id, at)
    }

    /// Does a fold only go over axes of extent 1?
    pub fn folds_nothing(&self, node: &Node) -> bool {
        let one = |axis: u8| self.graph.node(node.inputs[0]).shape[axis as usize] == Dim::One;
        match &node.op {
            Op::Reduce { axes, .. } => axes.iter().all(|&axis| one(axis)),
            Op::Scan { axis, .. } => one(*axis),
            _ => false,
        }
    }

    /// How many of the loops over the row are around an element: those up to the innermost variable it depends on.
    pub fn level(&self, at: &[Index]) -> usize {
        self.nest.row.iter().rposition(|&var| mentions(at, var)).map_or(0, |position| position + 1)
    }
}

/// Schedules a region.
pub(super) fn schedule(pull: &Pull<'_>) -> Rows {
    if pull.nest.row.is_empty() {
        let item_outputs = (0..pull.nest.outputs.len()).collect();
        return Rows { loops: Vec::new(), item_outputs, kept: FxHashSet::default() };
    }
    let mut scheduler = Scheduler { pull, ready: FxHashMap::default(), costs: FxHashMap::default(), loops: Vec::new() };
    let mut item_outputs = Vec::new();
    for (number, output) in pull.nest.outputs.iter().enumerate() {
        let element = output_element(pull, number);
        let ready = scheduler.ready(&element);
        if pull.level(&output.at) == 0 {
            item_outputs.push(number);
        } else {
            scheduler.loop_number(ready).outputs.push(number);
        }
    }
    let kept = scheduler.kept();
    let mut loops = scheduler.loops;
    for row_loop in &mut loops {
        row_loop.folds.sort_by_key(|fold| fold.0);
    }
    Rows { loops, item_outputs, kept }
}

/// The element that an output stores.
pub(super) fn output_element(pull: &Pull<'_>, number: usize) -> Element {
    let output = &pull.nest.outputs[number];
    let node = match output.part {
        Some(part) => pull.graph.node(output.node).inputs[part],
        None => output.node,
    };
    pull.element(node, output.at.clone())
}

struct Scheduler<'a> {
    pull: &'a Pull<'a>,
    /// How many loops have to be complete before an element can be computed.
    ready: FxHashMap<Element, usize>,
    costs: FxHashMap<Element, Cost>,
    loops: Vec<RowLoop>,
}

impl Scheduler<'_> {
    fn loop_number(&mut self, number: usize) -> &mut RowLoop {
        while self.loops.len() <= number {
            self.loops.push(RowLoop::default());
        }
        &mut self.loops[number]
    }

    fn ready(&mut self, element: &Element) -> usize {
        if let Some(&ready) = self.ready.get(element) {
            return ready;
        }
        let (through, source) = self.pull.source(element);
        let known = self.ready.get(&through).copied();
        let ready = known.unwrap_or_else(|| match source {
            Source::Load { .. } => 0,
            Source::Computed(operands) => operands.iter().map(|o| self.ready(o)).max().unwrap_or(0),
            Source::Fold(operand) => {
                let ready = self.ready(&operand);
                self.loop_number(ready).folds.push(through.clone());
                ready + 1
            }
        });
        self.ready.insert(through, ready);
        self.ready.insert(element.clone(), ready);
        ready
    }

    /// What computing an element costs in a loop over the row.
    fn cost(&mut self, element: &Element) -> Cost {
        if self.pull.level(&element.1) == 0 {
            return Cost::default();
        }
        if let Some(&cost) = self.costs.get(element) {
            return cost;
        }
        let graph = self.pull.graph;
        let (through, source) = self.pull.source(element);
        let node = graph.node(through.0);
        let cost = match source {
            Source::Load { base, .. } => Cost::load(graph.node(base).dtype),
            Source::Fold(_) => Cost::default(),
            Source::Computed(operands) => {
                let ops = match &node.op {
                    Op::Map(op) => cost::op(*op, graph.node(node.inputs[0]).dtype),
                    Op::Gather => cost::GATHER,
                    // A running fold cannot be computed in lanes.
                    Op::Scan { .. } => u32::MAX,
                    _ => 1,
                };
                operands.iter().fold(Cost { ops, bytes: 0 }, |sum, o| sum.plus(self.cost(o)))
            }
        };
        self.costs.insert(element.clone(), cost);
        cost
    }

    fn recompute(&mut self, element: &Element) -> bool {
        let whole_array = self.pull.nest.row.len() == self.pull.nest.vars.len();
        cost::recompute_in_row(self.cost(element), self.pull.graph.node(element.0).dtype, whole_array)
    }

    /// The elements that a later loop needs again and that cost too much to be computed again.
    fn kept(&mut self) -> FxHashSet<Element> {
        let mut kept = FxHashSet::default();
        let mut computed: FxHashMap<Element, usize> = FxHashMap::default();
        for number in 0..self.loops.len() {
            let mut stack: Vec<Element> = Vec::new();
            for fold in &self.loops[number].folds {
                if let (_, Source::Fold(operand)) = self.pull.source(fold) {
                    stack.push(operand);
                }
            }
            stack.extend(self.loops[number].outputs.iter().map(|&o| output_element(self.pull, o)));
            while let Some(element) = stack.pop() {
                if self.pull.level(&element.1) == 0 {
                    continue;
                }
                let (element, Source::Computed(operands)) = self.pull.source(&element) else { continue };
                let first = *computed.entry(element.clone()).or_insert(number);
                // A scratch row has an element for each of the row's, so only what depends on all of them fits.
                let whole = self.pull.nest.row.iter().all(|&var| mentions(&element.1, var));
                if first < number && whole && !self.recompute(&element) {
                    kept.insert(element);
                } else {
                    stack.extend(operands);
                }
            }
        }
        kept
    }
}

//! What is known of each node before regions grow: which nodes must be in memory, which views are strided views of arrays
//! in memory, where the roots are found, and what recomputing costs.

use crate::{
    fusion::{
        Access, ResultView, Why,
        cost::{self, Cost, Limits},
        epilogue::{Epilogue, epilogues},
        index::is_affine,
        pieces::{Piece, pieces},
        spread,
        strided::Strided,
    },
    graph::{Graph, Node, NodeId},
    node::{Op, View},
    shape::{Dim, SymShape},
};

/// Which reductions the value of a node needs, as far as they are not stored for sure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Below {
    /// None.
    Nothing,
    /// Only reductions along axes of these extents that rows can have, see [`are_rows`].
    Rows(SymShape),
    /// Others.
    Other,
}

impl Below {
    fn and(&self, other: &Below) -> Below {
        match (self, other) {
            (Below::Nothing, x) | (x, Below::Nothing) => x.clone(),
            (a, b) if a == b => a.clone(),
            _ => Below::Other,
        }
    }
}

/// One entry a node in each list.
pub(super) struct Facts {
    /// Do the roots need it?
    pub live: Vec<bool>,
    /// Is it the same for every index? Then any index will do.
    pub uniform: Vec<bool>,
    /// Why it must be in memory, if it must.
    pub required: Vec<Option<Why>>,
    /// The array in memory that it is a strided view of, if there is one.
    pub access: Vec<Option<Access>>,
    /// What computing it costs.
    pub cost: Vec<Cost>,
    /// The reductions below it.
    pub below: Vec<Below>,
    /// Of what a sum of squared distances is centred at: the extents that are folded.
    pub centres: Vec<Option<SymShape>>,
    /// What it adds up, if it is computed with its product.
    pub epilogues: Vec<Option<Epilogue>>,
    /// The piece of a long chain that it belongs to.
    pub pieces: Vec<Option<Piece>>,
    /// How much a region may compute.
    pub limits: Limits,
    /// Where each root is.
    pub results: Vec<ResultView>,
}

impl Facts {
    pub fn of(graph: &Graph, limits: Limits) -> Facts {
        let count = graph.len();
        let mut facts = Facts {
            live: vec![false; count],
            uniform: Vec::with_capacity(count),
            required: vec![None; count],
            access: vec![None; count],
            cost: Vec::with_capacity(count),
            below: Vec::with_capacity(count),
            centres: Vec::new(),
            epilogues: Vec::new(),
            pieces: Vec::new(),
            limits,
            results: Vec::new(),
        };
        for id in graph.reached() {
            facts.live[id.0 as usize] = true;
        }
        for (_, node) in graph.iter() {
            let uniform = match &node.op {
                Op::Const(_) | Op::Param(_) => true,
                Op::Map(_) | Op::Cast | Op::View(_) => node.inputs.iter().all(|i| facts.uniform[i.0 as usize]),
                _ => false,
            };
            facts.uniform.push(uniform);
        }
        facts.epilogues = epilogues(graph, limits, &facts.live);
        facts.place_roots(graph);
        for (id, node) in graph.iter() {
            if facts.live[id.0 as usize] {
                facts.place(graph, id, node);
            }
            facts.estimate(graph, id, node);
        }
        facts.centres = spread::centres(graph, &facts.uniform, &facts.cost);
        let with_product =
            |(required, epilogue): (&Option<Why>, &Option<Epilogue>)| required.is_some() || epilogue.is_some();
        let stored: Vec<bool> = facts.required.iter().zip(&facts.epilogues).map(with_product).collect();
        facts.pieces = pieces(graph, limits, &facts.live, &facts.uniform, &stored);
        facts
    }

    /// The array in memory that a node is, or is a view of.
    pub fn resolve(&self, graph: &Graph, id: NodeId) -> Option<Access> {
        match self.required[id.0 as usize] {
            Some(_) => Some(Access { base: id, strided: Strided::dense(&graph.node(id).shape) }),
            None => self.access[id.0 as usize].clone(),
        }
    }

    /// Is it the same at every index, and so cheap that whoever needs it may compute it?
    pub fn free_everywhere(&self, id: NodeId) -> bool {
        self.uniform[id.0 as usize] && cost::recompute_uniform(self.cost[id.0 as usize])
    }

    fn require(&mut self, graph: &Graph, id: NodeId, why: Why) {
        // `hoist-views` makes copies of inputs nodes of their own.
        assert!(!matches!(graph.node(id).op, Op::Input(_)), "an input has to be copied: {why}");
        self.required[id.0 as usize].get_or_insert(why);
    }

    /// Decides which node is stored for each root. Views of what is stored anyway cost nothing; a slice or an expansion of
    /// something else is stored itself, so that no more than it is computed and nobody gets an array that overlaps itself.
    fn place_roots(&mut self, graph: &Graph) {
        for &root in &graph.roots {
            if !matches!(graph.node(root).op, Op::View(_) | Op::Input(_)) {
                self.require(graph, root, Why::Root);
            }
        }
        for &root in &graph.roots {
            let mut chain = vec![root];
            if !self.uniform[root.0 as usize] {
                while let Node { op: Op::View(_), inputs, .. } = graph.node(chain[chain.len() - 1]) {
                    chain.push(inputs[0]);
                }
            }
            let base = chain[chain.len() - 1];
            let in_memory = matches!(graph.node(base).op, Op::Input(_) | Op::Concat { .. } | Op::Dot | Op::Call(_))
                || self.required[base.0 as usize].is_some()
                || self.epilogues[base.0 as usize].is_some();
            if !in_memory {
                // The outermost view that has to be stored itself, if any; else the base is.
                let own = |id: &NodeId| matches!(graph.node(*id).op, Op::View(View::Slice { .. } | View::Expand));
                if let Some(at) = chain.iter().position(own) {
                    chain.truncate(at + 1);
                }
            }
            let result = self.view_along(graph, &chain);
            self.results.push(result);
        }
    }

    /// The last node of the chain stored and the others, towards the front, views of it; as long as they are strided.
    fn view_along(&mut self, graph: &Graph, chain: &[NodeId]) -> ResultView {
        let start = chain[chain.len() - 1];
        let mut stored = start;
        let mut strided = match &graph.node(start).op {
            Op::Input(input) => Strided::input(*input, &graph.inputs[input.0 as usize]),
            _ => Strided::dense(&graph.node(start).shape),
        };
        for pair in chain.windows(2).rev() {
            let (node, operand) = (graph.node(pair[0]), graph.node(pair[1]));
            let Op::View(view) = &node.op else { continue };
            strided = strided.view(view, &operand.shape, &node.shape).unwrap_or_else(|| {
                stored = pair[1];
                // A dense array can be reshaped in any way, and only reshapes are refused.
                Strided::dense(&node.shape)
            });
        }
        if !matches!(graph.node(stored).op, Op::Input(_)) {
            self.require(graph, stored, Why::Root);
        }
        ResultView { base: stored, strided }
    }

    /// Finds the array that a view is a view of; makes one where it is needed.
    fn place(&mut self, graph: &Graph, id: NodeId, node: &Node) {
        let dense = || Some(Access { base: id, strided: Strided::dense(&node.shape) });
        match &node.op {
            Op::Input(input) => {
                let strided = Strided::input(*input, &graph.inputs[input.0 as usize]);
                self.access[id.0 as usize] = Some(Access { base: id, strided });
            }
            Op::Concat { .. } => self.access[id.0 as usize] = dense(),
            Op::Dot | Op::Call(_) => {
                self.access[id.0 as usize] = dense();
                let why = if node.op == Op::Dot { Why::ProductOperand } else { Why::CallOperand };
                for &operand in &node.inputs {
                    self.make_addressable(graph, operand, why);
                }
            }
            Op::Gather => self.make_addressable(graph, node.inputs[0], Why::Gathered),
            Op::Map(_) if self.epilogues[id.0 as usize].is_some() => self.access[id.0 as usize] = dense(),
            Op::View(_) if !self.uniform[id.0 as usize] => {
                let operand = node.inputs[0];
                if self.access[operand.0 as usize].is_some() || !is_affine(node, graph.node(operand)) {
                    self.access[id.0 as usize] = self.viewed(graph, id);
                }
            }
            _ => {}
        }
    }

    /// The strided view that a view is; its operand is stored if there is no other way.
    fn viewed(&mut self, graph: &Graph, id: NodeId) -> Option<Access> {
        let node = graph.node(id);
        let Op::View(view) = &node.op else { return None };
        let operand = node.inputs[0];
        let from = &graph.node(operand).shape;
        let viewed = |access: Access| {
            let strided = access.strided.view(view, from, &node.shape)?;
            Some(Access { base: access.base, strided })
        };
        if let Some(access) = self.access[operand.0 as usize].clone().and_then(viewed) {
            return Some(access);
        }
        self.require(graph, operand, Why::Reshape);
        self.resolve(graph, operand).and_then(viewed)
    }

    /// Sees to it that a node is in memory or a strided view of what is.
    fn make_addressable(&mut self, graph: &Graph, id: NodeId, why: Why) {
        // The views between the node and what is addressable already or will be stored, outermost first.
        let mut chain = Vec::new();
        let mut at = id;
        loop {
            if self.access[at.0 as usize].is_some() || self.required[at.0 as usize].is_some() {
                break;
            }
            let node = graph.node(at);
            // The view from which elements are gathered has the result's axes too, and is far larger than what it is of.
            let looks_through = !self.uniform[at.0 as usize] || why == Why::Gathered;
            match &node.op {
                Op::View(View::Permute(_) | View::Reshape | View::Expand) if looks_through => {
                    chain.push(at);
                    at = node.inputs[0];
                }
                _ => {
                    self.require(graph, at, why);
                    break;
                }
            }
        }
        for &view in chain.iter().rev() {
            let operand = graph.node(view).inputs[0];
            if self.access[operand.0 as usize].is_none() {
                self.require(graph, operand, why);
            }
            self.access[view.0 as usize] = self.viewed(graph, view);
        }
    }

    /// What reading a node that is in memory costs.
    fn loaded(&self, id: NodeId, node: &Node) -> Cost {
        let repeats = |access: &Access| {
            node.shape.iter().zip(&access.strided.strides).any(|(d, s)| *d != Dim::One && s.is_zero())
        };
        // What is repeated along an axis stays in the cache.
        let bytes = if self.access[id.0 as usize].as_ref().is_some_and(repeats) { 0 } else { node.dtype.size() as u32 };
        Cost { bytes, ..Cost::load(node.dtype) }
    }

    fn estimate(&mut self, graph: &Graph, id: NodeId, node: &Node) {
        let operands =
            |facts: &Facts| node.inputs.iter().fold(Cost::default(), |sum, i| sum.plus(facts.cost[i.0 as usize]));
        let below =
            |facts: &Facts| node.inputs.iter().fold(Below::Nothing, |all, i| all.and(&facts.below[i.0 as usize]));
        let (cost, needs) = match &node.op {
            _ if self.access[id.0 as usize].is_some() => (self.loaded(id, node), Below::Nothing),
            Op::Const(_) | Op::Param(_) | Op::Input(_) => (Cost::default(), Below::Nothing),
            Op::Iota { .. } => (Cost { ops: 1, bytes: 0 }, Below::Nothing),
            Op::Map(op) => {
                let own = cost::op(*op, graph.node(node.inputs[0]).dtype);
                (operands(self).plus(Cost { ops: own, bytes: 0 }), below(self))
            }
            Op::Cast => (operands(self).plus(Cost { ops: 1, bytes: 0 }), below(self)),
            Op::Gather => {
                let indices = node.inputs[1..].iter();
                let sum = indices.clone().fold(Cost::default(), |sum, i| sum.plus(self.cost[i.0 as usize]));
                let needs = indices.fold(Below::Nothing, |all, i| all.and(&self.below[i.0 as usize]));
                (sum.plus(Cost { ops: cost::GATHER, bytes: node.dtype.size() as u32 }), needs)
            }
            Op::View(View::Expand) => (Cost { bytes: 0, ..operands(self) }, below(self)),
            Op::View(_) => (operands(self), below(self)),
            Op::Reduce { axes, .. } => match reduced_extents(graph, node) {
                extents if extents.is_empty() => (operands(self), below(self)),
                extents => (Cost::load(node.dtype), rows(&graph.node(node.inputs[0]).shape, axes, extents)),
            },
            Op::Scan { .. } | Op::Concat { .. } | Op::Dot | Op::Call(_) => (Cost::load(node.dtype), Below::Nothing),
        };
        self.cost.push(cost);
        self.below.push(needs);
    }
}

/// The extents that a reduction folds, but for those that are 1.
pub(super) fn reduced_extents(graph: &Graph, node: &Node) -> SymShape {
    let Op::Reduce { axes, .. } = &node.op else { return SymShape::new() };
    let operand = graph.node(node.inputs[0]);
    axes.iter().map(|&a| operand.shape[a as usize]).filter(|&d| d != Dim::One).collect()
}

/// What a reduction asks of the regions that use its result.
fn rows(shape: &[Dim], axes: &[u8], extents: SymShape) -> Below {
    let long: Vec<u8> = (0..shape.len() as u8).filter(|&a| shape[a as usize] != Dim::One).collect();
    let reduced = |position: usize| axes.contains(&long[position]);
    if are_rows(long.len(), reduced) { Below::Rows(extents) } else { Below::Other }
}

/// May reductions over these of `count` axes, and what uses them along these axes, be loops of one kernel? They may when the
/// axes are the innermost ones: each item has its row. Where that is everything, the kernel pass `split-reductions` makes
/// parallel phases of the one item's loops. Along outer axes it could do so too, but measured on 4096 x 2048 float32, softmax
/// of columns took 27 ms as one kernel and 19 ms as several, and the mean plus deviations of 200000 x 8 1.7 and 0.9 ms.
pub(super) fn are_rows(count: usize, row: impl Fn(usize) -> bool) -> bool {
    let length = (0..count).filter(|&axis| row(axis)).count();
    (count - length..count).all(&row)
}

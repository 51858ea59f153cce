//! From lazy nodes to a captured graph. Capturing only walks, numbers and encodes: its key finds a compiled plan. The
//! graph itself is built on a miss.
//!
//! Computed nodes are inputs. Besides the asked-for nodes, the outputs are the nodes that somebody outside the captured
//! graph still holds (a live handle, another recorded graph): so whatever is computed once is kept, and never again
//! computed. Symbols are numbered in the order in which the walk meets their values, equal extents sharing one; starts
//! and steps of slices have symbols of their own, so that an index that happens to equal an extent changes nothing.
//!
//! `capture/steps.rs` takes a captured graph apart, where `capture/sums.rs` says that it may be.

use crate::{
    graph::{Graph, InputDecl, Layout, NodeId, Stride},
    lazy::{Expression, Lazy, Reading},
    node::{InputId, LazyForm, Op, ParamId, View},
    scalar::Scalar,
    shape::{Dim, Int, SymId, SymShape},
    value::Buffer,
};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::{hash::Hasher, ops::Range, sync::Arc};

mod steps;
mod sums;

pub use steps::Steps;

/// A captured graph, encoded. Most graphs are small: room for those is part of it.
#[derive(Default)]
pub struct Capture<'a> {
    /// Captures with equal keys have equal graphs. The other way round it is so but for nodes recorded twice, which the
    /// graph has once.
    pub key: Vec<u32>,
    /// Of the key.
    pub hash: u64,
    /// What the graph is computed from, this time.
    pub values: Values,
    nodes: SmallVec<[Captured<'a>; 16]>,
    /// The operands of all nodes.
    operands: SmallVec<[u32; 32]>,
    /// The number of each node by address, once there are too many to look through.
    ids: FxHashMap<*const Lazy, u32>,
    roots: SmallVec<[u32; 4]>,
}

/// What a captured graph is computed from, and for whom.
#[derive(Default)]
pub struct Values {
    /// The value of each symbol.
    pub symbols: SmallVec<[i64; 8]>,
    /// The value of each parameter.
    pub params: SmallVec<[Scalar; 4]>,
    /// The node of each input; all have buffers.
    pub inputs: SmallVec<[Arc<Lazy>; 4]>,
    /// The node of each root of the graph: first the asked-for ones, then those to be kept.
    pub outputs: SmallVec<[Arc<Lazy>; 2]>,
}

/// Indices at which a node gathers.
#[derive(Clone, Debug)]
pub struct Pick {
    /// The indices.
    pub index: Arc<Lazy>,
    /// The axis of the user's array, as far as it can be told.
    pub axis: usize,
    /// That axis' extent.
    pub extent: usize,
}

/// A node that the walk met. Operands come before their users.
struct Captured<'a> {
    lazy: &'a Arc<Lazy>,
    /// `None` for inputs.
    expression: Option<&'a Expression>,
    /// Where its operands begin in the list of all.
    operands: usize,
    /// How many operand entries of captured nodes are this node.
    uses: u32,
}

/// Captures what is needed to compute the roots, none of which has a buffer yet, and lets `then` look at it; nothing may be
/// computed there.
pub fn capture<T>(roots: &[Arc<Lazy>], then: impl FnOnce(&Capture<'_>) -> T) -> (T, Values) {
    let reading = Reading::begin();
    let mut capture = Capture::default();
    for root in roots {
        let id = capture.walk(root, &reading);
        capture.roots.push(id);
    }
    capture.keep_what_others_hold();
    capture.encode();
    (then(&capture), capture.values)
}

/// The graph that computes the roots, and its values.
pub fn graph_of(roots: &[Arc<Lazy>]) -> (Graph, Values) {
    capture(roots, |captured| captured.graph())
}

/// Values met so far, by symbol.
#[derive(Default)]
struct Symbols {
    values: SmallVec<[i64; 8]>,
    is_extent: SmallVec<[bool; 8]>,
}

impl Symbols {
    fn of(&mut self, value: i64, is_extent: bool) -> u32 {
        let known = self.values.iter().zip(&self.is_extent).position(|(&v, &e)| v == value && e == is_extent);
        known.unwrap_or_else(|| {
            self.values.push(value);
            self.is_extent.push(is_extent);
            self.values.len() - 1
        }) as u32
    }

    fn dim(&mut self, extent: usize) -> Dim {
        match extent {
            0 => Dim::Zero,
            1 => Dim::One,
            _ => Dim::Sym(SymId(self.of(extent as i64, true))),
        }
    }

    fn shape(&mut self, shape: &[usize]) -> SymShape {
        shape.iter().map(|&d| self.dim(d)).collect()
    }

    fn start(&mut self, value: i64) -> Int {
        if value == 0 { Int::Const(0) } else { Int::Sym(SymId(self.of(value, false))) }
    }

    fn step(&mut self, value: i64) -> Int {
        if value.abs() == 1 { Int::Const(value) } else { Int::Sym(SymId(self.of(value, false))) }
    }
}

/// Parameters met so far, by number.
struct Params {
    values: SmallVec<[Scalar; 4]>,
    /// Are equal ones one?
    shared: bool,
}

impl Params {
    /// So many have a number each, whatever they are: no coincidence makes another plan of a usual graph.
    const FEW: usize = 32;

    /// Of a graph with these nodes. The steps of a recorded loop have the same numbers, and kernels would keep each step's in registers;
    /// so of many, those that equal one of the first are that one.
    fn of(nodes: &[Captured<'_>]) -> Params {
        let is_param = |node: &&Captured<'_>| matches!(node.expression.map(|e| &e.op), Some(Op::Param(_)));
        let shared = nodes.len() > Params::FEW && nodes.iter().filter(is_param).count() > Params::FEW;
        Params { values: SmallVec::new(), shared }
    }

    /// The number of the next one.
    fn number(&mut self, value: Scalar) -> u32 {
        let first = if self.shared { &self.values[..self.values.len().min(Params::FEW)] } else { &[] };
        first.iter().position(|known| *known == value).unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        }) as u32
    }
}

/// How a node is to be computed; `None` when it is.
fn pending<'a>(node: &'a Lazy, reading: &'a Reading) -> Option<&'a Expression> {
    if node.buffer().is_some() { None } else { node.expression(reading) }
}

impl<'a> Capture<'a> {
    /// Most graphs are so small that looking through the nodes beats hashing.
    const LISTED: usize = 24;

    /// Meets every node that the root needs, operands first, without recursion. Returns the root's number.
    fn walk(&mut self, root: &'a Arc<Lazy>, reading: &'a Reading) -> u32 {
        if let Some(id) = self.find(root) {
            return id;
        }
        // A node whose operands are being met, its expression, how many are met.
        type Visit<'a> = (&'a Arc<Lazy>, Option<&'a Expression>, usize);
        let mut path: SmallVec<[Visit; 16]> = SmallVec::new();
        // The numbers of the operands met, of all nodes on the path.
        let mut met: SmallVec<[u32; 16]> = SmallVec::new();
        path.push((root, pending(root, reading), 0));
        while let Some((lazy, expression, count)) = path.last_mut() {
            if let Some(operand) = expression.and_then(|e| e.inputs.get(*count)) {
                *count += 1;
                // The walk is over a graph without cycles, so an operand is either finished or not yet met.
                match self.find(operand) {
                    Some(id) => met.push(id),
                    None => path.push((operand, pending(operand, reading), 0)),
                }
                continue;
            }
            let operands = met.len() - *count;
            let id = self.push(lazy, *expression, &met[operands..]);
            met.truncate(operands);
            met.push(id);
            path.pop();
        }
        self.nodes.len() as u32 - 1
    }

    fn find(&self, node: &Arc<Lazy>) -> Option<u32> {
        if self.nodes.len() <= Self::LISTED {
            // What was met last is asked for most.
            return self.nodes.iter().rposition(|met| Arc::ptr_eq(met.lazy, node)).map(|i| i as u32);
        }
        self.ids.get(&Arc::as_ptr(node)).copied()
    }

    fn push(&mut self, lazy: &'a Arc<Lazy>, expression: Option<&'a Expression>, operands: &[u32]) -> u32 {
        let first = self.operands.len();
        for &operand in operands {
            self.nodes[operand as usize].uses += 1;
            self.operands.push(operand);
        }
        let id = self.nodes.len() as u32;
        self.nodes.push(Captured { lazy, expression, operands: first, uses: 0 });
        if self.nodes.len() == Self::LISTED + 1 {
            self.ids.extend(self.nodes.iter().zip(0..).map(|(node, id)| (Arc::as_ptr(node.lazy), id)));
        } else if self.nodes.len() > Self::LISTED {
            self.ids.insert(Arc::as_ptr(lazy), id);
        }
        id
    }

    /// The numbers of a node's operands.
    fn operands(&self, node: &Captured) -> &[u32] {
        let count = node.expression.map_or(0, |e| e.inputs.len());
        &self.operands[node.operands..node.operands + count]
    }

    /// Adds the nodes that somebody outside holds to the roots; for a view, what it views.
    fn keep_what_others_hold(&mut self) {
        for (i, node) in self.nodes.iter().enumerate() {
            // Each use is one reference in the user's expression.
            if node.expression.is_none() || Arc::strong_count(node.lazy) <= node.uses as usize {
                continue;
            }
            let mut kept = i as u32;
            let is_view = |e: &Expression| matches!(e.op, Op::View(_));
            while self.nodes[kept as usize].expression.is_some_and(is_view) {
                kept = self.operands(&self.nodes[kept as usize])[0];
            }
            let trivial = match self.nodes[kept as usize].expression {
                None => true,
                Some(e) => matches!(e.op, Op::Const(_) | Op::Param(_) | Op::Iota { .. }),
            };
            if !trivial && !self.roots.contains(&kept) && !self.roots.contains(&(i as u32)) {
                self.roots.push(kept);
            }
        }
        self.values.outputs = self.roots.iter().map(|&root| self.nodes[root as usize].lazy.clone()).collect();
    }

    /// The indices at which nodes gather, operands before their users.
    pub fn picks(&self) -> Vec<Pick> {
        let mut picks = Vec::new();
        for node in &self.nodes {
            let Some(Expression { op: Op::Gather, inputs }) = node.expression else { continue };
            let (array, indices) = (self.operands(node)[0], &inputs[1..]);
            let rank = inputs[0].shape.len() - indices.len();
            for (number, index) in indices.iter().enumerate() {
                let axis = self.gathered_axis(array, rank + number);
                picks.push(Pick { index: index.clone(), axis, extent: inputs[0].shape[rank + number] });
            }
        }
        picks
    }

    /// Of the array operand of a gather, the axis of the user's array that this axis of the operand is: recording moves the
    /// axes to the end, and then inserts axes of extent 1.
    fn gathered_axis(&self, array: u32, axis: usize) -> usize {
        let viewed = |id: u32| {
            let node = &self.nodes[id as usize];
            node.expression.map(|expression| (&expression.op, self.operands(node).first().copied().unwrap_or(id)))
        };
        let shape = |id: u32| &self.nodes[id as usize].lazy.shape;
        let long = |id: u32| shape(id).iter().filter(|&&d| d != 1);
        let (mut array, mut axis) = (array, axis);
        if let Some((Op::View(View::Reshape), below)) = viewed(array)
            && long(array).eq(long(below))
        {
            axis = (axis + shape(below).len()).saturating_sub(shape(array).len());
            array = below;
        }
        match viewed(array) {
            Some((Op::View(View::Permute(axes)), _)) => axes.get(axis).map_or(axis, |&a| a as usize),
            _ => axis,
        }
    }

    /// Numbers symbols, inputs and parameters in the order of the walk, and writes the key.
    fn encode(&mut self) {
        let (mut symbols, mut params) = (Symbols::default(), Params::of(&self.nodes));
        let mut key = std::mem::take(&mut self.key);
        key.reserve(self.nodes.len() * 8);
        // Where the key has the last shape: neighbours mostly have the same.
        let mut last: (&[usize], Range<usize>) = (&[], 0..0);
        for node in &self.nodes {
            let op = node.expression.map(|e| &e.op);
            let operands = self.operands(node);
            key.push(opcode(op) | (node.lazy.dtype as u32) << 16 | (operands.len().min(MANY) as u32) << 24);
            if operands.len() >= MANY {
                key.push(operands.len() as u32);
            }
            key.extend_from_slice(operands);
            match op {
                None | Some(Op::Input(())) => {
                    encode_layout(node.lazy, &mut key);
                    self.values.inputs.push(node.lazy.clone());
                }
                Some(Op::Const(value)) => key.extend([value.bits() as u32, (value.bits() >> 32) as u32]),
                Some(Op::Param(value)) => {
                    let number = params.number(*value);
                    if params.shared {
                        key.push(number);
                    }
                }
                Some(Op::Iota { axis } | Op::Concat { axis } | Op::Scan { axis, .. }) => key.push(*axis as u32),
                Some(Op::Reduce { axes, .. } | Op::View(View::Permute(axes))) => {
                    key.push(axes.len() as u32);
                    key.extend(axes.iter().map(|&a| a as u32));
                }
                Some(Op::View(View::Slice { starts, steps })) => {
                    key.extend(starts.iter().map(|&s| code(symbols.start(s))));
                    key.extend(steps.iter().map(|&s| code(symbols.step(s))));
                }
                Some(
                    Op::Map(_) | Op::Cast | Op::View(View::Reshape | View::Expand) | Op::Gather | Op::Dot | Op::Call(_),
                ) => {}
            }
            let shape = node.lazy.shape.as_slice();
            key.push(shape.len() as u32);
            let start = key.len();
            if shape == last.0 {
                key.extend_from_within(last.1.clone());
            } else {
                key.extend(shape.iter().map(|&d| match symbols.dim(d) {
                    Dim::Zero => 0,
                    Dim::One => 1,
                    Dim::Two => unreachable!("a user's extent of 2 is a symbol"),
                    Dim::Sym(s) => s.0 + 2,
                }));
            }
            last = (shape, start..key.len());
        }
        key.extend_from_slice(&self.roots);
        if params.shared {
            // No root's number: where parameters have numbers is part of the key too.
            key.push(u32::MAX);
        }
        let mut hasher = FxHasher::default();
        key.iter().for_each(|&word| hasher.write_u32(word));
        self.hash = hasher.finish();
        self.key = key;
        self.values.symbols = symbols.values;
        self.values.params = params.values;
    }

    /// The graph that the key stands for, broadcasts made explicit.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let (mut symbols, mut params) = (Symbols::default(), Params::of(&self.nodes));
        let mut ids: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let operands: SmallVec<[NodeId; 3]> = self.operands(node).iter().map(|&o| ids[o as usize]).collect();
            let id = match node.expression.map(|e| &e.op) {
                None | Some(Op::Input(())) => {
                    let shape = symbols.shape(&node.lazy.shape);
                    graph.inputs.push(InputDecl { dtype: node.lazy.dtype, shape, layout: layout(node.lazy) });
                    graph.input(InputId(graph.inputs.len() as u32 - 1))
                }
                Some(Op::Param(value)) => {
                    let number = params.number(*value);
                    if number as usize == graph.params.len() {
                        graph.params.push(value.dtype());
                    }
                    graph.param(ParamId(number))
                }
                Some(op) => add(&mut graph, op, &operands, node.lazy, &mut symbols),
            };
            ids.push(id);
        }
        graph.symbols = symbols.values.len() as u32;
        graph.roots = self.roots.iter().map(|&r| ids[r as usize]).collect();
        graph
    }
}

fn add(graph: &mut Graph, op: &Op<LazyForm>, operands: &[NodeId], node: &Arc<Lazy>, symbols: &mut Symbols) -> NodeId {
    match op {
        Op::Input(()) | Op::Param(_) => unreachable!("handled by the caller"),
        Op::Const(value) => graph.constant(*value),
        Op::Iota { axis } => {
            let shape = symbols.shape(&node.shape);
            graph.iota(*axis, shape)
        }
        Op::Map(op) => {
            let shape = symbols.shape(&node.shape);
            let operands: SmallVec<[NodeId; 3]> = operands.iter().map(|&o| graph.broadcast(o, &shape)).collect();
            graph.map(*op, &operands)
        }
        Op::Cast => {
            symbols.shape(&node.shape);
            graph.cast(node.dtype, operands[0])
        }
        Op::View(View::Permute(axes)) => {
            symbols.shape(&node.shape);
            graph.permute(operands[0], axes.clone())
        }
        Op::View(View::Reshape) => graph.view(View::Reshape, operands[0], symbols.shape(&node.shape)),
        Op::View(View::Expand) => graph.view(View::Expand, operands[0], symbols.shape(&node.shape)),
        Op::View(View::Slice { starts, steps }) => {
            let starts = starts.iter().map(|&s| symbols.start(s)).collect();
            let steps = steps.iter().map(|&s| symbols.step(s)).collect();
            graph.view(View::Slice { starts, steps }, operands[0], symbols.shape(&node.shape))
        }
        Op::Reduce { op, axes } => {
            symbols.shape(&node.shape);
            graph.reduce(*op, operands[0], axes.clone())
        }
        Op::Scan { op, axis } => {
            symbols.shape(&node.shape);
            graph.scan(*op, operands[0], *axis)
        }
        Op::Concat { axis } => graph.concat(*axis, operands, symbols.shape(&node.shape)),
        Op::Gather => {
            let shape = symbols.shape(&node.shape);
            let mut whole = shape.clone();
            whole.extend_from_slice(&graph.node(operands[0]).shape[shape.len()..]);
            let array = graph.view(View::Expand, operands[0], whole);
            let indices: SmallVec<[NodeId; 3]> =
                operands[1..].iter().map(|&index| graph.broadcast(index, &shape)).collect();
            graph.gather(array, &indices)
        }
        Op::Dot => {
            symbols.shape(&node.shape);
            graph.dot(operands[0], operands[1])
        }
        Op::Call(routine) => graph.call(*routine, operands, node.dtype, symbols.shape(&node.shape)),
    }
}

/// From so many operands on their number has a word of its own.
const MANY: usize = 255;

/// The kind of node and, where it has one, its scalar op, in 16 bits.
fn opcode(op: Option<&Op<LazyForm>>) -> u32 {
    let scalar = |code: u32, op: &crate::ops::ScalarOp| code | (*op as u32) << 8;
    match op {
        None | Some(Op::Input(())) => 0,
        Some(Op::Const(_)) => 1,
        Some(Op::Param(_)) => 2,
        Some(Op::Iota { .. }) => 3,
        Some(Op::Map(op)) => scalar(4, op),
        Some(Op::Cast) => 5,
        Some(Op::View(View::Reshape)) => 6,
        Some(Op::View(View::Permute(_))) => 7,
        Some(Op::View(View::Expand)) => 8,
        Some(Op::View(View::Slice { .. })) => 9,
        Some(Op::Reduce { op, .. }) => scalar(10, op),
        Some(Op::Scan { op, .. }) => scalar(11, op),
        Some(Op::Concat { .. }) => 12,
        Some(Op::Dot) => 13,
        Some(Op::Gather) => 15,
        Some(Op::Call(routine)) => 14 | routine.code() << 8,
    }
}

fn code(int: Int) -> u32 {
    match int {
        Int::Const(value) => (value + 1) as u32,
        Int::Sym(symbol) => symbol.0 + 3,
    }
}

/// What code may depend on of an input's memory.
fn layout(node: &Lazy) -> Layout {
    let Some(Buffer { strides, .. }) = node.buffer() else { return Layout::Contiguous };
    if node.buffer().is_some_and(|b| b.is_contiguous(&node.shape)) {
        return Layout::Contiguous;
    }
    let class = |(&extent, &stride): (&usize, &isize)| match stride {
        _ if extent < 2 => Stride::Zero,
        0 => Stride::Zero,
        1 => Stride::One,
        _ => Stride::Dynamic,
    };
    Layout::Strided(node.shape.iter().zip(strides).map(class).collect())
}

fn encode_layout(node: &Lazy, key: &mut Vec<u32>) {
    match layout(node) {
        Layout::Contiguous => key.push(0),
        Layout::Strided(strides) => {
            key.push(1);
            key.extend(strides.iter().map(|&stride| stride as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::{self, Axis, Operand},
        dtype::DType,
        lazy::Device,
        ops::ScalarOp,
        promote::Weak,
        shape::Shape,
        value::Storage,
    };
    use smallvec::smallvec;

    #[derive(Debug)]
    struct Nothing;
    impl Storage for Nothing {
        fn pointer(&self) -> *mut u8 {
            std::ptr::NonNull::dangling().as_ptr()
        }
        fn bytes(&self) -> usize {
            0
        }
        fn read_only(&self) -> bool {
            true
        }
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    fn input(shape: &[usize]) -> Arc<Lazy> {
        let shape: Shape = shape.into();
        Lazy::computed(Buffer::dense(Arc::new(Nothing), &shape), DType::F32, shape, Device::Cpu)
    }

    fn scaled(x: &Arc<Lazy>, by: f64) -> Arc<Lazy> {
        build::elementwise(ScalarOp::Multiply, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Float(by))]).unwrap()
    }

    #[test]
    fn another_size_and_another_python_scalar_have_the_same_key() {
        let mean = |x: &Arc<Lazy>, by| build::mean(&scaled(x, by), &Axis::List(smallvec![0]), false).unwrap();
        let keyed = |root: Arc<Lazy>| capture(&[root], |captured| captured.key.clone());
        let (small, small_values) = keyed(mean(&input(&[3, 5]), 2.0));
        let (large, large_values) = keyed(mean(&input(&[30, 50]), 4.0));
        assert_eq!(small, large);
        assert_eq!((&small_values.symbols[..], &large_values.symbols[..]), (&[3, 5][..], &[30, 50][..]));
        let (square, _) = keyed(mean(&input(&[5, 5]), 2.0));
        assert_ne!(large, square, "equal extents are another structure");
    }

    #[test]
    fn the_steps_of_a_long_loop_have_the_same_parameters() {
        let captured = |steps: i32, factor: fn(i32) -> f64| {
            let root = (0..steps).fold(input(&[3]), |x, step| scaled(&scaled(&x, 0.5), factor(step)));
            let (key, values) = capture(std::slice::from_ref(&root), |captured| captured.key.clone());
            (key, values.params, graph_of(&[root]).0.params.len())
        };
        // Few have a number each, so that no coincidence makes another plan.
        let (same, params, declared) = captured(16, |_| 0.25);
        assert_eq!((params.len(), declared), (32, 32));
        assert_eq!(same, captured(16, f64::from).0);
        let (same, params, declared) = captured(100, |_| 0.25);
        assert_eq!((params.len(), declared), (2, 2));
        let (other, params, declared) = captured(100, |step| f64::from(step + 10));
        assert_eq!((params.len(), declared), (101, 101));
        assert_ne!(same, other);
    }

    #[test]
    fn nodes_that_somebody_holds_become_outputs() {
        let x = input(&[4]);
        let held = scaled(&x, 2.0);
        let root = scaled(&scaled(&held, 3.0), 4.0);
        let outputs = graph_of(std::slice::from_ref(&root)).1.outputs;
        assert_eq!(outputs.len(), 2);
        assert!(Arc::ptr_eq(&outputs[1], &held));
        drop(outputs);
        drop(held);
        assert_eq!(graph_of(&[root]).1.outputs.len(), 1);
    }

    #[test]
    fn a_held_view_keeps_what_it_views() {
        let x = input(&[4, 3]);
        let computed = scaled(&x, 2.0);
        let view = build::matrix_transpose(&computed).unwrap();
        let base = Arc::downgrade(&computed);
        drop(computed);
        let outputs = graph_of(&[scaled(&view, 3.0)]).1.outputs;
        assert!(std::ptr::eq(Arc::as_ptr(&outputs[1]), base.as_ptr()));
    }

    #[test]
    fn graphs_are_strict() {
        let x = input(&[4, 3]);
        let row = input(&[3]);
        let sum = build::elementwise(ScalarOp::Add, &[Operand::Array(x.clone()), Operand::Array(row.clone())]).unwrap();
        let (graph, _) = graph_of(&[sum]);
        let root = graph.node(graph.roots[0]);
        assert!(root.inputs.iter().all(|&i| graph.node(i).shape == root.shape));
        assert_eq!(graph.len(), 5, "two inputs, reshape, expand, add");
    }

    #[test]
    fn operands_beyond_what_a_byte_counts_are_part_of_the_key() {
        let parts: Vec<_> = (0..700).map(|_| input(&[4])).collect();
        let key = |count: usize| {
            let joined = build::concat(&parts[..count], Some(0)).unwrap();
            capture(&[joined], |captured| captured.key.clone()).0
        };
        let joined = |key: &[u32]| key.contains(&700);
        assert!(joined(&key(700)) && !joined(&key(444)));
    }

    #[test]
    fn long_chains_are_walked_and_dropped_without_recursion() {
        let mut x = input(&[4]);
        for _ in 0..200_000 {
            x = scaled(&x, 2.0);
        }
        let (_, values) = graph_of(std::slice::from_ref(&x));
        assert_eq!(values.params.len(), 1);
        drop(values);
        drop(x);
    }
}

//! From lazy nodes to a captured graph. Capturing only walks, numbers and encodes: its key finds a compiled plan. The
//! graph itself is built on a miss.
//!
//! Computed nodes are inputs. Besides the asked-for nodes, the outputs are the nodes that somebody outside the captured
//! graph still holds (a live handle, another recorded graph): so whatever is computed once is kept, and never again
//! computed. Symbols are numbered in the order in which the walk meets their values, equal extents sharing one; starts
//! and steps of slices have symbols of their own, so that an index that happens to equal an extent changes nothing.

use crate::{
    graph::{Graph, InputDecl, Layout, NodeId, Stride},
    lazy::{Expression, Lazy},
    node::{InputId, LazyForm, Op, ParamId, View},
    scalar::Scalar,
    shape::{Dim, Int, SymId, SymShape},
    value::Buffer,
};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::{hash::Hasher, sync::Arc};

/// A captured graph, encoded.
#[derive(Debug)]
pub struct Capture {
    /// Captures with equal keys have equal graphs. The other way round it is so but for nodes recorded twice, which the
    /// graph has once.
    pub key: Vec<u32>,
    /// Of the key.
    pub hash: u64,
    /// The value of each symbol.
    pub symbols: Vec<i64>,
    /// The value of each parameter.
    pub params: Vec<Scalar>,
    /// The node of each input; all have buffers.
    pub inputs: Vec<Arc<Lazy>>,
    /// The node of each root of the graph: first the asked-for ones, then those to be kept.
    pub outputs: Vec<Arc<Lazy>>,
    nodes: Vec<Captured>,
    roots: Vec<u32>,
}

/// A node that the walk met. Operands come before their users.
#[derive(Debug)]
struct Captured {
    lazy: Arc<Lazy>,
    /// `None` for inputs.
    expression: Option<Arc<Expression>>,
    operands: SmallVec<[u32; 3]>,
    /// How many operand entries of captured nodes are this node.
    uses: u32,
}

/// Values met so far, by symbol.
#[derive(Default)]
struct Symbols {
    values: Vec<i64>,
    is_extent: Vec<bool>,
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

/// Captures what is needed to compute the roots. None of them has a buffer yet.
pub fn capture(roots: &[Arc<Lazy>]) -> Capture {
    let (nodes, ids) = walk(roots);
    let mut root_ids: Vec<u32> = roots.iter().filter_map(|r| ids.find(Arc::as_ptr(r))).collect();
    keep_what_others_hold(&nodes, &mut root_ids);
    let outputs = root_ids.iter().map(|&i| nodes[i as usize].lazy.clone()).collect();
    let mut capture = Capture {
        key: Vec::new(),
        hash: 0,
        symbols: Vec::new(),
        params: Vec::new(),
        inputs: Vec::new(),
        outputs,
        nodes,
        roots: root_ids,
    };
    capture.encode();
    capture
}

/// The number of each node met, by address. Most graphs are so small that looking through a list beats hashing.
#[derive(Default)]
struct Ids {
    list: Vec<*const Lazy>,
    /// The same as the list, once that is longer than [`Ids::LISTED`].
    map: FxHashMap<*const Lazy, u32>,
}

impl Ids {
    const LISTED: usize = 24;

    fn find(&self, node: *const Lazy) -> Option<u32> {
        if self.list.len() <= Ids::LISTED {
            // What was met last is asked for most.
            return self.list.iter().rposition(|&met| met == node).map(|i| i as u32);
        }
        self.map.get(&node).copied()
    }

    fn push(&mut self, node: *const Lazy) {
        self.list.push(node);
        if self.list.len() == Ids::LISTED + 1 {
            self.map.extend(self.list.iter().zip(0u32..).map(|(&node, id)| (node, id)));
        } else if self.list.len() > Ids::LISTED {
            self.map.insert(node, self.list.len() as u32 - 1);
        }
    }
}

/// Every node the roots need, operands first, without recursion.
fn walk(roots: &[Arc<Lazy>]) -> (Vec<Captured>, Ids) {
    // A node, its expression, the numbers of the operands visited so far.
    type Visit = (Arc<Lazy>, Option<Arc<Expression>>, SmallVec<[u32; 3]>);
    let mut ids = Ids { list: Vec::with_capacity(16), ..Ids::default() };
    let mut nodes: Vec<Captured> = Vec::with_capacity(16);
    let mut stack: Vec<Visit> = Vec::with_capacity(8);
    for root in roots {
        if ids.find(Arc::as_ptr(root)).is_none() {
            stack.push((root.clone(), pending(root), SmallVec::new()));
        }
        while let Some((_, expression, operands)) = stack.last_mut() {
            if let Some(operand) = expression.as_ref().and_then(|e| e.inputs.get(operands.len())) {
                // The walk is over a graph without cycles, so an operand is either finished or not yet met.
                match ids.find(Arc::as_ptr(operand)) {
                    Some(id) => operands.push(id),
                    None => {
                        let visit = (operand.clone(), pending(operand), SmallVec::new());
                        stack.push(visit);
                    }
                }
                continue;
            }
            let Some((lazy, expression, operands)) = stack.pop() else { break };
            for &o in &operands {
                nodes[o as usize].uses += 1;
            }
            ids.push(Arc::as_ptr(&lazy));
            nodes.push(Captured { lazy, expression, operands, uses: 0 });
        }
    }
    (nodes, ids)
}

/// How a node is to be computed; `None` when it is.
fn pending(node: &Arc<Lazy>) -> Option<Arc<Expression>> {
    if node.buffer().is_some() { None } else { node.expression() }
}

/// Adds the nodes that somebody outside holds to the roots; for a view, what it views.
fn keep_what_others_hold(nodes: &[Captured], roots: &mut Vec<u32>) {
    for (i, node) in nodes.iter().enumerate() {
        // One reference is ours; each use is one in the user's expression.
        let inside = 1 + node.uses as usize;
        if node.expression.is_none() || Arc::strong_count(&node.lazy) <= inside {
            continue;
        }
        let mut kept = i as u32;
        while nodes[kept as usize].expression.as_ref().is_some_and(|e| matches!(e.op, Op::View(_))) {
            kept = nodes[kept as usize].operands[0];
        }
        let trivial = match &nodes[kept as usize].expression {
            None => true,
            Some(e) => matches!(e.op, Op::Const(_) | Op::Param(_) | Op::Iota { .. }),
        };
        if !trivial && !roots.contains(&kept) && !roots.contains(&(i as u32)) {
            roots.push(kept);
        }
    }
}

impl Capture {
    /// Numbers symbols, inputs and parameters in the order of the walk, and writes the key.
    fn encode(&mut self) {
        let mut symbols = Symbols::default();
        let mut key: Vec<u32> = Vec::with_capacity(self.nodes.len() * 8);
        // Where the key has the last shape: neighbours mostly have the same.
        let mut last: (&[usize], std::ops::Range<usize>) = (&[], 0..0);
        for node in &self.nodes {
            let op = node.expression.as_ref().map(|e| &e.op);
            key.push(opcode(op) | (node.lazy.dtype as u32) << 16 | (node.operands.len() as u32) << 24);
            key.extend_from_slice(&node.operands);
            match op {
                None | Some(Op::Input(())) => {
                    encode_layout(&node.lazy, &mut key);
                    self.inputs.push(node.lazy.clone());
                }
                Some(Op::Const(value)) => key.extend([value.bits() as u32, (value.bits() >> 32) as u32]),
                Some(Op::Param(value)) => self.params.push(*value),
                Some(Op::Iota { axis } | Op::Concat { axis } | Op::Scan { axis, .. }) => key.push(*axis as u32),
                Some(Op::Reduce { axes, .. } | Op::View(View::Permute(axes))) => {
                    key.push(axes.len() as u32);
                    key.extend(axes.iter().map(|&a| a as u32));
                }
                Some(Op::View(View::Slice { starts, steps })) => {
                    key.extend(starts.iter().map(|&s| code(symbols.start(s))));
                    key.extend(steps.iter().map(|&s| code(symbols.step(s))));
                }
                Some(Op::Map(_) | Op::Cast | Op::View(View::Reshape | View::Expand) | Op::Dot) => {}
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
        let mut hasher = FxHasher::default();
        key.iter().for_each(|&word| hasher.write_u32(word));
        self.hash = hasher.finish();
        self.key = key;
        self.symbols = symbols.values;
    }

    /// The graph that the key stands for, broadcasts made explicit.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let mut symbols = Symbols::default();
        let mut ids: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let operands: SmallVec<[NodeId; 3]> = node.operands.iter().map(|&o| ids[o as usize]).collect();
            let id = match node.expression.as_ref().map(|e| &e.op) {
                None | Some(Op::Input(())) => {
                    let shape = symbols.shape(&node.lazy.shape);
                    graph.inputs.push(InputDecl { dtype: node.lazy.dtype, shape, layout: layout(&node.lazy) });
                    graph.input(InputId(graph.inputs.len() as u32 - 1))
                }
                Some(op) => add(&mut graph, op, &operands, &node.lazy, &mut symbols),
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
        Op::Input(()) => unreachable!("inputs are handled by the caller"),
        Op::Const(value) => graph.constant(*value),
        Op::Param(value) => {
            graph.params.push(value.dtype());
            graph.param(ParamId(graph.params.len() as u32 - 1))
        }
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
        Op::Dot => {
            symbols.shape(&node.shape);
            graph.dot(operands[0], operands[1])
        }
    }
}

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
        let small = capture(&[mean(&input(&[3, 5]), 2.0)]);
        let large = capture(&[mean(&input(&[30, 50]), 4.0)]);
        assert_eq!(small.key, large.key);
        assert_eq!((small.symbols, large.symbols), (vec![3, 5], vec![30, 50]));
        let square = capture(&[mean(&input(&[5, 5]), 2.0)]);
        assert_ne!(large.key, square.key, "equal extents are another structure");
    }

    #[test]
    fn nodes_that_somebody_holds_become_outputs() {
        let x = input(&[4]);
        let held = scaled(&x, 2.0);
        let root = scaled(&scaled(&held, 3.0), 4.0);
        let captured = capture(std::slice::from_ref(&root));
        assert_eq!(captured.outputs.len(), 2);
        assert!(Arc::ptr_eq(&captured.outputs[1], &held));
        drop(captured);
        drop(held);
        assert_eq!(capture(&[root]).outputs.len(), 1);
    }

    #[test]
    fn a_held_view_keeps_what_it_views() {
        let x = input(&[4, 3]);
        let computed = scaled(&x, 2.0);
        let view = build::matrix_transpose(&computed).unwrap();
        let base = Arc::downgrade(&computed);
        drop(computed);
        let captured = capture(&[scaled(&view, 3.0)]);
        assert!(std::ptr::eq(Arc::as_ptr(&captured.outputs[1]), base.as_ptr()));
    }

    #[test]
    fn graphs_are_strict() {
        let x = input(&[4, 3]);
        let row = input(&[3]);
        let sum = build::elementwise(ScalarOp::Add, &[Operand::Array(x.clone()), Operand::Array(row.clone())]).unwrap();
        let graph = capture(&[sum]).graph();
        let root = graph.node(graph.roots[0]);
        assert!(root.inputs.iter().all(|&i| graph.node(i).shape == root.shape));
        assert_eq!(graph.len(), 5, "two inputs, reshape, expand, add");
    }

    #[test]
    fn long_chains_are_walked_and_dropped_without_recursion() {
        let mut x = input(&[4]);
        for _ in 0..200_000 {
            x = scaled(&x, 2.0);
        }
        let captured = capture(&[x.clone()]);
        assert_eq!(captured.params.len(), 200_000);
        drop(captured);
        drop(x);
    }
}

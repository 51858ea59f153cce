//! Takes complex numbers apart, so that no later pass, kernel or back end sees one: a complex node becomes two real ones, its
//! real and its imaginary part, which fuse like any others.
//!
//! In memory a complex array is a real one with a last axis of extent 2 (`Dim::Two`), its *pair*. Complex inputs become such
//! pairs; complex results are put together to pairs again, which is a concatenation along that axis. Views of a pair stay views,
//! so that a slice of a complex array costs no copy either. Input, parameter and symbol numbers stay.

use crate::{
    complex::{OnComplex, Z},
    dtype::DType,
    emit::V,
    graph::{Graph, Layout, Node, NodeId, Stride},
    node::{GraphForm, Op, View},
    ops::ScalarOp,
    pass::Pass,
    passes::expand_composites::GraphEmit,
    scalar::Scalar,
    shape::{Dim, Int, SymShape},
};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass =
    Pass { name: "split-complex", doc: "Takes complex numbers apart into real and imaginary parts.", run: split };

/// The graph without complex nodes.
pub fn split(graph: &Graph) -> Cow<'_, Graph> {
    if !graph.iter().any(|(_, node)| node.dtype.is_complex()) {
        return Cow::Borrowed(graph);
    }
    let mut new = graph.emptied();
    for input in new.inputs.iter_mut().filter(|input| input.dtype.is_complex()) {
        input.dtype = input.dtype.component();
        input.shape.push(Dim::Two);
        if let Layout::Strided(strides) = &mut input.layout {
            for stride in strides.iter_mut().filter(|stride| **stride == Stride::One) {
                *stride = Stride::Dynamic;
            }
            strides.push(Stride::One);
        }
    }
    let mut split = Split { old: graph, new, values: vec![Value::Unknown; graph.len()] };
    for id in graph.reached() {
        split.values[id.0 as usize] = split.rewrite(graph.node(id));
    }
    split.new.roots = graph.roots.iter().map(|&root| split.in_memory(root)).collect();
    Cow::Owned(split.new)
}

/// What a node of the old graph is in the new one.
#[derive(Clone, Copy)]
enum Value {
    /// Not visited.
    Unknown,
    /// A real node.
    Real(NodeId),
    /// A complex one, as its two parts.
    Parts([NodeId; 2]),
    /// A complex one, in memory.
    Pair(NodeId),
}

struct Split<'a> {
    old: &'a Graph,
    new: Graph,
    /// By node of the old graph.
    values: Vec<Value>,
}

impl Split<'_> {
    fn rewrite(&mut self, node: &Node) -> Value {
        let complex_operand = node.inputs.iter().any(|&i| self.old.node(i).dtype.is_complex());
        if !node.dtype.is_complex() && !complex_operand {
            let inputs = node.inputs.iter().map(|&i| self.real(i)).collect();
            return Value::Real(self.new.add(Node { inputs, ..node.clone() }));
        }
        match &node.op {
            Op::Input(input) => Value::Pair(self.new.input(*input)),
            Op::Const(_) | Op::Param(_) | Op::Iota { .. } => unreachable!("no scalar is complex"),
            Op::Map(op) => self.map(*op, node),
            Op::Cast => self.cast(node),
            Op::View(view) => match self.values[node.inputs[0].0 as usize] {
                Value::Pair(pair) => Value::Pair(self.view(view, pair, &node.shape, true)),
                _ => Value::Parts(self.parts(node.inputs[0]).map(|part| self.view(view, part, &node.shape, false))),
            },
            Op::Reduce { op, axes } => {
                Value::Parts(self.parts(node.inputs[0]).map(|part| self.new.reduce(*op, part, axes.clone())))
            }
            Op::Scan { op, axis } => {
                Value::Parts(self.parts(node.inputs[0]).map(|part| self.new.scan(*op, part, *axis)))
            }
            Op::Concat { axis } => {
                let pairs: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&i| self.pair(i)).collect();
                Value::Pair(self.new.concat(*axis, &pairs, paired(&node.shape)))
            }
            Op::Gather => {
                let indices: SmallVec<[NodeId; 3]> = node.inputs[1..].iter().map(|&i| self.real(i)).collect();
                Value::Parts(self.parts(node.inputs[0]).map(|part| self.new.gather(part, &indices)))
            }
            // A routine works in memory, hence on pairs.
            Op::Call(_) => {
                let inputs = node.inputs.iter().map(|&i| self.in_memory(i)).collect();
                let (complex, dtype) = (node.dtype.is_complex(), node.dtype.component());
                let shape = if complex { paired(&node.shape) } else { node.shape.clone() };
                let call = self.new.add(Node { op: node.op.clone(), inputs, dtype, shape });
                if complex { Value::Pair(call) } else { Value::Real(call) }
            }
            Op::Dot => {
                let [[a, b], [c, d]] = [self.parts(node.inputs[0]), self.parts(node.inputs[1])];
                let [ac, bd, ad, bc] = [(a, c), (b, d), (a, d), (b, c)].map(|(left, right)| self.new.dot(left, right));
                Value::Parts([self.new.map(ScalarOp::Subtract, &[ac, bd]), self.new.map(ScalarOp::Add, &[ad, bc])])
            }
        }
    }

    fn map(&mut self, op: ScalarOp, node: &Node) -> Value {
        match (op, node.inputs.as_slice()) {
            (ScalarOp::Complex, &[re, im]) => Value::Parts([self.real(re), self.real(im)]),
            (ScalarOp::Where, &[condition, a, b]) => {
                let condition = self.real(condition);
                let (a, b) = (self.parts(a), self.parts(b));
                Value::Parts([0, 1].map(|part| self.new.map(op, &[condition, a[part], b[part]])))
            }
            (_, operands) => {
                let z = |[re, im]: [NodeId; 2]| Z { re: V(re.0), im: V(im.0) };
                let operands: SmallVec<[Z; 2]> = operands.iter().map(|&i| z(self.parts(i))).collect();
                let mut emit = GraphEmit { graph: &mut self.new, shape: node.shape.clone() };
                match op.row().complex.expect("the op-table row accepts the operands") {
                    OnComplex::Number(body) => {
                        let Z { re, im } = body(&mut emit, &operands);
                        Value::Parts([re, im].map(|part| NodeId(part.0)))
                    }
                    OnComplex::Real(body) | OnComplex::Truth(body) => Value::Real(NodeId(body(&mut emit, &operands).0)),
                }
            }
        }
    }

    fn cast(&mut self, node: &Node) -> Value {
        let operand = node.inputs[0];
        let to = node.dtype.component();
        if !self.old.node(operand).dtype.is_complex() {
            let zero = self.new.constant(Scalar::from_f64(to, 0.0));
            let (re, im) = (self.real(operand), self.new.broadcast(zero, &node.shape));
            return Value::Parts([self.new.cast(to, re), im]);
        }
        let parts = self.parts(operand).map(|part| self.new.cast(to, part));
        match node.dtype {
            DType::Bool => Value::Real(self.new.map(ScalarOp::Or, &parts)),
            dtype if dtype.is_complex() => Value::Parts(parts),
            _ => Value::Real(parts[0]),
        }
    }

    /// A view of a part, or of a pair, whose last axis stays.
    fn view(&mut self, view: &View<GraphForm>, operand: NodeId, shape: &SymShape, pair: bool) -> NodeId {
        let mut view = view.clone();
        if !pair {
            return self.new.view(view, operand, shape.clone());
        }
        match &mut view {
            View::Reshape | View::Expand => {}
            View::Permute(axes) => axes.push(axes.len() as u8),
            View::Slice { starts, steps } => {
                starts.push(Int::Const(0));
                steps.push(Int::Const(1));
            }
        }
        self.new.view(view, operand, paired(shape))
    }

    /// A real node, or the pair of a complex one.
    fn in_memory(&mut self, id: NodeId) -> NodeId {
        match self.values[id.0 as usize] {
            Value::Real(node) => node,
            Value::Parts(_) | Value::Pair(_) | Value::Unknown => self.pair(id),
        }
    }

    fn real(&self, id: NodeId) -> NodeId {
        match self.values[id.0 as usize] {
            Value::Real(node) => node,
            Value::Unknown | Value::Parts(_) | Value::Pair(_) => unreachable!("a real operand stands before its user"),
        }
    }

    /// The real and the imaginary part of a complex node.
    fn parts(&mut self, id: NodeId) -> [NodeId; 2] {
        let pair = match self.values[id.0 as usize] {
            Value::Parts(parts) => return parts,
            Value::Pair(pair) => pair,
            Value::Unknown | Value::Real(_) => unreachable!("a complex operand stands before its user"),
        };
        let shape = self.old.node(id).shape.clone();
        let mut column = shape.clone();
        column.push(Dim::One);
        [0, 1].map(|part| {
            let mut starts: SmallVec<[Int; 2]> = smallvec![Int::Const(0); shape.len()];
            starts.push(Int::Const(part));
            let steps = smallvec![Int::Const(1); starts.len()];
            let slice = self.new.view(View::Slice { starts, steps }, pair, column.clone());
            self.new.view(View::Reshape, slice, shape.clone())
        })
    }

    /// A complex node as a real one with a last axis of extent 2.
    fn pair(&mut self, id: NodeId) -> NodeId {
        let parts = match self.values[id.0 as usize] {
            Value::Pair(pair) => return pair,
            Value::Parts(parts) => parts,
            Value::Unknown | Value::Real(_) => unreachable!("a complex operand stands before its user"),
        };
        let shape = &self.old.node(id).shape;
        let mut column = shape.clone();
        column.push(Dim::One);
        let columns = parts.map(|part| self.new.view(View::Reshape, part, column.clone()));
        self.new.concat(shape.len() as u8, &columns, paired(shape))
    }
}

/// The shape of the pair of an array of that shape.
fn paired(shape: &SymShape) -> SymShape {
    let mut shape = shape.clone();
    shape.push(Dim::Two);
    shape
}

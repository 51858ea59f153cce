//! Computes floats of 16 bits in float32, so that no later pass, kernel or back end sees one: each operand is widened, each
//! result rounded once to the numbers that its own format has. That is what NumPy does, op by op, so the bits do not depend on
//! what is fused with what.
//!
//! In memory, and as parameters, halves are uint16 arrays of their bits: inputs become such, views of them stay views, and results
//! are turned into bits where they are stored. Input, parameter and symbol numbers stay.

use crate::{
    composite,
    dtype::DType,
    emit::V,
    graph::{Graph, Node, NodeId},
    node::Op,
    ops::{Outcome, ScalarOp as S},
    pass::Pass,
    passes::expand_composites::GraphEmit,
    routine::Routine,
    scalar::Scalar,
};
use smallvec::SmallVec;
use std::borrow::Cow;

/// See the head of this file.
pub const PASS: Pass = Pass {
    name: "widen-halves",
    doc: "Computes floats of 16 bits in float32, and rounds each result once.",
    run: widen,
};

/// The graph without nodes of 16-bit floats.
pub fn widen(graph: &Graph) -> Cow<'_, Graph> {
    if !graph.iter().any(|(_, node)| node.dtype.is_half()) {
        return Cow::Borrowed(graph);
    }
    let mut new = graph.emptied();
    let dtypes = new.inputs.iter_mut().map(|input| &mut input.dtype).chain(&mut new.params);
    dtypes.filter(|dtype| dtype.is_half()).for_each(|dtype| *dtype = DType::U16);
    let mut widen = Widen { old: graph, new, values: vec![Value::Unknown; graph.len()] };
    for id in graph.reached() {
        widen.values[id.0 as usize] = widen.rewrite(graph.node(id));
    }
    widen.new.roots = graph.roots.iter().map(|&root| widen.in_memory(root)).collect();
    Cow::Owned(widen.new)
}

/// What a node of the old graph is in the new one.
#[derive(Clone, Copy)]
enum Value {
    /// Not visited.
    Unknown,
    /// A node of another dtype.
    Other(NodeId),
    /// Halves, as the uint16 array of their bits.
    Bits(NodeId),
    /// Halves, as the float32 array of their values.
    Exact(NodeId),
    /// Halves, as a float32 array that is still to be rounded to them.
    Unrounded(NodeId),
}

/// The ops of a format.
struct Format {
    round: S,
    to_bits: S,
    from_bits: S,
}

fn format(half: DType) -> Format {
    match half {
        DType::F16 => Format { round: S::RoundToFloat16, to_bits: S::Float16Bits, from_bits: S::Float16FromBits },
        _ => Format { round: S::RoundToBfloat16, to_bits: S::Bfloat16Bits, from_bits: S::Bfloat16FromBits },
    }
}

struct Widen<'a> {
    old: &'a Graph,
    new: Graph,
    /// By node of the old graph.
    values: Vec<Value>,
}

impl Widen<'_> {
    fn rewrite(&mut self, node: &Node) -> Value {
        let half_operand = node.inputs.iter().any(|&i| self.old.node(i).dtype.is_half());
        if !node.dtype.is_half() && !half_operand {
            let inputs = node.inputs.iter().map(|&i| self.float(i)).collect();
            return Value::Other(self.new.add(Node { inputs, ..node.clone() }));
        }
        match &node.op {
            Op::Input(input) => Value::Bits(self.new.input(*input)),
            Op::Param(param) => Value::Bits(self.new.param(*param)),
            Op::Const(value) => Value::Exact(self.new.constant(Scalar::from_f64(DType::F32, value.as_f64()))),
            Op::Iota { .. } => unreachable!("an iota is int64"),
            Op::Map(op) => self.map(*op, node),
            Op::Cast => self.cast(node),
            Op::View(view) => {
                self.moved(&node.inputs[..1], |new, operands| new.view(view.clone(), operands[0], node.shape.clone()))
            }
            Op::Concat { axis } => {
                self.moved(&node.inputs, |new, operands| new.concat(*axis, operands, node.shape.clone()))
            }
            Op::Gather => {
                let indices: SmallVec<[NodeId; 3]> = node.inputs[1..].iter().map(|&i| self.float(i)).collect();
                self.moved(&node.inputs[..1], |new, operands| new.gather(operands[0], &indices))
            }
            Op::Reduce { op, axes } => {
                let operand = self.float(node.inputs[0]);
                let result = self.new.reduce(*op, operand, axes.clone());
                if op.row().exact { Value::Exact(result) } else { Value::Unrounded(result) }
            }
            Op::Scan { op, axis } => {
                let operand = self.float(node.inputs[0]);
                Value::Unrounded(self.new.scan(*op, operand, *axis))
            }
            Op::Dot => {
                let [left, right] = [0, 1].map(|i| self.float(node.inputs[i]));
                Value::Unrounded(self.new.dot(left, right))
            }
            Op::Call(routine) => {
                let operands: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&i| self.float(i)).collect();
                let dtype = if node.dtype.is_half() { DType::F32 } else { node.dtype };
                let result = self.new.call(*routine, &operands, dtype, node.shape.clone());
                match routine {
                    _ if !node.dtype.is_half() => Value::Other(result),
                    Routine::Sort { .. } => Value::Exact(result),
                    Routine::Argsort { .. }
                    | Routine::Fft { .. }
                    | Routine::Rfft
                    | Routine::Irfft { .. }
                    | Routine::Linear { .. } => Value::Unrounded(result),
                }
            }
        }
    }

    /// What moves elements without looking at them does so with their bits, if all are in memory, and else with their values.
    fn moved(&mut self, operands: &[NodeId], build: impl FnOnce(&mut Graph, &[NodeId]) -> NodeId) -> Value {
        let all_bits = operands.iter().all(|&i| matches!(self.values[i.0 as usize], Value::Bits(_)));
        let operands: SmallVec<[NodeId; 3]> =
            operands.iter().map(|&i| if all_bits { self.in_memory(i) } else { self.float(i) }).collect();
        let result = build(&mut self.new, &operands);
        if all_bits { Value::Bits(result) } else { Value::Exact(result) }
    }

    fn map(&mut self, op: S, node: &Node) -> Value {
        let operands: SmallVec<[NodeId; 3]> = node.inputs.iter().map(|&i| self.float(i)).collect();
        let half = self.old.node(*node.inputs.last().expect("an op has operands")).dtype;
        match op {
            S::ToBits => {
                let bits = self.in_memory(node.inputs[0]);
                return Value::Other(self.new.cast(DType::I16, bits));
            }
            S::Nextafter => {
                let Format { to_bits, from_bits, .. } = format(half);
                let mut emit = GraphEmit { graph: &mut self.new, shape: node.shape.clone() };
                let [x, towards] = [0, 1].map(|i| V(operands[i].0));
                return Value::Exact(NodeId(composite::next_by(&mut emit, x, towards, to_bits, from_bits).0));
            }
            _ => {}
        }
        let result = self.new.map(op, &operands);
        match op.row().outcome {
            Outcome::Same | Outcome::Select if op.row().exact => Value::Exact(result),
            Outcome::Same | Outcome::Select => Value::Unrounded(result),
            Outcome::Bool | Outcome::Bits | Outcome::FromBits | Outcome::Complex => Value::Other(result),
        }
    }

    fn cast(&mut self, node: &Node) -> Value {
        let operand = node.inputs[0];
        let (from, half) = (self.old.node(operand).dtype, node.dtype);
        let x = self.float(operand);
        if !half.is_half() {
            return Value::Other(if half == DType::F32 { x } else { self.new.cast(half, x) });
        }
        match from {
            DType::F16 | DType::BF16 => Value::Unrounded(x),
            DType::Bool | DType::I8 | DType::U8 => Value::Exact(self.new.cast(DType::F32, x)),
            DType::I16 | DType::U16 => Value::Unrounded(self.new.cast(DType::F32, x)),
            DType::F32 | DType::F64 if self.was(operand, half) => {
                self.values[self.old.node(operand).inputs[0].0 as usize]
            }
            DType::F32 => Value::Unrounded(x),
            DType::F64 => self.rounded_from_double(x, half),
            DType::I32 | DType::U32 => {
                let double = self.new.cast(DType::F64, x);
                self.rounded_from_double(double, half)
            }
            DType::I64 | DType::U64 => {
                let double = self.as_double(x, node);
                self.rounded_from_double(double, half)
            }
            DType::C64 | DType::C128 => unreachable!("a real operand stands before its user"),
        }
    }

    /// Is the node of a wider float a conversion from this half, which loses nothing?
    fn was(&self, id: NodeId, half: DType) -> bool {
        let node = self.old.node(id);
        node.op == Op::Cast && self.old.node(node.inputs[0]).dtype == half
    }

    /// Rounded in double precision, so that it is rounded once.
    fn rounded_from_double(&mut self, double: NodeId, half: DType) -> Value {
        let rounded = self.new.map(format(half).round, &[double]);
        Value::Exact(self.new.cast(DType::F32, rounded))
    }

    /// An integer of 64 bits as a float64 that rounds to the same half. Where a float64 does not hold it, whether any of the last 12
    /// bits is set is all that matters of them.
    fn as_double(&mut self, integer: NodeId, node: &Node) -> NodeId {
        let mut emit = GraphEmit { graph: &mut self.new, shape: node.shape.clone() };
        let b: &mut dyn crate::emit::Emit = &mut emit;
        let integer = V(integer.0);
        let double = b.cast(DType::F64, integer);
        let magnitude = b.abs(double);
        let limit = b.lit(double, 2f64.powi(53));
        let fits = b.bin(S::Less, magnitude, limit);
        let (low, none, sticky) = (b.int(integer, 0xfff), b.int(integer, 0), b.int(integer, 0x800));
        let rest = b.bin(S::And, integer, low);
        let whole = b.sub(integer, rest);
        let exact = b.bin(S::Equal, rest, none);
        let rest = b.select(exact, none, sticky);
        let odd = b.bin(S::Or, whole, rest);
        let odd = b.cast(DType::F64, odd);
        NodeId(b.select(fits, double, odd).0)
    }

    /// A node as later stages store it: halves as bits.
    fn in_memory(&mut self, id: NodeId) -> NodeId {
        match self.values[id.0 as usize] {
            Value::Other(node) | Value::Bits(node) => node,
            Value::Exact(node) | Value::Unrounded(node) => {
                let bits = self.new.map(format(self.old.node(id).dtype).to_bits, &[node]);
                self.new.cast(DType::U16, bits)
            }
            Value::Unknown => unreachable!("an operand stands before its user"),
        }
    }

    /// A node as later stages compute with it: halves as float32.
    fn float(&mut self, id: NodeId) -> NodeId {
        let Format { round, from_bits, .. } = format(self.old.node(id).dtype);
        match self.values[id.0 as usize] {
            Value::Other(node) | Value::Exact(node) => node,
            Value::Unrounded(node) => self.new.map(round, &[node]),
            Value::Bits(node) => {
                let bits = self.new.cast(DType::I32, node);
                self.new.map(from_bits, &[bits])
            }
            Value::Unknown => unreachable!("an operand stands before its user"),
        }
    }
}

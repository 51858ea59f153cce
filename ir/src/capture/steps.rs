//! A captured graph as steps: each op a graph of its own, with the views and numbers right below it, whose other operands are
//! inputs. Programs have few different ones of those, so their plans are known soon, and a graph that nobody has a plan of
//! can be computed without compiling anything.
//!
//! Invariants: steps come operands first; computed one after another they fill what the whole graph would fill; and the whole
//! graph has the same bits, for `None` is the answer where it might not.

use super::{Capture, Captured};
use crate::{
    node::{LazyForm, Op, View},
    ops::Class,
    value::byte_count,
};
use smallvec::SmallVec;

/// What a captured graph is made of.
pub struct Steps {
    /// The numbers of the nodes that are steps, and whether their kernels are long.
    nodes: Vec<(u32, bool)>,
    /// How many of them are ops; the others are views that somebody wants.
    pub ops: usize,
    /// How many of those have long kernels.
    pub long: usize,
    /// The bytes of all results.
    pub bytes: usize,
}

impl Steps {
    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "a graph has a root")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl<'a> Capture<'a> {
    /// The graph as steps. `None` where fusing might change bits.
    pub fn steps(&self) -> Option<Steps> {
        let mut steps = Steps { nodes: Vec::with_capacity(self.nodes.len()), ops: 0, long: 0, bytes: 0 };
        for (id, node) in (0u32..).zip(&self.nodes) {
            let Some(op) = node.expression.map(|e| &e.op) else { continue };
            if self.is_made_of_constants(node) || self.is_stored_otherwise(node) {
                return None;
            }
            if is_free(op) && !self.roots.contains(&id) {
                continue;
            }
            steps.ops += usize::from(!is_free(op));
            let long = has_long_kernel(op);
            steps.long += usize::from(long);
            let bytes = byte_count(&node.lazy.shape, node.lazy.dtype.size());
            steps.bytes = steps.bytes.saturating_add(bytes.unwrap_or(usize::MAX));
            steps.nodes.push((id, long));
        }
        self.sums_stay_in_order().then_some(steps)
    }

    /// Shows each step as a graph whose operands are inputs, those that are not computed yet as dense arrays; and whether its kernel is
    /// long.
    pub fn for_each_step(&self, steps: &Steps, visit: &mut dyn FnMut(&mut Capture<'a>, bool)) {
        let mut step = Capture::default();
        for &(id, long) in &steps.nodes {
            step.forget();
            let node = &self.nodes[id as usize];
            let operands: SmallVec<[u32; 8]> = self.operands(node).iter().map(|&o| step.meet(self, o)).collect();
            let root = step.push(node.lazy, node.expression, &operands);
            step.roots.push(root);
            step.values.outputs.push(node.lazy.clone());
            step.encode();
            visit(&mut step, long);
        }
    }

    /// Is it an op on constants alone? With its value a constant, a power can become multiplications, which round otherwise.
    fn is_made_of_constants(&self, node: &Captured<'a>) -> bool {
        let is_constant = |&operand: &u32| {
            let mut below = &self.nodes[operand as usize];
            while let Some(Op::View(_)) = below.expression.map(|e| &e.op) {
                below = &self.nodes[self.operands(below)[0] as usize];
            }
            matches!(below.expression.map(|e| &e.op), Some(Op::Const(_)))
        };
        matches!(node.expression.map(|e| &e.op), Some(Op::Map(_) | Op::Cast))
            && self.operands(node).iter().all(is_constant)
    }

    /// Is it a library's routine whose operands lie otherwise in memory when they are computed by themselves? Libraries choose their
    /// code by that. Of a slice of what is not computed, a whole graph stores no more than the slice.
    fn is_stored_otherwise(&self, node: &Captured<'a>) -> bool {
        let is_slice = |&operand: &u32| {
            let (mut below, mut slice) = (&self.nodes[operand as usize], false);
            while let Some(Op::View(view)) = below.expression.map(|e| &e.op) {
                slice |= matches!(view, View::Slice { .. });
                below = &self.nodes[self.operands(below)[0] as usize];
            }
            slice && below.expression.is_some()
        };
        match node.expression.map(|e| &e.op) {
            // Of complex numbers a whole graph stores each part by itself.
            Some(Op::Dot) if node.lazy.dtype.is_complex() => true,
            Some(Op::Dot | Op::Call(_)) => self.operands(node).iter().any(is_slice),
            Some(_) | None => false,
        }
    }

    /// Meets an operand of a step, and what it is a view of.
    fn meet(&mut self, whole: &Capture<'a>, operand: u32) -> u32 {
        let mut path: SmallVec<[u32; 8]> = SmallVec::new();
        let mut at = operand;
        let mut below = loop {
            let node = &whole.nodes[at as usize];
            if let Some(known) = self.find(node.lazy) {
                break known;
            }
            match node.expression.map(|e| &e.op) {
                Some(Op::View(_)) => {
                    path.push(at);
                    at = whole.operands(node)[0];
                }
                Some(op) if is_free(op) => break self.push(node.lazy, node.expression, &[]),
                Some(_) | None => break self.push(node.lazy, None, &[]),
            }
        };
        for view in path.into_iter().rev() {
            let node = &whole.nodes[view as usize];
            below = self.push(node.lazy, node.expression, &[below]);
        }
        below
    }

    /// Empties a capture, whose memory stays.
    fn forget(&mut self) {
        self.key.clear();
        self.nodes.clear();
        self.operands.clear();
        self.ids.clear();
        self.roots.clear();
        self.values = Default::default();
    }
}

/// Does it cost nothing, as a view or a number?
fn is_free(op: &Op<LazyForm>) -> bool {
    match op {
        Op::View(_) | Op::Const(_) | Op::Param(_) | Op::Iota { .. } | Op::Input(()) => true,
        Op::Map(_)
        | Op::Cast
        | Op::Reduce { .. }
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Gather
        | Op::Dot
        | Op::Call(_) => false,
    }
}

/// Does compiling the op take several times as long as compiling an addition?
fn has_long_kernel(op: &Op<LazyForm>) -> bool {
    match op {
        Op::Map(op) => match op.row().class {
            Class::Maths | Class::Composite(_) | Class::Parts => true,
            Class::Primitive => false,
        },
        Op::Reduce { .. } | Op::Scan { .. } => true,
        Op::View(_) | Op::Const(_) | Op::Param(_) | Op::Iota { .. } | Op::Input(()) => false,
        Op::Cast | Op::Concat { .. } | Op::Gather | Op::Dot | Op::Call(_) => false,
    }
}

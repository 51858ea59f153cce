//! From a captured graph to a program: `fusion` has cut the graph into regions, here each becomes a kernel (or a library
//! call). The kernels are naive: one phase whose dims are the region's items, serial loops over the row, each output stored
//! where its value is known. Making them fast is the kernel passes' work.
//!
//! - `nest.rs`: a region's loops and the code in them; `rows.rs`: which loop over the row computes what;
//! - `affine.rs`: index maps and strides as run-time integers of a kernel or of a program.

mod affine;
mod nest;
mod rows;

use crate::{
    ints::intern,
    kernel::{BufferId, IntExpr},
    program::{ArrayDecl, ArrayId, Program, Step, StridedView},
};
use fusewire_ir::{
    fusion::{Access, Body, Partition, cost::Limits, partition},
    graph::{Graph, Node, NodeId},
    node::Op,
    shape::SymShape,
};

/// Compiles a graph that has been through the graph pipeline, into kernels of at most so much.
pub fn program(graph: &Graph, limits: Limits) -> Program {
    let partition = partition(graph, limits);
    program_of(graph, &partition)
}

/// Compiles a graph that is cut into regions.
pub fn program_of(graph: &Graph, partition: &Partition) -> Program {
    let mut arrays = Arrays::new(graph, partition);
    let mut steps = Vec::with_capacity(partition.regions.len());
    for (number, region) in partition.regions.iter().enumerate() {
        steps.push(match &region.body {
            Body::Nest(nest) => {
                let lowered = nest::lower(graph, partition, number, nest);
                let arguments = lowered.arguments(|node| arrays.of(node));
                Step::Launch { kernel: lowered.kernel, arguments, params: lowered.params }
            }
            Body::Call { node, takes, operands } => {
                let Node { op, .. } = graph.node(*node);
                let mut operands = takes.iter().zip(operands).map(|(&i, o)| arrays.view(o, &graph.node(i).shape));
                match (op, operands.next(), operands.next()) {
                    (Op::Call(routine), first, second) => {
                        let operands = first.into_iter().chain(second).collect();
                        Step::Call { routine: *routine, operands, destination: arrays.of(*node) }
                    }
                    (_, Some(left), Some(right)) => {
                        let row = operands.next();
                        Step::Product { left, right, row, destination: arrays.of(*node) }
                    }
                    (op, ..) => unreachable!("{op:?} is no call"),
                }
            }
        });
    }
    let roots = graph.roots.iter().zip(&partition.results);
    let results = roots.map(|(root, access)| arrays.view(access, &graph.node(*root).shape)).collect();
    Program { arrays: arrays.declared, steps, ints: arrays.ints, results }
}

/// The arrays of a program: the graph's inputs, numbered as there, then the stored nodes.
struct Arrays {
    declared: Vec<ArrayDecl>,
    /// By node.
    of_node: Vec<Option<ArrayId>>,
    ints: Vec<IntExpr>,
}

impl Arrays {
    fn new(graph: &Graph, partition: &Partition) -> Arrays {
        let input = |(id, declared): (usize, &fusewire_ir::graph::InputDecl)| ArrayDecl {
            dtype: declared.dtype,
            shape: declared.shape.clone(),
            input: Some(fusewire_ir::node::InputId(id as u32)),
        };
        let mut declared: Vec<ArrayDecl> = graph.inputs.iter().enumerate().map(input).collect();
        let mut of_node = vec![None; graph.len()];
        for (id, node) in graph.iter() {
            if let Op::Input(input) = node.op {
                of_node[id.0 as usize] = Some(ArrayId(input.0));
            } else if !partition.homes[id.0 as usize].is_empty() {
                of_node[id.0 as usize] = Some(ArrayId(declared.len() as u32));
                declared.push(ArrayDecl { dtype: node.dtype, shape: node.shape.clone(), input: None });
            }
        }
        Arrays { declared, of_node, ints: Vec::new() }
    }

    fn of(&self, node: NodeId) -> ArrayId {
        self.of_node[node.0 as usize].expect("what is read or written is in memory")
    }

    fn view(&mut self, access: &Access, shape: &SymShape) -> StridedView {
        let array = self.of(access.base);
        // Inputs are the arrays of the same numbers.
        let mut int = |poly| {
            let stride = |input: fusewire_ir::node::InputId, axis| IntExpr::Stride { buffer: BufferId(input.0), axis };
            affine::int(poly, &stride, &mut |expr| intern(&mut self.ints, expr))
        };
        let offset = (!access.strided.offset.is_zero()).then(|| int(&access.strided.offset));
        let strides = access.strided.strides.iter().map(&mut int).collect();
        StridedView { array, shape: shape.clone(), offset, strides }
    }
}

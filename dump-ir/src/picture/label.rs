//! What stands in the box of a graph's node. Scalars have no boxes: they stand in the boxes that use them.

use super::Class;
use fusewire_ir::{
    graph::{Graph, Node, NodeId},
    node::{GraphForm, Op, View},
    shape::{Int, SymShape},
    text::{literal, print::Type, symbol_name},
};

/// The first line of a node's box.
pub fn label(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    match &node.op {
        Op::Input(input) => format!("%a{}", input.0),
        Op::Param(_) | Op::Const(_) => scalar(graph, id).unwrap_or_default(),
        Op::Iota { axis } => format!("indices along {axis}"),
        Op::Map(op) => with_scalars(graph, node, op.row().name),
        Op::Cast => with_scalars(graph, node, &format!("to {}", node.dtype)),
        Op::View(view) => with_scalars(graph, node, &view_label(view)),
        Op::Reduce { op, axes } => {
            let axes: Vec<String> = axes.iter().map(u8::to_string).collect();
            let name = if axes.len() == 1 { "axis" } else { "axes" };
            with_scalars(graph, node, &format!("{} over {name} {}", op.row().name, axes.join(", ")))
        }
        Op::Scan { op, axis } => with_scalars(graph, node, &format!("running {} along {axis}", op.row().name)),
        Op::Concat { axis } => with_scalars(graph, node, &format!("concat along {axis}")),
        Op::Gather => "gather".to_owned(),
        Op::Dot => "dot".to_owned(),
        Op::Call(routine) => routine.name().to_owned(),
    }
}

/// The second line: the type.
pub fn detail(node: &Node) -> String {
    Type(node.dtype, &node.shape).to_string()
}

/// What a node is.
pub fn class(op: &Op<GraphForm>) -> Class {
    match op {
        Op::Input(_) => Class::Array,
        Op::Const(_) | Op::Param(_) | Op::Iota { .. } => Class::Scalar,
        Op::Map(_) | Op::Cast => Class::Map,
        Op::View(_) | Op::Gather => Class::View,
        Op::Reduce { .. } => Class::Reduce,
        Op::Scan { .. } => Class::Scan,
        Op::Concat { .. } => Class::Concat,
        Op::Dot | Op::Call(_) => Class::Product,
    }
}

/// The text of a constant or parameter, also of one that was broadcast or converted; `None` for everything else.
pub fn scalar(graph: &Graph, id: NodeId) -> Option<String> {
    let mut node = graph.node(id);
    loop {
        match &node.op {
            Op::Const(value) => return Some(literal(*value)),
            Op::Param(param) => return Some(format!("%s{}", param.0)),
            Op::Cast | Op::View(View::Reshape | View::Expand) => node = graph.node(node.inputs[0]),
            _ => return None,
        }
    }
}

/// The operands that are not scalars, in order.
pub fn drawn_operands(graph: &Graph, id: NodeId) -> impl Iterator<Item = NodeId> {
    graph.node(id).inputs.iter().copied().filter(|&operand| scalar(graph, operand).is_none())
}

/// `name`, or `name ·, 2.0` when operands are scalars.
fn with_scalars(graph: &Graph, node: &Node, name: &str) -> String {
    let operands: Vec<Option<String>> = node.inputs.iter().map(|&operand| scalar(graph, operand)).collect();
    if operands.iter().all(Option::is_none) {
        return name.to_owned();
    }
    let operands: Vec<String> = operands.into_iter().map(|o| o.unwrap_or_else(|| "·".to_owned())).collect();
    format!("{name} {}", operands.join(", "))
}

/// `slice [1:, ::-1]`, as Python would write it.
fn view_label(view: &View<GraphForm>) -> String {
    match view {
        View::Reshape => "reshape".to_owned(),
        View::Expand => "expand".to_owned(),
        View::Permute(axes) => {
            let axes: Vec<String> = axes.iter().map(u8::to_string).collect();
            format!("permute {}", axes.join(", "))
        }
        View::Slice { starts, steps } => {
            let int = |int: &Int| match int {
                Int::Const(value) => value.to_string(),
                Int::Sym(symbol) => symbol_name(*symbol),
            };
            let axis = |(start, step): (&Int, &Int)| {
                let start = if *start == Int::Const(0) { String::new() } else { int(start) };
                if *step == Int::Const(1) { format!("{start}:") } else { format!("{start}::{}", int(step)) }
            };
            let axes: Vec<String> = starts.iter().zip(steps).map(axis).collect();
            format!("slice [{}]", axes.join(", "))
        }
    }
}

/// A shape in brackets; the sizes too, where they are known.
pub fn extents(shape: &SymShape) -> String {
    let dims: Vec<String> = shape.iter().map(|d| d.to_string()).collect();
    format!("[{}]", dims.join(", "))
}

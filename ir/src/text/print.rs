//! Writes the text form; see the head of this module's parent. Total: any graph prints, also one that does not verify.

use crate::{
    dtype::DType,
    graph::{Graph, InputDecl, Layout, Node, NodeId, Stride},
    node::{Op, View},
    shape::{Dim, Int},
    text::{literal, symbol_name},
};
use std::fmt::{self, Display, Formatter};

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("graph @f(")?;
        for (i, input) in self.inputs.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}%a{i}: {}", Declaration(input))?;
        }
        for (i, dtype) in self.params.iter().enumerate() {
            let comma = if i == 0 && self.inputs.is_empty() { "" } else { ", " };
            write!(f, "{comma}%s{i}: {dtype} param")?;
        }
        f.write_str(") -> ")?;
        let result = |root: &NodeId| Type(self.node(*root).dtype, &self.node(*root).shape);
        match self.roots.as_slice() {
            [root] => write!(f, "{}", result(root))?,
            roots => write!(f, "({})", Separated(roots.iter().map(result)))?,
        }
        f.write_str(" {\n")?;
        let names = self.names();
        for &id in &names.order {
            if names.numbers[id.0 as usize].is_some() {
                let node = self.node(id);
                let (value, operation) = (names.value(self, id), names.operation(self, id));
                writeln!(f, "  {value} = {operation} : {}", Type(node.dtype, &node.shape))?;
            }
        }
        let space = if self.roots.is_empty() { "" } else { " " };
        writeln!(f, "  return{space}{}\n}}", Separated(self.roots.iter().map(|&root| names.value(self, root))))
    }
}

/// The canonical names of a graph's nodes.
pub struct Names {
    /// What the roots reach, operands first.
    pub order: Vec<NodeId>,
    /// By node; inputs, parameters and what the roots do not reach have none.
    numbers: Vec<Option<usize>>,
}

impl Graph {
    /// The names that the text form gives to the nodes.
    pub fn names(&self) -> Names {
        let order = self.reached();
        let mut numbers = vec![None; self.len()];
        let numbered = order.iter().filter(|id| !matches!(self.node(**id).op, Op::Input(_) | Op::Param(_)));
        for (number, id) in numbered.enumerate() {
            numbers[id.0 as usize] = Some(number);
        }
        Names { order, numbers }
    }
}

impl Names {
    /// The name of a node: `%a0`, `%s0`, `%0`.
    pub fn value<'a>(&self, graph: &'a Graph, id: NodeId) -> impl Display + use<'a> {
        Value(graph.node(id), self.numbers[id.0 as usize])
    }

    /// What computes a node: `add %a0, %1`. For inputs and parameters, their names.
    pub fn operation<'a>(&'a self, graph: &'a Graph, id: NodeId) -> impl Display + use<'a> {
        Operation { graph, names: self, id }
    }
}

struct Operation<'a> {
    graph: &'a Graph,
    names: &'a Names,
    id: NodeId,
}

impl Display for Operation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let node = self.graph.node(self.id);
        let operands = Separated(node.inputs.iter().map(|&i| self.names.value(self.graph, i)));
        match &node.op {
            Op::Input(_) | Op::Param(_) => write!(f, "{}", self.names.value(self.graph, self.id)),
            Op::Const(scalar) => write!(f, "const {}", literal(*scalar)),
            Op::Iota { axis } => write!(f, "iota axis={axis}"),
            Op::Map(op) => write!(f, "{} {operands}", op.row().name),
            Op::Cast => write!(f, "cast {operands}"),
            Op::View(View::Reshape) => write!(f, "reshape {operands}"),
            Op::View(View::Permute(axes)) => write!(f, "permute {operands} axes=[{}]", Separated(axes.iter())),
            Op::View(View::Expand) => write!(f, "expand {operands}"),
            Op::View(View::Slice { starts, steps }) => {
                let (starts, steps) = (Separated(starts.iter().map(Integer)), Separated(steps.iter().map(Integer)));
                write!(f, "slice {operands} starts=[{starts}] steps=[{steps}]")
            }
            Op::Reduce { op, axes } => {
                write!(f, "reduce {} {operands} axes=[{}]", op.row().name, Separated(axes.iter()))
            }
            Op::Scan { op, axis } => write!(f, "scan {} {operands} axis={axis}", op.row().name),
            Op::Concat { axis } => write!(f, "concat {operands} axis={axis}"),
            Op::Gather => write!(f, "gather {operands}"),
            Op::Dot => write!(f, "dot {operands}"),
            Op::Call(routine) => write!(f, "call {} {operands}", routine.name()),
        }
    }
}

impl Graph {
    /// What the roots reach, operands first, in the order in which a depth-first walk from the roots meets it.
    pub fn reached(&self) -> Vec<NodeId> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.len()];
        // Entries are nodes and the number of their operands that were already walked.
        let mut stack: Vec<(NodeId, usize)> = Vec::new();
        for &root in &self.roots {
            stack.push((root, 0));
            while let Some(top) = stack.last_mut() {
                let (id, walked) = *top;
                if walked == 0 {
                    if seen[id.0 as usize] {
                        stack.pop();
                        continue;
                    }
                    seen[id.0 as usize] = true;
                }
                match self.node(id).inputs.get(walked) {
                    Some(&operand) => {
                        top.1 += 1;
                        if !seen[operand.0 as usize] {
                            stack.push((operand, 0));
                        }
                    }
                    None => {
                        order.push(id);
                        stack.pop();
                    }
                }
            }
        }
        order
    }
}

/// A type: `f32[m, 1]`, or `f32` when 0-d.
pub struct Type<'a>(pub DType, pub &'a [Dim]);

impl Display for Type<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        if self.1.is_empty() { Ok(()) } else { write!(f, "[{}]", Separated(self.1.iter())) }
    }
}

impl Display for Dim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Zero => f.write_str("0"),
            Dim::One => f.write_str("1"),
            Dim::Two => f.write_str("2"),
            Dim::Sym(symbol) => f.write_str(&symbol_name(*symbol)),
        }
    }
}

struct Integer<'a>(&'a Int);

impl Display for Integer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Int::Const(value) => write!(f, "{value}"),
            Int::Sym(symbol) => f.write_str(&symbol_name(*symbol)),
        }
    }
}

struct Declaration<'a>(&'a InputDecl);

impl Display for Declaration<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Type(self.0.dtype, &self.0.shape))?;
        match &self.0.layout {
            Layout::Contiguous => Ok(()),
            Layout::Strided(strides) => {
                let strides = strides.iter().map(|stride| match stride {
                    Stride::Zero => "0",
                    Stride::One => "1",
                    Stride::Dynamic => "?",
                });
                write!(f, " strided({})", Separated(strides))
            }
        }
    }
}

/// A use or definition: `%a0`, `%s0`, `%0`.
struct Value<'a>(&'a Node, Option<usize>);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.0.op, self.1) {
            (Op::Input(input), _) => write!(f, "%a{}", input.0),
            (Op::Param(param), _) => write!(f, "%s{}", param.0),
            (_, Some(number)) => write!(f, "%{number}"),
            (_, None) => f.write_str("%?"),
        }
    }
}

/// Items with commas between them.
pub(crate) struct Separated<I>(pub I);

impl<T: Display, I: Iterator<Item = T> + Clone> Display for Separated<I> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.clone().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

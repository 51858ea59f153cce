//! The readable form of a partition, for `dump-ir` and for tests. It is not read back; names are those of the graph's text.
//!
//! ```text
//! region 0 items [m] row [n] {
//!   reads %a0: f32[m, n], 4*m*n bytes
//!   %0 = reduce maximum %a0 axes=[1] : f32[m, 1]
//!   ...
//!   stores %7: f32[m, n], 4*m*n bytes, a result
//! }
//! return %7
//! ```

use crate::{
    fusion::{Access, Body, Output, Partition, Region, Why, poly::Poly},
    graph::{Graph, NodeId},
    node::Op,
    shape::SymShape,
    text::print::{Names, Separated, Type},
};
use std::fmt::{self, Display, Formatter};

impl Partition {
    /// The partition of this graph as text.
    pub fn text(&self, graph: &Graph) -> String {
        Text { partition: self, graph, names: graph.names() }.to_string()
    }
}

struct Text<'a> {
    partition: &'a Partition,
    graph: &'a Graph,
    names: Names,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (number, region) in self.partition.regions.iter().enumerate() {
            self.region(f, number, region)?;
        }
        let roots = self.graph.roots.iter().zip(&self.partition.results);
        let results = roots.map(|(&root, access)| {
            if access.base == root {
                self.name(root)
            } else {
                format!("{} as a view of {}", self.name(root), self.name(access.base))
            }
        });
        let results: Vec<String> = results.collect();
        writeln!(f, "return {}", Separated(results.iter()))
    }
}

impl Text<'_> {
    fn name(&self, id: NodeId) -> String {
        self.names.value(self.graph, id).to_string()
    }

    /// `%3: f32[m, n], 4*m*n bytes`
    fn array(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let bytes = Poly::elements(&node.shape).times(&Poly::literal(node.dtype.size() as i64));
        format!("{}: {}, {bytes} bytes", self.name(id), Type(node.dtype, &node.shape))
    }

    fn region(&self, f: &mut Formatter<'_>, number: usize, region: &Region) -> fmt::Result {
        write!(f, "region {number} ")?;
        match &region.body {
            Body::Nest(nest) => {
                let numbers = 0..nest.vars.len() as u32;
                let extents =
                    |vars: &mut dyn Iterator<Item = u32>| -> SymShape { vars.map(|v| nest.vars[v as usize]).collect() };
                let items = extents(&mut numbers.filter(|v| !nest.row.contains(v)));
                write!(f, "items [{}]", Separated(items.iter()))?;
                if !nest.row.is_empty() {
                    write!(f, " row [{}]", Separated(extents(&mut nest.row.iter().copied()).iter()))?;
                }
            }
            Body::Call { node, .. } => match &self.graph.node(*node).op {
                Op::Call(routine) => f.write_str(routine.name())?,
                _ => f.write_str("product")?,
            },
        }
        f.write_str(" {\n")?;
        for &read in &region.reads {
            writeln!(f, "  reads {}", self.array(read))?;
        }
        for &id in self.names.order.iter().filter(|id| region.members.contains(id)) {
            let node = self.graph.node(id);
            // Scalars are named where they are used.
            if !matches!(node.op, Op::Param(_)) {
                let (name, operation) = (self.name(id), self.names.operation(self.graph, id));
                writeln!(f, "  {name} = {operation} : {}", Type(node.dtype, &node.shape))?;
            }
        }
        match &region.body {
            Body::Nest(nest) => nest.outputs.iter().try_for_each(|output| self.output(f, output))?,
            Body::Call { node, operands, .. } => {
                let operands: Vec<String> = operands.iter().map(|operand| self.operand(operand)).collect();
                let why = self.partition.why[node.0 as usize].unwrap_or(Why::Call);
                writeln!(f, "  of {}", operands.join(" and "))?;
                writeln!(f, "  stores {}, {why}", self.array(*node))?;
            }
        }
        f.write_str("}\n")
    }

    fn output(&self, f: &mut Formatter<'_>, output: &Output) -> fmt::Result {
        match (output.part, self.partition.why[output.node.0 as usize]) {
            (Some(part), _) => {
                let operand = self.graph.node(output.node).inputs[part];
                writeln!(f, "  stores {}, part {part} of {}", self.array(operand), self.name(output.node))
            }
            (None, Some(why)) => writeln!(f, "  stores {}, {why}", self.array(output.node)),
            (None, None) => writeln!(f, "  stores {}", self.array(output.node)),
        }
    }

    fn operand(&self, access: &Access) -> String {
        let strides = Separated(access.strided.strides.iter());
        format!("{} from {} by ({strides})", self.name(access.base), access.strided.offset)
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Why::Root => f.write_str("a result"),
            Why::Reshape => f.write_str("because a reshape of it is not affine"),
            Why::Product => f.write_str("a product"),
            Why::ProductOperand => f.write_str("because a product takes it"),
            Why::Gathered => f.write_str("because elements of it are gathered"),
            Why::Call => f.write_str("the result of a call"),
            Why::CallOperand => f.write_str("because a call takes it"),
            Why::Concat => f.write_str("a concatenation"),
            Why::Regions(count) => write!(f, "because {count} regions need it"),
            Why::Shifts(count) => write!(f, "because a region needs it at {count} places"),
            Why::Broadcast => f.write_str("because a larger array needs it"),
            Why::NotByRows => f.write_str("because it is not reduced row by row"),
            Why::NotInOrder => f.write_str("because its running fold is used out of order"),
            Why::Full => f.write_str("because its region is full"),
        }
    }
}

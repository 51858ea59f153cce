//! The picture of a partition: a frame a region with what it computes inside, and the arrays in memory between them. So what
//! crosses a frame's edge is memory traffic, and the frame says how many bytes.

use super::{
    Class, Frame, Node, Picture, Rank,
    label::{class, detail, drawn_operands, extents, label},
};
use crate::options::Sizes;
use fusewire_ir::{
    fusion::{Body, Nest, Partition, Region, poly::Poly},
    graph::{Graph, NodeId},
    node::Op,
    shape::SymShape,
    text::print::Names,
};

/// Draws a partition of a graph.
pub fn region_picture(graph: &Graph, partition: &Partition, sizes: &Sizes) -> Result<Picture, String> {
    let names = graph.names();
    let mut drawing = Drawing {
        graph,
        partition,
        sizes,
        names: &names,
        picture: Picture::default(),
        arrays: vec![None; graph.len()],
    };
    let (mut read, mut written) = (Poly::zero(), Poly::zero());
    for (number, region) in partition.regions.iter().enumerate() {
        let traffic = drawing.region(number, region);
        (read, written) = (read.plus(&traffic.0), written.plus(&traffic.1));
    }
    for (number, result) in partition.results.iter().enumerate() {
        let array = drawing.array(result.base);
        let is_whole = graph.roots[number] == result.base;
        let text = if is_whole { format!("result {number}") } else { format!("result {number}: a view") };
        let label = &mut drawing.picture.nodes[array].label;
        *label = format!("{label}, {text}");
    }
    let count = partition.regions.len();
    let regions = if count == 1 { "1 region".to_owned() } else { format!("{count} regions") };
    let line = format!("{regions}: {} read, {} written", sizes.bytes(&read), sizes.bytes(&written));
    drawing.picture.heading.push(line);
    drawing.picture.bounded()
}

struct Drawing<'a> {
    graph: &'a Graph,
    partition: &'a Partition,
    sizes: &'a Sizes,
    names: &'a Names,
    picture: Picture,
    /// By node: its array's box.
    arrays: Vec<Option<usize>>,
}

impl Drawing<'_> {
    /// Draws a region. Returns the bytes it reads and writes.
    fn region(&mut self, number: usize, region: &Region) -> (Poly, Poly) {
        let frame = self.picture.frames.len();
        // What is stored: the array, and the node whose elements go there.
        let stores: Vec<(NodeId, NodeId, String)> = match &region.body {
            Body::Nest(nest) => nest
                .outputs
                .iter()
                .map(|output| match output.part {
                    Some(part) => {
                        let operand = self.graph.node(output.node).inputs[part];
                        (output.node, operand, format!("store part {part} of {}", self.name(output.node)))
                    }
                    None => (output.node, output.node, format!("store {}", self.name(output.node))),
                })
                .collect(),
            Body::Call { node, .. } => vec![(*node, *node, format!("store {}", self.name(*node)))],
        };
        let read = region.reads.iter().fold(Poly::zero(), |sum, &id| sum.plus(&self.bytes(id)));
        let written = stores.iter().fold(Poly::zero(), |sum, (_, source, _)| sum.plus(&self.bytes(*source)));
        let (title, loops) = match &region.body {
            Body::Nest(nest) => (format!("region {number}: kernel"), Some(loops(nest))),
            Body::Call { node, .. } => {
                let called = match &self.graph.node(*node).op {
                    Op::Call(routine) => routine.name(),
                    _ => "matrix product",
                };
                (format!("region {number}: {called}"), None)
            }
        };
        let traffic = format!("{} read, {} written", self.sizes.bytes(&read), self.sizes.bytes(&written));
        self.picture.frames.push(Frame { title, notes: loops.into_iter().chain([traffic]).collect() });

        let mut boxes = vec![None; self.graph.len()];
        let needed = self.needed(region, stores.iter().map(|(_, source, _)| *source));
        for &id in self.names.order.iter().filter(|id| needed[id.0 as usize]) {
            let drawn = if self.is_loaded(region, id) { self.load(frame, id) } else { self.op(frame, id) };
            boxes[id.0 as usize] = Some(drawn);
            if !self.is_loaded(region, id) {
                let operands: Vec<usize> =
                    drawn_operands(self.graph, id).filter_map(|operand| boxes[operand.0 as usize]).collect();
                self.picture.arrows_to(drawn, &operands);
            }
        }
        for (array, source, label) in stores {
            let store = self.access(frame, source, label, Rank::Last);
            let from: Vec<usize> = boxes[source.0 as usize].into_iter().collect();
            self.picture.arrows_to(store, &from);
            let array = self.array(array);
            self.picture.arrows_to(array, &[store]);
        }
        (read, written)
    }

    /// Is the node an array in memory for this region?
    fn is_loaded(&self, region: &Region, id: NodeId) -> bool {
        let in_memory =
            matches!(self.graph.node(id).op, Op::Input(_)) || !self.partition.homes[id.0 as usize].is_empty();
        in_memory && !region.members.contains(&id) && !matches!(region.body, Body::Call { node, .. } if node == id)
    }

    /// What the region draws: all that leads to what it stores, down to what it loads. Scalars are written, not drawn.
    fn needed(&self, region: &Region, sources: impl Iterator<Item = NodeId>) -> Vec<bool> {
        let mut needed = vec![false; self.graph.len()];
        let mut stack: Vec<NodeId> = sources.collect();
        while let Some(id) = stack.pop() {
            if !std::mem::replace(&mut needed[id.0 as usize], true) && !self.is_loaded(region, id) {
                stack.extend(drawn_operands(self.graph, id));
            }
        }
        needed
    }

    fn op(&mut self, frame: usize, id: NodeId) -> usize {
        let node = self.graph.node(id);
        let (name, operation) = (self.name(id), self.names.operation(self.graph, id));
        let hint = format!("{name} = {operation} : {}", detail(node));
        self.picture.node(Node {
            label: label(self.graph, id),
            detail: detail(node),
            hint,
            class: class(&node.op),
            frame: Some(frame),
            rank: Rank::Free,
        })
    }

    fn load(&mut self, frame: usize, id: NodeId) -> usize {
        let array = self.array(id);
        let load = self.access(frame, id, format!("load {}", self.name(id)), Rank::First);
        self.picture.arrows_to(load, &[array]);
        load
    }

    fn access(&mut self, frame: usize, id: NodeId, label: String, rank: Rank) -> usize {
        let bytes = self.sizes.bytes(&self.bytes(id));
        let hint = format!("{label}: {}, {bytes}", detail(self.graph.node(id)));
        self.picture.node(Node { label, detail: bytes, hint, class: Class::Access, frame: Some(frame), rank })
    }

    /// The box of an array in memory.
    fn array(&mut self, id: NodeId) -> usize {
        if let Some(drawn) = self.arrays[id.0 as usize] {
            return drawn;
        }
        let node = self.graph.node(id);
        let hint = match self.partition.why[id.0 as usize] {
            Some(why) => format!("{} is stored: {why}", self.name(id)),
            None => self.name(id),
        };
        let (label, detail) = (self.name(id), detail(node));
        let drawn = self.picture.node(Node { label, detail, hint, class: Class::Array, frame: None, rank: Rank::Free });
        self.arrays[id.0 as usize] = Some(drawn);
        drawn
    }

    fn name(&self, id: NodeId) -> String {
        self.names.value(self.graph, id).to_string()
    }

    fn bytes(&self, id: NodeId) -> Poly {
        let node = self.graph.node(id);
        Poly::elements(&node.shape).times(&Poly::literal(node.dtype.size() as i64))
    }
}

/// `items [m], row [n]`
fn loops(nest: &Nest) -> String {
    let items: SymShape =
        (0..nest.vars.len() as u32).filter(|v| !nest.row.contains(v)).map(|v| nest.vars[v as usize]).collect();
    let row: SymShape = nest.row.iter().map(|&v| nest.vars[v as usize]).collect();
    if row.is_empty() {
        format!("items {}", extents(&items))
    } else {
        format!("items {}, row {}", extents(&items), extents(&row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusewire_ir::{
        fusion::{cost::Limits, partition},
        text::parse::parse,
    };

    const CENTRED: &str = "\
graph @f(%a0: f32[m, n], %s0: f32 param) -> f32[m, n] {
  %0 = reduce add %a0 axes=[0] : f32[1, n]
  %1 = reshape %s0 : f32[1, 1]
  %2 = expand %1 : f32[1, n]
  %3 = divide %0, %2 : f32[1, n]
  %4 = expand %3 : f32[m, n]
  %5 = subtract %a0, %4 : f32[m, n]
  return %5
}
";

    fn picture(sizes: Vec<i64>) -> Picture {
        let graph = parse(CENTRED).unwrap();
        region_picture(&graph, &partition(&graph, Limits::CPU), &Sizes(sizes)).unwrap()
    }

    #[test]
    fn what_crosses_a_frame_is_a_load_or_a_store_of_an_array() {
        let picture = picture(Vec::new());
        assert_eq!(picture.frames.len(), 2);
        for arrow in &picture.arrows {
            let (from, to) = (&picture.nodes[arrow.from], &picture.nodes[arrow.to]);
            if from.frame != to.frame {
                let inner = if from.frame.is_some() { from } else { to };
                let outer = if from.frame.is_some() { to } else { from };
                assert_eq!((inner.class, outer.class, outer.frame), (Class::Access, Class::Array, None));
            }
        }
        let labels: Vec<&str> = picture.nodes.iter().map(|node| node.label.as_str()).collect();
        assert!(labels.contains(&"divide ·, %s0"), "{labels:?}");
        assert!(labels.contains(&"%5, result 0"), "{labels:?}");
    }

    #[test]
    fn bytes_are_numbers_once_sizes_are_known() {
        assert_eq!(picture(Vec::new()).heading, ["2 regions: 8*m*n + 4*n B read, 4*m*n + 4*n B written"]);
        assert_eq!(picture(vec![1000, 100]).heading, ["2 regions: 800 kB read, 400 kB written"]);
    }
}

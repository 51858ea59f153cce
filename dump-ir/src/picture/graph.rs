//! The picture of a graph: a box a node, inputs at the top, results at the bottom.

use super::{
    Class, Node, Picture, Rank,
    label::{class, detail, drawn_operands, label, scalar},
};
use fusewire_ir::graph::Graph;

/// Draws a graph.
pub fn graph_picture(graph: &Graph, title: &str) -> Result<Picture, String> {
    let names = graph.names();
    let mut picture = Picture { heading: vec![title.to_owned()], ..Picture::default() };
    let mut boxes = vec![None; graph.len()];
    for &id in &names.order {
        if scalar(graph, id).is_some() && !graph.roots.contains(&id) {
            continue;
        }
        let node = graph.node(id);
        let hint = format!("{} = {} : {}", names.value(graph, id), names.operation(graph, id), detail(node));
        let drawn = picture.node(Node {
            label: label(graph, id),
            detail: detail(node),
            hint,
            class: class(&node.op),
            frame: None,
            rank: Rank::Free,
        });
        boxes[id.0 as usize] = Some(drawn);
        let operands: Vec<usize> = drawn_operands(graph, id).filter_map(|operand| boxes[operand.0 as usize]).collect();
        picture.arrows_to(drawn, &operands);
    }
    for (number, root) in graph.roots.iter().enumerate() {
        let Some(from) = boxes[root.0 as usize] else { continue };
        let result = picture.node(Node {
            label: format!("result {number}"),
            detail: detail(graph.node(*root)),
            hint: format!("result {number} is {}", names.value(graph, *root)),
            class: Class::Array,
            frame: None,
            rank: Rank::Last,
        });
        picture.arrows_to(result, &[from]);
    }
    picture.bounded()
}

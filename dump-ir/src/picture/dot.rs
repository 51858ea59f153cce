//! Pictures in the language of Graphviz, for those who have it.

use super::Picture;
use std::fmt::Write as _;

/// The picture as a digraph.
pub fn dot(picture: &Picture) -> String {
    let mut out = String::from("digraph fusewire {\n");
    let heading = quoted(&picture.heading.join("\n"));
    out += &format!("  label={heading}; labelloc=t; fontname=\"monospace\";\n");
    out += "  node [shape=box, style=filled, fontname=\"monospace\", fontsize=11];\n";
    for number in 0..picture.nodes.len() {
        if picture.nodes[number].frame.is_none() {
            node(&mut out, picture, number, "  ");
        }
    }
    for (frame, content) in picture.frames.iter().enumerate() {
        let lines: Vec<&str> =
            std::iter::once(content.title.as_str()).chain(content.notes.iter().map(String::as_str)).collect();
        let _ = writeln!(out, "  subgraph cluster_{frame} {{\n    label={}; labeljust=l;", quoted(&lines.join("\n")));
        for number in 0..picture.nodes.len() {
            if picture.nodes[number].frame == Some(frame) {
                node(&mut out, picture, number, "    ");
            }
        }
        out += "  }\n";
    }
    for arrow in &picture.arrows {
        let _ = writeln!(out, "  n{} -> n{};", arrow.from, arrow.to);
    }
    out + "}\n"
}

fn node(out: &mut String, picture: &Picture, number: usize, indent: &str) {
    let node = &picture.nodes[number];
    let look = node.class.look();
    let label = quoted(&format!("{}\n{}", node.label, node.detail));
    let (fill, line, hint) = (look.fill, look.line, quoted(&node.hint));
    let _ = writeln!(out, "{indent}n{number} [label={label}, fillcolor=\"{fill}\", color=\"{line}\", tooltip={hint}];");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

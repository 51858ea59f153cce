//! Pictures as SVG: one file that any browser shows, without scripts, fonts or links to elsewhere.

use super::{
    Class, Frame, Picture,
    scene::{Place, Scene, head_size, scene},
};
use std::fmt::Write as _;

/// Around everything.
const MARGIN: f64 = 18.0;
/// A line of the heading or of the legend.
const LINE: f64 = 20.0;
/// Of an entry of the legend.
const ENTRY: f64 = 142.0;
/// Inside of frames.
const FRAME: &str = "#f7f7f4";

/// The picture as a self-contained SVG document. `marker` is the id of the arrow heads: ids are shared by all pictures of a
/// page.
pub fn svg(picture: &Picture, marker: &str) -> String {
    let scene = scene(picture);
    let used: Vec<Class> =
        Class::ALL.into_iter().filter(|class| picture.nodes.iter().any(|node| node.class == *class)).collect();
    let top = MARGIN + picture.heading.len() as f64 * LINE + LINE / 2.0;
    let heading = picture.heading.iter().map(|line| line.chars().count()).max().unwrap_or(0) as f64 * 8.0;
    let width = scene.width.max(heading).max(ENTRY * used.len().min(4) as f64) + 2.0 * MARGIN;
    let columns = (((width - 2.0 * MARGIN) / ENTRY) as usize).max(1);
    let legend = used.len().div_ceil(columns) as f64 * LINE;
    let height = top + scene.height + 2.0 * MARGIN + legend;
    let mut out = String::new();
    let (w, h) = (number(width), number(height));
    out += &format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"12\">\n"
    );
    out += &format!(
        "<defs><marker id=\"{marker}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"7\" \
            markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0.8 L8,4 L0,7.2 z\" fill=\"#555555\"/></marker></defs>\n"
    );
    out += "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
    for (i, line) in picture.heading.iter().enumerate() {
        let y = number(MARGIN + (i as f64 + 0.7) * LINE);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{y}\" font-size=\"13\" font-weight=\"bold\">{}</text>",
            number(MARGIN),
            escaped(line)
        );
    }
    let left = MARGIN + (width - 2.0 * MARGIN - scene.width) / 2.0;
    let _ = writeln!(out, "<g transform=\"translate({},{})\">", number(left), number(top));
    body(&mut out, picture, &scene, marker);
    out += "</g>\n";
    for (i, class) in used.into_iter().enumerate() {
        let look = class.look();
        let x = MARGIN + (i % columns) as f64 * ENTRY;
        let y = height - MARGIN - legend + (i / columns) as f64 * LINE;
        let (dash, rx) = (dash(class), look.round.min(6));
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"18\" height=\"12\" rx=\"{rx}\" fill=\"{}\" stroke=\"{}\"{dash}/>\
             <text x=\"{}\" y=\"{}\" font-size=\"11\">{}</text>",
            number(x),
            number(y),
            look.fill,
            look.line,
            number(x + 25.0),
            number(y + 10.0),
            look.name
        );
    }
    out + "</svg>\n"
}

fn body(out: &mut String, picture: &Picture, scene: &Scene, marker: &str) {
    for place in &scene.frames {
        rectangle(out, place, 8, FRAME, "#77776f", " stroke-dasharray=\"6 3\"");
    }
    for points in &scene.arrows {
        let _ = writeln!(
            out,
            "<path d=\"{}\" fill=\"none\" stroke=\"#555555\" stroke-width=\"1.1\" marker-end=\"url(#{marker})\"/>",
            path(points)
        );
    }
    for (frame, place) in picture.frames.iter().zip(&scene.frames) {
        head(out, frame, corner(place));
    }
    for (node, place) in picture.nodes.iter().zip(&scene.nodes) {
        let look = node.class.look();
        let _ = write!(out, "<g><title>{}</title>", escaped(&node.hint));
        rectangle(out, place, look.round, look.fill, look.line, dash(node.class));
        let (x, label, detail) = (number(place.x), escaped(&node.label), escaped(&node.detail));
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#555555\">{detail}</text></g>",
            number(place.y - 3.0),
            number(place.y + 12.0)
        );
    }
}

/// What stands at a frame's top, on a ground of its own: arrows pass below.
fn head(out: &mut String, frame: &Frame, (x, y): (f64, f64)) {
    let ground = head_size(frame);
    let (left, top, width, height) = (number(x + 9.0), number(y + 4.0), number(ground.0), number(ground.1));
    let _ = writeln!(out, "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{FRAME}\"/>");
    let (text_x, title) = (number(x + 14.0), escaped(&frame.title));
    let _ = writeln!(out, "<text x=\"{text_x}\" y=\"{}\" font-weight=\"bold\">{title}</text>", number(y + 19.0));
    for (i, note) in frame.notes.iter().enumerate() {
        let (y, note) = (number(y + 35.0 + i as f64 * 15.0), escaped(note));
        let _ = writeln!(out, "<text x=\"{text_x}\" y=\"{y}\" font-size=\"10\" fill=\"#444444\">{note}</text>");
    }
}

fn dash(class: Class) -> &'static str {
    match class {
        Class::View => " stroke-dasharray=\"3 2\"",
        Class::Array
        | Class::Access
        | Class::Scalar
        | Class::Map
        | Class::Reduce
        | Class::Scan
        | Class::Concat
        | Class::Product => "",
    }
}

fn rectangle(out: &mut String, place: &Place, round: u32, fill: &str, line: &str, more: &str) {
    let (x, y) = corner(place);
    let _ = writeln!(
        out,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"{line}\"{more}/>",
        number(x),
        number(y),
        number(place.width),
        number(place.height)
    );
}

fn corner(place: &Place) -> (f64, f64) {
    (place.x - place.width / 2.0, place.y - place.height / 2.0)
}

/// A smooth line that leaves and arrives vertically.
fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        match i.checked_sub(1).map(|before| points[before]) {
            None => text += &format!("M{},{}", number(x), number(y)),
            Some((from, _)) if (from - x).abs() < 0.05 => text += &format!(" L{},{}", number(x), number(y)),
            Some((from, above)) => {
                let middle = number((above + y) / 2.0);
                text += &format!(" C{},{middle} {},{middle} {},{}", number(from), number(x), number(x), number(y));
            }
        }
    }
    text
}

/// One decimal, and never a negative zero.
fn number(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded}")
}

/// Text for XML; also used by the HTML page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! Where the boxes, frames and arrows of a picture are: each frame is laid out by itself, then frames and loose boxes
//! together.

use super::{
    Arrow, Frame, Node, Picture,
    layout::{Item, Layout, Link, Rank, layered},
};

/// A rectangle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Its middle.
    pub x: f64,
    /// Its middle.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// A picture with places.
#[derive(Clone, Debug)]
pub struct Scene {
    /// By box.
    pub nodes: Vec<Place>,
    /// By frame.
    pub frames: Vec<Place>,
    /// By arrow: its points, from top to bottom.
    pub arrows: Vec<Vec<(f64, f64)>>,
    /// Of everything.
    pub width: f64,
    /// Of everything.
    pub height: f64,
}

/// Width of a character of a box's label, of smaller text, and of a frame's title.
const LABEL_CHARACTER: f64 = 7.3;
const SMALL_CHARACTER: f64 = 6.1;
/// Heights of boxes, and of the lines of a frame's head.
const NODE_HEIGHT: f64 = 38.0;
const TITLE_HEIGHT: f64 = 22.0;
const NOTE_HEIGHT: f64 = 15.0;
/// Between a frame and what is inside.
const MARGIN: f64 = 16.0;

/// Lays a picture out.
pub fn scene(picture: &Picture) -> Scene {
    let inner: Vec<Inner> = (0..picture.frames.len()).map(|frame| Inner::new(picture, frame)).collect();
    // The outer items: frames first, then the loose boxes.
    let loose: Vec<usize> = (0..picture.nodes.len()).filter(|&n| picture.nodes[n].frame.is_none()).collect();
    let mut item_of = vec![0; picture.nodes.len()];
    for (number, node) in picture.nodes.iter().enumerate() {
        item_of[number] = node.frame.unwrap_or_default();
    }
    loose.iter().enumerate().for_each(|(i, &node)| item_of[node] = picture.frames.len() + i);
    let items: Vec<Item> =
        inner.iter().map(Inner::item).chain(loose.iter().map(|&node| item(&picture.nodes[node]))).collect();
    // How far right of its item's middle a box is.
    let offset = |node: usize| picture.nodes[node].frame.map_or(0.0, |frame| inner[frame].offset(node).0);
    let crossing: Vec<usize> =
        (0..picture.arrows.len()).filter(|&a| inner.iter().all(|i| !i.arrows.contains(&a))).collect();
    let links: Vec<Link> = crossing
        .iter()
        .map(|&number| {
            let Arrow { from, to, .. } = picture.arrows[number];
            let arrival = arrival(picture, &picture.arrows[number]);
            Link { from: item_of[from], to: item_of[to], from_offset: offset(from), to_offset: offset(to) + arrival }
        })
        .collect();
    let outer = layered(&items, &links);

    let mut scene = Scene {
        nodes: vec![Place::default(); picture.nodes.len()],
        frames: Vec::new(),
        arrows: vec![Vec::new(); picture.arrows.len()],
        width: outer.width,
        height: outer.height,
    };
    for (number, node) in picture.nodes.iter().enumerate() {
        let (middle, size) = (outer.middles[item_of[number]], item(node));
        let (right, down) = node.frame.map_or((0.0, 0.0), |frame| inner[frame].offset(number));
        scene.nodes[number] = Place { x: middle.0 + right, y: middle.1 + down, width: size.width, height: size.height };
    }
    for (number, frame) in inner.iter().enumerate() {
        let middle = outer.middles[number];
        scene.frames.push(Place { x: middle.0, y: middle.1, width: frame.width, height: frame.height });
        let corner = frame.corner();
        for (&arrow, route) in frame.arrows.iter().zip(&frame.layout.routes) {
            let moved = route.iter().map(|(x, y)| (middle.0 + corner.0 + x, middle.1 + corner.1 + y));
            scene.arrows[arrow] = moved.collect();
        }
    }
    for (&arrow, route) in crossing.iter().zip(outer.routes) {
        // Inside the frames the arrow goes straight on, from and to the box itself.
        let Arrow { from, to, .. } = picture.arrows[arrow];
        let (top, bottom) = (scene.nodes[from], scene.nodes[to]);
        let first = (route[0].0, top.y + top.height / 2.0);
        let last = (route[route.len() - 1].0, bottom.y - bottom.height / 2.0);
        let mut points = route;
        if picture.nodes[from].frame.is_some() {
            points.insert(0, first);
        }
        if picture.nodes[to].frame.is_some() {
            points.push(last);
        }
        scene.arrows[arrow] = points;
    }
    scene
}

/// A frame, laid out.
struct Inner {
    layout: Layout,
    /// Its boxes, and where they stand in the layout.
    members: Vec<usize>,
    /// The arrows inside.
    arrows: Vec<usize>,
    width: f64,
    height: f64,
    head: f64,
}

impl Inner {
    fn new(picture: &Picture, frame: usize) -> Inner {
        let within = |node: usize| picture.nodes[node].frame == Some(frame);
        let members: Vec<usize> = (0..picture.nodes.len()).filter(|&n| within(n)).collect();
        let place = |node: usize| members.binary_search(&node).expect("the box is in the frame");
        let arrows: Vec<usize> = (0..picture.arrows.len())
            .filter(|&a| within(picture.arrows[a].from) && within(picture.arrows[a].to))
            .collect();
        let items: Vec<Item> = members.iter().map(|&node| item(&picture.nodes[node])).collect();
        let links: Vec<Link> = arrows
            .iter()
            .map(|&number| {
                let arrow = &picture.arrows[number];
                let to_offset = arrival(picture, arrow);
                Link { from: place(arrow.from), to: place(arrow.to), from_offset: 0.0, to_offset }
            })
            .collect();
        let layout = layered(&items, &links);
        let (text, head) = head_size(&picture.frames[frame]);
        Inner {
            width: layout.width.max(text) + 2.0 * MARGIN,
            height: layout.height + head + 2.0 * MARGIN,
            head,
            layout,
            members,
            arrows,
        }
    }

    fn item(&self) -> Item {
        Item { width: self.width, height: self.height, rank: Rank::Free }
    }

    /// Where the layout's corner is, from the frame's middle.
    fn corner(&self) -> (f64, f64) {
        (-self.layout.width / 2.0, -self.height / 2.0 + self.head + MARGIN)
    }

    /// Where a box's middle is, from the frame's middle.
    fn offset(&self, node: usize) -> (f64, f64) {
        let place = self.members.binary_search(&node).expect("the box is in the frame");
        let (corner, middle) = (self.corner(), self.layout.middles[place]);
        (corner.0 + middle.0, corner.1 + middle.1)
    }
}

/// Width and height of what stands at a frame's top.
pub fn head_size(frame: &Frame) -> (f64, f64) {
    let title = frame.title.chars().count() as f64 * LABEL_CHARACTER;
    let width = frame.notes.iter().map(|note| note.chars().count() as f64 * SMALL_CHARACTER).fold(title, f64::max);
    (width + 10.0, TITLE_HEIGHT + frame.notes.len() as f64 * NOTE_HEIGHT)
}

fn item(node: &Node) -> Item {
    let label = node.label.chars().count() as f64 * LABEL_CHARACTER;
    let detail = node.detail.chars().count() as f64 * SMALL_CHARACTER;
    Item { width: label.max(detail).max(34.0) + 20.0, height: NODE_HEIGHT, rank: node.rank }
}

/// How far right of the box's middle the arrow arrives.
fn arrival(picture: &Picture, arrow: &Arrow) -> f64 {
    let (number, count) = arrow.operand;
    let width = item(&picture.nodes[arrow.to]).width;
    width * 0.8 * ((number as f64 + 0.5) / count as f64 - 0.5)
}

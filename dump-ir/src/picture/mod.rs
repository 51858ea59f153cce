//! Pictures of graphs and of their regions: boxes, arrows, and frames around the boxes of a region. What to draw is
//! decided here (`graph.rs`, `regions.rs`); where it goes by `layout.rs` and `scene.rs`; `dot.rs` and `svg.rs` write it.
//!
//! Invariants: an arrow's tail stands before its head in no particular order, but arrows form no cycle; equal graphs give
//! equal pictures.

mod dot;
mod graph;
mod label;
mod layout;
mod regions;
mod scene;
mod svg;

pub use dot::dot;
pub use graph::graph_picture;
pub use layout::Rank;
pub use regions::region_picture;
pub(crate) use svg::escaped;
pub use svg::svg;

/// Boxes above which a picture helps nobody, and takes long to lay out.
pub const LARGEST: usize = 600;

/// What a box is, by which it is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// An array in memory.
    Array,
    /// A load of an array, or a store, in a region.
    Access,
    /// A constant, a parameter, indices.
    Scalar,
    /// A scalar op on every element, or a cast.
    Map,
    /// The same elements in another arrangement.
    View,
    /// A fold of axes.
    Reduce,
    /// A running fold.
    Scan,
    /// Arrays one after another.
    Concat,
    /// A matrix product.
    Product,
}

/// How a class looks.
pub struct Look {
    /// What the legend calls it.
    pub name: &'static str,
    /// Inside.
    pub fill: &'static str,
    /// Outline.
    pub line: &'static str,
    /// Radius of the corners.
    pub round: u32,
}

impl Class {
    /// Every class, in the order of the legend.
    pub const ALL: [Class; 9] = [
        Class::Array,
        Class::Access,
        Class::Map,
        Class::View,
        Class::Reduce,
        Class::Scan,
        Class::Concat,
        Class::Product,
        Class::Scalar,
    ];

    /// How it looks. Fills are light, so that black text reads well on each.
    pub fn look(self) -> Look {
        let (name, fill, line, round) = match self {
            Class::Array => ("array in memory", "#cfe2ff", "#3d6fb6", 3),
            Class::Access => ("load, store", "#eaf2ff", "#6f97cf", 14),
            Class::Scalar => ("scalar, index", "#eeeeee", "#8a8a8a", 14),
            Class::Map => ("element-wise", "#d6f0d8", "#4b9a55", 5),
            Class::View => ("view (no copy)", "#ffffff", "#9a9a9a", 5),
            Class::Reduce => ("reduction", "#ffe0c2", "#c9782b", 5),
            Class::Scan => ("running fold", "#fff0b8", "#b59314", 5),
            Class::Concat => ("concatenation", "#f6d9f0", "#ab5a9b", 5),
            Class::Product => ("matrix product", "#f8d0d0", "#b94a4a", 5),
        };
        Look { name, fill, line, round }
    }
}

/// A box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it does.
    pub label: String,
    /// Its type.
    pub detail: String,
    /// The whole binding, for whoever points at the box.
    pub hint: String,
    /// What it is.
    pub class: Class,
    /// The frame it is in.
    pub frame: Option<usize>,
    /// Where in the frame it must be.
    pub rank: Rank,
}

/// A frame around the boxes of a region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its name.
    pub title: String,
    /// Lines below the title.
    pub notes: Vec<String>,
}

/// An arrow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrow {
    /// The box whose value is used.
    pub from: usize,
    /// The box that uses it.
    pub to: usize,
    /// Which operand it is, of how many that are drawn: arrows arrive from left to right.
    pub operand: (usize, usize),
}

/// A picture.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Picture {
    /// Lines above the picture.
    pub heading: Vec<String>,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// The frames.
    pub frames: Vec<Frame>,
    /// The arrows.
    pub arrows: Vec<Arrow>,
}

impl Picture {
    /// Adds a box.
    fn node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds the arrows to a box, in the order of its operands.
    fn arrows_to(&mut self, to: usize, operands: &[usize]) {
        for (number, &from) in operands.iter().enumerate() {
            self.arrows.push(Arrow { from, to, operand: (number, operands.len()) });
        }
    }

    /// An error if there is more in it than anybody could read.
    fn bounded(self) -> Result<Picture, String> {
        if self.nodes.len() > LARGEST {
            let count = self.nodes.len();
            return Err(format!("a picture of {count} boxes (more than {LARGEST}) would help nobody; use text"));
        }
        Ok(self)
    }
}

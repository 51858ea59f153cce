//! What to show and how: the options of `dump-ir` and of `fusewire.debug.dump`. What they select is `select.rs`.

use fusewire_ir::fusion::poly::{Atom, Poly};
use std::{convert::Infallible, str::FromStr};

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// The IRs' own text forms.
    #[default]
    Text,
    /// A picture for Graphviz.
    Dot,
    /// A picture for browsers.
    Svg,
    /// One page with every stage and the pictures.
    Html,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        <Format as clap::ValueEnum>::from_str(text, false)
            .map_err(|_| format!("unknown format `{text}`; known are text, dot, svg, html"))
    }
}

/// Which stages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selection {
    /// What most want to see: the graph before and after the passes, the regions, the kernels as they are compiled.
    #[default]
    Summary,
    /// Every stage.
    All,
    /// One stage, by its name.
    Stage(String),
    /// What a graph pass or a kernel pass left behind, by its name; `name:2` is its second run.
    After(String),
}

impl FromStr for Selection {
    type Err = Infallible;

    /// `summary`, `all`, `after NAME`, or a stage's name.
    fn from_str(text: &str) -> Result<Selection, Infallible> {
        Ok(match (text, text.strip_prefix("after ")) {
            ("summary", _) => Selection::Summary,
            ("all", _) => Selection::All,
            (_, Some(pass)) => Selection::After(pass.trim().to_owned()),
            (_, None) => Selection::Stage(text.to_owned()),
        })
    }
}

/// The values of the graph's symbols, where they are known: then bytes are numbers instead of formulas.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sizes(pub Vec<i64>);

impl Sizes {
    /// A number of bytes.
    pub fn bytes(&self, bytes: &Poly) -> String {
        match self.value(bytes) {
            Some(value) => readable(value),
            None => format!("{bytes} B"),
        }
    }

    fn value(&self, poly: &Poly) -> Option<f64> {
        let mut sum = 0.0;
        for (monomial, factor) in poly.terms() {
            let mut product = *factor as f64;
            for atom in monomial {
                match atom {
                    Atom::Sym(symbol) => product *= *self.0.get(symbol.0 as usize)? as f64,
                    Atom::Stride(..) => return None,
                }
            }
            sum += product;
        }
        Some(sum)
    }
}

fn readable(bytes: f64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match units.into_iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) if bytes / size >= 100.0 => format!("{:.0} {unit}", bytes / size),
        Some((unit, size)) => format!("{:.1} {unit}", bytes / size),
        None => format!("{bytes} B"),
    }
}

/// Everything about a dump but what is dumped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Which stages.
    pub selection: Selection,
    /// How they are written.
    pub format: Format,
    /// For the bytes in pictures.
    pub sizes: Sizes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusewire_ir::shape::SymId;

    #[test]
    fn selections_are_read_from_text() {
        let read = |text: &str| text.parse::<Selection>().unwrap();
        assert_eq!(read("all"), Selection::All);
        assert_eq!(read("after simplify:2"), Selection::After("simplify:2".to_owned()));
        assert_eq!(read("regions"), Selection::Stage("regions".to_owned()));
        assert!("pdf".parse::<Format>().unwrap_err().contains("svg"));
    }

    #[test]
    fn bytes_are_numbers_where_sizes_are_known() {
        let poly = Poly::atom(Atom::Sym(SymId(0))).times(&Poly::literal(4));
        assert_eq!(Sizes::default().bytes(&poly), "4*m B");
        assert_eq!(Sizes(vec![1000]).bytes(&poly), "4.0 kB");
        assert_eq!(Sizes(vec![100]).bytes(&poly), "400 B");
        assert_eq!(Sizes(vec![100_000_000]).bytes(&poly), "400 MB");
    }
}

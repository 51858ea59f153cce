//! What to show and how: the options of `dump-ir` and of `fusewire.debug.dump`.

use fusewire_ir::{
    fusion::poly::{Atom, Poly},
    pass,
};
use std::str::FromStr;

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
            .map_err(|_| format!("unknown format `{text}`; it is one of text, dot, svg, html"))
    }
}

//! Files of IR text: which IR it is, and errors that say where.

use crate::{Options, render, render_kernel};
use fusewire_ir::text::{cursor::Cursor, parse::parse};
use fusewire_lowering::{text as kernel_text, verify::verify};

/// The stages of a graph's or kernel's text. Errors begin with `path` and the line.
pub fn render_text(text: &str, path: &str, options: &Options) -> Result<String, String> {
    let mut start = Cursor::new(text);
    match start.peek_word() {
        "graph" => {
            let graph = parse(text).map_err(|e| format!("{path}:{e}"))?;
            render(&graph, options).map_err(|e| format!("{path}: {e}"))
        }
        "kernel" => {
            let kernel = kernel_text::parse(text).map_err(|e| format!("{path}:{}: {}", e.line, e.message))?;
            verify(&kernel).map_err(|e| format!("{path}: {e}"))?;
            render_kernel(&kernel, options).map_err(|e| format!("{path}: {e}"))
        }
        _ => Err(format!("{path}:{}", start.expected("`graph` or `kernel`"))),
    }
}

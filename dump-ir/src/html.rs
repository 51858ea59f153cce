//! Every stage on one page: a list on the left, the chosen stage on the right. No scripts, nothing from elsewhere.

use crate::{picture::escaped, select::Section};
use std::fmt::Write as _;

const STYLE: &str = "\
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; color: #222; display: flex; height: 100vh; }
input { position: absolute; opacity: 0; }
nav { flex: 0 0 270px; overflow-y: auto; background: #f4f4f1; border-right: 1px solid #ccc; padding: 12px 0; }
nav h1 { font-size: 15px; margin: 0 16px 10px; }
nav label { display: block; padding: 2px 16px; cursor: pointer; }
nav label:hover { background: #e4e4de; }
nav label.unchanged { color: #999; }
main { flex: 1; overflow: auto; padding: 16px 24px; }
section { display: none; }
h2 { font-size: 16px; margin: 0 0 12px; }
pre { font: 12px/1.45 ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; margin: 0; }
input:focus-visible ~ nav { outline: 2px solid #3d6fb6; }
";

/// A part of the page.
pub struct Part {
    /// Its title.
    pub title: String,
    /// Shown in grey.
    pub unchanged: bool,
    /// Markup.
    pub content: String,
}

impl Part {
    /// A picture, or why there is none.
    pub fn picture(title: &str, svg: Result<String, String>) -> Part {
        let content = svg.unwrap_or_else(|problem| format!("<p>{}</p>", escaped(&problem)));
        Part { title: title.to_owned(), unchanged: false, content }
    }

    /// A stage's text.
    pub fn section(section: &Section) -> Part {
        let note = if section.unchanged { "<p>The pass changed nothing.</p>" } else { "" };
        let content = format!("{note}<pre>{}</pre>", escaped(&section.text));
        Part { title: section.title.clone(), unchanged: section.unchanged, content }
    }
}

/// The page.
pub fn page(title: &str, parts: &[Part]) -> String {
    let title = escaped(title);
    let mut out =
        format!("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n");
    out += "<style>\n";
    out += STYLE;
    for i in 0..parts.len() {
        let _ = writeln!(out, "#t{i}:checked ~ main #s{i} {{ display: block; }}");
        let _ = writeln!(out, "#t{i}:checked ~ nav [for=t{i}] {{ background: #3d6fb6; color: #fff; }}");
    }
    out += "</style></head>\n<body>\n";
    for i in 0..parts.len() {
        let checked = if i == 0 { " checked" } else { "" };
        let _ = writeln!(out, "<input type=\"radio\" name=\"stage\" id=\"t{i}\"{checked}>");
    }
    let _ = writeln!(out, "<nav><h1>{title}</h1>");
    for (i, part) in parts.iter().enumerate() {
        let class = if part.unchanged { " class=\"unchanged\"" } else { "" };
        let _ = writeln!(out, "<label for=\"t{i}\"{class}>{}</label>", escaped(&part.title));
    }
    out += "</nav>\n<main>\n";
    for (i, part) in parts.iter().enumerate() {
        let _ = writeln!(out, "<section id=\"s{i}\"><h2>{}</h2>\n{}\n</section>", escaped(&part.title), part.content);
    }
    out + "</main>\n</body>\n</html>\n"
}

//! Every stage of a program as text, dot, SVG or HTML: the `dump-ir` command, and the library behind it and behind
//! `fusewire.debug.dump`.
//!
//! What the stages are and how they read is decided elsewhere (`fusewire_runtime::stages`, the IRs' text forms); here they
//! are chosen and drawn. No Python: `dump-ir FILE.py` hands over to the Python package, which calls [`render`] for each
//! graph that the file computes. Equal graphs give equal output, byte for byte.

mod html;
pub mod options;
pub mod picture;
pub mod select;
mod source;

pub use options::{Format, Options, Selection, Sizes};
pub use source::render_text;

use fusewire_ir::{
    fusion::{cost::Limits, partition},
    graph::Graph,
    pass::{self, PIPELINE},
};
use fusewire_jit_cpu::CpuBackend;
use fusewire_jit_gpu::simt::SimtBackend;
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::Backend,
    compile,
    stages::{kernel_stages, stages},
};
use html::Part;
use picture::{Picture, dot, graph_picture, region_picture, svg};
use select::{OF_GPUS, Section, sections, select};

/// The stages of a captured graph.
pub fn render(graph: &Graph, options: &Options) -> Result<String, String> {
    let all = || stages(graph, &*backend(&options.selection)).map(sections).map_err(|e| e.to_string());
    match options.format {
        Format::Text => Ok(text(&select(all()?, &options.selection)?)),
        Format::Dot => Ok(dot(&selected_picture(graph, options)?)),
        Format::Svg => Ok(svg(&selected_picture(graph, options)?, "arrow")),
        Format::Html => {
            let drawn = |title: &str, id: &str, picture: Result<Picture, String>| {
                Part::picture(title, picture.map(|picture| svg(&picture, id)))
            };
            let mut parts = vec![
                drawn("picture: regions", "arrow-regions", drawn_regions(graph, &options.sizes)),
                drawn("picture: captured", "arrow-captured", graph_picture(graph, "captured")),
            ];
            parts.extend(all()?.iter().map(Part::section));
            Ok(html::page("fusewire: every stage", &parts))
        }
    }
}

/// The stages of a kernel; `options.sizes` mean nothing here.
pub fn render_kernel(kernel: &Kernel, options: &Options) -> Result<String, String> {
    let all = kernel_stages(kernel, None, &*backend(&options.selection)).map(sections).map_err(|e| e.to_string())?;
    match options.format {
        Format::Text => Ok(text(&select(all, &options.selection)?)),
        Format::Dot | Format::Svg => Err("kernels have no picture; use the format text or html".to_owned()),
        Format::Html => {
            let parts: Vec<Part> = all.iter().map(Part::section).collect();
            Ok(html::page("fusewire: every stage of a kernel", &parts))
        }
    }
}

/// Whose code is shown: the CPU's, unless it is a GPU's that is asked for. No memory of either is used.
fn backend(selection: &Selection) -> Box<dyn Backend> {
    match selection {
        Selection::Stage(name) if OF_GPUS.contains(&name.as_str()) => Box::new(SimtBackend::default()),
        Selection::Summary | Selection::All | Selection::Stage(_) | Selection::After(_) => {
            Box::new(CpuBackend::default())
        }
    }
}

/// One section as it is, so that it can be read again; several with headings, which are comments to every parser.
fn text(sections: &[Section]) -> String {
    if let [only] = sections {
        return only.text.clone();
    }
    let mut out = String::new();
    let mut before: Option<&Section> = None;
    for section in sections {
        let rule = "-".repeat(100usize.saturating_sub(section.title.chars().count()).max(4));
        out += &format!("; ---- {} {rule}\n", section.title);
        let is_shown = before.is_some_and(|before| before.text == section.text);
        out += if is_shown && section.unchanged { "; unchanged\n" } else { &section.text };
        before = Some(section);
        out += "\n";
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// The picture that is asked for. Graphs and regions have pictures.
fn selected_picture(graph: &Graph, options: &Options) -> Result<Picture, String> {
    let after = |number: usize, title: &str| -> Result<Picture, String> {
        let mut graphs = Vec::new();
        compile::optimize_graph(graph, &mut |_, graph| graphs.push(graph.clone())).map_err(|e| e.to_string())?;
        graph_picture(graphs.get(number).unwrap_or(graph), title)
    };
    match &options.selection {
        Selection::Summary => drawn_regions(graph, &options.sizes),
        Selection::All => Err("a picture shows one stage; the format html shows all".to_owned()),
        Selection::Stage(stage) => match stage.as_str() {
            "captured" => graph_picture(graph, "captured"),
            "graph" => after(PIPELINE.len().saturating_sub(1), "after the graph passes"),
            "regions" => drawn_regions(graph, &options.sizes),
            stage if select::stage_names().contains(&stage) => {
                Err(format!("the stage {stage} has no picture; captured, graph, regions and graph passes have one"))
            }
            stage => Err(format!("unknown stage `{stage}`; known are {}", select::stage_names().join(", "))),
        },
        Selection::After(name) => {
            let (pass, run) = name.split_once(':').unwrap_or((name, ""));
            let runs: Vec<usize> = (0..PIPELINE.len()).filter(|&i| PIPELINE[i].name == pass).collect();
            let chosen = match run.parse::<usize>() {
                Ok(run) => run.checked_sub(1).and_then(|run| runs.get(run)),
                Err(_) => runs.last(),
            };
            match (chosen, pass::find(pass)) {
                (Some(&number), _) => after(number, &format!("after {name}")),
                (None, Some(_)) => Err(format!("{pass} runs {} times; there is no {name}", runs.len())),
                (None, None) if select::pass_names().contains(&pass) => {
                    Err(format!("{pass} is a kernel pass; kernels have no picture"))
                }
                (None, None) => Err(format!("unknown pass `{pass}`; known are {}", select::pass_names().join(", "))),
            }
        }
    }
}

fn drawn_regions(graph: &Graph, sizes: &Sizes) -> Result<Picture, String> {
    let optimized = compile::optimize_graph(graph, &mut |_, _| {}).map_err(|e| e.to_string())?;
    region_picture(&optimized, &partition(&optimized, Limits::CPU), sizes)
}

//! From a selection to the texts it names. The stages and their texts are the runtime's; here they are only chosen.

use crate::options::Selection;
use fusewire_ir::pass::PIPELINE;
use fusewire_lowering::pass::KERNEL_PIPELINE;
use fusewire_runtime::stages::{CAPTURED, CODE, FAILED, GRAPH_PASS, KERNEL, KERNEL_PASS, REGIONS, STAGES, StageText};

/// Names for `--stage` besides those of [`STAGES`] and of the back end's code: several stages, or the last of several.
const GROUPS: &[(&str, &str)] = &[
    ("graph", "The graph after the last graph pass."),
    ("kernels", "Each kernel as lowering made it, and after the last kernel pass."),
    ("optimized-kernel", "Each kernel after the last kernel pass: what the back end compiles."),
    ("clif", "Cranelift's IR of each kernel."),
    ("asm", "Machine code of each kernel."),
    ("llvm", "LLVM's IR of each kernel, for phases that run for long."),
    ("llvm-asm", "Machine code of that."),
    ("gpu", "LLVM's IR of each kernel for a GPU."),
    ("ptx", "What NVIDIA's driver makes machine code of."),
];

/// The back end's stages.
const CODES: [&str; 6] = ["clif", "asm", "llvm", "llvm-asm", "gpu", "ptx"];

/// Those that only a GPU's back end has.
pub const OF_GPUS: [&str; 2] = ["gpu", "ptx"];

/// A text with what the dump calls it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// `step 0: after vectorise`
    pub title: String,
    /// The text.
    pub text: String,
    /// Did its pass leave the text as it was?
    pub unchanged: bool,
    /// The stage and the pass that it shows.
    pub source: StageText,
    /// Which run of its pass it is, from 1, if it shows a pass.
    run: usize,
    /// Does nothing come after it in its form, graph or kernel?
    last: bool,
}

/// Every text as a section.
pub fn sections(texts: Vec<StageText>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::with_capacity(texts.len());
    for (number, source) in texts.iter().enumerate() {
        let is_pass = source.stage == GRAPH_PASS || source.stage == KERNEL_PASS;
        let before = number.checked_sub(1).map(|n| &texts[n]);
        let same = |other: &&StageText| other.stage == source.stage && other.name == source.name;
        let run = texts[..=number].iter().filter(same).filter(|other| other.step == source.step).count();
        let runs = texts.iter().filter(same).filter(|other| other.step == source.step).count();
        let repeated = if is_pass && runs > 1 { format!(" ({run} of {runs})") } else { String::new() };
        let step = source.step.map_or(String::new(), |step| format!("step {step}: "));
        let name = if is_pass { format!("after {}", source.name) } else { source.name.to_owned() };
        let after = texts.get(number + 1);
        sections.push(Section {
            title: format!("{step}{name}{repeated}"),
            text: source.text.clone(),
            unchanged: is_pass && before.is_some_and(|before| before.text == source.text),
            source: source.clone(),
            run,
            last: is_pass && after.is_none_or(|after| after.stage != source.stage || after.step != source.step),
        });
    }
    sections
}

/// The sections that are asked for, in order. Never none: what names nothing is an error that says what there is.
pub fn select(sections: Vec<Section>, selection: &Selection) -> Result<Vec<Section>, String> {
    let wanted: Vec<Section> = sections.iter().filter(|section| is_selected(section, selection)).cloned().collect();
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let failure = sections.iter().find(|section| section.source.stage == CODE && section.source.name == FAILED);
    match selection {
        Selection::Stage(name) if CODES.contains(&name.as_str()) && failure.is_some() => {
            Err(failure.map_or(String::new(), |section| section.text.trim_end().to_owned()))
        }
        Selection::Stage(name) if is_stage(name) => Err(format!("this program has no stage `{name}`")),
        Selection::Stage(name) => Err(format!("unknown stage `{name}`; known are {}", stage_names().join(", "))),
        Selection::After(pass) if is_pass(pass) => Err(format!("this program does not go through the pass `{pass}`")),
        Selection::After(pass) => Err(format!("unknown pass `{pass}`; known are {}", pass_names().join(", "))),
        Selection::Summary | Selection::All => Err("there are no stages".to_owned()),
    }
}

fn is_selected(section: &Section, selection: &Selection) -> bool {
    let stage = section.source.stage;
    let final_graph = stage == GRAPH_PASS && section.last;
    let final_kernel = stage == KERNEL_PASS && section.last;
    match selection {
        Selection::All => true,
        Selection::Summary => stage == CAPTURED || stage == REGIONS || final_graph || final_kernel,
        Selection::After(pass) => {
            let (name, run) = pass.split_once(':').map_or((pass.as_str(), None), |(name, run)| (name, Some(run)));
            (stage == GRAPH_PASS || stage == KERNEL_PASS)
                && section.source.name == name
                && run.is_none_or(|run| run == section.run.to_string())
        }
        Selection::Stage(name) => match name.as_str() {
            "graph" => final_graph,
            "kernels" => stage == KERNEL || final_kernel,
            "optimized-kernel" => final_kernel,
            name => stage.name == name || (stage == CODE && section.source.name == name),
        },
    }
}

fn is_stage(name: &str) -> bool {
    stage_names().contains(&name)
}

fn is_pass(pass: &str) -> bool {
    pass_names().contains(&pass.split(':').next().unwrap_or_default())
}

/// What `--stage` takes.
pub fn stage_names() -> Vec<&'static str> {
    STAGES.iter().map(|stage| stage.name).chain(GROUPS.iter().map(|group| group.0)).collect()
}

/// What `--after` takes.
pub fn pass_names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in PIPELINE.iter().map(|pass| pass.name).chain(KERNEL_PIPELINE.iter().map(|pass| pass.name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Every name with its sentence, for `dump-ir --list`.
pub fn listing() -> String {
    let mut out = String::from("Stages (--stage):\n");
    let line = |(name, doc): (&str, &str)| format!("  {name:<28}{doc}\n");
    out.extend(STAGES.iter().map(|stage| line((stage.name, stage.doc))));
    out.extend(GROUPS.iter().copied().map(line));
    out += "\nGraph passes, in order (--after):\n";
    out.extend(PIPELINE.iter().map(|pass| line((pass.name, pass.doc))));
    out += "\nKernel passes, in order (--after):\n";
    out.extend(KERNEL_PIPELINE.iter().map(|pass| line((pass.name, pass.doc))));
    out
}

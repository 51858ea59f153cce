//! Stage files: each `stages/*.md` shows one program at every stage, from its captured graph to the kernels that are
//! compiled. The first block is the program; everything after it is what the stages make of it, and this test holds it to
//! that. `BLESS=1 cargo test -p fusewire-tests --test stages` writes the files anew, and `git diff` shows what a change does.
//!
//! A comment `<!-- also: kernel-pass clif -->` adds stages to the usual ones.

use fusewire_dump_ir::{
    Selection,
    select::{Section, sections, select},
};
use fusewire_ir::text::parse::parse;
use fusewire_jit_cpu::CpuBackend;
use fusewire_runtime::stages::stages;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What every file shows. Code for a machine is not among it: it differs from machine to machine.
const USUAL: [&str; 6] = ["captured", "graph-pass", "regions", "program", "kernel", "optimized-kernel"];

const FENCE: &str = "```";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages");
    let entries = fs::read_dir(folder).expect("the stage files").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    files.sort();
    files
}

/// What the file should be.
fn regenerated(content: &str) -> Result<String, String> {
    let opening = format!("{FENCE}text\n");
    let (prose, rest) = content.split_once(opening.as_str()).ok_or("there is no program")?;
    let (program, _) = rest.split_once(FENCE).ok_or("the program does not end")?;
    let graph = parse(program).map_err(|e| format!("the program: {e}"))?;
    let sections = sections(stages(&graph, &CpuBackend::default()).map_err(|e| e.to_string())?);
    let also = prose.split_once("<!-- also: ").and_then(|(_, rest)| rest.split_once(" -->"));
    let also = also.map_or(Vec::new(), |(names, _)| names.split_whitespace().collect());
    let wanted: Vec<Section> = USUAL
        .iter()
        .chain(&also)
        .map(|name| select(sections.clone(), &Selection::Stage((*name).to_owned())))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let mut out = prose.to_owned();
    for section in sections.iter().filter(|section| wanted.contains(section)) {
        if section.title != "captured" {
            out += &format!("\n## {}\n\n", section.title);
        }
        if section.unchanged && wanted.iter().any(|w| w.text == section.text && w != section) {
            out += "Unchanged.\n";
        } else {
            out += &format!("{opening}{}\n{FENCE}\n", section.text.trim_end());
        }
    }
    Ok(out)
}

#[test]
fn stage_files_show_what_the_stages_are() {
    let bless = std::env::var_os("BLESS").is_some();
    let files = files();
    assert!(files.len() >= 12, "only {} stage files", files.len());
    let mut stale = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = fs::read_to_string(&file).expect("a stage file is text");
        let wanted = regenerated(&content).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        if content == wanted {
            continue;
        }
        if bless {
            fs::write(&file, wanted).expect("the stage file can be written");
            continue;
        }
        let difference = content.lines().zip(wanted.lines()).enumerate().find(|(_, (old, new))| old != new);
        stale.push(match difference {
            Some((line, (old, new))) => format!("{name}:{}:\n  file:  {old}\n  now:   {new}", line + 1),
            None => format!("{name}: another length"),
        });
    }
    assert!(stale.is_empty(), "these stage files are stale (BLESS=1 writes them anew):\n{}", stale.join("\n"));
}

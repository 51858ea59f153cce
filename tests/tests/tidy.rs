//! Holds the tree to the rules of ARCHITECTURE.md: crate edges, who may know what, file headers and file sizes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each crate folder with the crates of ours it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("ir", &[]),
    ("lowering", &["ir"]),
    ("runtime", &["ir", "lowering"]),
    ("jit-cpu", &["ir", "lowering", "runtime"]),
    ("dump-ir", &["ir", "lowering", "runtime", "jit-cpu"]),
    ("frontend-py", &["ir", "lowering", "runtime", "jit-cpu", "dump-ir"]),
    ("tests", &["ir", "lowering", "runtime", "jit-cpu", "dump-ir"]),
    ("benches", &["ir", "lowering", "runtime", "jit-cpu"]),
];

/// Outside crates with the one folder that may know them.
const SECRETS: &[(&str, &str)] =
    &[("pyo3", "frontend-py"), ("cranelift", "jit-cpu"), ("gemm", "jit-cpu"), ("rayon", "jit-cpu")];

/// Files that may be longer than [`LONGEST`]: tables.
const TABLES: &[&str] = &["ir/src/ops.rs"];

/// Lines of a source file.
const LONGEST: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// The names of the dependencies (not dev-dependencies) in a crate's manifest.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("each crate has a manifest");
    let section = manifest.split("\n[").find(|s| s.starts_with("dependencies]")).unwrap_or_default().to_owned();
    section.lines().skip(1).filter_map(|l| l.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = EDGES.iter().map(|(folder, _)| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").display().to_string();
                files.push((name, fs::read_to_string(&path).expect("source is text")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn crates_import_downwards_only() {
    for (folder, allowed) in EDGES {
        for dependency in dependencies(folder) {
            if let Some(ours) = dependency.strip_prefix("fusewire-") {
                assert!(allowed.contains(&ours), "{folder} must not depend on {ours}");
            }
        }
    }
}

#[test]
fn only_one_crate_knows_each_outside_world() {
    for (folder, _) in EDGES {
        for dependency in dependencies(folder) {
            for (secret, keeper) in SECRETS {
                let known = dependency == *secret || dependency.starts_with(&format!("{secret}-"));
                assert!(!known || folder == keeper, "only {keeper} may depend on {dependency}, not {folder}");
            }
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<_> = sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|f| f.0).collect();
    assert!(silent.is_empty(), "these files lack a `//!` header: {silent:?}");
}

#[test]
fn source_files_have_one_reason_each() {
    for (name, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
        let is_test = name.contains("/tests/");
        assert!(is_test || TABLES.contains(&name.as_str()) || code <= LONGEST, "{name} has {code} lines of code");
        let stem = Path::new(&name).file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        assert!(!["utils", "util", "helpers", "misc"].contains(&stem), "{name}: name what is inside");
    }
}

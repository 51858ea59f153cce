//! Holds the tree to the rules of ARCHITECTURE.md: crate edges, who may know what, file headers and file sizes; and the
//! documents to the tree: links, the code map, the tests that hold the invariants.

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
    ("jit-llvm", &["ir", "lowering"]),
    ("jit-cpu", &["ir", "lowering", "runtime", "jit-llvm"]),
    ("jit-gpu", &["ir", "lowering", "runtime", "jit-llvm"]),
    ("dump-ir", &["ir", "lowering", "runtime", "jit-cpu", "jit-gpu"]),
    ("frontend-py", &["ir", "lowering", "runtime", "jit-cpu", "jit-gpu", "dump-ir"]),
    ("tests", &["ir", "lowering", "runtime", "jit-llvm", "jit-cpu", "jit-gpu", "dump-ir"]),
    ("benches", &["ir", "lowering", "runtime", "jit-cpu"]),
];

/// Outside crates with the folders that may know them: one each, but for LLVM's types, of which GPU kernels are made too.
const SECRETS: &[(&str, &str)] = &[
    ("pyo3", "frontend-py"),
    ("numpy", "frontend-py"),
    ("cranelift", "jit-cpu"),
    ("inkwell", "jit-llvm jit-gpu"),
    ("corosensei", "jit-gpu"),
    ("cudarc", "jit-gpu"),
    ("gemm", "jit-cpu"),
    ("faer", "jit-cpu"),
    ("rustfft", "jit-cpu"),
    ("realfft", "jit-cpu"),
    ("rayon", "jit-cpu"),
];

/// What `ir` and `lowering` do without: configuration arrives as values, and what they have to say is returned.
const OUTSIDE: &[&str] = &["std::env", "std::fs", "std::io", "std::net", "std::process", "std::time", "println!"];

/// Where `unsafe` may stand, besides tests: code generation, memory, conversions.
const UNSAFE: &[&str] = &[
    "jit-cpu/",
    "jit-llvm/",
    "jit-gpu/",
    "frontend-py/src/",
    "runtime/src/pool.rs",
    "runtime/src/backend.rs",
    "runtime/src/transfer.rs",
    "runtime/src/positions.rs",
    "runtime/src/assign.rs",
    "runtime/src/reserve.rs",
    "runtime/src/fork.rs",
    "runtime/src/interpreter.rs",
];

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
                assert!(
                    !known || keeper.split(' ').any(|keeper| keeper == *folder),
                    "only {keeper} may depend on {dependency}, not {folder}"
                );
            }
        }
    }
}

/// The part of a source file that is not its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn graphs_and_kernels_know_no_outside_world() {
    for (name, text) in sources() {
        let tests = ["lowering/src/math/tests.rs", "lowering/src/math/trig_accuracy.rs"].contains(&name.as_str());
        if tests || !(name.starts_with("ir/src/") || name.starts_with("lowering/src/")) {
            continue;
        }
        for world in OUTSIDE {
            assert!(!code(&text).contains(world), "{name} must not use {world}");
        }
    }
}

#[test]
fn unsafe_code_stands_where_it_is_needed_only() {
    for (name, text) in sources() {
        let allowed = name.contains("tests/") || UNSAFE.iter().any(|place| name.starts_with(place));
        let found = ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|word| text.contains(word));
        assert!(allowed || !found || name == file!(), "{name} must do without unsafe code");
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

/// Every document, by its path from the root.
fn documents() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let folders = ["", "docs", "benches", "tests/stages"];
    for entry in folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder")) {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|e| e == "md") {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            files.push((name, fs::read_to_string(&path).expect("documents are text")));
        }
    }
    assert!(files.len() > 20, "only {} documents", files.len());
    files
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in documents() {
        let folder = root().join(&name).parent().expect("a file is in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !path.is_empty() {
                assert!(folder.join(path).exists(), "{name} links to {target}, which is not there");
            }
        }
    }
}

/// `file::function` in ARCHITECTURE.md and CONTRIBUTING.md is a test, and a path with a slash is there.
#[test]
fn documents_name_tests_and_files_that_exist() {
    let mut tests = 0;
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = document(name);
        let (before, rest) = text.split_once("\n## Code map").unwrap_or((&text, ""));
        let after = rest.split_once("\n## ").map_or("", |(_, after)| after);
        for word in quoted(before).chain(quoted(after)) {
            let is_path = word.contains('/') && !word.contains([' ', '<', '*', '$', '(']) && !word.contains("//");
            let (path, function) = word.split_once("::").map_or((word, None), |(path, f)| (path, Some(f)));
            if !is_path || path.starts_with('.') || path.starts_with("target/") {
                continue;
            }
            assert!(root().join(path).exists(), "{name} names {path}, which is not there");
            if let Some(function) = function {
                let source = document(path);
                let defined = ["fn ", "def "].iter().any(|word| source.contains(&format!("{word}{function}(")));
                assert!(defined, "{name}: there is no {function} in {path}");
                tests += 1;
            }
        }
    }
    assert!(tests > 30, "ARCHITECTURE.md names only {tests} tests");
}

/// The code map has a heading a folder, and under it tables whose first column names files and folders in it.
#[test]
fn the_code_map_is_complete_and_names_what_exists() {
    let text = document("ARCHITECTURE.md");
    let map = text.split_once("\n## Code map").expect("there is a code map").1;
    let map = map.split_once("\n## ").map_or(map, |(map, _)| map);
    let mut base = "";
    let mut named = Vec::new();
    for line in map.lines() {
        if line.starts_with("### ") {
            base = quoted(line).next().expect("a heading of the code map names a folder");
        } else if let Some(row) = line.strip_prefix("| ") {
            let cell = row.split(" | ").next().unwrap_or_default();
            named.extend(quoted(cell).map(|path| format!("{base}{path}")));
        }
    }
    for path in &named {
        assert!(root().join(path).exists(), "the code map names {path}, which is not there");
    }
    for (file, _) in sources() {
        let covered = named.iter().any(|path| file == *path || path.ends_with('/') && file.starts_with(path.as_str()));
        let obvious = file.ends_with("/lib.rs") || file.ends_with("/mod.rs");
        assert!(covered || obvious, "the code map does not say what {file} is for");
    }
}

#[test]
fn figures_of_the_readme_are_those_that_were_measured() {
    let (readme, measured) = (document("README.md"), document("benches/README.md"));
    let section = readme.split_once("\n## How fast").expect("the README says how fast").1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let words: Vec<&str> = section.split_whitespace().map(|word| word.trim_matches([',', ';'])).collect();
    let mut figures = 0;
    for pair in words.windows(2).filter(|pair| ["us", "ms"].contains(&pair[1])) {
        let figure = format!(" {} {} ", pair[0], pair[1]);
        assert!(measured.contains(&figure), "README.md has{figure}which is no figure of benches/README.md");
        figures += 1;
    }
    assert!(figures > 8, "only {figures} figures");
}

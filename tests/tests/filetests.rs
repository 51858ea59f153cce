//! Runs every filetest. `BLESS=1` rewrites the `expect:` blocks; `FILETEST=part-of-a-path` runs only some.

use fusewire_ir::{rules::RULES, text::parse::parse};
use fusewire_tests::filetest::{emulated::run_emulated, files, run, values::agree};
use std::path::Path;

#[test]
fn every_filetest_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let bless = std::env::var_os("BLESS").is_some();
    let filter = std::env::var("FILETEST").unwrap_or_default();
    let files: Vec<_> = files(&folder).into_iter().filter(|f| f.display().to_string().contains(&filter)).collect();
    assert!(!files.is_empty(), "no file matches `{filter}`");
    let mut failures = String::new();
    for file in &files {
        let name = file.strip_prefix(&folder).expect("below the folder").display();
        if let Err(error) = run(file, bless) {
            failures += &format!("\n--- {name}\n{error}\n");
        }
    }
    let failed = failures.matches("\n--- ").count();
    assert!(failures.is_empty(), "{failed} of {} filetests fail:\n{failures}", files.len());
    println!("{} filetests pass", files.len());
}

/// Graphs go through the whole pipeline, kernels through the kernel passes where they are not there yet.
#[test]
fn what_stands_in_filetests_has_the_same_bits_on_the_emulator() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("filetests");
    let filter = std::env::var("FILETEST").unwrap_or_default();
    let (mut count, mut failures) = (0, String::new());
    for file in files(&folder).iter().filter(|f| f.display().to_string().contains(&filter)) {
        match run_emulated(file) {
            Ok(run) => count += usize::from(run),
            Err(error) => failures += &format!("\n--- {}\n{error}\n", file.display()),
        }
    }
    println!("{count} files have something to run");
    assert!(failures.is_empty(), "{} filetests fail:\n{failures}", failures.matches("\n--- ").count());
    assert!(count > 100 || !filter.is_empty(), "only {count} files have something to run");
}

#[test]
fn rules_keep_every_bit_on_edge_cases() {
    for rule in RULES {
        let graph = |text| parse(text).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
        agree(&graph(rule.before), &graph(rule.after), &[]).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
    }
}

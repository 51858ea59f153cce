//! Runs every filetest. `BLESS=1` rewrites the `expect:` blocks; `FILETEST=part-of-a-path` runs only some.

use fusewire_ir::{rules::RULES, text::parse::parse};
use fusewire_tests::filetest::{files, run, values::agree};
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

#[test]
fn rules_keep_every_bit_on_edge_cases() {
    for rule in RULES {
        let graph = |text| parse(text).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
        agree(&graph(rule.before), &graph(rule.after), &[]).unwrap_or_else(|e| panic!("{}: {e}", rule.name));
    }
}

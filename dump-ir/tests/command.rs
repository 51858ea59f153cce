//! The `dump-ir` command from outside: what it prints, and what it says about wrong input.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

const SOFTMAX: &str = "\
graph @f(%a0: f32[m, n]) -> f32[m, n] {
  %0 = reduce maximum %a0 axes=[1] : f32[m, 1]
  %1 = expand %0 : f32[m, n]
  %2 = subtract %a0, %1 : f32[m, n]
  %3 = exp %2 : f32[m, n]
  %4 = reduce add %3 axes=[1] : f32[m, 1]
  %5 = expand %4 : f32[m, n]
  %6 = divide %3, %5 : f32[m, n]
  return %6
}
";

/// Runs the command with a text on standard input.
fn dump(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dump-ir"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early may not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn printed(arguments: &[&str], input: &str) -> String {
    let output = dump(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str], input: &str) -> String {
    let output = dump(arguments, input);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_summary_goes_from_the_graph_to_the_kernels() {
    let text = printed(&["-"], SOFTMAX);
    let order =
        ["; ---- captured", "; ---- after eliminate-dead", "; ---- regions", "; ---- step 0: after", "kernel @"];
    let places: Vec<usize> =
        order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"))).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(!text.contains("; ---- step 0: clif"), "{text}");
}

#[test]
fn one_stage_is_printed_as_its_parser_reads_it() {
    assert_eq!(printed(&["--stage", "captured", "-"], SOFTMAX), SOFTMAX);
    let kernel = printed(&["--stage", "kernel", "-"], SOFTMAX);
    assert_eq!(printed(&["--stage", "kernel", "-"], &kernel), kernel);
    let optimized = printed(&["--stage", "optimized-kernel", "-"], SOFTMAX);
    assert_eq!(printed(&["--stage", "optimized-kernel", "-"], &kernel), optimized);
}

#[test]
fn gpu_code_is_shown_where_it_is_asked_for() {
    let ir = printed(&["--stage", "gpu", "-"], SOFTMAX);
    assert!(ir.contains("ptx_kernel") && ir.contains("nvptx64-nvidia-cuda"), "{ir}");
    let ptx = printed(&["--stage", "ptx", "-"], SOFTMAX);
    assert!(ptx.contains(".target sm_80") && ptx.contains(".entry phase0"), "{ptx}");
}

#[test]
fn all_shows_each_pass_and_the_machine_code() {
    let text = printed(&["--all", "-"], SOFTMAX);
    for part in
        ["after simplify (1 of", "after simplify (2 of", "program", "step 0: kernel", "after vectorise", "clif", "asm"]
    {
        assert!(text.contains(part), "{part}");
    }
    let vectorised = printed(&["--after", "vectorise", "-"], SOFTMAX);
    assert!(vectorised.contains("vector") && !vectorised.contains("----"), "{vectorised}");
    let second = printed(&["--after", "simplify:2", "-"], SOFTMAX);
    assert!(second.starts_with("graph @f("), "{second}");
}

#[test]
fn pictures_are_deterministic_and_close_what_they_open() {
    for stage in [&[][..], &["--stage", "captured"], &["--after", "simplify"]] {
        let svg = printed(&[&["--format", "svg"], stage, &["-"]].concat(), SOFTMAX);
        assert_eq!(svg, printed(&[&["--format", "svg"], stage, &["-"]].concat(), SOFTMAX));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert!(svg.contains(">exp<") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
    let regions = printed(&["--format", "svg", "-"], SOFTMAX);
    assert!(regions.contains("region 0: kernel") && regions.contains("4*m*n B read"), "{regions}");
    let dot = printed(&["--format", "dot", "-"], SOFTMAX);
    assert!(dot.starts_with("digraph") && dot.contains("subgraph cluster_0"), "{dot}");
}

#[test]
fn the_page_has_every_stage_and_stands_alone() {
    let page = printed(&["--format", "html", "-"], SOFTMAX);
    for part in ["picture: regions", "captured", "after vectorise", "clif", "<svg "] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("<link"));
    assert!(page.contains("%0 = load b0") && page.contains("-&gt; f32[m, n]"));
}

#[test]
fn mistakes_in_a_text_are_named_with_their_place() {
    let wrong = SOFTMAX.replace("= exp ", "= expo ");
    assert_eq!(refused(&["-"], &wrong), "dump-ir: -:5:8: unknown op `expo`\n");
    assert!(refused(&["-"], "grph").contains("-:1:1: expected `graph` or `kernel`, found `grph`"));
    assert!(refused(&["-"], "").contains("found the end of the text"));
    assert!(refused(&["-"], "kernel @k(b0: in f32) {\n  phase (v0: i7) {\n").starts_with("dump-ir: -:2"));
    let mixed = SOFTMAX.replace("f32[m, n]) ->", "f64[m, n]) ->");
    assert!(refused(&["-"], &mixed).contains("-:2:8"));
}

#[test]
fn mistakes_in_the_options_are_named() {
    assert!(refused(&["--stage", "captued", "-"], SOFTMAX).contains("unknown stage `captued`; known are captured"));
    assert!(
        refused(&["--after", "fly", "-"], SOFTMAX)
            .contains("unknown pass `fly`; known are split-complex, widen-halves, simplify")
    );
    assert!(refused(&["--after", "simplify:9", "-"], SOFTMAX).contains("simplify:9"));
    assert!(refused(&["--stage", "asm", "--format", "svg", "-"], SOFTMAX).contains("has no picture"));
    assert!(refused(&["--all", "--format", "svg", "-"], SOFTMAX).contains("html"));
    assert!(refused(&["--after", "vectorise", "--format", "dot", "-"], SOFTMAX).contains("kernel pass"));
    assert!(refused(&["--all", "--stage", "captured", "-"], SOFTMAX).contains("cannot be used with"));
    assert!(refused(&["no/such/file.ir"], "").contains("no/such/file.ir: No such file"));
    assert!(refused(&["-", "more"], SOFTMAX).contains("only Python files take arguments"));
    assert!(refused(&[], "").contains("FILE"));
}

#[test]
fn the_list_names_stages_and_passes() {
    let list = printed(&["--list"], "");
    for name in ["captured", "regions", "clif", "simplify", "vectorise"] {
        assert!(list.contains(name), "{name}");
    }
}

#[test]
fn python_files_go_to_the_python_package_with_the_options() {
    use std::os::unix::fs::PermissionsExt;
    let folder = std::env::temp_dir().join(format!("dump-ir-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let python = folder.join("python3");
    std::fs::write(&python, "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |path: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dump-ir"));
        command.args(["--after", "simplify", "--format", "svg", "-o", "out.svg", "program.py", "--steps", "3"]);
        command.env("PATH", path).output().unwrap()
    };
    let found = run(folder.to_str().unwrap());
    let missing = run("/nowhere");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&found.stdout),
        "-m fusewire.dump_ir --after simplify --format svg --output out.svg program.py --steps 3\n"
    );
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot run python3"));
}

#[test]
fn graphs_without_kernels_and_odd_graphs_are_shown_too() {
    let cases = [
        "graph @f() -> () {\n  return\n}\n",
        "graph @f(%a0: f32[m]) -> f32[m] {\n  return %a0\n}\n",
        "graph @f(%a0: f32[m, n]) -> f32[n, m] {\n  %0 = permute %a0 axes=[1, 0] : f32[n, m]\n  return %0\n}\n",
        "graph @f(%s0: f64 param) -> (f64, f64) {\n  %0 = const 2.0 : f64\n  return %s0, %0\n}\n",
        "graph @f(%a0: f32[0, n]) -> f32[1, n] {\n  %0 = reduce add %a0 axes=[0] : f32[1, n]\n  return %0\n}\n",
    ];
    for case in cases {
        for format in ["text", "dot", "svg", "html"] {
            printed(&["--format", format, "-"], case);
        }
        printed(&["--all", "-"], case);
        printed(&["--format", "svg", "--stage", "captured", "-"], case);
    }
}

#[test]
fn a_graph_too_large_for_a_picture_has_text_and_a_page() {
    let mut text = String::from("graph @f(%a0: f32[m]) -> f32[m] {\n  %0 = abs %a0 : f32[m]\n");
    for i in 1..700 {
        text += &format!("  %{i} = exp %{} : f32[m]\n", i - 1);
    }
    text += "  return %699\n}\n";
    assert!(refused(&["--format", "svg", "-"], &text).contains("would help nobody"));
    assert!(printed(&["--stage", "graph", "-"], &text).contains("%699"));
}

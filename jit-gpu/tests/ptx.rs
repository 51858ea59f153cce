//! Every kernel of the filetests as PTX, and through NVIDIA's assembler where there is one: in the variable `PTXAS`, or that of
//! PyPI's nvidia-cuda-nvcc in `.venv`. It must take each for sm_80 and sm_90, and no kernel may keep in memory what it has too few
//! registers for. `cargo test -p fusewire-jit-gpu --test ptx -- --nocapture` prints registers and memory of each.

use fusewire_ir::{fusion::cost::Limits, pass::run_pipeline, text::parse::parse, verify};
use fusewire_jit_gpu::{
    driver::Source,
    functions::Function,
    ptx::{self, Capability, module},
};
use fusewire_lowering::{
    kernel::{IntExpr, Kernel},
    lower, pass,
    program::Step,
    text,
    verify::verify_lowered,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

/// What the assembler is asked for.
const CAPABILITIES: [u32; 2] = [80, 90];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// Every filetest.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut files: Vec<_> = files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "ir")).collect();
    files.extend(folders.iter().flat_map(|folder| self::files(folder)));
    files.sort();
    files
}

/// The kernels of all filetests that have a graph or a kernel, by a file that has them; equal ones once.
fn kernels() -> BTreeMap<String, Kernel> {
    let folder = root().join("tests/filetests");
    let mut found: BTreeMap<String, Kernel> = BTreeMap::new();
    let filter = std::env::var("FILETEST").unwrap_or_default();
    for file in files(&folder).iter().filter(|file| file.display().to_string().contains(&filter)) {
        let source = fs::read_to_string(file).expect("a filetest can be read");
        let name = file.strip_prefix(&folder).expect("below the folder").display().to_string();
        for (number, kernel) in kernels_of(&source).into_iter().enumerate() {
            if !found.values().any(|known| *known == kernel) {
                found.insert(format!("{name}:{number}"), kernel);
            }
        }
    }
    found
}

fn kernels_of(source: &str) -> Vec<Kernel> {
    if let Ok(graph) = parse(source)
        && verify::verify(&graph).is_ok()
    {
        let graph = run_pipeline(&graph, true, &mut |_, _| ()).expect("the pipeline runs");
        let steps = lower::program(&graph, Limits::GPU).steps;
        let kernels = steps.into_iter().filter_map(|step| match step {
            Step::Launch { kernel, .. } => Some(kernel),
            Step::Product { .. } | Step::Call { .. } => None,
        });
        return kernels.map(optimised).collect();
    }
    match text::parse(source) {
        Ok(kernel) if verify_lowered(&kernel).is_ok() => vec![kernel],
        Ok(kernel) if fusewire_lowering::verify::verify(&kernel).is_ok() => vec![optimised(kernel)],
        _ => Vec::new(),
    }
}

fn optimised(mut kernel: Kernel) -> Kernel {
    pass::run_pipeline(&mut kernel, false, &mut |_, _| ()).expect("the kernel passes run");
    kernel
}

fn assembler() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PTXAS") {
        return Some(path.into());
    }
    let library = fs::read_dir(root().join(".venv/lib")).ok()?;
    let packages = library.flatten().map(|python| python.path().join("site-packages/nvidia"));
    let homes = packages.filter_map(|nvidia| fs::read_dir(nvidia).ok()).flat_map(|entries| entries.flatten());
    homes.map(|home| home.path().join("bin/ptxas")).find(|ptxas| ptxas.exists())
}

/// What the assembler says of a text: registers, memory.
fn assemble(ptxas: &Path, text: &str, capability: u32) -> Result<String, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let folder = std::env::temp_dir().join(format!("fusewire-ptx-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let source = folder.join("kernel.ptx");
    fs::write(&source, text).map_err(|e| e.to_string())?;
    let output = Command::new(ptxas)
        .args(["-v", &format!("-arch=sm_{capability}"), "-o"])
        .arg(folder.join("kernel.cubin"))
        .arg(&source)
        .output();
    let said = output.map_err(|e| e.to_string()).and_then(|output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    });
    fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
    said
}

/// Bytes that a line of the assembler's report says are stored because of too few registers.
fn spilled(line: &str) -> u32 {
    let bytes = line.split_once(" bytes spill stores").map(|(before, _)| before.rsplit(' ').next().unwrap_or_default());
    bytes.map_or(0, |bytes| bytes.parse().expect("a number of bytes"))
}

/// Neighbours only.
const CHAIN: &str = "graph @f(%a0: f32[m], %a1: f32[m]) -> f32[m] {\n  %0 = add %a0, %a1 : f32[m]\n  return %0\n}\n";

/// Sums along the outer axis.
const COLUMNS: &str =
    "graph @f(%a0: f32[m, n]) -> f32[1, n] {\n  %0 = reduce add %a0 axes=[0] : f32[1, n]\n  return %0\n}\n";

/// The instructions that matter are what comes of the operations that ask for them.
#[test]
fn golden_instructions() {
    let texts = |name: &str, capability: Capability| {
        let file = root().join("tests/filetests").join(name);
        let source = if name == CHAIN { Ok(CHAIN.to_owned()) } else { fs::read_to_string(file) };
        let source = source.expect("a filetest can be read");
        let texts = kernels_of(&source).iter().map(|kernel| module(kernel, capability)).collect::<Vec<_>>();
        texts.into_iter().map(|text| text.expect("there is GPU code for it")).collect::<String>()
    };
    for (name, wanted, unwanted) in [
        (CHAIN, &["ld.global.v4.b32", "st.global.v4.b32", "add.rn.f32"][..], "fma"),
        (
            "interp/softmax.ir",
            &["fma.rn.f64", "div.rn.f64", "ld.global.b64", "bar.sync", "ld.shared", "shfl.sync.bfly"][..],
            "",
        ),
        (
            "kernel/pipeline-softmax-of-rows.ir",
            &["fma.rn.f32", "st.global.b32", "shfl.sync.bfly.b32", "tid.x"],
            "mul.f32",
        ),
    ] {
        for capability in [75, 80, 90] {
            let text = texts(name, Capability(capability));
            assert!(text.contains(&format!(".target sm_{capability}")), "{text}");
            for instruction in wanted {
                assert!(text.contains(instruction), "{name} has no {instruction} for sm_{capability}:\n{text}");
            }
            assert!(unwanted.is_empty() || !text.contains(unwanted), "{name} has {unwanted}:\n{text}");
            let Some(ptxas) = assembler() else { continue };
            // GPUs that are newer than all targets run the code for the newest.
            let newer = if capability == 90 { &[90, 100, 120][..] } else { &[capability] };
            for &on in newer {
                assemble(&ptxas, &text, on).unwrap_or_else(|error| panic!("{name} on sm_{on}: {error}"));
            }
        }
    }
}

/// PTX 8.0 takes 4096 bytes of arguments; kernels of more are in the version that takes them.
#[test]
fn kernels_of_many_arguments_assemble() {
    let mut kernel = kernels_of(CHAIN).remove(0);
    kernel.ints.extend(vec![IntExpr::Const(1); 600]);
    for capability in CAPABILITIES {
        let text = module(&kernel, Capability(capability)).expect("there is GPU code for it");
        assert!(text.contains(".version 8.1"));
        if let Some(ptxas) = assembler() {
            assemble(&ptxas, &text, capability).unwrap_or_else(|error| panic!("sm_{capability}: {error}"));
            let refused = assemble(&ptxas, &text.replace(".version 8.1", ".version 8.0"), capability);
            assert!(refused.is_err_and(|error| error.contains("4352")), "the older version takes them, too");
        }
    }
}

/// So many steps of a loop, recorded: eleven ops each, three arrays from one to the next.
fn steps(count: usize, dtype: &str) -> String {
    let (mut lines, mut last) = (Vec::new(), [0, 1, 2].map(|number| format!("%a{number}")));
    for _ in 0..count {
        let mut value = |op: &str, of: &[&str], dtype: &str| {
            lines.push(format!("  %{} = {op} {} : {dtype}[m]\n", lines.len(), of.join(", ")));
            format!("%{}", lines.len() - 1)
        };
        let [x, y, near] = &last;
        let (xx, yy) = (value("multiply", &[x, x], dtype), value("multiply", &[y, y], dtype));
        let (both, apart) = (value("add", &[&xx, &yy], dtype), value("subtract", &[&xx, &yy], dtype));
        let inside = value("less", &[&both, "%a3"], "bool");
        let counted = value("where", &[&inside, "%a3", "%a4"], dtype);
        let near = value("add", &[near, &counted], dtype);
        let product = value("multiply", &[x, y], dtype);
        let twice = value("add", &[&product, &product], dtype);
        last = [value("add", &[&apart, "%a0"], dtype), value("add", &[&twice, "%a1"], dtype), near];
    }
    let arguments = (0..5).map(|number| format!("%a{number}: {dtype}[m]")).collect::<Vec<_>>().join(", ");
    format!("graph @f({arguments}) -> {dtype}[m] {{\n{}  return {}\n}}\n", lines.concat(), last[2])
}

/// What a cut stores goes through memory, so there are few of them, and registers suffice all the same.
#[test]
fn long_loops_are_few_kernels_without_spills() {
    for (dtype, wanted) in [("f32", 1), ("f64", 3)] {
        let kernels = kernels_of(&steps(29, dtype));
        assert_eq!(kernels.len(), wanted, "{dtype}");
        for capability in CAPABILITIES {
            for kernel in &kernels {
                let text = module(kernel, Capability(capability)).expect("there is GPU code for it");
                let Some(ptxas) = assembler() else { continue };
                let said = assemble(&ptxas, &text, capability).unwrap_or_else(|error| panic!("{dtype}: {error}"));
                assert!(said.lines().all(|line| spilled(line) == 0), "{dtype}, sm_{capability}: {said}");
            }
        }
    }
    let graph = parse(&steps(29, "f32")).expect("it is a graph");
    assert_eq!(lower::program(&graph, Limits::CPU).steps.len(), 6, "the CPU keeps what is stored in its caches");
}

/// Integers have parts of rows, floats one order.
#[test]
fn running_folds_of_integers_have_parts() {
    for (dtype, wanted) in [("i64", true), ("f64", false)] {
        let source = format!(
            "graph @f(%a0: {dtype}[m]) -> {dtype}[m] {{\n  %0 = scan add %a0 axis=0 : {dtype}[m]\n  return %0\n}}\n"
        );
        let kernels = kernels_of(&source);
        assert_eq!(kernels.len(), 1);
        let text = module(&kernels[0], Capability(80)).expect("there is GPU code for it");
        assert_eq!((0..3).all(|part| text.contains(&format!("phase0_parts{part}("))), wanted, "{text}");
    }
}

/// What four groups of neighbours need is on its way before the first of them is stored, and a row of a warp waits for nobody.
#[test]
fn loads_come_first_and_warps_do_without_barriers() {
    let kernel = &kernels_of(CHAIN)[0];
    let text = module(kernel, Capability(80)).expect("there is GPU code for it");
    let before = text.split("st.global").next().unwrap_or_default();
    assert_eq!(before.matches("ld.global.v4.b32").count(), 8, "{text}");

    // Sums of columns: a thread has the sixteen rows of a segment under way, whether there are many columns or few.
    let kernel = &kernels_of(COLUMNS)[0];
    let text = module(kernel, Capability(80)).expect("there is GPU code for it");
    for phase in ["phase0(", "phase1("] {
        let entry = text.split(".entry ").find(|entry| entry.starts_with(phase)).unwrap_or_default();
        let ahead = entry.split("add.rn.f32").any(|between| between.matches("ld.global.b32").count() >= 16);
        assert!(ahead, "{phase}: {entry}");
    }

    let source = fs::read_to_string(root().join("tests/filetests/kernel/pipeline-softmax-of-rows.ir"));
    let kernel = &kernels_of(&source.expect("a filetest can be read"))[0];
    let text = module(kernel, Capability(80)).expect("there is GPU code for it");
    let rows_of_warps: Vec<&str> = text.split(".entry ").filter(|entry| !entry.contains("bar.sync")).collect();
    let shuffled = rows_of_warps.iter().filter(|e| e.contains("shfl.sync.bfly") && e.contains("bar.warp.sync"));
    assert!(shuffled.count() >= 2, "{text}");
}

/// A transpose reads rows of a block, and writes its columns as rows, from shared memory whose rows are 16 bytes longer: so the threads
/// that read a column meet in no bank.
#[test]
fn transposes_go_through_padded_shared_memory() {
    for (dtype, size, side) in [("u8", 1, 128), ("f32", 4, 64), ("f64", 8, 64)] {
        let source = format!(
            "graph @f(%a0: {dtype}[m, n]) -> {dtype}[n, m] {{\n  %0 = permute %a0 axes=[1, 0] : {dtype}[n, m]\n  \
             %1 = add %0, %0 : {dtype}[n, m]\n  return %1\n}}\n"
        );
        let kernels = kernels_of(&source);
        assert_eq!(kernels.len(), 1);
        for capability in CAPABILITIES {
            let text = module(&kernels[0], Capability(capability)).expect("there is GPU code for it");
            let shared = format!(".shared .align 16 .b8 shared[{}];", side * (side * size + 16));
            assert!(text.contains(&shared), "{dtype} has no {shared}\n{text}");
            let parts: Vec<&str> = text.split("bar.sync").collect();
            let [_, filling, emptying] = parts[..] else { panic!("{} parts: {text}", parts.len()) };
            let bits = size * 8;
            let instruction = |name: &str| format!("{name}.b{bits}");
            let ahead = filling.split(&instruction("st.shared")).next().unwrap_or_default();
            assert!(ahead.matches(&instruction("ld.global")).count() >= 4, "{dtype} waits for each load:\n{text}");
            assert!(!filling.contains("st.global") && !emptying.contains("ld.global"), "{text}");
            let ahead = emptying.split(&instruction("st.global")).next().unwrap_or_default();
            assert!(ahead.matches(&instruction("ld.shared")).count() >= 4, "{dtype} waits for each load:\n{text}");
        }
    }
}

#[test]
fn functions_that_are_written_by_hand_assemble_without_spills() {
    let ptxas = assembler();
    for function in Function::all() {
        for capability in [75, 80, 90] {
            let text = ptx::text(Source::Function(function), Capability(capability)).expect("there is GPU code for it");
            let Some(ptxas) = &ptxas else { continue };
            let said = assemble(ptxas, &text, capability).unwrap_or_else(|error| panic!("{function:?}: {error}"));
            for line in said.lines().filter(|line| line.contains("Used ") || line.contains("spill")) {
                println!("{function:?}, sm_{capability}: {}", line.trim());
                assert_eq!(spilled(line), 0, "{function:?}, sm_{capability}: {}", line.trim());
            }
        }
    }
}

#[test]
fn every_kernel_of_the_filetests_assembles_without_spills() {
    let (ptxas, kernels) = (assembler(), kernels());
    let (ptxas, kernels) = (ptxas.as_deref(), &kernels);
    assert!(kernels.len() > 100, "only {} kernels", kernels.len());
    let problems: Vec<String> = thread::scope(|scope| {
        let each = CAPABILITIES.map(|capability| scope.spawn(move || problems_of(kernels, ptxas, capability)));
        each.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
    });
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// What is wrong with the kernels on devices of that capability. Prints what each takes.
fn problems_of(kernels: &BTreeMap<String, Kernel>, ptxas: Option<&Path>, capability: u32) -> Vec<String> {
    let (mut problems, mut assembled) = (Vec::new(), 0);
    for (name, kernel) in kernels {
        let text = match module(kernel, Capability(capability)) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        let Some(ptxas) = ptxas else { continue };
        match assemble(ptxas, &text, capability) {
            Err(error) => problems.push(format!("{name}, sm_{capability}: {error}\n{text}")),
            Ok(said) => {
                assembled += 1;
                for line in said.lines().filter(|line| line.contains("Used ") || line.contains("spill")) {
                    println!("{name}, sm_{capability}: {}", line.trim());
                    if spilled(line) > 0 {
                        problems.push(format!("{name}, sm_{capability}: {}", line.trim()));
                    }
                }
            }
        }
    }
    println!("sm_{capability}: {} kernels, {assembled} assembled", kernels.len());
    problems
}

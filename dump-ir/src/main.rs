//! The `dump-ir` command. Options and files here; what is shown is the library's.

use clap::{ArgGroup, Parser};
use fusewire_dump_ir::{Format, Options, Selection, Sizes, render_text, select};
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Shows what becomes of a program: the captured graph, the graph after each pass, the regions that fusion makes, the
/// kernels, Cranelift's IR and the machine code.
///
/// FILE is the text of a graph or kernel, or a Python file: that is run, and every graph it computes is shown.
#[derive(Parser, Debug)]
#[command(name = "dump-ir", version)]
#[command(group = ArgGroup::new("selection").args(["stage", "after", "all"]))]
struct Arguments {
    /// Show one stage: captured, graph, regions, program, kernel, kernels, clif, asm ... (see --list).
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Show what a graph pass or kernel pass left behind; NAME:2 is its second run.
    #[arg(long, value_name = "PASS")]
    after: Option<String>,
    /// Show every stage.
    #[arg(long)]
    all: bool,
    /// Pictures (dot, svg) are of graphs and regions; html is one page with everything.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to a file instead of standard output.
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// List the stages and passes.
    #[arg(long)]
    list: bool,
    /// A graph's or kernel's text (- reads standard input), or a Python file.
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// Arguments of the Python file.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("dump-ir: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let Some(file) = arguments.file.as_ref().filter(|_| !arguments.list) else {
        return write(&select::listing(), None);
    };
    if file.extension().is_some_and(|extension| extension == "py") {
        return Err(run_python(arguments, file));
    }
    if !arguments.arguments.is_empty() {
        return Err("only Python files take arguments".to_owned());
    }
    let path = file.display().to_string();
    let text = if path == "-" { io::read_to_string(io::stdin()) } else { read(file) };
    let text = text.map_err(|e| format!("{path}: {e}"))?;
    let selection = match (&arguments.stage, &arguments.after) {
        (Some(stage), _) => Selection::Stage(stage.clone()),
        (_, Some(pass)) => Selection::After(pass.clone()),
        _ if arguments.all => Selection::All,
        _ => Selection::Summary,
    };
    let options = Options { selection, format: arguments.format, sizes: Sizes::default() };
    write(&render_text(&text, &path, &options)?, arguments.output.as_deref())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn write(text: &str, path: Option<&Path>) -> Result<(), String> {
    match path {
        Some(path) => std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display())),
        None => match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
            // Whoever reads has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|e| format!("standard output: {e}")),
        },
    }
}

/// Becomes the Python package's `dump_ir`, which takes the same options. Returns only if that fails, and why.
fn run_python(arguments: &Arguments, file: &Path) -> String {
    let mut command = Command::new("python3");
    command.args(["-m", "fusewire.dump_ir"]);
    for (option, value) in [("--stage", &arguments.stage), ("--after", &arguments.after)] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    if arguments.all {
        command.arg("--all");
    }
    if let Some(format) = clap::ValueEnum::to_possible_value(&arguments.format) {
        command.args(["--format", format.get_name()]);
    }
    if let Some(output) = &arguments.output {
        command.arg("--output").arg(output);
    }
    let problem = command.arg(file).args(&arguments.arguments).exec();
    format!("cannot run python3: {problem}")
}

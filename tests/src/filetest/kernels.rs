//! What filetests do with kernels: run passes, run the interpreter, compare. Settings are symbols (`m = 4`), the elements of
//! an input (`b0 = 1.0 2.0`), its strides and its first element's place (`b0.strides = -1`, `b0.origin = 3`), and
//! parameters (`p0 = 2`).

use super::{Case, values::Settings};
use fastrand::Rng;
use fusewire_ir::{
    dtype::DType,
    scalar::Scalar,
    text::{literal, scalar_of_literal, symbol_name},
};
use fusewire_lowering::{
    interp::{TypedBuffer, allocate, run},
    kernel::{BufferId, IntExpr, Kernel, Role},
    pass::{KERNEL_PIPELINE, KernelPass, find, run_pass},
    text::{parse, print},
    verify::{verify, verify_lowered},
};

/// The kernel of a file.
pub fn kernel(text: &str) -> Result<Kernel, String> {
    parse(text).map_err(|e| e.to_string())
}

/// For `Kind::reprint` of the kinds whose files have a kernel.
pub fn reprint_kernel(text: &str) -> Result<String, String> {
    kernel(text).map(|kernel| print(&kernel))
}

/// Runs the passes of the header.
pub fn run_named(case: &Case<'_>) -> Result<String, String> {
    let passes: Vec<&KernelPass> = case
        .arguments
        .iter()
        .map(|name| find(name).ok_or_else(|| format!("there is no kernel pass `{name}`")))
        .collect::<Result<_, _>>()?;
    run_passes(case, &passes)
}

/// Runs all passes; what comes out is fit for the back ends.
pub fn run_pipeline(case: &Case<'_>) -> Result<String, String> {
    let text = run_passes(case, &KERNEL_PIPELINE.iter().collect::<Vec<_>>())?;
    verify_lowered(&kernel(&text)?)?;
    Ok(text)
}

fn run_passes(case: &Case<'_>, passes: &[&KernelPass]) -> Result<String, String> {
    let start = kernel(case.text)?;
    verify(&start)?;
    let mut current = start.clone();
    let mut tolerance = 0.0;
    for pass in passes {
        run_pass(pass, &mut current);
        tolerance = f64::max(tolerance, tolerance_of(pass));
        let context = |e| format!("after {}: {e}\n{}", pass.name, print(&current));
        verify(&current).map_err(context)?;
        agree(&start, &current, &case.settings, tolerance).map_err(context)?;
    }
    Ok(print(&current))
}

/// Some passes change the order of float sums, or the code of a function; the others keep every bit.
fn tolerance_of(pass: &KernelPass) -> f64 {
    match pass.name {
        "expand-maths" | "collapse-dims" | "split-reductions" | "vectorise" => 1e-5,
        _ => 0.0,
    }
}

/// Runs the interpreter; a line for each output.
pub fn interpret(case: &Case<'_>) -> Result<String, String> {
    let kernel = kernel(case.text)?;
    verify(&kernel)?;
    let missing = |name: String| move || format!("{name} has no value");
    let symbols: Vec<i64> = fixed_symbols(&kernel, &case.settings)?
        .into_iter()
        .enumerate()
        .map(|(i, value)| value.ok_or_else(missing(symbol_name(fusewire_ir::shape::SymId(i as u32)))))
        .collect::<Result<_, _>>()?;
    let mut inputs = Vec::new();
    for (i, decl) in kernel.buffers.iter().enumerate().filter(|(_, b)| b.role == Role::Input) {
        let text = setting(&case.settings, &format!("b{i}")).ok_or_else(missing(format!("b{i}")))?;
        inputs.push(placed(TypedBuffer::new(decl.dtype, elements(decl.dtype, text)?), i, &case.settings)?);
    }
    let mut params = Vec::new();
    for (i, &dtype) in kernel.params.iter().enumerate() {
        let text = setting(&case.settings, &format!("p{i}")).ok_or_else(missing(format!("p{i}")))?;
        params.extend(elements(dtype, text)?);
    }
    let buffers = allocate(&kernel, &inputs, &symbols).and_then(|mut buffers| {
        run(&kernel, &mut buffers, &symbols, &params)?;
        Ok(buffers)
    });
    let buffers = match buffers {
        Ok(buffers) => buffers,
        Err(error) => return Ok(format!("error: {error}\n")),
    };
    let mut text = String::new();
    for (i, buffer) in buffers.iter().enumerate().filter(|&(i, _)| kernel.buffers[i].role == Role::Output) {
        let elements: Vec<String> = buffer.scalars().into_iter().map(literal).collect();
        text += format!("b{i}: {} = {}", buffer.dtype, elements.join(" ")).trim_end();
        text.push('\n');
    }
    Ok(text)
}

fn setting<'a>(settings: &Settings<'a>, name: &str) -> Option<&'a str> {
    settings.iter().find(|s| s.0 == name).map(|s| s.1)
}

fn elements(dtype: DType, text: &str) -> Result<Vec<Scalar>, String> {
    let words = text.split_whitespace().filter(|&w| w != "none");
    words.map(|w| scalar_of_literal(dtype, w).ok_or_else(|| format!("`{w}` is not a value of {dtype}"))).collect()
}

fn integers(text: &str) -> Result<Vec<i64>, String> {
    text.split_whitespace().map(|w| w.parse().map_err(|_| format!("`{w}` is not an integer"))).collect()
}

/// The buffer with the strides and the origin that the settings give it.
fn placed(buffer: TypedBuffer, number: usize, settings: &Settings<'_>) -> Result<TypedBuffer, String> {
    let strides = match setting(settings, &format!("b{number}.strides")) {
        Some(text) => integers(text)?,
        None => buffer.strides.clone(),
    };
    let origin = setting(settings, &format!("b{number}.origin")).map_or(Ok(vec![0]), integers)?;
    let origin = origin.first().and_then(|&o| usize::try_from(o).ok()).ok_or("an origin is an element's number")?;
    Ok(buffer.strided(origin, &strides))
}

fn fixed_symbols(kernel: &Kernel, settings: &Settings<'_>) -> Result<Vec<Option<i64>>, String> {
    let numbers = kernel.ints.iter().filter_map(|e| match e {
        IntExpr::Sym(symbol) => Some(symbol.0 as usize + 1),
        _ => None,
    });
    let mut fixed = vec![None; numbers.max().unwrap_or(0)];
    for (i, value) in fixed.iter_mut().enumerate() {
        if let Some(text) = setting(settings, &symbol_name(fusewire_ir::shape::SymId(i as u32))) {
            *value = Some(text.parse().map_err(|_| format!("`{text}` is not an integer"))?);
        }
    }
    Ok(fixed)
}

/// How many axes of a buffer the kernel asks the strides of.
fn axes(kernel: &Kernel, number: usize) -> usize {
    let axes = kernel.ints.iter().filter_map(|e| match *e {
        IntExpr::Stride { buffer: BufferId(b), axis } if b as usize == number => Some(axis as usize + 1),
        _ => None,
    });
    axes.max().unwrap_or(0)
}

/// What a kernel runs on.
pub struct Drawn {
    /// The values of its symbols.
    pub symbols: Vec<i64>,
    /// Its inputs, in order.
    pub inputs: Vec<TypedBuffer>,
    /// Its parameters.
    pub params: Vec<Scalar>,
}

/// What a kernel can run on: what the settings leave open, at random.
pub fn draw(kernel: &Kernel, settings: &Settings<'_>, seed: u64) -> Result<Drawn, String> {
    const ELEMENTS: usize = 30_000;
    let mut random = Rng::with_seed(seed);
    let fixed = fixed_symbols(kernel, settings)?;
    let symbols = fixed.iter().map(|v| v.unwrap_or_else(|| random.i64(2..=24))).collect();
    let mut draw = |dtype: DType| match dtype.is_float() {
        true => Scalar::from_f64(dtype, random.f64() * 4.0 - 2.0),
        false => Scalar::from_i64(dtype, random.i64(0..64)),
    };
    let mut inputs = Vec::new();
    for (i, decl) in kernel.buffers.iter().enumerate().filter(|(_, b)| b.role == Role::Input) {
        // Rows with gaps, unless the file says otherwise.
        let axes = axes(kernel, i) as i64;
        let strides: Vec<i64> = (0..axes).map(|axis| 2 + 51 * (axes - 1 - axis)).collect();
        let buffer = TypedBuffer::new(decl.dtype, (0..ELEMENTS).map(|_| draw(decl.dtype)));
        inputs.push(placed(buffer.strided(0, &strides), i, settings)?);
    }
    let params = kernel.params.iter().map(|&dtype| draw(dtype)).collect();
    Ok(Drawn { symbols, inputs, params })
}

/// Do two kernels compute the same outputs on random inputs? Floats may differ by the tolerance, relative above 1.
pub fn agree(before: &Kernel, after: &Kernel, settings: &Settings<'_>, tolerance: f64) -> Result<(), String> {
    for seed in 0..4 {
        let Drawn { symbols, inputs, params } = draw(before, settings, seed)?;
        let outputs = |kernel: &Kernel| -> Result<Vec<Vec<Scalar>>, String> {
            let mut buffers = allocate(kernel, &inputs, &symbols)?;
            run(kernel, &mut buffers, &symbols, &params)?;
            let outputs = buffers.iter().zip(&kernel.buffers).filter(|(_, decl)| decl.role == Role::Output);
            outputs
                .map(|(buffer, _)| match buffer.unwritten_count() {
                    0 => Ok(buffer.scalars()),
                    n => Err(format!("{n} elements of an output are not written")),
                })
                .collect()
        };
        let (expected, found) = (outputs(before)?, outputs(after)?);
        for (output, (expected, found)) in expected.iter().zip(&found).enumerate() {
            for (element, (e, f)) in expected.iter().zip(found).enumerate() {
                let near = |e: f64, f: f64| (e - f).abs() <= tolerance * e.abs().max(1.0);
                if e != f && !(e.dtype().is_float() && near(e.as_f64(), f.as_f64())) {
                    let (e, f) = (literal(*e), literal(*f));
                    return Err(format!(
                        "output {output}, element {element}: {e} became {f}, with symbols {symbols:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

//! Values for graphs of filetests: read from settings, drawn at random so that the sizes fit, printed and compared.

use crate::oracle::disagreement;
use fastrand::Rng;
use fusewire_ir::{
    dtype::{DType, Kind},
    graph::Graph,
    interp::{Binding, Tensor, evaluate, extents},
    node::{Op, View},
    passes::split_complex,
    scalar::Scalar,
    shape::{Dim, Int, SymId},
    text::{literal, scalar_of_literal, symbol_of_name},
};
use fusewire_lowering::{program::Program, program_interp};

/// Settings of a file, by name.
pub type Settings<'a> = [(&'a str, &'a str)];

/// The binding that the settings spell out; what they leave open is an error.
pub fn binding(graph: &Graph, settings: &Settings<'_>) -> Result<Binding, String> {
    let fixed = fixed_symbols(graph, settings)?;
    let missing = |i: usize| format!("symbol {i} has no value");
    let symbols: Vec<i64> =
        fixed.into_iter().enumerate().map(|(i, v)| v.ok_or_else(|| missing(i))).collect::<Result<_, _>>()?;
    let setting = |name: String| {
        let found = settings.iter().find(|s| s.0 == name).map(|s| s.1);
        found.ok_or_else(|| format!("{name} has no value"))
    };
    let mut inputs = Vec::new();
    for (i, input) in graph.inputs.iter().enumerate() {
        let elements = elements(input.dtype, setting(format!("%a{i}"))?)?;
        inputs.push(Tensor::new(input.dtype, &extents(&input.shape, &symbols)?, elements)?);
    }
    let mut params = Vec::new();
    for (i, &dtype) in graph.params.iter().enumerate() {
        params.extend(elements(dtype, setting(format!("%s{i}"))?)?);
    }
    Ok(Binding { symbols, params, inputs })
}

fn elements(dtype: DType, text: &str) -> Result<Vec<Scalar>, String> {
    let words = text.split_whitespace().filter(|&w| w != "none");
    words.map(|w| scalar_of_literal(dtype, w).ok_or_else(|| format!("`{w}` is not a value of {dtype}"))).collect()
}

fn fixed_symbols(graph: &Graph, settings: &Settings<'_>) -> Result<Vec<Option<i64>>, String> {
    let mut fixed = vec![None; graph.symbols as usize];
    for (name, value) in settings.iter().filter(|s| !s.0.starts_with('%')) {
        let symbol = symbol_of_name(name).filter(|s| s.0 < graph.symbols);
        let symbol = symbol.ok_or_else(|| format!("the graph has no symbol `{name}`"))?;
        fixed[symbol.0 as usize] = Some(value.parse().map_err(|_| format!("`{value}` is not an integer"))?);
    }
    Ok(fixed)
}

/// A line a result: `f32[2, 2] = 1.0 2.0 3.0 4.0`. NaN is `nan` whatever its bits, which differ between machines.
pub fn print(results: &[Tensor]) -> String {
    let mut text = String::new();
    for result in results {
        let is_nan = |e: Scalar| e.dtype().is_float() && e.as_f64().is_nan();
        let element = |&e: &Scalar| if is_nan(e) { "nan".to_owned() } else { literal(e) };
        let elements: Vec<String> = result.array.iter().map(element).collect();
        text += format!("{}{:?} = {}", result.dtype, result.array.shape(), elements.join(" ")).trim_end();
        text.push('\n');
    }
    text
}

/// A random binding under which the graph evaluates. Sizes are tried until reshapes, slices and joins fit.
pub fn random_binding(graph: &Graph, settings: &Settings<'_>, seed: u64) -> Result<Binding, String> {
    // Complex inputs are bound as the interpreter wants them: with an axis for the parts.
    let graph = &split_complex::split(graph);
    let fixed = fixed_symbols(graph, settings)?;
    let mut is_extent = vec![false; fixed.len()];
    let declared = graph.inputs.iter().map(|i| &i.shape);
    for dim in declared.chain(graph.iter().map(|n| &n.1.shape)).flatten() {
        if let Dim::Sym(SymId(symbol)) = dim {
            is_extent[*symbol as usize] = true;
        }
    }
    let mut random = Rng::with_seed(seed);
    let mut last_error = String::new();
    for _ in 0..5000 {
        let mut draw = |(i, fixed): (usize, &Option<i64>)| {
            fixed.unwrap_or_else(|| if is_extent[i] { random.i64(2..=8) } else { random.i64(-3..=7) })
        };
        let symbols: Vec<i64> = fixed.iter().enumerate().map(&mut draw).collect();
        if let Err(error) = sizes_fit(graph, &symbols) {
            last_error = error;
            continue;
        }
        let mut inputs = Vec::new();
        for input in &graph.inputs {
            let shape = extents(&input.shape, &symbols)?;
            let count = shape.iter().product();
            let elements = (0..count).map(|_| random_scalar(&mut random, input.dtype)).collect();
            inputs.push(Tensor::new(input.dtype, &shape, elements)?);
        }
        let params = graph.params.iter().map(|&dtype| random_scalar(&mut random, dtype)).collect();
        return Ok(Binding { symbols, params, inputs });
    }
    Err(format!("no sizes fit; give the symbols values in the file: {last_error}"))
}

/// Would reshapes, slices and joins find their sizes right?
fn sizes_fit(graph: &Graph, symbols: &[i64]) -> Result<(), String> {
    let integer = |int: &Int| match int {
        Int::Const(value) => *value,
        Int::Sym(symbol) => symbols[symbol.0 as usize],
    };
    for id in graph.reached() {
        let node = graph.node(id);
        let shape = extents(&node.shape, symbols)?;
        let operands: Vec<Vec<usize>> =
            node.inputs.iter().map(|&i| extents(&graph.node(i).shape, symbols)).collect::<Result<_, _>>()?;
        let fits = match &node.op {
            Op::View(View::Reshape) => shape.iter().product::<usize>() == operands[0].iter().product(),
            Op::View(View::Slice { starts, steps }) => (0..shape.len()).all(|axis| {
                let (start, step) = (integer(&starts[axis]), integer(&steps[axis]));
                let last = start + (shape[axis] as i64 - 1) * step;
                let inside = 0..operands[0][axis] as i64;
                step != 0 && (shape[axis] == 0 || inside.contains(&start) && inside.contains(&last))
            }),
            Op::Concat { axis } => operands.iter().map(|o| o[*axis as usize]).sum::<usize>() == shape[*axis as usize],
            _ => true,
        };
        if !fits {
            return Err(format!("{:?} to {shape:?}", node.op));
        }
    }
    Ok(())
}

/// Edge cases half of the time.
pub fn random_scalar(random: &mut Rng, dtype: DType) -> Scalar {
    let edge = random.bool();
    match dtype.kind() {
        Kind::Bool => Scalar::bool(edge),
        Kind::Float if edge => {
            let (tiny, huge) = match dtype {
                DType::F16 => (2f64.powi(-14), 65504.0),
                DType::BF16 => (f32::MIN_POSITIVE.into(), 2f64.powi(128) - 2f64.powi(120)),
                DType::F32 => (f32::MIN_POSITIVE.into(), f32::MAX.into()),
                _ => (f64::MIN_POSITIVE, f64::MAX),
            };
            let edges = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, tiny, tiny / 4.0, huge, f64::INFINITY, f64::NAN];
            let magnitude = edges[random.usize(0..edges.len())];
            Scalar::from_f64(dtype, if random.bool() { -magnitude } else { magnitude })
        }
        Kind::Float => Scalar::from_f64(dtype, (random.f64() - 0.5) * 10f64.powi(random.i32(-3..4))),
        Kind::Signed | Kind::Unsigned if edge => {
            let edges = [0, 1, 2, u64::MAX, u64::MAX >> 1, 1 << (dtype.bits() - 1), (1 << (dtype.bits() - 1)) - 1];
            Scalar::from_bits(dtype, edges[random.usize(0..edges.len())])
        }
        Kind::Signed | Kind::Unsigned => Scalar::from_i64(dtype, random.i64(-100..100)),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

/// Do two graphs give the same results, bit for bit but for NaN's payload, on random inputs? Where the first graph has
/// ops that are only accurate to some units in the last place, so is the comparison.
pub fn agree(before: &Graph, after: &Graph, settings: &Settings<'_>) -> Result<(), String> {
    let ulps = |op: &Op<_>| match op {
        Op::Map(op) => 2 * op.row().ulps as u64,
        _ => 0,
    };
    let tolerance = before.reached().into_iter().map(|id| ulps(&before.node(id).op)).max().unwrap_or(0);
    for seed in 0..60 {
        let binding = random_binding(before, settings, seed)?;
        let (expected, found) = (evaluate(before, &binding)?, evaluate(after, &binding)?);
        for (root, (expected, found)) in expected.iter().zip(&found).enumerate() {
            if let Some(difference) = disagreement(found, expected, tolerance) {
                let inputs = print(&binding.inputs);
                let (symbols, params) = (&binding.symbols, &binding.params);
                return Err(format!(
                    "result {root}, {difference}, with symbols {symbols:?}, params {params:?}, inputs\n{inputs}"
                ));
            }
        }
    }
    Ok(())
}

/// Does the program that a graph was lowered to give the graph's results, run by the kernel interpreter? Elements are small
/// integers, so that only sums of what was divided or exponentiated depend on their order.
pub fn agree_lowered(graph: &Graph, program: &Program, settings: &Settings<'_>) -> Result<(), String> {
    for seed in 0..8 {
        let mut binding = random_binding(graph, settings, seed)?;
        let mut random = Rng::with_seed(seed);
        for input in &mut binding.inputs {
            let dtype = input.dtype;
            input.array.map_inplace(|element| *element = Scalar::from_i64(dtype, random.i64(-6..7)));
        }
        for param in &mut binding.params {
            *param = Scalar::from_i64(param.dtype(), random.i64(1..5));
        }
        let (expected, found) = (evaluate(graph, &binding)?, program_interp::evaluate(graph, program, &binding)?);
        for (root, (expected, found)) in expected.iter().zip(&found).enumerate() {
            if let Some(difference) = disagreement(found, expected, 32)
                && !close(found, expected)
            {
                return Err(format!(
                    "lowered: result {root}, {difference}, with symbols {:?}, params {:?}, inputs\n{}",
                    binding.symbols,
                    binding.params,
                    print(&binding.inputs)
                ));
            }
        }
    }
    Ok(())
}

/// Are floats as close as another order of summation allows: some units in the last place of the largest element?
fn close(found: &Tensor, expected: &Tensor) -> bool {
    let found = &if expected.dtype.is_half() { found.seen_as(expected.dtype) } else { found.clone() };
    let largest = |t: &Tensor| t.array.iter().map(|e| e.as_f64().abs()).filter(|e| e.is_finite()).fold(0.0, f64::max);
    let tolerance = match expected.dtype {
        DType::F16 => 1e-2 * largest(expected),
        DType::BF16 => 1e-1 * largest(expected),
        DType::F32 => 1e-5 * largest(expected),
        DType::F64 => 1e-13 * largest(expected),
        _ => return false,
    };
    let both_nan = |a: f64, b: f64| a.is_nan() && b.is_nan();
    found.array.shape() == expected.array.shape()
        && found.array.iter().zip(&expected.array).all(|(f, e)| {
            let (f, e) = (f.as_f64(), e.as_f64());
            f == e || both_nan(f, e) || (f - e).abs() <= tolerance
        })
}

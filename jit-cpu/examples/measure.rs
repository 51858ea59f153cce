//! Prints what the back end costs and gives: compile times, and throughput of typical kernels on one thread and on all.
//! `cargo run --release -p fusewire-jit-cpu --example measure`; with `-- --compile` the compile times only, with
//! `-- --maths [FUNCTION]` mathematical functions only; `-- --asm [FUNCTION]` shows code, `-- --kernel FILE SYMBOL...` runs a kernel's text.

use fusewire_ir::{dtype::DType, emit::Emit, ops::ScalarOp as Op, scalar::Scalar, shape::SymId};
use fusewire_jit_cpu::CpuBackend;
use fusewire_lowering::{
    builder::KernelBuilder,
    ints::evaluate_ints,
    kernel::{Affine, IntExpr, Kernel, LoopKind, Range, Role, ValueId},
    math, text,
};
use fusewire_runtime::backend::{Backend, Executable, Launch};
use std::{sync::Arc, time::Instant};

const N: usize = 1 << 24;
const TILE: u32 = 16384;
/// How often compiling is measured.
const CYCLES: u32 = 2000;

/// `out[i] = f(inputs[i]...)` in blocks, as lowering makes it.
fn elementwise(
    dtype: DType,
    inputs: usize,
    lanes: u8,
    f: impl FnOnce(&mut KernelBuilder, &[ValueId]) -> ValueId,
) -> Kernel {
    let mut k = KernelBuilder::new("elementwise");
    let n = k.sym(SymId(0));
    let tile = k.int_const(i64::from(TILE));
    let tiles = k.int(IntExpr::CeilDiv(n, tile));
    let buffers: Vec<_> = (0..inputs).map(|_| k.buffer(dtype, Role::Input, None)).collect();
    let out = k.buffer(dtype, Role::Output, Some(n));
    let dims = k.begin_phase(&[tiles]);
    let var = k.begin_loop(Range::Tile { extent: n, tile: dims[0], size: TILE }, LoopKind::Vector { lanes });
    let values: Vec<_> = buffers.iter().map(|&b| k.load(b, Affine::of(var))).collect();
    let result = f(&mut k, &values);
    k.store(out, Affine::of(var), result);
    k.end_loop();
    k.end_phase();
    k.finish()
}

/// Blocks of a sum, then their sum.
fn sum(dtype: DType, op: Op, lanes: u8) -> Kernel {
    let mut k = KernelBuilder::new("sum");
    let n = k.sym(SymId(0));
    let (one, tile) = (k.int_const(1), k.int_const(i64::from(TILE)));
    let tiles = k.int(IntExpr::CeilDiv(n, tile));
    let input = k.buffer(dtype, Role::Input, None);
    let out = k.buffer(dtype, Role::Output, Some(one));
    let partial = k.buffer(dtype, Role::Temporary, Some(tiles));
    let dims = k.begin_phase(&[tiles]);
    let var = k.begin_loop(Range::Tile { extent: n, tile: dims[0], size: TILE }, LoopKind::Vector { lanes });
    let x = k.load(input, Affine::of(var));
    let result = k.reduce(op, x);
    k.end_loop();
    k.store(partial, Affine::of(dims[0]), result);
    k.end_phase();
    k.begin_phase(&[]);
    let var = k.begin_loop(Range::Full(tiles), LoopKind::Serial);
    let x = k.load(partial, Affine::of(var));
    let result = k.reduce(op, x);
    k.end_loop();
    k.store(out, Affine::default(), result);
    k.end_phase();
    k.finish()
}

fn chain(k: &mut KernelBuilder, x: &[ValueId], ops: usize) -> ValueId {
    let mut v = x[0];
    for i in 0..ops {
        let c = k.constant(Scalar::from_f64(k.kernel().dtype(v), 1.0 + i as f64 * 0.125));
        let other = x[i % x.len()];
        v = match i % 5 {
            0 => k.op(Op::Multiply, &[v, c]),
            1 => k.op(Op::Add, &[v, other]),
            2 => k.op(Op::Maximum, &[v, c]),
            3 => k.op(Op::Subtract, &[c, v]),
            _ => k.op(Op::Abs, &[v]),
        };
    }
    v
}

/// The price of a European call, with the expansions of log, exp and erf's stand-in tanh.
fn black_scholes(k: &mut KernelBuilder, x: &[ValueId]) -> ValueId {
    let [s, strike, t] = [x[0], x[1], x[2]].map(|v| fusewire_ir::emit::V(v.0));
    let b: &mut dyn Emit = k;
    let rate = b.lit(s, 0.05);
    let vol = b.lit(s, 0.2);
    let root = b.un(Op::Sqrt, t);
    let spread = b.mul(vol, root);
    let ratio = b.div(s, strike);
    let logarithm = math::expand(Op::Log, b, &[ratio]);
    let half = b.lit(s, 0.07);
    let drift = b.mul(half, t);
    let above = b.add(logarithm, drift);
    let d1 = b.div(above, spread);
    let d2 = b.sub(d1, spread);
    let normal = |b: &mut dyn Emit, d| {
        // 0.5 * (1 + tanh(0.7978845608 * (d + 0.044715 d^3)))
        let square = b.mul(d, d);
        let (c3, one, scale, half) = (b.lit(d, 0.044715), b.lit(d, 1.0), b.lit(d, 0.797_884_560_8), b.lit(d, 0.5));
        let inner = b.fma(square, c3, one);
        let inner = b.mul(inner, d);
        let inner = b.mul(inner, scale);
        let tanh = math::expand(Op::Tanh, b, &[inner]);
        b.fma(tanh, half, half)
    };
    let n1 = normal(b, d1);
    let n2 = normal(b, d2);
    let discount = b.mul(rate, t);
    let discount = b.neg(discount);
    let discount = math::expand(Op::Exp, b, &[discount]);
    let first = b.mul(s, n1);
    let second = b.mul(strike, discount);
    let second = b.mul(second, n2);
    let call = b.sub(first, second);
    ValueId(call.0)
}

fn best(f: impl FnMut()) -> f64 {
    best_of(7, f)
}

fn best_of(times: usize, mut f: impl FnMut()) -> f64 {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// Compiles a kernel and runs it on next to nothing: code comes into being when a phase first has items, in a hurry where
/// little is moved, else with care.
fn compiled(backend: &CpuBackend, kernel: &Kernel, bytes: u64) -> Arc<dyn Executable> {
    let executable = backend.compile(kernel).expect("the kernel compiles");
    let mut memory = vec![0u64; 256];
    let buffers = vec![memory.as_mut_ptr().cast(); kernel.buffers.len()];
    let ints = evaluate_ints(&kernel.ints, &[1; 8], |_, _| 1);
    let params = vec![0; kernel.params.len()];
    let launch = Launch { buffers: &buffers, ints: &ints, params: &params, bytes, interrupted: &|| false };
    backend.launch(executable.as_ref(), &launch).expect("the launch ends");
    executable
}

const MUCH: u64 = 1 << 30;

fn compile_time(backend: &CpuBackend, name: &str, kernel: &Kernel) -> Arc<dyn Executable> {
    let [quick, careful] = [0, MUCH].map(|bytes| best(|| drop(compiled(backend, kernel, bytes))) * 1e3);
    println!("{name:<34} compile {careful:8.3} ms, in a hurry {quick:8.3} ms  {:6} values", kernel.values.len());
    compiled(backend, kernel, MUCH)
}

fn throughput(name: &str, kernel: &Kernel, dtype: DType, n: usize, threads: &[usize]) {
    let inputs = kernel.buffers.iter().filter(|b| b.role == Role::Input).count();
    let outputs = usize::from(kernel.phases.len() == 1);
    let bytes = ((inputs + outputs) * n * dtype.size()) as u64;
    for &count in threads {
        let backend = CpuBackend::new(Some(count));
        let executable = compile_time(&backend, name, kernel);
        let storages: Vec<_> =
            kernel.buffers.iter().map(|_| backend.allocate(n * dtype.size()).expect("memory")).collect();
        for (i, storage) in storages.iter().enumerate() {
            for at in 0..n {
                let value = 0.5 + (at * (i + 3) % 1013) as f64 / 1013.0;
                let bits = Scalar::from_f64(dtype, value).bits().to_le_bytes();
                // SAFETY: `at < n`, and the block has `n` elements of that size.
                unsafe {
                    std::ptr::copy_nonoverlapping(bits.as_ptr(), storage.pointer().add(at * dtype.size()), dtype.size())
                };
            }
        }
        let buffers: Vec<*mut u8> = storages.iter().map(|s| s.pointer()).collect();
        let ints = evaluate_ints(&kernel.ints, &[n as i64], |_, _| 1);
        let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes, interrupted: &|| false };
        let seconds = best(|| backend.launch(executable.as_ref(), &launch).expect("the launch ends"));
        println!(
            "{:<34} {count} threads {:9.4} ms  {:6.2} GB/s  {:6.3} ns an element",
            "",
            seconds * 1e3,
            bytes as f64 / seconds * 1e-9,
            seconds * 1e9 / n as f64
        );
    }
}

fn op_named(name: &str) -> Op {
    Op::from_name(name).expect("a name of the op table")
}

/// A function of as many inputs as it has operands, expanded.
fn function_of(dtype: DType, op: Op) -> Kernel {
    let operands = op.row().arity;
    elementwise(dtype, operands, 16, |k, x| {
        let operands: Vec<_> = x.iter().map(|v| fusewire_ir::emit::V(v.0)).collect();
        ValueId(math::expand(op, k, &operands).0)
    })
}

fn maths(functions: &[&str]) {
    for function in functions {
        for dtype in [DType::F32, DType::F64] {
            let kernel = function_of(dtype, op_named(function));
            throughput(&format!("{function}, {dtype}, 64k"), &kernel, dtype, 1 << 16, &[1]);
        }
    }
}

/// A kernel's text on contiguous arrays, on one thread and on two. Every buffer has as many
/// elements as the symbols' product.
fn kernel_in(file: &str, symbols: &[&str]) {
    let kernel = text::parse(&std::fs::read_to_string(file).expect("a file")).expect("a kernel's text");
    let symbols: Vec<i64> = symbols.iter().map(|s| s.parse().expect("a symbol's integer")).collect();
    let n = symbols.iter().product::<i64>() as usize;
    for threads in [1, 2] {
        let backend = CpuBackend::new(Some(threads));
        let executable = compile_time(&backend, file, &kernel);
        let storages: Vec<_> =
            kernel.buffers.iter().map(|b| backend.allocate(n * b.dtype.size()).expect("memory")).collect();
        for (storage, buffer) in storages.iter().zip(&kernel.buffers) {
            // SAFETY: the block has that many bytes, and nobody else uses it.
            unsafe { std::ptr::write_bytes(storage.pointer(), 0x3f, n * buffer.dtype.size()) };
        }
        let buffers: Vec<*mut u8> = storages.iter().map(|s| s.pointer()).collect();
        let ints = evaluate_ints(&kernel.ints, &symbols, |_, _| 1);
        let params = vec![0u64; kernel.params.len()];
        let launch = Launch { buffers: &buffers, ints: &ints, params: &params, bytes: 1 << 40, interrupted: &|| false };
        let mut times: Vec<f64> = (0..15)
            .map(|_| {
                best_of(1, || {
                    backend.launch(executable.as_ref(), &launch).expect("the launch ends");
                })
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{:<34} {threads} threads {:9.4} ms at best, {:9.4} ms median", "", times[0] * 1e3, times[7] * 1e3);
    }
}

fn show(backend: &CpuBackend, kernel: &Kernel) {
    for (stage, text) in backend.explain(kernel).expect("the kernel compiles") {
        println!("{stage}:\n{text}");
    }
}

fn main() {
    let backend = CpuBackend::new(None);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--asm"] => return show(&backend, &elementwise(DType::F64, 3, 4, black_scholes)),
        ["--asm", function] => return show(&backend, &function_of(DType::F32, op_named(function))),
        ["--maths"] => return maths(&["exp", "tanh", "log", "sin", "expm1", "log1p", "exp2", "cos", "tan", "pow"]),
        ["--maths", function] => return maths(&[function]),
        ["--kernel", file, ref symbols @ ..] => return kernel_in(file, symbols),
        _ => {}
    }
    for ops in [1, 3, 8, 30] {
        let kernel = elementwise(DType::F32, 2, 16, |k, x| chain(k, x, ops));
        compile_time(&backend, &format!("{ops} ops, f32, 16 lanes"), &kernel);
        let start = Instant::now();
        for _ in 0..CYCLES {
            drop(compiled(&backend, &kernel, MUCH));
        }
        let each = start.elapsed().as_secs_f64() / f64::from(CYCLES);
        println!("{:<34} on average of {CYCLES} compiled and dropped {:8.3} ms", "", each * 1e3);
    }
    if std::env::args().any(|a| a == "--compile") {
        return;
    }
    for lanes in [4, 8, 16, 32] {
        let kernel = elementwise(DType::F64, 3, lanes, black_scholes);
        compile_time(&backend, &format!("black-scholes, f64, {lanes} lanes"), &kernel);
    }
    let source: Vec<f32> = vec![1.0; N];
    let mut target = vec![0f32; N];
    let seconds = best(|| std::hint::black_box(&mut target).copy_from_slice(std::hint::black_box(&source)));
    println!("copy of 16M float32: {:.3} ms, {:.2} GB/s", seconds * 1e3, (N * 8) as f64 / seconds * 1e-9);

    let kernel = elementwise(DType::F32, 2, 16, |k, x| chain(k, x, 3));
    throughput("3 ops, f32, 16M", &kernel, DType::F32, N, &[1, 2]);
    for shift in [12, 14, 16, 18, 20, 22] {
        throughput(&format!("3 ops, f32, {} elements", 1 << shift), &kernel, DType::F32, 1 << shift, &[1, 2]);
    }
    throughput("3 ops, f32, 100 elements", &kernel, DType::F32, 100, &[1]);
    throughput("3 ops, f32, 4096", &kernel, DType::F32, 4096, &[1]);
    for lanes in [8, 16, 32] {
        let kernel = sum(DType::F32, Op::Add, lanes);
        throughput(&format!("sum, f32, {lanes} lanes, 16M"), &kernel, DType::F32, N, &[1]);
        throughput(&format!("sum, f32, {lanes} lanes, 16k"), &kernel, DType::F32, 16384, &[1]);
    }
    let kernel = sum(DType::F32, Op::Maximum, 16);
    throughput("maximum, f32, 16 lanes, 16k", &kernel, DType::F32, 16384, &[1]);
    for lanes in [2, 4, 8, 16] {
        let kernel = elementwise(DType::F64, 3, lanes, black_scholes);
        throughput(&format!("black-scholes, f64, {lanes} lanes, 1M"), &kernel, DType::F64, 1 << 20, &[1]);
    }
}

//! What compiling a kernel's text costs, and how fast its phases run on contiguous arrays, on one thread:
//! `cargo run --release -p fusewire-jit-llvm --example measure -- FILE SYMBOL...`; with `--asm FILE` its code instead.
//! Every buffer has as many elements as the symbols' product, and a stride is the number of elements behind its axis.

use fusewire_jit_llvm::host::{self, Machine, PhaseFunction};
use fusewire_lowering::{ints::evaluate_ints, kernel::Kernel, text};
use std::{hint::black_box, time::Instant};

/// Elements from which on stores go past the caches.
const LARGE: usize = 16 << 20;

/// Seconds that this process has computed: what compiling costs, whatever else the machine does.
fn cpu_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time there.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn run(machine: &Machine, kernel: &Kernel, symbols: &[i64]) {
    let no_functions = |op: fusewire_ir::ops::ScalarOp, dtype| (format!("{}:{dtype}", op.row().name), 0);
    let n = symbols.iter().product::<i64>() as usize;
    let strides = |_, axis: u8| symbols.iter().skip(axis as usize + 1).product();
    let ints = evaluate_ints(&kernel.ints, symbols, strides);
    let mut storages: Vec<Vec<u64>> =
        kernel.buffers.iter().map(|b| vec![0x3f3f_3f3f_3f3f_3f3f; n * b.dtype.size() / 8 + 72]).collect();
    // As the engine's memory is aligned.
    let aligned = |storage: &mut Vec<u64>| {
        let begin = storage.as_ptr().align_offset(64);
        storage[begin..].as_mut_ptr().cast()
    };
    let buffers: Vec<*mut u8> = storages.iter_mut().map(aligned).collect();
    let mut scratch = vec![0u64; 1 << 20];
    let params = vec![0u64; kernel.params.len()];
    let (stop, mut fault) = (false, false);
    let streams = i64::from(n > LARGE);
    for (index, phase) in kernel.phases.iter().enumerate() {
        let items: i64 = phase.dims.iter().map(|&(_, extent)| ints[extent.0 as usize]).product();
        let mut code = None;
        let mut compiling = f64::INFINITY;
        for _ in 0..5 {
            let start = cpu_time();
            code = Some(host::compile(machine, kernel, index, &no_functions).expect("the phase compiles"));
            compiling = compiling.min(cpu_time() - start);
        }
        let code = code.expect("compiled above");
        // SAFETY: the code of a phase's function.
        let function = unsafe { std::mem::transmute::<*const u8, PhaseFunction>(code.address()) };
        let mut times = Vec::new();
        let began = Instant::now();
        while times.len() < 20 || (began.elapsed().as_secs_f64() < 0.3 && times.len() < 2000) {
            let start = Instant::now();
            // SAFETY: every buffer has the elements that the phase may touch.
            unsafe {
                let scratch = scratch.as_mut_ptr().cast();
                let (ints, params) = (ints.as_ptr(), params.as_ptr());
                function(black_box(&buffers).as_ptr(), ints, params, scratch, 0, items, &stop, &mut fault, streams);
            }
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        println!(
            "phase {index}: compiled in {:.2} ms, {} bytes; {items} items in {:.4} ms at best, {:.4} median",
            compiling * 1e3,
            code.bytes(),
            times[0] * 1e3,
            times[times.len() / 2] * 1e3,
        );
    }
}

fn main() {
    let machine = Machine::this().expect("a machine that LLVM's code is made for");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asm = arguments.first().is_some_and(|a| a == "--asm");
    let mut arguments = arguments.iter().skip(usize::from(asm));
    let file = arguments.next().expect("a file");
    let kernel = text::parse(&std::fs::read_to_string(file).expect("a file")).expect("a kernel's text");
    if asm {
        for index in 0..kernel.phases.len() {
            let (llvm, asm) =
                host::explain(machine, &kernel, index, &|op, dtype| (format!("{}:{dtype}", op.row().name), 0))
                    .expect("the phase compiles");
            println!("{llvm}\n{asm}");
        }
        return;
    }
    let symbols: Vec<i64> = arguments.map(|s| s.parse().expect("a symbol's integer")).collect();
    run(machine, &kernel, &symbols);
}

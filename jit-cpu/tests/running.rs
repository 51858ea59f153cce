//! Running: threads, interruption, fork, and what compiled kernels leave behind.

mod support;

use fusewire_ir::{dtype::DType, ops::ScalarOp as Op};
use fusewire_jit_cpu::CpuBackend;
use fusewire_lowering::{
    builder::KernelBuilder,
    ints::evaluate_ints,
    kernel::{Affine, Coefficient, Kernel, LoopKind, Range, Role, ValueId, VarId},
    text,
};
use fusewire_runtime::{
    backend::{Backend, Launch},
    error::Error,
};
use std::{
    cell::Cell,
    sync::Mutex,
    time::{Duration, Instant},
};
use support::symbol;

/// Each of `m` items sums the squares of `n` indices.
fn busy() -> Kernel {
    let mut k = KernelBuilder::new("busy");
    let (m, n) = (symbol(&mut k, 0), symbol(&mut k, 1));
    let out = k.buffer(DType::F64, Role::Output, Some(m));
    let i = k.begin_phase(&[m])[0];
    let j = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 8 });
    let index = k.index(Affine::of(j));
    let x = k.cast(DType::F64, index);
    let square = k.op(Op::Multiply, &[x, x]);
    let root = k.op(Op::Sqrt, &[square]);
    let sum = k.reduce(Op::Add, root);
    k.end_loop();
    k.store(out, Affine::of(i), sum);
    k.end_phase();
    k.finish()
}

fn run_busy(
    backend: &CpuBackend,
    m: i64,
    n: i64,
    bytes: u64,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<u64>, Error> {
    let kernel = busy();
    let executable = backend.compile(&kernel)?;
    let mut out = vec![0u64; m as usize];
    let ints = evaluate_ints(&kernel.ints, &[m, n], |_, _| 1);
    let launch = Launch { buffers: &[out.as_mut_ptr().cast()], ints: &ints, params: &[], bytes, interrupted };
    backend.launch(executable.as_ref(), &launch)?;
    Ok(out)
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let expected = run_busy(&CpuBackend::new(Some(1)), 301, 1003, 0, &|| false);
    for threads in [2, 3, 8] {
        let backend = CpuBackend::new(Some(threads));
        for bytes in [0, 1 << 18, 1 << 20, 1 << 40] {
            assert_eq!(run_busy(&backend, 301, 1003, bytes, &|| false), expected);
        }
        backend.set_num_threads(4);
        assert_eq!(backend.num_threads(), 4);
        assert_eq!(run_busy(&backend, 301, 1003, 1 << 40, &|| false), expected);
    }
}

#[test]
fn a_long_launch_stops_soon_after_it_is_asked_to() {
    for (threads, bytes) in [(1, 0), (1, 1 << 40), (3, 1 << 40)] {
        let backend = CpuBackend::new(Some(threads));
        let asked = Cell::new(None);
        let start = Instant::now();
        // Minutes of work, if nobody stopped it.
        let result = run_busy(&backend, 1 << 20, 1 << 16, bytes, &|| {
            let now = start.elapsed() > Duration::from_millis(60);
            if now && asked.get().is_none() {
                asked.set(Some(Instant::now()));
            }
            now
        });
        assert_eq!(result, Err(Error::Interrupted));
        let took = asked.get().expect("it was asked").elapsed();
        assert!(took < Duration::from_millis(500), "stopped after {took:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "asked only after {:?}", start.elapsed());
        assert_eq!(run_busy(&backend, 3, 5, bytes, &|| false).map(|out| out.len()), Ok(3), "usable afterwards");
    }
}

/// One item that loops for hours, in each kind of loop there is; nothing but the first element is written.
fn endless() -> Vec<(&'static str, Kernel)> {
    let one_loop = |name: &'static str, kind: LoopKind, body: &dyn Fn(&mut KernelBuilder, VarId) -> ValueId| {
        let mut k = KernelBuilder::new(name);
        let n = symbol(&mut k, 0);
        let out = k.buffer(DType::F64, Role::Output, Some(n));
        k.begin_phase(&[]);
        let var = k.begin_loop(Range::Full(n), kind);
        let value = body(&mut k, var);
        k.store(out, Affine::default(), value);
        k.end_loop();
        k.end_phase();
        (name, k.finish())
    };
    let folded = |name: &'static str, kind: LoopKind, op: Op| {
        let mut k = KernelBuilder::new(name);
        let n = symbol(&mut k, 0);
        let out = k.buffer(DType::F64, Role::Output, Some(n));
        k.begin_phase(&[]);
        let var = k.begin_loop(Range::Full(n), kind);
        let index = k.index(Affine::of(var));
        let x = k.cast(DType::F64, index);
        let result = k.reduce(op, x);
        k.end_loop();
        k.store(out, Affine::default(), result);
        k.end_phase();
        (name, k.finish())
    };
    let as_float = |k: &mut KernelBuilder, var| {
        let index = k.index(Affine::of(var));
        k.cast(DType::F64, index)
    };
    let nested = |k: &mut KernelBuilder, var| {
        let three = k.int_const(3);
        let inner = k.begin_loop(Range::Full(three), LoopKind::Serial);
        let index = k.index(Affine::of(inner).plus(var, Coefficient::Const(1)));
        let x = k.cast(DType::F64, index);
        let result = k.reduce(Op::Maximum, x);
        k.end_loop();
        result
    };
    let remainder = |k: &mut KernelBuilder, var| {
        let x = as_float(k, var);
        k.op(Op::HugeTrigRemainder, &[x])
    };
    let scanned = |k: &mut KernelBuilder, var| {
        let x = as_float(k, var);
        k.scan(Op::Add, x)
    };
    vec![
        one_loop("serial", LoopKind::Serial, &as_float),
        one_loop("vector", LoopKind::Vector { lanes: 8 }, &as_float),
        one_loop("nested", LoopKind::Serial, &nested),
        one_loop("nested_lanes", LoopKind::Vector { lanes: 4 }, &nested),
        one_loop("huge_arguments", LoopKind::Vector { lanes: 8 }, &remainder),
        one_loop("scan", LoopKind::Serial, &scanned),
        folded("serial_sum", LoopKind::Serial, Op::Add),
        folded("vector_sum", LoopKind::Vector { lanes: 16 }, Op::Add),
        folded("serial_maximum", LoopKind::Serial, Op::Maximum),
        folded("vector_maximum", LoopKind::Vector { lanes: 16 }, Op::Maximum),
        folded("maximum_in_strips", LoopKind::Vector { lanes: 128 }, Op::Maximum),
    ]
}

#[test]
fn an_item_that_takes_hours_stops_soon_after_it_is_asked_to() {
    for (name, kernel) in endless() {
        for threads in [1, 3] {
            let backend = CpuBackend::new(Some(threads));
            let executable = backend.compile(&kernel).expect("it compiles");
            let mut out = [0f64];
            let ints = evaluate_ints(&kernel.ints, &[1 << 50], |_, _| 1);
            let asked = Cell::new(None);
            let start = Instant::now();
            let interrupted = || {
                let now = start.elapsed() > Duration::from_millis(40);
                if now && asked.get().is_none() {
                    asked.set(Some(Instant::now()));
                }
                now
            };
            let buffers = [out.as_mut_ptr().cast()];
            let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes: 0, interrupted: &interrupted };
            assert_eq!(backend.launch(executable.as_ref(), &launch), Err(Error::Interrupted), "{name}");
            let took = asked.get().expect("it was asked").elapsed();
            assert!(took < Duration::from_millis(500), "{name} stopped after {took:?}");
            assert!(start.elapsed() < Duration::from_secs(5), "{name} asked only after {:?}", start.elapsed());
        }
    }
}

#[test]
fn several_threads_launch_at_once() {
    let backend = CpuBackend::new(Some(3));
    let expected = run_busy(&backend, 100, 5000, 1 << 40, &|| false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(run_busy(&backend, 100, 5000, 1 << 40, &|| false), expected);
                }
            });
        }
    });
}

#[test]
fn a_forked_child_computes_with_threads_of_its_own() {
    let backend = CpuBackend::new(Some(3));
    let expected = run_busy(&backend, 50, 5000, 1 << 40, &|| false);
    // SAFETY: the child only computes and leaves without unwinding into the test harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let same = run_busy(&backend, 50, 5000, 1 << 40, &|| false) == expected;
        // SAFETY: ends the child.
        unsafe { libc::_exit(if same { 0 } else { 1 }) };
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut status = 0;
        // SAFETY: asks about the child made above.
        match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
            0 if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            0 => {
                // SAFETY: ends the child made above.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child hangs");
            }
            _ => {
                assert_eq!(status, 0, "the child's results differ");
                break;
            }
        }
    }
}

/// Tests that look at the memory of the process take turns.
static MEMORY: Mutex<()> = Mutex::new(());

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|s| s.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok())).unwrap_or(0) * 4096
}

#[test]
fn ten_thousand_compiled_and_dropped_kernels_leave_nothing() {
    let _turn = MEMORY.lock();
    let backend = CpuBackend::new(Some(1));
    // A kernel is compiled when it first runs.
    let compile = || drop(run_busy(&backend, 1, 1, 0, &|| false));
    (0..500).for_each(|_| compile());
    let (maps, bytes) = (mappings(), resident());
    (0..10_000).for_each(|_| compile());
    assert!(mappings() < maps + 64, "{maps} mappings became {}", mappings());
    assert!(resident() < bytes + (8 << 20), "{bytes} bytes became {}", resident());
}

#[test]
fn explain_shows_the_code_and_equal_kernels_explain_equally() {
    let backend = CpuBackend::new(Some(1));
    let first = backend.explain(&busy()).expect("it compiles");
    let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["clif", "asm", "llvm", "llvm-asm"]);
    assert!(first[0].1.contains("function %phase0") && first[0].1.contains("f64x2"));
    assert!(!first[1].1.is_empty());
    assert!(first[2].1.contains("define void @phase") && first[2].1.contains("<8 x double>"));
    assert!(first[3].1.contains("vsqrtpd"));
    assert_eq!(backend.explain(&busy()).expect("it compiles"), first);
}

#[test]
fn an_empty_launch_touches_nothing() {
    let kernel = "kernel @copy(b0: in f32, b1: out f32[i0]) {
  i0 = sym m
  phase (v0: i0) {
    %0 = load b0[v0] : f32
    store b1[v0] = %0
  }
}";
    let kernel = text::parse(kernel).expect("the text is a kernel");
    let backend = CpuBackend::default();
    let executable = backend.compile(&kernel).expect("it compiles");
    let nowhere = [std::ptr::null_mut(); 2];
    let launch = Launch { buffers: &nowhere, ints: &[0], params: &[], bytes: 0, interrupted: &|| true };
    assert_eq!(backend.launch(executable.as_ref(), &launch), Ok(()));
}

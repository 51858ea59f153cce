//! The second tier: phases that run for long become LLVM's code while they run, with the same bits; whatever happens to
//! kernels and processes meanwhile.

use fusewire_jit_cpu::{CpuBackend, Tier};
use fusewire_lowering::{ints::evaluate_ints, kernel::Kernel, text};
use fusewire_runtime::backend::{Backend, Executable, Launch};
use std::time::{Duration, Instant};

/// Sums of a chain of square roots, of a constant of its own so that no two are equal.
fn kernel(constant: u32) -> Kernel {
    let text = format!(
        "kernel @roots(b0: out f64[i0]) {{
  i0 = sym m
  i1 = sym n
  phase (v0: i0) {{
    %0 = const {constant} : i64
    %1 = cast %0 : f64
    loop v1 in i1 vector 8 {{
      %2 = index [v1] : i64
      %3 = cast %2 : f64
      %4 = add %3, %1 : f64
      %5 = sqrt %4 : f64
    }} reduce %6 = add %5 : f64
    store b0[v0] = %6
  }}
}}"
    );
    text::parse(&text).expect("the text is a kernel")
}

fn run(backend: &CpuBackend, kernel: &Kernel, executable: &dyn Executable, n: i64) -> Vec<u64> {
    let mut out = vec![0u64; 3];
    let ints = evaluate_ints(&kernel.ints, &[3, n], |_, _| 1);
    let buffers = [out.as_mut_ptr().cast()];
    let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes: 0, interrupted: &|| false };
    backend.launch(executable, &launch).expect("the launch ends");
    out
}

/// Long enough to be hot at once.
const LONG: i64 = 20_000_003;

#[test]
fn a_phase_that_runs_for_long_becomes_faster_code_with_the_same_bits() {
    let expected = {
        let backend = CpuBackend::new(Some(1)).with_tier(Tier::Cranelift);
        let kernel = kernel(1);
        run(&backend, &kernel, backend.compile(&kernel).expect("it compiles").as_ref(), 100_003)
    };
    let backend = CpuBackend::new(Some(1));
    let kernel = kernel(1);
    let executable = backend.compile(&kernel).expect("it compiles");
    assert_eq!(run(&backend, &kernel, executable.as_ref(), 100_003), expected);
    let slow = executable.code_bytes();
    run(&backend, &kernel, executable.as_ref(), LONG);
    let deadline = Instant::now() + Duration::from_secs(60);
    while executable.code_bytes() == slow {
        assert_eq!(run(&backend, &kernel, executable.as_ref(), 100_003), expected);
        assert!(Instant::now() < deadline, "the phase stays as it was");
    }
    assert_eq!(run(&backend, &kernel, executable.as_ref(), 100_003), expected);
}

#[test]
fn kernels_that_are_dropped_while_they_wait_are_forgotten() {
    let backend = CpuBackend::new(Some(1));
    for constant in 100..140 {
        let kernel = kernel(constant);
        let executable = backend.compile(&kernel).expect("it compiles");
        // In the books it is long; it stops at once.
        let ints = evaluate_ints(&kernel.ints, &[3, LONG], |_, _| 1);
        let mut out = vec![0u64; 3];
        let buffers = [out.as_mut_ptr().cast()];
        let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes: 0, interrupted: &|| true };
        let _ = backend.launch(executable.as_ref(), &launch);
    }
    let kernel = kernel(1);
    run(&backend, &kernel, backend.compile(&kernel).expect("it compiles").as_ref(), 1000);
}

#[test]
fn a_child_of_a_process_that_is_compiling_computes() {
    let backend = CpuBackend::new(Some(1));
    for constant in 200..210 {
        let kernel = kernel(constant);
        let executable = backend.compile(&kernel).expect("it compiles");
        run(&backend, &kernel, executable.as_ref(), LONG / 8);
        // SAFETY: the child only computes and leaves without unwinding into the test harness.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // Hot in the child too, where nobody may be compiling.
            let first = run(&backend, &kernel, executable.as_ref(), LONG / 8);
            let same = run(&backend, &kernel, executable.as_ref(), LONG / 8) == first;
            // SAFETY: ends the child.
            unsafe { libc::_exit(if same { 0 } else { 1 }) };
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut status = 0;
        // SAFETY: asks about the child made above.
        while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
            assert!(Instant::now() < deadline, "the child hangs");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(status, 0, "the child's results differ");
    }
}

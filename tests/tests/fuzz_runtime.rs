//! Random programs through the runtime with the interpreter back end, or that of the GPU's emulator where the tests are about
//! it: plans, lifetimes, reuse in place and caches change no bit. And with the CPU's in blocks of a few rows: neither do blocks.
//! `FUSEWIRE_FUZZ_SECONDS` and `FUSEWIRE_FUZZ_SEED` as in `fuzz.rs`.

use fusewire_ir::lazy::Device;
use fusewire_jit_cpu::CpuBackend;
use fusewire_runtime::{
    backend::Backend,
    cache::{LIMITS, Limits, PlanCache},
    counters,
    interpreter::Interpreter,
    registry,
};
use fusewire_tests::{
    engine,
    through_runtime::{check, check_op_by_op},
};
use std::time::{Duration, Instant};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn computed_arrays_have_the_interpreters_bits() {
    engine::start();
    let device = engine::device();
    let backend: &dyn Backend = match device {
        Device::Cpu => &Interpreter,
        device => &**registry::backend(device).expect("the engine was started"),
    };
    fuzz(backend, device);
}

#[test]
fn blocks_of_a_few_rows_have_the_interpreters_bits() {
    let before = counters::BLOCK_RUNS.get();
    let programs = fuzz(&CpuBackend::new(Some(3)).with_blocks(64), Device::Cpu);
    let blocks = counters::BLOCK_RUNS.get() - before;
    println!("{blocks} times in blocks");
    assert!(blocks > programs / 200, "hardly anything ran in blocks: {blocks} times in {programs} programs");
}

/// Checks programs for as long as it should; says how many.
fn fuzz(backend: &dyn Backend, device: Device) -> u64 {
    let end = Instant::now() + Duration::from_secs(setting("FUSEWIRE_FUZZ_SECONDS", 10));
    let start = setting("FUSEWIRE_FUZZ_SEED", 0);
    // Small, so that plans are evicted all the time.
    let plans = PlanCache::new(Limits { plans: 20, bytes: 1 << 20 });
    let mut programs = 0;
    while Instant::now() < end {
        if let Err(problem) = check(backend, device, &plans, start + programs) {
            panic!("{problem}");
        }
        programs += 1;
    }
    println!("{programs} programs");
    assert!(programs > 100, "only {programs} programs in the time given");
    programs
}

#[test]
fn programs_have_the_same_bits_op_by_op() {
    let end = Instant::now() + Duration::from_secs(setting("FUSEWIRE_FUZZ_SECONDS", 10));
    let start = setting("FUSEWIRE_FUZZ_SEED", 0);
    let (backend, plans) = (CpuBackend::default(), PlanCache::new(LIMITS));
    let (mut programs, mut by_op) = (0, 0);
    while Instant::now() < end {
        match check_op_by_op(&backend, &plans, start + programs) {
            Err(problem) => panic!("{problem}"),
            Ok(without_compiling) => by_op += u64::from(without_compiling),
        }
        programs += 1;
    }
    println!("{programs} programs, {by_op} op by op");
    assert!(by_op > 20, "only {by_op} programs of {programs} op by op in the time given");
}

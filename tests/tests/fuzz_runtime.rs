//! Random programs through the runtime with the interpreter back end, or that of the GPU's emulator where the tests are about
//! it: plans, lifetimes, reuse in place and caches change no bit. `FUSEWIRE_FUZZ_SECONDS` and `FUSEWIRE_FUZZ_SEED` as in `fuzz.rs`.

use fusewire_ir::lazy::Device;
use fusewire_runtime::{
    backend::Backend,
    cache::{Limits, PlanCache},
    interpreter::Interpreter,
    registry,
};
use fusewire_tests::{engine, through_runtime::check};
use std::time::{Duration, Instant};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn computed_arrays_have_the_interpreters_bits() {
    let end = Instant::now() + Duration::from_secs(setting("FUSEWIRE_FUZZ_SECONDS", 10));
    let start = setting("FUSEWIRE_FUZZ_SEED", 0);
    // Small, so that plans are evicted all the time.
    let plans = PlanCache::new(Limits { plans: 20, bytes: 1 << 20 });
    engine::start();
    let device = engine::device();
    let backend: &dyn Backend = match device {
        Device::Cpu => &Interpreter,
        device => &**registry::backend(device).expect("the engine was started"),
    };
    let mut programs = 0;
    while Instant::now() < end {
        if let Err(problem) = check(backend, device, &plans, start + programs) {
            panic!("{problem}");
        }
        programs += 1;
    }
    println!("{programs} programs");
    assert!(programs > 100, "only {programs} programs in the time given");
}

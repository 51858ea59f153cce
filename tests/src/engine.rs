//! The engine as the tests run it: the CPU back end, registered once a process. With `FUSEWIRE_TEST_TIER=llvm` in the environment
//! all code is LLVM's, which otherwise only phases get that run for long.

use fusewire_ir::lazy::Device;
use fusewire_jit_cpu::{CpuBackend, Tier};
use fusewire_runtime::registry;
use std::sync::{Arc, Once};

/// Registers the CPU back end.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let llvm = std::env::var("FUSEWIRE_TEST_TIER").is_ok_and(|tier| tier == "llvm");
        let backend = CpuBackend::new(None).with_tier(if llvm { Tier::Llvm } else { Tier::Rising });
        registry::register(Device::Cpu, Arc::new(backend));
    });
}

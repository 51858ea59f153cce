//! The engine as the tests run it: its back ends, registered once a process, and the device that the tests' arrays are on.
//!
//! With `FUSEWIRE_TEST_TIER=llvm` in the environment all code of the CPU is LLVM's, which otherwise only phases get that run for
//! long; with `FUSEWIRE_TEST_DEVICE=simt` arrays are on the emulator of a GPU.

use fusewire_ir::lazy::Device;
use fusewire_jit_cpu::{CpuBackend, Tier};
use fusewire_jit_gpu::simt::{Emulator, SimtBackend};
use fusewire_runtime::registry;
use std::sync::{Arc, Once};

/// Registers the back ends.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let tier = if is_set("FUSEWIRE_TEST_TIER", "llvm") { Tier::Llvm } else { Tier::Rising };
        registry::register(Device::Cpu, Arc::new(CpuBackend::new(None).with_tier(tier)));
        registry::register(Device::Simt, Arc::new(SimtBackend::new(Emulator::default().finding_races())));
    });
}

/// The device of the tests' arrays.
pub fn device() -> Device {
    if is_set("FUSEWIRE_TEST_DEVICE", "simt") { Device::Simt } else { Device::Cpu }
}

fn is_set(variable: &str, to: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == to)
}

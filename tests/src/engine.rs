//! The engine as the tests run it: the CPU back end, registered once a process.

use fusewire_ir::lazy::Device;
use fusewire_jit_cpu::CpuBackend;
use fusewire_runtime::registry;
use std::sync::{Arc, Once};

/// Registers the CPU back end.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        registry::register(Device::Cpu, Arc::new(CpuBackend::new(None)));
    });
}

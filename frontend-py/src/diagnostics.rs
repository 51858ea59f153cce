//! What a user can see and set of the engine itself: counters, memory, threads.

use crate::{device::DeviceArgument, errors};
use fusewire_ir::{
    build::{self, Axis, Operand},
    dtype::DType,
    error::Recorded,
    lazy::{Device, Lazy},
    ops::ScalarOp,
    promote::Weak,
};
use fusewire_jit_cpu::CpuBackend;
use fusewire_jit_gpu::simt::{Emulator, SimtBackend};
use fusewire_runtime::{cache::PLANS, counters, evaluate::evaluate, op_by_op::FirstRun, pool::Memory, registry};
use pyo3::{exceptions::PyValueError, prelude::*};
use std::sync::{Arc, OnceLock};

static CPU: OnceLock<Arc<CpuBackend>> = OnceLock::new();

fn cpu() -> &'static Arc<CpuBackend> {
    CPU.get_or_init(|| Arc::new(CpuBackend::default()))
}

/// Registers the back ends. The emulator of a GPU is a device when the environment says `FUSEWIRE_SIMT=1`, or `FUSEWIRE_SIMT=races`, which
/// has it look for races between threads. How structures without a plan are computed at first can be said there, too:
/// `FUSEWIRE_FIRST_RUN=compiled`.
pub fn start() {
    registry::register(Device::Cpu, cpu().clone());
    let emulator = || Emulator::default().with_libraries(cpu().clone());
    let emulator = match std::env::var("FUSEWIRE_SIMT").as_deref() {
        Ok("1") => Some(emulator()),
        Ok("races") => Some(emulator().finding_races()),
        _ => None,
    };
    if let Some(emulator) = emulator {
        registry::register(Device::Simt, Arc::new(SimtBackend::new(emulator)));
    }
    if let Some(mode) = std::env::var("FUSEWIRE_FIRST_RUN").ok().and_then(|name| first_run(&name)) {
        PLANS.set_first_run(mode);
    }
}

fn first_run(name: &str) -> Option<FirstRun> {
    FirstRun::ALL.iter().find(|(known, _)| *known == name).map(|&(_, mode)| mode)
}

/// Sets how structures without a plan are computed, and returns how they were.
#[pyfunction]
pub fn set_first_run(mode: &str) -> PyResult<&'static str> {
    let names = FirstRun::ALL.map(|(name, _)| name).join(", ");
    let mode = first_run(mode)
        .ok_or_else(|| PyValueError::new_err(format!("the mode must be one of {names}, got {mode:?}")))?;
    let before = PLANS.first_run();
    PLANS.set_first_run(mode);
    Ok(FirstRun::ALL.iter().find(|(_, known)| *known == before).map_or("auto", |(name, _)| name))
}

/// Waits for what is being compiled and begins nothing more: for the end of the process.
#[pyfunction]
pub fn finish(py: Python<'_>) {
    py.detach(fusewire_jit_cpu::finish);
}

/// Computes something small: a compiler that has never run takes twice as long for its first kernel (1.6 instead of 0.8 ms),
/// which is better spent while importing.
#[pyfunction]
pub fn rehearse() {
    let computed = rehearsal().map(|node| evaluate(&[node], &|| false));
    debug_assert!(matches!(computed, Ok(Ok(()))), "{computed:?}");
    counters::reset();
}

/// An element-wise chain with a maths function and a reduction: most of what kernels are made of.
fn rehearsal() -> Recorded<Arc<Lazy>> {
    let number = |n| Weak::Int(n);
    let ramp = build::arange(number(0), number(4), number(1), Some(DType::F32))?;
    let square = build::reshape(&ramp, &[2, 2])?;
    let grown = build::elementwise(ScalarOp::Exp, [Operand::Array(square)])?;
    build::mean(&grown, &Axis::List(smallvec::smallvec![0]), false)
}

/// How many threads a kernel may run on.
#[pyfunction]
pub fn get_num_threads() -> usize {
    cpu().num_threads()
}

/// Sets how many threads kernels may run on.
#[pyfunction]
pub fn set_num_threads(py: Python<'_>, count: i64) -> PyResult<()> {
    match usize::try_from(count) {
        Ok(count @ 1..) => {
            py.detach(|| cpu().set_num_threads(count));
            Ok(())
        }
        _ => Err(PyValueError::new_err(format!("the number of threads must be positive, got {count}"))),
    }
}

/// Every counter's name and count.
#[pyfunction]
#[pyo3(name = "counters")]
pub fn counter_snapshot() -> Vec<(&'static str, u64)> {
    counters::snapshot()
}

/// Starts all counters at 0 again.
#[pyfunction]
pub fn reset_counters() {
    counters::reset();
}

/// The memory of a device's arrays.
fn memory(device: Option<DeviceArgument>) -> PyResult<&'static dyn Memory> {
    let device = device.map_or(Device::Cpu, |device| device.0);
    Ok(registry::backend(device).map_err(errors::computing)?.memory())
}

/// A pool's figures by name, in bytes; those of a GPU with what others leave free of it, and its size.
#[pyfunction]
#[pyo3(signature = (device=None, /))]
pub fn memory_figures(device: Option<DeviceArgument>) -> PyResult<Vec<(&'static str, usize)>> {
    let memory = memory(device)?;
    let figures = memory.figures();
    let mut named = vec![
        ("allocated", figures.allocated),
        ("cached", figures.cached),
        ("peak", figures.peak),
        ("limit", figures.limit),
    ];
    if let Some((free, total)) = memory.of_device().map_err(errors::computing)? {
        named.extend([("free", free), ("total", total)]);
    }
    Ok(named)
}

/// Lets the peak start again from what is allocated now.
#[pyfunction]
#[pyo3(signature = (device=None, /))]
pub fn reset_peak(device: Option<DeviceArgument>) -> PyResult<()> {
    memory(device)?.reset_peak();
    Ok(())
}

/// Gives cached memory back.
#[pyfunction]
#[pyo3(signature = (device=None, /))]
pub fn trim_memory(py: Python<'_>, device: Option<DeviceArgument>) -> PyResult<()> {
    py.detach(|| memory(device)?.trim().map_err(errors::computing))
}

/// Bounds the memory that is kept for reuse.
#[pyfunction]
#[pyo3(signature = (size, device=None, /))]
pub fn set_memory_limit(py: Python<'_>, size: usize, device: Option<DeviceArgument>) -> PyResult<()> {
    py.detach(|| memory(device)?.set_limit(size).map_err(errors::computing))
}

/// Bounds the memory that is taken from a GPU.
#[pyfunction]
#[pyo3(signature = (size, device=None, /))]
pub fn set_memory_budget(py: Python<'_>, size: Option<usize>, device: Option<DeviceArgument>) -> PyResult<()> {
    py.detach(|| memory(device)?.set_budget(size.unwrap_or(usize::MAX)).map_err(errors::computing))
}

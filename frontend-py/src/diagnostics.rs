//! What a user can see and set of the engine itself: counters, memory, threads.

use fusewire_runtime::{counters, pool};
use pyo3::prelude::*;

/// Registers the back ends. The first call counts.
pub fn start() -> PyResult<()> {
    Ok(())
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

/// The pool's figures by name, in bytes.
#[pyfunction]
pub fn memory_figures() -> [(&'static str, usize); 4] {
    let figures = pool::figures();
    [("allocated", figures.allocated), ("cached", figures.cached), ("peak", figures.peak), ("limit", figures.limit)]
}

/// Lets the peak start again from what is allocated now.
#[pyfunction]
pub fn reset_peak() {
    pool::reset_peak();
}

/// Gives cached memory back to the system.
#[pyfunction]
pub fn trim_memory(py: Python<'_>) {
    py.detach(pool::trim);
}

/// Bounds the memory that is kept for reuse.
#[pyfunction]
pub fn set_memory_limit(py: Python<'_>, size: usize) {
    py.detach(|| pool::set_limit(size));
}

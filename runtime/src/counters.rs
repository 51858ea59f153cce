//! What the runtime did, counted. `fusewire.debug.counters()` shows them, and tests prove with them that a new shape or a
//! new Python scalar compiles nothing. Not a profiler: no times, no per-kernel figures.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter of the process.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    /// Counts.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Computations started: graphs captured from roots.
pub static GRAPHS_CAPTURED: Counter = Counter::new();
/// Captured graphs whose plan was in the cache.
pub static PLAN_HITS: Counter = Counter::new();
/// Captured graphs that were planned anew.
pub static PLAN_MISSES: Counter = Counter::new();
/// Captured graphs that were computed one op after another, without a plan of their own.
pub static GRAPHS_OP_BY_OP: Counter = Counter::new();
/// Plans that the cache let go of to stay inside its bounds.
pub static PLAN_EVICTIONS: Counter = Counter::new();
/// Kernels that a back end compiled.
pub static KERNELS_COMPILED: Counter = Counter::new();
/// Kernels of new plans that were found compiled.
pub static KERNELS_REUSED: Counter = Counter::new();
/// Kernels launched.
pub static KERNEL_LAUNCHES: Counter = Counter::new();
/// Matrix products and other library routines called.
pub static LIBRARY_CALLS: Counter = Counter::new();
/// Steps of plans that ran together, block by block of rows; each run counts once.
pub static BLOCK_RUNS: Counter = Counter::new();
/// Bytes asked of the host pool.
pub static BYTES_ALLOCATED: Counter = Counter::new();
/// Bytes of the arrays that launches and library calls read and wrote; an estimate of memory traffic.
pub static BYTES_MOVED: Counter = Counter::new();
/// Bytes that the host gave to devices with memory of their own.
pub static BYTES_TO_DEVICES: Counter = Counter::new();
/// Bytes that the host took from them.
pub static BYTES_FROM_DEVICES: Counter = Counter::new();
/// Results written over an operand that nobody needed any more.
pub static BUFFERS_REUSED_IN_PLACE: Counter = Counter::new();

/// Every counter with its name.
pub const COUNTERS: &[(&str, &Counter)] = &[
    ("graphs_captured", &GRAPHS_CAPTURED),
    ("plan_hits", &PLAN_HITS),
    ("plan_misses", &PLAN_MISSES),
    ("graphs_op_by_op", &GRAPHS_OP_BY_OP),
    ("plan_evictions", &PLAN_EVICTIONS),
    ("kernels_compiled", &KERNELS_COMPILED),
    ("kernels_reused", &KERNELS_REUSED),
    ("kernel_launches", &KERNEL_LAUNCHES),
    ("library_calls", &LIBRARY_CALLS),
    ("block_runs", &BLOCK_RUNS),
    ("bytes_allocated", &BYTES_ALLOCATED),
    ("bytes_moved", &BYTES_MOVED),
    ("bytes_to_devices", &BYTES_TO_DEVICES),
    ("bytes_from_devices", &BYTES_FROM_DEVICES),
    ("buffers_reused_in_place", &BUFFERS_REUSED_IN_PLACE),
];

/// Every counter's name and count, in the order of [`COUNTERS`].
pub fn snapshot() -> Vec<(&'static str, u64)> {
    COUNTERS.iter().map(|(name, counter)| (*name, counter.get())).collect()
}

/// Starts all counters at 0 again.
pub fn reset() {
    for (_, counter) in COUNTERS {
        counter.0.store(0, Relaxed);
    }
}

//! From a Python call to the runtime and back: when the interpreter is released, how Ctrl-C gets through, and the automatic
//! flush that keeps recorded loops bounded.

use crate::{array::Array, dump::announce, errors};
use fusewire_ir::{
    error::Recorded,
    lazy::{Lazy, Reading},
    value::{Buffer, byte_count},
};
use fusewire_runtime::evaluate::evaluate as run;
use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyKeyboardInterrupt, PyRuntimeError},
    prelude::*,
    types::PyTuple,
};
use smallvec::SmallVec;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    slice,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// A recorded chain longer than this is computed at once, so that a loop neither grows nor is recomputed.
const FLUSH_DEPTH: u32 = 512;

/// So is one longer than this whose arrays would have more bytes than that all together, for each step of it may hold one.
const LARGE_FLUSH_DEPTH: u32 = 128;
const LARGE_FLUSH_BYTES: usize = 4 << 30;

/// Of so many nodes it is known that they may have to be computed with such a chain.
const RECENT_NODES: usize = 32;

/// Computations of at most so many elements keep the interpreter: giving it away can cost a time slice of another thread,
/// far more than the computation.
const SMALL_WORK: u64 = 64 * 1024;

/// How often a long computation asks Python about signals.
const SIGNAL_PERIOD: Duration = Duration::from_millis(20);

/// Evaluates several arrays together, in one plan.
///
/// Afterwards each holds its values; what they share is computed once. Returns the arrays, as a tuple if there are several.
/// Raises MemoryError when memory runs out and KeyboardInterrupt on Ctrl-C; then the arrays stay as they were.
#[pyfunction]
#[pyo3(signature = (*arrays))]
pub fn compute<'py>(arrays: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    let py = arrays.py();
    let nodes =
        arrays.iter().map(|a| Ok(a.cast::<Array>()?.get().node())).collect::<PyResult<SmallVec<[Arc<Lazy>; 4]>>>()?;
    evaluate(py, &nodes)?;
    match nodes.len() {
        1 => arrays.get_item(0),
        _ => Ok(arrays.clone().into_any()),
    }
}

/// The buffer of a node, computed if need be.
pub fn computed<'a>(py: Python<'_>, node: &'a Arc<Lazy>) -> PyResult<&'a Buffer> {
    if node.buffer().is_none() {
        evaluate(py, slice::from_ref(node))?;
    }
    node.buffer().ok_or_else(|| PyRuntimeError::new_err("internal error, please report it: nothing was computed"))
}

/// What recording gave, as an array; a chain that has grown long is computed on the way.
pub fn recorded(py: Python<'_>, result: Recorded<Arc<Lazy>>) -> PyResult<Array> {
    let node = result.map_err(errors::recording)?;
    if node.depth > LARGE_FLUSH_DEPTH / 2 && node.buffer().is_none() {
        if is_long(&node) {
            flush(py, &node)?;
        } else {
            remember(&node);
        }
    }
    Ok(Array::new(node))
}

/// Is the chain up to this node to be computed at once?
fn is_long(node: &Lazy) -> bool {
    let bytes = || byte_count(&node.shape, node.dtype.size()).unwrap_or(usize::MAX);
    let large = || bytes().saturating_mul(node.depth as usize) > LARGE_FLUSH_BYTES;
    node.depth > FLUSH_DEPTH || (node.depth > LARGE_FLUSH_DEPTH && large())
}

thread_local! {
    /// The last nodes of long chains that this thread has recorded.
    static RECENT: RefCell<VecDeque<Weak<Lazy>>> = const { RefCell::new(VecDeque::new()) };
}

fn remember(node: &Arc<Lazy>) {
    RECENT.with_borrow_mut(|recent| {
        if recent.len() == RECENT_NODES {
            recent.pop_front();
        }
        recent.push_back(Arc::downgrade(node));
    });
}

/// Computes a chain that has grown long, and what a loop has recorded beside it: computed later, that would need the values of each
/// step, so they would have to be stored for it.
fn flush(py: Python<'_>, node: &Arc<Lazy>) -> PyResult<()> {
    let recent = RECENT.take();
    let others = recent.iter().filter_map(Weak::upgrade);
    let others: Vec<Arc<Lazy>> = others.filter(|n| n.buffer().is_none() && n.device == node.device).collect();
    // What others are computed from is no end of anything.
    let mut inner: Vec<*const Lazy> = Vec::new();
    let reading = Reading::begin();
    for other in others.iter().chain([node]) {
        let inputs = other.expression(&reading).map(|expression| expression.inputs.iter());
        inner.extend(inputs.into_iter().flatten().map(Arc::as_ptr));
    }
    drop(reading);
    let mut ends: Vec<Arc<Lazy>> = others.into_iter().filter(|n| !inner.contains(&Arc::as_ptr(n))).collect();
    ends.push(Arc::clone(node));
    match evaluate(py, &ends) {
        // What is wrong with another chain is said to whoever asks for that one.
        Err(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => evaluate(py, slice::from_ref(node)),
        done => done,
    }
}

/// As [`recorded`], for functions of several results.
pub fn recorded_tuple<'py>(py: Python<'py>, result: Recorded<Vec<Arc<Lazy>>>) -> PyResult<Bound<'py, PyTuple>> {
    let nodes = result.map_err(errors::recording)?;
    let arrays = nodes.into_iter().map(|node| recorded(py, Ok(node))).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, arrays)
}

/// Fills the nodes' slots.
pub fn evaluate(py: Python<'_>, nodes: &[Arc<Lazy>]) -> PyResult<()> {
    if nodes.iter().all(|n| n.buffer().is_some()) {
        return Ok(());
    }
    announce(py, nodes)?;
    if is_small(nodes) {
        return run(nodes, &|| false).map_err(errors::computing);
    }
    let listens = on_main_thread();
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let result = py.detach(|| {
        let last = Cell::new(Instant::now());
        run(nodes, &|| {
            if !listens || last.get().elapsed() < SIGNAL_PERIOD {
                return false;
            }
            last.set(Instant::now());
            let error = Python::attach(|py| py.check_signals()).err();
            let stop = error.is_some();
            if stop {
                *raised.lock() = error;
            }
            stop
        })
    });
    match raised.into_inner() {
        Some(error) => Err(error),
        None => result.map_err(errors::computing),
    }
}

/// Only the main thread handles signals; after a fork that is the one that forked.
fn on_main_thread() -> bool {
    // SAFETY: neither call has any precondition.
    #[cfg(target_os = "linux")]
    return unsafe { libc::gettid() == libc::getpid() };
    // SAFETY: the call has no precondition.
    #[cfg(target_os = "macos")]
    return unsafe { libc::pthread_main_np() == 1 };
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    return true;
}

/// Is there certainly little to do?
fn is_small(nodes: &[Arc<Lazy>]) -> bool {
    nodes.iter().fold(0u64, |work, node| work.saturating_add(node.work)) <= SMALL_WORK
}

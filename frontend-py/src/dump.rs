//! `fusewire.debug.dump` and what `dump-ir FILE.py` needs of a running program: the stages of recorded graphs as text and
//! pictures, and a way to be told about every graph that is computed. What is shown is `fusewire_dump_ir`'s.

use crate::array::Array;
use fusewire_dump_ir::{Options, Selection, Sizes, render, render_text, select};
use fusewire_ir::{capture::graph_of, lazy::Lazy};
use parking_lot::Mutex;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyTuple};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

fn options(stage: &str, format: &str, sizes: Sizes) -> PyResult<Options> {
    let selection = stage.parse::<Selection>().unwrap_or_default();
    Ok(Options { selection, format: format.parse().map_err(PyValueError::new_err)?, sizes })
}

/// The stages of what computing these arrays together would be.
#[pyfunction]
pub fn dump(py: Python<'_>, arrays: Vec<Py<Array>>, stage: &str, format: &str) -> PyResult<String> {
    let roots: Vec<Arc<Lazy>> = arrays.iter().map(|a| a.get().node()).collect();
    if roots.is_empty() || roots.iter().any(|root| root.buffer().is_some()) {
        return Err(PyValueError::new_err("dump needs arrays that are recorded and not computed yet"));
    }
    let (graph, values) = graph_of(&roots);
    let options = options(stage, format, Sizes(values.symbols.to_vec()))?;
    py.detach(|| render(&graph, &options)).map_err(PyValueError::new_err)
}

/// The stages of a graph or kernel that is given as text; errors name the path and the line.
#[pyfunction]
pub fn dump_text(py: Python<'_>, text: &str, path: &str, stage: &str, format: &str) -> PyResult<String> {
    let options = options(stage, format, Sizes::default())?;
    py.detach(|| render_text(text, path, &options)).map_err(PyValueError::new_err)
}

/// The names of the stages and passes, each with a sentence.
#[pyfunction]
pub fn dump_listing() -> String {
    select::listing()
}

static OBSERVED: AtomicBool = AtomicBool::new(false);
static OBSERVER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Lets a function be called with the arrays of each computation before it begins; `None` ends that.
#[pyfunction]
pub fn observe(observer: Option<Py<PyAny>>) {
    OBSERVED.store(observer.is_some(), Relaxed);
    let previous = std::mem::replace(&mut *OBSERVER.lock(), observer);
    // Dropped outside the lock: a destructor may run any Python code.
    drop(previous);
}

/// Tells the observer, if there is one, what is about to be computed.
pub fn announce(py: Python<'_>, nodes: &[Arc<Lazy>]) -> PyResult<()> {
    if !OBSERVED.load(Relaxed) {
        return Ok(());
    }
    let Some(observer) = OBSERVER.lock().as_ref().map(|observer| observer.clone_ref(py)) else {
        return Ok(());
    };
    let pending = nodes.iter().filter(|node| node.buffer().is_none());
    let arrays: Vec<Array> = pending.map(|node| Array::new(node.clone())).collect();
    observer.call1(py, PyTuple::new(py, arrays)?).map(drop)
}

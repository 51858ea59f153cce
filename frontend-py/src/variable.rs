//! The node that a handle has at the moment. Python's lock guards it: every access is attached to the interpreter, and to
//! begin with mostly is, which makes it cheaper than any lock of ours on the path of every operator.

use fusewire_ir::lazy::Lazy;
use pyo3::Python;
use std::{cell::UnsafeCell, mem, sync::Arc};

/// A node that assignment exchanges.
pub struct Variable(UnsafeCell<Arc<Lazy>>);

// SAFETY: the cell is read and written by threads that are attached to the interpreter only. The module keeps Python's
// lock (`gil_used`), so they take turns, and neither access calls anything that would give the turn away.
unsafe impl Sync for Variable {}

impl Variable {
    /// A variable with that node.
    pub fn new(node: Arc<Lazy>) -> Variable {
        Variable(UnsafeCell::new(node))
    }

    /// The node.
    pub fn get(&self, _attached: Python<'_>) -> Arc<Lazy> {
        // SAFETY: as said above; counting a reference calls nothing.
        unsafe { (*self.0.get()).clone() }
    }

    /// Exchanges the node.
    pub fn set(&self, node: Arc<Lazy>) {
        // SAFETY: as said above. The old node is dropped after the exchange.
        drop(Python::attach(|_| unsafe { mem::replace(&mut *self.0.get(), node) }));
    }
}

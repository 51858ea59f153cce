//! Rust errors as Python exceptions.

use fusewire_ir::error::{Mistake, RecordError};
use fusewire_runtime::error::Error;
use pyo3::{
    PyErr, Python,
    exceptions::{
        PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyNotImplementedError, PyOverflowError, PyRuntimeError,
        PyTypeError, PyValueError,
    },
    prelude::*,
};

/// A mistake found while recording.
pub fn recording(error: RecordError) -> PyErr {
    match error.mistake {
        Mistake::Value => PyValueError::new_err(error.message),
        Mistake::Type => PyTypeError::new_err(error.message),
        Mistake::Index => PyIndexError::new_err(error.message),
        Mistake::Axis => of_class("numpy.exceptions", "AxisError", error.message),
        Mistake::Overflow => PyOverflowError::new_err(error.message),
        Mistake::Memory => PyMemoryError::new_err(error.message),
    }
}

/// What went wrong while computing. An interruption normally carries Python's own exception instead (`evaluate.rs`).
pub fn computing(error: Error) -> PyErr {
    match error {
        Error::OutOfMemory { .. } => PyMemoryError::new_err(error.to_string()),
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        Error::OutOfBounds(_) => PyIndexError::new_err(error.to_string()),
        Error::LinearAlgebra(message) => of_class("fusewire.linalg", "LinAlgError", message),
        Error::Unsupported(message) => PyNotImplementedError::new_err(message),
        Error::Device(_) | Error::Internal(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// An exception whose class is defined in Python.
fn of_class(module: &str, class: &str, message: String) -> PyErr {
    Python::attach(|py| {
        let class = py.import(module).and_then(|module| module.getattr(class));
        match class.and_then(|class| class.call1((message,))) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    })
}

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
        Error::LinearAlgebra(message) => linear_algebra(message),
        Error::Unsupported(message) => PyNotImplementedError::new_err(message),
        Error::Device(_) | Error::Internal(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// `fusewire.linalg.LinAlgError`, which is defined in Python, where NumPy's class is.
fn linear_algebra(message: String) -> PyErr {
    Python::attach(|py| {
        let class = py.import("fusewire.linalg").and_then(|module| module.getattr("LinAlgError"));
        match class.and_then(|class| class.call1((message,))) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    })
}

//! What `fusewire.fft` is built on: transforms along one axis, not scaled. Lengths, norms and several axes are Python's.

use crate::{array::Array, convert::array, evaluate::recorded};
use fusewire_ir::build::fft;
use pyo3::prelude::*;

/// The transform of complex numbers; `name` is the function's for errors.
#[pyfunction]
pub fn transform(name: &str, x: &Bound<'_, PyAny>, axis: i64, inverse: bool) -> PyResult<Array> {
    recorded(x.py(), fft::fft(name, &array(x, name)?, axis, inverse))
}

/// The first half of the transform of real numbers.
#[pyfunction]
pub fn transform_real(name: &str, x: &Bound<'_, PyAny>, axis: i64) -> PyResult<Array> {
    recorded(x.py(), fft::rfft(name, &array(x, name)?, axis))
}

/// The real numbers whose transform begins so.
#[pyfunction]
pub fn transform_to_real(name: &str, x: &Bound<'_, PyAny>, axis: i64, odd: bool) -> PyResult<Array> {
    recorded(x.py(), fft::irfft(name, &array(x, name)?, axis, odd))
}

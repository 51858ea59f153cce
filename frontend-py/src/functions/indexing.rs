//! Functions that pick elements: `take`, `take_along_axis`, `nonzero`.

use crate::{
    array::Array,
    convert::array,
    evaluate::{recorded, recorded_tuple},
    keys::{self, first_outside},
};
use fusewire_ir::build;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyTuple};

/// The elements of `x` along an axis at these indices; negative ones count from the end.
///
/// Shape: that of `x` with the axis replaced by the shape of `indices`; without an axis, `x` is flattened first. Dtype: that
/// of `x`. Raises IndexError for an index or an axis out of range, TypeError for indices that are no integers.
#[pyfunction]
#[pyo3(signature = (x, indices, /, *, axis=None))]
pub fn take(x: &Bound<'_, PyAny>, indices: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
    let (node, indices) = (array(x, "take")?, keys::indices(indices, "take")?);
    recorded(x.py(), build::take(&node, &indices, axis, &first_outside))
}

/// The elements of `x` along an axis at indices given for each position of the other axes; negative ones count from the end.
///
/// Shape: that of `indices`, whose other axes broadcast against those of `x`. Dtype: that of `x`. Raises IndexError for an
/// index or an axis out of range, TypeError for indices that are no integers, ValueError for shapes that do not fit.
#[pyfunction]
#[pyo3(signature = (x, indices, /, *, axis=-1), text_signature = "(x, indices, /, *, axis=-1)")]
pub fn take_along_axis(x: &Bound<'_, PyAny>, indices: &Bound<'_, PyAny>, axis: i64) -> PyResult<Array> {
    let (node, indices) = (array(x, "take_along_axis")?, keys::indices(indices, "take_along_axis")?);
    recorded(x.py(), build::take_along_axis(&node, &indices, axis, &first_outside))
}

/// The indices of the elements that are not zero, in row-major order: a tuple with an int64 array for each axis.
///
/// Computes `x`. Raises ValueError for a 0-d array.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn nonzero<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    let node = array(x, "nonzero")?;
    if node.shape.is_empty() {
        return Err(PyValueError::new_err("nonzero: a 0-d array has no axes"));
    }
    recorded_tuple(x.py(), Ok(keys::nonzero(x.py(), &node)?))
}

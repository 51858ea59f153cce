//! Sorting.

use crate::{array::Array, convert::array, evaluate::recorded};
use fusewire_ir::build;
use pyo3::prelude::*;

/// The elements in order along an axis. NaN comes last, whichever way.
///
/// Takes real numbers and booleans; shape and dtype stay. Equal elements keep their order, also when `stable` is false.
/// Raises IndexError for an axis out of range, as is every axis of a 0-d array.
#[pyfunction]
#[pyo3(signature = (x, /, axis=-1, *, descending=false, stable=true), text_signature = "(x, /, *, axis=-1, descending=False, stable=True)")]
pub fn sort(x: &Bound<'_, PyAny>, axis: i64, descending: bool, stable: bool) -> PyResult<Array> {
    let _ = stable;
    recorded(x.py(), build::sort(&array(x, "sort")?, axis, descending))
}

/// The positions (int64) of the elements in order along an axis, those of NaN last.
///
/// Takes real numbers and booleans. Of equal elements the first comes first, also when `stable` is false.
/// Raises IndexError for an axis out of range, as is every axis of a 0-d array.
#[pyfunction]
#[pyo3(signature = (x, /, axis=-1, *, descending=false, stable=true), text_signature = "(x, /, *, axis=-1, descending=False, stable=True)")]
pub fn argsort(x: &Bound<'_, PyAny>, axis: i64, descending: bool, stable: bool) -> PyResult<Array> {
    let _ = stable;
    recorded(x.py(), build::argsort(&array(x, "argsort")?, axis, descending))
}

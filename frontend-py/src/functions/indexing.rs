//! Functions that pick elements by position, or find positions: `take` to `searchsorted`.

use crate::{
    array::Array,
    convert::{argument, array, try_index},
    device, errors,
    evaluate::{evaluate, recorded, recorded_tuple},
    export::element,
    keys::{self, first_outside},
};
use fusewire_ir::{
    build::{self, Operand},
    dtype::DType,
    ops::ScalarOp,
    promote::{Weak, result_type},
    shape::Shape,
};
use fusewire_runtime::positions;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyTuple,
};
use std::slice;

/// The elements of `x` along an axis at these indices; negative ones count from the end.
///
/// Shape: that of `x` with the axis replaced by the shape of `indices`; without an axis, `x` is flattened first. Dtype: that
/// of `x`. Raises IndexError for an index or an axis out of range, TypeError for indices that are no integers.
#[pyfunction]
#[pyo3(signature = (x, indices, /, axis=None), text_signature = "(x, indices, /, *, axis=None)")]
pub fn take(x: &Bound<'_, PyAny>, indices: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
    let (node, indices) = (array(x, "take")?, keys::indices(indices, "take")?);
    recorded(x.py(), build::take(&node, &indices, axis, &first_outside))
}

/// The elements of `x` along an axis at indices given for each position of the other axes; negative ones count from the end.
///
/// Shape: that of `indices`, whose other axes broadcast against those of `x`. Dtype: that of `x`. Raises IndexError for an
/// index or an axis out of range, TypeError for indices that are no integers, ValueError for shapes that do not fit.
#[pyfunction]
#[pyo3(signature = (x, indices, /, axis=-1), text_signature = "(x, indices, /, *, axis=-1)")]
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

/// Assigns to the elements of `arr` at indices given along an axis for each position of the others: the inverse of
/// `take_along_axis`, in place.
///
/// The indices broadcast against the other axes of `arr`, the values against the indices; of several values for one element
/// the last stays. Raises IndexError for an index or an axis out of range, TypeError for indices that are no integers, ValueError for
/// shapes that do not fit.
#[pyfunction]
#[pyo3(signature = (arr, indices, values, /, axis), text_signature = "(arr, indices, values, /, axis)")]
pub fn put_along_axis(
    arr: &Bound<'_, Array>,
    indices: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
    axis: Option<i64>,
) -> PyResult<()> {
    let py = arr.py();
    let node = arr.get().node();
    let indices = keys::indices(indices, "put_along_axis")?;
    let value = build::fit(&argument(values, "put_along_axis")?, node.dtype).map_err(errors::recording)?;
    match axis {
        Some(axis) => {
            let keys = build::along_axis_keys(&node, &indices, axis, "put_along_axis").map_err(errors::recording)?;
            arr.get().assign_at(py, node, &keys, &value)
        }
        None => {
            // The flattened array is another one; its elements come back in the old shape.
            let flat = Array::new(build::reshape(&node, &[-1]).map_err(errors::recording)?);
            let key = build::Key::Positions { array: indices, mask: None };
            flat.assign_at(py, flat.node(), &[key], &value)?;
            let shape: Vec<i64> = node.shape.iter().map(|&extent| extent as i64).collect();
            let back = build::reshape(&flat.node(), &shape).map_err(errors::recording)?;
            arr.get().assign(py, back)
        }
    }
}

/// Each element of `x` along an axis so many times: an integer for all, or an array with one for each.
///
/// Without an axis `x` is flattened first. Dtype: that of `x`. Computes an array of repetitions. Raises ValueError for negative
/// repetitions and for those that do not fit the axis, TypeError for those that are no integers, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, repeats, /, axis=None), text_signature = "(x, repeats, /, *, axis=None)")]
pub fn repeat(x: &Bound<'_, PyAny>, repeats: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
    let py = x.py();
    let node = array(x, "repeat")?;
    let negative = || PyValueError::new_err("repeat: repetitions must not be negative");
    if let Some(times) = try_index(repeats)? {
        let times = usize::try_from(times).map_err(|_| negative())?;
        return recorded(py, build::repeat(&node, times, axis));
    }
    let repeats = keys::indices(repeats, "repeat")?;
    if !repeats.dtype.is_integer() {
        return Err(PyTypeError::new_err(format!("repeat: needs integers, got {}", repeats.dtype.numpy_name())));
    }
    if repeats.shape.len() > 1 {
        return Err(PyValueError::new_err("repeat: repetitions must be a number or a 1-D array"));
    }
    // A sum with 0 is memory of our own, which nobody changes.
    let zero = Operand::Scalar(Weak::Int(0));
    let repeats = build::cast(&repeats, DType::I64);
    let repeats = repeats.and_then(|repeats| build::elementwise(ScalarOp::Add, [Operand::Array(repeats), zero]));
    let repeats = repeats.map_err(errors::recording)?;
    if repeats.shape.iter().all(|&extent| extent == 1) {
        let times = match element(py, &repeats, "repeat")? {
            Weak::Int(times) => usize::try_from(times).map_err(|_| negative())?,
            other => return Err(PyTypeError::new_err(format!("repeat: needs integers, got {other:?}"))),
        };
        return recorded(py, build::repeat(&node, times, axis));
    }
    evaluate(py, slice::from_ref(&repeats))?;
    let positions =
        positions::repeated(&repeats, device::of(&repeats)).map_err(errors::computing)?.ok_or_else(negative)?;
    recorded(py, build::repeat_each(&node, &positions, repeats.shape[0], axis))
}

/// Where the elements of `x2` would be inserted into the sorted 1-D array `x1` to keep it sorted (int64, in the shape of `x2`).
///
/// With `side="left"` in front of equal elements, with `"right"` behind them. `sorter` has the positions of the elements of `x1` in
/// order, where `x1` is not sorted itself. NaN is behind all other numbers. Raises ValueError for another `side` and for shapes
/// that do not fit, TypeError for complex numbers.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, side="left", *, sorter=None), text_signature = "(x1, x2, /, *, side='left', sorter=None)")]
pub fn searchsorted(
    x1: &Bound<'_, PyAny>,
    x2: &Bound<'_, PyAny>,
    side: &str,
    sorter: Option<&Bound<'_, PyAny>>,
) -> PyResult<Array> {
    let right = match side {
        "left" => false,
        "right" => true,
        other => return Err(PyValueError::new_err(format!("searchsorted: side must be left or right, got {other:?}"))),
    };
    let sorter = sorter.map(|sorter| keys::indices(sorter, "searchsorted")).transpose()?;
    let sorted = array(x1, "searchsorted")?;
    // A Python number takes the array's dtype where it can.
    let values = match argument(x2, "searchsorted")? {
        Operand::Array(values) => values,
        Operand::Scalar(value) => {
            let dtype = result_type([sorted.dtype], [value]).unwrap_or(sorted.dtype);
            build::full(Shape::new(), value, dtype).map_err(errors::recording)?
        }
    };
    recorded(x1.py(), build::searchsorted(&sorted, &values, right, sorter.as_ref(), &first_outside))
}

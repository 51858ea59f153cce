//! Products of matrices and vectors.

use crate::{
    array::Array,
    convert::{IntegersArgument, array, try_index},
    evaluate::recorded,
};
use fusewire_ir::build;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
};

/// The matrix product of the last two axes; leading axes broadcast, and a 1-d operand is a row or a column.
///
/// Takes numbers. Raises ValueError when the shapes do not fit or an operand is 0-d.
#[pyfunction]
#[pyo3(signature = (x1, x2, /))]
pub fn matmul(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x1.py(), build::matmul(&array(x1, "matmul")?, &array(x2, "matmul")?))
}

/// The last two axes exchanged.
///
/// Raises ValueError for fewer than 2 axes.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn matrix_transpose(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    match x.cast_exact::<Array>() {
        Ok(whole) => whole.get().matrix_transposed(x.py()),
        Err(_) => recorded(x.py(), build::matrix_transpose(&array(x, "matrix_transpose")?)),
    }
}

/// Sums of products over pairs of axes: the last `axes` of `x1` with the first of `x2`, or the two lists in `axes`.
///
/// Raises ValueError when the extents differ, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, axes=None), text_signature = "(x1, x2, /, *, axes=2)")]
pub fn tensordot(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>, axes: Option<&Bound<'_, PyAny>>) -> PyResult<Array> {
    let (a, b) = (array(x1, "tensordot")?, array(x2, "tensordot")?);
    let count = match axes {
        None => Some(2),
        Some(axes) => try_index(axes)?,
    };
    let (left, right) = match (count, axes) {
        (Some(count), _) => {
            let limit = a.shape.len().min(b.shape.len()) as i64;
            if !(0..=limit).contains(&count) {
                return Err(PyValueError::new_err(format!(
                    "tensordot: axes={count} is not between 0 and {limit}, the smaller number of dimensions of shapes {} \
                     and {}",
                    build::tuple(&a.shape),
                    build::tuple(&b.shape)
                )));
            }
            ((-count..0).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>())
        }
        (None, Some(axes)) => {
            let (left, right): (IntegersArgument, IntegersArgument) = axes.extract().map_err(|_| {
                PyTypeError::new_err("tensordot: axes must be an integer or a pair of sequences of integers")
            })?;
            (left.0.to_vec(), right.0.to_vec())
        }
        (None, None) => (vec![-2, -1], vec![0, 1]),
    };
    recorded(x1.py(), build::tensordot(&a, &b, &left, &right))
}

/// Sums of products along one axis of two arrays that broadcast.
///
/// Takes numbers. Raises ValueError when the extents along the axis differ, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, axis=-1), text_signature = "(x1, x2, /, *, axis=-1)")]
pub fn vecdot(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>, axis: i64) -> PyResult<Array> {
    recorded(x1.py(), build::vecdot(&array(x1, "vecdot")?, &array(x2, "vecdot")?, axis))
}

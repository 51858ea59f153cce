//! Shapes and arrangements: `reshape` to `unstack`. All but concatenation are views.

use crate::{
    array::Array,
    convert::{self, IntegersArgument, ShapeArgument, array},
    evaluate::{recorded, recorded_tuple},
    views::Step,
};
use fusewire_ir::build;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyTuple};

/// The same elements in row-major order, in another shape; one extent may be -1.
///
/// Raises ValueError when the number of elements differs, or with `copy=False` when that would take a copy.
#[pyfunction]
#[pyo3(signature = (x, /, shape, *, copy=None))]
pub fn reshape(x: &Bound<'_, PyAny>, shape: IntegersArgument, copy: Option<bool>) -> PyResult<Array> {
    reshaped(x, &shape.0, copy)
}

/// As [`reshape`], also for the method.
pub fn reshaped(x: &Bound<'_, PyAny>, shape: &[i64], copy: Option<bool>) -> PyResult<Array> {
    let node = array(x, "reshape")?;
    let dense = node.buffer().is_none_or(|b| b.is_contiguous(&node.shape));
    if copy == Some(false) && !dense {
        return Err(PyValueError::new_err("reshape: copy=False, but the array is not dense in row-major order"));
    }
    match x.cast_exact::<Array>() {
        Ok(whole) if copy != Some(true) => reshaped_view(x.py(), whole.get(), shape),
        _ => recorded(x.py(), build::reshape(&node, shape)),
    }
}

/// The array in another shape: a view where NumPy's would be one, so where the elements lie in row-major order.
pub fn reshaped_view(py: Python<'_>, whole: &Array, shape: &[i64]) -> PyResult<Array> {
    let node = whole.node_attached(py);
    let result = recorded(py, build::reshape(&node, shape))?;
    let dense = whole.variable().is_dense(py) && node.buffer().is_none_or(|b| b.is_contiguous(&node.shape));
    let step = dense.then(|| Step::reshape(&result.node_attached(py).shape));
    Ok(match step {
        Some(step) => result.viewing(py, whole, step),
        None => result,
    })
}

/// The axes in another order: axis `i` of the result is axis `axes[i]` of `x`.
///
/// Raises ValueError when `axes` is no permutation, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axes))]
pub fn permute_dims(x: &Bound<'_, PyAny>, axes: IntegersArgument) -> PyResult<Array> {
    match x.cast_exact::<Array>() {
        Ok(whole) => whole.get().permuted(x.py(), axes.0),
        Err(_) => recorded(x.py(), build::permute_dims(&array(x, "permute_dims")?, &axes.0)),
    }
}

/// Axes moved from `source` to `destination`; the others keep their order.
///
/// Raises ValueError when the lists differ in length or name an axis twice, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, source, destination, /))]
pub fn moveaxis(x: &Bound<'_, PyAny>, source: IntegersArgument, destination: IntegersArgument) -> PyResult<Array> {
    recorded(x.py(), build::moveaxis(&array(x, "moveaxis")?, &source.0, &destination.0))
}

/// What has other axes of extent 1, as a view.
fn with_axes(x: &Bound<'_, PyAny>, result: Array) -> Array {
    let step = Step::reshape(&result.node_attached(x.py()).shape);
    match x.cast_exact::<Array>() {
        Ok(whole) => result.viewing(x.py(), whole.get(), step),
        Err(_) => result,
    }
}

/// New axes of extent 1 at these positions of the result.
///
/// Raises IndexError for a position out of range, ValueError for one given twice.
#[pyfunction]
#[pyo3(signature = (x, /, axis))]
pub fn expand_dims(x: &Bound<'_, PyAny>, axis: IntegersArgument) -> PyResult<Array> {
    Ok(with_axes(x, recorded(x.py(), build::expand_dims(&array(x, "expand_dims")?, &axis.0))?))
}

/// Without these axes, which must have extent 1.
///
/// Raises ValueError for another extent, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis))]
pub fn squeeze(x: &Bound<'_, PyAny>, axis: IntegersArgument) -> PyResult<Array> {
    Ok(with_axes(x, recorded(x.py(), build::squeeze(&array(x, "squeeze")?, &axis.0))?))
}

/// The elements in reverse order along all axes, one or several.
///
/// Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None), text_signature = "(x, /, *, axis=None)")]
pub fn flip(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>) -> PyResult<Array> {
    recorded(x.py(), build::flip(&array(x, "flip")?, axis.as_ref().map(|a| &a.0[..])))
}

/// The elements shifted along axes, those that fall off coming back at the other end; without axes the array is rolled as
/// if it were flat.
///
/// Raises ValueError when shifts and axes do not pair, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, shift, axis=None), text_signature = "(x, /, shift, *, axis=None)")]
pub fn roll(x: &Bound<'_, PyAny>, shift: IntegersArgument, axis: Option<IntegersArgument>) -> PyResult<Array> {
    recorded(x.py(), build::roll(&array(x, "roll")?, &shift.0, axis.as_ref().map(|a| &a.0[..])))
}

/// Arrays one after another along an axis that they have; `axis=None` flattens them first.
///
/// Dtypes are promoted. Raises ValueError when there are no arrays or their shapes do not fit, IndexError for an axis out of
/// range.
#[pyfunction]
#[pyo3(signature = (arrays, /, axis=0), text_signature = "(arrays, /, *, axis=0)")]
pub fn concat(arrays: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
    recorded(arrays.py(), build::concat(&convert::arrays(arrays, "concat")?, axis))
}

/// Arrays of one shape along a new axis.
///
/// Dtypes are promoted. Raises ValueError when there are no arrays or their shapes differ, IndexError for an axis out of
/// range.
#[pyfunction]
#[pyo3(signature = (arrays, /, axis=0), text_signature = "(arrays, /, *, axis=0)")]
pub fn stack(arrays: &Bound<'_, PyAny>, axis: i64) -> PyResult<Array> {
    recorded(arrays.py(), build::stack(&convert::arrays(arrays, "stack")?, axis))
}

/// The parts of the array along an axis, as a tuple of arrays without that axis.
///
/// Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=0), text_signature = "(x, /, *, axis=0)")]
pub fn unstack<'py>(x: &Bound<'py, PyAny>, axis: i64) -> PyResult<Bound<'py, PyTuple>> {
    recorded_tuple(x.py(), build::unstack(&array(x, "unstack")?, axis))
}

/// The array broadcast to a shape.
///
/// Raises ValueError when it does not fit.
#[pyfunction]
#[pyo3(signature = (x, /, shape))]
pub fn broadcast_to(x: &Bound<'_, PyAny>, shape: ShapeArgument) -> PyResult<Array> {
    recorded(x.py(), build::broadcast_to(&array(x, "broadcast_to")?, &shape.0))
}

/// The arrays, each broadcast to their common shape.
///
/// Raises ValueError when there is none.
#[pyfunction]
#[pyo3(signature = (*arrays))]
pub fn broadcast_arrays<'py>(arrays: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    recorded_tuple(arrays.py(), build::broadcast_arrays(&convert::arrays(arrays, "broadcast_arrays")?))
}

/// The common shape of broadcasting.
///
/// Raises ValueError when there is none.
#[pyfunction]
#[pyo3(signature = (*shapes))]
pub fn broadcast_shapes<'py>(py: Python<'py>, shapes: Vec<ShapeArgument>) -> PyResult<Bound<'py, PyTuple>> {
    let shapes: Vec<_> = shapes.into_iter().map(|s| s.0).collect();
    PyTuple::new(py, build::broadcast_shapes(&shapes).map_err(crate::errors::recording)?)
}

/// The array repeated as a whole, `repetitions[i]` times along axis `i`.
///
/// Raises ValueError for negative repetitions.
#[pyfunction]
#[pyo3(signature = (x, repetitions, /))]
pub fn tile(x: &Bound<'_, PyAny>, repetitions: IntegersArgument) -> PyResult<Array> {
    recorded(x.py(), build::tile(&array(x, "tile")?, &repetitions.0))
}

/// The differences of neighbours along an axis, taken `n` times; `prepend` and `append` are joined on first.
///
/// Raises ValueError for a negative `n`, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(
    signature = (x, /, n=1, axis=-1, *, prepend=None, append=None),
    text_signature = "(x, /, *, axis=-1, n=1, prepend=None, append=None)"
)]
pub fn diff(
    x: &Bound<'_, PyAny>,
    n: i64,
    axis: i64,
    prepend: Option<&Bound<'_, PyAny>>,
    append: Option<&Bound<'_, PyAny>>,
) -> PyResult<Array> {
    let n = usize::try_from(n).map_err(|_| PyValueError::new_err(format!("diff: n={n} must not be negative")))?;
    let prepend = prepend.map(|p| array(p, "diff")).transpose()?;
    let append = append.map(|a| array(a, "diff")).transpose()?;
    recorded(x.py(), build::diff(&array(x, "diff")?, axis, n, prepend.as_ref(), append.as_ref()))
}

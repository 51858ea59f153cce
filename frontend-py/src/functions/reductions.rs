//! Reductions, running folds and searching: `sum` to `argmin`.

use crate::{
    array::Array,
    convert::{IntegersArgument, array},
    dtype::DTypeArgument,
    evaluate::recorded,
};
use fusewire_ir::build::{self, Axis};
use pyo3::prelude::*;

/// `axis=`: `None` is every axis.
pub fn axes(axis: Option<IntegersArgument>) -> Axis {
    match axis {
        Some(IntegersArgument(list)) => Axis::List(list),
        None => Axis::All,
    }
}

/// Sum over all axes, one or several.
///
/// Booleans and integers are summed in int64 or uint64, floats in their own dtype, unless `dtype` says otherwise.
/// Raises IndexError for an axis out of range, ValueError for an axis given twice.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, dtype=None, keepdims=false), text_signature = "(x, /, *, axis=None, dtype=None, keepdims=False)")]
pub fn sum(
    x: &Bound<'_, PyAny>,
    axis: Option<IntegersArgument>,
    dtype: Option<DTypeArgument>,
    keepdims: bool,
) -> PyResult<Array> {
    recorded(x.py(), build::sum(&array(x, "sum")?, &axes(axis), dtype.map(|d| d.0), keepdims))
}

/// Product over all axes, one or several.
///
/// Booleans and integers are multiplied in int64 or uint64, floats in their own dtype, unless `dtype` says otherwise.
/// Raises IndexError for an axis out of range, ValueError for an axis given twice.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, dtype=None, keepdims=false), text_signature = "(x, /, *, axis=None, dtype=None, keepdims=False)")]
pub fn prod(
    x: &Bound<'_, PyAny>,
    axis: Option<IntegersArgument>,
    dtype: Option<DTypeArgument>,
    keepdims: bool,
) -> PyResult<Array> {
    recorded(x.py(), build::prod(&array(x, "prod")?, &axes(axis), dtype.map(|d| d.0), keepdims))
}

/// The largest element over all axes, one or several; NaN if there is one.
///
/// Raises ValueError over no elements, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn max(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::max(&array(x, "max")?, &axes(axis), keepdims))
}

/// The smallest element over all axes, one or several; NaN if there is one.
///
/// Raises ValueError over no elements, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn min(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::min(&array(x, "min")?, &axes(axis), keepdims))
}

/// The arithmetic mean over all axes, one or several: in the array's float dtype, float64 for integers.
///
/// NaN over no elements. Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn mean(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::mean(&array(x, "mean")?, &axes(axis), keepdims))
}

/// The variance over all axes, one or several: squared distances from the mean, summed, over `n - correction`.
///
/// In the array's float dtype, float64 for integers. Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, correction=0.0, keepdims=false), text_signature = "(x, /, *, axis=None, correction=0.0, keepdims=False)")]
pub fn var(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, correction: f64, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::var(&array(x, "var")?, &axes(axis), correction, keepdims))
}

/// The standard deviation over all axes, one or several: the square root of `var`.
///
/// In the array's float dtype, float64 for integers. Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, correction=0.0, keepdims=false), text_signature = "(x, /, *, axis=None, correction=0.0, keepdims=False)")]
pub fn std(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, correction: f64, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::std(&array(x, "std")?, &axes(axis), correction, keepdims))
}

/// Is any element true (not 0), over all axes, one or several?
///
/// False over no elements. Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn any(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::any(&array(x, "any")?, &axes(axis), keepdims))
}

/// Are all elements true (not 0), over all axes, one or several?
///
/// True over no elements. Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn all(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::all(&array(x, "all")?, &axes(axis), keepdims))
}

/// How many elements are true (not 0), over all axes, one or several; int64.
///
/// Raises IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn count_nonzero(x: &Bound<'_, PyAny>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::count_nonzero(&array(x, "count_nonzero")?, &axes(axis), keepdims))
}

/// The first position of the largest element along an axis (in the flattened array without one); int64. NaN is largest.
///
/// Raises ValueError over no elements, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn argmax(x: &Bound<'_, PyAny>, axis: Option<i64>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::argmax(&array(x, "argmax")?, axis, keepdims))
}

/// The first position of the smallest element along an axis (in the flattened array without one); int64. NaN is smallest.
///
/// Raises ValueError over no elements, IndexError for an axis out of range.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, keepdims=false), text_signature = "(x, /, *, axis=None, keepdims=False)")]
pub fn argmin(x: &Bound<'_, PyAny>, axis: Option<i64>, keepdims: bool) -> PyResult<Array> {
    recorded(x.py(), build::argmin(&array(x, "argmin")?, axis, keepdims))
}

/// Sums of the elements up to each one, along an axis that a 1-d array need not name.
///
/// With `include_initial` a 0 comes first. Dtypes as for `sum`. Raises ValueError when the axis is missing.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, dtype=None, include_initial=false), text_signature = "(x, /, *, axis=None, dtype=None, include_initial=False)")]
pub fn cumulative_sum(
    x: &Bound<'_, PyAny>,
    axis: Option<i64>,
    dtype: Option<DTypeArgument>,
    include_initial: bool,
) -> PyResult<Array> {
    let node = array(x, "cumulative_sum")?;
    recorded(x.py(), build::cumulative_sum(&node, axis, dtype.map(|d| d.0), include_initial))
}

/// Products of the elements up to each one, along an axis that a 1-d array need not name.
///
/// With `include_initial` a 1 comes first. Dtypes as for `prod`. Raises ValueError when the axis is missing.
#[pyfunction]
#[pyo3(signature = (x, /, axis=None, *, dtype=None, include_initial=false), text_signature = "(x, /, *, axis=None, dtype=None, include_initial=False)")]
pub fn cumulative_prod(
    x: &Bound<'_, PyAny>,
    axis: Option<i64>,
    dtype: Option<DTypeArgument>,
    include_initial: bool,
) -> PyResult<Array> {
    let node = array(x, "cumulative_prod")?;
    recorded(x.py(), build::cumulative_prod(&node, axis, dtype.map(|d| d.0), include_initial))
}

//! Creation: `asarray`, and arrays made of nothing.

use crate::{
    array::Array,
    convert::{IntegerArgument, ShapeArgument, array, is_numpy_scalar, python_number, type_name},
    cuda_interface,
    device::{self, DeviceArgument, chosen},
    dlpack,
    dtype::{self, DTypeArgument},
    errors,
    evaluate::{recorded, recorded_tuple},
    export::element,
    import::{Copy, from_numpy, through_numpy},
    methods::copied,
};
use fusewire_ir::{
    build,
    dtype::DType,
    error::Recorded,
    lazy::{Device, Lazy},
    promote::Weak,
    shape::Shape,
};
use numpy::PyUntypedArray;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use std::sync::Arc;

/// An array of anything that NumPy can make one of: NumPy arrays, Python numbers, nested sequences (of arrays too),
/// objects with a buffer.
///
/// A NumPy array's memory is shared where dtype and layout allow, so that later changes to it may show; `copy=True` always
/// copies, `copy=False` raises ValueError where a copy would be needed. Without `dtype` numbers become bool, int64 (uint64
/// where they only fit there) or float64. Raises TypeError for dtypes that are not supported, OverflowError for integers that do not fit.
#[pyfunction]
#[pyo3(signature = (obj, /, dtype=None, *, device=None, copy=None), text_signature = "(obj, /, *, dtype=None, device=None, copy=None)")]
pub fn asarray<'py>(
    obj: &Bound<'py, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, Array>> {
    let py = obj.py();
    let dtype = dtype.map(|d| d.0);
    let policy = match copy {
        None => Copy::IfNeeded,
        Some(true) => Copy::Always,
        Some(false) => Copy::Never,
    };
    if let Ok(array) = obj.cast_exact::<Array>() {
        return convert(array, dtype, policy, device);
    }
    let forbidden = |what: &str| {
        Err(PyValueError::new_err(format!("copy=False, but an array can only be made of {what} by copying")))
    };
    if let Some(number) = python_number(obj)? {
        if policy == Copy::Never {
            return forbidden("a Python number");
        }
        let dtype = dtype.unwrap_or(default_dtype(number));
        return Bound::new(py, created(py, build::full(Shape::new(), number, dtype), device)?);
    }
    let node = if let Ok(array) = obj.cast::<PyUntypedArray>() {
        from_numpy(array, dtype, policy)?
    } else if is_sequence(obj) {
        if policy == Copy::Never {
            return forbidden("a sequence");
        }
        if holds_arrays(obj, MOST_DIMENSIONS) {
            stacked(obj, dtype, MOST_DIMENSIONS)?
        } else {
            let descriptor = dtype.map(|d| dtype::to_python(py, d)).transpose()?;
            from_numpy(&through_numpy(obj, descriptor.as_ref())?, dtype, Copy::IfNeeded)?
        }
    } else if let Some(node) = cuda_interface::import(obj)? {
        return convert(&Bound::new(py, Array::new(node))?, dtype, policy, device);
    } else {
        let scalar = is_numpy_scalar(obj);
        if scalar && policy == Copy::Never {
            return forbidden("a NumPy scalar");
        }
        from_numpy(&through_numpy(obj, None)?, dtype, policy)?
    };
    if policy == Copy::Never && chosen(device) != device::of(&node) {
        return forbidden(&format!("what is not on {} already", chosen(device)));
    }
    Bound::new(py, Array::new(device::moved(py, node, chosen(device))?))
}

/// What a call makes of nothing: on the device that it names, else on the default one.
fn created(py: Python<'_>, result: Recorded<Arc<Lazy>>, device: Option<DeviceArgument>) -> PyResult<Array> {
    let Some(device) = device else { return recorded(py, result) };
    let node = result.map_err(errors::recording)?;
    recorded(py, Ok(device::moved(py, node, device.0)?))
}

/// An array of ours in another dtype or memory, or on another device.
fn convert<'py>(
    array: &Bound<'py, Array>,
    dtype: Option<DType>,
    policy: Copy,
    device: Option<DeviceArgument>,
) -> PyResult<Bound<'py, Array>> {
    let node = &array.get().node();
    if let Some(DeviceArgument(device)) = device.filter(|device| device.0 != device::of(node)) {
        if policy == Copy::Never {
            let here = device::of(node);
            let message = format!("copy=False, but a copy is needed to move an array from {here} to {device}");
            return Err(PyValueError::new_err(message));
        }
        return convert(&device::moved_array(array, device)?, dtype, Copy::IfNeeded, None);
    }
    match dtype.filter(|&d| d != node.dtype) {
        Some(other) if policy == Copy::Never => Err(PyValueError::new_err(format!(
            "copy=False, but a copy is needed to make {} of {}",
            other.numpy_name(),
            node.dtype.numpy_name()
        ))),
        Some(other) => Bound::new(array.py(), recorded(array.py(), build::astype(node, other))?),
        None if policy == Copy::Always => Bound::new(array.py(), copied(array)?),
        None => Ok(array.clone()),
    }
}

/// Sequences are looked into as deep as arrays have dimensions; a list may hold itself.
const MOST_DIMENSIONS: usize = 64;

/// Does a nested sequence hold arrays of ours?
fn holds_arrays(sequence: &Bound<'_, PyAny>, depth: usize) -> bool {
    let Ok(items) = sequence.try_iter() else { return false };
    items.map_while(Result::ok).any(|item| {
        item.is_exact_instance_of::<Array>() || is_sequence(&item) && depth > 1 && holds_arrays(&item, depth - 1)
    })
}

fn is_sequence(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>()
}

/// A nested sequence with arrays of ours in it, stacked lazily.
fn stacked(sequence: &Bound<'_, PyAny>, dtype: Option<DType>, depth: usize) -> PyResult<Arc<Lazy>> {
    if depth == 0 {
        return Err(PyValueError::new_err(format!("a sequence nested more than {MOST_DIMENSIONS} deep")));
    }
    let part = |item: Bound<'_, PyAny>| {
        if is_sequence(&item) && holds_arrays(&item, depth) {
            return stacked(&item, dtype, depth - 1);
        }
        asarray(&item, dtype.map(DTypeArgument), None, None).map(|part| part.get().node())
    };
    let parts = sequence.try_iter()?.map(|item| part(item?)).collect::<PyResult<Vec<_>>>()?;
    build::stack(&parts, 0).map_err(errors::recording)
}

fn default_dtype(number: Weak) -> DType {
    match number {
        Weak::Bool(_) => DType::Bool,
        Weak::Int(value) if i64::try_from(value).is_err() && u64::try_from(value).is_ok() => DType::U64,
        Weak::Int(_) => DType::I64,
        Weak::Float(_) => DType::F64,
        Weak::Complex(..) => DType::C128,
    }
}

/// An array that shares the memory of any object with DLPack support, which moves it to the device if asked for.
///
/// `copy=True` copies, `copy=False` raises ValueError or BufferError where a copy would be needed. Raises TypeError for what has
/// no `__dlpack__` and for dtypes that are not supported, BufferError for what the object cannot give.
#[pyfunction]
#[pyo3(signature = (x, /, *, device=None, copy=None))]
pub fn from_dlpack<'py>(
    x: &Bound<'py, PyAny>,
    device: Option<DeviceArgument>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, Array>> {
    let py = x.py();
    if let Ok(array) = x.cast_exact::<Array>() {
        let policy = if copy == Some(true) { Copy::Always } else { Copy::IfNeeded };
        return convert(array, None, policy, device);
    }
    if !x.hasattr(intern!(py, "__dlpack__"))? {
        return Err(PyTypeError::new_err(format!("from_dlpack: {} has no __dlpack__", type_name(x))));
    }
    // What is on a GPU and wanted on the host is brought by its owner, who may have a driver where there is none for us.
    let stays = device.is_none_or(|wanted| wanted.0 != Device::Cpu);
    if stays && let Some(node) = dlpack::import(x, copy)? {
        let array = Bound::new(py, Array::new(node))?;
        let policy = if copy == Some(false) { Copy::Never } else { Copy::IfNeeded };
        return convert(&array, None, policy, device);
    }
    let options = PyDict::new(py);
    // NumPy takes what another device has to the host, if it is told so.
    options.set_item(intern!(py, "device"), device.map(|_| "cpu"))?;
    options.set_item(intern!(py, "copy"), copy)?;
    let array = crate::dtype::numpy_module(py)?.call_method(intern!(py, "from_dlpack"), (x,), Some(&options))?;
    let policy = if copy == Some(false) { Copy::Never } else { Copy::IfNeeded };
    let node = from_numpy(array.cast::<PyUntypedArray>()?, None, policy)?;
    Bound::new(py, Array::new(device::moved(py, node, chosen(device))?))
}

/// A Python number, or the value of a 0-d array or NumPy scalar.
fn number(object: &Bound<'_, PyAny>, function: &str) -> PyResult<Weak> {
    if let Some(number) = python_number(object)? {
        return Ok(number);
    }
    if is_numpy_scalar(object) || object.is_exact_instance_of::<Array>() || object.is_instance_of::<PyUntypedArray>() {
        return element(object.py(), &array(object, function)?, function);
    }
    Err(PyTypeError::new_err(format!("{function}: expected a number, got {}", type_name(object))))
}

/// `start`, `start + step`, ... below `stop` (from 0 where only one bound is given).
///
/// int64 of integers, else float64, unless `dtype` says otherwise. Raises ValueError for a step of 0 and for a length that is
/// no number.
#[pyfunction]
#[pyo3(signature = (start, /, stop=None, step=None, dtype=None, *, device=None), text_signature = "(start, /, stop=None, step=1, *, dtype=None, device=None)")]
pub fn arange(
    start: &Bound<'_, PyAny>,
    stop: Option<&Bound<'_, PyAny>>,
    step: Option<&Bound<'_, PyAny>>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    let first = number(start, "arange")?;
    let step = step.map_or(Ok(Weak::Int(1)), |step| number(step, "arange"))?;
    let (first, stop) = match stop {
        Some(stop) => (first, number(stop, "arange")?),
        None => (Weak::Int(0), first),
    };
    created(start.py(), build::arange(first, stop, step, dtype.map(|d| d.0)), device)
}

/// `num` evenly spaced numbers from `start` to `stop`, which is the last one with `endpoint`.
///
/// float64, or complex128 where a bound is complex, unless `dtype` says otherwise. Raises ValueError for a negative `num`,
/// TypeError for complex bounds and a real `dtype`.
#[pyfunction]
#[pyo3(signature = (start, stop, /, num, *, dtype=None, device=None, endpoint=true))]
pub fn linspace(
    start: &Bound<'_, PyAny>,
    stop: &Bound<'_, PyAny>,
    num: i64,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
    endpoint: bool,
) -> PyResult<Array> {
    let count = usize::try_from(num).map_err(|_| PyValueError::new_err(format!("linspace: num={num} is negative")))?;
    let (first, last) = (number(start, "linspace")?, number(stop, "linspace")?);
    created(start.py(), build::linspace(first, last, count, dtype.map(|d| d.0), endpoint), device)
}

/// An array of zeros, float64 unless `dtype` says otherwise. (Memory that is not set cannot be told from zeros.)
///
/// Raises ValueError for a negative extent, MemoryError when the array could not be addressed.
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, device=None), text_signature = "(shape, *, dtype=None, device=None)")]
pub fn empty(
    py: Python<'_>,
    shape: ShapeArgument,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    zeros(py, shape, dtype, device)
}

/// An array of zeros, float64 unless `dtype` says otherwise.
///
/// Raises ValueError for a negative extent, MemoryError when the array could not be addressed.
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, device=None), text_signature = "(shape, *, dtype=None, device=None)")]
pub fn zeros(
    py: Python<'_>,
    shape: ShapeArgument,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    created(py, build::zeros(shape.0, dtype.map_or(DType::F64, |d| d.0)), device)
}

/// An array of ones, float64 unless `dtype` says otherwise.
///
/// Raises ValueError for a negative extent, MemoryError when the array could not be addressed.
#[pyfunction]
#[pyo3(signature = (shape, dtype=None, *, device=None), text_signature = "(shape, *, dtype=None, device=None)")]
pub fn ones(
    py: Python<'_>,
    shape: ShapeArgument,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    created(py, build::ones(shape.0, dtype.map_or(DType::F64, |d| d.0)), device)
}

/// An array whose elements are all one value, by default of the value's dtype.
///
/// Raises ValueError for a negative extent, OverflowError when an integer does not fit the dtype, MemoryError when the array
/// could not be addressed.
#[pyfunction]
#[pyo3(signature = (shape, fill_value, dtype=None, *, device=None), text_signature = "(shape, fill_value, *, dtype=None, device=None)")]
pub fn full(
    shape: ShapeArgument,
    fill_value: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    created(fill_value.py(), filled(shape.0, fill_value, dtype.map(|d| d.0), "full")?, device)
}

/// Arrays like others are where those are.
fn beside(like: &Lazy, device: Option<DeviceArgument>) -> DeviceArgument {
    device.unwrap_or(DeviceArgument(device::of(like)))
}

fn filled(
    shape: Shape,
    value: &Bound<'_, PyAny>,
    dtype: Option<DType>,
    function: &str,
) -> PyResult<Recorded<Arc<Lazy>>> {
    if let Some(number) = python_number(value)? {
        return Ok(build::full(shape, number, dtype.unwrap_or(default_dtype(number))));
    }
    let value = array(value, function)?;
    let dtype = dtype.unwrap_or(value.dtype);
    Ok(build::astype(&value, dtype).and_then(|value| build::broadcast_to(&value, &shape)))
}

/// Zeros in the shape and, unless `dtype` says otherwise, the dtype of `x`.
#[pyfunction]
#[pyo3(signature = (x, /, dtype=None, *, device=None), text_signature = "(x, /, *, dtype=None, device=None)")]
pub fn empty_like(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    zeros_like(x, dtype, device)
}

/// Zeros in the shape and, unless `dtype` says otherwise, the dtype of `x`.
#[pyfunction]
#[pyo3(signature = (x, /, dtype=None, *, device=None), text_signature = "(x, /, *, dtype=None, device=None)")]
pub fn zeros_like(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    let like = array(x, "zeros_like")?;
    created(x.py(), build::zeros(like.shape.clone(), dtype.map_or(like.dtype, |d| d.0)), Some(beside(&like, device)))
}

/// Ones in the shape and, unless `dtype` says otherwise, the dtype of `x`.
#[pyfunction]
#[pyo3(signature = (x, /, dtype=None, *, device=None), text_signature = "(x, /, *, dtype=None, device=None)")]
pub fn ones_like(
    x: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    let like = array(x, "ones_like")?;
    created(x.py(), build::ones(like.shape.clone(), dtype.map_or(like.dtype, |d| d.0)), Some(beside(&like, device)))
}

/// One value in the shape and, unless `dtype` says otherwise, the dtype of `x`.
///
/// Raises OverflowError when an integer does not fit the dtype.
#[pyfunction]
#[pyo3(signature = (x, /, fill_value, dtype=None, *, device=None), text_signature = "(x, /, fill_value, *, dtype=None, device=None)")]
pub fn full_like(
    x: &Bound<'_, PyAny>,
    fill_value: &Bound<'_, PyAny>,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    let like = array(x, "full_like")?;
    let dtype = dtype.map_or(like.dtype, |d| d.0);
    let filled = filled(like.shape.clone(), fill_value, Some(dtype), "full_like")?;
    created(x.py(), filled, Some(beside(&like, device)))
}

/// Ones on diagonal `k`, zeros elsewhere; float64 unless `dtype` says otherwise.
///
/// Raises ValueError for a negative extent.
#[pyfunction]
#[pyo3(signature = (n_rows, n_cols=None, /, k=IntegerArgument(0), *, dtype=None, device=None), text_signature = "(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)")]
pub fn eye(
    py: Python<'_>,
    n_rows: i64,
    n_cols: Option<i64>,
    k: IntegerArgument,
    dtype: Option<DTypeArgument>,
    device: Option<DeviceArgument>,
) -> PyResult<Array> {
    let extent = |n: i64| usize::try_from(n).map_err(|_| PyValueError::new_err(format!("eye: negative extent {n}")));
    let (rows, columns) = (extent(n_rows)?, extent(n_cols.unwrap_or(n_rows))?);
    created(py, build::eye(rows, columns, k.0, dtype.map_or(DType::F64, |d| d.0)), device)
}

/// The lower triangles of a stack of matrices: elements above diagonal `k` become 0.
///
/// Raises ValueError for fewer than 2 axes.
#[pyfunction]
#[pyo3(signature = (x, /, k=IntegerArgument(0)), text_signature = "(x, /, *, k=0)")]
pub fn tril(x: &Bound<'_, PyAny>, k: IntegerArgument) -> PyResult<Array> {
    recorded(x.py(), build::tri(&array(x, "tril")?, k.0, true))
}

/// The upper triangles of a stack of matrices: elements below diagonal `k` become 0.
///
/// Raises ValueError for fewer than 2 axes.
#[pyfunction]
#[pyo3(signature = (x, /, k=IntegerArgument(0)), text_signature = "(x, /, *, k=0)")]
pub fn triu(x: &Bound<'_, PyAny>, k: IntegerArgument) -> PyResult<Array> {
    recorded(x.py(), build::tri(&array(x, "triu")?, k.0, false))
}

/// Coordinate arrays of a grid, one for each 1-d array; `indexing` is `"xy"` (first two axes exchanged) or `"ij"`.
///
/// Raises ValueError for arrays of more than 1 dimension and for another `indexing`.
#[pyfunction]
#[pyo3(signature = (*arrays, indexing="xy"))]
pub fn meshgrid<'py>(arrays: &Bound<'py, PyTuple>, indexing: &str) -> PyResult<Bound<'py, PyTuple>> {
    let cartesian = match indexing {
        "xy" => true,
        "ij" => false,
        _ => {
            return Err(PyValueError::new_err(format!(
                "meshgrid: indexing must be \"xy\" or \"ij\", got {indexing:?}"
            )));
        }
    };
    recorded_tuple(arrays.py(), build::meshgrid(&crate::convert::arrays(arrays, "meshgrid")?, cartesian))
}

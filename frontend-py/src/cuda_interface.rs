//! `__cuda_array_interface__`, version 3: arrays of a GPU out to and in from CuPy, Numba, PyTorch and others, without a copy.

use crate::{
    array::Array,
    device::{self, DeviceArgument},
    dlpack, dtype, errors,
    evaluate::computed,
};
use fusewire_ir::{
    dtype::DType,
    lazy::{Device, Lazy},
    shape::Shape,
    value::{Strides, dense_strides},
};
use fusewire_jit_gpu::{cuda, driver::Stream};
use pyo3::{
    exceptions::{PyAttributeError, PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::{PyDict, PyTuple},
};
use std::sync::Arc;

/// The dictionary of an array on a GPU of NVIDIA's; others have none.
pub fn export<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyDict>> {
    let device = device::of(&array.get().node());
    if !matches!(device, Device::Cuda(_)) {
        return Err(PyAttributeError::new_err(format!("an array on {device} has no __cuda_array_interface__")));
    }
    describe_memory(array)
}

/// What `__cuda_array_interface__` is for an array on `cuda`, for any device that is a GPU or stands for one.
#[pyfunction]
#[pyo3(signature = (array, /))]
pub fn describe_memory<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyDict>> {
    let (py, node) = (array.py(), array.get().node());
    let device = device::of(&node);
    let buffer = computed(py, &node)?;
    let stream = dlpack::interchange_of(device)?.stream().map_err(errors::computing)?;
    // What others read on this stream comes after what the array's own has to do.
    dlpack::interchange_of(device)?.order_foreign(&*buffer.storage, stream).map_err(errors::computing)?;
    let strides = (!buffer.is_contiguous(&node.shape)).then_some(&buffer.strides);
    describe(py, &node, buffer.pointer().addr(), strides, stream)
}

fn describe<'py>(
    py: Python<'py>,
    node: &Lazy,
    address: usize,
    strides: Option<&Strides>,
    stream: Stream,
) -> PyResult<Bound<'py, PyDict>> {
    if node.dtype == DType::BF16 {
        return Err(PyAttributeError::new_err("bfloat16 has no name in __cuda_array_interface__; use DLPack"));
    }
    let size = node.dtype.size() as isize;
    let strides = strides.map(|strides| PyTuple::new(py, strides.iter().map(|stride| stride * size))).transpose()?;
    // Nothing is at an address that an empty array could have.
    let address = if node.shape.contains(&0) { 0 } else { address };
    let description = PyDict::new(py);
    description.set_item("shape", PyTuple::new(py, &node.shape)?)?;
    description.set_item("typestr", dtype::to_python(py, node.dtype)?.getattr(intern!(py, "str"))?)?;
    description.set_item("data", (address, false))?;
    description.set_item("strides", strides)?;
    description.set_item("stream", stream.0)?;
    description.set_item("version", 3)?;
    Ok(description)
}

/// An array of somebody's, from its dictionary, without a copy; `None` for what has none.
pub fn import(object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Lazy>>> {
    let py = object.py();
    let Some(description) = object.getattr_opt(intern!(py, "__cuda_array_interface__"))? else { return Ok(None) };
    let described = Described::read(description.cast::<PyDict>()?)?;
    let number = cuda::device_of(described.address).map_err(errors::computing)?;
    // What is empty is nowhere.
    let device = Device::Cuda(number.unwrap_or(0));
    if number.is_none() && !described.shape.contains(&0) {
        let address = described.address;
        return Err(PyValueError::new_err(format!("__cuda_array_interface__: {address:#x} is no address of a GPU")));
    }
    device::ready(py, device).map_err(errors::computing)?;
    adopted(object, described, device).map(Some)
}

/// The array that such a dictionary describes, whose memory is on a device and its owner's.
#[pyfunction]
#[pyo3(signature = (owner, description, device, /))]
pub fn adopt_memory(
    owner: &Bound<'_, PyAny>,
    description: &Bound<'_, PyDict>,
    device: DeviceArgument,
) -> PyResult<Array> {
    adopted(owner, Described::read(description)?, device.0).map(Array::new)
}

fn adopted(owner: &Bound<'_, PyAny>, described: Described, device: Device) -> PyResult<Arc<Lazy>> {
    let here = dlpack::interchange_of(device)?;
    if let Some(stream) = described.stream {
        here.order_after_foreign(Stream(stream)).map_err(errors::computing)?;
    }
    let Described { dtype, shape, strides, address, read_only, .. } = described;
    let owner = Box::new(owner.clone().unbind());
    dlpack::array_at(here, device, dtype, shape, strides, address, read_only, owner)
}

/// What a dictionary says.
struct Described {
    dtype: DType,
    shape: Shape,
    /// In elements.
    strides: Strides,
    address: u64,
    read_only: bool,
    stream: Option<usize>,
}

impl Described {
    fn read(description: &Bound<'_, PyDict>) -> PyResult<Described> {
        let py = description.py();
        let field = |name: &str| Ok::<_, PyErr>(description.get_item(name)?.filter(|value| !value.is_none()));
        let needed = |name: &str| {
            field(name)?.ok_or_else(|| PyValueError::new_err(format!("__cuda_array_interface__ has no {name:?}")))
        };
        let typestr = needed("typestr")?;
        let descriptor = dtype::numpy_module(py)?.call_method1(intern!(py, "dtype"), (&typestr,))?;
        let dtype::Layout::Native(dtype) = dtype::layout(descriptor.cast()?) else {
            return Err(PyTypeError::new_err(format!(
                "__cuda_array_interface__: elements {typestr} cannot become a fusewire array; supported are {}",
                dtype::supported()
            )));
        };
        if field("mask")?.is_some() {
            return Err(PyTypeError::new_err("__cuda_array_interface__: masked arrays are not supported"));
        }
        let shape: Shape = needed("shape")?.extract::<Vec<usize>>()?.into();
        let size = dtype.size() as isize;
        let strides: Strides = match field("strides")? {
            None => dense_strides(&shape),
            Some(strides) => {
                let bytes = strides.extract::<Vec<isize>>()?;
                if bytes.len() != shape.len() || bytes.iter().any(|stride| stride % size != 0) {
                    return Err(PyValueError::new_err(format!(
                        "__cuda_array_interface__: strides {bytes:?} are none of whole elements for shape {shape:?}"
                    )));
                }
                bytes.iter().map(|stride| stride / size).collect()
            }
        };
        let (address, read_only) = needed("data")?.extract::<(u64, bool)>()?;
        let stream = field("stream")?.map(|stream| stream.extract::<usize>()).transpose()?;
        if stream == Some(0) {
            return Err(PyValueError::new_err("__cuda_array_interface__: stream 0 could be two; it is 1 or 2"));
        }
        Ok(Described { dtype, shape, strides, address, read_only, stream })
    }
}

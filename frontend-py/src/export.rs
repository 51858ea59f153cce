//! Computed nodes as NumPy arrays, without a copy; and single elements as Python numbers.

use crate::{
    array::{Array, Exported},
    device, dlpack,
    dtype::to_python,
    evaluate::computed,
    import::NumpyMemory,
    methods,
};
use fusewire_ir::{
    dtype::{DType, Kind},
    lazy::{Device, Lazy},
    promote::Weak,
    scalar::Scalar,
};
use fusewire_runtime::assign::{is_alone, is_exclusive};
use numpy::{
    PyArrayDescrMethods, PyUntypedArray,
    npyffi::{NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API, get_type_object, npy_intp},
};
use pyo3::{
    exceptions::{PyBufferError, PyTypeError},
    ffi,
    prelude::*,
    types::PyComplex,
};
use smallvec::SmallVec;
use std::{ptr, sync::Arc};

/// The array as a NumPy array that shares its memory, computed first where it is not; of what another device has, a copy.
///
/// It can be written to if the memory came from a writable NumPy array, or if nobody but `array` can see it: a value that a
/// recorded call still waits for must not change under it.
pub fn to_numpy<'py>(array: &Bound<'py, Array>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
    let node = &array.get().node();
    let buffer = computed(py, node)?;
    if buffer.storage.device() != Device::Cpu {
        let here = Array::new(device::moved(py, node.clone(), Device::Cpu)?);
        return to_numpy(&Bound::new(py, here)?);
    }
    let size = node.dtype.size();
    let mut extents: SmallVec<[npy_intp; 4]> = node.shape.iter().map(|&d| d as npy_intp).collect();
    let mut strides: SmallVec<[npy_intp; 4]> = buffer.strides.iter().map(|&s| s * size as npy_intp).collect();
    let borrowed = buffer.storage.as_any().is::<NumpyMemory>();
    let exported = array.get().export(node);
    // The handle, this function and what NumPy arrays hold on to.
    let alone = is_exclusive(node, 3);
    let writable = !buffer.storage.read_only() && (borrowed || alone);
    let dtype = to_python(py, node.dtype)?;
    let owner = Bound::new(py, Memory { _node: exported })?;
    let flags = if writable { NPY_ARRAY_WRITEABLE } else { 0 };
    // SAFETY: the thread is attached. `PyArray_NewFromDescr` takes over the descriptor's reference, copies extents and
    // strides, and does not own the memory, which lies within the storage. `PyArray_SetBaseObject` takes over the reference
    // to the owner, which keeps the storage alive as long as the NumPy array lives.
    unsafe {
        let result = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            get_type_object(py, NpyTypes::PyArray_Type),
            dtype.into_dtype_ptr(),
            extents.len() as i32,
            extents.as_mut_ptr(),
            strides.as_mut_ptr(),
            buffer.pointer().cast(),
            flags,
            ptr::null_mut(),
        );
        let result = Bound::from_owned_ptr_or_err(py, result)?;
        if PY_ARRAY_API.PyArray_SetBaseObject(py, result.as_ptr().cast(), owner.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(result.cast_into_unchecked())
    }
}

/// The array, on a GPU, as a DLPack capsule that shares its memory, computed first where it is not.
pub fn to_capsule<'py>(
    array: &Bound<'py, Array>,
    stream: Option<&Bound<'py, PyAny>>,
    flagged: bool,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let stream = stream.map(|stream| stream.extract::<i64>()).transpose()?;
    let node = array.get().node();
    let (backwards, read_only, device) = {
        let buffer = computed(py, &node)?;
        (buffer.strides.iter().any(|&stride| stride < 0), buffer.storage.read_only(), buffer.storage.device())
    };
    let (exported, alone) = (array.get().export(&node), is_alone(&node, 3));
    let writable = !read_only && alone;
    let unfit = backwards || !(flagged || writable);
    if unfit && copy == Some(false) {
        return Err(PyBufferError::new_err(
            "__dlpack__: copy=False, but the consumer cannot take the memory as it is: it lies backwards, or others use it \
             and the consumer knows no read-only memory",
        ));
    }
    let (exported, copied) = match copy == Some(true) || unfit {
        true => (Arc::new(Exported(methods::copied(array)?.node())), true),
        false => (exported, false),
    };
    let buffer = computed(py, &exported.0)?;
    dlpack::order_consumer(device, &*buffer.storage, stream)?;
    dlpack::capsule(py, exported.clone(), flagged, copied || writable, copied)
}

/// What NumPy arrays hold on to whose memory is ours.
#[pyclass(module = "fusewire", frozen)]
struct Memory {
    _node: Arc<Exported>,
}

/// The one element of an array of size 1, computed first where it is not. `what` asks, for the error.
pub fn element(py: Python<'_>, node: &Arc<Lazy>, what: &str) -> PyResult<Weak> {
    if node.shape.iter().any(|&d| d != 1) {
        return Err(PyTypeError::new_err(format!(
            "{what} needs an array of one element, got shape {}",
            fusewire_ir::build::tuple(&node.shape)
        )));
    }
    computed(py, node)?;
    let node = &device::moved(py, node.clone(), Device::Cpu)?;
    let pointer = computed(py, node)?.pointer().cast_const();
    if !node.dtype.is_complex() {
        return Ok(number(read(node.dtype, pointer)));
    }
    let part = node.dtype.component();
    let imaginary = pointer.wrapping_add(part.size());
    Ok(Weak::Complex(read(part, pointer).as_f64(), read(part, imaginary).as_f64()))
}

fn read(dtype: DType, pointer: *const u8) -> Scalar {
    // SAFETY: the pointer is to an element of that dtype (or to a part of one) inside a computed buffer, aligned to its size.
    let bits = unsafe {
        match dtype.size() {
            1 => pointer.read() as u64,
            2 => pointer.cast::<u16>().read() as u64,
            4 => pointer.cast::<u32>().read() as u64,
            _ => pointer.cast::<u64>().read(),
        }
    };
    Scalar::from_bits(dtype, bits)
}

fn number(scalar: Scalar) -> Weak {
    match scalar.dtype().kind() {
        Kind::Bool => Weak::Bool(scalar.as_bool()),
        Kind::Signed => Weak::Int(scalar.as_i64().into()),
        Kind::Unsigned => Weak::Int(scalar.bits().into()),
        Kind::Float | Kind::Complex => Weak::Float(scalar.as_f64()),
    }
}

/// A number as a Python bool, int, float or complex.
pub fn to_python_number(py: Python<'_>, number: Weak) -> PyResult<Bound<'_, PyAny>> {
    Ok(match number {
        Weak::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Weak::Int(value) => value.into_pyobject(py)?.into_any(),
        Weak::Float(value) => value.into_pyobject(py)?.into_any(),
        Weak::Complex(re, im) => PyComplex::from_doubles(py, re, im).into_any(),
    })
}

/// Fills in a view for Python's buffer protocol.
pub fn buffer_protocol(array: &Bound<'_, Array>, view: *mut ffi::Py_buffer, flags: i32) -> PyResult<()> {
    let exporter = to_numpy(array)?;
    // SAFETY: `view` is the interpreter's to fill in. The request is redirected to the NumPy array, which becomes the view's
    // owner and keeps `array` alive; releasing goes to it too.
    if unsafe { ffi::PyObject_GetBuffer(exporter.as_ptr(), view, flags) } < 0 {
        return Err(PyErr::fetch(array.py()));
    }
    Ok(())
}

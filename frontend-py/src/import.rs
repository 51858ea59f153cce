//! NumPy arrays as lazy nodes: without a copy wherever the layout allows, else through one NumPy copy.

use crate::{
    dtype::{Layout, layout, supported, to_python},
    errors,
};
use fusewire_ir::{
    build,
    dtype::DType,
    lazy::{Device, Lazy},
    shape::Shape,
    value::{Buffer, Storage, Strides},
};
use numpy::{
    PyArrayDescr, PyUntypedArray, PyUntypedArrayMethods,
    npyffi::{_PyArray_GET_ITEM_DATA, NPY_ARRAY_WRITEABLE},
};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    intern,
    prelude::*,
    types::PyDict,
};
use std::{any::Any, sync::Arc};

/// Memory of a NumPy array, which it keeps alive.
#[derive(Debug)]
pub struct NumpyMemory {
    /// The lowest address that the array's elements have.
    start: *mut u8,
    bytes: usize,
    read_only: bool,
    /// The array. Dropped without the interpreter, the reference is given back when some thread attaches next.
    _owner: Py<PyUntypedArray>,
}

// SAFETY: the memory belongs to `_owner`, which this value keeps alive; a NumPy array does not move its data while others
// hold references to it. Writes by the user during a computation are theirs to order, as with NumPy and threads.
unsafe impl Send for NumpyMemory {}
// SAFETY: as above; the fields never change.
unsafe impl Sync for NumpyMemory {}

impl Storage for NumpyMemory {
    fn pointer(&self) -> *mut u8 {
        self.start
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// May a NumPy array be copied on its way in?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copy {
    /// Always.
    Always,
    /// Where sharing is impossible.
    IfNeeded,
    /// ValueError where sharing is impossible.
    Never,
}

/// A NumPy array as a node, of another dtype if asked for.
///
/// Fails with TypeError for dtypes that are not ours, ValueError when a copy is needed and forbidden.
pub fn from_numpy(array: &Bound<'_, PyUntypedArray>, dtype: Option<DType>, copy: Copy) -> PyResult<Arc<Lazy>> {
    let found = layout(&array.dtype());
    if let Layout::Native(own) = found
        && copy != Copy::Always
        && dtype.is_none_or(|d| d == own)
        && let Some(node) = shared(array, own)
    {
        return Ok(node);
    }
    let target = match (found, dtype) {
        (Layout::Native(own) | Layout::Swapped(own), Some(other))
            if own.is_complex() && !other.is_complex() && other != DType::Bool =>
        {
            let (own, other) = (own.numpy_name(), other.numpy_name());
            return Err(PyTypeError::new_err(format!("a NumPy array of dtype {own} cannot become one of {other}")));
        }
        (Layout::Native(own) | Layout::Swapped(own), dtype) => dtype.unwrap_or(own),
        (Layout::Foreign, _) => {
            return Err(PyTypeError::new_err(format!(
                "a NumPy array of dtype {} cannot become a fusewire array; supported are {}",
                array.dtype(),
                supported()
            )));
        }
    };
    if copy == Copy::Never {
        return Err(PyValueError::new_err(format!(
            "copy=False, but a copy is needed to make a {} array of a NumPy array of dtype {} and strides {:?}",
            target.numpy_name(),
            array.dtype(),
            array.strides()
        )));
    }
    let own = matches!(found, Layout::Native(own) | Layout::Swapped(own) if own == target);
    if target == DType::BF16 && !own {
        // What NumPy calls for the conversion goes through float32 and rounds twice.
        return build::astype(&from_numpy(array, None, Copy::Always)?, target).map_err(errors::recording);
    }
    let py = array.py();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "order"), intern!(py, "C"))?;
    options.set_item(intern!(py, "subok"), false)?;
    let copied = array.call_method(intern!(py, "astype"), (to_python(py, target)?,), Some(&options))?;
    shared(copied.cast::<PyUntypedArray>()?, target)
        .ok_or_else(|| PyValueError::new_err("NumPy made an array whose memory cannot be shared"))
}

/// The array's memory as it is, or `None` when it is not aligned or its strides are not multiples of the element's size.
fn shared(array: &Bound<'_, PyUntypedArray>, dtype: DType) -> Option<Arc<Lazy>> {
    // SAFETY: the array is alive and the thread attached, so its fields can be read.
    let fields = unsafe { &*_PyArray_GET_ITEM_DATA(array.as_array_ptr()) };
    let data = fields.data as *mut u8;
    let shape: Shape = array.shape().into();
    let size = dtype.size() as isize;
    let empty = shape.contains(&0);
    let mut strides = Strides::with_capacity(shape.len());
    let (mut low, mut high) = (0isize, 0isize);
    for (&extent, &stride) in shape.iter().zip(array.strides()) {
        if extent <= 1 || empty {
            // Nobody ever takes such a step, and NumPy leaves arbitrary numbers there.
            strides.push(size);
            continue;
        }
        let reach = stride * (extent as isize - 1);
        low += reach.min(0);
        high += reach.max(0);
        strides.push(stride);
    }
    if empty {
        high = -size;
    }
    if !(data as usize).is_multiple_of(dtype.component().size()) || strides.iter().any(|s| s % size != 0) {
        return None;
    }
    for stride in &mut strides {
        *stride /= size;
    }
    let memory = NumpyMemory {
        start: data.wrapping_offset(low),
        bytes: (high - low + size) as usize,
        read_only: fields.flags & NPY_ARRAY_WRITEABLE == 0,
        _owner: array.clone().unbind(),
    };
    let buffer = Buffer { storage: Arc::new(memory), offset: (-low) as usize, strides };
    Some(Lazy::computed(buffer, dtype, shape, Device::Cpu))
}

/// `numpy.asarray(object, dtype)`: lists, buffers, scalars, foreign arrays.
pub fn through_numpy<'py>(
    object: &Bound<'py, PyAny>,
    dtype: Option<&Bound<'py, PyArrayDescr>>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let numpy = crate::dtype::numpy_module(object.py())?;
    let array = numpy.call_method1(intern!(object.py(), "asarray"), (object, dtype))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

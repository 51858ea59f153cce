//! Arguments of recorded calls: arrays, NumPy arrays and scalars, Python numbers, lists, shapes, axes.

use crate::{
    array::Array,
    device, errors,
    export::element,
    import::{Copy, from_numpy, through_numpy},
};
use fusewire_ir::{
    build::{self, Operand},
    lazy::Lazy,
    promote::Weak,
    shape::Shape,
};
use numpy::{
    PyUntypedArray,
    npyffi::{NpyTypes, PY_ARRAY_API, get_type_object},
};
use pyo3::{
    exceptions::{PyOverflowError, PyTypeError, PyValueError},
    ffi,
    prelude::*,
    types::{PyBool, PyComplex, PyFloat, PyInt, PyList, PyTuple},
};
use smallvec::SmallVec;
use std::{ptr, sync::Arc};

/// An operand: an array of ours or of NumPy's, a NumPy scalar, a Python number, a list. `None` for anything else, about
/// which an operator says `NotImplemented` and a function TypeError.
pub fn operand(object: &Bound<'_, PyAny>) -> PyResult<Option<Operand>> {
    if let Ok(array) = object.cast_exact::<Array>() {
        return Ok(Some(Operand::Array(array.get().node_attached(object.py()))));
    }
    if let Some(number) = python_number(object)? {
        return Ok(Some(Operand::Scalar(number)));
    }
    if let Ok(array) = object.cast::<PyUntypedArray>() {
        let node = from_numpy(array, None, Copy::IfNeeded)?;
        return at_default(object.py(), node).map(|node| Some(Operand::Array(node)));
    }
    if is_numpy_scalar(object) {
        return numpy_scalar(object).map(|node| Some(Operand::Array(node)));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return nested(object).map(|node| Some(Operand::Array(node)));
    }
    Ok(None)
}

/// A Python bool, int, float or complex (NumPy's float64 is a float by inheritance, but not weak, hence not here).
pub fn python_number(object: &Bound<'_, PyAny>) -> PyResult<Option<Weak>> {
    if let Ok(value) = object.cast_exact::<PyFloat>() {
        return Ok(Some(Weak::Float(value.value())));
    }
    if let Ok(value) = object.cast_exact::<PyInt>() {
        return integer(value).map(|value| Some(Weak::Int(value)));
    }
    if let Ok(value) = object.cast_exact::<PyBool>() {
        return Ok(Some(Weak::Bool(value.is_true())));
    }
    if let Ok(value) = object.cast_exact::<PyComplex>() {
        return Ok(Some(Weak::Complex(value.real(), value.imag())));
    }
    if is_numpy_scalar(object) {
        return Ok(None);
    }
    if let Ok(value) = object.cast::<PyInt>() {
        return integer(value).map(|value| Some(Weak::Int(value)));
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(Some(Weak::Float(value.value())));
    }
    if let Ok(value) = object.cast::<PyComplex>() {
        return Ok(Some(Weak::Complex(value.real(), value.imag())));
    }
    Ok(None)
}

fn integer(value: &Bound<'_, PyInt>) -> PyResult<i128> {
    let mut overflow = 0;
    // SAFETY: the object is an int, so the call cannot fail but by overflow, which it reports.
    let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &mut overflow) };
    if overflow == 0 {
        return Ok(small.into());
    }
    value
        .extract::<i128>()
        .map_err(|_| PyOverflowError::new_err("a Python integer of more than 128 bits fits no dtype"))
}

/// Is it an instance of `numpy.generic`?
pub fn is_numpy_scalar(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: both are pointers to live objects, and the thread is attached.
    unsafe {
        let generic = get_type_object(object.py(), NpyTypes::PyGenericArrType_Type);
        ffi::PyObject_TypeCheck(object.as_ptr(), generic) != 0
    }
}

/// A NumPy scalar as a 0-d array of its own dtype.
fn numpy_scalar(object: &Bound<'_, PyAny>) -> PyResult<Arc<Lazy>> {
    let py = object.py();
    // SAFETY: the object is a NumPy scalar; without a descriptor the call makes a 0-d array of the scalar's dtype.
    let array = unsafe {
        Bound::from_owned_ptr_or_err(py, PY_ARRAY_API.PyArray_FromScalar(py, object.as_ptr(), ptr::null_mut()))?
    };
    let node = from_numpy(array.cast::<PyUntypedArray>()?, None, Copy::IfNeeded)?;
    // A number is at home on every device.
    let value = element(py, &node, "a NumPy scalar")?;
    build::full(Shape::new(), value, node.dtype).map_err(errors::recording)
}

/// A nested list of numbers and arrays.
fn nested(object: &Bound<'_, PyAny>) -> PyResult<Arc<Lazy>> {
    at_default(object.py(), from_numpy(&through_numpy(object, None)?, None, Copy::IfNeeded)?)
}

/// What came from the host's memory, where new arrays go.
fn at_default(py: Python<'_>, node: Arc<Lazy>) -> PyResult<Arc<Lazy>> {
    device::moved(py, node, device::default_device())
}

/// A function's argument where an array or a number is meant.
pub fn argument(object: &Bound<'_, PyAny>, function: &str) -> PyResult<Operand> {
    operand(object)?.ok_or_else(|| {
        PyTypeError::new_err(format!("{function}: expected an array or a number, got {}", type_name(object)))
    })
}

/// A function's argument where an array is meant; a number counts as a 0-d array of its default dtype.
pub fn array(object: &Bound<'_, PyAny>, function: &str) -> PyResult<Arc<Lazy>> {
    if let Ok(array) = object.cast_exact::<Array>() {
        return Ok(array.get().node());
    }
    match argument(object, function)? {
        Operand::Array(node) => Ok(node),
        Operand::Scalar(_) => nested(object),
    }
}

/// A sequence of arrays.
pub fn arrays(object: &Bound<'_, PyAny>, function: &str) -> PyResult<Vec<Arc<Lazy>>> {
    if let Ok(stack) = object.cast_exact::<Array>() {
        let rows = fusewire_ir::build::unstack(&stack.get().node(), 0).map_err(crate::errors::recording)?;
        return Ok(rows);
    }
    object.try_iter()?.map(|item| array(&item?, function)).collect()
}

/// The name of an object's type, for errors.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

/// `shape=`: an integer or a sequence of integers, none negative.
pub struct ShapeArgument(pub Shape);

impl<'a, 'py> FromPyObject<'a, 'py> for ShapeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let extents = IntegersArgument::extract(object)?.0;
        extents
            .into_iter()
            .map(|extent| {
                usize::try_from(extent)
                    .map_err(|_| PyValueError::new_err(format!("negative extent {extent} in a shape")))
            })
            .collect::<PyResult<Shape>>()
            .map(ShapeArgument)
    }
}

/// An integer of any size where those past 64 bits mean what the largest do: which diagonal.
#[derive(Clone, Copy)]
pub struct IntegerArgument(pub i64);

impl<'a, 'py> FromPyObject<'a, 'py> for IntegerArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        index(&object).map(IntegerArgument)
    }
}

/// An integer or a sequence of integers: axes, shifts, repetitions, a shape that may hold -1.
pub struct IntegersArgument(pub SmallVec<[i64; 4]>);

impl<'a, 'py> FromPyObject<'a, 'py> for IntegersArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return tuple.iter_borrowed().map(|item| index(&item)).collect::<PyResult<_>>().map(IntegersArgument);
        }
        if let Some(single) = try_index(&object)? {
            return Ok(IntegersArgument(SmallVec::from_elem(single, 1)));
        }
        let items = object.try_iter().map_err(|_| {
            PyTypeError::new_err(format!("expected an integer or a sequence of integers, got {}", type_name(&object)))
        })?;
        items.map(|item| index(&item?)).collect::<PyResult<_>>().map(IntegersArgument)
    }
}

/// An integer through `__index__`.
pub fn index(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    try_index(object)?.ok_or_else(|| PyTypeError::new_err(format!("expected an integer, got {}", type_name(object))))
}

/// An integer through `__index__`, `None` when the object offers none. Integers past 64 bits saturate: no axis, extent or
/// position is that large, and what is out of range either way gives the same error.
pub fn try_index(object: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    // SAFETY: the pointer is to a live object.
    if unsafe { ffi::PyIndex_Check(object.as_ptr()) } == 0 {
        return Ok(None);
    }
    // SAFETY: as above; a null result carries the exception.
    let number = match unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PyNumber_Index(object.as_ptr())) } {
        Ok(number) => number,
        // Every array has `__index__`, and those that are no integer say TypeError.
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut overflow = 0;
    // SAFETY: `PyNumber_Index` gave an int.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &mut overflow) };
    Ok(Some(match overflow {
        0 => value,
        1 => i64::MAX,
        _ => i64::MIN,
    }))
}

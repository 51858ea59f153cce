//! Data types and what is known without computing: `astype`, `result_type`, `can_cast`.

use crate::{
    array::Array,
    convert::{array, operand},
    device::{DeviceArgument, moved},
    dtype::{DTypeArgument, parse, to_python},
    evaluate::recorded,
};
use fusewire_ir::{
    build::{self, Operand},
    dtype::DType,
    promote::{Weak, common, result_type as promoted},
};
use numpy::PyArrayDescr;
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyTuple, PyType},
};
use std::sync::Arc;

/// The array converted to a dtype. Floats are truncated to integers; what does not fit gives NumPy's results.
///
/// With `copy=False` the array itself where nothing changes.
#[pyfunction]
#[pyo3(signature = (x, dtype, /, *, copy=true, device=None))]
pub fn astype<'py>(
    x: &Bound<'py, PyAny>,
    dtype: DTypeArgument,
    copy: bool,
    device: Option<DeviceArgument>,
) -> PyResult<Bound<'py, Array>> {
    let node = array(x, "astype")?;
    let node = device.map_or_else(|| Ok(node.clone()), |device| moved(x.py(), node.clone(), device.0))?;
    match x.cast_exact::<Array>() {
        Ok(own) if !copy && node.dtype == dtype.0 && Arc::ptr_eq(&node, &own.get().node()) => Ok(own.clone()),
        _ => Bound::new(x.py(), recorded(x.py(), build::astype(&node, dtype.0))?),
    }
}

/// The dtype that NumPy's promotion gives arrays, dtypes and Python scalars, which are weak.
///
/// Raises ValueError without arguments, TypeError for what has no dtype.
#[pyfunction]
#[pyo3(signature = (*arrays_and_dtypes))]
pub fn result_type<'py>(arrays_and_dtypes: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyArrayDescr>> {
    let py = arrays_and_dtypes.py();
    let (mut dtypes, mut scalars): (Vec<DType>, Vec<Weak>) = (Vec::new(), Vec::new());
    for object in arrays_and_dtypes {
        let is_dtype = object.is_instance_of::<PyArrayDescr>() || object.is_instance_of::<PyType>();
        match if is_dtype { None } else { operand(&object)? } {
            Some(Operand::Array(node)) => dtypes.push(node.dtype),
            Some(Operand::Scalar(scalar)) => scalars.push(scalar),
            None => dtypes.push(parse(&object)?),
        }
    }
    let dtype = promoted(dtypes, scalars).ok_or_else(|| PyValueError::new_err("result_type: nothing to promote"))?;
    to_python(py, dtype)
}

/// Does promotion lead from one dtype (or an array's) to another?
#[pyfunction]
#[pyo3(signature = (from_, to, /))]
pub fn can_cast(from_: &Bound<'_, PyAny>, to: DTypeArgument) -> PyResult<bool> {
    let from = match from_.cast_exact::<Array>() {
        Ok(array) => array.get().node().dtype,
        Err(_) if from_.is_instance_of::<numpy::PyUntypedArray>() => array(from_, "can_cast")?.dtype,
        Err(_) => parse(from_)?,
    };
    Ok(common(from, to.0) == to.0)
}

/// Are the values of an array there already? (Asking does not compute them.)
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn is_computed(x: &Bound<'_, PyAny>) -> PyResult<bool> {
    match x.cast_exact::<Array>() {
        Ok(array) => Ok(array.get().node().buffer().is_some()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "is_computed: expected a fusewire array, got {}",
            crate::convert::type_name(x)
        ))),
    }
}

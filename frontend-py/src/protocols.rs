//! NumPy's dispatch protocols. `numpy.add(ndarray, x)` and `ndarray + x` record here (`__array_ufunc__`, native because
//! operators go through it); `numpy.mean(x)` is handed to `fusewire/_numpy_functions.py`, which knows NumPy's argument names.
//!
//! What has no counterpart is refused with TypeError, never computed by NumPy behind the user's back.

use crate::{
    array::Array,
    convert::{argument, array},
    evaluate::recorded,
    export::to_numpy,
    functions::elementwise::apply_ufunc,
};
use fusewire_ir::build::{self, Operand};
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    types::{PyDict, PyString, PyTuple},
};
use smallvec::SmallVec;

#[pymethods]
impl Array {
    #[pyo3(signature = (ufunc, method, /, *inputs, **keywords))]
    fn __array_ufunc__<'py>(
        slf: &Bound<'py, Self>,
        ufunc: &Bound<'py, PyAny>,
        method: &Bound<'py, PyString>,
        inputs: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let name: String = ufunc.getattr(intern!(py, "__name__"))?.extract()?;
        if method != "__call__" {
            let functions = py.import(intern!(py, "fusewire._numpy_functions"))?;
            return functions.call_method1(intern!(py, "ufunc_method"), (name, method, inputs, keywords));
        }
        let out = target(&name, keywords)?;
        let result = match name.as_str() {
            "matmul" | "vecdot" if inputs.len() == 2 => {
                let (left, right) = (array(&inputs.get_item(0)?, &name)?, array(&inputs.get_item(1)?, &name)?);
                if name == "matmul" { build::matmul(&left, &right) } else { build::vecdot(&left, &right, -1) }
            }
            _ => {
                let operands = inputs
                    .iter_borrowed()
                    .map(|input| argument(&input, &name))
                    .collect::<PyResult<SmallVec<[Operand; 3]>>>()?;
                apply_ufunc(&name, &operands).ok_or_else(|| {
                    PyTypeError::new_err(format!(
                        "fusewire has no counterpart of numpy.{name}; convert with numpy.asarray(x) to use NumPy's"
                    ))
                })?
            }
        };
        let result = Bound::new(py, recorded(py, result)?)?;
        let Some(out) = out else {
            return Ok(result.into_any());
        };
        let options = PyDict::new(py);
        options.set_item(intern!(py, "casting"), intern!(py, "same_kind"))?;
        crate::dtype::numpy_module(py)?.call_method(
            intern!(py, "copyto"),
            (&out, to_numpy(&result)?),
            Some(&options),
        )?;
        Ok(out)
    }

    fn __array_function__<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        _types: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyAny>,
        keywords: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let functions = py.import(intern!(py, "fusewire._numpy_functions"))?;
        functions.call_method1(intern!(py, "call"), (function, arguments, keywords))
    }
}

/// The one NumPy array in `out=`, as for `ndarray += x`.
fn target<'py>(name: &str, keywords: Option<&Bound<'py, PyDict>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut out = None;
    for (keyword, value) in keywords.into_iter().flatten() {
        if keyword.eq("out")? {
            let tuple = value.cast_into::<PyTuple>()?;
            if tuple.len() == 1 && !tuple.get_item(0)?.is_exact_instance_of::<Array>() {
                out = Some(tuple.get_item(0)?);
                continue;
            }
            return Err(PyTypeError::new_err(format!("numpy.{name}: out= must be one NumPy array")));
        }
        return Err(PyTypeError::new_err(format!("numpy.{name}: {keyword}= is not supported for fusewire arrays")));
    }
    Ok(out)
}

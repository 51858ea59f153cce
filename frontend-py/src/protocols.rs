//! NumPy's dispatch protocols. `numpy.add(ndarray, x)` and `ndarray + x` record here (`__array_ufunc__`, native because
//! operators go through it, and `fusewire/_numpy_ufuncs.py` for what is not plain); `numpy.mean(x)` is handed to
//! `fusewire/_numpy_functions.py`, which knows NumPy's argument names.
//!
//! What has no counterpart is refused with TypeError, never computed by NumPy behind the user's back.

use crate::{array::Array, convert::argument, evaluate::recorded, functions::elementwise::apply_ufunc};
use pyo3::{
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
        let name = ufunc.getattr(intern!(py, "__name__"))?;
        // Plain calls, which operators of NumPy arrays are, too.
        if method == "__call__" && keywords.is_none_or(|keywords| keywords.is_empty()) {
            let name = name.cast::<PyString>()?.to_str()?;
            let operands =
                inputs.iter_borrowed().map(|input| argument(&input, name)).collect::<PyResult<SmallVec<[_; 3]>>>()?;
            if let Some(result) = apply_ufunc(name, &operands) {
                return Ok(Bound::new(py, recorded(py, result)?)?.into_any());
            }
        }
        let functions = py.import(intern!(py, "fusewire._numpy_ufuncs"))?;
        functions.call_method1(intern!(py, "call"), (ufunc, method, inputs, keywords))
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

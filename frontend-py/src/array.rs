//! `fusewire.Array`: the handle that Python holds on a lazy node, its attributes, and Python's conversion protocols.
//!
//! Operators are in `operators.rs`, indexing and iteration in `indexing.rs`, NumPy-style methods in `methods.rs`.

use crate::{
    cuda_interface,
    device::{self, DeviceArgument},
    dlpack,
    dtype::to_python,
    evaluate::{evaluate, recorded},
    export::{buffer_protocol, element, to_capsule, to_numpy, to_python_number},
    text,
    variable::Variable,
    views::Step,
};
use fusewire_ir::{
    build,
    lazy::{Device, Lazy},
    promote::Weak,
    shape::element_count,
};
use numpy::{PyArrayDescr, PyUntypedArray, PyUntypedArrayMethods};
use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyBufferError, PyTypeError, PyValueError},
    ffi, intern,
    prelude::*,
    types::{PyComplex, PyDict, PyInt, PyString, PyTuple, PyType},
};
use smallvec::SmallVec;
use std::{
    slice,
    sync::{self, Arc, atomic::AtomicU32},
};

/// An N-dimensional array whose values are computed when they are needed.
///
/// Every operation is recorded and fused with others; `compute()`, conversions and printing values make it happen. Make one
/// with `fusewire.asarray`.
#[pyclass(name = "Array", module = "fusewire", frozen, weakref)]
pub struct Array {
    /// Assignment to elements exchanges it: nodes are values, the handle is a variable.
    node: Variable,
    /// How many assignments to elements were recorded since one was made in memory.
    assignments: AtomicU32,
    /// What keeps the memory of the node alive for NumPy.
    exported: Mutex<sync::Weak<Exported>>,
}

/// A node whose memory NumPy uses. The handle may be assigned to meanwhile, and have another one.
#[derive(Debug)]
pub struct Exported(pub Arc<Lazy>);

impl Array {
    /// The view with the axes in another order.
    pub fn permuted(&self, py: Python<'_>, order: SmallVec<[i64; 4]>) -> PyResult<Array> {
        let result = recorded(py, build::permute_dims(&self.node(), &order))?;
        let rank = order.len() as i64;
        let order = order.into_iter().map(|axis| if axis < 0 { axis + rank } else { axis }).collect();
        Ok(result.viewing(py, self, Step::Permute(order)))
    }

    /// A handle on a node; on the default device if it is on none yet.
    pub fn new(node: Arc<Lazy>) -> Array {
        let node = if node.device.is_some() { node } else { node.placed(device::default_device()) };
        Array { node: Variable::new(node), assignments: AtomicU32::new(0), exported: Mutex::new(sync::Weak::new()) }
    }

    /// The node that the handle has at the moment.
    pub fn node(&self) -> Arc<Lazy> {
        Python::attach(|py| self.node.get(py))
    }

    /// As [`node`](Array::node), for calls whose time counts and who know that they are attached to the interpreter.
    pub fn node_attached(&self, py: Python<'_>) -> Arc<Lazy> {
        self.node.get(py)
    }

    /// How many assignments to elements were recorded since one was made in memory.
    pub fn recorded_assignments(&self) -> &AtomicU32 {
        &self.assignments
    }

    /// The node as a variable.
    pub fn variable(&self) -> &Variable {
        &self.node
    }

    /// Makes this new handle one on a view of another: they see each other's assignments.
    pub fn viewing(self, py: Python<'_>, whole: &Array, step: Step) -> Array {
        whole.node.link(py, &self.node, step);
        self
    }

    /// What keeps the memory of the present node alive: one for all NumPy arrays that use it.
    pub fn export(&self, node: &Arc<Lazy>) -> Arc<Exported> {
        let mut exported = self.exported.lock();
        if let Some(known) = exported.upgrade().filter(|known| Arc::ptr_eq(&known.0, node)) {
            return known;
        }
        let new = Arc::new(Exported(node.clone()));
        *exported = Arc::downgrade(&new);
        new
    }
}

#[pymethods]
impl Array {
    /// NumPy lets such a class handle mixed operations.
    #[classattr]
    fn __array_priority__() -> f64 {
        1000.0
    }

    /// The element type, a `numpy.dtype`.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDescr>> {
        to_python(py, self.node().dtype)
    }

    /// The extents.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.node().shape)
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.node().shape.len()
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> usize {
        element_count(&self.node().shape).unwrap_or(usize::MAX)
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.node().dtype.size()
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.size().saturating_mul(self.node().dtype.size())
    }

    /// Where the array lives: `"cpu"`, `"cuda:0"` ...
    #[getter]
    fn device<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        match device::of(&self.node()) {
            Device::Cpu => intern!(py, "cpu").clone(),
            other => PyString::new(py, &other.to_string()),
        }
    }

    /// The array with its axes reversed.
    #[getter(T)]
    pub fn transposed(&self, py: Python<'_>) -> PyResult<Array> {
        self.permuted(py, (0..self.node().shape.len() as i64).rev().collect())
    }

    /// The array with its last two axes exchanged.
    ///
    /// Raises ValueError for fewer than 2 axes.
    #[getter(mT)]
    pub fn matrix_transposed(&self, py: Python<'_>) -> PyResult<Array> {
        let result = recorded(py, build::matrix_transpose(&self.node()))?;
        let mut order: SmallVec<[i64; 4]> = (0..self.node().shape.len() as i64).collect();
        let rank = order.len();
        order.swap(rank - 2, rank - 1);
        Ok(result.viewing(py, self, Step::Permute(order)))
    }

    /// Computes the values, keeps them, and returns the array itself.
    ///
    /// A second call costs nothing. Raises MemoryError when memory runs out, KeyboardInterrupt on Ctrl-C.
    fn compute<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        evaluate(slf.py(), slice::from_ref(&slf.get().node_attached(slf.py())))?;
        Ok(slf.clone())
    }

    /// The array on another device: computed, and copied there. The array itself where it is there already.
    ///
    /// Raises ValueError for a device that is not there, MemoryError when memory runs out.
    #[pyo3(signature = (device, /, *, stream=None))]
    fn to_device<'py>(
        slf: &Bound<'py, Self>,
        device: DeviceArgument,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        if stream.is_some() {
            return Err(PyValueError::new_err("to_device takes no streams; it returns when the copy is complete"));
        }
        device::moved_array(slf, device.0)
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let array = to_numpy(slf)?.into_any();
        if let Some(dtype) = dtype {
            let wanted = PyArrayDescr::new(py, dtype)?;
            if !wanted.is(to_python(py, slf.get().node().dtype)?) {
                if copy == Some(false) {
                    return Err(PyValueError::new_err(format!(
                        "copy=False, but a copy is needed to make {} of {}",
                        wanted,
                        slf.get().node().dtype.numpy_name()
                    )));
                }
                let options = PyDict::new(py);
                options.set_item(intern!(py, "copy"), copy == Some(true))?;
                return array.call_method(intern!(py, "astype"), (wanted,), Some(&options));
            }
        }
        match copy {
            Some(true) => array.call_method0(intern!(py, "copy")),
            _ => Ok(array),
        }
    }

    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: i32) -> PyResult<()> {
        buffer_protocol(slf, view, flags)
    }

    /// A DLPack capsule that shares the memory, computed first where it is not; versioned for who knows versions.
    ///
    /// Without `copy=False`, what the consumer could not take is copied: read-only memory when the capsule has no flag to say
    /// so, and negative strides. `dl_device=(1, 0)` copies to the host; the emulator's memory, which nobody else reaches, goes
    /// there unless `dl_device` is its own. On a GPU the consumer's `stream` (1, the legacy default, for None; -1 for one that
    /// need not wait) begins its further work when the values are there. Raises BufferError for other devices and where
    /// `copy=False` is impossible, ValueError for a stream that is none.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let flagged = max_version.is_some_and(|version| version >= (1, 0));
        let own = device::of(&slf.get().node());
        if own != Device::Cpu {
            let wanted = dl_device.map(|numbers| numbers.extract::<(i32, i32)>()).transpose()?;
            let default = if own == Device::Simt { (dlpack::HOST, 0) } else { dlpack::device_numbers(own) };
            let wanted = wanted.unwrap_or(default);
            if wanted == dlpack::device_numbers(own) {
                return to_capsule(slf, stream, flagged, copy);
            }
            if wanted != (dlpack::HOST, 0) || copy == Some(false) {
                return Err(PyBufferError::new_err(format!(
                    "__dlpack__: an array on {own} cannot be given to DLPack's device {wanted:?} with copy={copy:?}; move it \
                     with to_device"
                )));
            }
        }
        let array = to_numpy(slf)?;
        let writable: bool = array.getattr(intern!(py, "flags"))?.getattr(intern!(py, "writeable"))?.extract()?;
        let unfit = !(flagged || writable) || array.strides().iter().any(|&stride| stride < 0);
        let options = PyDict::new(py);
        // Who takes what a GPU has to the host says its stream, and gets what is complete.
        options.set_item(intern!(py, "stream"), stream.filter(|_| own == Device::Cpu))?;
        options.set_item(intern!(py, "max_version"), max_version)?;
        options.set_item(intern!(py, "dl_device"), dl_device)?;
        options.set_item(intern!(py, "copy"), copy.or(unfit.then_some(true)))?;
        array.call_method(intern!(py, "__dlpack__"), (), Some(&options))
    }

    /// DLPack's number of the kind of device, and the device's own: `(1, 0)` for the cpu, `(2, n)` for `cuda:n`.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::device_numbers(device::of(&self.node()))
    }

    /// The memory of an array on a GPU, computed first where it is not, for CuPy, Numba, PyTorch and others: version 3.
    ///
    /// `stream` is the one on which the values are computed. Who writes there changes this array, too. Arrays of other devices,
    /// and those of bfloat16, for which it has no name, do not have the attribute.
    #[getter]
    fn __cuda_array_interface__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        cuda_interface::export(slf)
    }

    #[pyo3(signature = (*, api_version=None))]
    fn __array_namespace__<'py>(&self, py: Python<'py>, api_version: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import(intern!(py, "fusewire"))?;
        match api_version {
            None | Some("2021.12" | "2022.12" | "2023.12" | "2024.12" | "2025.12") => Ok(module.into_any()),
            Some(other) => Err(PyValueError::new_err(format!("unknown Array API version {other:?}"))),
        }
    }

    fn __bool__(&self, py: Python<'_>) -> PyResult<bool> {
        if element_count(&self.node().shape) != Some(1) {
            return Err(PyValueError::new_err(format!(
                "the truth value of an array of shape {} is ambiguous; use any() or all()",
                build::tuple(&self.node().shape)
            )));
        }
        Ok(element(py, &self.node(), "bool()")?.is_true())
    }

    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        match element(py, &self.node(), "float()")? {
            Weak::Complex(..) => Err(complex_to_real(&self.node(), "float()")),
            number => Ok(number.parts().0),
        }
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match element(py, &self.node(), "int()")? {
            Weak::Complex(..) => Err(complex_to_real(&self.node(), "int()")),
            // Floats are truncated, and NaN and infinities refused, by Python itself.
            Weak::Float(value) => py.get_type::<PyInt>().call1((value,)),
            Weak::Bool(value) => to_python_number(py, Weak::Int(value.into())),
            value @ Weak::Int(_) => to_python_number(py, value),
        }
    }

    fn __index__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if !self.node().dtype.is_integer() || !self.node().shape.is_empty() {
            return Err(PyTypeError::new_err(format!(
                "only a 0-d integer array can be used as an index, got shape {} and dtype {}",
                build::tuple(&self.node().shape),
                self.node().dtype.numpy_name()
            )));
        }
        let number = element(py, &self.node(), "an index")?;
        to_python_number(py, number)
    }

    fn __complex__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyComplex>> {
        let (re, im) = element(py, &self.node(), "complex()")?.parts();
        Ok(PyComplex::from_doubles(py, re, im))
    }

    #[pyo3(signature = (ndigits=None))]
    fn __round__<'py>(&self, py: Python<'py>, ndigits: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let number = element(py, &self.node(), "round()")?;
        if matches!(number, Weak::Complex(..)) {
            return Err(complex_to_real(&self.node(), "round()"));
        }
        to_python_number(py, number)?.call_method1(intern!(py, "__round__"), (ndigits,))
    }

    fn __format__<'py>(slf: &Bound<'py, Self>, specification: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let node = &slf.get().node();
        if !node.shape.is_empty() {
            if specification.is_empty() {
                return Ok(slf.str()?.into_any());
            }
            return Err(PyTypeError::new_err(format!(
                "format specification {specification:?} needs a 0-d array, got shape {}",
                build::tuple(&node.shape)
            )));
        }
        let number = element(py, node, "format()")?;
        to_python_number(py, number)?.call_method1(intern!(py, "__format__"), (specification,))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        text::repr(slf)
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        text::str(slf)
    }

    /// Arrays compare element by element, so they cannot be keys.
    #[classattr]
    fn __hash__(py: Python<'_>) -> Py<PyAny> {
        py.None()
    }

    /// Pickles the values.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyUntypedArray>,))> {
        let py = slf.py();
        let asarray = py.import(intern!(py, "fusewire"))?.getattr(intern!(py, "asarray"))?;
        Ok((asarray, (to_numpy(slf)?,)))
    }

    /// An array of the same values, to which assignments to this one do nothing.
    fn __copy__(&self) -> Array {
        Array::new(self.node())
    }

    fn __deepcopy__<'py>(slf: &Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> PyResult<Array> {
        crate::methods::copied(slf)
    }

    #[classmethod]
    fn __class_getitem__<'py>(cls: &Bound<'py, PyType>, _item: &Bound<'py, PyAny>) -> Bound<'py, PyType> {
        cls.clone()
    }

    /// The one element of an array of size 1, or the one at an index, as a Python bool, int, float or complex.
    ///
    /// Raises ValueError when there are several elements and no index.
    #[pyo3(signature = (*index))]
    fn item<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if index.is_empty() {
            let node = &slf.get().node();
            if node.shape.iter().any(|&extent| extent != 1) {
                let shape = fusewire_ir::build::tuple(&node.shape);
                return Err(PyValueError::new_err(format!("item() of shape {shape} needs an index")));
            }
            let number = element(py, node, "item()")?;
            return to_python_number(py, number);
        }
        to_numpy(slf)?.call_method1(intern!(py, "item"), index)
    }

    /// The elements as nested lists of Python numbers; a number for a 0-d array.
    fn tolist<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        to_numpy(slf)?.call_method0(intern!(slf.py(), "tolist"))
    }

    /// The elements' bytes in C order.
    fn tobytes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        to_numpy(slf)?.call_method0(intern!(slf.py(), "tobytes"))
    }
}

fn complex_to_real(node: &Lazy, what: &str) -> PyErr {
    PyTypeError::new_err(format!("{what} of a {} array; take real(), imag() or abs() first", node.dtype.numpy_name()))
}

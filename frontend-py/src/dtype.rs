//! NumPy's dtype objects on one side, [`DType`] on the other. Promotion is not here (`fusewire_ir::promote`).
//!
//! NumPy has no bfloat16. Its dtype is that of the package `ml_dtypes`, which is imported when somebody asks for it.

use fusewire_ir::dtype::DType;
use numpy::{
    Complex32, Complex64, PyArrayDescr, PyArrayDescrMethods,
    npyffi::{NPY_TYPES, PyDataType_ELSIZE},
};
use pyo3::{
    exceptions::{PyImportError, PyTypeError},
    intern,
    prelude::*,
    sync::PyOnceLock,
};

/// Those of NumPy's own, in the order of [`DType::ALL`].
fn descriptors(py: Python<'_>) -> &[Option<Py<PyArrayDescr>>; DType::ALL.len()] {
    static DESCRIPTORS: PyOnceLock<[Option<Py<PyArrayDescr>>; DType::ALL.len()]> = PyOnceLock::new();
    DESCRIPTORS.get_or_init(py, || {
        DType::ALL.map(|dtype| {
            let descriptor = match dtype {
                DType::Bool => numpy::dtype::<bool>(py),
                DType::I8 => numpy::dtype::<i8>(py),
                DType::I16 => numpy::dtype::<i16>(py),
                DType::I32 => numpy::dtype::<i32>(py),
                DType::I64 => numpy::dtype::<i64>(py),
                DType::U8 => numpy::dtype::<u8>(py),
                DType::U16 => numpy::dtype::<u16>(py),
                DType::U32 => numpy::dtype::<u32>(py),
                DType::U64 => numpy::dtype::<u64>(py),
                DType::F16 => PyArrayDescr::new(py, "float16").ok()?,
                DType::BF16 => return None,
                DType::F32 => numpy::dtype::<f32>(py),
                DType::F64 => numpy::dtype::<f64>(py),
                DType::C64 => numpy::dtype::<Complex32>(py),
                DType::C128 => numpy::dtype::<Complex64>(py),
            };
            Some(descriptor.unbind())
        })
    })
}

/// That of `ml_dtypes`. Fails with ImportError where the package is not installed.
fn bfloat16(py: Python<'_>) -> PyResult<&Bound<'_, PyArrayDescr>> {
    static BFLOAT16: PyOnceLock<Py<PyArrayDescr>> = PyOnceLock::new();
    let descriptor = BFLOAT16.get_or_try_init(py, || {
        let package = py.import(intern!(py, "ml_dtypes")).map_err(|_| {
            PyImportError::new_err("bfloat16 needs the package ml_dtypes, which is not installed: fusewire[bfloat16]")
        })?;
        PyArrayDescr::new(py, package.getattr(intern!(py, "bfloat16"))?).map(Bound::unbind)
    })?;
    Ok(descriptor.bind(py))
}

/// The `numpy.dtype` object; always the same one. Fails with ImportError for bfloat16 without `ml_dtypes`.
pub fn to_python(py: Python<'_>, dtype: DType) -> PyResult<Bound<'_, PyArrayDescr>> {
    let place = DType::ALL.iter().position(|&d| d == dtype).unwrap_or_default();
    match &descriptors(py)[place] {
        Some(descriptor) => Ok(descriptor.bind(py).clone()),
        None => bfloat16(py).cloned(),
    }
}

/// What a NumPy dtype is here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// One of ours, in the machine's byte order.
    Native(DType),
    /// One of ours in the other byte order.
    Swapped(DType),
    /// None of ours: strings, objects, records ...
    Foreign,
}

/// Classifies a dtype object by what it is, not by identity: `intc`, `long` and `longlong` are int32 and int64.
pub fn layout(descriptor: &Bound<'_, PyArrayDescr>) -> Layout {
    // SAFETY: the pointer is that of a live dtype object, and the thread is attached.
    let size = unsafe { PyDataType_ELSIZE(descriptor.py(), descriptor.as_dtype_ptr()) };
    const BOOL: i32 = NPY_TYPES::NPY_BOOL as i32;
    const HALF: i32 = NPY_TYPES::NPY_HALF as i32;
    const FLOAT: i32 = NPY_TYPES::NPY_FLOAT as i32;
    const DOUBLE: i32 = NPY_TYPES::NPY_DOUBLE as i32;
    const COMPLEX64: i32 = NPY_TYPES::NPY_CFLOAT as i32;
    const COMPLEX128: i32 = NPY_TYPES::NPY_CDOUBLE as i32;
    const FIRST_INTEGER: i32 = NPY_TYPES::NPY_BYTE as i32;
    const LAST_INTEGER: i32 = NPY_TYPES::NPY_ULONGLONG as i32;
    const OF_PACKAGES: i32 = NPY_TYPES::NPY_USERDEF as i32;
    let number = descriptor.num();
    // NumPy numbers the integer types in pairs: signed ones are odd, their unsigned partners follow.
    let signed = (number - FIRST_INTEGER) % 2 == 0;
    let dtype = match (number, size) {
        (BOOL, _) => DType::Bool,
        (HALF, _) => DType::F16,
        (FLOAT, _) => DType::F32,
        (DOUBLE, _) => DType::F64,
        (COMPLEX64, _) => DType::C64,
        (COMPLEX128, _) => DType::C128,
        (FIRST_INTEGER..=LAST_INTEGER, 1) => [DType::U8, DType::I8][signed as usize],
        (FIRST_INTEGER..=LAST_INTEGER, 2) => [DType::U16, DType::I16][signed as usize],
        (FIRST_INTEGER..=LAST_INTEGER, 4) => [DType::U32, DType::I32][signed as usize],
        (FIRST_INTEGER..=LAST_INTEGER, 8) => [DType::U64, DType::I64][signed as usize],
        (OF_PACKAGES.., 2) if bfloat16(descriptor.py()).is_ok_and(|own| own.num() == number) => DType::BF16,
        _ => return Layout::Foreign,
    };
    match descriptor.byteorder() {
        b'=' | b'|' => Layout::Native(dtype),
        b'<' if cfg!(target_endian = "little") => Layout::Native(dtype),
        b'>' if cfg!(target_endian = "big") => Layout::Native(dtype),
        _ => Layout::Swapped(dtype),
    }
}

/// Anything that NumPy takes as a dtype: dtype objects, `np.float32`, `float`, `"f4"`. Byte order is not part of our dtypes.
///
/// Fails with TypeError for what is no dtype, or none of ours.
pub fn parse(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    let py = object.py();
    if let Some(place) = descriptors(py).iter().position(|d| d.as_ref().is_some_and(|d| d.is(object))) {
        return Ok(DType::ALL[place]);
    }
    if object.is_none() {
        return Err(PyTypeError::new_err("expected a dtype, got None"));
    }
    let descriptor = match object.cast::<PyArrayDescr>() {
        Ok(descriptor) => descriptor.clone(),
        // NumPy knows the name once the package is imported.
        Err(_) if object.eq(DType::BF16.numpy_name()).unwrap_or(false) => bfloat16(py)?.clone(),
        Err(_) => PyArrayDescr::new(py, object)?,
    };
    match layout(&descriptor) {
        Layout::Native(dtype) | Layout::Swapped(dtype) => Ok(dtype),
        Layout::Foreign => {
            Err(PyTypeError::new_err(format!("dtype {} is not supported; supported are {}", descriptor, supported())))
        }
    }
}

/// The names of all dtypes, for errors.
pub fn supported() -> String {
    DType::ALL.map(DType::numpy_name).join(", ")
}

/// A `dtype=` argument.
pub struct DTypeArgument(pub DType);

impl<'a, 'py> FromPyObject<'a, 'py> for DTypeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        parse(&object).map(DTypeArgument)
    }
}

/// Adds the dtypes to the module under the standard's names: as in NumPy's namespace their scalar types, which equal the
/// `numpy.dtype` objects that arrays have. (A `numpy.dtype` would do as well, but for float64's, which equals `None`.) bfloat16 is
/// looked up when it is asked for, by the package's `__getattr__`.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for dtype in DType::ALL.into_iter().filter(|&dtype| dtype != DType::BF16) {
        module.add(dtype.numpy_name(), to_python(module.py(), dtype)?.typeobj())?;
    }
    module.add("bool_", to_python(module.py(), DType::Bool)?.typeobj())
}

/// The module `numpy`.
pub fn numpy_module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static NUMPY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    NUMPY.get_or_try_init(py, || py.import("numpy").map(Bound::unbind)).map(|module| module.bind(py))
}

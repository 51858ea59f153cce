//! What `fusewire.linalg` is built on: the calls of linear algebra. Names, documentation and named results are Python's.

use crate::{
    array::Array,
    convert::array,
    evaluate::{recorded, recorded_tuple},
};
use fusewire_ir::{
    build::linalg::{self, Several},
    error::Recorded,
};
use pyo3::{prelude::*, types::PyTuple};

/// The triangular factor.
#[pyfunction]
pub fn cholesky(x: &Bound<'_, PyAny>, upper: bool) -> PyResult<Array> {
    recorded(x.py(), linalg::cholesky(&array(x, "cholesky")?, upper))
}

/// Sign and logarithm of the absolute value of the determinant.
#[pyfunction]
pub fn slogdet<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    several(x.py(), linalg::slogdet(&array(x, "slogdet")?))
}

/// The determinant.
#[pyfunction]
pub fn det(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x.py(), linalg::det(&array(x, "det")?))
}

/// The inverse.
#[pyfunction]
pub fn inv(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x.py(), linalg::inv(&array(x, "inv")?))
}

/// The solution of linear equations.
#[pyfunction]
pub fn solve(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x1.py(), linalg::solve(&array(x1, "solve")?, &array(x2, "solve")?))
}

/// `Q` and `R`.
#[pyfunction]
pub fn qr<'py>(x: &Bound<'py, PyAny>, complete: bool) -> PyResult<Bound<'py, PyTuple>> {
    several(x.py(), linalg::qr(&array(x, "qr")?, complete))
}

/// `U`, the singular values, `V^H`.
#[pyfunction]
pub fn svd<'py>(x: &Bound<'py, PyAny>, full: bool) -> PyResult<Bound<'py, PyTuple>> {
    several(x.py(), linalg::svd(&array(x, "svd")?, full))
}

/// The singular values.
#[pyfunction]
pub fn svdvals(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x.py(), linalg::svdvals(&array(x, "svdvals")?))
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
#[pyfunction]
pub fn eigh<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    several(x.py(), linalg::eigh(&array(x, "eigh")?))
}

/// Eigenvalues of a symmetric matrix.
#[pyfunction]
pub fn eigvalsh(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    recorded(x.py(), linalg::eigvalsh(&array(x, "eigvalsh")?))
}

fn several(py: Python<'_>, results: Recorded<Several>) -> PyResult<Bound<'_, PyTuple>> {
    recorded_tuple(py, results.map(|results| results.into_vec()))
}

//! The operators of `Array`. Which op each records stands in the op table; here is only Python's protocol.

use crate::{
    array::Array,
    convert::{argument, operand},
    evaluate::recorded,
};
use fusewire_ir::{
    build::{self, Operand},
    ops::ScalarOp,
};
use pyo3::{exceptions::PyTypeError, prelude::*, pyclass::CompareOp};

/// `left op right`; `NotImplemented` where `other` is nothing we know, so that its own operator gets a chance.
fn binary<'py>(
    op: ScalarOp,
    array: &Bound<'py, Array>,
    other: &Bound<'py, PyAny>,
    reflected: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let Some(other) = operand(other)? else {
        return Ok(py.NotImplemented().into_bound(py));
    };
    let own = Operand::Array(array.get().node_attached(py));
    let result = if reflected { build::elementwise(op, [other, own]) } else { build::elementwise(op, [own, other]) };
    Ok(Bound::new(py, recorded(py, result)?)?.into_any())
}

fn unary(op: ScalarOp, array: &Bound<'_, Array>) -> PyResult<Array> {
    recorded(array.py(), build::elementwise(op, [Operand::Array(array.get().node())]))
}

fn matrix_product<'py>(
    array: &Bound<'py, Array>,
    other: &Bound<'py, PyAny>,
    reflected: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let Some(other) = operand(other)? else {
        return Ok(py.NotImplemented().into_bound(py));
    };
    let Operand::Array(other) = other else {
        return Err(PyTypeError::new_err("matmul: a number cannot be multiplied as a matrix; use *"));
    };
    let own = &array.get().node();
    let result = if reflected { build::matmul(&other, own) } else { build::matmul(own, &other) };
    Ok(Bound::new(py, recorded(py, result)?)?.into_any())
}

fn power<'py>(
    array: &Bound<'py, Array>,
    other: &Bound<'py, PyAny>,
    modulo: Option<&Bound<'py, PyAny>>,
    reflected: bool,
) -> PyResult<Bound<'py, PyAny>> {
    match modulo {
        Some(_) => Err(PyTypeError::new_err("pow() with a modulus is not supported for arrays")),
        None => binary(ScalarOp::Pow, array, other, reflected),
    }
}

#[pymethods]
impl Array {
    fn __add__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Add, slf, other, false)
    }
    fn __radd__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Add, slf, other, true)
    }
    fn __sub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Subtract, slf, other, false)
    }
    fn __rsub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Subtract, slf, other, true)
    }
    fn __mul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Multiply, slf, other, false)
    }
    fn __rmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Multiply, slf, other, true)
    }
    fn __truediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Divide, slf, other, false)
    }
    fn __rtruediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Divide, slf, other, true)
    }
    fn __floordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::FloorDivide, slf, other, false)
    }
    fn __rfloordiv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::FloorDivide, slf, other, true)
    }
    fn __mod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Remainder, slf, other, false)
    }
    fn __rmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Remainder, slf, other, true)
    }
    fn __divmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<(Array, Array)> {
        let (own, other) = (Operand::Array(slf.get().node()), argument(other, "divmod")?);
        let pair = [own, other];
        Ok((
            recorded(slf.py(), build::elementwise(ScalarOp::FloorDivide, &pair))?,
            recorded(slf.py(), build::elementwise(ScalarOp::Remainder, &pair))?,
        ))
    }
    fn __rdivmod__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<(Array, Array)> {
        let (own, other) = (Operand::Array(slf.get().node()), argument(other, "divmod")?);
        let pair = [other, own];
        Ok((
            recorded(slf.py(), build::elementwise(ScalarOp::FloorDivide, &pair))?,
            recorded(slf.py(), build::elementwise(ScalarOp::Remainder, &pair))?,
        ))
    }
    fn __pow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        power(slf, other, modulo, false)
    }
    fn __rpow__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        modulo: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        power(slf, other, modulo, true)
    }
    fn __matmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        matrix_product(slf, other, false)
    }
    fn __rmatmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        matrix_product(slf, other, true)
    }
    fn __and__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::And, slf, other, false)
    }
    fn __rand__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::And, slf, other, true)
    }
    fn __or__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Or, slf, other, false)
    }
    fn __ror__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Or, slf, other, true)
    }
    fn __xor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Xor, slf, other, false)
    }
    fn __rxor__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::Xor, slf, other, true)
    }
    fn __lshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::ShiftLeft, slf, other, false)
    }
    fn __rlshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::ShiftLeft, slf, other, true)
    }
    fn __rshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::ShiftRight, slf, other, false)
    }
    fn __rrshift__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        binary(ScalarOp::ShiftRight, slf, other, true)
    }
    fn __neg__(slf: &Bound<'_, Self>) -> PyResult<Array> {
        unary(ScalarOp::Negative, slf)
    }
    fn __pos__(slf: &Bound<'_, Self>) -> PyResult<Array> {
        unary(ScalarOp::Positive, slf)
    }
    fn __abs__(slf: &Bound<'_, Self>) -> PyResult<Array> {
        unary(ScalarOp::Abs, slf)
    }
    fn __invert__(slf: &Bound<'_, Self>) -> PyResult<Array> {
        unary(ScalarOp::Not, slf)
    }
    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        comparison: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let op = match comparison {
            CompareOp::Lt => ScalarOp::Less,
            CompareOp::Le => ScalarOp::LessEqual,
            CompareOp::Eq => ScalarOp::Equal,
            CompareOp::Ne => ScalarOp::NotEqual,
            CompareOp::Gt => ScalarOp::Greater,
            CompareOp::Ge => ScalarOp::GreaterEqual,
        };
        binary(op, slf, other, false)
    }
}

//! Sets: the different values of an array, and `isin`. How many there are depends on the data, so where they begin in the
//! sorted array is computed by the call; the rest is recorded.

use crate::{
    array::Array,
    convert::{argument, array},
    device, errors,
    evaluate::{evaluate, recorded},
    export::element,
    keys,
};
use fusewire_ir::{
    build::{self, Axis, Key, Operand, Ordered},
    dtype::DType,
    lazy::Lazy,
    ops::ScalarOp,
    promote::{Weak, common, result_type},
    shape::Shape,
};
use fusewire_runtime::assign::owners;
use pyo3::{intern, prelude::*, types::PyTuple};
use smallvec::smallvec;
use std::{slice, sync::Arc};

/// The elements at which a new value begins, as positions in the sorted array.
fn starts(py: Python<'_>, begins: &Arc<Lazy>) -> PyResult<Arc<Lazy>> {
    let positions = keys::nonzero(py, begins)?;
    positions.into_iter().next().ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("a mask has an axis"))
}

fn picked(py: Python<'_>, x: &Arc<Lazy>, positions: &Arc<Lazy>) -> PyResult<Array> {
    recorded(py, build::take(x, positions, Some(0), &|_, _| None))
}

/// The number of its value for each element.
fn inverse(py: Python<'_>, x: &Arc<Lazy>, ordered: &Ordered) -> PyResult<Array> {
    let Ordered { order, begins, .. } = ordered;
    evaluate(py, slice::from_ref(order))?;
    let flat: Shape = smallvec![order.shape[0]];
    let places = owners(&flat, order, device::of(x)).map_err(errors::computing)?;
    recorded(py, build::inverse(begins, &places, &x.shape))
}

/// A named tuple of results, whose type stands in the package.
fn named<'py>(py: Python<'py>, name: &str, parts: Vec<Array>) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "fusewire._results"))?.getattr(name)?.call1(PyTuple::new(py, parts)?)
}

/// The different values of `x`, in order; each NaN is a value of its own.
///
/// Shape: 1-D. Dtype: that of `x`. Computes which values there are.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn unique_values(x: &Bound<'_, PyAny>) -> PyResult<Array> {
    let (elements, begins) = build::ordered_values(&array(x, "unique_values")?).map_err(errors::recording)?;
    let starts = starts(x.py(), &begins)?;
    picked(x.py(), &elements, &starts)
}

/// The different values of `x` in order, and how often each occurs: a named tuple `(values, counts)`.
///
/// Both are 1-D; `counts` is int64. Each NaN is a value of its own. Computes which values there are.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn unique_counts<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let (elements, begins) = build::ordered_values(&array(x, "unique_counts")?).map_err(errors::recording)?;
    let starts = starts(py, &begins)?;
    let counts = recorded(py, build::counts(&starts, elements.shape[0]))?;
    named(py, "UniqueCountsResult", vec![picked(py, &elements, &starts)?, counts])
}

/// The different values of `x` in order, and which of them each element is: a named tuple `(values, inverse_indices)`.
///
/// `values` is 1-D, `inverse_indices` int64 in the shape of `x`. Each NaN is a value of its own. Computes which values there are.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn unique_inverse<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let node = array(x, "unique_inverse")?;
    let ordered = build::ordered(&node).map_err(errors::recording)?;
    let starts = starts(py, &ordered.begins)?;
    let values = picked(py, &ordered.elements, &starts)?;
    named(py, "UniqueInverseResult", vec![values, inverse(py, &node, &ordered)?])
}

/// The different values of `x` in order, where each occurs first, which of them each element is, and how often each occurs: a
/// named tuple `(values, indices, inverse_indices, counts)`.
///
/// `indices` are positions in the flattened array. All but `inverse_indices`, which has the shape of `x`, are 1-D; all but
/// `values` are int64. Each NaN is a value of its own. Computes which values there are.
#[pyfunction]
#[pyo3(signature = (x, /))]
pub fn unique_all<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let node = array(x, "unique_all")?;
    let ordered = build::ordered(&node).map_err(errors::recording)?;
    let starts = starts(py, &ordered.begins)?;
    let (values, indices) = (picked(py, &ordered.elements, &starts)?, picked(py, &ordered.order, &starts)?);
    let counts = recorded(py, build::counts(&starts, ordered.elements.shape[0]))?;
    named(py, "UniqueAllResult", vec![values, indices, inverse(py, &node, &ordered)?, counts])
}

/// Is every element of `x1` an element of `x2`?
///
/// Shape: that of `x1`. Dtype: bool. With `invert` the answer is the opposite.
#[pyfunction]
#[pyo3(signature = (x1, x2, /, *, invert=false))]
pub fn isin(x1: &Bound<'_, PyAny>, x2: &Bound<'_, PyAny>, invert: bool) -> PyResult<Array> {
    let operands = [argument(x1, "isin")?, argument(x2, "isin")?];
    let arrays = operands.iter().filter_map(|operand| match operand {
        Operand::Array(array) => Some(array.dtype),
        Operand::Scalar(_) => None,
    });
    let scalars = operands.iter().filter_map(|operand| match operand {
        Operand::Array(_) => None,
        Operand::Scalar(value) => Some(*value),
    });
    let dtype = result_type(arrays, scalars).unwrap_or(DType::F64);
    let fit = |operand: &Operand| build::fit(operand, dtype);
    let [elements, candidates] = match (fit(&operands[0]), fit(&operands[1])) {
        (Ok(elements), Ok(candidates)) => [elements, candidates],
        // A Python integer that the dtype does not have: no element is equal to it, in a dtype that has both.
        _ => {
            let [a, b] = [array(x1, "isin")?, array(x2, "isin")?];
            let dtype = common(a.dtype, b.dtype);
            [a, b].map(|x| build::cast(&x, dtype).unwrap_or(x))
        }
    };
    let found = match in_table(x1.py(), &elements, &candidates)? {
        Some(found) => Ok(found),
        None => build::isin(&elements, &candidates),
    };
    let negated = |found: Arc<Lazy>| build::elementwise(ScalarOp::Not, &[Operand::Array(found)]);
    recorded(x1.py(), if invert { found.and_then(negated) } else { found })
}

/// A table costs a byte for each integer between the candidates; it has at most so many for each element and candidate.
const TABLE: usize = 8;

/// Whether each element is one of the candidates, by a table of the integers between them. `None` where that is no way: for other
/// than integers, for candidates that are not computed yet, and where the table would be large.
fn in_table(py: Python<'_>, elements: &Arc<Lazy>, candidates: &Arc<Lazy>) -> PyResult<Option<Arc<Lazy>>> {
    let count = |node: &Lazy| node.shape.iter().product::<usize>();
    let total = count(elements).saturating_add(count(candidates)).saturating_mul(TABLE);
    if !elements.dtype.is_integer() || candidates.buffer().is_none() || count(candidates) <= build::FEW_CANDIDATES {
        return Ok(None);
    }
    let extremes = [build::min, build::max].map(|extreme| extreme(candidates, &Axis::All, false));
    let [least, greatest] = extremes.map(|extreme| extreme.map_err(errors::recording));
    let (least, greatest) = (least?, greatest?);
    evaluate(py, &[least.clone(), greatest.clone()])?;
    let (Weak::Int(first), Weak::Int(last)) = (element(py, &least, "isin")?, element(py, &greatest, "isin")?) else {
        return Ok(None);
    };
    let Some(last) = usize::try_from(last - first).ok().filter(|&last| last < total) else { return Ok(None) };
    // Positions wrap around like all integers: what is not between the extremes is outside the table, also for uint64.
    let integer = |op, x: &Arc<Lazy>, y: i128| {
        build::elementwise(op, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Int(y))]).map_err(errors::recording)
    };
    let place = |x: &Arc<Lazy>| {
        let wide = build::cast(x, DType::I64).map_err(errors::recording)?;
        integer(ScalarOp::Subtract, &wide, (first as i64).into())
    };
    let table = Array::new(build::zeros(smallvec![last + 1], DType::Bool).map_err(errors::recording)?);
    let yes = build::ones(Shape::new(), DType::Bool).map_err(errors::recording)?;
    table.assign_at(py, table.node(), &[Key::Positions { array: place(candidates)?, mask: None }], &yes)?;
    let place = place(elements)?;
    let both = |op, a: Arc<Lazy>, b: Arc<Lazy>| {
        build::elementwise(op, &[Operand::Array(a), Operand::Array(b)]).map_err(errors::recording)
    };
    let inside = both(
        ScalarOp::And,
        integer(ScalarOp::GreaterEqual, &place, 0)?,
        integer(ScalarOp::LessEqual, &place, last as i128)?,
    )?;
    let zero = Operand::Scalar(Weak::Int(0));
    let place =
        build::where_(&Operand::Array(inside.clone()), &Operand::Array(place), &zero).map_err(errors::recording)?;
    let found = build::take(&table.node(), &place, Some(0), &|_, _| None).map_err(errors::recording)?;
    both(ScalarOp::And, found, inside).map(Some)
}

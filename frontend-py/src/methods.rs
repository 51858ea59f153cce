//! Methods of `Array` that NumPy's arrays have and libraries reach for. Axes may be given by position, as NumPy allows.

use crate::{
    array::Array,
    convert::{IntegersArgument, python_number},
    device::{self, DeviceArgument, moved_array},
    dtype::DTypeArgument,
    evaluate::recorded,
    export::to_numpy,
    functions::{
        elementwise::{clip, record},
        indexing, linear, manipulation,
        reductions::axes,
    },
    import::{Copy, from_numpy},
};
use fusewire_ir::{
    build::{self, Operand},
    lazy::Lazy,
    ops::ScalarOp,
    promote::Weak,
};
use numpy::PyUntypedArray;
use pyo3::{exceptions::PyValueError, intern, prelude::*, types::PyTuple};
use smallvec::SmallVec;
use std::sync::Arc;

/// An array with memory of its own. What is not computed yet has none that anybody could write to, so it is shared.
pub fn copied(array: &Bound<'_, Array>) -> PyResult<Array> {
    let node = array.get().node();
    if node.buffer().is_none() {
        return Ok(Array::new(Arc::clone(&node)));
    }
    let copy = to_numpy(array)?.call_method0(intern!(array.py(), "copy"))?;
    let copy = from_numpy(copy.cast::<PyUntypedArray>()?, None, Copy::IfNeeded)?;
    device::moved(array.py(), copy, device::of(&node)).map(Array::new)
}

/// NumPy's calls take `f(2, 3)` and `f((2, 3))` alike.
fn spread(arguments: &Bound<'_, PyTuple>) -> PyResult<SmallVec<[i64; 4]>> {
    let list = match arguments.len() {
        1 => arguments.get_item(0)?.extract::<IntegersArgument>()?,
        _ => arguments.extract::<IntegersArgument>()?,
    };
    Ok(list.0)
}

#[pymethods]
impl Array {
    /// The array converted to a dtype, as the function `astype`.
    #[pyo3(signature = (dtype, /, *, copy=true, device=None))]
    fn astype<'py>(
        slf: &Bound<'py, Self>,
        dtype: DTypeArgument,
        copy: bool,
        device: Option<DeviceArgument>,
    ) -> PyResult<Bound<'py, Self>> {
        let slf = &device.map_or_else(|| Ok(slf.clone()), |device| moved_array(slf, device.0))?;
        let node = &slf.get().node();
        if !copy && node.dtype == dtype.0 {
            return Ok(slf.clone());
        }
        Bound::new(slf.py(), recorded(slf.py(), build::astype(node, dtype.0))?)
    }

    /// The same elements in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`.
    #[pyo3(signature = (*shape, copy=None))]
    fn reshape(slf: &Bound<'_, Self>, shape: &Bound<'_, PyTuple>, copy: Option<bool>) -> PyResult<Array> {
        manipulation::reshaped(slf.as_any(), &spread(shape)?, copy)
    }

    /// All elements in one axis.
    fn ravel(&self, py: Python<'_>) -> PyResult<Array> {
        recorded(py, build::reshape(&self.node(), &[-1]))
    }

    /// All elements in one axis, in memory of their own.
    fn flatten<'py>(slf: &Bound<'py, Self>) -> PyResult<Array> {
        let flat = Bound::new(slf.py(), slf.get().ravel(slf.py())?)?;
        if flat.get().node().shape == slf.get().node().shape { copied(slf) } else { copied(&flat) }
    }

    /// The axes reversed, or in the order given.
    #[pyo3(signature = (*axes))]
    fn transpose(slf: &Bound<'_, Self>, axes: &Bound<'_, PyTuple>) -> PyResult<Array> {
        let node = &slf.get().node();
        let reversed = axes.is_empty() || axes.len() == 1 && axes.get_item(0)?.is_none();
        let order = if reversed { (0..node.shape.len() as i64).rev().collect() } else { spread(axes)? };
        recorded(slf.py(), build::permute_dims(node, &order))
    }

    /// Two axes exchanged.
    fn swapaxes(&self, py: Python<'_>, axis1: i64, axis2: i64) -> PyResult<Array> {
        let rank = self.node().shape.len() as i64;
        let mut order: Vec<i64> = (0..rank).collect();
        let place = |axis: i64| usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(usize::MAX);
        let (first, second) = (place(axis1), place(axis2));
        if first.max(second) >= order.len() {
            // The builder words the error.
            return recorded(py, build::moveaxis(&self.node(), &[axis1], &[axis2]));
        }
        order.swap(first, second);
        recorded(py, build::permute_dims(&self.node(), &order))
    }

    /// Without the axes of extent 1, or without these.
    #[pyo3(signature = (axis=None))]
    fn squeeze(&self, py: Python<'_>, axis: Option<IntegersArgument>) -> PyResult<Array> {
        let node = self.node();
        let unit = || (0i64..).zip(&node.shape).filter(|(_, extent)| **extent == 1).map(|(axis, _)| axis);
        let axes = axis.map_or_else(|| unit().collect(), |a| a.0);
        recorded(py, build::squeeze(&self.node(), &axes))
    }

    /// The array in memory of its own.
    #[pyo3(signature = (order=None))]
    fn copy(slf: &Bound<'_, Self>, order: Option<&str>) -> PyResult<Array> {
        match order {
            None | Some("C" | "K" | "A") => copied(slf),
            Some(other) => Err(PyValueError::new_err(format!("copy: memory order {other:?} is not supported"))),
        }
    }

    /// The sum, as the function `sum`.
    #[pyo3(signature = (axis=None, dtype=None, *, keepdims=false))]
    fn sum(
        &self,
        py: Python<'_>,
        axis: Option<IntegersArgument>,
        dtype: Option<DTypeArgument>,
        keepdims: bool,
    ) -> PyResult<Array> {
        recorded(py, build::sum(&self.node(), &axes(axis), dtype.map(|d| d.0), keepdims))
    }

    /// The product, as the function `prod`.
    #[pyo3(signature = (axis=None, dtype=None, *, keepdims=false))]
    fn prod(
        &self,
        py: Python<'_>,
        axis: Option<IntegersArgument>,
        dtype: Option<DTypeArgument>,
        keepdims: bool,
    ) -> PyResult<Array> {
        recorded(py, build::prod(&self.node(), &axes(axis), dtype.map(|d| d.0), keepdims))
    }

    /// The largest element, as the function `max`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn max(&self, py: Python<'_>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::max(&self.node(), &axes(axis), keepdims))
    }

    /// The smallest element, as the function `min`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn min(&self, py: Python<'_>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::min(&self.node(), &axes(axis), keepdims))
    }

    /// The arithmetic mean, as the function `mean`; `dtype` converts first.
    #[pyo3(signature = (axis=None, dtype=None, *, keepdims=false))]
    fn mean(
        &self,
        py: Python<'_>,
        axis: Option<IntegersArgument>,
        dtype: Option<DTypeArgument>,
        keepdims: bool,
    ) -> PyResult<Array> {
        let node = match dtype {
            Some(dtype) => build::astype(&self.node(), dtype.0).map_err(crate::errors::recording)?,
            None => self.node(),
        };
        recorded(py, build::mean(&node, &axes(axis), keepdims))
    }

    /// The variance, as the function `var`; `ddof` is NumPy's name of `correction`.
    #[pyo3(signature = (axis=None, *, correction=None, ddof=None, keepdims=false))]
    fn var(
        &self,
        py: Python<'_>,
        axis: Option<IntegersArgument>,
        correction: Option<f64>,
        ddof: Option<f64>,
        keepdims: bool,
    ) -> PyResult<Array> {
        recorded(py, build::var(&self.node(), &axes(axis), one_of(correction, ddof)?, keepdims))
    }

    /// The standard deviation, as the function `std`; `ddof` is NumPy's name of `correction`.
    #[pyo3(signature = (axis=None, *, correction=None, ddof=None, keepdims=false))]
    fn std(
        &self,
        py: Python<'_>,
        axis: Option<IntegersArgument>,
        correction: Option<f64>,
        ddof: Option<f64>,
        keepdims: bool,
    ) -> PyResult<Array> {
        recorded(py, build::std(&self.node(), &axes(axis), one_of(correction, ddof)?, keepdims))
    }

    /// Is any element true, as the function `any`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn any(&self, py: Python<'_>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::any(&self.node(), &axes(axis), keepdims))
    }

    /// Are all elements true, as the function `all`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn all(&self, py: Python<'_>, axis: Option<IntegersArgument>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::all(&self.node(), &axes(axis), keepdims))
    }

    /// The first position of the largest element, as the function `argmax`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn argmax(&self, py: Python<'_>, axis: Option<i64>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::argmax(&self.node(), axis, keepdims))
    }

    /// The first position of the smallest element, as the function `argmin`.
    #[pyo3(signature = (axis=None, *, keepdims=false))]
    fn argmin(&self, py: Python<'_>, axis: Option<i64>, keepdims: bool) -> PyResult<Array> {
        recorded(py, build::argmin(&self.node(), axis, keepdims))
    }

    /// The elements at these indices along an axis, as the function `take`; of the flattened array without one.
    #[pyo3(signature = (indices, axis=None))]
    fn take(slf: &Bound<'_, Self>, indices: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
        indexing::take(slf.as_any(), indices, axis)
    }

    /// The indices of the elements that are not zero, as the function `nonzero`.
    fn nonzero<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        indexing::nonzero(slf.as_any())
    }

    /// Assigns one value to all elements, as `x[...] = value`.
    fn fill(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.set_item(slf.py().Ellipsis(), value)
    }

    /// Puts the elements in order along an axis, in this array; the function `sort` makes a new one.
    #[pyo3(signature = (axis=-1, *, stable=None), text_signature = "(self, axis=-1, *, stable=None)")]
    fn sort(&self, py: Python<'_>, axis: i64, stable: Option<bool>) -> PyResult<()> {
        let _ = stable;
        let sorted = build::sort(&self.node(), axis, false).map_err(crate::errors::recording)?;
        self.replace(py, sorted)
    }

    /// The positions of the elements in order along an axis, as the function `argsort`; of the flattened array for `None`.
    #[pyo3(signature = (axis=-1, *, descending=false, stable=None), text_signature = "(self, axis=-1, *, descending=False, stable=None)")]
    fn argsort(&self, py: Python<'_>, axis: Option<i64>, descending: bool, stable: Option<bool>) -> PyResult<Array> {
        let _ = stable;
        let (node, axis) = self.flat_unless(axis)?;
        recorded(py, build::argsort(&node, axis, descending))
    }

    /// Running sums along an axis, of the flattened array without one.
    #[pyo3(signature = (axis=None, dtype=None))]
    fn cumsum(&self, py: Python<'_>, axis: Option<i64>, dtype: Option<DTypeArgument>) -> PyResult<Array> {
        let (node, axis) = self.flat_unless(axis)?;
        recorded(py, build::cumulative_sum(&node, Some(axis), dtype.map(|d| d.0), false))
    }

    /// Running products along an axis, of the flattened array without one.
    #[pyo3(signature = (axis=None, dtype=None))]
    fn cumprod(&self, py: Python<'_>, axis: Option<i64>, dtype: Option<DTypeArgument>) -> PyResult<Array> {
        let (node, axis) = self.flat_unless(axis)?;
        recorded(py, build::cumulative_prod(&node, Some(axis), dtype.map(|d| d.0), false))
    }

    /// The elements limited to between two bounds, as the function `clip`.
    #[pyo3(signature = (min=None, max=None))]
    fn clip<'py>(
        slf: &Bound<'py, Self>,
        min: Option<&Bound<'py, PyAny>>,
        max: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Array> {
        clip(slf.as_any(), min, max)
    }

    /// The elements rounded to the nearest integer, halves to even, or to that many decimals.
    #[pyo3(signature = (decimals=0))]
    fn round(&self, py: Python<'_>, decimals: i32) -> PyResult<Array> {
        let own = Operand::Array(self.node());
        if decimals == 0 {
            return recorded(py, build::elementwise(ScalarOp::Round, &[own]));
        }
        let integers = self.node().dtype.is_integer();
        if integers && decimals > 0 {
            return Ok(Array::new(self.node()));
        }
        // As NumPy: scale by a power of ten, round, scale back; integers through floats.
        let (scale, back) = match decimals {
            1.. => (ScalarOp::Multiply, ScalarOp::Divide),
            _ => (ScalarOp::Divide, ScalarOp::Multiply),
        };
        let power = Operand::Scalar(Weak::Float(10f64.powi(decimals.saturating_abs())));
        let scaled = record(scale, &[own, power.clone()])?;
        let rounded = record(ScalarOp::Round, &[Operand::Array(scaled)])?;
        let result = record(back, &[Operand::Array(rounded), power])?;
        if !integers {
            return recorded(py, Ok(result));
        }
        recorded(py, build::astype(&result, self.node().dtype))
    }

    /// The product with a number, or the sum of products with an array, as `numpy.dot`.
    fn dot<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Array> {
        let own: &Arc<Lazy> = &slf.get().node();
        if let Some(number) = python_number(other)? {
            let pair = [Operand::Array(own.clone()), Operand::Scalar(number)];
            return recorded(slf.py(), build::elementwise(ScalarOp::Multiply, &pair));
        }
        let other_node = crate::convert::array(other, "dot")?;
        if own.shape.is_empty() || other_node.shape.is_empty() {
            let pair = [Operand::Array(own.clone()), Operand::Array(other_node)];
            return recorded(slf.py(), build::elementwise(ScalarOp::Multiply, &pair));
        }
        if other_node.shape.len() > 2 {
            return recorded(slf.py(), build::tensordot(own, &other_node, &[-1], &[-2]));
        }
        linear::matmul(slf.as_any(), other)
    }

    /// The complex conjugate: real numbers stay as they are.
    fn conj<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        of_complex(slf, ScalarOp::Conj)
    }

    /// The same as `conj`.
    fn conjugate<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        of_complex(slf, ScalarOp::Conj)
    }

    /// The real part: real numbers stay as they are.
    #[getter]
    fn real<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        of_complex(slf, ScalarOp::Real)
    }

    /// The imaginary part: zeros for real numbers.
    #[getter]
    fn imag(&self, py: Python<'_>) -> PyResult<Array> {
        recorded(py, build::elementwise(ScalarOp::Imag, &[Operand::Array(self.node())]))
    }
}

/// What an op makes of complex numbers; real arrays themselves.
fn of_complex<'py>(array: &Bound<'py, Array>, op: ScalarOp) -> PyResult<Bound<'py, Array>> {
    let node = array.get().node();
    if !node.dtype.is_complex() {
        return Ok(array.clone());
    }
    Bound::new(array.py(), recorded(array.py(), build::elementwise(op, &[Operand::Array(node.clone())]))?)
}

impl Array {
    fn flat_unless(&self, axis: Option<i64>) -> PyResult<(std::sync::Arc<fusewire_ir::lazy::Lazy>, i64)> {
        match axis {
            Some(axis) => Ok((self.node(), axis)),
            None => Ok((build::reshape(&self.node(), &[-1]).map_err(crate::errors::recording)?, 0)),
        }
    }
}

/// `correction` under either of its names.
fn one_of(correction: Option<f64>, ddof: Option<f64>) -> PyResult<f64> {
    match (correction, ddof) {
        (Some(_), Some(_)) => Err(PyValueError::new_err("correction and ddof are one thing; give one of them")),
        (value, None) | (None, value) => Ok(value.unwrap_or(0.0)),
    }
}

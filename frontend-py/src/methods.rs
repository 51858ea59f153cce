//! Methods of `Array` that NumPy's arrays have and libraries reach for. Axes may be given by position, as NumPy allows.

use crate::{
    array::Array,
    convert::{IntegersArgument, python_number},
    device::{self, DeviceArgument, moved_array},
    dtype::DTypeArgument,
    errors,
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
    build::{self, Axis, Operand},
    dtype::DType,
    error::Recorded,
    lazy::{Device, Lazy},
    ops::ScalarOp,
    promote::Weak,
    value::dense_strides,
};
use fusewire_runtime::{assign, registry};
use numpy::PyUntypedArray;
use pyo3::{
    exceptions::PyValueError,
    intern,
    prelude::*,
    types::{PyDict, PyTuple},
};
use smallvec::SmallVec;
use std::sync::Arc;

/// An array with memory of its own. What is not computed yet has none that anybody could write to, so it is shared.
pub fn copied(array: &Bound<'_, Array>) -> PyResult<Array> {
    let node = array.get().node();
    if node.buffer().is_none() {
        return Ok(Array::new(Arc::clone(&node)));
    }
    let device = device::of(&node);
    if device != Device::Cpu {
        let backend = registry::backend(device).map_err(errors::computing)?;
        let copy = array.py().detach(|| assign::copied(&node, &**backend)).map_err(errors::computing)?;
        return Ok(Array::new(copy));
    }
    let copy = to_numpy(array)?.call_method0(intern!(array.py(), "copy"))?;
    from_numpy(copy.cast::<PyUntypedArray>()?, None, Copy::IfNeeded).map(Array::new)
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

    /// The same elements in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`; with `order="F"` column by column.
    #[pyo3(signature = (*shape, order="C", copy=None), text_signature = "(self, *shape, order='C', copy=None)")]
    fn reshape(slf: &Bound<'_, Self>, shape: &Bound<'_, PyTuple>, order: &str, copy: Option<bool>) -> PyResult<Array> {
        let mut extents = spread(shape)?;
        if !by_columns(order, "reshape")? {
            return manipulation::reshaped(slf.as_any(), &extents, copy);
        }
        extents.reverse();
        let reversed = Bound::new(slf.py(), slf.get().transposed(slf.py())?)?;
        manipulation::reshaped(reversed.as_any(), &extents, copy)?.transposed(slf.py())
    }

    /// All elements in one axis, row by row; with `order="F"` column by column.
    #[pyo3(signature = (order="C"), text_signature = "(self, order='C')")]
    pub fn ravel(&self, py: Python<'_>, order: &str) -> PyResult<Array> {
        match by_columns(order, "ravel")? {
            true => self.transposed(py)?.ravel(py, "C"),
            false => manipulation::reshaped_view(py, self, &[-1]),
        }
    }

    /// All elements in one axis, in memory of their own; `order` as for `ravel`.
    #[pyo3(signature = (order="C"), text_signature = "(self, order='C')")]
    fn flatten<'py>(slf: &Bound<'py, Self>, order: &str) -> PyResult<Array> {
        let flat = Bound::new(slf.py(), slf.get().ravel(slf.py(), order)?)?;
        if flat.get().node().shape == slf.get().node().shape { copied(slf) } else { copied(&flat) }
    }

    /// The axes reversed, or in the order given.
    #[pyo3(signature = (*axes))]
    fn transpose(slf: &Bound<'_, Self>, axes: &Bound<'_, PyTuple>) -> PyResult<Array> {
        let node = &slf.get().node();
        let reversed = axes.is_empty() || axes.len() == 1 && axes.get_item(0)?.is_none();
        let order = if reversed { (0..node.shape.len() as i64).rev().collect() } else { spread(axes)? };
        slf.get().permuted(slf.py(), order)
    }

    /// Two axes exchanged.
    fn swapaxes(&self, py: Python<'_>, axis1: i64, axis2: i64) -> PyResult<Array> {
        let rank = self.node().shape.len() as i64;
        let mut order: SmallVec<[i64; 4]> = (0..rank).collect();
        let place = |axis: i64| usize::try_from(if axis < 0 { axis + rank } else { axis }).unwrap_or(usize::MAX);
        let (first, second) = (place(axis1), place(axis2));
        if first.max(second) >= order.len() {
            // The builder words the error.
            return recorded(py, build::moveaxis(&self.node(), &[axis1], &[axis2]));
        }
        order.swap(first, second);
        self.permuted(py, order)
    }

    /// Without the axes of extent 1, or without these.
    #[pyo3(signature = (axis=None))]
    fn squeeze(slf: &Bound<'_, Self>, axis: Option<IntegersArgument>) -> PyResult<Array> {
        let node = slf.get().node();
        let unit = || (0i64..).zip(&node.shape).filter(|(_, extent)| **extent == 1).map(|(axis, _)| axis);
        let axes = axis.unwrap_or_else(|| IntegersArgument(unit().collect()));
        manipulation::squeeze(slf.as_any(), axes)
    }

    /// The array in memory of its own.
    #[pyo3(signature = (order=None))]
    fn copy(slf: &Bound<'_, Self>, order: Option<&str>) -> PyResult<Array> {
        match order {
            None | Some("C" | "K" | "A") => copied(slf),
            Some(other) => Err(PyValueError::new_err(format!("copy: memory order {other:?} is not supported"))),
        }
    }

    /// The sum, as the function `sum`; `where` says which elements count, `initial` is added.
    #[pyo3(signature = (axis=None, dtype=None, out=None, keepdims=false, initial=None, r#where=None))]
    fn sum<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        dtype: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        initial: Object<'_, 'py>,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "sum", axis, dtype, correction: None, keepdims };
        call.on(slf, [("out", out), ("initial", initial), ("where", r#where)], |node, axis, dtype| {
            build::sum(node, axis, dtype, keepdims)
        })
    }

    /// The product, as the function `prod`; `where` says which elements count, `initial` is a factor.
    #[pyo3(signature = (axis=None, dtype=None, out=None, keepdims=false, initial=None, r#where=None))]
    fn prod<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        dtype: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        initial: Object<'_, 'py>,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "prod", axis, dtype, correction: None, keepdims };
        call.on(slf, [("out", out), ("initial", initial), ("where", r#where)], |node, axis, dtype| {
            build::prod(node, axis, dtype, keepdims)
        })
    }

    /// The largest element, as the function `max`; `where` says which elements count, `initial` is one more.
    #[pyo3(signature = (axis=None, out=None, keepdims=false, initial=None, r#where=None))]
    fn max<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        initial: Object<'_, 'py>,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "max", axis, dtype: None, correction: None, keepdims };
        call.on(slf, [("out", out), ("initial", initial), ("where", r#where)], |node, axis, _| {
            build::max(node, axis, keepdims)
        })
    }

    /// The smallest element, as the function `min`; `where` says which elements count, `initial` is one more.
    #[pyo3(signature = (axis=None, out=None, keepdims=false, initial=None, r#where=None))]
    fn min<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        initial: Object<'_, 'py>,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "min", axis, dtype: None, correction: None, keepdims };
        call.on(slf, [("out", out), ("initial", initial), ("where", r#where)], |node, axis, _| {
            build::min(node, axis, keepdims)
        })
    }

    /// The arithmetic mean, as the function `mean`; `dtype` converts first, `where` says which elements count.
    #[pyo3(signature = (axis=None, dtype=None, out=None, keepdims=false, r#where=None))]
    fn mean<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        dtype: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "mean", axis, dtype, correction: None, keepdims };
        call.on(slf, [("out", out), ("where", r#where)], |node, axis, dtype| {
            build::mean(&converted(node, dtype)?, axis, keepdims)
        })
    }

    /// The variance, as the function `var`; `ddof` is NumPy's name of `correction`, `mean` the mean where it is known.
    #[pyo3(signature = (axis=None, dtype=None, out=None, ddof=None, keepdims=false, r#where=None, mean=None, correction=None))]
    #[expect(clippy::too_many_arguments, reason = "they are NumPy's and the standard's")]
    fn var<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        dtype: Object<'_, 'py>,
        out: Object<'_, 'py>,
        ddof: Option<f64>,
        keepdims: bool,
        r#where: Object<'_, 'py>,
        mean: Object<'_, 'py>,
        correction: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let correction = one_of(correction, ddof)?;
        let call = Reduction { name: "var", axis, dtype, correction: Some(correction), keepdims };
        call.on(slf, [("out", out), ("where", r#where), ("mean", mean)], |node, axis, dtype| {
            build::var(&converted(node, dtype)?, axis, correction, keepdims)
        })
    }

    /// The standard deviation, as the function `std`; `ddof` is NumPy's name of `correction`, `mean` the mean where it is known.
    #[pyo3(signature = (axis=None, dtype=None, out=None, ddof=None, keepdims=false, r#where=None, mean=None, correction=None))]
    #[expect(clippy::too_many_arguments, reason = "they are NumPy's and the standard's")]
    fn std<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        dtype: Object<'_, 'py>,
        out: Object<'_, 'py>,
        ddof: Option<f64>,
        keepdims: bool,
        r#where: Object<'_, 'py>,
        mean: Object<'_, 'py>,
        correction: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let correction = one_of(correction, ddof)?;
        let call = Reduction { name: "std", axis, dtype, correction: Some(correction), keepdims };
        call.on(slf, [("out", out), ("where", r#where), ("mean", mean)], |node, axis, dtype| {
            build::std(&converted(node, dtype)?, axis, correction, keepdims)
        })
    }

    /// Is any element true, as the function `any`; `where` says which elements count.
    #[pyo3(signature = (axis=None, out=None, keepdims=false, r#where=None))]
    fn any<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "any", axis, dtype: None, correction: None, keepdims };
        call.on(slf, [("out", out), ("where", r#where)], |node, axis, _| build::any(node, axis, keepdims))
    }

    /// Are all elements true, as the function `all`; `where` says which elements count.
    #[pyo3(signature = (axis=None, out=None, keepdims=false, r#where=None))]
    fn all<'py>(
        slf: &Bound<'py, Self>,
        axis: Object<'_, 'py>,
        out: Object<'_, 'py>,
        keepdims: bool,
        r#where: Object<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let call = Reduction { name: "all", axis, dtype: None, correction: None, keepdims };
        call.on(slf, [("out", out), ("where", r#where)], |node, axis, _| build::all(node, axis, keepdims))
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

    /// Each element so many times along an axis, as the function `repeat`; of the flattened array without one.
    #[pyo3(signature = (repeats, axis=None))]
    fn repeat(slf: &Bound<'_, Self>, repeats: &Bound<'_, PyAny>, axis: Option<i64>) -> PyResult<Array> {
        indexing::repeat(slf.as_any(), repeats, axis)
    }

    /// Where the elements of `v` would be inserted to keep this array sorted, as the function `searchsorted`.
    #[pyo3(signature = (v, side="left", sorter=None), text_signature = "(self, v, side='left', sorter=None)")]
    fn searchsorted<'py>(
        slf: &Bound<'py, Self>,
        v: &Bound<'py, PyAny>,
        side: &str,
        sorter: Object<'_, 'py>,
    ) -> PyResult<Array> {
        indexing::searchsorted(slf.as_any(), v, side, sorter)
    }

    /// Steps between neighbours along each axis, in bytes; those of an array that is not computed are what they will be.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let node = self.node();
        let size = node.dtype.size() as isize;
        let steps = match node.buffer() {
            Some(buffer) => buffer.strides.clone(),
            None => dense_strides(&node.shape),
        };
        PyTuple::new(py, steps.iter().map(|step| step * size))
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

/// Does a memory order mean column by column?
fn by_columns(order: &str, name: &str) -> PyResult<bool> {
    match order {
        "C" | "K" | "A" => Ok(false),
        "F" => Ok(true),
        other => Err(PyValueError::new_err(format!("{name}: memory order {other:?} is not one of C, F, A, K"))),
    }
}

/// An argument that may be left out.
type Object<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// A reduction as a method is asked for it.
struct Reduction<'a, 'py> {
    name: &'static str,
    axis: Object<'a, 'py>,
    dtype: Object<'a, 'py>,
    correction: Option<f64>,
    keepdims: bool,
}

impl<'py> Reduction<'_, 'py> {
    /// The plain reduction, or where there are arguments that only NumPy's methods have, the one that `fusewire/_reductions.py`
    /// makes of plain ones.
    fn on<const N: usize>(
        &self,
        array: &Bound<'py, Array>,
        others: [(&str, Object<'_, 'py>); N],
        plain: impl FnOnce(&Arc<Lazy>, &Axis, Option<DType>) -> Recorded<Arc<Lazy>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = array.py();
        // The standard has variances of real numbers only.
        let known = self.correction.is_none() || !array.get().node().dtype.is_complex();
        if known && others.iter().all(|(_, value)| value.is_none()) {
            let axis = self.axis.map(|axis| axis.extract::<IntegersArgument>()).transpose()?;
            let dtype = self.dtype.map(|dtype| dtype.extract::<DTypeArgument>()).transpose()?;
            let result = plain(&array.get().node(), &axes(axis), dtype.map(|dtype| dtype.0));
            return Ok(Bound::new(py, recorded(py, result)?)?.into_any());
        }
        let keywords = PyDict::new(py);
        for (name, value) in [("axis", self.axis), ("dtype", self.dtype)].into_iter().chain(others) {
            if let Some(value) = value {
                keywords.set_item(name, value)?;
            }
        }
        if let Some(correction) = self.correction {
            keywords.set_item("correction", correction)?;
        }
        keywords.set_item("keepdims", self.keepdims)?;
        py.import(intern!(py, "fusewire._reductions"))?.call_method(self.name, (array,), Some(&keywords))
    }
}

/// The array in another dtype, if one is given.
fn converted(node: &Arc<Lazy>, dtype: Option<DType>) -> Recorded<Arc<Lazy>> {
    match dtype {
        Some(dtype) => build::astype(node, dtype),
        None => Ok(Arc::clone(node)),
    }
}

/// `correction` under either of its names.
fn one_of(correction: Option<f64>, ddof: Option<f64>) -> PyResult<f64> {
    match (correction, ddof) {
        (Some(_), Some(_)) => Err(PyValueError::new_err("correction and ddof are one thing; give one of them")),
        (value, None) | (None, value) => Ok(value.unwrap_or(0.0)),
    }
}

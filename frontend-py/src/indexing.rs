//! `x[...]`, `len`, iteration and `in`. What an index means is `fusewire_ir::build::index`; here it is read from Python.

use crate::{
    array::Array,
    convert::{argument, try_index, type_name},
    evaluate::{computed, recorded},
    export::element,
};
use fusewire_ir::{
    build::{self, IndexItem, Operand},
    lazy::Lazy,
    ops::ScalarOp,
    value::Buffer,
};
use numpy::PyUntypedArray;
use parking_lot::Mutex;
use pyo3::{
    exceptions::{PyIndexError, PyTypeError, PyValueError},
    ffi,
    prelude::*,
    types::{PyBool, PyList, PySlice, PyTuple},
};
use smallvec::SmallVec;
use std::sync::Arc;

type Items = SmallVec<[IndexItem; 4]>;

#[pymethods]
impl Array {
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Array> {
        let node = slf.get().node();
        let mut items = Items::new();
        match key.cast::<PyTuple>() {
            Ok(keys) => {
                for key in keys.iter_borrowed() {
                    items.push(index_item(&key)?);
                }
            }
            Err(_) => items.push(index_item(key)?),
        }
        if let Some(single) = element_view(node, &items) {
            return Ok(Array::new(single));
        }
        recorded(slf.py(), build::index(node, &items))
    }

    fn __len__(&self) -> PyResult<usize> {
        match self.node().shape.first() {
            Some(&extent) => Ok(extent),
            None => Err(PyTypeError::new_err("len() of a 0-d array")),
        }
    }

    /// Iterates over the first axis. Nothing is computed before the first step; then the array is, once.
    fn __iter__(&self) -> PyResult<Rows> {
        if self.node().shape.is_empty() {
            return Err(PyTypeError::new_err("iteration over a 0-d array"));
        }
        Ok(Rows { node: self.node().clone(), next: Mutex::new(0) })
    }

    /// Is any element equal to the value?
    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let pair = [Operand::Array(self.node().clone()), argument(value, "in")?];
        let equal = build::elementwise(ScalarOp::Equal, &pair).map_err(crate::errors::recording)?;
        let any = build::any(&equal, &build::Axis::All, false).map_err(crate::errors::recording)?;
        Ok(element(py, &any, "in")?.is_true())
    }
}

/// The iterator over an array's first axis.
#[pyclass(module = "fusewire", frozen)]
pub struct Rows {
    node: Arc<Lazy>,
    next: Mutex<usize>,
}

#[pymethods]
impl Rows {
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Array>> {
        let extent = self.node.shape[0];
        let position = {
            let mut next = self.next.lock();
            let position = *next;
            if position < extent {
                *next += 1;
            }
            position
        };
        if position >= extent {
            return Ok(None);
        }
        let buffer = computed(py, &self.node)?;
        Ok(Some(Array::new(sub_array(&self.node, buffer, &[position]))))
    }

    fn __length_hint__(&self) -> usize {
        self.node.shape[0] - *self.next.lock()
    }
}

/// The part of a computed array at leading positions, which must be in range: the same memory, nothing to compute.
fn sub_array(node: &Lazy, buffer: &Buffer, positions: &[usize]) -> Arc<Lazy> {
    let size = node.dtype.size() as isize;
    let distance: isize = positions.iter().zip(&buffer.strides).map(|(&p, &s)| p as isize * s * size).sum();
    let part = Buffer {
        storage: buffer.storage.clone(),
        offset: buffer.offset.wrapping_add_signed(distance),
        strides: buffer.strides[positions.len()..].into(),
    };
    Lazy::computed(part, node.dtype, node.shape[positions.len()..].into(), node.device)
}

/// One element of an array that is computed already: scalar loops need no plan each. `None` for all other indices.
fn element_view(node: &Arc<Lazy>, items: &Items) -> Option<Arc<Lazy>> {
    if items.is_empty() || items.len() != node.shape.len() {
        return None;
    }
    let buffer = node.buffer()?;
    let mut positions: SmallVec<[usize; 4]> = SmallVec::new();
    for (item, &extent) in items.iter().zip(&node.shape) {
        let &IndexItem::Int(position) = item else {
            return None;
        };
        let position = if position < 0 { position + extent as i64 } else { position };
        positions.push(usize::try_from(position).ok().filter(|&p| p < extent)?);
    }
    Some(sub_array(node, buffer, &positions))
}

fn index_item(key: &Bound<'_, PyAny>) -> PyResult<IndexItem> {
    if let Ok(slice) = key.cast::<PySlice>() {
        return slice_item(slice);
    }
    if key.is_none() {
        return Ok(IndexItem::NewAxis);
    }
    // SAFETY: `Py_Ellipsis` is a live singleton; only its address is compared.
    if key.as_ptr() == unsafe { ffi::Py_Ellipsis() } {
        return Ok(IndexItem::Ellipsis);
    }
    if key.is_instance_of::<PyBool>() || key.is_instance_of::<PyList>() {
        return Err(advanced(key));
    }
    // Arrays of any rank have `__index__`; only 0-d integer ones mean a position.
    let zero_dimensional = match (key.cast_exact::<Array>(), key.cast::<PyUntypedArray>()) {
        (Ok(array), _) => array.get().node().shape.is_empty() && array.get().node().dtype.is_integer(),
        (_, Ok(array)) => numpy::PyUntypedArrayMethods::ndim(array) == 0,
        _ => true,
    };
    if !zero_dimensional {
        return Err(advanced(key));
    }
    match try_index(key)? {
        Some(position) => Ok(IndexItem::Int(position)),
        None => Err(advanced(key)),
    }
}

fn advanced(key: &Bound<'_, PyAny>) -> PyErr {
    PyIndexError::new_err(format!(
        "an index may hold integers, slices, ..., None and 0-d integer arrays; got {}",
        type_name(key)
    ))
}

fn slice_item(slice: &Bound<'_, PySlice>) -> PyResult<IndexItem> {
    let part = |name: &str| -> PyResult<Option<i64>> {
        let value = slice.getattr(name)?;
        if value.is_none() {
            return Ok(None);
        }
        try_index(&value)?.map(Some).ok_or_else(|| {
            PyTypeError::new_err(format!("slice indices must be integers or None, got {}", type_name(&value)))
        })
    };
    let (start, stop, step) = (part("start")?, part("stop")?, part("step")?);
    if step == Some(0) {
        return Err(PyValueError::new_err("slice step cannot be zero"));
    }
    Ok(IndexItem::Slice { start, stop, step })
}

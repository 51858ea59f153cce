//! `x[...]`, `len`, iteration and `in`. What an index means is `fusewire_ir::build`; reading it from Python is `keys.rs`.

use crate::{
    array::Array,
    convert::argument,
    evaluate::{computed, recorded},
    export::element,
    keys::{Index, Items, first_outside},
    views::Step,
};
use fusewire_ir::{
    build::{self, IndexItem, Operand},
    lazy::Lazy,
    ops::ScalarOp,
    value::Buffer,
};
use parking_lot::Mutex;
use pyo3::{exceptions::PyTypeError, prelude::*};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

#[pymethods]
impl Array {
    /// The elements at an index: integers, slices, `...`, `None`, arrays of integers, boolean masks, or a tuple of them.
    ///
    /// Without arrays a view; with arrays, they broadcast, and their axes stand as in NumPy. A mask's shape must be that of
    /// the axes it stands for; it is computed at once. Raises IndexError for what is out of range, at the call where the
    /// values of the index are known then, else when the elements are computed.
    fn __getitem__<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Array> {
        let (py, node) = (slf.py(), &slf.get().node_attached(slf.py()));
        match Index::read(key)? {
            Index::Basic(items) => match element_view(node, &items) {
                Some(single) => Ok(Array::new(single)),
                None => {
                    let part = recorded(py, build::index(node, &items))?;
                    let step = Step::index(items, &part.node_attached(py));
                    Ok(match step {
                        Some(step) => part.viewing(py, slf.get(), step),
                        None => part,
                    })
                }
            },
            Index::Advanced(keys) => recorded(slf.py(), build::index_arrays(node, &keys, &first_outside)),
        }
    }

    fn __len__(&self) -> PyResult<usize> {
        match self.node().shape.first() {
            Some(&extent) => Ok(extent),
            None => Err(PyTypeError::new_err("len() of a 0-d array")),
        }
    }

    /// Iterates over the first axis. Nothing is computed before the first step; then the array is, once.
    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Rows> {
        if slf.get().node().shape.is_empty() {
            return Err(PyTypeError::new_err("iteration over a 0-d array"));
        }
        Ok(Rows { array: slf.clone().unbind(), next: Mutex::new(0) })
    }

    /// Is any element equal to the value?
    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let pair = [Operand::Array(self.node()), argument(value, "in")?];
        let equal = build::elementwise(ScalarOp::Equal, &pair).map_err(crate::errors::recording)?;
        let any = build::any(&equal, &build::Axis::All, false).map_err(crate::errors::recording)?;
        Ok(element(py, &any, "in")?.is_true())
    }
}

/// The iterator over an array's first axis.
#[pyclass(module = "fusewire", frozen)]
pub struct Rows {
    array: Py<Array>,
    next: Mutex<usize>,
}

#[pymethods]
impl Rows {
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, Self> {
        slf.clone()
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Array>> {
        let (array, node) = (self.array.get(), &self.array.get().node_attached(py));
        let extent = node.shape[0];
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
        let row = sub_array(node, computed(py, node)?, &[position]);
        let step = Step::index(smallvec![IndexItem::Int(position as i64)], &row);
        Ok(Some(match step {
            Some(step) => Array::new(row).viewing(py, array, step),
            None => Array::new(row),
        }))
    }

    fn __length_hint__(&self) -> usize {
        self.array.get().node().shape[0] - *self.next.lock()
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
    Lazy::computed(part, node.dtype, node.shape[positions.len()..].into(), buffer.storage.device())
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

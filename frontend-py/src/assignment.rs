//! `x[key] = value` and the in-place operators. The handle gets a node with the new values; other handles, and views made
//! before, keep theirs. Where nobody else can see the array's memory, and the values are there or few, they are written
//! into it instead; with arrays in the key always, if need be into a copy.

use crate::{
    array::Array,
    convert::{argument, operand},
    device, errors,
    evaluate::{evaluate, recorded},
    keys::{Index, Items, basic_mask, first_outside},
};
use fusewire_ir::{
    build::{self, Key, Operand},
    lazy::Lazy,
    ops::ScalarOp,
    promote::same_kind,
};
use fusewire_runtime::{
    assign::{copied, is_exclusive, takes_elements, write_elements, write_part},
    registry,
};
use pyo3::{exceptions::PyTypeError, prelude::*};
use std::{
    slice,
    sync::{Arc, atomic::Ordering::Relaxed},
};

/// An array to which so many assignments in a row are recorded is computed, and then written to: loops assign often.
const MANY: u32 = 4;
/// A value that is not computed is computed for writing in place when the array has so many times its elements.
const FEW: usize = 8;

#[pymethods]
impl Array {
    /// Assigns to the elements at an index: every index that `x[...]` takes.
    ///
    /// The value is broadcast to the shape of `x[key]` and converted to the dtype of `x`. With indices that name an element
    /// twice the last value stays. Other arrays do not change, also those that were made as views of this one. Raises
    /// IndexError for what is out of range, ValueError for a value that does not broadcast, OverflowError for a Python integer
    /// outside the dtype.
    fn __setitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let array = slf.get();
        let node = array.node();
        let value = build::fit(&argument(value, "assignment")?, node.dtype).map_err(errors::recording)?;
        let value = value.placed(device::of(&node));
        if let Some(mask) = basic_mask(key)?
            && let Some(new) = build::assign_where(&node, &mask, &value).map_err(errors::recording)?
        {
            return array.replace(py, new);
        }
        match Index::read(key)? {
            Index::Basic(items) => array.assign_basic(py, node, &items, &value),
            Index::Advanced(keys) => array.assign_at(py, node, &keys, &value),
        }
    }

    fn __iadd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Add, slf, other, "+=")
    }
    fn __isub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Subtract, slf, other, "-=")
    }
    fn __imul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Multiply, slf, other, "*=")
    }
    fn __itruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Divide, slf, other, "/=")
    }
    fn __ifloordiv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::FloorDivide, slf, other, "//=")
    }
    fn __imod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Remainder, slf, other, "%=")
    }
    fn __ipow__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>, _modulo: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        in_place(ScalarOp::Pow, slf, other, "**=")
    }
    fn __iand__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::And, slf, other, "&=")
    }
    fn __ior__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Or, slf, other, "|=")
    }
    fn __ixor__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::Xor, slf, other, "^=")
    }
    fn __ilshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::ShiftLeft, slf, other, "<<=")
    }
    fn __irshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        in_place(ScalarOp::ShiftRight, slf, other, ">>=")
    }
    fn __imatmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        let node = slf.get().node();
        match argument(other, "@=")? {
            Operand::Array(other) => {
                let result = build::matmul(&node, &other).map_err(errors::recording)?;
                slf.get().update(slf.py(), &node, &result, "@=")
            }
            Operand::Scalar(_) => Err(PyTypeError::new_err("@=: a number cannot be multiplied as a matrix; use *=")),
        }
    }
}

fn in_place(op: ScalarOp, array: &Bound<'_, Array>, other: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
    let Some(other) = operand(other)? else {
        return Err(PyTypeError::new_err(format!("{name}: expected an array or a number")));
    };
    let node = array.get().node();
    let result = build::elementwise(op, [Operand::Array(node.clone()), other]).map_err(errors::recording)?;
    array.get().update(array.py(), &node, &result, name)
}

impl Array {
    /// Makes the handle one on a new node; a chain that has grown long is computed on the way.
    pub fn replace(&self, py: Python<'_>, node: Arc<Lazy>) -> PyResult<()> {
        let new = recorded(py, Ok(node))?;
        self.assign(new.node());
        Ok(())
    }

    /// The result of an in-place operator: of the same shape, and of a dtype that may become the array's.
    fn update(&self, py: Python<'_>, old: &Arc<Lazy>, result: &Arc<Lazy>, name: &str) -> PyResult<()> {
        if result.shape != old.shape {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "{name}: the result has shape {} and does not fit the array's {}",
                build::tuple(&result.shape),
                build::tuple(&old.shape)
            )));
        }
        if !same_kind(result.dtype, old.dtype) {
            return Err(PyTypeError::new_err(format!(
                "{name}: a result of {} cannot become {} in place",
                result.dtype.numpy_name(),
                old.dtype.numpy_name()
            )));
        }
        self.replace(py, build::cast(result, old.dtype).map_err(errors::recording)?)
    }

    /// Is it worth writing into the node's memory, if nobody else holds that? Computes the value then.
    fn write(&self, py: Python<'_>, node: &Arc<Lazy>, value: &Arc<Lazy>) -> PyResult<bool> {
        let count = |node: &Lazy| node.shape.iter().product::<usize>();
        let ready = value.buffer().is_some() || count(value) <= count(node) / FEW || count(value) == 1;
        if !ready || (node.buffer().is_none() && self.recorded_assignments().load(Relaxed) < MANY) {
            return Ok(false);
        }
        evaluate(py, slice::from_ref(node))?;
        self.recorded_assignments().store(0, Relaxed);
        evaluate(py, slice::from_ref(value))?;
        // One reference is the handle's, one ours; the value lets go of its operands when it is computed.
        Ok(is_exclusive(node, 2) && !Arc::ptr_eq(node, value))
    }

    fn assign_basic(&self, py: Python<'_>, node: Arc<Lazy>, items: &Items, value: &Arc<Lazy>) -> PyResult<()> {
        let (part, value) = build::assigned_part(&node, items, value).map_err(errors::recording)?;
        if self.write(py, &node, &value)? {
            if let Some(buffer) = node.buffer() {
                write_part(&node, &part.region(&buffer.strides), &value).map_err(errors::computing)?;
            }
            return Ok(());
        }
        self.replace(py, build::assign(&node, &part, &value).map_err(errors::recording)?)?;
        self.recorded_assignments().fetch_add(1, Relaxed);
        Ok(())
    }

    /// Assigns to the elements at keys with arrays, which computes the array: copying what others hold takes less than choosing
    /// for each element of a recorded array whether it gets a value.
    pub fn assign_at(&self, py: Python<'_>, node: Arc<Lazy>, keys: &[Key], value: &Arc<Lazy>) -> PyResult<()> {
        // Indices are computed now: which element gets which value is data.
        let indices: Vec<Arc<Lazy>> = keys.iter().filter_map(|key| key.array().cloned()).collect();
        evaluate(py, &indices)?;
        let at = build::destinations(&node, keys, &first_outside).map_err(errors::recording)?;
        let value = build::aligned(value, &at.shape).map_err(errors::recording)?;
        if at.shape.contains(&0) {
            return Ok(());
        }
        evaluate(py, &[node.clone(), at.clone(), value.clone()])?;
        // One reference is the handle's, one ours.
        if takes_elements(&node, 2) {
            return write_elements(&node, &at, &value).map_err(errors::computing);
        }
        let backend = registry::backend(device::of(&node)).map_err(errors::computing)?;
        let copy = copied(&node, &**backend).map_err(errors::computing)?;
        write_elements(&copy, &at, &value).map_err(errors::computing)?;
        self.assign(copy);
        Ok(())
    }
}

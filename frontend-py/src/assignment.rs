//! `x[key] = value` and the in-place operators. The handle gets a node with the new values; views of the array, and the array that it is a
//! view of, get theirs by that (`variable.rs`), and other handles keep what they have. Where nobody else can see the array's memory, and
//! the values are there or few, they are written into it instead; with arrays in the key always, if need be into a copy.

use crate::{
    array::Array,
    convert::{argument, operand},
    device, errors,
    evaluate::{evaluate, recorded},
    keys::{Index, Items, basic_mask, first_outside},
    variable::Place,
    views::Step,
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
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
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
    /// twice the last value stays. Views of the array see it, and so does the array that it is a view of; what was computed or
    /// recorded from its values before does not change. Raises IndexError for what is out of range, ValueError for a value that does not broadcast, OverflowError for a Python integer
    /// outside the dtype.
    fn __setitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let array = slf.get();
        // `x[1:] += 1` assigns what the view was given to `x[1:]` once more.
        if let Ok(view) = value.cast_exact::<Array>()
            && array.variable().has_view(py, view.get().variable(), || Step::of_key(key))
        {
            return Ok(());
        }
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
                slf.get().update(slf.py(), node, result, "@=")
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
    array.get().update(array.py(), node, result, name)
}

impl Array {
    /// Makes the handle one on a new node; a chain that has grown long is computed on the way.
    pub fn replace(&self, py: Python<'_>, node: Arc<Lazy>) -> PyResult<()> {
        let new = recorded(py, Ok(node))?;
        self.assign(py, new.node())
    }

    /// Makes the handle one on another node.
    pub fn assign(&self, py: Python<'_>, node: Arc<Lazy>) -> PyResult<()> {
        let place = self.variable().set(py, node.clone());
        self.pass_on(py, place, &node)
    }

    /// The handle's node has other elements in its memory.
    fn changed(&self, py: Python<'_>, node: &Arc<Lazy>) -> PyResult<()> {
        let place = self.variable().changed(py);
        self.pass_on(py, place, node)
    }

    /// What the handle is a view of, if it is one, gets the elements.
    fn pass_on(&self, py: Python<'_>, place: Option<Arc<Place>>, elements: &Arc<Lazy>) -> PyResult<()> {
        let Some(place) = place else { return Ok(()) };
        let assigned = put(py, &place, elements);
        place.settle(py, assigned.is_ok(), true);
        assigned
    }

    /// The result of an in-place operator: of the same shape, and of a dtype that may become the array's.
    fn update(&self, py: Python<'_>, old: Arc<Lazy>, result: Arc<Lazy>, name: &str) -> PyResult<()> {
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
        let new = build::cast(&result, old.dtype).map_err(errors::recording)?;
        // Views' nodes hold those of their arrays, which are to be written into if nobody does.
        drop((old, result));
        self.replace(py, new)
    }

    fn assign_basic(&self, py: Python<'_>, node: Arc<Lazy>, items: &Items, value: &Arc<Lazy>) -> PyResult<()> {
        match assigned(py, &node, items, value, self.recorded_assignments())? {
            Some(new) => {
                // As above.
                drop(node);
                self.assign(py, new)
            }
            None => self.changed(py, &node),
        }
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
            write_elements(&node, &at, &value).map_err(errors::computing)?;
            return self.changed(py, &node);
        }
        let backend = registry::backend(device::of(&node)).map_err(errors::computing)?;
        let copy = copied(&node, &**backend).map_err(errors::computing)?;
        write_elements(&copy, &at, &value).map_err(errors::computing)?;
        self.assign(py, copy)
    }
}

/// Gives what these are the elements of a view of those, and what that is a view of.
fn put(py: Python<'_>, place: &Place, elements: &Arc<Lazy>) -> PyResult<()> {
    let Some((whole, step)) = &place.whole else { return Ok(()) };
    // Where the array is gone, nobody sees it.
    let Some(node) = whole.current(py) else { return Ok(()) };
    let new = match step {
        Step::Index(items) => assigned(py, &node, items, elements, &whole.assignments)?,
        Step::Permute(_) | Step::Reshape(_) => Some(recorded(py, step.put(&node, elements))?.node()),
    };
    match &new {
        Some(new) => whole.write(py, new.clone()),
        None => whole.changed(py, &node),
    }
    let further = put(py, whole, &new.unwrap_or(node));
    whole.settle(py, further.is_ok(), false);
    further
}

/// The node that an array has after an assignment to `items` of it; `None` if the values were written into its memory. `node` and the
/// array's handle are all that should hold the node. `recorded_before` counts assignments since one was made in memory.
fn assigned(
    py: Python<'_>,
    node: &Arc<Lazy>,
    items: &Items,
    value: &Arc<Lazy>,
    recorded_before: &AtomicU32,
) -> PyResult<Option<Arc<Lazy>>> {
    let (part, value) = build::assigned_part(node, items, value).map_err(errors::recording)?;
    if is_to_be_written(py, node, &value, recorded_before)? {
        if let Some(buffer) = node.buffer() {
            write_part(node, &part.region(&buffer.strides), &value).map_err(errors::computing)?;
        }
        return Ok(None);
    }
    let new = recorded(py, build::assign(node, &part, &value))?.node();
    recorded_before.fetch_add(1, Relaxed);
    Ok(Some(new))
}

/// Is it worth writing into the node's memory, and does nobody else hold that? Computes the value then.
fn is_to_be_written(
    py: Python<'_>,
    node: &Arc<Lazy>,
    value: &Arc<Lazy>,
    recorded_before: &AtomicU32,
) -> PyResult<bool> {
    let count = |node: &Lazy| node.shape.iter().product::<usize>();
    let ready = value.buffer().is_some() || count(value) <= count(node) / FEW || count(value) == 1;
    if !ready || (node.buffer().is_none() && recorded_before.load(Relaxed) < MANY) {
        return Ok(false);
    }
    evaluate(py, slice::from_ref(node))?;
    recorded_before.store(0, Relaxed);
    evaluate(py, slice::from_ref(value))?;
    // One reference is the handle's, one ours; the value lets go of its operands when it is computed.
    Ok(is_exclusive(node, 2) && !Arc::ptr_eq(node, value))
}

//! What stands between the brackets of `x[...]`, read from Python: positions, slices, arrays of positions, masks. A mask's
//! positions are computed here, for how many there are decides a shape.

use crate::{
    array::Array,
    convert::{array, try_index, type_name},
    device,
    evaluate::evaluate,
};
use fusewire_ir::{
    build::{self, IndexItem, Key},
    dtype::DType,
    lazy::Lazy,
};
use fusewire_runtime::positions;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::{
    exceptions::PyIndexError,
    ffi,
    prelude::*,
    types::{PyBool, PyList, PySlice, PyTuple},
};
use smallvec::SmallVec;
use std::{slice, sync::Arc};

/// The entries of an index without arrays.
pub type Items = SmallVec<[IndexItem; 2]>;

/// An index.
pub enum Index {
    /// Views.
    Basic(Items),
    /// With arrays or masks.
    Advanced(Vec<Key>),
}

impl Index {
    /// Reads what stands between the brackets. Raises IndexError for what is no index.
    pub fn read(key: &Bound<'_, PyAny>) -> PyResult<Index> {
        let single = slice::from_ref(key);
        let Ok(tuple) = key.cast::<PyTuple>() else { return Index::entries(single.iter().cloned()) };
        Index::entries(tuple.iter())
    }

    fn entries<'py>(mut entries: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<Index> {
        let mut items = Items::new();
        while let Some(entry) = entries.next() {
            let Some(item) = basic_item(&entry)? else { return Index::with_arrays(items, &entry, entries) };
            items.push(item);
        }
        Ok(Index::Basic(items))
    }

    /// The entries before the first array, it, and those behind it.
    fn with_arrays<'py>(
        items: Items,
        array: &Bound<'py, PyAny>,
        behind: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<Index> {
        let mut keys = items.into_iter().map(Key::Item).collect();
        advanced_keys(array, &mut keys)?;
        for entry in behind {
            match basic_item(&entry)? {
                Some(item) => keys.push(Key::Item(item)),
                None => advanced_keys(&entry, &mut keys)?,
            }
        }
        Ok(Index::Advanced(keys))
    }
}

/// The first index of an array that is outside an axis, if its values are known.
pub fn first_outside(indices: &Arc<Lazy>, extent: usize) -> Option<i64> {
    positions::first_outside(indices, extent)
}

/// The positions of what is not zero, an array an axis; computes the array.
pub fn nonzero(py: Python<'_>, x: &Arc<Lazy>) -> PyResult<Vec<Arc<Lazy>>> {
    let mask = build::cast(x, DType::Bool).map_err(crate::errors::recording)?;
    evaluate(py, slice::from_ref(&mask))?;
    positions::nonzero(&mask, device::of(&mask)).map_err(crate::errors::computing)
}

/// The mask that the whole index is, if it is one of at least one axis.
pub fn basic_mask(key: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Lazy>>> {
    if key.cast_exact::<Array>().is_err() && key.cast::<PyUntypedArray>().is_err() {
        return Ok(None);
    }
    let node = array(key, "index")?;
    Ok(Some(node).filter(|node| node.dtype == DType::Bool && !node.shape.is_empty()))
}

/// A function's argument where indices are meant. NumPy makes an empty list one of floats, and means no positions all the same.
pub fn indices(object: &Bound<'_, PyAny>, function: &str) -> PyResult<Arc<Lazy>> {
    let node = array(object, function)?;
    let empty_list = node.shape.contains(&0) && object.is_instance_of::<PyList>();
    if empty_list { build::cast(&node, DType::I64).map_err(crate::errors::recording) } else { Ok(node) }
}

/// An entry that needs no array; `None` for arrays, lists and masks.
fn basic_item(key: &Bound<'_, PyAny>) -> PyResult<Option<IndexItem>> {
    if let Ok(slice) = key.cast::<PySlice>() {
        return slice_item(slice).map(Some);
    }
    if key.is_none() {
        return Ok(Some(IndexItem::NewAxis));
    }
    // SAFETY: `Py_Ellipsis` is a live singleton; only its address is compared.
    if key.as_ptr() == unsafe { ffi::Py_Ellipsis() } {
        return Ok(Some(IndexItem::Ellipsis));
    }
    if key.is_instance_of::<PyBool>() || key.is_instance_of::<PyList>() {
        return Ok(None);
    }
    // Arrays of any rank have `__index__`; only 0-d integer ones mean a position.
    let zero_dimensional = match (key.cast_exact::<Array>(), key.cast::<PyUntypedArray>()) {
        (Ok(array), _) => array.get().node().shape.is_empty() && array.get().node().dtype.is_integer(),
        (_, Ok(array)) => array.ndim() == 0,
        _ => true,
    };
    if zero_dimensional { Ok(try_index(key)?.map(IndexItem::Int)) } else { Ok(None) }
}

/// The keys that an array, a list or a mask is.
fn advanced_keys(key: &Bound<'_, PyAny>, keys: &mut Vec<Key>) -> PyResult<()> {
    let is_index = key.cast_exact::<Array>().is_ok()
        || key.cast::<PyUntypedArray>().is_ok()
        || key.is_instance_of::<PyList>()
        || key.is_instance_of::<PyBool>()
        || crate::convert::is_numpy_scalar(key);
    if !is_index {
        return Err(no_index(key));
    }
    let node = indices(key, "index")?;
    if node.dtype == DType::Bool {
        return mask_keys(key.py(), &node, keys);
    }
    if !node.dtype.is_integer() {
        return Err(PyIndexError::new_err(format!(
            "arrays used as indices must be of integer or boolean dtype, got {}",
            node.dtype.numpy_name()
        )));
    }
    keys.push(Key::Positions { array: node, mask: None });
    Ok(())
}

fn mask_keys(py: Python<'_>, mask: &Arc<Lazy>, keys: &mut Vec<Key>) -> PyResult<()> {
    if mask.shape.is_empty() {
        // True is one copy along a new axis, False is none: the positions of a mask of one element.
        let mask = build::expand_dims(mask, &[0]).map_err(crate::errors::recording)?;
        keys.extend(nonzero(py, &mask)?.into_iter().map(Key::NewAxis));
        return Ok(());
    }
    let extents = mask.shape.iter().map(|&extent| Some(extent));
    let found = nonzero(py, mask)?.into_iter().zip(extents);
    keys.extend(found.map(|(array, mask)| Key::Positions { array, mask }));
    Ok(())
}

fn no_index(key: &Bound<'_, PyAny>) -> PyErr {
    PyIndexError::new_err(format!(
        "an index may hold integers, slices, ..., None, arrays of integers and boolean masks; got {}",
        type_name(key)
    ))
}

/// Python reads the bounds itself: asking for them by name takes several times as long as recording the view does. What it gives
/// for bounds that are left out clamps to the same positions.
fn slice_item(slice: &Bound<'_, PySlice>) -> PyResult<IndexItem> {
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: a live slice, and places for three numbers.
    if unsafe { ffi::PySlice_Unpack(slice.as_ptr(), &mut start, &mut stop, &mut step) } < 0 {
        return Err(PyErr::fetch(slice.py()));
    }
    let [start, stop, step] = [start, stop, step].map(|bound| Some(bound as i64));
    Ok(IndexItem::Slice { start, stop, step })
}

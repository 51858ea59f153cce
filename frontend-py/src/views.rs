//! How views come from arrays, and how what is assigned to a view goes into its array. Nodes are values, so both are recorded like
//! everything else. Who shares elements with whom is in `variable.rs`.

use crate::keys::{Index, Items};
use fusewire_ir::{
    build::{self, IndexItem},
    error::Recorded,
    lazy::Lazy,
};
use pyo3::{Bound, PyAny};
use smallvec::SmallVec;
use std::sync::Arc;

/// From an array to a view of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// `x[items]`.
    Index(Items),
    /// The axes in another order.
    Permute(SmallVec<[i64; 4]>),
    /// The elements in row-major order in another shape.
    Reshape(SmallVec<[i64; 4]>),
}

impl Step {
    /// To this shape.
    pub fn reshape(shape: &[usize]) -> Step {
        Step::Reshape(shape.iter().map(|&extent| extent as i64).collect())
    }

    /// `x[items]`, if that is a view: single elements are values, as NumPy's scalars are.
    pub fn index(items: Items, result: &Lazy) -> Option<Step> {
        let view = !result.shape.is_empty() || items.contains(&IndexItem::Ellipsis);
        view.then(|| Step::Index(items))
    }

    /// `x[key]`, if that is a view.
    pub fn of_key(key: &Bound<'_, PyAny>) -> Option<Step> {
        match Index::read(key) {
            Ok(Index::Basic(items)) => Some(Step::Index(items)),
            Ok(Index::Advanced(_)) | Err(_) => None,
        }
    }

    /// The view of an array.
    pub fn made(&self, array: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
        match self {
            Step::Index(items) => build::index(array, items),
            Step::Permute(order) => build::permute_dims(array, order),
            Step::Reshape(shape) => build::reshape(array, shape),
        }
    }

    /// The array with these values in the view.
    pub fn put(&self, array: &Arc<Lazy>, values: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
        match self {
            Step::Index(items) => {
                let (part, values) = build::assigned_part(array, items, values)?;
                build::assign(array, &part, &values)
            }
            Step::Permute(order) => {
                let mut inverse: SmallVec<[i64; 4]> = order.clone();
                for (axis, &from) in order.iter().enumerate() {
                    inverse[from as usize] = axis as i64;
                }
                build::permute_dims(values, &inverse)
            }
            Step::Reshape(_) => {
                let shape: SmallVec<[i64; 4]> = array.shape.iter().map(|&extent| extent as i64).collect();
                build::reshape(values, &shape)
            }
        }
    }
}

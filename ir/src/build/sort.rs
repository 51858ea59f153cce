//! Sorting, and searching in what is sorted.

use super::{axis, call::call, manipulate};
use crate::{error::Recorded, lazy::Lazy, routine::Routine};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The elements in order along an axis. NaN comes last.
pub fn sort(x: &Arc<Lazy>, along: i64, descending: bool) -> Recorded<Arc<Lazy>> {
    along_axis("sort", Routine::Sort { descending }, x, along)
}

/// The positions of the elements in order along an axis, of equal ones the first first.
pub fn argsort(x: &Arc<Lazy>, along: i64, descending: bool) -> Recorded<Arc<Lazy>> {
    along_axis("argsort", Routine::Argsort { descending }, x, along)
}

fn along_axis(name: &str, routine: Routine, x: &Arc<Lazy>, along: i64) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    let along = axis(along, rank, name)?;
    // Exchanging two axes is its own inverse.
    let mut order: SmallVec<[usize; 4]> = (0..rank).collect();
    order.swap(along, rank - 1);
    let sorted = call(routine, smallvec![manipulate::permuted(x, &order)?])?;
    manipulate::permuted(&sorted, &order)
}

//! Sorting, and searching in what is sorted.

use super::call::call_along;
use crate::{error::Recorded, lazy::Lazy, routine::Routine};
use std::sync::Arc;

/// The elements in order along an axis. NaN comes last.
pub fn sort(x: &Arc<Lazy>, along: i64, descending: bool) -> Recorded<Arc<Lazy>> {
    call_along("sort", Routine::Sort { descending }, x, along)
}

/// The positions of the elements in order along an axis, of equal ones the first first.
pub fn argsort(x: &Arc<Lazy>, along: i64, descending: bool) -> Recorded<Arc<Lazy>> {
    call_along("argsort", Routine::Argsort { descending }, x, along)
}

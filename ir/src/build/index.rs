//! Basic indexing: integers, slices, ellipsis, new axes. All views.

use super::{check_size, reshaped, tuple, view};
use crate::{
    error::{RecordError, Recorded},
    lazy::Lazy,
    node::View,
    shape::Shape,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// An entry of an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexItem {
    /// One position; its axis goes.
    Int(i64),
    /// A Python slice.
    Slice {
        /// First position.
        start: Option<i64>,
        /// Position behind the last.
        stop: Option<i64>,
        /// Distance, not 0.
        step: Option<i64>,
    },
    /// As many whole axes as are left.
    Ellipsis,
    /// A new axis of extent 1.
    NewAxis,
}

/// `x[items]`.
pub fn index(x: &Arc<Lazy>, items: &[IndexItem]) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    let consumed = items.iter().filter(|i| matches!(i, IndexItem::Int(_) | IndexItem::Slice { .. })).count();
    if consumed > rank {
        return Err(RecordError::index(format!(
            "too many indices: array is {rank}-dimensional, but {consumed} were indexed"
        )));
    }
    if items.iter().filter(|i| matches!(i, IndexItem::Ellipsis)).count() > 1 {
        return Err(RecordError::index("an index can only have a single ellipsis ('...')"));
    }
    let (mut starts, mut steps) = (SmallVec::<[i64; 4]>::new(), SmallVec::<[i64; 4]>::new());
    // The extents after slicing, and after dropping integer axes and adding new ones.
    let (mut kept, mut result) = (Shape::new(), Shape::new());
    let mut ellipsis_seen = false;
    let whole = SmallVec::<[IndexItem; 4]>::from_elem(
        IndexItem::Slice { start: None, stop: None, step: None },
        rank - consumed,
    );
    let mut expanded = SmallVec::<[IndexItem; 8]>::new();
    for item in items {
        match item {
            IndexItem::Ellipsis => {
                ellipsis_seen = true;
                expanded.extend_from_slice(&whole);
            }
            other => expanded.push(*other),
        }
    }
    if !ellipsis_seen {
        expanded.extend_from_slice(&whole);
    }
    for item in expanded {
        match item {
            IndexItem::Ellipsis => {}
            IndexItem::NewAxis => result.push(1),
            IndexItem::Int(position) => {
                let axis = starts.len();
                let extent = x.shape[axis];
                let counted = if position < 0 { position.saturating_add(extent as i64) } else { position };
                if counted < 0 || counted >= extent as i64 {
                    return Err(RecordError::index(format!(
                        "index {position} is out of bounds for axis {axis} with size {extent} of shape {}",
                        tuple(&x.shape)
                    )));
                }
                starts.push(counted);
                steps.push(1);
                kept.push(1);
            }
            IndexItem::Slice { start, stop, step } => {
                let extent = x.shape[starts.len()];
                let (start, step, length) = resolve(start, stop, step, extent)?;
                starts.push(start);
                steps.push(step);
                kept.push(length);
                result.push(length);
            }
        }
    }
    let identity = kept == x.shape && steps.iter().all(|&s| s == 1) && starts.iter().all(|&s| s == 0);
    let sliced = if identity { x.clone() } else { view(View::Slice { starts, steps }, x, kept)? };
    check_size(&result, x.dtype)?;
    reshaped(&sliced, result)
}

/// Python's `slice.indices`: start, step and length on an axis. Where nothing is selected the start is 0, so that no
/// address outside the array is ever formed.
fn resolve(start: Option<i64>, stop: Option<i64>, step: Option<i64>, extent: usize) -> Recorded<(i64, i64, usize)> {
    let extent = extent as i64;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(RecordError::value("slice step cannot be zero"));
    }
    let (lowest, highest) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
    let clamp = |position: i64| {
        let counted = if position < 0 { position.saturating_add(extent) } else { position };
        counted.clamp(lowest, highest)
    };
    let start = start.map_or(if step > 0 { lowest } else { highest }, clamp);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, clamp);
    let distance = if step > 0 { stop - start } else { start - stop };
    if distance <= 0 {
        return Ok((0, 1, 0));
    }
    let length = (distance as u64).div_ceil(step.unsigned_abs()) as usize;
    // One element: the step does not matter, and a literal 1 keeps the structure common.
    Ok((start, if length == 1 { 1 } else { step }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_resolve_as_in_python() {
        assert_eq!(resolve(None, None, Some(-1), 5), Ok((4, -1, 5)));
        assert_eq!(resolve(Some(-2), None, None, 5), Ok((3, 1, 2)));
        assert_eq!(resolve(Some(1), Some(-1), Some(2), 6), Ok((1, 2, 2)));
        assert_eq!(resolve(Some(9), Some(2), Some(-3), 5), Ok((4, -3, 1)).map(|(s, _, n)| (s, 1, n)));
        assert_eq!(resolve(Some(3), Some(3), None, 5), Ok((0, 1, 0)));
        assert!(resolve(None, None, Some(0), 5).is_err());
    }
}

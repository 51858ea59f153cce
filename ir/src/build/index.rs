//! Indexing. Integers, slices, ellipsis and new axes are views; with arrays of integers among them it is a gather of such a
//! view. Boolean masks have become arrays of positions before they come here, for their number depends on the data.

use super::{
    Outside, check_size,
    gather::{check, gather, integers},
    reshaped, tuple, view,
};
use crate::{
    error::{RecordError, Recorded},
    lazy::Lazy,
    node::View,
    shape::Shape,
    value::Strides,
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

/// An entry of an index that may hold arrays.
#[derive(Clone, Debug)]
pub enum Key {
    /// As in basic indexing.
    Item(IndexItem),
    /// Positions along one axis.
    Positions {
        /// Integers of any dtype; negative ones count from the end.
        array: Arc<Lazy>,
        /// Where a mask was true: the extent of the mask's axis, which must be that of the array's, or 0.
        mask: Option<usize>,
    },
    /// Positions along a new axis of extent 1: what a 0-d mask is.
    NewAxis(Arc<Lazy>),
}

/// `x[keys]` with arrays among the keys, which broadcast. Their common axes stand where the first of them stands if they
/// and the integers are neighbours, else in front.
pub fn index_arrays(x: &Arc<Lazy>, keys: &[Key], outside: Outside<'_>) -> Recorded<Arc<Lazy>> {
    let Picked { view, axes, arrays, place } = pick(x, keys, outside)?;
    gather(&view, &axes, &arrays, place)
}

/// An index with arrays, as a view and the arrays that pick along some of its axes.
pub(super) struct Picked {
    pub view: Arc<Lazy>,
    pub axes: SmallVec<[usize; 4]>,
    pub arrays: Vec<Arc<Lazy>>,
    /// How many of the other axes stand before those of the arrays in the result.
    pub place: usize,
}

pub(super) fn pick(x: &Arc<Lazy>, keys: &[Key], outside: Outside<'_>) -> Recorded<Picked> {
    let items: SmallVec<[IndexItem; 8]> = keys.iter().map(Key::item).collect();
    let view = index(x, &items)?;
    let left = x.shape.len() - items.iter().filter(|i| i.takes_an_axis()).count();
    // An ellipsis separates picks also where it stands for no axes.
    let picks: SmallVec<[usize; 8]> = (0..keys.len())
        .filter(|&i| !matches!(keys[i], Key::Item(IndexItem::Slice { .. } | IndexItem::Ellipsis | IndexItem::NewAxis)))
        .collect();
    let neighbours = picks.windows(2).all(|pair| pair[1] == pair[0] + 1);

    let (mut axes, mut arrays) = (SmallVec::new(), Vec::new());
    // The axis of the array, the axis of the view.
    let (mut from, mut to, mut place) = (0, 0, 0);
    for (i, key) in keys.iter().enumerate() {
        if neighbours && picks.first() == Some(&i) {
            place = to;
        }
        if let Key::Positions { array, .. } | Key::NewAxis(array) = key {
            integers(array, "index")?;
            axes.push(to);
            arrays.push(array.clone());
        }
        match key {
            // The standard lets a mask be empty along any axis: it is true nowhere.
            Key::Positions { mask: Some(extent), .. } if *extent != x.shape[from] && *extent != 0 => {
                return Err(RecordError::index(format!(
                    "boolean index did not match indexed array along axis {from}; size of axis is {} but size of \
                     corresponding boolean axis is {extent}",
                    x.shape[from]
                )));
            }
            Key::Positions { array, mask: None } => check(array, x.shape[from], from, outside)?,
            Key::Positions { .. } | Key::NewAxis(_) | Key::Item(_) => {}
        }
        let (taken, given) = match items[i] {
            IndexItem::Int(_) => (1, 0),
            IndexItem::Slice { .. } => (1, 1),
            IndexItem::Ellipsis => (left, left),
            IndexItem::NewAxis => (0, 1),
        };
        (from, to) = (from + taken, to + given);
    }
    Ok(Picked { view, axes, arrays, place })
}

impl Key {
    /// The array among the keys that it is.
    pub fn array(&self) -> Option<&Arc<Lazy>> {
        match self {
            Key::Item(_) => None,
            Key::Positions { array, .. } | Key::NewAxis(array) => Some(array),
        }
    }

    /// What the key is in the view from which its array picks.
    pub(super) fn item(&self) -> IndexItem {
        match self {
            Key::Item(item) => *item,
            Key::Positions { .. } => IndexItem::Slice { start: None, stop: None, step: None },
            Key::NewAxis(_) => IndexItem::NewAxis,
        }
    }
}

impl IndexItem {
    fn takes_an_axis(self) -> bool {
        matches!(self, IndexItem::Int(_) | IndexItem::Slice { .. })
    }
}

/// `x[items]`.
pub fn index(x: &Arc<Lazy>, items: &[IndexItem]) -> Recorded<Arc<Lazy>> {
    let Part { starts, steps, kept, result, .. } = part(x, items)?;
    let identity = kept == x.shape && steps.iter().all(|&s| s == 1) && starts.iter().all(|&s| s == 0);
    let sliced = if identity { x.clone() } else { view(View::Slice { starts, steps }, x, kept)? };
    check_size(&result, x.dtype)?;
    reshaped(&sliced, result)
}

/// The part of an array that an index without arrays means.
pub struct Part {
    /// The first position on each axis of the array.
    pub(super) starts: SmallVec<[i64; 2]>,
    /// From one position to the next.
    pub(super) steps: SmallVec<[i64; 2]>,
    /// How many positions.
    pub(super) kept: Shape,
    /// The shape of the result: without the axes of integers, with new ones.
    pub(super) result: Shape,
    /// The axis of the array that each axis of the result is; none for new ones.
    pub(super) axes: SmallVec<[Option<usize>; 4]>,
}

/// Part of an array's memory.
pub struct Region {
    /// Elements from the array's element `[0, 0, ...]` to the part's.
    pub offset: isize,
    /// The extents.
    pub shape: Shape,
    /// Elements from one index to the next.
    pub strides: Strides,
}

impl Part {
    /// So much of the next axis.
    fn slice(&mut self, start: i64, step: i64, length: usize) {
        self.axes.push(Some(self.starts.len()));
        self.starts.push(start);
        self.steps.push(step);
        self.kept.push(length);
        self.result.push(length);
    }

    /// The part's memory in an array of these strides.
    pub fn region(&self, strides: &[isize]) -> Region {
        Region {
            offset: self.starts.iter().zip(strides).map(|(&start, &stride)| start as isize * stride).sum(),
            shape: self.kept.clone(),
            strides: self.steps.iter().zip(strides).map(|(&step, &stride)| step as isize * stride).collect(),
        }
    }
}

pub(super) fn part(x: &Arc<Lazy>, items: &[IndexItem]) -> Recorded<Part> {
    let rank = x.shape.len();
    let consumed = items.iter().filter(|i| i.takes_an_axis()).count();
    if consumed > rank {
        return Err(RecordError::index(format!(
            "too many indices: array is {rank}-dimensional, but {consumed} were indexed"
        )));
    }
    if items.iter().filter(|i| matches!(i, IndexItem::Ellipsis)).count() > 1 {
        return Err(RecordError::index("an index can only have a single ellipsis ('...')"));
    }
    let mut part = Part {
        starts: SmallVec::new(),
        steps: SmallVec::new(),
        kept: Shape::new(),
        result: Shape::new(),
        axes: SmallVec::new(),
    };
    let mut left = rank - consumed;
    for item in items {
        match *item {
            IndexItem::Ellipsis => {
                for _ in 0..std::mem::take(&mut left) {
                    part.slice(0, 1, x.shape[part.starts.len()]);
                }
            }
            IndexItem::NewAxis => {
                part.result.push(1);
                part.axes.push(None);
            }
            IndexItem::Int(position) => {
                let axis = part.starts.len();
                let extent = x.shape[axis];
                let counted = if position < 0 { position.saturating_add(extent as i64) } else { position };
                if counted < 0 || counted >= extent as i64 {
                    return Err(RecordError::index(format!(
                        "index {position} is out of bounds for axis {axis} with size {extent} of shape {}",
                        tuple(&x.shape)
                    )));
                }
                part.starts.push(counted);
                part.steps.push(1);
                part.kept.push(1);
            }
            IndexItem::Slice { start, stop, step } => {
                let (start, step, length) = resolve(start, stop, step, x.shape[part.starts.len()])?;
                part.slice(start, step, length);
            }
        }
    }
    for _ in 0..left {
        part.slice(0, 1, x.shape[part.starts.len()]);
    }
    Ok(part)
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

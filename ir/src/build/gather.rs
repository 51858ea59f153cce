//! Elements at computed positions: `take`, `take_along_axis`, and what integer arrays in an index become (`index.rs`). All
//! are views of the array and one `Gather` node. Nothing here looks at the indices; a caller that can does so through
//! [`Outside`], so that a mistake is raised at the call. Otherwise it is when the elements are computed.

use super::{axis, cast, check_size, common_shape, manipulate::permuted, record, reshaped, tuple, zeros};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::{Lazy, Operands},
    node::Op,
    shape::Shape,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// The first index of an array that is outside an axis of so many elements (negative ones count from its end), if the
/// array's values are known already.
pub type Outside<'a> = &'a dyn Fn(&Arc<Lazy>, usize) -> Option<i64>;

/// The elements along an axis at these indices; the axis becomes the axes of the indices.
pub fn take(x: &Arc<Lazy>, indices: &Arc<Lazy>, along: Option<i64>, outside: Outside<'_>) -> Recorded<Arc<Lazy>> {
    let flat;
    let (x, a) = match along {
        Some(along) => (x, axis(along, x.shape.len(), "take")?),
        None => {
            flat = super::reshape(x, &[-1]).or_else(|_| reshaped(x, SmallVec::from_elem(0, 1)))?;
            (&flat, 0)
        }
    };
    integers(indices, "take")?;
    check(indices, x.shape[a], a, outside)?;
    gather(x, &[a], std::slice::from_ref(indices), a)
}

/// The elements along an axis at indices that are given for each position of the others; these broadcast.
pub fn take_along_axis(x: &Arc<Lazy>, indices: &Arc<Lazy>, along: i64, outside: Outside<'_>) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    integers(indices, "take_along_axis")?;
    if indices.shape.len() != rank {
        return Err(RecordError::value(format!(
            "take_along_axis: x of shape {} and indices of shape {} must have the same number of axes",
            tuple(&x.shape),
            tuple(&indices.shape)
        )));
    }
    let a = axis(along, rank, "take_along_axis")?;
    let mut others = x.shape.clone();
    others[a] = 1;
    let mut of_indices = indices.shape.clone();
    of_indices[a] = 1;
    let mut shape = common_shape("take_along_axis", [&others[..], &of_indices[..]].into_iter())?;
    shape[a] = indices.shape[a];
    check(indices, x.shape[a], a, outside)?;
    let order: SmallVec<[usize; 4]> = (0..rank).filter(|&i| i != a).chain([a]).collect();
    let mut aligned = others;
    aligned.push(x.shape[a]);
    let array = reshaped(&permuted(x, &order)?, aligned)?;
    gathered(array, std::slice::from_ref(indices), shape)
}

/// The elements at the indices along `axes`, one array each, which broadcast. In the result, their common axes stand behind
/// the first `place` of the axes that are left.
pub(super) fn gather(x: &Arc<Lazy>, axes: &[usize], indices: &[Arc<Lazy>], place: usize) -> Recorded<Arc<Lazy>> {
    let common = common_shape("index", indices.iter().map(|i| i.shape.as_slice()))
        .map_err(|error| RecordError::index(error.message))?;
    let left: SmallVec<[usize; 4]> = (0..x.shape.len()).filter(|a| !axes.contains(a)).collect();
    let order: SmallVec<[usize; 4]> = left.iter().chain(axes).copied().collect();
    let extents = |axes: &[usize]| axes.iter().map(|&a| x.shape[a]).collect::<Shape>();
    let (before, after) = (extents(&left[..place]), extents(&left[place..]));
    let around = |middle: &[usize]| before.iter().chain(middle).chain(&after).copied().collect::<Shape>();
    let shape = around(&common);
    let mut aligned = around(&SmallVec::<[usize; 4]>::from_elem(1, common.len()));
    aligned.extend(extents(axes));
    let array = reshaped(&permuted(x, &order)?, aligned)?;
    let behind = |index: &Arc<Lazy>| {
        let own = index.shape.iter().copied().chain(after.iter().map(|_| 1)).collect();
        reshaped(index, own)
    };
    let indices: Operands = indices.iter().map(behind).collect::<Recorded<_>>()?;
    gathered(array, &indices, shape)
}

/// The node. The array's leading axes may have extent 1 where the shape has another, and the indices may broadcast.
pub(super) fn gathered(array: Arc<Lazy>, indices: &[Arc<Lazy>], shape: Shape) -> Recorded<Arc<Lazy>> {
    check_size(&shape, array.dtype)?;
    if shape.contains(&0) {
        return zeros(shape, array.dtype);
    }
    let dtype = array.dtype;
    let mut operands: Operands = SmallVec::from_elem(array, 1);
    for index in indices {
        operands.push(cast(index, DType::I64)?);
    }
    record(Op::Gather, operands, dtype, shape)
}

/// What is known to be outside is refused; an axis without elements has no positions at all.
pub(super) fn check(indices: &Arc<Lazy>, extent: usize, a: usize, outside: Outside<'_>) -> Recorded<()> {
    match outside(indices, extent) {
        Some(index) => Err(RecordError::index(out_of_bounds(index, a, extent))),
        None if extent == 0 && !indices.shape.contains(&0) => {
            Err(RecordError::index(format!("index: axis {a} has size 0 and no positions")))
        }
        None => Ok(()),
    }
}

/// What to say of an index that is outside an axis.
pub fn out_of_bounds(index: i64, axis: usize, extent: usize) -> String {
    format!("index {index} is out of bounds for axis {axis} with size {extent}")
}

pub(super) fn integers(indices: &Arc<Lazy>, name: &str) -> Recorded<()> {
    if indices.dtype.is_integer() {
        return Ok(());
    }
    Err(RecordError::dtype(format!("{name}: indices must be integers, got {}", indices.dtype.numpy_name())))
}

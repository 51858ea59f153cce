//! Shapes: reshape, permutations, joining and repeating. Most are views, free after fusion.

use super::{axes, axis, cast, check_size, common_shape, expanded, record, reshaped, sliced, tuple, view};
use crate::{
    error::{RecordError, Recorded},
    lazy::{Lazy, Operands},
    node::{Op, View},
    promote::common_of,
    shape::{Axes, Shape, element_count},
};
use smallvec::SmallVec;
use std::sync::Arc;

/// A new shape with as many elements; one extent may be -1.
pub fn reshape(x: &Arc<Lazy>, shape: &[i64]) -> Recorded<Arc<Lazy>> {
    let text = || match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(", ")),
    };
    let count = element_count(&x.shape).unwrap_or(0);
    let refuse = || {
        RecordError::value(format!("reshape: cannot reshape array of shape {} into shape {}", tuple(&x.shape), text()))
    };
    let unknown = shape.iter().filter(|&&d| d == -1).count();
    if unknown > 1 || shape.iter().any(|&d| d < -1) {
        return Err(RecordError::value(format!("reshape: {} may hold one -1 and no other negative extent", text())));
    }
    let known: Shape = shape.iter().filter(|&&d| d >= 0).map(|&d| d as usize).collect();
    let known = element_count(&known).ok_or_else(refuse)?;
    let filled = if unknown == 0 {
        known
    } else if known == 0 || !count.is_multiple_of(known) {
        return Err(refuse());
    } else {
        count / known
    };
    let result: Shape = shape.iter().map(|&d| if d == -1 { filled } else { d as usize }).collect();
    if element_count(&result) != Some(count) {
        return Err(refuse());
    }
    check_size(&result, x.dtype)?;
    reshaped(x, result)
}

/// Axes in another order.
pub fn permute_dims(x: &Arc<Lazy>, order: &[i64]) -> Recorded<Arc<Lazy>> {
    let order = axes(order, x.shape.len(), "permute_dims")?;
    if order.len() != x.shape.len() {
        return Err(RecordError::value(format!(
            "permute_dims: {} axes given for an array of dimension {}",
            order.len(),
            x.shape.len()
        )));
    }
    permuted(x, &order)
}

pub(super) fn permuted(x: &Arc<Lazy>, order: &[usize]) -> Recorded<Arc<Lazy>> {
    if order.iter().enumerate().all(|(i, &a)| i == a) {
        return Ok(x.clone());
    }
    let order: Axes = order.iter().map(|&a| a as u8).collect();
    let shape = crate::infer::permuted(&x.shape, &order);
    view(View::Permute(order), x, shape)
}

/// Axes moved from positions to other positions; the others keep their order.
pub fn moveaxis(x: &Arc<Lazy>, source: &[i64], destination: &[i64]) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len();
    let (source, destination) = (axes(source, rank, "moveaxis")?, axes(destination, rank, "moveaxis")?);
    if source.len() != destination.len() {
        return Err(RecordError::value("moveaxis: source and destination must have the same number of axes"));
    }
    let mut order: SmallVec<[usize; 4]> = (0..rank).filter(|a| !source.contains(a)).collect();
    let mut moves: SmallVec<[(usize, usize); 4]> = destination.into_iter().zip(source).collect();
    moves.sort_unstable();
    for (to, from) in moves {
        order.insert(to, from);
    }
    permuted(x, &order)
}

/// New axes of extent 1 at these positions of the result.
pub fn expand_dims(x: &Arc<Lazy>, positions: &[i64]) -> Recorded<Arc<Lazy>> {
    let rank = x.shape.len() + positions.len();
    let positions = axes(positions, rank, "expand_dims")?;
    let mut old = x.shape.iter();
    let shape: Shape = (0..rank).map(|a| if positions.contains(&a) { 1 } else { *old.next().unwrap_or(&1) }).collect();
    check_size(&shape, x.dtype)?;
    reshaped(x, shape)
}

/// Without these axes, which must have extent 1.
pub fn squeeze(x: &Arc<Lazy>, positions: &[i64]) -> Recorded<Arc<Lazy>> {
    let positions = axes(positions, x.shape.len(), "squeeze")?;
    if let Some(&a) = positions.iter().find(|&&a| x.shape[a] != 1) {
        return Err(RecordError::value(format!(
            "squeeze: axis {a} of shape {} does not have extent 1",
            tuple(&x.shape)
        )));
    }
    let shape = x.shape.iter().enumerate().filter(|(a, _)| !positions.contains(a)).map(|(_, &d)| d).collect();
    reshaped(x, shape)
}

/// The order of elements reversed along axes (all without a list).
pub fn flip(x: &Arc<Lazy>, list: Option<&[i64]>) -> Recorded<Arc<Lazy>> {
    let list = match list {
        Some(list) => axes(list, x.shape.len(), "flip")?,
        None => (0..x.shape.len()).collect(),
    };
    list.into_iter().try_fold(x.clone(), |x, a| {
        let extent = x.shape[a];
        if extent < 2 { Ok(x) } else { sliced(&x, a, extent as i64 - 1, -1, extent) }
    })
}

/// Elements shifted along axes, those pushed out re-enter at the other end; without axes over the flattened array.
pub fn roll(x: &Arc<Lazy>, shifts: &[i64], list: Option<&[i64]>) -> Recorded<Arc<Lazy>> {
    let Some(list) = list else {
        let count = element_count(&x.shape).unwrap_or(0);
        let flat = reshaped(x, SmallVec::from_elem(count, 1))?;
        let total: i128 = shifts.iter().map(|&s| s as i128).sum();
        let rolled = roll_axis(&flat, total, 0)?;
        return reshaped(&rolled, x.shape.clone());
    };
    if shifts.len() != list.len() && shifts.len() != 1 && list.len() != 1 {
        return Err(RecordError::value("roll: shift and axis must have the same number of entries"));
    }
    // One shift or one axis stands for as many as there are of the other: for none too.
    let n = if shifts.len() == 1 { list.len() } else { shifts.len() };
    (0..n).try_fold(x.clone(), |x, i| {
        let a = axis(list[i.min(list.len() - 1)], x.shape.len(), "roll")?;
        roll_axis(&x, shifts[i.min(shifts.len() - 1)] as i128, a)
    })
}

fn roll_axis(x: &Arc<Lazy>, shift: i128, a: usize) -> Recorded<Arc<Lazy>> {
    let extent = x.shape[a];
    let shift = if extent == 0 { 0 } else { shift.rem_euclid(extent as i128) as usize };
    if shift == 0 {
        return Ok(x.clone());
    }
    let (tail, head) = (sliced(x, a, (extent - shift) as i64, 1, shift)?, sliced(x, a, 0, 1, extent - shift)?);
    joined(&[tail, head], a)
}

/// Concatenation of arrays of one dtype and of shapes that agree but for the axis.
pub(super) fn joined(parts: &[Arc<Lazy>], a: usize) -> Recorded<Arc<Lazy>> {
    if let [one] = parts {
        return Ok(one.clone());
    }
    let mut shape = parts[0].shape.clone();
    shape[a] = parts.iter().try_fold(0usize, |n, p| n.checked_add(p.shape[a])).unwrap_or(usize::MAX);
    check_size(&shape, parts[0].dtype)?;
    record(Op::Concat { axis: a as u8 }, parts.iter().cloned().collect(), parts[0].dtype, shape)
}

fn promoted(arrays: &[Arc<Lazy>], name: &str) -> Recorded<Operands> {
    let dtype = common_of(arrays.iter().map(|a| a.dtype));
    let dtype = dtype.ok_or_else(|| RecordError::value(format!("{name}: needs at least one array")))?;
    arrays.iter().map(|a| cast(a, dtype)).collect()
}

/// Arrays one after another along an axis; without one, flattened.
pub fn concat(arrays: &[Arc<Lazy>], along: Option<i64>) -> Recorded<Arc<Lazy>> {
    let mut arrays = promoted(arrays, "concat")?;
    let a = match along {
        Some(a) => axis(a, arrays[0].shape.len(), "concat")?,
        None => {
            for array in &mut arrays {
                let count = element_count(&array.shape).unwrap_or(0);
                *array = reshaped(array, SmallVec::from_elem(count, 1))?;
            }
            0
        }
    };
    let fits = |x: &Shape, y: &Shape| x.len() == y.len() && (0..x.len()).all(|i| i == a || x[i] == y[i]);
    if let Some(other) = arrays.iter().find(|x| !fits(&x.shape, &arrays[0].shape)) {
        return Err(RecordError::value(format!(
            "concat: shapes {} and {} do not agree outside axis {a}",
            tuple(&arrays[0].shape),
            tuple(&other.shape)
        )));
    }
    joined(&arrays, a)
}

/// Arrays of one shape along a new axis.
pub fn stack(arrays: &[Arc<Lazy>], along: i64) -> Recorded<Arc<Lazy>> {
    let arrays = promoted(arrays, "stack")?;
    if let Some(other) = arrays.iter().find(|x| x.shape != arrays[0].shape) {
        return Err(RecordError::value(format!(
            "stack: shapes {} and {} differ",
            tuple(&arrays[0].shape),
            tuple(&other.shape)
        )));
    }
    let a = axis(along, arrays[0].shape.len() + 1, "stack")?;
    let parts = arrays.iter().map(|x| expand_dims(x, &[a as i64])).collect::<Recorded<Operands>>()?;
    joined(&parts, a)
}

/// The sub-arrays along an axis.
pub fn unstack(x: &Arc<Lazy>, along: i64) -> Recorded<Vec<Arc<Lazy>>> {
    let a = axis(along, x.shape.len(), "unstack")?;
    (0..x.shape[a]).map(|i| squeeze(&sliced(x, a, i as i64, 1, 1)?, &[a as i64])).collect()
}

/// Broadcast to a shape.
pub fn broadcast_to(x: &Arc<Lazy>, shape: &Shape) -> Recorded<Arc<Lazy>> {
    check_size(shape, x.dtype)?;
    let fits = x.shape.len() <= shape.len()
        && x.shape.iter().rev().zip(shape.iter().rev()).all(|(&from, &to)| from == to || from == 1);
    if !fits {
        return Err(RecordError::value(format!(
            "broadcast_to: shape {} cannot be broadcast to {}",
            tuple(&x.shape),
            tuple(shape)
        )));
    }
    expanded(x, shape)
}

/// The common shape.
pub fn broadcast_shapes(shapes: &[Shape]) -> Recorded<Shape> {
    common_shape("broadcast_shapes", shapes.iter().map(|s| s.as_slice()))
}

/// Arrays broadcast against one another.
pub fn broadcast_arrays(arrays: &[Arc<Lazy>]) -> Recorded<Vec<Arc<Lazy>>> {
    let shape = common_shape("broadcast_arrays", arrays.iter().map(|a| a.shape.as_slice()))?;
    arrays.iter().map(|a| broadcast_to(a, &shape)).collect()
}

/// The array repeated, `repetitions[i]` times along axis i; the shorter of shape and repetitions is extended by ones.
pub fn tile(x: &Arc<Lazy>, repetitions: &[i64]) -> Recorded<Arc<Lazy>> {
    if repetitions.iter().any(|&r| r < 0) {
        return Err(RecordError::value("tile: repetitions must not be negative"));
    }
    let rank = x.shape.len().max(repetitions.len());
    let extent = |i: usize| (i + x.shape.len()).checked_sub(rank).map_or(1, |i| x.shape[i]);
    let times = |i: usize| (i + repetitions.len()).checked_sub(rank).map_or(1, |i| repetitions[i] as usize);
    // [a, b] as [1, a, 1, b], expanded to [r, a, s, b], is row-major [r*a, s*b].
    let apart: Shape = (0..rank).flat_map(|i| [1, extent(i)]).collect();
    let repeated: Shape = (0..rank).flat_map(|i| [times(i), extent(i)]).collect();
    let result: Shape = (0..rank).map(|i| times(i).saturating_mul(extent(i))).collect();
    check_size(&result, x.dtype)?;
    reshaped(&expanded(&reshaped(x, apart)?, &repeated)?, result)
}

/// n-th differences along an axis, after prepending and appending; none are the array itself, as in NumPy.
pub fn diff(
    x: &Arc<Lazy>,
    along: i64,
    n: usize,
    prepend: Option<&Arc<Lazy>>,
    append: Option<&Arc<Lazy>>,
) -> Recorded<Arc<Lazy>> {
    let a = axis(along, x.shape.len(), "diff")?;
    if n == 0 {
        return Ok(x.clone());
    }
    let parts: Vec<Arc<Lazy>> = prepend.into_iter().chain([x]).chain(append).cloned().collect();
    let joined = concat(&parts, Some(a as i64))?;
    // Once nothing is left, nothing changes any more.
    let n = n.min(joined.shape[a].saturating_add(1));
    (0..n).try_fold(joined, |x, _| {
        let shorter = x.shape[a].saturating_sub(1);
        let (later, earlier) = (sliced(&x, a, 1, 1, shorter)?, sliced(&x, a, 0, 1, shorter)?);
        let op = if x.dtype == crate::dtype::DType::Bool {
            crate::ops::ScalarOp::NotEqual
        } else {
            crate::ops::ScalarOp::Subtract
        };
        super::elementwise::map2(op, &later, &earlier)
    })
}

/// Coordinate matrices of 1-D arrays; `cartesian` for `xy` indexing (the first two axes swapped), else `ij`.
pub fn meshgrid(arrays: &[Arc<Lazy>], cartesian: bool) -> Recorded<Vec<Arc<Lazy>>> {
    if let Some(x) = arrays.iter().find(|x| x.shape.len() > 1) {
        return Err(RecordError::value(format!("meshgrid: needs 1-D arrays, got shape {}", tuple(&x.shape))));
    }
    let rank = arrays.len();
    let place = |i: usize| if cartesian && rank > 1 && i < 2 { 1 - i } else { i };
    let mut shape: Shape = SmallVec::from_elem(1, rank);
    for (i, x) in arrays.iter().enumerate() {
        shape[place(i)] = element_count(&x.shape).unwrap_or(1);
    }
    arrays
        .iter()
        .enumerate()
        .map(|(i, x)| {
            check_size(&shape, x.dtype)?;
            let mut own: Shape = SmallVec::from_elem(1, rank);
            own[place(i)] = shape[place(i)];
            expanded(&reshaped(x, own)?, &shape)
        })
        .collect()
}

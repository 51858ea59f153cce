//! `x[key] = value`, as a value: the array that has other elements at the key, in terms of recorded operations. Which elements a
//! key with arrays means depends on data, so a caller computes that ([`destinations`]) and writes to them. Writing into the memory of an
//! array that nobody else holds is the caller's too.

use super::{
    IndexItem, Key, Operand, Outside, astype, cast, check_size, common_shape,
    create::{full, iota},
    elementwise, expanded, flip,
    gather::gathered,
    index::{Part, Picked, part, pick},
    manipulate::{joined, permuted},
    parameter, reshaped, sliced, tuple, where_,
};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::Lazy,
    ops::ScalarOp,
    promote::Weak,
    scalar::Scalar,
    shape::Shape,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// The value as an array of the dtype, as NumPy converts on assignment; but complex numbers become no real ones (TypeError).
pub fn fit(value: &Operand, dtype: DType) -> Recorded<Arc<Lazy>> {
    match value {
        Operand::Array(value) => astype(value, dtype),
        Operand::Scalar(value) => full(Shape::new(), *value, dtype),
    }
}

/// The value with as many axes as the shape that it is assigned to: leading axes of extent 1 come and go.
pub fn aligned(value: &Arc<Lazy>, shape: &[usize]) -> Recorded<Arc<Lazy>> {
    let surplus = value.shape.len().saturating_sub(shape.len());
    let own: Shape = value.shape[surplus..].into();
    let fits = value.shape[..surplus].iter().all(|&d| d == 1)
        && own.iter().rev().zip(shape.iter().rev()).all(|(&from, &to)| from == to || from == 1);
    if !fits {
        return Err(RecordError::value(format!(
            "could not broadcast input array from shape {} into shape {}",
            tuple(&value.shape),
            tuple(shape)
        )));
    }
    let missing = std::iter::repeat_n(1, shape.len() - own.len());
    reshaped(value, missing.chain(own).collect())
}

/// What an index without arrays means, and the value, which has the array's dtype, with the array's axes. What broadcasts keeps
/// extent 1.
pub fn assigned_part(x: &Arc<Lazy>, items: &[IndexItem], value: &Arc<Lazy>) -> Recorded<(Part, Arc<Lazy>)> {
    let part = part(x, items)?;
    let value = aligned(value, &part.result)?;
    let mut shape: Shape = SmallVec::from_elem(1, x.shape.len());
    for (&axis, &extent) in part.axes.iter().zip(&value.shape) {
        if let Some(axis) = axis {
            shape[axis] = extent;
        }
    }
    Ok((part, reshaped(&value, shape)?))
}

/// The array with the value at a part; both as [`assigned_part`] gives them.
pub fn assign(x: &Arc<Lazy>, part: &Part, value: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let Part { starts, steps, kept, .. } = part;
    if kept.contains(&0) {
        return Ok(x.clone());
    }
    let mut value = value.clone();
    let mut runs: SmallVec<[Run; 4]> = SmallVec::new();
    for axis in 0..x.shape.len() {
        let (mut first, mut step, count) = (starts[axis], steps[axis], kept[axis]);
        if step < 0 {
            value = flip(&value, Some(&[axis as i64]))?;
            (first, step) = (first + (count as i64 - 1) * step, -step);
        }
        if count < x.shape[axis] {
            runs.push(Run { axis, first, step, count });
        }
    }
    match runs.as_slice() {
        [] => expanded(&value, &x.shape),
        [Run { axis, first, step: 1, count }] => {
            let (axis, end) = (*axis, *first as usize + count);
            let part = expanded(&value, kept)?;
            let (before, after) =
                (sliced(x, axis, 0, 1, *first as usize)?, sliced(x, axis, end as i64, 1, x.shape[axis] - end)?);
            let parts: Vec<Arc<Lazy>> = [before, part, after].into_iter().filter(|part| part.shape[axis] > 0).collect();
            joined(&parts, axis)
        }
        runs => chosen(x, runs, &value),
    }
}

/// Positions along an axis: `first`, `first + step` and so on.
struct Run {
    axis: usize,
    first: i64,
    step: i64,
    count: usize,
}

/// The value where the position on each of the axes is in its run, else the array.
fn chosen(x: &Arc<Lazy>, runs: &[Run], value: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let mut inside: Option<Arc<Lazy>> = None;
    let (mut axes, mut indices) = (SmallVec::<[usize; 4]>::new(), Vec::new());
    for run in runs {
        let mut shape: Shape = SmallVec::from_elem(1, x.shape.len());
        shape[run.axis] = x.shape[run.axis];
        let from_first = integers(ScalarOp::Subtract, &iota(run.axis, shape)?, run.first)?;
        let last = (run.count as i64 - 1) * run.step;
        let mut here = both(
            &integers(ScalarOp::GreaterEqual, &from_first, 0)?,
            &integers(ScalarOp::LessEqual, &from_first, last)?,
        )?;
        let mut number = from_first.clone();
        if run.step > 1 {
            here = both(&here, &integers(ScalarOp::Equal, &integers(ScalarOp::Remainder, &from_first, run.step)?, 0)?)?;
            number = integers(ScalarOp::FloorDivide, &from_first, run.step)?;
        }
        if value.shape[run.axis] != 1 {
            let zero = Operand::Scalar(Weak::Int(0));
            indices.push(where_(&Operand::Array(here.clone()), &Operand::Array(number), &zero)?);
            axes.push(run.axis);
        }
        inside = Some(match inside {
            Some(inside) => both(&inside, &here)?,
            None => here,
        });
    }
    let Some(inside) = inside else { return Ok(x.clone()) };
    let picked = if axes.is_empty() {
        value.clone()
    } else {
        let order: SmallVec<[usize; 4]> =
            (0..value.shape.len()).filter(|a| !axes.contains(a)).chain(axes.iter().copied()).collect();
        let mut shape = value.shape.clone();
        let mut lengths = Shape::new();
        for &axis in &axes {
            lengths.push(std::mem::replace(&mut shape[axis], 1));
        }
        let array = reshaped(&permuted(value, &order)?, shape.iter().chain(&lengths).copied().collect())?;
        for &axis in &axes {
            shape[axis] = x.shape[axis];
        }
        gathered(array, &indices, shape)?
    };
    where_(&Operand::Array(inside), &Operand::Array(picked), &Operand::Array(x.clone()))
}

fn integers(op: ScalarOp, x: &Arc<Lazy>, y: i64) -> Recorded<Arc<Lazy>> {
    elementwise(op, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Int(y.into()))])
}

fn both(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    elementwise(ScalarOp::And, &[Operand::Array(a.clone()), Operand::Array(b.clone())])
}

/// The array with the value where a mask over its leading axes is true. `None` when the value has an element for each true
/// one, and their number counts.
pub fn assign_where(x: &Arc<Lazy>, mask: &Arc<Lazy>, value: &Arc<Lazy>) -> Recorded<Option<Arc<Lazy>>> {
    let covered = mask.shape.len();
    if covered > x.shape.len() || mask.shape[..] != x.shape[..covered] {
        return Ok(None);
    }
    let rest = &x.shape[covered..];
    let mut own = value.shape.as_slice();
    while own.len() > rest.len() && own[0] == 1 {
        own = &own[1..];
    }
    if own.len() > rest.len() {
        return Ok(None);
    }
    let value = aligned(&reshaped(value, own.into())?, rest)?;
    let mask = reshaped(mask, mask.shape.iter().copied().chain(rest.iter().map(|_| 1)).collect())?;
    where_(&Operand::Array(mask), &Operand::Array(value), &Operand::Array(x.clone())).map(Some)
}

/// The elements of an array that a key with arrays means, as positions (int64) in row-major order, in the shape that `x[keys]`
/// has.
pub fn destinations(x: &Arc<Lazy>, keys: &[Key], outside: Outside<'_>) -> Recorded<Arc<Lazy>> {
    let Picked { view, axes, arrays, place } = pick(x, keys, outside)?;
    let items: SmallVec<[IndexItem; 8]> = keys.iter().map(Key::item).collect();
    let part = part(x, &items)?;
    let mut strides: SmallVec<[i64; 4]> = SmallVec::from_elem(1, x.shape.len());
    for axis in (1..x.shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(x.shape[axis] as i64);
    }
    let common = common_shape("index", arrays.iter().map(|i| i.shape.as_slice()))
        .map_err(|error| RecordError::index(error.message))?;
    let left: SmallVec<[usize; 4]> = (0..view.shape.len()).filter(|a| !axes.contains(a)).collect();
    let extents = |axes: &[usize]| axes.iter().map(|&a| view.shape[a]).collect::<Shape>();
    let mut shape = extents(&left[..place]);
    shape.extend_from_slice(&common);
    shape.extend(extents(&left[place..]));
    check_size(&shape, DType::I64)?;
    let start = part.starts.iter().zip(&strides).fold(0i64, |sum, (&start, &stride)| sum.wrapping_add(start * stride));
    let mut sum = parameter(Scalar::i64(start))?;
    let mut add = |term: Arc<Lazy>| -> Recorded<()> {
        sum = elementwise(ScalarOp::Add, &[Operand::Array(sum.clone()), Operand::Array(term)])?;
        Ok(())
    };
    for (number, &axis) in left.iter().enumerate() {
        let Some(from) = part.axes[axis] else { continue };
        let at = if number < place { number } else { number + common.len() };
        let mut own: Shape = SmallVec::from_elem(1, shape.len());
        own[at] = shape[at];
        add(integers(ScalarOp::Multiply, &iota(at, own)?, part.steps[from] * strides[from])?)?;
    }
    let behind = left.len() - place;
    for (&axis, array) in axes.iter().zip(&arrays) {
        // A new axis has one position, and it is the first.
        let Some(from) = part.axes[axis] else { continue };
        let array = cast(array, DType::I64)?;
        let from_end = integers(ScalarOp::Add, &array, x.shape[from] as i64)?;
        let negative = integers(ScalarOp::Less, &array, 0)?;
        let position = where_(&Operand::Array(negative), &Operand::Array(from_end), &Operand::Array(array))?;
        let own = position.shape.iter().copied().chain(std::iter::repeat_n(1, behind)).collect();
        add(integers(ScalarOp::Multiply, &reshaped(&position, own)?, strides[from])?)?;
    }
    expanded(&sum, &shape)
}

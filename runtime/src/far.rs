//! Positions in arrays of devices whose memory the host does not reach: by operations that are recorded and computed there. Only what
//! decides a shape or an error comes to the host.

use crate::{error::Error, evaluate::evaluate, positions::integer};
use fusewire_ir::{
    build::{self, Axis, Operand},
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::{Device, Lazy},
    ops::ScalarOp,
    promote::Weak,
    shape::Shape,
};
use smallvec::{SmallVec, smallvec};
use std::{slice, sync::Arc};

fn mistake(error: RecordError) -> Error {
    Error::Internal(error.message)
}

fn compute(nodes: &[Arc<Lazy>]) -> Result<(), Error> {
    evaluate(nodes, &|| false)
}

fn with(op: ScalarOp, x: &Arc<Lazy>, y: i64) -> Recorded<Arc<Lazy>> {
    build::elementwise(op, [Operand::Array(x.clone()), Operand::Scalar(Weak::Int(y.into()))])
}

/// The numbers from `first` on, on a device.
fn numbers(first: usize, count: usize, dtype: DType, device: Device) -> Recorded<Arc<Lazy>> {
    let number = |number: usize| Weak::Int(number as i128);
    Ok(build::arange(number(first), number(first + count), Weak::Int(1), Some(dtype))?.placed(device))
}

/// Integers that count to so many.
fn counting(most: usize) -> DType {
    if i32::try_from(most).is_ok() { DType::I32 } else { DType::I64 }
}

/// Rows of a long array, of which the running sums are computed apart: one running sum has a team of threads only.
const ROW: usize = 4096;

/// The running sums of a 1-D array of integers.
fn running(x: &Arc<Lazy>, dtype: DType) -> Recorded<Arc<Lazy>> {
    let count = x.shape[0];
    let rows = count.div_ceil(ROW);
    if rows < 2 {
        return build::cumulative_sum(x, Some(0), Some(dtype), false);
    }
    let rest = build::zeros(smallvec![rows * ROW - count], x.dtype)?;
    let whole = if rest.shape[0] == 0 { x.clone() } else { build::concat(&[x.clone(), rest], Some(0))? };
    let whole = build::reshape(&whole, &[rows as i64, ROW as i64])?;
    let of_rows = build::cumulative_sum(&whole, Some(1), Some(dtype), false)?;
    let every = build::IndexItem::Slice { start: None, stop: None, step: None };
    let totals = build::index(&of_rows, &[every, build::IndexItem::Int(-1)])?;
    let ends = build::cumulative_sum(&totals, Some(0), Some(dtype), false)?;
    let both = |op, a: Arc<Lazy>, b: Arc<Lazy>| build::elementwise(op, [Operand::Array(a), Operand::Array(b)]);
    let starts = build::expand_dims(&both(ScalarOp::Subtract, ends, totals)?, &[1])?;
    let sums = build::reshape(&both(ScalarOp::Add, of_rows, starts)?, &[-1])?;
    build::index(&sums, &[build::IndexItem::Slice { start: None, stop: Some(count as i64), step: None }])
}

/// The first and the second of two arrays of one integer each.
fn both(pair: [Arc<Lazy>; 2]) -> Result<[i64; 2], Error> {
    compute(&pair)?;
    Ok([integer(&pair[0])?, integer(&pair[1])?])
}

/// Is an index outside an axis of so many elements? Its least and greatest say so.
pub(crate) fn any_outside(indices: &Arc<Lazy>, extent: usize) -> Result<bool, Error> {
    if indices.shape.contains(&0) {
        return Ok(false);
    }
    // What is larger than any int64 is no position either.
    let wide =
        if indices.dtype == DType::U64 { with(ScalarOp::Minimum, indices, i64::MAX) } else { Ok(indices.clone()) };
    let wide = wide.and_then(|wide| build::cast(&wide, DType::I64)).map_err(mistake)?;
    let extremes = [build::min, build::max].map(|extreme| extreme(&wide, &Axis::All, false).map_err(mistake));
    let [least, greatest] = extremes;
    let [least, greatest] = both([least?, greatest?])?;
    let extent = extent as i64;
    Ok(least < -extent || greatest >= extent)
}

/// The positions at which a mask is true, in row-major order: an int64 array for each axis. The mask is computed.
///
/// A running count says how many are true up to each element; the first element that has a count is the place of that one.
pub(crate) fn nonzero(mask: &Arc<Lazy>, device: Device) -> Result<Vec<Arc<Lazy>>, Error> {
    let elements: usize = mask.shape.iter().product();
    let dtype = counting(elements);
    let none = || Ok(build::zeros(smallvec![0], DType::I64).map_err(mistake)?.placed(device));
    if elements == 0 {
        return mask.shape.iter().map(|_| none()).collect();
    }
    let running = build::reshape(mask, &[-1]).and_then(|flat| running(&flat, dtype)).map_err(mistake)?;
    let total = last(&running)?;
    if total == 0 {
        return mask.shape.iter().map(|_| none()).collect();
    }
    let positions = || {
        let counts = numbers(1, total, dtype, device)?;
        let places = build::searchsorted(&running, &counts, false, None, &|_, _| None)?;
        let mut behind = elements as i64;
        let mut axes = Vec::new();
        for &extent in &mask.shape {
            behind /= extent as i64;
            axes.push(with(ScalarOp::Remainder, &with(ScalarOp::FloorDivide, &places, behind)?, extent as i64)?);
        }
        Ok(axes)
    };
    let positions: Vec<Arc<Lazy>> = positions().map_err(mistake)?;
    compute(&positions)?;
    Ok(positions)
}

/// The last of running sums, which are computed for it.
fn last(running: &Arc<Lazy>) -> Result<usize, Error> {
    compute(slice::from_ref(running))?;
    let at = build::IndexItem::Int(running.shape[0] as i64 - 1);
    let end = build::index(running, &[at]).map_err(mistake)?;
    compute(slice::from_ref(&end))?;
    usize::try_from(integer(&end)?).map_err(|_| Error::OutOfMemory { bytes: usize::MAX })
}

/// An array of a shape that nobody owns, -1, and numbers in the shape of those who may.
pub(crate) fn unowned(shape: &Shape, others: &Shape, device: Device) -> Result<[Arc<Lazy>; 2], Error> {
    let record = || {
        let none = build::full(shape.clone(), Weak::Int(-1), DType::I64)?.placed(device);
        let own: SmallVec<[i64; 4]> = others.iter().map(|&extent| extent as i64).collect();
        let numbers = numbers(0, others.iter().product(), DType::I64, device)?;
        Ok([none, build::reshape(&numbers, &own)?])
    };
    let pair: [Arc<Lazy>; 2] = record().map_err(mistake)?;
    compute(&pair)?;
    Ok(pair)
}

/// The positions of an axis, each as often as an array says that is computed, int64 and 1-D; `None` where it says less than 0.
pub(crate) fn repeated(times: &Arc<Lazy>, device: Device) -> Result<Option<Arc<Lazy>>, Error> {
    let none = || Ok(Some(build::zeros(smallvec![0], DType::I64).map_err(mistake)?.placed(device)));
    if times.shape.contains(&0) {
        return none();
    }
    let record = || {
        let running = running(times, DType::I64)?;
        // Where the sum is too large for an integer there is no memory for the positions either.
        Ok([build::min(times, &Axis::All, false)?, running])
    };
    let [least, running]: [Arc<Lazy>; 2] = record().map_err(mistake)?;
    compute(&[least.clone(), running.clone()])?;
    if integer(&least)? < 0 {
        return Ok(None);
    }
    let total = last(&running)?;
    if total == 0 {
        return none();
    }
    let places = numbers(0, total, DType::I64, device)
        .and_then(|numbers| build::searchsorted(&running, &numbers, true, None, &|_, _| None));
    let places = places.map_err(mistake)?;
    compute(slice::from_ref(&places))?;
    Ok(Some(places))
}

//! Searching, sets and repetition: compositions of sorting, comparing and taking. Where a shape depends on data, the caller
//! computes the positions that decide it; everything here stays recorded.

use super::{
    Axis, Operand, any, argsort, axis, cast, check_size, concat, create::iota, cumulative_sum, elementwise,
    elementwise::map2, expand_dims, gather::integers, parameter, reshaped, sliced, sort, take, tuple, where_,
};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::Lazy,
    ops::ScalarOp as S,
    promote::{Weak, common},
    scalar::Scalar,
    shape::Shape,
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Up to so many candidates, comparing with each is quicker than sorting and searching.
pub const FEW_CANDIDATES: usize = 16;

fn with(op: S, x: &Arc<Lazy>, y: i64) -> Recorded<Arc<Lazy>> {
    elementwise(op, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Int(y.into()))])
}

/// `a < b` in the order of sorting, which has NaN last.
fn before(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let less = map2(S::Less, a, b)?;
    if !a.dtype.is_float() {
        return Ok(less);
    }
    let only_b_is_nan = map2(S::And, &map2(S::Equal, a, a)?, &map2(S::NotEqual, b, b)?)?;
    map2(S::Or, &less, &only_b_is_nan)
}

/// Where elements would be inserted into a sorted 1-D array to keep it sorted: in front of equal ones, or behind them with
/// `right`. `order` are the positions of the array's elements in order, where it is not sorted itself.
pub fn searchsorted(
    sorted: &Arc<Lazy>,
    values: &Arc<Lazy>,
    right: bool,
    order: Option<&Arc<Lazy>>,
    outside: super::Outside<'_>,
) -> Recorded<Arc<Lazy>> {
    let [count] = sorted.shape[..] else {
        return Err(RecordError::value(format!(
            "searchsorted: needs a sorted 1-D array, got shape {}",
            tuple(&sorted.shape)
        )));
    };
    if sorted.dtype.is_complex() || values.dtype.is_complex() {
        return Err(RecordError::dtype("searchsorted: complex numbers have no order"));
    }
    let sorted = match order {
        Some(order) if order.shape[..] != [count] => {
            return Err(RecordError::value(format!(
                "searchsorted: sorter of shape {} does not fit an array of shape {}",
                tuple(&order.shape),
                tuple(&sorted.shape)
            )));
        }
        Some(order) => {
            integers(order, "searchsorted")?;
            take(sorted, order, Some(0), outside)?
        }
        None => sorted.clone(),
    };
    let dtype = common(sorted.dtype, values.dtype);
    search(&cast(&sorted, dtype)?, &cast(values, dtype)?, right)
}

/// Binary search without branches: the position grows by halving steps, as long as what lies before it is before the value.
fn search(sorted: &Arc<Lazy>, values: &Arc<Lazy>, right: bool) -> Recorded<Arc<Lazy>> {
    let count = sorted.shape[0];
    let zero = parameter(Scalar::i64(0))?;
    let mut position = super::broadcast_to(&zero, &values.shape)?;
    if count == 0 {
        return Ok(position);
    }
    let mut step = 1usize << count.ilog2();
    while step > 0 {
        // A step that leads behind the end compares with the last element, and is not taken.
        let next = with(S::Add, &position, step as i64)?;
        let inside = with(S::LessEqual, &next, count as i64)?;
        let at = with(S::Minimum, &with(S::Subtract, &next, 1)?, count as i64 - 1)?;
        let element = take(sorted, &at, Some(0), &|_, _| None)?;
        let goes_on = if right {
            elementwise(S::Not, &[Operand::Array(before(values, &element)?)])?
        } else {
            before(&element, values)?
        };
        let taken = map2(S::And, &inside, &goes_on)?;
        position = where_(&Operand::Array(taken), &Operand::Array(next), &Operand::Array(position))?;
        step /= 2;
    }
    Ok(position)
}

/// Is each element one of the candidates? Both of one dtype.
pub fn isin(elements: &Arc<Lazy>, candidates: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let candidates = flat(candidates)?;
    let count = candidates.shape[0];
    if count <= FEW_CANDIDATES || elements.dtype.is_complex() {
        let equal = map2(S::Equal, &expand_dims(elements, &[-1])?, &candidates)?;
        return any(&equal, &Axis::List(smallvec![-1]), false);
    }
    let sorted = sort(&candidates, 0, false)?;
    let position = with(S::Minimum, &search(&sorted, elements, false)?, count as i64 - 1)?;
    map2(S::Equal, &take(&sorted, &position, Some(0), &|_, _| None)?, elements)
}

fn flat(x: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let count = x.shape.iter().product();
    reshaped(x, smallvec![count])
}

/// The elements of an array in order, and where a new value begins.
pub struct Ordered {
    /// The positions in the flattened array that the elements have, in order; equal elements as they come.
    pub order: Arc<Lazy>,
    /// The elements.
    pub elements: Arc<Lazy>,
    /// Is an element another value than the one before it? True for the first. NaN is never the same.
    pub begins: Arc<Lazy>,
}

/// For the sets of different values: complex numbers go by their real part, and then their imaginary part.
pub fn ordered(x: &Arc<Lazy>) -> Recorded<Ordered> {
    let x = flat(x)?;
    let order = if x.dtype.is_complex() {
        let part = |op| elementwise(op, &[Operand::Array(x.clone())]);
        let second = argsort(&part(S::Imag)?, 0, false)?;
        let first = argsort(&take(&part(S::Real)?, &second, Some(0), &|_, _| None)?, 0, false)?;
        take(&second, &first, Some(0), &|_, _| None)?
    } else {
        argsort(&x, 0, false)?
    };
    let elements = take(&x, &order, Some(0), &|_, _| None)?;
    let begins = begins(&elements)?;
    Ok(Ordered { order, elements, begins })
}

/// As [`ordered`], where the positions do not matter.
pub fn ordered_values(x: &Arc<Lazy>) -> Recorded<(Arc<Lazy>, Arc<Lazy>)> {
    if x.dtype.is_complex() {
        let Ordered { elements, begins, .. } = ordered(x)?;
        return Ok((elements, begins));
    }
    let elements = sort(&flat(x)?, 0, false)?;
    let begins = begins(&elements)?;
    Ok((elements, begins))
}

fn begins(elements: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    let count = elements.shape[0];
    if count == 0 {
        return super::zeros(smallvec![0], DType::Bool);
    }
    let first = super::ones(smallvec![1], DType::Bool)?;
    let (later, earlier) = (sliced(elements, 0, 1, 1, count - 1)?, sliced(elements, 0, 0, 1, count - 1)?);
    concat(&[first, map2(S::NotEqual, &later, &earlier)?], Some(0))
}

/// How many elements each of the values has that begin at these positions.
pub fn counts(starts: &Arc<Lazy>, total: usize) -> Recorded<Arc<Lazy>> {
    let end = reshaped(&parameter(Scalar::i64(total as i64))?, smallvec![1])?;
    super::diff(starts, 0, 1, None, Some(&end))
}

/// The number of the value that each element of the flattened array is: `owner` has the place of each element in the order.
pub fn inverse(begins: &Arc<Lazy>, owner: &Arc<Lazy>, shape: &Shape) -> Recorded<Arc<Lazy>> {
    let number = with(S::Subtract, &cumulative_sum(&cast(begins, DType::I64)?, Some(0), None, false)?, 1)?;
    reshaped(&take(&number, owner, Some(0), &|_, _| None)?, shape.clone())
}

/// Each element along an axis so many times; without an axis, those of the flattened array.
pub fn repeat(x: &Arc<Lazy>, times: usize, along: Option<i64>) -> Recorded<Arc<Lazy>> {
    let (x, a) = repeated(x, along)?;
    let mut shape = x.shape.clone();
    shape.insert(a + 1, times);
    let mut result = x.shape.clone();
    result[a] = result[a].saturating_mul(times);
    check_size(&result, x.dtype)?;
    reshaped(&super::broadcast_to(&expand_dims(&x, &[a as i64 + 1])?, &shape)?, result)
}

/// Each element along an axis as many times as is said for it, by positions that repeat so.
pub fn repeat_each(x: &Arc<Lazy>, positions: &Arc<Lazy>, count: usize, along: Option<i64>) -> Recorded<Arc<Lazy>> {
    let (x, a) = repeated(x, along)?;
    if count != x.shape[a] {
        return Err(RecordError::value(format!(
            "repeat: {count} repetitions do not fit an axis of {} elements",
            x.shape[a]
        )));
    }
    take(&x, positions, Some(a as i64), &|_, _| None)
}

fn repeated(x: &Arc<Lazy>, along: Option<i64>) -> Recorded<(Arc<Lazy>, usize)> {
    match along {
        Some(along) => Ok((x.clone(), axis(along, x.shape.len(), "repeat")?)),
        None => Ok((flat(x)?, 0)),
    }
}

/// The keys of `take_along_axis`: positions along each axis, of which those along `along` are the indices.
pub fn along_axis_keys(x: &Arc<Lazy>, indices: &Arc<Lazy>, along: i64, name: &str) -> Recorded<Vec<super::Key>> {
    let rank = x.shape.len();
    integers(indices, name)?;
    if indices.shape.len() != rank {
        return Err(RecordError::value(format!(
            "{name}: x of shape {} and indices of shape {} must have the same number of axes",
            tuple(&x.shape),
            tuple(&indices.shape)
        )));
    }
    let a = axis(along, rank, name)?;
    let key = |axis: usize| {
        let array = if axis == a {
            indices.clone()
        } else {
            let mut own: Shape = SmallVec::from_elem(1, rank);
            own[axis] = x.shape[axis];
            iota(axis, own)?
        };
        Ok(super::Key::Positions { array, mask: None })
    };
    (0..rank).map(key).collect()
}

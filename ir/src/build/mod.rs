//! Recording: the lenient API side. Promotion, broadcasting, axis defaults and every check of a user's input happen here,
//! at the call; what comes out are lazy nodes.
//!
//! One leniency is left to capture: an element-wise op's operands may have fewer or unit axes, and capture makes the
//! broadcast explicit. That keeps recording `x * 2` at two nodes.

mod assign;
mod call;
mod complex;
mod create;
mod elementwise;
pub mod fft;
mod gather;
mod index;
pub mod linalg;
mod linear;
mod manipulate;
mod reduce;
mod search;
mod sort;

pub use assign::{aligned, assign, assign_where, assigned_part, destinations, fit};
pub use create::{arange, eye, full, linspace, ones, tri, zeros};
pub use elementwise::{astype, cast, clip, elementwise, where_};
pub use gather::{Outside, out_of_bounds, take, take_along_axis};
pub use index::{IndexItem, Key, Part, Region, index, index_arrays};
pub use linear::{matmul, matrix_transpose, tensordot, vecdot};
pub use manipulate::{
    broadcast_arrays, broadcast_shapes, broadcast_to, concat, diff, expand_dims, flip, meshgrid, moveaxis,
    permute_dims, reshape, roll, squeeze, stack, tile, unstack,
};
pub use reduce::{
    Axis, all, any, argmax, argmin, count_nonzero, cumulative_prod, cumulative_sum, max, mean, min, prod, std, sum, var,
};
pub use search::{
    FEW_CANDIDATES, Ordered, along_axis_keys, counts, inverse, isin, ordered, ordered_values, repeat, repeat_each,
    searchsorted,
};
pub use sort::{argsort, sort};

use crate::{
    dtype::DType,
    error::{Mistake, RecordError, Recorded},
    lazy::{Device, Lazy, Operands},
    node::{LazyForm, Op, View},
    ops::ScalarOp,
    promote::{Weak, integer_range},
    scalar::Scalar,
    shape::Shape,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// An argument of an element-wise function.
#[derive(Clone, Debug)]
pub enum Operand {
    /// An array.
    Array(Arc<Lazy>),
    /// A Python scalar.
    Scalar(Weak),
}

impl Operand {
    fn array(&self) -> Option<&Arc<Lazy>> {
        match self {
            Operand::Array(array) => Some(array),
            Operand::Scalar(_) => None,
        }
    }
}

/// The arguments of an element-wise function: given up by the caller (the cheap way, for hot calls) or borrowed.
pub struct Arguments(SmallVec<[Operand; 3]>);

impl<const N: usize> From<[Operand; N]> for Arguments {
    fn from(operands: [Operand; N]) -> Arguments {
        let mut arguments = SmallVec::new();
        // Collecting would cost several times as much, on the path of every operator.
        operands.into_iter().for_each(|operand| arguments.push(operand));
        Arguments(arguments)
    }
}

impl<const N: usize> From<&[Operand; N]> for Arguments {
    fn from(operands: &[Operand; N]) -> Arguments {
        Arguments(operands.iter().cloned().collect())
    }
}

impl From<SmallVec<[Operand; 3]>> for Arguments {
    fn from(operands: SmallVec<[Operand; 3]>) -> Arguments {
        Arguments(operands)
    }
}

impl From<&[Operand]> for Arguments {
    fn from(operands: &[Operand]) -> Arguments {
        Arguments(operands.iter().cloned().collect())
    }
}

/// A node after the last checks that concern every node.
fn record(op: Op<LazyForm>, inputs: Operands, dtype: DType, shape: Shape) -> Recorded<Arc<Lazy>> {
    let device = common_device(&op, &inputs)?;
    Ok(Lazy::recorded(op, inputs, dtype, shape, device))
}

/// Where all operands live that live anywhere.
fn common_device(op: &Op<LazyForm>, inputs: &[Arc<Lazy>]) -> Recorded<Option<Device>> {
    let mut devices = inputs.iter().filter_map(|input| input.device);
    let Some(first) = devices.next() else { return Ok(None) };
    match devices.find(|&device| device != first) {
        None => Ok(Some(first)),
        Some(other) => Err(RecordError::dtype(format!(
            "{}: arrays on {first} and {other}; move one of them with to_device",
            op.public_name()
        ))),
    }
}

/// NumPy's limit, so that every array can become one of NumPy's.
const MOST_DIMENSIONS: usize = 64;

/// Fails when an array of that shape could not be addressed. As in NumPy, extents of 0 do not excuse the others.
fn check_size(shape: &[usize], dtype: DType) -> Recorded<()> {
    if shape.len() > MOST_DIMENSIONS {
        return Err(RecordError::value(format!(
            "an array of {} dimensions; at most {MOST_DIMENSIONS} are possible",
            shape.len()
        )));
    }
    let bytes = shape.iter().filter(|&&d| d != 0).try_fold(dtype.size(), |bytes, &d| bytes.checked_mul(d));
    match bytes.filter(|&n| n <= isize::MAX as usize) {
        Some(_) => Ok(()),
        None => Err(RecordError::new(
            Mistake::Memory,
            format!("an array of shape {} and dtype {} is too large", tuple(shape), dtype.numpy_name()),
        )),
    }
}

/// A view node; the operand itself where the view is the identity.
fn view(view: View<LazyForm>, operand: &Arc<Lazy>, shape: Shape) -> Recorded<Arc<Lazy>> {
    if matches!(view, View::Reshape | View::Expand) && operand.shape == shape {
        return Ok(operand.clone());
    }
    record(Op::View(view), SmallVec::from_elem(operand.clone(), 1), operand.dtype, shape)
}

/// Row-major renumbering to a shape with as many elements.
fn reshaped(operand: &Arc<Lazy>, shape: Shape) -> Recorded<Arc<Lazy>> {
    view(View::Reshape, operand, shape)
}

/// Broadcast to a shape that the operand fits.
fn expanded(operand: &Arc<Lazy>, shape: &Shape) -> Recorded<Arc<Lazy>> {
    let mut aligned: Shape = SmallVec::from_elem(1, shape.len() - operand.shape.len());
    aligned.extend_from_slice(&operand.shape);
    view(View::Expand, &reshaped(operand, aligned)?, shape.clone())
}

/// A slice along one axis.
fn sliced(operand: &Arc<Lazy>, axis: usize, start: i64, step: i64, extent: usize) -> Recorded<Arc<Lazy>> {
    if start == 0 && step == 1 && extent == operand.shape[axis] {
        return Ok(operand.clone());
    }
    let rank = operand.shape.len();
    let (mut starts, mut steps) = (SmallVec::from_elem(0, rank), SmallVec::from_elem(1, rank));
    (starts[axis], steps[axis]) = (start, step);
    let mut shape = operand.shape.clone();
    shape[axis] = extent;
    view(View::Slice { starts, steps }, operand, shape)
}

/// A 0-d parameter: a number of which the structure does not depend.
fn parameter(value: Scalar) -> Recorded<Arc<Lazy>> {
    record(Op::Param(value), Operands::new(), value.dtype(), Shape::new())
}

/// A 0-d constant: part of the structure.
fn constant(value: Scalar) -> Recorded<Arc<Lazy>> {
    record(Op::Const(value), Operands::new(), value.dtype(), Shape::new())
}

/// A Python scalar as a 0-d node of that dtype; as [`scalar`]. `structural`: as part of the structure.
fn number(value: Weak, dtype: DType, structural: bool) -> Recorded<Arc<Lazy>> {
    let leaf = |value| if structural { constant(value) } else { parameter(value) };
    let (re, im) = match value {
        _ if !dtype.is_complex() => return leaf(scalar(value, dtype)?),
        Weak::Complex(re, im) => (Weak::Float(re), leaf(Scalar::from_f64(dtype.component(), im))?),
        real => (real, constant(Scalar::from_f64(dtype.component(), 0.0))?),
    };
    of_parts(&leaf(scalar(re, dtype.component())?)?, &im)
}

/// A small integer of any dtype, as part of the structure.
fn integer(value: i64, dtype: DType) -> Recorded<Arc<Lazy>> {
    number(Weak::Int(value.into()), dtype, true)
}

/// The complex numbers with these parts, floats of one dtype. Fails with TypeError for other dtypes, ValueError when the shapes do
/// not broadcast.
pub fn of_parts(re: &Arc<Lazy>, im: &Arc<Lazy>) -> Recorded<Arc<Lazy>> {
    elementwise::map2(ScalarOp::Complex, re, im)
}

/// The Python scalar as an element of that dtype, which is not complex. Fails with OverflowError when an integer does not fit,
/// TypeError when a complex number is to become a real one.
pub fn scalar(value: Weak, dtype: DType) -> Recorded<Scalar> {
    Ok(match value {
        Weak::Bool(value) => Scalar::from_i64(dtype, value as i64),
        Weak::Int(value) if dtype == DType::Bool => Scalar::bool(value != 0),
        Weak::Int(value) if dtype.is_float() => Scalar::from_f64(dtype, value as f64),
        Weak::Int(value) => {
            let (low, high) = integer_range(dtype);
            if !(low..=high).contains(&value) {
                return Err(RecordError::new(
                    Mistake::Overflow,
                    format!("Python integer {value} out of bounds for {}", dtype.numpy_name()),
                ));
            }
            Scalar::from_bits(dtype, value as u64)
        }
        Weak::Float(value) => Scalar::from_f64(dtype, value),
        Weak::Complex(..) => {
            let name = dtype.numpy_name();
            return Err(RecordError::dtype(format!("a Python complex number cannot become {name}")));
        }
    })
}

/// An axis counted from either end.
fn axis(axis: i64, rank: usize, name: &str) -> Recorded<usize> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    if counted < 0 || counted >= rank as i64 {
        let message = format!("{name}: axis {axis} is out of bounds for an array of dimension {rank}");
        return Err(RecordError::new(Mistake::Axis, message));
    }
    Ok(counted as usize)
}

/// Distinct axes counted from either end, in the order given.
fn axes(list: &[i64], rank: usize, name: &str) -> Recorded<SmallVec<[usize; 4]>> {
    let mut result = SmallVec::new();
    for &a in list {
        let counted = axis(a, rank, name)?;
        if result.contains(&counted) {
            return Err(RecordError::value(format!("{name}: axis {a} is given twice")));
        }
        result.push(counted);
    }
    Ok(result)
}

/// A shape as Python writes it.
pub fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(", ")),
    }
}

/// The common shape of broadcasting; the error names the function and the shapes.
fn common_shape<'a>(name: &str, shapes: impl Iterator<Item = &'a [usize]> + Clone) -> Recorded<Shape> {
    let mut result: Shape = Shape::new();
    for shape in shapes.clone() {
        if shape.len() > result.len() {
            let missing = shape.len() - result.len();
            result.insert_many(0, std::iter::repeat_n(1, missing));
        }
        let offset = result.len() - shape.len();
        for (r, &d) in result[offset..].iter_mut().zip(shape) {
            if *r == 1 {
                *r = d;
            } else if d != 1 && d != *r {
                let list = shapes.map(tuple).collect::<Vec<_>>().join(" ");
                return Err(RecordError::value(format!("{name}: shapes {list} cannot be broadcast together")));
            }
        }
    }
    Ok(result)
}

//! Recording calls of libraries' routines.

use super::{check_size, record, reshaped, sliced};
use crate::{
    error::{RecordError, Recorded},
    lazy::{Lazy, Operands},
    node::Op,
    routine::Routine,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// A call of a routine of one result. The operands have the axes it needs and one dtype.
pub(super) fn call(routine: Routine, operands: Operands) -> Recorded<Arc<Lazy>> {
    let takes = operands[0].dtype;
    let Some(dtype) = routine.result_dtype(takes) else {
        return Err(RecordError::dtype(format!("{} does not take {}", routine.name(), takes.numpy_name())));
    };
    let shapes: SmallVec<[&[usize]; 2]> = operands.iter().map(|operand| operand.shape.as_slice()).collect();
    let shape = routine.result_shape(&shapes);
    drop(shapes);
    let Some(shape) = shape else {
        return Err(RecordError::value(format!("{}: the results are too large together", routine.name())));
    };
    check_size(&shape, dtype)?;
    record(Op::Call(routine), operands, dtype, shape)
}
/// A call of a routine of several results: views of its result array.
pub(super) fn call_of_several(routine: Routine, operands: Operands) -> Recorded<SmallVec<[Arc<Lazy>; 3]>> {
    let shapes = {
        let taken: SmallVec<[&[usize]; 2]> = operands.iter().map(|operand| operand.shape.as_slice()).collect();
        routine.results(&taken)
    };
    let all = call(routine, operands)?;
    let mut start = 0;
    let mut results = SmallVec::new();
    for shape in shapes {
        let count: usize = shape.iter().product();
        results.push(reshaped(&sliced(&all, 0, start as i64, 1, count)?, shape)?);
        start += count;
    }
    Ok(results)
}

//! An [`Emit`] whose values are numbers: an expansion run on it gives its result for one element, by the op table's
//! reference evaluation of each primitive. Slow and exact; the oracle of compiled maths.

use super::{expand, expands};
use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::{Class, ScalarOp},
    reference::cast,
    scalar::Scalar,
};

/// Evaluates what is built, while it is built. Composite ops run their bodies, others their expansions where they have one.
#[derive(Default)]
pub struct Evaluator {
    values: Vec<Scalar>,
}

impl Evaluator {
    /// The result of one op on these operands.
    pub fn evaluate(op: ScalarOp, operands: &[Scalar]) -> Scalar {
        let mut evaluator = Evaluator::default();
        let operands: Vec<V> = operands.iter().map(|&s| evaluator.constant(s)).collect();
        let result = evaluator.op(op, &operands);
        evaluator.value(result)
    }

    /// The number that a value is.
    pub fn value(&self, v: V) -> Scalar {
        self.values[v.0 as usize]
    }
}

impl Emit for Evaluator {
    fn constant(&mut self, value: Scalar) -> V {
        self.values.push(value);
        V(self.values.len() as u32 - 1)
    }

    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V {
        let row = op.row();
        let dtype = self.dtype(operands[0]);
        match row.class {
            _ if expands(op, dtype) => expand(op, self, operands),
            Class::Composite(body) => body(self, operands),
            Class::Primitive | Class::Maths | Class::Parts => {
                let dtypes: Vec<DType> = operands.iter().map(|&v| self.dtype(v)).collect();
                assert!(op.result_dtype(&dtypes).is_some(), "{} does not accept {dtypes:?}", row.name);
                let operands: Vec<Scalar> = operands.iter().map(|&v| self.value(v)).collect();
                self.constant((row.reference)(&operands))
            }
        }
    }

    fn cast(&mut self, to: DType, value: V) -> V {
        let value = cast(self.value(value), to);
        self.constant(value)
    }

    fn dtype(&self, value: V) -> DType {
        self.value(value).dtype()
    }
}

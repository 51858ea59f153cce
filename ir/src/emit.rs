//! The one interface through which op bodies and maths expansions build code, whatever is being built: a graph
//! (`passes/expand_composites`), a kernel (`fusewire-lowering`), or numbers themselves (the tests of the expansions).

use crate::{dtype::DType, ops::ScalarOp, scalar::Scalar};

/// A value of the code being built.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct V(pub u32);

/// Builds scalar code.
pub trait Emit {
    /// A constant.
    fn constant(&mut self, value: Scalar) -> V;
    /// An op on operands that its row accepts.
    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V;
    /// A conversion, by the rule of [`crate::reference::cast`].
    fn cast(&mut self, to: DType, value: V) -> V;
    /// The dtype of a value.
    fn dtype(&self, value: V) -> DType;
}

/// Short spellings for bodies: `let y = b.mul(x, x);`.
impl dyn Emit + '_ {
    /// A constant of the dtype of `like`, converted from f64 (exact for small integers; rounds for float32).
    pub fn lit(&mut self, like: V, value: f64) -> V {
        let dtype = self.dtype(like);
        self.constant(Scalar::from_f64(dtype, value))
    }
    /// An integer constant of the dtype of `like`.
    pub fn int(&mut self, like: V, value: i64) -> V {
        let dtype = self.dtype(like);
        self.constant(Scalar::from_i64(dtype, value))
    }
    /// One operand.
    pub fn un(&mut self, op: ScalarOp, a: V) -> V {
        self.op(op, &[a])
    }
    /// Two operands.
    pub fn bin(&mut self, op: ScalarOp, a: V, b: V) -> V {
        self.op(op, &[a, b])
    }
    /// `a + b`.
    pub fn add(&mut self, a: V, b: V) -> V {
        self.op(ScalarOp::Add, &[a, b])
    }
    /// `a - b`.
    pub fn sub(&mut self, a: V, b: V) -> V {
        self.op(ScalarOp::Subtract, &[a, b])
    }
    /// `a * b`.
    pub fn mul(&mut self, a: V, b: V) -> V {
        self.op(ScalarOp::Multiply, &[a, b])
    }
    /// `a / b`.
    pub fn div(&mut self, a: V, b: V) -> V {
        self.op(ScalarOp::Divide, &[a, b])
    }
    /// `a * b + c`, rounded once.
    pub fn fma(&mut self, a: V, b: V, c: V) -> V {
        self.op(ScalarOp::Fma, &[a, b, c])
    }
    /// `-a`.
    pub fn neg(&mut self, a: V) -> V {
        self.op(ScalarOp::Negative, &[a])
    }
    /// `|a|`.
    pub fn abs(&mut self, a: V) -> V {
        self.op(ScalarOp::Abs, &[a])
    }
    /// `if condition { a } else { b }`.
    pub fn select(&mut self, condition: V, a: V, b: V) -> V {
        self.op(ScalarOp::Where, &[condition, a, b])
    }
}

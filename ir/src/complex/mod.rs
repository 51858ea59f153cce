//! What ops do to complex numbers, as code on their parts: the bodies that rows of the op table name. The pass that puts them in
//! place of the ops is `passes/split_complex.rs`; nothing here knows graphs or kernels.
//!
//! Results and special values are those of C99's Annex G where the standard lays them down, NumPy's elsewhere.

mod arithmetic;

pub(crate) use arithmetic::{
    abs, add, conj, divide, equal, multiply, negative, not_equal, reciprocal, square, subtract,
};

use crate::emit::{Emit, V};

/// The code under construction.
type B<'a> = dyn Emit + 'a;

/// A complex number of the code being built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Z {
    /// The real part.
    pub re: V,
    /// The imaginary part.
    pub im: V,
}

/// What an op does to complex operands.
#[derive(Clone, Copy, Debug)]
pub enum OnComplex {
    /// Makes a complex number.
    Number(fn(&mut dyn Emit, &[Z]) -> Z),
    /// Makes a float of the dtype of the parts.
    Real(fn(&mut dyn Emit, &[Z]) -> V),
    /// Makes a bool.
    Truth(fn(&mut dyn Emit, &[Z]) -> V),
}

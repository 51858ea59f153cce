//! What ops do to complex numbers, as code on their parts: the bodies that rows of the op table name. The pass that puts them in
//! place of the ops is `passes/split_complex.rs`; nothing here knows graphs or kernels.
//!
//! Results and special values are those of C99's Annex G where the standard lays them down, NumPy's elsewhere.

mod arithmetic;
mod exponential;
mod inverse;

pub(crate) use arithmetic::{
    abs, add, conj, divide, equal, isfinite, isinf, isnan, multiply, negative, not_equal, reciprocal, round, sign,
    square, subtract,
};
pub(crate) use exponential::{cos, cosh, exp, expm1, log, log1p, log2, log10, pow, sin, sinh, sqrt, tan, tanh};
pub(crate) use inverse::{acos, acosh, asin, asinh, atan, atanh};

use crate::{
    dtype::DType,
    emit::{Emit, V},
    ops::ScalarOp as S,
};

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

/// A function of float64 parts on parts of either dtype. Of float32 it is more accurate than float32 arithmetic could be, and
/// needs no care about overflow in between.
fn in_double(b: &mut B<'_>, z: Z, function: fn(&mut B<'_>, Z) -> Z) -> Z {
    let own = b.dtype(z.re);
    let wide = converted(b, z, DType::F64);
    let result = function(b, wide);
    converted(b, result, own)
}

/// The parts in another dtype.
fn converted(b: &mut B<'_>, z: Z, to: DType) -> Z {
    let to_dtype = |b: &mut B<'_>, part| if b.dtype(part) == to { part } else { b.cast(to, part) };
    Z { re: to_dtype(b, z.re), im: to_dtype(b, z.im) }
}

/// A function of `i z`, divided by `i`: sin of sinh, atan of atanh.
fn turned(b: &mut B<'_>, z: Z, function: fn(&mut B<'_>, Z) -> Z) -> Z {
    let minus_im = b.neg(z.im);
    let Z { re, im } = function(b, Z { re: minus_im, im: z.re });
    Z { re: im, im: b.neg(re) }
}

/// `if condition { x } else { y }`.
fn select(b: &mut B<'_>, condition: V, x: Z, y: Z) -> Z {
    Z { re: b.select(condition, x.re, y.re), im: b.select(condition, x.im, y.im) }
}

/// Both parts times a real number.
fn scale(b: &mut B<'_>, z: Z, by: V) -> Z {
    Z { re: b.mul(z.re, by), im: b.mul(z.im, by) }
}

/// `x == 0`, for either zero.
fn is_zero(b: &mut B<'_>, x: V) -> V {
    let zero = b.lit(x, 0.0);
    b.bin(S::Equal, x, zero)
}

/// Is either part infinite?
fn either_infinite(b: &mut B<'_>, z: Z) -> V {
    let (re, im) = (b.un(S::IsInf, z.re), b.un(S::IsInf, z.im));
    b.bin(S::Or, re, im)
}

/// The larger of the parts' magnitudes; NaN if one is.
fn magnitude(b: &mut B<'_>, z: Z) -> V {
    let (re, im) = (b.abs(z.re), b.abs(z.im));
    b.bin(S::Maximum, re, im)
}

/// The sum of the terms, as if in twice the precision and then rounded: what rounding takes is summed too.
fn sum_twice_as_precise(b: &mut B<'_>, terms: [V; 5]) -> V {
    let mut sum = terms[0];
    let mut rest = b.lit(sum, 0.0);
    for term in &terms[1..] {
        let next = b.add(sum, *term);
        let term_part = b.sub(next, sum);
        let sum_part = b.sub(next, term_part);
        let (sum_rest, term_rest) = (b.sub(sum, sum_part), b.sub(*term, term_part));
        let lost = b.add(sum_rest, term_rest);
        rest = b.add(rest, lost);
        sum = next;
    }
    b.add(sum, rest)
}

/// `x * x` and what rounding took from it.
fn exact_square(b: &mut B<'_>, x: V) -> (V, V) {
    let square = b.mul(x, x);
    let minus = b.neg(square);
    (square, b.fma(x, x, minus))
}

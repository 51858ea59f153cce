//! Extrema of floats, folded as integers: of the bits of all elements, the largest and the smallest as unsigned numbers and the
//! largest as signed ones say what the extremum is, -0 before +0, and whether an element is NaN. These are three instructions a
//! vector, none waiting long for the one before; one maximum of floats, as IEEE 754 wants it, is five that wait for each other.

use super::{emit::Emitter, folds::Fold};
use crate::instructions::{Emitted, Value};
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};
use inkwell::IntPredicate;

/// What is folded of the bits, where the second and the third are unsigned.
const PARTS: [(ScalarOp, bool); 3] =
    [(ScalarOp::Maximum, true), (ScalarOp::Minimum, false), (ScalarOp::Maximum, false)];

impl<'c> Emitter<'_, 'c> {
    /// The folds, with three in the place of each that is better folded as integers.
    pub(super) fn in_bits(&self, folds: Vec<Fold>) -> Vec<Fold> {
        let mut parts = Vec::new();
        for fold in folds {
            if self.folds_bits(&fold) {
                parts.extend(PARTS.map(|(op, signed)| {
                    let dtype = if signed { fold.dtype.same_width_signed() } else { unsigned(fold.dtype) };
                    Fold { op, dtype, in_bits: true, ..fold }
                }));
            } else {
                parts.push(fold);
            }
        }
        parts
    }

    /// Vectors of 64-bit integers have extrema on machines with 512-bit vectors only.
    fn folds_bits(&self, fold: &Fold) -> bool {
        let is_extremum = matches!(fold.op, ScalarOp::Maximum | ScalarOp::Minimum);
        is_extremum && fold.dtype.is_float() && (fold.dtype == DType::F32 || self.machine.vector_bytes() == 64)
    }

    /// What folds are given of their reduction's value.
    pub(super) fn folded(&self, fold: &Fold, value: Value<'c>) -> Emitted<Value<'c>> {
        let float = if fold.dtype.size() == 4 { DType::F32 } else { DType::F64 };
        if fold.in_bits { self.to.op(ScalarOp::ToBits, float, &[value]) } else { Ok(value) }
    }

    /// The accumulators of the folds as they were before [`Emitter::in_bits`].
    pub(super) fn of_bits(&self, folds: &[Fold], accumulators: Vec<Value<'c>>) -> Emitted<Vec<Value<'c>>> {
        let mut accumulators = accumulators.into_iter();
        let mut joined = Vec::new();
        for fold in folds {
            let first = accumulators.next().expect("one a fold");
            joined.push(if self.folds_bits(fold) {
                let mut next = || accumulators.next().expect("three a fold");
                self.extremum_of_bits(fold, [first, next(), next()])?
            } else {
                first
            });
        }
        Ok(joined)
    }

    /// As signed integers, floats without a sign come last, and are in order; those with one are in the opposite order.
    fn extremum_of_bits(&self, fold: &Fold, [signed, low, high]: [Value<'c>; 3]) -> Emitted<Value<'c>> {
        let to = self.to;
        let [infinity, nan] = [f64::INFINITY, f64::NAN].map(|value| Scalar::from_f64(fold.dtype, value));
        let negative_infinity = Scalar::from_f64(fold.dtype, f64::NEG_INFINITY);
        let (integer, bits) = (fold.dtype.same_width_signed(), unsigned(fold.dtype));
        let zero = to.number(integer, 0);
        let extremum = if fold.op == ScalarOp::Maximum {
            let any_positive = to.compare(IntPredicate::SGE, signed, zero)?;
            to.select(any_positive, signed, low)?
        } else {
            let any_negative = to.compare(IntPredicate::SLT, high, zero)?;
            to.select(any_negative, high, low)?
        };
        let extremum = to.op(ScalarOp::FromBits, integer, &[extremum])?;
        let above = to.compare(IntPredicate::SGT, signed, to.constant(Scalar::from_bits(integer, infinity.bits())))?;
        let limit = to.constant(Scalar::from_bits(bits, negative_infinity.bits()));
        let below = to.compare(IntPredicate::UGT, high, limit)?;
        let any_nan = to.op(ScalarOp::Or, DType::Bool, &[above, below])?;
        to.select(any_nan, to.constant(nan), extremum)
    }
}

fn unsigned(float: DType) -> DType {
    if float == DType::F32 { DType::U32 } else { DType::U64 }
}

//! The routines of libraries: what is computed by a call, as a step of a plan, and not by generated loops. Here is what each
//! takes and gives; the graph interpreter says what it means, back ends how it is computed.
//!
//! A call has one result array. The results of a routine that has several lie one after another in a flat array, each dense
//! and row-major over the whole batch: what users hold are views of it, so that a call runs once whichever of its results
//! is asked for first. Sorting and transforms go along the last axis, matrices are the last two; leading axes are a batch.

use crate::{
    dtype::DType,
    shape::{Shape, element_count},
};
use smallvec::{SmallVec, smallvec};

/// What a call computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Routine {
    /// The elements in order. NaN comes last, whichever way.
    Sort {
        /// From the largest to the smallest.
        descending: bool,
    },
    /// The positions (int64) at which the elements of [`Routine::Sort`] stand; of equal ones the first comes first.
    Argsort {
        /// As for [`Routine::Sort`].
        descending: bool,
    },
}

impl Routine {
    /// Every routine.
    pub const ALL: [Routine; 4] = [
        Routine::Sort { descending: false },
        Routine::Sort { descending: true },
        Routine::Argsort { descending: false },
        Routine::Argsort { descending: true },
    ];

    /// The name in texts.
    pub fn name(self) -> &'static str {
        match self {
            Routine::Sort { descending: false } => "sort",
            Routine::Sort { descending: true } => "sort-descending",
            Routine::Argsort { descending: false } => "argsort",
            Routine::Argsort { descending: true } => "argsort-descending",
        }
    }

    /// The routine of that name.
    pub fn from_name(name: &str) -> Option<Routine> {
        Routine::ALL.into_iter().find(|routine| routine.name() == name)
    }

    /// Its place in [`Routine::ALL`].
    pub fn code(self) -> u32 {
        Routine::ALL.iter().position(|&routine| routine == self).expect("the list is complete") as u32
    }

    /// How many operands it takes.
    pub fn arity(self) -> usize {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => 1,
        }
    }

    /// How many of the operands' last axes it works on; the others are the batch.
    pub fn core_rank(self) -> usize {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => 1,
        }
    }

    /// The dtype of the result array for operands of one dtype; `None` where it does not take them.
    pub fn result_dtype(self, operands: DType) -> Option<DType> {
        match self {
            _ if operands.is_complex() => None,
            Routine::Sort { .. } => Some(operands),
            Routine::Argsort { .. } => Some(DType::I64),
        }
    }

    /// The shapes of its results. One result has the call's shape; of several, the call is the flat array.
    pub fn results(self, operands: &[&[usize]]) -> SmallVec<[Shape; 3]> {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => smallvec![Shape::from_slice(operands[0])],
        }
    }

    /// The shape of the result array; `None` where it is too large to be addressed.
    pub fn result_shape(self, operands: &[&[usize]]) -> Option<Shape> {
        let results = self.results(operands);
        match results.as_slice() {
            [one] => Some(one.clone()),
            several => {
                let counts = several.iter().map(|shape| element_count(shape)).sum::<Option<usize>>()?;
                Some(smallvec![counts])
            }
        }
    }

    /// About how many elementary operations computing it takes.
    pub fn work(self, operand: &[usize]) -> u64 {
        let elements = operand.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => elements.saturating_mul(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_bijections() {
        for (code, routine) in Routine::ALL.into_iter().enumerate() {
            assert_eq!(Routine::from_name(routine.name()), Some(routine));
            assert_eq!(routine.code(), code as u32);
        }
    }
}

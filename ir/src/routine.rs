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
    /// The lower triangular factor `L` of `L * L^H`; the strict upper triangle of the operand is not read.
    Cholesky,
    /// `[sign, logarithm of the absolute value]` of determinants: two results, the batch's shape each.
    Slogdet,
    /// Inverses.
    Inv,
    /// The solutions `X` of `A * X = B`.
    Solve,
    /// `Q` and `R`.
    Qr {
        /// Whether `Q` is square, and not only as wide as needed.
        complete: bool,
    },
    /// `U`, the singular values from the largest on, and `V^H`.
    Svd {
        /// Whether `U` and `V^H` are square, and not only as large as needed.
        full: bool,
    },
    /// The singular values from the largest on.
    Svdvals,
    /// The eigenvalues of a symmetric or Hermitian matrix, from the smallest on, and its eigenvectors, a column each. The
    /// strict upper triangle of the operand is not read.
    Eigh,
    /// The eigenvalues of [`Routine::Eigh`].
    Eigvalsh,
}

/// Each routine with its name in texts.
const ROUTINES: [(Routine, &str); 15] = [
    (Routine::Sort { descending: false }, "sort"),
    (Routine::Sort { descending: true }, "sort-descending"),
    (Routine::Argsort { descending: false }, "argsort"),
    (Routine::Argsort { descending: true }, "argsort-descending"),
    (Routine::Cholesky, "cholesky"),
    (Routine::Slogdet, "slogdet"),
    (Routine::Inv, "inv"),
    (Routine::Solve, "solve"),
    (Routine::Qr { complete: false }, "qr"),
    (Routine::Qr { complete: true }, "qr-complete"),
    (Routine::Svd { full: false }, "svd"),
    (Routine::Svd { full: true }, "svd-full"),
    (Routine::Svdvals, "svdvals"),
    (Routine::Eigh, "eigh"),
    (Routine::Eigvalsh, "eigvalsh"),
];

impl Routine {
    /// Every routine.
    pub fn all() -> impl Iterator<Item = Routine> {
        ROUTINES.into_iter().map(|(routine, _)| routine)
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        ROUTINES[self.code() as usize].1
    }

    /// The routine of that name.
    pub fn from_name(name: &str) -> Option<Routine> {
        ROUTINES.into_iter().find(|(_, known)| *known == name).map(|(routine, _)| routine)
    }

    /// A number of its own.
    pub fn code(self) -> u32 {
        ROUTINES.iter().position(|(routine, _)| *routine == self).expect("the table is complete") as u32
    }

    /// How many operands it takes.
    pub fn arity(self) -> usize {
        if self == Routine::Solve { 2 } else { 1 }
    }

    /// How many of the operands' last axes it works on; the others are the batch, which the operands have in common.
    pub fn core_rank(self) -> usize {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => 1,
            Routine::Cholesky
            | Routine::Slogdet
            | Routine::Inv
            | Routine::Solve
            | Routine::Qr { .. }
            | Routine::Svd { .. }
            | Routine::Svdvals
            | Routine::Eigh
            | Routine::Eigvalsh => 2,
        }
    }

    /// The dtype of the result array for operands of one dtype; `None` where it does not take them.
    pub fn result_dtype(self, operands: DType) -> Option<DType> {
        match self {
            _ if operands.is_complex() => None,
            Routine::Sort { .. } => Some(operands),
            Routine::Argsort { .. } => Some(DType::I64),
            Routine::Cholesky
            | Routine::Slogdet
            | Routine::Inv
            | Routine::Solve
            | Routine::Qr { .. }
            | Routine::Svd { .. }
            | Routine::Svdvals
            | Routine::Eigh
            | Routine::Eigvalsh => (operands == DType::F64).then_some(operands),
        }
    }

    /// What its results are for each member of a batch: their extents, of the operands' last axes.
    fn core_results(self, operands: &[&[usize]]) -> SmallVec<[SmallVec<[usize; 2]>; 3]> {
        let [.., m, n] = *operands[0] else { return smallvec![operands[0].into()] };
        let least = m.min(n);
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } => smallvec![smallvec![n]],
            Routine::Cholesky | Routine::Inv => smallvec![smallvec![m, n]],
            Routine::Slogdet => smallvec![smallvec![], smallvec![]],
            Routine::Solve => smallvec![SmallVec::from_slice(&operands[1][operands[1].len() - 2..])],
            Routine::Qr { complete } => {
                let width = if complete { m } else { least };
                smallvec![smallvec![m, width], smallvec![width, n]]
            }
            Routine::Svd { full: true } => smallvec![smallvec![m, m], smallvec![least], smallvec![n, n]],
            Routine::Svd { full: false } => smallvec![smallvec![m, least], smallvec![least], smallvec![least, n]],
            Routine::Svdvals => smallvec![smallvec![least]],
            Routine::Eigh => smallvec![smallvec![n], smallvec![n, n]],
            Routine::Eigvalsh => smallvec![smallvec![n]],
        }
    }

    /// The shapes of its results. One result has the call's shape; of several, the call is the flat array. The operands have
    /// the axes that the routine works on.
    pub fn results(self, operands: &[&[usize]]) -> SmallVec<[Shape; 3]> {
        let batch = &operands[0][..operands[0].len() - self.core_rank()];
        let whole = |core: SmallVec<[usize; 2]>| batch.iter().copied().chain(core).collect();
        self.core_results(operands).into_iter().map(whole).collect()
    }

    /// The shape of the result array; `None` where it is too large to be addressed.
    pub fn result_shape(self, operands: &[&[usize]]) -> Option<Shape> {
        let results = self.results(operands);
        match results.as_slice() {
            [one] => Some(one.clone()),
            several => {
                let counts = several.iter().map(|shape| element_count(shape));
                let count = counts.reduce(|a, b| a?.checked_add(b?))??;
                Some(smallvec![count])
            }
        }
    }

    /// About how many elementary operations computing it takes.
    pub fn work(self, operand: &[usize]) -> u64 {
        let elements = operand.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        match self.core_rank() {
            1 => elements.saturating_mul(8),
            _ => elements.saturating_mul(operand.last().map_or(1, |&n| n as u64 + 8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_bijections() {
        for (code, routine) in Routine::all().enumerate() {
            assert_eq!(Routine::from_name(routine.name()), Some(routine));
            assert_eq!(routine.code(), code as u32);
        }
    }
}

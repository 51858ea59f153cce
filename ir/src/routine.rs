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
    /// Linear algebra in double precision.
    Linear {
        /// What.
        what: Linear,
        /// Whether the operands are complex.
        complex: bool,
    },
    /// The discrete Fourier transform of complex numbers, not scaled.
    Fft {
        /// Of the other sign.
        inverse: bool,
    },
    /// The first half of the transform of real numbers: the rest are its conjugates.
    Rfft,
    /// What [`Routine::Rfft`] is of, not scaled.
    Irfft {
        /// Whether it has an odd number of elements.
        odd: bool,
    },
}

/// What is computed of matrices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Linear {
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
    /// The singular values from the largest on, which are real.
    Svdvals,
    /// The eigenvalues of a symmetric or Hermitian matrix, from the smallest on, and its eigenvectors, a column each. The
    /// strict upper triangle of the operand is not read.
    Eigh,
    /// The eigenvalues of [`Linear::Eigh`], which are real.
    Eigvalsh,
    /// The eigenvalues of any square matrix and its eigenvectors, a column each; complex.
    Eig,
    /// The eigenvalues of [`Linear::Eig`].
    Eigvals,
}

/// Each routine with its name in texts.
const ROUTINES: [(Routine, &str); 35] = [
    (Routine::Sort { descending: false }, "sort"),
    (Routine::Sort { descending: true }, "sort-descending"),
    (Routine::Argsort { descending: false }, "argsort"),
    (Routine::Argsort { descending: true }, "argsort-descending"),
    (real(Linear::Cholesky), "cholesky"),
    (real(Linear::Slogdet), "slogdet"),
    (real(Linear::Inv), "inv"),
    (real(Linear::Solve), "solve"),
    (real(Linear::Qr { complete: false }), "qr"),
    (real(Linear::Qr { complete: true }), "qr-complete"),
    (real(Linear::Svd { full: false }), "svd"),
    (real(Linear::Svd { full: true }), "svd-full"),
    (real(Linear::Svdvals), "svdvals"),
    (real(Linear::Eigh), "eigh"),
    (real(Linear::Eigvalsh), "eigvalsh"),
    (real(Linear::Eig), "eig"),
    (real(Linear::Eigvals), "eigvals"),
    (complex(Linear::Cholesky), "complex-cholesky"),
    (complex(Linear::Slogdet), "complex-slogdet"),
    (complex(Linear::Inv), "complex-inv"),
    (complex(Linear::Solve), "complex-solve"),
    (complex(Linear::Qr { complete: false }), "complex-qr"),
    (complex(Linear::Qr { complete: true }), "complex-qr-complete"),
    (complex(Linear::Svd { full: false }), "complex-svd"),
    (complex(Linear::Svd { full: true }), "complex-svd-full"),
    (complex(Linear::Svdvals), "complex-svdvals"),
    (complex(Linear::Eigh), "complex-eigh"),
    (complex(Linear::Eigvalsh), "complex-eigvalsh"),
    (complex(Linear::Eig), "complex-eig"),
    (complex(Linear::Eigvals), "complex-eigvals"),
    (Routine::Fft { inverse: false }, "fft"),
    (Routine::Fft { inverse: true }, "ifft"),
    (Routine::Rfft, "rfft"),
    (Routine::Irfft { odd: false }, "irfft"),
    (Routine::Irfft { odd: true }, "irfft-odd"),
];

const fn real(what: Linear) -> Routine {
    Routine::Linear { what, complex: false }
}

const fn complex(what: Linear) -> Routine {
    Routine::Linear { what, complex: true }
}

impl Routine {
    /// Every routine.
    pub fn all() -> impl Iterator<Item = Routine> {
        ROUTINES.into_iter().map(|(routine, _)| routine)
    }

    /// The name in texts.
    pub fn name(self) -> &'static str {
        ROUTINES[self.code() as usize].1
    }

    /// The name of the function that users call.
    pub fn public_name(self) -> &'static str {
        let name = self.name();
        let name = name.strip_prefix("complex-").unwrap_or(name);
        name.split_once('-').map_or(name, |(name, _)| name)
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
        if matches!(self, Routine::Linear { what: Linear::Solve, .. }) { 2 } else { 1 }
    }

    /// How many of the operands' last axes it works on; the others are the batch, which the operands have in common.
    pub fn core_rank(self) -> usize {
        match self {
            Routine::Sort { .. }
            | Routine::Argsort { .. }
            | Routine::Fft { .. }
            | Routine::Rfft
            | Routine::Irfft { .. } => 1,
            Routine::Linear { .. } => 2,
        }
    }

    /// Are its operands complex?
    pub fn takes_complex(self) -> bool {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } | Routine::Rfft => false,
            Routine::Linear { complex, .. } => complex,
            Routine::Fft { .. } | Routine::Irfft { .. } => true,
        }
    }

    /// Is its result array complex? It is also where only one of several results is.
    pub fn gives_complex(self) -> bool {
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } | Routine::Irfft { .. } => false,
            Routine::Fft { .. } | Routine::Rfft => true,
            Routine::Linear { what, complex } => match what {
                Linear::Svdvals | Linear::Eigvalsh => false,
                Linear::Eig | Linear::Eigvals => true,
                Linear::Cholesky
                | Linear::Slogdet
                | Linear::Inv
                | Linear::Solve
                | Linear::Qr { .. }
                | Linear::Svd { .. }
                | Linear::Eigh => complex,
            },
        }
    }

    /// The dtype of the result array for operands of one dtype; `None` where it does not take them.
    pub fn result_dtype(self, operands: DType) -> Option<DType> {
        if operands.is_complex() != self.takes_complex() {
            return None;
        }
        let component = if operands.is_complex() { operands.component() } else { operands };
        match self {
            Routine::Sort { .. } => return Some(operands),
            Routine::Argsort { .. } => return Some(DType::I64),
            Routine::Linear { .. } if component != DType::F64 => return None,
            Routine::Linear { .. } | Routine::Fft { .. } | Routine::Rfft | Routine::Irfft { .. } => {}
        }
        let result = if self.gives_complex() { component.complex() } else { component };
        component.is_float().then_some(result)
    }

    /// What its results are for each member of a batch: their extents, of the operands' last axes.
    fn core_results(self, operands: &[&[usize]]) -> SmallVec<[SmallVec<[usize; 2]>; 3]> {
        let last = operands[0][operands[0].len() - 1];
        match self {
            Routine::Sort { .. } | Routine::Argsort { .. } | Routine::Fft { .. } => smallvec![smallvec![last]],
            Routine::Rfft => smallvec![smallvec![last / 2 + 1]],
            Routine::Irfft { odd } => smallvec![smallvec![(last.max(1) - 1) * 2 + usize::from(odd)]],
            Routine::Linear { what, .. } => {
                let (m, n) = (operands[0][operands[0].len() - 2], last);
                let least = m.min(n);
                match what {
                    Linear::Cholesky | Linear::Inv => smallvec![smallvec![m, n]],
                    Linear::Slogdet => smallvec![smallvec![], smallvec![]],
                    Linear::Solve => smallvec![SmallVec::from_slice(&operands[1][operands[1].len() - 2..])],
                    Linear::Qr { complete } => {
                        let width = if complete { m } else { least };
                        smallvec![smallvec![m, width], smallvec![width, n]]
                    }
                    Linear::Svd { full: true } => smallvec![smallvec![m, m], smallvec![least], smallvec![n, n]],
                    Linear::Svd { full: false } => {
                        smallvec![smallvec![m, least], smallvec![least], smallvec![least, n]]
                    }
                    Linear::Svdvals => smallvec![smallvec![least]],
                    Linear::Eigh | Linear::Eig => smallvec![smallvec![n], smallvec![n, n]],
                    Linear::Eigvalsh | Linear::Eigvals => smallvec![smallvec![n]],
                }
            }
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

    /// As [`Routine::result_shape`], where complex arrays are pairs of real ones: with a last axis of extent 2.
    pub fn result_shape_of_pairs(self, operands: &[&[usize]]) -> Option<Shape> {
        let pair = usize::from(self.takes_complex());
        let numbers: SmallVec<[&[usize]; 2]> = operands.iter().map(|o| &o[..o.len() - pair]).collect();
        let mut shape = self.result_shape(&numbers)?;
        if self.gives_complex() {
            shape.push(2);
        }
        Some(shape)
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

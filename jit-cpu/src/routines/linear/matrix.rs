//! Matrices by columns in memory that may run out, and what numbers must offer.

use dyn_stack::{MemBuffer, StackReq};
use faer::{MatMut, MatRef, c64, traits::ComplexField};
use std::ops::{DivAssign, Sub, SubAssign};

/// What elements must offer besides the library's arithmetic.
pub(super) trait Number: ComplexField<Real = f64> + Copy + Sub<Output = Self> + SubAssign + DivAssign {
    fn real(value: f64) -> Self;
    fn modulus(self) -> f64;
    /// Divided by its modulus.
    fn sign(self) -> Self;
    fn times(self, other: Self) -> Self;
    fn conjugate(self) -> Self;
    fn real_part(self) -> f64;
}

impl Number for c64 {
    fn real(value: f64) -> c64 {
        c64::new(value, 0.0)
    }
    fn modulus(self) -> f64 {
        self.norm()
    }
    fn sign(self) -> c64 {
        self / self.norm()
    }
    fn times(self, other: c64) -> c64 {
        // By a real number each part alone: an infinite or huge part must not spoil the other.
        if other.im == 0.0 { c64::new(self.re * other.re, self.im * other.re) } else { self * other }
    }
    fn conjugate(self) -> c64 {
        self.conj()
    }
    fn real_part(self) -> f64 {
        self.re
    }
}

impl Number for f64 {
    fn real(value: f64) -> f64 {
        value
    }
    fn modulus(self) -> f64 {
        self.abs()
    }
    fn sign(self) -> f64 {
        self.signum()
    }
    fn times(self, other: f64) -> f64 {
        self * other
    }
    fn conjugate(self) -> f64 {
        self
    }
    fn real_part(self) -> f64 {
        self
    }
}

/// Why a matrix has no result.
#[derive(Clone, Copy)]
pub(super) enum Failure {
    Singular,
    NotPositiveDefinite,
    NotConverged,
    NotFinite,
    OutOfMemory(usize),
}

/// A matrix by columns.
pub(super) struct Matrix<T> {
    pub(super) elements: Vec<T>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl<T: Number> Matrix<T> {
    pub(super) fn zeros(rows: usize, columns: usize) -> Result<Matrix<T>, Failure> {
        let count = rows.checked_mul(columns).ok_or(Failure::OutOfMemory(usize::MAX))?;
        Ok(Matrix { elements: vector(count)?, rows, columns })
    }

    pub(super) fn identity(rows: usize, columns: usize) -> Result<Matrix<T>, Failure> {
        let mut identity = Matrix::zeros(rows, columns)?;
        identity.elements.iter_mut().step_by(rows + 1).for_each(|element| *element = T::real(1.0));
        Ok(identity)
    }

    pub(super) fn copy(from: MatRef<'_, T>) -> Result<Matrix<T>, Failure> {
        let mut copy = Matrix::zeros(from.nrows(), from.ncols())?;
        copy.as_mut().copy_from(from);
        Ok(copy)
    }

    /// A copy divided by a power of two, so that its largest element is about 1, and that power: the library's iterations
    /// compare squares with fixed thresholds. They may also not end with what is not finite.
    pub(super) fn scaled(from: MatRef<'_, T>) -> Result<(Matrix<T>, T), Failure> {
        let mut copy = Matrix::copy(from)?;
        // A maximum would pass over NaN.
        let largest =
            copy.elements.iter().fold(0.0, |most: f64, x| if x.modulus() <= most { most } else { x.modulus() });
        if !largest.is_finite() {
            return Err(Failure::NotFinite);
        }
        let exponent = if largest == 0.0 { 0.0 } else { largest.log2().floor().clamp(-1000.0, 1000.0) };
        let (down, up) = (T::real((-exponent).exp2()), T::real(exponent.exp2()));
        copy.elements.iter_mut().for_each(|element| *element = element.times(down));
        Ok((copy, up))
    }

    pub(super) fn as_ref(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.elements, self.rows, self.columns)
    }

    pub(super) fn as_mut(&mut self) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_mut(&mut self.elements, self.rows, self.columns)
    }
}

/// Zeros.
pub(super) fn vector<T: Number>(count: usize) -> Result<Vec<T>, Failure> {
    let mut elements = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    elements.try_reserve_exact(count).map_err(|_| Failure::OutOfMemory(bytes))?;
    elements.resize(count, T::real(0.0));
    Ok(elements)
}

/// The library's working memory.
pub(super) fn workspace(needed: StackReq) -> Result<MemBuffer, Failure> {
    MemBuffer::try_new(needed).map_err(|_| Failure::OutOfMemory(needed.unaligned_bytes_required()))
}

/// Writes a matrix by rows.
pub(super) fn store<T: Number>(from: MatRef<'_, T>, to: &mut [T]) {
    MatMut::from_row_major_slice_mut(to, from.nrows(), from.ncols()).copy_from(from);
}

pub(super) fn indices(count: usize) -> Result<Vec<usize>, Failure> {
    let mut indices = Vec::new();
    indices.try_reserve_exact(count).map_err(|_| Failure::OutOfMemory(count.saturating_mul(8)))?;
    indices.resize(count, 0);
    Ok(indices)
}

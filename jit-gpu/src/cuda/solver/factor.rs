//! Factors: of positive definite matrices, with row exchanges, a basis and a triangle; and what they solve.

use super::{Done, Failure, Member, Work, check};
use crate::driver::Driver;
use cudarc::cusolver::sys::{self, cublasFillMode_t as Fill, cublasOperation_t as Operation};
use fusewire_ir::value::Storage;
use fusewire_runtime::error::Error;
use std::{ffi::c_int, sync::Arc};

/// A matrix that was factored with row exchanges.
struct Factors {
    both: Arc<dyn Storage>,
    pivots: Arc<dyn Storage>,
    singular: bool,
}

impl Work<'_> {
    /// The factor. Row by row the matrix is its transpose to cuSOLVER, whose upper factor is the transpose of ours.
    pub(super) fn cholesky(&self, matrix: &Member, to: *mut u8) -> Done {
        let (n, kind, h) = (matrix.shape[0], self.kind(), self.handle);
        self.pack(*matrix, to)?;
        let (upper, order, a) = (Fill::CUBLAS_FILL_MODE_UPPER, n as i64, to.cast());
        let info = self.run(
            "factoring",
            // SAFETY: writes two numbers.
            &|device, host| unsafe {
                let (h, p) = (h.solver, h.params);
                sys::cusolverDnXpotrf_bufferSize(h, p, upper, order, kind, a, order, kind, device, host)
            },
            // SAFETY: the matrix is dense, the space as large as it was asked for.
            &|space| unsafe {
                sys::cusolverDnXpotrf(
                    h.solver,
                    h.params,
                    upper,
                    order,
                    kind,
                    a,
                    order,
                    kind,
                    space.device,
                    space.device_bytes,
                    space.host,
                    space.host_bytes,
                    space.info,
                )
            },
        )?;
        // The rest of each row is what it was.
        for row in 0..n - 1 {
            let start = to.addr() + (row * n + row + 1) * self.element();
            // SAFETY: it is part of the matrix.
            unsafe { self.device.clear(start as u64, (n - 1 - row) * self.element(), self.stream)? };
        }
        Ok(if info == 0 { Ok(()) } else { Err(Failure::NotPositiveDefinite) })
    }

    /// Factors a copy of the transposed matrix.
    fn factored(&self, matrix: &Member) -> Result<Factors, Error> {
        let (n, kind, h) = (matrix.shape[0], self.kind(), self.handle);
        let (both, pivots) = (self.numbers(n * n)?, self.memory(8 * n)?);
        self.pack(*matrix, both.pointer())?;
        let (a, p, order) = (both.pointer().cast(), pivots.pointer().cast(), n as i64);
        let info = self.run(
            "factoring",
            // SAFETY: as in `cholesky`.
            &|device, host| unsafe {
                let (h, params) = (h.solver, h.params);
                sys::cusolverDnXgetrf_bufferSize(h, params, order, order, kind, a, order, kind, device, host)
            },
            // SAFETY: as in `cholesky`.
            &|space| unsafe {
                sys::cusolverDnXgetrf(
                    h.solver,
                    h.params,
                    order,
                    order,
                    kind,
                    a,
                    order,
                    p,
                    kind,
                    space.device,
                    space.device_bytes,
                    space.host,
                    space.host_bytes,
                    space.info,
                )
            },
        )?;
        Ok(Factors { both, pivots, singular: info != 0 })
    }

    /// Solves for the columns at `to`, which lie one after another, with what was factored or its transpose.
    fn substitute(
        &self,
        factors: &Factors,
        n: usize,
        transposed: bool,
        columns: usize,
        to: *mut u8,
    ) -> Result<(), Error> {
        let operation = if transposed { Operation::CUBLAS_OP_T } else { Operation::CUBLAS_OP_N };
        let (h, kind, order, info) = (self.handle, self.kind(), n as i64, self.memory(4)?);
        let (a, p) = (factors.both.pointer().cast(), factors.pivots.pointer().cast());
        // SAFETY: as in `cholesky`.
        let status = unsafe {
            sys::cusolverDnXgetrs(
                h.solver,
                h.params,
                operation,
                order,
                columns as i64,
                kind,
                a,
                order,
                p,
                kind,
                to.cast(),
                order,
                info.pointer().cast(),
            )
        };
        check("solving", status)
    }

    pub(super) fn solve(&self, matrix: &Member, right: &Member, to: *mut u8) -> Done {
        let (n, columns) = (matrix.shape[0], right.shape[1]);
        let factors = self.factored(matrix)?;
        if factors.singular {
            return Ok(Err(Failure::Singular));
        }
        let solutions = self.numbers(n * columns)?;
        self.pack(right.transposed(), solutions.pointer())?;
        self.substitute(&factors, n, true, columns, solutions.pointer())?;
        self.pack(self.by_columns(solutions.pointer(), n, columns, n), to).map(Ok)
    }

    /// The inverse: what the transposed matrix makes of the unit matrix, column by column, is it row by row.
    pub(super) fn invert(&self, matrix: &Member, to: *mut u8) -> Done {
        let n = matrix.shape[0];
        let factors = self.factored(matrix)?;
        if factors.singular {
            return Ok(Err(Failure::Singular));
        }
        self.identity(to, n)?;
        self.substitute(&factors, n, false, n, to).map(Ok)
    }

    /// The diagonal and the exchanges are looked at by the host.
    pub(super) fn slogdet(&self, matrix: &Member, sign: *mut u8, logarithm: *mut u8) -> Done {
        let (n, pairs) = (matrix.shape[0], self.pairs());
        let mut result = [1.0, 0.0, 0.0, 0.0];
        if n > 0 {
            let factors = self.factored(matrix)?;
            let diagonal = self.numbers(n)?;
            let strides = [((n + 1) * pairs) as isize, 0, 1];
            let view = Member { pointer: factors.both.pointer(), shape: [n, 1, pairs], strides };
            self.pack(view, diagonal.pointer())?;
            let diagonal = self.download_reals(diagonal.pointer(), n * pairs)?;
            let mut pivots = vec![0u8; 8 * n];
            self.download(factors.pivots.pointer(), &mut pivots)?;
            let pivots = pivots.chunks_exact(8).map(|chunk| i64::from_ne_bytes(chunk.try_into().unwrap_or_default()));
            let exchanges = (1..).zip(pivots).filter(|(row, pivot)| row != pivot).count();
            result = if factors.singular {
                [0.0, 0.0, f64::NEG_INFINITY, 0.0]
            } else {
                determinant(diagonal.chunks_exact(pairs), exchanges)
            };
        }
        self.upload_reals(&result[..pairs], sign)?;
        self.upload_reals(&result[2..2 + pairs], logarithm).map(Ok)
    }

    /// The basis comes of the reflections that are left below the triangle.
    pub(super) fn qr(&self, matrix: &Member, complete: bool, q: *mut u8, r: *mut u8) -> Done {
        let [m, n, _] = matrix.shape;
        let least = m.min(n);
        let width = if complete { m } else { least };
        if least == 0 {
            return self.identity(q, width).map(Ok);
        }
        let (kind, h) = (self.kind(), self.handle);
        let (factors, coefficients) = (self.numbers(m * n.max(width))?, self.numbers(least)?);
        self.pack(matrix.transposed(), factors.pointer())?;
        let (a, tau): (*mut std::ffi::c_void, *mut std::ffi::c_void) =
            (factors.pointer().cast(), coefficients.pointer().cast());
        let (rows, columns) = (m as i64, n as i64);
        self.run(
            "factoring",
            // SAFETY: as in `cholesky`.
            &|device, host| unsafe {
                let (h, p) = (h.solver, h.params);
                sys::cusolverDnXgeqrf_bufferSize(h, p, rows, columns, kind, a, rows, kind, tau, kind, device, host)
            },
            // SAFETY: as in `cholesky`.
            &|space| unsafe {
                sys::cusolverDnXgeqrf(
                    h.solver,
                    h.params,
                    rows,
                    columns,
                    kind,
                    a,
                    rows,
                    kind,
                    tau,
                    kind,
                    space.device,
                    space.device_bytes,
                    space.host,
                    space.host_bytes,
                    space.info,
                )
            },
        )?;
        self.pack(self.by_columns(factors.pointer(), width, n, m), r)?;
        for row in 1..width {
            let start = r.addr() + row * n * self.element();
            // SAFETY: it is part of the triangle's row.
            unsafe { self.device.clear(start as u64, row.min(n) * self.element(), self.stream)? };
        }
        let small = |count: usize| {
            c_int::try_from(count).map_err(|_| Error::Unsupported("cuSOLVER takes no bases of order 2^31".into()))
        };
        self.basis(small(m)?, small(width)?, small(least)?, &factors, &coefficients)?;
        self.pack(self.by_columns(factors.pointer(), m, width, m), q).map(Ok)
    }

    /// Reflections become the first columns of their product.
    fn basis(
        &self,
        m: c_int,
        width: c_int,
        count: c_int,
        factors: &Arc<dyn Storage>,
        coefficients: &Arc<dyn Storage>,
    ) -> Result<(), Error> {
        let (h, a, tau, mut length) = (self.handle.solver, factors.pointer(), coefficients.pointer(), 0);
        let info = self.memory(4)?;
        // SAFETY: as in `cholesky`; the columns lie side by side.
        unsafe {
            let asked = if self.complex {
                sys::cusolverDnZungqr_bufferSize(h, m, width, count, a.cast(), m, tau.cast(), &raw mut length)
            } else {
                sys::cusolverDnDorgqr_bufferSize(h, m, width, count, a.cast(), m, tau.cast(), &raw mut length)
            };
            check("asking for memory", asked)?;
            let space = self.numbers(length.max(0) as usize)?;
            let (w, info) = (space.pointer(), info.pointer().cast());
            let done = if self.complex {
                sys::cusolverDnZungqr(h, m, width, count, a.cast(), m, tau.cast(), w.cast(), length, info)
            } else {
                sys::cusolverDnDorgqr(h, m, width, count, a.cast(), m, tau.cast(), w.cast(), length, info)
            };
            check("making a basis", done)
        }
    }
}

/// `[sign, logarithm]`, both complex, of a triangle's diagonal and so many exchanges of rows.
fn determinant<'a>(diagonal: impl Iterator<Item = &'a [f64]>, exchanges: usize) -> [f64; 4] {
    let (mut sign, mut logarithm) = ([if exchanges.is_multiple_of(2) { 1.0 } else { -1.0 }, 0.0], 0.0);
    for pivot in diagonal {
        let (re, im) = (pivot[0], pivot.get(1).copied().unwrap_or(0.0));
        let modulus = re.hypot(im);
        let unit = [re / modulus, im / modulus];
        sign = [sign[0] * unit[0] - sign[1] * unit[1], sign[0] * unit[1] + sign[1] * unit[0]];
        logarithm += modulus.ln();
    }
    [sign[0], sign[1], logarithm, 0.0]
}

#[cfg(test)]
mod tests {
    use super::determinant;

    #[test]
    fn determinants_come_of_diagonals() {
        let real = [2.0, -3.0, 0.5];
        assert_eq!(determinant(real.chunks(1), 1), [1.0, 0.0, 3f64.ln() + 2f64.ln() + 0.5f64.ln(), 0.0]);
        let complex = [0.0, 2.0, 0.0, 2.0];
        assert_eq!(determinant(complex.chunks(2), 0), [-1.0, 0.0, 2.0 * 2f64.ln(), 0.0]);
    }
}

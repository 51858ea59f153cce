//! Singular values, eigenvalues and their vectors.

use super::{CUSOLVER, Done, Failure, Member, REAL, Work};
use crate::driver::Driver;
use cudarc::cusolver::sys::{self, cublasFillMode_t as Fill, cudaDataType as Kind, cusolverEigMode_t as Mode};
use fusewire_ir::value::Storage;
use fusewire_runtime::error::Error;
use std::{ffi::c_void, ptr, sync::Arc};

/// cuSOLVER's letters for which singular vectors are wanted.
const ALL: i8 = b'A' as i8;
const SOME: i8 = b'S' as i8;
const NONE: i8 = b'N' as i8;

impl Work<'_> {
    /// cuSOLVER takes matrices that are no wider than tall: of the others it gets the transpose, whose vectors are ours the other way.
    pub(super) fn svd(&self, matrix: &Member, full: bool, s: *mut u8, vectors: Option<[*mut u8; 2]>) -> Done {
        let [m, n, _] = matrix.shape;
        let (least, tall) = (m.min(n), m >= n);
        if least == 0 {
            return match vectors {
                Some([u, vh]) if full => self.identity(u, m).and_then(|()| self.identity(vh, n)).map(Ok),
                _ => Ok(Ok(())),
            };
        }
        let (rows, columns) = (m.max(n), least);
        let width = if full { rows } else { columns };
        let operand = self.numbers(m * n)?;
        self.pack(if tall { matrix.transposed() } else { *matrix }, operand.pointer())?;
        let memory = |count: usize| if vectors.is_some() { self.numbers(count).map(Some) } else { Ok(None) };
        let (left, right) = (memory(rows * width)?, memory(columns * columns)?);
        let address = |memory: &Option<Arc<dyn Storage>>| {
            memory.as_ref().map_or(ptr::null_mut::<c_void>(), |memory| memory.pointer().cast())
        };
        let values = self.reals(least)?;
        let (kind, h) = (self.kind(), self.handle);
        let (a, w, u, vt) = (operand.pointer().cast(), values.pointer().cast(), address(&left), address(&right));
        let (jobu, jobvt) = match (vectors, full) {
            (None, _) => (NONE, NONE),
            (Some(_), true) => (ALL, ALL),
            (Some(_), false) => (SOME, SOME),
        };
        let (r, c) = (rows as i64, columns as i64);
        let info = self.run(
            "finding singular values",
            // SAFETY: writes two numbers.
            &|device, host| unsafe {
                sys::cusolverDnXgesvd_bufferSize(
                    h.solver,
                    h.params,
                    jobu,
                    jobvt,
                    r,
                    c,
                    kind,
                    a,
                    r,
                    Kind::CUDA_R_64F,
                    w,
                    kind,
                    u,
                    r,
                    kind,
                    vt,
                    c,
                    kind,
                    device,
                    host,
                )
            },
            // SAFETY: the matrices are dense, the space as large as it was asked for.
            &|space| unsafe {
                sys::cusolverDnXgesvd(
                    h.solver,
                    h.params,
                    jobu,
                    jobvt,
                    r,
                    c,
                    kind,
                    a,
                    r,
                    Kind::CUDA_R_64F,
                    w,
                    kind,
                    u,
                    r,
                    kind,
                    vt,
                    c,
                    kind,
                    space.device,
                    space.device_bytes,
                    space.host,
                    space.host_bytes,
                    space.info,
                )
            },
        )?;
        if let (Some([u, vh]), Some(left), Some(right)) = (vectors, left, right) {
            let left = self.by_columns(left.pointer(), rows, width, rows);
            let right = self.by_columns(right.pointer(), columns, columns, columns);
            let (ours, theirs) = if tall { (left, right) } else { (right.transposed(), left.transposed()) };
            self.pack(ours, u)?;
            self.pack(theirs, vh)?;
        }
        self.values(&values, least, info, vectors.is_some() && self.complex, s)
    }

    /// Only the lower triangle is read.
    pub(super) fn eigh(&self, matrix: &Member, to: *mut u8, vectors: Option<*mut u8>) -> Done {
        let n = matrix.shape[0];
        let operand = self.numbers(n * n)?;
        self.pack(matrix.transposed(), operand.pointer())?;
        let values = self.reals(n)?;
        let (kind, h, order) = (self.kind(), self.handle, n as i64);
        let (a, w) = (operand.pointer().cast(), values.pointer().cast());
        let (mode, lower) = (mode(vectors.is_some()), Fill::CUBLAS_FILL_MODE_LOWER);
        let real = Kind::CUDA_R_64F;
        let info = self.run(
            "finding eigenvalues",
            // SAFETY: as in `svd`.
            &|device, host| unsafe {
                let (h, p) = (h.solver, h.params);
                sys::cusolverDnXsyevd_bufferSize(h, p, mode, lower, order, kind, a, order, real, w, kind, device, host)
            },
            // SAFETY: as in `svd`.
            &|space| unsafe {
                sys::cusolverDnXsyevd(
                    h.solver,
                    h.params,
                    mode,
                    lower,
                    order,
                    kind,
                    a,
                    order,
                    real,
                    w,
                    kind,
                    space.device,
                    space.device_bytes,
                    space.host,
                    space.host_bytes,
                    space.info,
                )
            },
        )?;
        if let Some(vectors) = vectors {
            self.pack(self.by_columns(operand.pointer(), n, n, n), vectors)?;
        }
        self.values(&values, n, info, vectors.is_some() && self.complex, to)
    }

    /// The values are complex numbers, also those of real matrices, whose vectors come as pairs of columns.
    pub(super) fn eig(&self, matrix: &Member, to: *mut u8, vectors: Option<*mut u8>) -> Done {
        // SAFETY: looks for a name; the function of that name is called below.
        let there = unsafe { sys::culib().get::<unsafe extern "C" fn()>(b"cusolverDnXgeev\0").is_ok() };
        if !there {
            return Err(Error::Unsupported(format!(
                "eigenvalues of matrices that are not symmetric need NVIDIA's library lib{}.so of CUDA 12.6 or newer",
                CUSOLVER.name
            )));
        }
        let n = matrix.shape[0];
        let operand = self.numbers(n * n)?;
        self.pack(matrix.transposed(), operand.pointer())?;
        let right = if vectors.is_some() { Some(self.numbers(n * n)?) } else { None };
        let v = right.as_ref().map_or(ptr::null_mut::<c_void>(), |memory| memory.pointer().cast());
        let (kind, complex, h, order) = (self.kind(), Kind::CUDA_C_64F, self.handle, n as i64);
        let (a, w, none) = (operand.pointer().cast(), to.cast(), ptr::null_mut::<c_void>());
        let (no, mode) = (mode(false), mode(vectors.is_some()));
        let info = self.run(
            "finding eigenvalues",
            // SAFETY: as in `svd`.
            &|device, host| unsafe {
                sys::cusolverDnXgeev_bufferSize(
                    h.solver, h.params, no, mode, order, kind, a, order, complex, w, kind, none, order, kind, v, order,
                    kind, device, host,
                )
            },
            // SAFETY: as in `svd`.
            &|space| unsafe {
                sys::cusolverDnXgeev(
                    h.solver,
                    h.params,
                    no,
                    mode,
                    order,
                    kind,
                    a,
                    order,
                    complex,
                    w,
                    kind,
                    none,
                    order,
                    kind,
                    v,
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
        let values = self.download_reals(to, 2 * n)?;
        if let (Some(vectors), Some(right)) = (vectors, &right) {
            if self.complex {
                self.pack(self.by_columns(right.pointer(), n, n, n), vectors)?;
            } else {
                let columns = self.download_reals(right.pointer(), n * n)?;
                self.upload_reals(&of_pairs(&values, &columns, n), vectors)?;
            }
        }
        Ok(judged(&values, info))
    }

    /// Room for real numbers, with as many zeros behind them.
    fn reals(&self, count: usize) -> Result<Arc<dyn Storage>, Error> {
        let memory = self.memory(2 * count * REAL)?;
        // SAFETY: it has so many bytes.
        unsafe { self.device.clear(memory.pointer().addr() as u64, 2 * count * REAL, self.stream)? };
        Ok(memory)
    }

    /// Brings real values to their result, which may be one of complex numbers.
    fn values(&self, values: &Arc<dyn Storage>, count: usize, info: i32, complex: bool, to: *mut u8) -> Done {
        let view = with_zeros(values, count);
        let shape = if complex { view.shape } else { [count, 1, 1] };
        self.pack(Member { shape, ..view }, to)?;
        let found = self.download_reals(values.pointer(), count)?;
        Ok(judged(&found, info))
    }
}

/// Real numbers that have as many zeros behind them, as complex ones.
fn with_zeros(reals: &Arc<dyn Storage>, count: usize) -> Member {
    Member { pointer: reals.pointer(), shape: [count, 1, 2], strides: [1, 0, count as isize] }
}

/// Complex vectors, row by row, of columns that real numbers stand in: those of conjugate values, which are neighbours, are the real and
/// the imaginary parts of both.
fn of_pairs(values: &[f64], columns: &[f64], n: usize) -> Vec<f64> {
    let mut vectors = vec![0.0; 2 * n * n];
    let mut column = 0;
    while column < n {
        let pair = values[2 * column + 1] != 0.0 && column + 1 < n;
        for row in 0..n {
            let re = columns[column * n + row];
            let im = if pair { columns[(column + 1) * n + row] } else { 0.0 };
            let at = 2 * (row * n + column);
            vectors[at..at + 2].copy_from_slice(&[re, im]);
            if pair {
                vectors[at + 2..at + 4].copy_from_slice(&[re, -im]);
            }
        }
        column += if pair { 2 } else { 1 };
    }
    vectors
}

fn mode(vectors: bool) -> Mode {
    if vectors { Mode::CUSOLVER_EIG_MODE_VECTOR } else { Mode::CUSOLVER_EIG_MODE_NOVECTOR }
}

/// A matrix that is not finite has values that are not, or none that the iteration finds.
fn judged(values: &[f64], info: i32) -> Result<(), Failure> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Failure::NotFinite);
    }
    if info == 0 { Ok(()) } else { Err(Failure::NotConverged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_conjugate_values_are_conjugate() {
        let (values, columns) = ([1.0, 0.0, 0.0, 2.0, 0.0, -2.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let expected = [1.0, 0.0, 4.0, 7.0, 4.0, -7.0, 2.0, 0.0, 5.0, 8.0, 5.0, -8.0, 3.0, 0.0, 6.0, 9.0, 6.0, -9.0];
        assert_eq!(of_pairs(&values, &columns, 3), expected);
    }

    #[test]
    fn what_is_not_finite_has_no_result() {
        assert_eq!(judged(&[1.0, 2.0], 0), Ok(()));
        assert_eq!(judged(&[1.0, 2.0], 3), Err(Failure::NotConverged));
        assert_eq!(judged(&[1.0, f64::NAN], 3), Err(Failure::NotFinite));
    }
}

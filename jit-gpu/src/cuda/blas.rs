//! Matrix products by cuBLAS, in the precision of their elements: no TF32, and in an order that depends on sizes alone.
//!
//! cuBLAS knows matrices whose columns lie side by side, so it is asked for the transposed product of the transposed operands,
//! which lie as ours do. Operands that lie in neither way are packed first.
//!
//! A row that is added to each row of the product is cuBLASLt's (`blas_lt`). Where that library is missing or refuses, the row is
//! written to each row of the destination first, and the product added to it: rounded once more, as a sum is.

use super::{
    api::{Cuda, handle},
    blas_lt::BlasLt,
    library::Wanted,
};
use crate::driver::{Driver, Lender, Stream};
use cudarc::cublas::sys::{
    self, cublasComputeType_t as Compute, cublasGemmAlgo_t as Algorithm, cublasHandle_t,
    cublasOperation_t as Operation, cublasStatus_t as Status, cudaDataType_t as Kind,
};
use fusewire_ir::{dtype::DType, value::Storage};
use fusewire_runtime::{
    backend::{ArrayView, Matrix, MatrixProduct},
    error::Error,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, ffi::c_void, ptr, sync::Arc};

/// The library.
const CUBLAS: Wanted = Wanted {
    name: "cublas",
    versions: &[("13", "nvidia-cublas"), ("12", "nvidia-cublas-cu12")],
    purpose: "a matrix product on a GPU",
    present: sys::is_culib_present,
    library: sys::culib,
    newest: "cublasGemmStridedBatchedEx_64",
};

/// What cuBLAS keeps for each stream: calls on one may not disturb those on another.
#[derive(Default)]
pub(super) struct Blas {
    handles: Mutex<BTreeMap<usize, Handle>>,
    lt: BlasLt,
}

struct Handle(cublasHandle_t);
// SAFETY: handles may be used by one thread after another, which the lock sees to.
unsafe impl Send for Handle {}

fn check(doing: &str, status: Status) -> Result<(), Error> {
    match status {
        Status::CUBLAS_STATUS_SUCCESS => Ok(()),
        Status::CUBLAS_STATUS_ALLOC_FAILED => Err(Error::OutOfMemory { bytes: 0 }),
        status => Err(Error::Device(format!("cuBLAS failed while {doing}: {status:?}"))),
    }
}

/// A matrix as cuBLAS takes it, of which ours is the transposed one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Laid {
    pub transposed: bool,
    /// Elements from one of its columns to the next.
    pub step: i64,
}

/// How a matrix of these extents lies; `None` where it has to be packed.
fn laid(matrix: &Matrix, rows: usize, columns: usize) -> Option<Laid> {
    let (row, column) = (matrix.row_stride, matrix.column_stride);
    if (column == 1 || columns == 1) && (row >= columns as isize || rows == 1) {
        let step = if rows == 1 { columns as i64 } else { row as i64 };
        return Some(Laid { transposed: false, step: step.max(1) });
    }
    if (row == 1 || rows == 1) && (column >= rows as isize || columns == 1) {
        let step = if columns == 1 { rows as i64 } else { column as i64 };
        return Some(Laid { transposed: true, step: step.max(1) });
    }
    None
}

/// Products of a batch that are one call: those whose matrices lie in steps of the same bytes.
fn run(batch: &[[Matrix; 3]]) -> (usize, [isize; 3]) {
    let address = |product: &[Matrix; 3], which: usize| product[which].pointer.addr() as isize;
    let Some(second) = batch.get(1) else { return (1, [0; 3]) };
    let steps = [0, 1, 2].map(|which| address(second, which) - address(&batch[0], which));
    let follows = |pair: &[[Matrix; 3]]| {
        [0, 1, 2].iter().all(|&which| address(&pair[1], which) - address(&pair[0], which) == steps[which])
    };
    (1 + batch.windows(2).take_while(|pair| follows(pair)).count(), steps)
}

impl Blas {
    /// Computes a batch of products.
    pub fn product(
        &self,
        device: &Cuda,
        product: &MatrixProduct<'_>,
        row: Option<&ArrayView<'_>>,
        stream: Stream,
        lender: &dyn Lender,
    ) -> Result<(), Error> {
        let &MatrixProduct { dtype, m, n, k, batch, .. } = product;
        let size = dtype.size();
        if m == 0 || n == 0 {
            return Ok(());
        }
        // Writes the row to all rows of so many destinations, which are dense and lie one after another.
        let spread = |row: &ArrayView<'_>, to: *mut u8, count: usize| {
            let view = ArrayView { shape: &[count * m, n], strides: &[0, row.strides[0]], ..*row };
            lender.pack(&view, to)
        };
        if k == 0 {
            return match (row, batch.first()) {
                (Some(row), Some(first)) => spread(row, first[2].pointer, batch.len()),
                // SAFETY: the destinations are dense.
                _ => batch
                    .iter()
                    .try_for_each(|[_, _, to]| unsafe { device.clear(to.pointer.addr() as u64, m * n * size, stream) }),
            };
        }
        let mut rest = batch;
        while let Some(first) = rest.first() {
            let (count, steps) = run(rest);
            let (left, right) =
                (Packed::of(lender, first[0], dtype, m, k)?, Packed::of(lender, first[1], dtype, k, n)?);
            let even = steps.iter().all(|step| *step >= 0 && step % size as isize == 0);
            let count = if left.memory.is_some() || right.memory.is_some() || !even { 1 } else { count };
            let steps = if count == 1 { [0; 3] } else { steps.map(|step| (step / size as isize) as i64) };
            let call = Call { dtype, extents: [m, n, k], left, right, to: first[2].pointer, steps, count };
            let added = match row {
                // SAFETY: the plan gives matrices and rows that lie inside their arrays, and packed ones are dense.
                Some(row) => unsafe { self.lt.product(device, &call, row, stream, lender)? },
                None => false,
            };
            if !added {
                row.map_or(Ok(()), |row| spread(row, call.to, count))?;
                let handle = self.handle(stream)?;
                // SAFETY: as above.
                unsafe { multiply(handle, &call, row.is_some())? };
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    fn handle(&self, stream: Stream) -> Result<cublasHandle_t, Error> {
        let mut handles = self.handles.lock();
        if let Some(Handle(known)) = handles.get(&stream.0) {
            return Ok(*known);
        }
        CUBLAS.load()?;
        let mut new = ptr::null_mut();
        // SAFETY: the library is loaded, and the device's context is the current one.
        unsafe {
            check("beginning", sys::cublasCreate_v2(&raw mut new))?;
            check("taking a stream", sys::cublasSetStream_v2(new, handle(stream).cast()))?;
        }
        handles.insert(stream.0, Handle(new));
        Ok(new)
    }
}

/// Products that are one call.
pub(super) struct Call {
    pub dtype: DType,
    /// m, n, k.
    pub extents: [usize; 3],
    pub left: Packed,
    pub right: Packed,
    pub to: *mut u8,
    /// Elements from left, right and destination of one product to those of the next.
    pub steps: [i64; 3],
    pub count: usize,
}

/// An operand, in memory of its own where it had to be packed.
pub(super) struct Packed {
    pub pointer: *const c_void,
    pub laid: Laid,
    /// Kept until the call is asked for: who gets it next comes later on the stream.
    memory: Option<Arc<dyn Storage>>,
}

impl Packed {
    fn of(lender: &dyn Lender, matrix: Matrix, dtype: DType, rows: usize, columns: usize) -> Result<Packed, Error> {
        if let Some(laid) = laid(&matrix, rows, columns) {
            return Ok(Packed { pointer: matrix.pointer.cast(), laid, memory: None });
        }
        let memory = lender.memory(rows * columns * dtype.size())?;
        let (shape, strides) = ([rows, columns], [matrix.row_stride, matrix.column_stride]);
        let view = ArrayView { dtype, pointer: matrix.pointer, shape: &shape, strides: &strides };
        lender.pack(&view, memory.pointer())?;
        let laid = Laid { transposed: false, step: columns as i64 };
        Ok(Packed { pointer: memory.pointer().cast(), laid, memory: Some(memory) })
    }
}

/// Writes the products, or adds them to what is in their place.
///
/// # Safety
/// The matrices lie in allocated memory, so often as `count` says, with these steps in elements.
unsafe fn multiply(handle: cublasHandle_t, call: &Call, adds: bool) -> Result<(), Error> {
    let &Call { dtype, extents: [m, n, k], ref left, ref right, to, steps, count } = call;
    let operation = |laid: Laid| if laid.transposed { Operation::CUBLAS_OP_T } else { Operation::CUBLAS_OP_N };
    let (kind, compute) = match dtype {
        DType::F32 => (Kind::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F),
        DType::F64 => (Kind::CUDA_R_64F, Compute::CUBLAS_COMPUTE_64F),
        other => return Err(Error::Internal(format!("a matrix product of {other:?}"))),
    };
    let (alpha, beta) = (Factor::of(dtype, true), Factor::of(dtype, adds));
    let extent = |extent: usize| extent as i64;
    // SAFETY: the caller vouches for the matrices; factors are read by the call, from the host.
    let status = unsafe {
        sys::cublasGemmStridedBatchedEx_64(
            handle,
            operation(right.laid),
            operation(left.laid),
            extent(n),
            extent(m),
            extent(k),
            alpha.pointer(),
            right.pointer,
            kind,
            right.laid.step,
            steps[1],
            left.pointer,
            kind,
            left.laid.step,
            steps[0],
            beta.pointer(),
            to.cast(),
            kind,
            extent(n),
            steps[2],
            extent(count),
            compute,
            Algorithm::CUBLAS_GEMM_DEFAULT,
        )
    };
    check("multiplying matrices", status)
}

/// 1 or 0, which libraries read in the precision of the product.
pub(super) enum Factor {
    Single(f32),
    Double(f64),
}

impl Factor {
    pub fn of(dtype: DType, one: bool) -> Factor {
        let factor = if one { 1.0 } else { 0.0 };
        if dtype == DType::F32 { Factor::Single(factor as f32) } else { Factor::Double(factor) }
    }

    pub fn pointer(&self) -> *const c_void {
        match self {
            Factor::Single(factor) => ptr::from_ref(factor).cast(),
            Factor::Double(factor) => ptr::from_ref(factor).cast(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(address: usize, row_stride: isize, column_stride: isize) -> Matrix {
        Matrix { pointer: ptr::without_provenance_mut(address), row_stride, column_stride }
    }

    #[test]
    fn matrices_are_taken_as_they_lie_where_that_is_possible() {
        let plain = |step| Some(Laid { transposed: false, step });
        let transposed = |step| Some(Laid { transposed: true, step });
        for (strides, extents, expected) in [
            ((5, 1), (3, 5), plain(5)),
            ((9, 1), (3, 5), plain(9)),
            ((1, 3), (3, 5), transposed(3)),
            ((1, 7), (3, 5), transposed(7)),
            // A row, a column, a number.
            ((0, 1), (1, 5), plain(5)),
            ((0, 4), (1, 5), transposed(4)),
            ((6, 0), (3, 1), plain(6)),
            ((1, 0), (3, 1), plain(1)),
            ((-7, 0), (1, 1), plain(1)),
            // Steps in both directions, backwards, and rows that are all the same one.
            ((10, 2), (3, 5), None),
            ((-5, 1), (3, 5), None),
            ((0, 1), (3, 5), None),
        ] {
            let (rows, columns) = extents;
            assert_eq!(laid(&matrix(64, strides.0, strides.1), rows, columns), expected, "{strides:?} {extents:?}");
        }
    }

    #[test]
    fn products_in_even_steps_are_one_call() {
        let product = |a: usize, b: usize, c: usize| [matrix(a, 1, 1), matrix(b, 1, 1), matrix(c, 1, 1)];
        let batch = [product(0, 900, 100), product(8, 900, 200), product(16, 900, 300), product(99, 900, 400)];
        assert_eq!(run(&batch), (3, [8, 0, 100]));
        assert_eq!(run(&batch[2..]).0, 2);
        assert_eq!(run(&batch[3..]), (1, [0; 3]));
    }
}

//! Matrix products through the `gemm` crate.

use crate::threads::Threads;
use fusewire_ir::dtype::DType;
use fusewire_runtime::{
    backend::{Matrix, MatrixProduct},
    error::Error,
};
use gemm::Parallelism;
use rayon::prelude::*;

/// Multiplications that a block may take before the calling thread asks whether to stop: well under 100 ms on one core.
const BLOCK: usize = 1 << 29;
/// Below this a product runs on the calling thread.
const INLINE: usize = 1 << 18;

/// Computes every product of the batch.
pub(crate) fn matrix_product(threads: &Threads, product: &MatrixProduct<'_>) -> Result<(), Error> {
    let &MatrixProduct { dtype, m, n, k, batch, interrupted } = product;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let one = m.saturating_mul(n).saturating_mul(k.max(1));
    let all = one.saturating_mul(batch.len());
    let run = |[left, right, destination]: [Matrix; 3], m, n, parallelism| match dtype {
        DType::F32 => multiply::<f32>(left, right, destination, [m, n, k], parallelism, 0.0, 1.0),
        _ => multiply::<f64>(left, right, destination, [m, n, k], parallelism, 0.0, 1.0),
    };
    if !dtype.is_float() {
        return Err(Error::Internal(format!("a matrix product of {dtype}")));
    }
    let workers = threads.count();
    if all <= INLINE || workers == 1 {
        return blocks(product, interrupted, |matrices, m, n| run(matrices, m, n, Parallelism::None));
    }
    let pool = threads.pool()?;
    if one <= INLINE {
        // Many small ones: each on one thread.
        let stride = (BLOCK / one).max(1);
        for group in batch.chunks(stride) {
            let group: Vec<Shared> = group.iter().map(|&matrices| Shared(matrices)).collect();
            pool.install(|| group.par_iter().for_each(|shared| run(shared.0, m, n, Parallelism::None)));
            if interrupted() {
                return Err(Error::Interrupted);
            }
        }
        return Ok(());
    }
    blocks(product, interrupted, |matrices, m, n| {
        let shared = Shared(matrices);
        pool.install(|| {
            let shared = &shared;
            run(shared.0, m, n, Parallelism::Rayon(workers));
        });
    })
}

/// Pointers on their way to another thread.
struct Shared([Matrix; 3]);
// SAFETY: the plan keeps the memory alive while the product runs, and products write different destinations.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Each product in blocks of rows and columns, asking in between.
fn blocks(
    product: &MatrixProduct<'_>,
    interrupted: &dyn Fn() -> bool,
    run: impl Fn([Matrix; 3], usize, usize),
) -> Result<(), Error> {
    let &MatrixProduct { dtype, m, n, k, batch, .. } = product;
    let size = dtype.size() as isize;
    let columns = (BLOCK / k.max(1)).clamp(1024, n.max(1024));
    let rows = (BLOCK / k.max(1) / columns.min(n)).clamp(1024, m.max(1024));
    let mut since = 0usize;
    for &[left, right, destination] in batch {
        for column in (0..n).step_by(columns) {
            for row in (0..m).step_by(rows) {
                let (height, width) = (rows.min(m - row), columns.min(n - column));
                let at = |matrix: Matrix, row: usize, column: usize| {
                    let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
                    Matrix { pointer: matrix.pointer.wrapping_offset(offset * size), ..matrix }
                };
                run([at(left, row, 0), at(right, 0, column), at(destination, row, column)], height, width);
                since = since.saturating_add(height.saturating_mul(width).saturating_mul(k.max(1)));
                if since >= BLOCK {
                    since = 0;
                    if interrupted() {
                        return Err(Error::Interrupted);
                    }
                }
            }
        }
    }
    Ok(())
}

fn multiply<T: 'static>(
    left: Matrix,
    right: Matrix,
    destination: Matrix,
    [m, n, k]: [usize; 3],
    parallelism: Parallelism,
    zero: T,
    one: T,
) {
    // SAFETY: the matrices are as large as the caller of the back end says, and the destination overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination.pointer.cast::<T>(),
            destination.column_stride,
            destination.row_stride,
            false,
            left.pointer.cast::<T>().cast_const(),
            left.column_stride,
            left.row_stride,
            right.pointer.cast::<T>().cast_const(),
            right.column_stride,
            right.row_stride,
            zero,
            one,
            false,
            false,
            false,
            parallelism,
        );
    }
}

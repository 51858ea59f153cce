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
/// The least rows and columns of a block, where there are as many: fewer would be packed too often.
const SIDE: usize = 1024;
/// The least depth of a block, likewise; `SIDE * SIDE * DEPTH` is a block.
const DEPTH: usize = 512;
/// The most: few rows and columns are read faster than multiplied.
const LONGEST: usize = 1 << 25;
/// What a call costs at least, in multiplications.
const CALL: usize = 1 << 12;
/// Bytes that each thread keeps for its part of the left operand: a second-level cache.
const CACHE: usize = 2 << 20;
/// No more rows or columns than this are computed in registers at once: what an operand that is put in order is padded to.
const REGISTERS: usize = 64;
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
    let run = |matrices: [Matrix; 3], extents: Extents, parallelism| match dtype {
        DType::F32 => multiply::<f32>(matrices, extents, parallelism, 1.0),
        _ => multiply::<f64>(matrices, extents, parallelism, 1.0),
    };
    if !dtype.is_float() {
        return Err(Error::Internal(format!("a matrix product of {dtype}")));
    }
    let workers = threads.count();
    let pool = if all <= INLINE || workers == 1 { None } else { threads.pool() };
    if all > INLINE {
        let [rows, columns, depth] = block(product);
        let ordered = (rows + columns + 2 * REGISTERS) * depth.min(k).min(DEPTH) * dtype.size();
        let each = CACHE + if one <= INLINE { ordered } else { 0 };
        check_workspace(ordered + each * if pool.is_some() { workers } else { 1 })?;
    }
    let Some(pool) = pool else {
        return blocks(product, interrupted, |matrices, extents| run(matrices, extents, Parallelism::None));
    };
    if one <= INLINE {
        // Many small ones: each on one thread.
        let stride = (BLOCK / one.max(CALL)).max(1);
        let whole = Extents { m, n, k, adds: false };
        for group in batch.chunks(stride) {
            let group: Vec<Shared> = group.iter().map(|&matrices| Shared(matrices)).collect();
            pool.install(|| group.par_iter().for_each(|shared| run(shared.0, whole, Parallelism::None)));
            if interrupted() {
                return Err(Error::Interrupted);
            }
        }
        return Ok(());
    }
    blocks(product, interrupted, |matrices, extents| {
        let shared = Shared(matrices);
        pool.install(|| {
            let shared = &shared;
            run(shared.0, extents, Parallelism::Rayon(workers));
        });
    })
}

/// Fails when so much memory cannot be had. `gemm` ends the process when it gets none for the parts of the operands that it
/// puts in order, and so do other libraries; asked for and given back here, it will be there in a moment, but for what other
/// threads take meanwhile.
pub(crate) fn check_workspace(bytes: usize) -> Result<(), Error> {
    let mut workspace: Vec<u8> = Vec::new();
    workspace.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
    std::hint::black_box(&workspace);
    Ok(())
}

/// What a call computes.
#[derive(Clone, Copy)]
struct Extents {
    m: usize,
    n: usize,
    k: usize,
    /// To what the destination has already, instead of writing it.
    adds: bool,
}

/// Pointers on their way to another thread.
struct Shared([Matrix; 3]);
// SAFETY: the plan keeps the memory alive while the product runs, and products write different destinations.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// The rows, columns and depth of a block. They depend on the sizes only, and so does the order of every sum.
fn block(product: &MatrixProduct<'_>) -> [usize; 3] {
    let &MatrixProduct { m, n, k, .. } = product;
    let rows = SIDE.min(m);
    let columns = (BLOCK / (rows * DEPTH.min(k.max(1)))).clamp(SIDE, n.max(SIDE)).min(n);
    [rows, columns, (BLOCK / (rows * columns)).clamp(DEPTH, LONGEST)]
}

/// Each product in blocks, asking in between.
fn blocks(
    product: &MatrixProduct<'_>,
    interrupted: &dyn Fn() -> bool,
    run: impl Fn([Matrix; 3], Extents),
) -> Result<(), Error> {
    let &MatrixProduct { dtype, m, n, k, batch, .. } = product;
    let size = dtype.size() as isize;
    let [rows, columns, depth] = block(product);
    let at = |matrix: Matrix, row: usize, column: usize| {
        let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
        Matrix { pointer: matrix.pointer.wrapping_offset(offset * size), ..matrix }
    };
    let mut since = 0usize;
    for &[left, right, destination] in batch {
        for column in (0..n).step_by(columns) {
            for row in (0..m).step_by(rows) {
                // Without any depth the destination still gets its zeros.
                for inner in (0..k.max(1)).step_by(depth) {
                    let (m, n, k) = (rows.min(m - row), columns.min(n - column), depth.min(k - inner.min(k)));
                    let matrices = [at(left, row, inner), at(right, inner, column), at(destination, row, column)];
                    run(matrices, Extents { m, n, k, adds: inner > 0 });
                    since = since.saturating_add((m * n).saturating_mul(k).max(CALL));
                    if since >= BLOCK {
                        since = 0;
                        if interrupted() {
                            return Err(Error::Interrupted);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn multiply<T: 'static + Copy>(
    [left, right, destination]: [Matrix; 3],
    Extents { m, n, k, adds }: Extents,
    parallelism: Parallelism,
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
            adds,
            left.pointer.cast::<T>().cast_const(),
            left.column_stride,
            left.row_stride,
            right.pointer.cast::<T>().cast_const(),
            right.column_stride,
            right.row_stride,
            // The destination's factor: read only where it is added to.
            one,
            one,
            false,
            false,
            false,
            parallelism,
        );
    }
}

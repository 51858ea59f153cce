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
const BLOCK: usize = 1 << 28;
/// A block has at least so many rows and columns, where the matrices do: smaller ones spend their time on packing.
const SIDE: usize = 288;
/// The longest sums of a block of that size. Longer ones are added up in the destination.
const LONGEST: usize = BLOCK / (SIDE * SIDE);
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
    let run = |part: Part, parallelism| match dtype {
        DType::F32 => multiply::<f32>(part, parallelism, 0.0, 1.0),
        _ => multiply::<f64>(part, parallelism, 0.0, 1.0),
    };
    if !dtype.is_float() {
        return Err(Error::Internal(format!("a matrix product of {dtype}")));
    }
    let workers = threads.count();
    let pool = if all <= INLINE || workers == 1 { None } else { threads.pool() };
    let Some(pool) = pool else {
        return parts(product, interrupted, |part| run(part, Parallelism::None));
    };
    if one <= INLINE {
        // Many small ones: each on one thread.
        let stride = (BLOCK / one).max(1);
        for group in batch.chunks(stride) {
            let group: Vec<Shared> = group.iter().map(|&matrices| Shared(matrices)).collect();
            let part = |matrices| Part { matrices, extents: [m, n, k], continues: false };
            pool.install(|| group.par_iter().for_each(|shared| run(part(shared.0), Parallelism::None)));
            if interrupted() {
                return Err(Error::Interrupted);
            }
        }
        return Ok(());
    }
    parts(product, interrupted, |Part { matrices, extents, continues }| {
        let shared = Shared(matrices);
        pool.install(|| {
            let shared = &shared;
            run(Part { matrices: shared.0, extents, continues }, Parallelism::Rayon(workers));
        });
    })
}

/// Pointers on their way to another thread.
struct Shared([Matrix; 3]);
// SAFETY: the plan keeps the memory alive while the product runs, and products write different destinations.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Part of a product: which rows, columns and terms of the sums. Only the extents of the product decide on the parts, so that
/// its bits do not depend on anything else.
struct Part {
    matrices: [Matrix; 3],
    extents: [usize; 3],
    /// The destination holds the sums of the terms before.
    continues: bool,
}

/// Each product in parts, asking in between.
fn parts(product: &MatrixProduct<'_>, interrupted: &dyn Fn() -> bool, run: impl Fn(Part)) -> Result<(), Error> {
    let &MatrixProduct { dtype, m, n, k, batch, .. } = product;
    let size = dtype.size() as isize;
    let [rows, columns, terms] = part_extents(m, n, k);
    let mut since = 0usize;
    for &[left, right, destination] in batch {
        for (row, column) in (0..m).step_by(rows).flat_map(|row| (0..n).step_by(columns).map(move |c| (row, c))) {
            let (height, width) = (rows.min(m - row), columns.min(n - column));
            let at = |matrix: Matrix, row: usize, column: usize| {
                let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
                Matrix { pointer: matrix.pointer.wrapping_offset(offset * size), ..matrix }
            };
            // A sum of no terms is written too.
            for term in (0..k.max(1)).step_by(terms) {
                let length = terms.min(k - term);
                let matrices = [at(left, row, term), at(right, term, column), at(destination, row, column)];
                run(Part { matrices, extents: [height, width, length], continues: term > 0 });
                since = since.saturating_add(height.saturating_mul(width).saturating_mul(length.max(1)));
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

/// The rows, columns and terms of a part: near a cube of [`BLOCK`] multiplications, but no smaller than [`SIDE`] allows.
fn part_extents(m: usize, n: usize, k: usize) -> [usize; 3] {
    let terms = k.clamp(1, LONGEST);
    let area = BLOCK / terms;
    let side = (area.isqrt() / 96 * 96).max(SIDE);
    let rows = m.clamp(1, side);
    let columns = n.clamp(1, side.max(area / rows));
    [m.clamp(1, side.max(area / columns)), columns, terms]
}

fn multiply<T: Copy + 'static>(part: Part, parallelism: Parallelism, zero: T, one: T) {
    let Part { matrices: [left, right, destination], extents: [m, n, k], continues } = part;
    // SAFETY: the matrices are as large as the caller of the back end says, and the destination overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination.pointer.cast::<T>(),
            destination.column_stride,
            destination.row_stride,
            continues,
            left.pointer.cast::<T>().cast_const(),
            left.column_stride,
            left.row_stride,
            right.pointer.cast::<T>().cast_const(),
            right.column_stride,
            right.row_stride,
            if continues { one } else { zero },
            one,
            false,
            false,
            false,
            parallelism,
        );
    }
}

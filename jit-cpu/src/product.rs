//! Matrix products through the `gemm` crate, in tiles of the result, each on one thread. Its own threads would meet after each
//! block of operands that is put in order, which for products of few columns takes longer than computing them.
//!
//! Invariant: tiles depend on the sizes only, and so does the order of every sum.

use crate::threads::{Threads, Work};
use fusewire_ir::dtype::DType;
use fusewire_runtime::{
    backend::{Matrix, MatrixProduct},
    error::Error,
};
use gemm::Parallelism;
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Multiplications of a tile, about: 50 us of a core with vectors of 512 bits.
const TILE: usize = 1 << 23;
/// Tiles are not divided further when they have fewer, where there are few tiles.
const LEAST: usize = 1 << 22;
/// As many tiles as there should be, for threads to share.
const TILES: usize = 8;
/// The least rows of a tile, where there are as many: fewer would put the right operand in order too often.
const ROWS: usize = 192;
/// The most rows, and the most columns.
const MOST: [usize; 2] = [1 << 14, 1 << 11];
/// Where there are few tiles they get smaller, down to this many rows or columns.
const FEWEST: usize = 32;
/// Multiplications of a tile that may be computed before somebody looks whether to stop: well under 100 ms on one core. Tiles of
/// the least rows and the most columns are cut at a depth of 2048.
const BLOCK: usize = 3 << 28;
/// The depth of such a part: at least, for each one adds to the destination in memory; at most.
const DEPTH: [usize; 2] = [512, 1 << 25];
/// Bytes that a thread keeps for its part of an operand: a second-level cache.
const CACHE: usize = 2 << 20;
/// No more rows or columns than this are computed in registers at once: what an operand that is put in order is padded to.
const REGISTERS: usize = 64;
/// Multiplications that a vector instruction does.
const LANES: u64 = 16;

/// Computes every product of the batch.
pub(crate) fn matrix_product(threads: &Threads, product: &MatrixProduct<'_>) -> Result<(), Error> {
    let &MatrixProduct { dtype, m, n, k, batch, interrupted } = product;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let [rows, columns] = tile(product);
    let (down, across) = (m.div_ceil(rows), n.div_ceil(columns));
    let each = ((m + n) * k.max(1) + m * n) as u64 * dtype.size() as u64;
    let items = (batch.len() * down * across) as u64;
    let item = multiplications(product) / LANES / items.max(1);
    let work = Work { items, bytes: each.saturating_mul(batch.len() as u64), item: item.max(1) };
    let shared = Shared(product);
    let run = |_: usize, begin: u64, end: u64, stop: &AtomicBool| {
        let shared = &shared;
        for number in begin as usize..end as usize {
            let (row, column) = (number / across % down * rows, number % across * columns);
            let (rows, columns) = (row..(row + rows).min(m), column..(column + columns).min(n));
            part(shared.0, shared.0.batch[number / across / down], rows, columns, stop);
            if stop.load(Relaxed) {
                return;
            }
        }
    };
    let workers = threads.workers(&work);
    check(product, [rows, columns], workers)?;
    threads.run(&work, workers, &run, interrupted)
}

/// Rows of the results, counted through the batch. `bases` is added to the addresses of the left operand, the right one and the
/// destination.
pub(crate) fn rows(product: &MatrixProduct<'_>, bases: [*mut u8; 3], rows: Range<usize>, stop: &AtomicBool) {
    let m = product.m;
    let mut row = rows.start;
    while row < rows.end && !stop.load(Relaxed) {
        let (matrix, first) = (row / m, row % m);
        let end = m.min(first + rows.end - row);
        let mut matrices = product.batch[matrix];
        for (matrix, base) in matrices.iter_mut().zip(bases) {
            matrix.pointer = matrix.pointer.wrapping_add(base as usize);
        }
        for column in (0..product.n).step_by(MOST[1]) {
            let columns = column..(column + MOST[1]).min(product.n);
            part(product, matrices, first..end, columns, stop);
        }
        row += end - first;
    }
}

/// How many multiplications all of it takes.
pub(crate) fn multiplications(product: &MatrixProduct<'_>) -> u64 {
    let &MatrixProduct { m, n, k, batch, .. } = product;
    [n, k, batch.len()].iter().fold(m as u64, |all, &extent| all.saturating_mul(extent as u64))
}

/// Fails where [`rows`] would have no memory for so many rows on each of so many threads.
pub(crate) fn check_rows(product: &MatrixProduct<'_>, rows: usize, workers: usize) -> Result<(), Error> {
    check(product, [rows, product.n.min(MOST[1])], workers)
}

/// Fails when there is no such product, or no memory for tiles of this size.
fn check(product: &MatrixProduct<'_>, [rows, columns]: [usize; 2], workers: usize) -> Result<(), Error> {
    let &MatrixProduct { dtype, k, .. } = product;
    if !dtype.is_float() {
        return Err(Error::Internal(format!("a matrix product of {dtype}")));
    }
    let ordered = (rows + columns + 2 * REGISTERS) * k.min(DEPTH[0]) * dtype.size();
    // Small ones need nothing worth mentioning.
    if ordered < CACHE / 16 { Ok(()) } else { check_workspace((ordered + CACHE).saturating_mul(workers)) }
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

/// A product on its way to another thread.
struct Shared<'a>(&'a MatrixProduct<'a>);
// SAFETY: the plan keeps the memory alive while the product runs, tiles write different elements, and nobody but the calling thread
// asks `interrupted`.
unsafe impl Sync for Shared<'_> {}

/// The rows and columns of a tile.
fn tile(product: &MatrixProduct<'_>) -> [usize; 2] {
    let &MatrixProduct { m, n, k, batch, .. } = product;
    let k = k.max(1);
    let mut columns = n.min(MOST[1]);
    let mut rows = (TILE / columns.saturating_mul(k)).clamp(ROWS, MOST[0]).min(m);
    let half = |extent: usize| (extent / 2).next_multiple_of(FEWEST);
    while m.div_ceil(rows) * n.div_ceil(columns) * batch.len() < TILES && (rows * columns).saturating_mul(k) > LEAST {
        if rows.max(columns) <= FEWEST {
            break;
        }
        if rows > columns { rows = half(rows) } else { columns = half(columns) }
    }
    [rows, columns]
}

/// Some rows and columns of a product, in parts of its depth between which it looks whether to stop.
fn part(
    product: &MatrixProduct<'_>,
    matrices: [Matrix; 3],
    rows: Range<usize>,
    columns: Range<usize>,
    stop: &AtomicBool,
) {
    let &MatrixProduct { dtype, k, .. } = product;
    let size = dtype.size() as isize;
    let at = |matrix: Matrix, row: usize, column: usize| {
        let offset = row as isize * matrix.row_stride + column as isize * matrix.column_stride;
        Matrix { pointer: matrix.pointer.wrapping_offset(offset * size), ..matrix }
    };
    let [left, right, destination] = matrices;
    let depth = (BLOCK / (rows.len() * columns.len()).max(1)).clamp(DEPTH[0], DEPTH[1]);
    // Without any depth the destination still gets its zeros.
    for inner in (0..k.max(1)).step_by(depth) {
        let matrices =
            [at(left, rows.start, inner), at(right, inner, columns.start), at(destination, rows.start, columns.start)];
        let extents = Extents { m: rows.len(), n: columns.len(), k: depth.min(k - inner.min(k)), adds: inner > 0 };
        let multiply = |extents| match dtype {
            DType::F32 => multiply::<f32>(matrices, extents, 1.0),
            _ => multiply::<f64>(matrices, extents, 1.0),
        };
        if (1..=SHALLOW).contains(&k) {
            multiply(Extents { k: 0, ..extents });
            multiply(Extents { adds: true, ..extents });
        } else {
            multiply(extents);
        }
        if stop.load(Relaxed) {
            return;
        }
    }
}

/// Of so little depth the library writes the products of elements themselves, -0 where all are, instead of a sum that begins
/// with 0; so the destination gets zeros first.
const SHALLOW: usize = 2;

/// What a call computes.
#[derive(Clone, Copy)]
struct Extents {
    m: usize,
    n: usize,
    k: usize,
    /// To what the destination has already, instead of writing it.
    adds: bool,
}

fn multiply<T: 'static + Copy>([left, right, destination]: [Matrix; 3], Extents { m, n, k, adds }: Extents, one: T) {
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
            Parallelism::None,
        );
    }
}

//! Matrix products: every way a matrix can lie in memory, batches, empty ones, any number of threads.

mod support;

use fusewire_ir::dtype::DType;
use fusewire_jit_cpu::CpuBackend;
use fusewire_runtime::{
    backend::{Backend, Matrix, MatrixProduct},
    error::Error,
};
use std::cell::Cell;
use support::Random;

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Rows,
    Columns,
    Flipped,
    Spread,
    OneRow,
    OneColumn,
}

const LAYOUTS: [Layout; 6] =
    [Layout::Rows, Layout::Columns, Layout::Flipped, Layout::Spread, Layout::OneRow, Layout::OneColumn];

struct Stored {
    memory: Vec<f64>,
    matrix: Matrix,
    first: isize,
}

impl Stored {
    fn new(rows: usize, columns: usize, layout: Layout, random: &mut Random) -> Stored {
        let size = (2 * rows + 1) * (3 * columns + 1);
        let mut memory: Vec<f64> = (0..size).map(|_| (random.next() % 17) as f64 - 8.0).collect();
        let (r, c) = (rows as isize, columns as isize);
        let (first, row_stride, column_stride) = match layout {
            Layout::Rows => (0, c, 1),
            Layout::Columns => (0, 1, r),
            Layout::Flipped => ((r * c - 1).max(0), -c, -1),
            Layout::Spread => (1, 3 * c, 2),
            Layout::OneRow => (0, 0, 1),
            Layout::OneColumn => (0, 1, 0),
        };
        let pointer = memory.as_mut_ptr().wrapping_offset(first).cast();
        Stored { memory, matrix: Matrix { pointer, row_stride, column_stride }, first }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        let Matrix { row_stride, column_stride, .. } = self.matrix;
        self.memory[(self.first + row as isize * row_stride + column as isize * column_stride) as usize]
    }
}

fn run(backend: &CpuBackend, [m, n, k]: [usize; 3], batch: &[[Matrix; 3]]) -> Result<(), Error> {
    backend.matrix_product(&MatrixProduct { dtype: DType::F64, m, n, k, batch, interrupted: &|| false })
}

#[test]
fn products_of_integers_are_exact_however_the_operands_lie() {
    let mut random = Random(1);
    for threads in [1, 3] {
        let backend = CpuBackend::new(Some(threads));
        for shape in [[1, 1, 1], [3, 5, 7], [16, 1, 33], [1, 40, 20], [70, 65, 90], [5, 4, 0], [0, 3, 2]] {
            let [m, n, k] = shape;
            for left in LAYOUTS {
                for right in LAYOUTS {
                    let stored: Vec<[Stored; 3]> = (0..3)
                        .map(|_| {
                            [
                                Stored::new(m, k, left, &mut random),
                                Stored::new(k, n, right, &mut random),
                                Stored::new(m, n, Layout::Rows, &mut random),
                            ]
                        })
                        .collect();
                    let batch: Vec<[Matrix; 3]> =
                        stored.iter().map(|s| [s[0].matrix, s[1].matrix, s[2].matrix]).collect();
                    run(&backend, shape, &batch).expect("the product ends");
                    for [a, b, c] in &stored {
                        for row in 0..m {
                            for column in 0..n {
                                let expected: f64 = (0..k).map(|i| a.at(row, i) * b.at(i, column)).sum();
                                assert_eq!(
                                    c.at(row, column),
                                    expected,
                                    "{shape:?} {left:?} {right:?} [{row}, {column}]"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn float32_products_have_the_same_bits_on_any_number_of_threads() {
    let mut random = Random(2);
    let (m, n, k) = (257, 190, 301);
    let mut float = || (random.next() as i64 as f64 * 2f64.powi(-63)) as f32;
    let mut a: Vec<f32> = (0..m * k).map(|_| float()).collect();
    let mut b: Vec<f32> = (0..k * n).map(|_| float()).collect();
    let mut results = Vec::new();
    for threads in [1, 2, 5] {
        let mut c = vec![f32::NAN; m * n];
        let matrix =
            |pointer: *mut f32, columns| Matrix { pointer: pointer.cast(), row_stride: columns, column_stride: 1 };
        let batch = [[
            matrix(a.as_mut_ptr(), k as isize),
            matrix(b.as_mut_ptr(), n as isize),
            matrix(c.as_mut_ptr(), n as isize),
        ]];
        let product = MatrixProduct { dtype: DType::F32, m, n, k, batch: &batch, interrupted: &|| false };
        CpuBackend::new(Some(threads)).matrix_product(&product).expect("the product ends");
        for row in [0, 100, 256] {
            let expected: f64 = (0..k).map(|i| f64::from(a[row * k + i]) * f64::from(b[i * n + 7])).sum();
            assert!((f64::from(c[row * n + 7]) - expected).abs() < 1e-4);
        }
        results.push(c.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_large_product_asks_whether_to_stop() {
    let (m, n, k) = (6000, 2200, 1500);
    let (mut a, mut b, mut c) = (vec![1f64; m * k], vec![1f64; k * n], vec![0f64; m * n]);
    let matrix =
        |v: &mut Vec<f64>, columns| Matrix { pointer: v.as_mut_ptr().cast(), row_stride: columns, column_stride: 1 };
    let batch = [[matrix(&mut a, k as isize), matrix(&mut b, n as isize), matrix(&mut c, n as isize)]];
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() == 2
    };
    let product = MatrixProduct { dtype: DType::F64, m, n, k, batch: &batch, interrupted: &interrupted };
    assert_eq!(CpuBackend::new(Some(2)).matrix_product(&product), Err(Error::Interrupted));
    assert_eq!(c[0], 1500.0);
    assert_eq!(c[m * n - 1], 0.0);
}

#[test]
fn products_of_several_blocks_in_every_direction_are_exact() {
    let mut random = Random(3);
    let (m, n, k) = (1030, 1027, 1100);
    let mut integers = |count| -> Vec<f64> { (0..count).map(|_| (random.next() % 17) as f64 - 8.0).collect() };
    let (mut a, mut b, mut c) = (integers(m * k), integers(k * n), vec![f64::NAN; m * n]);
    let matrix =
        |v: &mut Vec<f64>, columns| Matrix { pointer: v.as_mut_ptr().cast(), row_stride: columns, column_stride: 1 };
    let batch = [[matrix(&mut a, k as isize), matrix(&mut b, n as isize), matrix(&mut c, n as isize)]];
    run(&CpuBackend::new(Some(2)), [m, n, k], &batch).expect("the product ends");
    for row in (0..m).step_by(103).chain([1023, 1024, m - 1]) {
        for column in (0..n).step_by(79).chain([1023, 1024, n - 1]) {
            let expected: f64 = (0..k).map(|i| a[row * k + i] * b[i * n + column]).sum();
            assert_eq!(c[row * n + column], expected, "[{row}, {column}]");
        }
    }
}

#[test]
fn sums_of_negative_zeros_are_zero_at_every_depth() {
    let backend = CpuBackend::new(Some(1));
    for side in [1, 3, 8, 20] {
        for k in 1..=20 {
            let (mut left, mut right, mut to) =
                (vec![-0.0f64; side * k], vec![1.0f64; side * k], vec![7.0f64; side * side]);
            let matrix = |memory: &mut Vec<f64>, columns: usize| Matrix {
                pointer: memory.as_mut_ptr().cast(),
                row_stride: columns as isize,
                column_stride: 1,
            };
            let matrices = [matrix(&mut left, k), matrix(&mut right, side), matrix(&mut to, side)];
            run(&backend, [side, side, k], &[matrices]).unwrap();
            assert!(to.iter().all(|x| x.to_bits() == 0), "{side} x {k}: {to:?}");
        }
    }
}

//! Rows of every length around a vector's and a group's end, folded side by side, in groups and one by one, and searches for the
//! first of equal elements, blocks turned in squares: compiled code has the interpreter's bits.

mod support;

use fusewire_ir::{dtype::DType, scalar::Scalar};
use fusewire_lowering::{interp::TypedBuffer, text};
use support::{Random, agree};

/// Few different values, so that extrema stand in several places.
fn values(dtype: DType, n: usize, nan_at: Option<usize>) -> TypedBuffer {
    let mut random = Random(n as u64 + 5);
    let scalars = (0..n).map(|i| match dtype {
        DType::F32 | DType::F64 if nan_at == Some(i) => Scalar::from_f64(dtype, f64::NAN),
        DType::F32 | DType::F64 => Scalar::from_f64(dtype, (random.next() % 97) as f64 * 0.37 - 11.0),
        _ => Scalar::from_i64(dtype, (random.next() % 11) as i64),
    });
    TypedBuffer::new(dtype, scalars.collect::<Vec<_>>())
}

fn agrees(kernel: &str, dtype: DType, sizes: &[(i64, i64)]) {
    let kernel = text::parse(&kernel.replace("T", &dtype.to_string())).expect("a kernel's text");
    for &(m, n) in sizes {
        let count = (m * n) as usize;
        for nan_at in [None, count.checked_sub(3)] {
            agree(&kernel, &[values(dtype, count, nan_at)], &[m, n], &[]);
        }
    }
}

#[test]
fn searches_find_the_first_place() {
    let kernel = "kernel @argmax(b0: in T, b1: out i64[i0]) {
      i0 = sym m
      i1 = sym n
      phase (v0: i0) {
        %0 = const 9223372036854775807 : i64
        loop v1 in i1 vector 8 {
          %1 = load b0[v0*i1 + v1] : T
        } reduce %2 = maximum %1 : T
        loop v2 in i1 vector 8 {
          %3 = load b0[v0*i1 + v2] : T
          %4 = equal %3, %2 : bool
          %5 = not_equal %3, %3 : bool
          %6 = bitwise_or %4, %5 : bool
          %7 = index [v0*2 + v2*3 + i1] : i64
          %8 = where %6, %7, %0 : i64
        } reduce %9 = minimum %8 : i64
        store b1[v0] = %9
      }
    }";
    for dtype in [DType::F32, DType::F64, DType::I8, DType::U16, DType::I64] {
        agrees(kernel, dtype, &[(1, 0), (1, 1), (3, 15), (2, 16), (2, 63), (17, 64), (16, 65), (5, 300), (2, 1000)]);
    }
}

#[test]
fn searches_that_find_nothing_say_so() {
    let kernel = "kernel @nowhere(b0: in T, b1: out i64[i2]) {
      i0 = sym m
      i1 = sym n
      i2 = const 1
      i3 = mul i0, i1
      phase () {
        %0 = const 9223372036854775807 : i64
        %1 = const 100.0 : T
        loop v0 in i3 vector 8 {
          %2 = load b0[v0] : T
          %3 = greater %2, %1 : bool
          %4 = index [v0] : i64
          %5 = where %3, %4, %0 : i64
        } reduce %6 = minimum %5 : i64
        store b1[0] = %6
      }
    }";
    agrees(kernel, DType::F32, &[(1, 5), (1, 64), (1, 200)]);
}

#[test]
fn short_rows_agree_side_by_side() {
    let kernel = "kernel @rows(b0: in T, b1: out T[i0], b2: out T[i0]) {
      i0 = sym m
      i1 = sym n
      i2 = const 32
      i3 = ceildiv i0, i2
      phase (v0: i3) {
        loop v1 in tile(i0, v0, 32) vector 16 {
          loop v2 in i1 {
            %0 = load b0[v1*i1 + v2] : T
            %1 = multiply %0, %0 : T
          } reduce %2 = add %1 : T, %3 = maximum %0 : T
          loop v3 in i1 {
            %4 = load b0[v1*i1 + v3] : T
          } reduce %5 = minimum %4 : T
          %6 = subtract %3, %5 : T
          store b1[v1] = %2
          store b2[v1] = %6
        }
      }
    }";
    for dtype in [DType::F32, DType::F64, DType::I8, DType::I16, DType::U64] {
        let lengths = [0, 1, 4, 7, 8, 17, 32, 33];
        agrees(kernel, dtype, &lengths.map(|n| (75, n)));
        agrees(kernel, dtype, &[(1, 8), (31, 6), (32, 6)]);
    }
}

#[test]
fn rows_agree_in_groups() {
    let kernel = "kernel @groups(b0: in T, b1: out T[i0], b2: out T[i2]) {
      i0 = sym m
      i1 = sym n
      i2 = mul i0, i1
      phase (v0: i0) {
        loop v1 in i1 vector 16 {
          %0 = load b0[v0*i1 + v1] : T
          %1 = multiply %0, %0 : T
        } reduce %2 = add %0 : T, %3 = maximum %1 : T
        %4 = const 3 : T
        %5 = add %3, %4 : T
        %6 = less %2, %5 : bool
        loop v2 in i1 vector 4 {
          %7 = load b0[v0*i1 + v2] : T
          %8 = where %6, %7, %5 : T
          store b2[v0*i1 + v2] = %8
        } reduce %9 = multiply %8 : T
        %10 = subtract %9, %2 : T
        store b1[v0] = %10
      }
    }";
    for dtype in [DType::F32, DType::F64, DType::I8, DType::I32, DType::U64] {
        let constant = if dtype.is_float() { "const 3.0" } else { "const 3" };
        let kernel = kernel.replace("const 3", constant);
        for m in [1, 15, 16, 17, 50] {
            agrees(&kernel, dtype, &[0, 1, 5, 16, 17, 40].map(|n| (m, n)));
        }
        agrees(&kernel, dtype, &[(33, 300), (17, 511), (17, 513)]);
    }
}

#[test]
fn sums_of_rows_agree_several_at_a_time() {
    let one = "kernel @sums(b0: in T, b1: out T[i0], b2: out T[i0]) {
      i0 = sym m
      i1 = sym n
      phase (v0: i0) {
        loop v1 in i1 vector 16 {
          %0 = load b0[v0*i1 + v1] : T
        } reduce %1 = add %0 : T
        store b1[v0] = %1
        store b2[v0] = %1
      }
    }";
    // Each row's second loop needs what came of its first one.
    let two = one.replace(
        "store b2[v0] = %1",
        "loop v2 in i1 vector 16 {
          %2 = load b0[v0*i1 + v2] : T
          %3 = subtract %2, %1 : T
          %4 = multiply %3, %3 : T
        } reduce %5 = add %4 : T, %6 = add %3 : T
        %7 = subtract %5, %6 : T
        store b2[v0] = %7",
    );
    for kernel in [one, &two] {
        for dtype in [DType::F32, DType::F64] {
            for m in [1, 16, 37] {
                agrees(kernel, dtype, &[0, 1, 15, 16, 17, 40, 255, 256, 257, 300].map(|n| (m, n)));
            }
        }
    }
}

#[test]
fn transposed_blocks_agree() {
    let kernel = "kernel @transpose(b0: in T, b1: out T[i2], b2: scratch T[i5]) {
      i0 = sym m
      i1 = sym n
      i2 = mul i0, i1
      i3 = const 64
      i4 = ceildiv i0, i3
      i5 = const 5120
      i6 = ceildiv i1, i3
      phase (v0: i6, v1: i4) {
        loop v2 in tile(i0, v1, 64) {
          loop v3 in tile(i1, v0, 64) vector 8 {
            %0 = load b0[v2*i1 + v3] : T
            store b2[-v0*5120 - v1*64 + v2 + v3*80] = %0
          }
        }
        loop v4 in tile(i1, v0, 64) {
          loop v5 in tile(i0, v1, 64) vector 8 {
            %1 = load b2[-v0*5120 - v1*64 + v4*80 + v5] : T
            store b1[v4*i0 + v5] = %1
          }
        }
      }
    }";
    for dtype in [DType::F32, DType::F64, DType::U8, DType::I32] {
        agrees(kernel, dtype, &[(1, 1), (7, 9), (8, 16), (16, 16), (17, 15), (33, 70), (64, 65), (90, 31), (130, 20)]);
    }
}

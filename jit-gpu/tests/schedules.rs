//! Each way to deal a phase's work gives the interpreter's bits: loops in loops, few columns of many rows, rows of every length,
//! whatever the number of items.

mod support;

use fusewire_ir::dtype::DType;
use fusewire_lowering::{kernel::Kernel, text};
use support::{agree, values};

fn kernel(source: &str) -> Kernel {
    text::parse(source).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Columns of a matrix, each the fold of its rows: few of them have a block each, and its threads the rows.
#[test]
fn few_columns_of_many_rows_agree() {
    for dtype in [DType::F32, DType::F64, DType::I32] {
        let name = dtype.short_name();
        let source = format!(
            "kernel @columns(b0: in {name}, b1: out {name}[i0], b2: out {name}[i0]) {{
              i0 = sym n
              i1 = sym m
              i2 = const 256
              i3 = ceildiv i0, i2
              phase (v0: i3) {{
                loop v1 in tile(i0, v0, 256) vector 8 {{
                  loop v2 in i1 {{
                    %0 = load b0[v1 + v2*i0] : {name}
                  }} reduce %1 = add %0 : {name}, %2 = maximum %0 : {name}
                  store b1[v1] = %1
                  store b2[v1] = %2
                }}
              }}
            }}"
        );
        let kernel = kernel(&source);
        for (columns, rows) in [
            (1, 511),
            (1, 512),
            (3, 2047),
            (3, 2048),
            (2, 4113),
            (5, 600),
            (300, 520),
            (7, 100),
            (0, 600),
            (2, 4200),
            (3, 63),
        ] {
            agree(&kernel, &[values(dtype, columns * rows)], &[columns as i64, rows as i64], &[]);
        }
    }
}

/// A loop in a loop, short rows and long ones: threads go along both.
#[test]
fn loops_in_loops_agree() {
    let kernel = kernel(
        "kernel @rows(b0: in f32, b1: in f32, b2: out f32[i2]) {
          i0 = sym m
          i1 = sym n
          i2 = mul i0, i1
          i3 = const 16
          i4 = ceildiv i0, i3
          i5 = const 2048
          i6 = ceildiv i1, i5
          phase (v0: i4, v1: i6) {
            loop v2 in tile(i0, v0, 16) {
              %0 = load b1[v2] : f32
              loop v3 in tile(i1, v1, 2048) vector 8 {
                %1 = load b0[v2*i1 + v3] : f32
                %2 = multiply %0, %1 : f32
                store b2[v2*i1 + v3] = %2
              }
            }
          }
        }",
    );
    for (rows, columns) in
        [(1usize, 1usize), (40, 3), (33, 4), (17, 100), (200, 7), (5, 300), (3, 2100), (2000, 1), (0, 5)]
    {
        let inputs = [values(DType::F32, rows * columns), values(DType::F32, rows)];
        agree(&kernel, &inputs, &[rows as i64, columns as i64], &[]);
    }
}

/// A block is turned in shared memory.
#[test]
fn transpositions_agree() {
    for (dtype, size, row) in [(DType::F32, 64, 68), (DType::F64, 64, 66), (DType::U8, 128, 144)] {
        let name = dtype.short_name();
        let source = format!(
            "kernel @turned(b0: in {name}, b1: out {name}[i2], b2: scratch {name}[i5]) {{
              i0 = sym m
              i1 = sym n
              i2 = mul i0, i1
              i3 = const {size}
              i4 = ceildiv i0, i3
              i5 = const {}
              i6 = ceildiv i1, i3
              phase (v0: i4, v1: i6) {{
                loop v2 in tile(i1, v1, {size}) {{
                  loop v3 in tile(i0, v0, {size}) vector 8 {{
                    %0 = load b0[v2*i0 + v3] : {name}
                    store b2[-v0*{turned} - v1*{size} + v2 + v3*{row}] = %0
                  }}
                }}
                loop v4 in tile(i0, v0, {size}) {{
                  loop v5 in tile(i1, v1, {size}) vector 8 {{
                    %1 = load b2[-v0*{turned} - v1*{size} + v5 + v4*{row}] : {name}
                    store b1[v4*i1 + v5] = %1
                  }}
                }}
              }}
            }}",
            size * row,
            turned = size * row,
        );
        let kernel = kernel(&source);
        for (rows, columns) in [(1usize, 1usize), (64, 64), (130, 70), (3, 200), (129, 1)] {
            agree(&kernel, &[values(dtype, rows * columns)], &[rows as i64, columns as i64], &[]);
        }
    }
}

/// Running sums and products of rows: of few long ones by teams, of many or short ones by threads; beside a sum, and down columns.
#[test]
fn running_folds_agree() {
    for dtype in [DType::F32, DType::F64, DType::I64, DType::U8] {
        let name = dtype.short_name();
        let scan = format!(
            "loop v1 in i1 {{
                %0 = load b0[v0*i1 + v1] : {name}
                %1 = scan add %0 : {name}
                %2 = multiply %0, %1 : {name}
                %3 = scan multiply %0 : {name}
                %4 = add %2, %3 : {name}
                store b1[v0*i1 + v1] = %4
                store b2[v0*i1 + v1] = %1
              }}"
        );
        let before = format!(
            "loop v2 in i1 vector 8 {{
                %5 = load b0[v0*i1 + v2] : {name}
              }} reduce %6 = maximum %5 : {name}"
        );
        for before in ["", &before] {
            let source = format!(
                "kernel @running(b0: in {name}, b1: out {name}[i2], b2: out {name}[i2]) {{
                  i0 = sym m
                  i1 = sym n
                  i2 = mul i0, i1
                  phase (v0: i0) {{
                    {before}
                    {scan}
                  }}
                }}"
            );
            let kernel = kernel(&source);
            for (rows, length) in [(1usize, 1usize), (2, 128), (3, 129), (1, 700), (5, 63), (40, 70), (20, 300), (0, 3)]
            {
                let inputs = [values(dtype, rows * length)];
                agree(&kernel, &inputs, &[rows as i64, length as i64], &[]);
            }
        }
        let source = format!(
            "kernel @down(b0: in {name}, b1: out {name}[i2]) {{
              i0 = sym m
              i1 = sym n
              i2 = mul i0, i1
              i3 = const 256
              i4 = ceildiv i0, i3
              phase (v0: i4) {{
                loop v1 in tile(i0, v0, 256) vector 8 {{
                  loop v2 in i1 {{
                    %0 = load b0[v1 + v2*i0] : {name}
                    %1 = scan add %0 : {name}
                    store b1[v1 + v2*i0] = %1
                  }}
                }}
              }}
            }}"
        );
        let kernel = kernel(&source);
        for (columns, rows) in [(3usize, 5usize), (3, 600), (1, 513)] {
            agree(&kernel, &[values(dtype, rows * columns)], &[columns as i64, rows as i64], &[]);
        }
    }
}

/// Few long rows of integers go in parts: with what is computed beside, in columns, several running folds at once.
#[test]
fn running_folds_along_lanes_agree() {
    for (dtype, lanes) in [(DType::F32, 16), (DType::F64, 8), (DType::F32, 4), (DType::U8, 16), (DType::I64, 8)] {
        let name = dtype.short_name();
        let kernel = kernel(&format!(
            "kernel @parts(b0: in {name}, b1: out {name}[i2], b2: out {name}[i6], b3: out {name}[i6]) {{
              i0 = sym m
              i1 = sym n
              i2 = mul i0, i1
              i4 = const 600
              i5 = ceildiv i1, i4
              i6 = mul i0, i5
              phase (v0: i0, v1: i5) {{
                loop v2 in tile(i1, v1, 600) vector {lanes} {{
                  %0 = load b0[v0*i1 + v2] : {name}
                  %1 = scan add %0 : {name}
                  %2 = add %0, %1 : {name}
                  %3 = scan multiply %2 : {name}
                  %4 = multiply %3, %1 : {name}
                  store b1[v0*i1 + v2] = %4
                }} reduce %5 = last %1 : {name}, %6 = last %3 : {name}
                store b2[v0*i5 + v1] = %5
                store b3[v0*i5 + v1] = %6
              }}
            }}"
        ));
        for (rows, length) in [(1usize, 1usize), (1, 15), (2, 17), (1, 600), (3, 1207), (40, 70), (300, 9), (0, 5)] {
            agree(&kernel, &[values(dtype, rows * length)], &[rows as i64, length as i64], &[]);
        }
    }
}

#[test]
fn what_running_folds_come_to_agrees() {
    for dtype in [DType::F32, DType::I32] {
        let name = dtype.short_name();
        let rows = format!(
            "kernel @totals(b0: in {name}, b1: out {name}[i2], b2: out {name}[i2]) {{
              i0 = sym m
              i1 = sym n
              i2 = mul i0, i1
              phase (v0: i0) {{
                loop v1 in i1 {{
                  %0 = load b0[v0*i1 + v1] : {name}
                  %1 = scan add %0 : {name}
                  store b1[v0*i1 + v1] = %1
                }} reduce %2 = last %1 : {name}
                loop v2 in i1 vector 8 {{
                  %3 = load b0[v0*i1 + v2] : {name}
                  %4 = subtract %2, %3 : {name}
                  store b2[v0*i1 + v2] = %4
                }}
              }}
            }}"
        );
        let columns = format!(
            "kernel @totals(b0: in {name}, b1: out {name}[i0]) {{
              i0 = sym m
              i1 = sym n
              i3 = const 256
              i4 = ceildiv i0, i3
              phase (v0: i4) {{
                loop v1 in tile(i0, v0, 256) vector 8 {{
                  loop v2 in i1 {{
                    %0 = load b0[v1 + v2*i0] : {name}
                    %1 = scan add %0 : {name}
                  }} reduce %2 = last %1 : {name}
                  store b1[v1] = %2
                }}
              }}
            }}"
        );
        for source in [rows, columns] {
            let kernel = kernel(&source);
            for (rows, length) in [(1usize, 1usize), (1, 130), (3, 700), (40, 70)] {
                agree(&kernel, &[values(dtype, rows * length)], &[rows as i64, length as i64], &[]);
            }
        }
    }
}

/// Rows that are folded into a row in memory: each thread has its columns.
#[test]
fn folds_into_memory_agree() {
    for (dtype, op) in
        [(DType::F32, "add"), (DType::F64, "multiply"), (DType::I16, "maximum"), (DType::Bool, "bitwise_or")]
    {
        let name = dtype.short_name();
        let unit = match op {
            "maximum" => "-32768",
            "bitwise_or" => "false",
            "multiply" => "1.0",
            _ => "0.0",
        };
        let source = format!(
            "kernel @rows(b0: in {name}, b1: out {name}[i5]) {{
              i0 = sym m
              i1 = sym n
              i2 = const 16
              i3 = ceildiv i0, i2
              i4 = const 8192
              i5 = mul i1, i3
              i6 = ceildiv i1, i4
              phase (v0: i3, v1: i6) {{
                %0 = const {unit} : {name}
                loop v2 in tile(i1, v1, 8192) vector 8 {{
                  store b1[v0*i1 + v2] = %0
                }}
                loop v3 in tile(i0, v0, 16) {{
                  loop v4 in tile(i1, v1, 8192) vector 8 {{
                    %1 = load b0[v3*i1 + v4] : {name}
                    %2 = load b1[v0*i1 + v4] : {name}
                    %3 = {op} %2, %1 : {name}
                    store b1[v0*i1 + v4] = %3
                  }}
                }}
              }}
            }}"
        );
        let kernel = kernel(&source);
        for (rows, columns) in [(1usize, 1usize), (16, 300), (37, 130), (5, 9000), (0, 4)] {
            agree(&kernel, &[values(dtype, rows * columns)], &[rows as i64, columns as i64], &[]);
        }
    }
}

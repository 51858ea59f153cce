//! Reductions, scans, nested loops, phases, scratch: the order of float sums is part of a kernel's meaning, so compiled code
//! must give the interpreter's bits at every length around a block's or a group of lanes' end.

mod support;

use fusewire_ir::{dtype::DType, ops::ScalarOp as Op, scalar::Scalar};
use fusewire_lowering::{
    builder::KernelBuilder,
    interp::TypedBuffer,
    kernel::{Affine, Coefficient, IntExpr, Kernel, LoopKind, Range, Role},
    text,
};
use support::{Random, agree, symbol};

fn values(dtype: DType, n: usize, seed: u64) -> TypedBuffer {
    let mut random = Random(seed);
    let scalars = (0..n).map(|_| match dtype {
        // Every magnitude, so that another order gives other bits, but no NaN and no overflow that would hide it.
        DType::F32 | DType::F64 => {
            let scale = 2f64.powi((random.next() % 24) as i32 - 12);
            Scalar::from_f64(dtype, random.next() as i64 as f64 * 2f64.powi(-63) * scale)
        }
        _ => random.scalar(dtype),
    });
    TypedBuffer::new(dtype, scalars.collect::<Vec<_>>())
}

/// Values whose products neither vanish nor overflow.
fn factors(dtype: DType, n: usize) -> TypedBuffer {
    let mut random = Random(9);
    let scalars = (0..n).map(|_| match dtype {
        DType::F32 | DType::F64 => Scalar::from_f64(dtype, 1.0 + random.next() as i64 as f64 * 2f64.powi(-66)),
        _ => random.scalar(dtype),
    });
    TypedBuffer::new(dtype, scalars.collect::<Vec<_>>())
}

fn reducible() -> impl Iterator<Item = (Op, DType)> {
    [Op::Add, Op::Multiply, Op::Minimum, Op::Maximum, Op::And, Op::Or, Op::Xor]
        .into_iter()
        .flat_map(|op| DType::IN_KERNELS.into_iter().filter(move |&d| op.unit(d).is_some()).map(move |d| (op, d)))
}

/// `out[0] = fold(b0[0..n])`, and again from the last to the first.
fn whole(op: Op, dtype: DType, kind: LoopKind) -> Kernel {
    let mut k = KernelBuilder::new("whole");
    let (n, last, two) = (symbol(&mut k, 0), symbol(&mut k, 1), k.int_const(2));
    let input = k.buffer(dtype, Role::Input, None);
    let out = k.buffer(dtype, Role::Output, Some(two));
    let one = k.int_const(1);
    k.begin_phase(&[]);
    for backwards in [false, true] {
        let var = k.begin_loop(Range::Full(n), kind);
        let at = if backwards { Affine::default().plus(var, Coefficient::Const(-1)).at(last) } else { Affine::of(var) };
        let value = k.load(input, at);
        let result = k.reduce(op, value);
        k.end_loop();
        let at = if backwards { Affine::default().at(one) } else { Affine::default() };
        k.store(out, at, result);
    }
    k.end_phase();
    k.finish()
}

#[test]
fn folds_of_every_op_and_dtype_agree_with_the_interpreter() {
    let kinds = [
        LoopKind::Serial,
        LoopKind::Vector { lanes: 4 },
        LoopKind::Vector { lanes: 8 },
        LoopKind::Vector { lanes: 16 },
    ];
    for (op, dtype) in reducible() {
        for kind in kinds {
            let kernel = whole(op, dtype, kind);
            for n in [0usize, 1, 3, 16, 17, 45, 600] {
                let input = if op == Op::Multiply { factors(dtype, n) } else { values(dtype, n, n as u64) };
                agree(&kernel, &[input], &[n as i64, n as i64 - 1], &[]);
            }
        }
    }
}

#[test]
fn float_sums_and_products_agree_at_every_end_of_a_block() {
    let kinds = [
        LoopKind::Serial,
        LoopKind::Vector { lanes: 2 },
        LoopKind::Vector { lanes: 8 },
        LoopKind::Vector { lanes: 16 },
        LoopKind::Vector { lanes: 32 },
    ];
    for dtype in [DType::F32, DType::F64] {
        for (op, kind) in [Op::Add, Op::Multiply].into_iter().flat_map(|op| kinds.map(|kind| (op, kind))) {
            let kernel = whole(op, dtype, kind);
            let mut lengths = vec![0, 1, 7, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 20_000];
            lengths.extend([
                255,
                256,
                257,
                511,
                512,
                513,
                527,
                528,
                529,
                1023,
                1024,
                1025,
                1535,
                1536,
                1537,
                2049,
                7 * 512 + 5,
            ]);
            for n in lengths {
                let input = if op == Op::Multiply { factors(dtype, n) } else { values(dtype, n, n as u64) };
                agree(&kernel, &[input], &[n as i64, n as i64 - 1], &[]);
            }
        }
    }
}

#[test]
fn sibling_folds_of_one_loop_agree() {
    for kind in [LoopKind::Serial, LoopKind::Vector { lanes: 8 }] {
        let mut k = KernelBuilder::new("siblings");
        let (n, four) = (symbol(&mut k, 0), k.int_const(4));
        let input = k.buffer(DType::F32, Role::Input, None);
        let out = k.buffer(DType::F64, Role::Output, Some(four));
        k.begin_phase(&[]);
        let var = k.begin_loop(Range::Full(n), kind);
        let x = k.load(input, Affine::of(var));
        let wide = k.cast(DType::F64, x);
        let squared = k.op(Op::Multiply, &[wide, wide]);
        let zero = k.constant(Scalar::f32(0.0));
        let positive = k.op(Op::Greater, &[x, zero]);
        let counted = k.cast(DType::I64, positive);
        let folds = [(Op::Add, wide), (Op::Maximum, squared), (Op::Add, counted), (Op::Or, positive)];
        let results: Vec<_> = folds.iter().map(|&(op, value)| k.reduce(op, value)).collect();
        k.end_loop();
        for (i, &result) in results.iter().enumerate() {
            let at = k.int_const(i as i64);
            let result = k.cast(DType::F64, result);
            k.store(out, Affine::default().at(at), result);
        }
        k.end_phase();
        let kernel = k.finish();
        for n in [0usize, 5, 8, 255, 256, 257, 1300] {
            agree(&kernel, &[values(DType::F32, n, 1)], &[n as i64], &[]);
        }
    }
}

#[test]
fn long_bodies_fold_into_the_same_lanes() {
    for (dtype, ops) in [(DType::F32, 12), (DType::F64, 80), (DType::F32, 80), (DType::I16, 70), (DType::U8, 70)] {
        for lanes in [4u8, 16, 64] {
            let mut k = KernelBuilder::new("long");
            let (n, four) = (symbol(&mut k, 0), k.int_const(4));
            let input = k.buffer(dtype, Role::Input, None);
            let out = k.buffer(dtype, Role::Output, Some(four));
            let flags = k.buffer(DType::Bool, Role::Output, Some(four));
            k.begin_phase(&[]);
            let var = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes });
            let x = k.load(input, Affine::of(var));
            let mut v = x;
            for i in 0..ops {
                let c = k.constant(Scalar::from_i64(dtype, i % 7));
                v = k.op([Op::Add, Op::Subtract, Op::Maximum][i as usize % 3], &[v, if i % 2 == 0 { x } else { c }]);
            }
            let above = k.op(Op::Greater, &[v, x]);
            let folds = [(Op::Add, v), (Op::Minimum, v), (Op::Multiply, x), (Op::Xor, above)];
            let results: Vec<_> = folds.iter().map(|&(op, value)| k.reduce(op, value)).collect();
            k.end_loop();
            for (i, &result) in results.iter().enumerate() {
                let at = k.int_const(i as i64);
                k.store(if i == 3 { flags } else { out }, Affine::default().at(at), result);
            }
            // Nobody reads what is not written, but every element is compared.
            let (three, yes) = (k.int_const(3), k.constant(Scalar::from_i64(dtype, 1)));
            k.store(out, Affine::default().at(three), yes);
            let no = k.constant(Scalar::bool(false));
            for i in 0..3 {
                let at = k.int_const(i);
                k.store(flags, Affine::default().at(at), no);
            }
            k.end_phase();
            let kernel = k.finish();
            for n in [0usize, 3, 64, 100, 512, 513, 2500] {
                agree(&kernel, &[factors(dtype, n)], &[n as i64], &[]);
            }
        }
    }
}

#[test]
fn rows_columns_and_their_elementwise_neighbours_agree() {
    // Softmax without the exponential: three vector loops and a scratch row an item.
    let rows = "kernel @rows(b0: in f32, b1: out f32[i2], b2: scratch f32[i1]; p0: f32) {
  i0 = sym m
  i1 = sym n
  i2 = mul i0, i1
  i3 = stride b0 0
  i4 = stride b0 1
  phase (v0: i0) {
    %0 = param p0 : f32
    loop v1 in i1 vector 8 {
      %1 = load b0[v0*i3 + v1*i4] : f32
      %2 = multiply %1, %0 : f32
      store b2[v1] = %2
    } reduce %3 = maximum %2 : f32
    loop v2 in i1 vector 8 {
      %4 = load b2[v2] : f32
      %5 = subtract %4, %3 : f32
      store b2[v2] = %5
    } reduce %6 = add %5 : f32
    loop v3 in i1 vector 8 {
      %7 = load b2[v3] : f32
      %8 = divide %7, %6 : f32
      store b1[v0*i1 + v3] = %8
    }
  }
}";
    let kernel = text::parse(rows).expect("the text is a kernel");
    for (m, n) in [(1usize, 1usize), (3, 7), (5, 8), (4, 300), (2, 1031)] {
        let dense = values(DType::F32, m * n, 4).strided(0, &[n as i64, 1]);
        agree(&kernel, &[dense], &[m as i64, n as i64], &[Scalar::f32(0.3)]);
        let transposed = values(DType::F32, m * n, 4).strided(0, &[1, m as i64]);
        agree(&kernel, &[transposed], &[m as i64, n as i64], &[Scalar::f32(-1.7)]);
    }
}

#[test]
fn serial_loops_inside_vector_loops_agree() {
    // Sums, maxima and counts down columns: lanes are columns, and every lane folds serially.
    for dtype in [DType::F32, DType::F64, DType::I16, DType::U8, DType::Bool] {
        for lanes in [4u8, 8, 16] {
            let mut k = KernelBuilder::new("columns");
            let (m, n) = (symbol(&mut k, 0), symbol(&mut k, 1));
            let input = k.buffer(dtype, Role::Input, None);
            let (row, column) = (k.stride(input, 0), k.stride(input, 1));
            let folds: Vec<Op> =
                [Op::Add, Op::Maximum, Op::Xor].into_iter().filter(|op| op.unit(dtype).is_some()).collect();
            let outs: Vec<_> = folds.iter().map(|_| k.buffer(dtype, Role::Output, Some(n))).collect();
            let hundred = k.int_const(100);
            let blocks = k.int(IntExpr::CeilDiv(n, hundred));
            let dims = k.begin_phase(&[blocks]);
            let range = Range::Tile { extent: n, tile: dims[0], size: 100 };
            let j = k.begin_loop(range, LoopKind::Vector { lanes });
            let i = k.begin_loop(Range::Full(m), LoopKind::Serial);
            let x = k.load(input, Affine::default().plus(i, Coefficient::Int(row)).plus(j, Coefficient::Int(column)));
            let results: Vec<_> = folds.iter().map(|&op| k.reduce(op, x)).collect();
            k.end_loop();
            for (&out, &result) in outs.iter().zip(&results) {
                k.store(out, Affine::of(j), result);
            }
            k.end_loop();
            k.end_phase();
            let kernel = k.finish();
            for (m, n) in [(0usize, 3usize), (1, 1), (33, 5), (70, 17), (100, 250), (1, 100)] {
                let dense = values(dtype, m * n, 6).strided(0, &[n as i64, 1]);
                agree(&kernel, &[dense], &[m as i64, n as i64], &[]);
            }
        }
    }
}

#[test]
fn scans_agree_in_serial_loops_and_in_lanes() {
    for (dtype, op) in
        [(DType::F32, Op::Add), (DType::F64, Op::Multiply), (DType::I32, Op::Add), (DType::U8, Op::Multiply)]
    {
        // Along rows, an item a row; and down columns, a lane a column.
        for down in [false, true] {
            let mut k = KernelBuilder::new("scan");
            let (m, n) = (symbol(&mut k, 0), symbol(&mut k, 1));
            let total = k.int(IntExpr::Mul(m, n));
            let input = k.buffer(dtype, Role::Input, None);
            let out = k.buffer(dtype, Role::Output, Some(total));
            let (i, j);
            if down {
                k.begin_phase(&[]);
                j = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 8 });
                i = k.begin_loop(Range::Full(m), LoopKind::Serial);
            } else {
                i = k.begin_phase(&[m])[0];
                j = k.begin_loop(Range::Full(n), LoopKind::Serial);
            }
            let at = Affine::default().plus(i, Coefficient::Int(n)).plus(j, Coefficient::Const(1));
            let x = k.load(input, at.clone());
            let doubled = k.op(Op::Add, &[x, x]);
            let running = k.scan(op, x);
            let sum = k.op(Op::Subtract, &[running, doubled]);
            k.store(out, at, sum);
            k.end_loop();
            if down {
                k.end_loop();
            }
            k.end_phase();
            let kernel = k.finish();
            for (m, n) in [(1usize, 1usize), (3, 40), (70, 13)] {
                agree(&kernel, &[factors(dtype, m * n)], &[m as i64, n as i64], &[]);
            }
        }
    }
}

#[test]
fn a_scan_can_run_over_a_scan() {
    let kernel = "kernel @twice(b0: in u64, b1: out u64[i0], b2: out u64[i0]) {
  i0 = sym m
  phase () {
    loop v0 in i0 {
      %0 = load b0[v0] : u64
      %1 = scan add %0 : u64
      %2 = scan add %1 : u64
      store b1[v0] = %1
      store b2[v0] = %2
    }
  }
}";
    let kernel = text::parse(kernel).unwrap();
    for n in [1, 2, 50] {
        agree(&kernel, &[values(DType::U64, n, 5)], &[n as i64], &[]);
    }
}

#[test]
fn scans_along_lanes_agree() {
    let text = "kernel @along(b0: in f32, b1: out f32[i0], b2: out f32[i1], b3: out f32[i1]) {
  i0 = sym m
  i1 = const 1
  phase () {
    loop v0 in i0 vector 16 {
      %0 = load b0[v0] : f32
      %1 = scan add %0 : f32
      %2 = scan add %1 : f32
      %3 = add %0, %0 : f32
      %4 = scan multiply %3 : f32
      %5 = add %2, %4 : f32
      store b1[v0] = %5
    } reduce %6 = last %2 : f32, %7 = last %4 : f32
    store b2[0] = %6
    store b3[0] = %7
  }
}";
    for dtype in [DType::F32, DType::F64, DType::I64, DType::I32, DType::I16, DType::U8] {
        for lanes in [4, 8, 16] {
            let text = text.replace("f32", &dtype.to_string()).replace("vector 16", &format!("vector {lanes}"));
            let kernel = text::parse(&text).unwrap();
            for n in [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 47, 100] {
                agree(&kernel, &[factors(dtype, n)], &[n as i64], &[]);
            }
        }
    }
    // A value that is the same for all lanes, and totals of scans in the lanes of a loop around.
    let text = "kernel @around(b0: in f32, b1: out f32[i0], b2: out f32[i1]) {
  i0 = sym m
  i1 = const 24
  i2 = const 10
  phase (v0: i2) {
    %0 = load b0[v0] : f32
    loop v1 in tile(i0, v0, 10) vector 8 {
      %1 = cast %0 : f32
      %2 = scan add %1 : f32
      store b1[v1] = %2
    }
  }
  phase () {
    loop v2 in i1 vector 8 {
      loop v3 in i2 {
        %3 = load b0[v3*i1 + v2] : f32
        %4 = scan multiply %3 : f32
      } reduce %5 = last %4 : f32
      store b2[v2] = %5
    }
  }
}";
    agree(&text::parse(text).unwrap(), &[factors(DType::F32, 240)], &[100], &[]);
}

#[test]
fn phases_read_what_earlier_phases_wrote() {
    let two = "kernel @mean(b0: in f64, b1: out f64[i3], b2: tmp f64[i2]) {
  i0 = sym m
  i1 = const 1000
  i2 = ceildiv i0, i1
  i3 = const 1
  phase (v0: i2) {
    loop v1 in tile(i0, v0, 1000) vector 8 {
      %0 = load b0[v1] : f64
    } reduce %1 = add %0 : f64
    store b2[v0] = %1
  }
  phase () {
    loop v2 in i2 {
      %2 = load b2[v2] : f64
    } reduce %3 = add %2 : f64
    store b1[0] = %3
  }
}";
    let kernel = text::parse(two).expect("the text is a kernel");
    for n in [0usize, 1, 999, 1000, 1001, 12_345] {
        agree(&kernel, &[values(DType::F64, n, 8)], &[n as i64], &[]);
    }
}

#[test]
fn items_of_many_dimensions_are_counted_like_an_odometer() {
    let mut k = KernelBuilder::new("items");
    let extents: Vec<_> = (0..4).map(|i| symbol(&mut k, i)).collect();
    let mut steps = vec![k.int_const(1)];
    for &extent in extents.iter().rev() {
        let step = k.int(IntExpr::Mul(steps[steps.len() - 1], extent));
        steps.push(step);
    }
    let out = k.buffer(DType::I64, Role::Output, steps.last().copied());
    let vars = k.begin_phase(&extents);
    let at = |factors: &dyn Fn(usize) -> Coefficient| {
        vars.iter().enumerate().fold(Affine::default(), |at, (axis, &var)| at.plus(var, factors(axis)))
    };
    let digits = k.index(at(&|axis| Coefficient::Const(10i64.pow(3 - axis as u32))));
    k.store(out, at(&|axis| Coefficient::Int(steps[3 - axis])), digits);
    k.end_phase();
    let kernel = k.finish();
    for extents in [[1, 1, 1, 1], [2, 3, 4, 5], [5, 1, 7, 2], [0, 3, 2, 2], [3, 2, 0, 2]] {
        agree(&kernel, &[], &extents, &[]);
    }
}

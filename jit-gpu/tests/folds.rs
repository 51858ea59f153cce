//! Folds on the emulator: loops that are dealt to the threads of a block keep the order that the kernel IR lays down, at every
//! length around the end of a lane, of a block of steps and of a chunk.

mod support;

use fusewire_ir::{dtype::DType, ops::ScalarOp as Op, shape::SymId};
use fusewire_lowering::{
    builder::KernelBuilder,
    kernel::{Affine, Coefficient, IntExpr, Kernel, LoopKind, Range, Role},
};
use support::{agree, values};

fn reducible() -> impl Iterator<Item = (Op, DType)> {
    [Op::Add, Op::Multiply, Op::Minimum, Op::Maximum, Op::And, Op::Or, Op::Xor]
        .into_iter()
        .flat_map(|op| DType::IN_KERNELS.into_iter().filter(move |&d| op.unit(d).is_some()).map(move |d| (op, d)))
}

/// `out[0] = fold(b0[0..n])`.
fn whole(op: Op, dtype: DType, kind: LoopKind) -> Kernel {
    let mut k = KernelBuilder::new("whole");
    let (n, one) = (k.sym(SymId(0)), k.int_const(1));
    let input = k.buffer(dtype, Role::Input, None);
    let out = k.buffer(dtype, Role::Output, Some(one));
    k.begin_phase(&[]);
    let var = k.begin_loop(Range::Full(n), kind);
    let value = k.load(input, Affine::of(var));
    let result = k.reduce(op, value);
    k.end_loop();
    k.store(out, Affine::default(), result);
    k.end_phase();
    k.finish()
}

#[test]
fn folds_of_every_op_and_dtype_agree_with_the_interpreter() {
    for (op, dtype) in reducible() {
        for kind in [LoopKind::Serial, LoopKind::Vector { lanes: 4 }, LoopKind::Vector { lanes: 16 }] {
            for n in [0usize, 1, 17, 45, 600] {
                agree(&whole(op, dtype, kind), &[values(dtype, n)], &[n as i64], &[]);
            }
        }
    }
}

#[test]
fn float_sums_agree_at_every_end_of_a_block_and_of_a_chunk() {
    for (dtype, lanes) in [(DType::F32, 16u8), (DType::F32, 2), (DType::F64, 8), (DType::F32, 64)] {
        let kernel = whole(Op::Add, dtype, LoopKind::Vector { lanes });
        let (row, chunk) = (usize::from(lanes), 512 * 16);
        let near = |n: usize| [n.saturating_sub(1), n, n + 1, n + row - 1];
        let ends = [row, row * 16, row * 17, row * 32, row * 48, chunk, chunk + row * 16, 2 * chunk, 3 * chunk + 5000];
        for n in ends.into_iter().flat_map(near) {
            agree(&kernel, &[values(dtype, n)], &[n as i64], &[]);
        }
    }
}

/// Rows of a matrix: the sum, the maximum and the elements less the maximum, through scratch.
#[test]
fn siblings_and_what_follows_them_agree() {
    // Few rows have a block each, many a half warp or a warp; rows of 5000 have no room in shared memory.
    for (rows, columns) in
        [(1usize, 1usize), (3, 40), (5, 700), (300, 33), (40, 300), (9, 700), (5, 1100), (33, 16), (2, 5000)]
    {
        let mut k = KernelBuilder::new("rows");
        let (m, n) = (k.sym(SymId(0)), k.sym(SymId(1)));
        let size = k.int(IntExpr::Mul(m, n));
        let input = k.buffer(DType::F32, Role::Input, None);
        let out = k.buffer(DType::F32, Role::Output, Some(size));
        let sums = k.buffer(DType::F32, Role::Output, Some(m));
        let scratch = k.buffer(DType::F32, Role::Scratch, Some(n));
        let vars = k.begin_phase(&[m]);
        let row = vars[0];
        let at = |var| Affine::of(var).plus(row, Coefficient::Int(n));
        let first = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 8 });
        let x = k.load(input, at(first));
        let square = k.op(Op::Multiply, &[x, x]);
        k.store(scratch, Affine::of(first), square);
        let sum = k.reduce(Op::Add, square);
        let most = k.reduce(Op::Maximum, x);
        k.end_loop();
        k.store(sums, Affine::of(row), sum);
        let second = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 16 });
        let y = k.load(scratch, Affine::of(second));
        let difference = k.op(Op::Subtract, &[y, most]);
        k.store(out, at(second), difference);
        k.end_loop();
        k.end_phase();
        let kernel = k.finish();
        agree(&kernel, &[values(DType::F32, rows * columns)], &[rows as i64, columns as i64], &[]);
    }
}

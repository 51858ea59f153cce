//! Every primitive op and every conversion, on every dtype of its domain, serial and in lanes, for every way of walking
//! through memory.

mod support;

use fusewire_ir::{
    dtype::DType,
    ops::{Class, OPS, Outcome, ScalarOp},
    scalar::Scalar,
};
use fusewire_lowering::{
    builder::KernelBuilder,
    interp::TypedBuffer,
    kernel::{Affine, Coefficient, Kernel, LoopKind, Range, Role},
    math::expands,
};
use support::{Random, agree, edges, llvm_every, symbol};

const KINDS: [LoopKind; 5] = [
    LoopKind::Serial,
    LoopKind::Vector { lanes: 2 },
    LoopKind::Vector { lanes: 4 },
    LoopKind::Vector { lanes: 8 },
    LoopKind::Vector { lanes: 16 },
];

/// How an operand walks through memory.
#[derive(Clone, Copy, Debug)]
enum Walk {
    Forward,
    Backward,
    Strided(i64),
    Still,
    Parameter,
}

/// `out[i] = f(operands[i])`, with the operands' dtypes.
fn kernel(
    kind: LoopKind,
    operands: &[(DType, Walk)],
    result: DType,
    backwards: bool,
    f: impl FnOnce(&mut KernelBuilder, &[fusewire_lowering::kernel::ValueId]) -> fusewire_lowering::kernel::ValueId,
) -> Kernel {
    let mut k = KernelBuilder::new("elementwise");
    let n = symbol(&mut k, 0);
    let last = symbol(&mut k, 1);
    let inputs: Vec<_> = operands
        .iter()
        .map(|&(dtype, walk)| match walk {
            Walk::Parameter => Err(k.declare_param(dtype)),
            _ => Ok(k.buffer(dtype, Role::Input, None)),
        })
        .collect();
    let out = k.buffer(result, Role::Output, Some(n));
    let strides: Vec<_> = inputs.iter().map(|i| i.ok().map(|b| k.stride(b, 0))).collect();
    k.begin_phase(&[]);
    let var = k.begin_loop(Range::Full(n), kind);
    let values: Vec<_> = inputs
        .iter()
        .zip(operands)
        .zip(strides)
        .map(|((&input, &(_, walk)), stride)| {
            let buffer = match input {
                Ok(buffer) => buffer,
                Err(param) => return k.param(param),
            };
            let at = match walk {
                Walk::Forward => Affine::of(var),
                Walk::Backward => Affine::default().plus(var, Coefficient::Const(-1)),
                Walk::Strided(_) => Affine::default().plus(var, Coefficient::Int(stride.expect("an input"))),
                Walk::Still | Walk::Parameter => Affine::default(),
            };
            k.load(buffer, at)
        })
        .collect();
    let value = f(&mut k, &values);
    let at = if backwards { Affine::default().plus(var, Coefficient::Const(-1)).at(last) } else { Affine::of(var) };
    k.store(out, at, value);
    k.end_loop();
    k.end_phase();
    k.finish()
}

/// `n` values that walk that way.
fn operand(dtype: DType, walk: Walk, values: &[Scalar]) -> TypedBuffer {
    let n = values.len();
    match walk {
        Walk::Forward | Walk::Parameter => TypedBuffer::new(dtype, values.iter().copied()),
        Walk::Backward => TypedBuffer::new(dtype, values.iter().rev().copied()).strided(n.saturating_sub(1), &[-1]),
        Walk::Strided(stride) => {
            let reach = (n.saturating_sub(1)) * stride.unsigned_abs() as usize + 1;
            let mut spread = vec![Scalar::from_i64(dtype, 1); reach];
            let origin = if stride < 0 { reach - 1 } else { 0 };
            for (i, &value) in values.iter().enumerate() {
                spread[(origin as i64 + i as i64 * stride) as usize] = value;
            }
            TypedBuffer::new(dtype, spread).strided(origin, &[stride])
        }
        Walk::Still => TypedBuffer::new(dtype, values.iter().take(1).copied()).strided(0, &[0]),
    }
}

fn run(kernel: &Kernel, operands: &[(DType, Walk)], values: &[Vec<Scalar>]) {
    let n = values[0].len();
    let mut inputs = Vec::new();
    let mut params = Vec::new();
    for (&(dtype, walk), values) in operands.iter().zip(values) {
        match walk {
            Walk::Parameter => params.push(values[0]),
            _ => inputs.push(operand(dtype, walk, values)),
        }
    }
    agree(kernel, &inputs, &[n as i64, n as i64 - 1], &params);
}

/// Edge values of each operand in all combinations, then random ones; an odd number of them.
fn samples(dtypes: &[DType], seed: u64) -> Vec<Vec<Scalar>> {
    let mut random = Random(seed);
    let edges: Vec<Vec<Scalar>> = dtypes.iter().map(|&d| edges(d)).collect();
    let mut rows: Vec<Vec<Scalar>> = vec![vec![]];
    // Three operands would be too many; the third is random then.
    for column in edges.iter().take(2) {
        rows = rows.iter().flat_map(|row| column.iter().map(|&v| row.iter().copied().chain([v]).collect())).collect();
    }
    if rows.len() > 700 {
        rows = rows.into_iter().enumerate().filter(|(i, _)| i % 3 == seed as usize % 3).map(|(_, row)| row).collect();
    }
    for _ in 0..41 {
        rows.push(dtypes.iter().map(|&d| random.scalar(d)).collect());
    }
    for row in &mut rows {
        while row.len() < dtypes.len() {
            row.push(random.scalar(dtypes[row.len()]));
        }
    }
    if rows.len().is_multiple_of(2) {
        rows.pop();
    }
    (0..dtypes.len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect()
}

fn operand_dtypes(op: ScalarOp, dtype: DType) -> Vec<DType> {
    match op.row().outcome {
        Outcome::Select => vec![DType::Bool, dtype, dtype],
        _ => vec![dtype; op.row().arity],
    }
}

/// The ops that kernels have, with the dtypes they have them on.
fn kernel_ops() -> impl Iterator<Item = (ScalarOp, DType)> {
    OPS.iter().flat_map(|row| {
        let on = move |dtype: &DType| match row.class {
            Class::Primitive | Class::Maths => row.domain.contains(*dtype) && !expands(row.op, *dtype),
            Class::Composite(_) | Class::Parts => false,
        };
        DType::IN_KERNELS.into_iter().filter(on).map(move |dtype| (row.op, dtype))
    })
}

#[test]
fn every_op_on_every_dtype_agrees_with_the_interpreter() {
    for (op, dtype) in kernel_ops() {
        let dtypes = operand_dtypes(op, dtype);
        let result = op.result_dtype(&dtypes).expect("the op has these operands");
        let values = samples(&dtypes, op as u64);
        for kind in KINDS {
            let operands: Vec<_> = dtypes.iter().map(|&d| (d, Walk::Forward)).collect();
            let kernel = kernel(kind, &operands, result, false, |k, values| k.op(op, values));
            run(&kernel, &operands, &values);
        }
    }
}

#[test]
fn ops_take_operands_that_are_the_same_in_every_lane() {
    llvm_every(37);
    for (op, dtype) in kernel_ops() {
        let dtypes = operand_dtypes(op, dtype);
        let result = op.result_dtype(&dtypes).expect("the op has these operands");
        for (seed, walk) in [(0, Walk::Parameter), (1, Walk::Still)] {
            for still in 0..dtypes.len() {
                let mut operands: Vec<_> = dtypes.iter().map(|&d| (d, Walk::Forward)).collect();
                operands[still].1 = walk;
                let kind = LoopKind::Vector { lanes: 8 };
                let kernel = kernel(kind, &operands, result, false, |k, values| k.op(op, values));
                for (i, edge) in edges(dtypes[still]).into_iter().enumerate() {
                    let mut values = samples(&dtypes, seed + i as u64);
                    values.iter_mut().for_each(|v| v.truncate(37));
                    values[still].fill(edge);
                    run(&kernel, &operands, &values);
                }
            }
        }
    }
}

#[test]
fn shifts_by_every_constant_agree_with_the_interpreter() {
    for dtype in DType::IN_KERNELS.into_iter().filter(|d| d.is_integer()) {
        for op in [ScalarOp::ShiftLeft, ScalarOp::ShiftRight] {
            for amount in [0, 1, 3, i64::from(dtype.bits()) - 1, i64::from(dtype.bits()), 100, -1] {
                let operands = [(dtype, Walk::Forward)];
                let kernel = kernel(LoopKind::Vector { lanes: 8 }, &operands, dtype, false, |k, values| {
                    let amount = k.constant(Scalar::from_i64(dtype, amount));
                    k.op(op, &[values[0], amount])
                });
                run(&kernel, &operands, &samples(&[dtype], 5));
            }
        }
    }
}

#[test]
fn every_conversion_agrees_with_the_interpreter() {
    for from in DType::IN_KERNELS {
        for to in DType::IN_KERNELS.into_iter().filter(|&to| to != from) {
            for kind in KINDS {
                let operands = [(from, Walk::Forward)];
                let kernel = kernel(kind, &operands, to, false, |k, values| k.cast(to, values[0]));
                run(&kernel, &operands, &samples(&[from], 11));
            }
        }
    }
}

#[test]
fn every_walk_through_memory_agrees_with_the_interpreter() {
    llvm_every(37);
    let walks = [
        Walk::Forward,
        Walk::Backward,
        Walk::Strided(2),
        Walk::Strided(-3),
        Walk::Strided(0),
        Walk::Strided(1),
        Walk::Still,
    ];
    let mut random = Random(3);
    for dtype in DType::IN_KERNELS {
        for kind in KINDS.into_iter().chain([LoopKind::Vector { lanes: 32 }, LoopKind::Vector { lanes: 64 }]) {
            for walk in walks {
                for backwards in [false, true] {
                    let operands = [(dtype, walk), (dtype, Walk::Forward)];
                    let kernel = kernel(kind, &operands, dtype, backwards, |k, v| k.op(ScalarOp::Maximum, v));
                    for n in [0, 1, 2, 15, 16, 17, 33, 70] {
                        let mut values = || (0..n).map(|_| random.scalar(dtype)).collect::<Vec<_>>();
                        let mut first = values();
                        if matches!(walk, Walk::Still | Walk::Strided(0)) {
                            let value = first.first().copied().unwrap_or(Scalar::from_i64(dtype, 1));
                            first.fill(value);
                        }
                        if n == 0 && !matches!(walk, Walk::Forward) {
                            continue;
                        }
                        run(&kernel, &operands, &[first, values()]);
                    }
                }
            }
        }
    }
}

#[test]
fn masks_of_different_widths_meet() {
    for (narrow, wide) in [(DType::U8, DType::F64), (DType::F32, DType::I64), (DType::I16, DType::F32)] {
        for kind in KINDS {
            let operands =
                [(narrow, Walk::Forward), (narrow, Walk::Forward), (wide, Walk::Forward), (wide, Walk::Forward)];
            let kernel = kernel(kind, &operands, narrow, false, |k, v| {
                let first = k.op(ScalarOp::Less, &[v[0], v[1]]);
                let second = k.op(ScalarOp::GreaterEqual, &[v[2], v[3]]);
                let both = k.op(ScalarOp::Xor, &[first, second]);
                let neither = k.op(ScalarOp::Not, &[both]);
                let counted = k.cast(wide, neither);
                let sum = k.op(ScalarOp::Add, &[counted, v[2]]);
                let chosen = k.op(ScalarOp::Where, &[both, sum, v[3]]);
                let chosen = k.cast(narrow, chosen);
                k.op(ScalarOp::Where, &[second, chosen, v[0]])
            });
            run(&kernel, &operands, &samples(&[narrow, narrow, wide, wide], 2));
        }
    }
}

#[test]
fn indices_are_values() {
    for kind in KINDS {
        for step in [Coefficient::Const(1), Coefficient::Const(-3), Coefficient::Const(0)] {
            let mut k = KernelBuilder::new("indices");
            let (n, offset) = (symbol(&mut k, 0), symbol(&mut k, 1));
            let out = k.buffer(DType::I64, Role::Output, Some(n));
            k.begin_phase(&[]);
            let var = k.begin_loop(Range::Full(n), kind);
            let index = k.index(Affine::default().plus(var, step).at(offset));
            let scaled = k.index(Affine::default().plus(var, Coefficient::Int(offset)));
            let still = k.index(Affine::default().at(offset));
            let sum = k.op(ScalarOp::Add, &[index, scaled]);
            let sum = k.op(ScalarOp::Multiply, &[sum, still]);
            k.store(out, Affine::of(var), sum);
            k.end_loop();
            k.end_phase();
            agree(&k.finish(), &[], &[37, -5], &[]);
        }
    }
}

#[test]
fn huge_arguments_anywhere_among_the_lanes_agree_with_the_interpreter() {
    for dtype in [DType::F32, DType::F64] {
        for kind in KINDS {
            let operands = [(dtype, Walk::Forward), (dtype, Walk::Forward), (dtype, Walk::Parameter)];
            // Two arguments, both ops on one of them, and what the expansions of sine and cosine do with the results.
            let kernel = kernel(kind, &operands, dtype, false, |k, v| {
                let magnitude = k.op(ScalarOp::Abs, &[v[0]]);
                let remainder = k.op(ScalarOp::HugeTrigRemainder, &[magnitude]);
                let quadrant = k.op(ScalarOp::HugeTrigQuadrant, &[magnitude]);
                let other = k.op(ScalarOp::HugeTrigRemainder, &[v[1]]);
                let still = k.op(ScalarOp::HugeTrigRemainder, &[v[2]]);
                let zero = k.constant(Scalar::from_i64(dtype, 0));
                let huge = k.op(ScalarOp::NotEqual, &[remainder, zero]);
                let sum = k.op(ScalarOp::Add, &[quadrant, other]);
                let sum = k.op(ScalarOp::Add, &[sum, still]);
                let chosen = k.op(ScalarOp::Where, &[huge, remainder, magnitude]);
                k.op(ScalarOp::Add, &[chosen, sum])
            });
            for still in [0.25, 1e7] {
                for n in [1, 16, 17, 95] {
                    for huge in [0, 3, 15, 16, 33, n - 1].into_iter().filter(|&at| at < n) {
                        let column = |at: usize, value: f64| -> Vec<Scalar> {
                            (0..n).map(|i| Scalar::from_f64(dtype, if i == at { value } else { i as f64 })).collect()
                        };
                        let columns = [
                            column(huge, 1e9),
                            column((huge * 7 + 3) % n, if huge % 2 == 0 { f64::NEG_INFINITY } else { -3e8 }),
                            column(0, still),
                        ];
                        run(&kernel, &operands, &columns);
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_stored_before_a_huge_argument_is_seen_stays_right() {
    for lanes in [2, 4, 8] {
        let mut k = KernelBuilder::new("in_place");
        let n = symbol(&mut k, 0);
        let source = k.buffer(DType::F64, Role::Input, None);
        let [first, second] = [(); 2].map(|()| k.buffer(DType::F64, Role::Output, Some(n)));
        k.begin_phase(&[]);
        let var = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes });
        let x = k.load(source, Affine::of(var));
        k.store(first, Affine::of(var), x);
        let again = k.load(first, Affine::of(var));
        let double = k.op(ScalarOp::Add, &[again, again]);
        k.store(first, Affine::of(var), double);
        let remainder = k.op(ScalarOp::HugeTrigRemainder, &[double]);
        k.store(second, Affine::of(var), remainder);
        k.end_loop();
        k.end_phase();
        let values: Vec<Scalar> = (0..53).map(|i| Scalar::from_f64(DType::F64, f64::from(i * i * i * i))).collect();
        agree(&k.finish(), &[operand(DType::F64, Walk::Forward, &values)], &[53], &[]);
    }
}

#[test]
fn choices_by_a_comparison_of_what_is_chosen_agree_with_the_interpreter() {
    for dtype in [DType::F32, DType::F64, DType::I32] {
        for kind in [LoopKind::Serial, LoopKind::Vector { lanes: 16 }] {
            for compare in [ScalarOp::Less, ScalarOp::Greater, ScalarOp::LessEqual, ScalarOp::GreaterEqual] {
                for swapped in [false, true] {
                    for limit in [-0.0, 0.0, 2.5, f64::NAN] {
                        let operands = [(dtype, Walk::Forward), (dtype, Walk::Forward)];
                        let kernel = kernel(kind, &operands, dtype, false, |k, v| {
                            let limit = k.constant(Scalar::from_f64(dtype, limit));
                            let mut pairs = [[v[0], v[1]], [v[0], limit], [limit, v[1]]];
                            let chosen = pairs.each_mut().map(|pair| {
                                let condition = k.op(compare, &[pair[0], pair[1]]);
                                if swapped {
                                    pair.swap(0, 1);
                                }
                                k.op(ScalarOp::Where, &[condition, pair[0], pair[1]])
                            });
                            let sum = k.op(ScalarOp::Subtract, &[chosen[0], chosen[1]]);
                            // The sign of zero is seen in the quotient.
                            let seen = if dtype == DType::I32 { ScalarOp::Xor } else { ScalarOp::Divide };
                            let last = k.op(seen, &[chosen[2], chosen[0]]);
                            let last = k.op(seen, &[last, chosen[1]]);
                            k.op(ScalarOp::Maximum, &[sum, last])
                        });
                        run(&kernel, &operands, &samples(&[dtype, dtype], 5));
                    }
                }
            }
        }
    }
}

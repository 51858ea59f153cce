//! Every primitive op and every conversion on the emulator, on every dtype of its domain, a thread an element and dealt to the
//! threads of a block.

mod support;

use fusewire_ir::{
    dtype::{DType, Kind},
    ops::{Class, OPS, Outcome},
    scalar::Scalar,
    shape::SymId,
};
use fusewire_lowering::{
    builder::KernelBuilder,
    interp::TypedBuffer,
    kernel::{Affine, LoopKind, Range, Role, ValueId},
    math::expands,
};
use support::agree;

/// Values at which implementations differ.
fn edges(dtype: DType) -> Vec<Scalar> {
    let width = dtype.bits();
    match dtype.kind() {
        Kind::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        Kind::Float => {
            let tiny = if dtype == DType::F32 { 1e-45 } else { 5e-324 };
            let values =
                [0.0, 1.0, 0.5, 2.5, 3.7, 1e-30, tiny, 7.0 * tiny, 1e10, 1048576.0, 1e22, 3.3e38, 0.3, 255.9, 7.25];
            let special = [f64::INFINITY, f64::NAN, 2f64.powi(31), 2f64.powi(63), 2f64.powi(64), 1e-310, 1e300, 8.9e15];
            values.into_iter().chain(special).flat_map(|x| [x, -x]).map(|x| Scalar::from_f64(dtype, x)).collect()
        }
        _ => {
            let small = [0, 1, 2, 3, 7, -1, -2, -7, 31, 63, 64, 100];
            let limits = [1u64 << (width - 1), (1u64 << (width - 1)) - 1];
            let limits = limits.into_iter().map(|bits| Scalar::from_bits(dtype, bits));
            small.into_iter().map(|x| Scalar::from_i64(dtype, x)).chain(limits).collect()
        }
    }
}

/// All pairs of edges, and a third operand that is one of them.
fn operands(dtypes: &[DType]) -> Vec<TypedBuffer> {
    let all: Vec<Vec<Scalar>> = dtypes.iter().map(|&dtype| edges(dtype)).collect();
    let count = all.iter().take(2).map(Vec::len).product::<usize>().max(all.iter().map(Vec::len).max().unwrap_or(0));
    let pace = |place: usize| if place == 0 { 1 } else { all[0].len() };
    let value = |place: usize, n: usize| all[place][(n / pace(place)) % all[place].len()];
    let buffer = |place: usize| (0..count).map(|n| value(place, n)).collect::<Vec<_>>();
    dtypes.iter().enumerate().map(|(place, &dtype)| TypedBuffer::new(dtype, buffer(place))).collect()
}

/// What makes the value of an element.
type Emit<'a> = &'a dyn Fn(&mut KernelBuilder, &[ValueId]) -> ValueId;

fn run(dtypes: &[DType], emit: Emit<'_>, result: DType) {
    for kind in [LoopKind::Serial, LoopKind::Vector { lanes: 4 }] {
        let mut k = KernelBuilder::new("op");
        let n = k.sym(SymId(0));
        let inputs: Vec<_> = dtypes.iter().map(|&dtype| k.buffer(dtype, Role::Input, None)).collect();
        let out = k.buffer(result, Role::Output, Some(n));
        let item = if kind == LoopKind::Serial { k.begin_phase(&[n]) } else { k.begin_phase(&[]) };
        let var = if kind == LoopKind::Serial { item[0] } else { k.begin_loop(Range::Full(n), kind) };
        let values: Vec<_> = inputs.iter().map(|&input| k.load(input, Affine::of(var))).collect();
        let value = emit(&mut k, &values);
        k.store(out, Affine::of(var), value);
        if kind != LoopKind::Serial {
            k.end_loop();
        }
        k.end_phase();
        let operands = operands(dtypes);
        let count = operands[0].elements.len() as i64;
        agree(&k.finish(), &operands, &[count], &[]);
    }
}

#[test]
fn every_op_on_every_dtype_agrees_with_the_interpreter() {
    let mut checked = 0;
    for row in OPS {
        for dtype in DType::REAL.into_iter().filter(|&dtype| row.domain.contains(dtype)) {
            if matches!(row.class, Class::Composite(_)) || expands(row.op, dtype) {
                continue;
            }
            let place = |place: usize| if row.outcome == Outcome::Select && place == 0 { DType::Bool } else { dtype };
            let dtypes: Vec<DType> = (0..row.arity).map(place).collect();
            let Some(result) = row.op.result_dtype(&dtypes) else { continue };
            run(&dtypes, &|k, values| k.op(row.op, values), result);
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} ops and dtypes");
}

#[test]
fn every_conversion_agrees_with_the_interpreter() {
    for from in DType::REAL {
        for to in DType::REAL.into_iter().filter(|&to| to != from) {
            run(&[from], &|k, values| k.cast(to, values[0]), to);
        }
    }
}

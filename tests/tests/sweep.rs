//! The op sweep: every row of the op table on every dtype of its domain and every class of shape, compiled and run,
//! against the graph interpreter. Edge values meet each other in every pairing, in vector bodies and in loop tails.

use fusewire_ir::{
    build::{self, IndexItem, Key},
    dtype::{DType, Kind},
    lazy::Lazy,
    node::Op,
    ops::{OPS, OpRow, Outcome, ScalarOp},
    scalar::Scalar,
    shape::Shape,
};
use fusewire_runtime::evaluate::evaluate;
use fusewire_tests::{
    engine,
    memory::{Arrangement, array, tensor},
    oracle::{disagreement, expected},
};
use std::sync::Arc;

/// How operands are shaped and arranged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Scalar,
    Empty,
    OddLength,
    Broadcast,
    Strided,
    Reversed,
    Transposed,
}

const CLASSES: [Class; 7] = [
    Class::Scalar,
    Class::Empty,
    Class::OddLength,
    Class::Broadcast,
    Class::Strided,
    Class::Reversed,
    Class::Transposed,
];

fn real_dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.into_iter().filter(|dtype| !dtype.is_complex())
}

/// Values at which implementations differ.
fn edges(dtype: DType, row: &OpRow) -> Vec<Scalar> {
    let integers: &[i64] = &[0, 1, -1, 2, -2, 3, 7, -7, 31, 32, 63, 64, 100, -100, i64::MAX, i64::MIN];
    match dtype.kind() {
        Kind::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        Kind::Float => {
            let (low, high) = row.samples;
            let step = (high - low) / 13.0;
            let grid = (0..14).map(|i| low + f64::from(i) * step);
            let (tiny, huge) = match dtype {
                DType::F16 => (2f64.powi(-24), 65504.0),
                DType::BF16 => (2f64.powi(-133), 2f64.powi(128) - 2f64.powi(120)),
                DType::F32 => (1e-45, f64::from(f32::MAX)),
                _ => (5e-324, f64::MAX),
            };
            let special =
                [0.0, 1.0, 0.5, 1.5, 2.5, 3.0, tiny, 1e-30, 1e10, huge, f64::INFINITY, f64::NAN, 0.3, 0.999_999_9];
            let signed = special.into_iter().flat_map(|x| [x, -x]);
            signed.chain(grid).map(|x| Scalar::from_f64(dtype, x)).collect()
        }
        Kind::Signed | Kind::Unsigned => {
            let width = dtype.bits();
            let limits = [1u64 << (width - 1), (1u64 << (width - 1)) - 1];
            let limits = limits.into_iter().map(|b| Scalar::from_bits(dtype, b));
            integers.iter().map(|&i| Scalar::from_i64(dtype, i)).chain(limits).collect()
        }
        Kind::Complex => unreachable!("ops are swept on real dtypes"),
    }
}

/// Operand number `place` of `arity`: its values run through the edges at a pace of its own, so that all pairs
/// meet within `count` elements.
fn operand(row: &OpRow, dtype: DType, class: Class, place: usize, count: usize) -> Arc<Lazy> {
    let values = edges(dtype, row);
    let pace = if place == 0 { 1 } else { values.len() };
    let value = |i: usize| values[(i / pace) % values.len()];
    let full = count.next_multiple_of(7);
    let (shape, arrangement): (Vec<usize>, Arrangement) = match class {
        Class::Scalar => (vec![], Arrangement::Dense),
        Class::Empty => (vec![3, 0], Arrangement::Dense),
        Class::OddLength => (vec![full + 4], Arrangement::Dense),
        Class::Broadcast if place == 0 => (vec![values.len(), 1], Arrangement::Dense),
        Class::Broadcast if place == 2 => (vec![values.len(), 1, 1], Arrangement::Dense),
        Class::Broadcast => (vec![values.len()], Arrangement::Dense),
        Class::Strided => (vec![full / 7, 7], Arrangement::Strided),
        Class::Reversed => (vec![full / 7, 7], Arrangement::Reversed),
        Class::Transposed if place == 0 => (vec![full / 7, 7], Arrangement::Transposed),
        Class::Transposed => (vec![full / 7, 7], Arrangement::Dense),
    };
    let count: usize = shape.iter().product();
    let elements: Vec<Scalar> = (0..count)
        .map(|i| match class {
            Class::Broadcast => values[i % values.len()],
            Class::Scalar => values[(place * 5 + 3) % values.len()],
            _ => value(i),
        })
        .collect();
    array(dtype, &shape, &elements, arrangement)
}

fn check(row: &OpRow, dtype: DType, class: Class) -> Result<(), String> {
    let operand_dtype = |place: usize| if row.outcome == Outcome::Select && place == 0 { DType::Bool } else { dtype };
    let pairs = edges(dtype, row).len().pow(2);
    let operands: Vec<Arc<Lazy>> = (0..row.arity).map(|i| operand(row, operand_dtype(i), class, i, pairs)).collect();
    let dtypes: Vec<DType> = operands.iter().map(|o| o.dtype).collect();
    let Some(result) = row.op.result_dtype(&dtypes) else { return Ok(()) };
    let shape: Shape = match class {
        // (a, 1), (b,) and (c, 1, 1) make (c, a, b).
        Class::Broadcast if row.arity > 1 => {
            operands.get(2).into_iter().chain(&operands[..2]).map(|o| o.shape[0]).collect()
        }
        _ => operands[0].shape.clone(),
    };
    let root = Lazy::recorded(Op::Map(row.op), operands.into_iter().collect(), result, shape, Some(engine::device()));
    let roots = [root];
    let wanted = expected(&roots)?;
    evaluate(&roots, &|| false).map_err(|e| e.to_string())?;
    // The reference rounds twice for float32 and is itself off by up to one for float64.
    let ulps = if row.ulps == 0 { 0 } else { u64::from(row.ulps) + 1 };
    match disagreement(&tensor(&roots[0]), &wanted[0], ulps) {
        None => Ok(()),
        Some(problem) => Err(format!("{} on {dtype}, {class:?}: {problem}", row.name)),
    }
}

/// Elements of every dtype at computed positions, from memory in every arrangement, for every number of lanes and rests.
#[test]
fn gathers_of_every_dtype_and_arrangement_agree_with_the_interpreter() {
    engine::start();
    let problems: Vec<String> = real_dtypes()
        .flat_map(|dtype| Arrangement::ALL.map(|arrangement| (dtype, arrangement)))
        .filter_map(|(dtype, arrangement)| check_gather(dtype, arrangement).err())
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn check_gather(dtype: DType, arrangement: Arrangement) -> Result<(), String> {
    let elements: Vec<Scalar> = (0..7 * 37).map(|i| Scalar::from_i64(dtype, i % 251 - 100)).collect();
    let table = array(dtype, &[7, 37], &elements, arrangement);
    let known = |_: &Arc<Lazy>, _: usize| None;
    for count in [1usize, 8, 37, 5000] {
        let index = |modulus: i64, pace: i64| {
            let values: Vec<Scalar> =
                (0..count as i64).map(|i| Scalar::i64(i * pace % (2 * modulus) - modulus)).collect();
            array(DType::I64, &[count], &values, Arrangement::Strided)
        };
        let (rows, columns) = (index(7, 5), index(37, 11));
        let key = |array: &Arc<Lazy>| Key::Positions { array: array.clone(), mask: None };
        let whole = Key::Item(IndexItem::Slice { start: None, stop: None, step: None });
        let roots = [
            build::index_arrays(&table, &[key(&rows)], &known),
            build::index_arrays(&table, &[whole, key(&columns)], &known),
            build::index_arrays(&table, &[key(&rows), key(&columns)], &known),
            build::take(&table, &columns, None, &known),
        ];
        for root in roots {
            let roots = [root.map_err(|e| e.to_string())?];
            let wanted = expected(&roots)?;
            evaluate(&roots, &|| false).map_err(|e| e.to_string())?;
            if let Some(problem) = disagreement(&tensor(&roots[0]), &wanted[0], 0) {
                return Err(format!("{dtype}, {arrangement:?}, {count} positions: {problem}"));
            }
        }
    }
    Ok(())
}

#[test]
fn every_op_on_every_dtype_and_class_of_shape_agrees_with_the_interpreter() {
    engine::start();
    let mut problems = Vec::new();
    let mut checked = 0;
    for row in OPS {
        for dtype in real_dtypes().filter(|&d| row.domain.contains(d)) {
            for class in CLASSES {
                checked += 1;
                problems.extend(check(row, dtype, class).err());
            }
        }
    }
    assert!(checked > 2000, "only {checked} combinations");
    assert!(problems.is_empty(), "{} of {checked} disagree:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn every_conversion_agrees_with_the_interpreter() {
    engine::start();
    let row = ScalarOp::Add.row();
    let mut problems = Vec::new();
    for from in real_dtypes() {
        for to in real_dtypes().filter(|&d| d != from) {
            let source = operand(row, from, Class::OddLength, 0, 1000);
            let shape = source.shape.clone();
            let root = Lazy::recorded(Op::Cast, [source].into_iter().collect(), to, shape, Some(engine::device()));
            let roots = [root];
            let wanted = expected(&roots).expect("the interpreter casts everything");
            evaluate(&roots, &|| false).expect("a cast compiles");
            let problem = disagreement(&tensor(&roots[0]), &wanted[0], 0);
            problems.extend(problem.map(|p| format!("{from} to {to}: {p}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

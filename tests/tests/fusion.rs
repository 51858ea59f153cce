//! Programs as users write them, recorded through `build`, and into how many regions they fuse.

use fusewire_ir::{
    build::{self, Axis, IndexItem, Operand},
    capture::graph_of,
    dtype::DType,
    error::Recorded,
    fusion::{Body, Partition, cost::Limits, partition},
    graph::Graph,
    interp,
    lazy::Lazy,
    ops::ScalarOp as S,
    pass,
    promote::Weak,
    scalar::Scalar,
};
use fusewire_lowering::{lower, program::Step, program_interp};
use fusewire_tests::{
    memory::{Arrangement, array},
    oracle::binding,
};
use smallvec::smallvec;
use std::sync::Arc;

type Array = Arc<Lazy>;

/// An input with small positive elements.
fn input(dtype: DType, shape: &[usize]) -> Array {
    let count: usize = shape.iter().product();
    let elements: Vec<Scalar> = (0..count).map(|i| Scalar::from_i64(dtype, (i * 7 % 23) as i64 + 1)).collect();
    array(dtype, shape, &elements, Arrangement::Dense)
}

fn op(op: S, a: &Array, b: &Array) -> Recorded<Array> {
    build::elementwise(op, &[Operand::Array(a.clone()), Operand::Array(b.clone())])
}

fn map(op: S, a: &Array) -> Recorded<Array> {
    build::elementwise(op, &[Operand::Array(a.clone())])
}

fn with(op: S, a: &Array, number: f64) -> Recorded<Array> {
    build::elementwise(op, &[Operand::Array(a.clone()), Operand::Scalar(Weak::Float(number))])
}

fn along(axis: i64) -> Axis {
    Axis::List(smallvec![axis])
}

/// The part `start..end` of an axis.
fn part(x: &Array, axis: usize, start: i64, end: i64) -> Recorded<Array> {
    let mut items = vec![IndexItem::Slice { start: None, stop: None, step: None }; axis];
    items.push(IndexItem::Slice { start: Some(start), stop: Some(end), step: None });
    build::index(x, &items)
}

/// The graph after the pipeline and its regions; the program is checked against the interpreter.
fn fused(roots: &[Array]) -> (Graph, Partition) {
    let (captured, values) = graph_of(roots);
    let graph = pass::run_pipeline(&captured, true, &mut |_, _| {}).unwrap();
    let partition = partition(&graph, Limits::CPU);
    let binding = binding(&values);
    let program = lower::program(&graph, Limits::CPU);
    let found = program_interp::evaluate(&graph, &program, &binding).unwrap();
    for (found, wanted) in found.iter().zip(&interp::evaluate(&graph, &binding).unwrap()) {
        assert_eq!(found.array.shape(), wanted.array.shape());
        for (f, w) in found.array.iter().zip(&wanted.array) {
            let (f, w) = (f.as_f64(), w.as_f64());
            assert!((f - w).abs() <= 1e-5 * w.abs().max(1.0) || f.is_nan() && w.is_nan(), "{f} is not {w}");
        }
    }
    (graph, partition)
}

/// Asserts how many kernels and how many products the arrays take.
#[track_caller]
fn takes(kernels: usize, products: usize, roots: &[Recorded<Array>]) {
    let roots: Vec<Array> = roots.iter().map(|r| r.clone().unwrap()).collect();
    let (graph, partition) = fused(&roots);
    let found = partition.regions.iter().filter(|r| matches!(r.body, Body::Nest(_))).count();
    let text = format!("{graph}\n{}", partition.text(&graph));
    assert_eq!((found, partition.regions.len() - found), (kernels, products), "{text}");
}

#[test]
fn mean_plus_twice_the_deviation_of_columns() {
    let (x, y) = (input(DType::F32, &[9, 5]), input(DType::F32, &[9, 5]));
    let program = || {
        let deviation = build::std(&y, &along(0), 0.0, false)?;
        op(S::Add, &build::mean(&x, &along(0), false)?, &with(S::Multiply, &deviation, 2.0)?)
    };
    takes(1, 0, &[program()]);
}

#[test]
fn standardised_columns() {
    let x = input(DType::F64, &[9, 5]);
    let program = || {
        let centred = op(S::Subtract, &x, &build::mean(&x, &along(0), false)?)?;
        op(S::Divide, &centred, &build::std(&x, &along(0), 0.0, false)?)
    };
    takes(2, 0, &[program()]);
}

#[test]
fn standardised_rows() {
    let x = input(DType::F64, &[9, 5]);
    let program = || {
        let centred = op(S::Subtract, &x, &build::mean(&x, &along(1), true)?)?;
        op(S::Divide, &centred, &build::std(&x, &along(1), 0.0, true)?)
    };
    takes(1, 0, &[program()]);
}

#[test]
fn nearest_centroid() {
    let (x, centres) = (input(DType::F32, &[9, 5]), input(DType::F32, &[3, 5]));
    let program = || {
        let difference = op(S::Subtract, &build::expand_dims(&x, &[1])?, &build::expand_dims(&centres, &[0])?)?;
        let distance = build::sum(&map(S::Square, &difference)?, &along(2), None, false)?;
        build::argmin(&distance, Some(1), false)
    };
    takes(2, 0, &[program()]);
}

#[test]
fn black_scholes() {
    let [spot, strike, time] = [0, 1, 2].map(|_| input(DType::F64, &[11]));
    let program = || {
        let root = map(S::Sqrt, &time)?;
        let scaled = with(S::Multiply, &root, 0.2)?;
        let log = map(S::Log, &op(S::Divide, &spot, &strike)?)?;
        let d1 = op(S::Divide, &op(S::Add, &log, &with(S::Multiply, &time, 0.05)?)?, &scaled)?;
        let d2 = op(S::Subtract, &d1, &scaled)?;
        let normal = |x: &Array| with(S::Multiply, &with(S::Add, &map(S::Tanh, x)?, 1.0)?, 0.5);
        let discount = map(S::Exp, &with(S::Multiply, &time, -0.05)?)?;
        let put = op(S::Multiply, &op(S::Multiply, &strike, &discount)?, &normal(&d2)?)?;
        op(S::Subtract, &op(S::Multiply, &spot, &normal(&d1)?)?, &put)
    };
    takes(1, 0, &[program()]);
}

/// Weighted sum of shifted parts along an axis.
fn convolve(x: &Array, axis: usize, weights: &[f64]) -> Recorded<Array> {
    let length = (x.shape[axis] - weights.len() + 1) as i64;
    let mut sum: Option<Array> = None;
    for (k, &weight) in weights.iter().enumerate() {
        let term = with(S::Multiply, &part(x, axis, k as i64, k as i64 + length)?, weight)?;
        sum = Some(match sum {
            Some(sum) => op(S::Add, &sum, &term)?,
            None => term,
        });
    }
    Ok(sum.unwrap())
}

#[test]
fn image_pipeline() {
    let image = input(DType::U8, &[12, 14, 3]);
    let program = || {
        let x = build::astype(&image, DType::F32)?;
        let luma = |channel: i64, weight: f64| {
            let whole = IndexItem::Slice { start: None, stop: None, step: None };
            with(S::Multiply, &build::index(&x, &[whole, whole, IndexItem::Int(channel)])?, weight)
        };
        let grey = op(S::Add, &op(S::Add, &luma(0, 0.299)?, &luma(1, 0.587)?)?, &luma(2, 0.114)?)?;
        let gauss = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];
        let blurred = convolve(&convolve(&grey, 0, &gauss)?, 1, &gauss)?;
        let (smooth, edge) = ([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0]);
        let gx = convolve(&convolve(&blurred, 0, &smooth)?, 1, &edge)?;
        let gy = convolve(&convolve(&blurred, 0, &edge)?, 1, &smooth)?;
        let magnitude = map(S::Sqrt, &op(S::Add, &map(S::Square, &gx)?, &map(S::Square, &gy)?)?)?;
        let normal = op(S::Divide, &magnitude, &build::max(&magnitude, &Axis::All, false)?)?;
        let gamma = with(S::Pow, &normal, 0.45)?;
        build::astype(&map(S::Round, &with(S::Multiply, &gamma, 255.0)?)?, DType::U8)
    };
    takes(5, 0, &[program()]);
}

#[test]
fn multilayer_perceptron() {
    let x = input(DType::F32, &[6, 4]);
    let (w1, b1, w2) = (input(DType::F32, &[4, 5]), input(DType::F32, &[5]), input(DType::F32, &[5, 3]));
    let program = || {
        let hidden = with(S::Maximum, &op(S::Add, &build::matmul(&x, &w1)?, &b1)?, 0.0)?;
        let logits = build::matmul(&hidden, &w2)?;
        let shifted = op(S::Subtract, &logits, &build::max(&logits, &along(-1), true)?)?;
        let exps = map(S::Exp, &shifted)?;
        op(S::Divide, &exps, &build::sum(&exps, &along(-1), None, true)?)
    };
    takes(2, 2, &[program()]);
}

#[test]
fn logistic_regression_step() {
    let (x, y, w) = (input(DType::F32, &[9, 5]), input(DType::F32, &[9]), input(DType::F32, &[5]));
    let program = || {
        let z = build::matmul(&x, &w)?;
        let p = with(S::Divide, &with(S::Add, &map(S::Tanh, &z)?, 1.0)?, 2.0)?;
        let gradient = build::matmul(&build::permute_dims(&x, &[1, 0])?, &op(S::Subtract, &p, &y)?)?;
        op(S::Subtract, &w, &with(S::Multiply, &gradient, 0.1)?)
    };
    // Products with vectors are no calls: they fuse with what is around them.
    takes(2, 0, &[program()]);
}

#[test]
fn correlation_matrix() {
    let x = input(DType::F64, &[9, 5]);
    let program = || {
        let centred = op(S::Subtract, &x, &build::mean(&x, &along(0), true)?)?;
        let covariance = build::matmul(&build::permute_dims(&centred, &[1, 0])?, &centred)?;
        with(S::Divide, &covariance, 8.0)
    };
    takes(3, 1, &[program()]);
}

#[test]
fn statistics_of_everything() {
    let x = input(DType::F64, &[9, 5]);
    let roots = [
        build::sum(&x, &Axis::All, None, false),
        build::max(&x, &Axis::All, false),
        build::min(&x, &Axis::All, false),
        build::mean(&x, &Axis::All, false),
    ];
    takes(1, 0, &roots);
}

#[test]
fn variance_of_everything() {
    let x = input(DType::F64, &[9, 5]);
    takes(1, 0, &[build::var(&x, &Axis::All, 0.0, false)]);
}

#[test]
fn rolled_difference() {
    let x = input(DType::F64, &[9]);
    let program = || op(S::Subtract, &build::roll(&x, &[1], None)?, &x);
    takes(3, 0, &[program()]);
}

#[test]
fn many_regions_of_one_long_chain() {
    let x = input(DType::F64, &[9]);
    let program = || -> Recorded<Array> {
        let mut y = x.clone();
        for _ in 0..400 {
            y = with(S::Multiply, &map(S::Sqrt, &op(S::Add, &y, &x)?)?, 0.5)?;
        }
        Ok(y)
    };
    let roots = [program().unwrap()];
    let (graph, partition) = fused(&roots);
    let largest = partition.regions.iter().map(|r| r.members.len()).max();
    assert!(largest <= Some(160) && partition.regions.len() < 24, "{}", partition.text(&graph));
}

/// The kernels of a program that differ, and the arrays between them.
fn kernels_and_arrays(root: Recorded<Array>) -> (usize, usize) {
    let (graph, partition) = fused(&[root.unwrap()]);
    let program = lower::program(&graph, Limits::CPU);
    let mut kernels = Vec::new();
    for step in program.steps {
        let Step::Launch { kernel, .. } = step else { panic!("a call") };
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
    }
    (kernels.len(), partition.homes.iter().filter(|homes| !homes.is_empty()).count() - 1)
}

/// Also where the order in which the graph has the nodes advances one of them after the other.
#[test]
fn a_loop_that_was_recorded_is_cut_at_the_same_place_of_each_step() {
    let (a, b) = (input(DType::F64, &[9]), input(DType::F64, &[9]));
    let program = |count_first: bool| -> Recorded<Array> {
        let (mut x, mut y, mut count) = (a.clone(), b.clone(), with(S::Multiply, &a, 0.0)?);
        for _ in 0..60 {
            let (xx, yy) = (op(S::Multiply, &x, &x)?, op(S::Multiply, &y, &y)?);
            let near = build::cast(&with(S::Less, &op(S::Add, &xx, &yy)?, 4.0)?, DType::F64)?;
            count = if count_first { op(S::Add, &count, &near)? } else { op(S::Add, &near, &count)? };
            let product = op(S::Multiply, &with(S::Multiply, &x, 2.0)?, &y)?;
            x = op(S::Add, &op(S::Subtract, &xx, &yy)?, &a)?;
            y = op(S::Add, &product, &b)?;
        }
        Ok(count)
    };
    for count_first in [false, true] {
        let (kernels, arrays) = kernels_and_arrays(program(count_first));
        assert!(kernels <= 5, "{kernels} kernels of 660 nodes");
        assert!(arrays <= 4 * 13, "{arrays} arrays between pieces of 5 steps");
    }
}

#[test]
fn what_is_added_up_in_the_end_is_computed_one_after_another() {
    let x = input(DType::F64, &[9]);
    let program = || -> Recorded<Array> {
        let mut sum = x.clone();
        for number in 0..100 {
            let mut term = with(S::Add, &x, f64::from(number))?;
            for _ in 0..3 {
                term = map(S::Sqrt, &with(S::Add, &term, 0.5)?)?;
            }
            sum = op(S::Add, &sum, &term)?;
        }
        Ok(sum)
    };
    let (_, arrays) = kernels_and_arrays(program());
    assert!(arrays <= 2 * 14, "{arrays} arrays between pieces of a sum");
}

/// Each of 20 values is updated by its neighbour 25 times, from numbers.
#[test]
fn values_that_are_the_same_everywhere_are_not_computed_in_every_region() {
    let number = |i: i32| build::full(smallvec![10], Weak::Float(f64::from(i)), DType::F64).unwrap();
    let numbers: Vec<Array> = (0..20).map(number).collect();
    let program = || {
        let mut values = numbers.clone();
        for _ in 0..25 {
            let previous = values.clone();
            for (i, value) in values.iter_mut().enumerate() {
                let neighbour = &previous[(i + 19) % 20];
                *value = op(S::Subtract, value, &with(S::Multiply, &op(S::Subtract, value, neighbour)?, 0.5)?)?;
            }
        }
        Recorded::Ok(values.swap_remove(0))
    };
    let (_, partition) = fused(&[program().unwrap()]);
    let computed: usize = partition.regions.iter().map(|r| r.members.len()).sum();
    assert!(computed < 4000, "{computed} computations of 1500 nodes");
}

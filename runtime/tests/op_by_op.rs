//! Structures without a plan, computed op by op: what is compiled, what is kept, what is refused. That the bits are those of compiled
//! structures is `tests/tests/fuzz_runtime.rs`'s. Counters are the process's, so the tests take turns.

mod common;

use common::{TestBackend, buffer, elements, never};
use fusewire_ir::{
    build::{self, Axis, Operand},
    dtype::DType,
    lazy::{Device, Lazy},
    ops::ScalarOp as S,
    shape::Shape,
    value::Buffer,
};
use fusewire_runtime::{
    cache::{LIMITS, PlanCache},
    counters,
    error::Error,
    evaluate::evaluate_on,
    op_by_op::FirstRun,
};
use smallvec::SmallVec;
use std::{
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::SeqCst},
};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn array(shape: &[usize]) -> Arc<Lazy> {
    let content: Vec<f64> = (0..shape.iter().product()).map(|i| (i as f64).sin()).collect();
    let memory = Buffer::dense(buffer(&content).storage, shape);
    Lazy::computed(memory, DType::F64, Shape::from(shape), Device::Cpu)
}

fn call(op: S, operands: &[&Arc<Lazy>]) -> Arc<Lazy> {
    build::elementwise(op, operands.iter().map(|&x| Operand::Array(x.clone())).collect::<SmallVec<[Operand; 3]>>())
        .unwrap()
}

fn total(x: &Arc<Lazy>) -> Arc<Lazy> {
    build::sum(x, &Axis::All, None, false).unwrap()
}

struct Engine {
    backend: TestBackend,
    plans: PlanCache,
}

impl Engine {
    fn new() -> Engine {
        Engine { backend: TestBackend::default(), plans: PlanCache::new(LIMITS) }
    }

    /// How many kernels are compiled for it, and whether it runs op by op.
    fn run(&self, mode: FirstRun, roots: &[Arc<Lazy>]) -> Result<(usize, bool), Error> {
        self.plans.set_first_run(mode);
        let (compiled, by_op) = (self.backend.compiled.load(SeqCst), counters::GRAPHS_OP_BY_OP.get());
        evaluate_on(&self.backend, Device::Cpu, &self.plans, roots, &never)?;
        Ok((self.backend.compiled.load(SeqCst) - compiled, counters::GRAPHS_OP_BY_OP.get() > by_op))
    }
}

/// `sum(sqrt(x * y) + x)`.
fn expression(x: &Arc<Lazy>, y: &Arc<Lazy>) -> Arc<Lazy> {
    total(&call(S::Add, &[&call(S::Sqrt, &[&call(S::Multiply, &[x, y])]), x]))
}

fn bits(node: &Lazy) -> Vec<u64> {
    elements(node.buffer().expect("computed"), &node.shape).iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_structure_that_comes_back_often_is_compiled_and_has_the_same_bits() {
    let _turn = turn();
    let engine = Engine::new();
    let (x, y) = (array(&[1000]), array(&[1000]));
    assert_eq!(engine.run(FirstRun::OpByOp, &[expression(&x, &y)]), Ok((4, true)));
    let first = expression(&x, &y);
    assert_eq!(engine.run(FirstRun::Auto, slice::from_ref(&first)), Ok((0, true)));
    // As soon as what it cost is what compiling would have cost.
    let mut times = 1;
    let again = loop {
        let again = expression(&x, &y);
        if !engine.run(FirstRun::Auto, slice::from_ref(&again)).unwrap().1 {
            break again;
        }
        times += 1;
    };
    assert!((10..1000).contains(&times), "{times}");
    assert_eq!(bits(&first), bits(&again));
    let (hits, again) = (counters::PLAN_HITS.get(), expression(&x, &y));
    assert_eq!(engine.run(FirstRun::Auto, slice::from_ref(&again)), Ok((0, false)));
    assert_eq!(counters::PLAN_HITS.get(), hits + 1);
    assert_eq!(bits(&first), bits(&again));
}

#[test]
fn new_structures_of_known_ops_compile_nothing() {
    let _turn = turn();
    let engine = Engine::new();
    let (x, y) = (array(&[1000]), array(&[1000]));
    engine.run(FirstRun::OpByOp, &[expression(&x, &y)]).unwrap();
    for length in 2..40 {
        let again = (0..length).fold(x.clone(), |value, i| call([S::Add, S::Multiply][i % 2], &[&value, &y]));
        assert_eq!(engine.run(FirstRun::Auto, &[again]), Ok((0, true)));
    }
}

#[test]
fn the_first_structures_are_compiled_and_soon_none_is() {
    let _turn = turn();
    let engine = Engine::new();
    let x = array(&[100]);
    let chain = |length: usize| {
        (0..length).fold(x.clone(), |value, i| call([S::Add, S::Subtract, S::Divide][i % 3], &[&value, &x]))
    };
    let runs: Vec<bool> = (3..40).map(|length| engine.run(FirstRun::Auto, &[chain(length)]).unwrap().1).collect();
    assert!(!runs[0] && runs[12..].iter().all(|&by_op| by_op), "{runs:?}");
}

#[test]
fn much_data_is_compiled() {
    let _turn = turn();
    let engine = Engine::new();
    let small = (array(&[100]), array(&[100]));
    engine.run(FirstRun::OpByOp, &[expression(&small.0, &small.1)]).unwrap();
    let (x, y) = (array(&[400_000]), array(&[400_000]));
    assert!(!engine.run(FirstRun::Auto, &[expression(&x, &y)]).unwrap().1);
}

#[test]
fn what_somebody_holds_is_kept_and_the_rest_is_not() {
    let _turn = turn();
    let engine = Engine::new();
    let x = array(&[6, 4]);
    let held = call(S::Add, &[&x, &x]);
    let view = build::matrix_transpose(&call(S::Multiply, &[&held, &x])).unwrap();
    let between = call(S::Sqrt, &[&view]);
    let weak = Arc::downgrade(&between);
    let roots = [call(S::Subtract, &[&between, &view]), build::matrix_transpose(&held).unwrap()];
    drop(between);
    assert!(engine.run(FirstRun::OpByOp, &roots).unwrap().1);
    assert!(weak.upgrade().is_none(), "nobody holds what lies between");
    assert!(held.buffer().is_some() && view.buffer().is_none());
    assert_eq!(roots[1].buffer().unwrap().pointer(), held.buffer().unwrap().pointer(), "a view shares memory");
    let (product, sum) = (|a: f64| 2.0 * a * a, |a: f64| 2.0 * a);
    let source = elements(x.buffer().unwrap(), &x.shape);
    let expected: Vec<f64> = (0..24).map(|i| product(source[i % 6 * 4 + i / 6])).map(|a| a.sqrt() - a).collect();
    assert_eq!(elements(roots[0].buffer().unwrap(), &roots[0].shape), expected);
    assert_eq!(elements(held.buffer().unwrap(), &held.shape), source.iter().map(|&a| sum(a)).collect::<Vec<_>>());
}

#[test]
fn an_index_outside_its_axis_is_named() {
    let _turn = turn();
    let messages = [FirstRun::OpByOp, FirstRun::Compiled].map(|mode| {
        let engine = Engine::new();
        let x = array(&[10]);
        let index =
            build::astype(&call(S::Ceil, &[&call(S::Multiply, &[&array(&[3]), &array(&[1])])]), DType::I64).unwrap();
        let index =
            build::elementwise(S::Add, [Operand::Array(index), Operand::Scalar(fusewire_ir::promote::Weak::Int(20))])
                .unwrap();
        let root = call(S::Sqrt, &[&build::take(&x, &index, Some(0), &|_, _| None).unwrap()]);
        let error = engine.run(mode, slice::from_ref(&root)).unwrap_err();
        assert!(root.buffer().is_none());
        error.to_string()
    });
    assert_eq!(messages[0], messages[1]);
    assert!(messages[0].contains("20"), "{}", messages[0]);
}

#[test]
fn sums_whose_order_fusion_decides_are_compiled() {
    let _turn = turn();
    let engine = Engine::new();
    let (x, row) = (array(&[30, 40]), array(&[40]));
    let along = |x: &Arc<Lazy>, axis: i64| build::sum(x, &Axis::List(smallvec::smallvec![axis]), None, false).unwrap();
    let plus_row = || call(S::Add, &[&x, &row]);
    let turned = || call(S::Add, &[&build::matrix_transpose(&x).unwrap(), &array(&[40, 30])]);
    let by_op = |root: Arc<Lazy>| engine.run(FirstRun::OpByOp, &[root]).unwrap().1;
    // Everything is one loop only where nothing is broadcast.
    assert!(by_op(total(&call(S::Add, &[&x, &x]))) && !by_op(total(&plus_row())));
    assert!(by_op(along(&plus_row(), 0)) && by_op(along(&plus_row(), 1)));
    assert!(!by_op(along(&turned(), 0)) && !by_op(along(&turned(), 1)) && !by_op(total(&turned())));
}

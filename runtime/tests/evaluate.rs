//! From recorded arrays to filled slots, through the interpreter back end: reuse of plans, what is kept, failure,
//! interruption, threads, fork. Counters are the process's, so the tests take turns.

mod common;

use common::{TestBackend, buffer, elements, never};
use fusewire_ir::{
    build::{self, Axis, Operand},
    dtype::DType,
    lazy::{Device, Lazy, Reading},
    ops::ScalarOp as S,
    promote::Weak,
    shape::Shape,
    value::Buffer,
};
use fusewire_runtime::{
    backend::Backend,
    cache::{LIMITS, PlanCache},
    counters,
    error::Error,
    evaluate::{evaluate, evaluate_on},
    interpreter::Interpreter,
    pool, registry,
};
use std::{
    cell::Cell,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn array(shape: &[usize], value: impl Fn(usize) -> f64) -> Arc<Lazy> {
    let content: Vec<f64> = (0..shape.iter().product()).map(value).collect();
    let memory = Buffer::dense(buffer(&content).storage, shape);
    Lazy::computed(memory, DType::F64, Shape::from(shape), Device::Cpu)
}

fn with_scalar(op: S, x: &Arc<Lazy>, value: f64) -> Arc<Lazy> {
    build::elementwise(op, &[Operand::Array(x.clone()), Operand::Scalar(Weak::Float(value))]).unwrap()
}

fn call(op: S, x: &Arc<Lazy>, y: &Arc<Lazy>) -> Arc<Lazy> {
    build::elementwise(op, &[Operand::Array(x.clone()), Operand::Array(y.clone())]).unwrap()
}

fn content(node: &Lazy) -> Vec<f64> {
    elements(node.buffer().expect("computed"), &node.shape)
}

fn compute(backend: &dyn Backend, plans: &PlanCache, roots: &[Arc<Lazy>]) -> Result<(), Error> {
    evaluate_on(backend, Device::Cpu, plans, roots, &never)
}

/// `mean(x * factor, axis=0) + y`.
fn expression(x: &Arc<Lazy>, factor: f64, y: &Arc<Lazy>) -> Arc<Lazy> {
    let axis = Axis::List(smallvec::smallvec![0]);
    call(S::Add, &build::mean(&with_scalar(S::Multiply, x, factor), &axis, false).unwrap(), y)
}

#[test]
fn a_new_shape_or_scalar_compiles_nothing() {
    let _turn = turn();
    let (backend, plans) = (TestBackend::default(), PlanCache::new(LIMITS));
    let mut compiled = Vec::new();
    for (rows, columns, factor) in [(2, 3, 2.0), (5, 7, 2.0), (2, 3, -1.0), (4, 2, 0.5)] {
        let (x, y) = (array(&[rows, columns], |i| i as f64), array(&[columns], |i| 100.0 * i as f64));
        let root = expression(&x, factor, &y);
        compute(&backend, &plans, std::slice::from_ref(&root)).unwrap();
        let mean = |j: usize| (0..rows).map(|i| (i * columns + j) as f64 * factor).sum::<f64>() / rows as f64;
        let expected: Vec<f64> = (0..columns).map(|j| mean(j) + 100.0 * j as f64).collect();
        assert_eq!(content(&root), expected);
        compiled.push(backend.compiled.load(std::sync::atomic::Ordering::SeqCst));
    }
    assert!(compiled[0] > 0 && compiled.iter().all(|&n| n == compiled[0]), "{compiled:?}");
    assert_eq!(plans.size().0, 1);
}

#[test]
fn computing_again_costs_nothing() {
    let _turn = turn();
    registry::register(Device::Cpu, Arc::new(Interpreter));
    let root = with_scalar(S::Add, &array(&[3], |i| i as f64), 1.0);
    evaluate(std::slice::from_ref(&root), &never).unwrap();
    assert_eq!(content(&root), [1.0, 2.0, 3.0]);
    let before = counters::snapshot();
    evaluate(&[root.clone(), root], &never).unwrap();
    evaluate(&[], &never).unwrap();
    assert_eq!(counters::snapshot(), before);
}

#[test]
fn counters_tell_what_happened() {
    let _turn = turn();
    registry::register(Device::Cpu, Arc::new(Interpreter));
    let run = |n: usize| {
        let x = array(&[n], |i| i as f64);
        let root = with_scalar(S::Divide, &with_scalar(S::Subtract, &x, 1.0), 2.0);
        evaluate(&[root], &never).unwrap();
    };
    run(10);
    counters::reset();
    run(20);
    let count = |name: &str| counters::snapshot().iter().find(|(n, _)| *n == name).unwrap().1;
    let names = ["graphs_captured", "plan_hits", "plan_misses", "kernels_compiled", "kernel_launches"];
    assert_eq!(names.map(count), [1, 1, 0, 0, 1]);
    assert_eq!(count("bytes_moved"), 20 * 8 * 2);
}

#[test]
fn what_a_live_handle_needs_is_kept_and_the_rest_is_not() {
    let _turn = turn();
    let (backend, plans) = (Interpreter, PlanCache::new(LIMITS));
    let x = array(&[1000], |i| i as f64);
    let held = with_scalar(S::Multiply, &x, 2.0);
    let between = with_scalar(S::Add, &held, 1.0);
    let weak = Arc::downgrade(&between);
    let root = with_scalar(S::Multiply, &between, 3.0);
    drop(between);
    let before = pool::figures().allocated;
    compute(&backend, &plans, std::slice::from_ref(&root)).unwrap();
    assert_eq!(content(&root)[..2], [3.0, 9.0]);
    assert_eq!(content(&held)[..2], [0.0, 2.0]);
    assert!(weak.upgrade().is_none(), "nobody holds what lies between");
    assert!(pool::figures().allocated - before <= 2 * 9000);
}

#[test]
fn several_roots_are_one_graph() {
    let _turn = turn();
    let (backend, plans) = (Interpreter, PlanCache::new(LIMITS));
    let x = array(&[4], |i| i as f64);
    let shared = with_scalar(S::Add, &x, 1.0);
    let roots = [with_scalar(S::Multiply, &shared, 2.0), shared.clone(), call(S::Multiply, &shared, &shared)];
    compute(&backend, &plans, &roots).unwrap();
    assert_eq!(content(&roots[0]), [2.0, 4.0, 6.0, 8.0]);
    assert_eq!(content(&roots[1]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(content(&roots[2]), [1.0, 4.0, 9.0, 16.0]);
    assert_eq!(plans.size().0, 1);
}

#[test]
fn views_products_and_scalars_are_roots_too() {
    let _turn = turn();
    let (backend, plans) = (Interpreter, PlanCache::new(LIMITS));
    let (a, b) = (array(&[2, 3], |i| i as f64), array(&[3, 2], |i| (i % 3) as f64));
    let transposed = build::matrix_transpose(&a).unwrap();
    let product = build::matmul(&a, &b).unwrap();
    let total = build::sum(&product, &Axis::All, None, false).unwrap();
    let constant = build::full(smallvec::smallvec![2], Weak::Float(7.0), DType::F64).unwrap();
    compute(&backend, &plans, &[transposed.clone(), product.clone(), total.clone(), constant.clone()]).unwrap();
    assert_eq!(content(&transposed), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(transposed.buffer().unwrap().pointer(), a.buffer().unwrap().pointer(), "a view shares memory");
    assert_eq!(content(&product), [4.0, 4.0, 13.0, 13.0]);
    assert_eq!(content(&total), [34.0]);
    assert_eq!(content(&constant), [7.0, 7.0]);
}

#[test]
fn a_failed_allocation_leaves_the_arrays_as_they_were() {
    let _turn = turn();
    let plans = PlanCache::new(LIMITS);
    let x = array(&[8], |i| i as f64);
    let roots = [with_scalar(S::Add, &x, 1.0), build::matmul(&x, &x).unwrap(), with_scalar(S::Multiply, &x, 4.0)];
    let before = pool::figures().allocated;
    let mut failures = 0;
    for allowed in 0.. {
        let backend = TestBackend { allocations_left: Some(AtomicI64::new(allowed)), ..TestBackend::default() };
        match compute(&backend, &plans, &roots) {
            Err(Error::OutOfMemory { .. }) => {
                let reading = Reading::begin();
                assert!(roots.iter().all(|root| root.buffer().is_none() && root.expression(&reading).is_some()));
                assert_eq!(pool::figures().allocated, before);
                failures += 1;
            }
            other => {
                other.unwrap();
                break;
            }
        }
    }
    assert!(failures >= 3, "{failures}");
    assert_eq!(content(&roots[1]), [140.0]);
}

#[test]
fn an_interrupted_computation_can_be_repeated() {
    let _turn = turn();
    let plans = PlanCache::new(LIMITS);
    let root = with_scalar(S::Add, &array(&[100_000], |i| i as f64), 1.0);
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() == 5
    };
    let result = evaluate_on(&Interpreter, Device::Cpu, &plans, std::slice::from_ref(&root), &interrupted);
    assert_eq!(result, Err(Error::Interrupted));
    assert!(root.buffer().is_none());
    compute(&Interpreter, &plans, std::slice::from_ref(&root)).unwrap();
    assert_eq!(content(&root)[99_999], 100_000.0);
}

#[test]
fn what_is_interrupted_while_it_compiles_compiles_no_further() {
    let _turn = turn();
    let plans = PlanCache::new(LIMITS);
    let root = with_scalar(S::Add, &array(&[3], |i| i as f64), 1.0);
    let compiled = counters::KERNELS_COMPILED.get();
    let result = evaluate_on(&Interpreter, Device::Cpu, &plans, std::slice::from_ref(&root), &|| true);
    assert_eq!(result, Err(Error::Interrupted));
    assert_eq!(counters::KERNELS_COMPILED.get(), compiled);
    compute(&Interpreter, &plans, std::slice::from_ref(&root)).unwrap();
    assert_eq!(content(&root), [1.0, 2.0, 3.0]);
}

#[test]
fn threads_compute_at_once_even_the_same_arrays() {
    let _turn = turn();
    registry::register(Device::Cpu, Arc::new(Interpreter));
    for round in 0..20 {
        let x = array(&[50], |i| i as f64);
        let shared = with_scalar(S::Multiply, &x, 2.0);
        let roots: Vec<_> = (0..4).map(|i| with_scalar(S::Add, &shared, f64::from(i))).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (roots, x) = (&roots, &x);
                scope.spawn(move || {
                    evaluate(&[roots[thread].clone(), roots[(thread + 1) % 4].clone()], &never).unwrap();
                    // Structures of its own too, so that threads miss at once.
                    let mut own = x.clone();
                    for _ in 0..round % 5 + thread {
                        own = with_scalar(S::Add, &own, 1.0);
                    }
                    evaluate(std::slice::from_ref(&own), &never).unwrap();
                    assert_eq!(content(&own)[10], 10.0 + (round % 5 + thread) as f64);
                });
            }
        });
        for (number, root) in roots.iter().enumerate() {
            assert_eq!(content(root)[10], 20.0 + number as f64);
        }
    }
}

#[test]
fn empty_arrays_compute() {
    let _turn = turn();
    let plans = PlanCache::new(LIMITS);
    let x = array(&[0, 3], |_| 0.0);
    let axis = |axis| Axis::List(smallvec::smallvec![axis]);
    let roots = [
        with_scalar(S::Add, &x, 1.0),
        build::sum(&x, &axis(0), None, false).unwrap(),
        build::sum(&x, &axis(1), None, false).unwrap(),
        build::matmul(&build::matrix_transpose(&x).unwrap(), &x).unwrap(),
    ];
    compute(&Interpreter, &plans, &roots).unwrap();
    assert!(content(&roots[0]).is_empty() && content(&roots[2]).is_empty());
    assert_eq!(content(&roots[1]), [0.0; 3]);
    assert_eq!(content(&roots[3]), [0.0; 9]);
}

#[test]
fn a_recorded_loop_runs_in_bounded_memory() {
    let _turn = turn();
    registry::register(Device::Cpu, Arc::new(Interpreter));
    let x = array(&[100], |i| i as f64);
    let mut w = array(&[100], |_| 0.0);
    let before = pool::figures();
    pool::reset_peak();
    for _ in 0..300 {
        w = call(S::Subtract, &w, &with_scalar(S::Multiply, &call(S::Subtract, &w, &x), 0.5));
        evaluate(std::slice::from_ref(&w), &never).unwrap();
    }
    assert!(pool::figures().peak - before.allocated < 10 * 1024);
    assert_eq!(content(&w)[7], 7.0);
}

#[test]
fn a_forked_child_can_compute_while_other_threads_did() {
    let _turn = turn();
    registry::register(Device::Cpu, Arc::new(Interpreter));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut length = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Always a new structure: the locks are busy.
                    length = length % 40 + 1;
                    let x = array(&[30_000], |_| 1.0);
                    let sum = (0..length).fold(x.clone(), |sum, _| call(S::Maximum, &sum, &x));
                    drop(sum);
                    drop(pool::allocate(100_000 + length * 5000));
                    fusewire_runtime::cache::PLANS.clear();
                }
            });
        }
        for _ in 0..20 {
            // SAFETY: the child computes (which is what is tested) and leaves without unwinding.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: nothing of the child is to be cleaned up; a deadlock ends by the alarm.
                unsafe {
                    libc::alarm(20);
                    let root = with_scalar(S::Add, &array(&[200_000 / 8], |_| 1.0), 1.0);
                    let done = evaluate(std::slice::from_ref(&root), &never).is_ok() && content(&root)[5] == 2.0;
                    libc::_exit(i32::from(!done));
                }
            }
            let mut status = 0;
            // SAFETY: the child is ours.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0, "the child failed or hung");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

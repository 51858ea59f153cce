//! The plan cache: bounds, recency, collisions, shared kernels, threads.

mod common;

use common::{ProgramBuilder, TestBackend, elementwise};
use fusewire_ir::{lazy::Device::Cpu, ops::ScalarOp};
use fusewire_lowering::{kernel::IntExpr, program::ArrayId};
use fusewire_runtime::{
    cache::{Limits, PlanCache},
    plan::Plan,
};
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// A plan of one kernel; plans with the same op have the same kernel.
fn plan(cache: &PlanCache, backend: &TestBackend, op: ScalarOp) -> Arc<Plan> {
    let mut builder = ProgramBuilder::new(2);
    let result = builder.launch(elementwise(op, 2, false), &[ArrayId(0), ArrayId(1)], &[]);
    builder.result(result);
    Arc::new(Plan::build(builder.program, &mut |kernel| cache.compile(Cpu, backend, kernel)).unwrap())
}

fn key(number: u32) -> Box<[u32]> {
    Box::new([number, number / 7])
}

#[test]
fn the_least_recently_used_plan_goes_first() {
    let cache = PlanCache::new(Limits { plans: 3, bytes: 1 << 20 });
    let plan = plan(&cache, &TestBackend::default(), ScalarOp::Add);
    let insert = |n: u32| cache.insert(Cpu, n as u64, key(n), plan.clone());
    let found = |n: u32| cache.find(Cpu, n as u64, &key(n)).is_some();
    (0..3).for_each(|n| drop(insert(n)));
    assert!(found(0));
    insert(3);
    assert_eq!([0, 1, 2, 3].map(found), [true, false, true, true]);
    assert_eq!(cache.size().0, 3);
    cache.clear();
    assert_eq!(cache.size(), (0, 0));
    assert!(!found(3));
}

#[test]
fn equal_hashes_are_told_apart_by_their_keys() {
    let cache = PlanCache::new(Limits { plans: 10, bytes: 1 << 20 });
    let backend = TestBackend::default();
    let [sum, product] = [ScalarOp::Add, ScalarOp::Multiply].map(|op| plan(&cache, &backend, op));
    cache.insert(Cpu, 5, key(1), sum.clone());
    cache.insert(Cpu, 5, key(2), product.clone());
    assert!(Arc::ptr_eq(&cache.find(Cpu, 5, &key(1)).unwrap(), &sum));
    assert!(Arc::ptr_eq(&cache.find(Cpu, 5, &key(2)).unwrap(), &product));
    assert!(cache.find(Cpu, 5, &key(3)).is_none());
    // Of two plans for one key, the first stays.
    assert!(Arc::ptr_eq(&cache.insert(Cpu, 5, key(1), product), &sum));
    assert_eq!(cache.size().0, 2);
}

#[test]
fn bytes_are_bounded() {
    let cache = PlanCache::new(Limits { plans: 1000, bytes: 100_000 });
    let small = TestBackend { code_bytes: 9_000, ..TestBackend::default() };
    let plan_of_9k = plan(&cache, &small, ScalarOp::Add);
    for n in 0..100 {
        cache.insert(Cpu, n, key(n as u32), plan_of_9k.clone());
        assert!(cache.size().1 <= 100_000);
    }
    let kept = cache.size().0;
    assert!((9..=11).contains(&kept), "{kept} plans of 9 kB in 100 kB");
    let large = TestBackend { code_bytes: 100_001, ..TestBackend::default() };
    let plan_of_100k = plan(&cache, &large, ScalarOp::Multiply);
    cache.insert(Cpu, 1000, key(1000), plan_of_100k);
    assert_eq!(cache.size().0, kept, "what does not fit pushes nothing out");
    assert!(cache.find(Cpu, 1000, &key(1000)).is_none());
}

#[test]
fn equal_kernels_are_compiled_once_and_freed_with_their_last_plan() {
    let cache = PlanCache::new(Limits { plans: 2, bytes: 1 << 20 });
    let backend = TestBackend::default();
    let first = plan(&cache, &backend, ScalarOp::Add);
    let second = plan(&cache, &backend, ScalarOp::Add);
    assert_eq!(backend.compiled.load(SeqCst), 1);
    drop(first);
    plan(&cache, &backend, ScalarOp::Add);
    assert_eq!(backend.compiled.load(SeqCst), 1, "the second plan holds it");
    drop(second);
    plan(&cache, &backend, ScalarOp::Add);
    assert_eq!(backend.compiled.load(SeqCst), 2, "nobody held it any more");
}

#[test]
fn kernels_that_differ_in_the_names_of_their_sizes_are_one() {
    let cache = PlanCache::new(Limits { plans: 2, bytes: 1 << 20 });
    let backend = TestBackend::default();
    let of_symbol = |more: u32| {
        let mut kernel = elementwise(ScalarOp::Add, 2, false);
        for int in &mut kernel.ints {
            if let IntExpr::Sym(symbol) = int {
                symbol.0 += more;
            }
        }
        let mut builder = ProgramBuilder::new(2);
        let result = builder.launch(kernel, &[ArrayId(0), ArrayId(1)], &[]);
        builder.result(result);
        Plan::build(builder.program, &mut |kernel| cache.compile(Cpu, &backend, kernel)).unwrap()
    };
    let plans = [of_symbol(0), of_symbol(3)];
    assert_eq!(backend.compiled.load(SeqCst), 1);
    drop(plans);
}

#[test]
fn ten_thousand_structures_stay_inside_the_bounds() {
    let cache = PlanCache::new(Limits { plans: 64, bytes: 1 << 20 });
    let backend = TestBackend::default();
    for n in 0..10_000u32 {
        let mut kernel = elementwise(ScalarOp::Add, 2, false);
        kernel.name = format!("kernel {n}");
        let mut builder = ProgramBuilder::new(2);
        let result = builder.launch(kernel, &[ArrayId(0), ArrayId(1)], &[]);
        builder.result(result);
        let plan = Plan::build(builder.program, &mut |kernel| cache.compile(Cpu, &backend, kernel)).unwrap();
        cache.insert(Cpu, n as u64, key(n), Arc::new(plan));
    }
    assert_eq!(cache.size().0, 64);
    assert!(cache.kernels() <= 128 + 1, "{} kernels remembered for 64 plans", cache.kernels());
}

#[test]
fn threads_share_a_cache() {
    let cache = PlanCache::new(Limits { plans: 20, bytes: 1 << 20 });
    let backend = TestBackend::default();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let (cache, backend) = (&cache, &backend);
            scope.spawn(move || {
                for round in 0..500u32 {
                    let n = (thread * 31 + round * 17) % 40;
                    let ops = [ScalarOp::Add, ScalarOp::Multiply, ScalarOp::Maximum];
                    let found = cache.find(Cpu, n as u64 / 2, &key(n));
                    let plan = found.unwrap_or_else(|| {
                        let plan = plan(cache, backend, ops[n as usize % 3]);
                        cache.insert(Cpu, n as u64 / 2, key(n), plan)
                    });
                    assert_eq!(plan.kernel_names().collect::<Vec<_>>(), [ops[n as usize % 3].row().name]);
                }
            });
        }
    });
    assert_eq!(cache.size().0, 20);
}

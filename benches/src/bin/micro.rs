//! What the engine adds to a small computation, without Python: recording, capturing, finding a plan, compiling.
//! `cargo run --release -p fusewire-benches --bin micro` prints a Markdown table. A word after it chooses rows.

use fusewire_benches::{Times, readable, time, time_prepared};
use fusewire_ir::{
    build::{Axis, Operand, clip, elementwise, full, mean, where_},
    capture::{Capture, capture, graph_of},
    dtype::DType,
    fusion::cost::Limits,
    graph::Graph,
    lazy::{Device, Lazy},
    ops::ScalarOp as S,
    promote::Weak,
    shape::Shape,
};
use fusewire_jit_cpu::CpuBackend;
use fusewire_lowering::{kernel::Kernel, lower, program::Step};
use fusewire_runtime::{
    cache::{LIMITS, PlanCache},
    compile,
    evaluate::{evaluate, evaluate_on},
    registry,
};
use std::sync::Arc;

type Array = Arc<Lazy>;

fn never() -> bool {
    false
}

/// A computed float32 array.
fn computed(shape: &[usize]) -> Array {
    let array = full(Shape::from_slice(shape), Weak::Float(0.5), DType::F32).expect("a small array");
    evaluate(std::slice::from_ref(&array), &never).expect("it can be computed");
    array
}

fn binary(op: S, a: &Array, b: &Array) -> Array {
    elementwise(op, &[Operand::Array(a.clone()), Operand::Array(b.clone())]).expect("shapes fit")
}

fn scaled(a: &Array, factor: f64) -> Array {
    elementwise(S::Multiply, &[Operand::Array(a.clone()), Operand::Scalar(Weak::Float(factor))]).expect("floats")
}

/// `((x + y) * 2 - x) / y + x * 0.5`: six ops.
fn six_ops(x: &Array, y: &Array) -> Array {
    let left = binary(S::Divide, &binary(S::Subtract, &scaled(&binary(S::Add, x, y), 2.0), x), y);
    binary(S::Add, &left, &scaled(x, 0.5))
}

/// Eight element-wise ops, then the mean along axis 0.
fn chain_and_mean(x: &Array) -> Array {
    let mut value = x.clone();
    for step in 0..4 {
        value = scaled(&binary(S::Add, &value, x), 0.5 + f64::from(step));
    }
    mean(&value, &Axis::List([0].into_iter().collect()), false).expect("axis 0 is there")
}

/// An element-wise chain of thirty ops.
fn thirty_ops(x: &Array, y: &Array) -> Array {
    let mut value = x.clone();
    for _ in 0..5 {
        for op in [S::Add, S::Multiply, S::Maximum, S::Subtract, S::Divide, S::Minimum] {
            value = binary(op, &value, y);
        }
    }
    value
}

/// Fifty steps of an iteration whose count is kept beside it: fifteen ops each.
fn fifty_steps(a: &Array, b: &Array) -> Array {
    let clipped = |x: &Array| {
        let bound = |value| Operand::Scalar(Weak::Float(value));
        clip(x, Some(&bound(-1e3)), Some(&bound(1e3))).expect("floats")
    };
    let near_or_not = [1.0, 0.0].map(|value| full(a.shape.clone(), Weak::Float(value), DType::F32).expect("small"));
    let (mut x, mut y, mut near) = (a.clone(), b.clone(), scaled(a, 0.0));
    for _ in 0..50 {
        let (xx, yy) = (binary(S::Multiply, &x, &x), binary(S::Multiply, &y, &y));
        let limit = Operand::Scalar(Weak::Float(4.0));
        let test = elementwise(S::Less, &[Operand::Array(binary(S::Add, &xx, &yy)), limit]).expect("floats");
        let [one, zero] = near_or_not.each_ref().map(|x| Operand::Array(x.clone()));
        near = binary(S::Add, &near, &where_(&Operand::Array(test), &one, &zero).expect("shapes fit"));
        let product = binary(S::Multiply, &scaled(&x, 2.0), &y);
        x = clipped(&binary(S::Add, &binary(S::Subtract, &xx, &yy), a));
        y = clipped(&binary(S::Add, &product, b));
    }
    near
}

/// The only kernel of a graph, as lowering makes it.
fn kernel_of(graph: &Graph) -> Kernel {
    let optimized = compile::optimize_graph(graph, &mut |_, _| {}).expect("the passes hold their invariants");
    let mut kernels = lower::program(&optimized, Limits::CPU).steps.into_iter().filter_map(|step| match step {
        Step::Launch { kernel, .. } => Some(kernel),
        Step::Product { .. } | Step::Call { .. } => None,
    });
    let kernel = kernels.next().expect("the graph computes something");
    assert!(kernels.next().is_none(), "the graph is one kernel");
    kernel
}

fn main() {
    registry::register(Device::Cpu, Arc::new(CpuBackend::default()));
    let backend = registry::backend(Device::Cpu).expect("it was just registered");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!("| what | median | least |\n|---|---|---|");
    let row = |name: &str, measure: &dyn Fn() -> Times| {
        if name.contains(&wanted) {
            let Times { median, least } = measure();
            println!("| {name} | {} | {} |", readable(median), readable(least));
        }
    };
    let (x, y) = (computed(&[100]), computed(&[100]));
    row("record one op, and drop it", &|| time(|| binary(S::Add, &x, &y)));
    row("record six ops, and drop them", &|| time(|| six_ops(&x, &y)));

    let expression = six_ops(&x, &y);
    let roots = [expression];
    row("capture six ops and encode the key", &|| time(|| capture(&roots, |captured| captured.hash)));
    row("build the captured graph of six ops", &|| capture(&roots, |captured| time(|| captured.graph())).0);
    let plans = PlanCache::new(LIMITS);
    let once = [six_ops(&x, &y)];
    evaluate_on(&**backend, Device::Cpu, &plans, &once, &never).expect("it can be computed");
    let find = |captured: &Capture| plans.find(Device::Cpu, captured.hash, &captured.key).expect("it is there");
    row("find its plan", &|| capture(&roots, |captured| time(|| find(captured))).0);
    row("record and compute six ops on 100 elements, planned", &|| {
        time(|| {
            let roots = [six_ops(&x, &y)];
            evaluate_on(&**backend, Device::Cpu, &plans, &roots, &never).expect("it can be computed");
            roots
        })
    });

    let (graph, _) = graph_of(&[thirty_ops(&x, &y)]);
    let kernel = kernel_of(&graph);
    row("30 ops: graph passes", &|| time(|| compile::optimize_graph(&graph, &mut |_, _| {})));
    row("30 ops: fusion and lowering, after the graph passes", &|| {
        let graph = compile::optimize_graph(&graph, &mut |_, _| {}).expect("the passes hold");
        time(|| lower::program(&graph, Limits::CPU))
    });
    row("30 ops: kernel passes", &|| {
        time_prepared(|| kernel.clone(), |kernel| compile::optimize_kernel(kernel, &mut |_, _| {}))
    });
    // Machine code is made when a phase first runs; the Python figure of a kernel never seen has it.
    row("30 ops: all but machine code, from the captured graph", &|| {
        time(|| {
            let kernel = kernel_of(&graph);
            compile::optimize_kernel(kernel, &mut |_, _| {}).expect("the passes hold")
        })
    });

    let (graph, _) = graph_of(&[fifty_steps(&x, &y)]);
    row("50 steps of 15 ops: graph passes", &|| time(|| compile::optimize_graph(&graph, &mut |_, _| {})));
    row("50 steps of 15 ops: fusion and lowering, after the graph passes", &|| {
        let graph = compile::optimize_graph(&graph, &mut |_, _| {}).expect("the passes hold");
        time(|| lower::program(&graph, Limits::CPU))
    });

    let table = computed(&[1000, 8]);
    row("8 ops and mean(axis=0) on 1000x8, unknown structure", &|| {
        time_prepared(
            || PlanCache::new(LIMITS),
            |plans| {
                let roots = [chain_and_mean(&table)];
                evaluate_on(&**backend, Device::Cpu, &plans, &roots, &never).expect("it can be computed");
                (plans, roots)
            },
        )
    });
    row("8 ops and mean(axis=0) on 1000x8, planned", &|| {
        let plans = PlanCache::new(LIMITS);
        time(|| {
            let roots = [chain_and_mean(&table)];
            evaluate_on(&**backend, Device::Cpu, &plans, &roots, &never).expect("it can be computed");
            roots
        })
    });
}

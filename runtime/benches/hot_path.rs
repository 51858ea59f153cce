//! What the runtime adds to a small computation: a pool allocation, finding a plan, running a plan of one kernel that does
//! nothing. `cargo bench -p fusewire-runtime`.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{ProgramBuilder, buffer, compile_with, elementwise, never};
use fusewire_ir::{
    build::{self, Operand},
    capture::{capture, graph_of},
    dtype::DType,
    fusion::cost::Limits,
    lazy::{Device, Lazy},
    ops::ScalarOp,
    promote::Weak,
    scalar::Scalar,
    value::{Buffer, Storage},
};
use fusewire_lowering::{
    kernel::Kernel,
    lower,
    program::{ArrayId, Step},
};
use fusewire_runtime::{
    backend::{Backend, Executable, Launch, LibraryCall, MatrixProduct},
    cache::{LIMITS, PlanCache},
    compile,
    error::Error,
    plan::Plan,
    pool,
};
use std::{any::Any, hint::black_box, sync::Arc, time::Instant};

struct Idle;

impl Executable for Idle {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        100
    }
}

impl Backend for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }
    fn compile(&self, _: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        Ok(Arc::new(Idle))
    }
    fn explain(&self, _: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        Ok(Vec::new())
    }
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        pool::allocate(bytes)
    }
    fn launch(&self, _: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        black_box(launch.ints);
        Ok(())
    }
    fn matrix_product(&self, _: &MatrixProduct<'_>) -> Result<(), Error> {
        Ok(())
    }
    fn call(&self, _: &LibraryCall<'_>) -> Result<(), Error> {
        Ok(())
    }
}

fn measure(name: &str, call: impl FnMut()) {
    measure_calls(20_000, name, call);
}

fn measure_slow(name: &str, call: impl FnMut()) {
    measure_calls(500, name, call);
}

/// The best of several runs, in nanoseconds a call.
fn measure_calls(calls: u32, name: &str, mut call: impl FnMut()) {
    let best = (0..20)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed().as_nanos() as f64 / calls as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:<44} {best:8.1} ns");
}

/// `a * 2 + b - 1 ...`: six recorded calls.
fn recorded(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Arc<Lazy> {
    let call = |op, x: &Arc<Lazy>, y: Operand| build::elementwise(op, &[Operand::Array(x.clone()), y]).unwrap();
    let scalar = |value| Operand::Scalar(Weak::Float(value));
    let x = call(ScalarOp::Multiply, a, scalar(2.0));
    let x = call(ScalarOp::Add, &x, Operand::Array(b.clone()));
    let x = call(ScalarOp::Subtract, &x, scalar(1.0));
    let x = call(ScalarOp::Multiply, &x, Operand::Array(a.clone()));
    let x = call(ScalarOp::Maximum, &x, scalar(0.5));
    call(ScalarOp::Add, &x, Operand::Array(b.clone()))
}

fn main() {
    measure("allocate and free 400 bytes", || drop(black_box(pool::allocate(400))));
    measure("allocate and free 1 MB", || drop(black_box(pool::allocate(1_000_000))));

    let mut builder = ProgramBuilder::new(2);
    let sum = builder.launch(elementwise(ScalarOp::Add, 2, false), &[ArrayId(0), ArrayId(1)], &[]);
    builder.result(sum);
    let plan = Arc::new(Plan::build(builder.program, &mut compile_with(&Idle)).unwrap());
    let (a, b) = (buffer(&[1.0; 50]), buffer(&[1.0; 50]));
    measure("run a plan of one kernel", || {
        black_box(plan.run(&[50], &[Scalar::f64(1.0)], &[&a, &b], &Idle, &never)).unwrap();
    });

    let lazy = |buffer: &Buffer| Lazy::computed(buffer.clone(), DType::F64, [50].as_slice().into(), Device::Cpu);
    let (lazy_a, lazy_b) = (lazy(&a), lazy(&b));
    measure("record six calls", || drop(black_box(recorded(&lazy_a, &lazy_b))));
    measure("record and capture six calls", || {
        drop(black_box(capture(&[recorded(&lazy_a, &lazy_b)], |captured| captured.hash)))
    });

    let roots = [recorded(&lazy_a, &lazy_b)];
    let (graph, _) = graph_of(&roots);
    let optimized = compile::optimize_graph(&graph, &mut |_, _| ()).unwrap();
    let program = lower::program(&optimized, Limits::CPU);
    let kernel = program.steps.iter().find_map(|step| match step {
        Step::Launch { kernel, .. } => Some(kernel.clone()),
        Step::Product { .. } | Step::Call { .. } => None,
    });
    let kernel = kernel.unwrap();
    measure_slow("plan: capture and graph", || drop(black_box(graph_of(&roots))));
    measure_slow("plan: graph passes", || drop(compile::optimize_graph(black_box(&graph), &mut |_, _| ())));
    measure_slow("plan: fusion and lowering", || drop(black_box(lower::program(&optimized, Limits::CPU))));
    measure_slow("plan: kernel passes", || drop(compile::optimize_kernel(black_box(kernel.clone()), &mut |_, _| ())));
    measure_slow("plan: the plan itself", || drop(Plan::build(program.clone(), &mut compile_with(&Idle))));

    let cache = PlanCache::new(LIMITS);
    let key = |number: u32| -> Vec<u32> { (0..60).map(|word| word * 7 + number).collect() };
    for number in 0..500 {
        cache.insert(Device::Cpu, number as u64, key(number).into(), plan.clone());
    }
    let wanted = key(321);
    measure("find one of 500 plans by a key of 60 words", || {
        black_box(cache.find(Device::Cpu, 321, black_box(&wanted))).unwrap();
    });
    let mut number = 500;
    measure("insert into a full cache", || {
        number += 1;
        cache.insert(Device::Cpu, number as u64, key(number).into(), plan.clone());
    });
}

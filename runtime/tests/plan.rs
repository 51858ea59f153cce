//! Plans of hand-made programs: lifetimes, reuse in place, views, products, temporaries, failure and interruption.
//! Counters and pool figures are the process's, so the tests take turns.

mod common;

use common::{ProgramBuilder, TestBackend, buffer, compile_with, elements, elementwise, never, sym};
use fusewire_ir::{
    dtype::DType,
    ops::ScalarOp,
    scalar::Scalar,
    shape::{Dim, SymId},
    value::Buffer,
};
use fusewire_lowering::{
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Phase, Role, Stmt, Value, ValueId,
        VarId,
    },
    program::{Argument, ArrayId, Program, Step, StridedView},
};
use fusewire_runtime::{counters, error::Error, plan::Plan, pool};
use smallvec::smallvec;
use std::{
    cell::Cell,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
};

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plan(program: Program) -> Plan {
    Plan::build(program, &mut compile_with(&TestBackend::default())).unwrap()
}

fn run(plan: &Plan, symbols: &[i64], params: &[f64], inputs: &[&Buffer]) -> Vec<Buffer> {
    let params: Vec<Scalar> = params.iter().map(|&p| Scalar::f64(p)).collect();
    plan.run(symbols, &params, inputs, &TestBackend::default(), &never).unwrap().into_vec()
}

/// `x * p0`, then so many times `+ x`.
fn chain(length: usize) -> ProgramBuilder {
    let mut builder = ProgramBuilder::new(1);
    let mut last = builder.launch(elementwise(ScalarOp::Multiply, 1, false), &[ArrayId(0)], &[0]);
    for _ in 0..length {
        last = builder.launch(elementwise(ScalarOp::Add, 2, false), &[last, ArrayId(0)], &[]);
    }
    builder.result(last);
    builder
}

#[test]
fn one_plan_serves_every_size_and_parameter() {
    let _turn = turn();
    let plan = plan(chain(1).program);
    for content in [vec![1.0, 2.0, 3.0], vec![5.0; 1000]] {
        for factor in [2.0, -0.5] {
            let results = run(&plan, &[content.len() as i64], &[factor], &[&buffer(&content)]);
            let expected: Vec<f64> = content.iter().map(|x| x * factor + x).collect();
            assert_eq!(elements(&results[0], &[content.len()]), expected);
        }
    }
}

#[test]
fn inputs_may_have_any_strides() {
    let _turn = turn();
    let plan = plan(chain(1).program);
    let mut backwards = buffer(&[1.0, 0.0, 2.0, 0.0, 3.0]);
    backwards.offset = 32;
    backwards.strides[0] = -2;
    let results = run(&plan, &[3], &[10.0], &[&backwards]);
    assert_eq!(elements(&results[0], &[3]), [33.0, 22.0, 11.0]);
    let mut repeated = buffer(&[7.0]);
    repeated.strides[0] = 0;
    assert_eq!(elements(&run(&plan, &[4], &[0.0], &[&repeated])[0], &[4]), [7.0; 4]);
}

#[test]
fn dying_operands_are_overwritten_where_each_element_is_its_own() {
    let _turn = turn();
    let plan = plan(chain(5).program);
    let before = counters::BUFFERS_REUSED_IN_PLACE.get();
    let results = run(&plan, &[4], &[2.0], &[&buffer(&[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(elements(&results[0], &[4]), [7.0, 14.0, 21.0, 28.0]);
    assert_eq!(counters::BUFFERS_REUSED_IN_PLACE.get() - before, 5);
}

#[test]
fn operands_read_elsewhere_are_not_overwritten() {
    let _turn = turn();
    let mut builder = ProgramBuilder::new(1);
    let doubled = builder.launch(elementwise(ScalarOp::Add, 2, false), &[ArrayId(0), ArrayId(0)], &[]);
    let reversed = builder.launch(elementwise(ScalarOp::Negative, 1, true), &[doubled], &[]);
    builder.result(reversed);
    let plan = plan(builder.program);
    let before = counters::BUFFERS_REUSED_IN_PLACE.get();
    let results = run(&plan, &[3], &[], &[&buffer(&[1.0, 2.0, 3.0])]);
    assert_eq!(elements(&results[0], &[3]), [-6.0, -4.0, -2.0]);
    assert_eq!(counters::BUFFERS_REUSED_IN_PLACE.get(), before);
}

#[test]
fn what_is_needed_later_is_not_overwritten() {
    let _turn = turn();
    let mut builder = ProgramBuilder::new(1);
    let doubled = builder.launch(elementwise(ScalarOp::Add, 2, false), &[ArrayId(0), ArrayId(0)], &[]);
    let negated = builder.launch(elementwise(ScalarOp::Negative, 1, false), &[doubled], &[]);
    let product = builder.launch(elementwise(ScalarOp::Multiply, 2, false), &[doubled, negated], &[]);
    builder.result(doubled);
    builder.result(product);
    let input = buffer(&[1.0, 2.0, 3.0]);
    let results = run(&plan(builder.program), &[3], &[], &[&input]);
    assert_eq!(elements(&results[0], &[3]), [2.0, 4.0, 6.0]);
    assert_eq!(elements(&results[1], &[3]), [-4.0, -16.0, -36.0]);
    assert_eq!(elements(&input, &[3]), [1.0, 2.0, 3.0]);
}

#[test]
fn the_peak_of_a_long_chain_is_bounded() {
    let _turn = turn();
    // Reversed reading forbids reuse in place: two arrays must be alive at once, but never a third.
    let mut builder = ProgramBuilder::new(1);
    let mut last = ArrayId(0);
    for _ in 0..40 {
        last = builder.launch(elementwise(ScalarOp::Negative, 1, true), &[last], &[]);
    }
    builder.result(last);
    let plan = plan(builder.program);
    let n = 20_000;
    let input = buffer(&vec![1.0; n]);
    pool::reset_peak();
    let before = pool::figures().allocated;
    let results = run(&plan, &[n as i64], &[], &[&input]);
    let bytes = n * 8;
    let peak = pool::figures().peak - before;
    assert!(peak >= 2 * bytes && peak < 5 * bytes / 2, "{peak} bytes for arrays of {bytes}");
    assert_eq!(elements(&results[0], &[n])[0], 1.0);
    drop(results);
    assert_eq!(pool::figures().allocated, before);
}

#[test]
fn results_are_views_that_share_storage() {
    let _turn = turn();
    let mut builder = ProgramBuilder::new(1);
    let negated = builder.launch(elementwise(ScalarOp::Negative, 1, false), &[ArrayId(0)], &[]);
    // ints: 1: n, 2: 1, 3: n - 1, 4: -1
    let ints = [IntExpr::Sym(SymId(0)), IntExpr::Const(1), IntExpr::Sub(IntId(1), IntId(2)), IntExpr::Const(-1)];
    builder.program.ints.extend(ints);
    let flipped =
        |array| StridedView { array, shape: smallvec![sym(0)], offset: Some(IntId(3)), strides: vec![IntId(4)] };
    builder.program.results.extend([flipped(negated), flipped(ArrayId(0))]);
    builder.result(negated);
    let input = buffer(&[1.0, 2.0, 3.0]);
    let results = run(&plan(builder.program), &[3], &[], &[&input]);
    assert_eq!(elements(&results[0], &[3]), [-3.0, -2.0, -1.0]);
    assert_eq!(elements(&results[1], &[3]), [3.0, 2.0, 1.0]);
    assert_eq!(elements(&results[2], &[3]), [-1.0, -2.0, -3.0]);
    assert_eq!(results[0].storage.pointer(), results[2].storage.pointer());
    assert_eq!(results[1].storage.pointer(), input.storage.pointer());
}

/// `[b, m, k] x [m-less ...]`: the right operand is one matrix for the whole batch.
#[test]
fn products_walk_their_batch_with_strides_of_zero() {
    let _turn = turn();
    let (b, m, k, n) = (sym(0), sym(1), sym(2), sym(3));
    let mut builder = ProgramBuilder::new(2);
    builder.program.arrays[0].shape = smallvec![b, m, k];
    builder.program.arrays[1].shape = smallvec![k, n];
    let destination = builder.array(smallvec![b, m, n]);
    let stride = |buffer, axis| IntExpr::Stride { buffer: BufferId(buffer), axis };
    // 1, 2, 3: strides of the left; 4, 5: of the right; 6: 0; 7, 8: of the destination.
    builder.program.ints.extend([
        stride(0, 0),
        stride(0, 1),
        stride(0, 2),
        stride(1, 0),
        stride(1, 1),
        IntExpr::Const(0),
        stride(2, 0),
        stride(2, 1),
    ]);
    let ids = |ids: [u32; 3]| ids.map(IntId).to_vec();
    builder.program.steps.push(Step::Product {
        left: StridedView { array: ArrayId(0), shape: smallvec![b, m, k], offset: None, strides: ids([1, 2, 3]) },
        right: StridedView { array: ArrayId(1), shape: smallvec![b, k, n], offset: None, strides: ids([6, 4, 5]) },
        row: None,
        destination,
    });
    let shape = smallvec![b, m, n];
    builder.program.results.push(StridedView { array: destination, shape, offset: None, strides: ids([7, 8, 0]) });
    let plan = plan(builder.program);
    let (b, m, k, n) = (3, 2, 4, 5);
    let left_content: Vec<f64> = (0..b * m * k).map(|i| i as f64).collect();
    let right_content: Vec<f64> = (0..k * n).map(|i| (i * i % 7) as f64).collect();
    let left = Buffer::dense(buffer(&left_content).storage, &[b, m, k]);
    // Column-major.
    let mut right = Buffer::dense(buffer(&right_content).storage, &[k, n]);
    right.strides = smallvec![1, k as isize];
    let symbols = [b, m, k, n].map(|d| d as i64);
    let results = run(&plan, &symbols, &[], &[&left, &right]);
    let got = elements(&results[0], &[b, m, n]);
    for (number, value) in got.iter().enumerate() {
        let (batch, row, column) = (number / (m * n), number / n % m, number % n);
        let term = |i: usize| left_content[(batch * m + row) * k + i] * right_content[column * k + i];
        assert_eq!(*value, (0..k).map(term).sum::<f64>());
    }
    let empty = run(&plan, &[0, 2, 4, 5], &[], &[&left, &right]);
    assert!(elements(&empty[0], &[0, 2, 5]).is_empty());
}

/// Two phases: negate into a temporary, then read that backwards into the output; and a scratch buffer that only stands there.
fn two_phases() -> Kernel {
    let forwards = Affine { offset: None, terms: smallvec![(VarId(0), Coefficient::Const(1))] };
    let backwards = Affine { offset: Some(IntId(2)), terms: smallvec![(VarId(1), Coefficient::Const(-1))] };
    let second = Affine { offset: None, terms: smallvec![(VarId(1), Coefficient::Const(1))] };
    let value = |inst| Value { inst, dtype: DType::F64 };
    let decl = |role, length| BufferDecl { dtype: DType::F64, role, length };
    Kernel {
        name: "two phases".into(),
        buffers: vec![
            decl(Role::Input, None),
            decl(Role::Temporary, Some(IntId(0))),
            decl(Role::Scratch, Some(IntId(1))),
            decl(Role::Output, Some(IntId(0))),
        ],
        params: vec![],
        ints: vec![IntExpr::Sym(SymId(0)), IntExpr::Const(1), IntExpr::Sub(IntId(0), IntId(1))],
        values: vec![
            value(Inst::Load { buffer: BufferId(0), at: forwards.clone() }),
            value(Inst::Op(ScalarOp::Negative, smallvec![ValueId(0)])),
            value(Inst::Load { buffer: BufferId(1), at: backwards }),
        ],
        vars: 2,
        phases: vec![
            Phase {
                dims: vec![(VarId(0), IntId(0))],
                body: vec![
                    Stmt::Let(ValueId(0)),
                    Stmt::Let(ValueId(1)),
                    Stmt::Store { buffer: BufferId(1), at: forwards, value: ValueId(1) },
                ],
            },
            Phase {
                dims: vec![(VarId(1), IntId(0))],
                body: vec![Stmt::Let(ValueId(2)), Stmt::Store { buffer: BufferId(3), at: second, value: ValueId(2) }],
            },
        ],
    }
}

#[test]
fn temporaries_live_for_one_launch() {
    let _turn = turn();
    let mut builder = ProgramBuilder::new(1);
    let result = builder.array(smallvec![sym(0)]);
    let arguments = vec![Argument::Array(ArrayId(0)), Argument::Temporary, Argument::Scratch, Argument::Array(result)];
    builder.program.steps.push(Step::Launch { kernel: two_phases(), arguments, params: vec![] });
    builder.result(result);
    let plan = plan(builder.program);
    let input = buffer(&[1.0, 2.0, 3.0]);
    let before = pool::figures().allocated;
    let results = run(&plan, &[3], &[], &[&input]);
    assert_eq!(elements(&results[0], &[3]), [-3.0, -2.0, -1.0]);
    drop(results);
    assert_eq!(pool::figures().allocated, before);
}

#[test]
fn a_failed_allocation_frees_everything_and_the_plan_stays_usable() {
    let _turn = turn();
    let mut builder = chain(3);
    let held = builder.launch(elementwise(ScalarOp::Negative, 1, true), &[ArrayId(1)], &[]);
    builder.result(held);
    let plan = plan(builder.program);
    let input = buffer(&[1.0, 2.0]);
    let before = pool::figures().allocated;
    let mut failures = 0;
    for allowed in 0.. {
        let backend = TestBackend { allocations_left: Some(AtomicI64::new(allowed)), ..TestBackend::default() };
        match plan.run(&[2], &[Scalar::f64(3.0)], &[&input], &backend, &never) {
            Err(error) => {
                assert_eq!(error, Error::OutOfMemory { bytes: 16 });
                assert_eq!(pool::figures().allocated, before);
                failures += 1;
            }
            Ok(results) => {
                assert_eq!(elements(&results[1], &[2]), [-6.0, -3.0]);
                break;
            }
        }
    }
    assert!(failures >= 2);
}

#[test]
fn sizes_that_overflow_are_out_of_memory() {
    let _turn = turn();
    let plan = plan(chain(0).program);
    let huge = i64::MAX / 4;
    let error = plan.run(&[huge], &[Scalar::f64(3.0)], &[&buffer(&[1.0])], &TestBackend::default(), &never);
    assert!(matches!(error, Err(Error::OutOfMemory { .. })));
}

#[test]
fn interruption_is_asked_between_steps() {
    let _turn = turn();
    let plan = plan(chain(10).program);
    let input = buffer(&[1.0, 2.0]);
    let before = pool::figures().allocated;
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() > 7
    };
    let result = plan.run(&[2], &[Scalar::f64(3.0)], &[&input], &TestBackend::default(), &interrupted);
    assert_eq!(result.err(), Some(Error::Interrupted));
    assert_eq!(asked.get(), 8);
    assert_eq!(pool::figures().allocated, before);
}

#[test]
fn traffic_counts_what_launches_read_and_write() {
    let _turn = turn();
    let plan = plan(chain(1).program);
    let before = counters::BYTES_MOVED.get();
    run(&plan, &[100], &[1.0], &[&buffer(&[1.0; 100])]);
    assert_eq!(counters::BYTES_MOVED.get() - before, 100 * 8 * (2 + 3));
}

#[test]
fn programs_that_make_no_sense_are_internal_errors() {
    let build =
        |builder: ProgramBuilder| Plan::build(builder.program, &mut compile_with(&TestBackend::default())).err();
    let mut unwritten = ProgramBuilder::new(1);
    let array = unwritten.array(smallvec![Dim::One]);
    unwritten.result(array);
    assert!(matches!(build(unwritten), Some(Error::Internal(_))));
    let mut few = ProgramBuilder::new(1);
    few.launch(elementwise(ScalarOp::Add, 2, false), &[ArrayId(0)], &[]);
    assert!(matches!(build(few), Some(Error::Internal(_))));
}

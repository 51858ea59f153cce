//! Structures that there is no plan of, on little data: computed one op after another, each by the plan of that op alone.
//! Programs have few different ops, so those plans exist soon, and a structure that was never seen before costs
//! microseconds. A structure that comes back so often that compiling it would have cost no more is compiled as a whole.
//!
//! What a step is, and which structures have the same bits either way, is known in `fusewire_ir::capture`; here is decided
//! what pays, and the steps are run. Invariant: the arrays that are filled, and their bits, are those of the whole plan.

use crate::{
    backend::Backend,
    cache::PlanCache,
    counters,
    error::Error,
    evaluate::{evaluate_on, run_plan},
    plan::Plan,
};
use fusewire_ir::{
    capture::{Capture, Values},
    lazy::Device,
};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::{slice, sync::Arc};

/// How a structure without a plan is computed. The bits are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstRun {
    /// Whichever should cost less.
    Auto,
    /// Compiled.
    Compiled,
    /// One op after another wherever that gives the same bits, however often the structure comes back.
    OpByOp,
}

impl FirstRun {
    /// Each of them with its name.
    pub const ALL: [(&str, FirstRun); 3] =
        [("auto", FirstRun::Auto), ("compiled", FirstRun::Compiled), ("op-by-op", FirstRun::OpByOp)];
}

/// What compiling takes, in us: so much, so much more for each op, and so much again for a maths function or a reduction.
const COMPILE: u64 = 90;
const COMPILE_OP: u64 = 20;
const COMPILE_LONG: u64 = 150;

/// What an op by itself takes longer than as a part of a kernel, in ns: its launch, and its result going through memory.
const LAUNCH: u64 = 500;
const BYTES_OF_A_NANOSECOND: u64 = 8;

/// An op with its operands.
pub(crate) struct Step {
    /// `None`: there is none yet.
    plan: Option<Arc<Plan>>,
    values: Values,
}

/// The steps of a captured graph that has no plan, if it is to be computed by steps.
///
/// What going by steps costs beyond the compiled structure is noted; once that is what compiling costs, the structure is compiled. On
/// much data that is at once. The plans of ops that are still missing serve later structures too, so each time that an op
/// is wanted, a smaller part of what its plan costs is held against the structure at hand: the first structures of a process
/// are compiled, soon none is. So the cost stays within a small factor of the better choice, whatever comes.
pub(crate) fn steps_of(captured: &Capture<'_>, device: Device, plans: &PlanCache) -> Option<Vec<Step>> {
    let mode = plans.first_run();
    if mode == FirstRun::Compiled || device != Device::Cpu {
        return None;
    }
    let steps = captured.steps().filter(|steps| steps.ops > 1)?;
    let whole = COMPILE + COMPILE_OP * steps.ops as u64 + COMPILE_LONG * steps.long as u64;
    let beyond = (LAUNCH * steps.ops as u64 + steps.bytes as u64 / BYTES_OF_A_NANOSECOND) / 1000;
    if mode == FirstRun::Auto && plans.note(captured.hash, beyond) + beyond > whole {
        return None;
    }
    let mut list: Vec<Step> = Vec::with_capacity(steps.len());
    let mut missing: FxHashSet<u64> = FxHashSet::default();
    let mut cost = 0;
    captured.for_each_step(&steps, &mut |step, long| {
        let plan = plans.find(device, step.hash, &step.key);
        if plan.is_none() && missing.insert(step.hash) {
            cost += (COMPILE + COMPILE_OP + COMPILE_LONG * u64::from(long)) / (1 + plans.note(step.hash, 1));
        }
        list.push(Step { plan, values: std::mem::take(&mut step.values) });
    });
    (mode == FirstRun::OpByOp || cost + beyond <= whole).then_some(list)
}

/// Computes the steps.
pub(crate) fn run(
    steps: Vec<Step>,
    backend: &dyn Backend,
    device: Device,
    plans: &PlanCache,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), Error> {
    counters::GRAPHS_OP_BY_OP.add(1);
    // Plans were looked for as if results were dense. They are, but for those that are views of an operand.
    let mut dense = true;
    // What a step was for is freed with the step, if nobody else needs it.
    for Step { plan, values } in steps {
        if interrupted() {
            return Err(Error::Interrupted);
        }
        let outputs: SmallVec<[_; 1]> = values.outputs.iter().cloned().collect();
        match plan {
            Some(plan) if dense => run_plan(&plan, &values, backend, device, plans, interrupted)?,
            Some(_) | None => {
                for node in outputs.iter().filter(|node| node.buffer().is_none()) {
                    evaluate_on(backend, device, plans, slice::from_ref(node), interrupted)?;
                }
            }
        }
        dense &= outputs.iter().all(|node| node.buffer().is_some_and(|b| b.is_contiguous(&node.shape)));
    }
    Ok(())
}

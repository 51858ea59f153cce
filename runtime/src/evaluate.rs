//! From roots that somebody wants to filled slots: capture, find or build the plan, run it; or go op by op (`op_by_op.rs`).
//!
//! Invariants: an error leaves every array as it was, but for those that were computed before it op by op; what has a buffer is
//! never computed again.

use crate::{
    backend::Backend,
    cache::PlanCache,
    compile, counters,
    error::Error,
    op_by_op::{self, Step},
    plan::Plan,
    positions, registry, reserve, transfer,
};
use fusewire_ir::{
    build,
    capture::{Capture, Pick, Values, capture},
    graph::Graph,
    lazy::{Device, Lazy},
    value::Buffer,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Computes the roots (and what else of their graph somebody still holds). Those that are computed cost nothing.
/// `interrupted` is asked now and then; true ends with [`Error::Interrupted`].
pub fn evaluate(roots: &[Arc<Lazy>], interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
    // The common case needs no list of its own: nothing is computed yet, all on one device.
    if let Some(device) = roots.first().map(|r| device_of(r))
        && roots.iter().all(|r| r.buffer().is_none() && device_of(r) == device)
    {
        return evaluate_on(&**registry::backend(device)?, device, &crate::cache::PLANS, roots, interrupted);
    }
    let mut rest: SmallVec<[Arc<Lazy>; 4]> = roots.iter().filter(|root| root.buffer().is_none()).cloned().collect();
    while let Some(first) = rest.first() {
        // A graph lives on one device; roots of several devices are several graphs.
        let device = device_of(first);
        let (here, elsewhere): (SmallVec<[_; 4]>, SmallVec<[_; 4]>) =
            rest.into_iter().partition(|r| device_of(r) == device);
        let backend = registry::backend(device)?;
        evaluate_on(&**backend, device, &crate::cache::PLANS, &here, interrupted)?;
        rest = elsewhere;
    }
    Ok(())
}

/// Numbers and indices that nobody has put anywhere are computed by the host.
fn device_of(node: &Lazy) -> Device {
    node.device.unwrap_or(Device::Cpu)
}

/// As [`evaluate`], on one device, with a back end and a cache of the caller's choice. No root has a buffer.
pub fn evaluate_on(
    backend: &dyn Backend,
    device: Device,
    plans: &PlanCache,
    roots: &[Arc<Lazy>],
    interrupted: &dyn Fn() -> bool,
) -> Result<(), Error> {
    reserve::hold()?;
    let (found, values) = capture(roots, |captured| {
        plans.find(device, captured.hash, &captured.key).ok_or_else(|| Unplanned::of(captured, device, plans))
    });
    counters::GRAPHS_CAPTURED.add(1);
    let plan = match found {
        Ok(plan) => {
            counters::PLAN_HITS.add(1);
            plan
        }
        Err(Unplanned::Steps(steps)) => {
            drop(values);
            return op_by_op::run(steps, backend, device, plans, interrupted);
        }
        Err(Unplanned::Whole(unknown)) => {
            counters::PLAN_MISSES.add(1);
            unknown.plan(backend, device, plans, interrupted)?
        }
    };
    run_plan(&plan, &values, backend, device, plans, interrupted)
}

/// A captured graph without a plan.
enum Unplanned {
    /// To be computed op by op.
    Steps(Vec<Step>),
    /// To be compiled.
    Whole(Box<Unknown>),
}

impl Unplanned {
    #[cold]
    fn of(captured: &Capture<'_>, device: Device, plans: &PlanCache) -> Unplanned {
        match op_by_op::steps_of(captured, device, plans) {
            Some(steps) => Unplanned::Steps(steps),
            None => Unplanned::Whole(Box::new(Unknown::of(captured))),
        }
    }
}

/// Runs a plan, and fills the outputs.
#[inline]
pub(crate) fn run_plan(
    plan: &Plan,
    values: &Values,
    backend: &dyn Backend,
    device: Device,
    plans: &PlanCache,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let moved = moved(&values.inputs, device)?;
    let nodes = if moved.is_empty() { &values.inputs[..] } else { &moved[..] };
    let pairs: Vec<Buffer> = nodes.iter().filter_map(|input| pair(input)).collect();
    let mut unused = pairs.iter();
    let inputs: SmallVec<[&Buffer; 8]> = nodes
        .iter()
        .filter_map(|input| if input.dtype.is_complex() { unused.next() } else { input.buffer() })
        .collect();
    debug_assert_eq!(inputs.len(), values.inputs.len(), "inputs have buffers");
    let results = match plan.run(&values.symbols, &values.params, &inputs, backend, interrupted) {
        Err(Error::OutOfBounds(_)) => return Err(out_of_bounds(backend, device, plans, &values.outputs, interrupted)),
        results => results?,
    };
    debug_assert_eq!(results.len(), values.outputs.len(), "a result a root");
    for (output, result) in values.outputs.iter().zip(results) {
        output.fill(if output.dtype.is_complex() { unpaired(result)? } else { result });
    }
    Ok(())
}

/// The inputs on a device, where some are elsewhere: numbers and indices that the host has computed by themselves. (That arrays
/// meet their like only is checked when a call is recorded.)
fn moved(inputs: &[Arc<Lazy>], device: Device) -> Result<Vec<Arc<Lazy>>, Error> {
    let here = |node: &Arc<Lazy>| node.buffer().is_none_or(|buffer| buffer.storage.device() == device);
    if inputs.iter().all(here) {
        return Ok(Vec::new());
    }
    inputs.iter().map(|input| transfer::to_device(input, device)).collect()
}

/// The memory of a complex array as plans see it: of the parts, with an axis more. `None` for real arrays.
fn pair(node: &Lazy) -> Option<Buffer> {
    let buffer = node.buffer().filter(|_| node.dtype.is_complex())?;
    let strides = buffer.strides.iter().map(|stride| stride * 2).chain([1]).collect();
    Some(Buffer { storage: buffer.storage.clone(), offset: buffer.offset, strides })
}

/// The inverse of [`pair`].
fn unpaired(mut buffer: Buffer) -> Result<Buffer, Error> {
    if buffer.strides.pop() != Some(1) || buffer.strides.iter().any(|stride| stride % 2 != 0) {
        return Err(Error::Internal("the parts of complex numbers do not lie side by side".into()));
    }
    buffer.strides.iter_mut().for_each(|stride| *stride /= 2);
    Ok(buffer)
}

/// A captured graph that has no plan yet.
struct Unknown {
    hash: u64,
    key: Box<[u32]>,
    graph: Graph,
}

impl Unknown {
    fn of(captured: &Capture) -> Unknown {
        Unknown { hash: captured.hash, key: captured.key.as_slice().into(), graph: captured.graph() }
    }

    fn plan(
        self,
        backend: &dyn Backend,
        device: Device,
        plans: &PlanCache,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Arc<Plan>, Error> {
        let program = compile::program(&self.graph, backend.limits(), interrupted)?;
        let plan = Plan::build(program, &mut |kernel| match interrupted() {
            true => Err(Error::Interrupted),
            false => plans.compile(device, backend, kernel),
        })?;
        Ok(plans.insert(device, self.hash, self.key, Arc::new(plan)))
    }
}

/// What to say when a kernel met an index outside its axis: the first such index of the first such gather. The indices are
/// computed by themselves for that; kernels only say that there is one.
fn out_of_bounds(
    backend: &dyn Backend,
    device: Device,
    plans: &PlanCache,
    roots: &[Arc<Lazy>],
    interrupted: &dyn Fn() -> bool,
) -> Error {
    let (picks, _) = capture(roots, |captured| captured.picks());
    for Pick { index, axis, extent } in picks {
        if index.buffer().is_none()
            && let Err(error) = evaluate_on(backend, device, plans, std::slice::from_ref(&index), interrupted)
        {
            return error;
        }
        if let Some(outside) = positions::first_outside(&index, extent) {
            return Error::OutOfBounds(build::out_of_bounds(outside, axis, extent));
        }
    }
    // Memory that others write to has changed meanwhile.
    Error::OutOfBounds("an index was out of bounds".into())
}

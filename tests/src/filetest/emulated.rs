//! What stands in filetests on the emulator of a GPU: graphs and kernels give the interpreter's bits there, on random values. This
//! looks at no directive of a file but its settings; texts that are wrong on purpose are nothing to run.

use super::{
    Case,
    kernels::{Drawn, draw},
    values::random_binding,
};
use crate::{
    engine,
    memory::{Arrangement, array, tensor},
    oracle::disagreement,
};
use fusewire_ir::{
    graph::Graph,
    interp::{self, Binding, Tensor},
    lazy::{Device, Lazy},
    scalar::Scalar,
    text::parse::parse,
    value::{Buffer, Storage},
    verify,
};
use fusewire_lowering::{
    interp::{TypedBuffer, allocate, run},
    ints::evaluate_ints,
    kernel::{Kernel, Role},
    pass, text,
    verify::{verify as verify_kernel, verify_lowered},
};
use fusewire_runtime::{
    backend::{Backend, Launch},
    cache::{LIMITS, PlanCache},
    compile,
    error::Error,
    interpreter::Interpreter,
    plan::Plan,
    registry,
    transfer::to_device,
};
use std::{path::Path, sync::Arc};

/// How many random bindings each file is run on.
const SEEDS: u64 = 2;

/// Runs what stands in a file on the emulator; false where there is nothing to run.
pub fn run_emulated(path: &Path) -> Result<bool, String> {
    engine::start();
    let emulator = &**registry::backend(Device::Simt).map_err(|e| e.to_string())?;
    let file = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let case = Case::parse(&file)?;
    match (parse(&file), text::parse(&file)) {
        (Ok(graph), _) if verify::verify(&graph).is_ok() => graph_agrees(emulator, &graph, &case),
        (_, Ok(kernel)) if verify_kernel(&kernel).is_ok() => kernel_agrees(emulator, kernel, &case),
        _ => Ok(false),
    }
}

fn graph_agrees(emulator: &dyn Backend, graph: &Graph, case: &Case<'_>) -> Result<bool, String> {
    for seed in 0..SEEDS {
        // Some graphs are refused with any sizes, and some with the values that were drawn. Else this says what shapes the results have.
        let Ok(binding) = random_binding(graph, &case.settings, seed) else { return Ok(false) };
        let Ok(shapes) = interp::evaluate(graph, &binding) else { continue };
        let on = |backend, device| results(backend, device, graph, &binding, &shapes);
        let (wanted, found) = (on(&Interpreter, Device::Cpu), on(emulator, Device::Simt));
        let (wanted, found) = (wanted.map_err(|e| e.to_string())?, found.map_err(|e| e.to_string())?);
        for (number, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            if let Some(difference) = disagreement(found, wanted, 0) {
                return Err(format!("result {number}, {difference}, with seed {seed}"));
            }
        }
    }
    Ok(true)
}

/// What a device makes of a graph.
fn results(
    backend: &dyn Backend,
    device: Device,
    graph: &Graph,
    binding: &Binding,
    shapes: &[Tensor],
) -> Result<Vec<Tensor>, Error> {
    let plans = PlanCache::new(LIMITS);
    let program = compile::program(graph, backend.limits(), &|| false)?;
    let plan = Plan::build(program, &mut |kernel| plans.compile(device, backend, kernel))?;
    let input = |tensor: &Tensor| {
        let elements: Vec<Scalar> = tensor.array.iter().copied().collect();
        let here = array(tensor.dtype, tensor.array.shape(), &elements, Arrangement::Dense);
        to_device(&here, device)
    };
    let inputs = binding.inputs.iter().map(input).collect::<Result<Vec<_>, _>>()?;
    let buffers: Vec<&Buffer> = inputs.iter().filter_map(|input| input.buffer()).collect();
    let results = plan.run(&binding.symbols, &binding.params, &buffers, backend, &|| false)?;
    let result = |(buffer, shape): (Buffer, &Tensor)| {
        tensor(&Lazy::computed(buffer, shape.dtype, shape.array.shape().into(), device))
    };
    Ok(results.into_iter().zip(shapes).map(result).collect())
}

fn kernel_agrees(emulator: &dyn Backend, mut kernel: Kernel, case: &Case<'_>) -> Result<bool, String> {
    if verify_lowered(&kernel).is_err() {
        pass::run_pipeline(&mut kernel, false, &mut |_, _| ())?;
    }
    for seed in 0..SEEDS {
        let Drawn { symbols, inputs, params } = draw(&kernel, &case.settings, seed)?;
        let start = allocate(&kernel, &inputs, &symbols)?;
        let mut wanted = start.clone();
        // A kernel that the interpreter refuses has no results.
        if run(&kernel, &mut wanted, &symbols, &params).is_err() {
            return Ok(false);
        }
        let found = launched(emulator, &kernel, &start, &symbols, &params).map_err(|e| e.to_string())?;
        let outputs = wanted.iter().zip(found).enumerate().filter(|(i, _)| kernel.buffers[*i].role == Role::Output);
        for (number, (wanted, found)) in outputs {
            let flat = |scalars: &[Scalar]| Tensor::new(wanted.dtype, &[scalars.len()], scalars.to_vec());
            if let Some(difference) = disagreement(&flat(&found)?, &flat(&wanted.scalars())?, 0) {
                return Err(format!("b{number}: {difference}, with symbols {symbols:?}"));
            }
        }
    }
    Ok(true)
}

/// What a kernel leaves in its buffers.
fn launched(
    backend: &dyn Backend,
    kernel: &Kernel,
    start: &[TypedBuffer],
    symbols: &[i64],
    params: &[Scalar],
) -> Result<Vec<Vec<Scalar>>, Error> {
    let ints = evaluate_ints(&kernel.ints, symbols, |b, axis| start[b.0 as usize].strides[axis as usize]);
    let params: Vec<u64> = params.iter().map(|param| param.bits()).collect();
    let bytes = |buffer: &TypedBuffer| -> Vec<u8> {
        let size = buffer.dtype.size();
        buffer.elements.iter().flat_map(|element| element.to_le_bytes()[..size].to_vec()).collect()
    };
    let mut memory: Vec<Arc<dyn Storage>> = Vec::new();
    for buffer in start {
        let bytes = bytes(buffer);
        let storage = backend.allocate(bytes.len())?;
        // SAFETY: both are so many bytes, and nobody else uses them.
        unsafe { backend.upload(bytes.as_ptr(), storage.pointer(), bytes.len())? };
        memory.push(storage);
    }
    let pointer = |number: usize| match kernel.buffers[number].role {
        Role::Scratch => std::ptr::null_mut(),
        _ => memory[number].pointer().wrapping_add(start[number].origin * start[number].dtype.size()),
    };
    let buffers: Vec<*mut u8> = (0..start.len()).map(pointer).collect();
    let executable = backend.compile(kernel)?;
    let launch = Launch { buffers: &buffers, ints: &ints, params: &params, bytes: 0, interrupted: &|| false };
    backend.launch(&*executable, &launch)?;
    let contents = |(storage, buffer): (&Arc<dyn Storage>, &TypedBuffer)| {
        let mut bytes = bytes(buffer);
        // SAFETY: as above.
        unsafe { backend.download(storage.pointer(), bytes.as_mut_ptr(), bytes.len())? };
        let element = |chunk: &[u8]| {
            let mut bits = [0; 8];
            bits[..chunk.len()].copy_from_slice(chunk);
            Scalar::from_bits(buffer.dtype, u64::from_le_bytes(bits))
        };
        Ok(bytes.chunks(buffer.dtype.size()).map(element).collect())
    };
    memory.iter().zip(start).map(contents).collect()
}

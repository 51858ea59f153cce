//! The emulator as a back end: the device `simt`.
//!
//! Kernels are what a GPU would run, compiled for this machine, and reach the emulated device's memory only. Matrix products and
//! the routines of libraries, which on a GPU are those of NVIDIA's libraries, are computed by another back end, one of the host's,
//! in the device's memory.

mod code;
mod machine;
mod memory;

use code::Code;
use fusewire_ir::value::Storage;
use fusewire_lowering::kernel::{IntId, Kernel, Role};
use fusewire_runtime::{
    backend::{ArrayView, Backend, Executable, Launch, LibraryCall, Matrix, MatrixProduct},
    error::Error,
};
use machine::Function;
use memory::{Memory, Reach};
use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use crate::{
    emit::argument_count,
    schedule::{Place, Schedule, THREADS, Worker},
};

/// The emulated device.
pub struct SimtBackend {
    memory: Arc<Memory>,
    /// What stands in for the libraries of a GPU.
    libraries: Arc<dyn Backend>,
}

/// Blocks that a launch has at most; items beyond are theirs too, by turns.
const MOST_BLOCKS: u64 = 256;

struct Compiled {
    kernel: Kernel,
    phases: Vec<Phase>,
}

struct Phase {
    schedule: Schedule,
    /// Compiled when it first has items.
    code: OnceLock<Code>,
    lock: Mutex<()>,
    extents: Vec<IntId>,
}

impl Executable for Compiled {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.phases.len() * 4096
    }
}

impl Compiled {
    fn function(&self, number: usize) -> Result<(Function, bool), Error> {
        let phase = &self.phases[number];
        if phase.code.get().is_none() {
            let _one = phase.lock.lock();
            if phase.code.get().is_none() {
                let code = Code::compile(&self.kernel, number, &phase.schedule)?;
                let _ = phase.code.set(code);
            }
        }
        let code = phase.code.get().ok_or_else(|| Error::Internal("a phase lost its code".into()))?;
        Ok((code.function(), code.waits()))
    }
}

impl Backend for SimtBackend {
    fn name(&self) -> &'static str {
        "simt"
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        let phase = |phase: &fusewire_lowering::kernel::Phase| Phase {
            schedule: Schedule::of(kernel, phase),
            code: OnceLock::new(),
            lock: Mutex::new(()),
            extents: phase.dims.iter().map(|&(_, extent)| extent).collect(),
        };
        Ok(Arc::new(Compiled { phases: kernel.phases.iter().map(phase).collect(), kernel: kernel.clone() }))
    }

    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        let mut text = String::new();
        for (number, phase) in kernel.phases.iter().enumerate() {
            text.push_str(&Code::text(kernel, number, &Schedule::of(kernel, phase))?);
        }
        Ok(vec![("llvm", text)])
    }

    unsafe fn upload(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        let to = self.memory.on_host(to.addr() as u64, bytes).ok_or_else(outside)?;
        // SAFETY: the caller vouches for the source; the destination was found to be so large.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }

    unsafe fn download(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        let from = self.memory.on_host(from.addr() as u64, bytes).ok_or_else(outside)?;
        // SAFETY: the caller vouches for the destination; the source was found to be so large.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }

    fn host_pointer(&self, pointer: *mut u8) -> Option<*mut u8> {
        self.memory.element_on_host(pointer.addr() as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        self.memory.allocate(bytes)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        let compiled = executable.as_any().downcast_ref::<Compiled>();
        let compiled = compiled.ok_or_else(|| Error::Internal("a kernel of another back end".into()))?;
        let fault = self.memory.allocate(4)?;
        // SAFETY: four bytes of this function's own, of which all are written.
        unsafe { self.upload([0u8; 4].as_ptr(), fault.pointer(), 4)? };
        for (number, phase) in compiled.phases.iter().enumerate() {
            let items =
                phase.extents.iter().fold(1u64, |n, e| n.saturating_mul(launch.ints[e.0 as usize].max(0) as u64));
            if items > 0 {
                self.launch_phase(compiled, number, items, launch, &fault)?;
            }
        }
        let mut word = [0u8; 4];
        // SAFETY: as above.
        unsafe { self.download(fault.pointer(), word.as_mut_ptr(), 4)? };
        if word == [0; 4] { Ok(()) } else { Err(Error::OutOfBounds(String::new())) }
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        let here = |matrix: Matrix| {
            let pointer = self.element_on_host(matrix.pointer)?;
            Ok(Matrix { pointer, ..matrix })
        };
        let batch = product.batch.iter().map(|[left, right, to]| Ok([here(*left)?, here(*right)?, here(*to)?]));
        let batch = batch.collect::<Result<Vec<_>, Error>>()?;
        self.libraries.matrix_product(&MatrixProduct { batch: &batch, ..*product })
    }

    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        let here = |view: &ArrayView<'_>| -> Result<*mut u8, Error> {
            if view.shape.contains(&0) { Ok(view.pointer) } else { self.element_on_host(view.pointer) }
        };
        let pointers = call.operands.iter().map(here).collect::<Result<Vec<_>, _>>()?;
        let moved = call.operands.iter().zip(pointers).map(|(view, pointer)| ArrayView { pointer, ..*view });
        let operands: Vec<ArrayView<'_>> = moved.collect();
        let destination = ArrayView { pointer: here(&call.destination)?, ..call.destination };
        self.libraries.call(&LibraryCall { operands: &operands, destination, ..*call })
    }
}

fn outside() -> Error {
    Error::Device("a copy outside of the emulated device's memory".into())
}

impl SimtBackend {
    /// A device of its own memory, whose products and routines are those of a back end that works in the host's memory.
    pub fn new(libraries: Arc<dyn Backend>) -> SimtBackend {
        SimtBackend { memory: Arc::default(), libraries }
    }

    /// Where the host finds an element; everything around it counts as written from now on, as the host's loops may do.
    fn element_on_host(&self, pointer: *mut u8) -> Result<*mut u8, Error> {
        self.memory.element_on_host(pointer.addr() as u64).ok_or_else(outside)
    }

    fn launch_phase(
        &self,
        compiled: &Compiled,
        number: usize,
        items: u64,
        launch: &Launch<'_>,
        fault: &Arc<dyn Storage>,
    ) -> Result<(), Error> {
        let (kernel, schedule) = (&compiled.kernel, &compiled.phases[number].schedule);
        let (function, waits) = compiled.function(number)?;
        let blocks = match schedule.worker {
            Worker::Block => items.min(MOST_BLOCKS),
            Worker::Thread => items.div_ceil(THREADS.into()).min(MOST_BLOCKS),
        };
        let workers = match schedule.worker {
            Worker::Block => blocks,
            Worker::Thread => blocks * u64::from(THREADS),
        };
        let mut arguments: Vec<u64> = launch.buffers.iter().map(|buffer| buffer.addr() as u64).collect();
        // Scratch in device memory: all buffers of a worker one after another.
        let mut scratch_bytes = 0u64;
        for (buffer, argument) in arguments.iter_mut().enumerate() {
            if schedule.places[buffer] == Some(Place::Device) {
                let decl = &kernel.buffers[buffer];
                let length = decl.length.map_or(0, |int| launch.ints[int.0 as usize].max(0) as u64);
                *argument = scratch_bytes;
                scratch_bytes += (length * decl.dtype.size() as u64).next_multiple_of(16);
            }
        }
        let scratch = match scratch_bytes {
            0 => None,
            bytes => Some(self.memory.allocate((bytes * workers) as usize)?),
        };
        for (buffer, argument) in arguments.iter_mut().enumerate() {
            match (schedule.places[buffer], &scratch) {
                (Some(Place::Device), Some(scratch)) => *argument += scratch.pointer().addr() as u64,
                (Some(_), _) => *argument = 0,
                (None, _) if kernel.buffers[buffer].role == Role::Scratch => *argument = 0,
                (None, _) => {}
            }
        }
        let shared = match schedule.shared_bytes {
            0 => None,
            bytes => Some(self.memory.allocate(bytes as usize)?),
        };
        let shared = shared.as_ref().map_or(0, |storage| storage.pointer().addr() as u64);
        let fault = fault.pointer().addr() as u64;
        let reach = Reach::of(&self.memory, arguments.iter().copied().chain([shared, fault]));
        arguments.extend(launch.ints.iter().map(|&int| int as u64));
        arguments.extend(launch.params);
        arguments.extend([scratch_bytes, fault]);
        debug_assert_eq!(arguments.len(), argument_count(kernel) as usize);
        let run = machine::Launch::new(&kernel.name, reach, shared);
        // SAFETY: the function was compiled for this kernel, and these are its arguments in their order.
        unsafe { run.run(function, &arguments, blocks, waits, launch.interrupted) }
    }
}

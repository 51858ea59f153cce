//! The emulator as a driver: the device `simt`.
//!
//! Kernels are what a GPU would run, compiled for this machine, and reach the emulated device's memory only. What a stream is asked
//! for is done at once. Matrix products and the routines of libraries, which on a GPU are those of NVIDIA's libraries, are computed
//! by a back end of the host's, in the device's memory.

mod clocks;
mod code;
mod machine;
mod memory;
mod races;

use crate::{
    device::GpuBackend,
    driver::{Driver, Event, Grid, Lender, Source, Stream},
    ptx,
};
use code::Code;
use fusewire_ir::{dtype::DType, lazy::Device};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{ArrayView, Backend, LibraryCall, Matrix, MatrixProduct},
    error::Error,
    interpreter::Interpreter,
    pool,
};
use memory::{Memory, Reach};
use parking_lot::Mutex;
use std::{collections::BTreeMap, ops::Add, sync::Arc};

/// The emulated device as a back end.
pub type SimtBackend = GpuBackend<Emulator>;

/// The emulated device.
pub struct Emulator {
    memory: Memory,
    /// What stands in for the libraries of a GPU.
    libraries: Arc<dyn Backend>,
    /// Pieces of the host's memory that copies go through.
    staging: Mutex<Vec<HostMemory>>,
    /// What streams were asked for that note it.
    captures: Mutex<BTreeMap<usize, Vec<Noted>>>,
    /// Does it look for races between threads?
    finds_races: bool,
}

/// Blocks that a launch has at most; items beyond are theirs too, by turns.
const MOST_BLOCKS: u32 = 256;

/// Bytes that the device has.
const MEMORY: usize = 16 << 30;

#[derive(Debug)]
struct HostMemory(#[expect(dead_code, reason = "keeps the memory")] Arc<dyn fusewire_ir::value::Storage>);

/// Code that was loaded.
pub struct Loaded {
    code: Arc<Code>,
    kernel: Arc<str>,
    words: usize,
    /// How many of the arguments are addresses, in front and at the end.
    addresses: usize,
}

/// What a stream was asked for, without doing it.
#[derive(Clone)]
enum Noted {
    Launch { code: Arc<Code>, kernel: Arc<str>, addresses: usize, arguments: Vec<u64>, blocks: u32, shared_bytes: u32 },
    Reuse(u64, usize),
}

/// Launches that were noted.
pub struct NotedLaunches(Vec<Noted>);

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Noted::Launch { kernel, .. } => write!(f, "launch of {kernel}"),
            Noted::Reuse(address, bytes) => write!(f, "{bytes} bytes at {address:#x}"),
        }
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Default for Emulator {
    fn default() -> Emulator {
        Emulator::with_memory(MEMORY)
    }
}

impl Default for GpuBackend<Emulator> {
    fn default() -> GpuBackend<Emulator> {
        GpuBackend::new(Emulator::default())
    }
}

impl Emulator {
    /// A device with so many bytes of memory.
    pub fn with_memory(bytes: usize) -> Emulator {
        let (memory, libraries) = (Memory::new(bytes), Arc::new(Interpreter));
        Emulator { memory, libraries, staging: Mutex::default(), captures: Mutex::default(), finds_races: false }
    }

    /// With a look at who uses each byte of a launch: it finds threads of which one writes what another uses, and no barrier is
    /// between.
    pub fn finding_races(self) -> Emulator {
        Emulator { finds_races: true, ..self }
    }

    /// With products and routines of a back end that works in the host's memory, instead of the interpreter's.
    pub fn with_libraries(self, libraries: Arc<dyn Backend>) -> Emulator {
        Emulator { libraries, ..self }
    }

    fn note(&self, stream: Stream, noted: Noted) -> Option<Noted> {
        match self.captures.lock().get_mut(&stream.0) {
            Some(capture) => {
                capture.push(noted);
                None
            }
            None => Some(noted),
        }
    }

    fn run(&self, noted: Noted, stream: Stream, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        let (code, kernel, addresses, arguments, blocks, shared_bytes) = match noted {
            Noted::Reuse(address, bytes) => return self.memory.reuse(address, bytes, &clocks::work(stream)),
            Noted::Launch { code, kernel, addresses, arguments, blocks, shared_bytes } => {
                (code, kernel, addresses, arguments, blocks, shared_bytes)
            }
        };
        let moment = clocks::work(stream);
        let shared = if shared_bytes == 0 { 0 } else { self.memory.allocate(shared_bytes as usize)? };
        let fault = arguments.last().copied().unwrap_or_default();
        let mut reach = Reach::of(&self.memory, arguments[..addresses].iter().copied().chain([shared, fault]));
        if self.finds_races {
            // Every thread that has something to say writes the same to the fault.
            reach.watch(code.team(), shared, fault);
        }
        let run = machine::Launch::new(&kernel, reach, shared);
        // SAFETY: the function was compiled for this kernel, and these are its arguments in their order.
        let ran = unsafe { run.run(code.function(), &arguments, blocks.into(), code.team(), interrupted) };
        let ordered = run.reach.at(&moment);
        if shared != 0 {
            self.memory.free(shared, &clocks::work(stream))?;
        }
        ran.and(ordered)
    }

    /// Where the host's loops find an element, as work of a stream.
    fn element(&self, pointer: *mut u8, stream: Stream, write: bool) -> Result<*mut u8, Error> {
        self.memory.element_on_host(pointer.addr() as u64, &clocks::work(stream), write)
    }
}

impl Driver for Emulator {
    type Code = Loaded;
    type Graph = NotedLaunches;
    const WATCHES: bool = true;

    fn device(&self) -> Device {
        Device::Simt
    }
    fn name(&self) -> &'static str {
        "simt"
    }
    fn most_blocks(&self) -> u32 {
        MOST_BLOCKS
    }
    fn memory(&self) -> Result<(usize, usize), Error> {
        Ok(self.memory.figures())
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        self.memory.allocate(bytes)
    }
    unsafe fn free(&self, address: u64) -> Result<(), Error> {
        self.memory.free(address, &clocks::host())
    }
    fn reuse(&self, address: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        match self.note(stream, Noted::Reuse(address, bytes)) {
            Some(reuse) => self.run(reuse, stream, &|| false),
            None => Ok(()),
        }
    }
    fn allocate_host(&self, bytes: usize) -> Result<*mut u8, Error> {
        let storage = pool::allocate(bytes)?;
        let pointer = storage.pointer();
        self.staging.lock().push(HostMemory(storage));
        Ok(pointer)
    }

    unsafe fn copy_in(&self, from: *const u8, to: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        let to = self.memory.copied(to, bytes, &clocks::work(stream), true)?;
        // SAFETY: the caller vouches for the source; the destination was found to be so large.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }
    unsafe fn copy_out(&self, from: u64, to: *mut u8, bytes: usize, stream: Stream) -> Result<(), Error> {
        let from = self.memory.copied(from, bytes, &clocks::work(stream), false)?;
        // SAFETY: the caller vouches for the destination; the source was found to be so large.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }
    unsafe fn copy_peer(
        &self,
        other: &Emulator,
        from: u64,
        to: u64,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), Error> {
        let moment = clocks::work(stream);
        let (from, to) =
            (other.memory.copied(from, bytes, &moment, false)?, self.memory.copied(to, bytes, &moment, true)?);
        // SAFETY: both were found to be so large.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }
    unsafe fn clear(&self, address: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        let start = self.memory.copied(address, bytes, &clocks::work(stream), true)?;
        // SAFETY: it was found to be so large.
        unsafe { start.write_bytes(0, bytes) };
        Ok(())
    }

    fn stream(&self) -> Result<Stream, Error> {
        Ok(clocks::stream())
    }
    fn synchronise(&self, stream: Stream) -> Result<(), Error> {
        clocks::synchronise(stream);
        Ok(())
    }
    fn event(&self) -> Result<Event, Error> {
        Ok(clocks::event())
    }
    fn record(&self, event: Event, stream: Stream) -> Result<(), Error> {
        clocks::record(event, stream);
        Ok(())
    }
    fn wait(&self, stream: Stream, event: Event) -> Result<(), Error> {
        clocks::wait(stream, event);
        Ok(())
    }
    fn synchronise_event(&self, event: Event) -> Result<(), Error> {
        clocks::synchronise_event(event);
        Ok(())
    }

    fn load(&self, source: Source<'_>) -> Result<Loaded, Error> {
        let (words, addresses) = source.words();
        Ok(Loaded { code: Arc::new(Code::compile(source)?), kernel: source.name().into(), words, addresses })
    }
    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        ptx::stages(kernel, ptx::SHOWN)
    }
    unsafe fn launch(
        &self,
        code: &Loaded,
        grid: &Grid<'_>,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if grid.arguments.len() != code.words {
            return Err(Error::Internal(format!("kernel {} got {} arguments", grid.kernel, grid.arguments.len())));
        }
        let launch = Noted::Launch {
            code: code.code.clone(),
            kernel: code.kernel.clone(),
            addresses: code.addresses,
            arguments: grid.arguments.to_vec(),
            blocks: grid.blocks,
            shared_bytes: grid.shared_bytes,
        };
        match self.note(stream, launch) {
            Some(launch) => self.run(launch, stream, interrupted),
            None => Ok(()),
        }
    }

    fn begin_capture(&self, stream: Stream) -> Result<(), Error> {
        self.captures.lock().insert(stream.0, Vec::new());
        Ok(())
    }
    fn end_capture(&self, stream: Stream) -> Result<NotedLaunches, Error> {
        let noted = self.captures.lock().remove(&stream.0);
        noted.map(NotedLaunches).ok_or_else(|| Error::Internal("the end of a capture that never began".into()))
    }
    unsafe fn launch_graph(
        &self,
        graph: &NotedLaunches,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        graph.0.iter().try_for_each(|noted| self.run(noted.clone(), stream, interrupted))
    }

    fn product(
        &self,
        product: &MatrixProduct<'_>,
        row: Option<&ArrayView<'_>>,
        stream: Stream,
        _lender: &dyn Lender,
    ) -> Result<(), Error> {
        let here =
            |matrix: Matrix, write| Ok(Matrix { pointer: self.element(matrix.pointer, stream, write)?, ..matrix });
        // Operands without elements, of a batch of them, lie outside of any memory, and nobody reads them.
        let operand = |matrix| if product.k == 0 { Ok(matrix) } else { here(matrix, false) };
        let batch =
            product.batch.iter().map(|[left, right, to]| Ok([operand(*left)?, operand(*right)?, here(*to, true)?]));
        let batch = batch.collect::<Result<Vec<_>, Error>>()?;
        let product = MatrixProduct { batch: &batch, ..*product };
        self.libraries.matrix_product(&product)?;
        let Some(row) = row else { return Ok(()) };
        let row = ArrayView { pointer: self.element(row.pointer, stream, false)?, ..*row };
        match product.dtype {
            // SAFETY: the plan gives matrices and rows that lie inside their arrays.
            DType::F32 => unsafe { add_row::<f32>(&product, &row) },
            // SAFETY: as above.
            DType::F64 => unsafe { add_row::<f64>(&product, &row) },
            other => return Err(Error::Internal(format!("a row that is added to a product of {other:?}"))),
        }
        Ok(())
    }

    fn call(&self, call: &LibraryCall<'_>, stream: Stream, _lender: &dyn Lender) -> Result<(), Error> {
        let here = |view: &ArrayView<'_>, write| -> Result<*mut u8, Error> {
            if view.shape.contains(&0) { Ok(view.pointer) } else { self.element(view.pointer, stream, write) }
        };
        let pointers = call.operands.iter().map(|view| here(view, false)).collect::<Result<Vec<_>, _>>()?;
        let moved = call.operands.iter().zip(pointers).map(|(view, pointer)| ArrayView { pointer, ..*view });
        let operands: Vec<ArrayView<'_>> = moved.collect();
        let destination = ArrayView { pointer: here(&call.destination, true)?, ..call.destination };
        self.libraries.call(&LibraryCall { operands: &operands, destination, ..*call })
    }
}

/// Adds a row to each row of the destinations.
///
/// # Safety
/// Destinations and row are arrays of `T` in memory that nobody else uses.
unsafe fn add_row<T: Copy + Add<Output = T>>(product: &MatrixProduct<'_>, row: &ArrayView<'_>) {
    let addend = row.pointer.cast::<T>();
    for [_, _, to] in product.batch {
        let to_element = |i: usize, j: usize| i as isize * to.row_stride + j as isize * to.column_stride;
        for (i, j) in (0..product.m).flat_map(|i| (0..product.n).map(move |j| (i, j))) {
            // SAFETY: the caller vouches for both.
            unsafe {
                let place = to.pointer.cast::<T>().offset(to_element(i, j));
                place.write(place.read() + addend.offset(j as isize * row.strides[0]).read());
            }
        }
    }
}

//! NVIDIA's driver as a [`Driver`]: each method is a call or two of it, in the device's context.
//!
//! The context is the primary one, which CuPy, PyTorch, JAX and Numba use too, so that memory goes between them as it is.

use super::{blas::Blas, fft::Fft, solver::Solver, status::check, target};
use crate::{
    driver::{Driver, Event, Grid, Lender, Source, Stream},
    ptx::{self, Capability},
    schedule::THREADS,
};
use cudarc::driver::sys::{
    self, CUcontext, CUdevice_attribute as Attribute, CUfunction, CUgraph, CUgraphExec, CUjit_option as Option_,
    CUmodule,
};
use fusewire_ir::{lazy::Device, routine::Routine};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall, MatrixProduct},
    error::Error,
};
use parking_lot::Mutex;
use std::{
    ffi::{CString, c_char, c_void},
    fmt, ptr,
};

/// A GPU of NVIDIA's.
pub struct Cuda {
    number: u8,
    name: String,
    context: CUcontext,
    capability: Capability,
    processors: u32,
    /// Who opened it; children that are forked later cannot use it.
    process: u32,
    blas: Blas,
    solver: Solver,
    fft: Fft,
}

// SAFETY: a context may be used by any thread that makes it its current one, which every call here does first.
unsafe impl Send for Cuda {}
// SAFETY: as above; the driver takes calls of several threads at once.
unsafe impl Sync for Cuda {}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{}: {}, {:?}, {} multiprocessors", self.number, self.name, self.capability, self.processors)
    }
}

/// Blocks that a launch has for each multiprocessor: as many as it holds at once, twice.
const BLOCKS_PER_PROCESSOR: u32 = 2 * 2048 / THREADS;

/// Events that say when, and take no time for it.
const NO_TIMING: u32 = 2;
/// Streams that do not wait for the legacy default stream.
const NON_BLOCKING: u32 = 1;
/// Host memory that every context may copy from.
const PORTABLE: u32 = 1;

impl Cuda {
    /// The device of a number that there is.
    pub(super) fn open(number: u8) -> Result<Cuda, Error> {
        let (mut device, mut context) = (0, ptr::null_mut());
        let name = super::describe(number.into())?;
        // SAFETY: the driver has begun; each call writes to what it is given.
        let (major, minor, processors) = unsafe {
            check("looking for a GPU", sys::cuDeviceGet(&raw mut device, number.into()))?;
            let attribute = |attribute: Attribute| {
                let mut value = 0;
                check("asking what a GPU is", sys::cuDeviceGetAttribute(&raw mut value, attribute, device))?;
                Ok::<i32, Error>(value)
            };
            (
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            )
        };
        let capability = target(&name, major, minor)?;
        // SAFETY: as above. The context is kept until the process ends.
        unsafe { check("beginning on a GPU", sys::cuDevicePrimaryCtxRetain(&raw mut context, device))? };
        Ok(Cuda {
            number,
            name,
            context,
            capability,
            processors: processors.max(1) as u32,
            process: std::process::id(),
            blas: Blas::default(),
            solver: Solver::default(),
            fft: Fft::default(),
        })
    }

    /// Makes the device's context that of the calling thread, until what this gives is dropped.
    pub(super) fn enter(&self) -> Result<Entered, Error> {
        if std::process::id() != self.process {
            return Err(Error::Device(format!(
                "cuda:{} was in use when this process was forked, and CUDA does not survive that; start processes with \
                 multiprocessing.set_start_method(\"spawn\")",
                self.number
            )));
        }
        Entered::of(self.context)
    }

    /// Bytes that NVIDIA recommends to lend its matrix products.
    pub(super) fn workspace_bytes(&self) -> usize {
        if self.capability >= Capability(90) { 32 << 20 } else { 4 << 20 }
    }

    /// The compute capability that its code is made for.
    pub fn capability(&self) -> Capability {
        self.capability
    }
}

/// The device's context is the calling thread's. Before, it may have had another one, by which other libraries know which device
/// their user has chosen; it gets that back.
#[must_use = "the context is that of before as soon as this is dropped"]
pub(super) struct Entered {
    pushed: bool,
}

impl Entered {
    fn of(context: CUcontext) -> Result<Entered, Error> {
        let mut current = ptr::null_mut();
        // SAFETY: the driver has begun; it writes the handle, and the context lives as long as the process.
        unsafe {
            check("choosing a GPU", sys::cuCtxGetCurrent(&raw mut current))?;
            if current == context {
                return Ok(Entered { pushed: false });
            }
            check("choosing a GPU", sys::cuCtxPushCurrent_v2(context))?;
        }
        Ok(Entered { pushed: true })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if self.pushed {
            let mut context = ptr::null_mut();
            // SAFETY: takes off what was put on; what fails here has failed before.
            unsafe { sys::cuCtxPopCurrent_v2(&raw mut context) };
        }
    }
}

pub(super) fn handle(stream: Stream) -> sys::CUstream {
    ptr::without_provenance_mut::<c_void>(stream.0).cast()
}

/// Makes each of `height` rows of words, so many bytes from one to the next, the same word.
///
/// # Safety
/// They lie in allocated memory of the device whose context is the current one.
pub(super) unsafe fn set_words(
    address: u64,
    pitch: usize,
    word: u32,
    width: usize,
    height: usize,
    stream: Stream,
) -> Result<(), Error> {
    if width == 0 || height == 0 {
        return Ok(());
    }
    // SAFETY: the caller vouches for the range.
    unsafe { check("filling memory", sys::cuMemsetD2D32Async(address, pitch, word, width, height, handle(stream))) }
}

/// Makes `width` bytes of each row 0; a multiple of four.
///
/// # Safety
/// As for [`set_words`].
pub(super) unsafe fn clear_words(
    address: u64,
    pitch: usize,
    width: usize,
    height: usize,
    stream: Stream,
) -> Result<(), Error> {
    // SAFETY: as above.
    unsafe { set_words(address, pitch, 0, width / 4, height, stream) }
}

fn event(event: Event) -> sys::CUevent {
    ptr::without_provenance_mut::<c_void>(event.0).cast()
}

/// A module, and its one kernel.
pub struct Loaded {
    context: CUcontext,
    module: CUmodule,
    function: CUfunction,
}

// SAFETY: handles of the driver, which any thread may use in the context that they belong to.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Drop for Loaded {
    fn drop(&mut self) {
        let Ok(_entered) = Entered::of(self.context) else { return };
        // SAFETY: launches of the kernel are complete before its module goes. The driver refuses to wait for a context of which
        // somebody captures a stream; the module stays then.
        unsafe {
            if sys::cuCtxSynchronize() == sys::CUresult::CUDA_SUCCESS {
                sys::cuModuleUnload(self.module);
            }
        }
    }
}

/// A graph of launches.
pub struct Launches {
    context: CUcontext,
    graph: CUgraph,
    /// The driver takes one call at a time for a graph.
    executable: Mutex<CUgraphExec>,
}

// SAFETY: as for `Loaded`.
unsafe impl Send for Launches {}
// SAFETY: as above; of what two threads could do at once there are launches only, for which they take turns.
unsafe impl Sync for Launches {}

impl Drop for Launches {
    fn drop(&mut self) {
        let Ok(_entered) = Entered::of(self.context) else { return };
        // SAFETY: the driver keeps what launches under way need.
        unsafe {
            sys::cuGraphExecDestroy(*self.executable.get_mut());
            sys::cuGraphDestroy(self.graph);
        }
    }
}

impl Driver for Cuda {
    type Code = Loaded;
    type Graph = Launches;
    const WATCHES: bool = false;

    fn device(&self) -> Device {
        Device::Cuda(self.number)
    }
    fn name(&self) -> &'static str {
        "cuda"
    }
    fn most_blocks(&self) -> u32 {
        self.processors * BLOCKS_PER_PROCESSOR
    }
    fn memory(&self) -> Result<(usize, usize), Error> {
        let (mut free, mut total) = (0, 0);
        let _entered = self.enter()?;
        // SAFETY: writes two numbers.
        unsafe { check("asking for free memory", sys::cuMemGetInfo_v2(&raw mut free, &raw mut total))? };
        Ok((free, total))
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let mut address = 0;
        let _entered = self.enter()?;
        // SAFETY: writes the address.
        let result = unsafe { sys::cuMemAlloc_v2(&raw mut address, bytes.max(1)) };
        match check("allocating memory", result) {
            Err(Error::OutOfMemory { .. }) => Err(Error::OutOfMemory { bytes }),
            other => other.map(|()| address),
        }
    }
    unsafe fn free(&self, address: u64) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for it.
        unsafe { check("freeing memory", sys::cuMemFree_v2(address)) }
    }
    fn reuse(&self, _address: u64, _bytes: usize, _stream: Stream) -> Result<(), Error> {
        Ok(())
    }
    fn allocate_host(&self, bytes: usize) -> Result<*mut u8, Error> {
        let mut pointer = ptr::null_mut();
        let _entered = self.enter()?;
        // SAFETY: writes the pointer.
        unsafe { check("allocating memory for copies", sys::cuMemHostAlloc(&raw mut pointer, bytes, PORTABLE))? };
        Ok(pointer.cast())
    }

    unsafe fn copy_in(&self, from: *const u8, to: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for both ranges.
        unsafe { check("copying to the GPU", sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, handle(stream))) }
    }
    unsafe fn copy_out(&self, from: u64, to: *mut u8, bytes: usize, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for both ranges.
        unsafe { check("copying from the GPU", sys::cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, handle(stream))) }
    }
    unsafe fn copy_peer(&self, other: &Cuda, from: u64, to: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for both ranges. Enabling what is enabled already, or impossible, is an error that does
        // not matter: the copy then goes through the host, which the driver does by itself.
        unsafe {
            sys::cuCtxEnablePeerAccess(other.context, 0);
            let copied = sys::cuMemcpyPeerAsync(to, self.context, from, other.context, bytes, handle(stream));
            check("copying from another GPU", copied)
        }
    }
    unsafe fn clear(&self, address: u64, bytes: usize, stream: Stream) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for the range.
        unsafe { check("clearing memory", sys::cuMemsetD8Async(address, 0, bytes, handle(stream))) }
    }

    fn stream(&self) -> Result<Stream, Error> {
        let mut stream = ptr::null_mut();
        let _entered = self.enter()?;
        // SAFETY: writes the handle.
        unsafe { check("making a stream", sys::cuStreamCreate(&raw mut stream, NON_BLOCKING))? };
        Ok(Stream(stream.addr()))
    }
    fn synchronise(&self, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the stream is one of this device's.
        unsafe { check("computing", sys::cuStreamSynchronize(handle(stream))) }
    }
    fn event(&self) -> Result<Event, Error> {
        let mut event = ptr::null_mut();
        let _entered = self.enter()?;
        // SAFETY: writes the handle.
        unsafe { check("making an event", sys::cuEventCreate(&raw mut event, NO_TIMING))? };
        Ok(Event(event.addr()))
    }
    fn record(&self, at: Event, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: both are this device's.
        unsafe { check("ordering streams", sys::cuEventRecord(event(at), handle(stream))) }
    }
    fn wait(&self, stream: Stream, at: Event) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the stream is this device's; events may be another's.
        unsafe { check("ordering streams", sys::cuStreamWaitEvent(handle(stream), event(at), 0)) }
    }
    fn synchronise_event(&self, at: Event) -> Result<(), Error> {
        let _entered = self.enter()?;
        // SAFETY: the event is this device's.
        unsafe { check("computing", sys::cuEventSynchronize(event(at))) }
    }

    fn load(&self, source: Source<'_>) -> Result<Loaded, Error> {
        let text = ptx::text(source, self.capability)?;
        let internal = |message: String| Error::Internal(format!("kernel {}: {message}", source.name()));
        let text = CString::new(text).map_err(|_| internal("its PTX has a NUL in it".into()))?;
        let name = CString::new(ptx::NAME).map_err(|_| internal("its name has a NUL in it".into()))?;
        let mut said = [0 as c_char; 4096];
        let mut options = [Option_::CU_JIT_ERROR_LOG_BUFFER, Option_::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values = [said.as_mut_ptr().cast::<c_void>(), ptr::without_provenance_mut(said.len() - 1)];
        let (mut module, mut function) = (ptr::null_mut(), ptr::null_mut());
        let _entered = self.enter()?;
        // SAFETY: the text and the name end with NUL; there is as much room for messages as the driver is told.
        unsafe {
            let (options, values) = (options.as_mut_ptr(), values.as_mut_ptr());
            let loaded = sys::cuModuleLoadDataEx(&raw mut module, text.as_ptr().cast(), 2, options, values);
            check("loading a kernel", loaded).map_err(|error| match error {
                Error::Device(message) => {
                    let said = std::ffi::CStr::from_ptr(said.as_ptr()).to_string_lossy();
                    internal(format!("{message}\n{said}"))
                }
                error => error,
            })?;
            check("finding a kernel", sys::cuModuleGetFunction(&raw mut function, module, name.as_ptr()))?;
        }
        Ok(Loaded { context: self.context, module, function })
    }
    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        ptx::stages(kernel, self.capability)
    }
    unsafe fn launch(
        &self,
        code: &Loaded,
        grid: &Grid<'_>,
        stream: Stream,
        _interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        // All arguments are one block of words, which the kernel takes by value; the driver copies it.
        let mut arguments = [grid.arguments.as_ptr().cast_mut().cast::<c_void>()];
        let _entered = self.enter()?;
        // SAFETY: the caller vouches for the arguments. Shared memory is declared by the code.
        let launched = unsafe {
            let arguments = arguments.as_mut_ptr();
            let (x, stream) = (grid.blocks, handle(stream));
            sys::cuLaunchKernel(code.function, x, 1, 1, THREADS, 1, 1, 0, stream, arguments, ptr::null_mut())
        };
        if launched == sys::CUresult::CUDA_SUCCESS {
            Ok(())
        } else {
            check(&format!("launching {}", grid.kernel), launched)
        }
    }

    fn begin_capture(&self, stream: Stream) -> Result<(), Error> {
        let _entered = self.enter()?;
        // What other threads do meanwhile is theirs.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is this device's.
        unsafe { check("beginning a graph", sys::cuStreamBeginCapture_v2(handle(stream), mode)) }
    }
    fn end_capture(&self, stream: Stream) -> Result<Launches, Error> {
        let (mut graph, mut executable) = (ptr::null_mut(), ptr::null_mut());
        let _entered = self.enter()?;
        // SAFETY: each call writes its handle.
        unsafe {
            check("capturing a graph", sys::cuStreamEndCapture(handle(stream), &raw mut graph))?;
            if let Err(error) = check("making a graph", sys::cuGraphInstantiateWithFlags(&raw mut executable, graph, 0))
            {
                sys::cuGraphDestroy(graph);
                return Err(error);
            }
        }
        Ok(Launches { context: self.context, graph, executable: Mutex::new(executable) })
    }
    unsafe fn launch_graph(
        &self,
        graph: &Launches,
        stream: Stream,
        _interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let _entered = self.enter()?;
        let executable = graph.executable.lock();
        // SAFETY: the caller vouches for the launches.
        unsafe { check("launching a graph", sys::cuGraphLaunch(*executable, handle(stream))) }
    }

    fn product(
        &self,
        product: &MatrixProduct<'_>,
        row: Option<&ArrayView<'_>>,
        stream: Stream,
        lender: &dyn Lender,
    ) -> Result<(), Error> {
        let _entered = self.enter()?;
        self.blas.product(self, product, row, stream, lender)
    }
    fn call(&self, call: &LibraryCall<'_>, stream: Stream, lender: &dyn Lender) -> Result<(), Error> {
        let _entered = self.enter()?;
        match call.routine {
            Routine::Sort { .. } | Routine::Argsort { .. } => {
                Err(Error::Internal(format!("{} is computed by functions of ours", call.routine.name())))
            }
            Routine::Linear { .. } => self.solver.call(self, call, stream, lender),
            Routine::Fft { .. } | Routine::Rfft | Routine::Irfft { .. } => self.fft.call(call, stream, lender),
        }
    }
}

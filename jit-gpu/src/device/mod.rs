//! A GPU as a back end of the runtime, over whatever [`Driver`] there is: memory, streams, transfers and launches.
//!
//! Launches are asynchronous. Each thread of the host has a stream, on which its work is done in its order; `streams` orders them
//! where arrays go from one thread to another. The host waits where it downloads, and where a kernel says that an index was wrong.

mod copy;
mod functions;
mod graphs;
pub mod interchange;
mod launch;
mod pool;
mod put;
mod queue;
mod sort;
mod staging;
mod streams;

use crate::driver::{Driver, Stream};
use copy::Copies;
use functions::Functions;
pub(crate) use functions::is_dense;
use fusewire_ir::{
    fusion::cost::Limits,
    lazy::Device,
    routine::Routine,
    value::{Buffer, Storage},
};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{ArrayView, Backend, Executable, Launch, LibraryCall, MatrixProduct},
    error::Error,
    pool::{Figures, Memory},
};
use graphs::Graphs;
use interchange::{Home, LEGACY};
use launch::Compiled;
use parking_lot::Mutex;
use pool::Pool;
use queue::{Queued, Queues};
use smallvec::SmallVec;
use staging::Staging;
use std::{
    any::Any,
    fmt::{self, Debug},
    sync::Arc,
};
use streams::Streams;

/// Items that have a team each leave nothing of a GPU idle from about this number on.
const WORKERS: usize = 512;

/// A GPU, or what stands for one. Clones are the same device.
pub struct GpuBackend<D: Driver> {
    core: Arc<Core<D>>,
}

/// What the arrays of a device share.
struct Core<D: Driver> {
    driver: D,
    streams: Streams,
    queues: Queues<D>,
    graphs: Graphs<D>,
    copies: Copies<D>,
    functions: Functions<D>,
    pool: Pool,
    staging: Staging,
}

impl<D: Driver> Debug for GpuBackend<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.core.driver)
    }
}

impl<D: Driver> GpuBackend<D> {
    /// A device as its driver gives it, of which nothing is in use yet.
    pub fn new(driver: D) -> GpuBackend<D> {
        GpuBackend {
            core: Arc::new(Core {
                driver,
                streams: Streams::new(),
                queues: Queues::default(),
                graphs: Graphs::default(),
                copies: Copies::default(),
                functions: Functions::default(),
                pool: Pool::new(),
                staging: Staging::default(),
            }),
        }
    }

    /// Its driver.
    pub fn driver(&self) -> &D {
        &self.core.driver
    }

    /// How many graphs were captured, and how often one was launched instead of its kernels.
    pub fn graph_figures(&self) -> (u64, u64) {
        self.core.graphs.figures()
    }
}

impl<D: Driver> Core<D> {
    /// The calling thread's stream, to which all its work has been given.
    fn stream(&self) -> Result<Stream, Error> {
        let stream = self.streams.current(&self.driver)?;
        self.queues.flush(&self.driver, stream, &|| false)?;
        Ok(stream)
    }

    /// Lets what `later` is given from now on begin after all that `earlier` was asked for.
    fn order(&self, earlier: Stream, later: Stream) -> Result<(), Error> {
        if earlier != later {
            self.queues.flush(&self.driver, earlier, &|| false)?;
        }
        self.streams.order(&self.driver, earlier, later)
    }

    /// Waits until all that a stream was asked for is complete.
    fn settle(&self, stream: Stream) -> Result<(), Error> {
        self.queues.flush(&self.driver, stream, &|| false)?;
        self.driver.synchronise(stream)
    }

    /// Libraries and code take memory from the driver, too. Where there is too little, it is asked once more when what the pool keeps for
    /// reuse has gone back.
    fn with_room<T>(&self, call: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        match call() {
            Err(Error::OutOfMemory { .. }) if self.pool.figures().cached > 0 => {
                self.pool.shrink_to(&self.driver, &|stream| self.settle(stream), 0)?;
                call()
            }
            result => result,
        }
    }

    fn allocate(self: &Arc<Core<D>>, bytes: usize) -> Result<Arc<Block<D>>, Error> {
        let stream = self.streams.current(&self.driver)?;
        let obtained = self.pool.obtain(&self.driver, &|stream| self.settle(stream), bytes, stream)?;
        let block = Block {
            core: self.clone(),
            address: obtained.address,
            bytes,
            size: obtained.size,
            home: stream,
            readers: Mutex::default(),
        };
        if let Some(before) = obtained.after {
            // What this stream was asked for so far need not wait.
            self.queues.flush(&self.driver, stream, &|| false)?;
            self.order(before, stream)?;
        }
        if D::WATCHES {
            self.queues.push(&self.driver, stream, Queued::Reuse(block.address, bytes), &|| false)?;
        }
        Ok(Arc::new(block))
    }
}

impl<D: Driver> Memory for GpuBackend<D> {
    fn figures(&self) -> Figures {
        self.core.pool.figures()
    }
    fn reset_peak(&self) {
        self.core.pool.reset_peak();
    }
    fn trim(&self) -> Result<(), Error> {
        let core = &self.core;
        core.pool.shrink_to(&core.driver, &|stream| core.settle(stream), 0)
    }
    fn set_limit(&self, bytes: usize) -> Result<(), Error> {
        let core = &self.core;
        core.pool.set_limit(&core.driver, &|stream| core.settle(stream), bytes)
    }
    fn set_budget(&self, bytes: usize) -> Result<(), Error> {
        let core = &self.core;
        core.pool.set_budget(&core.driver, &|stream| core.settle(stream), bytes)
    }
    fn of_device(&self) -> Result<Option<(usize, usize)>, Error> {
        self.core.driver.memory().map(Some)
    }
}

impl<D: Driver> Backend for GpuBackend<D> {
    fn name(&self) -> &'static str {
        self.core.driver.name()
    }

    fn memory(&self) -> &dyn Memory {
        self
    }

    fn limits(&self) -> Limits {
        Limits::GPU
    }

    fn workers(&self) -> usize {
        WORKERS
    }

    fn begin(&self, inputs: &[&Buffer]) -> Result<(), Error> {
        let core = &self.core;
        let stream = core.streams.current(&core.driver)?;
        for input in inputs {
            if let Some(Home { home, readers }) = Home::of::<D>(&*input.storage)
                && home != stream
            {
                core.queues.flush(&core.driver, stream, &|| false)?;
                core.order(home, stream)?;
                let mut readers = readers.lock();
                if !readers.contains(&stream) {
                    readers.push(stream);
                }
            }
        }
        core.queues.open(&core.driver, stream)
    }

    fn end(&self, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        let core = &self.core;
        let stream = core.streams.current(&core.driver)?;
        core.queues.close(&core.driver, &core.graphs, stream, interrupted)
    }

    fn synchronise(&self) -> Result<(), Error> {
        self.core.queues.flush_all(&self.core.driver)?;
        self.core.streams.synchronise(&self.core.driver)
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        Ok(Arc::new(Compiled::<D>::new(kernel)))
    }

    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        self.core.driver.explain(kernel)
    }

    unsafe fn upload(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        let (core, stream) = (&self.core, self.core.stream()?);
        // SAFETY: the caller vouches for both ranges.
        unsafe { core.staging.copy_in(&core.driver, from, to.addr() as u64, bytes, stream) }
    }

    unsafe fn download(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        let (core, stream) = (&self.core, self.core.stream()?);
        // SAFETY: the caller vouches for both ranges.
        unsafe { core.staging.copy_out(&core.driver, from.addr() as u64, to, bytes, stream) }
    }

    unsafe fn copy_from(
        &self,
        other: &(dyn Backend + 'static),
        from: *const u8,
        to: *mut u8,
        bytes: usize,
    ) -> Result<bool, Error> {
        let other: &dyn Any = other;
        let Some(other) = other.downcast_ref::<GpuBackend<D>>() else { return Ok(false) };
        let (theirs, ours) = (other.core.stream()?, self.core.stream()?);
        other.core.streams.order_devices(&other.core.driver, theirs, &self.core.driver, ours)?;
        let (from, to) = (from.addr() as u64, to.addr() as u64);
        // SAFETY: the caller vouches for both ranges; the copy is complete before he gets them back.
        unsafe { self.core.driver.copy_peer(&other.core.driver, from, to, bytes, ours)? };
        self.core.driver.synchronise(ours)?;
        Ok(true)
    }

    unsafe fn copy(&self, from: &ArrayView<'_>, to: *mut u8, strides: &[isize]) -> Result<bool, Error> {
        self.core.place(from, to, strides)?;
        Ok(true)
    }

    fn is_callers(&self, storage: &dyn Storage) -> bool {
        let Some(block) = storage.as_any().downcast_ref::<Block<D>>() else { return false };
        let own = self.core.streams.current(&self.core.driver).is_ok_and(|stream| block.home == stream);
        let readers = block.readers.lock().clone();
        // What other libraries were asked for so far comes first then, as if they were done.
        own && readers.iter().all(|reader| *reader == LEGACY && self.core.order(*reader, block.home).is_ok())
    }

    unsafe fn put(&self, to: &ArrayView<'_>, places: &ArrayView<'_>, elements: &ArrayView<'_>) -> Result<bool, Error> {
        put::put(&self.core, to, places, elements)?;
        Ok(true)
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        Ok(self.core.allocate(bytes)?)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        let compiled = executable.as_any().downcast_ref::<Compiled<D>>();
        compiled.ok_or_else(|| Error::Internal("a kernel of another back end".into()))?.launch(&self.core, launch)
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        let stream = self.core.stream()?;
        self.core.with_room(|| self.core.driver.product(product, None, stream, &self.core))
    }

    fn matrix_product_plus_row(&self, product: &MatrixProduct<'_>, row: &ArrayView<'_>) -> Result<(), Error> {
        let stream = self.core.stream()?;
        self.core.with_room(|| self.core.driver.product(product, Some(row), stream, &self.core))
    }

    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        match call.routine {
            Routine::Sort { descending } => sort::sort(&self.core, call, descending, false),
            Routine::Argsort { descending } => sort::sort(&self.core, call, descending, true),
            Routine::Linear { .. } | Routine::Fft { .. } | Routine::Rfft | Routine::Irfft { .. } => {
                let stream = self.core.stream()?;
                self.core.with_room(|| self.core.driver.call(call, stream, &self.core))
            }
        }
    }
}

/// A part of a device's memory. Dropping it gives it back to the pool.
struct Block<D: Driver> {
    core: Arc<Core<D>>,
    address: u64,
    /// As many as were asked for.
    bytes: usize,
    /// As many as the pool gave.
    size: usize,
    /// The stream that writes to it.
    home: Stream,
    /// Other streams that read it.
    readers: Mutex<SmallVec<[Stream; 2]>>,
}

impl<D: Driver> Debug for Block<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes on {}", self.bytes, self.core.driver.device())
    }
}

impl<D: Driver> Storage for Block<D> {
    fn pointer(&self) -> *mut u8 {
        // No pointer of the host's: a number that kernels take for an address.
        std::ptr::without_provenance_mut(self.address as usize)
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn read_only(&self) -> bool {
        false
    }
    fn device(&self) -> Device {
        self.core.driver.device()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<D: Driver> Drop for Block<D> {
    fn drop(&mut self) {
        let core = &self.core;
        // Where the driver refuses to order streams, the device has failed, and the order does not matter any more.
        for &reader in self.readers.lock().iter() {
            let _ = core.order(reader, self.home);
        }
        core.pool.release(&core.driver, &|stream| core.settle(stream), self.address, self.size, self.home);
    }
}

//! What a GPU's driver offers to the back end, and nothing more: memory, copies, streams, events, code, libraries. Two implement it:
//! NVIDIA's driver (`cuda`) and the emulator (`simt`). Everything above it, which is `device`, is the same code for both.
//!
//! Work on a stream is done in the order in which it was given; work on two streams in any order, but for what events say. The
//! emulator does it at once, and reports two streams that use the same memory in no order.

use crate::functions::Function;
use fusewire_ir::{lazy::Device, value::Storage};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall, MatrixProduct},
    error::Error,
};
use std::{fmt::Debug, sync::Arc};

/// A queue of work, by the driver's handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stream(pub usize);

/// A point in the work of a stream, by the driver's handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event(pub usize);

/// What a driver makes code of.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A phase of a kernel, by its number, and by that of one of the phase's schedules.
    Phase(&'a Kernel, usize, usize),
    /// A function that is written by hand.
    Function(Function),
}

/// One launch of what was loaded.
pub struct Grid<'a> {
    /// For reports.
    pub kernel: &'a str,
    /// The words that the emitted code takes.
    pub arguments: &'a [u64],
    /// How many blocks, of `schedule::THREADS` each.
    pub blocks: u32,
    /// Bytes of memory that the threads of a block share.
    pub shared_bytes: u32,
}

/// A device's driver. Handles are its own; whoever passes another's gets an error or worse, so all of them stay inside `device`.
pub trait Driver: Send + Sync + Debug + Sized + 'static {
    /// Code, loaded.
    type Code: Send + Sync;
    /// Launches that were captured, ready to be launched together.
    type Graph: Send + Sync;

    /// Does it watch what is done to memory, and wants to know whose it is?
    const WATCHES: bool;

    /// Which device it drives.
    fn device(&self) -> Device;
    /// What texts call such devices.
    fn name(&self) -> &'static str;
    /// How many blocks a launch may have; what is beyond is theirs too, by turns.
    fn most_blocks(&self) -> u32;
    /// Bytes of memory that nobody has, and bytes of memory altogether.
    fn memory(&self) -> Result<(usize, usize), Error>;

    /// New memory. [`Error::OutOfMemory`] where there is not so much.
    fn allocate(&self, bytes: usize) -> Result<u64, Error>;
    /// Gives memory back.
    ///
    /// # Safety
    /// `allocate` gave it, and no work that uses it is under way or will come.
    unsafe fn free(&self, address: u64) -> Result<(), Error>;
    /// Memory is a new array's, who has so many bytes of it and has written none. Only where the driver watches memory.
    fn reuse(&self, address: u64, bytes: usize, stream: Stream) -> Result<(), Error>;
    /// Memory of the host's from which and to which copies go by themselves.
    fn allocate_host(&self, bytes: usize) -> Result<*mut u8, Error>;

    /// Copies from the host's memory.
    ///
    /// # Safety
    /// Both ranges are allocated, and the first stays as it is until the copy is complete.
    unsafe fn copy_in(&self, from: *const u8, to: u64, bytes: usize, stream: Stream) -> Result<(), Error>;
    /// Copies to the host's memory.
    ///
    /// # Safety
    /// Both ranges are allocated, and nobody uses the second until the copy is complete.
    unsafe fn copy_out(&self, from: u64, to: *mut u8, bytes: usize, stream: Stream) -> Result<(), Error>;
    /// Copies from another device's memory, whose driver is of the same kind.
    ///
    /// # Safety
    /// Both ranges are allocated, and the first stays as it is until the copy is complete.
    unsafe fn copy_peer(&self, other: &Self, from: u64, to: u64, bytes: usize, stream: Stream) -> Result<(), Error>;
    /// Makes all bytes 0.
    ///
    /// # Safety
    /// The range is allocated.
    unsafe fn clear(&self, address: u64, bytes: usize, stream: Stream) -> Result<(), Error>;

    /// A new stream. Streams are never destroyed, but taken up by the next thread.
    fn stream(&self) -> Result<Stream, Error>;
    /// Waits until all work of a stream is complete. What went wrong meanwhile is an error.
    fn synchronise(&self, stream: Stream) -> Result<(), Error>;
    /// A new event.
    fn event(&self) -> Result<Event, Error>;
    /// Makes the event the end of what the stream has to do now.
    fn record(&self, event: Event, stream: Stream) -> Result<(), Error>;
    /// Lets a stream's further work begin after the event, as it was recorded last.
    fn wait(&self, stream: Stream, event: Event) -> Result<(), Error>;
    /// The host waits for the event, as it was recorded last.
    fn synchronise_event(&self, event: Event) -> Result<(), Error>;

    /// Compiles and loads.
    fn load(&self, source: Source<'_>) -> Result<Self::Code, Error>;
    /// Stages of [`Driver::load`] as text.
    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error>;
    /// Launches. `interrupted` is asked where the launch runs at once.
    ///
    /// # Safety
    /// The arguments are those that the code takes, and their memory is allocated until the launch is complete.
    unsafe fn launch(
        &self,
        code: &Self::Code,
        grid: &Grid<'_>,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error>;

    /// Launches on the stream are noted from now on, and do not run.
    fn begin_capture(&self, stream: Stream) -> Result<(), Error>;
    /// What was noted. Also to be called after a mistake, to end it.
    fn end_capture(&self, stream: Stream) -> Result<Self::Graph, Error>;
    /// Launches what was noted.
    ///
    /// # Safety
    /// As for each of the launches.
    unsafe fn launch_graph(
        &self,
        graph: &Self::Graph,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error>;

    /// A batch of matrix products, and an array of one axis that is added to each of their rows, if there is one.
    fn product(
        &self,
        product: &MatrixProduct<'_>,
        row: Option<&ArrayView<'_>>,
        stream: Stream,
        lender: &dyn Lender,
    ) -> Result<(), Error>;
    /// A routine of a library.
    fn call(&self, call: &LibraryCall<'_>, stream: Stream, lender: &dyn Lender) -> Result<(), Error>;
}

/// What calls of libraries need besides: all on the stream of the call.
pub trait Lender {
    /// Memory of the pool's.
    fn memory(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error>;
    /// Writes the elements of an array one after another, row by row, to memory that has room for them.
    fn pack(&self, view: &ArrayView<'_>, to: *mut u8) -> Result<(), Error>;
}

//! What a device must offer. One implementation per JIT; no method per op. Plans, caches and pools above it are shared.

use crate::{
    error::Error,
    pool::{Host, HostBlock, Memory},
};
use fusewire_ir::{
    build::tuple,
    dtype::DType,
    fusion::cost::Limits,
    routine::Routine,
    value::{Buffer, Storage},
};
use fusewire_lowering::kernel::Kernel;
use std::{any::Any, ops::Range, sync::Arc};

/// A compiled kernel; only the back end that made it can launch it. Dropping it frees its code.
pub trait Executable: Send + Sync {
    /// For the back end's own downcast.
    fn as_any(&self) -> &dyn Any;
    /// Bytes of machine code, for the cache's books.
    fn code_bytes(&self) -> usize;
}

/// The arguments of one launch, in the order of the kernel's declarations.
pub struct Launch<'a> {
    /// The address of element `[0, 0, ...]` of each buffer; null for scratch, which the back end provides. An output may
    /// lie exactly on an input where each element of the input is read by no iteration but the one that then writes
    /// the same element of the output; otherwise what is written overlaps nothing.
    pub buffers: &'a [*mut u8],
    /// The evaluated integers.
    pub ints: &'a [i64],
    /// The scalar parameters' bits, zero-extended.
    pub params: &'a [u64],
    /// An estimate of the bytes a whole launch moves, by which threads are chosen. Never changes results.
    pub bytes: u64,
    /// Asked now and then during a long launch, on the calling thread: true stops it with `Error::Interrupted`.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// A matrix `rows x columns` somewhere in memory, strides in elements.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// Element `[0, 0]`.
    pub pointer: *mut u8,
    /// Elements from one row to the next.
    pub row_stride: isize,
    /// Elements from one column to the next.
    pub column_stride: isize,
}

/// `destination = left x right` for `m x k` and `k x n`; a batch of them goes one by one or in parallel.
pub struct MatrixProduct<'a> {
    /// float32 or float64.
    pub dtype: DType,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The extent that is summed; may be 0, then the results are 0.
    pub k: usize,
    /// `[left, right, destination]` of each product of the batch.
    pub batch: &'a [[Matrix; 3]],
    /// As [`Launch::interrupted`].
    pub interrupted: &'a dyn Fn() -> bool,
}

/// A step that runs block by block.
pub struct Member<'a> {
    /// What it runs.
    pub work: MemberWork<'a>,
    /// Its arguments that exist a block at a time, each with its number in [`BlockRun::places`]: buffers of a launch; left operand and
    /// destination (0 and 2) of a product. Their pointers are null, or as far from it as the operand is from its array's start.
    pub private: &'a [(usize, usize)],
}

/// What a member runs for each of its parts.
pub enum MemberWork<'a> {
    /// Items of one phase of a kernel.
    Launch {
        /// The kernel.
        executable: &'a dyn Executable,
        /// Its arguments.
        launch: Launch<'a>,
        /// Which phase. Later ones, which only the last member has, run when all blocks are done.
        phase: usize,
        /// How many items a part has.
        items: u64,
    },
    /// A row of a product, counted through the batch.
    Product(MatrixProduct<'a>),
}

/// Steps that run block by block of their parts: for each block the parts of every member, in order.
pub struct BlockRun<'a> {
    /// The steps.
    pub members: &'a [Member<'a>],
    /// How many blocks there are; they may run in any order, and at once.
    pub count: usize,
    /// The parts of each member, block after block.
    pub parts: &'a [Range<i64>],
    /// Where each private array lies in a thread's memory.
    pub places: &'a [usize],
    /// The byte of each private array that lies there, block after block.
    pub starts: &'a [i64],
    /// Bytes of that memory.
    pub memory: usize,
    /// An estimate of the bytes that all of it moves.
    pub bytes: u64,
    /// As [`Launch::interrupted`].
    pub interrupted: &'a dyn Fn() -> bool,
}

/// A strided array somewhere in memory.
#[derive(Clone, Copy, Debug)]
pub struct ArrayView<'a> {
    /// Its dtype.
    pub dtype: DType,
    /// Element `[0, 0, ...]`.
    pub pointer: *mut u8,
    /// Its extents.
    pub shape: &'a [usize],
    /// Elements from one index to the next, an entry an axis.
    pub strides: &'a [isize],
}

/// A call of a library's routine.
pub struct LibraryCall<'a> {
    /// Which.
    pub routine: Routine,
    /// What it takes.
    pub operands: &'a [ArrayView<'a>],
    /// Its result array: dense, of the shape that the routine gives for these operands, and apart from them.
    pub destination: ArrayView<'a>,
    /// As [`Launch::interrupted`].
    pub interrupted: &'a dyn Fn() -> bool,
}

impl LibraryCall<'_> {
    /// The error of one of `count` members of the batch, whose values have no result: `is singular`. Complex arrays may be given as pairs.
    pub fn has_no_result(&self, count: usize, number: usize, why: &str) -> Error {
        let described = |array: &ArrayView<'_>| {
            let pairs = self.routine.takes_complex() && !array.dtype.is_complex();
            let dtype = if pairs { array.dtype.complex() } else { array.dtype };
            let shape = &array.shape[..array.shape.len() - usize::from(pairs)];
            format!("{} of shape {}", dtype.numpy_name(), tuple(shape))
        };
        let operands: Vec<String> = self.operands.iter().map(described).collect();
        let which = if count == 1 { "the matrix".to_owned() } else { format!("matrix {number}") };
        Error::LinearAlgebra(format!("{}: {which} {why} ({})", self.routine.public_name(), operands.join(" and ")))
    }
}

/// A device's back end.
pub trait Backend: Any + Send + Sync {
    /// For texts and errors: `cpu`.
    fn name(&self) -> &'static str;
    /// Compiles a kernel.
    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error>;
    /// The stages of a compilation as text, in order: `("clif", ...)`, `("asm", ...)`.
    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error>;
    /// The memory that [`Backend::allocate`] gives.
    fn memory(&self) -> &dyn Memory {
        &Host
    }
    /// How much one of its kernels should compute.
    fn limits(&self) -> Limits {
        Limits::CPU
    }
    /// How many items of a phase it computes side by side, about.
    fn workers(&self) -> usize {
        1
    }
    /// The calling thread is going to use these arrays, which other threads may have computed: what it asks for from now on
    /// comes after that. Where work is done when it is asked for there is nothing to do.
    fn begin(&self, inputs: &[&Buffer]) -> Result<(), Error> {
        let _ = inputs;
        Ok(())
    }
    /// The calling thread has asked for all that belongs together; from now on the device may be at it.
    fn end(&self, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        let _ = interrupted;
        Ok(())
    }
    /// Waits until all that was asked for is complete.
    fn synchronise(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Bytes to its memory from that of another device, which [`Backend::begin`] was told of; false where there is no way but
    /// through the host.
    ///
    /// # Safety
    /// As for [`Backend::upload`].
    unsafe fn copy_from(
        &self,
        other: &(dyn Backend + 'static),
        from: *const u8,
        to: *mut u8,
        bytes: usize,
    ) -> Result<bool, Error> {
        let _ = (other, from, to, bytes);
        Ok(false)
    }
    /// Writes the elements of an array of its own to memory of its own, these strides apart; false where the host has to do it.
    ///
    /// # Safety
    /// The array and the room for its elements are allocated, apart from each other, and nobody uses the room meanwhile.
    unsafe fn copy(&self, from: &ArrayView<'_>, to: *mut u8, strides: &[isize]) -> Result<bool, Error> {
        let _ = (from, to, strides);
        Ok(false)
    }
    /// Is it memory that the engine allocated, and no work that uses it is under way but the calling thread's own?
    fn is_callers(&self, storage: &dyn Storage) -> bool {
        storage.as_any().is::<HostBlock>()
    }
    /// Bytes to its memory from the host's; those may change when it returns.
    ///
    /// # Safety
    /// Both ranges are allocated, and nobody writes to the first or uses the second meanwhile.
    unsafe fn upload(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        // SAFETY: the caller vouches for both; devices with memory of their own have methods of their own.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }
    /// Bytes from its memory to the host's, complete when it returns.
    ///
    /// # Safety
    /// As for [`Backend::upload`].
    unsafe fn download(&self, from: *const u8, to: *mut u8, bytes: usize) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { from.copy_to_nonoverlapping(to, bytes) };
        Ok(())
    }
    /// Writes elements to places of a dense array of its own, which are counted row by row, one after another: of several for one place
    /// the last stays. What is outside is left out. False where the host has to do it.
    ///
    /// # Safety
    /// The arrays are allocated, the second and third have one shape and the first and third one dtype, the second int64; and nobody else
    /// uses the first meanwhile.
    unsafe fn put(&self, to: &ArrayView<'_>, places: &ArrayView<'_>, elements: &ArrayView<'_>) -> Result<bool, Error> {
        let _ = (to, places, elements);
        Ok(false)
    }
    /// Uninitialised memory, aligned to 64 bytes, from the pool. Zero bytes are fine.
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error>;
    /// Runs a kernel, for those who are told of its results by this back end. Where an `Inst::Position` was outside its extent that is [`Error::OutOfBounds`], in no words.
    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error>;
    /// Runs a batch of matrix products.
    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error>;
    /// Runs a batch of matrix products and adds to each row of each an array of one axis, which is rounded like a sum of its own. Only
    /// asked of a back end whose [`Limits`] say that products add rows.
    fn matrix_product_plus_row(&self, product: &MatrixProduct<'_>, row: &ArrayView<'_>) -> Result<(), Error> {
        let _ = (product, row);
        Err(Error::Internal(format!("products of {} add no rows", self.name())))
    }
    /// Bytes that steps should move in a block when they run block by block; `None`: they never do.
    fn block_bytes(&self) -> Option<usize> {
        None
    }
    /// Runs steps block by block to their end. Only asked of a back end with [`Backend::block_bytes`].
    fn run_blocks(&self, run: &BlockRun<'_>) -> Result<(), Error> {
        let _ = run;
        Err(Error::Internal(format!("{} runs no blocks", self.name())))
    }
    /// Calls `run(begin, end)` for parts of so many items, each once, on as many threads as the bytes that they move are worth.
    fn spread(&self, items: u64, bytes: u64, run: &(dyn Fn(u64, u64) + Sync)) {
        let _ = bytes;
        run(0, items);
    }
    /// Runs a routine. [`Error::LinearAlgebra`] where the operands' values have no result.
    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error>;
}

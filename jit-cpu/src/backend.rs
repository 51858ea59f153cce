//! The CPU as a back end of the runtime.

use crate::{
    blocks,
    compile::{self, Tier},
    launch, product, routines,
    threads::{Threads, Work},
};
use fusewire_ir::value::Storage;
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{Backend, BlockRun, Executable, Launch, LibraryCall, MatrixProduct},
    error::Error,
    pool,
};
use std::sync::{Arc, atomic::AtomicBool};

/// Cranelift and LLVM, this machine's memory, and a pool of threads.
#[derive(Debug)]
pub struct CpuBackend {
    threads: Threads,
    tier: Tier,
    block_bytes: usize,
}

impl CpuBackend {
    /// With so many threads, or as many as the process may use cores. Threads start when they are first needed.
    pub fn new(threads: Option<usize>) -> CpuBackend {
        CpuBackend { threads: Threads::new(threads), tier: Tier::default(), block_bytes: blocks::BYTES }
    }

    /// The same, with the code of one tier.
    pub fn with_tier(self, tier: Tier) -> CpuBackend {
        CpuBackend { tier, ..self }
    }

    /// The same, with blocks of so many bytes where steps run block by block.
    pub fn with_blocks(self, block_bytes: usize) -> CpuBackend {
        CpuBackend { block_bytes, ..self }
    }

    /// How many threads a long launch uses. Results do not depend on it.
    pub fn num_threads(&self) -> usize {
        self.threads.count()
    }

    /// Sets how many threads later launches use; at least one.
    pub fn set_num_threads(&self, count: usize) {
        self.threads.set_count(count);
    }
}

impl Default for CpuBackend {
    fn default() -> CpuBackend {
        CpuBackend::new(None)
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn workers(&self) -> usize {
        self.threads.count()
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        Ok(Arc::new(compile::compile(kernel, self.tier)))
    }

    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        compile::explain(kernel)
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        pool::allocate(bytes)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        let compiled = executable.as_any().downcast_ref::<compile::Compiled>();
        let compiled = compiled.ok_or_else(|| Error::Internal("a kernel of another back end".into()))?;
        launch::launch(&self.threads, compiled, launch)
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        product::matrix_product(&self.threads, product)
    }

    fn block_bytes(&self) -> Option<usize> {
        Some(self.block_bytes)
    }

    fn run_blocks(&self, run: &BlockRun<'_>) -> Result<(), Error> {
        blocks::run(&self.threads, run)
    }

    fn spread(&self, items: u64, bytes: u64, run: &(dyn Fn(u64, u64) + Sync)) {
        if items == 0 {
            return;
        }
        let work = Work { items, bytes, item: (bytes / items / 16).max(1) };
        let part = |_: usize, begin: u64, end: u64, _: &AtomicBool| run(begin, end);
        let done = self.threads.run(&work, self.threads.workers(&work), &part, &|| false);
        debug_assert!(done.is_ok(), "nobody interrupts it");
    }

    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        routines::call(&self.threads, call)
    }
}

//! Steps that run block by block of rows: for each block the items of every kernel and the rows of every product, one after another
//! on one thread, so that what one writes for the next is still in its cache. What only these steps read lies in memory
//! of the thread, a block of it at a time.

use crate::{
    compile::Compiled,
    launch, product,
    threads::{Threads, Work},
};
use fusewire_jit_llvm::host::PhaseFunction;
use fusewire_runtime::{
    backend::{BlockRun, Launch, MatrixProduct, Member, MemberWork},
    error::Error,
};
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes of a block: it and what the kernels read besides fit a second-level cache.
pub(crate) const BYTES: usize = 384 << 10;

/// Instructions that a multiplication of a product counts as: vectors have sixteen float32.
const LANES: u64 = 16;

/// Runs all blocks, and then the later phases of the last member.
pub(crate) fn run(threads: &Threads, run: &BlockRun<'_>) -> Result<(), Error> {
    let mut stages = Vec::with_capacity(run.members.len());
    let (mut instructions, mut scratch_bytes) = (0u64, 0u64);
    for member in run.members {
        let private = member.private;
        match &member.work {
            MemberWork::Launch { launch, phase, items, .. } => {
                let compiled = compiled(member)?;
                let (works, phase) = (launch::works(compiled, launch)?, *phase);
                let (work, phase) = (&works[phase], &compiled.parts.phases[phase]);
                instructions = instructions.saturating_add(work.instructions());
                scratch_bytes = scratch_bytes.max(launch::scratch_bytes(compiled, launch)?);
                let function = compiled.function(phase, work)?;
                stages.push(Stage::Kernel(Kernel { function, launch, items: *items as i64, private }));
            }
            MemberWork::Product(product) => {
                instructions = instructions.saturating_add(product::multiplications(product) / LANES);
                stages.push(Stage::Product(product, private));
            }
        }
    }
    let count = run.count as u64;
    let work = Work { items: count, bytes: run.bytes, item: instructions / count.max(1) };
    let workers = threads.workers(&work);
    for (number, member) in run.members.iter().enumerate() {
        if let MemberWork::Product(product) = &member.work {
            let rows = run.parts.iter().skip(number).step_by(run.members.len()).map(|parts| parts.end - parts.start);
            product::check_rows(product, rows.max().unwrap_or(0) as usize, workers)?;
        }
    }
    let memory = launch::scratch(run.memory as u64, workers)?;
    let scratch = launch::scratch(scratch_bytes, workers)?;
    let fault = AtomicBool::new(false);
    let shared = Shared { stages, run };
    let pointer = |of: &[std::sync::Arc<dyn fusewire_ir::value::Storage>], worker: usize| {
        of.get(worker).map_or(std::ptr::null_mut(), |block| block.pointer())
    };
    let part = |worker: usize, begin: u64, end: u64, stop: &AtomicBool| {
        let shared = &shared;
        for block in begin as usize..end as usize {
            shared.block(block, pointer(&memory, worker), pointer(&scratch, worker), stop, &fault);
            if stop.load(Relaxed) {
                return;
            }
        }
    };
    threads.run(&work, workers, &part, run.interrupted)?;
    if fault.load(Relaxed) {
        return Err(Error::OutOfBounds(String::new()));
    }
    match run.members.last() {
        Some(member @ Member { work: MemberWork::Launch { launch, phase, .. }, .. }) => {
            launch::phases(threads, compiled(member)?, launch, phase + 1)
        }
        Some(_) | None => Ok(()),
    }
}

fn compiled<'a>(member: &'a Member<'_>) -> Result<&'a Compiled, Error> {
    let MemberWork::Launch { executable, .. } = &member.work else {
        return Err(Error::Internal("a product has no code".into()));
    };
    executable.as_any().downcast_ref().ok_or_else(|| Error::Internal("a kernel of another back end".into()))
}

/// A kernel's phase.
struct Kernel<'a> {
    function: PhaseFunction,
    launch: &'a Launch<'a>,
    items: i64,
    private: &'a [(usize, usize)],
}

enum Stage<'a> {
    Kernel(Kernel<'a>),
    Product(&'a MatrixProduct<'a>, &'a [(usize, usize)]),
}

/// What every thread reads.
struct Shared<'a> {
    stages: Vec<Stage<'a>>,
    run: &'a BlockRun<'a>,
}

// SAFETY: what it refers to is only read while the blocks run, but for `interrupted`, which only the calling thread asks; what its
// pointers point to is written by items that write different elements, or the same values to the same elements of a thread's own
// memory.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    fn block(&self, block: usize, memory: *mut u8, scratch: *mut u8, stop: &AtomicBool, fault: &AtomicBool) {
        let BlockRun { parts, places, starts, .. } = *self.run;
        // Where the whole array would begin.
        let base = |number: usize| {
            memory.wrapping_add(places[number]).wrapping_offset(-starts[block * places.len() + number] as isize)
        };
        for (stage, parts) in self.stages.iter().zip(&parts[block * self.stages.len()..]) {
            if parts.is_empty() {
                continue;
            }
            match stage {
                Stage::Kernel(Kernel { function, launch, items, private }) => {
                    let mut buffers: SmallVec<[*mut u8; 8]> = SmallVec::from_slice(launch.buffers);
                    for &(buffer, number) in *private {
                        buffers[buffer] = base(number);
                    }
                    let (begin, end) = (parts.start * items, parts.end * items);
                    let (buffers, ints, params) = (buffers.as_ptr(), launch.ints.as_ptr(), launch.params.as_ptr());
                    // SAFETY: the function was compiled for these arguments, which the caller vouches for: of the private
                    // arrays it touches what lies in this block's memory. The items lie inside the phase, no other worker has
                    // this memory and scratch, and the function only reads the byte behind `stop` and only writes 1 to that behind
                    // `fault`, at once whole.
                    // What it stores is wanted in the cache.
                    unsafe { function(buffers, ints, params, scratch, begin, end, stop.as_ptr(), fault.as_ptr(), 0) };
                }
                Stage::Product(product, private) => {
                    let mut bases = [std::ptr::null_mut(); 3];
                    for &(operand, number) in *private {
                        bases[operand] = base(number);
                    }
                    product::rows(product, bases, parts.start as usize..parts.end as usize, stop);
                }
            }
            if stop.load(Relaxed) {
                return;
            }
        }
    }
}

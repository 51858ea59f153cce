//! Running a compiled kernel: how many items, which scratch, which chunks.

use crate::{
    compile::{Compiled, CompiledPhase},
    emit::SCRATCH_ALIGNMENT,
    threads::{Threads, Work},
};
use fusewire_ir::value::Storage;
use fusewire_lowering::kernel::IntId;
use fusewire_runtime::{backend::Launch, error::Error, pool};
use smallvec::SmallVec;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A launch that moves so many times what the last cache holds leaves nothing of its results there, and stores past it.
const CACHES: u64 = 2;

/// Bytes of a last cache that the system does not know.
const USUAL_CACHE: u64 = 32 << 20;

/// Bytes of the last cache.
fn last_level_cache() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // SAFETY: asks for a number.
        let bytes = unsafe { libc::sysconf(libc::_SC_LEVEL3_CACHE_SIZE) };
        u64::try_from(bytes).ok().filter(|&bytes| bytes > 0).unwrap_or(USUAL_CACHE)
    })
}

/// Runs every phase to its end, one after another.
pub(crate) fn launch(threads: &Threads, compiled: &Compiled, launch: &Launch<'_>) -> Result<(), Error> {
    phases(threads, compiled, launch, 0)
}

/// Runs the phases from this one on.
pub(crate) fn phases(threads: &Threads, compiled: &Compiled, launch: &Launch<'_>, from: usize) -> Result<(), Error> {
    let scratch_bytes = scratch_bytes(compiled, launch)?;
    let fault = AtomicBool::new(false);
    let streams = i64::from(launch.bytes / CACHES >= last_level_cache());
    let works = works(compiled, launch)?;
    for (phase, work) in compiled.parts.phases.iter().zip(&works).skip(from) {
        if work.items == 0 {
            continue;
        }
        let workers = threads.workers(work);
        let scratch = scratch(scratch_bytes, workers)?;
        let function = compiled.function(phase, work)?;
        let arguments = Arguments {
            buffers: launch.buffers.as_ptr(),
            ints: launch.ints.as_ptr(),
            params: launch.params.as_ptr(),
            scratch: scratch.iter().map(|block| block.pointer()).collect(),
        };
        let run = |worker: usize, begin: u64, end: u64, stop: &AtomicBool| {
            let arguments = &arguments;
            let scratch = arguments.scratch.get(worker).copied().unwrap_or(std::ptr::null_mut());
            let Arguments { buffers, ints, params, .. } = *arguments;
            // SAFETY: the function was compiled for these arguments, which the caller vouches for, the items lie inside the
            // phase, no other worker has this scratch, and the function only reads the byte behind `stop` and only writes 1 to
            // that behind `fault`, at once whole.
            unsafe {
                let (begin, end) = (begin as i64, end as i64);
                function(buffers, ints, params, scratch, begin, end, stop.as_ptr(), fault.as_ptr(), streams)
            };
        };
        threads.run(work, workers, &run, launch.interrupted)?;
        if fault.load(Relaxed) {
            return Err(Error::OutOfBounds(String::new()));
        }
    }
    Ok(())
}

/// How much each phase has to do. Of the bytes that the launch moves, a phase has the share that it has of what is computed.
pub(crate) fn works(compiled: &Compiled, launch: &Launch<'_>) -> Result<SmallVec<[Work; 4]>, Error> {
    let computed = compiled.parts.phases.iter().map(|phase| computed(phase, launch));
    let mut works = computed.collect::<Result<SmallVec<[Work; 4]>, Error>>()?;
    let all = works.iter().fold(0, |sum: u64, work| sum.saturating_add(work.instructions())).max(1);
    for work in &mut works {
        work.bytes = (launch.bytes as f64 * (work.instructions() as f64 / all as f64)) as u64;
    }
    Ok(works)
}

/// What a phase computes.
fn computed(phase: &CompiledPhase, launch: &Launch<'_>) -> Result<Work, Error> {
    let mut items = 1u64;
    for &extent in &phase.extents {
        items = items.saturating_mul(int(launch, extent)?.max(0) as u64);
    }
    let item = if items == 0 { 0 } else { phase.cost.instructions(launch.ints) };
    Ok(Work { items, bytes: 0, item })
}

/// Bytes of scratch that each thread needs.
pub(crate) fn scratch_bytes(compiled: &Compiled, launch: &Launch<'_>) -> Result<u64, Error> {
    let mut sum = 0u64;
    for &(length, size) in &compiled.parts.scratch {
        let bytes = (int(launch, length)?.max(0) as u64).saturating_mul(size as u64);
        sum = sum.saturating_add(bytes).saturating_add(SCRATCH_ALIGNMENT - 1) & !(SCRATCH_ALIGNMENT - 1);
    }
    Ok(sum)
}

fn int(launch: &Launch<'_>, id: IntId) -> Result<i64, Error> {
    launch.ints.get(id.0 as usize).copied().ok_or_else(|| Error::Internal("too few integers in a launch".into()))
}

/// What every chunk of a phase gets.
struct Arguments {
    buffers: *const *mut u8,
    ints: *const i64,
    params: *const u64,
    scratch: Vec<*mut u8>,
}

// SAFETY: the arrays are only read while the launch runs, and what they point to is written by items that write different
// elements; each worker uses its own scratch.
unsafe impl Sync for Arguments {}

/// So many bytes for each worker.
pub(crate) fn scratch(bytes: u64, workers: usize) -> Result<Vec<Arc<dyn Storage>>, Error> {
    if bytes == 0 {
        return Ok(Vec::new());
    }
    let bytes = usize::try_from(bytes).map_err(|_| Error::OutOfMemory { bytes: usize::MAX })?;
    (0..workers).map(|_| pool::allocate(bytes)).collect()
}

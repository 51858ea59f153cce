//! How a phase's work is dealt to the threads of a GPU. The kernel IR says which element and in which order sums are taken; this
//! says who computes it, and changes no bit.
//!
//! A phase with vector loops has a block of threads an item: the block goes through the item together, and the iterations of
//! each vector loop are dealt to its threads. Other phases have a thread an item.

use fusewire_lowering::kernel::{BufferId, Inst, IntExpr, Kernel, Loop, LoopKind, Phase, Role, Stmt};

/// Threads of a block.
pub(crate) const THREADS: u32 = 128;

/// Threads that exchange values without memory.
pub(crate) const WARP: u32 = 32;

/// Bytes of shared memory that a kernel may use without asking the driver for more.
const SHARED_LIMIT: u32 = 48 << 10;

/// Bytes that are kept for the partial results of folds.
pub(crate) const FOLD_BYTES: u32 = 16 << 10;

/// Where scratch of an item lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In shared memory, so many bytes from its start.
    Shared(u32),
    /// In device memory, one for each worker.
    Device,
}

/// Who computes an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Worker {
    /// One thread.
    Thread,
    /// The threads of a block together.
    Block,
}

/// The decisions for a phase.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub worker: Worker,
    /// Of each buffer that is scratch, by its number.
    pub places: Vec<Option<Place>>,
    /// Buffers that the phase writes and reads: what one thread writes another may read.
    pub exchanged: Vec<bool>,
    /// Does it have loops that fold?
    pub folds: bool,
    /// Bytes of shared memory: of folds first, then scratch.
    pub shared_bytes: u32,
}

impl Schedule {
    /// Decides for a phase of a kernel.
    pub fn of(kernel: &Kernel, phase: &Phase) -> Schedule {
        let mut seen = Seen::default();
        seen.block(kernel, &phase.body);
        let worker = if seen.vector_loop { Worker::Block } else { Worker::Thread };
        let (used, mut shared_bytes) = (seen.loaded.iter().chain(&seen.stored), 0);
        if seen.dealt_folds {
            shared_bytes = FOLD_BYTES;
        }
        let used: Vec<BufferId> = used.copied().collect();
        let mut place = |number: usize| {
            let buffer = &kernel.buffers[number];
            if buffer.role != Role::Scratch || !used.contains(&BufferId(number as u32)) {
                return None;
            }
            let length = buffer.length.map(|int| kernel.ints[int.0 as usize]);
            match (worker, length) {
                (Worker::Block, Some(IntExpr::Const(length))) => {
                    let bytes =
                        u32::try_from(length).ok()?.checked_mul(buffer.dtype.size() as u32)?.next_multiple_of(16);
                    if shared_bytes + bytes > SHARED_LIMIT {
                        return Some(Place::Device);
                    }
                    shared_bytes += bytes;
                    Some(Place::Shared(shared_bytes - bytes))
                }
                _ => Some(Place::Device),
            }
        };
        let places = (0..kernel.buffers.len()).map(&mut place).collect();
        let exchanged = (0..kernel.buffers.len() as u32).map(BufferId);
        let exchanged = exchanged.map(|b| seen.loaded.contains(&b) && seen.stored.contains(&b)).collect();
        Schedule { worker, places, exchanged, folds: seen.folds, shared_bytes }
    }
}

/// What stands in a phase.
#[derive(Default)]
struct Seen {
    vector_loop: bool,
    folds: bool,
    /// In vector loops.
    dealt_folds: bool,
    loaded: Vec<BufferId>,
    stored: Vec<BufferId>,
}

impl Seen {
    fn block(&mut self, kernel: &Kernel, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(id) => {
                    if let Inst::Load { buffer, .. } | Inst::Gather { buffer, .. } = kernel.values[id.0 as usize].inst {
                        self.loaded.push(buffer);
                    }
                }
                Stmt::Store { buffer, .. } => self.stored.push(*buffer),
                Stmt::Loop(inner) => {
                    let vector = matches!(inner.kind, LoopKind::Vector { .. });
                    self.vector_loop |= vector;
                    self.folds |= !inner.reductions.is_empty();
                    self.dealt_folds |= vector && !inner.reductions.is_empty();
                    self.block(kernel, &inner.body);
                }
            }
        }
    }
}

/// Does a statement of a block store to a buffer that the phase reads too?
pub(crate) fn exchanges(schedule: &Schedule, statement: &Stmt) -> bool {
    match statement {
        Stmt::Let(_) => false,
        Stmt::Store { buffer, .. } => schedule.exchanged[buffer.0 as usize],
        Stmt::Loop(Loop { body, .. }) => body.iter().any(|inner| exchanges(schedule, inner)),
    }
}

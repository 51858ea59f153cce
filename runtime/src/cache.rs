//! Compiled plans, found by the structure of the captured graph. Bounded by how many there are and by their bytes; the least
//! recently used go first. Kernels are shared between plans: one that several plans need is compiled once and lives as
//! long as one of them.
//!
//! Nothing is computed under the locks: threads that miss on the same key at once both compile, and the first one's plan
//! stays. Invariants: a plan found has the very key that was asked for, not only its hash; the bounds hold after each
//! insertion (a plan larger than the bound is not kept at all).

use crate::{
    backend::Backend,
    compile, counters,
    error::Error,
    op_by_op::FirstRun,
    plan::{CompiledKernel, Plan},
};
use fusewire_ir::lazy::Device;
use fusewire_lowering::kernel::Kernel;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::{
    Arc, Weak,
    atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

/// How much a cache keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Plans.
    pub plans: usize,
    /// Bytes of machine code, keys and tables.
    pub bytes: usize,
}

/// What the process's cache keeps.
pub const LIMITS: Limits = Limits { plans: 512, bytes: 64 << 20 };

/// The process's plans.
pub static PLANS: PlanCache = PlanCache::new(LIMITS);

/// A bounded cache of plans.
pub struct PlanCache {
    limits: Limits,
    clock: AtomicU64,
    plans: RwLock<Plans>,
    kernels: Mutex<Kernels>,
    /// Index into [`FirstRun::ALL`].
    first_run: AtomicU8,
    /// Notes on graphs without a plan, by their hashes, whose last bits are the note. The place is the hash's, so a later graph may
    /// take it: then it is as if nothing had been noted.
    notes: [AtomicU64; NOTES],
}

/// How many graphs without a plan are remembered.
const NOTES: usize = 4096;

/// The largest note.
const NOTE: u64 = 0xffff;

#[derive(Default)]
struct Plans {
    /// By hash; mostly one entry a hash.
    entries: FxHashMap<u64, SmallVec<[Entry; 1]>>,
    count: usize,
    bytes: usize,
}

struct Entry {
    device: Device,
    key: Box<[u32]>,
    plan: Arc<Plan>,
    bytes: usize,
    used: AtomicU64,
}

#[derive(Default)]
struct Kernels {
    compiled: FxHashMap<(Device, Kernel), Weak<CompiledKernel>>,
    /// At so many entries the dead ones are swept out.
    sweep_at: usize,
}

impl PlanCache {
    /// An empty cache.
    pub const fn new(limits: Limits) -> PlanCache {
        PlanCache {
            limits,
            clock: AtomicU64::new(0),
            plans: RwLock::new(Plans {
                entries: FxHashMap::with_hasher(rustc_hash::FxBuildHasher),
                count: 0,
                bytes: 0,
            }),
            kernels: Mutex::new(Kernels { compiled: FxHashMap::with_hasher(rustc_hash::FxBuildHasher), sweep_at: 64 }),
            first_run: AtomicU8::new(0),
            notes: [const { AtomicU64::new(0) }; NOTES],
        }
    }

    /// How structures without a plan are computed.
    pub fn first_run(&self) -> FirstRun {
        FirstRun::ALL[self.first_run.load(Relaxed) as usize].1
    }

    /// Sets how structures without a plan are computed.
    pub fn set_first_run(&self, mode: FirstRun) {
        let place = FirstRun::ALL.iter().position(|&(_, other)| other == mode);
        self.first_run.store(place.unwrap_or(0) as u8, Relaxed);
    }

    /// Adds to the note on the graph of this hash, and returns what it was before.
    pub(crate) fn note(&self, hash: u64, amount: u64) -> u64 {
        let place = &self.notes[(hash >> NOTE.count_ones()) as usize % NOTES];
        let entry = place.load(Relaxed);
        let before = if entry & !NOTE == hash & !NOTE { entry & NOTE } else { 0 };
        place.store(hash & !NOTE | before.saturating_add(amount).min(NOTE), Relaxed);
        before
    }

    /// The plan of a captured graph, if it is there.
    pub fn find(&self, device: Device, hash: u64, key: &[u32]) -> Option<Arc<Plan>> {
        let plans = self.plans.read();
        let entry = plans.entries.get(&hash)?.iter().find(|e| e.device == device && *e.key == *key)?;
        entry.used.store(self.tick(), Relaxed);
        Some(entry.plan.clone())
    }

    /// Keeps a plan, and returns the one to use: an equal one that another thread has kept meanwhile comes first.
    pub fn insert(&self, device: Device, hash: u64, key: Box<[u32]>, plan: Arc<Plan>) -> Arc<Plan> {
        let bytes = plan.code_bytes() + plan.table_bytes() + key.len() * 4 + size_of::<Entry>();
        if bytes > self.limits.bytes {
            return plan;
        }
        let mut plans = self.plans.write();
        let entries = plans.entries.entry(hash).or_default();
        if let Some(entry) = entries.iter().find(|e| e.device == device && e.key == key) {
            return entry.plan.clone();
        }
        entries.push(Entry { device, key, plan: plan.clone(), bytes, used: AtomicU64::new(self.tick()) });
        plans.count += 1;
        plans.bytes += bytes;
        let mut evicted = Vec::new();
        while plans.count > self.limits.plans || plans.bytes > self.limits.bytes {
            let Some(entry) = plans.take_least_recently_used() else { break };
            evicted.push(entry);
        }
        // Freeing code can take a while; nobody should wait for it.
        drop(plans);
        counters::PLAN_EVICTIONS.add(evicted.len() as u64);
        plan
    }

    /// The kernel after the kernel passes, compiled; or what became of an equal one before.
    pub fn compile(&self, device: Device, backend: &dyn Backend, kernel: Kernel) -> Result<Arc<CompiledKernel>, Error> {
        let source = (device, kernel);
        if let Some(compiled) = self.kernels.lock().compiled.get(&source).and_then(Weak::upgrade) {
            counters::KERNELS_REUSED.add(1);
            return Ok(compiled);
        }
        let kernel = compile::optimize_kernel(source.1.clone(), &mut |_, _| ())?;
        let executable = backend.compile(&kernel)?;
        counters::KERNELS_COMPILED.add(1);
        let compiled = Arc::new(CompiledKernel { kernel, executable });
        let mut kernels = self.kernels.lock();
        kernels.compiled.insert(source, Arc::downgrade(&compiled));
        if kernels.compiled.len() >= kernels.sweep_at {
            kernels.compiled.retain(|_, kernel| kernel.strong_count() > 0);
            kernels.sweep_at = (kernels.compiled.len() * 2).max(64);
        }
        Ok(compiled)
    }

    /// How many plans there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let plans = self.plans.read();
        (plans.count, plans.bytes)
    }

    /// How many kernels are remembered; some may be dead already.
    pub fn kernels(&self) -> usize {
        self.kernels.lock().compiled.len()
    }

    /// Forgets every plan (those that run keep theirs until they end).
    pub fn clear(&self) {
        let plans = std::mem::take(&mut *self.plans.write());
        drop(plans);
        self.kernels.lock().compiled.retain(|_, kernel| kernel.strong_count() > 0);
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Relaxed)
    }

    /// The locks, for the time of a fork.
    pub(crate) fn lock_for_fork(&'static self) -> impl Sized + 'static {
        (self.plans.write(), self.kernels.lock())
    }
}

impl Plans {
    fn take_least_recently_used(&mut self) -> Option<Entry> {
        let all = self.entries.iter().flat_map(|(&hash, entries)| entries.iter().map(move |e| (hash, e)));
        let (hash, used) = all.map(|(hash, e)| (hash, e.used.load(Relaxed))).min_by_key(|&(_, used)| used)?;
        let entries = self.entries.get_mut(&hash)?;
        let position = entries.iter().position(|e| e.used.load(Relaxed) == used)?;
        let entry = entries.swap_remove(position);
        if entries.is_empty() {
            self.entries.remove(&hash);
        }
        self.count -= 1;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

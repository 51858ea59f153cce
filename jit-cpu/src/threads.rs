//! The pool of threads, and how a phase's items are spread over them: each has a part of its own, of neighbouring items, and takes
//! chunks of it; who is done with that helps with the others', so that uneven items and busy cores even out. Which thread runs
//! which items never changes a result.
//!
//! The calling thread works too, and asks now and then whether to stop. A job that no worker has found time for yet does not
//! hold it up: it does all chunks itself then. Only where a single item may take long does it leave the work to the others,
//! so that it can ask in between; items look themselves whether they are to stop.

use fusewire_runtime::error::Error;
use parking_lot::{Condvar, Mutex};
use rayon::{ThreadPool, ThreadPoolBuilder};
use smallvec::SmallVec;
use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

/// Launches that move less than this run on the calling thread alone: what a second one takes over would take no longer. `2 x + y`
/// on float32, launched again and again by one and by two threads: 3.0 and 3.6 us at 350 KiB, 5.0 and 4.5 at 590, 9.6 and 5.6 at 1 MiB.
const INLINE_BYTES: u64 = 512 << 10;
/// Launches that compute less than so many instructions likewise.
const INLINE_INSTRUCTIONS: u64 = 1 << 20;
/// Items of more instructions are left to the pool. They take a millisecond on from here, and with all their loads from far
/// away some ten times that.
const LONG_ITEM: u64 = 1 << 23;
/// A chunk moves about this much: enough to make taking it cheap, little enough to even out.
const CHUNK_BYTES: u64 = 256 << 10;
/// How long a chunk may run before later ones are made smaller.
const CHUNK_TIME: Duration = Duration::from_millis(10);
/// How long one may run before they grow no more.
const CHUNK_GROWS: Duration = Duration::from_micros(100);
/// Items of the first chunks: bytes say little about time.
const FIRST_CHUNK: u64 = 4;
/// How long a worker without work looks out for the next job before it goes to sleep: waking it takes some 20 us, and programs
/// launch one kernel after another.
const LINGER: Duration = Duration::from_micros(50);
/// How long the calling thread looks out for the end of the others' last chunks before it goes to sleep.
const SPIN: Duration = Duration::from_micros(100);
/// How long the calling thread goes without asking whether to stop.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How much there is to do.
pub(crate) struct Work {
    /// Items of the phase.
    pub items: u64,
    /// Bytes that they move, estimated.
    pub bytes: u64,
    /// Vector instructions of one item, about.
    pub item: u64,
}

impl Work {
    /// Vector instructions of all items, about.
    pub fn instructions(&self) -> u64 {
        self.item.saturating_mul(self.items)
    }

    /// Is it done sooner than another thread is woken?
    fn is_small(&self) -> bool {
        self.bytes < INLINE_BYTES && self.instructions() < INLINE_INSTRUCTIONS
    }
}

/// Runs items: `run(worker, begin, end, stop)`.
pub(crate) type Run<'a> = dyn Fn(usize, u64, u64, &AtomicBool) + Sync + 'a;

/// A pool that starts when it is first needed, and again in the child after `fork()`.
#[derive(Debug)]
pub(crate) struct Threads {
    count: AtomicUsize,
    /// The pool of the process that made it. Never taken from another process: its lock may be held for ever there.
    shared: AtomicPtr<Shared>,
}

#[derive(Debug)]
struct Shared {
    process: u32,
    pool: Mutex<Option<Arc<ThreadPool>>>,
    /// Counts what the pool was asked for.
    asked: Arc<AtomicU64>,
}

impl Threads {
    /// A pool of so many threads, or as many as there are cores to use.
    pub fn new(count: Option<usize>) -> Threads {
        let available = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let count = count.unwrap_or_else(available).max(1);
        Threads { count: AtomicUsize::new(count), shared: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// How many threads a long job uses.
    pub fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Changes it for later jobs.
    pub fn set_count(&self, count: usize) {
        self.count.store(count.max(1), SeqCst);
    }

    /// How many threads, the calling one among them, a job is worth.
    pub fn workers(&self, work: &Work) -> usize {
        if work.items < 2 || work.is_small() {
            return 1;
        }
        let instructions = work.instructions();
        let worth = (work.bytes / (INLINE_BYTES / 2)).max(instructions / (INLINE_INSTRUCTIONS / 2));
        let most = work.items.min(worth).max(1);
        self.count().min(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// The pool, with as many threads as jobs use; none where the system refuses threads.
    pub fn pool(&self) -> Option<Arc<ThreadPool>> {
        let shared = self.shared();
        shared.asked.fetch_add(1, SeqCst);
        let mut pool = shared.pool.lock();
        let count = self.count();
        if let Some(pool) = pool.as_ref().filter(|pool| pool.current_num_threads() == count) {
            return Some(Arc::clone(pool));
        }
        let name = |index| format!("fusewire-{index}");
        let new = ThreadPoolBuilder::new().num_threads(count).thread_name(name).build();
        let new = Arc::new(new.ok()?);
        *pool = Some(Arc::clone(&new));
        Some(new)
    }

    fn shared(&self) -> &Shared {
        let process = std::process::id();
        let current = self.shared.load(SeqCst);
        // SAFETY: what was stored came from `Box::into_raw` and is not freed before `self` is dropped.
        if let Some(shared) = unsafe { current.as_ref() }
            && shared.process == process
        {
            return shared;
        }
        // The first use, or the first after a fork; what the parent left is not touched, its threads are not here.
        let fresh = Box::into_raw(Box::new(Shared { process, pool: Mutex::new(None), asked: Arc::default() }));
        match self.shared.compare_exchange(current, fresh, SeqCst, SeqCst) {
            // SAFETY: just made, and from now on as above.
            Ok(_) => unsafe { &*fresh },
            Err(theirs) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: another thread of this process stored it, as above.
                unsafe { &*theirs }
            }
        }
    }

    /// Calls `run` until every item is done, with `worker < workers`, each used by one thread at a time.
    pub fn run(&self, work: &Work, workers: usize, run: &Run<'_>, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        if workers == 1 && work.is_small() {
            run(0, 0, work.items, &AtomicBool::new(false));
            return Ok(());
        }
        let long = work.item >= LONG_ITEM;
        let per_item = if long { u64::MAX } else { (work.bytes / work.items).max(1) };
        let even = work.items.div_ceil(workers as u64 * 4);
        let chunk = (CHUNK_BYTES / per_item).clamp(1, even.max(1));
        // SAFETY: only the lifetime changes. Nobody calls the function after this one returns: see `Job::help` and the wait.
        let run: &'static Run<'static> = unsafe { std::mem::transmute(run) };
        let job = Job {
            run,
            parts: Part::divide(work.items, workers as u64),
            chunk: AtomicU64::new(chunk.min(FIRST_CHUNK)),
            most: chunk,
            stop: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            idle: (Mutex::new(()), Condvar::new()),
        };
        if workers == 1 && !long {
            return job.work(0, interrupted);
        }
        let job = Arc::new(job);
        let Some(pool) = self.pool() else {
            return job.work(0, interrupted);
        };
        let asked = &self.shared().asked;
        let seen = asked.load(SeqCst);
        for worker in usize::from(!long)..workers {
            let (job, asked) = (Arc::clone(&job), Arc::clone(asked));
            pool.spawn(move || {
                job.help(worker);
                drop(job);
                spin(LINGER, || asked.load(Relaxed) == seen);
            });
        }
        if long {
            return job.wait(interrupted, true);
        }
        let result = job.work(0, interrupted);
        job.wait(interrupted, false).and(result)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let current = std::mem::replace(self.shared.get_mut(), std::ptr::null_mut());
        if !current.is_null() {
            // SAFETY: stored from `Box::into_raw`, and nobody borrows `self` any more.
            let shared = unsafe { Box::from_raw(current) };
            if shared.process != std::process::id() {
                // The threads are the parent's; waiting for them would never end.
                std::mem::forget(shared);
            }
        }
    }
}

/// Waits without sleeping, as long as a condition holds but no longer than so.
fn spin(most: Duration, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while condition() && start.elapsed() < most {
        for _ in 0..16 {
            std::hint::spin_loop();
        }
    }
}

/// A phase that is being run.
struct Job {
    run: &'static Run<'static>,
    /// One a worker.
    parts: SmallVec<[Part; 1]>,
    chunk: AtomicU64,
    /// As large as chunks may become.
    most: u64,
    stop: AtomicBool,
    /// How many workers may be calling `run`.
    active: AtomicUsize,
    idle: (Mutex<()>, Condvar),
}

/// Neighbouring items. A thread that goes through memory from end to end has it loaded in advance: 2 x + y on 1.7M float32 takes
/// two threads 81 us in halves, and 109 us in chunks of 32,768 elements in turns.
#[repr(align(64))]
struct Part {
    /// The first item that nobody has taken.
    next: AtomicU64,
    end: u64,
}

impl Part {
    fn divide(items: u64, parts: u64) -> SmallVec<[Part; 1]> {
        let bound = |part: u64| (u128::from(items) * u128::from(part) / u128::from(parts)) as u64;
        (0..parts).map(|part| Part { next: AtomicU64::new(bound(part)), end: bound(part + 1) }).collect()
    }

    fn is_taken(&self) -> bool {
        self.next.load(SeqCst) >= self.end
    }

    fn take(&self, chunk: u64) -> Option<(u64, u64)> {
        let behind = |begin: u64| begin.saturating_add(chunk).min(self.end);
        let taken = self.next.fetch_update(SeqCst, SeqCst, |next| (next < self.end).then(|| behind(next)));
        taken.ok().map(|begin| (begin, behind(begin)))
    }
}

impl Job {
    /// Of the worker's own part, else of the next one's that has items left.
    fn take(&self, worker: usize) -> Option<(u64, u64)> {
        if self.stop.load(SeqCst) {
            return None;
        }
        let chunk = self.chunk.load(SeqCst);
        let (before, from) = self.parts.split_at(worker);
        from.iter().chain(before).find_map(|part| part.take(chunk))
    }

    fn chunk(&self, worker: usize, begin: u64, end: u64) -> Duration {
        let start = Instant::now();
        (self.run)(worker, begin, end, &self.stop);
        let took = start.elapsed();
        if took > CHUNK_TIME {
            let fitting = (end - begin) as u128 * CHUNK_TIME.as_nanos() / took.as_nanos().max(1);
            self.chunk.fetch_min((fitting as u64).max(1), SeqCst);
        } else if took < CHUNK_GROWS {
            let factor = (CHUNK_GROWS.as_nanos() / took.as_nanos().max(1)).clamp(2, 64) as u64;
            self.chunk.fetch_max((end - begin).saturating_mul(factor).min(self.most), SeqCst);
        }
        took
    }

    /// A worker of the pool. Announces itself before it looks for work, so that either it finds none, or the calling thread
    /// sees it and waits.
    fn help(&self, worker: usize) {
        self.active.fetch_add(1, SeqCst);
        while let Some((begin, end)) = self.take(worker) {
            self.chunk(worker, begin, end);
        }
        if self.active.fetch_sub(1, SeqCst) == 1 {
            let _guard = self.idle.0.lock();
            self.idle.1.notify_all();
        }
    }

    /// The calling thread.
    fn work(&self, worker: usize, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        let mut since = Duration::ZERO;
        while let Some((begin, end)) = self.take(worker) {
            since += self.chunk(worker, begin, end);
            if since > ASK_EVERY {
                since = Duration::ZERO;
                if interrupted() {
                    self.stop.store(true, SeqCst);
                    return Err(Error::Interrupted);
                }
            }
        }
        Ok(())
    }

    /// Until no worker calls `run` any more and none will; with `all`, until every item is done, whoever does it.
    fn wait(&self, interrupted: &dyn Fn() -> bool, all: bool) -> Result<(), Error> {
        let mut result = Ok(());
        let waits = || {
            let left = all && !self.stop.load(SeqCst) && !self.parts.iter().all(Part::is_taken);
            left || self.active.load(SeqCst) > 0
        };
        // Most often the others finish their last chunk right now; sleeping and waking would take longer.
        spin(SPIN, waits);
        let mut guard = self.idle.0.lock();
        while waits() {
            if self.idle.1.wait_for(&mut guard, ASK_EVERY).timed_out() && result.is_ok() && interrupted() {
                self.stop.store(true, SeqCst);
                result = Err(Error::Interrupted);
            }
        }
        result
    }
}

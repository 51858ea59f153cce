//! Running a kernel's blocks, one after another, with a coroutine a thread: it gives way at barriers and where threads exchange
//! values, and goes on when all threads of its team have come so far.
//!
//! A mistake of the kernel is noted, the first one, and the access goes to memory of the thread's own; so that kernels always come
//! to their end, but for one whose threads wait for others that do not come.

use super::{
    memory::{Reach, Wrong},
    races::Who,
};
use crate::schedule::THREADS;
use corosensei::{Coroutine, CoroutineResult, Yielder, stack::DefaultStack};
use fusewire_runtime::error::Error;
use std::{
    cell::{Cell, RefCell},
    ptr,
};

/// A compiled kernel.
pub(crate) type Function = unsafe extern "C" fn(arguments: *const u64, thread: *const Thread);

/// What a thread of the device knows of itself. Compiled code reads the first four words.
#[repr(C)]
pub(crate) struct Thread {
    /// Its number in the block.
    number: u64,
    block: u64,
    blocks: u64,
    /// The address of the block's shared memory.
    shared: u64,
    launch: *const Launch<'static>,
    yielder: Cell<*const Yielder<(), Wait>>,
    /// What it gives to others, in turns.
    given: [Cell<u32>; 2],
    exchanges: Cell<u64>,
    /// How many barriers it has passed.
    passed: Cell<u64>,
    /// Where accesses go that are none.
    nowhere: Cell<[u64; 8]>,
}

/// What a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    Barrier,
    Exchange,
}

impl Wait {
    fn name(self) -> &'static str {
        match self {
            Wait::Barrier => "a barrier",
            Wait::Exchange => "an exchange between threads",
        }
    }
}

/// A launch while it runs.
pub(crate) struct Launch<'a> {
    /// For reports.
    pub kernel: &'a str,
    pub reach: Reach,
    /// The address of shared memory, if there is some.
    pub shared: u64,
    threads: Cell<*const Thread>,
    mistake: RefCell<Option<String>>,
}

impl<'a> Launch<'a> {
    pub fn new(kernel: &'a str, reach: Reach, shared: u64) -> Launch<'a> {
        Launch { kernel, reach, shared, threads: Cell::new(ptr::null()), mistake: RefCell::new(None) }
    }

    /// Runs all blocks. So many neighbouring threads wait for each other, at barriers and where they exchange values.
    ///
    /// # Safety
    /// The function was compiled for these arguments.
    pub unsafe fn run(
        &self,
        function: Function,
        arguments: &[u64],
        blocks: u64,
        team: usize,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        for block in 0..blocks {
            if block % 16 == 15 && interrupted() {
                return Err(Error::Interrupted);
            }
            if self.shared != 0 {
                self.reach.forget(self.shared);
            }
            let threads: Vec<Thread> = (0..THREADS.into()).map(|number| self.thread(number, block, blocks)).collect();
            self.threads.set(threads.as_ptr());
            if team > 1 {
                threads.chunks(team).for_each(|team| self.together(function, arguments, team));
            } else {
                // SAFETY: the caller vouches for the function; the thread lives until it returns.
                threads.iter().for_each(|thread| unsafe { function(arguments.as_ptr(), thread) });
            }
            if let Some(mistake) = self.mistake.take() {
                return Err(Error::Device(mistake));
            }
        }
        Ok(())
    }

    fn thread(&self, number: u64, block: u64, blocks: u64) -> Thread {
        Thread {
            number,
            block,
            blocks,
            shared: self.shared,
            launch: ptr::from_ref(self).cast(),
            yielder: Cell::new(ptr::null()),
            given: Default::default(),
            exchanges: Cell::new(0),
            passed: Cell::new(0),
            nowhere: Cell::new([0; 8]),
        }
    }

    /// The threads of a team, each as far as the next place where it waits, until all have ended.
    fn together(&self, function: Function, arguments: &[u64], threads: &[Thread]) {
        let arguments = arguments.as_ptr();
        let begin = |thread: &Thread, stack: DefaultStack| {
            let thread = ptr::from_ref(thread);
            Coroutine::with_stack(stack, move |yielder: &Yielder<(), Wait>, ()| {
                // SAFETY: the threads and the arguments outlive their coroutines, which end or are reset in this function.
                unsafe {
                    (*thread).yielder.set(yielder);
                    function(arguments, thread);
                }
            })
        };
        let Some(stacks) = stacks(threads.len()) else {
            return self.note("no memory for the stacks of its threads".into(), None);
        };
        let mut coroutines: Vec<_> = threads.iter().zip(stacks).map(|(thread, stack)| begin(thread, stack)).collect();
        loop {
            let waits: Vec<Option<Wait>> = coroutines
                .iter_mut()
                .map(|coroutine| match coroutine.resume(()) {
                    CoroutineResult::Yield(wait) => Some(wait),
                    CoroutineResult::Return(()) => None,
                })
                .collect();
            if waits.iter().all(Option::is_none) {
                break;
            }
            if let Some(other) = waits.iter().position(|wait| *wait != waits[0]) {
                let does = |wait: Option<Wait>| wait.map_or("has ended".into(), |w| format!("waits at {}", w.name()));
                let (first, other) = (&threads[0], &threads[other]);
                let (one, two) = (does(waits[0]), does(waits[(other.number - first.number) as usize]));
                let message = format!("thread {} {one}, thread {} {two}", first.number, other.number);
                self.note(message, threads.first());
                // SAFETY: the stacks hold frames of compiled code and of the functions below only, which own nothing.
                coroutines.iter_mut().filter(|c| !c.done()).for_each(|c| unsafe { c.force_reset() });
                break;
            }
        }
        let stacks = coroutines.into_iter().map(Coroutine::into_stack).collect();
        STACKS.with(|kept| kept.set(stacks));
    }

    fn note(&self, message: String, thread: Option<&Thread>) {
        let mut mistake = self.mistake.borrow_mut();
        if mistake.is_none() {
            let place = thread.map_or(String::new(), |t| format!(", block {} of {}", t.block, t.blocks));
            *mistake = Some(format!("kernel {}{place}: {message}", self.kernel));
        }
    }
}

thread_local! {
    /// Stacks of coroutines, kept from block to block.
    static STACKS: Cell<Vec<DefaultStack>> = const { Cell::new(Vec::new()) };
}

/// Bytes of a coroutine's stack.
const STACK_BYTES: usize = 64 << 10;

fn stacks(count: usize) -> Option<Vec<DefaultStack>> {
    let mut kept = STACKS.with(Cell::take);
    while kept.len() < count {
        kept.push(DefaultStack::new(STACK_BYTES).ok()?);
    }
    Some(kept)
}

/// What compiled code calls: names and addresses.
pub(crate) fn functions() -> [(&'static str, usize); 3] {
    [
        ("simt_access", simt_access as *const () as usize),
        ("simt_barrier", simt_barrier as *const () as usize),
        ("simt_exchange", simt_exchange as *const () as usize),
    ]
}

/// Where an access goes.
unsafe extern "C" fn simt_access(thread: *const Thread, address: u64, bytes: u32, write: u32) -> *mut u8 {
    // SAFETY: compiled code passes on the thread that it was called with, and its launch lasts longer than the call.
    let (thread, launch) = unsafe { (&*thread, &*(*thread).launch) };
    let who = Who::new(thread.block, thread.passed.get(), thread.number);
    match launch.reach.access(address, bytes as usize, write != 0, who) {
        Ok(pointer) => pointer,
        Err(wrong) => {
            let what = match (wrong, write != 0) {
                (Wrong::Outside, true) => String::from("writes outside of what it was given"),
                (Wrong::Outside, false) => "reads outside of what it was given".into(),
                (Wrong::Unwritten, _) => "reads what nobody has written".into(),
                (Wrong::Race((other, wrote)), writes) => {
                    let (does, did) = (if writes { "writes" } else { "reads" }, if wrote { "writes" } else { "reads" });
                    let (number, block) = (other.thread(), other.block());
                    format!("{does} what thread {number} of block {block} {did}, and no barrier is between")
                }
            };
            let memory = if launch.shared != 0 && address >> 38 == launch.shared >> 38 { "shared" } else { "device" };
            let number = thread.number;
            let message = format!("thread {number} {what}: {bytes} bytes of {memory} memory at {address:#x}");
            launch.note(message, Some(thread));
            thread.nowhere.set([0; 8]);
            thread.nowhere.as_ptr().cast()
        }
    }
}

/// Waits for the other threads of the team.
unsafe extern "C" fn simt_barrier(thread: *const Thread) {
    // SAFETY: as in `simt_access`; the yielder is that of the coroutine at hand.
    unsafe {
        (*thread).passed.set((*thread).passed.get() + 1);
        (*(*thread).yielder.get()).suspend(Wait::Barrier);
    }
}

/// Gives a value, and takes that of a thread of the same team.
unsafe extern "C" fn simt_exchange(thread: *const Thread, value: u32, from: u64) -> u32 {
    // SAFETY: as in `simt_barrier`; the block's threads lie one after another, and a number of the same team is one of theirs.
    unsafe {
        let this = &*thread;
        // A thread that runs ahead writes to the other place.
        let turn = (this.exchanges.get() % 2) as usize;
        this.exchanges.set(this.exchanges.get() + 1);
        this.given[turn].set(value);
        (*this.yielder.get()).suspend(Wait::Exchange);
        let other = (*this.launch).threads.get().add(from as usize);
        (*other).given[turn].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simt::memory::Memory;

    /// What a launch of a function of two blocks ends with. The emitter makes no such kernels, so they are written by hand.
    fn said(function: Function) -> Result<(), String> {
        let reach = Reach::of(&Memory::new(1 << 20), std::iter::empty());
        let launch = Launch::new("written by hand", reach, 0);
        // SAFETY: the functions below look at no argument.
        unsafe { launch.run(function, &[], 2, THREADS as usize, &|| false) }.map_err(|error| error.to_string())
    }

    unsafe extern "C" fn together(_: *const u64, thread: *const Thread) {
        // SAFETY: the thread is that of the coroutine at hand.
        unsafe {
            simt_barrier(thread);
            assert_eq!(
                simt_exchange(thread, (*thread).number as u32, (*thread).number ^ 1),
                (*thread).number as u32 ^ 1
            );
        }
    }

    unsafe extern "C" fn some_leave(_: *const u64, thread: *const Thread) {
        // SAFETY: as above.
        unsafe {
            if (*thread).number < 70 || (*thread).block == 0 {
                simt_barrier(thread);
            }
        }
    }

    unsafe extern "C" fn some_exchange(_: *const u64, thread: *const Thread) {
        // SAFETY: as above.
        unsafe {
            if (*thread).number == 5 {
                simt_exchange(thread, 0, 1);
            } else {
                simt_barrier(thread);
            }
        }
    }

    #[test]
    fn barriers_that_not_all_threads_reach_are_found() {
        assert_eq!(said(together), Ok(()));
        let message = said(some_leave).unwrap_err();
        let wanted = "kernel written by hand, block 1 of 2: thread 0 waits at a barrier, thread 70 has ended";
        assert!(message.contains(wanted), "{message}");
        let message = said(some_exchange).unwrap_err();
        let wanted = "block 0 of 2: thread 0 waits at a barrier, thread 5 waits at an exchange between threads";
        assert!(message.contains(wanted), "{message}");
        // What was stopped on the way leaves nothing behind.
        assert_eq!(said(together), Ok(()));
    }
}

//! Phases that run for long, compiled once more by LLVM, for all that this machine's vectors have: on one thread of its own, which
//! lives as long as there is something to compile. Whoever launches a phase later finds the code there; until then it runs as
//! Cranelift's. Bits are the same, so nobody sees when that happens.
//!
//! A process that forks has no such thread in its child. When LLVM was at work just then, its own locks may be held for ever in
//! the child, which does without LLVM from then on.

use crate::{compile::Parts, native, threads::Work};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_jit_llvm::host::{self, Extern, Machine};
use fusewire_lowering::{
    kernel::{Kernel, Stmt},
    walk::for_each_stmt,
};
use fusewire_runtime::error::Error;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::{
        Weak,
        atomic::{
            AtomicPtr, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

pub(crate) use host::Code;

/// What compiling a phase costs before its first value, in vector instructions of Cranelift's code: about 5 ms.
const COMPILING: u64 = 20 << 20;

/// And for each of its values: about 0.05 ms.
const COMPILING_VALUE: u64 = 200 << 10;

/// A phase is hot when it has run so many times as long as compiling it takes.
const WORTH: u64 = 1;

/// Bytes of the compiling thread's stack.
const STACK: usize = 32 << 20;

/// Phases that wait to be compiled, at most. What comes later stays as it is.
const WAITING: usize = 256;

/// How long the process waits at its end for a compilation to be done.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much a phase has run.
#[derive(Debug)]
pub(crate) struct Heat {
    instructions: AtomicU64,
    /// From where on it is hot.
    limit: u64,
}

impl Heat {
    /// Of a phase that has not run yet. Phases whose loops may end early stay as they are: Cranelift's code does so, LLVM's does not.
    pub fn of(kernel: &Kernel, body: &[Stmt]) -> Heat {
        let (mut values, mut ends_early) = (0, false);
        for_each_stmt(body, &mut |statement| {
            values += 1;
            ends_early |= matches!(statement, Stmt::Loop(inner) if inner.may_end_early(kernel));
        });
        if ends_early {
            return Heat { instructions: AtomicU64::new(0), limit: u64::MAX };
        }
        Heat { instructions: AtomicU64::new(0), limit: WORTH * (COMPILING + values * COMPILING_VALUE) }
    }

    /// Counts a launch; true for the one that makes the phase hot.
    pub fn rises(&self, work: &Work) -> bool {
        // Loads and stores are instructions too; memory far away is waited for with either code.
        let more = work.instructions();
        let before = self.instructions.fetch_add(more, Relaxed);
        before < self.limit && before.saturating_add(more) >= self.limit
    }
}

/// A phase of a kernel as LLVM's code; `None` on machines that it is not made for, and after an unlucky fork.
pub(crate) fn compile(kernel: &Kernel, phase: usize) -> Result<Option<Code>, Error> {
    with_llvm(|machine| host::compile(machine, kernel, phase, &function).map_err(Error::Internal)).transpose()
}

/// A kernel as LLVM's code and as assembly.
pub(crate) fn explain(kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
    let stages = with_llvm(|machine| {
        let (mut llvm, mut assembly) = (String::new(), String::new());
        for index in 0..kernel.phases.len() {
            let (code, asm) = host::explain(machine, kernel, index, &function)?;
            llvm.push_str(&format!("; phase{index}\n{code}"));
            assembly.push_str(&format!("phase{index}:\n{asm}"));
        }
        Ok(vec![("llvm", llvm), ("llvm-asm", assembly)])
    });
    stages.transpose().map(Option::unwrap_or_default).map_err(Error::Internal)
}

/// The native function of an op, as compiled code calls it.
fn function(op: ScalarOp, dtype: DType) -> Extern {
    let address = native::function(op, dtype).map_or(0, |function| function as usize);
    (native::name(op, dtype), address)
}

/// How many threads of this process are inside LLVM.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

fn with_llvm<T>(f: impl FnOnce(&Machine) -> T) -> Option<T> {
    struct Leaves;
    impl Drop for Leaves {
        fn drop(&mut self) {
            INSIDE.fetch_sub(1, SeqCst);
        }
    }
    if Orders::of_this_process().without_llvm {
        return None;
    }
    INSIDE.fetch_add(1, SeqCst);
    let _leaves = Leaves;
    Machine::this().map(f)
}

/// Has a phase compiled when there is time.
pub(crate) fn order(kernel: Weak<Parts>, phase: usize) {
    let orders = Orders::of_this_process();
    let mut book = orders.book.lock();
    if orders.without_llvm || book.closed || book.waiting.len() >= WAITING {
        return;
    }
    book.waiting.push_back((kernel, phase));
    if !book.working {
        wait_at_exit();
        // LLVM recurses over what depends on what.
        let thread = std::thread::Builder::new().name("fusewire-llvm".into()).stack_size(STACK);
        book.working = thread.spawn(|| orders.work()).is_ok();
    }
}

/// What is to be compiled, in one process.
struct Orders {
    process: u32,
    /// LLVM was at work in the parent when it forked.
    without_llvm: bool,
    book: Mutex<Book>,
    done: Condvar,
}

#[derive(Default)]
struct Book {
    waiting: VecDeque<(Weak<Parts>, usize)>,
    /// Is there a thread?
    working: bool,
    /// The process ends.
    closed: bool,
}

impl Orders {
    /// The orders of this process. What a parent left is not touched: its lock may be held for ever here.
    fn of_this_process() -> &'static Orders {
        static ORDERS: AtomicPtr<Orders> = AtomicPtr::new(std::ptr::null_mut());
        let process = std::process::id();
        let current = ORDERS.load(SeqCst);
        // SAFETY: what was stored came from `Box::into_raw` and is never freed.
        if let Some(orders) = unsafe { current.as_ref() }
            && orders.process == process
        {
            return orders;
        }
        let forked = !current.is_null();
        let without_llvm = forked && INSIDE.swap(0, SeqCst) > 0;
        let fresh = Orders { process, without_llvm, book: Mutex::default(), done: Condvar::new() };
        let fresh = Box::into_raw(Box::new(fresh));
        match ORDERS.compare_exchange(current, fresh, SeqCst, SeqCst) {
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

    /// The thread: compiles as long as anything waits.
    fn work(&'static self) {
        struct Ends(&'static Orders);
        impl Drop for Ends {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.book.lock().working = false;
                }
                self.0.done.notify_all();
            }
        }
        let _ends = Ends(self);
        loop {
            let mut book = self.book.lock();
            let Some((kernel, phase)) = book.waiting.pop_front() else {
                // Under the lock, so that nobody orders in between and relies on this thread.
                book.working = false;
                return;
            };
            drop(book);
            // Dropped while it waited? What LLVM refuses stays as it is: Cranelift's code computes the same.
            if let Some(kernel) = kernel.upgrade() {
                let _ = kernel.optimise(phase);
                wait_at_exit();
            }
        }
    }
}

/// LLVM's own statics must not be taken down while it works: at its end the process waits until the thread is done. It takes things
/// down in the opposite order of their making, and LLVM makes some of its own when it first needs them, so the wait is registered
/// again behind each of the first compilations.
fn wait_at_exit() {
    const TIMES: usize = 16;
    static REGISTERED: AtomicUsize = AtomicUsize::new(0);
    if REGISTERED.fetch_add(1, SeqCst) < TIMES {
        // SAFETY: the handler is a function of this library, which is never unloaded.
        unsafe { libc::atexit(at_exit) };
    }
}

extern "C" fn at_exit() {
    finish();
}

/// Takes no more orders, and returns when nothing is being compiled any more. The process does so at its end; who knows of the end
/// earlier calls it then.
pub fn finish() {
    let orders = Orders::of_this_process();
    let mut book = orders.book.lock();
    book.closed = true;
    book.waiting.clear();
    while book.working {
        if orders.done.wait_for(&mut book, PATIENCE).timed_out() {
            return;
        }
    }
}

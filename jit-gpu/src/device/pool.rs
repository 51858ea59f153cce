//! The caching allocator of a device: blocks in size classes, kept for reuse, since the driver takes long and waits for all work.
//!
//! A freed block keeps its stream: work that was given to it before may still use the block. The same stream takes it again at
//! once, another one after waiting for the first. How much is kept has a limit, and how much is taken from the device altogether
//! a budget. Failure comes only after the free blocks went back to the driver.
//!
//! Invariant: a block is in use or in one list; `allocated` and `cached` are the bytes of both.

use crate::driver::{Driver, Stream};
use fusewire_runtime::{
    error::Error,
    pool::{self, Figures},
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Waits until a stream's work is complete.
pub(crate) type Settle<'a> = &'a dyn Fn(Stream) -> Result<(), Error>;

/// The blocks of a device.
#[derive(Debug)]
pub(crate) struct Pool(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By their sizes.
    free: BTreeMap<usize, Vec<Free>>,
    allocated: usize,
    cached: usize,
    peak: usize,
    limit: usize,
    budget: usize,
    ticks: u64,
}

/// A block that nobody has.
#[derive(Clone, Copy, Debug)]
struct Free {
    address: u64,
    stream: Stream,
    /// When it was freed; what was freed first goes first.
    tick: u64,
}

/// A block, and the stream that its new owner has to wait for.
pub(crate) struct Obtained {
    pub address: u64,
    pub size: usize,
    pub after: Option<Stream>,
}

impl Pool {
    pub fn new() -> Pool {
        Pool(Mutex::new(State {
            free: BTreeMap::new(),
            allocated: 0,
            cached: 0,
            peak: 0,
            limit: usize::MAX,
            budget: usize::MAX,
            ticks: 0,
        }))
    }

    /// A block for so many bytes, for work of a stream.
    pub fn obtain(
        &self,
        driver: &impl Driver,
        settle: Settle<'_>,
        bytes: usize,
        stream: Stream,
    ) -> Result<Obtained, Error> {
        let size = pool::block_size(bytes).ok_or(Error::OutOfMemory { bytes })?;
        let mut state = self.0.lock();
        let obtained = match state.take(size, stream) {
            Some(free) => {
                Obtained { address: free.address, size, after: (free.stream != stream).then_some(free.stream) }
            }
            None => {
                let refused = |error| match error {
                    Error::OutOfMemory { .. } => Error::OutOfMemory { bytes },
                    error => error,
                };
                Obtained { address: state.fresh(driver, settle, size).map_err(refused)?, size, after: None }
            }
        };
        state.allocated += size;
        state.peak = state.peak.max(state.allocated);
        Ok(obtained)
    }

    /// Takes a block back, which work of the stream may still use.
    pub fn release(&self, driver: &impl Driver, settle: Settle<'_>, address: u64, size: usize, stream: Stream) {
        let mut state = self.0.lock();
        state.allocated -= size;
        state.cached += size;
        state.ticks += 1;
        let tick = state.ticks;
        state.free.entry(size).or_default().push(Free { address, stream, tick });
        let limit = state.limit;
        // What cannot be given back stays.
        let _ = state.shrink_to(driver, settle, limit);
    }

    /// Gives free blocks back to the driver until there are no more than so many bytes.
    pub fn shrink_to(&self, driver: &impl Driver, settle: Settle<'_>, bytes: usize) -> Result<(), Error> {
        self.0.lock().shrink_to(driver, settle, bytes)
    }

    /// Bounds what is kept for reuse, at once and from now on.
    pub fn set_limit(&self, driver: &impl Driver, settle: Settle<'_>, bytes: usize) -> Result<(), Error> {
        let mut state = self.0.lock();
        state.limit = bytes;
        state.shrink_to(driver, settle, bytes)
    }

    /// Bounds what is taken from the device, free blocks included, from now on.
    pub fn set_budget(&self, driver: &impl Driver, settle: Settle<'_>, bytes: usize) -> Result<(), Error> {
        let mut state = self.0.lock();
        state.budget = bytes;
        let kept = bytes.saturating_sub(state.allocated);
        state.shrink_to(driver, settle, kept)
    }

    pub fn figures(&self) -> Figures {
        let state = self.0.lock();
        Figures { allocated: state.allocated, cached: state.cached, peak: state.peak, limit: state.limit }
    }

    pub fn reset_peak(&self) {
        let mut state = self.0.lock();
        state.peak = state.allocated;
    }
}

impl State {
    /// A free block of the size: one of the same stream, else the one that was freed first.
    fn take(&mut self, size: usize, stream: Stream) -> Option<Free> {
        let list = self.free.get_mut(&size)?;
        let own = list.iter().rposition(|free| free.stream == stream);
        let found = list.remove(own.unwrap_or(0));
        if list.is_empty() {
            self.free.remove(&size);
        }
        self.cached -= size;
        Some(found)
    }

    /// A block of the driver's; after giving back what is free, if need be.
    fn fresh(&mut self, driver: &impl Driver, settle: Settle<'_>, size: usize) -> Result<u64, Error> {
        let room = self.budget.saturating_sub(self.allocated);
        if size > room {
            return Err(Error::OutOfMemory { bytes: size });
        }
        self.shrink_to(driver, settle, room - size)?;
        driver.allocate(size).or_else(|error| match error {
            Error::OutOfMemory { .. } if self.cached > 0 => {
                self.shrink_to(driver, settle, 0)?;
                driver.allocate(size)
            }
            error => Err(error),
        })
    }

    fn shrink_to(&mut self, driver: &impl Driver, settle: Settle<'_>, bytes: usize) -> Result<(), Error> {
        let mut done: Vec<Stream> = Vec::new();
        while self.cached > bytes {
            let oldest = self.free.iter().filter_map(|(&size, list)| Some((list.first()?.tick, size))).min();
            let Some((_, size)) = oldest else { break };
            let Some(list) = self.free.get_mut(&size) else { break };
            let block = list[0];
            if !done.contains(&block.stream) {
                settle(block.stream)?;
                done.push(block.stream);
            }
            list.remove(0);
            if list.is_empty() {
                self.free.remove(&size);
            }
            self.cached -= size;
            // SAFETY: the block was the driver's, nobody has it, and the work that used it is complete.
            unsafe { driver.free(block.address)? };
        }
        Ok(())
    }
}

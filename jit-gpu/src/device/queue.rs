//! The launches of a plan, kept until its last one, so that they can go to the device together (`graphs`).
//!
//! What was launched counts as asked for, whether it is kept or not; so whoever looks at a stream from outside (other streams, the
//! host, the allocator that wants to give memory back) first has its queue flushed.

use super::{graphs::Graphs, launch::Phases};
use crate::driver::{Driver, Grid, Stream};
use fusewire_runtime::error::Error;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// What a stream was asked for, until it goes to the device.
pub(crate) enum Queued<D: Driver> {
    Launch(QueuedLaunch<D>),
    /// The memory at this address is a new array's, of so many bytes: for drivers that look what is done to memory.
    Reuse(u64, usize),
}

/// One launch of one phase.
pub(crate) struct QueuedLaunch<D: Driver> {
    pub phases: Arc<Phases<D>>,
    pub phase: usize,
    /// Which of the phase's.
    pub schedule: usize,
    pub arguments: Vec<u64>,
    pub blocks: u32,
}

impl<D: Driver> Queued<D> {
    /// Gives it to the device.
    pub fn give(&self, driver: &D, stream: Stream, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        let launch = match self {
            Queued::Reuse(address, bytes) => return driver.reuse(*address, *bytes, stream),
            Queued::Launch(launch) => launch,
        };
        let code = launch.phases.code(driver, launch.phase, launch.schedule)?;
        let grid = Grid {
            kernel: &launch.phases.kernel.name,
            arguments: &launch.arguments,
            blocks: launch.blocks,
            shared_bytes: launch.phases.schedule(launch.phase, launch.schedule).shared_bytes(),
        };
        // SAFETY: `launch.rs` made the arguments for this phase. Their memory is given back to the driver after the stream
        // is done only.
        unsafe { driver.launch(code, &grid, stream, interrupted) }
    }

    /// Is it the same work on the same memory?
    pub fn same(&self, other: &Queued<D>) -> bool {
        match (self, other) {
            (Queued::Launch(one), Queued::Launch(other)) => {
                Arc::ptr_eq(&one.phases, &other.phases)
                    && (one.phase, one.schedule) == (other.phase, other.schedule)
                    && one.blocks == other.blocks
                    && one.arguments == other.arguments
            }
            (Queued::Reuse(at, bytes), Queued::Reuse(other, others)) => (at, bytes) == (other, others),
            (Queued::Launch(_), Queued::Reuse(..)) | (Queued::Reuse(..), Queued::Launch(_)) => false,
        }
    }
}

/// The queues of a device's streams.
pub(crate) struct Queues<D: Driver>(RwLock<Vec<OfStream<D>>>);

type OfStream<D> = (Stream, Arc<Mutex<Queue<D>>>);

struct Queue<D: Driver> {
    asked: Vec<Queued<D>>,
    /// Is a plan running, and has all that it launched so far been kept?
    open: bool,
}

impl<D: Driver> Default for Queues<D> {
    fn default() -> Queues<D> {
        Queues(RwLock::default())
    }
}

impl<D: Driver> Queues<D> {
    fn of(&self, stream: Stream) -> Arc<Mutex<Queue<D>>> {
        if let Some((_, queue)) = self.0.read().iter().find(|(known, _)| *known == stream) {
            return queue.clone();
        }
        let queue = Arc::new(Mutex::new(Queue { asked: Vec::new(), open: false }));
        let mut queues = self.0.write();
        match queues.iter().find(|(known, _)| *known == stream) {
            Some((_, queue)) => queue.clone(),
            None => {
                queues.push((stream, queue.clone()));
                queue
            }
        }
    }

    /// A plan begins.
    pub fn open(&self, driver: &D, stream: Stream) -> Result<(), Error> {
        let queue = self.of(stream);
        let mut queue = queue.lock();
        // What a plan left that has failed.
        queue.flush(driver, stream, &|| false)?;
        queue.open = true;
        Ok(())
    }

    /// Launches now, or when the plan ends.
    pub fn push(
        &self,
        driver: &D,
        stream: Stream,
        asked: Queued<D>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let queue = self.of(stream);
        let mut queue = queue.lock();
        if queue.open {
            queue.asked.push(asked);
            return Ok(());
        }
        asked.give(driver, stream, interrupted)
    }

    /// A plan ends.
    pub fn close(
        &self,
        driver: &D,
        graphs: &Graphs<D>,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let queue = self.of(stream);
        let mut queue = queue.lock();
        queue.open = false;
        let asked = std::mem::take(&mut queue.asked);
        graphs.launch(driver, stream, asked, interrupted)
    }

    /// Gives to the device what the stream was asked for.
    pub fn flush(&self, driver: &D, stream: Stream, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        self.of(stream).lock().flush(driver, stream, interrupted)
    }

    /// As [`Queues::flush`], for every stream.
    pub fn flush_all(&self, driver: &D) -> Result<(), Error> {
        let all = self.0.read().clone();
        all.into_iter().try_for_each(|(stream, queue)| queue.lock().flush(driver, stream, &|| false))
    }
}

impl<D: Driver> Queue<D> {
    fn flush(&mut self, driver: &D, stream: Stream, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let asked = std::mem::take(&mut self.asked);
        asked.iter().try_for_each(|asked| asked.give(driver, stream, interrupted))
    }
}

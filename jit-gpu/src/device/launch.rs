//! Kernels of a device: compiled phase by phase when a phase first has items, and launched.

use super::{
    Block, Core,
    queue::{Queued, QueuedLaunch},
};
use crate::{
    driver::{Driver, Source, Stream},
    emit::argument_count,
    schedule::{Place, Schedule, Schedules},
};
use fusewire_ir::value::Storage;
use fusewire_lowering::kernel::{Inst, IntId, Kernel, Role};
use fusewire_runtime::{
    backend::{Executable, Launch},
    error::Error,
};
use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

/// A kernel of a device.
pub(crate) struct Compiled<D: Driver>(Arc<Phases<D>>);

/// The device memory that a launch's workers have besides.
type Scratch<D> = Option<Arc<Block<D>>>;

/// What launches share that wait in a queue.
pub(crate) struct Phases<D: Driver> {
    pub kernel: Kernel,
    phases: Vec<Phase<D>>,
    /// Does it look at indices, of which one may be wrong?
    may_fault: bool,
}

struct Phase<D: Driver> {
    schedules: Schedules,
    /// Of each schedule, once it was chosen.
    codes: Vec<OnceLock<D::Code>>,
    /// One thread compiles at a time.
    lock: Mutex<()>,
    extents: Vec<IntId>,
}

impl<D: Driver> Executable for Compiled<D> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.0.phases.len() * 4096
    }
}

impl<D: Driver> Phases<D> {
    /// The code of a phase by one of its schedules, compiled when it is first needed.
    pub fn code(&self, driver: &D, number: usize, schedule: usize) -> Result<&D::Code, Error> {
        let phase = &self.phases[number];
        let place = &phase.codes[schedule];
        if let Some(code) = place.get() {
            return Ok(code);
        }
        let _one = phase.lock.lock();
        if place.get().is_none() {
            let code = driver.load(Source::Phase(&self.kernel, number, schedule))?;
            let _ = place.set(code);
        }
        place.get().ok_or_else(|| Error::Internal("a phase lost its code".into()))
    }

    /// One of a phase's schedules.
    pub fn schedule(&self, number: usize, schedule: usize) -> &Schedule {
        &self.phases[number].schedules.all[schedule]
    }
}

impl<D: Driver> Compiled<D> {
    /// A kernel of which nothing is compiled yet.
    pub fn new(kernel: &Kernel) -> Compiled<D> {
        Compiled(Phases::of(kernel.clone()))
    }

    /// Launches the phases that have items, one after another.
    pub fn launch(&self, core: &Arc<Core<D>>, launch: &Launch<'_>) -> Result<(), Error> {
        let fault = if self.0.may_fault { Some(Fault::new(core)?) } else { None };
        let stream = core.streams.current(&core.driver)?;
        let word = fault.as_ref().map_or(0, |fault| fault.word.address);
        for number in 0..self.0.phases.len() {
            self.0.launch(number, core, launch, stream, word)?;
        }
        fault.map_or(Ok(()), |fault| fault.look(core, stream, launch.interrupted))
    }
}

impl<D: Driver> Phase<D> {
    fn items(&self, ints: &[i64]) -> u64 {
        self.extents.iter().fold(1u64, |n, e| n.saturating_mul(ints[e.0 as usize].max(0) as u64))
    }
}

impl<D: Driver> Phases<D> {
    fn of(kernel: Kernel) -> Arc<Phases<D>> {
        let phase = |phase: &fusewire_lowering::kernel::Phase| {
            let schedules = Schedules::of(&kernel, phase);
            let codes = schedules.all.iter().map(|_| OnceLock::new()).collect();
            let extents = phase.dims.iter().map(|&(_, extent)| extent).collect();
            Phase { schedules, codes, lock: Mutex::new(()), extents }
        };
        let phases = kernel.phases.iter().map(phase).collect();
        let may_fault = kernel.values.iter().any(|value| matches!(value.inst, Inst::Position { .. }));
        Arc::new(Phases { phases, kernel, may_fault })
    }

    /// Launches a phase, if it has items.
    fn launch(
        self: &Arc<Phases<D>>,
        number: usize,
        core: &Arc<Core<D>>,
        launch: &Launch<'_>,
        stream: Stream,
        fault: u64,
    ) -> Result<(), Error> {
        let items = self.phases[number].items(launch.ints);
        if items == 0 {
            return Ok(());
        }
        // Scratch goes back to the pool behind the launch: whoever gets it next is then ordered behind that, on this stream or
        // on another.
        let (queued, _scratch) = self.queued(core, number, items, launch, fault)?;
        // Code takes the driver's memory, too. Once it is there, what waits in a queue loads nothing.
        core.with_room(|| self.code(&core.driver, number, queued.schedule).map(|_| ()))?;
        core.queues.push(&core.driver, stream, Queued::Launch(queued), launch.interrupted)
    }

    /// A phase's arguments and blocks, and the device memory that its scratch takes.
    fn queued(
        self: &Arc<Phases<D>>,
        core: &Arc<Core<D>>,
        number: usize,
        items: u64,
        launch: &Launch<'_>,
        fault: u64,
    ) -> Result<(QueuedLaunch<D>, Scratch<D>), Error> {
        let (chosen, items) = self.phases[number].schedules.choose(items, launch.ints);
        let (kernel, schedule) = (&self.kernel, self.schedule(number, chosen));
        let in_block = u64::from(schedule.worker.in_block());
        let blocks = items.div_ceil(in_block).min(core.driver.most_blocks().into());
        let workers = blocks * in_block;
        let mut arguments: Vec<u64> = launch.buffers.iter().map(|buffer| buffer.addr() as u64).collect();
        // Scratch in device memory: all buffers of a worker one after another.
        let mut scratch_bytes = 0u64;
        for (buffer, argument) in arguments.iter_mut().enumerate() {
            if schedule.places[buffer] == Some(Place::Device) {
                let decl = &kernel.buffers[buffer];
                let length = decl.length.map_or(0, |int| launch.ints[int.0 as usize].max(0) as u64);
                *argument = scratch_bytes;
                scratch_bytes += (length * decl.dtype.size() as u64).next_multiple_of(16);
            }
        }
        let scratch = match scratch_bytes {
            0 => None,
            bytes => Some(core.allocate((bytes * workers) as usize)?),
        };
        for (buffer, argument) in arguments.iter_mut().enumerate() {
            match (schedule.places[buffer], &scratch) {
                (Some(Place::Device), Some(scratch)) => *argument += scratch.address,
                (Some(_), _) => *argument = 0,
                (None, _) if kernel.buffers[buffer].role == Role::Scratch => *argument = 0,
                (None, _) => {}
            }
        }
        arguments.extend(launch.ints.iter().map(|&int| int as u64));
        arguments.extend_from_slice(launch.params);
        arguments.extend([scratch_bytes, fault]);
        debug_assert_eq!(arguments.len(), argument_count(kernel) as usize);
        let (phases, blocks) = (self.clone(), blocks as u32);
        Ok((QueuedLaunch { phases, phase: number, schedule: chosen, arguments, blocks }, scratch))
    }
}

/// The word that a kernel writes when an index is wrong.
struct Fault<D: Driver> {
    word: Arc<Block<D>>,
}

impl<D: Driver> Fault<D> {
    fn new(core: &Arc<Core<D>>) -> Result<Fault<D>, Error> {
        let (word, stream) = (core.allocate(4)?, core.stream()?);
        // SAFETY: four bytes of its own.
        unsafe { core.driver.clear(word.address, 4, stream)? };
        Ok(Fault { word })
    }

    /// Waits for the kernel, and is an error where it wrote.
    fn look(&self, core: &Core<D>, stream: Stream, interrupted: &dyn Fn() -> bool) -> Result<(), Error> {
        core.queues.flush(&core.driver, stream, interrupted)?;
        let mut word = [0u8; 4];
        // SAFETY: as above; the copy is complete when it returns.
        unsafe {
            core.staging.copy_out(&core.driver, self.word.address, word.as_mut_ptr(), self.word.bytes(), stream)?
        };
        if word == [0; 4] { Ok(()) } else { Err(Error::OutOfBounds(String::new())) }
    }
}

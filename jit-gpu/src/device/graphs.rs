//! Plans that run again and again as graphs of the driver's: one call for all their launches.
//!
//! A plan that launches the same kernels on the same memory with the same numbers for the third time is captured. The pool gives
//! a loop the same blocks again, so that is what loops do. Graphs are few, and those that were not used for long go first.

use super::queue::Queued;
use crate::driver::{Driver, Stream};
use fusewire_runtime::error::Error;
use parking_lot::Mutex;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// How many sequences of launches are remembered.
const MOST: usize = 64;
/// How often a sequence is seen before it is captured.
const OFTEN: u32 = 3;
/// Sequences shorter than this gain nothing.
const SHORTEST: usize = 2;

/// The sequences of a device.
pub(crate) struct Graphs<D: Driver> {
    known: Mutex<Vec<Known<D>>>,
    /// Where launches are captured, one sequence after another. A thread's own stream would not do: others may order theirs behind
    /// it at any moment, and what is ordered behind a capture becomes part of it.
    stream: OnceLock<Stream>,
    captured: AtomicU64,
    launched: AtomicU64,
}

struct Known<D: Driver> {
    launches: Vec<Queued<D>>,
    seen: u32,
    graph: Option<Arc<D::Graph>>,
    /// The driver refused to make a graph of it.
    refused: bool,
}

impl<D: Driver> Default for Graphs<D> {
    fn default() -> Graphs<D> {
        Graphs {
            known: Mutex::default(),
            stream: OnceLock::new(),
            captured: AtomicU64::new(0),
            launched: AtomicU64::new(0),
        }
    }
}

impl<D: Driver> Graphs<D> {
    /// How many were captured, and how often one was launched.
    pub fn figures(&self) -> (u64, u64) {
        (self.captured.load(Relaxed), self.launched.load(Relaxed))
    }

    /// Launches what a plan asked for, one after another or as a graph.
    pub fn launch(
        &self,
        driver: &D,
        stream: Stream,
        launches: Vec<Queued<D>>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let count = launches.iter().filter(|asked| matches!(asked, Queued::Launch(_))).count();
        if count < SHORTEST {
            return launches.iter().try_for_each(|asked| asked.give(driver, stream, interrupted));
        }
        match self.graph(driver, launches) {
            Found::Graph(graph) => {
                self.launched.fetch_add(1, Relaxed);
                // SAFETY: it was captured of the same launches, which the plan has made again.
                unsafe { driver.launch_graph(&graph, stream, interrupted) }
            }
            Found::Launches(launches) => {
                launches.iter().try_for_each(|asked| asked.give(driver, stream, interrupted))?;
                self.remember(launches);
                Ok(())
            }
            Found::Refused(launches) => launches.iter().try_for_each(|asked| asked.give(driver, stream, interrupted)),
        }
    }

    fn graph(&self, driver: &D, launches: Vec<Queued<D>>) -> Found<D> {
        let mut known = self.known.lock();
        let Some(place) = known.iter().position(|known| same(&known.launches, &launches)) else {
            return Found::Launches(launches);
        };
        // The last is the one that was used last.
        let mut entry = known.remove(place);
        entry.seen += 1;
        if entry.graph.is_none() && !entry.refused && entry.seen >= OFTEN {
            match self.capture(driver, &launches) {
                Ok(graph) => {
                    self.captured.fetch_add(1, Relaxed);
                    entry.graph = Some(Arc::new(graph));
                }
                Err(_) => entry.refused = true,
            }
        }
        let found = entry.graph.clone().map_or(Found::Refused(launches), Found::Graph);
        known.push(entry);
        found
    }

    /// One capture at a time: whoever calls it has locked what is known.
    fn capture(&self, driver: &D, launches: &[Queued<D>]) -> Result<D::Graph, Error> {
        let stream = match self.stream.get() {
            Some(stream) => *stream,
            None => {
                let new = driver.stream()?;
                *self.stream.get_or_init(|| new)
            }
        };
        driver.begin_capture(stream)?;
        let noted = launches.iter().try_for_each(|asked| asked.give(driver, stream, &|| false));
        let graph = driver.end_capture(stream)?;
        noted.map(|()| graph)
    }

    fn remember(&self, launches: Vec<Queued<D>>) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.remove(0);
        }
        known.push(Known { launches, seen: 1, graph: None, refused: false });
    }
}

/// What there is for a sequence of launches.
enum Found<D: Driver> {
    Graph(Arc<D::Graph>),
    /// It is new.
    Launches(Vec<Queued<D>>),
    /// It is known, and no graph.
    Refused(Vec<Queued<D>>),
}

fn same<D: Driver>(some: &[Queued<D>], others: &[Queued<D>]) -> bool {
    some.len() == others.len() && some.iter().zip(others).all(|(one, other)| one.same(other))
}

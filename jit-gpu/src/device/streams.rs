//! A stream for each thread of the host, and what orders them. Threads that end leave theirs to the next.
//!
//! Memory belongs to the stream of the thread that allocated it, its home, and no other stream writes to it. So a stream that
//! reads memory of another home first waits for what that home has to do.

use crate::driver::{Driver, Event, Stream};
use fusewire_runtime::error::Error;
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// The streams of a device.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Which device, for what threads remember.
    id: u64,
    idle: Arc<Mutex<Vec<Stream>>>,
    all: Mutex<Vec<Stream>>,
    /// Events that nobody uses: one is enough for each thread that orders streams at the moment.
    events: Mutex<Vec<Event>>,
}

/// A thread's stream of a device, until the thread ends.
struct Lease {
    id: u64,
    stream: Stream,
    idle: Arc<Mutex<Vec<Stream>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.idle.lock().push(self.stream);
    }
}

thread_local! {
    static LEASES: RefCell<Vec<Lease>> = const { RefCell::new(Vec::new()) };
}

impl Streams {
    pub fn new() -> Streams {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Streams {
            id: NEXT.fetch_add(1, Relaxed),
            idle: Arc::default(),
            all: Mutex::default(),
            events: Mutex::default(),
        }
    }

    /// The calling thread's stream.
    pub fn current(&self, driver: &impl Driver) -> Result<Stream, Error> {
        let leased = LEASES.try_with(|leases| {
            let mut leases = leases.borrow_mut();
            if let Some(lease) = leases.iter().find(|lease| lease.id == self.id) {
                return Ok(lease.stream);
            }
            let idle = self.idle.lock().pop();
            let stream = match idle {
                Some(stream) => stream,
                None => {
                    let stream = driver.stream()?;
                    self.all.lock().push(stream);
                    stream
                }
            };
            leases.push(Lease { id: self.id, stream, idle: self.idle.clone() });
            Ok(stream)
        });
        leased.unwrap_or_else(|_| Err(Error::Device("a thread that ends cannot compute on a GPU".into())))
    }

    /// Lets what `later` does from now on begin after what `earlier` has to do now.
    pub fn order(&self, driver: &impl Driver, earlier: Stream, later: Stream) -> Result<(), Error> {
        if earlier == later {
            return Ok(());
        }
        let event = self.event(driver)?;
        let ordered = driver.record(event, earlier).and_then(|()| driver.wait(later, event));
        // Waiting goes by what was recorded when it was asked for, so the event is free again.
        self.events.lock().push(event);
        ordered
    }

    /// As [`Streams::order`] for a stream of this device and a later one of another.
    pub fn order_devices<D: Driver>(&self, driver: &D, earlier: Stream, other: &D, later: Stream) -> Result<(), Error> {
        let event = self.event(driver)?;
        let ordered = driver.record(event, earlier).and_then(|()| other.wait(later, event));
        self.events.lock().push(event);
        ordered
    }

    fn event(&self, driver: &impl Driver) -> Result<Event, Error> {
        let unused = self.events.lock().pop();
        unused.map_or_else(|| driver.event(), Ok)
    }

    /// Waits until every stream is done.
    pub fn synchronise(&self, driver: &impl Driver) -> Result<(), Error> {
        let all = self.all.lock().clone();
        all.into_iter().try_for_each(|stream| driver.synchronise(stream))
    }
}

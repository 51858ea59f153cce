//! In which order the work of streams is: finds two of them that use the same memory, one writing, and neither waits for the other.
//!
//! The emulator does everything at once, so such a mistake changes no result here; on a GPU it would, now and then. Each stream
//! counts what it does, and knows how far the others had come when it waited for them (a vector clock). Streams and events of all
//! emulated devices are numbered together.

use crate::driver::{Event, Stream};
use fusewire_runtime::error::Error;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// How far each stream has come.
type Clock = BTreeMap<usize, u64>;

/// The host, as one who uses memory.
const HOST: usize = 0;
/// The first number of a stream or event: smaller ones have a meaning of their own in CUDA.
const FIRST: usize = 16;

static CLOCKS: Mutex<Clocks> =
    Mutex::new(Clocks { next: FIRST, host: Clock::new(), streams: BTreeMap::new(), events: BTreeMap::new() });

struct Clocks {
    next: usize,
    /// What the host knows to be complete.
    host: Clock,
    streams: BTreeMap<usize, Clock>,
    events: BTreeMap<usize, Clock>,
}

/// A piece of work: whose, which of his, and what comes before.
#[derive(Debug)]
pub(crate) struct Moment {
    who: usize,
    number: u64,
    after: Clock,
}

/// What was done to memory last.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    written: Option<(usize, u64)>,
    /// By others since then.
    read: Vec<(usize, u64)>,
}

impl Uses {
    /// Notes a use.
    pub fn at(&mut self, moment: &Moment, write: bool) -> Result<(), Error> {
        let unordered = |&(who, number): &(usize, u64)| {
            who != moment.who && moment.after.get(&who).is_none_or(|&known| known < number)
        };
        let clash = self.written.iter().find(|use_| unordered(use_)).map(|&(who, _)| ("writes", who));
        let clash =
            clash.or_else(|| self.read.iter().find(|use_| write && unordered(use_)).map(|&(who, _)| ("reads", who)));
        if let Some((does, who)) = clash {
            let verb = if write { "writes" } else { "reads" };
            return Err(Error::Device(format!(
                "{} {verb} memory that {} {does}, and does not wait for it",
                name(moment.who),
                name(who)
            )));
        }
        if write {
            self.written = Some((moment.who, moment.number));
            self.read.clear();
        } else {
            self.read.retain(|&(who, _)| who != moment.who);
            self.read.push((moment.who, moment.number));
        }
        Ok(())
    }
}

fn name(who: usize) -> String {
    if who == HOST { "the host".into() } else { format!("stream {who}") }
}

/// A new stream, which comes after what the host knows to be complete.
pub(crate) fn stream() -> Stream {
    let mut clocks = CLOCKS.lock();
    let number = clocks.next;
    clocks.next += 1;
    clocks.streams.insert(number, Clock::new());
    Stream(number)
}

/// A new event.
pub(crate) fn event() -> Event {
    let mut clocks = CLOCKS.lock();
    clocks.next += 1;
    Event(clocks.next - 1)
}

/// A piece of work on a stream that is asked for now.
pub(crate) fn work(stream: Stream) -> Moment {
    let mut clocks = CLOCKS.lock();
    let host = clocks.host.clone();
    let clock = clocks.streams.entry(stream.0).or_default();
    join(clock, &host);
    let number = clock.get(&stream.0).map_or(1, |number| number + 1);
    clock.insert(stream.0, number);
    Moment { who: stream.0, number, after: clock.clone() }
}

/// Something that the host does by itself now.
pub(crate) fn host() -> Moment {
    let mut clocks = CLOCKS.lock();
    let number = clocks.host.get(&HOST).map_or(1, |number| number + 1);
    clocks.host.insert(HOST, number);
    Moment { who: HOST, number, after: clocks.host.clone() }
}

/// The event is the end of what the stream was asked for.
pub(crate) fn record(event: Event, stream: Stream) {
    let mut clocks = CLOCKS.lock();
    let clock = clocks.streams.entry(stream.0).or_default().clone();
    clocks.events.insert(event.0, clock);
}

/// What the stream is asked for from now on comes after the event.
pub(crate) fn wait(stream: Stream, event: Event) {
    let mut clocks = CLOCKS.lock();
    let after = clocks.events.get(&event.0).cloned().unwrap_or_default();
    join(clocks.streams.entry(stream.0).or_default(), &after);
}

/// The host knows that the stream is done.
pub(crate) fn synchronise(stream: Stream) {
    let mut clocks = CLOCKS.lock();
    let done = clocks.streams.get(&stream.0).cloned().unwrap_or_default();
    join(&mut clocks.host, &done);
}

/// The host knows that the stream has come to the event.
pub(crate) fn synchronise_event(event: Event) {
    let mut clocks = CLOCKS.lock();
    let done = clocks.events.get(&event.0).cloned().unwrap_or_default();
    join(&mut clocks.host, &done);
}

fn join(clock: &mut Clock, other: &Clock) {
    for (&who, &number) in other {
        let known = clock.entry(who).or_default();
        *known = number.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_do_not_wait_for_each_other_are_found() {
        let (one, other, between, mut uses) = (stream(), stream(), event(), Uses::default());
        assert!(uses.at(&work(one), true).is_ok());
        assert!(uses.at(&work(one), false).is_ok(), "a stream is in its own order");
        assert!(
            matches!(uses.at(&work(other), false), Err(Error::Device(message)) if message.contains("does not wait"))
        );
        record(between, one);
        wait(other, between);
        assert!(uses.at(&work(other), false).is_ok());
        assert!(uses.at(&work(one), false).is_ok(), "both may read");
        assert!(uses.at(&work(one), true).is_err(), "the other reads still");
        assert!(uses.at(&host(), true).is_err());
        synchronise(other);
        synchronise(one);
        assert!(uses.at(&host(), true).is_ok());
        assert!(uses.at(&work(one), true).is_ok(), "what the host was told of is over for what it asks for then");
    }
}

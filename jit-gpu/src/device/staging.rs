//! Copies between the host's memory, of whatever kind, and the device's: through pieces of host memory that the device reaches by
//! itself, two in turns, so that one is filled while the other is on its way.
//!
//! Invariant: a piece that is idle has no copy under way.

use crate::driver::{Driver, Event, Stream};
use fusewire_runtime::{counters, error::Error};
use parking_lot::Mutex;

/// Bytes of a piece: enough that starting a copy costs little of it.
const PIECE: usize = 4 << 20;

/// The pieces that nobody uses. They are as many as there were copies at once, and stay.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    idle: Mutex<Vec<Pair>>,
}

/// Two pieces with the events after which each is free.
#[derive(Debug)]
struct Pair {
    pieces: [*mut u8; 2],
    events: [Event; 2],
    /// Is a copy under way?
    busy: [bool; 2],
}

// SAFETY: the pieces belong to the pair alone.
unsafe impl Send for Pair {}

impl Pair {
    /// Waits for the piece.
    fn free(&mut self, driver: &impl Driver, turn: usize) -> Result<*mut u8, Error> {
        if self.busy[turn] {
            driver.synchronise_event(self.events[turn])?;
            self.busy[turn] = false;
        }
        Ok(self.pieces[turn])
    }

    /// The stream has a copy of the piece to make.
    fn given(&mut self, driver: &impl Driver, turn: usize, stream: Stream) -> Result<(), Error> {
        self.busy[turn] = true;
        driver.record(self.events[turn], stream)
    }
}

impl Staging {
    /// Copies to the device. The source may change when it returns; the copy is complete for what comes later on the stream.
    ///
    /// # Safety
    /// Both ranges are allocated, and nobody writes to the first meanwhile.
    pub unsafe fn copy_in(
        &self,
        driver: &impl Driver,
        from: *const u8,
        to: u64,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        counters::BYTES_TO_DEVICES.add(bytes as u64);
        let mut pair = self.pair(driver)?;
        let starts = (0..bytes).step_by(PIECE);
        for (number, start) in starts.enumerate() {
            let (turn, length) = (number % 2, PIECE.min(bytes - start));
            let piece = pair.free(driver, turn)?;
            // SAFETY: the caller vouches for the source; the piece is ours, so large, and no copy of it is under way.
            unsafe {
                from.add(start).copy_to_nonoverlapping(piece, length);
                driver.copy_in(piece, to + start as u64, length, stream)?;
            }
            pair.given(driver, turn, stream)?;
        }
        self.idle.lock().push(pair);
        Ok(())
    }

    /// Copies to the host. Complete when it returns.
    ///
    /// # Safety
    /// Both ranges are allocated, and nobody uses the second meanwhile.
    pub unsafe fn copy_out(
        &self,
        driver: &impl Driver,
        from: u64,
        to: *mut u8,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        counters::BYTES_FROM_DEVICES.add(bytes as u64);
        let mut pair = self.pair(driver)?;
        let pieces: Vec<usize> = (0..bytes).step_by(PIECE).collect();
        // The piece at hand is on its way while the one before it is emptied.
        for number in 0..=pieces.len() {
            if let Some(&start) = pieces.get(number) {
                let (turn, length) = (number % 2, PIECE.min(bytes - start));
                let piece = pair.free(driver, turn)?;
                // SAFETY: the caller vouches for the source; the piece is ours, so large, and nobody else uses it.
                unsafe { driver.copy_out(from + start as u64, piece, length, stream)? };
                pair.given(driver, turn, stream)?;
            }
            if let Some(before) = number.checked_sub(1) {
                let (start, length) = (pieces[before], PIECE.min(bytes - pieces[before]));
                let piece = pair.free(driver, before % 2)?;
                // SAFETY: the copy to the piece is complete; the caller vouches for the destination.
                unsafe { to.add(start).copy_from_nonoverlapping(piece, length) };
            }
        }
        self.idle.lock().push(pair);
        Ok(())
    }

    /// A pair; after an error it is lost, with whatever is still under way in it.
    fn pair(&self, driver: &impl Driver) -> Result<Pair, Error> {
        if let Some(pair) = self.idle.lock().pop() {
            return Ok(pair);
        }
        Ok(Pair {
            pieces: [driver.allocate_host(PIECE)?, driver.allocate_host(PIECE)?],
            events: [driver.event()?, driver.event()?],
            busy: [false; 2],
        })
    }
}

//! Which threads of a launch touched a byte last: finds two that use the same one, one writing, and neither waits for the other.
//!
//! The emulator runs threads one after another, so such a mistake changes no result here; on a GPU it would, now and then. Threads
//! of one team are ordered by the barriers that they have passed together, threads of different teams never, but for shared
//! memory, which is new for each block. Of many readers two are remembered: whichever thread writes, one of them is another.
//! Exchanges of values order no memory.

use std::cell::RefCell;

/// A thread at some time: the number of its block, how many barriers it has passed, its number in the block. 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Who(u64);

const EPOCH_SHIFT: u32 = 8;
const BLOCK_SHIFT: u32 = 36;

impl Who {
    pub fn new(block: u64, passed: u64, thread: u64) -> Who {
        let epochs = (1 << (BLOCK_SHIFT - EPOCH_SHIFT)) - 1;
        Who((block + 1) << BLOCK_SHIFT | (passed & epochs) << EPOCH_SHIFT | thread)
    }
    pub fn block(self) -> u64 {
        (self.0 >> BLOCK_SHIFT) - 1
    }
    pub fn thread(self) -> u64 {
        self.0 & ((1 << EPOCH_SHIFT) - 1)
    }
    fn passed(self) -> u64 {
        self.0 >> EPOCH_SHIFT
    }
}

/// What a race is: who was there before, and did he write?
pub(crate) type Race = (Who, bool);

/// Memory of which each use is noted, for the length of a launch.
#[derive(Debug)]
pub(crate) struct Watch {
    bytes: RefCell<Vec<Marks>>,
    length: usize,
    /// Is it new for each block?
    shared: bool,
    /// Threads of a team.
    team: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Marks {
    written: Who,
    read: [Who; 2],
}

impl Watch {
    /// Of so many bytes, nobody has touched any.
    pub fn new(length: usize, shared: bool, team: usize) -> Watch {
        Watch { bytes: RefCell::default(), length, shared, team: team as u64 }
    }

    /// Notes a use of some bytes; the first race, if there is one.
    pub fn note(&self, place: usize, bytes: usize, who: Who, write: bool) -> Option<Race> {
        let mut marks = self.bytes.borrow_mut();
        if marks.is_empty() {
            marks.resize(self.length, Marks::default());
        }
        let mut race = None;
        for marks in &mut marks[place..place + bytes] {
            if self.unordered(marks.written, who) {
                race = race.or(Some((marks.written, true)));
            }
            if write {
                let reader = marks.read.into_iter().find(|&reader| self.unordered(reader, who));
                race = race.or(reader.map(|reader| (reader, false)));
                *marks = Marks { written: who, read: Default::default() };
            } else {
                // The first is replaced by one that comes after it.
                let replaces = !self.unordered(marks.read[0], who);
                marks.read[usize::from(!replaces)] = who;
            }
        }
        race
    }

    fn unordered(&self, before: Who, now: Who) -> bool {
        if before == Who::default() || before == now {
            return false;
        }
        if before.block() != now.block() {
            return !self.shared;
        }
        before.thread() != now.thread()
            && (before.thread() / self.team != now.thread() / self.team || before.passed() == now.passed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_ordered_by_barriers_of_their_team_only() {
        let watch = Watch::new(8, false, 32);
        let (one, other) = (Who::new(0, 0, 1), Who::new(0, 0, 2));
        assert_eq!(watch.note(0, 4, one, true), None);
        assert_eq!(watch.note(0, 4, one, false), None, "its own");
        assert_eq!(watch.note(4, 4, other, true), None, "other bytes");
        assert_eq!(watch.note(3, 1, other, false), Some((one, true)));
        assert_eq!(watch.note(0, 4, Who::new(0, 1, 2), false), None, "after a barrier");
        assert_eq!(watch.note(0, 4, Who::new(0, 1, 40), false), Some((one, true)), "of another team");
        assert_eq!(watch.note(0, 1, Who::new(1, 5, 1), true), Some((one, true)), "of another block");
    }

    #[test]
    fn whoever_writes_disturbs_one_of_several_readers() {
        for writer in 0..3 {
            let watch = Watch::new(1, true, 128);
            for reader in 0..3 {
                assert_eq!(watch.note(0, 1, Who::new(0, 7, reader), false), None);
            }
            let (before, wrote) = watch.note(0, 1, Who::new(0, 7, writer), true).unwrap();
            assert!(!wrote && before.thread() != writer);
            assert_eq!(watch.note(0, 1, Who::new(1, 0, 9), true), None, "shared memory is another block's then");
        }
    }
}

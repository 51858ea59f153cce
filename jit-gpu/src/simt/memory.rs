//! The emulated device's memory. Its addresses are none of the host's, so that host code which takes one for its own fails at
//! once; each access of a kernel is looked up here.
//!
//! An address is a mark that no pointer of the host has, the number of the allocation, and the place in it, which starts far from
//! the numbers of its neighbours.

use super::{
    clocks::{Moment, Uses},
    races::{Race, Watch, Who},
};
use fusewire_ir::value::Storage;
use fusewire_runtime::{error::Error, pool};
use parking_lot::{Mutex, RwLock};
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Addresses of the host have the bits 47 to 63 all alike.
const MARK: u64 = 1 << 62;
/// Where the allocation's number stands.
const NUMBER_SHIFT: u32 = 38;
/// How many allocations there can be at once.
const MOST: usize = 1 << 22;
/// The place of an allocation's first byte.
const FIRST: u64 = 1 << (NUMBER_SHIFT - 1);

/// All allocations.
#[derive(Debug)]
pub(crate) struct Memory {
    allocations: RwLock<Allocations>,
    /// Bytes that the device has.
    total: usize,
}

#[derive(Debug, Default)]
struct Allocations {
    by_number: Vec<Option<Arc<Allocation>>>,
    free: Vec<usize>,
    /// Bytes of all of them.
    taken: usize,
}

/// Memory of the device, with what has been written of it.
#[derive(Debug)]
pub(crate) struct Allocation {
    bytes: Arc<dyn Storage>,
    /// A byte each: 0 until it is written.
    written: Arc<dyn Storage>,
    length: usize,
    /// How many of its bytes are the array's that has it at the moment.
    used: AtomicUsize,
    uses: Mutex<Uses>,
}

impl Allocation {
    fn new(length: usize) -> Result<Allocation, Error> {
        let (bytes, written) = (pool::allocate(length)?, pool::allocate(length)?);
        // SAFETY: the block has just been allocated with as many bytes.
        unsafe { written.pointer().write_bytes(0, length) };
        Ok(Allocation { bytes, written, length, used: AtomicUsize::new(length), uses: Mutex::default() })
    }

    /// Where the host finds so many bytes from a place on; `None` where there are not so many.
    fn find(&self, place: u64, bytes: usize) -> Option<*mut u8> {
        let place = usize::try_from(place.checked_sub(FIRST)?).ok()?;
        (place.checked_add(bytes)? <= self.used.load(Relaxed)).then(|| self.bytes.pointer().wrapping_add(place))
    }

    /// Notes a use, which must come after the uses before that it could disturb.
    pub fn at(&self, moment: &Moment, write: bool) -> Result<(), Error> {
        self.uses.lock().at(moment, write)
    }

    /// Marks these bytes, which are the allocation's, as written; or asks whether they all are.
    fn written(&self, place: u64, bytes: usize, write: bool) -> bool {
        let start = self.written.pointer().wrapping_add((place - FIRST) as usize);
        // SAFETY: the bytes are inside the allocation, and so are their marks. Kernels that run at once write different
        // elements, as on a GPU.
        unsafe {
            if write {
                start.write_bytes(1, bytes);
                return true;
            }
            (0..bytes).all(|byte| start.add(byte).read() != 0)
        }
    }
}

/// What is wrong with an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// No allocation has these bytes.
    Outside,
    /// It reads what nobody has written.
    Unwritten,
    /// Another thread uses it, and nobody waits.
    Race(Race),
}

impl Memory {
    /// A device with so many bytes.
    pub fn new(total: usize) -> Memory {
        Memory { allocations: RwLock::default(), total }
    }

    /// Bytes that nobody has, and bytes altogether.
    pub fn figures(&self) -> (usize, usize) {
        (self.total - self.allocations.read().taken, self.total)
    }

    /// New memory, of which nothing is written yet.
    pub fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let out = || Error::OutOfMemory { bytes };
        if bytes > self.figures().0 {
            return Err(out());
        }
        let allocation = Arc::new(Allocation::new(bytes)?);
        let mut allocations = self.allocations.write();
        allocations.taken =
            allocations.taken.checked_add(bytes).filter(|&taken| taken <= self.total).ok_or_else(out)?;
        let number = match allocations.free.pop() {
            Some(number) => number,
            None if allocations.by_number.len() < MOST => {
                allocations.by_number.push(None);
                allocations.by_number.len() - 1
            }
            None => return Err(out()),
        };
        allocations.by_number[number] = Some(allocation);
        Ok(MARK | (number as u64) << NUMBER_SHIFT | FIRST)
    }

    /// Gives memory back, of which all uses are over.
    pub fn free(&self, address: u64, moment: &Moment) -> Result<(), Error> {
        let (allocation, _) = self.allocation(address).ok_or_else(outside)?;
        allocation.at(moment, true)?;
        let number = ((address ^ MARK) >> NUMBER_SHIFT) as usize;
        let mut allocations = self.allocations.write();
        allocations.by_number[number] = None;
        allocations.free.push(number);
        allocations.taken -= allocation.length;
        Ok(())
    }

    /// Memory is a new array's: so many bytes, and none is written.
    pub fn reuse(&self, address: u64, bytes: usize, moment: &Moment) -> Result<(), Error> {
        let (allocation, _) = self.allocation(address).filter(|(a, _)| bytes <= a.length).ok_or_else(outside)?;
        allocation.at(moment, true)?;
        allocation.used.store(bytes, Relaxed);
        // SAFETY: as many marks as the allocation has bytes.
        unsafe { allocation.written.pointer().write_bytes(0, allocation.length) };
        Ok(())
    }

    /// Where the host finds bytes that a copy writes or reads.
    pub fn copied(&self, address: u64, bytes: usize, moment: &Moment, write: bool) -> Result<*mut u8, Error> {
        let (allocation, place) = self.allocation(address).ok_or_else(outside)?;
        let found = allocation.find(place, bytes).ok_or_else(outside)?;
        allocation.at(moment, write)?;
        if write {
            allocation.written(place, bytes, true);
        }
        Ok(found)
    }

    /// The allocation of an address, and the place in it.
    pub fn allocation(&self, address: u64) -> Option<(Arc<Allocation>, u64)> {
        let number = (address ^ MARK) >> NUMBER_SHIFT;
        let allocation = self.allocations.read().by_number.get(usize::try_from(number).ok()?)?.clone()?;
        Some((allocation, address & (FIRST * 2 - 1)))
    }

    /// Where the host finds an element, with the rest of its array on either side; where the host may write, all of it counts as
    /// written from now on.
    pub fn element_on_host(&self, address: u64, moment: &Moment, write: bool) -> Result<*mut u8, Error> {
        let (allocation, place) = self.allocation(address).ok_or_else(outside)?;
        let found = allocation.find(place, 0).ok_or_else(outside)?;
        allocation.at(moment, write)?;
        if write {
            allocation.written(FIRST, allocation.used.load(Relaxed), true);
        }
        Ok(found)
    }
}

fn outside() -> Error {
    Error::Device("the host reaches outside of the emulated device's memory".into())
}

/// What a kernel can reach: its arguments, and shared memory. Looking there first is much faster than asking for all memory.
#[derive(Debug)]
pub(crate) struct Reach {
    allocations: Vec<Reached>,
}

#[derive(Debug)]
struct Reached {
    number: u64,
    allocation: Arc<Allocation>,
    read: Cell<bool>,
    written: Cell<bool>,
    watch: Option<Watch>,
}

impl Reach {
    /// Of a launch with these words as arguments.
    pub fn of(memory: &Memory, addresses: impl Iterator<Item = u64>) -> Reach {
        let mut allocations: Vec<Reached> = Vec::new();
        for address in addresses {
            let number = address >> NUMBER_SHIFT;
            if let Some((allocation, _)) = memory.allocation(address)
                && !allocations.iter().any(|known| known.number == number)
            {
                let (read, written) = Default::default();
                allocations.push(Reached { number, allocation, read, written, watch: None });
            }
        }
        Reach { allocations }
    }

    /// Has races found between the threads of teams of so many, in all memory but that of one address.
    pub fn watch(&mut self, team: usize, shared: u64, but: u64) {
        for reached in self.allocations.iter_mut().filter(|reached| reached.number != but >> NUMBER_SHIFT) {
            let shared = shared != 0 && reached.number == shared >> NUMBER_SHIFT;
            reached.watch = Some(Watch::new(reached.allocation.length, shared, team));
        }
    }

    /// Notes what was done, which must come after what was done before.
    pub fn at(&self, moment: &Moment) -> Result<(), Error> {
        for reached in &self.allocations {
            if reached.written.get() {
                reached.allocation.at(moment, true)?;
            } else if reached.read.get() {
                reached.allocation.at(moment, false)?;
            }
        }
        Ok(())
    }

    /// Where the host finds the bytes of an access.
    pub fn access(&self, address: u64, bytes: usize, write: bool, who: Who) -> Result<*mut u8, Wrong> {
        let number = address >> NUMBER_SHIFT;
        let found = self.allocations.iter().find(|known| known.number == number);
        let place = address & (FIRST * 2 - 1);
        let reached = found.ok_or(Wrong::Outside)?;
        let allocation = &reached.allocation;
        let pointer = allocation.find(place, bytes).ok_or(Wrong::Outside)?;
        if write { &reached.written } else { &reached.read }.set(true);
        let watch = reached.watch.as_ref();
        if let Some(race) = watch.and_then(|watch| watch.note((place - FIRST) as usize, bytes, who, write)) {
            return Err(Wrong::Race(race));
        }
        if allocation.written(place, bytes, write) { Ok(pointer) } else { Err(Wrong::Unwritten) }
    }

    /// Forgets what was written to an allocation that is among them.
    pub fn forget(&self, address: u64) {
        let number = address >> NUMBER_SHIFT;
        if let Some(Reached { allocation, .. }) = self.allocations.iter().find(|known| known.number == number) {
            // SAFETY: as many marks as the allocation has bytes.
            unsafe { allocation.written.pointer().write_bytes(0, allocation.length) };
        }
    }
}

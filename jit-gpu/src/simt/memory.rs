//! The emulated device's memory. Its addresses are none of the host's, so that host code which takes one for its own fails at
//! once; each access of a kernel is looked up here.
//!
//! An address is a mark that no pointer of the host has, the number of the allocation, and the place in it, which starts far from
//! the numbers of its neighbours.

use fusewire_ir::{lazy::Device, value::Storage};
use fusewire_runtime::{error::Error, pool};
use parking_lot::RwLock;
use std::{any::Any, sync::Arc};

/// Addresses of the host have the bits 47 to 63 all alike.
const MARK: u64 = 1 << 62;
/// Where the allocation's number stands.
const NUMBER_SHIFT: u32 = 38;
/// How many allocations there can be at once.
const MOST: usize = 1 << 22;
/// The place of an allocation's first byte.
const FIRST: u64 = 1 << (NUMBER_SHIFT - 1);

/// All allocations.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    allocations: RwLock<Allocations>,
}

#[derive(Debug, Default)]
struct Allocations {
    by_number: Vec<Option<Arc<Allocation>>>,
    free: Vec<usize>,
}

/// Memory of the device, with what has been written of it.
#[derive(Debug)]
pub(crate) struct Allocation {
    bytes: Arc<dyn Storage>,
    /// A byte each: 0 until it is written.
    written: Arc<dyn Storage>,
    length: usize,
}

impl Allocation {
    fn new(length: usize) -> Result<Allocation, Error> {
        let (bytes, written) = (pool::allocate(length)?, pool::allocate(length)?);
        // SAFETY: the block has just been allocated with as many bytes.
        unsafe { written.pointer().write_bytes(0, length) };
        Ok(Allocation { bytes, written, length })
    }

    /// Where the host finds so many bytes from a place on; `None` where there are not so many.
    fn find(&self, place: u64, bytes: usize) -> Option<*mut u8> {
        let place = usize::try_from(place.checked_sub(FIRST)?).ok()?;
        (place.checked_add(bytes)? <= self.length).then(|| self.bytes.pointer().wrapping_add(place))
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
}

impl Memory {
    /// New memory, of which nothing is written yet.
    pub fn allocate(self: &Arc<Memory>, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        let allocation = Arc::new(Allocation::new(bytes)?);
        let mut allocations = self.allocations.write();
        let number = match allocations.free.pop() {
            Some(number) => number,
            None if allocations.by_number.len() < MOST => {
                allocations.by_number.push(None);
                allocations.by_number.len() - 1
            }
            None => return Err(Error::OutOfMemory { bytes }),
        };
        allocations.by_number[number] = Some(allocation);
        Ok(Arc::new(Block { memory: self.clone(), number, bytes }))
    }

    /// The allocation of an address, and the place in it.
    pub fn allocation(&self, address: u64) -> Option<(Arc<Allocation>, u64)> {
        let number = (address ^ MARK) >> NUMBER_SHIFT;
        let allocation = self.allocations.read().by_number.get(usize::try_from(number).ok()?)?.clone()?;
        Some((allocation, address & (FIRST * 2 - 1)))
    }

    /// Where the host finds so many bytes; what it writes there counts as written.
    pub fn on_host(&self, address: u64, bytes: usize) -> Option<*mut u8> {
        let (allocation, place) = self.allocation(address)?;
        let found = allocation.find(place, bytes)?;
        allocation.written(place, bytes, true);
        Some(found)
    }

    /// As [`Memory::on_host`], for an element with the rest of its allocation on either side.
    pub fn element_on_host(&self, address: u64) -> Option<*mut u8> {
        let (allocation, place) = self.allocation(address)?;
        let found = allocation.find(place, 1)?;
        allocation.written(FIRST, allocation.length, true);
        Some(found)
    }

    fn free(&self, number: usize) {
        let mut allocations = self.allocations.write();
        let allocation = allocations.by_number[number].take();
        allocations.free.push(number);
        drop(allocations);
        drop(allocation);
    }
}

/// What a kernel can reach: its arguments, and shared memory. Looking there first is much faster than asking for all memory.
#[derive(Debug)]
pub(crate) struct Reach {
    allocations: Vec<(u64, Arc<Allocation>)>,
}

impl Reach {
    /// Of a launch with these words as arguments, and memory that its blocks share.
    pub fn of(memory: &Memory, addresses: impl Iterator<Item = u64>) -> Reach {
        let mut allocations: Vec<(u64, Arc<Allocation>)> = Vec::new();
        for address in addresses {
            let number = address >> NUMBER_SHIFT;
            if let Some((allocation, _)) = memory.allocation(address)
                && !allocations.iter().any(|(known, _)| *known == number)
            {
                allocations.push((number, allocation));
            }
        }
        Reach { allocations }
    }

    /// Where the host finds the bytes of an access.
    pub fn access(&self, address: u64, bytes: usize, write: bool) -> Result<*mut u8, Wrong> {
        let number = address >> NUMBER_SHIFT;
        let found = self.allocations.iter().find(|(known, _)| *known == number);
        let place = address & (FIRST * 2 - 1);
        let (_, allocation) = found.ok_or(Wrong::Outside)?;
        let pointer = allocation.find(place, bytes).ok_or(Wrong::Outside)?;
        if allocation.written(place, bytes, write) { Ok(pointer) } else { Err(Wrong::Unwritten) }
    }

    /// Forgets what was written to an allocation that is among them.
    pub fn forget(&self, address: u64) {
        let number = address >> NUMBER_SHIFT;
        if let Some((_, allocation)) = self.allocations.iter().find(|(known, _)| *known == number) {
            // SAFETY: as many marks as the allocation has bytes.
            unsafe { allocation.written.pointer().write_bytes(0, allocation.length) };
        }
    }
}

/// A part of the device's memory. Dropping it gives it back.
#[derive(Debug)]
struct Block {
    memory: Arc<Memory>,
    number: usize,
    bytes: usize,
}

impl Storage for Block {
    fn pointer(&self) -> *mut u8 {
        // No pointer of the host's: a number that kernels take for an address.
        std::ptr::without_provenance_mut((MARK | (self.number as u64) << NUMBER_SHIFT | FIRST) as usize)
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn read_only(&self) -> bool {
        false
    }
    fn device(&self) -> Device {
        Device::Simt
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.memory.free(self.number);
    }
}

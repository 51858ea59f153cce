//! Machine code in memory: LLVM is given addresses for the sections of a module, and forgotten once it has filled them. What stays
//! is the code itself.

use inkwell::memory_manager::McjitMemoryManager;
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ptr::{NonNull, null_mut},
    rc::Rc,
    time::Duration,
};

/// Addresses for the sections of a small module, which most are. What they leave of it is no use to the next module while code lies
/// on both sides: were it much, modules that threads compile at the same time would waste all addresses that there are.
const SMALL: usize = 64 << 10;

/// Addresses for the sections that do not fit there: far more than any phase needs, since LLVM ends the process where it gets none.
/// Memory is only taken for what is used.
const LARGE: usize = 32 << 20;

/// Addresses that the system is asked for at a time. Codes lie one behind the other in them: asked for each code, the system puts it
/// at a multiple of 2 MiB, and 512 of them are all addresses that there are below 2^31.
const ARENA: usize = 64 << 20;

/// Free addresses of the arenas, which are kept: where a range begins, and its length. No two touch.
static FREE: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// A child that was forked while another thread had the free addresses would wait for ever.
const PATIENCE: Duration = Duration::from_millis(200);

/// Bytes that there must be before LLVM is asked for anything: several times what compiling the largest phases takes.
const ROOM: usize = 256 << 20;

/// Bytes of a page.
const PAGE: usize = 4096;

/// Machine code, given back when it is dropped.
#[derive(Debug)]
pub struct Code {
    ranges: [Range; 2],
    address: usize,
}

impl Code {
    /// Where the function begins; valid as long as `self`.
    pub fn address(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.address)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.ranges.iter().map(|range| range.length).sum()
    }
}

/// Addresses of an arena, of this owner alone; they have memory where a section was placed.
#[derive(Debug)]
struct Range {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the range alone, is only read and executed once it is code, and is given back by `drop` alone.
unsafe impl Send for Range {}
// SAFETY: as above.
unsafe impl Sync for Range {}

impl Range {
    /// The first free addresses that are enough.
    fn take(length: usize) -> Result<Range, String> {
        let none = || "the system has no addresses for code".to_owned();
        let mut free = FREE.try_lock_for(PATIENCE).ok_or_else(none)?;
        let enough = |free: &BTreeMap<usize, usize>| free.iter().find(|&(_, &l)| l >= length).map(|(&s, &l)| (s, l));
        let (start, there) = match enough(&free) {
            Some(found) => found,
            None => {
                let arena = mapped(ARENA, libc::MAP_32BIT).ok_or_else(none)?;
                insert(&mut free, arena.expose_provenance().get(), ARENA);
                enough(&free).ok_or_else(none)?
            }
        };
        free.remove(&start);
        if there > length {
            free.insert(start + length, there - length);
        }
        let start = NonNull::new(std::ptr::with_exposed_provenance_mut(start)).ok_or_else(none)?;
        Ok(Range { start, length })
    }

    /// Gives back what lies behind so many bytes.
    fn shrink(&mut self, length: usize) {
        if length < self.length {
            let behind = self.start.as_ptr().wrapping_add(length);
            give(behind, self.length - length);
            self.length = length;
        }
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        give(self.start.as_ptr(), self.length);
    }
}

/// So many addresses without memory; below 2^31 with `MAP_32BIT`.
fn mapped(length: usize, place: i32) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | place;
    // SAFETY: a new mapping wherever the system likes.
    let start = unsafe { libc::mmap(null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast()) }
}

/// Takes the memory from addresses of an arena, which are free then. Where the system refuses, they stay as they are, used by nobody.
fn give(start: *mut u8, length: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    // SAFETY: the caller owns these addresses, and nobody uses what lies there any more.
    let cleared = unsafe { libc::mmap(start.cast(), length, libc::PROT_NONE, flags, -1, 0) };
    if cleared != libc::MAP_FAILED
        && let Some(mut free) = FREE.try_lock_for(PATIENCE)
    {
        insert(&mut free, start.addr(), length);
    }
}

/// Adds free addresses, as one range with those that they touch.
fn insert(free: &mut BTreeMap<usize, usize>, mut start: usize, mut length: usize) {
    if let Some(behind) = free.remove(&(start + length)) {
        length += behind;
    }
    if let Some((&before, &there)) = free.range(..start).next_back()
        && before + there == start
    {
        (start, length) = (before, there + length);
    }
    free.insert(start, length);
}

/// The memory of a module that is being loaded; shared with LLVM.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Rc<RefCell<[Filling; 2]>>);

/// A range, and how many bytes of it sections have taken.
#[derive(Debug)]
struct Filling {
    range: Range,
    used: usize,
}

impl Memory {
    /// Addresses for a module, below 2^31: LLVM's just-in-time code is not position-independent, and has the addresses of its tables
    /// in 32 bits.
    pub fn reserve() -> Result<Memory, String> {
        let empty = |length| Range::take(length).map(|range| Filling { range, used: 0 });
        Ok(Memory(Rc::new(RefCell::new([empty(SMALL)?, empty(LARGE)?]))))
    }

    /// Is there room for compiling? LLVM ends the process when it finds no memory.
    pub fn has_room() -> bool {
        // SAFETY: exactly this range was mapped, and nobody has used it.
        mapped(ROOM, 0).is_some_and(|start| unsafe { libc::munmap(start.as_ptr().cast(), ROOM) } == 0)
    }

    /// The filled memory, once LLVM has let go of it.
    pub fn into_code(self, address: usize) -> Result<Code, String> {
        let filled = Rc::try_unwrap(self.0).map_err(|_| "LLVM still holds the memory of its code".to_owned())?;
        let ranges = filled.into_inner().map(|Filling { mut range, used }| {
            range.shrink(used.next_multiple_of(PAGE));
            range
        });
        Ok(Code { ranges, address })
    }

    fn section(&self, size: usize, alignment: usize) -> *mut u8 {
        let section = |filling: &mut Filling| filling.section(size, alignment);
        self.0.borrow_mut().iter_mut().find_map(section).unwrap_or(null_mut())
    }
}

impl Filling {
    /// Writable memory behind what is used, where it fits.
    fn section(&mut self, size: usize, alignment: usize) -> Option<*mut u8> {
        let begin = self.used.next_multiple_of(alignment.max(64));
        let end = begin.checked_add(size).filter(|&end| end <= self.range.length)?;
        let pages = self.used / PAGE * PAGE..end.next_multiple_of(PAGE);
        // SAFETY: these pages lie inside the range, and what they already hold stays.
        let writable = unsafe {
            let first = self.range.start.as_ptr().add(pages.start);
            libc::mprotect(first.cast(), pages.len(), libc::PROT_READ | libc::PROT_WRITE)
        };
        if writable != 0 {
            return None;
        }
        self.used = end;
        Some(self.range.start.as_ptr().wrapping_add(begin))
    }

    /// Makes what is filled executable, and nothing is written any more.
    fn finish(&self) -> Result<(), String> {
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: these pages lie inside the range.
        match unsafe { libc::mprotect(self.range.start.as_ptr().cast(), self.used.next_multiple_of(PAGE), access) } {
            0 => Ok(()),
            _ => Err("the system refuses to make code executable".to_owned()),
        }
    }
}

impl McjitMemoryManager for Memory {
    fn allocate_code_section(&mut self, size: usize, alignment: u32, _: u32, _: &str) -> *mut u8 {
        self.section(size, alignment as usize)
    }

    fn allocate_data_section(&mut self, size: usize, alignment: u32, _: u32, _: &str, _: bool) -> *mut u8 {
        self.section(size, alignment as usize)
    }

    /// Constants lie among the code.
    fn finalize_memory(&mut self) -> Result<(), String> {
        self.0.borrow().iter().try_for_each(Filling::finish)
    }

    fn destroy(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one small section, of which LLVM has finished nothing yet.
    fn begun() -> Result<Memory, String> {
        let mut memory = Memory::reserve()?;
        assert!(!memory.allocate_code_section(100, 16, 0, "").is_null());
        Ok(memory)
    }

    fn finished(mut memory: Memory) -> Result<Code, String> {
        memory.finalize_memory()?;
        memory.into_code(0)
    }

    #[test]
    fn thousands_of_codes_have_addresses() {
        let code = |_| finished(begun()?);
        let codes: Result<Vec<Code>, String> = (0..3000).map(code).collect();
        assert!(codes.as_ref().is_ok_and(|codes| codes.iter().all(|code| code.bytes() == PAGE)));
        // Every other one is dropped: what they leave serves again, with what lies behind the others.
        let kept: Vec<Code> = codes.into_iter().flatten().step_by(2).collect();
        let again: Result<Vec<Code>, String> = (0..3000).map(code).collect();
        assert!(again.is_ok());
        drop((kept, again));
        let largest = FREE.lock().values().copied().max();
        assert!(largest.is_some_and(|length| length >= LARGE), "{largest:?}");
    }

    /// What threads compile at the same time lies between the codes of others, and stays there.
    #[test]
    fn modules_filled_at_the_same_time_leave_addresses_for_thousands_more() -> Result<(), String> {
        let mut others = [begun()?, begun()?, begun()?];
        let mut codes = Vec::new();
        for i in 0..3000 {
            codes.push(finished(std::mem::replace(&mut others[i % 3], begun()?))?);
        }
        Ok(())
    }

    #[test]
    fn large_sections_have_addresses() -> Result<(), String> {
        let mut memory = begun()?;
        for size in [10, SMALL, 3 * SMALL + 1, LARGE / 2] {
            let section = memory.allocate_data_section(size, 64, 0, "", false);
            assert!(!section.is_null() && section.addr() % 64 == 0 && section.addr() + size < 1 << 31, "{size}");
            // SAFETY: the section has this many bytes, which nobody else uses.
            unsafe { section.write_bytes(1, size) };
        }
        let expected = PAGE + (4 * SMALL + LARGE / 2).next_multiple_of(PAGE);
        assert!(finished(memory)?.bytes().abs_diff(expected) <= PAGE);
        Ok(())
    }
}

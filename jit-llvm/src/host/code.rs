//! Machine code in memory: LLVM is given one range of addresses for the sections of a module, and forgotten once it has filled
//! them. What stays is the code itself.

use inkwell::memory_manager::McjitMemoryManager;
use parking_lot::Mutex;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ptr::{NonNull, null_mut},
    rc::Rc,
    time::Duration,
};

/// Addresses reserved for a module: far more than any phase needs, and close enough together for every jump. Memory is only
/// taken for what is used.
const RESERVED: usize = 32 << 20;

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
    range: Range,
    address: usize,
}

impl Code {
    /// Where the function begins; valid as long as `self`.
    pub fn address(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.address)
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.range.length
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
pub(crate) struct Memory(Rc<RefCell<Filling>>);

#[derive(Debug)]
struct Filling {
    range: Range,
    /// Bytes that sections have taken.
    used: usize,
}

impl Memory {
    /// Addresses for a module, below 2^31: LLVM's just-in-time code is not position-independent, and has the addresses of its tables
    /// in 32 bits.
    pub fn reserve() -> Result<Memory, String> {
        Ok(Memory(Rc::new(RefCell::new(Filling { range: Range::take(RESERVED)?, used: 0 }))))
    }

    /// Is there room for compiling? LLVM ends the process when it finds no memory.
    pub fn has_room() -> bool {
        // SAFETY: exactly this range was mapped, and nobody has used it.
        mapped(ROOM, 0).is_some_and(|start| unsafe { libc::munmap(start.as_ptr().cast(), ROOM) } == 0)
    }

    /// The filled memory, once LLVM has let go of it.
    pub fn into_code(self, address: usize) -> Result<Code, String> {
        let filling = Rc::try_unwrap(self.0).map_err(|_| "LLVM still holds the memory of its code".to_owned())?;
        let Filling { mut range, used } = filling.into_inner();
        range.shrink(used.next_multiple_of(PAGE));
        Ok(Code { range, address })
    }

    fn section(&self, size: usize, alignment: usize) -> *mut u8 {
        let mut filling = self.0.borrow_mut();
        let begin = filling.used.next_multiple_of(alignment.max(64));
        let Some(end) = begin.checked_add(size).filter(|&end| end <= filling.range.length) else { return null_mut() };
        let pages = filling.used / PAGE * PAGE..end.next_multiple_of(PAGE);
        // SAFETY: these pages lie inside the range, and what they already hold stays.
        let writable = unsafe {
            let first = filling.range.start.as_ptr().add(pages.start);
            libc::mprotect(first.cast(), pages.len(), libc::PROT_READ | libc::PROT_WRITE)
        };
        if writable != 0 {
            return null_mut();
        }
        filling.used = end;
        filling.range.start.as_ptr().wrapping_add(begin)
    }
}

impl McjitMemoryManager for Memory {
    fn allocate_code_section(&mut self, size: usize, alignment: u32, _: u32, _: &str) -> *mut u8 {
        self.section(size, alignment as usize)
    }

    fn allocate_data_section(&mut self, size: usize, alignment: u32, _: u32, _: &str, _: bool) -> *mut u8 {
        self.section(size, alignment as usize)
    }

    /// Constants lie among the code: everything becomes readable and executable, and nothing is written any more.
    fn finalize_memory(&mut self) -> Result<(), String> {
        let filling = self.0.borrow();
        let length = filling.used.next_multiple_of(PAGE);
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: these pages lie inside the range.
        match unsafe { libc::mprotect(filling.range.start.as_ptr().cast(), length, access) } {
            0 => Ok(()),
            _ => Err("the system refuses to make code executable".to_owned()),
        }
    }

    fn destroy(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_codes_have_addresses() {
        let code = |_| {
            let mut memory = Memory::reserve()?;
            assert!(!memory.allocate_code_section(100, 16, 0, "").is_null());
            memory.finalize_memory()?;
            memory.into_code(0)
        };
        let codes: Result<Vec<Code>, String> = (0..3000).map(code).collect();
        assert!(codes.as_ref().is_ok_and(|codes| codes.iter().all(|code| code.bytes() == PAGE)));
        // Every other one is dropped: what they leave serves again, with what lies behind the others.
        let kept: Vec<Code> = codes.into_iter().flatten().step_by(2).collect();
        let again: Result<Vec<Code>, String> = (0..3000).map(code).collect();
        assert!(again.is_ok());
        drop((kept, again));
        let largest = FREE.lock().values().copied().max();
        assert!(largest.is_some_and(|length| length >= ARENA - RESERVED), "{largest:?}");
    }
}

//! Machine code in memory: LLVM is given one range of addresses for the sections of a module, and forgotten once it has filled
//! them. What stays is the code itself.

use inkwell::memory_manager::McjitMemoryManager;
use std::{
    cell::RefCell,
    ptr::{NonNull, null_mut},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Addresses reserved for a module: far more than any phase needs, and close enough together for every jump. Memory is only
/// taken for what is used.
const RESERVED: usize = 32 << 20;

/// Bytes that there must be before LLVM is asked for anything: several times what compiling the largest phases takes.
const ROOM: usize = 256 << 20;

/// Where the last code ended. The system puts so large a range at a multiple of 2 MiB if it is not told where, and 512 of them are
/// all addresses that there are below 2^31.
static NEXT: AtomicUsize = AtomicUsize::new(0);

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

/// Mapped addresses, of this owner alone.
#[derive(Debug)]
struct Range {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the range alone, is only read and executed once it is code, and is unmapped by `drop` alone.
unsafe impl Send for Range {}
// SAFETY: as above.
unsafe impl Sync for Range {}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: exactly this range was mapped, and whoever called into it borrowed its owner.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
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
        Memory::addresses(NEXT.load(Relaxed), RESERVED, libc::MAP_32BIT)
    }

    /// Is there room for compiling? LLVM ends the process when it finds no memory.
    pub fn has_room() -> bool {
        Memory::addresses(0, ROOM, 0).is_ok()
    }

    /// So many addresses without memory, from this one on where they are free.
    fn addresses(wanted: usize, length: usize, place: i32) -> Result<Memory, String> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | place;
        // SAFETY: a new mapping wherever the system likes.
        let start =
            unsafe { libc::mmap(std::ptr::without_provenance_mut(wanted), length, libc::PROT_NONE, flags, -1, 0) };
        let start = if start == libc::MAP_FAILED { None } else { NonNull::new(start.cast::<u8>()) };
        let start = start.ok_or_else(|| "the system has no addresses for code".to_owned())?;
        let range = Range { start, length };
        Ok(Memory(Rc::new(RefCell::new(Filling { range, used: 0 }))))
    }

    /// The filled memory, once LLVM has let go of it.
    pub fn into_code(self, address: usize) -> Result<Code, String> {
        let filling = Rc::try_unwrap(self.0).map_err(|_| "LLVM still holds the memory of its code".to_owned())?;
        let Filling { mut range, used } = filling.into_inner();
        let kept = used.next_multiple_of(PAGE);
        let behind = range.start.as_ptr().wrapping_add(kept).cast();
        // SAFETY: the pages behind the sections belong to the range, and nobody uses them.
        if kept < range.length && unsafe { libc::munmap(behind, range.length - kept) } == 0 {
            range.length = kept;
            NEXT.store(behind.addr(), Relaxed);
        }
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
        assert!(codes.is_ok_and(|codes| codes.iter().all(|code| code.bytes() == PAGE)));
    }
}

//! Executable memory: one mapping a function, written once, then read and executed only, given back when dropped.

use crate::native;
use cranelift::codegen::{FinalizedMachReloc, FinalizedRelocTarget, binemit::Reloc};
use fusewire_runtime::error::Error;
use std::ptr::NonNull;

/// The machine code of a function.
#[derive(Debug)]
pub(crate) struct Code {
    start: NonNull<u8>,
    mapped: usize,
}

// SAFETY: the memory is never written after `Code::new`, and belongs to this value alone.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}

/// One compiled function, not yet in place.
pub(crate) struct Function {
    /// Instructions and the constants behind them.
    pub bytes: Vec<u8>,
    /// What must be patched.
    pub relocations: Vec<FinalizedMachReloc>,
}

impl Code {
    /// Puts a function in place. Its constants are aligned as the function is, to a page.
    pub fn new(function: &Function) -> Result<Code, Error> {
        let page = page_size();
        let mapped = function.bytes.len().max(1).next_multiple_of(page);
        // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that exists.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let start = match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => start,
            _ => return Err(Error::OutOfMemory { bytes: mapped }),
        };
        let code = Code { start, mapped };
        let place = start.as_ptr();
        // SAFETY: the bytes fit the mapping, which is writable and ours.
        unsafe { std::ptr::copy_nonoverlapping(function.bytes.as_ptr(), place, function.bytes.len()) };
        for relocation in &function.relocations {
            let at = relocation.offset as usize;
            if relocation.kind != Reloc::Abs8 || at + 8 > function.bytes.len() {
                return Err(Error::Internal(format!("relocation {:?} of a kernel", relocation.kind)));
            }
            let target = match &relocation.target {
                FinalizedRelocTarget::ExternalName(name) => native::address(name)?,
                FinalizedRelocTarget::Func(inside) => place.wrapping_add(*inside as usize) as usize,
            };
            let value = (target as u64).wrapping_add_signed(relocation.addend);
            // SAFETY: the eight bytes lie inside the function's bytes, as checked above.
            unsafe { place.add(at).cast::<u64>().write_unaligned(value) };
        }
        // SAFETY: the range is exactly the mapping made above.
        let sealed = unsafe { libc::mprotect(start.as_ptr().cast(), mapped, libc::PROT_READ | libc::PROT_EXEC) };
        if sealed != 0 {
            return Err(Error::Internal("the system refuses to make memory executable".into()));
        }
        Ok(code)
    }

    /// The address of the function.
    pub fn address(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.mapped
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` and nobody can call into it any more: callers borrow `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}

fn page_size() -> usize {
    // SAFETY: asks the system for a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

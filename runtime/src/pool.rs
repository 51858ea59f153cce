//! Host memory: 64-byte aligned blocks in size classes, kept for reuse. Fresh pages cost a large part of a memory-bound
//! kernel's time (the system zeroes each), so freed blocks wait in bounded caches instead of going back at once.
//!
//! Small blocks wait first in a list of the thread that freed them, which needs no lock; what does not fit there, and every
//! larger block, waits in one list a class shared by all threads. Large blocks are mappings of their own that ask for huge
//! pages. Failure to get memory is an error, never an abort, and comes only after the caches were emptied.
//!
//! Invariants: a block is in exactly one place (in use, in a thread's list, in the shared lists); `figures().cached` is what
//! the process holds minus what is in use; the shared lists never hold more than the limit.

use crate::error::Error;
use fusewire_ir::value::Storage;
use parking_lot::Mutex;
use std::{
    alloc::Layout,
    any::Any,
    cell::RefCell,
    ptr::{self, NonNull},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Every block starts at a multiple of this many bytes: a cache line, and the widest vector of any processor.
pub const ALIGNMENT: usize = 64;

/// What the pool holds, in bytes of whole blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// In use.
    pub allocated: usize,
    /// Free and kept for reuse.
    pub cached: usize,
    /// The most that was ever in use at once (since [`reset_peak`]).
    pub peak: usize,
    /// How much the shared lists may keep.
    pub limit: usize,
}

/// Memory that is kept for reuse, as those see it who look after it.
pub trait Memory {
    /// The figures of the moment.
    fn figures(&self) -> Figures;
    /// Lets `peak` start again from what is in use now.
    fn reset_peak(&self);
    /// Gives free blocks back.
    fn trim(&self) -> Result<(), Error>;
    /// Bounds what is kept, at once and from now on.
    fn set_limit(&self, bytes: usize) -> Result<(), Error>;
    /// Bounds what is in use and kept together, where the memory is a device's own.
    fn set_budget(&self, bytes: usize) -> Result<(), Error>;
    /// Bytes that nobody has taken yet, and bytes altogether, where the memory is a device's own.
    fn of_device(&self) -> Result<Option<(usize, usize)>, Error>;
}

/// The host's.
#[derive(Clone, Copy, Default, Debug)]
pub struct Host;

impl Memory for Host {
    fn figures(&self) -> Figures {
        figures()
    }
    fn reset_peak(&self) {
        reset_peak();
    }
    fn trim(&self) -> Result<(), Error> {
        trim();
        Ok(())
    }
    fn set_limit(&self, bytes: usize) -> Result<(), Error> {
        set_limit(bytes);
        Ok(())
    }
    fn set_budget(&self, _bytes: usize) -> Result<(), Error> {
        Err(Error::Unsupported("the host's memory has no budget; set_limit bounds what is kept for reuse".into()))
    }
    fn of_device(&self) -> Result<Option<(usize, usize)>, Error> {
        Ok(None)
    }
}

/// How large a block is that has room for so many bytes; `None` where none has.
pub fn block_size(bytes: usize) -> Option<usize> {
    Class::of(bytes).map(Class::size)
}

/// Uninitialised memory for `bytes` bytes (0 is fine).
pub fn allocate(bytes: usize) -> Result<Arc<dyn Storage>, Error> {
    let class = Class::of(bytes).ok_or(Error::OutOfMemory { bytes })?;
    let (start, class) = obtain(class).ok_or(Error::OutOfMemory { bytes })?;
    let in_use = ALLOCATED.fetch_add(class.size(), Relaxed) + class.size();
    if in_use > PEAK.load(Relaxed) {
        PEAK.fetch_max(in_use, Relaxed);
    }
    crate::counters::BYTES_ALLOCATED.add(bytes as u64);
    Ok(Arc::new(HostBlock { start, bytes, class }))
}

/// The figures of the moment.
pub fn figures() -> Figures {
    let allocated = ALLOCATED.load(Relaxed);
    Figures {
        allocated,
        cached: RESERVED.load(Relaxed).saturating_sub(allocated),
        peak: PEAK.load(Relaxed),
        limit: SHARED.lock().limit(),
    }
}

/// Lets `peak` start again from what is in use now.
pub fn reset_peak() {
    PEAK.store(ALLOCATED.load(Relaxed), Relaxed);
}

/// Gives the free blocks of the shared lists and of the calling thread back to the system. Other threads keep theirs, at
/// most [`LOCAL_LIMIT`] bytes each.
pub fn trim() {
    let _ = LOCAL.try_with(|local| local.borrow_mut().empty());
    SHARED.lock().shrink_to(0);
}

/// Bounds what the shared lists keep, at once and from now on.
pub fn set_limit(bytes: usize) {
    let mut shared = SHARED.lock();
    shared.limit = Some(bytes);
    shared.shrink_to(bytes);
}

/// A block of the pool. Dropping it gives it back.
#[derive(Debug)]
pub struct HostBlock {
    start: NonNull<u8>,
    bytes: usize,
    class: Class,
}

// SAFETY: the block is plain memory that belongs to this value alone; who may read or write it when is the business of
// those who share the `Storage`.
unsafe impl Send for HostBlock {}
// SAFETY: as above; the methods only read fields that never change.
unsafe impl Sync for HostBlock {}

impl Storage for HostBlock {
    fn pointer(&self) -> *mut u8 {
        self.start.as_ptr()
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn read_only(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        ALLOCATED.fetch_sub(self.class.size(), Relaxed);
        release(self.start, self.class);
    }
}

/// The pool's lock, for the time of a fork.
pub(crate) fn lock_for_fork() -> impl Sized + 'static {
    SHARED.lock()
}

/// Bytes in blocks in use.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
/// Bytes the system gave us.
static RESERVED: AtomicUsize = AtomicUsize::new(0);
/// The largest `ALLOCATED` so far.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// A size class. Sizes are multiples of 64; every doubling is divided into eight steps, so a block is at most an eighth
/// larger than what was asked for (small ones: less than 64 bytes larger).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Class(u16);

/// Sizes up to this many are multiples of 64: classes 0 to 7.
const LINEAR: usize = 512;
/// The first class that is a mapping of its own.
const MAPPED_FROM: usize = 1 << 20;
/// The classes that threads keep for themselves: those up to 64 KiB.
const LOCAL_CLASSES: usize = 64;
/// How much a thread keeps for itself.
pub const LOCAL_LIMIT: usize = 1 << 20;
/// The largest block: no processor of today addresses more, and sums of a few such sizes cannot overflow.
const LARGEST: usize = 1 << 47;
const CLASSES: usize = 312;

impl Class {
    /// The smallest class that has room; `None` when there is none.
    fn of(bytes: usize) -> Option<Class> {
        if bytes <= LINEAR {
            return Some(Class((bytes.max(1) - 1) as u16 / ALIGNMENT as u16));
        }
        if bytes > LARGEST {
            return None;
        }
        // 2^k < bytes <= 2^(k + 1), in eighths of 2^k.
        let k = (bytes - 1).ilog2();
        let step = (bytes - 1 - (1 << k)) >> (k - 3);
        Some(Class(8 + (k as u16 - 9) * 8 + step as u16))
    }

    /// How large its blocks are.
    fn size(self) -> usize {
        let index = self.0 as usize;
        match index.checked_sub(8) {
            None => (index + 1) * ALIGNMENT,
            Some(above) => {
                let k = above / 8 + 9;
                (1 << k) + ((above % 8 + 1) << (k - 3))
            }
        }
    }
}

/// A block of the class, or of a larger one, from the nearest list, or from the system. `None`: there is no memory.
fn obtain(class: Class) -> Option<(NonNull<u8>, Class)> {
    if (class.0 as usize) < LOCAL_CLASSES
        && let Ok(Some(block)) = LOCAL.try_with(|local| local.borrow_mut().take(class))
    {
        return Some((block, class));
    }
    if let Some(found) = SHARED.lock().take_fitting(class) {
        return Some(found);
    }
    let block = from_system(class).or_else(|| {
        trim();
        from_system(class)
    });
    Some((block?, class))
}

/// Puts a free block into the nearest list that has room.
fn release(block: NonNull<u8>, class: Class) {
    if (class.0 as usize) < LOCAL_CLASSES {
        // The thread may be ending and its list be gone.
        if let Ok(true) = LOCAL.try_with(|local| local.borrow_mut().put(block, class)) {
            return;
        }
    }
    SHARED.lock().put(block, class);
}

/// The free small blocks of one thread: a linked list a class, threaded through the blocks' first words.
struct Local {
    heads: [Option<NonNull<u8>>; LOCAL_CLASSES],
    bytes: usize,
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local { heads: [None; LOCAL_CLASSES], bytes: 0 }) };
}

impl Local {
    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        let head = &mut self.heads[class.0 as usize];
        let block = (*head)?;
        // SAFETY: a block in the list is at least 64 bytes, aligned, ours alone, and `put` has written its first word.
        *head = unsafe { block.cast::<Option<NonNull<u8>>>().read() };
        self.bytes -= class.size();
        Some(block)
    }

    /// False when there is no room.
    fn put(&mut self, block: NonNull<u8>, class: Class) -> bool {
        if self.bytes + class.size() > LOCAL_LIMIT {
            return false;
        }
        let head = &mut self.heads[class.0 as usize];
        // SAFETY: nobody uses the block any more; it is at least 64 bytes and aligned.
        unsafe { block.cast::<Option<NonNull<u8>>>().write(*head) };
        *head = Some(block);
        self.bytes += class.size();
        true
    }

    fn empty(&mut self) {
        for class in (0..LOCAL_CLASSES as u16).map(Class) {
            while let Some(block) = self.take(class) {
                to_system(block, class);
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for class in (0..LOCAL_CLASSES as u16).map(Class) {
            while let Some(block) = self.take(class) {
                SHARED.lock().put(block, class);
            }
        }
    }
}

/// The free blocks that all threads share.
struct Shared {
    lists: [Vec<FreeBlock>; CLASSES],
    /// When each class was last used, in ticks; the least recently used one shrinks first.
    used: [u64; CLASSES],
    ticks: u64,
    bytes: usize,
    /// `None` until somebody sets it: then a share of the machine's memory.
    limit: Option<usize>,
}

struct FreeBlock(NonNull<u8>);
// SAFETY: a free block is memory that nobody uses; any thread may take it.
unsafe impl Send for FreeBlock {}

static SHARED: Mutex<Shared> =
    Mutex::new(Shared { lists: [const { Vec::new() }; CLASSES], used: [0; CLASSES], ticks: 0, bytes: 0, limit: None });

impl Shared {
    fn limit(&self) -> usize {
        self.limit.unwrap_or_else(default_limit)
    }

    fn touch(&mut self, class: Class) {
        self.ticks += 1;
        self.used[class.0 as usize] = self.ticks;
    }

    /// A block of the class, or of the next one where blocks are mappings: fields that shrink from step to step share their memory
    /// also where they come to the end of a class.
    fn take_fitting(&mut self, class: Class) -> Option<(NonNull<u8>, Class)> {
        let larger = Class(class.0 + 1);
        let serves = class.size() >= MAPPED_FROM && (larger.0 as usize) < CLASSES;
        let found = self.take(class).map(|block| (block, class));
        if found.is_some() || !serves {
            return found;
        }
        Some((self.take(larger)?, larger))
    }

    fn take(&mut self, class: Class) -> Option<NonNull<u8>> {
        self.touch(class);
        let block = self.lists[class.0 as usize].pop()?.0;
        self.bytes -= class.size();
        Some(block)
    }

    fn put(&mut self, block: NonNull<u8>, class: Class) {
        self.touch(class);
        let (size, limit) = (class.size(), self.limit());
        // A list that cannot grow (there is no memory for its own table) is as good as a full one.
        if size > limit || self.lists[class.0 as usize].try_reserve(1).is_err() {
            return to_system(block, class);
        }
        self.shrink_to(limit - size);
        self.lists[class.0 as usize].push(FreeBlock(block));
        self.bytes += size;
    }

    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let oldest = (0..CLASSES).filter(|&c| !self.lists[c].is_empty()).min_by_key(|&c| self.used[c]);
            let Some(class) = oldest else { break };
            while self.bytes > bytes {
                let Some(block) = self.lists[class].pop() else { break };
                let class = Class(class as u16);
                self.bytes -= class.size();
                to_system(block.0, class);
            }
        }
    }
}

/// An eighth of the machine's memory, and at least 256 MiB.
fn default_limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        // SAFETY: sysconf only looks up a number.
        let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
        let memory = usize::try_from(pages).unwrap_or(0).saturating_mul(usize::try_from(size).unwrap_or(0));
        (memory / 8).max(256 << 20)
    })
}

/// The size of a huge page, and the alignment that a mapping needs to be made of them.
const HUGE_PAGE: usize = 2 << 20;

fn from_system(class: Class) -> Option<NonNull<u8>> {
    let size = class.size();
    let block = if size < MAPPED_FROM { NonNull::new(heap_block(size)) } else { mapped_block(size) }?;
    RESERVED.fetch_add(size, Relaxed);
    Some(block)
}

fn heap_block(size: usize) -> *mut u8 {
    match Layout::from_size_align(size, ALIGNMENT) {
        // SAFETY: classes are never empty.
        Ok(layout) => unsafe { std::alloc::alloc(layout) },
        Err(_) => ptr::null_mut(),
    }
}

fn mapped_block(size: usize) -> Option<NonNull<u8>> {
    let huge = size >= HUGE_PAGE;
    let reserve = if huge { size + HUGE_PAGE } else { size };
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let start = unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(ptr::null_mut(), reserve, protection, flags, -1, 0)
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start = start.cast::<u8>();
    if !huge {
        return NonNull::new(start);
    }
    let head = start.align_offset(HUGE_PAGE);
    let block = start.wrapping_add(head);
    let tail = HUGE_PAGE - head;
    // SAFETY: head and tail lie inside the mapping, are whole pages (class sizes from MAPPED_FROM up are multiples of
    // 128 KiB), and nobody knows their addresses. The advice concerns the block alone and may be refused without harm.
    unsafe {
        if head > 0 {
            libc::munmap(start.cast(), head);
        }
        if tail > 0 {
            libc::munmap(block.wrapping_add(size).cast(), tail);
        }
        libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE);
    }
    NonNull::new(block)
}

fn to_system(block: NonNull<u8>, class: Class) {
    let size = class.size();
    RESERVED.fetch_sub(size, Relaxed);
    if size < MAPPED_FROM {
        if let Ok(layout) = Layout::from_size_align(size, ALIGNMENT) {
            // SAFETY: `heap_block` made it with this layout, and nobody uses it any more.
            unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
        }
    } else {
        // SAFETY: `mapped_block` made this mapping, and nobody uses it any more.
        unsafe { libc::munmap(block.as_ptr().cast(), size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_tight_and_ordered() {
        let mut previous = 0;
        for class in (0..CLASSES as u16).map(Class) {
            let size = class.size();
            assert!(size > previous && size.is_multiple_of(ALIGNMENT));
            assert_eq!(Class::of(size), Some(class));
            assert_eq!(Class::of(previous + 1), Some(class));
            previous = size;
        }
        assert_eq!(previous, LARGEST, "the last class is the largest block");
        assert_eq!(Class::of(0), Some(Class(0)));
        assert_eq!(Class::of(LARGEST + 1), None);
        assert_eq!(Class(LOCAL_CLASSES as u16 - 1).size(), 64 << 10);
        for bytes in [513, 1000, 4097, 100_000, (1 << 30) + 1] {
            let size = Class::of(bytes).unwrap().size();
            assert!(size >= bytes && size <= bytes + bytes / 8 + ALIGNMENT, "{bytes} got {size}");
        }
    }
}

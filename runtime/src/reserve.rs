//! A reserve of memory for small allocations. Large ones can fail and say so; of the thousands of small ones that
//! recording, planning and compiling make, each would end the process. So the process's allocator gives up the reserve when a
//! small allocation fails, and nothing is computed until there is a reserve again.
//!
//! It is not a pool: arrays come from `pool.rs`. Untouched, the reserve costs addresses only.

use crate::error::Error;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

/// Far more than recording up to a flush and planning a usual graph need.
const RESERVE: Layout = match Layout::from_size_align(16 << 20, 4096) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Larger allocations than this are no reason to give up the reserve.
const SMALL: usize = RESERVE.size() / 4;

static HELD: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// The system's allocator, with the reserve behind it. Programs make it theirs with `#[global_allocator]`.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: every call goes to the system's allocator, with the caller's arguments; a second call only follows one that
// returned nothing and so changed nothing.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        again(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        again(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; a failed attempt leaves the block as it was.
        again(size, || unsafe { System.realloc(block, layout, size) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// A small allocation that fails is tried again without the reserve.
#[inline]
fn again(size: usize, allocate: impl Fn() -> *mut u8) -> *mut u8 {
    let block = allocate();
    if block.is_null() && size <= SMALL && give_up() { allocate() } else { block }
}

#[cold]
fn give_up() -> bool {
    let reserve = HELD.swap(ptr::null_mut(), AcqRel);
    if reserve.is_null() {
        return false;
    }
    // SAFETY: what was held came from the system's allocator with this layout, and is held no more.
    unsafe { System.dealloc(reserve, RESERVE) };
    true
}

/// Sees to it that there is a reserve.
pub(crate) fn hold() -> Result<(), Error> {
    if !HELD.load(Relaxed).is_null() {
        return Ok(());
    }
    // SAFETY: the layout is not empty.
    let fresh = unsafe { System.alloc(RESERVE) };
    if fresh.is_null() {
        return Err(Error::OutOfMemory { bytes: RESERVE.size() });
    }
    if HELD.compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire).is_err() {
        // SAFETY: made just now with this layout; another thread was faster, and nobody else has seen it.
        unsafe { System.dealloc(fresh, RESERVE) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_allocation_that_fails_takes_the_reserve_and_a_large_one_does_not() {
        hold().unwrap();
        assert!(again(SMALL + 1, ptr::null_mut).is_null());
        assert!(!HELD.load(Relaxed).is_null());
        let calls = std::cell::Cell::new(0);
        let second = || {
            calls.set(calls.get() + 1);
            if calls.get() == 2 { ptr::dangling_mut() } else { ptr::null_mut() }
        };
        assert!(!again(8, second).is_null());
        assert!(HELD.load(Relaxed).is_null());
        assert!(again(8, ptr::null_mut).is_null());
        hold().unwrap();
        assert!(!HELD.load(Relaxed).is_null());
    }
}

//! The host pool: bounds, reuse, figures and clean failure. Its figures are the process's, so the tests take turns.

use fusewire_runtime::{
    error::Error,
    pool::{self, ALIGNMENT},
};
use std::sync::{Mutex, MutexGuard};

const MIB: usize = 1 << 20;

struct Turn(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>);

fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = Turn(TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    pool::set_limit(64 * MIB);
    pool::trim();
    turn
}

impl Drop for Turn {
    /// The thread's own list would otherwise reach the shared lists in the middle of another test.
    fn drop(&mut self) {
        pool::trim();
    }
}

#[test]
fn blocks_are_aligned_and_writable() {
    let _turn = turn();
    for bytes in [0, 1, 63, 64, 65, 400, 5000, 70_000, MIB, 3 * MIB + 1, 40 * MIB] {
        let block = pool::allocate(bytes).unwrap();
        assert_eq!(block.bytes(), bytes);
        assert_eq!(block.pointer() as usize % ALIGNMENT, 0);
        assert!(!block.read_only());
        if bytes > 0 {
            // SAFETY: the block has that many bytes and nobody else knows it.
            unsafe {
                block.pointer().write(1);
                block.pointer().add(bytes - 1).write(2);
            }
        }
    }
}

#[test]
fn freed_blocks_are_reused() {
    let _turn = turn();
    for bytes in [400, 100_000, 8 * MIB] {
        let first = pool::allocate(bytes).unwrap();
        let address = first.pointer();
        drop(first);
        let held = pool::figures();
        let second = pool::allocate(bytes - 1).unwrap();
        assert_eq!(second.pointer(), address, "{bytes} bytes");
        let now = pool::figures();
        assert_eq!(held.allocated + held.cached, now.allocated + now.cached, "nothing new from the system");
    }
}

#[test]
fn a_large_block_serves_what_is_a_little_smaller() {
    let _turn = turn();
    drop(pool::allocate(14 * MIB).unwrap());
    let smaller = pool::allocate(13 * MIB).unwrap();
    assert_eq!(pool::figures().cached, 0, "no second block");
    assert_eq!(pool::figures().allocated, 14 * MIB);
    drop(smaller);
    drop(pool::allocate(12 * MIB).unwrap());
    assert_eq!(pool::figures().cached, 26 * MIB, "a sixth would be wasted");
}

#[test]
fn what_is_cached_is_bounded() {
    let _turn = turn();
    pool::set_limit(10 * MIB);
    let blocks: Vec<_> = (0..40).map(|i| pool::allocate(MIB + i * 1000).unwrap()).collect();
    assert!(pool::figures().allocated >= 40 * MIB);
    drop(blocks);
    let figures = pool::figures();
    assert_eq!(figures.allocated, 0);
    assert!(figures.cached <= 10 * MIB && figures.cached >= 8 * MIB, "{figures:?}");
    // A block larger than the whole cache goes straight back, and does not push the others out.
    drop(pool::allocate(11 * MIB).unwrap());
    assert_eq!(pool::figures().cached, figures.cached);
    pool::set_limit(3 * MIB);
    assert!(pool::figures().cached <= 3 * MIB);
    let small: Vec<_> = (0..100_000).map(|_| pool::allocate(64).unwrap()).collect();
    drop(small);
    assert!(pool::figures().cached <= 3 * MIB + pool::LOCAL_LIMIT);
    pool::trim();
    assert_eq!(pool::figures().cached, 0);
}

#[test]
fn the_least_recently_used_class_goes_first() {
    let _turn = turn();
    pool::set_limit(8 * MIB);
    let (old, new) = (pool::allocate(4 * MIB).unwrap(), pool::allocate(3 * MIB).unwrap());
    let address = new.pointer();
    drop(old);
    drop(new);
    drop(pool::allocate(2 * MIB).unwrap());
    assert_eq!(pool::figures().cached, 5 * MIB);
    assert_eq!(pool::allocate(3 * MIB).unwrap().pointer(), address);
}

#[test]
fn peak_is_the_most_in_use_at_once() {
    let _turn = turn();
    pool::reset_peak();
    let both = (pool::allocate(2 * MIB).unwrap(), pool::allocate(2 * MIB).unwrap());
    drop(both);
    drop(pool::allocate(2 * MIB).unwrap());
    assert_eq!(pool::figures().peak, 4 * MIB);
    pool::reset_peak();
    assert_eq!(pool::figures().peak, 0);
}

#[test]
fn absurd_sizes_fail_cleanly() {
    let _turn = turn();
    drop(pool::allocate(8 * MIB).unwrap());
    for bytes in [usize::MAX, isize::MAX as usize, 1 << 60, (1 << 47) + 1, 1 << 47, 100 << 40] {
        assert_eq!(pool::allocate(bytes).err(), Some(Error::OutOfMemory { bytes }));
    }
    let figures = pool::figures();
    assert_eq!((figures.allocated, figures.cached), (0, 0), "the last resort is to empty the cache");
    pool::allocate(MIB).unwrap();
}

#[test]
fn threads_share_blocks() {
    let _turn = turn();
    let before = pool::figures();
    let work = |seed: usize| {
        let mut kept = Vec::new();
        for i in 0..3000usize {
            let bytes = (seed * 7919 + i * 104_729) % 200_000;
            let block = pool::allocate(bytes).unwrap();
            // SAFETY: the block has that many bytes and nobody else knows it.
            unsafe { std::ptr::write_bytes(block.pointer(), seed as u8, bytes) };
            kept.push((block, bytes));
            if kept.len() > 20 {
                let (block, bytes) = kept.swap_remove(i % 20);
                // SAFETY: as above; all bytes were written.
                let content = unsafe { std::slice::from_raw_parts(block.pointer(), bytes) };
                assert!(content.iter().all(|&b| b == seed as u8), "two owners of one block");
            }
        }
        // Some blocks die on another thread than the one that made them.
        std::thread::spawn(move || drop(kept)).join().unwrap();
    };
    let threads: Vec<_> = (0..4).map(|seed| std::thread::spawn(move || work(seed))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(pool::figures().allocated, before.allocated);
    pool::trim();
    assert_eq!(pool::figures().cached, 0, "ending threads hand their blocks to the shared lists");
}

//! Memory that the back end allocates: aligned blocks, given back to the system when dropped.

use fusewire_ir::value::Storage;
use fusewire_runtime::error::Error;
use std::{
    alloc::{Layout, alloc, dealloc},
    any::Any,
    ptr::NonNull,
};

/// Every block starts at a multiple of this.
pub(crate) const ALIGNMENT: usize = 64;

/// Uninitialised, aligned memory.
#[derive(Debug)]
pub(crate) struct Block {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the block owns its memory; who writes it when is for the plan to say.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// So many bytes; zero are fine.
    pub fn new(bytes: usize) -> Result<Block, Error> {
        let layout = Block::layout(bytes).ok_or(Error::OutOfMemory { bytes })?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) });
        Ok(Block { start: start.ok_or(Error::OutOfMemory { bytes })?, bytes })
    }

    fn layout(bytes: usize) -> Option<Layout> {
        Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
    }

    /// Its first byte.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(layout) = Block::layout(self.bytes) {
            // SAFETY: allocated by `new` with the same layout.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        }
    }
}

impl Storage for Block {
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

//! Computed arrays from one device to another. This is the only place where elements cross; nothing here is recorded, and
//! nothing calls it but what a user asked for.
//!
//! Memory is copied as it lies, from the lowest to the highest element of the array, and the strides stay. So a copy of a thin
//! slice takes what lies between its elements too.

use crate::{backend::Backend, error::Error, registry};
use fusewire_ir::{
    lazy::{Device, Lazy},
    value::{Buffer, Storage},
};
use std::sync::Arc;

/// The array, which is computed, on a device; itself if it is there. From one GPU to another elements go directly where the two
/// reach each other, else through the host.
pub fn to_device(node: &Arc<Lazy>, device: Device) -> Result<Arc<Lazy>, Error> {
    let Some(buffer) = node.buffer() else { return Err(Error::Internal("a transfer of what is not computed".into())) };
    let here = buffer.storage.device();
    if here == device {
        return Ok(node.clone());
    }
    let (from, to, host) = (registry::backend(here)?, registry::backend(device)?, registry::backend(Device::Cpu)?);
    let span = Span::of(node, buffer);
    let pointer = buffer.pointer().wrapping_offset(-span.before);
    from.begin(&[buffer])?;
    let moved = if here == Device::Cpu {
        upload(&**to, pointer, &span)?
    } else if device != Device::Cpu
        && let Some(storage) = directly(&**from, &**to, pointer, &span)?
    {
        storage
    } else {
        let storage = host.allocate(span.bytes)?;
        // A view of nothing may begin anywhere.
        if span.bytes > 0 {
            // SAFETY: the span lies inside the array's storage, and the new block has as many bytes and belongs to nobody else.
            unsafe { from.download(pointer, storage.pointer(), span.bytes)? };
        }
        if device == Device::Cpu { storage } else { upload(&**to, storage.pointer(), &span)? }
    };
    let buffer = Buffer { storage: moved, offset: span.before as usize, strides: buffer.strides.clone() };
    Ok(Lazy::computed(buffer, node.dtype, node.shape.clone(), device))
}

/// From one GPU's memory to another's; `None` where there is no such way.
fn directly(
    from: &(dyn Backend + 'static),
    to: &dyn Backend,
    pointer: *const u8,
    span: &Span,
) -> Result<Option<Arc<dyn Storage>>, Error> {
    let storage = to.allocate(span.bytes)?;
    // SAFETY: as for `upload`.
    let copied = unsafe { to.copy_from(from, pointer, storage.pointer(), span.bytes)? };
    Ok(copied.then_some(storage))
}

fn upload(to: &dyn Backend, pointer: *const u8, span: &Span) -> Result<Arc<dyn Storage>, Error> {
    let storage = to.allocate(span.bytes)?;
    if span.bytes > 0 {
        // SAFETY: the span lies inside the storage of a computed array, and the new block has as many bytes and belongs to
        // nobody else.
        unsafe { to.upload(pointer, storage.pointer(), span.bytes)? };
    }
    Ok(storage)
}

/// The memory between an array's lowest and highest elements.
struct Span {
    /// Bytes in front of element `[0, 0, ...]`.
    before: isize,
    bytes: usize,
}

impl Span {
    fn of(node: &Lazy, buffer: &Buffer) -> Span {
        let size = node.dtype.size() as isize;
        if node.shape.contains(&0) {
            return Span { before: 0, bytes: 0 };
        }
        let reach = node.shape.iter().zip(&buffer.strides).map(|(&extent, &stride)| (extent as isize - 1) * stride);
        let (low, high) = reach.fold((0, 0), |(low, high), reach| (low + reach.min(0), high + reach.max(0)));
        Span { before: -low * size, bytes: ((high - low + 1) * size) as usize }
    }
}

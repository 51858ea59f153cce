//! Positions in arrays that are computed: which index of an array is outside an axis, and where a mask is true. Both are
//! needed at once, the one for errors at the call, the other for shapes that depend on the data, so they are loops here and
//! no kernels: on a device whose memory the host reaches.

use crate::{backend::Backend, error::Error, transfer::on_host};
use fusewire_ir::{
    dtype::DType,
    lazy::Lazy,
    shape::Shape,
    value::{Buffer, Storage},
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The first index, in row-major order, that is outside an axis of `extent` elements (negative ones count from its end), and
/// where it stands. The array has a buffer, of integers.
pub fn first_outside(indices: &Lazy, extent: usize) -> Option<i64> {
    let buffer = indices.buffer()?;
    // What cannot be seen from here is checked when the elements are computed.
    let start = on_host(buffer).ok()?;
    let mut found = None;
    for_each_row(&indices.shape, start, &buffer.strides, indices.dtype.size(), &mut |start, count, step| {
        found = match indices.dtype {
            DType::I64 => outside::<i64>(start, count, step, extent),
            DType::I32 => outside::<i32>(start, count, step, extent),
            DType::I16 => outside::<i16>(start, count, step, extent),
            DType::I8 => outside::<i8>(start, count, step, extent),
            DType::U64 => outside::<u64>(start, count, step, extent),
            DType::U32 => outside::<u32>(start, count, step, extent),
            DType::U16 => outside::<u16>(start, count, step, extent),
            DType::U8 | DType::Bool => outside::<u8>(start, count, step, extent),
            DType::F32 | DType::F64 | DType::C64 | DType::C128 => None,
        };
        found.is_none()
    });
    found
}

/// The first of `count` integers, `step` apart, that is no position in an axis.
fn outside<T: Copy + TryInto<i64>>(start: *const u8, count: usize, step: isize, extent: usize) -> Option<i64> {
    let extent = extent as i64;
    (0..count as isize).find_map(|i| {
        // SAFETY: the row lies inside a computed buffer of elements of this type, aligned to their size.
        let index = unsafe { start.cast::<T>().wrapping_offset(i * step).read() };
        // What is larger than any int64 is outside of everything.
        let index = index.try_into().unwrap_or(i64::MAX);
        (index >= extent || index < -extent).then_some(index)
    })
}

/// The positions at which a mask that is computed is true, in row-major order: an int64 array for each axis.
pub fn nonzero(mask: &Lazy, backend: &dyn Backend) -> Result<Vec<Arc<Lazy>>, Error> {
    let buffer = mask.buffer().filter(|_| mask.dtype == DType::Bool);
    let Some(buffer) = buffer else { return Err(Error::Internal("positions in what is no mask".into())) };
    let start = on_host(buffer)?;
    let mut count = 0;
    for_each_row(&mask.shape, start, &buffer.strides, 1, &mut |start, length, step| {
        count += match step {
            // SAFETY: the row lies inside a computed buffer of bytes.
            1 => unsafe { std::slice::from_raw_parts(start, length) }.iter().filter(|&&byte| byte != 0).count(),
            // SAFETY: as above.
            _ => (0..length as isize).filter(|i| unsafe { *start.wrapping_offset(i * step) } != 0).count(),
        };
        true
    });
    // Every position is written where the next true one belongs, so there is one place more than there are true ones.
    let bytes = count.checked_add(1).and_then(|n| n.checked_mul(8)).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
    let columns = (0..mask.shape.len()).map(|_| Memory::new(backend, bytes)).collect::<Result<Vec<_>, _>>()?;
    let mut index: SmallVec<[i64; 4]> = smallvec![0; mask.shape.len()];
    let mut next = 0;
    for_each_row(&mask.shape, start, &buffer.strides, 1, &mut |start, length, step| {
        let before = next;
        if let Some(last) = columns.last() {
            let last = last.start;
            for i in 0..length as isize {
                // SAFETY: as above; `next` is at most the count, for memory that others write to meanwhile too.
                unsafe {
                    last.add(next).write(i as i64);
                    next += usize::from(*start.wrapping_offset(i * step) != 0 && next < count);
                }
            }
        }
        for (column, &position) in columns.iter().zip(&index[..index.len().saturating_sub(1)]) {
            // SAFETY: each column has room for as many positions as were counted.
            unsafe { std::slice::from_raw_parts_mut(column.start.add(before), next - before) }.fill(position);
        }
        advance(&mut index, &mask.shape);
        true
    });
    let shape: Shape = smallvec![count];
    Ok(columns.into_iter().map(|column| column.array(shape.clone())).collect())
}

/// The positions of an axis, each as often as an array says that is computed, int64 and 1-D; `None` where it says less than 0.
pub fn repeated(times: &Lazy, backend: &dyn Backend) -> Result<Option<Arc<Lazy>>, Error> {
    let buffer = times.buffer().filter(|_| times.dtype == DType::I64);
    let Some(buffer) = buffer else { return Err(Error::Internal("repetitions that are no integers".into())) };
    // SAFETY: the element is inside a computed buffer of int64.
    let read = |start: *const u8, at: isize| unsafe { start.cast::<i64>().wrapping_offset(at).read() };
    let start = on_host(buffer)?;
    let (mut total, mut negative) = (0u64, false);
    for_each_row(&times.shape, start, &buffer.strides, 8, &mut |start, length, step| {
        for i in 0..length as isize {
            let count = read(start, i * step);
            negative |= count < 0;
            total = total.saturating_add(count.max(0) as u64);
        }
        true
    });
    if negative {
        return Ok(None);
    }
    let bytes = usize::try_from(total).ok().and_then(|total| total.checked_mul(8));
    let memory = Memory::new(backend, bytes.ok_or(Error::OutOfMemory { bytes: usize::MAX })?)?;
    let (mut next, mut position) = (memory.start, 0);
    for_each_row(&times.shape, start, &buffer.strides, 8, &mut |start, length, step| {
        for i in 0..length as isize {
            for _ in 0..read(start, i * step) {
                // SAFETY: the block has room for as many positions as were counted. (Memory that others write to meanwhile could
                // count differently; an array of fusewire's own, as the caller gives, does not.)
                unsafe {
                    next.write(position);
                    next = next.add(1);
                }
            }
            position += 1;
        }
        true
    });
    Ok(Some(memory.array(smallvec![total as usize])))
}

/// Memory for int64 that the host fills.
pub(crate) struct Memory {
    storage: Arc<dyn Storage>,
    /// Where the host finds it.
    pub start: *mut i64,
}

impl Memory {
    pub(crate) fn new(backend: &dyn Backend, bytes: usize) -> Result<Memory, Error> {
        let storage = backend.allocate(bytes)?;
        let start = backend.host_pointer(storage.pointer()).map(<*mut u8>::cast);
        let name = backend.name();
        let start =
            start.ok_or_else(|| Error::Unsupported(format!("the host cannot write to the memory of {name}")))?;
        Ok(Memory { storage, start })
    }

    /// What was written, as a dense array.
    pub(crate) fn array(self, shape: Shape) -> Arc<Lazy> {
        let device = self.storage.device();
        Lazy::computed(Buffer::dense(self.storage, &shape), DType::I64, shape, device)
    }
}

/// The index of the next row: all axes but the last count.
fn advance(index: &mut [i64], shape: &[usize]) {
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        index[axis] += 1;
        if index[axis] < shape[axis] as i64 {
            return;
        }
        index[axis] = 0;
    }
}

/// Calls `row` with the start, the length and the step of each row of an array, in order, until it says false.
fn for_each_row(
    shape: &[usize],
    start: *const u8,
    strides: &[isize],
    size: usize,
    row: &mut dyn FnMut(*const u8, usize, isize) -> bool,
) {
    if shape.contains(&0) {
        return;
    }
    let (length, step) = match (shape.last(), strides.last()) {
        (Some(&length), Some(&step)) => (length, step),
        _ => (1, 0),
    };
    let mut index: SmallVec<[i64; 4]> = smallvec![0; shape.len()];
    loop {
        let outer = index.iter().zip(strides).map(|(&i, &stride)| i as isize * stride).sum::<isize>();
        if !row(start.wrapping_offset(outer * size as isize), length, step) {
            return;
        }
        advance(&mut index, shape);
        if index.iter().all(|&i| i == 0) {
            return;
        }
    }
}

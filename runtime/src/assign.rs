//! Writing elements into the memory of an array that nobody else holds, and finding which of many places each element of an
//! array is named at. Values go in their order, so of several for one element the last stays. In the host's memory that is done here, in
//! that of other devices by them.

use crate::{
    backend::{ArrayView, Backend},
    error::Error,
    far,
    positions::Memory,
    registry,
    transfer::to_device,
};
use fusewire_ir::{
    build::Region,
    lazy::{Device, Lazy},
    shape::Shape,
    value::{Buffer, Storage, Strides, dense_strides},
};
use smallvec::{SmallVec, smallvec};
use std::{ptr::copy_nonoverlapping, sync::Arc};

/// Can nobody see what is written into the array's memory but those who hold one of these references to the node? And is the
/// memory the engine's own, which may be written to now?
pub fn is_exclusive(node: &Arc<Lazy>, holders: usize) -> bool {
    let is_callers =
        |storage: &dyn Storage| registry::backend(storage.device()).is_ok_and(|backend| backend.is_callers(storage));
    is_alone(node, holders) && node.buffer().is_some_and(|buffer| is_callers(&*buffer.storage))
}

/// May [`write_elements`] write into the array's memory? [`is_exclusive`], and for devices dense.
pub fn takes_elements(node: &Arc<Lazy>, holders: usize) -> bool {
    let reaches =
        |buffer: &Buffer| buffer.storage.device() == Device::Cpu || dense_strides(&node.shape) == buffer.strides;
    is_exclusive(node, holders) && node.buffer().is_some_and(reaches)
}

/// [`is_exclusive`], wherever the memory is.
pub fn is_alone(node: &Arc<Lazy>, holders: usize) -> bool {
    let overlaps =
        |buffer: &Buffer| node.shape.iter().zip(&buffer.strides).any(|(&extent, &stride)| extent > 1 && stride == 0);
    node.buffer().is_some_and(|buffer| {
        Arc::strong_count(node) == holders && Arc::strong_count(&buffer.storage) == 1 && !overlaps(buffer)
    })
}

/// Writes the values to a part of the array. Both are computed and of one dtype, the values broadcast to the part, and the
/// array is exclusive.
pub fn write_part(node: &Lazy, part: &Region, values: &Lazy) -> Result<(), Error> {
    let device = node.buffer().map_or(Device::Cpu, |buffer| buffer.storage.device());
    write_part_on(&**registry::backend(device)?, node, part, values)
}

/// [`write_part`] by the back end of the array's device.
fn write_part_on(backend: &dyn Backend, node: &Lazy, part: &Region, values: &Lazy) -> Result<(), Error> {
    let (Some(to), Some(from)) = (node.buffer(), values.buffer()) else {
        return Err(Error::Internal("an assignment to what is not computed".into()));
    };
    let (size, device) = (node.dtype.size(), to.storage.device());
    if device != Device::Cpu {
        let strides = broadcast_strides(values, from, &part.shape);
        let view = ArrayView { dtype: node.dtype, pointer: from.pointer(), shape: &part.shape, strides: &strides };
        let start = to.pointer().wrapping_offset(part.offset * size as isize);
        backend.begin(&[to, from])?;
        // SAFETY: the part is inside of the array, which is the caller's alone, and so not the values'.
        let copied = unsafe { backend.copy(&view, start, &part.strides)? };
        backend.end(&|| false)?;
        return if copied { Ok(()) } else { Err(Error::Internal(format!("{device} copies nothing"))) };
    }
    let (start, from_start) = (to.pointer().wrapping_offset(part.offset * size as isize), from.pointer());
    let sources = broadcast_strides(values, from, &part.shape);
    for_each_row(&part.shape, &part.strides, &sources, &mut |[to, from], length, [to_step, from_step]| {
        let (to, from) = (start.wrapping_offset(to * size as isize), from_start.wrapping_offset(from * size as isize));
        copy_row(to, to_step, from, from_step, length, size);
    });
    Ok(())
}

/// The elements of a computed array in memory of its own.
pub fn copied(node: &Lazy, backend: &dyn Backend) -> Result<Arc<Lazy>, Error> {
    let bytes = node.shape.iter().product::<usize>() * node.dtype.size();
    let buffer = Buffer::dense(backend.allocate(bytes)?, &node.shape);
    let whole = Region { offset: 0, shape: node.shape.clone(), strides: buffer.strides.clone() };
    let device = buffer.storage.device();
    let copy = Lazy::computed(buffer, node.dtype, node.shape.clone(), device);
    write_part_on(backend, &copy, &whole, node)?;
    Ok(copy)
}

/// Writes the values to these elements of the array, which are counted row-major. Errs, having written some, when a position
/// is outside; what is computed concurrently may have changed it.
pub fn write_elements(node: &Lazy, destinations: &Arc<Lazy>, values: &Arc<Lazy>) -> Result<(), Error> {
    let device = node.buffer().map_or(Device::Cpu, |buffer| buffer.storage.device());
    let (destinations, values) = (&*to_device(destinations, device)?, &*to_device(values, device)?);
    if device != Device::Cpu {
        return put(node, destinations, values);
    }
    match node.dtype.size() {
        1 => scatter::<[u8; 1]>(node, destinations, values),
        2 => scatter::<u16>(node, destinations, values),
        4 => scatter::<u32>(node, destinations, values),
        8 => scatter::<u64>(node, destinations, values),
        _ => scatter::<[u64; 2]>(node, destinations, values),
    }
}

/// [`write_elements`] on a device whose memory the host does not reach, where the array is dense.
fn put(node: &Lazy, destinations: &Lazy, values: &Lazy) -> Result<(), Error> {
    let (Some(to), Some(at), Some(from)) = (node.buffer(), destinations.buffer(), values.buffer()) else {
        return Err(Error::Internal("an assignment to what is not computed".into()));
    };
    let backend = registry::backend(to.storage.device())?;
    let sources = broadcast_strides(values, from, &destinations.shape);
    let view = |node: &Lazy, buffer: &Buffer| (node.dtype, buffer.pointer());
    let ((dtype, pointer), (at_dtype, at_pointer)) = (view(node, to), view(destinations, at));
    let shape = &destinations.shape;
    backend.begin(&[to, at, from])?;
    // SAFETY: the arrays are computed, the values broadcast to the destinations, and the array that is written is the caller's alone.
    let done = unsafe {
        backend.put(
            &ArrayView { dtype, pointer, shape: &node.shape, strides: &to.strides },
            &ArrayView { dtype: at_dtype, pointer: at_pointer, shape, strides: &at.strides },
            &ArrayView { dtype, pointer: from.pointer(), shape, strides: &sources },
        )?
    };
    backend.end(&|| false)?;
    let device = to.storage.device();
    if done { Ok(()) } else { Err(Error::Internal(format!("{device} writes no elements"))) }
}

/// [`write_elements`] for elements of that size.
fn scatter<T: Copy>(node: &Lazy, destinations: &Lazy, values: &Lazy) -> Result<(), Error> {
    let (Some(to), Some(at), Some(from)) = (node.buffer(), destinations.buffer(), values.buffer()) else {
        return Err(Error::Internal("an assignment to what is not computed".into()));
    };
    let count = node.shape.iter().product::<usize>();
    let dense = dense_strides(&node.shape) == to.strides;
    let sources = broadcast_strides(values, from, &destinations.shape);
    let (to_start, at_start, from_start) =
        (to.pointer().cast::<T>(), at.pointer().cast::<i64>(), from.pointer().cast::<T>());
    let mut outside = None;
    for_each_row(&destinations.shape, &at.strides, &sources, &mut |[at, from], length, [at_step, from_step]| {
        let (at, from) = (at_start.wrapping_offset(at), from_start.wrapping_offset(from));
        for i in 0..length as isize {
            // SAFETY: the row is inside the computed array of destinations, which is int64.
            let position = unsafe { at.wrapping_offset(i * at_step).read() };
            if position as u64 >= count as u64 {
                outside.get_or_insert(position);
                continue;
            }
            let place = if dense { position as isize } else { strided(position as usize, &node.shape, &to.strides) };
            // SAFETY: the value is inside the computed array of values, and the element inside the array that is written,
            // which belongs to the caller alone; both have the size of `T`, and at least its alignment.
            unsafe { to_start.wrapping_offset(place).write(from.wrapping_offset(i * from_step).read()) };
        }
    });
    outside.map_or(Ok(()), |position| Err(Error::Internal(format!("element {position} of {count} was assigned to"))))
}

/// For each element of an array of the shape, the number of the last of the destinations that is this element, or -1.
pub fn owners(shape: &Shape, destinations: &Arc<Lazy>, device: Device) -> Result<Arc<Lazy>, Error> {
    let destinations = &*to_device(destinations, device)?;
    let count = shape.iter().product::<usize>();
    if device != Device::Cpu {
        let [owners, numbers] = far::unowned(shape, &destinations.shape, device)?;
        put(&owners, destinations, &numbers)?;
        return Ok(owners);
    }
    let bytes = count.checked_mul(8).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
    let memory = Memory::new(&**registry::backend(device)?, bytes)?;
    // SAFETY: the block has room for so many int64, is aligned, and belongs to nobody else yet.
    let owners = unsafe {
        let start = memory.start;
        for i in 0..count {
            start.add(i).write(-1);
        }
        std::slice::from_raw_parts_mut(start, count)
    };
    let Some(at) = destinations.buffer() else { return Err(Error::Internal("destinations are not computed".into())) };
    let positions = at.pointer().cast::<i64>();
    let none: Strides = smallvec![0; destinations.shape.len()];
    let mut number = 0i64;
    for_each_row(&destinations.shape, &at.strides, &none, &mut |[row, _], length, [step, _]| {
        for i in 0..length as isize {
            // SAFETY: the row is inside the computed array of destinations, which is int64.
            let position = unsafe { positions.wrapping_offset(row + i * step).read() };
            if let Some(owner) = usize::try_from(position).ok().and_then(|p| owners.get_mut(p)) {
                *owner = number;
            }
            number += 1;
        }
    });
    Ok(memory.array(shape.clone()))
}

/// Copies elements one by one, in order.
fn copy_row(to: *mut u8, to_step: isize, from: *const u8, from_step: isize, length: usize, size: usize) {
    match size {
        1 => copy::<1>(to, to_step, from, from_step, length),
        2 => copy::<2>(to, to_step, from, from_step, length),
        4 => copy::<4>(to, to_step, from, from_step, length),
        8 => copy::<8>(to, to_step, from, from_step, length),
        _ => copy::<16>(to, to_step, from, from_step, length),
    }
}

fn copy<const SIZE: usize>(to: *mut u8, to_step: isize, from: *const u8, from_step: isize, length: usize) {
    let size = SIZE as isize;
    // SAFETY: both rows lie inside computed arrays with elements of this size; the one that is written belongs to the caller
    // alone, so they do not overlap.
    unsafe {
        if to_step == 1 && from_step == 1 {
            return copy_nonoverlapping(from, to, length * SIZE);
        }
        for i in 0..length as isize {
            copy_nonoverlapping(
                from.wrapping_offset(i * from_step * size),
                to.wrapping_offset(i * to_step * size),
                SIZE,
            );
        }
    }
}

/// The strides with which an array broadcasts to a shape.
fn broadcast_strides(values: &Lazy, buffer: &Buffer, shape: &[usize]) -> Strides {
    let mut strides: Strides = smallvec![0; shape.len() - values.shape.len()];
    strides.extend(
        values.shape.iter().zip(&buffer.strides).map(|(&extent, &stride)| if extent == 1 { 0 } else { stride }),
    );
    strides
}

/// Where an element that is counted row-major lies.
fn strided(mut position: usize, shape: &[usize], strides: &[isize]) -> isize {
    let mut place = 0;
    for (&extent, &stride) in shape.iter().zip(strides).rev() {
        place += (position % extent) as isize * stride;
        position /= extent;
    }
    place
}

/// Calls `row` for each row of a shape, in order, with where it begins in two arrays, its length and its steps there.
fn for_each_row(
    shape: &[usize],
    first: &[isize],
    second: &[isize],
    row: &mut dyn FnMut([isize; 2], usize, [isize; 2]),
) {
    if shape.contains(&0) {
        return;
    }
    let Some((&length, outer)) = shape.split_last() else { return row([0, 0], 1, [0, 0]) };
    let steps = [first[outer.len()], second[outer.len()]];
    let mut index: SmallVec<[usize; 4]> = smallvec![0; outer.len()];
    let mut at = [0isize; 2];
    loop {
        row(at, length, steps);
        let mut axis = outer.len();
        loop {
            let Some(next) = axis.checked_sub(1) else { return };
            axis = next;
            index[axis] += 1;
            at[0] += first[axis];
            at[1] += second[axis];
            if index[axis] < outer[axis] {
                break;
            }
            at[0] -= first[axis] * outer[axis] as isize;
            at[1] -= second[axis] * outer[axis] as isize;
            index[axis] = 0;
        }
    }
}

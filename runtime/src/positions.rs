//! Positions in arrays that are computed: which index of an array is outside an axis, and where a mask is true. Both are
//! needed at once, the one for errors at the call, the other for shapes that depend on the data, so they are loops here and
//! no kernels. On devices whose memory the host does not reach they are kernels (`far.rs`).

use crate::{backend::Backend, error::Error, far, registry, transfer::to_device};
use fusewire_ir::{
    dtype::DType,
    lazy::{Device, Lazy},
    shape::Shape,
    value::{Buffer, Storage},
};
use smallvec::{SmallVec, smallvec};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Indices that are looked at together.
const BLOCK: usize = 1024;
/// Elements of a mask that a thread takes at a time.
const PIECE: usize = 1 << 15;

/// The first index, in row-major order, that is outside an axis of `extent` elements (negative ones count from its end), and
/// where it stands. The array has a buffer, of integers.
pub fn first_outside(indices: &Arc<Lazy>, extent: usize) -> Option<i64> {
    let buffer = indices.buffer()?;
    if buffer.storage.device() != Device::Cpu {
        // What cannot be said from here is checked when the elements are computed.
        let some = far::any_outside(indices, extent).unwrap_or(false);
        let here = if some { to_device(indices, Device::Cpu).ok() } else { None };
        return here.and_then(|here| first_outside(&here, extent));
    }
    let start = buffer.pointer().cast_const();
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
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 | DType::C64 | DType::C128 => None,
        };
        found.is_none()
    });
    found
}

/// The first of `count` integers, `step` apart, that is no position in an axis.
fn outside<T: Copy + TryInto<i64>>(start: *const u8, count: usize, step: isize, extent: usize) -> Option<i64> {
    let extent = extent as i64;
    // SAFETY: the row lies inside a computed buffer of elements of this type, aligned to their size.
    let index = |i: usize| unsafe { start.cast::<T>().wrapping_offset(i as isize * step).read() };
    // What is larger than any int64 is outside of everything.
    let index = |i: usize| index(i).try_into().unwrap_or(i64::MAX);
    let is_outside = |index: i64| index >= extent || index < -extent;
    // Looking for the one only where there is one lets the loop that looks whether there is be without branches.
    (0..count).step_by(BLOCK).find_map(|first| {
        let block = first..count.min(first + BLOCK);
        let some = block.clone().fold(false, |some, i| some | is_outside(index(i)));
        if some { block.map(index).find(|&index| is_outside(index)) } else { None }
    })
}

/// The positions at which a mask that is computed is true, in row-major order: an int64 array for each axis, on a device. Each piece of the
/// mask is counted first, so that all know where theirs belong.
pub fn nonzero(mask: &Arc<Lazy>, device: Device) -> Result<Vec<Arc<Lazy>>, Error> {
    let mask = to_device(mask, device)?;
    let buffer = mask.buffer().filter(|_| mask.dtype == DType::Bool);
    let Some(buffer) = buffer else { return Err(Error::Internal("positions in what is no mask".into())) };
    if device != Device::Cpu {
        return far::nonzero(&mask, device);
    }
    let backend = &**registry::backend(device)?;
    let pieces = Pieces::new(&mask.shape, &buffer.strides, buffer.pointer());
    let counts: Vec<AtomicUsize> = (0..pieces.count).map(|_| AtomicUsize::new(0)).collect();
    let elements = mask.shape.iter().product::<usize>() as u64;
    backend.spread(pieces.count as u64, elements, &|begin, end| {
        for (piece, counted) in (begin as usize..).zip(&counts[begin as usize..end as usize]) {
            let mut count = 0;
            pieces.rows(piece, &mut |_, row| count += row.count());
            counted.store(count, Relaxed);
        }
    });
    let mut total = 0;
    for count in &counts {
        total += count.swap(total, Relaxed);
    }
    let bytes = total.checked_mul(8).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
    let columns = (0..mask.shape.len()).map(|_| Memory::new(backend, bytes)).collect::<Result<Vec<_>, _>>()?;
    let start_of = |piece: usize| counts.get(piece).map_or(total, |start| start.load(Relaxed));
    let starts: SmallVec<[Column; 4]> = columns.iter().map(|column| Column(column.start)).collect();
    backend.spread(pieces.count as u64, elements + bytes as u64 * columns.len() as u64, &|begin, end| {
        for piece in begin as usize..end as usize {
            let (start, length) = (start_of(piece), start_of(piece + 1) - start_of(piece));
            // SAFETY: each column has room for as many positions as were counted, and each piece its own part of it.
            let part = |column: &Column| unsafe { std::slice::from_raw_parts_mut(column.0.add(start), length) };
            let mut parts: SmallVec<[&mut [i64]; 4]> = starts.iter().map(part).collect();
            let mut next = 0;
            pieces.rows(piece, &mut |index, row| {
                let Some((last, outer)) = parts.split_last_mut() else { return };
                let found = row.positions(&mut last[next..]);
                for (column, &position) in outer.iter_mut().zip(index) {
                    column[next..next + found].fill(position);
                }
                next += found;
            });
            // Others may have written to the mask meanwhile: then some places have no position.
            for column in parts {
                column[next..].fill(0);
            }
        }
    });
    let shape: Shape = smallvec![total];
    Ok(columns.into_iter().map(|column| column.array(shape.clone())).collect())
}

/// Where positions along an axis are written.
struct Column(*mut i64);

// SAFETY: each thread writes to a part of its own.
unsafe impl Sync for Column {}

/// A mask in pieces of about [`PIECE`] elements: of whole rows, or of parts of one.
struct Pieces<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    start: *const u8,
    count: usize,
    /// Of a long row; else 1.
    in_a_row: usize,
    /// Of a piece; 1 where rows are long.
    rows: usize,
}

// SAFETY: the mask is only read.
unsafe impl Sync for Pieces<'_> {}

impl<'a> Pieces<'a> {
    fn new(shape: &'a [usize], strides: &'a [isize], start: *const u8) -> Pieces<'a> {
        let length = shape.last().copied().unwrap_or(1);
        let all: usize = shape.iter().rev().skip(1).product();
        let (in_a_row, rows) = (length.div_ceil(PIECE).max(1), (PIECE / length.max(1)).max(1));
        Pieces { shape, strides, start, count: all.div_ceil(rows) * in_a_row, in_a_row, rows }
    }

    /// Calls `row(index, part)` for the rows of a piece: the index of all axes but the last.
    fn rows(&self, piece: usize, row: &mut dyn FnMut(&[i64], MaskRow)) {
        let (Some((&length, outer)), Some(&step)) = (self.shape.split_last(), self.strides.last()) else {
            return row(&[], MaskRow { start: self.start, first: 0, end: 1, step: 0 });
        };
        let all: usize = outer.iter().product();
        let first_row = piece / self.in_a_row * self.rows;
        let first = piece % self.in_a_row * PIECE;
        let end = if self.in_a_row > 1 { length.min(first + PIECE) } else { length };
        let mut index: SmallVec<[i64; 4]> = smallvec![0; outer.len()];
        let mut number = first_row;
        for (place, &extent) in index.iter_mut().zip(outer).rev() {
            *place = (number % extent) as i64;
            number /= extent;
        }
        for _ in first_row..all.min(first_row + self.rows) {
            let distance = index.iter().zip(self.strides).map(|(&i, &stride)| i as isize * stride).sum::<isize>();
            row(&index, MaskRow { start: self.start.wrapping_offset(distance), first, end, step });
            for (place, &extent) in index.iter_mut().zip(outer).rev() {
                *place += 1;
                if *place < extent as i64 {
                    break;
                }
                *place = 0;
            }
        }
    }
}

/// A part of a row of a mask.
struct MaskRow {
    /// Of the whole row.
    start: *const u8,
    first: usize,
    end: usize,
    step: isize,
}

impl MaskRow {
    fn is_true(&self, position: usize) -> bool {
        // SAFETY: the row lies inside a computed buffer of bytes.
        unsafe { *self.start.wrapping_offset(position as isize * self.step) != 0 }
    }

    fn count(&self) -> usize {
        if self.step != 1 {
            return (self.first..self.end).filter(|&position| self.is_true(position)).count();
        }
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(self.start.wrapping_add(self.first), self.end - self.first) };
        // Sums of up to 255 stay bytes, of which a vector has many.
        bytes.chunks(255).map(|part| usize::from(part.iter().map(|&byte| u8::from(byte != 0)).sum::<u8>())).sum()
    }

    /// Writes the positions that are true, as many as there is room for, and returns how many.
    fn positions(&self, to: &mut [i64]) -> usize {
        let (mut next, mut position) = (0, self.first);
        while position < self.end && next < to.len() {
            let eight = position + 8 <= self.end;
            // SAFETY: eight neighbours are inside the row.
            if self.step == 1 && eight && unsafe { self.start.add(position).cast::<u64>().read_unaligned() } == 0 {
                position += 8;
            } else if eight && next + 8 <= to.len() {
                // Each is written where the next true one belongs: no branch has to be guessed.
                for i in position..position + 8 {
                    // SAFETY: there is room for eight.
                    unsafe { *to.get_unchecked_mut(next) = i as i64 };
                    next += usize::from(self.is_true(i));
                }
                position += 8;
            } else {
                to[next] = position as i64;
                next += usize::from(self.is_true(position));
                position += 1;
            }
        }
        next
    }
}

/// The positions of an axis, each as often as an array says that is computed, int64 and 1-D; `None` where it says less than 0.
pub fn repeated(times: &Arc<Lazy>, device: Device) -> Result<Option<Arc<Lazy>>, Error> {
    let times = to_device(times, device)?;
    let buffer = times.buffer().filter(|_| times.dtype == DType::I64);
    let Some(buffer) = buffer else { return Err(Error::Internal("repetitions that are no integers".into())) };
    if device != Device::Cpu {
        return far::repeated(&times, device);
    }
    let backend = &**registry::backend(device)?;
    // SAFETY: the element is inside a computed buffer of int64.
    let read = |start: *const u8, at: isize| unsafe { start.cast::<i64>().wrapping_offset(at).read() };
    let start = buffer.pointer().cast_const();
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

/// The first element of an array of integers of 32 or 64 bits that is computed, wherever it is.
pub(crate) fn integer(node: &Arc<Lazy>) -> Result<i64, Error> {
    let here = to_device(node, Device::Cpu)?;
    let pointer = here.buffer().map(Buffer::pointer).filter(|_| !here.shape.contains(&0));
    match (pointer, here.dtype) {
        // SAFETY: the element is inside a computed buffer of this dtype, of the host's memory.
        (Some(pointer), DType::I64) => Ok(unsafe { pointer.cast::<i64>().read() }),
        // SAFETY: as above.
        (Some(pointer), DType::I32) => Ok(unsafe { pointer.cast::<i32>().read() }.into()),
        _ => Err(Error::Internal("an integer that is none".into())),
    }
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
        let start = storage.pointer().cast();
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

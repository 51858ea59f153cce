//! Sorting along the last axis. Elements become unsigned integers in the same order, and those are sorted by the standard
//! library: rows in parallel, long rows each with all threads.
//!
//! Both orders are stable to the bit: zeros of both signs, which are equal, and NaN, which comes last, stay in their order.

use super::{Batch, for_each};
use crate::threads::Threads;
use fusewire_ir::dtype::{DType, Kind};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use rayon::prelude::*;

/// Rows of at least so many elements are sorted one after another, each by all threads.
const LONG_ROW: usize = 1 << 17;
/// Elements of a long row that a thread converts at least at a time.
const PIECE: usize = 1 << 14;

/// Sorts values.
pub(super) fn sort(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    let order = Order::new(call.operands[0].dtype, descending);
    match call.operands[0].dtype.size() {
        1 => sort_words::<u8>(threads, call, order),
        2 => sort_words::<u16>(threads, call, order),
        4 => sort_words::<u32>(threads, call, order),
        _ => sort_words::<u64>(threads, call, order),
    }
}

/// Sorts positions by values.
pub(super) fn argsort(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    let order = Order::new(call.operands[0].dtype, descending);
    match call.operands[0].dtype.size() {
        1 => argsort_words::<u8>(threads, call, order),
        2 => argsort_words::<u16>(threads, call, order),
        4 => argsort_words::<u32>(threads, call, order),
        _ => argsort_words::<u64>(threads, call, order),
    }
}

/// The bits of an element.
trait Word: Copy + Ord + Send + Sync + 'static {
    fn widened(self) -> u64;
    fn narrowed(bits: u64) -> Self;
}

impl Word for u8 {
    fn widened(self) -> u64 {
        self.into()
    }
    fn narrowed(bits: u64) -> u8 {
        bits as u8
    }
}

impl Word for u16 {
    fn widened(self) -> u64 {
        self.into()
    }
    fn narrowed(bits: u64) -> u16 {
        bits as u16
    }
}

impl Word for u32 {
    fn widened(self) -> u64 {
        self.into()
    }
    fn narrowed(bits: u64) -> u32 {
        bits as u32
    }
}

impl Word for u64 {
    fn widened(self) -> u64 {
        self
    }
    fn narrowed(bits: u64) -> u64 {
        bits
    }
}

/// How the bits of a dtype are ordered: keys are unsigned integers in the order of the elements.
#[derive(Clone, Copy)]
struct Order {
    kind: Kind,
    descending: bool,
    /// The bit of the sign.
    sign: u64,
    /// The bits of an element.
    mask: u64,
    /// What has more bits than this, the sign aside, is NaN.
    infinity: u64,
}

impl Order {
    fn new(dtype: DType, descending: bool) -> Order {
        let mask = u64::MAX >> (64 - dtype.bits());
        let infinity = if dtype == DType::F32 { f32::INFINITY.to_bits().into() } else { f64::INFINITY.to_bits() };
        Order { kind: dtype.kind(), descending, sign: 1 << (dtype.bits() - 1), mask, infinity }
    }

    /// Ascending, also where the order is descending.
    fn key(&self, bits: u64) -> u64 {
        match self.kind {
            Kind::Bool | Kind::Unsigned => bits,
            Kind::Signed => bits ^ self.sign,
            Kind::Float if bits & self.sign != 0 => !bits & self.mask,
            Kind::Float => bits | self.sign,
            Kind::Complex => unreachable!("complex numbers have no order"),
        }
    }

    /// The inverse of `key`.
    fn bits(&self, key: u64) -> u64 {
        match self.kind {
            Kind::Bool | Kind::Unsigned => key,
            Kind::Signed => key ^ self.sign,
            Kind::Float if key & self.sign == 0 => !key & self.mask,
            Kind::Float => key ^ self.sign,
            Kind::Complex => unreachable!("complex numbers have no order"),
        }
    }

    fn is_nan(&self, bits: u64) -> bool {
        self.kind == Kind::Float && bits & !self.sign > self.infinity
    }

    /// Equal for equal elements, in the order asked for, and greatest for NaN.
    fn rank(&self, bits: u64) -> u64 {
        if self.is_nan(bits) {
            return self.mask;
        }
        let key = self.key(if self.kind == Kind::Float && bits == self.sign { 0 } else { bits });
        if self.descending { !key & self.mask } else { key }
    }
}

/// A row in memory.
#[derive(Clone, Copy)]
struct Row<W> {
    start: *const W,
    stride: isize,
    length: usize,
}

// SAFETY: rows of operands are only read, and the plan keeps their memory alive while a call runs.
unsafe impl<W> Sync for Row<W> {}

impl<W: Word> Row<W> {
    /// The row as a slice, if its elements are neighbours.
    fn dense<'a>(self) -> Option<&'a [W]> {
        // SAFETY: as in `elements`; nobody writes to an operand while the call runs.
        (self.stride == 1).then(|| unsafe { std::slice::from_raw_parts(self.start, self.length) })
    }

    fn elements(self) -> impl Iterator<Item = u64> {
        // SAFETY: the operand of a call lies in its memory, each element at its index times its strides.
        (0..self.length as isize).map(move |i| unsafe { *self.start.wrapping_offset(i * self.stride) }.widened())
    }
}

/// The rows of a call's operand, and where those of its result are.
struct Rows<'a> {
    from: Batch<'a>,
    to: *mut u8,
    to_size: usize,
    stride: isize,
    length: usize,
}

// SAFETY: operands are only read, and rows of the result are apart from each other.
unsafe impl Sync for Rows<'_> {}

impl<'a> Rows<'a> {
    fn new(call: &'a LibraryCall<'a>) -> Rows<'a> {
        let operand: &ArrayView<'_> = &call.operands[0];
        let axis = operand.shape.len() - 1;
        Rows {
            from: Batch::new(operand, call.routine),
            to: call.destination.pointer,
            to_size: call.destination.dtype.size(),
            stride: operand.strides[axis],
            length: operand.shape[axis],
        }
    }

    fn row<W>(&self, number: usize) -> Row<W> {
        Row { start: self.from.pointer(number).cast_const().cast(), stride: self.stride, length: self.length }
    }

    /// A row of the result.
    ///
    /// # Safety
    /// `W` is as large as an element of the result, and nobody else uses this row meanwhile.
    #[expect(clippy::mut_from_ref, reason = "the rows are memory of the plan, not of this struct")]
    unsafe fn result<W>(&self, number: usize) -> &mut [W] {
        // SAFETY: the result is dense, so that row begins there; it is ours by what the caller promises.
        unsafe {
            let start = self.to.wrapping_add(number * self.length * self.to_size).cast();
            std::slice::from_raw_parts_mut(start, self.length)
        }
    }

    /// What sorting a row takes: bytes and instructions.
    fn cost(&self) -> (usize, u64) {
        let depth = u64::from(usize::BITS - self.length.leading_zeros());
        (self.length.saturating_mul(2 * self.to_size), (self.length as u64).saturating_mul(depth))
    }
}

/// Runs `row(number, long)` for each row.
fn each_row(
    threads: &Threads,
    call: &LibraryCall<'_>,
    rows: &Rows<'_>,
    row: &(dyn Fn(usize, bool) + Sync),
) -> Result<(), Error> {
    let count = rows.from.count();
    if rows.length == 0 || count == 0 {
        return Ok(());
    }
    if rows.length < LONG_ROW {
        return for_each(threads, call, count, rows.cost(), &|number| row(number, false));
    }
    for number in 0..count {
        if (call.interrupted)() {
            return Err(Error::Interrupted);
        }
        match threads.pool().filter(|_| threads.count() > 1) {
            Some(pool) => pool.install(|| row(number, true)),
            None => row(number, false),
        }
    }
    Ok(())
}

fn sort_words<W: Word>(threads: &Threads, call: &LibraryCall<'_>, order: Order) -> Result<(), Error> {
    let rows = Rows::new(call);
    each_row(threads, call, &rows, &|number, long| {
        // SAFETY: the result's elements are words of this size, and each row is sorted once.
        sort_row(rows.row::<W>(number), unsafe { rows.result(number) }, order, long);
    })
}

fn sort_row<W: Word>(from: Row<W>, to: &mut [W], order: Order, long: bool) {
    let numbers = write_keys(from, to, order, long);
    let keys = &mut to[..numbers];
    sort_slice(keys, long);
    let zeros = zeros_of_both_signs(keys, order);
    if order.descending {
        keys.reverse();
    }
    let element = |key: &mut W| *key = W::narrowed(order.bits(key.widened()));
    if long {
        keys.par_iter_mut().with_min_len(PIECE).for_each(element);
    } else {
        keys.iter_mut().for_each(element);
    }
    if let Some((start, end)) = zeros {
        let (start, end) = if order.descending { (numbers - end, numbers - start) } else { (start, end) };
        let in_their_order = from.elements().filter(|&bits| bits & !order.sign == 0);
        keys[start..end].iter_mut().zip(in_their_order).for_each(|(key, bits)| *key = W::narrowed(bits));
    }
}

/// Sorts on the calling thread, or on all.
fn sort_slice<T: Ord + Send>(slice: &mut [T], long: bool) {
    let parts = if long { rayon::current_num_threads().next_power_of_two() } else { 1 };
    sort_parts(slice, parts);
}

/// Sorts what is below the median and what is above on threads of their own: no memory is taken, and the parts are equal,
/// which beats rayon's sort (10M keys on two busy cores: 123 ms against 231, and 143 on one thread).
fn sort_parts<T: Ord + Send>(slice: &mut [T], parts: usize) {
    if parts < 2 || slice.len() < 2 {
        return slice.sort_unstable();
    }
    let (below, _, above) = slice.select_nth_unstable(slice.len() / 2);
    rayon::join(|| sort_parts(below, parts / 2), || sort_parts(above, parts / 2));
}

/// Writes the keys of the numbers of a row, then what is NaN. Returns how many numbers there are.
fn write_keys<W: Word>(from: Row<W>, to: &mut [W], order: Order, long: bool) -> usize {
    if long && let Some(row) = from.dense() {
        let numbers = row.par_iter().with_min_len(PIECE).all(|bits| !order.is_nan(bits.widened()));
        if numbers {
            let pairs = to.par_iter_mut().with_min_len(PIECE).zip(row);
            pairs.for_each(|(key, bits)| *key = W::narrowed(order.key(bits.widened())));
            return to.len();
        }
    }
    let mut numbers = 0;
    for bits in from.elements().filter(|&bits| !order.is_nan(bits)) {
        to[numbers] = W::narrowed(order.key(bits));
        numbers += 1;
    }
    if numbers < to.len() {
        let unordered = from.elements().filter(|&bits| order.is_nan(bits));
        to[numbers..].iter_mut().zip(unordered).for_each(|(element, bits)| *element = W::narrowed(bits));
    }
    numbers
}

/// Where the zeros are among ascending keys, if there are some of either sign.
fn zeros_of_both_signs<W: Word>(keys: &[W], order: Order) -> Option<(usize, usize)> {
    if order.kind != Kind::Float {
        return None;
    }
    let (negative, positive) = (order.key(order.sign), order.key(0));
    let start = keys.partition_point(|key| key.widened() < negative);
    let middle = keys.partition_point(|key| key.widened() < positive);
    let end = keys.partition_point(|key| key.widened() <= positive);
    (start < middle && middle < end).then_some((start, end))
}

fn argsort_words<W: Word>(threads: &Threads, call: &LibraryCall<'_>, order: Order) -> Result<(), Error> {
    let rows = Rows::new(call);
    let failed = std::sync::atomic::AtomicBool::new(false);
    let bytes = rows.length.saturating_mul(size_of::<(W, u32)>());
    each_row(threads, call, &rows, &|number, long| {
        // SAFETY: the result's elements are 64 bits, and each row is sorted once.
        let to = unsafe { rows.result::<i64>(number) };
        let row = rows.row::<W>(number);
        let done = match u32::try_from(row.length) {
            Ok(_) => argsort_row(row, to, order, long, |i| i as u32, |i| i as i64),
            Err(_) => argsort_row(row, to, order, long, |i| i as u64, |i| i as i64),
        };
        if !done {
            failed.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    })?;
    if failed.into_inner() { Err(Error::OutOfMemory { bytes }) } else { Ok(()) }
}

/// False where there is no memory.
fn argsort_row<W: Word, I: Copy + Ord + Send>(
    from: Row<W>,
    to: &mut [i64],
    order: Order,
    long: bool,
    index: impl Fn(usize) -> I,
    position: impl Fn(I) -> i64,
) -> bool {
    let mut pairs: Vec<(W, I)> = Vec::new();
    if pairs.try_reserve_exact(from.length).is_err() {
        return false;
    }
    pairs.extend(from.elements().enumerate().map(|(i, bits)| (W::narrowed(order.rank(bits)), index(i))));
    // No two pairs are equal, so this is as stable as it can be.
    sort_slice(&mut pairs, long);
    to.iter_mut().zip(pairs).for_each(|(element, (_, i))| *element = position(i));
    true
}

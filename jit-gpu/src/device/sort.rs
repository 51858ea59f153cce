//! Sorting along the last axis, stably. Short rows are sorted in shared memory, several to a block; long ones by a digit of 8 bits at a
//! time: tiles are sorted by it, the digits counted, and the elements moved. Elements are sorted as they are, by ranks
//! that are found again in each pass, so that equal ones stay in their order to the bit; positions come along where they are the result.

use super::{
    Core,
    functions::{Work, is_dense},
};
use crate::{
    driver::{Driver, Lender, Stream},
    functions::{
        ColumnsArguments, DIGIT_BITS, DIGITS, Function, Moved, ORDER_WORDS, PART, ScatterArguments, TILE,
        TileArguments, VaryingArguments, order_words,
    },
};
use fusewire_ir::value::Storage;
use fusewire_runtime::{backend::LibraryCall, error::Error};
use std::sync::Arc;

/// Elements of a tile.
const TILE_ELEMENTS: usize = TILE as usize;

/// From how many elements on it is found out first by which digits to sort: the host waits for that, for about as long as one pass of
/// few elements takes.
const MANY: usize = 1 << 14;

/// Bytes of a position while it is sorted.
const POSITION: usize = 4;

/// A call.
struct Sort<'a, D: Driver> {
    core: &'a Arc<Core<D>>,
    stream: Stream,
    interrupted: &'a dyn Fn() -> bool,
    /// Elements of a row, and how many rows.
    length: usize,
    rows: usize,
    /// Of an element.
    bytes: usize,
    order: [u64; ORDER_WORDS],
    /// Are positions the result?
    positions: bool,
}

/// Sorts, or finds the positions in order.
pub(crate) fn sort<D: Driver>(
    core: &Arc<Core<D>>,
    call: &LibraryCall<'_>,
    descending: bool,
    positions: bool,
) -> Result<(), Error> {
    let (operand, to) = (&call.operands[0], call.destination.pointer.addr() as u64);
    let (length, total) = (operand.shape.last().copied().unwrap_or(1), operand.shape.iter().product::<usize>());
    if total == 0 {
        return Ok(());
    }
    if u32::try_from(length).is_err() {
        return Err(Error::Unsupported(format!(
            "{} takes rows of less than 2^32 elements",
            call.routine.public_name()
        )));
    }
    let bytes = operand.dtype.size();
    let packed = if is_dense(operand) { None } else { Some(core.memory(total * bytes)?) };
    let from = match &packed {
        Some(memory) => {
            core.pack(operand, memory.pointer())?;
            memory.pointer()
        }
        None => operand.pointer,
    };
    let sort = Sort {
        core,
        stream: core.stream()?,
        interrupted: call.interrupted,
        length,
        rows: total / length,
        bytes,
        order: order_words(operand.dtype, descending),
        positions,
    };
    let from = from.addr() as u64;
    if length <= TILE_ELEMENTS { sort.short_rows(from, to) } else { sort.long_rows(from, to) }
}

impl<D: Driver> Sort<'_, D> {
    /// # Safety
    /// As for [`Core::run`].
    unsafe fn run(&self, function: Function, words: &[u64], blocks: usize) -> Result<(), Error> {
        // SAFETY: as the caller promises.
        unsafe { self.core.run(function, words, Work::Blocks(blocks), self.stream, self.interrupted) }
    }

    /// The bits of a rank.
    fn bits(&self) -> u32 {
        8 * self.bytes as u32
    }

    fn short_rows(&self, from: u64, to: u64) -> Result<(), Error> {
        let of_tile = TILE_ELEMENTS / self.length;
        let tiles = self.rows.div_ceil(of_tile);
        // What fills the tile counts as rows behind the last.
        let row_bits = usize::BITS - ((TILE_ELEMENTS - 1) / self.length).leading_zeros();
        let words = TileArguments {
            elements: from,
            sorted: to,
            tiles: tiles as u64,
            tiles_in_row: tiles as u64,
            step: (of_tile * self.length) as u64,
            row: (self.rows * self.length) as u64,
            end_bit: self.bits().into(),
            length: self.length as u64,
            row_bits: if of_tile == 1 { 0 } else { row_bits.into() },
            order: self.order,
            ..TileArguments::default()
        };
        let function = Function::SortRows { bytes: self.bytes as u32, positions: self.positions };
        // SAFETY: the plan gives operands and results of these sizes.
        unsafe { self.run(function, &words.words(), tiles) }
    }

    /// The first bits of the digits to sort by.
    fn digits(&self, from: u64, total: usize) -> Result<Vec<u32>, Error> {
        let mut varying = u64::MAX;
        if total >= MANY && self.bits() > DIGIT_BITS {
            let word = self.core.memory(8)?;
            let address = word.pointer().addr() as u64;
            let words = VaryingArguments { elements: from, bits: address, count: total as u64, order: self.order };
            // As with kernels, the last word is memory to which threads write in any order, and that is no race.
            let mut words = words.words();
            if let Some(last) = words.last_mut() {
                *last = address;
            }
            let (work, function) = (Work::Threads(total.div_ceil(4)), Function::Varying { bytes: self.bytes as u32 });
            let mut bytes = [0; 8];
            // SAFETY: the word is one of ours, and there are as many elements; the copy is complete when it returns.
            unsafe {
                self.core.driver.clear(address, 8, self.stream)?;
                self.core.run(function, &words, work, self.stream, self.interrupted)?;
                self.core.staging.copy_out(&self.core.driver, address, bytes.as_mut_ptr(), 8, self.stream)?;
            }
            varying = u64::from_le_bytes(bytes);
        }
        Ok(passes(varying, self.bits()))
    }

    fn long_rows(&self, from: u64, to: u64) -> Result<(), Error> {
        let total = self.rows * self.length;
        let tiles_in_row = self.length.div_ceil(TILE_ELEMENTS);
        let parts_in_row = tiles_in_row.div_ceil(PART);
        let (tiles, parts) = (self.rows * tiles_in_row, self.rows * parts_in_row);
        let memory = |count: usize, bytes: usize| self.core.memory(count * bytes);
        let table = |rows: usize| memory(rows, DIGITS as usize * POSITION);
        let pairs = |there: bool, bytes| if there { memory(total, bytes).map(Some) } else { Ok(None) };
        // Tiles are sorted from one array into another, and moved back from there. The last of them is the result.
        let sorted = memory(total, self.bytes)?;
        let moved = pairs(self.positions, self.bytes)?;
        let (sorted_positions, moved_positions) = (pairs(self.positions, POSITION)?, pairs(self.positions, POSITION)?);
        let (in_part, in_row, in_all) = (table(tiles)?, table(parts)?, table(self.rows)?);
        let address = |memory: &Arc<dyn Storage>| memory.pointer().addr() as u64;
        let optional = |memory: &Option<Arc<dyn Storage>>| memory.as_ref().map_or(0, address);
        let bytes = self.bytes as u32;
        let digits = self.digits(from, total)?;
        for (number, &first_bit) in digits.iter().enumerate() {
            let (is_first, is_last) = (number == 0, number + 1 == digits.len());
            let tiles_words = TileArguments {
                elements: if is_first { from } else { moved.as_ref().map_or(to, address) },
                given: if is_first { 0 } else { optional(&moved_positions) },
                sorted: address(&sorted),
                positions: optional(&sorted_positions),
                counts: address(&in_part),
                tiles: tiles as u64,
                tiles_in_row: tiles_in_row as u64,
                step: TILE.into(),
                row: self.length as u64,
                first_bit: first_bit.into(),
                end_bit: (first_bit + DIGIT_BITS).into(),
                order: self.order,
                ..TileArguments::default()
            };
            let columns = |counts: u64, totals: u64, parts: usize, rows: usize, part: usize| ColumnsArguments {
                counts,
                totals,
                parts: parts as u64,
                parts_in_table: (parts / self.rows) as u64,
                rows: rows as u64,
                part: part as u64,
                order: [],
            };
            let of_parts = columns(address(&in_part), address(&in_row), parts, tiles_in_row, PART);
            let of_rows = columns(address(&in_row), address(&in_all), self.rows, parts_in_row, parts_in_row);
            let what = match (self.positions, is_last) {
                (false, _) => Moved::Elements,
                (true, false) => Moved::Pairs,
                (true, true) => Moved::Positions,
            };
            let scatter = ScatterArguments {
                elements: address(&sorted),
                positions: optional(&sorted_positions),
                moved: if what == Moved::Pairs { optional(&moved) } else { to },
                moved_positions: optional(&moved_positions),
                in_part: address(&in_part),
                in_row: address(&in_row),
                in_all: address(&in_all),
                tiles: tiles as u64,
                tiles_in_row: tiles_in_row as u64,
                row: self.length as u64,
                first_bit: first_bit.into(),
                part: PART as u64,
                parts_in_row: parts_in_row as u64,
                order: self.order,
            };
            // SAFETY: each array has as many elements as there are, each table a row for each tile, part or row.
            unsafe {
                self.run(Function::SortTiles { bytes, pairs: self.positions }, &tiles_words.words(), tiles)?;
                self.run(Function::SumColumns, &of_parts.words(), parts)?;
                self.run(Function::SumColumns, &of_rows.words(), self.rows)?;
                self.run(Function::Scatter { bytes, moved: what }, &scatter.words(), tiles)?;
            }
        }
        Ok(())
    }
}

/// The first bits of the digits to sort by, of the bits that differ. One at least, since the last pass writes the result.
fn passes(varying: u64, bits: u32) -> Vec<u32> {
    let all = (0..bits).step_by(DIGIT_BITS as usize);
    let differing: Vec<u32> = all.filter(|first| varying >> first & u64::from(DIGITS - 1) != 0).collect();
    if differing.is_empty() { vec![0] } else { differing }
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn digits_that_are_the_same_everywhere_are_left_out() {
        assert_eq!(passes(u64::MAX, 32), [0, 8, 16, 24]);
        assert_eq!(passes(0x8001_0000_0000_00ff, 64), [0, 48, 56]);
        assert_eq!(passes(0, 64), [0]);
    }
}

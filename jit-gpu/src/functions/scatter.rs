//! Moving the elements of sorted tiles to where they belong in their row. An element belongs behind all smaller digits of the row, the
//! same digit in earlier parts of the row's tiles, in earlier tiles of the part, and before it in its own tile.

use super::{
    DIGIT_BITS, DIGITS, Moved, arguments,
    code::{Code, Int, Shared},
    order::{ORDER_WORDS, Ranks},
    tile::TILE,
};
use crate::schedule::{THREADS, WARP};
use fusewire_jit_llvm::instructions::Emitted;

arguments! {
    /// Tiles as for sorting them; `in_part`, `in_row` and `in_all` are the sums down the columns of counts: from a tile to the next in its
    /// part of `part` tiles, from a part to the next of `parts_in_row`, and of the row.
    ScatterArguments {
        elements, positions, moved, moved_positions, in_part, in_row, in_all;
        tiles, tiles_in_row, row, first_bit, part, parts_in_row;
        ORDER_WORDS
    }
}

/// Elements that a thread has of a tile.
const EACH: u32 = TILE / THREADS;

/// What each warp gives to the others.
const WARPS: Shared = Shared { start: 0, bytes: 8 };
/// Where the elements with each digit belong, less where they begin in the tile.
const PLACES: Shared = Shared { start: Shared::room(THREADS / WARP, 8), bytes: 4 };
/// Where they begin in the tile.
const STARTS: Shared = Shared { start: PLACES.start + Shared::room(DIGITS, 4), bytes: 4 };
/// The digits of the tile's elements.
const OF_ELEMENTS: Shared = Shared { start: STARTS.start + Shared::room(DIGITS, 4), bytes: 2 };

/// Bytes of memory that a block shares.
pub(super) const SHARED_BYTES: u32 = OF_ELEMENTS.start + Shared::room(TILE, 2);

pub(super) fn emit(code: &Code<'_, '_>, bytes: u32, moved: Moved) -> Emitted<()> {
    let argument = |name: &str| code.argument(ScatterArguments::place(name));
    let pointer = |name: &str| code.pointer(ScatterArguments::place(name));
    let (tiles_in_row, row_length) = (argument("tiles_in_row")?, argument("row")?);
    let ranks = Ranks::of(code, bytes, ScatterArguments::ORDER)?;
    let first_bit = code.narrow(argument("first_bit")?, code.word(bytes))?;
    code.for_each_of_block(argument("tiles")?, |tile| {
        let (row, number) = (code.div(tile, tiles_in_row)?, code.rem(tile, tiles_in_row)?);
        let first = code.mul(number, u64::from(TILE))?;
        let count = code.least(code.i.index(TILE.into()), code.sub(row_length, first)?)?;
        let count = code.narrow(count, code.word(4))?;
        let row_start = code.mul(row, row_length)?;
        let start = code.add(row_start, first)?;
        // The others may still be at the tile before.
        code.barrier()?;
        let part = code.add(code.mul(row, argument("parts_in_row")?)?, code.div(number, argument("part")?)?)?;
        places_of_digits(code, tile, part, row)?;

        let numbers = (0..EACH).map(|number| code.add(code.thread, u64::from(number * THREADS)));
        let mut own = Vec::new();
        for number in numbers {
            let number = number?;
            let here = code.less(number, count)?;
            let at = code.add(start, code.wide(number)?)?;
            let element = code.when_else(here, || code.load(bytes, pointer("elements")?, at), ranks.greatest)?;
            let digit = code.and(code.right(ranks.rank(code, element)?, first_bit)?, u64::from(DIGITS - 1))?;
            let digit = code.narrow(digit, code.word(4))?;
            code.store_shared(OF_ELEMENTS, number, digit)?;
            own.push((number, here, at, element, digit));
        }
        code.barrier()?;
        for &(number, here, _, _, digit) in &own {
            let is_first = code.equal(number, 0)?;
            let before = code.load_shared(OF_ELEMENTS, code.select(is_first, number, code.sub(number, 1)?)?)?;
            let begins = code.or(is_first, code.differ(before, digit)?)?;
            code.when(code.and(here, begins)?, || code.store_shared(STARTS, digit, number))?;
        }
        code.barrier()?;
        for (number, here, at, element, digit) in own {
            code.when(here, || {
                let behind = code.sub(number, code.load_shared(STARTS, digit)?)?;
                let place = code.wide(code.add(code.load_shared(PLACES, digit)?, behind)?)?;
                let place = code.add(row_start, place)?;
                let position = || code.load(4, pointer("positions")?, at);
                match moved {
                    Moved::Elements => code.store(bytes, pointer("moved")?, place, element),
                    Moved::Pairs => {
                        code.store(bytes, pointer("moved")?, place, element)?;
                        code.store(4, pointer("moved_positions")?, place, position()?)
                    }
                    Moved::Positions => code.store(8, pointer("moved")?, place, code.wide(position()?)?),
                }
            })?;
        }
        Ok(())
    })
}

/// Where the elements of the tile with each digit belong in the row. Each thread finds that of two neighbours.
fn places_of_digits<'c>(code: &Code<'_, 'c>, tile: Int<'c>, part: Int<'c>, row: Int<'c>) -> Emitted<()> {
    const OWN: u32 = DIGITS / THREADS;
    let first = code.mul(code.thread, u64::from(OWN))?;
    let digits = (0..OWN).map(|number| code.add(first, u64::from(number))).collect::<Emitted<Vec<_>>>()?;
    let count = |name: &str, table: Int<'c>, digit: Int<'c>| {
        let at = code.add(code.left(table, u64::from(DIGIT_BITS))?, code.wide(digit)?)?;
        code.load(4, code.pointer(ScatterArguments::place(name))?, at)
    };
    let totals = digits.iter().map(|&digit| count("in_all", row, digit)).collect::<Emitted<Vec<_>>>()?;
    let own = totals[1..].iter().try_fold(totals[0], |sum, &total| code.add(sum, total))?;
    let (mut before, _) = code.scan(own, Shared { bytes: 4, ..WARPS })?;
    for (digit, total) in digits.into_iter().zip(totals) {
        let place = code.add(before, count("in_row", part, digit)?)?;
        code.store_shared(PLACES, digit, code.add(place, count("in_part", tile, digit)?)?)?;
        before = code.add(before, total)?;
    }
    Ok(())
}

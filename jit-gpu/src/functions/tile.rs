//! Sorting what a block holds in shared memory, stably, by 4 bits of the ranks at a time.
//!
//! Each thread has [`EACH`] neighbours. It counts how often each of the 16 digits is among them, so that an element's place is the
//! count of all smaller digits, of its digit in earlier threads, and of its digit before it in its own: sums over counts, no
//! order of threads. Four counts share a word, since none exceeds the tile. Bits that all elements have in common are left out.

use super::{
    DIGITS, arguments,
    code::{Code, Int, Shared},
    order::{ORDER_WORDS, Ranks},
};
use crate::schedule::{THREADS, WARP};
use fusewire_jit_llvm::instructions::Emitted;

arguments! {
    /// Tiles lie in rows, `tiles_in_row` to a row of `row` elements; a tile begins every `step` elements and has at most as many. The
    /// ranks' bits from `first_bit` to `end_bit` count. `given` may be 0: then positions are those in the row. Where tiles hold several
    /// rows, those have `length` elements, and the row's number in its tile has `row_bits` bits.
    TileArguments {
        elements, given, sorted, positions, counts;
        tiles, tiles_in_row, step, row, first_bit, end_bit, length, row_bits;
        ORDER_WORDS
    }
}

/// Elements that a thread has of a tile.
const EACH: u32 = 8;

/// Elements of a tile.
pub(crate) const TILE: u32 = EACH * THREADS;

/// Bits that are sorted by at a time.
const BITS: u32 = 4;

/// Words of counts that a thread has, with four counts each.
const WORDS: u32 = (1 << BITS) / 4;

/// Counts of 16 bits, for each of the words and threads.
const COUNTS: Shared = Shared { start: 0, bytes: 8 };

/// What each warp gives to the others.
const WARPS: Shared = Shared { start: Shared::room(WORDS * THREADS, 8), bytes: 8 };

/// Where each digit begins and ends in the sorted tile; in place of the counts.
const ENDS: Shared = Shared { start: 0, bytes: 4 };

/// Positions of the elements.
const POSITIONS: Shared = Shared { start: WARPS.start + Shared::room(THREADS / WARP, 8), bytes: 4 };

fn elements(bytes: u32, pairs: bool) -> Shared {
    Shared { start: POSITIONS.start + if pairs { Shared::room(TILE, 4) } else { 0 }, bytes }
}

/// Bytes of memory that a block shares.
pub(super) fn shared_bytes(bytes: u32, pairs: bool) -> u32 {
    elements(bytes, pairs).start + Shared::room(TILE, bytes)
}

/// A block's tile.
struct Tile<'m, 'k, 'c> {
    code: &'k Code<'m, 'c>,
    ranks: Ranks<'c>,
    elements: Shared,
    pairs: bool,
    /// Its first element, in all of them.
    start: Int<'c>,
    /// In its row.
    place: Int<'c>,
    /// How many elements it has.
    count: Int<'c>,
}

/// What `then` makes of each tile.
fn each_tile<'m, 'c>(
    code: &Code<'m, 'c>,
    bytes: u32,
    pairs: bool,
    then: impl FnOnce(&Tile<'m, '_, 'c>, Int<'c>) -> Emitted<()>,
) -> Emitted<()> {
    let argument = |name: &str| code.argument(TileArguments::place(name));
    let (tiles_in_row, step, row) = (argument("tiles_in_row")?, argument("step")?, argument("row")?);
    code.for_each_of_block(argument("tiles")?, |tile| {
        let place = code.mul(code.rem(tile, tiles_in_row)?, step)?;
        let count = code.least(step, code.sub(row, place)?)?;
        let tile_of_block = Tile {
            code,
            ranks: Ranks::of(code, bytes, TileArguments::ORDER)?,
            elements: elements(bytes, pairs),
            pairs,
            start: code.add(code.mul(code.div(tile, tiles_in_row)?, row)?, place)?,
            place,
            count: code.narrow(count, code.word(4))?,
        };
        // The others may still be at the tile before.
        code.barrier()?;
        then(&tile_of_block, tile)
    })
}

/// Sorts each tile by a digit of 8 bits, and counts how many elements have which.
pub(super) fn digits(code: &Code<'_, '_>, bytes: u32, pairs: bool) -> Emitted<()> {
    each_tile(code, bytes, pairs, |tile, number| {
        tile.read_elements()?;
        if pairs {
            tile.read_positions()?;
        }
        code.barrier()?;
        tile.sort_by_ranks()?;
        tile.write_elements()?;
        if pairs {
            tile.write_given_positions()?;
        }
        tile.count_digits(number)
    })
}

/// Sorts the rows that a tile has: by the ranks, and then by the numbers of the rows.
pub(super) fn rows(code: &Code<'_, '_>, bytes: u32, positions: bool) -> Emitted<()> {
    each_tile(code, bytes, true, |tile, _| {
        tile.read_elements()?;
        for number in tile.side_by_side()? {
            code.store_shared(POSITIONS, number, number)?;
        }
        code.barrier()?;
        tile.sort_by_ranks()?;
        let length = code.small(TileArguments::place("length"))?;
        let bits = code.small(TileArguments::place("row_bits"))?;
        tile.each_digit(code.number(0), bits, |shift| {
            tile.sort_once(&|_, position| code.and(code.right(code.div(position, length)?, shift)?, 15))
        })?;
        if positions { tile.write_positions_in_rows(length) } else { tile.write_elements() }
    })
}

impl<'c> Tile<'_, '_, 'c> {
    /// Numbers of elements of the tile, the threads side by side.
    fn side_by_side(&self) -> Emitted<Vec<Int<'c>>> {
        (0..EACH).map(|number| self.code.add(self.thread(), u64::from(number * THREADS))).collect()
    }

    /// Numbers of elements of the tile, neighbours for each thread.
    fn neighbours(&self) -> Emitted<Vec<Int<'c>>> {
        let first = self.code.mul(self.thread(), u64::from(EACH))?;
        (0..EACH).map(|number| self.code.add(first, u64::from(number))).collect()
    }

    fn thread(&self) -> Int<'c> {
        self.code.thread
    }

    /// Where an element of the tile lies among all.
    fn among_all(&self, number: Int<'c>) -> Emitted<Int<'c>> {
        self.code.add(self.start, self.code.wide(number)?)
    }

    /// Brings the tile to shared memory. Those that it lacks to a full one come last in any order.
    fn read_elements(&self) -> Emitted<()> {
        let code = self.code;
        let from = code.pointer(TileArguments::place("elements"))?;
        for number in self.side_by_side()? {
            let load = || code.load(self.elements.bytes, from, self.among_all(number)?);
            let element = code.when_else(code.less(number, self.count)?, load, self.ranks.greatest)?;
            code.store_shared(self.elements, number, element)?;
        }
        Ok(())
    }

    /// The positions that were given, else those in the row.
    fn read_positions(&self) -> Emitted<()> {
        let code = self.code;
        let given = TileArguments::place("given");
        let is_given = code.differ(code.argument(given)?, 0)?;
        for number in self.side_by_side()? {
            let own = code.add(code.narrow(self.place, code.word(4))?, number)?;
            let load = || code.load(4, code.pointer(given)?, self.among_all(number)?);
            let position = code.when_else(code.and(code.less(number, self.count)?, is_given)?, load, own)?;
            code.store_shared(POSITIONS, number, position)?;
        }
        Ok(())
    }

    /// `body` for the bits from `first` to `end`, by fours.
    fn each_digit(&self, first: Int<'c>, end: Int<'c>, body: impl FnOnce(Int<'c>) -> Emitted<()>) -> Emitted<()> {
        let code = self.code;
        let (first, end, step) = (code.wide(first)?, code.wide(end)?, code.wide(code.number(BITS))?);
        code.i.counted_loop(first, end, step, &[], |shift, _| {
            body(code.narrow(shift, code.word(4))?)?;
            Ok(Vec::new())
        })?;
        Ok(())
    }

    fn sort_by_ranks(&self) -> Emitted<()> {
        let code = self.code;
        let word = code.word(self.elements.bytes);
        let varying = self.varying_bits()?;
        let bit = |name: &str| code.small(TileArguments::place(name));
        self.each_digit(bit("first_bit")?, bit("end_bit")?, |shift| {
            let shift = if word.get_bit_width() == 64 { code.wide(shift)? } else { shift };
            let matters = code.differ(code.and(code.right(varying, shift)?, 15)?, 0)?;
            code.when(matters, || {
                self.sort_once(&|element, _| {
                    let digit = code.and(code.right(self.ranks.rank(code, element)?, shift)?, 15)?;
                    code.narrow(digit, code.word(4))
                })
            })
        })
    }

    /// The bits of ranks that are not the same for all elements.
    fn varying_bits(&self) -> Emitted<Int<'c>> {
        let code = self.code;
        let one = self.ranks.rank(code, code.load_shared(self.elements, code.number(0))?)?;
        let mut bits = one.get_type().const_zero();
        for number in self.neighbours()? {
            let rank = self.ranks.rank(code, code.load_shared(self.elements, number)?)?;
            let other = code.select(code.less(number, self.count)?, code.xor(rank, one)?, 0)?;
            bits = code.or(bits, other)?;
        }
        code.any_bits(bits, WARPS)
    }

    /// Sorts by a digit of 4 bits, which is said for an element and a position.
    fn sort_once(&self, digit: &dyn Fn(Int<'c>, Int<'c>) -> Emitted<Int<'c>>) -> Emitted<()> {
        let code = self.code;
        let own_word = |word: u32| code.add(self.thread(), u64::from(word * THREADS));
        for word in 0..WORDS {
            code.store_shared(COUNTS, own_word(word)?, code.i.index(0))?;
        }
        let mut own = Vec::new();
        for number in self.neighbours()? {
            let element = code.load_shared(self.elements, number)?;
            let position = if self.pairs { code.load_shared(POSITIONS, number)? } else { number };
            let digit = digit(element, position)?;
            let word =
                code.add(self.thread(), code.mul(code.and(digit, u64::from(WORDS - 1))?, u64::from(THREADS))?)?;
            let shift = code.wide(code.mul(code.right(digit, u64::from(WORDS.trailing_zeros()))?, 16)?)?;
            let count = code.load_shared(COUNTS, word)?;
            code.store_shared(COUNTS, word, code.add(count, code.left(code.i.index(1), shift)?)?)?;
            let before = code.and(code.right(count, shift)?, 0xffff)?;
            own.push((element, position, word, shift, before));
        }
        code.barrier()?;
        self.sum_counts()?;
        for (element, position, word, shift, before) in own {
            let smaller = code.and(code.right(code.load_shared(COUNTS, word)?, shift)?, 0xffff)?;
            let place = code.narrow(code.add(smaller, before)?, code.word(4))?;
            code.store_shared(self.elements, place, element)?;
            if self.pairs {
                code.store_shared(POSITIONS, place, position)?;
            }
        }
        code.barrier()
    }

    /// Each count becomes the sum of those before it: of smaller digits, and of the same digit in earlier threads.
    fn sum_counts(&self) -> Emitted<()> {
        let code = self.code;
        let first = code.mul(self.thread(), u64::from(WORDS))?;
        let places = (0..WORDS).map(|word| code.add(first, u64::from(word))).collect::<Emitted<Vec<_>>>()?;
        let counts = places.iter().map(|&place| code.load_shared(COUNTS, place)).collect::<Emitted<Vec<_>>>()?;
        let own = counts[1..].iter().try_fold(counts[0], |sum, &count| code.add(sum, count))?;
        let (before, all) = code.scan(own, WARPS)?;
        // The counts that share a word are of digits four apart: those of smaller ones come before.
        let mut sum = code.add(before, code.mul(all, 0x0001_0001_0001_0000u64)?)?;
        for (place, count) in places.into_iter().zip(counts) {
            code.store_shared(COUNTS, place, sum)?;
            sum = code.add(sum, count)?;
        }
        code.barrier()
    }

    /// Writes to a result what `value` loads for each element of the tile.
    fn write(&self, name: &str, bytes: u32, value: &dyn Fn(Int<'c>) -> Emitted<Int<'c>>) -> Emitted<()> {
        let code = self.code;
        let to = code.pointer(TileArguments::place(name))?;
        for number in self.side_by_side()? {
            code.when(code.less(number, self.count)?, || {
                code.store(bytes, to, self.among_all(number)?, value(number)?)
            })?;
        }
        Ok(())
    }

    fn write_elements(&self) -> Emitted<()> {
        self.write("sorted", self.elements.bytes, &|number| self.code.load_shared(self.elements, number))
    }

    fn write_given_positions(&self) -> Emitted<()> {
        self.write("positions", 4, &|number| self.code.load_shared(POSITIONS, number))
    }

    /// The result of a sort of positions, which are counted in their rows.
    fn write_positions_in_rows(&self, length: Int<'c>) -> Emitted<()> {
        let code = self.code;
        self.write("sorted", 8, &|number| code.wide(code.rem(code.load_shared(POSITIONS, number)?, length)?))
    }

    /// How many elements have which digit: where it ends in the sorted tile, less where it begins.
    fn count_digits(&self, tile: Int<'c>) -> Emitted<()> {
        let code = self.code;
        for place in 0..2 * DIGITS / THREADS {
            code.store_shared(ENDS, code.add(self.thread(), u64::from(place * THREADS))?, code.number(0))?;
        }
        code.barrier()?;
        let first_bit =
            code.narrow(code.argument(TileArguments::place("first_bit"))?, code.word(self.elements.bytes))?;
        let digit = |number: Int<'c>| {
            let rank = self.ranks.rank(code, code.load_shared(self.elements, number)?)?;
            code.narrow(code.and(code.right(rank, first_bit)?, u64::from(DIGITS - 1))?, code.word(4))
        };
        let last = code.sub(self.count, 1)?;
        for number in self.neighbours()? {
            code.when(code.less(number, self.count)?, || {
                let own = digit(number)?;
                let is_first = code.equal(number, 0)?;
                let before = digit(code.select(is_first, number, code.sub(number, 1)?)?)?;
                code.when(code.or(is_first, code.differ(before, own)?)?, || code.store_shared(ENDS, own, number))?;
                let after = code.add(number, 1)?;
                let is_last = code.equal(number, last)?;
                let next = digit(code.select(is_last, number, after)?)?;
                code.when(code.or(is_last, code.differ(next, own)?)?, || {
                    code.store_shared(ENDS, code.add(own, u64::from(DIGITS))?, after)
                })
            })?;
        }
        code.barrier()?;
        let counts = code.pointer(TileArguments::place("counts"))?;
        for place in 0..DIGITS / THREADS {
            let digit = code.add(self.thread(), u64::from(place * THREADS))?;
            let end = code.load_shared(ENDS, code.add(digit, u64::from(DIGITS))?)?;
            let count = code.sub(end, code.load_shared(ENDS, digit)?)?;
            let to = code.add(code.mul(tile, u64::from(DIGITS))?, code.wide(digit)?)?;
            code.store(4, counts, to, count)?;
        }
        Ok(())
    }
}

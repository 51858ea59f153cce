//! Sums down the columns of tables with a row of counts for each tile (or for each part of a column), one for each digit: each count
//! becomes the sum of those above it in its part, and the sums of whole parts are another such table.

use super::{
    DIGITS, arguments,
    code::{Code, Int},
};
use crate::schedule::THREADS;
use fusewire_jit_llvm::instructions::Emitted;

arguments! {
    /// Tables follow each other, of `rows` rows each, in `parts_in_table` parts of at most `part` rows.
    ColumnsArguments { counts, totals; parts, parts_in_table, rows, part; 0 }
}

/// Rows of a part: what a thread sums one after another.
pub(crate) const PART: usize = 64;

/// Rows that are loaded together, since loads take long.
const TOGETHER: u64 = 8;

pub(super) fn emit<'c>(code: &Code<'_, 'c>) -> Emitted<()> {
    let argument = |name: &str| code.argument(ColumnsArguments::place(name));
    let counts = code.pointer(ColumnsArguments::place("counts"))?;
    let totals = code.pointer(ColumnsArguments::place("totals"))?;
    let (parts_in_table, rows, part_rows) = (argument("parts_in_table")?, argument("rows")?, argument("part")?);
    code.for_each_of_block(argument("parts")?, |part| {
        let above = code.mul(code.rem(part, parts_in_table)?, part_rows)?;
        let first = code.add(code.mul(code.div(part, parts_in_table)?, rows)?, above)?;
        let count = code.least(part_rows, code.sub(rows, above)?)?;
        for round in 0..DIGITS / THREADS {
            let column = code.wide(code.add(code.thread, u64::from(round * THREADS))?)?;
            let place = |row: Int<'c>| code.add(code.mul(row, u64::from(DIGITS))?, column);
            let zero = code.number(0);
            let step = code.i.index(TOGETHER as i64);
            let total = code.i.counted_loop(code.i.index(0), count, step, &[zero.into()], |row, sum| {
                let mut sum = sum[0].into_int_value();
                let mut loaded = Vec::new();
                for next in 0..TOGETHER {
                    let row = code.add(row, next)?;
                    let here = code.less(row, count)?;
                    // What is behind the last is loaded from there, and not counted.
                    let at = place(code.add(first, code.least(row, code.sub(count, 1)?)?)?)?;
                    loaded.push((here, at, code.load(4, counts, at)?));
                }
                for (here, at, count) in loaded {
                    code.when(here, || code.store(4, counts, at, sum))?;
                    sum = code.add(sum, code.select(here, count, 0)?)?;
                }
                Ok(vec![sum.into()])
            })?;
            code.store(4, totals, place(part)?, total[0].into_int_value())?;
        }
        Ok(())
    })
}

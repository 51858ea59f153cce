//! Ranks: unsigned integers in the order of elements, the same for equal elements. How they come of an element's bits is data
//! (`fusewire_runtime::order`), so that one function sorts every dtype of a size, in either direction.

use super::code::{Code, Int};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::Emitted;
use fusewire_runtime::order::{Order, Word};

/// How many words say what the order is.
pub(crate) const ORDER_WORDS: usize = 7;

/// What the order of a dtype is.
pub(crate) fn order_words(dtype: DType, descending: bool) -> [u64; ORDER_WORDS] {
    match dtype.size() {
        1 => words_of::<u8>(dtype, descending),
        2 => words_of::<u16>(dtype, descending),
        4 => words_of::<u32>(dtype, descending),
        _ => words_of::<u64>(dtype, descending),
    }
}

fn words_of<W: Word>(dtype: DType, descending: bool) -> [u64; ORDER_WORDS] {
    let order = Order::<W>::new(dtype, descending);
    let (first, last) = order.numbers().into_inner();
    let (zero, other_zero) = order.zeros().unwrap_or((W::ZERO, W::ZERO));
    // Each digit of this one's rank is the greatest, so it fills tiles that have fewer elements.
    let greatest = order.elements.apply(W::MAX);
    [order.keys.set, order.keys.clear, zero, other_zero, first, last, greatest].map(Word::widened)
}

/// An order while a function is emitted.
pub(super) struct Ranks<'c> {
    set: Int<'c>,
    clear: Int<'c>,
    zero: Int<'c>,
    other_zero: Int<'c>,
    first: Int<'c>,
    last: Int<'c>,
    /// An element of the greatest rank.
    pub greatest: Int<'c>,
    bytes: u32,
}

impl<'c> Ranks<'c> {
    /// Of elements of so many bytes, from the argument `at` on.
    pub fn of(code: &Code<'_, 'c>, bytes: u32, at: usize) -> Emitted<Ranks<'c>> {
        let word = |number: u32| code.narrow(code.argument(at as u32 + number)?, code.word(bytes));
        Ok(Ranks {
            set: word(0)?,
            clear: word(1)?,
            zero: word(2)?,
            other_zero: word(3)?,
            first: word(4)?,
            last: word(5)?,
            greatest: word(6)?,
            bytes,
        })
    }

    /// The rank of an element.
    pub fn rank(&self, code: &Code<'_, 'c>, element: Int<'c>) -> Emitted<Int<'c>> {
        let negative = code.differ(code.right(element, u64::from(8 * self.bytes - 1))?, 0)?;
        let key = code.xor(element, code.select(negative, self.set, self.clear)?)?;
        let key = code.select(code.equal(key, self.other_zero)?, self.zero, key)?;
        let outside = code.or(code.less(key, self.first)?, code.less(self.last, key)?)?;
        // NaN has the greatest rank, all bits, which is no number's.
        let bits = u64::MAX >> (64 - 8 * self.bytes);
        code.select(outside, key.get_type().const_int(bits, false), key)
    }
}

//! Which bits of the ranks are not the same for all elements: passes of a sort by the others would move nothing.

use super::{
    arguments,
    code::{Code, Shared},
    order::{ORDER_WORDS, Ranks},
};
use crate::{
    emit::machine::Atomic,
    schedule::{THREADS, WARP},
};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::Emitted;

arguments! {
    /// `bits` is a word, of which each bit becomes 1 that differs among the ranks of `count` elements, one at least.
    VaryingArguments { elements, bits; count; ORDER_WORDS }
}

/// What each warp gives to the others.
const WARPS: Shared = Shared { start: 0, bytes: 8 };

/// Bytes of memory that a block shares.
pub(super) const SHARED_BYTES: u32 = Shared::room(THREADS / WARP, 8);

/// Elements that are loaded together, since loads take long.
const TOGETHER: u64 = 4;

pub(super) fn emit(code: &Code<'_, '_>, bytes: u32) -> Emitted<()> {
    let elements = code.pointer(VaryingArguments::place("elements"))?;
    let count = code.argument(VaryingArguments::place("count"))?;
    let ranks = Ranks::of(code, bytes, VaryingArguments::ORDER)?;
    let one = ranks.rank(code, code.load(bytes, elements, code.i.index(0))?)?;
    let last = code.sub(count, 1)?;
    let block = code.mul(code.machine.block(code.i)?, u64::from(THREADS))?;
    let first = code.add(block, code.wide(code.thread)?)?;
    let threads = code.mul(code.machine.blocks(code.i)?, u64::from(THREADS))?;
    let none = one.get_type().const_zero();
    let own = code.i.counted_loop(first, count, code.mul(threads, TOGETHER)?, &[none.into()], |number, bits| {
        let places = (0..TOGETHER).map(|next| code.least(code.add(number, code.mul(threads, next)?)?, last));
        let places = places.collect::<Emitted<Vec<_>>>()?;
        let loaded = places.into_iter().map(|place| code.load(bytes, elements, place)).collect::<Emitted<Vec<_>>>()?;
        let varying = loaded.into_iter().try_fold(bits[0].into_int_value(), |bits, element| {
            code.or(bits, code.xor(ranks.rank(code, element)?, one)?)
        })?;
        Ok(vec![varying.into()])
    })?;
    let all = code.any_bits(own[0].into_int_value(), WARPS)?;
    code.when(code.equal(code.thread, 0)?, || {
        let word = code.i.element(DType::U64, code.pointer(VaryingArguments::place("bits"))?, code.i.index(0))?;
        code.machine.atomic(code.i, Atomic::Or, word, code.wide(all)?)
    })
}

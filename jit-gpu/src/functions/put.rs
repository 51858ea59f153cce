//! Writing elements to places that are computed. Of several for one place the last stays, whatever order the threads run in: they first
//! agree on which it is.

use super::{arguments, code::Code};
use crate::emit::machine::Atomic;
use fusewire_jit_llvm::instructions::Emitted;

arguments! {
    /// Of `places` places, `at` names one for each of `count` elements; `owners` are as many words as there are places. What is
    /// outside is left out.
    PutArguments { at, owners, elements, to; count, places; 0 }
}

/// Nobody owns the places that are named: all who name one write the same.
pub(super) fn release(code: &Code<'_, '_>) -> Emitted<()> {
    let owners = code.pointer(PutArguments::place("owners"))?;
    each(code, |_, place| code.store(8, owners, place, code.i.index(0)))
}

/// The owner of a place becomes the greatest number of those who name it, counted from 1.
pub(super) fn claim(code: &Code<'_, '_>) -> Emitted<()> {
    let owners = code.pointer(PutArguments::place("owners"))?;
    each(code, |number, place| {
        let owner = code.i.element(fusewire_ir::dtype::DType::U64, owners, place)?;
        code.machine.atomic(code.i, Atomic::Max, owner, code.add(number, 1)?)
    })
}

/// The owners write their elements.
pub(super) fn put(code: &Code<'_, '_>, bytes: u32) -> Emitted<()> {
    let pointer = |name: &str| code.pointer(PutArguments::place(name));
    let (owners, elements, to) = (pointer("owners")?, pointer("elements")?, pointer("to")?);
    // Elements of 16 bytes are two words.
    let (size, words) = if bytes > 8 { (8, u64::from(bytes / 8)) } else { (bytes, 1) };
    each(code, |number, place| {
        let owner = code.load(8, owners, place)?;
        code.when(code.equal(owner, code.add(number, 1)?)?, || {
            for word in 0..words {
                let from = code.add(code.mul(number, words)?, word)?;
                let place = code.add(code.mul(place, words)?, word)?;
                code.store(size, to, place, code.load(size, elements, from)?)?;
            }
            Ok(())
        })
    })
}

/// `body` for the number of each element and its place.
fn each<'c>(
    code: &Code<'_, 'c>,
    body: impl FnOnce(super::code::Int<'c>, super::code::Int<'c>) -> Emitted<()>,
) -> Emitted<()> {
    let argument = |name: &str| code.argument(PutArguments::place(name));
    let (at, places) = (code.pointer(PutArguments::place("at"))?, argument("places")?);
    code.for_each_of_thread(argument("count")?, |number| {
        let place = code.load(8, at, number)?;
        code.when(code.less(place, places)?, || body(number, place))
    })
}

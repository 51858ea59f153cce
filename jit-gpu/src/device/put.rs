//! Writing elements to places that are computed, so that of several for one place the last stays: all who name a place first agree on
//! who is the last. That takes as long as there are
//! elements, however large the array is.

use super::{
    Core,
    functions::{Work, is_dense},
};
use crate::{
    driver::{Driver, Lender},
    functions::{Function, PutArguments},
};
use fusewire_ir::value::Storage;
use fusewire_runtime::{backend::ArrayView, error::Error};
use std::sync::Arc;

/// Writes elements to places of a dense array.
pub(crate) fn put<D: Driver>(
    core: &Arc<Core<D>>,
    to: &ArrayView<'_>,
    places: &ArrayView<'_>,
    elements: &ArrayView<'_>,
) -> Result<(), Error> {
    let (count, all) = (places.shape.iter().product::<usize>(), to.shape.iter().product::<usize>());
    if count == 0 || all == 0 {
        return Ok(());
    }
    if !is_dense(to) {
        return Err(Error::Internal("elements are written to dense arrays".into()));
    }
    let packed = |view: &ArrayView<'_>| -> Result<Option<Arc<dyn Storage>>, Error> {
        if is_dense(view) {
            return Ok(None);
        }
        let memory = core.memory(count * view.dtype.size())?;
        core.pack(view, memory.pointer())?;
        Ok(Some(memory))
    };
    let (at, from) = (packed(places)?, packed(elements)?);
    let address = |memory: &Option<Arc<dyn Storage>>, view: &ArrayView<'_>| {
        memory.as_ref().map_or(view.pointer, |memory| memory.pointer()).addr() as u64
    };
    let owners = core.memory(all.checked_mul(8).ok_or(Error::OutOfMemory { bytes: usize::MAX })?)?;
    let words = PutArguments {
        at: address(&at, places),
        owners: owners.pointer().addr() as u64,
        elements: address(&from, elements),
        to: to.pointer.addr() as u64,
        count: count as u64,
        places: all as u64,
        order: [],
    };
    let stream = core.stream()?;
    // As with kernels, the last word is memory to which threads write in any order, and that is no race.
    let mut all_words = words.words();
    if let Some(last) = all_words.last_mut() {
        *last = words.owners;
    }
    let put = Function::Put { bytes: to.dtype.size() as u32 };
    // SAFETY: the caller vouches for the arrays; there are as many owners as places.
    unsafe {
        core.run(Function::Release, &all_words, Work::Threads(count), stream, &|| false)?;
        core.run(Function::Claim, &all_words, Work::Threads(count), stream, &|| false)?;
        core.run(put, &all_words, Work::Threads(count), stream, &|| false)
    }
}

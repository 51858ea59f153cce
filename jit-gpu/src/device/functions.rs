//! Functions that are written by hand ([`crate::functions`]), compiled when they are first needed, and launched.

use super::Core;
use crate::{
    driver::{Driver, Grid, Source, Stream},
    functions::Function,
    schedule::THREADS,
};
use fusewire_runtime::{backend::ArrayView, error::Error};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The functions that there are already.
pub(crate) struct Functions<D: Driver>(Mutex<BTreeMap<Function, Arc<D::Code>>>);

impl<D: Driver> Default for Functions<D> {
    fn default() -> Functions<D> {
        Functions(Mutex::default())
    }
}

/// How much work there is: for so many blocks, or for so many threads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Blocks(usize),
    Threads(usize),
}

impl<D: Driver> Core<D> {
    /// Launches a function on a stream to which all work has been given.
    ///
    /// # Safety
    /// The words are those that the function takes. Their memory is allocated until the launch is complete.
    pub(crate) unsafe fn run(
        &self,
        function: Function,
        words: &[u64],
        work: Work,
        stream: Stream,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let blocks = match work {
            Work::Blocks(blocks) => blocks,
            Work::Threads(threads) => threads.div_ceil(THREADS as usize),
        };
        if blocks == 0 {
            return Ok(());
        }
        let code = self.with_room(|| self.functions.code(&self.driver, function))?;
        let grid = Grid {
            kernel: function.name(),
            arguments: words,
            blocks: blocks.min(self.driver.most_blocks() as usize) as u32,
            shared_bytes: function.shared_bytes(),
        };
        // SAFETY: the caller vouches for the words.
        unsafe { self.driver.launch(&code, &grid, stream, interrupted) }
    }
}

impl<D: Driver> Functions<D> {
    fn code(&self, driver: &D, function: Function) -> Result<Arc<D::Code>, Error> {
        let mut known = self.0.lock();
        if let Some(code) = known.get(&function) {
            return Ok(code.clone());
        }
        let code = Arc::new(driver.load(Source::Function(function))?);
        known.insert(function, code.clone());
        Ok(code)
    }
}

/// Do the elements lie one after another, row by row?
pub(crate) fn is_dense(view: &ArrayView<'_>) -> bool {
    let mut expected = 1;
    view.shape.iter().zip(view.strides).rev().all(|(&extent, &stride)| {
        let fits = extent == 1 || stride == expected;
        expected *= extent as isize;
        fits
    })
}

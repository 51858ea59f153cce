//! Memory of a device that others own, and our memory in others' hands: whose work comes first.

use super::{Block, Core, GpuBackend};
use crate::{
    cuda::CudaBackend,
    driver::{Driver, Stream},
    simt::SimtBackend,
};
use fusewire_ir::{lazy::Device, value::Storage};
use fusewire_runtime::{backend::Backend, error::Error};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::{
    any::Any,
    fmt::{self, Debug},
    sync::Arc,
};

/// The stream that other libraries compute on as long as nobody tells them another. No other foreign one is there for certain when
/// memory is given back.
pub const LEGACY: Stream = Stream(1);

/// What keeps foreign memory alive.
pub type Owner = Box<dyn Any + Send + Sync>;

/// What exchange with other libraries needs of a device.
pub trait Interchange {
    /// The stream of the calling thread, to which all its work has been given.
    fn stream(&self) -> Result<Stream, Error>;
    /// Makes the memory of somebody else an array's. The calling thread's stream comes after what the owner does with it; the
    /// owner gets it back when all that we were asked for is complete.
    fn adopt(&self, address: u64, bytes: usize, read_only: bool, owner: Owner) -> Result<Arc<dyn Storage>, Error>;
    /// Lets a foreign stream's further work begin after what this memory's streams have to do now. Who lets go of the memory when his
    /// work was asked for, and is not complete yet, may do so where that work is on the legacy default stream.
    fn order_foreign(&self, storage: &dyn Storage, stream: Stream) -> Result<(), Error>;
    /// Lets the calling thread's further work begin after that of a foreign stream.
    fn order_after_foreign(&self, stream: Stream) -> Result<(), Error>;
}

/// That of a back end, if it is a GPU's.
pub fn of<'a>(backend: &'a (dyn Backend + 'static)) -> Option<&'a dyn Interchange> {
    let backend: &dyn Any = backend;
    let cuda = backend.downcast_ref::<CudaBackend>().map(|backend| backend as &dyn Interchange);
    cuda.or_else(|| backend.downcast_ref::<SimtBackend>().map(|backend| backend as &dyn Interchange))
}

impl<D: Driver> Interchange for GpuBackend<D> {
    fn stream(&self) -> Result<Stream, Error> {
        self.core.stream()
    }

    fn adopt(&self, address: u64, bytes: usize, read_only: bool, owner: Owner) -> Result<Arc<dyn Storage>, Error> {
        let home = self.core.stream()?;
        let readers = Mutex::default();
        Ok(Arc::new(Foreign { core: self.core.clone(), address, bytes, read_only, home, readers, owner: Some(owner) }))
    }

    fn order_foreign(&self, storage: &dyn Storage, stream: Stream) -> Result<(), Error> {
        let Some(Home { home, readers }) = Home::of::<D>(storage) else {
            return Err(Error::Internal("memory of another device".into()));
        };
        {
            let mut readers = readers.lock();
            if !readers.contains(&LEGACY) {
                readers.push(LEGACY);
            }
        }
        self.core.order(home, stream)
    }

    fn order_after_foreign(&self, stream: Stream) -> Result<(), Error> {
        let current = self.core.stream()?;
        self.core.streams.order(&self.core.driver, stream, current)
    }
}

/// Which streams use memory.
pub(super) struct Home<'a> {
    /// The one whose work fills it, or comes after who did.
    pub home: Stream,
    /// Others that read it.
    pub readers: &'a Mutex<SmallVec<[Stream; 2]>>,
}

impl Home<'_> {
    /// Of memory of this kind of device.
    pub fn of<D: Driver>(storage: &dyn Storage) -> Option<Home<'_>> {
        let any = storage.as_any();
        let own = any.downcast_ref::<Block<D>>().map(|block| Home { home: block.home, readers: &block.readers });
        own.or_else(|| {
            any.downcast_ref::<Foreign<D>>().map(|memory| Home { home: memory.home, readers: &memory.readers })
        })
    }
}

/// Memory of a device that somebody else owns.
struct Foreign<D: Driver> {
    core: Arc<Core<D>>,
    address: u64,
    bytes: usize,
    read_only: bool,
    home: Stream,
    readers: Mutex<SmallVec<[Stream; 2]>>,
    /// Gone when it is dropped.
    owner: Option<Owner>,
}

impl<D: Driver> Debug for Foreign<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of others on {}", self.bytes, self.core.driver.device())
    }
}

impl<D: Driver> Storage for Foreign<D> {
    fn pointer(&self) -> *mut u8 {
        std::ptr::without_provenance_mut(self.address as usize)
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn device(&self) -> Device {
        self.core.driver.device()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<D: Driver> Drop for Foreign<D> {
    fn drop(&mut self) {
        // The owner knows nothing of our streams. After a failure of the device there is nothing to wait for.
        let _ = self.core.settle(self.home);
        for &reader in self.readers.lock().iter() {
            let _ = self.core.settle(reader);
        }
        drop(self.owner.take());
    }
}

//! Which back end serves which device. The front end registers what it was built with and what the machine has; everything else
//! asks here.

use crate::{backend::Backend, error::Error, fork};
use fusewire_ir::lazy::Device;
use std::sync::{Arc, OnceLock};

/// GPUs beyond so many are not used.
const MOST_GPUS: usize = 16;

/// Registers a device's back end. The first one stays; false says that there was one, or that there can be none.
pub fn register(device: Device, backend: Arc<dyn Backend>) -> bool {
    fork::install();
    slot(device).is_some_and(|slot| slot.set(backend).is_ok())
}

/// A device's back end.
pub fn backend(device: Device) -> Result<&'static Arc<dyn Backend>, Error> {
    let registered = slot(device).and_then(OnceLock::get);
    registered.ok_or_else(|| Error::Internal(format!("no back end is registered for device {device}")))
}

/// Every device that has a back end.
pub fn devices() -> impl Iterator<Item = Device> {
    let gpus = (0..MOST_GPUS).map(|number| Device::Cuda(number as u8));
    let all = [Device::Cpu].into_iter().chain(gpus).chain([Device::Simt]);
    all.filter(|&device| slot(device).is_some_and(|slot| slot.get().is_some()))
}

fn slot(device: Device) -> Option<&'static OnceLock<Arc<dyn Backend>>> {
    static CPU: OnceLock<Arc<dyn Backend>> = OnceLock::new();
    static GPUS: [OnceLock<Arc<dyn Backend>>; MOST_GPUS] = [const { OnceLock::new() }; MOST_GPUS];
    static SIMT: OnceLock<Arc<dyn Backend>> = OnceLock::new();
    match device {
        Device::Cpu => Some(&CPU),
        Device::Cuda(number) => GPUS.get(number as usize),
        Device::Simt => Some(&SIMT),
    }
}

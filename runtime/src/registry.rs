//! Which back end serves which device. The front end registers what it was built with, once; everything else asks here.

use crate::{backend::Backend, error::Error, fork};
use fusewire_ir::lazy::Device;
use std::sync::{Arc, OnceLock};

/// Registers a device's back end. The first one stays; false says that there was one.
pub fn register(device: Device, backend: Arc<dyn Backend>) -> bool {
    fork::install();
    slot(device).set(backend).is_ok()
}

/// A device's back end.
pub fn backend(device: Device) -> Result<&'static Arc<dyn Backend>, Error> {
    slot(device).get().ok_or_else(|| Error::Internal(format!("no back end is registered for device {device:?}")))
}

fn slot(device: Device) -> &'static OnceLock<Arc<dyn Backend>> {
    static CPU: OnceLock<Arc<dyn Backend>> = OnceLock::new();
    match device {
        Device::Cpu => &CPU,
    }
}

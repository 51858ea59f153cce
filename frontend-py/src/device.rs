//! Devices as Python names them: which there are, which one arrays of nothing go to, and moving arrays.
//!
//! Nothing moves but where this file is called: `device=` arguments, `to_device`, and the values of NumPy arrays and lists on
//! their way to the default device. Values leave for the host where Python needs them there (`float(x)`, `numpy.asarray(x)`).

use crate::{array::Array, errors, evaluate::computed};
use fusewire_ir::lazy::{Device, Lazy};
use fusewire_jit_gpu::cuda;
use fusewire_runtime::{error::Error, registry, transfer};
use parking_lot::RwLock;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use std::{cell::Cell, path::PathBuf, sync::Arc};

/// Where arrays go that are made of no array.
static DEFAULT: RwLock<Device> = RwLock::new(Device::Cpu);

thread_local! {
    /// Where the thread's arrays go instead, while [`call_with_arrays`] runs.
    static HERE: Cell<Option<Device>> = const { Cell::new(None) };
}

/// A `device=` argument: the name of a device that there is.
#[derive(Clone, Copy)]
pub struct DeviceArgument(pub Device);

impl<'a, 'py> FromPyObject<'a, 'py> for DeviceArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<DeviceArgument> {
        let name = object.extract::<&str>().ok();
        let device = name.and_then(Device::parse);
        let mut why = String::new();
        if let Some(device) = device {
            match ready(object.py(), device) {
                Ok(true) => return Ok(DeviceArgument(device)),
                Ok(false) => {}
                Err(error) => why = format!(": {error}"),
            }
        }
        let shown = object.repr().map_or_else(|_| "an object".to_owned(), |repr| repr.to_string());
        let known = names().join(", ");
        Err(PyValueError::new_err(format!("unknown device {shown}{why}; there is: {known}")))
    }
}

/// Is there such a device? A GPU is opened when it is named for the first time; the error says why there is none.
pub fn ready(py: Python<'_>, device: Device) -> Result<bool, Error> {
    if registry::devices().any(|known| known == device) {
        return Ok(true);
    }
    let Device::Cuda(number) = device else { return Ok(false) };
    // Where `pip` puts NVIDIA's libraries.
    let folders = py.import("sys").and_then(|sys| sys.getattr("path")?.extract::<Vec<PathBuf>>());
    cuda::search_in(folders.unwrap_or_default());
    let backend = py.detach(|| cuda::open(number))?;
    registry::register(device, Arc::new(backend));
    Ok(registry::devices().any(|known| known == device))
}

/// The names of all devices: GPUs also where nobody has used them yet.
fn names() -> Vec<String> {
    let gpus = (0..cuda::count().unwrap_or(0)).filter_map(|number| u8::try_from(number).ok().map(Device::Cuda));
    let mut all: Vec<Device> = registry::devices().collect();
    let new: Vec<Device> = gpus.filter(|gpu| !all.contains(gpu)).collect();
    all.splice(1..1, new);
    all.into_iter().map(|device| device.to_string()).collect()
}

/// The device that an argument names, or the default one.
pub fn chosen(argument: Option<DeviceArgument>) -> Device {
    argument.map_or_else(default_device, |argument| argument.0)
}

/// Where arrays go that are made of no array.
pub fn default_device() -> Device {
    HERE.get().unwrap_or_else(|| *DEFAULT.read())
}

/// Where a node is. Users hold none that is nowhere.
pub fn of(node: &Lazy) -> Device {
    node.device.unwrap_or_else(default_device)
}

/// The node on a device; computed first where it has to move.
pub fn moved(py: Python<'_>, node: Arc<Lazy>, device: Device) -> PyResult<Arc<Lazy>> {
    let node = node.placed(device);
    if of(&node) == device {
        return Ok(node);
    }
    computed(py, &node)?;
    py.detach(|| transfer::to_device(&node, device)).map_err(errors::computing)
}

/// The array itself where it is on the device, else one of the same values there.
pub fn moved_array<'py>(array: &Bound<'py, Array>, device: Device) -> PyResult<Bound<'py, Array>> {
    let (py, node) = (array.py(), array.get().node());
    if of(&node) == device {
        return Ok(array.clone());
    }
    Bound::new(py, Array::new(moved(py, node, device)?))
}

/// The names of all devices.
#[pyfunction]
pub fn devices() -> Vec<String> {
    names()
}

/// Waits until the device has done all that it was asked for.
#[pyfunction]
#[pyo3(signature = (device=None, /))]
pub fn synchronize(py: Python<'_>, device: Option<DeviceArgument>) -> PyResult<()> {
    let backend = registry::backend(chosen(device)).map_err(errors::computing)?;
    py.detach(|| backend.synchronise()).map_err(errors::computing)
}

/// The device of new arrays: of NumPy arrays, lists and numbers, and of what `zeros`, `arange` and the like make, where no
/// `device=` says otherwise.
#[pyfunction]
pub fn get_default_device() -> String {
    default_device().to_string()
}

/// Sets the device of new arrays. Raises ValueError for a device that is not there.
#[pyfunction]
#[pyo3(signature = (device, /))]
pub fn set_default_device(device: DeviceArgument) {
    *DEFAULT.write() = device.0;
}

/// Calls a function with its first array's device as the default one: what it makes on the way is where its arrays are.
#[pyfunction]
#[pyo3(signature = (function, args, kwargs, /))]
pub fn call_with_arrays<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    struct Before(Option<Device>);
    impl Drop for Before {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let mut arguments = args.iter().chain(kwargs.values());
    let _before =
        arguments.find_map(|argument| device_in(&argument, 2)).map(|device| Before(HERE.replace(Some(device))));
    function.call(args, Some(kwargs))
}

/// The device of an array, or of the first one of a list of so many levels at most.
fn device_in(object: &Bound<'_, PyAny>, levels: u32) -> Option<Device> {
    if let Ok(array) = object.cast::<Array>() {
        return Some(of(&array.get().node()));
    }
    let levels = levels.checked_sub(1)?;
    if let Ok(list) = object.cast::<PyList>() {
        return list.iter().find_map(|part| device_in(&part, levels));
    }
    object.cast::<PyTuple>().ok()?.iter().find_map(|part| device_in(&part, levels))
}

/// The name of a device that is there, or of the default one.
#[pyfunction]
#[pyo3(signature = (device=None, /))]
pub fn known_device(device: Option<DeviceArgument>) -> String {
    chosen(device).to_string()
}

//! DLPack: arrays of a GPU out to and in from CuPy, PyTorch, JAX and whoever else speaks it, without a copy. Arrays of the host go
//! through NumPy's (`array.rs`, `functions/creation.rs`), which has the same memory.
//!
//! The structs are those of DLPack 1.1's header. A capsule is one consumer's; when nobody has taken it, it frees what it holds.

use crate::{array::Exported, device, errors, evaluate::computed};
use fusewire_ir::{
    dtype::{DType, Kind},
    lazy::{Device, Lazy},
    shape::Shape,
    value::{Buffer, Storage, Strides, dense_strides},
};
use fusewire_jit_gpu::{
    device::interchange::{self, Interchange, LEGACY},
    driver::Stream,
};
use fusewire_runtime::registry;
use pyo3::{
    exceptions::{PyBufferError, PyTypeError, PyValueError},
    ffi, intern,
    prelude::*,
    types::PyDict,
};
use std::{
    ffi::{CStr, c_void},
    slice,
    sync::Arc,
};

/// DLPack's numbers of devices.
pub const HOST: i32 = 1;
const CUDA: i32 = 2;
/// Nobody else has the emulator: the number for extensions.
const EXTENSION: i32 = 12;

/// The version of the capsules that say one.
const VERSION: (u32, u32) = (1, 1);
const READ_ONLY: u64 = 1;
const IS_COPIED: u64 = 2;

const PLAIN: &CStr = c"dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const USED_PLAIN: &CStr = c"used_dltensor";
const USED_VERSIONED: &CStr = c"used_dltensor_versioned";

#[repr(C)]
#[derive(Clone, Copy)]
struct Tensor {
    data: *mut c_void,
    device: (i32, i32),
    ndim: i32,
    code: u8,
    bits: u8,
    lanes: u16,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

#[repr(C)]
struct Managed {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
}

#[repr(C)]
struct ManagedVersioned {
    version: (u32, u32),
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut ManagedVersioned)>,
    flags: u64,
    tensor: Tensor,
}

/// What a consumer of ours holds on to.
struct Held {
    _memory: Arc<Exported>,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

/// DLPack's number of a device, and the device's own.
pub fn device_numbers(device: Device) -> (i32, i32) {
    match device {
        Device::Cpu => (HOST, 0),
        Device::Cuda(number) => (CUDA, number.into()),
        Device::Simt => (EXTENSION, 0),
    }
}

/// The device of DLPack's numbers, if it can be one of ours and is a GPU or stands for one.
fn gpu(numbers: (i32, i32)) -> Option<Device> {
    match numbers {
        (CUDA, number) => u8::try_from(number).ok().map(Device::Cuda),
        (EXTENSION, 0) => Some(Device::Simt),
        _ => None,
    }
}

/// The interchange of a device that is a GPU or stands for one.
pub fn interchange_of(device: Device) -> PyResult<&'static dyn Interchange> {
    let backend = registry::backend(device).map_err(errors::computing)?;
    interchange::of(&**backend).ok_or_else(|| PyBufferError::new_err(format!("{device} is no GPU")))
}

/// Lets a consumer's stream, as DLPack numbers them, come after what the array's memory waits for.
pub fn order_consumer(device: Device, storage: &dyn Storage, stream: Option<i64>) -> PyResult<()> {
    let handle = match stream {
        Some(-1) => return Ok(()),
        None => LEGACY.0,
        Some(handle @ 1..) => handle as usize,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "a stream is 1 (the legacy default), 2 (that of the thread), the address of another, or -1 for none to \
                 wait; got {other}"
            )));
        }
    };
    interchange_of(device)?.order_foreign(storage, Stream(handle)).map_err(errors::computing)
}

/// A capsule of an array that is computed, on a GPU. `copied`: nobody else has its memory.
pub fn capsule<'py>(
    py: Python<'py>,
    exported: Arc<Exported>,
    versioned: bool,
    writable: bool,
    copied: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let node = exported.0.clone();
    let buffer = computed(py, &node)?;
    let (code, bits) = element(node.dtype);
    let held = Box::new(Held {
        _memory: exported,
        shape: node.shape.iter().map(|&extent| extent as i64).collect(),
        strides: buffer.strides.iter().map(|&stride| stride as i64).collect(),
    });
    let tensor = Tensor {
        data: buffer.pointer().cast(),
        device: device_numbers(buffer.storage.device()),
        ndim: node.shape.len() as i32,
        code,
        bits,
        lanes: 1,
        shape: held.shape.as_ptr(),
        strides: held.strides.as_ptr(),
        byte_offset: 0,
    };
    let context = Box::into_raw(held).cast();
    let (managed, name, destructor): (*mut c_void, &CStr, ffi::PyCapsule_Destructor) = if versioned {
        let flags = if writable { 0 } else { READ_ONLY } | if copied { IS_COPIED } else { 0 };
        let managed = ManagedVersioned { version: VERSION, context, deleter: Some(delete_versioned), flags, tensor };
        (Box::into_raw(Box::new(managed)).cast(), VERSIONED, drop_versioned)
    } else {
        let managed = Managed { tensor, context, deleter: Some(delete_plain) };
        (Box::into_raw(Box::new(managed)).cast(), PLAIN, drop_plain)
    };
    // SAFETY: the pointer is not null, the name lives as long as the program, and the destructor takes such capsules.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(managed, name.as_ptr(), Some(destructor))) }
}

/// Frees what a consumer has held.
unsafe extern "C" fn delete_plain(managed: *mut Managed) {
    // SAFETY: `capsule` made both boxes, and the consumer calls this once.
    unsafe {
        drop(Box::from_raw((*managed).context.cast::<Held>()));
        drop(Box::from_raw(managed));
    }
}

unsafe extern "C" fn delete_versioned(managed: *mut ManagedVersioned) {
    // SAFETY: as in `delete_plain`.
    unsafe {
        drop(Box::from_raw((*managed).context.cast::<Held>()));
        drop(Box::from_raw(managed));
    }
}

/// Frees what a capsule holds that nobody has taken; one that was taken has another name.
unsafe extern "C" fn drop_plain(capsule: *mut ffi::PyObject) {
    // SAFETY: Python calls it with the capsule at its end.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, PLAIN.as_ptr()) == 1 {
            delete_plain(ffi::PyCapsule_GetPointer(capsule, PLAIN.as_ptr()).cast());
        }
    }
}

unsafe extern "C" fn drop_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: as in `drop_plain`.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, VERSIONED.as_ptr()) == 1 {
            delete_versioned(ffi::PyCapsule_GetPointer(capsule, VERSIONED.as_ptr()).cast());
        }
    }
}

/// Foreign memory, with what gives it back.
enum Taken {
    Plain(*mut Managed),
    Versioned(*mut ManagedVersioned),
}

// SAFETY: who makes a capsule lets its deleter be called by any thread.
unsafe impl Send for Taken {}
// SAFETY: nothing is done with it but dropping it.
unsafe impl Sync for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        // Deleters of others may call Python. At its end there is none any more, and all memory goes anyhow.
        let _ = Python::try_attach(|_| {
            // SAFETY: the struct is the producer's, valid until its deleter is called, which is now, once.
            unsafe {
                match *self {
                    Taken::Plain(managed) => (*managed).deleter.into_iter().for_each(|delete| delete(managed)),
                    Taken::Versioned(managed) => (*managed).deleter.into_iter().for_each(|delete| delete(managed)),
                }
            }
        });
    }
}

/// An array of somebody's who has it on a GPU, without a copy; `None` where it is elsewhere.
pub fn import(x: &Bound<'_, PyAny>, copy: Option<bool>) -> PyResult<Option<Arc<Lazy>>> {
    let py = x.py();
    let Ok(numbers) = x.call_method0(intern!(py, "__dlpack_device__")).and_then(|n| n.extract::<(i32, i32)>()) else {
        return Ok(None);
    };
    let Some(device) = gpu(numbers) else { return Ok(None) };
    match device::ready(py, device) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(error) => return Err(PyBufferError::new_err(format!("from_dlpack: {error}"))),
    }
    let here = interchange_of(device)?;
    let stream = here.stream().map_err(errors::computing)?;
    let options = PyDict::new(py);
    options.set_item(intern!(py, "stream"), stream.0)?;
    options.set_item(intern!(py, "max_version"), VERSION)?;
    options.set_item(intern!(py, "dl_device"), numbers)?;
    options.set_item(intern!(py, "copy"), copy)?;
    let dlpack = x.getattr(intern!(py, "__dlpack__"))?;
    let capsule = match dlpack.call((), Some(&options)) {
        // Who is older than 2023.12 knows only the stream.
        Err(error) if error.is_instance_of::<PyTypeError>(py) && copy != Some(true) => {
            let options = PyDict::new(py);
            options.set_item(intern!(py, "stream"), stream.0)?;
            dlpack.call((), Some(&options))?
        }
        capsule => capsule?,
    };
    let (taken, tensor, read_only) = take(&capsule)?;
    if gpu(tensor.device) != Some(device) {
        return Err(PyBufferError::new_err("from_dlpack: the memory is not where its owner says"));
    }
    adopted(here, device, &tensor, read_only, taken).map(Some)
}

fn take(capsule: &Bound<'_, PyAny>) -> PyResult<(Taken, Tensor, bool)> {
    let object = capsule.as_ptr();
    // SAFETY: the capsule is asked for its name first; a capsule of that name holds that struct, which is the consumer's who
    // renames the capsule.
    unsafe {
        if ffi::PyCapsule_IsValid(object, VERSIONED.as_ptr()) == 1 {
            let managed = ffi::PyCapsule_GetPointer(object, VERSIONED.as_ptr()).cast::<ManagedVersioned>();
            if (*managed).version.0 != VERSION.0 {
                let (major, minor) = (*managed).version;
                return Err(PyBufferError::new_err(format!("from_dlpack: DLPack {major}.{minor} is not known here")));
            }
            ffi::PyCapsule_SetName(object, USED_VERSIONED.as_ptr());
            Ok((Taken::Versioned(managed), (*managed).tensor, (*managed).flags & READ_ONLY != 0))
        } else if ffi::PyCapsule_IsValid(object, PLAIN.as_ptr()) == 1 {
            let managed = ffi::PyCapsule_GetPointer(object, PLAIN.as_ptr()).cast::<Managed>();
            ffi::PyCapsule_SetName(object, USED_PLAIN.as_ptr());
            Ok((Taken::Plain(managed), (*managed).tensor, false))
        } else {
            Err(PyBufferError::new_err("from_dlpack: __dlpack__ gave no capsule with a tensor"))
        }
    }
}

fn adopted(
    here: &dyn Interchange,
    device: Device,
    tensor: &Tensor,
    read_only: bool,
    taken: Taken,
) -> PyResult<Arc<Lazy>> {
    let dtype = dtype_of(tensor).ok_or_else(|| {
        let (code, bits, lanes) = (tensor.code, tensor.bits, tensor.lanes);
        PyTypeError::new_err(format!(
            "from_dlpack: elements of code {code}, {bits} bits, {lanes} lanes are no dtype here"
        ))
    })?;
    let rank = usize::try_from(tensor.ndim).map_err(|_| PyBufferError::new_err("from_dlpack: a negative rank"))?;
    // SAFETY: the producer gives as many extents, and as many strides if there are strides at all.
    let (shape, strides): (Shape, Strides) = unsafe {
        let list = |start: *const i64| if rank == 0 { &[][..] } else { slice::from_raw_parts(start, rank) };
        let shape: Shape = list(tensor.shape).iter().map(|&extent| extent.max(0) as usize).collect();
        let strides = match tensor.strides.is_null() {
            true => dense_strides(&shape),
            false => list(tensor.strides).iter().map(|&stride| stride as isize).collect(),
        };
        (shape, strides)
    };
    let start = tensor.data.addr() as u64 + tensor.byte_offset;
    array_at(here, device, dtype, shape, strides, start, read_only, Box::new(taken))
}

/// An array whose element `[0, 0, ...]` is at an address of somebody's.
#[expect(clippy::too_many_arguments, reason = "they are what an array is")]
pub fn array_at(
    here: &dyn Interchange,
    device: Device,
    dtype: DType,
    shape: Shape,
    strides: Strides,
    start: u64,
    read_only: bool,
    owner: interchange::Owner,
) -> PyResult<Arc<Lazy>> {
    let size = dtype.size() as i64;
    let (mut low, mut high) = (0i64, 0i64);
    for (&extent, &stride) in shape.iter().zip(&strides) {
        let reach = (extent as i64 - 1).max(0) * stride as i64 * size;
        (low, high) = (low + reach.min(0), high + reach.max(0));
    }
    let bytes = if shape.contains(&0) { 0 } else { (high - low + size) as usize };
    if bytes > 0 && !start.is_multiple_of(dtype.component().size() as u64) {
        return Err(PyBufferError::new_err(format!("memory at {start:#x} is not aligned for {}", dtype.numpy_name())));
    }
    let first = start.wrapping_add_signed(low);
    let storage = here.adopt(first, bytes, read_only, owner).map_err(errors::computing)?;
    let buffer = Buffer { storage, offset: (-low) as usize, strides };
    Ok(Lazy::computed(buffer, dtype, shape, device))
}

/// DLPack's code and bits of a dtype.
fn element(dtype: DType) -> (u8, u8) {
    let code = match dtype.kind() {
        Kind::Signed => 0,
        Kind::Unsigned => 1,
        Kind::Float if dtype == DType::BF16 => 4,
        Kind::Float => 2,
        Kind::Complex => 5,
        Kind::Bool => 6,
    };
    (code, dtype.size() as u8 * 8)
}

fn dtype_of(tensor: &Tensor) -> Option<DType> {
    let wanted = (tensor.code, tensor.bits);
    DType::ALL.iter().copied().find(|&dtype| tensor.lanes == 1 && element(dtype) == wanted)
}

const _: () = assert!(size_of::<Tensor>() == 48 && size_of::<Managed>() == 64 && size_of::<ManagedVersioned>() == 80);
const _: () = assert!(align_of::<Tensor>() == 8);

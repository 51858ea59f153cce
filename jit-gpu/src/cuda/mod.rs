//! NVIDIA's GPUs: the driver, found when the first device is asked for. A machine without one has everything else.
//!
//! `api` is the driver's side of [`crate::driver`], `status` what its numbers mean; `library` finds NVIDIA's libraries, which
//! `blas`, `blas_lt`, `solver` and `fft` call.

mod api;
mod blas;
mod blas_lt;
mod fft;
mod library;
mod solver;
mod status;

pub use api::Cuda;
pub use library::search_in;

use crate::{device::GpuBackend, ptx::Capability};
use cudarc::driver::sys::{self, CUresult};
use fusewire_runtime::error::Error;
use parking_lot::Mutex;
use status::{check, describe};
use std::sync::OnceLock;

/// A GPU of NVIDIA's as a back end.
pub type CudaBackend = GpuBackend<Cuda>;

/// The oldest driver whose CUDA runs our code, as the driver counts versions.
const OLDEST: i32 = 12_000;

/// The device of a number, or why there is none, in words that say what to do.
pub fn open(number: u8) -> Result<CudaBackend, Error> {
    let count = count()?;
    if i32::from(number) >= count {
        let known = (0..count).map(|n| format!("cuda:{n}")).collect::<Vec<_>>().join(", ");
        return Err(Error::Device(format!("NVIDIA's driver knows of no cuda:{number}, but of {known}")));
    }
    Cuda::open(number).map(GpuBackend::new)
}

/// How many GPUs there are; at least one.
pub fn count() -> Result<i32, Error> {
    static FOUND: OnceLock<Result<i32, Error>> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    if let Some(found) = FOUND.get() {
        return found.clone();
    }
    let _one = ONE.lock();
    FOUND.get_or_init(find).clone()
}

fn find() -> Result<i32, Error> {
    // SAFETY: looks for a library, and loads it to see whether it can be.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::Device(
            "no NVIDIA driver found: the library libcuda.so.1, which comes with it, cannot be loaded; install NVIDIA's driver, \
             version 525 or newer, or compute on the device \"cpu\""
                .into(),
        ));
    }
    let (mut version, mut count) = (0, 0);
    // SAFETY: these take no state and write to what they are given.
    unsafe {
        check("asking for its version", sys::cuDriverGetVersion(&raw mut version))?;
        new_enough(version)?;
        began(sys::cuInit(0))?;
        check("counting GPUs", sys::cuDeviceGetCount(&raw mut count))?;
    }
    Ok(count)
}

/// Does the driver, as it counts its versions, run our code?
fn new_enough(version: i32) -> Result<(), Error> {
    if version >= OLDEST {
        return Ok(());
    }
    Err(Error::Device(format!(
        "NVIDIA's driver is too old: it knows CUDA {}.{}, and fusewire needs CUDA 12.0; install version 525 or newer",
        version / 1000,
        version % 1000 / 10
    )))
}

/// What became of the driver's beginning.
fn began(result: CUresult) -> Result<(), Error> {
    match result {
        CUresult::CUDA_ERROR_NO_DEVICE => Err(Error::Device(
            "NVIDIA's driver finds no GPU; if there is one, look at the environment variable CUDA_VISIBLE_DEVICES, and \
             whether this process may use /dev/nvidia*"
                .into(),
        )),
        result => check("beginning", result),
    }
}

/// The code that a GPU of a compute capability gets.
fn target(name: &str, major: i32, minor: i32) -> Result<Capability, Error> {
    let target = Capability::target(major.max(0) as u32, minor.max(0) as u32);
    target.ok_or_else(|| {
        Error::Device(format!(
            "the GPU {name} has compute capability {major}.{minor}; fusewire needs 7.5 (Turing, 2018) or newer"
        ))
    })
}

/// Which device an address is on, for memory of others; `None` for what is no GPU's.
pub fn device_of(address: u64) -> Result<Option<u8>, Error> {
    count()?;
    let mut number = -1i32;
    // SAFETY: the driver has begun; it writes an int, and takes any address.
    let result = unsafe {
        sys::cuPointerGetAttribute(
            (&raw mut number).cast(),
            sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
            address,
        )
    };
    if result == CUresult::CUDA_ERROR_INVALID_VALUE {
        return Ok(None);
    }
    check("asking where memory is", result)?;
    Ok(u8::try_from(number).ok())
}

/// The driver and its GPUs in words, for reports.
pub fn report() -> String {
    match count() {
        Ok(count) => (0..count).map(|n| describe(n).unwrap_or_else(|error| error.to_string()) + "\n").collect(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a user reads.
    fn said<T>(result: Result<T, Error>) -> String {
        match result {
            Ok(_) => "nothing".into(),
            Err(Error::Device(message)) => message,
            Err(error) => panic!("{error:?} is no error of a device"),
        }
    }

    #[test]
    fn drivers_and_gpus_that_are_too_old_are_refused_with_what_would_do() {
        let expected = "NVIDIA's driver is too old: it knows CUDA 11.8, and fusewire needs CUDA 12.0; install version 525 or newer";
        assert_eq!(said(new_enough(11_080)), expected);
        assert_eq!([12_000, 12_090, 13_000].map(|version| said(new_enough(version))), ["nothing"; 3]);
        let expected = "the GPU Tesla V100 has compute capability 7.0; fusewire needs 7.5 (Turing, 2018) or newer";
        assert_eq!(said(target("Tesla V100", 7, 0)), expected);
        assert_eq!(said(target("GeForce RTX 2080", 7, 5)), "nothing");
    }

    #[test]
    fn a_driver_without_a_gpu_says_where_to_look() {
        assert_eq!(began(CUresult::CUDA_SUCCESS), Ok(()));
        let message = said(began(CUresult::CUDA_ERROR_NO_DEVICE));
        assert!(message.contains("CUDA_VISIBLE_DEVICES") && message.contains("/dev/nvidia"), "{message}");
    }
}

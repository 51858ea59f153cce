//! What the driver's numbers mean: errors that say what happened, and what is lost.

use cudarc::driver::sys::{self, CUresult};
use fusewire_runtime::error::Error;
use std::ffi::{CStr, c_char};

/// The error of a call that was made while doing something, if it is one.
pub(super) fn check(doing: &str, result: CUresult) -> Result<(), Error> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Err(Error::OutOfMemory { bytes: 0 }),
        result => {
            let (name, text) = names(result);
            Err(Error::Device(words(doing, &name, &text, is_final(result))))
        }
    }
}

/// After these the driver answers every call of the process with the same.
fn is_final(result: CUresult) -> bool {
    matches!(
        result,
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | CUresult::CUDA_ERROR_CONTAINED
            | CUresult::CUDA_ERROR_TENSOR_MEMORY_LEAK
            | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
    )
}

fn words(doing: &str, name: &str, text: &str, is_final: bool) -> String {
    let lost = "; CUDA gives up all of this process's memory on the GPU: arrays there are lost, those of the host are not. \
                Start a new process, and report the error; FUSEWIRE_SIMT=1 runs the same kernels on device=\"simt\", which says \
                what they do wrong";
    format!("NVIDIA's driver failed while {doing}: {text} ({name}){}", if is_final { lost } else { "" })
}

fn names(result: CUresult) -> (String, String) {
    let text = |ask: unsafe fn(CUresult, *mut *const c_char) -> CUresult| {
        let mut text: *const c_char = std::ptr::null();
        // SAFETY: the driver is loaded, since it gave the result; what it answers is a constant text of its own.
        unsafe {
            match ask(result, &raw mut text) {
                CUresult::CUDA_SUCCESS if !text.is_null() => CStr::from_ptr(text).to_string_lossy().into_owned(),
                _ => format!("error {}", result as u32),
            }
        }
    };
    (text(sys::cuGetErrorName), text(sys::cuGetErrorString))
}

/// A GPU in words.
pub(super) fn describe(number: i32) -> Result<String, Error> {
    let (mut device, mut name, mut bytes) = (0, [0 as c_char; 128], 0usize);
    // SAFETY: the driver has begun; it writes no more than it is told that there is room for.
    unsafe {
        check("looking for a GPU", sys::cuDeviceGet(&raw mut device, number))?;
        check("asking for its name", sys::cuDeviceGetName(name.as_mut_ptr(), 127, device))?;
        check("asking for its memory", sys::cuDeviceTotalMem_v2(&raw mut bytes, device))?;
        let name = CStr::from_ptr(name.as_ptr()).to_string_lossy();
        Ok(format!("cuda:{number}: {name}, {} MiB", bytes >> 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_no_failure_of_the_device() {
        assert_eq!(check("allocating memory", CUresult::CUDA_SUCCESS), Ok(()));
        let refused = check("allocating memory", CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        assert_eq!(refused, Err(Error::OutOfMemory { bytes: 0 }));
    }

    /// A kernel that goes wrong takes the process's memory on the GPU along; what the driver refuses takes nothing.
    #[test]
    fn errors_say_what_is_lost() {
        for result in [
            CUresult::CUDA_ERROR_ILLEGAL_ADDRESS,
            CUresult::CUDA_ERROR_LAUNCH_FAILED,
            CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
            CUresult::CUDA_ERROR_ECC_UNCORRECTABLE,
        ] {
            assert!(is_final(result), "{result:?}");
        }
        for result in [
            CUresult::CUDA_ERROR_INVALID_VALUE,
            CUresult::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
            CUresult::CUDA_ERROR_INVALID_PTX,
            CUresult::CUDA_ERROR_NOT_READY,
        ] {
            assert!(!is_final(result), "{result:?}");
        }
        let fault = words("computing", "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered", true);
        assert!(fault.starts_with(
            "NVIDIA's driver failed while computing: an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS); "
        ));
        for advice in ["arrays there are lost", "Start a new process", "FUSEWIRE_SIMT=1"] {
            assert!(fault.contains(advice), "{fault}");
        }
        let refused = words("launching sum", "CUDA_ERROR_INVALID_VALUE", "invalid argument", false);
        assert_eq!(refused, "NVIDIA's driver failed while launching sum: invalid argument (CUDA_ERROR_INVALID_VALUE)");
    }
}

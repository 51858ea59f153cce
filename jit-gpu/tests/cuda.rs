//! NVIDIA's driver where there is none: errors that say what to do. With a GPU, the same checks hold it to what it has.

use fusewire_ir::lazy::Device;
use fusewire_jit_gpu::{cuda, driver::Driver};
use fusewire_runtime::{error::Error, pool::Memory};

#[test]
fn a_device_is_opened_or_the_error_says_what_to_do() {
    match (cuda::count(), cuda::open(0)) {
        (Ok(count), Ok(device)) => {
            assert!(count > 0);
            assert_eq!(device.driver().device(), Device::Cuda(0));
            let (free, total) = device.of_device().expect("it says").expect("it has memory of its own");
            assert!(free <= total && total > 0);
        }
        (Err(Error::Device(count)), Err(Error::Device(open))) => {
            assert_eq!(count, open, "both say the same");
            assert!(["install", "CUDA_VISIBLE_DEVICES"].iter().any(|advice| open.contains(advice)), "{open}");
        }
        (count, open) => panic!("{count:?}, {open:?}"),
    }
}

#[test]
fn a_number_beyond_the_devices_is_named_with_those_that_there_are() {
    let Err(Error::Device(message)) = cuda::open(255) else { panic!("there are not so many") };
    match cuda::count() {
        Ok(_) => assert!(message.contains("no cuda:255, but of cuda:0"), "{message}"),
        Err(error) => assert_eq!(message, error.to_string()),
    }
    assert!(!cuda::report().is_empty());
}

//! Writing elements to computed places on the emulator: of several for one place the last stays, whoever is first.

use fusewire_ir::{dtype::DType, value::dense_strides};
use fusewire_jit_gpu::simt::{Emulator, SimtBackend};
use fusewire_runtime::backend::{ArrayView, Backend};

/// Elements of so many bytes, written to places; those of elements and places are dense unless a stride says otherwise.
fn check(dtype: DType, places: &[i64], all: usize, stride: isize) {
    let backend = SimtBackend::new(Emulator::default().finding_races());
    let size = dtype.size();
    let uploaded = |bytes: &[u8]| {
        let storage = backend.allocate(bytes.len()).expect("there is memory");
        // SAFETY: both are so many bytes, and nobody else uses them.
        unsafe { backend.upload(bytes.as_ptr(), storage.pointer(), bytes.len()).expect("it is uploaded") };
        storage
    };
    let mut expected: Vec<u8> = (0..all * size).map(|i| i as u8).collect();
    let elements: Vec<u8> = (0..places.len().max(1) * size).map(|i| (i * 7 + i / 256) as u8 ^ 0x5a).collect();
    let (to, at, from) = (
        uploaded(&expected),
        uploaded(&places.iter().flat_map(|place| place.to_le_bytes()).collect::<Vec<u8>>()),
        uploaded(&elements),
    );
    for (number, &place) in places.iter().enumerate() {
        if let Some(place) = usize::try_from(place).ok().filter(|&place| place < all) {
            let element = number * stride as usize * size;
            expected[place * size..][..size].copy_from_slice(&elements[element..][..size]);
        }
    }
    let (shape, count) = ([all], [places.len()]);
    let view = |pointer, shape, strides| ArrayView { dtype, pointer, shape, strides };
    // SAFETY: the arrays have been allocated.
    let done = unsafe {
        backend.put(
            &view(to.pointer(), &shape, &dense_strides(&shape)),
            &ArrayView { dtype: DType::I64, ..view(at.pointer(), &count, &dense_strides(&count)) },
            &view(from.pointer(), &count, &[stride]),
        )
    };
    assert_eq!(done, Ok(true));
    let mut got = vec![0; all * size];
    // SAFETY: both are so many bytes.
    unsafe { backend.download(to.pointer(), got.as_mut_ptr(), got.len()).expect("it is downloaded") };
    assert!(got == expected, "{dtype:?}, {} places of {all}, stride {stride}", places.len());
}

#[test]
fn the_last_element_of_each_place_stays() {
    let many: Vec<i64> = (0..1000).map(|i| (i * i * 7919) % 300).collect();
    let apart: Vec<i64> = (0..300).map(|i| (i * 7) % 300).collect();
    for dtype in [DType::Bool, DType::I16, DType::F16, DType::F32, DType::I64, DType::C64, DType::C128] {
        check(dtype, &many, 300, 1);
        check(dtype, &apart, 300, 1);
        check(dtype, &[2, 2, 2, 0], 3, 0);
    }
}

#[test]
fn places_outside_are_left_out() {
    check(DType::F64, &[5, -1, 99, 3, i64::MIN, i64::MAX], 6, 1);
    check(DType::F64, &[], 6, 1);
}

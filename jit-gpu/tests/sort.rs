//! Sorting on the emulator, by the functions that GPUs run, against the standard library's stable sort of the elements' bits.

use fusewire_ir::{
    dtype::{DType, Kind},
    routine::Routine,
    scalar::Scalar,
    value::{Storage, dense_strides},
};
use fusewire_jit_gpu::simt::{Emulator, SimtBackend};
use fusewire_runtime::backend::{ArrayView, Backend, LibraryCall};
use std::{cmp::Ordering, sync::Arc};

/// Which comes first: NaN last, and zeros of both signs are equal.
fn order(dtype: DType, a: u64, b: u64, descending: bool) -> Ordering {
    let (x, y) = (Scalar::from_bits(dtype, a), Scalar::from_bits(dtype, b));
    let ascending = match dtype.kind() {
        Kind::Float => match (x.as_f64(), y.as_f64()) {
            (x, y) if x.is_nan() || y.is_nan() => return x.is_nan().cmp(&y.is_nan()),
            (x, y) => x.partial_cmp(&y).expect("numbers"),
        },
        Kind::Signed => x.as_i64().cmp(&y.as_i64()),
        Kind::Bool | Kind::Unsigned => a.cmp(&b),
        Kind::Complex => unreachable!("complex numbers have no order"),
    };
    if descending { ascending.reverse() } else { ascending }
}

/// Elements of all kinds: few different ones, any bits, infinities, NaN of several payloads, zeros of both signs.
fn elements(dtype: DType, count: usize) -> Vec<u64> {
    let mut state = count as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mask = if dtype.size() == 8 { u64::MAX } else { (1 << (8 * dtype.size())) - 1 };
    let sign = 1u64 << (8 * dtype.size() - 1);
    let one = |_| match (dtype, random() % 6) {
        (DType::Bool, _) => random() % 2,
        (_, 0) => random() % 3,
        (_, 1) => sign | (random() % 3),
        (_, 2) if dtype.is_float() => Scalar::from_f64(dtype, f64::INFINITY).bits() | (random() % 3),
        (_, 3) if dtype.is_float() => sign | Scalar::from_f64(dtype, f64::INFINITY).bits() | (random() % 3),
        _ => random() & mask,
    };
    (0..count).map(one).collect()
}

fn uploaded(backend: &SimtBackend, elements: &[u64], size: usize) -> Arc<dyn Storage> {
    let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()[..size].to_vec()).collect();
    let storage = backend.allocate(bytes.len()).expect("there is memory");
    // SAFETY: both are so many bytes, and nobody else uses them.
    unsafe { backend.upload(bytes.as_ptr(), storage.pointer(), bytes.len()).expect("it is uploaded") };
    storage
}

fn downloaded(backend: &SimtBackend, storage: &Arc<dyn Storage>, count: usize, size: usize) -> Vec<u64> {
    let mut bytes = vec![0; count * size];
    // SAFETY: as above.
    unsafe { backend.download(storage.pointer(), bytes.as_mut_ptr(), bytes.len()).expect("it is downloaded") };
    let element = |chunk: &[u8]| {
        let mut bits = [0; 8];
        bits[..size].copy_from_slice(chunk);
        u64::from_le_bytes(bits)
    };
    bytes.chunks(size).map(element).collect()
}

/// Sorts rows on the emulator, and compares both results. The strides are of a view into the elements.
fn check(backend: &SimtBackend, dtype: DType, shape: [usize; 2], strides: [isize; 2], all: &[u64]) {
    let size = dtype.size();
    let memory = uploaded(backend, all, size);
    let operand = ArrayView { dtype, pointer: memory.pointer(), shape: &shape, strides: &strides };
    let total = shape[0] * shape[1];
    for descending in [false, true] {
        let (mut sorted, mut positions) = (Vec::new(), Vec::new());
        for row in 0..shape[0] {
            let element = |i: usize| all[row * strides[0] as usize + i * strides[1] as usize];
            let mut order_of: Vec<usize> = (0..shape[1]).collect();
            order_of.sort_by(|&a, &b| order(dtype, element(a), element(b), descending));
            sorted.extend(order_of.iter().map(|&i| element(i)));
            positions.extend(order_of.iter().map(|&i| i as u64));
        }
        for (routine, dtype, expected) in
            [(Routine::Sort { descending }, dtype, sorted), (Routine::Argsort { descending }, DType::I64, positions)]
        {
            let to = backend.allocate(total * dtype.size()).expect("there is memory");
            let strides = dense_strides(&shape);
            let destination = ArrayView { dtype, pointer: to.pointer(), shape: &shape, strides: &strides };
            let call = LibraryCall { routine, operands: &[operand], destination, interrupted: &|| false };
            backend.call(&call).expect("it sorts");
            let got = downloaded(backend, &to, total, dtype.size());
            let name = routine.name();
            let wrong = (0..total).find(|&i| got[i] != expected[i]);
            assert_eq!(wrong, None, "{name} of {shape:?} {:?}", operand.dtype);
        }
    }
}

#[test]
fn rows_of_any_length_and_dtype_are_sorted_stably() {
    let backend = SimtBackend::new(Emulator::default().finding_races());
    for dtype in DType::ALL.into_iter().filter(|dtype| !dtype.is_complex()) {
        for shape in [[1, 1], [3, 1], [1, 2], [700, 3], [19, 150], [5, 127], [2, 1000], [1, 1024], [3, 1025], [2, 2500]]
        {
            let count = shape[0] * shape[1];
            check(&backend, dtype, shape, [shape[1] as isize, 1], &elements(dtype, count));
        }
    }
}

#[test]
fn long_rows_have_parts_of_many_tiles() {
    let backend = SimtBackend::new(Emulator::default().finding_races());
    for dtype in [DType::U8, DType::F16, DType::F32] {
        check(&backend, dtype, [2, 70_000], [70_000, 1], &elements(dtype, 140_000));
    }
}

/// Digits that all elements have in common are left out, whichever they are.
#[test]
fn many_elements_of_few_values_are_sorted() {
    let backend = SimtBackend::new(Emulator::default().finding_races());
    let count = 9000;
    let made = |value: fn(u64) -> u64| -> Vec<u64> { (0..2 * count).map(|i| value(i * 7919 % 10_007)).collect() };
    for (dtype, elements) in [
        (DType::I64, made(|x| x)),
        (DType::I64, made(|x| x.wrapping_sub(5000))),
        (DType::U64, made(|x| x << 40 | 77)),
        (DType::I32, made(|x| x % 3)),
        (DType::F64, made(|x| ((x % 1000) as f64).to_bits())),
        (DType::F32, made(|x| u64::from((-((x % 16) as f32)).to_bits()))),
        (DType::I64, made(|_| 5)),
    ] {
        check(&backend, dtype, [2, count as usize], [count as isize, 1], &elements);
    }
}

#[test]
fn arrays_that_lie_anyhow_and_equal_elements_are_sorted() {
    let backend = SimtBackend::new(Emulator::default().finding_races());
    check(&backend, DType::F32, [7, 40], [1, 7], &elements(DType::F32, 280));
    check(&backend, DType::I64, [3, 30], [0, 2], &elements(DType::I64, 60));
    check(&backend, DType::F64, [1, 3000], [3000, 1], &[f64::NAN.to_bits(); 3000]);
    check(&backend, DType::I32, [1, 3000], [3000, 1], &[7; 3000]);
}

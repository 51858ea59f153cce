//! Runs a kernel on the emulator and through the kernel interpreter, and compares every element bit for bit.
#![allow(dead_code, reason = "each test uses a part")]

use fusewire_ir::{dtype::DType, scalar::Scalar, value::Storage};
use fusewire_jit_gpu::simt::{Emulator, SimtBackend};
use fusewire_lowering::{
    interp::{self, TypedBuffer},
    ints::evaluate_ints,
    kernel::{Kernel, Role},
    text, verify,
};
use fusewire_runtime::{
    backend::{Backend, Launch},
    error::Error,
};
use std::sync::Arc;

/// The elements' bytes.
fn bytes(buffer: &TypedBuffer) -> Vec<u8> {
    let size = buffer.dtype.size();
    buffer.elements.iter().flat_map(|element| element.to_le_bytes()[..size].to_vec()).collect()
}

/// Which NaN it is may differ.
fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype().is_float() && a.as_f64().is_nan() && b.as_f64().is_nan())
}

/// Runs a kernel on the emulator; what its buffers are afterwards. Outputs and temporaries are unwritten before.
pub fn emulate(
    kernel: &Kernel,
    start: &[TypedBuffer],
    symbols: &[i64],
    params: &[Scalar],
) -> Result<Vec<Option<Vec<Scalar>>>, Error> {
    let strides: Vec<&[i64]> = start.iter().map(|b| b.strides.as_slice()).collect();
    let ints = evaluate_ints(&kernel.ints, symbols, |b, axis| strides[b.0 as usize][axis as usize]);
    let params: Vec<u64> = params.iter().map(|p| p.bits()).collect();
    let backend = SimtBackend::new(Emulator::default().finding_races());
    let executable = backend.compile(kernel)?;
    let mut memory: Vec<Arc<dyn Storage>> = Vec::new();
    let mut buffers: Vec<*mut u8> = Vec::new();
    for (buffer, declaration) in start.iter().zip(&kernel.buffers) {
        let bytes = bytes(buffer);
        let storage = backend.allocate(bytes.len())?;
        if declaration.role == Role::Input {
            // SAFETY: both are so many bytes, and nobody else uses them.
            unsafe { backend.upload(bytes.as_ptr(), storage.pointer(), bytes.len())? };
        }
        buffers.push(match declaration.role {
            Role::Scratch => std::ptr::null_mut(),
            _ => storage.pointer().wrapping_add(buffer.origin * buffer.dtype.size()),
        });
        memory.push(storage);
    }
    let launch = Launch { buffers: &buffers, ints: &ints, params: &params, bytes: 0, interrupted: &|| false };
    backend.launch(executable.as_ref(), &launch)?;
    let mut results = Vec::new();
    for (storage, (buffer, declaration)) in memory.iter().zip(start.iter().zip(&kernel.buffers)) {
        let mut bytes = bytes(buffer);
        // SAFETY: as above.
        unsafe { backend.download(storage.pointer(), bytes.as_mut_ptr(), bytes.len())? };
        let element = |chunk: &[u8]| {
            let mut bits = [0; 8];
            bits[..chunk.len()].copy_from_slice(chunk);
            Scalar::from_bits(buffer.dtype, u64::from_le_bytes(bits))
        };
        let elements = bytes.chunks(buffer.dtype.size()).map(element).collect();
        results.push((declaration.role != Role::Scratch).then_some(elements));
    }
    Ok(results)
}

/// Emulated and interpreted, the kernel writes the same bits.
pub fn agree(kernel: &Kernel, inputs: &[TypedBuffer], symbols: &[i64], params: &[Scalar]) {
    if let Err(message) = verify::verify_lowered(kernel) {
        panic!("{message}\n{}", text::print(kernel));
    }
    let start = interp::allocate(kernel, inputs, symbols).expect("the inputs fit");
    let mut expected = start.clone();
    interp::run(kernel, &mut expected, symbols, params).expect("the kernel runs");
    let got = match emulate(kernel, &start, symbols, params) {
        Ok(got) => got,
        Err(error) => panic!("{error}\n{}", text::print(kernel)),
    };
    for (index, (got, want)) in got.iter().zip(&expected).enumerate() {
        let Some(got) = got else { continue };
        for (i, (&g, &w)) in got.iter().zip(&want.scalars()).enumerate() {
            assert!(same(g, w), "b{index}[{i}] is {g:?}, the interpreter has {w:?}\n{}", text::print(kernel));
        }
    }
}

/// Values of every magnitude, so that another order of a sum gives other bits.
pub fn values(dtype: DType, n: usize) -> TypedBuffer {
    let mut state = n as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 11
    };
    let scalars = (0..n).map(|_| match dtype {
        DType::F32 | DType::F64 => {
            let scale = 2f64.powi((next() % 24) as i32 - 12);
            Scalar::from_f64(dtype, (next() as f64 * 2f64.powi(-52) - 1.0) * scale)
        }
        _ => Scalar::from_i64(dtype, next() as i64 % 97 - 48),
    });
    TypedBuffer::new(dtype, scalars.collect::<Vec<_>>())
}

//! Runs a kernel compiled and interpreted on the same memory and compares every element bit for bit. The compiled one runs
//! with guard bytes around its buffers, on one thread and on several, whole and in the smallest chunks.
#![allow(dead_code, reason = "each test uses a part")]

use fusewire_ir::{dtype::DType, scalar::Scalar, shape::SymId};
use fusewire_jit_cpu::{CpuBackend, Tier};
use fusewire_lowering::{
    builder::KernelBuilder,
    interp::{self, TypedBuffer},
    ints::evaluate_ints,
    kernel::{IntId, Kernel, Role},
    text, verify,
};
use fusewire_runtime::backend::{Backend, Launch};
use std::cell::Cell;

const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xA5;

/// The elements of a typed buffer in real memory, aligned as the engine's is.
struct Memory {
    bytes: Vec<u8>,
    size: usize,
    /// Bytes before the first element.
    begin: usize,
}

impl Memory {
    fn new(buffer: &TypedBuffer) -> Memory {
        let size = buffer.dtype.size();
        let mut bytes: Vec<u8> = Vec::with_capacity(buffer.elements.len() * size + 3 * GUARD);
        let begin = GUARD + bytes.as_ptr().align_offset(GUARD);
        bytes.resize(begin, GUARD_BYTE);
        for element in &buffer.elements {
            bytes.extend_from_slice(&element.to_le_bytes()[..size]);
        }
        bytes.extend_from_slice(&[GUARD_BYTE; GUARD]);
        Memory { bytes, size, begin }
    }

    fn pointer(&mut self, origin: usize) -> *mut u8 {
        self.bytes[self.begin..].as_mut_ptr().wrapping_add(origin * self.size)
    }

    fn elements(&self, dtype: DType) -> Vec<Scalar> {
        let inside = &self.bytes[self.begin..self.bytes.len() - GUARD];
        assert!(
            self.bytes[..self.begin].iter().chain(&self.bytes[self.bytes.len() - GUARD..]).all(|&b| b == GUARD_BYTE)
        );
        inside
            .chunks(self.size)
            .map(|chunk| {
                let mut bits = [0; 8];
                bits[..self.size].copy_from_slice(chunk);
                let bits = u64::from_le_bytes(bits);
                assert!(dtype != DType::Bool || bits < 2, "a bool is 0 or 1");
                Scalar::from_bits(dtype, bits)
            })
            .collect()
    }
}

thread_local! {
    /// Of how many kernels one is compiled by LLVM too, which takes ten times as long as Cranelift.
    static LLVM_EVERY: Cell<u32> = const { Cell::new(1) };
    static KERNELS: Cell<u32> = const { Cell::new(0) };
}

/// For tests of thousands of kernels: this test's thread lets LLVM compile one of so many.
pub fn llvm_every(kernels: u32) {
    LLVM_EVERY.set(kernels);
}

/// Which NaN it is may differ.
fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype().is_float() && a.as_f64().is_nan() && b.as_f64().is_nan())
}

/// Compiled and interpreted, the kernel writes the same bits.
pub fn agree(kernel: &Kernel, inputs: &[TypedBuffer], symbols: &[i64], params: &[Scalar]) {
    if let Err(message) = verify::verify_lowered(kernel) {
        panic!("{message}\n{}", text::print(kernel));
    }
    let mut expected = interp::allocate(kernel, inputs, symbols).expect("the inputs fit");
    let start = expected.clone();
    interp::run(kernel, &mut expected, symbols, params).expect("the kernel runs");

    let strides: Vec<&[i64]> = start.iter().map(|b| b.strides.as_slice()).collect();
    let ints = evaluate_ints(&kernel.ints, symbols, |b, axis| strides[b.0 as usize][axis as usize]);
    let params: Vec<u64> = params.iter().map(|p| p.bits()).collect();
    // As little and as much data; much is stored past the caches by LLVM's code.
    let mut runs: Vec<(usize, &[u64], Tier)> = vec![(1, &[0], Tier::Cranelift), (3, &[1 << 40], Tier::Cranelift)];
    KERNELS.set(KERNELS.get() + 1);
    if KERNELS.get().is_multiple_of(LLVM_EVERY.get()) {
        runs.push((1, &[0, 1 << 40], Tier::Llvm));
    }
    for (threads, amounts, tier) in runs {
        let backend = CpuBackend::new(Some(threads)).with_tier(tier);
        let executable = match backend.compile(kernel) {
            Ok(executable) => executable,
            Err(error) => panic!("{error}\n{}", text::print(kernel)),
        };
        for &bytes in amounts {
            let mut memory: Vec<Memory> = start.iter().map(Memory::new).collect();
            let buffers: Vec<*mut u8> = memory
                .iter_mut()
                .zip(&start)
                .zip(&kernel.buffers)
                .map(|((m, b), declaration)| match declaration.role {
                    Role::Scratch => std::ptr::null_mut(),
                    _ => m.pointer(b.origin),
                })
                .collect();
            let launch = Launch { buffers: &buffers, ints: &ints, params: &params, bytes, interrupted: &|| false };
            backend.launch(executable.as_ref(), &launch).expect("the launch ends");
            for (index, (got, want)) in memory.iter().zip(&expected).enumerate() {
                if kernel.buffers[index].role == Role::Scratch {
                    continue;
                }
                let got = got.elements(want.dtype);
                for (i, (&g, &w)) in got.iter().zip(&want.scalars()).enumerate() {
                    assert!(
                        same(g, w),
                        "b{index}[{i}] is {g:?}, the interpreter has {w:?}, {threads} threads, {tier:?}\n{}",
                        text::print(kernel)
                    );
                }
            }
        }
    }
}

/// The symbol's integer.
pub fn symbol(k: &mut KernelBuilder, number: u32) -> IntId {
    k.sym(SymId(number))
}

/// A small deterministic generator (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A float of every magnitude, or an integer small or large.
    pub fn scalar(&mut self, dtype: DType) -> Scalar {
        let bits = self.next();
        match dtype {
            DType::F32 | DType::F64 if bits & 3 == 0 => Scalar::from_bits(dtype, self.next()),
            DType::F32 | DType::F64 => {
                let scale = 2f64.powi((self.next() % 40) as i32 - 20);
                Scalar::from_f64(dtype, (self.next() as i64 as f64) * 2f64.powi(-63) * scale)
            }
            _ if bits & 1 == 0 => Scalar::from_i64(dtype, (self.next() % 17) as i64 - 8),
            _ => Scalar::from_bits(dtype, if dtype == DType::Bool { self.next() & 1 } else { self.next() }),
        }
    }
}

/// Values where something special happens.
pub fn edges(dtype: DType) -> Vec<Scalar> {
    let bits = dtype.bits();
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 | DType::F64 => {
            let mut values =
                vec![0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.7, -3.7, 1e-300, 1e-40, 255.9, -1.1, 1e30];
            values.extend([f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
            for exponent in [7, 8, 15, 16, 31, 32, 63, 64] {
                let power = 2f64.powi(exponent);
                values.extend([power, -power, power - 1.0, -power - 1.0, power * (1.0 - 2f64.powi(-24))]);
            }
            values.into_iter().map(|v| Scalar::from_f64(dtype, v)).collect()
        }
        _ => {
            let mut values: Vec<i64> = vec![0, 1, 2, 3, 7, -1, -2, -7, 5];
            values.extend([i64::from(bits) - 1, i64::from(bits), i64::from(bits) + 1]);
            let mut values: Vec<Scalar> = values.into_iter().map(|v| Scalar::from_i64(dtype, v)).collect();
            for shift in [bits - 1, bits - 2] {
                values.push(Scalar::from_bits(dtype, 1 << shift));
                values.push(Scalar::from_bits(dtype, (1 << shift) - 1));
            }
            values
        }
    }
}

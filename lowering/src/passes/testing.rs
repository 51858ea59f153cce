//! How the tests of the passes compare kernels: both run in the interpreter on the same random inputs.

use crate::{
    interp::{TypedBuffer, allocate, run},
    kernel::{IntExpr, Kernel, Role},
    pass::{find, run_pass},
    text::{parse, print},
    verify::verify,
};
use fusewire_ir::{dtype::DType, scalar::Scalar};

/// The kernel of a text, and what these passes make of it. The result is verified and survives printing and parsing.
pub(crate) fn run_named(text: &str, passes: &[&str]) -> (Kernel, Kernel) {
    let before = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&before).unwrap();
    let mut after = before.clone();
    for name in passes {
        run_pass(find(name).unwrap_or_else(|| panic!("no pass {name}")), &mut after);
        verify(&after).unwrap_or_else(|e| panic!("after {name}: {e}\n{}", print(&after)));
    }
    assert_eq!(parse(&print(&after)).unwrap_or_else(|e| panic!("{e}\n{}", print(&after))), after);
    (before, after)
}

/// Runs both kernels with these symbols on inputs of random elements, and compares their outputs: bit for bit, or floats
/// to a tolerance, relative to values above 1. Strides of inputs are those of dense arrays of the first symbols, as far as kernels ask.
pub(crate) fn assert_same_results(before: &Kernel, after: &Kernel, symbols: &[i64], tolerance: f64) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let inputs: Vec<TypedBuffer> = before
        .buffers
        .iter()
        .enumerate()
        .filter(|(_, b)| b.role == Role::Input)
        .map(|(i, b)| {
            let axes = before.ints.iter().filter_map(|e| match e {
                IntExpr::Stride { buffer, axis } if buffer.0 as usize == i => Some(*axis as usize + 1),
                _ => None,
            });
            let axes = axes.max().unwrap_or(0);
            // Every other element of rows with gaps, so that strides are neither 1 nor products of extents.
            let strides: Vec<i64> =
                (0..axes).map(|a| 2 + 3 * (axes - 1 - a) as i64 * symbols.iter().max().unwrap_or(&1)).collect();
            TypedBuffer::new(b.dtype, (0..20_000).map(|_| random.scalar(b.dtype))).strided(0, &strides)
        })
        .collect();
    let params: Vec<Scalar> = before.params.iter().map(|&dtype| random.scalar(dtype)).collect();
    let outputs = |kernel: &Kernel| -> Vec<Vec<Scalar>> {
        let mut buffers = allocate(kernel, &inputs, symbols).unwrap();
        run(kernel, &mut buffers, symbols, &params).unwrap_or_else(|e| panic!("{e}\n{}", print(kernel)));
        kernel
            .buffers
            .iter()
            .zip(&buffers)
            .filter(|(decl, _)| decl.role == Role::Output)
            .map(|(_, buffer)| {
                assert_eq!(buffer.unwritten_count(), 0, "elements are not written\n{}", print(kernel));
                buffer.scalars()
            })
            .collect()
    };
    for (i, (wanted, got)) in outputs(before).into_iter().zip(outputs(after)).enumerate() {
        assert_eq!(wanted.len(), got.len());
        for (j, (w, g)) in wanted.into_iter().zip(got).enumerate() {
            let close = w.dtype().is_float()
                && (w.as_f64() - g.as_f64()).abs() <= tolerance * w.as_f64().abs().max(g.as_f64().abs()).max(1.0);
            assert!(
                w == g || close,
                "output {i}, element {j}: {} became {}\n{}\n{}",
                w.as_f64(),
                g.as_f64(),
                print(before),
                print(after)
            );
        }
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Floats from -2 to 2, integers from the lowest 6 bits.
    fn scalar(&mut self, dtype: DType) -> Scalar {
        let bits = self.next() >> 40;
        if dtype.is_float() {
            Scalar::from_f64(dtype, bits as f64 / (1u64 << 22) as f64 - 2.0)
        } else {
            Scalar::from_bits(dtype, bits & 0x3f)
        }
    }
}

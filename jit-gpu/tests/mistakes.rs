//! What the emulator finds: kernels that reach outside of their buffers, and kernels that read what nobody has written. The
//! kernels are broken on purpose, which the verifier cannot see.

mod support;

use fusewire_ir::{dtype::DType, shape::SymId};
use fusewire_lowering::{
    builder::KernelBuilder,
    interp,
    kernel::{Affine, Kernel, LoopKind, Range, Role},
};
use support::{emulate, values};

/// `out[i] = b0[i + distance]`, and `out` is `i0` elements long, of which the first `i1` are written.
fn copied(distance: i64, kind: LoopKind) -> Kernel {
    let mut k = KernelBuilder::new("copied");
    let (n, written, distance) = (k.sym(SymId(0)), k.sym(SymId(1)), k.int_const(distance));
    let input = k.buffer(DType::F32, Role::Input, None);
    let out = k.buffer(DType::F32, Role::Output, Some(n));
    k.begin_phase(&[]);
    let var = k.begin_loop(Range::Full(written), kind);
    let value = k.load(input, Affine::of(var).at(distance));
    k.store(out, Affine::of(var), value);
    k.end_loop();
    k.end_phase();
    k.finish()
}

const KINDS: [LoopKind; 2] = [LoopKind::Serial, LoopKind::Vector { lanes: 4 }];

/// What the emulator says of a kernel on an input of ten elements.
fn said(kernel: &Kernel, symbols: &[i64]) -> String {
    let start = interp::allocate(kernel, &[values(DType::F32, 10)], symbols).expect("the input fits");
    emulate(kernel, &start, symbols, &[]).map(|_| ()).expect_err("the kernel has a mistake").to_string()
}

#[test]
fn accesses_outside_of_a_buffer_are_found() {
    for kind in KINDS {
        let message = said(&copied(1, kind), &[10, 10]);
        assert!(message.contains("kernel copied, block 0 of 1: thread"), "{message}");
        assert!(message.contains("reads outside of what it was given: 4 bytes of device memory"), "{message}");
        let message = said(&copied(-1, kind), &[10, 10]);
        assert!(message.contains("thread 0 reads outside"), "{message}");
        let message = said(&copied(0, kind), &[9, 10]);
        assert!(message.contains("writes outside"), "{message}");
    }
}

/// `scratch[i] = b0[i]` for some, then `out[i] = scratch[i]` for all. `length` decides whether scratch is shared memory.
fn through_scratch(shared: bool) -> Kernel {
    let mut k = KernelBuilder::new("through_scratch");
    let (n, written) = (k.sym(SymId(0)), k.sym(SymId(1)));
    let length = if shared { k.int_const(10) } else { n };
    let input = k.buffer(DType::F32, Role::Input, None);
    let out = k.buffer(DType::F32, Role::Output, Some(n));
    let scratch = k.buffer(DType::F32, Role::Scratch, Some(length));
    k.begin_phase(&[]);
    let first = k.begin_loop(Range::Full(written), LoopKind::Vector { lanes: 4 });
    let value = k.load(input, Affine::of(first));
    k.store(scratch, Affine::of(first), value);
    k.end_loop();
    let second = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 4 });
    let value = k.load(scratch, Affine::of(second));
    k.store(out, Affine::of(second), value);
    k.end_loop();
    k.end_phase();
    k.finish()
}

#[test]
fn reads_of_what_nobody_wrote_are_found() {
    for (shared, memory) in [(true, "shared"), (false, "device")] {
        let message = said(&through_scratch(shared), &[10, 7]);
        let wanted = format!("thread 7 reads what nobody has written: 4 bytes of {memory} memory");
        assert!(message.contains(&wanted), "{message}");
    }
}

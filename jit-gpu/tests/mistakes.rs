//! What the emulator finds: kernels that reach outside of their buffers, kernels that read what nobody has written, and threads
//! that use what another one writes without waiting for it. The kernels are broken on purpose, which the verifier cannot see.

mod support;

use fusewire_ir::{dtype::DType, shape::SymId};
use fusewire_jit_gpu::simt::SimtBackend;
use fusewire_lowering::{
    builder::KernelBuilder,
    interp,
    ints::evaluate_ints,
    kernel::{Affine, Coefficient, Kernel, LoopKind, Range, Role},
};
use fusewire_runtime::{
    backend::{Backend, Launch},
    error::Error,
    pool::Memory,
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

/// What the emulator says of a kernel on an input of so many elements.
fn said(kernel: &Kernel, length: usize, symbols: &[i64]) -> String {
    let start = interp::allocate(kernel, &[values(DType::F32, length)], symbols).expect("the input fits");
    emulate(kernel, &start, symbols, &[]).map(|_| ()).expect_err("the kernel has a mistake").to_string()
}

#[test]
fn accesses_outside_of_a_buffer_are_found() {
    for kind in KINDS {
        let message = said(&copied(1, kind), 10, &[10, 10]);
        assert!(message.contains("kernel copied, block 0 of 1: thread"), "{message}");
        assert!(message.contains("reads outside of what it was given: 4 bytes of device memory"), "{message}");
        let message = said(&copied(-1, kind), 10, &[10, 10]);
        assert!(message.contains("thread 0 reads outside"), "{message}");
        let message = said(&copied(0, kind), 10, &[9, 10]);
        assert!(message.contains("writes outside"), "{message}");
    }
}

#[test]
fn a_launch_that_fails_loses_no_other_array() {
    let backend = SimtBackend::default();
    let numbers: Vec<f32> = (0..10).map(|i| i as f32).collect();
    let (from, to) = (backend.allocate(40).expect("there is memory"), backend.allocate(40).expect("there is memory"));
    // SAFETY: both are forty bytes.
    unsafe { backend.upload(numbers.as_ptr().cast(), from.pointer(), 40).expect("it is uploaded") };
    let launch = |kernel: &Kernel| {
        let ints = evaluate_ints(&kernel.ints, &[10, 10], |_, _| 1);
        let buffers = [from.pointer(), to.pointer()];
        let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes: 80, interrupted: &|| false };
        backend.launch(&*backend.compile(kernel)?, &launch)
    };
    let (good, bad) = (copied(0, LoopKind::Serial), copied(1, LoopKind::Serial));
    let before = backend.figures().allocated;
    for _ in 0..3 {
        let failed = launch(&bad);
        assert!(matches!(&failed, Err(Error::Device(message)) if message.contains("kernel copied")), "{failed:?}");
        assert_eq!(launch(&good), Ok(()));
        for storage in [&from, &to] {
            let mut found = vec![0f32; 10];
            // SAFETY: as above.
            unsafe { backend.download(storage.pointer(), found.as_mut_ptr().cast(), 40).expect("it is downloaded") };
            assert_eq!(found, numbers);
        }
    }
    assert_eq!(backend.figures().allocated, before);
}

/// `scratch[i] = b0[i]` for some, then `out[i] = scratch[i]` for all.
fn through_scratch() -> Kernel {
    let mut k = KernelBuilder::new("through_scratch");
    let (n, written) = (k.sym(SymId(0)), k.sym(SymId(1)));
    let input = k.buffer(DType::F32, Role::Input, None);
    let out = k.buffer(DType::F32, Role::Output, Some(n));
    let scratch = k.buffer(DType::F32, Role::Scratch, Some(n));
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
    // Longer rows of scratch than there is shared memory for lie in device memory.
    for (length, written, memory) in [(10, 7, "shared"), (5000, 4999, "device")] {
        let message = said(&through_scratch(), length, &[length as i64, written]);
        let wanted = format!("thread 7 reads what nobody has written: 4 bytes of {memory} memory");
        assert!(message.contains("kernel through_scratch, block 0 of 1: ") && message.contains(&wanted), "{message}");
    }
}

#[test]
fn races_in_device_memory_are_found() {
    // All iterations, or all items, write one element.
    for (kind, words) in
        [(Some(4), "thread 1 writes what thread 0 of block 0 writes"), (None, "thread 1 writes what thread 0")]
    {
        let mut k = KernelBuilder::new("all_to_one");
        let (n, one) = (k.sym(SymId(0)), k.int_const(1));
        let input = k.buffer(DType::F32, Role::Input, None);
        let out = k.buffer(DType::F32, Role::Output, Some(one));
        let vars = k.begin_phase(if kind.is_some() { &[] } else { std::slice::from_ref(&n) });
        let var = kind.map(|lanes| k.begin_loop(Range::Full(n), LoopKind::Vector { lanes }));
        let value = k.load(input, Affine::of(var.unwrap_or_else(|| vars[0])));
        k.store(out, Affine::default(), value);
        if var.is_some() {
            k.end_loop();
        }
        k.end_phase();
        let message = said(&k.finish(), 10, &[10]);
        assert!(
            message.contains(words) && message.contains("and no barrier is between: 4 bytes of device"),
            "{message}"
        );
    }
}

#[test]
fn races_in_shared_memory_are_found() {
    let mut k = KernelBuilder::new("backwards");
    let n = k.sym(SymId(0));
    let length = k.int_const(10);
    let last = k.int_const(9);
    let input = k.buffer(DType::F32, Role::Input, None);
    let out = k.buffer(DType::F32, Role::Output, Some(n));
    let scratch = k.buffer(DType::F32, Role::Scratch, Some(length));
    k.begin_phase(&[]);
    let first = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 4 });
    let value = k.load(input, Affine::of(first));
    k.store(scratch, Affine::of(first), value);
    k.end_loop();
    // What the loop before has written may be read; what other iterations write may not.
    let second = k.begin_loop(Range::Full(n), LoopKind::Vector { lanes: 4 });
    let backwards = Affine { offset: Some(last), ..Affine::default() }.plus(second, Coefficient::Const(-1));
    let value = k.load(scratch, backwards);
    k.store(scratch, Affine::of(second), value);
    k.store(out, Affine::of(second), value);
    k.end_loop();
    k.end_phase();
    let message = said(&k.finish(), 10, &[10]);
    let wanted = "thread 5 reads what thread 4 of block 0 writes, and no barrier is between: 4 bytes of shared memory";
    assert!(message.contains(wanted), "{message}");
}

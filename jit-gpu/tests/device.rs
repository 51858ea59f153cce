//! Memory, streams and repeated plans of a device, on the emulator, which reports streams that use memory in no order.

use fusewire_ir::{
    build,
    dtype::DType,
    lazy::{Device, Lazy},
    ops::ScalarOp,
    promote::Weak,
    value::{Buffer, Storage},
};
use fusewire_jit_gpu::{
    device::{
        GpuBackend,
        interchange::{Interchange, LEGACY},
    },
    driver::{Driver, Event, Stream},
    simt::{Emulator, SimtBackend},
};
use fusewire_lowering::kernel::Kernel;
use fusewire_runtime::{
    backend::{Backend, Executable, Launch, LibraryCall, MatrixProduct},
    cache::{LIMITS, PlanCache},
    error::Error,
    evaluate::evaluate_on,
    interpreter::Interpreter,
    pool::Memory,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

const MIB: usize = 1 << 20;

/// An array of these numbers on the device.
fn array(backend: &SimtBackend, numbers: &[f32]) -> Arc<Lazy> {
    let storage = backend.allocate(numbers.len() * 4).expect("there is memory");
    // SAFETY: both are so many bytes, and nobody else uses them.
    unsafe { backend.upload(numbers.as_ptr().cast(), storage.pointer(), numbers.len() * 4).expect("it is uploaded") };
    let shape = [numbers.len()][..].into();
    Lazy::computed(Buffer::dense(storage, &[numbers.len()]), DType::F32, shape, Device::Simt)
}

fn numbers(backend: &SimtBackend, node: &Lazy) -> Vec<f32> {
    let buffer = node.buffer().expect("it is computed");
    let mut numbers = vec![0f32; node.shape.iter().product()];
    backend.begin(&[buffer]).expect("it can be used");
    // SAFETY: as above.
    unsafe {
        backend.download(buffer.pointer(), numbers.as_mut_ptr().cast(), numbers.len() * 4).expect("it is downloaded");
    }
    numbers
}

fn compute(backend: &SimtBackend, plans: &PlanCache, node: &Arc<Lazy>) {
    evaluate_on(backend, Device::Simt, plans, std::slice::from_ref(node), &|| false).expect("it is computed");
}

fn add(a: &Arc<Lazy>, b: &Arc<Lazy>) -> Arc<Lazy> {
    build::elementwise(ScalarOp::Add, [build::Operand::Array(a.clone()), build::Operand::Array(b.clone())])
        .expect("they add")
}

/// Two kernels: a sum, and what is done with it for each element of another array.
fn two_kernels(x: &Arc<Lazy>, y: &Arc<Lazy>) -> Arc<Lazy> {
    let sum = build::sum(x, &build::Axis::All, None, false).expect("it has a sum");
    add(&sum, &build::cumulative_sum(y, None, None, false).expect("it has running sums"))
}

#[test]
fn blocks_are_kept_for_reuse_and_given_back() {
    let backend = SimtBackend::default();
    let figures = || backend.figures();
    let one = backend.allocate(3 * MIB).expect("there is memory");
    let size = figures().allocated;
    assert!((3 * MIB..=3 * MIB * 9 / 8).contains(&size), "{size}");
    let address = one.pointer();
    drop(one);
    assert_eq!((figures().allocated, figures().cached, figures().peak), (0, size, size));
    let again = backend.allocate(3 * MIB).expect("there is memory");
    assert_eq!(again.pointer(), address, "the block is taken again");
    assert_eq!((figures().allocated, figures().cached), (size, 0));
    drop(again);
    let before = backend.of_device().expect("it says").expect("it has memory of its own").0;
    backend.trim().expect("it gives memory back");
    assert_eq!(figures().cached, 0);
    assert_eq!(backend.of_device().expect("it says").expect("it has memory of its own").0, before + size);
    backend.reset_peak();
    assert_eq!(figures().peak, 0);
    backend.set_limit(MIB).expect("it has a limit");
    drop(backend.allocate(3 * MIB).expect("there is memory"));
    assert_eq!((figures().cached, figures().limit), (0, MIB), "what is beyond the limit is not kept");
}

#[test]
fn failure_comes_after_the_free_blocks_went_back() {
    let backend = GpuBackend::new(Emulator::with_memory(10 * MIB));
    drop(backend.allocate(6 * MIB).expect("there is memory"));
    assert_eq!(backend.figures().cached, 6 * MIB);
    let seven = backend.allocate(7 * MIB).expect("the free block goes back first");
    assert_eq!(backend.figures().cached, 0);
    let too_much = backend.allocate(4 * MIB).map(|_| ());
    assert_eq!(too_much, Err(Error::OutOfMemory { bytes: 4 * MIB }));
    drop(seven);
    assert!(backend.allocate(4 * MIB).is_ok(), "nothing else is lost");
}

/// A library that takes memory from the driver, and finds too little the first time.
struct Greedy(AtomicBool);

impl Backend for Greedy {
    fn name(&self) -> &'static str {
        Interpreter.name()
    }
    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        Interpreter.compile(kernel)
    }
    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        Interpreter.explain(kernel)
    }
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        Interpreter.allocate(bytes)
    }
    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        Interpreter.launch(executable, launch)
    }
    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        if self.0.swap(false, Relaxed) {
            return Err(Error::OutOfMemory { bytes: 0 });
        }
        Interpreter.matrix_product(product)
    }
    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        Interpreter.call(call)
    }
}

#[test]
fn libraries_get_the_free_blocks_when_they_lack_memory() {
    let greedy = Arc::new(Greedy(AtomicBool::new(true)));
    let backend = GpuBackend::new(Emulator::default().with_libraries(greedy.clone()));
    let plans = PlanCache::new(LIMITS);
    let matrix = |numbers: &[f32]| build::reshape(&array(&backend, numbers), &[2, 2]).expect("it has four elements");
    let (a, b) = (matrix(&[1.0, 2.0, 3.0, 4.0]), matrix(&[1.0, 0.0, 1.0, 1.0]));
    let product = build::matmul(&a, &b).expect("they fit");
    drop(backend.allocate(MIB).expect("there is memory"));
    compute(&backend, &plans, &product);
    assert_eq!(numbers(&backend, &product), [3.0, 2.0, 7.0, 4.0]);
    assert!(backend.figures().cached < MIB, "what was free went back to the driver");
    // Where nothing is free, asking again would not help.
    backend.trim().expect("it gives memory back");
    greedy.0.store(true, Relaxed);
    let product = build::matmul(&b, &a).expect("they fit");
    let refused = evaluate_on(&backend, Device::Simt, &plans, &[product], &|| false);
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
}

#[test]
fn a_budget_bounds_what_is_taken() {
    let backend = SimtBackend::default();
    backend.set_budget(8 * MIB).expect("it has a budget");
    let four = backend.allocate(4 * MIB).expect("inside the budget");
    drop(backend.allocate(3 * MIB).expect("inside the budget"));
    let other = backend.allocate(4 * MIB).expect("free blocks make room");
    assert_eq!(backend.figures().cached, 0);
    assert!(matches!(backend.allocate(1), Err(Error::OutOfMemory { bytes: 1 })));
    drop((four, other));
    backend.set_budget(2 * MIB).expect("it has a budget");
    assert_eq!(backend.figures().cached, 0, "what is kept beyond the budget goes back");
    assert!(matches!(backend.allocate(4 * MIB), Err(Error::OutOfMemory { .. })));
}

#[test]
fn large_arrays_go_through_the_staging_in_pieces() {
    let backend = SimtBackend::default();
    let values: Vec<f32> = (0..(9 * MIB / 4 + 3)).map(|i| i as f32).collect();
    let node = array(&backend, &values);
    assert_eq!(numbers(&backend, &node), values);
}

#[test]
fn arrays_of_one_thread_are_used_by_another() {
    let (backend, plans) = (SimtBackend::default(), PlanCache::new(LIMITS));
    let x = array(&backend, &[1.0, 2.0, 3.0]);
    let sums: Vec<Arc<Lazy>> = std::thread::scope(|scope| {
        let work = || {
            let mut sum = add(&x, &x);
            for _ in 0..20 {
                sum = add(&sum, &x);
                compute(&backend, &plans, &sum);
            }
            sum
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread fails")).collect()
    });
    // The blocks of threads that have ended are used further, and so are their streams.
    let total = sums.iter().skip(1).fold(sums[0].clone(), |total, sum| add(&total, sum));
    compute(&backend, &plans, &total);
    assert_eq!(numbers(&backend, &total), [88.0, 176.0, 264.0]);
    drop((sums, total));
    for _ in 0..10 {
        let x = array(&backend, &[4.0, 5.0, 6.0]);
        let y = add(&x, &x);
        std::thread::scope(|scope| {
            scope.spawn(|| compute(&backend, &plans, &y)).join().expect("no thread fails");
        });
        assert_eq!(numbers(&backend, &y), [8.0, 10.0, 12.0]);
    }
}

#[test]
fn the_emulator_sees_streams_that_do_not_wait() {
    let driver = Emulator::default();
    let address = driver.allocate(4).expect("there is memory");
    let streams: [Stream; 2] = [driver.stream().expect("a stream"), driver.stream().expect("a stream")];
    let event: Event = driver.event().expect("an event");
    let mut word = [7u8; 4];
    // SAFETY: four bytes, each.
    unsafe {
        driver.copy_in(word.as_ptr(), address, 4, streams[0]).expect("it is copied");
        let error = driver.copy_out(address, word.as_mut_ptr(), 4, streams[1]);
        assert!(matches!(&error, Err(Error::Device(message)) if message.contains("does not wait for it")), "{error:?}");
        driver.record(event, streams[0]).expect("it is recorded");
        driver.wait(streams[1], event).expect("it waits");
        driver.copy_out(address, word.as_mut_ptr(), 4, streams[1]).expect("it is copied");
        assert!(driver.free(address).is_err(), "the host does not know that it is over");
        driver.synchronise(streams[1]).expect("it waits");
        driver.free(address).expect("nobody uses it");
    }
}

#[test]
fn plans_that_run_again_become_graphs() {
    let (backend, plans) = (SimtBackend::default(), PlanCache::new(LIMITS));
    let (x, y) = (array(&backend, &[1.0, 2.0, 3.0]), array(&backend, &[1.0, 1.0, 2.0]));
    for _ in 0..8 {
        let z = two_kernels(&x, &y);
        compute(&backend, &plans, &z);
        assert_eq!(numbers(&backend, &z), [7.0, 8.0, 10.0]);
    }
    let (captured, launched) = backend.graph_figures();
    // The pool gives blocks of one size by turns.
    assert!((1..=2).contains(&captured) && (2..8).contains(&launched), "{captured} {launched}");
    // Results that are kept lie elsewhere each time, and are never captured.
    let kept: Vec<Arc<Lazy>> = (0..8)
        .map(|_| {
            let z = two_kernels(&x, &y);
            compute(&backend, &plans, &z);
            z
        })
        .collect();
    for z in &kept {
        assert_eq!(numbers(&backend, z), [7.0, 8.0, 10.0]);
    }
    assert_eq!(backend.graph_figures().0, captured);
}

#[test]
fn arrays_go_from_device_to_device() {
    let (one, other) = (SimtBackend::default(), SimtBackend::default());
    let x = array(&one, &[1.0, 2.0, 3.0]);
    let buffer = x.buffer().expect("it is computed");
    // The copy is made by a thread that did not make the array; so the emulator would see what does not wait.
    let copy = || {
        one.begin(&[buffer]).expect("it can be used");
        let there = other.allocate(12).expect("there is memory");
        // SAFETY: twelve bytes, each.
        let copied = unsafe { other.copy_from(&one, buffer.pointer(), there.pointer(), 12) };
        assert_eq!(copied, Ok(true));
        there
    };
    let there = std::thread::scope(|scope| scope.spawn(copy).join().expect("no thread fails"));
    let there = Lazy::computed(Buffer::dense(there, &[3]), DType::F32, [3][..].into(), Device::Simt);
    assert_eq!(numbers(&other, &there), [1.0, 2.0, 3.0]);
}

#[test]
fn a_computation_that_runs_out_of_memory_leaves_the_arrays() {
    let backend = GpuBackend::new(Emulator::with_memory(64 * MIB));
    let plans = PlanCache::new(LIMITS);
    let x = array(&backend, &[1.0; 1024]);
    let wide = build::broadcast_to(&x, &[64 * 1024, 1024][..].into()).expect("it broadcasts");
    let large = add(&wide, &wide);
    let error = evaluate_on(&backend, Device::Simt, &plans, std::slice::from_ref(&large), &|| false);
    assert!(matches!(error, Err(Error::OutOfMemory { .. })), "{error:?}");
    assert!(large.buffer().is_none());
    let two = build::elementwise(
        ScalarOp::Multiply,
        [build::Operand::Array(x.clone()), build::Operand::Scalar(Weak::Float(2.0))],
    )
    .expect("it multiplies");
    compute(&backend, &plans, &two);
    assert_eq!(numbers(&backend, &two), [2.0; 1024]);
}

#[test]
fn arrays_that_lie_anyhow_are_copied_by_kernels() {
    let (backend, plans) = (SimtBackend::default(), PlanCache::new(LIMITS));
    let x = array(&backend, &(0..24).map(|i| i as f32).collect::<Vec<_>>());
    let cube = build::reshape(&x, &[2, 3, 4]).expect("it has 24 elements");
    let turned = build::permute_dims(&cube, &[2, 0, 1]).expect("it has three axes");
    compute(&backend, &plans, &turned);
    let copy = fusewire_runtime::assign::copied(&turned, &backend).expect("it is copied");
    let expected: Vec<f32> = (0..4).flat_map(|k| (0..6).map(move |row| (row * 4 + k) as f32)).collect();
    assert_eq!(numbers(&backend, &copy), expected);
    let (to, from) = (copy.buffer().expect("it is computed"), turned.buffer().expect("it is computed"));
    assert_ne!(to.pointer(), from.pointer());
    let one = build::reshape(&array(&backend, &[5.0]), &[]).expect("it has one element");
    compute(&backend, &plans, &one);
    assert_eq!(numbers(&backend, &fusewire_runtime::assign::copied(&one, &backend).expect("it is copied")), [5.0]);
}

#[test]
fn memory_of_others_is_used_and_given_back() {
    struct Owner(Arc<AtomicBool>, #[expect(dead_code, reason = "it is kept")] Arc<dyn Storage>);
    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let (backend, plans) = (SimtBackend::default(), PlanCache::new(LIMITS));
    // Somebody fills memory on a stream of his own, and tells us which.
    let storage = backend.allocate(12).expect("there is memory");
    let theirs = backend.driver().stream().expect("a stream");
    backend.order_foreign(&*storage, theirs).expect("it waits");
    let values = [1f32, 2.0, 3.0];
    let address = storage.pointer().addr() as u64;
    // SAFETY: both are twelve bytes.
    unsafe { backend.driver().copy_in(values.as_ptr().cast(), address, 12, theirs).expect("it is copied") };
    let gone = Arc::new(AtomicBool::new(false));
    let owner = Box::new(Owner(gone.clone(), storage));
    backend.order_after_foreign(theirs).expect("it waits");
    let ours = backend.adopt(address, 12, false, owner).expect("it is adopted");
    let x = Lazy::computed(Buffer::dense(ours, &[3]), DType::F32, [3][..].into(), Device::Simt);
    let y = add(&x, &x);
    // Another thread's stream has to wait, too.
    std::thread::scope(|scope| {
        scope.spawn(|| compute(&backend, &plans, &y)).join().expect("no thread fails");
    });
    assert_eq!(numbers(&backend, &y), [2.0, 4.0, 6.0]);
    assert!(!gone.load(Relaxed));
    drop(x);
    assert!(gone.load(Relaxed), "its owner has it again");
    // Somebody reads ours on a stream of his own.
    backend.order_foreign(&*y.buffer().expect("it is computed").storage, theirs).expect("it waits");
    let (mut got, address) = ([0f32; 3], y.buffer().expect("it is computed").pointer().addr() as u64);
    // SAFETY: as above.
    unsafe { backend.driver().copy_out(address, got.as_mut_ptr().cast(), 12, theirs).expect("it is copied") };
    assert_eq!(got, [2.0, 4.0, 6.0]);
}

#[test]
fn memory_that_others_read_is_used_again_after_that() {
    let backend = SimtBackend::default();
    let x = array(&backend, &[1.0, 2.0, 3.0]);
    let storage = x.buffer().expect("it is computed").storage.clone();
    let address = storage.pointer().addr();
    backend.order_foreign(&*storage, LEGACY).expect("it waits");
    let mut got = [0f32; 3];
    // SAFETY: both are twelve bytes.
    unsafe {
        backend.driver().copy_out(address as u64, got.as_mut_ptr().cast(), 12, LEGACY).expect("it is copied");
    }
    assert_eq!(got, [1.0, 2.0, 3.0]);
    // Nobody waits for the copies: whoever writes there, now or as the next owner of the block, does so behind them all the same.
    assert!(backend.is_callers(&*storage));
    // SAFETY: as above.
    unsafe {
        backend.upload([0f32; 3].as_ptr().cast(), storage.pointer(), 12).expect("it is uploaded");
        backend.order_foreign(&*storage, LEGACY).expect("it waits");
        backend.driver().copy_out(address as u64, got.as_mut_ptr().cast(), 12, LEGACY).expect("it is copied");
    }
    drop((x, storage));
    let y = array(&backend, &[4.0, 5.0, 6.0]);
    assert_eq!(y.buffer().expect("it is computed").pointer().addr(), address, "the block is taken again");
    assert_eq!(numbers(&backend, &y), [4.0, 5.0, 6.0]);
}

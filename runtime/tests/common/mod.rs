//! What the runtime's tests share: a back end that fails on demand, hand-made kernels, and buffers.
#![allow(dead_code, reason = "each test uses a part")]

use fusewire_ir::{
    dtype::DType,
    ops::{OPS, ScalarOp},
    shape::{Dim, SymId, SymShape},
    value::{Buffer, Storage},
};
use fusewire_lowering::{
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, KernelParam, Phase, Role, Stmt, Value,
        ValueId, VarId,
    },
    program::{Argument, ArrayDecl, ArrayId, Program, Step, StridedView},
};
use fusewire_runtime::{
    backend::{Backend, Executable, Launch, LibraryCall, MatrixProduct},
    error::Error,
    interpreter::Interpreter,
    plan::CompiledKernel,
    pool,
};
use smallvec::smallvec;
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
};

/// The interpreter, but failing where it is told to, and counting.
#[derive(Default)]
pub struct TestBackend {
    /// Allocations that still succeed; `None`: all.
    pub allocations_left: Option<AtomicI64>,
    /// Kernels compiled.
    pub compiled: AtomicUsize,
    /// Bytes of code that each kernel claims.
    pub code_bytes: usize,
}

struct Compiled {
    inner: Arc<dyn Executable>,
    bytes: usize,
}

impl Executable for Compiled {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.bytes
    }
}

impl Backend for TestBackend {
    fn name(&self) -> &'static str {
        "test"
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        self.compiled.fetch_add(1, SeqCst);
        Ok(Arc::new(Compiled { inner: Interpreter.compile(kernel)?, bytes: self.code_bytes }))
    }

    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        Interpreter.explain(kernel)
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        if self.allocations_left.as_ref().is_some_and(|left| left.fetch_sub(1, SeqCst) == 0) {
            return Err(Error::OutOfMemory { bytes });
        }
        Interpreter.allocate(bytes)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        if (launch.interrupted)() {
            return Err(Error::Interrupted);
        }
        let compiled = executable.as_any().downcast_ref::<Compiled>().unwrap();
        Interpreter.launch(&*compiled.inner, launch)
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        Interpreter.matrix_product(product)
    }

    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        Interpreter.call(call)
    }
}

/// Compiles without a cache.
pub fn compile_with(backend: &dyn Backend) -> impl FnMut(Kernel) -> Result<Arc<CompiledKernel>, Error> + '_ {
    |kernel| {
        let executable = backend.compile(&kernel)?;
        Ok(Arc::new(CompiledKernel { kernel, executable }))
    }
}

/// Symbol `number` as an extent.
pub fn sym(number: u32) -> Dim {
    Dim::Sym(SymId(number))
}

/// A kernel over one dense axis of `symbol 0` elements: each output element is `op` of the elements of the inputs (and of
/// the parameter when there are fewer inputs than the op wants). Inputs that are `reversed` are read backwards.
pub fn elementwise(op: ScalarOp, inputs: usize, reversed: bool) -> Kernel {
    let arity = OPS[op as usize].arity;
    let mut ints = vec![IntExpr::Sym(SymId(0)), IntExpr::Const(1), IntExpr::Sub(IntId(0), IntId(1))];
    let mut buffers = Vec::new();
    let mut values = Vec::new();
    for number in 0..inputs as u32 {
        ints.push(IntExpr::Stride { buffer: BufferId(number), axis: 0 });
        let stride = Coefficient::Int(IntId(ints.len() as u32 - 1));
        buffers.push(BufferDecl { dtype: DType::F64, role: Role::Input, length: None });
        let at = if reversed {
            Affine { offset: Some(IntId(2)), terms: smallvec![(VarId(0), Coefficient::Const(-1))] }
        } else {
            Affine { offset: None, terms: smallvec![(VarId(0), stride)] }
        };
        values.push(Value { inst: Inst::Load { buffer: BufferId(number), at }, dtype: DType::F64 });
    }
    let params = if inputs < arity { vec![DType::F64] } else { vec![] };
    if inputs < arity {
        values.push(Value { inst: Inst::Param(KernelParam(0)), dtype: DType::F64 });
    }
    let result = ValueId(values.len() as u32);
    values.push(Value { inst: Inst::Op(op, (0..result.0).map(ValueId).collect()), dtype: DType::F64 });
    buffers.push(BufferDecl { dtype: DType::F64, role: Role::Output, length: Some(IntId(0)) });
    let mut body: Vec<Stmt> = (0..=result.0).map(|v| Stmt::Let(ValueId(v))).collect();
    let at = Affine { offset: None, terms: smallvec![(VarId(0), Coefficient::Const(1))] };
    body.push(Stmt::Store { buffer: BufferId(inputs as u32), at, value: result });
    let phases = vec![Phase { dims: vec![(VarId(0), IntId(0))], body }];
    Kernel { name: OPS[op as usize].name.into(), buffers, params, ints, values, vars: 1, phases }
}

/// Builds programs on arrays of one axis of `symbol 0` elements.
pub struct ProgramBuilder {
    /// What was built so far.
    pub program: Program,
}

impl ProgramBuilder {
    /// With so many inputs: arrays 0, 1, ...
    pub fn new(inputs: u32) -> ProgramBuilder {
        let mut program = Program { ints: vec![IntExpr::Const(1)], ..Program::default() };
        for input in 0..inputs {
            let input = Some(fusewire_ir::node::InputId(input));
            program.arrays.push(ArrayDecl { dtype: DType::F64, shape: smallvec![sym(0)], input });
        }
        ProgramBuilder { program }
    }

    /// An allocated array.
    pub fn array(&mut self, shape: SymShape) -> ArrayId {
        self.program.arrays.push(ArrayDecl { dtype: DType::F64, shape, input: None });
        ArrayId(self.program.arrays.len() as u32 - 1)
    }

    /// A launch into a new array.
    pub fn launch(&mut self, kernel: Kernel, inputs: &[ArrayId], params: &[u32]) -> ArrayId {
        let result = self.array(smallvec![sym(0)]);
        let arguments = inputs.iter().chain([&result]).map(|&a| Argument::Array(a)).collect();
        let params = params.iter().map(|&p| fusewire_ir::node::ParamId(p)).collect();
        self.program.steps.push(Step::Launch { kernel, arguments, params });
        result
    }

    /// A whole dense array as a result.
    pub fn result(&mut self, array: ArrayId) {
        let view = StridedView { array, shape: smallvec![sym(0)], offset: None, strides: vec![IntId(0)] };
        self.program.results.push(view);
    }
}

/// A dense float64 array in memory.
pub fn buffer(content: &[f64]) -> Buffer {
    let storage = pool::allocate(content.len() * 8).unwrap();
    // SAFETY: the block is new and that large.
    unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), storage.pointer().cast(), content.len()) };
    Buffer::dense(storage, &[content.len()])
}

/// The elements of a float64 buffer in row-major order.
pub fn elements(buffer: &Buffer, shape: &[usize]) -> Vec<f64> {
    let read = |mut number: usize| {
        let mut at = 0;
        for (&extent, &stride) in shape.iter().zip(&buffer.strides).rev() {
            at += (number % extent) as isize * stride;
            number /= extent;
        }
        // SAFETY: the shape is the buffer's.
        unsafe { buffer.pointer().cast::<f64>().offset(at).read() }
    };
    (0..shape.iter().product()).map(read).collect()
}

/// Never interrupts.
pub fn never() -> bool {
    false
}

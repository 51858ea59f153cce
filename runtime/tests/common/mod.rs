//! What the runtime's tests share: a back end that walks kernels, hand-made kernels, and buffers.
#![allow(dead_code, reason = "each test uses a part")]

use fusewire_ir::{
    dtype::DType,
    ops::{OPS, ScalarOp},
    scalar::Scalar,
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
    backend::{Backend, Executable, Launch, MatrixProduct},
    error::Error,
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

/// Runs kernels without inner loops, item by item; fails where it is told to.
#[derive(Default)]
pub struct WalkingBackend {
    /// Allocations that still succeed; negative: all.
    pub allocations_left: Option<AtomicI64>,
    /// Kernels compiled.
    pub compiled: AtomicUsize,
    /// Bytes of code that each kernel claims.
    pub code_bytes: usize,
}

struct Walked {
    kernel: Kernel,
    bytes: usize,
}

impl Executable for Walked {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        self.bytes
    }
}

impl Backend for WalkingBackend {
    fn name(&self) -> &'static str {
        "walking"
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        self.compiled.fetch_add(1, SeqCst);
        Ok(Arc::new(Walked { kernel: kernel.clone(), bytes: self.code_bytes }))
    }

    fn explain(&self, _: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        Ok(Vec::new())
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        if self.allocations_left.as_ref().is_some_and(|left| left.fetch_sub(1, SeqCst) == 0) {
            return Err(Error::OutOfMemory { bytes });
        }
        pool::allocate(bytes)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        if (launch.interrupted)() {
            return Err(Error::Interrupted);
        }
        let kernel = &executable.as_any().downcast_ref::<Walked>().unwrap().kernel;
        assert_eq!(launch.buffers.len(), kernel.buffers.len());
        assert_eq!(launch.ints.len(), kernel.ints.len());
        for phase in &kernel.phases {
            let extents: Vec<i64> = phase.dims.iter().map(|(_, extent)| launch.ints[extent.0 as usize]).collect();
            for item in 0..extents.iter().product::<i64>() {
                let mut vars = vec![0; kernel.vars as usize];
                let mut rest = item;
                for (&(var, _), &extent) in phase.dims.iter().zip(&extents).rev() {
                    vars[var.0 as usize] = rest % extent;
                    rest /= extent;
                }
                walk_item(kernel, launch, &phase.body, &vars);
            }
        }
        Ok(())
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        assert_eq!(product.dtype, DType::F64);
        for [left, right, destination] in product.batch {
            for i in 0..product.m as isize {
                for j in 0..product.n as isize {
                    let term = |k: isize| {
                        let l =
                            left.pointer.cast::<f64>().wrapping_offset(i * left.row_stride + k * left.column_stride);
                        let r =
                            right.pointer.cast::<f64>().wrapping_offset(k * right.row_stride + j * right.column_stride);
                        // SAFETY: the plan gives matrices that lie inside their arrays.
                        unsafe { l.read() * r.read() }
                    };
                    let sum = (0..product.k as isize).map(term).sum::<f64>();
                    let to = i * destination.row_stride + j * destination.column_stride;
                    // SAFETY: as above.
                    unsafe { destination.pointer.cast::<f64>().offset(to).write(sum) };
                }
            }
        }
        Ok(())
    }
}

fn walk_item(kernel: &Kernel, launch: &Launch<'_>, body: &[Stmt], vars: &[i64]) {
    let mut values: Vec<Option<Scalar>> = vec![None; kernel.values.len()];
    let place = |at: &Affine| {
        let coefficient = |c: Coefficient| match c {
            Coefficient::Const(value) => value,
            Coefficient::Int(int) => launch.ints[int.0 as usize],
        };
        let offset = at.offset.map_or(0, |int| launch.ints[int.0 as usize]);
        at.terms.iter().fold(offset, |sum, &(var, c)| sum + coefficient(c) * vars[var.0 as usize]) as isize
    };
    for statement in body {
        match statement {
            Stmt::Let(id) => {
                let Value { inst, dtype } = &kernel.values[id.0 as usize];
                let value = match inst {
                    Inst::Const(value) => *value,
                    Inst::Param(param) => Scalar::from_bits(*dtype, launch.params[param.0 as usize]),
                    Inst::Load { buffer, at } => {
                        assert_eq!(*dtype, DType::F64);
                        let from = launch.buffers[buffer.0 as usize].cast::<f64>().wrapping_offset(place(at));
                        // SAFETY: the kernels of these tests stay inside their buffers.
                        Scalar::f64(unsafe { from.read() })
                    }
                    Inst::Op(op, operands) => {
                        let operands: Vec<Scalar> = operands.iter().map(|o| values[o.0 as usize].unwrap()).collect();
                        (OPS[*op as usize].reference)(&operands)
                    }
                    Inst::Index(_) | Inst::Cast(_) | Inst::Reduced | Inst::Running => {
                        unreachable!("not in these tests")
                    }
                };
                values[id.0 as usize] = Some(value);
            }
            Stmt::Store { buffer, at, value } => {
                let to = launch.buffers[buffer.0 as usize].cast::<f64>().wrapping_offset(place(at));
                // SAFETY: as above.
                unsafe { to.write(values[value.0 as usize].unwrap().as_f64()) };
            }
            Stmt::Loop(_) => unreachable!("not in these tests"),
        }
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

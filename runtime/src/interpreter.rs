//! A back end that runs kernels through the kernel interpreter: slow, and right on every machine. The oracle to which the
//! tests hold the other back ends, with the plans, lifetimes and reuse in place that those get.

use crate::{
    backend::{ArrayView, Backend, Executable, Launch, LibraryCall, Matrix, MatrixProduct},
    error::Error,
    pool,
};
use fusewire_ir::{dtype::DType, interp::routines, ops::ScalarOp, scalar::Scalar, value::Storage};
use fusewire_lowering::{
    interp::{Memory, run_on},
    kernel::{BufferId, Kernel, Role},
    text,
    verify::verify_lowered,
};
use ndarray::ArrayD;
use std::{any::Any, sync::Arc};

/// The back end. Memory comes from the host's pool.
#[derive(Clone, Copy, Default, Debug)]
pub struct Interpreter;

struct Interpreted(Kernel);

impl Executable for Interpreted {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn code_bytes(&self) -> usize {
        0
    }
}

impl Backend for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn compile(&self, kernel: &Kernel) -> Result<Arc<dyn Executable>, Error> {
        verify_lowered(kernel).map_err(Error::Internal)?;
        Ok(Arc::new(Interpreted(kernel.clone())))
    }

    fn explain(&self, kernel: &Kernel) -> Result<Vec<(&'static str, String)>, Error> {
        Ok(vec![("interpreted", text::print(kernel))])
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        pool::allocate(bytes)
    }

    fn launch(&self, executable: &dyn Executable, launch: &Launch<'_>) -> Result<(), Error> {
        let Some(Interpreted(kernel)) = executable.as_any().downcast_ref() else {
            return Err(Error::Internal("a kernel of another back end".into()));
        };
        let params: Vec<Scalar> =
            kernel.params.iter().zip(launch.params).map(|(&dtype, &bits)| Scalar::from_bits(dtype, bits)).collect();
        let mut memory = Pointers::new(kernel, launch)?;
        run_on(kernel, &mut memory, launch.ints, &params).map_err(|message| match memory.ended {
            Ended::Interrupted => Error::Interrupted,
            Ended::Fault => Error::OutOfBounds(String::new()),
            Ended::No => Error::Internal(format!("kernel `{}`: {message}", kernel.name)),
        })
    }

    fn matrix_product(&self, product: &MatrixProduct<'_>) -> Result<(), Error> {
        for [left, right, destination] in product.batch {
            if (product.interrupted)() {
                return Err(Error::Interrupted);
            }
            for row in 0..product.m as isize {
                for column in 0..product.n as isize {
                    let term = |sum: Scalar, k: isize| {
                        let l = element(left, product.dtype, row, k);
                        let r = element(right, product.dtype, k, column);
                        // SAFETY: the plan gives matrices that lie inside their arrays.
                        let operands = unsafe { [read(l, product.dtype), read(r, product.dtype), sum] };
                        (ScalarOp::Fma.row().reference)(&operands)
                    };
                    let sum = (0..product.k as isize).fold(Scalar::from_i64(product.dtype, 0), term);
                    // SAFETY: as above.
                    unsafe { write(element(destination, product.dtype, row, column), sum) };
                }
            }
        }
        Ok(())
    }

    fn call(&self, call: &LibraryCall<'_>) -> Result<(), Error> {
        let operands: Vec<ArrayD<Scalar>> = call.operands.iter().map(tensor).collect();
        let dtype = call.destination.dtype;
        let result = routines::call(call.routine, &operands, dtype).map_err(Error::LinearAlgebra)?;
        for (number, &value) in result.iter().enumerate() {
            // SAFETY: the plan has checked that the destination has the routine's shape, and it is dense.
            unsafe { write(call.destination.pointer.add(number * dtype.size()), value) };
        }
        Ok(())
    }
}

fn tensor(view: &ArrayView<'_>) -> ArrayD<Scalar> {
    ArrayD::from_shape_fn(view.shape, |index| {
        let offset: isize = (0..view.shape.len()).map(|axis| index[axis] as isize * view.strides[axis]).sum();
        // SAFETY: the plan gives views that lie inside their arrays.
        unsafe { read(view.pointer.wrapping_offset(offset * view.dtype.size() as isize), view.dtype) }
    })
}

fn element(matrix: &Matrix, dtype: DType, row: isize, column: isize) -> *mut u8 {
    let index = row * matrix.row_stride + column * matrix.column_stride;
    matrix.pointer.wrapping_offset(index * dtype.size() as isize)
}

/// # Safety
/// The pointer is to a whole, initialised element.
unsafe fn read(from: *const u8, dtype: DType) -> Scalar {
    let mut bytes = [0u8; 8];
    // SAFETY: an element has at most eight bytes; the caller vouches for the source.
    unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), dtype.size()) };
    Scalar::from_bits(dtype, u64::from_le_bytes(bytes))
}

/// # Safety
/// The pointer is to room for a whole element.
unsafe fn write(to: *mut u8, value: Scalar) {
    let bytes = value.bits().to_le_bytes();
    // SAFETY: an element has at most eight bytes; the caller vouches for the destination.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, value.dtype().size()) };
}

/// The memory of a launch. What the kernel declares a length of is checked against it.
struct Pointers<'a> {
    launch: &'a Launch<'a>,
    buffers: Vec<Pointer>,
    stores: u64,
    ended: Ended,
}

/// Why a launch ended early.
enum Ended {
    No,
    Interrupted,
    Fault,
}

struct Pointer {
    start: *mut u8,
    dtype: DType,
    /// Elements; inputs have as many as their strides reach.
    length: Option<i64>,
    /// Owns the memory of scratch.
    _scratch: Option<Arc<dyn Storage>>,
}

impl<'a> Pointers<'a> {
    fn new(kernel: &Kernel, launch: &'a Launch<'a>) -> Result<Pointers<'a>, Error> {
        let mut buffers = Vec::with_capacity(kernel.buffers.len());
        for (decl, &given) in kernel.buffers.iter().zip(launch.buffers) {
            let length = decl.length.map(|int| launch.ints[int.0 as usize]);
            let scratch = match decl.role {
                Role::Scratch => Some(pool::allocate(length.unwrap_or(0).max(0) as usize * decl.dtype.size())?),
                Role::Input | Role::Output | Role::Temporary => None,
            };
            let start = scratch.as_ref().map_or(given, |storage| storage.pointer());
            buffers.push(Pointer { start, dtype: decl.dtype, length, _scratch: scratch });
        }
        Ok(Pointers { launch, buffers, stores: 0, ended: Ended::No })
    }

    fn at(&self, buffer: BufferId, index: i64) -> Result<*mut u8, String> {
        let Pointer { start, dtype, length, .. } = &self.buffers[buffer.0 as usize];
        match length {
            Some(length) if !(0..*length).contains(&index) => {
                Err(format!("b{}: element {index} of {length}", buffer.0))
            }
            _ => Ok(start.wrapping_offset(index as isize * dtype.size() as isize)),
        }
    }
}

impl Memory for Pointers<'_> {
    fn begin_item(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn load(&self, buffer: BufferId, index: i64) -> Result<Scalar, String> {
        let from = self.at(buffer, index)?;
        // SAFETY: dense buffers were checked; inputs are read where the kernel's indices and their strides lead, which the
        // fuzz tests hold the checked interpreter to.
        Ok(unsafe { read(from, self.buffers[buffer.0 as usize].dtype) })
    }

    fn store(&mut self, buffer: BufferId, index: i64, value: Scalar) -> Result<(), String> {
        self.stores += 1;
        if self.stores.is_multiple_of(4096) && (self.launch.interrupted)() {
            self.ended = Ended::Interrupted;
            return Err("interrupted".into());
        }
        let to = self.at(buffer, index)?;
        // SAFETY: what is written is dense and was checked.
        unsafe { write(to, value) };
        Ok(())
    }

    fn fault(&mut self, what: &str) -> Result<(), String> {
        self.ended = Ended::Fault;
        Err(what.to_owned())
    }
}

//! Linear algebra by cuSOLVER: factors of Cholesky, solutions, inverses; one matrix of a batch after another.
//!
//! cuSOLVER knows matrices whose columns lie side by side: what lies row by row is the transposed matrix to it.

use super::{
    api::{Cuda, handle, set_words},
    library::Wanted,
};
use crate::driver::{Driver, Lender, Stream};
use cudarc::cusolver::sys::{
    self, cublasFillMode_t as Fill, cublasOperation_t as Operation, cusolverDnHandle_t, cusolverStatus_t as Status,
};
use fusewire_ir::{
    routine::{Linear, Routine},
    value::Storage,
};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, ffi::c_int, ptr, sync::Arc};

/// The library.
const CUSOLVER: Wanted = Wanted {
    name: "cusolver",
    versions: &[("12", "nvidia-cusolver"), ("11", "nvidia-cusolver-cu12")],
    purpose: "linear algebra on a GPU",
    present: sys::is_culib_present,
};

/// What cuSOLVER keeps for each stream.
#[derive(Default)]
pub(super) struct Solver(Mutex<BTreeMap<usize, Handle>>);

struct Handle(cusolverDnHandle_t);
// SAFETY: handles may be used by one thread after another; each is of one stream, which is one thread's.
unsafe impl Send for Handle {}

fn check(doing: &str, status: Status) -> Result<(), Error> {
    match status {
        Status::CUSOLVER_STATUS_SUCCESS => Ok(()),
        Status::CUSOLVER_STATUS_ALLOC_FAILED => Err(Error::OutOfMemory { bytes: 0 }),
        status => Err(Error::Device(format!("cuSOLVER failed while {doing}: {status:?}"))),
    }
}

/// Bytes of a number that is not complex.
const REAL: usize = 8;

/// One matrix after another: what is the same for all.
struct Work<'a> {
    device: &'a Cuda,
    handle: cusolverDnHandle_t,
    complex: bool,
    stream: Stream,
    lender: &'a dyn Lender,
    /// The order of the matrix.
    n: usize,
}

impl Solver {
    /// Computes a routine of linear algebra.
    pub fn call(
        &self,
        device: &Cuda,
        call: &LibraryCall<'_>,
        stream: Stream,
        lender: &dyn Lender,
    ) -> Result<(), Error> {
        let Routine::Linear { what, complex } = call.routine else {
            return Err(Error::Internal(format!("{} is no linear algebra", call.routine.name())));
        };
        if !matches!(what, Linear::Cholesky | Linear::Solve | Linear::Inv) {
            return Err(device.lacks(call.routine));
        }
        if call.destination.shape.contains(&0) {
            return Ok(());
        }
        let operands: Vec<Batch<'_>> = call.operands.iter().map(|view| Batch::of(view, complex)).collect();
        let n = operands[0].rows;
        let work = Work { device, handle: self.handle(stream)?, complex, stream, lender, n };
        let bytes = n * operands.last().map_or(n, |last| last.columns) * work.element();
        for number in 0..operands[0].count {
            let to = call.destination.pointer.wrapping_add(number * bytes);
            let done = match what {
                Linear::Cholesky => work.cholesky(&operands[0].member(number), to)?,
                Linear::Solve => work.solve(&operands[0].member(number), &operands[1].member(number), to)?,
                _ => work.invert(&operands[0].member(number), to)?,
            };
            if !done {
                let what = if what == Linear::Cholesky { "is not positive definite" } else { "is singular" };
                let which = if operands[0].count == 1 { "the matrix".to_owned() } else { format!("matrix {number}") };
                let name = call.routine.public_name();
                return Err(Error::LinearAlgebra(format!("{name}: {which} {what} (of order {n})")));
            }
        }
        Ok(())
    }

    fn handle(&self, stream: Stream) -> Result<cusolverDnHandle_t, Error> {
        let mut handles = self.0.lock();
        if let Some(Handle(known)) = handles.get(&stream.0) {
            return Ok(*known);
        }
        CUSOLVER.load()?;
        let mut new = ptr::null_mut();
        // SAFETY: the library is loaded, and the device's context is the current one.
        unsafe {
            check("beginning", sys::cusolverDnCreate(&raw mut new))?;
            check("taking a stream", sys::cusolverDnSetStream(new, handle(stream).cast()))?;
        }
        handles.insert(stream.0, Handle(new));
        Ok(new)
    }
}

/// A batch of matrices.
struct Batch<'a> {
    view: &'a ArrayView<'a>,
    complex: bool,
    rows: usize,
    columns: usize,
    count: usize,
}

/// A matrix that lies anyhow, its strides in numbers that are not complex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Member {
    pointer: *mut u8,
    shape: [usize; 3],
    strides: [isize; 3],
}

impl<'a> Batch<'a> {
    fn of(view: &'a ArrayView<'a>, complex: bool) -> Batch<'a> {
        let core = view.shape.len() - 2 - usize::from(complex);
        let (rows, columns) = (view.shape[core], view.shape[core + 1]);
        Batch { view, complex, rows, columns, count: view.shape[..core].iter().product() }
    }

    fn member(&self, number: usize) -> Member {
        let core = self.view.shape.len() - 2 - usize::from(self.complex);
        let (mut rest, mut offset) = (number, 0);
        for axis in (0..core).rev() {
            offset += (rest % self.view.shape[axis]) as isize * self.view.strides[axis];
            rest /= self.view.shape[axis];
        }
        let (pairs, step) = if self.complex { (2, self.view.strides[core + 2]) } else { (1, 1) };
        Member {
            pointer: self.view.pointer.wrapping_offset(offset * REAL as isize),
            shape: [self.rows, self.columns, pairs],
            strides: [self.view.strides[core], self.view.strides[core + 1], step],
        }
    }
}

impl Member {
    fn transposed(mut self) -> Member {
        self.shape.swap(0, 1);
        self.strides.swap(0, 1);
        self
    }
}

/// Calls the function of real or of complex numbers.
macro_rules! either {
    ($complex:expr, $real:path, $of_complex:path, $($argument:expr),*) => {
        if $complex { $of_complex($($argument),*) } else { $real($($argument),*) }
    };
}

impl Work<'_> {
    /// Bytes of a number.
    fn element(&self) -> usize {
        if self.complex { 2 * REAL } else { REAL }
    }

    fn order(&self) -> Result<c_int, Error> {
        c_int::try_from(self.n).map_err(|_| Error::Unsupported("cuSOLVER takes no matrices of order 2^31".into()))
    }

    fn pack(&self, member: Member, to: *mut u8) -> Result<(), Error> {
        let dtype = fusewire_ir::dtype::DType::F64;
        let Member { pointer, shape, strides } = member;
        self.lender.pack(&ArrayView { dtype, pointer, shape: &shape, strides: &strides }, to)
    }

    fn memory(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        self.lender.memory(bytes)
    }

    /// What a routine says when it is done: waits for it. 0 where all went well.
    fn info(&self, info: &Arc<dyn Storage>) -> Result<c_int, Error> {
        let mut word = [0u8; 4];
        // SAFETY: four bytes, each, and the copy is complete before they are looked at.
        unsafe {
            self.device.copy_out(info.pointer().addr() as u64, word.as_mut_ptr(), 4, self.stream)?;
        }
        self.device.synchronise(self.stream)?;
        Ok(c_int::from_ne_bytes(word))
    }

    /// The factor, or false. Row by row the matrix is its transpose to cuSOLVER, whose upper factor is the transpose of ours.
    fn cholesky(&self, matrix: &Member, to: *mut u8) -> Result<bool, Error> {
        let (order, mut length) = (self.order()?, 0);
        self.pack(*matrix, to)?;
        let (h, upper) = (self.handle, Fill::CUBLAS_FILL_MODE_UPPER);
        let info = self.memory(4)?;
        // SAFETY: the matrix is dense, the workspace as large as it was asked for.
        unsafe {
            check(
                "asking for memory",
                either!(
                    self.complex,
                    sys::cusolverDnDpotrf_bufferSize,
                    sys::cusolverDnZpotrf_bufferSize,
                    h,
                    upper,
                    order,
                    to.cast(),
                    order,
                    &raw mut length
                ),
            )?;
            let space = self.memory(length.max(0) as usize * self.element())?;
            check(
                "factoring",
                either!(
                    self.complex,
                    sys::cusolverDnDpotrf,
                    sys::cusolverDnZpotrf,
                    h,
                    upper,
                    order,
                    to.cast(),
                    order,
                    space.pointer().cast(),
                    length,
                    info.pointer().cast()
                ),
            )?;
            // The rest of each row is what it was.
            for row in 0..self.n - 1 {
                let start = to.addr() + (row * self.n + row + 1) * self.element();
                self.device.clear(start as u64, (self.n - 1 - row) * self.element(), self.stream)?;
            }
        }
        Ok(self.info(&info)? == 0)
    }

    /// Factors a copy of the transposed matrix. `None` where it is singular.
    fn factored(&self, matrix: &Member) -> Result<Option<[Arc<dyn Storage>; 2]>, Error> {
        let (order, mut length) = (self.order()?, 0);
        let (factors, pivots) = (self.memory(self.n * self.n * self.element())?, self.memory(4 * self.n)?);
        self.pack(*matrix, factors.pointer())?;
        let (h, a, info) = (self.handle, factors.pointer(), self.memory(4)?);
        // SAFETY: as in `cholesky`.
        unsafe {
            check(
                "asking for memory",
                either!(
                    self.complex,
                    sys::cusolverDnDgetrf_bufferSize,
                    sys::cusolverDnZgetrf_bufferSize,
                    h,
                    order,
                    order,
                    a.cast(),
                    order,
                    &raw mut length
                ),
            )?;
            let space = self.memory(length.max(0) as usize * self.element())?;
            check(
                "factoring",
                either!(
                    self.complex,
                    sys::cusolverDnDgetrf,
                    sys::cusolverDnZgetrf,
                    h,
                    order,
                    order,
                    a.cast(),
                    order,
                    space.pointer().cast(),
                    pivots.pointer().cast(),
                    info.pointer().cast()
                ),
            )?;
        }
        Ok((self.info(&info)? == 0).then_some([factors, pivots]))
    }

    /// Solves for the columns at `to`, which lie one after another, with what was factored or its transpose.
    fn substitute(
        &self,
        [factors, pivots]: &[Arc<dyn Storage>; 2],
        transposed: bool,
        columns: usize,
        to: *mut u8,
    ) -> Result<(), Error> {
        let columns = c_int::try_from(columns)
            .map_err(|_| Error::Unsupported("cuSOLVER takes no more than 2^31 - 1 columns".into()))?;
        let operation = if transposed { Operation::CUBLAS_OP_T } else { Operation::CUBLAS_OP_N };
        let (h, order, info) = (self.handle, self.order()?, self.memory(4)?);
        let (a, p) = (factors.pointer(), pivots.pointer());
        // SAFETY: as in `cholesky`.
        unsafe {
            check(
                "solving",
                either!(
                    self.complex,
                    sys::cusolverDnDgetrs,
                    sys::cusolverDnZgetrs,
                    h,
                    operation,
                    order,
                    columns,
                    a.cast(),
                    order,
                    p.cast(),
                    to.cast(),
                    order,
                    info.pointer().cast()
                ),
            )
        }
    }

    /// The solutions, or false.
    fn solve(&self, matrix: &Member, right: &Member, to: *mut u8) -> Result<bool, Error> {
        let Some(factors) = self.factored(matrix)? else { return Ok(false) };
        let columns = right.shape[1];
        let solutions = self.memory(self.n * columns * self.element())?;
        self.pack(right.transposed(), solutions.pointer())?;
        self.substitute(&factors, true, columns, solutions.pointer())?;
        let pairs = right.shape[2];
        let strides = [pairs as isize, (self.n * pairs) as isize, 1];
        self.pack(Member { pointer: solutions.pointer(), shape: right.shape, strides }, to)?;
        Ok(true)
    }

    /// The inverse, or false: what the transposed matrix makes of the unit matrix, column by column, is it row by row.
    fn invert(&self, matrix: &Member, to: *mut u8) -> Result<bool, Error> {
        let Some(factors) = self.factored(matrix)? else { return Ok(false) };
        let (start, element) = (to.addr() as u64, self.element());
        // SAFETY: the result has as many numbers. Only the high word of 1.0 is not 0.
        unsafe {
            self.device.clear(start, self.n * self.n * element, self.stream)?;
            let high = (1f64.to_bits() >> 32) as u32;
            set_words(start + 4, (self.n + 1) * element, high, 1, self.n, self.stream)?;
        }
        self.substitute(&factors, false, self.n, to)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_batch_lie_where_its_strides_say() {
        let pointer = ptr::without_provenance_mut(800);
        let (shape, strides) = ([2, 3, 4, 4], [100, 0, 1, 5]);
        let view = ArrayView { dtype: fusewire_ir::dtype::DType::F64, pointer, shape: &shape, strides: &strides };
        let batch = Batch::of(&view, false);
        assert_eq!((batch.count, batch.rows, batch.columns), (6, 4, 4));
        let member = batch.member(4);
        assert_eq!((member.pointer.addr(), member.shape, member.strides), (1600, [4, 4, 1], [1, 5, 1]));
        assert_eq!(member.transposed().strides, [5, 1, 1]);
        let shape = [3, 2, 5, 2];
        let view = ArrayView { dtype: view.dtype, pointer, shape: &shape, strides: &[-20, 10, 2, 1] };
        let batch = Batch::of(&view, true);
        assert_eq!((batch.count, batch.rows, batch.columns), (3, 2, 5));
        assert_eq!((batch.member(2).pointer.addr(), batch.member(2).shape), (480, [2, 5, 2]));
    }
}

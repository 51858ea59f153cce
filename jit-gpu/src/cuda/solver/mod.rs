//! Linear algebra by cuSOLVER, one matrix of a batch after another: `factor` has what factors, and what factors solve; `spectral` has
//! singular values and eigenvalues.
//!
//! cuSOLVER knows matrices whose columns lie side by side: what lies row by row is the transposed matrix to it.

mod factor;
mod spectral;

use super::{
    api::{Cuda, handle, set_words},
    library::Wanted,
};
use crate::driver::{Driver, Lender, Stream};
use cudarc::cusolver::sys::{self, cudaDataType, cusolverDnHandle_t, cusolverDnParams_t, cusolverStatus_t as Status};
use fusewire_ir::{
    dtype::DType,
    routine::{Linear, Routine},
    value::Storage,
};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    ffi::{c_int, c_void},
    ptr,
    sync::Arc,
};

/// The library.
const CUSOLVER: Wanted = Wanted {
    name: "cusolver",
    versions: &[("12", "nvidia-cusolver"), ("11", "nvidia-cusolver-cu12")],
    purpose: "linear algebra on a GPU",
    present: sys::is_culib_present,
    library: sys::culib,
    newest: "cusolverDnXgesvd",
};

/// What cuSOLVER keeps for each stream.
#[derive(Default)]
pub(super) struct Solver(Mutex<BTreeMap<usize, Handle>>);

#[derive(Clone, Copy)]
struct Handle {
    solver: cusolverDnHandle_t,
    params: cusolverDnParams_t,
}
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

/// Why a matrix has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failure {
    Singular,
    NotPositiveDefinite,
    NotFinite,
    NotConverged,
}

impl Failure {
    fn words(self) -> &'static str {
        match self {
            Failure::Singular => "is singular",
            Failure::NotPositiveDefinite => "is not positive definite",
            Failure::NotFinite => "holds NaN or infinity",
            Failure::NotConverged => "has no decomposition that the iteration converges to",
        }
    }
}

/// What comes of a matrix.
type Done = Result<Result<(), Failure>, Error>;

/// One matrix after another: what is the same for all.
struct Work<'a> {
    device: &'a Cuda,
    handle: Handle,
    complex: bool,
    stream: Stream,
    lender: &'a dyn Lender,
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
        if call.destination.shape.contains(&0) {
            return Ok(());
        }
        let operands: Vec<Batch<'_>> = call.operands.iter().map(|view| Batch::of(view, complex)).collect();
        let work = Work { device, handle: self.handle(stream)?, complex, stream, lender };
        let results = results(call, operands[0].count);
        for number in 0..operands[0].count {
            let to: Vec<*mut u8> = results.iter().map(|(start, bytes)| start.wrapping_add(number * bytes)).collect();
            let matrices: Vec<Member> = operands.iter().map(|batch| batch.member(number)).collect();
            if let Err(failure) = work.member(what, &matrices, &to)? {
                return Err(call.has_no_result(operands[0].count, number, failure.words()));
            }
        }
        Ok(())
    }

    fn handle(&self, stream: Stream) -> Result<Handle, Error> {
        let mut handles = self.0.lock();
        if let Some(known) = handles.get(&stream.0) {
            return Ok(*known);
        }
        CUSOLVER.load()?;
        let mut new = Handle { solver: ptr::null_mut(), params: ptr::null_mut() };
        // SAFETY: the library is loaded, and the device's context is the current one.
        unsafe {
            check("beginning", sys::cusolverDnCreate(&raw mut new.solver))?;
            check("beginning", sys::cusolverDnCreateParams(&raw mut new.params))?;
            check("taking a stream", sys::cusolverDnSetStream(new.solver, handle(stream).cast()))?;
        }
        handles.insert(stream.0, new);
        Ok(new)
    }
}

/// Where each result begins, and how many bytes of it belong to one matrix of so many.
fn results(call: &LibraryCall<'_>, count: usize) -> Vec<(*mut u8, usize)> {
    let pair = usize::from(call.routine.takes_complex());
    let shapes: Vec<&[usize]> = call.operands.iter().map(|view| &view.shape[..view.shape.len() - pair]).collect();
    let size = REAL << usize::from(call.routine.gives_complex());
    let mut start = call.destination.pointer;
    let result = |shape: fusewire_ir::shape::Shape| {
        let bytes = shape.iter().product::<usize>() * size;
        let result = (start, bytes.checked_div(count).unwrap_or(0));
        start = start.wrapping_add(bytes);
        result
    };
    call.routine.results(&shapes).into_iter().map(result).collect()
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

/// What a routine of cuSOLVER works with, and where it says how it went.
struct Space {
    device: *mut c_void,
    device_bytes: usize,
    host: *mut c_void,
    host_bytes: usize,
    info: *mut c_int,
}

impl Work<'_> {
    /// Computes the results of one matrix.
    fn member(&self, what: Linear, operands: &[Member], to: &[*mut u8]) -> Done {
        let matrix = &operands[0];
        match (what, to) {
            (Linear::Cholesky, [factor]) => self.cholesky(matrix, *factor),
            (Linear::Slogdet, [sign, logarithm]) => self.slogdet(matrix, *sign, *logarithm),
            (Linear::Inv, [inverse]) => self.invert(matrix, *inverse),
            (Linear::Solve, [solutions]) => self.solve(matrix, &operands[1], *solutions),
            (Linear::Qr { .. }, [q, r]) => self.qr(matrix, what == Linear::Qr { complete: true }, *q, *r),
            (Linear::Svd { full }, [u, s, vh]) => self.svd(matrix, full, *s, Some([*u, *vh])),
            (Linear::Svdvals, [s]) => self.svd(matrix, false, *s, None),
            (Linear::Eigh, [values, vectors]) => self.eigh(matrix, *values, Some(*vectors)),
            (Linear::Eigvalsh, [values]) => self.eigh(matrix, *values, None),
            (Linear::Eig, [values, vectors]) => self.eig(matrix, *values, Some(*vectors)),
            (Linear::Eigvals, [values]) => self.eig(matrix, *values, None),
            (what, results) => Err(Error::Internal(format!("{what:?} of {} results", results.len()))),
        }
    }

    /// Bytes of a number.
    fn element(&self) -> usize {
        if self.complex { 2 * REAL } else { REAL }
    }

    /// The parts of a number.
    fn pairs(&self) -> usize {
        self.element() / REAL
    }

    fn kind(&self) -> cudaDataType {
        if self.complex { cudaDataType::CUDA_C_64F } else { cudaDataType::CUDA_R_64F }
    }

    fn pack(&self, member: Member, to: *mut u8) -> Result<(), Error> {
        let Member { pointer, shape, strides } = member;
        self.lender.pack(&ArrayView { dtype: DType::F64, pointer, shape: &shape, strides: &strides }, to)
    }

    /// A matrix of cuSOLVER's, so many numbers from a column to the next.
    fn by_columns(&self, pointer: *mut u8, rows: usize, columns: usize, step: usize) -> Member {
        let pairs = self.pairs();
        let strides = [pairs as isize, (step * pairs) as isize, 1];
        Member { pointer, shape: [rows, columns, pairs], strides }
    }

    fn memory(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        self.lender.memory(bytes.max(1))
    }

    fn numbers(&self, count: usize) -> Result<Arc<dyn Storage>, Error> {
        self.memory(count * self.element())
    }

    /// Bytes on the device, on the host. Waits for them.
    fn download(&self, from: *mut u8, to: &mut [u8]) -> Result<(), Error> {
        // SAFETY: there are so many bytes in either place, and the copy is complete before they are looked at.
        unsafe { self.device.copy_out(from.addr() as u64, to.as_mut_ptr(), to.len(), self.stream)? };
        self.device.synchronise(self.stream)
    }

    fn download_reals(&self, from: *mut u8, count: usize) -> Result<Vec<f64>, Error> {
        let mut bytes = vec![0u8; count * REAL];
        self.download(from, &mut bytes)?;
        Ok(bytes.chunks_exact(REAL).map(|chunk| f64::from_ne_bytes(chunk.try_into().unwrap_or_default())).collect())
    }

    fn upload_reals(&self, from: &[f64], to: *mut u8) -> Result<(), Error> {
        let bytes: Vec<u8> = from.iter().flat_map(|part| part.to_ne_bytes()).collect();
        // SAFETY: there are so many bytes in either place, which stay until the copy is complete.
        unsafe { self.device.copy_in(bytes.as_ptr(), to.addr() as u64, bytes.len(), self.stream)? };
        self.device.synchronise(self.stream)
    }

    /// Runs a routine of cuSOLVER in the memory that it asks for, and waits for what it says: 0 where all went well.
    fn run(
        &self,
        doing: &str,
        ask: &dyn Fn(*mut usize, *mut usize) -> Status,
        run: &dyn Fn(&Space) -> Status,
    ) -> Result<c_int, Error> {
        let (mut device_bytes, mut host_bytes) = (0, 0);
        check("asking for memory", ask(&raw mut device_bytes, &raw mut host_bytes))?;
        let (device, info) = (self.memory(device_bytes)?, self.memory(4)?);
        let mut host: Vec<u64> = Vec::new();
        host.try_reserve(host_bytes.div_ceil(8)).map_err(|_| Error::OutOfMemory { bytes: host_bytes })?;
        let space = Space {
            device: device.pointer().cast(),
            device_bytes,
            host: host.as_mut_ptr().cast(),
            host_bytes,
            info: info.pointer().cast(),
        };
        check(doing, run(&space))?;
        let mut word = [0u8; 4];
        self.download(info.pointer(), &mut word)?;
        Ok(c_int::from_ne_bytes(word))
    }

    /// A unit matrix.
    fn identity(&self, to: *mut u8, n: usize) -> Result<(), Error> {
        let (start, element) = (to.addr() as u64, self.element());
        // SAFETY: there is room for as many numbers. Only the high word of 1.0 is not 0.
        unsafe {
            self.device.clear(start, n * n * element, self.stream)?;
            let high = (1f64.to_bits() >> 32) as u32;
            set_words(start + 4, (n + 1) * element, high, 1, n, self.stream)
        }
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

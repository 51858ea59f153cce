//! Matrix products with a row added to each of their rows, by one call of cuBLASLt: its epilogue adds the row to what is summed up
//! already, before that is stored. In the precision of the elements, as `blas` does it: no TF32.
//!
//! As there, the transposed product is asked for, so our row stands along the columns of cuBLASLt's matrix: what it calls a bias.
//! Which algorithm is the best one is asked once for each size and layout. No other epilogue is used: what its `relu` makes of NaN
//! is not documented, and ours have NumPy's results.

use super::{
    api::{Cuda, handle},
    blas::{Call, Factor, Laid, Packed},
    library::Wanted,
};
use crate::driver::{Lender, Stream};
use cudarc::cublas::sys::cublasOperation_t as Operation;
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t as Compute, cublasLtEpilogue_t as Epilogue, cublasLtHandle_t, cublasLtMatmulAlgo_t,
    cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t as Attribute,
    cublasLtMatmulPreferenceAttributes_t as Preference, cublasLtMatrixLayout_t,
    cublasLtMatrixLayoutAttribute_t as LayoutAttribute, cublasStatus_t as Status, cudaDataType_t as Kind,
};
use fusewire_ir::{dtype::DType, value::Storage};
use fusewire_runtime::{backend::ArrayView, error::Error};
use parking_lot::Mutex;
use std::{collections::BTreeMap, ffi::c_void, mem::MaybeUninit, ptr, sync::Arc};

/// The library.
const CUBLASLT: Wanted = Wanted {
    name: "cublasLt",
    versions: &[("13", "nvidia-cublas"), ("12", "nvidia-cublas-cu12")],
    purpose: "a matrix product with a row added on a GPU",
    present: sys::is_culib_present,
    library: sys::culib,
    newest: "cublasLtMatmulAlgoGetHeuristic",
};

/// Of how many products the algorithm is remembered.
const MOST: usize = 4096;
/// Larger alignments than that gain nothing.
const ALIGNMENT: u32 = 256;

/// What cuBLASLt keeps for a device, for all its streams.
#[derive(Default)]
pub(super) struct BlasLt {
    /// `None`: not looked for yet.
    library: Mutex<Option<Found>>,
    chosen: Mutex<BTreeMap<Question, Option<Chosen>>>,
}

/// The library's handle, if there is a library.
#[derive(Clone, Copy)]
struct Found(Option<cublasLtHandle_t>);
// SAFETY: any thread may use a handle, several at once.
unsafe impl Send for Found {}

/// What the choice of an algorithm depends on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    element: usize,
    extents: [usize; 3],
    laid: [Laid; 2],
    steps: [i64; 3],
    count: usize,
    /// Of right, left, destination and row.
    alignments: [u32; 4],
}

/// An algorithm, and the bytes that it needs besides.
#[derive(Clone, Copy)]
struct Chosen {
    algorithm: cublasLtMatmulAlgo_t,
    workspace: usize,
}

fn check(doing: &str, status: Status) -> Result<(), Error> {
    match status {
        Status::CUBLAS_STATUS_SUCCESS => Ok(()),
        Status::CUBLAS_STATUS_ALLOC_FAILED => Err(Error::OutOfMemory { bytes: 0 }),
        status => Err(Error::Device(format!("cuBLASLt failed while {doing}: {status:?}"))),
    }
}

/// The largest power of two that divides an address, as far as it matters.
fn alignment(pointer: *const c_void) -> u32 {
    1 << pointer.addr().trailing_zeros().min(ALIGNMENT.trailing_zeros())
}

impl BlasLt {
    /// Computes products that are one call and adds a row to each of their rows; false where the library is missing, or has no
    /// algorithm for them.
    ///
    /// # Safety
    /// The matrices and the row lie in allocated memory of the device, whose context is the current one.
    pub unsafe fn product(
        &self,
        device: &Cuda,
        call: &Call,
        row: &ArrayView<'_>,
        stream: Stream,
        lender: &dyn Lender,
    ) -> Result<bool, Error> {
        let Some(library) = self.library()? else { return Ok(false) };
        let row = Row::of(lender, row)?;
        let asked = Asked::of(call, row.pointer)?;
        let Some(chosen) = self.choose(library, device, call, &asked, row.pointer)? else { return Ok(false) };
        // Goes back to the pool when the call is asked for: who gets it next comes later on the stream.
        let workspace = (chosen.workspace > 0).then(|| lender.memory(chosen.workspace)).transpose()?;
        let memory = workspace.as_ref().map_or(ptr::null_mut(), |memory| memory.pointer());
        let (alpha, beta) = (Factor::of(call.dtype, true), Factor::of(call.dtype, false));
        // SAFETY: the caller vouches for the arrays, the layouts say how they lie, and factors are read by the call, from the host.
        let status = unsafe {
            sys::cublasLtMatmul(
                library,
                asked.operation.0,
                alpha.pointer(),
                call.right.pointer,
                asked.right.0,
                call.left.pointer,
                asked.left.0,
                beta.pointer(),
                call.to.cast(),
                asked.to.0,
                call.to.cast(),
                asked.to.0,
                &raw const chosen.algorithm,
                memory.cast(),
                chosen.workspace,
                handle(stream).cast(),
            )
        };
        match status {
            Status::CUBLAS_STATUS_NOT_SUPPORTED => Ok(false),
            status => check("multiplying matrices", status).map(|()| true),
        }
    }

    fn library(&self) -> Result<Option<cublasLtHandle_t>, Error> {
        let mut library = self.library.lock();
        if let Some(Found(known)) = *library {
            return Ok(known);
        }
        let found = match CUBLASLT.load() {
            Ok(()) => {
                let mut new = ptr::null_mut();
                // SAFETY: the library is loaded, and the device's context is the current one.
                unsafe { check("beginning", sys::cublasLtCreate(&raw mut new))? };
                Some(new)
            }
            Err(_) => None,
        };
        *library = Some(Found(found));
        Ok(found)
    }

    /// The algorithm for a call; `None` if there is none.
    fn choose(
        &self,
        library: cublasLtHandle_t,
        device: &Cuda,
        call: &Call,
        asked: &Asked,
        row: *const c_void,
    ) -> Result<Option<Chosen>, Error> {
        let alignments = [call.right.pointer, call.left.pointer, call.to.cast(), row].map(alignment);
        let &Call { dtype, extents, ref left, ref right, steps, count, .. } = call;
        let laid = [left.laid, right.laid];
        let question = Question { element: dtype.size(), extents, laid, steps, count, alignments };
        if let Some(known) = self.chosen.lock().get(&question) {
            return Ok(*known);
        }
        let found = asked.best(library, device.workspace_bytes(), alignments)?;
        let mut chosen = self.chosen.lock();
        if chosen.len() >= MOST {
            chosen.clear();
        }
        chosen.insert(question, found);
        Ok(found)
    }
}

/// A row whose elements lie side by side.
struct Row {
    pointer: *const c_void,
    /// Kept until the call is asked for.
    _memory: Option<Arc<dyn Storage>>,
}

impl Row {
    fn of(lender: &dyn Lender, row: &ArrayView<'_>) -> Result<Row, Error> {
        if row.strides[0] == 1 {
            return Ok(Row { pointer: row.pointer.cast(), _memory: None });
        }
        let memory = lender.memory(row.shape[0] * row.dtype.size())?;
        lender.pack(row, memory.pointer())?;
        Ok(Row { pointer: memory.pointer().cast(), _memory: Some(memory) })
    }
}

/// What the library gave and takes back.
struct Held<T: Copy>(T, unsafe fn(T) -> Status);

impl<T: Copy> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: the library made it, and nobody else has it.
        unsafe { (self.1)(self.0) };
    }
}

/// A call as cuBLASLt wants it described.
struct Asked {
    operation: Held<cublasLtMatmulDesc_t>,
    right: Held<cublasLtMatrixLayout_t>,
    left: Held<cublasLtMatrixLayout_t>,
    to: Held<cublasLtMatrixLayout_t>,
}

impl Asked {
    fn of(call: &Call, row: *const c_void) -> Result<Asked, Error> {
        let &Call { dtype, extents: [m, n, k], ref left, ref right, steps, count, .. } = call;
        let (kind, compute) = match dtype {
            DType::F32 => (Kind::CUDA_R_32F, Compute::CUBLAS_COMPUTE_32F),
            DType::F64 => (Kind::CUDA_R_64F, Compute::CUBLAS_COMPUTE_64F),
            other => return Err(Error::Internal(format!("a matrix product of {other:?}"))),
        };
        let mut description = ptr::null_mut();
        // SAFETY: writes the handle.
        unsafe {
            check("describing a product", sys::cublasLtMatmulDescCreate(&raw mut description, compute, kind))?;
        }
        let operation = Held(description, sys::cublasLtMatmulDescDestroy as _);
        let transposed =
            |operand: &Packed| if operand.laid.transposed { Operation::CUBLAS_OP_T } else { Operation::CUBLAS_OP_N };
        set(&operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &transposed(right))?;
        set(&operation, Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &transposed(left))?;
        set(&operation, Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &Epilogue::CUBLASLT_EPILOGUE_BIAS)?;
        // One row serves the whole batch: the step from one to the next is 0, as long as nobody says otherwise.
        set(&operation, Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &row)?;
        let stored = |laid: Laid, [rows, columns]: [usize; 2], step: i64| {
            let extents = if laid.transposed { [columns, rows] } else { [rows, columns] };
            layout(kind, extents, laid.step, count, step)
        };
        let whole = Laid { transposed: false, step: n as i64 };
        Ok(Asked {
            right: stored(right.laid, [n, k], steps[1])?,
            left: stored(left.laid, [k, m], steps[0])?,
            to: stored(whole, [n, m], steps[2])?,
            operation,
        })
    }

    /// The algorithm that the library recommends, if it has one.
    fn best(&self, library: cublasLtHandle_t, workspace: usize, alignments: [u32; 4]) -> Result<Option<Chosen>, Error> {
        let mut preference = ptr::null_mut();
        // SAFETY: writes the handle.
        unsafe { check("choosing an algorithm", sys::cublasLtMatmulPreferenceCreate(&raw mut preference))? };
        let preference = Held(preference, sys::cublasLtMatmulPreferenceDestroy as _);
        let prefer = |attribute, value: *const c_void, bytes| {
            // SAFETY: so many bytes are read from the value.
            let status = unsafe { sys::cublasLtMatmulPreferenceSetAttribute(preference.0, attribute, value, bytes) };
            check("choosing an algorithm", status)
        };
        let most = workspace as u64;
        prefer(Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, ptr::from_ref(&most).cast(), size_of::<u64>())?;
        let [right, left, to, _] = &alignments;
        for (attribute, alignment) in [
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, right),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, left),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, to),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, to),
        ] {
            prefer(attribute, ptr::from_ref(alignment).cast(), size_of::<u32>())?;
        }
        let (mut found, mut count) = (MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::zeroed(), 0);
        // SAFETY: all handles are the library's; there is room for the one result that is asked for.
        let status = unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                library,
                self.operation.0,
                self.right.0,
                self.left.0,
                self.to.0,
                self.to.0,
                preference.0,
                1,
                found.as_mut_ptr(),
                &raw mut count,
            )
        };
        match status {
            // Some sizes are refused in these words, too.
            Status::CUBLAS_STATUS_NOT_SUPPORTED | Status::CUBLAS_STATUS_INVALID_VALUE => return Ok(None),
            status => check("choosing an algorithm", status)?,
        }
        // SAFETY: zeroes are a result, whether the library wrote another one or not.
        let found = unsafe { found.assume_init() };
        let good = count > 0 && found.state == Status::CUBLAS_STATUS_SUCCESS;
        Ok(good.then_some(Chosen { algorithm: found.algo, workspace: found.workspaceSize }))
    }
}

fn set<T>(operation: &Held<cublasLtMatmulDesc_t>, attribute: Attribute, value: &T) -> Result<(), Error> {
    let bytes = size_of::<T>();
    // SAFETY: so many bytes are read from the value.
    let status =
        unsafe { sys::cublasLtMatmulDescSetAttribute(operation.0, attribute, ptr::from_ref(value).cast(), bytes) };
    check("describing a product", status)
}

/// How matrices of a batch lie: column by column, so many elements from one column to the next.
fn layout(
    kind: Kind,
    [rows, columns]: [usize; 2],
    column: i64,
    count: usize,
    step: i64,
) -> Result<Held<cublasLtMatrixLayout_t>, Error> {
    let mut layout = ptr::null_mut();
    // SAFETY: writes the handle.
    unsafe {
        let status = sys::cublasLtMatrixLayoutCreate(&raw mut layout, kind, rows as u64, columns as u64, column);
        check("describing a matrix", status)?;
    }
    let layout = Held(layout, sys::cublasLtMatrixLayoutDestroy as _);
    if count > 1 {
        let count = i32::try_from(count).map_err(|_| Error::Internal(format!("a batch of {count} products")))?;
        let set = |attribute, value: *const c_void, bytes| {
            // SAFETY: so many bytes are read from the value.
            let status = unsafe { sys::cublasLtMatrixLayoutSetAttribute(layout.0, attribute, value, bytes) };
            check("describing a matrix", status)
        };
        let offset = LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET;
        set(LayoutAttribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, ptr::from_ref(&count).cast(), size_of::<i32>())?;
        set(offset, ptr::from_ref(&step).cast(), size_of::<i64>())?;
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignments_are_powers_of_two_and_have_a_bound() {
        let of = |address: usize| alignment(ptr::without_provenance(address));
        assert_eq!([of(0x1000), of(0x1080), of(0x1004), of(0x1001)], [256, 128, 4, 1]);
    }
}

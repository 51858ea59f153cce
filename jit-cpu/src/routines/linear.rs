//! Linear algebra through `faer`. Each matrix of a batch is computed by one thread, in memory of its own, by columns, as the
//! library likes it best, and its results are written into the call's result array.

use super::{Batch, for_each};
use crate::{product::check_workspace, threads::Threads};
use dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::{
    Auto, Conj, MatMut, MatRef, Par, Spec, c64,
    diag::DiagMut,
    linalg::{
        cholesky::llt,
        evd::{self, ComputeEigenvectors, SelfAdjointEvdParams},
        householder,
        lu::partial_pivoting as lu,
        qr::no_pivoting as qr,
        svd::{self, ComputeSvdVectors, SvdParams},
    },
    traits::ComplexField,
};
use fusewire_ir::{build::tuple, dtype::DType, routine::Linear, shape::Shape};
use fusewire_runtime::{
    backend::{ArrayView, LibraryCall},
    error::Error,
};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// Bidiagonal and tridiagonal matrices below this size are iterated on; larger ones are divided. At 150 x 150 the residual of
/// the singular value decomposition is 9 units in the last place of the norm with 8, 15 with 32 and 50 with the library's
/// own 128, in the same time. With 4 the library fails on matrices of low rank.
const SMALL: usize = 8;

/// The library multiplies matrices of at most so many rows or columns where they lie; of larger ones it copies blocks, which
/// are at most `PACKED_DEPTH` deep and together hardly larger than a row of them and a part of the cache.
const PACKED: usize = 64;
const PACKED_DEPTH: usize = 512;
const CACHE: usize = 4 << 20;

/// Computes each matrix of the batch.
pub(super) fn call(threads: &Threads, call: &LibraryCall<'_>, what: Linear) -> Result<(), Error> {
    match (call.operands[0].dtype, what) {
        (DType::F64, Linear::Eig | Linear::Eigvals) => batch::<f64, c64>(threads, call, what, real_eig),
        (DType::F64, _) => batch::<f64, f64>(threads, call, what, member),
        (DType::C128, Linear::Svdvals | Linear::Eigvalsh) => batch::<c64, f64>(threads, call, what, real_values),
        (DType::C128, Linear::Eig | Linear::Eigvals) => batch::<c64, c64>(threads, call, what, complex_eig),
        (DType::C128, _) => batch::<c64, c64>(threads, call, what, member),
        (other, _) => Err(Error::Internal(format!("{} of {other}", call.routine.name()))),
    }
}

/// What elements must offer besides the library's arithmetic.
trait Number: ComplexField + Copy {
    fn real(value: f64) -> Self;
    fn modulus(self) -> f64;
    /// Divided by its modulus.
    fn sign(self) -> Self;
    fn times(self, other: Self) -> Self;
    fn conjugate(self) -> Self;
}

impl Number for c64 {
    fn real(value: f64) -> c64 {
        c64::new(value, 0.0)
    }
    fn modulus(self) -> f64 {
        self.norm()
    }
    fn sign(self) -> c64 {
        self / self.norm()
    }
    fn times(self, other: c64) -> c64 {
        // By a real number each part alone: an infinite or huge part must not spoil the other.
        if other.im == 0.0 { c64::new(self.re * other.re, self.im * other.re) } else { self * other }
    }
    fn conjugate(self) -> c64 {
        self.conj()
    }
}

impl Number for f64 {
    fn real(value: f64) -> f64 {
        value
    }
    fn modulus(self) -> f64 {
        self.abs()
    }
    fn sign(self) -> f64 {
        self.signum()
    }
    fn times(self, other: f64) -> f64 {
        self * other
    }
    fn conjugate(self) -> f64 {
        self
    }
}

/// Why a matrix has no result.
#[derive(Clone, Copy)]
enum Failure {
    Singular,
    NotPositiveDefinite,
    NotConverged,
    NotFinite,
    OutOfMemory(usize),
}

/// Computes the results of one matrix, or of one and its right sides.
type Member<T, R> = fn(Linear, &[MatRef<'_, T>], SmallVec<[&mut [R]; 3]>) -> Result<(), Failure>;

fn batch<T: Number, R: Number>(
    threads: &Threads,
    call: &LibraryCall<'_>,
    what: Linear,
    member: Member<T, R>,
) -> Result<(), Error> {
    let operands: SmallVec<[Batch<'_>; 2]> = call.operands.iter().map(|o| Batch::new(o, call.routine)).collect();
    let count = operands[0].count();
    let results = Results::<R>::new(call, count);
    let failure: Mutex<Option<(usize, Failure)>> = Mutex::new(None);
    let [.., m, n] = *call.operands[0].shape else {
        return Err(Error::Internal(format!("{} of what is no matrix", call.routine.name())));
    };
    let right = call.operands.get(1).and_then(|o| o.shape.last()).copied().unwrap_or(1);
    let instructions = (m as u64).saturating_mul(n as u64).saturating_mul(m.min(n).max(right).max(8) as u64);
    let bytes = m.saturating_mul(n).saturating_mul(2 * size_of::<T>());
    if m.min(n) > PACKED {
        // What the library's products inside a routine put in order, which they ask for without being able to fail.
        let ordered = m.max(n).saturating_mul(PACKED_DEPTH * size_of::<T>()).saturating_add(CACHE);
        check_workspace(ordered.saturating_mul(threads.count().min(count)))?;
    }
    for_each(threads, call, count, (bytes, instructions), &|number| {
        let matrices: SmallVec<[MatRef<'_, T>; 2]> = operands.iter().map(|batch| matrix(batch, number)).collect();
        // SAFETY: each member is computed once, and its results are apart from the others'.
        let to = unsafe { results.member(number) };
        if let Err(new) = member(what, &matrices, to) {
            // Which of several failures is told must not depend on who was first.
            let mut failure = failure.lock();
            if failure.is_none_or(|(first, _)| number < first) {
                *failure = Some((number, new));
            }
        }
    })?;
    match failure.into_inner() {
        None => Ok(()),
        Some((number, failure)) => Err(error(call, count, number, failure)),
    }
}

fn error(call: &LibraryCall<'_>, count: usize, number: usize, failure: Failure) -> Error {
    let what = match failure {
        Failure::OutOfMemory(bytes) => return Error::OutOfMemory { bytes },
        Failure::Singular => "is singular",
        Failure::NotPositiveDefinite => "is not positive definite",
        Failure::NotFinite => "holds NaN or infinity",
        Failure::NotConverged => "has no decomposition that the iteration converges to",
    };
    let operands: Vec<String> = call.operands.iter().map(described).collect();
    let which = if count == 1 { "the matrix".to_owned() } else { format!("matrix {number}") };
    Error::LinearAlgebra(format!("{}: {which} {what} ({})", call.routine.public_name(), operands.join(" and ")))
}

/// `float64 of shape (2, 3, 3)`.
fn described(array: &ArrayView<'_>) -> String {
    format!("{} of shape {}", array.dtype.numpy_name(), tuple(array.shape))
}

fn matrix<'a, T: Number>(batch: &Batch<'a>, number: usize) -> MatRef<'a, T> {
    let (shape, strides) = (batch.array.shape, batch.array.strides);
    let (rows, columns) = (batch.axes, batch.axes + 1);
    let start = batch.pointer(number).cast_const().cast();
    // SAFETY: the operand of a call lies in its memory, which the plan keeps alive and nobody writes meanwhile.
    unsafe { MatRef::from_raw_parts(start, shape[rows], shape[columns], strides[rows], strides[columns]) }
}

/// The parts of a call's result array.
struct Results<T> {
    /// Where each result starts, and how many elements of it belong to one member.
    parts: SmallVec<[(*mut T, usize); 3]>,
}

// SAFETY: members write elements of their own, as the caller of `member` promises.
unsafe impl<T> Sync for Results<T> {}

impl<T> Results<T> {
    fn new(call: &LibraryCall<'_>, count: usize) -> Results<T> {
        let shapes: SmallVec<[&[usize]; 2]> = call.operands.iter().map(|operand| operand.shape).collect();
        let mut start: *mut T = call.destination.pointer.cast();
        let part = |shape: Shape| {
            let elements: usize = shape.iter().product();
            let part = (start, elements.checked_div(count).unwrap_or(0));
            start = start.wrapping_add(elements);
            part
        };
        Results { parts: call.routine.results(&shapes).into_iter().map(part).collect() }
    }

    /// The results of a member, each by rows.
    ///
    /// # Safety
    /// Nobody else uses these meanwhile.
    unsafe fn member<'a>(&self, number: usize) -> SmallVec<[&'a mut [T]; 3]> {
        let part = |&(start, count): &(*mut T, usize)| {
            if count == 0 {
                // What is empty may have no memory.
                return &mut [][..];
            }
            // SAFETY: the plan has checked that the result array has room for the results of the whole batch.
            unsafe { std::slice::from_raw_parts_mut(start.wrapping_add(number * count), count) }
        };
        self.parts.iter().map(part).collect()
    }
}

/// Computes the results of one matrix.
fn member<T: Number>(what: Linear, operands: &[MatRef<'_, T>], mut to: SmallVec<[&mut [T]; 3]>) -> Result<(), Failure> {
    let a = operands[0];
    match (what, to.as_mut_slice()) {
        (Linear::Cholesky, [factor]) => cholesky(a, factor),
        (Linear::Slogdet, [sign, logarithm]) => slogdet(a, &mut sign[0], &mut logarithm[0]),
        (Linear::Inv, [inverse]) => solve(a, None, inverse),
        (Linear::Solve, [solution]) => solve(a, Some(operands[1]), solution),
        (Linear::Qr { .. }, [q, r]) => qr(a, q, r),
        (Linear::Svd { full }, [u, s, vh]) => svd(a, full, Some((u, vh)), s),
        (Linear::Svdvals, [s]) => svd(a, false, None, s),
        (Linear::Eigh, [values, vectors]) => eigh(a, values, Some(vectors)),
        (Linear::Eigvalsh, [values]) => eigh(a, values, None),
        (what, results) => unreachable!("{what:?} of {} results", results.len()),
    }
}

/// The real results of complex matrices.
fn real_values(what: Linear, operands: &[MatRef<'_, c64>], mut to: SmallVec<[&mut [f64]; 3]>) -> Result<(), Failure> {
    let mut values = vector::<c64>(to[0].len())?;
    member(what, operands, SmallVec::from_iter([values.as_mut_slice()]))?;
    to[0].iter_mut().zip(values).for_each(|(real, value)| *real = value.re);
    Ok(())
}

/// Eigenvalues and, for two results, eigenvectors of a real matrix: those of conjugate eigenvalues are conjugate, and stand
/// in two real columns, the real and the imaginary parts.
fn real_eig(_: Linear, operands: &[MatRef<'_, f64>], mut to: SmallVec<[&mut [c64]; 3]>) -> Result<(), Failure> {
    let n = operands[0].nrows();
    if n == 0 {
        return Ok(());
    }
    let kind = if to.len() > 1 { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let needed = evd::evd_scratch::<f64>(n, ComputeEigenvectors::No, kind, Par::Seq, Spec::default());
    let mut memory = workspace(needed)?;
    let (operand, scale) = Matrix::scaled(operands[0])?;
    let (mut re, mut im) = (vector::<f64>(n)?, vector::<f64>(n)?);
    let mut columns = Matrix::<f64>::zeros(n, if to.len() > 1 { n } else { 0 })?;
    let into = (to.len() > 1).then(|| columns.as_mut());
    let (re_mut, im_mut) = (DiagMut::from_slice_mut(&mut re), DiagMut::from_slice_mut(&mut im));
    let stack = MemStack::new(&mut memory);
    evd::evd_real(operand.as_ref(), re_mut, im_mut, None, into, Par::Seq, stack, Spec::default())
        .map_err(|_| Failure::NotConverged)?;
    to[0].iter_mut().enumerate().for_each(|(i, value)| *value = c64::new(re[i] * scale, im[i] * scale));
    if let [_, vectors] = to.as_mut_slice() {
        let mut j = 0;
        while j < n {
            let pair = im[j] != 0.0 && j + 1 < n;
            let part = |i: usize, column: usize| columns.elements[column * n + i];
            let of = |i: usize| if pair { c64::new(part(i, j), part(i, j + 1)) } else { c64::new(part(i, j), 0.0) };
            let length = (0..n).map(|i| of(i).norm_sqr()).sum::<f64>().sqrt();
            for i in 0..n {
                vectors[i * n + j] = of(i) / length;
                if pair {
                    vectors[i * n + j + 1] = (of(i) / length).conj();
                }
            }
            j += if pair { 2 } else { 1 };
        }
    }
    Ok(())
}

fn complex_eig(_: Linear, operands: &[MatRef<'_, c64>], mut to: SmallVec<[&mut [c64]; 3]>) -> Result<(), Failure> {
    let n = operands[0].nrows();
    if n == 0 {
        return Ok(());
    }
    let kind = if to.len() > 1 { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let needed = evd::evd_scratch::<c64>(n, ComputeEigenvectors::No, kind, Par::Seq, Spec::default());
    let mut memory = workspace(needed)?;
    let (operand, scale) = Matrix::scaled(operands[0])?;
    let mut columns = Matrix::<c64>::zeros(n, if to.len() > 1 { n } else { 0 })?;
    let into = (to.len() > 1).then(|| columns.as_mut());
    let values = DiagMut::from_slice_mut(&mut *to[0]);
    let stack = MemStack::new(&mut memory);
    evd::evd_cplx(operand.as_ref(), values, None, into, Par::Seq, stack, Spec::default())
        .map_err(|_| Failure::NotConverged)?;
    to[0].iter_mut().for_each(|value| *value = value.times(scale));
    if let [_, vectors] = to.as_mut_slice() {
        for (j, column) in columns.elements.chunks(n).enumerate() {
            let length = column.iter().map(|x| x.norm_sqr()).sum::<f64>().sqrt();
            column.iter().enumerate().for_each(|(i, &x)| vectors[i * n + j] = x / length);
        }
    }
    Ok(())
}

/// A matrix by columns.
struct Matrix<T> {
    elements: Vec<T>,
    rows: usize,
    columns: usize,
}

impl<T: Number> Matrix<T> {
    fn zeros(rows: usize, columns: usize) -> Result<Matrix<T>, Failure> {
        let count = rows.checked_mul(columns).ok_or(Failure::OutOfMemory(usize::MAX))?;
        Ok(Matrix { elements: vector(count)?, rows, columns })
    }

    fn identity(rows: usize, columns: usize) -> Result<Matrix<T>, Failure> {
        let mut identity = Matrix::zeros(rows, columns)?;
        identity.elements.iter_mut().step_by(rows + 1).for_each(|element| *element = T::real(1.0));
        Ok(identity)
    }

    fn copy(from: MatRef<'_, T>) -> Result<Matrix<T>, Failure> {
        let mut copy = Matrix::zeros(from.nrows(), from.ncols())?;
        copy.as_mut().copy_from(from);
        Ok(copy)
    }

    /// A copy divided by a power of two, so that its largest element is about 1, and that power: the library's iterations
    /// compare squares with fixed thresholds. They may also not end with what is not finite.
    fn scaled(from: MatRef<'_, T>) -> Result<(Matrix<T>, T), Failure> {
        let mut copy = Matrix::copy(from)?;
        // A maximum would pass over NaN.
        let largest =
            copy.elements.iter().fold(0.0, |most: f64, x| if x.modulus() <= most { most } else { x.modulus() });
        if !largest.is_finite() {
            return Err(Failure::NotFinite);
        }
        let exponent = if largest == 0.0 { 0.0 } else { largest.log2().floor().clamp(-1000.0, 1000.0) };
        let (down, up) = (T::real((-exponent).exp2()), T::real(exponent.exp2()));
        copy.elements.iter_mut().for_each(|element| *element = element.times(down));
        Ok((copy, up))
    }

    fn as_ref(&self) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.elements, self.rows, self.columns)
    }

    fn as_mut(&mut self) -> MatMut<'_, T> {
        MatMut::from_column_major_slice_mut(&mut self.elements, self.rows, self.columns)
    }
}

/// Zeros.
fn vector<T: Number>(count: usize) -> Result<Vec<T>, Failure> {
    let mut elements = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    elements.try_reserve_exact(count).map_err(|_| Failure::OutOfMemory(bytes))?;
    elements.resize(count, T::real(0.0));
    Ok(elements)
}

/// The library's working memory.
fn workspace(needed: StackReq) -> Result<MemBuffer, Failure> {
    MemBuffer::try_new(needed).map_err(|_| Failure::OutOfMemory(needed.unaligned_bytes_required()))
}

/// Writes a matrix by rows.
fn store<T: Number>(from: MatRef<'_, T>, to: &mut [T]) {
    MatMut::from_row_major_slice_mut(to, from.nrows(), from.ncols()).copy_from(from);
}

fn cholesky<T: Number>(a: MatRef<'_, T>, to: &mut [T]) -> Result<(), Failure> {
    let n = a.nrows();
    let mut factor = Matrix::copy(a)?;
    let mut memory = workspace(llt::factor::cholesky_in_place_scratch::<T>(n, Par::Seq, Spec::default()))?;
    let stack = MemStack::new(&mut memory);
    let regular = Default::default();
    let done = llt::factor::cholesky_in_place(factor.as_mut(), regular, Par::Seq, stack, Spec::default());
    done.map_err(|_| Failure::NotPositiveDefinite)?;
    for (number, element) in to.iter_mut().enumerate() {
        let (row, column) = (number / n, number % n);
        *element = if column <= row { factor.elements[column * n + row] } else { T::real(0.0) };
    }
    // What is no number is not positive either, and not every comparison finds it.
    let positive = (0..n).all(|i| to[i * n + i].modulus() > 0.0);
    if positive { Ok(()) } else { Err(Failure::NotPositiveDefinite) }
}

/// A factorisation with row exchanges.
struct Factors<T> {
    /// Both triangles; the lower one has ones on the diagonal.
    both: Matrix<T>,
    rows: Vec<usize>,
    inverse: Vec<usize>,
    exchanges: usize,
}

impl<T: Number> Factors<T> {
    fn of(a: MatRef<'_, T>) -> Result<Factors<T>, Failure> {
        let n = a.nrows();
        let mut both = Matrix::copy(a)?;
        let (mut rows, mut inverse) = (indices(n)?, indices(n)?);
        let mut memory = workspace(lu::factor::lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Spec::default()))?;
        let stack = MemStack::new(&mut memory);
        let (info, _) =
            lu::factor::lu_in_place(both.as_mut(), &mut rows, &mut inverse, Par::Seq, stack, Spec::default());
        Ok(Factors { both, rows, inverse, exchanges: info.transposition_count })
    }

    fn diagonal(&self) -> impl Iterator<Item = T> {
        self.both.elements.iter().step_by(self.both.rows + 1).copied()
    }

    /// The first pivot that is zero ends the factorisation, whatever comes after it.
    fn is_singular(&self) -> bool {
        self.diagonal().any(|pivot| pivot.modulus() == 0.0)
    }
}

fn indices(count: usize) -> Result<Vec<usize>, Failure> {
    let mut indices = Vec::new();
    indices.try_reserve_exact(count).map_err(|_| Failure::OutOfMemory(count.saturating_mul(8)))?;
    indices.resize(count, 0);
    Ok(indices)
}

fn slogdet<T: Number>(a: MatRef<'_, T>, sign: &mut T, logarithm: &mut T) -> Result<(), Failure> {
    let factors = Factors::of(a)?;
    if factors.is_singular() {
        (*sign, *logarithm) = (T::real(0.0), T::real(f64::NEG_INFINITY));
        return Ok(());
    }
    let exchanged = T::real(if factors.exchanges % 2 == 0 { 1.0 } else { -1.0 });
    *sign = factors.diagonal().fold(exchanged, |sign, pivot| sign.times(pivot.sign()));
    *logarithm = T::real(factors.diagonal().map(|pivot| pivot.modulus().ln()).sum());
    Ok(())
}

/// `right` is the identity where there is none.
fn solve<T: Number>(a: MatRef<'_, T>, right: Option<MatRef<'_, T>>, to: &mut [T]) -> Result<(), Failure> {
    let n = a.nrows();
    let mut solution = match right {
        Some(right) => Matrix::copy(right)?,
        None => Matrix::identity(n, n)?,
    };
    let factors = Factors::of(a)?;
    if factors.is_singular() {
        return Err(Failure::Singular);
    }
    let mut memory = workspace(lu::solve::solve_in_place_scratch::<usize, T>(n, solution.columns, Par::Seq))?;
    let both = factors.both.as_ref();
    // SAFETY: the library has filled the two with a permutation and its inverse.
    let exchange = unsafe { faer::perm::PermRef::new_unchecked(&factors.rows, &factors.inverse, n) };
    let stack = MemStack::new(&mut memory);
    lu::solve::solve_in_place_with_conj(both, both, exchange, Conj::No, solution.as_mut(), Par::Seq, stack);
    store(solution.as_ref(), to);
    Ok(())
}

fn qr<T: Number>(a: MatRef<'_, T>, q: &mut [T], r: &mut [T]) -> Result<(), Failure> {
    let (m, n) = a.shape();
    let least = m.min(n);
    let width = q.len().checked_div(m).unwrap_or(0);
    let mut factors = Matrix::copy(a)?;
    let mut basis = Matrix::identity(m, width)?;
    if least > 0 {
        let block = qr::factor::recommended_block_size::<T>(m, n);
        let mut coefficients = Matrix::zeros(block, least)?;
        let needed = qr::factor::qr_in_place_scratch::<T>(m, n, block, Par::Seq, Spec::default());
        let then = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, width);
        let mut memory = workspace(needed.or(then))?;
        let stack = MemStack::new(&mut memory);
        qr::factor::qr_in_place(factors.as_mut(), coefficients.as_mut(), Par::Seq, stack, Spec::default());
        householder::apply_block_householder_sequence_on_the_left_in_place_with_conj(
            factors.as_ref().subcols(0, least),
            coefficients.as_ref(),
            Conj::No,
            basis.as_mut(),
            Par::Seq,
            stack,
        );
    }
    store(basis.as_ref(), q);
    for (number, element) in r.iter_mut().enumerate() {
        let (row, column) = (number / n, number % n);
        *element = if row <= column { factors.elements[column * m + row] } else { T::real(0.0) };
    }
    Ok(())
}

fn svd<T: Number>(
    a: MatRef<'_, T>,
    full: bool,
    vectors: Option<(&mut [T], &mut [T])>,
    s: &mut [T],
) -> Result<(), Failure> {
    let (m, n) = a.shape();
    let least = m.min(n);
    let (rows, columns) = if full { (m, n) } else { (least, least) };
    let kind = match (&vectors, full) {
        (None, _) => ComputeSvdVectors::No,
        (Some(_), false) => ComputeSvdVectors::Thin,
        (Some(_), true) => ComputeSvdVectors::Full,
    };
    let params = svd_params::<T>();
    let mut memory = workspace(svd::svd_scratch::<T>(m, n, kind, kind, Par::Seq, params))?;
    let stack = MemStack::new(&mut memory);
    let (operand, scale) = Matrix::scaled(a)?;
    let values = DiagMut::from_slice_mut(&mut *s);
    let done = match vectors {
        None => svd::svd(operand.as_ref(), values, None, None, Par::Seq, stack, params),
        Some((u, vh)) => {
            let mut left = Matrix::zeros(m, rows)?;
            // The rows of the result are the columns of V, conjugated: by columns, V lies there as it should.
            let right = MatMut::from_column_major_slice_mut(&mut *vh, n, columns);
            let (operand, left_mut) = (operand.as_ref(), Some(left.as_mut()));
            let done = svd::svd(operand, values, left_mut, Some(right), Par::Seq, stack, params);
            vh.iter_mut().for_each(|element| *element = element.conjugate());
            store(left.as_ref(), u);
            done
        }
    };
    s.iter_mut().for_each(|value| *value = value.times(scale));
    done.map_err(|_| Failure::NotConverged)
}

fn svd_params<T: Number>() -> Spec<SvdParams, T> {
    SvdParams { recursion_threshold: SMALL, ..<SvdParams as Auto<T>>::auto() }.into()
}

fn eigh<T: Number>(a: MatRef<'_, T>, values: &mut [T], vectors: Option<&mut [T]>) -> Result<(), Failure> {
    let n = a.nrows();
    if n == 0 {
        return Ok(());
    }
    let kind = if vectors.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let params: Spec<SelfAdjointEvdParams, T> =
        SelfAdjointEvdParams { recursion_threshold: SMALL, ..<SelfAdjointEvdParams as Auto<T>>::auto() }.into();
    let mut memory = workspace(evd::self_adjoint_evd_scratch::<T>(n, kind, Par::Seq, params))?;
    let stack = MemStack::new(&mut memory);
    let (operand, scale) = Matrix::scaled(a)?;
    let diagonal = DiagMut::from_slice_mut(&mut *values);
    let done = match vectors {
        None => evd::self_adjoint_evd(operand.as_ref(), diagonal, None, Par::Seq, stack, params),
        Some(to) => {
            let mut columns = Matrix::zeros(n, n)?;
            let (operand, into) = (operand.as_ref(), Some(columns.as_mut()));
            let done = evd::self_adjoint_evd(operand, diagonal, into, Par::Seq, stack, params);
            store(columns.as_ref(), to);
            done
        }
    };
    values.iter_mut().for_each(|value| *value = value.times(scale));
    done.map_err(|_| Failure::NotConverged)
}

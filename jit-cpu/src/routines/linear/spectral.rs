//! Singular values, eigenvalues and their vectors.

use super::matrix::{Failure, Matrix, Number, store, vector, workspace};
use dyn_stack::{MemBuffer, MemStack};
use faer::{
    Accum, Auto, Conj, MatMut, MatRef, Par, Spec, c64,
    diag::DiagMut,
    linalg::{
        evd::{self, ComputeEigenvectors, SelfAdjointEvdParams},
        matmul::{matmul, matmul_with_conj},
        svd::{self, ComputeSvdVectors, SvdParams},
    },
    prelude::{Reborrow, ReborrowMut},
    unzip, zip,
};
use fusewire_ir::routine::Linear;
use smallvec::SmallVec;

/// Bidiagonal and tridiagonal matrices below this size are iterated on; larger ones are divided. The smaller, the smaller are residuals:
/// of symmetric 50 x 50 matrices 5 units in the last place of the norm with 4, 7 with 8 and 25 with the library's own 128, in the same
/// time. But now and then dividing fails, on matrices of low rank, or loses up to 1e-12, where singular values span many magnitudes. So
/// residuals are looked at, and one that is larger than [`expected`] has the matrix decomposed again, with the next of these.
const SMALL: [usize; 3] = [4, 8, 128];

/// Where nothing but values is asked for, there are no residuals.
const SMALL_FOR_VALUES: [usize; 2] = [8, 128];

/// What the iteration's residuals stay below.
fn expected<T: Number>(a: MatRef<'_, T>) -> f64 {
    let least = a.nrows().min(a.ncols());
    (least as f64).sqrt() * 4.0 * f64::EPSILON * a.norm_l2()
}

/// The first decomposition of those with some size that is good enough, or the last one.
fn first_good(sizes: &[usize], decompose: &mut dyn FnMut(usize) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut last = Ok(());
    for &size in sizes {
        match decompose(size) {
            Ok(true) => return Ok(()),
            Ok(false) => last = Ok(()),
            Err(failure) => last = Err(failure),
        }
    }
    last
}

pub(super) fn svd<T: Number>(
    a: MatRef<'_, T>,
    full: bool,
    vectors: Option<(&mut [T], &mut [T])>,
    s: &mut [T],
) -> Result<(), Failure> {
    let (m, n) = a.shape();
    let least = m.min(n);
    let (operand, scale) = Matrix::scaled(a)?;
    let operand = operand.as_ref();
    match vectors {
        None => first_good(&SMALL_FOR_VALUES, &mut |size| {
            singular(operand, size, ComputeSvdVectors::No, None, s).map(|()| true)
        })?,
        Some((u, vh)) => {
            let (kind, rows, columns) =
                if full { (ComputeSvdVectors::Full, m, n) } else { (ComputeSvdVectors::Thin, least, least) };
            let mut left = Matrix::zeros(m, rows)?;
            // The rows of the result are the columns of V, conjugated: by columns, V lies there as it should.
            let mut right = MatMut::from_column_major_slice_mut(&mut *vh, n, columns);
            first_good(&SMALL, &mut |size| {
                singular(operand, size, kind, Some((left.as_mut(), right.rb_mut())), s)?;
                Ok(refine(operand, left.as_mut(), s, right.rb_mut())? <= expected(operand))
            })?;
            vh.iter_mut().for_each(|element| *element = element.conjugate());
            store(left.as_ref(), u);
        }
    }
    s.iter_mut().for_each(|value| *value = value.times(scale));
    Ok(())
}

fn singular<T: Number>(
    operand: MatRef<'_, T>,
    size: usize,
    kind: ComputeSvdVectors,
    vectors: Option<(MatMut<'_, T>, MatMut<'_, T>)>,
    s: &mut [T],
) -> Result<(), Failure> {
    let (m, n) = operand.shape();
    let params: Spec<SvdParams, T> = SvdParams { recursion_threshold: size, ..<SvdParams as Auto<T>>::auto() }.into();
    let mut memory = workspace(svd::svd_scratch::<T>(m, n, kind, kind, Par::Seq, params))?;
    let (left, right) = vectors.unzip();
    let values = DiagMut::from_slice_mut(s);
    svd::svd(operand, values, left, right, Par::Seq, MemStack::new(&mut memory), params)
        .map_err(|_| Failure::NotConverged)
}

/// The norm of what `left * s * adjoint(right)` leaves of a matrix, after values were mended. Dividing makes of those that are nearly 0
/// some units in the last place of the largest: what the matrix makes of one vector says how far it goes along the other.
fn refine<T: Number>(a: MatRef<'_, T>, left: MatMut<'_, T>, s: &mut [T], right: MatMut<'_, T>) -> Result<f64, Failure> {
    // The vectors on the shorter side are all there are, so nothing of the matrix is apart from them.
    let tall = a.nrows() >= a.ncols();
    let (a, mut from, mut to) = if tall { (a, right, left) } else { (a.transpose(), left, right) };
    let count = s.len();
    let mut images = Matrix::zeros(a.nrows(), count)?;
    let conjugate = if tall { Conj::No } else { Conj::Yes };
    matmul_with_conj(
        images.as_mut(),
        Accum::Replace,
        a,
        conjugate,
        from.rb().subcols(0, count),
        Conj::No,
        T::real(1.0),
        Par::Seq,
    );
    let negligible = 4.0 * f64::EPSILON * s.first().map_or(0.0, |value| value.modulus());
    let (mut mended, mut squares) = (false, 0.0f64);
    for (i, value) in s.iter_mut().enumerate() {
        let (image, mut unit) = (images.as_ref().col(i), to.rb_mut().col_mut(i));
        let mut length = 0.0;
        zip!(image, unit.rb()).for_each(|unzip!(x, u)| length += u.conjugate().times(*x).real_part());
        if (length - value.real_part()).abs() > negligible {
            *value = T::real(length.abs());
            zip!(unit.rb_mut()).for_each(|unzip!(u)| *u = u.times(T::real(length.signum())));
            mended = true;
        }
        zip!(image, unit.rb()).for_each(|unzip!(x, u)| squares += (*x - u.times(*value)).modulus().powi(2));
    }
    if mended {
        for i in 0..count {
            let largest = (i..count).fold(i, |j, k| if s[k].modulus() > s[j].modulus() { k } else { j });
            if largest != i {
                s.swap(i, largest);
                faer::perm::swap_cols_idx(from.rb_mut(), i, largest);
                faer::perm::swap_cols_idx(to.rb_mut(), i, largest);
            }
        }
    }
    Ok(squares.sqrt())
}

/// The norm of what `vectors * values * adjoint(vectors)` leaves of a matrix.
fn residual<T: Number>(a: MatRef<'_, T>, vectors: MatRef<'_, T>, values: &[T]) -> Result<f64, Failure> {
    let mut rest = Matrix::zeros(a.nrows(), a.ncols())?;
    matmul(rest.as_mut(), Accum::Replace, a, vectors, T::real(1.0), Par::Seq);
    for ((column, vector), value) in rest.as_mut().col_iter_mut().zip(vectors.col_iter()).zip(values) {
        zip!(column, vector).for_each(|unzip!(x, v)| *x -= v.times(*value));
    }
    Ok(rest.as_ref().norm_l2())
}

pub(super) fn eigh<T: Number>(a: MatRef<'_, T>, values: &mut [T], vectors: Option<&mut [T]>) -> Result<(), Failure> {
    let n = a.nrows();
    if n == 0 {
        return Ok(());
    }
    let (operand, scale) = Matrix::scaled(a)?;
    let operand = operand.as_ref();
    match vectors {
        None => first_good(&SMALL_FOR_VALUES, &mut |size| symmetric(operand, size, None, values).map(|()| true))?,
        Some(to) => {
            let mut columns = Matrix::zeros(n, n)?;
            // Only the lower triangle of the operand counts, and the real parts of its diagonal.
            let mut whole = Matrix::copy(operand)?;
            for j in 0..n {
                (0..j).for_each(|i| whole.elements[j * n + i] = operand[(j, i)].conjugate());
                whole.elements[j * n + j] = T::real(operand[(j, j)].real_part());
            }
            first_good(&SMALL, &mut |size| {
                symmetric(operand, size, Some(columns.as_mut()), values)?;
                Ok(residual(whole.as_ref(), columns.as_ref(), values)? <= expected(whole.as_ref()))
            })?;
            store(columns.as_ref(), to);
        }
    }
    values.iter_mut().for_each(|value| *value = value.times(scale));
    Ok(())
}

fn symmetric<T: Number>(
    operand: MatRef<'_, T>,
    size: usize,
    vectors: Option<MatMut<'_, T>>,
    values: &mut [T],
) -> Result<(), Failure> {
    let kind = if vectors.is_some() { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No };
    let params: Spec<SelfAdjointEvdParams, T> =
        SelfAdjointEvdParams { recursion_threshold: size, ..<SelfAdjointEvdParams as Auto<T>>::auto() }.into();
    let mut memory = workspace(evd::self_adjoint_evd_scratch::<T>(operand.nrows(), kind, Par::Seq, params))?;
    let diagonal = DiagMut::from_slice_mut(values);
    evd::self_adjoint_evd(operand, diagonal, vectors, Par::Seq, MemStack::new(&mut memory), params)
        .map_err(|_| Failure::NotConverged)
}

/// What the eigenvalues of any matrix are computed from: one that is scaled, by what, and with room for vectors, where they are asked for.
struct General<T> {
    memory: MemBuffer,
    operand: Matrix<T>,
    scale: T,
    vectors: Matrix<T>,
}

impl<T: Number> General<T> {
    fn new(from: MatRef<'_, T>, results: usize) -> Result<General<T>, Failure> {
        let n = from.nrows();
        let (kind, columns) = if results > 1 { (ComputeEigenvectors::Yes, n) } else { (ComputeEigenvectors::No, 0) };
        let needed = evd::evd_scratch::<T>(n, ComputeEigenvectors::No, kind, Par::Seq, Spec::default());
        let memory = workspace(needed)?;
        let (operand, scale) = Matrix::scaled(from)?;
        Ok(General { memory, operand, scale, vectors: Matrix::zeros(n, columns)? })
    }
}

/// Eigenvalues and, for two results, eigenvectors of a real matrix: those of conjugate eigenvalues are conjugate, and stand
/// in two real columns, the real and the imaginary parts.
pub(super) fn real_eig(
    _: Linear,
    operands: &[MatRef<'_, f64>],
    mut to: SmallVec<[&mut [c64]; 3]>,
) -> Result<(), Failure> {
    let n = operands[0].nrows();
    if n == 0 {
        return Ok(());
    }
    let General { mut memory, operand, scale, vectors: mut columns } = General::new(operands[0], to.len())?;
    let (mut re, mut im) = (vector::<f64>(n)?, vector::<f64>(n)?);
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

pub(super) fn complex_eig(
    _: Linear,
    operands: &[MatRef<'_, c64>],
    mut to: SmallVec<[&mut [c64]; 3]>,
) -> Result<(), Failure> {
    let n = operands[0].nrows();
    if n == 0 {
        return Ok(());
    }
    let General { mut memory, operand, scale, vectors: mut columns } = General::new(operands[0], to.len())?;
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

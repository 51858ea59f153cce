//! Factorisations: of positive definite matrices, with row exchanges, into a basis and a triangle; what they solve.

use super::matrix::{Failure, Matrix, Number, indices, store, vector, workspace};
use dyn_stack::MemStack;
use faer::{
    Accum, ColMut, ColRef, Conj, MatMut, MatRef, Par, Spec,
    linalg::{
        householder,
        lu::partial_pivoting as lu,
        matmul::{
            matmul,
            triangular::{self, BlockStructure},
        },
        qr::no_pivoting::factor::recommended_block_size,
    },
    prelude::{IntoConst, Reborrow, ReborrowMut},
    unzip, zip,
};

/// Blocks of at most so many columns are factored one column after the other.
const NARROW: usize = 16;

pub(super) fn cholesky<T: Number>(a: MatRef<'_, T>, to: &mut [T]) -> Result<(), Failure> {
    let n = a.nrows();
    let mut factor = Matrix::copy(a)?;
    factor_positive(factor.as_mut())?;
    for (number, element) in to.iter_mut().enumerate() {
        let (row, column) = (number / n, number % n);
        *element = if column <= row { factor.elements[column * n + row] } else { T::real(0.0) };
    }
    Ok(())
}

/// The lower triangle of a matrix becomes the factor whose product with its adjoint it was. Where the library multiplies by
/// the inverse of a pivot, this divides, as LAPACK does: residuals are half as large.
fn factor_positive<T: Number>(a: MatMut<'_, T>) -> Result<(), Failure> {
    let n = a.nrows();
    if n <= NARROW {
        return factor_columns(a);
    }
    let (mut head, _, mut left, mut rest) = a.split_at_mut(n / 2, n / 2);
    factor_positive(head.rb_mut())?;
    divide_by_adjoint(left.rb_mut(), head.rb());
    triangular::matmul(
        rest.rb_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        left.rb(),
        BlockStructure::Rectangular,
        left.rb().adjoint(),
        BlockStructure::Rectangular,
        T::real(-1.0),
        Par::Seq,
    );
    factor_positive(rest)
}

fn factor_columns<T: Number>(mut a: MatMut<'_, T>) -> Result<(), Failure> {
    let n = a.nrows();
    for j in 0..n {
        let (before, mut column) = column_behind(a.rb_mut(), j);
        for k in 0..j {
            subtract(column.rb_mut(), before.col(k), before[(j, k)]);
        }
        // NaN is not positive either.
        let square = column[j].real_part();
        if square.is_nan() || square <= 0.0 {
            return Err(Failure::NotPositiveDefinite);
        }
        column[j] = T::real(square.sqrt());
        let (pivot, below) = column.subrows_mut(j, n - j).split_at_row_mut(1);
        divide(below, pivot[0]);
    }
    Ok(())
}

/// `a` becomes the `x` of `x * adjoint(lower) = a`.
fn divide_by_adjoint<T: Number>(mut a: MatMut<'_, T>, lower: MatRef<'_, T>) {
    let n = a.ncols();
    if n <= NARROW {
        for j in 0..n {
            let (before, mut column) = column_behind(a.rb_mut(), j);
            (0..j).for_each(|k| subtract(column.rb_mut(), before.col(k), lower[(j, k)]));
            divide(column, lower[(j, j)]);
        }
        return;
    }
    let (head, _, left, rest) = lower.split_at(n / 2, n / 2);
    let (mut first, mut second) = a.split_at_col_mut(n / 2);
    divide_by_adjoint(first.rb_mut(), head);
    matmul(second.rb_mut(), Accum::Add, first.rb(), left.adjoint(), T::real(-1.0), Par::Seq);
    divide_by_adjoint(second, rest);
}

/// Columns before a column, and it.
fn column_behind<T>(a: MatMut<'_, T>, j: usize) -> (MatRef<'_, T>, ColMut<'_, T>) {
    let (before, rest) = a.split_at_col_mut(j);
    (before.into_const(), rest.col_mut(0))
}

/// `column -= other * conjugate(factor)`
fn subtract<T: Number>(column: ColMut<'_, T>, other: ColRef<'_, T>, factor: T) {
    let factor = factor.conjugate();
    zip!(column, other).for_each(|unzip!(x, y)| *x -= y.times(factor));
}

fn divide<T: Number>(column: ColMut<'_, T>, divisor: T) {
    zip!(column).for_each(|unzip!(x)| *x /= divisor);
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

pub(super) fn slogdet<T: Number>(a: MatRef<'_, T>, sign: &mut T, logarithm: &mut T) -> Result<(), Failure> {
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
pub(super) fn solve<T: Number>(a: MatRef<'_, T>, right: Option<MatRef<'_, T>>, to: &mut [T]) -> Result<(), Failure> {
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

pub(super) fn qr<T: Number>(a: MatRef<'_, T>, q: &mut [T], r: &mut [T]) -> Result<(), Failure> {
    let (m, n) = a.shape();
    let least = m.min(n);
    let width = q.len().checked_div(m).unwrap_or(0);
    let mut factors = Matrix::copy(a)?;
    let mut basis = Matrix::identity(m, width)?;
    if least > 0 {
        let block = recommended_block_size::<T>(m, n);
        let mut coefficients = Matrix::zeros(block, least)?;
        let columns = n.max(width);
        let needed = householder::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, columns);
        let mut memory = workspace(needed)?;
        let stack = MemStack::new(&mut memory);
        reflect(factors.as_mut(), coefficients.as_mut(), stack)?;
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

/// A matrix becomes its upper triangle behind reflections, whose vectors are stored below the diagonal and whose coefficients go to
/// `coefficients`, as the library stores them. The library's own factorisation leaves out columns that depend on those before
/// them to within 16 m units in the last place, and loses so much.
fn reflect<T: Number>(
    mut a: MatMut<'_, T>,
    mut coefficients: MatMut<'_, T>,
    stack: &mut MemStack,
) -> Result<(), Failure> {
    let (m, n) = a.shape();
    let block = coefficients.nrows();
    let mut projections = vector::<T>(block)?;
    for start in (0..m.min(n)).step_by(block) {
        let width = block.min(m.min(n) - start);
        let (mut panel, rest) = a.rb_mut().submatrix_mut(start, start, m - start, n - start).split_at_col_mut(width);
        let mut factor = coefficients.rb_mut().submatrix_mut(0, start, width, width);
        for k in 0..width {
            let (left, right) = panel.rb_mut().subrows_mut(k, m - start - k).split_at_col_mut(k + 1);
            let (mut head, mut vector) = left.col_mut(k).split_at_row_mut(1);
            let length = householder::make_householder_in_place(&mut head[0], vector.rb_mut()).tau;
            factor[(k, k)] = T::real(length);
            let (mut heads, mut tails) = right.split_at_row_mut(1);
            let vector = vector.rb().as_mat();
            let mut along = MatMut::from_row_major_slice_mut(&mut projections[..width - k - 1], 1, width - k - 1);
            along.copy_from(heads.rb());
            matmul(along.rb_mut(), Accum::Add, vector.adjoint(), tails.rb(), T::real(1.0), Par::Seq);
            along.rb_mut().row_iter_mut().flat_map(|row| row.iter_mut()).for_each(|x| *x /= T::real(length));
            heads -= along.rb();
            matmul(tails.rb_mut(), Accum::Add, vector, along.rb(), T::real(-1.0), Par::Seq);
        }
        householder::upgrade_householder_factor(factor.rb_mut(), panel.rb(), width, 1, Par::Seq);
        if rest.ncols() > 0 {
            householder::apply_block_householder_transpose_on_the_left_in_place_with_conj(
                panel.rb(),
                factor.rb(),
                Conj::Yes,
                rest,
                Par::Seq,
                stack,
            );
        }
    }
    Ok(())
}

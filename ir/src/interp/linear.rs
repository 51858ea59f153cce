//! What the routines of linear algebra mean: textbook methods on small matrices of complex numbers. Where a decomposition is
//! not unique (signs of vectors), this is one of many.

use num_complex::Complex64 as C;

/// A matrix, by rows.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub elements: Vec<C>,
}

impl std::ops::Index<(usize, usize)> for Matrix {
    type Output = C;
    fn index(&self, (row, column): (usize, usize)) -> &C {
        &self.elements[row * self.columns + column]
    }
}

impl std::ops::IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut C {
        &mut self.elements[row * self.columns + column]
    }
}

impl Matrix {
    pub fn from_fn(rows: usize, columns: usize, element: impl Fn(usize, usize) -> C) -> Matrix {
        let elements = (0..rows * columns).map(|i| element(i / columns, i % columns)).collect();
        Matrix { rows, columns, elements }
    }

    pub fn identity(n: usize) -> Matrix {
        Matrix::from_fn(n, n, |i, j| C::from(f64::from(i == j)))
    }

    fn adjoint(&self) -> Matrix {
        Matrix::from_fn(self.columns, self.rows, |i, j| self[(j, i)].conj())
    }

    fn times(&self, other: &Matrix) -> Matrix {
        Matrix::from_fn(self.rows, other.columns, |i, j| (0..self.columns).map(|k| self[(i, k)] * other[(k, j)]).sum())
    }

    fn column(&self, j: usize) -> Vec<C> {
        (0..self.rows).map(|i| self[(i, j)]).collect()
    }

    fn first_columns(&self, count: usize) -> Matrix {
        Matrix::from_fn(self.rows, count, |i, j| self[(i, j)])
    }
}

fn inner(a: &[C], b: &[C]) -> C {
    a.iter().zip(b).map(|(a, b)| a.conj() * b).sum()
}

pub(super) fn cholesky(a: &Matrix) -> Result<Matrix, String> {
    let n = a.rows;
    let mut l = Matrix::from_fn(n, n, |_, _| C::ZERO);
    for j in 0..n {
        let pivot = a[(j, j)].re - (0..j).map(|k| l[(j, k)].norm_sqr()).sum::<f64>();
        if pivot.is_nan() || pivot <= 0.0 {
            return Err("the matrix is not positive definite".to_owned());
        }
        l[(j, j)] = C::from(pivot.sqrt());
        for i in j + 1..n {
            let known: C = (0..j).map(|k| l[(i, k)] * l[(j, k)].conj()).sum();
            l[(i, j)] = (a[(i, j)] - known) / l[(j, j)];
        }
    }
    Ok(l)
}

/// `[sign, logarithm of the modulus]` of the determinant, and the solution for these right sides where there is one.
pub(super) fn eliminate(a: &Matrix, right: &Matrix) -> ([C; 2], Result<Matrix, String>) {
    let n = a.rows;
    let (mut a, mut x) = (a.clone(), right.clone());
    let (mut sign, mut logarithm) = (C::ONE, 0.0);
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[(i, k)].norm().total_cmp(&a[(j, k)].norm())).unwrap_or(k);
        if a[(pivot, k)] == C::ZERO {
            return ([C::ZERO, C::from(f64::NEG_INFINITY)], Err("the matrix is singular".to_owned()));
        }
        if pivot != k {
            sign = -sign;
            (0..n).for_each(|j| a.elements.swap(k * n + j, pivot * n + j));
            (0..x.columns).for_each(|j| x.elements.swap(k * x.columns + j, pivot * x.columns + j));
        }
        sign *= a[(k, k)] / a[(k, k)].norm();
        logarithm += a[(k, k)].norm().ln();
        for i in k + 1..n {
            let factor = a[(i, k)] / a[(k, k)];
            (k..n).for_each(|j| a[(i, j)] = a[(i, j)] - factor * a[(k, j)]);
            (0..x.columns).for_each(|j| x[(i, j)] = x[(i, j)] - factor * x[(k, j)]);
        }
    }
    for j in 0..x.columns {
        for i in (0..n).rev() {
            let known: C = (i + 1..n).map(|k| a[(i, k)] * x[(k, j)]).sum();
            x[(i, j)] = (x[(i, j)] - known) / a[(i, i)];
        }
    }
    ([sign, C::from(logarithm)], Ok(x))
}

/// Orthonormal columns whose first ones span what the columns given span; `count` of them. A column that is (nearly) in the
/// span of those before it is replaced by another.
fn orthonormal(columns: &Matrix, count: usize) -> Matrix {
    let m = columns.rows;
    let mut basis: Vec<Vec<C>> = Vec::new();
    let unit = |i: usize| (0..m).map(|k| C::from(f64::from(k == i))).collect::<Vec<C>>();
    let mut spare = 0..m;
    for j in 0..count {
        let mut candidate = if j < columns.columns { columns.column(j) } else { vec![C::ZERO; m] };
        loop {
            let before = inner(&candidate, &candidate).re.sqrt();
            // Twice is enough.
            for _ in 0..2 {
                for known in &basis {
                    let along = inner(known, &candidate);
                    candidate.iter_mut().zip(known).for_each(|(c, k)| *c -= along * k);
                }
            }
            let after = inner(&candidate, &candidate).re.sqrt();
            if after > 1e-10 * before && after > 0.0 {
                candidate.iter_mut().for_each(|c| *c /= after);
                break;
            }
            match spare.next() {
                Some(i) => candidate = unit(i),
                None => break,
            }
        }
        basis.push(candidate);
    }
    Matrix::from_fn(m, count, |i, j| basis[j][i])
}

pub(super) fn qr(a: &Matrix, complete: bool) -> [Matrix; 2] {
    let width = if complete { a.rows } else { a.rows.min(a.columns) };
    let q = orthonormal(&a.first_columns(a.columns.min(a.rows)), width);
    let mut r = q.adjoint().times(a);
    for i in 0..r.rows {
        (0..i.min(r.columns)).for_each(|j| r[(i, j)] = C::ZERO);
    }
    [q, r]
}

/// The eigenvalues in ascending order and the eigenvectors of a Hermitian matrix, whose lower triangle is read: rotations
/// until nothing is left off the diagonal.
pub(super) fn eigh(a: &Matrix) -> (Vec<f64>, Matrix) {
    let n = a.rows;
    let mut a = Matrix::from_fn(n, n, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less => a[(j, i)].conj(),
        std::cmp::Ordering::Equal => C::from(a[(i, i)].re),
        std::cmp::Ordering::Greater => a[(i, j)],
    });
    let mut vectors = Matrix::identity(n);
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                let off = a[(p, q)];
                if off.norm() == 0.0 {
                    continue;
                }
                let phase = off / off.norm();
                let theta = 0.5 * (2.0 * off.norm()).atan2(a[(q, q)].re - a[(p, p)].re);
                let (sine, cosine) = theta.sin_cos();
                let mut rotation = Matrix::identity(n);
                (rotation[(p, p)], rotation[(q, q)]) = (C::from(cosine), C::from(cosine));
                (rotation[(p, q)], rotation[(q, p)]) = (phase * sine, -phase.conj() * sine);
                a = rotation.adjoint().times(&a).times(&rotation);
                vectors = vectors.times(&rotation);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[(i, i)].re.total_cmp(&a[(j, j)].re));
    let values = order.iter().map(|&i| a[(i, i)].re).collect();
    (values, Matrix::from_fn(n, n, |i, j| vectors[(i, order[j])]))
}

/// `U`, the singular values in descending order, and `V^H`, with `rows` columns and `columns` rows: columns are rotated
/// against each other until they are orthogonal.
pub(super) fn svd(a: &Matrix, full: bool) -> (Matrix, Vec<f64>, Matrix) {
    if a.columns > a.rows {
        let (u, s, vh) = svd(&a.adjoint(), full);
        return (vh.adjoint(), s, u.adjoint());
    }
    let (m, n) = (a.rows, a.columns);
    let mut scaled = a.clone();
    let mut v = Matrix::identity(n);
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                let (x, y) = (scaled.column(p), scaled.column(q));
                let (alpha, beta, gamma) = (inner(&x, &x).re, inner(&y, &y).re, inner(&x, &y));
                if gamma.norm() <= 1e-17 * (alpha * beta).sqrt() {
                    continue;
                }
                let phase = gamma / gamma.norm();
                let theta = 0.5 * (2.0 * gamma.norm()).atan2(beta - alpha);
                let (sine, cosine) = theta.sin_cos();
                for matrix in [&mut scaled, &mut v] {
                    for i in 0..matrix.rows {
                        let (x, y) = (matrix[(i, p)], matrix[(i, q)]);
                        matrix[(i, p)] = x * cosine - y * phase.conj() * sine;
                        matrix[(i, q)] = x * phase * sine + y * cosine;
                    }
                }
            }
        }
    }
    let norms: Vec<f64> = (0..n).map(|j| inner(&scaled.column(j), &scaled.column(j)).re.sqrt()).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
    let sorted = Matrix::from_fn(m, n, |i, j| scaled[(i, order[j])]);
    let u = orthonormal(&sorted, if full { m } else { n });
    let vh = Matrix::from_fn(n, n, |i, j| v[(j, order[i])].conj());
    (u, order.iter().map(|&j| norms[j]).collect(), vh)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rows: usize, columns: usize) -> Matrix {
        let number = |i: usize, j: usize| ((i * 7 + j * 13 + i * j * 3) % 11) as f64 - 5.0;
        Matrix::from_fn(rows, columns, |i, j| C::new(number(i, j), number(j + 2, i)))
    }

    fn assert_close(a: &Matrix, b: &Matrix) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        let largest = a.elements.iter().zip(&b.elements).map(|(x, y)| (x - y).norm()).fold(0.0, f64::max);
        assert!(largest < 1e-9, "{largest}: {a:?} {b:?}");
    }

    fn diagonal(values: &[f64], rows: usize, columns: usize) -> Matrix {
        Matrix::from_fn(rows, columns, |i, j| if i == j { C::from(values[i]) } else { C::ZERO })
    }

    #[test]
    fn decompositions_multiply_to_what_they_decompose() {
        for (m, n) in [(1, 1), (3, 3), (5, 2), (2, 5), (4, 1)] {
            let a = sample(m, n);
            for wide in [false, true] {
                let [q, r] = qr(&a, wide);
                assert_close(&q.times(&r), &a);
                assert_close(&q.adjoint().times(&q), &Matrix::identity(q.columns));
                let (u, s, vh) = svd(&a, wide);
                assert_close(&u.times(&diagonal(&s, u.columns, vh.rows)).times(&vh), &a);
                assert_close(&u.adjoint().times(&u), &Matrix::identity(u.columns));
                assert!(s.windows(2).all(|w| w[0] >= w[1]));
            }
            let gram = a.times(&a.adjoint());
            let (values, vectors) = eigh(&gram);
            assert_close(&vectors.times(&diagonal(&values, m, m)).times(&vectors.adjoint()), &gram);
            let definite = Matrix::from_fn(m, m, |i, j| gram[(i, j)] + C::from(f64::from(i == j)));
            let factor = cholesky(&definite).unwrap();
            assert_close(&factor.times(&factor.adjoint()), &definite);
            let (_, inverse) = eliminate(&definite, &Matrix::identity(m));
            assert_close(&definite.times(&inverse.unwrap()), &Matrix::identity(m));
        }
    }

    #[test]
    fn what_has_no_result_is_an_error() {
        let ones = Matrix::from_fn(3, 3, |_, _| C::ONE);
        let ([sign, logarithm], solution) = eliminate(&ones, &Matrix::identity(3));
        assert_eq!((sign, logarithm.re), (C::ZERO, f64::NEG_INFINITY));
        assert!(solution.unwrap_err().contains("singular"));
        assert!(cholesky(&Matrix::from_fn(2, 2, |_, _| C::from(f64::NAN))).is_err());
    }
}

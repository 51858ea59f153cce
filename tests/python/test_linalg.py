"""Linear algebra: against NumPy where results are unique, by residuals where they are not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fusewire as xp
from support import WIDE_FLOATS, same

SQUARE = [(0, 0), (1, 1), (2, 2), (5, 5), (3, 4, 4), (2, 0, 3, 3), (2, 3, 40, 40), (4, 0, 0)]
RECTANGULAR = [*SQUARE, (3, 5), (5, 3), (2, 7, 4), (2, 4, 7), (0, 3), (3, 0), (130, 20), (20, 130)]


def random(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def eps(a):
    return float(np.finfo(np.asarray(a).dtype).eps)


def largest(a):
    return float(np.max(np.abs(a), initial=0))


def near(actual, expected, scale=50.0):
    """Same dtype and shape, and the same values up to rounding in sums of as many terms as there are rows."""
    got = np.asarray(actual)
    assert isinstance(actual, xp.Array)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    bound = scale * max([1, *expected.shape[-2:]]) * eps(expected) * max(1, largest(expected))
    assert largest(got - expected) <= bound


def hilbert(n):
    return 1.0 / (np.arange(n)[:, None] + np.arange(n)[None, :] + 1)


def structured(name, n, dtype):
    rng = np.random.default_rng(n)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    matrices = {
        "random": lambda: rng.standard_normal((n, n)),
        "hilbert": lambda: hilbert(n),
        "graded": lambda: rng.standard_normal((n, n)) * np.logspace(0, -10, n),
        "conditioned": lambda: q * np.logspace(0, -5, n) @ q.T,
        "clustered": lambda: q * np.repeat([1.0, 1.0 + 1e-9], [n // 2, n - n // 2]) @ q.T,
        "triangular": lambda: np.triu(rng.standard_normal((n, n))) + n * np.eye(n),
        "diagonal": lambda: np.diag(np.linspace(1, 2, n)),
        "tridiagonal": lambda: 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1),
        "permutation": lambda: np.eye(n)[rng.permutation(n)],
        "low rank": lambda: rng.standard_normal((n, 3)) @ rng.standard_normal((3, n)),
        "tiny": lambda: rng.standard_normal((n, n)) * 1e-25,
        "huge": lambda: rng.standard_normal((n, n)) * 1e25,
    }
    return matrices[name]().astype(dtype)


# The emulator's library is the CPU's.
SIZES = [7, 60, 150] if xp.get_default_device() != "simt" else [7]
STRUCTURED = [
    "random", "hilbert", "graded", "conditioned", "clustered", "triangular", "diagonal", "tridiagonal", "permutation",
    "low rank", "tiny", "huge",
]  # fmt: skip


def relative(residual, a):
    a = np.asarray(a, np.longdouble)
    return float(np.linalg.norm(np.asarray(residual, np.float64)) / (np.linalg.norm(a.astype(np.float64)) or 1))


@pytest.mark.parametrize("dtype", WIDE_FLOATS)
@pytest.mark.parametrize("name", STRUCTURED)
@pytest.mark.parametrize("n", SIZES)
def test_residuals_are_no_worse_than_numpys(name, n, dtype):
    """Each residual is at most three times NumPy's, or below what the dtype can tell."""
    a = structured(name, n, dtype)
    x = xp.asarray(a)
    wide = a.astype(np.longdouble)
    floor = 4 * n**0.5 * eps(a)

    def compare(ours, theirs):
        residual, reference = relative(ours, a), relative(theirs, a)
        assert residual <= max(3 * reference, floor), (residual, reference)

    def product(*factors):
        result = np.asarray(factors[0]).astype(np.longdouble)
        for factor in factors[1:]:
            result = result @ np.asarray(factor).astype(np.longdouble)
        return result

    q, r = xp.linalg.qr(x)
    compare(product(q, r) - wide, product(*np.linalg.qr(a)) - wide)
    u, s, vh = xp.linalg.svd(x)
    theirs = np.linalg.svd(a)
    compare(product(u * s, vh) - wide, product(theirs.U * theirs.S, theirs.Vh) - wide)
    same_scale = largest(theirs.S)
    assert largest(np.asarray(s) - theirs.S) <= 20 * n**0.5 * eps(a) * same_scale
    assert largest(np.asarray(xp.linalg.svdvals(x)) - theirs.S) <= 20 * n**0.5 * eps(a) * same_scale

    symmetric = (a + a.T) / 2
    values, vectors = xp.linalg.eigh(xp.asarray(symmetric))
    expected = np.linalg.eigh(symmetric)
    compare(
        product(symmetric, vectors) - product(vectors) * np.asarray(values).astype(np.longdouble),
        product(symmetric, expected.eigenvectors) - product(expected.eigenvectors) * expected.eigenvalues,
    )
    assert largest(np.asarray(values) - expected.eigenvalues) <= 20 * n**0.5 * eps(a) * largest(expected.eigenvalues)

    for basis in (q, u, vh.mT, vectors):
        assert largest(product(basis.mT, basis) - np.eye(n)) <= 3 * n * eps(a)

    if name not in {"low rank", "hilbert", "graded"}:
        b = random((n, 3), dtype)
        ours, theirs_x = np.asarray(xp.linalg.solve(x, xp.asarray(b))), np.linalg.solve(a, b)
        scale = largest(a) * max(largest(theirs_x), largest(ours)) * n
        residuals = [largest(product(a, solution) - b) for solution in (ours, theirs_x)]
        assert residuals[0] <= max(3 * residuals[1], 2 * eps(a) * scale)


def check_square(a, b):
    """What regular matrices have, and solutions for the right sides ``b``."""
    x = xp.asarray(a)
    near(xp.linalg.inv(x), np.linalg.inv(a))
    scale = a.dtype.type(max(1, 2 * a.shape[-1]))
    near(xp.linalg.det(x / scale), np.linalg.det(a / scale))
    sign, logarithm = xp.linalg.slogdet(x)
    near(sign, np.asarray(np.linalg.slogdet(a).sign))
    near(logarithm, np.asarray(np.linalg.slogdet(a).logabsdet))
    near(xp.linalg.solve(x, xp.asarray(b)), np.linalg.solve(a, b))


def check_definite(definite):
    near(xp.linalg.cholesky(xp.asarray(definite)), np.linalg.cholesky(definite))
    near(xp.linalg.cholesky(xp.asarray(definite), upper=True), np.linalg.cholesky(definite, upper=True))
    near(xp.linalg.eigvalsh(xp.asarray(definite)), np.linalg.eigvalsh(definite))


@pytest.mark.parametrize("dtype", WIDE_FLOATS)
@pytest.mark.parametrize("shape", SQUARE)
def test_square_matrices(shape, dtype):
    n = shape[-1]
    a = (random(shape, dtype) + 2 * n * np.eye(n)).astype(dtype)
    check_square(a, random((*shape[:-1], 3), dtype, seed=1))
    definite = a @ np.swapaxes(a, -1, -2)
    check_definite(definite)
    values, vectors = xp.linalg.eigh(xp.asarray(definite))
    near(values, np.linalg.eigvalsh(definite))
    product = np.asarray(vectors) * np.asarray(values)[..., None, :] @ np.swapaxes(np.asarray(vectors), -1, -2)
    assert largest(product - definite) <= 50 * n * eps(a) * largest(definite)
    for power in (-2, -1, 0, 1, 2, 3, 5):
        near(
            xp.linalg.matrix_power(xp.asarray(a) / (3 * n or 1), power),
            np.linalg.matrix_power(a / dtype_of(dtype)(3 * n or 1), power),
        )


def dtype_of(name):
    return np.dtype(name).type


@pytest.mark.parametrize("dtype", WIDE_FLOATS)
@pytest.mark.parametrize("shape", RECTANGULAR)
def test_rectangular_matrices(shape, dtype):
    a = random(shape, dtype)
    x = xp.asarray(a)
    m, n = shape[-2:]
    for mode in ("reduced", "complete"):
        result = xp.linalg.qr(x, mode=mode)
        width = m if mode == "complete" else min(m, n)
        assert result.Q.shape == (*shape[:-1], width)
        assert result.R.shape == (*shape[:-2], width, n)
        near(xp.matmul(result.Q, result.R), a)
        near(
            xp.matmul(xp.matrix_transpose(result.Q), result.Q),
            np.broadcast_to(np.eye(width, dtype=dtype), (*shape[:-2], width, width)),
        )
        assert largest(np.tril(np.asarray(result.R), -1)) == 0
    for full in (True, False):
        result = xp.linalg.svd(x, full_matrices=full)
        expected = np.linalg.svd(a, full_matrices=full)
        assert [part.shape for part in result] == [part.shape for part in expected]
        near(result.S, expected.S)
        least = min(m, n)
        near(xp.matmul(result.U[..., :least] * result.S[..., None, :], result.Vh[..., :least, :]), a)
        width = result.U.shape[-1]
        near(
            xp.matmul(xp.matrix_transpose(result.U), result.U),
            np.broadcast_to(np.eye(width, dtype=dtype), (*shape[:-2], width, width)),
        )
    near(xp.linalg.svdvals(x), np.linalg.svdvals(a))
    if 0 not in shape:
        near(xp.linalg.pinv(x), np.linalg.pinv(a), scale=200)
        same(xp.linalg.matrix_rank(x), np.asarray(np.linalg.matrix_rank(a)))


def test_ranks_and_tolerances():
    a = structured("low rank", 9, "float64")
    x = xp.asarray(a)
    same(xp.linalg.matrix_rank(x), np.asarray(3))
    near(xp.linalg.pinv(x), np.linalg.pinv(a), scale=500)
    diagonal = np.diag([1.0, 1e-3, 1e-6])
    stack = xp.asarray(np.stack([diagonal, diagonal]))
    same(xp.linalg.matrix_rank(stack, rtol=1e-4), np.asarray([2, 2]))
    same(xp.linalg.matrix_rank(stack, rtol=xp.asarray([1e-4, 1e-7])), np.asarray([2, 3]))
    near(xp.linalg.pinv(stack, rtol=1e-4), np.linalg.pinv(np.stack([diagonal, diagonal]), rcond=1e-4))
    same(xp.linalg.matrix_rank(xp.zeros((3, 4))), np.asarray(0))
    near(xp.linalg.pinv(xp.zeros((3, 4))), np.zeros((4, 3)))


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", [*WIDE_FLOATS, "int32"])
def test_matrix_norms(dtype, keepdims, ord):
    a = (random((3, 5, 4), "float64") * 9).astype(dtype)
    near(
        xp.linalg.matrix_norm(xp.asarray(a), ord=ord, keepdims=keepdims),
        np.linalg.matrix_norm(a, ord=ord, keepdims=keepdims),
    )


@pytest.mark.parametrize("ord", [2, 1, 0, np.inf, -np.inf, 3, -1, 0.5, -2])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1, 0)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", [*WIDE_FLOATS, "int32"])
def test_vector_norms(dtype, keepdims, axis, ord):
    a = (np.abs(random((3, 5, 4), "float64")) * 9 + 1).astype(dtype)
    expected = np.linalg.vector_norm(a, axis=axis, ord=ord, keepdims=keepdims)
    result = xp.linalg.vector_norm(xp.asarray(a), axis=axis, ord=ord, keepdims=keepdims)
    assert result.shape == expected.shape
    assert result.dtype == (dtype if dtype in WIDE_FLOATS else "float64")
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (2, 5, 5), (2, 1, 6), (0, 3), (2, 0, 0)])
@pytest.mark.parametrize("dtype", ["float32", "int16", "bool"])
def test_diagonals(shape, dtype):
    a = (random(shape, "float64") * 9).astype(dtype)
    x = xp.asarray(a)
    for offset in range(-6, 7):
        same(xp.linalg.diagonal(x, offset=offset), np.linalg.diagonal(a, offset=offset))
        expected = np.sum(np.linalg.diagonal(a, offset=offset), axis=-1)
        np.testing.assert_allclose(np.asarray(xp.linalg.trace(x, offset=offset)), expected, rtol=1e-5)
        same(xp.linalg.trace(x, offset=offset, dtype=xp.int64), np.linalg.trace(a.astype("int64"), offset=offset))
    same(xp.linalg.diagonal(xp.matrix_transpose(x)), np.linalg.diagonal(np.swapaxes(a, -1, -2)))


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8"])
def test_products_of_vectors(dtype):
    a, b = ((random(shape, "float64") * 9).astype(dtype) for shape in [(4, 3), (5, 1, 3)])
    same(xp.linalg.cross(xp.asarray(a), xp.asarray(b)), np.cross(a, b))
    same(xp.linalg.cross(xp.asarray(a.T), xp.asarray(a.T[:, ::-1]), axis=0), np.cross(a.T, a.T[:, ::-1], axis=0))
    same(xp.linalg.outer(xp.asarray(a[0]), xp.asarray(b[:, 0, 1])), np.outer(a[0], b[:, 0, 1]))
    near(
        xp.linalg.matmul(xp.asarray(a).astype("float64"), xp.asarray(a.T).astype("float64")),
        (a.astype("float64") @ a.T),
    )
    assert xp.linalg.matrix_transpose is xp.matrix_transpose
    assert xp.linalg.vecdot is xp.vecdot
    assert xp.linalg.tensordot is xp.tensordot


def test_solve_broadcasts_and_takes_vectors():
    a = random((4, 1, 3, 3), "float64") + 5 * np.eye(3)
    b = random((2, 3, 6), "float64")
    near(xp.linalg.solve(xp.asarray(a), xp.asarray(b)), np.linalg.solve(a, b))
    v = random((3,), "float32")
    near(xp.linalg.solve(xp.asarray(a), xp.asarray(v)), np.linalg.solve(a, v))
    near(xp.linalg.solve(xp.asarray(a[0, 0].T), xp.asarray(v)), np.linalg.solve(a[0, 0].T, v))
    near(xp.linalg.solve(xp.asarray([[2, 0], [0, 4]]), xp.asarray([1, 1])), np.asarray([0.5, 0.25]))


def test_triangles_that_are_not_read_do_not_matter():
    a = structured("conditioned", 5, "float64") + np.eye(5)
    lower, upper = np.tril(a), np.triu(a)
    near(xp.linalg.cholesky(xp.asarray(lower)), np.linalg.cholesky(a))
    near(xp.linalg.cholesky(xp.asarray(upper), upper=True), np.linalg.cholesky(a).T)
    near(xp.linalg.eigvalsh(xp.asarray(lower + 7 * np.triu(a, 1))), np.linalg.eigvalsh(a))


def test_integers_become_float64():
    x = xp.asarray([[4, 1], [1, 3]])
    near(xp.linalg.det(x), np.asarray(11.0))
    near(xp.linalg.cholesky(x), np.linalg.cholesky([[4, 1], [1, 3]]))
    near(xp.linalg.inv(x), np.linalg.inv([[4, 1], [1, 3]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: xp.linalg.inv(x), r"inv: matrix 1 is singular \(float64 of shape \(3, 2, 2\)\)"),
        (lambda x: xp.linalg.solve(x, xp.ones((2,))), "solve: matrix 1 is singular"),
        (lambda x: xp.linalg.cholesky(-x), "cholesky: matrix 0 is not positive definite"),
        (lambda x: xp.linalg.cholesky(x[0] * xp.nan), "cholesky: the matrix is not positive definite"),
    ],
)
def test_values_without_a_result_are_errors_when_computed(call, message):
    x = xp.asarray([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]) * 1
    y = call(x)
    for _ in range(2):
        with pytest.raises(xp.linalg.LinAlgError, match=message):
            (y + 1).compute()
    assert issubclass(xp.linalg.LinAlgError, np.linalg.LinAlgError)
    same(x + 1, np.asarray(x) + 1)
    same(xp.linalg.slogdet(x)[0], np.asarray([1.0, 0.0, 0.0]))


def test_no_values_make_a_call_hang_or_crash():
    for value in (np.nan, np.inf, -np.inf, 0.0, 5e-324, 1.7e308):
        for n in (1, 2, 5, 33):
            x = xp.full((n, n), value)
            for function in (xp.linalg.qr, xp.linalg.svd, xp.linalg.svdvals, xp.linalg.eigh, xp.linalg.slogdet,
                             xp.linalg.det, xp.linalg.inv, xp.linalg.cholesky, xp.linalg.pinv):  # fmt: skip
                try:
                    result = function(x)
                    xp.compute(*result) if isinstance(result, tuple) else result.compute()
                except xp.linalg.LinAlgError:
                    pass
    same(xp.linalg.slogdet(xp.full((2, 2), xp.nan))[1], np.asarray(np.nan))


def test_results_of_one_call_are_computed_once(counted):
    x = xp.asarray(random((6, 6), "float64")) * 2
    u, s, vh = xp.linalg.svd(x)
    counted()
    assert "not computed" in repr(s)
    s.compute()
    (u + 0).compute()
    vh.compute()
    assert counted()["library_calls"] == 1
    np.testing.assert_allclose(np.asarray(u * s @ vh), np.asarray(x), rtol=1e-12, atol=1e-12)


def test_another_size_compiles_nothing(counted):
    def step(n, k):
        x = xp.asarray(random((n, k), "float64"))
        q, r = xp.linalg.qr(x)
        xp.compute(q * 2, xp.sum(r))

    step(9, 4)
    counted()
    step(30, 7)
    change = counted()
    assert change["plan_misses"] == 0
    assert change["library_calls"] == 1


def test_any_number_of_threads_gives_the_same_bits():
    a = random((40, 50, 30), "float32")
    large = random((400, 300), "float64")
    threads = xp.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            xp.set_num_threads(count)
            results = [
                *xp.linalg.svd(xp.asarray(a)),
                *xp.linalg.qr(xp.asarray(large)),
                xp.linalg.svdvals(xp.asarray(large)),
            ]
            found.append([np.asarray(result).tobytes() for result in results])
    finally:
        xp.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def test_strided_operands():
    a = random((8, 10), "float64")
    x = xp.asarray(a)
    near(xp.linalg.svdvals(x[::2, ::-1].T), np.linalg.svdvals(a[::2, ::-1].T))
    near(xp.linalg.inv(x[:5, ::2]), np.linalg.inv(a[:5, ::2]), scale=1000)
    near(
        xp.linalg.inv(xp.broadcast_to(x[:5, :5], (3, 5, 5))),
        np.linalg.inv(np.broadcast_to(a[:5, :5], (3, 5, 5))),
        scale=1000,
    )


def test_mistakes_are_raised_at_the_call():
    x = xp.ones((2, 3))
    for name in ("cholesky", "det", "eigh", "eigvalsh", "inv", "slogdet", "matrix_power"):
        arguments = (2,) if name == "matrix_power" else ()
        with pytest.raises(ValueError, match="square"):
            getattr(xp.linalg, name)(x, *arguments)
    for name in ("qr", "svd", "svdvals", "pinv", "matrix_rank", "diagonal", "trace", "matrix_norm"):
        with pytest.raises(ValueError, match=r"at least 2 dimensions, got shape \(3,\)"):
            getattr(xp.linalg, name)(xp.ones(3))
    for call, error, message in [
        (lambda: xp.linalg.solve(xp.ones((3, 3)), xp.ones((2,))), ValueError, r"solve: shapes \(3, 3\) and"),
        (lambda: xp.linalg.solve(xp.ones((3, 3)), xp.ones((2, 2))), ValueError, "do not fit"),
        (lambda: xp.linalg.qr(x, mode="raw"), ValueError, "mode"),
        (lambda: xp.linalg.matrix_norm(x, ord=3), ValueError, "there is no order 3"),
        (lambda: xp.linalg.cross(x, x[:, :2]), ValueError, "cross"),
        (lambda: xp.linalg.cross(x, x, axis=0), ValueError, "3 elements along axis 0"),
        (lambda: xp.linalg.outer(x, x), ValueError, "two vectors"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_the_module_can_be_imported_first():
    code = "import fusewire.linalg as linalg; print(linalg.det([[2.0, 0.0], [0.0, 3.0]]).item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert abs(float(done.stdout) - 6) < 1e-12


def random_complex(shape, dtype="complex128", seed=0):
    return (random(shape, "float64", seed) + 1j * random(shape, "float64", seed + 1)).astype(dtype)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5, 5), (2, 0, 0), (0, 2, 2), (40, 40)])
def test_complex_square_matrices(shape, dtype):
    n = shape[-1]
    a = (random_complex(shape, dtype) + 2 * n * np.eye(n)).astype(dtype)
    b = random_complex((*shape[:-1], 3), dtype, seed=1)
    check_square(a, b)
    near(xp.linalg.solve(xp.asarray(a), xp.asarray(b.real.copy())), np.linalg.solve(a, b.real))
    definite = a @ np.conj(np.swapaxes(a, -1, -2))
    check_definite(definite)
    values, vectors = xp.linalg.eigh(xp.asarray(definite))
    near(values, np.linalg.eigvalsh(definite))
    product = (np.asarray(vectors) * np.asarray(values)[..., None, :]) @ np.conj(
        np.swapaxes(np.asarray(vectors), -1, -2)
    )
    assert largest(product - definite) <= 50 * max(n, 1) * eps(a.real) * max(1, largest(definite))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 6), (6, 4), (3, 7, 2), (0, 3), (30, 9)])
def test_complex_rectangular_matrices(shape, dtype):
    a = random_complex(shape, dtype)
    x = xp.asarray(a)
    for mode in ("reduced", "complete"):
        q, r = xp.linalg.qr(x, mode=mode)
        near(q @ r, a)
        near(
            xp.conj(q.mT) @ q,
            np.broadcast_to(np.eye(q.shape[-1], dtype=dtype), (*shape[:-2], q.shape[-1], q.shape[-1])),
        )
    for full in (True, False):
        u, s, vh = xp.linalg.svd(x, full_matrices=full)
        expected = np.linalg.svd(a, full_matrices=full)
        assert [part.shape for part in (u, s, vh)] == [part.shape for part in expected]
        near(s, expected.S)
        least = min(shape[-2:])
        near((u[..., :least] * s[..., None, :]) @ vh[..., :least, :], a)
    near(xp.linalg.svdvals(x), np.linalg.svdvals(a))
    for order in ("fro", "nuc", 2, 1):
        near(xp.linalg.matrix_norm(x, ord=order), np.asarray(np.linalg.matrix_norm(a, ord=order)))
    near(xp.linalg.vector_norm(x), np.asarray(np.linalg.vector_norm(a)))
    if 0 not in shape:
        near(xp.linalg.pinv(x), np.linalg.pinv(a), scale=200)


@pytest.mark.parametrize("dtype", [*WIDE_FLOATS, "complex64", "complex128", "int64"])
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 2), (3, 5, 5), (0, 3, 3), (30, 30)])
def test_eigenvalues_of_any_matrix(shape, dtype):
    a = (
        (random_complex(shape) * 5).astype(dtype)
        if dtype.startswith("complex")
        else (random(shape, "float64") * 5).astype(dtype)
    )
    x = xp.asarray(a)
    values, vectors = xp.linalg.eig(x)
    wanted = "complex64" if dtype in {"float32", "complex64"} else "complex128"
    assert values.dtype == vectors.dtype == wanted
    got_values, got_vectors = np.asarray(values), np.asarray(vectors)
    residual = a @ got_vectors - got_vectors * got_values[..., None, :]
    precision = np.finfo(wanted).eps
    assert largest(residual) <= 50 * max(1, shape[-1]) * precision * max(1, largest(a))
    assert np.allclose(np.linalg.norm(got_vectors, axis=-2), 1, atol=100 * precision)
    again = np.asarray(xp.linalg.eigvals(x))
    expected = np.linalg.eigvals(a.astype("complex128"))
    distances = np.abs(again[..., :, None] - expected[..., None, :])
    bound = 1e3 * max(1, shape[-1]) * precision * max(1, largest(a))
    assert shape[-1] == 0 or largest(distances.min(axis=-1)) <= bound
    if np.dtype(dtype).kind != "c":
        assert np.array_equal(np.sort_complex(np.conj(got_values)), np.sort_complex(got_values))


def test_eigenvalues_of_special_matrices():
    near(xp.linalg.eigvals(xp.asarray([[0.0, 1.0], [-1.0, 0.0]])).imag ** 2, np.asarray([1.0, 1.0]))
    near(
        xp.sort(xp.real(xp.linalg.eigvals(xp.asarray(np.triu(np.full((6, 6), 3.0)) + np.diag(np.arange(6.0)))))),
        np.arange(6.0) + 3,
    )
    near(xp.linalg.eigvals(xp.zeros((3, 3))), np.zeros(3, complex))
    with pytest.raises(xp.linalg.LinAlgError, match="eig: the matrix holds NaN or infinity"):
        xp.linalg.eig(xp.full((3, 3), xp.nan))[0].compute()
    for scale in (1e-200, 1e200):
        a = random((6, 6), "float64") * scale
        values, vectors = map(np.asarray, xp.linalg.eig(xp.asarray(a)))
        assert largest(a / scale @ vectors - vectors * (values / scale)) < 1e-13

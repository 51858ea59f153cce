"""NumPy's own functions on fusewire arrays: which are recorded, which refused, with all their arguments."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from fusewire import _numpy_functions as dispatch
from support import close, same

A = np.arange(1.0, 13.0).reshape(3, 4)
B = np.random.default_rng(0).standard_normal((4, 4))

# Functions without a counterpart. What is here is refused with a TypeError that names it.
REFUSED = set(
    """
    apply_over_axes block busday_count busday_offset common_type datetime_as_string
    diag_indices_from einsum_path geomspace histogram_bin_edges i0 insert is_busday ix_
    linspace logspace min_scalar_type packbits piecewise poly polyadd polyder polydiv polyfit polyint polymul polysub
    real_if_close roots sort_complex tril_indices_from trim_zeros triu_indices_from unpackbits
    """.split()
)


def functions(module):
    return {name: f for name in dir(module) if hasattr(f := getattr(module, name), "_implementation")}


def is_recorded(module, name, function):
    place = f"{module.__name__}.{name}".removeprefix("numpy.")
    return place in dispatch._SPECIAL or name in dispatch._CONVERTED or bool(dispatch._target(module.__name__, name))


@pytest.mark.parametrize("module", [np, np.linalg, np.fft], ids=lambda module: module.__name__)
def test_every_function_has_a_counterpart_or_is_refused(module):
    missing = {name for name, f in functions(module).items() if not is_recorded(module, f.__name__, f)}
    assert missing == (REFUSED - {"linspace"} if module is np else set())


@pytest.mark.parametrize("name", sorted(REFUSED - {"linspace"}))
def test_what_is_refused_says_so(name):
    with pytest.raises(TypeError, match=f"numpy.{name}"):
        dispatch.call(getattr(np, name), (xp.ones(3),), {})


def agree(actual, expected):
    """The same structure of arrays, ours in place of NumPy's."""
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected, strict=True):
            agree(a, b)
    else:
        close(actual, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.sum(a, where=a > 3), lambda a: np.sum(a, axis=0, initial=5, where=[[True], [False], [True]]),
        lambda a: np.prod(a, 1, where=a < 9), lambda a: np.max(a, axis=0, initial=3, where=a < 7),
        lambda a: np.min(a, initial=-1), lambda a: np.mean(a, axis=1, where=a > 2),
        lambda a: np.any(a > 5, 0, where=a < 4),
        lambda a: np.all(a > 5, where=a > 6), lambda a: np.var(a, axis=0, where=a > 2, ddof=1),
        lambda a: np.std(a, mean=np.mean(a, keepdims=True)), lambda a: np.var(a, 1, correction=2),
        lambda a: np.mean(a, dtype=np.float32), lambda a: np.sum(a, dtype=np.int32),
        lambda a: np.cumsum(a, 1, np.int64),
        lambda a: np.reshape(a, (2, 6), order="F"), lambda a: np.ravel(a, "F"), lambda a: np.where(a > 4),
        lambda a: np.sort(-a, axis=None), lambda a: np.sort(-a, kind="stable"), lambda a: np.argsort(-a, 0),
        lambda a: np.take(a, [0, 7], axis=1, mode="wrap"), lambda a: np.take(a, [-20, 30], mode="clip"),
        lambda a: np.choose((a % 3).astype(np.int64), [a, 2 * a, 0.5]), lambda a: np.zeros_like(a, np.int8),
        lambda a: np.full_like(a, 3, shape=(2,)), lambda a: np.meshgrid(a[0], a[1], sparse=True),
        lambda a: np.meshgrid(a[0], a[1], indexing="ij"), lambda a: np.cross(a[:, :3], a[:, 1:]),
        lambda a: np.cross(a[:, :3], a[:, 1:], axis=0), lambda a: np.delete(a, [0, 2], axis=1),
        lambda a: np.delete(a, slice(1, 5)), lambda a: np.resize(a, (5, 3)), lambda a: np.hstack([a, a[:, :1]]),
        lambda a: np.vstack((a, a[0])), lambda a: np.dstack([a, a]), lambda a: np.column_stack([a[0], a[1]]),
        lambda a: np.append(a, [1, 2]), lambda a: np.append(a, a, axis=0), lambda a: np.split(a, 2, axis=1),
        lambda a: np.array_split(a, 3, axis=1), lambda a: np.array_split(a, [1, 1, 9], 1), lambda a: np.hsplit(a, 2),
        lambda a: np.vsplit(a, [1]), lambda a: np.rot90(a), lambda a: np.rot90(a, 2), lambda a: np.rot90(a, -1, (1, 0)),
        lambda a: np.fliplr(a), lambda a: np.flipud(a), lambda a: np.swapaxes(a[None], 0, -1),
        lambda a: np.rollaxis(a[None], 2), lambda a: np.rollaxis(a[None], 0, 3), lambda a: np.diagonal(a, 1),
        lambda a: np.diagonal(a[None], axis1=2, axis2=1), lambda a: np.trace(a, -1), lambda a: np.diagflat(a, 1),
        lambda a: np.apply_along_axis(lambda v: v[1:] - v[0], 0, a), lambda a: np.apply_along_axis(np.sum, 1, a),
        lambda a: np.apply_along_axis(np.outer, -1, a[None], a[0]),
        lambda a: np.gradient(a), lambda a: np.gradient(a, 2.0, axis=1), lambda a: np.gradient(a, [1, 2, 4], axis=0),
        lambda a: np.gradient(a**2, [1, 2, 4], axis=0, edge_order=2), lambda a: np.gradient(a**2, edge_order=2),
        lambda a: np.gradient(a[0], a[0] ** 2), lambda a: np.trapezoid(a), lambda a: np.trapezoid(a, dx=2, axis=0),
        lambda a: np.trapezoid(a, a**2), lambda a: np.ediff1d(a, to_end=[1, 2], to_begin=0),
        lambda a: np.ptp(a, axis=0),
        lambda a: np.average(a, axis=1, weights=[1, 2, 3, 4]), lambda a: np.average(a, weights=a, returned=True),
        lambda a: np.average(a, 0), lambda a: np.average(a[None], axis=(2, 0), weights=[[1], [0], [2], [1]]),
        lambda a: np.digitize(a, [2, 5, 5, 9]), lambda a: np.digitize(a, [9, 5, 2], right=True),
        lambda a: np.interp(a, [0, 3, 7], [1, 5, 2]), lambda a: np.interp(a, [2, 4], [1, 0], left=-1, right=9),
        lambda a: np.interp(a * 1.3, [0, 3, 7], [1, 5, 2], period=8), lambda a: np.unwrap(a[0] * 2.5),
        lambda a: np.unwrap(a * 100, period=360, axis=0), lambda a: np.select([a > 9, a > 3], [a, -a], 7),
        lambda a: np.inner(a, a), lambda a: np.inner(a, a[0]), lambda a: np.outer(a, a[0]), lambda a: np.vdot(a, 2 * a),
        lambda a: np.correlate(a[0], [1.0, 2.0]), lambda a: np.correlate(a[0, :2], a[1], "full"),
        lambda a: np.correlate(a[0, :3], a[1], "same"), lambda a: np.polyval([1.0, 2, 3], a),
        lambda a: np.polyval(a[0], 2.0), lambda a: np.vander(a[0], 3), lambda a: np.vander(a[0], increasing=True),
        lambda a: np.corrcoef(a + a**2 * [[1], [-1], [0.5]]), lambda a: np.argwhere(a > 4),
        lambda a: np.flatnonzero(a > 4), lambda a: np.compress([True, False, True], a, axis=1),
        lambda a: np.extract(a > 3, a),
        lambda a: np.ravel_multi_index(((a % 3).astype(int), (a % 4).astype(int)), (3, 4)),
        lambda a: np.unique(a % 5, return_index=True, return_inverse=True, return_counts=True),
        lambda a: np.unique(np.stack([a * np.nan, a])),
        lambda a: np.unique(np.stack([a * np.nan, a]), equal_nan=False, return_counts=True),
        lambda a: np.intersect1d(a, [3, 1, 9, 40]),
        lambda a: np.intersect1d(a % 4, [3, 1, 1], return_indices=True), lambda a: np.setxor1d(a % 4, [7, 1, 1]),
        lambda a: np.lexsort((a[0], a[1] % 2)), lambda a: np.angle(a - 5), lambda a: np.angle(a * 1j, deg=True),
        lambda a: np.sinc(a / 3), lambda a: np.fix(a - 6.5), lambda a: np.isposinf(a),
        lambda a: np.isneginf(-1 / (a - a)),
        lambda a: np.isreal(a), lambda a: np.iscomplex(a * 1j),
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 3, axis=1),
        lambda a: np.lib.stride_tricks.sliding_window_view(a, (2, 2)),
        lambda a: np.zeros((2, 3), like=a), lambda a: np.array([1, 2], like=a, ndmin=2), lambda a: np.arange(3, like=a),
        lambda a: np.full((2,), 3.0, like=a), lambda a: np.eye(2, like=a), lambda a: np.asarray([1.0], like=a),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_record(call):
    agree(call(xp.asarray(A)), call(A))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: np.linalg.norm(m), lambda m: np.linalg.norm(m, 1), lambda m: np.linalg.norm(m, np.inf, axis=0),
        lambda m: np.linalg.norm(m, "nuc"), lambda m: np.linalg.norm(m, axis=(1, 0), keepdims=True),
        lambda m: np.linalg.norm(m[0], 3), lambda m: np.linalg.norm(m[None], 2, axis=(0, 2)),
        lambda m: np.linalg.cond(m), lambda m: np.linalg.cond(m, -2), lambda m: np.linalg.cond(m, "fro"),
        lambda m: np.linalg.cond(m[:, :2]), lambda m: np.linalg.lstsq(m[:, :2], m[:, 2])[:2],
        lambda m: np.linalg.lstsq(m[:2], m[:2, :3], rcond=1e-3)[:2],
        lambda m: np.linalg.lstsq(m[:, [0, 1, 0]], m, rcond=-1)[3],
        lambda m: np.int64(1) * np.linalg.lstsq(m[:, [0, 1, 0]], m)[2],
        lambda m: np.linalg.multi_dot([m[0], m, m[:, :2]]),
        lambda m: np.linalg.multi_dot([m, m[:, :1], m[:1], m[0]]), lambda m: np.linalg.det(m),
        lambda m: np.linalg.inv(m),
        lambda m: np.linalg.solve(m, m[0]), lambda m: np.linalg.slogdet(m), lambda m: np.linalg.matrix_power(m, 3),
        lambda m: np.linalg.cholesky(m @ m.T), lambda m: np.linalg.cholesky(m @ m.T, upper=True),
        lambda m: np.linalg.eigvalsh(m), lambda m: np.linalg.eigvalsh(m, "U"), lambda m: np.linalg.eigh(m + m.T)[0],
        lambda m: abs(np.linalg.qr(m, "r")), lambda m: abs(np.linalg.qr(m[:, :2], mode="complete").R),
        lambda m: np.linalg.svd(m, compute_uv=False), lambda m: np.linalg.svd(m, False).S,
        lambda m: np.linalg.svdvals(m),
        lambda m: np.linalg.pinv(m[:, :2]), lambda m: np.linalg.pinv(m, rcond=0.3),
        lambda m: np.linalg.pinv(m, rtol=0.3),
        lambda m: np.linalg.matrix_rank(m), lambda m: np.linalg.matrix_rank(m, tol=1.0), lambda m: np.linalg.trace(m),
        lambda m: np.linalg.diagonal(m, offset=1), lambda m: np.linalg.outer(m[0], m[1]),
        lambda m: np.linalg.matmul(m, m),
        lambda m: np.linalg.vecdot(m, m), lambda m: np.linalg.tensordot(m, m, axes=1),
        lambda m: np.linalg.matrix_norm(m),
        lambda m: np.linalg.vector_norm(m, axis=0, ord=1), lambda m: np.linalg.matrix_transpose(m),
        lambda m: np.linalg.cross(m[:, :3], m[:, 1:]),
        lambda m: np.linalg.tensorinv(m.reshape(2, 2, 4)),
        lambda m: np.linalg.tensorsolve(m.reshape(2, 2, 4), m[:2, :2]),
        lambda m: np.linalg.tensorsolve(m.reshape(2, 2, 4).swapaxes(1, 2), m[:2, :2], axes=(1,)),
        lambda m: np.fft.fft(m), lambda m: np.fft.fft(m, 6, 0, "ortho"), lambda m: np.fft.ifft(m, norm="forward"),
        lambda m: np.fft.rfft(m, axis=0), lambda m: np.fft.irfft(m, n=5), lambda m: np.fft.fftn(m, (3, 2), (0, 1)),
        lambda m: np.fft.fft2(m), lambda m: np.fft.ifft2(m[None], norm="ortho"), lambda m: np.fft.rfft2(m),
        lambda m: np.fft.irfft2(np.fft.rfft2(m)), lambda m: np.fft.hfft(m), lambda m: np.fft.ihfft(m),
        lambda m: np.fft.fftshift(m), lambda m: np.fft.ifftshift(m, axes=1), lambda m: np.fft.rfftn(m, axes=(0,)),
        lambda m: np.fft.irfftn(m, axes=(0, 1)), lambda m: np.fft.ifftn(m),
    ],
)  # fmt: skip
def test_linear_algebra_and_transforms_record(call):
    agree(call(xp.asarray(B)), call(B))


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.cbrt(a), lambda a: np.exp2(a), lambda a: np.deg2rad(a), lambda a: np.degrees(a),
        lambda a: np.fabs(-a),
        lambda a: np.fmax(a, 5), lambda a: np.fmin(a, np.where(a > 4, np.nan, 3)), lambda a: np.fmod(a - 6.5, 2.5),
        lambda a: np.heaviside(a - 5, 0.5), lambda a: np.ldexp(a, 3), lambda a: np.logaddexp2(a, 3.0),
        lambda a: np.modf(a - 6.25), lambda a: np.divmod(a, 2.5), lambda a: np.float_power(a, 2),
        lambda a: np.matvec(a, a[0]),
        lambda a: np.vecmat(a[:, 0], a), lambda a: np.bitwise_count(a.astype(np.int32)), lambda a: np.matmul(a, a.T),
        lambda a: np.add(a, 1, dtype=np.float32), lambda a: np.add.outer(a, a[0]),
        lambda a: np.multiply.reduce(a, axis=1),
        lambda a: np.add.reduce(a, where=a > 3, initial=2), lambda a: np.maximum.reduce(a, axis=(0, 1)),
        lambda a: np.logical_or.reduce(a > 5, axis=1), lambda a: np.multiply.accumulate(a, axis=1),
        lambda a: np.minimum.reduce(a, keepdims=True), lambda a: np.add.reduce(a, dtype=np.float32),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ufuncs_record(call):
    agree(call(xp.asarray(A)), call(A))


@pytest.mark.parametrize("kind", ["ours", "numpys"])
def test_results_go_where_out_says(kind):
    def target(shape=(3, 4), dtype=np.float64):
        return xp.zeros(shape, dtype=dtype) if kind == "ours" else np.zeros(shape, dtype)

    x = xp.asarray(A)
    for call, expected in [
        (lambda out: np.add(x, 1, out=out), A + 1), (lambda out: np.add(x, 1, out), A + 1),
        (lambda out: np.sqrt(x, out=(out,)), np.sqrt(A)), (lambda out: np.clip(x, 2, 5, out=out), np.clip(A, 2, 5)),
        (lambda out: np.add(x, 1, out=out, where=A > 4), np.where(A > 4, A + 1, 0)),
        (lambda out: np.cumsum(x, axis=1, out=out), np.cumsum(A, axis=1)), (lambda out: np.round(x, 1, out), A),
        (lambda out: np.concatenate([x[:1], x[1:]], out=out), A),
        (lambda out: x.sum(0, out=out), A.sum(0) + np.zeros((3, 1))),
        (lambda out: np.multiply(A, A, out=out), A * A), (lambda out: np.take(x, [0, 1, 2, 3], axis=1, out=out), A),
    ]:  # fmt: skip
        out = target()
        assert call(out) is out
        np.testing.assert_array_equal(np.asarray(out), expected)
    out = target(())
    assert np.mean(x, out=out) is out
    assert float(out) == A.mean()
    parts = target(), target()
    assert np.modf(x / 2, out=parts)[1] is parts[1]
    np.testing.assert_array_equal(np.asarray(parts[1]), np.modf(A / 2)[1])
    with pytest.raises(TypeError, match="same_kind"):
        np.add(x, 0.5, out=target(dtype=np.int64))
    assert np.add(x, 0.5, out=target(dtype=np.int64), casting="unsafe").dtype == np.int64
    with pytest.raises(ValueError, match=r"shape|broadcast"):
        np.add(x, 0.5, out=target((2, 4)))
    with pytest.raises(TypeError, match="out must be an array"):
        x.sum(out=3.0)


def test_out_of_a_numpy_array_is_it_in_place():
    a = A.copy()
    alias = a
    a += xp.asarray(A)
    assert a is alias
    np.testing.assert_array_equal(a, A + A)
    x = xp.asarray(A.copy())
    np.add(x, 1, out=x)
    same(x, A + 1)


def test_functions_that_assign():
    for change in (
        lambda a: np.put(a, [0, 5, -1], [7, 8]), lambda a: np.place(a, a > 6, [1, 2]),
        lambda a: np.putmask(a, a > 6, [1, 2, 3]), lambda a: np.fill_diagonal(a, [5, 6]),
        lambda a: np.copyto(a, 3), lambda a: np.copyto(a, [1, 2, 3, 4], where=a > 4),
        lambda a: np.put(a, [100], [1], mode="clip"), lambda a: np.put_along_axis(a, np.array([[1], [0], [2]]), 9, 1),
    ):  # fmt: skip
        x, a = xp.asarray(A.copy()), A.copy()
        assert change(x) is None
        change(a)
        same(x, a)
    tall, expected = xp.zeros((5, 2)), np.zeros((5, 2))
    for wrap in (False, True):
        np.fill_diagonal(tall, 4, wrap=wrap)
        np.fill_diagonal(expected, 4, wrap=wrap)
        same(tall, expected)
    a = np.zeros((3, 4))
    np.copyto(a, xp.asarray(A))
    np.testing.assert_array_equal(a, A)


def test_what_has_no_counterpart_is_refused():
    x = xp.asarray(A)
    for call, match in [
        (lambda: np.frexp(x), "numpy.frexp"),
        (lambda: np.gcd(xp.asarray([1]), 2), "numpy.gcd"),
        (lambda: np.add.at(x, 0, 1), r"numpy.add.at"),
        (lambda: np.add.reduceat(x, [0, 1]), r"numpy.add.reduceat"),
        (lambda: np.subtract.reduce(x), r"numpy.subtract.reduce"),
        (lambda: np.maximum.accumulate(x), r"numpy.maximum.accumulate"),
        (lambda: np.matmul(x, x.T, axis=0), "axis="),
        (lambda: np.unique(x, axis=0), "axis=0"),
        (lambda: np.cumulative_sum(x, dtype="U3"), "U3"),
        (lambda: np.polyfit(x, x, 2), "numpy.polyfit"),
    ]:
        with pytest.raises(TypeError, match=match):
            call()


def test_nothing_is_computed_before_it_is_needed():
    x = xp.asarray(A) + 1
    results = [
        np.hstack([x, x]), np.linalg.inv(x @ x.T), np.fft.fft(x), np.trapezoid(x), np.sum(x, where=A > 3),
        np.gradient(x)[0], np.interp(x, [0, 3], [1, 2]), np.cbrt(x), np.average(x, weights=A), np.polyval([1, 2], x),
        x.diagonal(), x.trace(), x.repeat(2), x.strides and x,
    ]  # fmt: skip
    assert not any(xp.debug.is_computed(result) for result in results)

"""Functions beyond the standard against NumPy's of the same names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, close, same, sample

NAN_REDUCTIONS = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmin", "nanmax"]


def with_nan(dtype, shape=(4, 6)):
    a = np.random.default_rng(5).uniform(0.5, 2, shape).astype(dtype)
    a[..., ::3] = np.nan
    a[0, 1] = np.inf
    a[1] = np.nan
    return a


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAN_REDUCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reductions_leave_nan_out(name, dtype):
    mine, numpys = getattr(xp, name), getattr(np, name)
    a = with_nan(dtype)
    finite = np.where(np.isinf(a), np.float32(3), a)
    for b in (a, finite, finite.T, finite[::-1, ::2], finite[1:2], finite[:, :1], finite[:0] if "m" not in name else a):
        for axis, keepdims in itertools.product((None, 0, -1, (0, 1)), (False, True)):
            if b.shape[0] == 0 and name in {"nanmin", "nanmax"}:
                continue
            with np.errstate(all="ignore"):
                expected = numpys(b, axis=axis, keepdims=keepdims)
            close(mine(xp.asarray(b), axis=axis, keepdims=keepdims), expected)
    if name in {"nanvar", "nanstd"}:
        for ddof in (1, 3, 5):
            close(mine(xp.asarray(finite), axis=1, correction=ddof), numpys(finite, axis=1, ddof=ddof))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("name", NAN_REDUCTIONS)
def test_integers_have_no_nan(name, dtype):
    a = np.arange(12, dtype=dtype).reshape(3, 4) % 5 + 1
    close(getattr(xp, name)(xp.asarray(a), axis=0), getattr(np, name)(a, axis=0))


@pytest.mark.parametrize("dtype", [*FLOATS, "int32"])
def test_positions_and_running_sums_leave_nan_out(dtype):
    a = sample(dtype) if dtype == "int32" else with_nan(dtype)[[0, 2, 3]]
    for axis in (None, 0, 1):
        b = a[:, 1:3]
        same(xp.nanargmin(xp.asarray(b), axis=axis), np.nanargmin(b, axis=axis))
        same(xp.nanargmax(xp.asarray(b), axis=axis), np.nanargmax(b, axis=axis))
        close(xp.nancumsum(xp.asarray(a), axis=axis), np.nancumsum(a, axis=axis))
        close(xp.nancumprod(xp.asarray(a), axis=axis), np.nancumprod(a, axis=axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_for_nan(dtype):
    a = sample(dtype)
    if dtype in FLOATS:
        a[1, :3] = [np.nan, np.inf, -np.inf]
    same(xp.nan_to_num(xp.asarray(a)), np.nan_to_num(a))
    same(xp.nan_to_num(xp.asarray(a), nan=1.5, posinf=2.0, neginf=-3.0), np.nan_to_num(a, True, 1.5, 2.0, -3.0))
    assert np.isnan(np.asarray(a, float)).sum() == (dtype in FLOATS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_closeness(dtype):
    a = sample(dtype)
    b = a.copy()
    if dtype in FLOATS:
        values = [np.nan, np.inf, -np.inf, 1.0, 1e-9, 0.0]
        pairs = np.array(list(itertools.product(values, values)), dtype)
        a, b = pairs.T
        b = np.concatenate([b, a * np.asarray(1 + 3e-6, dtype)])
        a = np.tile(a, 2)
    else:
        b[0, 0] = not b[0, 0]
    x, y = xp.asarray(a), xp.asarray(b)
    with np.errstate(invalid="ignore"):
        for options in ({}, {"equal_nan": True}, {"rtol": 1e-9, "atol": 0.0}, {"atol": 2.0}):
            same(xp.isclose(x, y, **options), np.isclose(a, b, **options))
            same(xp.isclose(x, y[:1], **options), np.isclose(a, b[:1], **options))
            assert xp.allclose(x, y, **options) is bool(np.allclose(a, b, **options))
    assert xp.allclose(x, x, equal_nan=True)
    with pytest.raises(ValueError, match="broadcast"):
        xp.isclose(xp.ones(2), xp.ones(3))


PADDINGS = [
    ("constant", {}), ("edge", {}), ("reflect", {}), ("symmetric", {}), ("wrap", {}), ("maximum", {}), ("minimum", {}),
    ("mean", {}), ("median", {}), ("linear_ramp", {}), ("reflect", {"reflect_type": "odd"}),
    ("symmetric", {"reflect_type": "odd"}), ("maximum", {"stat_length": 2}), ("minimum", {"stat_length": (1, 2)}),
    ("mean", {"stat_length": ((1, 2), (3, 1))}), ("median", {"stat_length": 20}), ("linear_ramp", {"end_values": 7}),
    ("linear_ramp", {"end_values": ((1, 2), (3, 0))}), ("constant", {"constant_values": 1}),
    ("constant", {"constant_values": ((1, 0), (2, 3))}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("mode", "options"), PADDINGS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pad(mode, options, dtype):
    a = sample(dtype)
    if mode in {"mean", "median"} and dtype in INTEGERS:
        # Sums of more than 53 bits are rounded, and what is rounded may not fit.
        a = (a % 50).astype(dtype)
    exact = mode not in {"mean", "linear_ramp"} or dtype not in FLOATS
    assertion = same if exact else close
    for b in (a, a.T, a[::-1, ::2], a[:1, :2], a[:1, :1]):
        for width in (0, 1, 2, 11, (3, 0), ((1, 0), (0, 7)), ((0, 0), (4, 13))):
            assertion(xp.pad(xp.asarray(b), width, mode, **options), np.pad(b, width, mode, **options))
    if all(np.ndim(value) == 0 for value in options.values()):
        vector = a[0]
        assertion(xp.pad(xp.asarray(vector), 2, mode, **options), np.pad(vector, 2, mode, **options))
        assertion(xp.pad(xp.asarray(a[0, 0]), 2, mode, **options), np.pad(a[0, 0], 2, mode, **options))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap", "linear_ramp", "mean"])
def test_pad_complex_numbers(mode, dtype):
    a = (np.arange(12).reshape(3, 4) * (1 + 2j)).astype(dtype)
    close(xp.pad(xp.asarray(a), 2, mode), np.pad(a, 2, mode))


def test_pad_with_other_arguments():
    a = np.arange(6.0).reshape(2, 3)
    x = xp.asarray(a)
    for values in (7, (1, 2), ((1, 2), (3, 4))):
        same(xp.pad(x, 2, constant_values=values), np.pad(a, 2, constant_values=values))
    same(xp.pad(xp.asarray(a[:0]), 1), np.pad(a[:0], 1))
    assert xp.pad(x, 1, "empty").shape == (4, 5)
    same(xp.pad(x, 1, "empty")[1:-1, 1:-1], a)
    same(xp.pad(x, {-1: (1, 2)}), np.pad(a, ((0, 0), (1, 2))))

    def fill(vector, widths, axis, options):
        vector[: widths[0]] = options.get("value", 9)

    same(xp.pad(x, 2, fill), np.pad(a, 2, fill))
    same(xp.pad(x, 2, fill, value=4), np.pad(a, 2, fill, value=4))
    for options, match in [
        ({"mode": "edge", "stat_length": 1}, "no option stat_length"),
        ({"mode": "maximum", "stat_length": 0}, "stat_length"),
        ({"end_values": 1}, "no option end_values"),
    ]:
        with pytest.raises(ValueError, match=match):
            xp.pad(x, 1, **options)


def test_pad_is_a_view_of_runs():
    x = xp.asarray(np.arange(1_000_000.0))
    result = xp.pad(x, 500_000, "reflect")
    assert not xp.debug.is_computed(result)
    same(result, np.pad(np.arange(1_000_000.0), 500_000, "reflect"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_kron(dtype):
    a, b = sample(dtype, (2, 3)), sample(dtype, (3, 2), seed=1)
    with np.errstate(all="ignore"):
        for left, right in [(a, b), (a[0], b), (a, b[0]), (a[0, 0], b), (a, b[:0]), (a.T, b[None])]:
            same(xp.kron(xp.asarray(left), xp.asarray(right)), np.kron(left, right))


def test_kron_promotes():
    a, b = np.arange(3, dtype=np.int16), np.ones(2, np.float32)
    same(xp.kron(xp.asarray(a), xp.asarray(b)), np.kron(a, b))


def test_axes_in_front():
    arrays = [
        np.float64(3),
        np.arange(3.0),
        np.ones((2, 3)),
        np.ones((2, 3, 4)),
        np.ones((1, 2, 3, 4)),
        np.ones((0, 2)),
    ]
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        for a in arrays:
            same(getattr(xp, name)(xp.asarray(a)), getattr(np, name)(a))
        several = getattr(xp, name)(*map(xp.asarray, arrays))
        for result, expected in zip(several, getattr(np, name)(*arrays), strict=True):
            same(result, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [0, 1, 3, -1, -2, 7, -7])
def test_diag(k, dtype):
    a = sample(dtype, (4, 3))
    for b in (a, a.T, a[::-1], a[:, 0], a[:0, 0], a[:0], a[:, :0], a[:1, :1]):
        same(xp.diag(xp.asarray(b), k), np.diag(b, k))


def test_triangles_and_positions():
    for n, k, m in [(3, 0, None), (4, 1, None), (4, -2, 3), (2, 0, 5), (0, 0, None)]:
        for name in ("tril_indices", "triu_indices"):
            for result, expected in zip(getattr(xp, name)(n, k, m), getattr(np, name)(n, k, m), strict=True):
                same(result, expected)
    positions = np.array([[0, 5, 23], [11, 7, 1]])
    for shape in ((2, 3, 4), (24,), 24, (4, 1, 6)):
        results = xp.unravel_index(xp.asarray(positions), shape)
        for result, expected in zip(results, np.unravel_index(positions, shape), strict=True):
            same(result, expected)
    same(xp.unravel_index(7, (3, 4))[1], np.int64(3))
    same(xp.unravel_index(xp.asarray(7, dtype=xp.uint8), (3, 4))[0], np.int64(1))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolve(mode):
    rng = np.random.default_rng(1)
    for m, n in [(1, 1), (5, 1), (5, 2), (5, 4), (5, 5), (3, 8), (200, 150)]:
        a, b = rng.standard_normal(m), rng.standard_normal(n).astype(np.float32)
        close(xp.convolve(xp.asarray(a), xp.asarray(b), mode), np.convolve(a, b, mode))
        i, j = (rng.integers(-100, 100, size).astype(np.int16) for size in (m, n))
        same(xp.convolve(xp.asarray(i), xp.asarray(j), mode), np.convolve(i, j, mode))


def test_cov():
    rng = np.random.default_rng(2)
    a, y = rng.standard_normal((3, 10)), rng.standard_normal((2, 10))
    x = xp.asarray(a)
    close(xp.cov(x), np.cov(a))
    close(xp.cov(xp.asarray(a.astype(np.float32))), np.cov(a.astype(np.float32)), rtol=1e-6)
    close(xp.cov(x[0]), np.cov(a[0]))
    close(xp.cov(xp.asarray(np.arange(12).reshape(3, 4))), np.cov(np.arange(12).reshape(3, 4)))
    close(xp.cov(x, xp.asarray(y)), np.cov(a, y))
    counts, weights = rng.integers(1, 5, 10), rng.uniform(size=10)
    for options in (
        {"rowvar": False}, {"bias": True}, {"ddof": 0}, {"ddof": 3}, {"fweights": counts}, {"aweights": weights},
        {"fweights": counts, "aweights": weights}, {"fweights": counts, "bias": True}, {"aweights": weights, "ddof": 2},
    ):  # fmt: skip
        close(xp.cov(x, **options), np.cov(a, **options))


EINSUM = [
    ("i->i", [(3,)]), ("i->", [(3,)]), ("ij->ji", [(2, 3)]), ("ij->j", [(2, 3)]), ("ij", [(2, 3)]), ("ba", [(2, 3)]),
    ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("iij->ij", [(3, 3, 2)]), ("iji->j", [(3, 2, 3)]), ("iii->i", [(3, 3, 3)]),
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ij,kj->ik", [(2, 3), (4, 3)]),
    ("i,i->", [(3,), (3,)]), ("i,j->ij", [(3,), (4,)]), ("ij,ij->ij", [(2, 3), (2, 3)]), ("ij,ij->", [(2, 3), (2, 3)]),
    ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]), ("ibj,jbk->bki", [(2, 5, 3), (3, 5, 4)]), ("ij,j->i", [(2, 3), (3,)]),
    ("ij,k->i", [(2, 3), (4,)]), ("i,ij,j->", [(2,), (2, 3), (3,)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij,jk,kl,lm->", [(2, 3), (3, 4), (4, 5), (5, 2)]), ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
    ("...i,...i", [(4, 2, 3), (2, 3)]), ("...", [(2, 3)]), ("i...->...", [(2, 3)]), ("i...j->j...i", [(2, 3, 4)]),
    ("abcd,cdef->abef", [(2, 3, 4, 5), (4, 5, 2, 3)]), ("ij,jk->ik", [(2, 1), (3, 4)]), ("ij,ji->", [(2, 3), (3, 2)]),
    ("ii,i->i", [(3, 3), (3,)]), (" i j , j k -> i k ", [(2, 3), (3, 4)]), (",->", [(), ()]),
    ("ij,jk->ik", [(0, 3), (3, 4)]), ("ij,jk->ik", [(2, 0), (0, 4)]), ("Ab,bA->A", [(2, 3), (3, 2)]),
    ("ij,jk,ij->k", [(2, 3), (3, 4), (2, 3)]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "uint64", "bool"])
@pytest.mark.parametrize(("subscripts", "shapes"), EINSUM)
def test_einsum(subscripts, shapes, dtype):
    rng = np.random.default_rng(3)
    arrays = [rng.integers(0, 5, shape).astype(dtype) for shape in shapes]
    expected = np.einsum(subscripts, *arrays)
    same(xp.einsum(subscripts, *map(xp.asarray, arrays)), expected)


def test_einsum_promotes_and_stays_lazy():
    a, b = np.arange(6, dtype=np.int16).reshape(2, 3), np.ones((3, 2), np.float32)
    result = xp.einsum("ij,jk->ik", xp.asarray(a), xp.asarray(b))
    assert not xp.debug.is_computed(result)
    same(result, np.einsum("ij,jk->ik", a, b))


def test_einsum_with_lists_of_labels_and_options():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((2, 3)), rng.standard_normal((3, 4)), rng.standard_normal((5, 3, 4))
    x, y, z = map(xp.asarray, (a, b, c))
    for ours, numpys in [
        ((x, [0, 1], y, [1, 2], [0, 2]), (a, [0, 1], b, [1, 2], [0, 2])),
        ((x, [3, 1], y, [1, 30]), (a, [3, 1], b, [1, 30])),
        ((z, [..., 7], y, [0, 7], [..., 0]), (c, [..., 7], b, [0, 7], [..., 0])),
        ((z, [..., 0, 1]), (c, [..., 0, 1])),
        ((y @ y.T, [0, 0]), (b @ b.T, [0, 0])),
    ]:
        close(xp.einsum(*ours), np.einsum(*numpys))
    for optimize in (False, True, "optimal", "greedy", ["einsum_path", (0, 1), (0, 1)]):
        close(xp.einsum("ij,jk,ljk->il", x, y, z, optimize=optimize), np.einsum("ij,jk,ljk->il", a, b, c))
    close(xp.einsum("ij->", x, dtype=xp.float32), np.einsum("ij->", a, dtype=np.float32, casting="same_kind"))
    for operands, error, match in [
        ((), TypeError, "subscripts"), ((x, "ij"), TypeError, "labels"), ((x, [0, 99]), TypeError, "labels"),
    ]:  # fmt: skip
        with pytest.raises(error, match=match):
            xp.einsum(*operands)


def test_positions_out_of_range_are_refused():
    for indices in (24, -1, [0, 24], np.array([[3, -2]])):
        with pytest.raises(ValueError, match="out of range for 24"):
            xp.unravel_index(indices, (2, 3, 4))
    for indices in (23, [5, 0], np.zeros((0,), int)):
        for order in "CF":
            results = xp.unravel_index(indices, (2, 3, 4), order)
            for result, expected in zip(results, np.unravel_index(indices, (2, 3, 4), order), strict=True):
                same(result, expected)
    coordinates = (np.array([0, 1, 1]), np.array([2, 0, 1]), 3)
    for order in "CF":
        same(
            xp.ravel_multi_index(coordinates, (2, 3, 4), order=order),
            np.ravel_multi_index(coordinates, (2, 3, 4), order=order),
        )
    same(
        xp.ravel_multi_index(([5, -1], [7, -9]), (2, 3), ("wrap", "clip")),
        np.ravel_multi_index(([5, -1], [7, -9]), (2, 3), ("wrap", "clip")),
    )
    with pytest.raises(ValueError, match="out of range for 3"):
        xp.ravel_multi_index(([0, 1], [3, 0]), (2, 3))


@pytest.mark.parametrize("name", ["nanargmin", "nanargmax"])
def test_positions_need_numbers(name):
    a = np.array([[1, np.nan], [np.nan, np.nan]])
    for axis in (1, -1):
        with pytest.raises(ValueError, match="NaN"):
            getattr(xp, name)(xp.asarray(a), axis=axis)
    same(getattr(xp, name)(xp.asarray(a)), getattr(np, name)(a))
    with pytest.raises(ValueError, match="NaN"):
        getattr(xp, name)(xp.asarray(a[1]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*NAN_REDUCTIONS])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_reductions_of_what_counts(name, dtype):
    a = with_nan(dtype)[[0, 2, 3]]
    a[np.isinf(a)] = 2
    where = np.arange(6) % 4 != 1
    options = (
        {"where": where, "initial": 1.25} if name in {"nansum", "nanprod", "nanmin", "nanmax"} else {"where": where}
    )
    for axis, keepdims in itertools.product((None, 0, 1), (False, True)):
        mine = getattr(xp, name)(xp.asarray(a), axis=axis, keepdims=keepdims, **options)
        close(mine, getattr(np, name)(a, axis=axis, keepdims=keepdims, **options))
    if name not in {"nanmin", "nanmax"}:
        # NumPy subtracts the mean in the array's dtype all the same.
        wide = getattr(np, name)(a.astype("float64"))
        close(getattr(xp, name)(xp.asarray(a), dtype="float64"), wide)


# Functions in terms of others, on arrays of every dtype and shape; ``m`` is either library.
COMPOSED = [
    lambda m, a: m.hstack((a, a[:, :1])), lambda m, a: m.vstack((a, a[:1])), lambda m, a: m.dstack((a, a)),
    lambda m, a: m.column_stack((a, a)), lambda m, a: m.append(a, a[0]), lambda m, a: m.array_split(a, 3, 1),
    lambda m, a: m.array_split(a, [1, 2]), lambda m, a: m.rot90(a), lambda m, a: m.rot90(a, 3),
    lambda m, a: m.fliplr(a),
    lambda m, a: m.flipud(a), lambda m, a: m.swapaxes(a, 0, 1), lambda m, a: m.diagonal(a),
    lambda m, a: m.diagonal(a, -1),
    lambda m, a: m.trace(a), lambda m, a: m.diagflat(a[:1], -1), lambda m, a: m.argwhere(a),
    lambda m, a: m.flatnonzero(a),
    lambda m, a: m.extract(a == a[:, :1], a), lambda m, a: m.compress([True], a, axis=0), lambda m, a: m.unique(a),
    lambda m, a: m.unique(a, return_index=True, return_inverse=True, return_counts=True), lambda m, a: m.inner(a, a),
    lambda m, a: m.intersect1d(a, a[:, :2]), lambda m, a: m.setxor1d(a, a[:, :2]), lambda m, a: m.outer(a, a[:1]),
    lambda m, a: m.lexsort(a), lambda m, a: m.ediff1d(a) if a.dtype != bool else m.fliplr(a), lambda m, a: m.vdot(a, a),
    lambda m, a: m.select([a == 0, a == 1], [a, a[:, ::-1]]), lambda m, a: m.isposinf(a), lambda m, a: m.isneginf(a),
    lambda m, a: m.fmax(a, a[:, ::-1]), lambda m, a: m.fmin(a, a[:, ::-1]), lambda m, a: m.average(a, axis=0),
    lambda m, a: m.rollaxis(a, 1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("call", COMPOSED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_composed_functions(call, dtype):
    a = sample(dtype, (4, 6))
    for b in (a, a.T, a[::-1, ::2], a[:1], a[:, :1]):
        expected = call(np, b)
        actual = call(xp, xp.asarray(b))
        for mine, numpys in zip(
            *([r] if not isinstance(r, list | tuple) else r for r in (actual, expected)), strict=True
        ):
            close(mine, numpys)


ELEMENTWISE = [
    lambda m, a: m.cbrt(a), lambda m, a: m.exp2(a / 8), lambda m, a: m.deg2rad(a), lambda m, a: m.rad2deg(a),
    lambda m, a: m.fabs(a), lambda m, a: m.fix(a), lambda m, a: m.heaviside(a, a[:, :1]), lambda m, a: m.sinc(a / 7),
    lambda m, a: m.logaddexp2(a, a[:, :1]), lambda m, a: m.modf(a), lambda m, a: m.angle(a), lambda m, a: m.ldexp(a, 2),
    lambda m, a: m.unwrap(a), lambda m, a: m.trapezoid(a), lambda m, a: m.gradient(a), lambda m, a: m.ptp(a, axis=1),
    lambda m, a: m.interp(a, [-5.0, 1.0, 1.0, 4.0], [1, 2, 5, 3]), lambda m, a: m.digitize(a, [-3, 0, 2, 2, 9]),
    lambda m, a: m.polyval([2, -1, 1], a), lambda m, a: m.correlate(a[0], a[1, :2], "full"),
    lambda m, a: m.vander(a[0], 3),
    lambda m, a: m.corrcoef(a), lambda m, a: m.average(a, axis=1, weights=range(1, 7)),
    lambda m, a: m.fmod(a, m.asarray(3, dtype=a.dtype)), lambda m, a: m.fmod(a, a[:, ::-1]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["int32", "int64", *FLOATS])
@pytest.mark.parametrize("call", ELEMENTWISE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_numbers(call, dtype):
    a = np.random.default_rng(2).integers(-9, 10, (4, 6)).astype(dtype)
    a = a + a.dtype.type(0.25)
    expected, actual = call(np, a), call(xp, xp.asarray(a))
    for mine, numpys in zip(*([r] if not isinstance(r, list | tuple) else r for r in (actual, expected)), strict=True):
        close(mine, numpys)


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values_of_composed_functions(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    with np.errstate(all="ignore"):
        a = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny * 7, 1e30, -27.0, 1e-38], dtype)
        x = xp.asarray(a)
        for name in ("cbrt", "exp2", "deg2rad", "sinc", "fabs", "fix"):
            same(getattr(xp, name)(x), getattr(np, name)(a), ulps=2)
        for name in ("fmod", "fmax", "fmin", "heaviside", "logaddexp2"):
            left, right = a[:, None], a[None, :]
            same(getattr(xp, name)(xp.asarray(left), xp.asarray(right)), getattr(np, name)(left, right), ulps=2)
        for mine, numpys in zip(xp.modf(x), np.modf(a), strict=True):
            same(mine, numpys)
            np.testing.assert_array_equal(np.signbit(np.asarray(mine)), np.signbit(numpys))
        for power in (-2000, -1074, -140, -3, 0, 5, 120, 1023, 2000):
            same(xp.ldexp(x, power), np.ldexp(a, power))
    rng = np.random.default_rng(4)
    bits = rng.integers(0, np.iinfo(f"u{a.itemsize}").max, 100_000, dtype=f"u{a.itemsize}").view(dtype)
    with np.errstate(all="ignore"):
        same(xp.cbrt(xp.asarray(bits)), np.cbrt(bits), ulps=2)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits_are_counted(dtype):
    a = sample(dtype, (7, 9))
    same(xp.bitwise_count(xp.asarray(a)), np.bitwise_count(a))


def test_numpys_functions_come_here():
    a = with_nan("float64")
    x = xp.asarray(a)
    for call in (
        lambda a: np.nansum(a, 0), lambda a: np.nanmax(a[:1], axis=1, keepdims=True), lambda a: np.pad(a, 1),
        lambda a: np.pad(a, ((0, 1), (2, 0)), mode="edge"), lambda a: np.isclose(a, a, equal_nan=True),
        lambda a: np.kron(a, a), lambda a: np.atleast_3d(a), lambda a: np.diag(a, 1), lambda a: np.nancumsum(a, 1),
        lambda a: np.nan_to_num(a, nan=2.0),
        lambda a: np.einsum("ij,ij->i", a, a), lambda a: np.nanvar(a[2:], axis=1, ddof=1),
        lambda a: np.convolve(a[2], [1.0, 2.0], "same"), lambda a: np.cov(a[2:, 1:3], ddof=0),
    ):  # fmt: skip
        result = call(x)
        assert isinstance(result, xp.Array)
        close(result, call(a))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: xp.pad(x, -1), ValueError, "negative"),
        (lambda x: xp.pad(x, 1.5), TypeError, "integers"),
        (lambda x: xp.pad(x, 1, "fancy"), ValueError, "mode 'fancy'"),
        (lambda x: xp.pad(x[:0], 1, "edge"), ValueError, "axis 0 has no elements"),
        (lambda x: xp.pad(x, (1, 2, 3)), ValueError, "broadcast"),
        (lambda x: xp.diag(x[None]), ValueError, r"\(1, 2, 3\)"),
        (lambda x: xp.unravel_index(x, (2, 3)), TypeError, "integers"),
        (lambda x: xp.unravel_index(0, (2, 0)), ValueError, r"\(2, 0\)"),
        (lambda x: xp.convolve(x, x[0]), ValueError, "vectors"),
        (lambda x: xp.convolve(x[0], x[0, :0]), ValueError, "vectors"),
        (lambda x: xp.convolve(x[0], x[0], "most"), ValueError, "mode 'most'"),
        (lambda x: xp.cov(x[None]), ValueError, "2 axes"),
        (lambda x: xp.cov(x, fweights=[1]), ValueError, "3 weights"),
        (lambda x: xp.einsum("ij,jk", x), ValueError, "2 operands, got 1"),
        (lambda x: xp.einsum("i", x), ValueError, "2 axes"),
        (lambda x: xp.einsum("i-", x), ValueError, "does not describe"),
        (lambda x: xp.einsum("ij->k", x), ValueError, "labels of the operands"),
        (lambda x: xp.einsum("ij->ii", x), ValueError, "each once"),
        (lambda x: xp.einsum("ij,ji", x, x), ValueError, "extents 2 and 3|extents 3 and 2"),
        (lambda x: xp.einsum("ii", x[:1]), ValueError, "extents"),
        (lambda x: xp.nansum(x, 2), IndexError, "axis"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.ones((2, 3)))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_complex_numbers(dtype):
    rng = np.random.default_rng(6)
    a = (rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4))).astype(dtype)
    for call in (
        lambda m, a: m.cov(a), lambda m, a: m.kron(a, a), lambda m, a: m.einsum("ij,kj->ik", a, a),
        lambda m, a: m.einsum("ij,ij->", a, a), lambda m, a: m.diag(a, 1), lambda m, a: m.diag(a[0], -1),
        lambda m, a: m.pad(a, 2, mode="reflect"), lambda m, a: m.isclose(a, a * (1 + 1e-9)),
        lambda m, a: m.convolve(a[0], a[1, :2]), lambda m, a: m.atleast_3d(a),
    ):  # fmt: skip
        close(call(xp, xp.asarray(a)), call(np, a))
    a[0, 0], a[1, 1], a[2, 2] = np.nan, complex(np.inf, np.nan), complex(np.nan, -np.inf)
    for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd"):
        for axis in (None, 0, 1):
            close(getattr(xp, name)(xp.asarray(a), axis), getattr(np, name)(a, axis))
    close(xp.nancumsum(xp.asarray(a), 1), np.nancumsum(a, 1))
    close(xp.nan_to_num(xp.asarray(a)), np.nan_to_num(a))
    close(xp.nan_to_num(xp.asarray(a), nan=3.0, posinf=1.0), np.nan_to_num(a, nan=3.0, posinf=1.0))
    assert xp.allclose(xp.asarray(a), xp.asarray(a), equal_nan=True) is bool(np.allclose(a, a, equal_nan=True))

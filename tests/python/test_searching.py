"""Sets, searching, repetition and `put_along_axis` against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, NUMBERS, same, sample

COMPLEX = ["complex64", "complex128"]


def values(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values with many equal ones, NaN and both zeros among them where the dtype has them."""
    rng = np.random.default_rng([len(shape), *shape])
    a = rng.integers(0, 9, shape)
    if dtype in COMPLEX:
        return (a % 3 + 1j * rng.integers(0, 3, shape)).astype(dtype)
    a = a.astype(dtype)
    if a.dtype.kind == "f":
        a.reshape(-1)[::5] = np.nan
        a.reshape(-1)[1::5] = -0.0
        a.reshape(-1)[2::5] = 0.0
    return a


@pytest.mark.parametrize("dtype", [*DTYPES, *COMPLEX])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (40,), (3, 0), (5, 7), (2, 3, 4), (1000,)])
def test_unique(dtype, shape):
    a = values(dtype, shape)
    for x in (xp.asarray(a), xp.positive(xp.asarray(a)) if dtype != "bool" else ~~xp.asarray(a)):
        expected, indices, counts = np.unique(a, return_index=True, return_counts=True, equal_nan=False)
        everything = xp.unique_all(x)
        assert everything._fields == ("values", "indices", "inverse_indices", "counts")
        same(everything.values, expected)
        same(everything.counts, counts)
        if a.dtype.kind != "f":
            same(everything.indices, indices)
        same(everything.values[everything.inverse_indices], a)
        same(a.reshape(-1)[np.asarray(everything.indices)] + xp.zeros_like(everything.values), expected)
        same(xp.unique_values(x), expected)
        counted, inverted = xp.unique_counts(x), xp.unique_inverse(x)
        same(counted.values, expected)
        same(counted.counts, counts)
        same(inverted.values, expected)
        assert inverted.inverse_indices.shape == shape
        same(inverted.values[inverted.inverse_indices], a)


def test_unique_says_where_a_value_occurs_first():
    a = np.random.default_rng(0).integers(0, 100, 5000)
    x = xp.unique_all(xp.asarray(a))
    same(x.indices, np.unique(a, return_index=True)[1])
    same(x.inverse_indices, np.unique(a, return_inverse=True)[1])


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 1000])
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(dtype, count, side):
    a, v = np.sort(sample(dtype, (count,))), sample(dtype, (9, 11), seed=1)
    if a.dtype.kind == "f":
        a[-2:] = np.nan
        v[0, :3] = [np.nan, np.inf, -np.inf]
    same(xp.searchsorted(xp.asarray(a), xp.asarray(v), side=side), np.searchsorted(a, v, side=side))
    same(xp.searchsorted(xp.asarray(a), xp.asarray(a), side=side), np.searchsorted(a, a, side=side))
    order = np.random.default_rng(2).permutation(count)
    sorter = np.argsort(a[order], kind="stable")
    got = xp.searchsorted(xp.asarray(a[order]), xp.asarray(v), side=side, sorter=xp.asarray(sorter))
    same(got, np.searchsorted(a[order], v, side=side, sorter=sorter))


def test_searchsorted_promotes_and_checks():
    a = np.arange(10)
    same(xp.searchsorted(xp.asarray(a), xp.asarray([2.5, 9.5])), np.searchsorted(a, [2.5, 9.5]))
    same(xp.searchsorted(xp.asarray(a), 3), np.asarray(3))
    same(np.searchsorted(xp.asarray(a), xp.asarray([3])), np.asarray([3]))
    for error, f in [
        (ValueError, lambda: xp.searchsorted(xp.ones((2, 2)), 1)),
        (ValueError, lambda: xp.searchsorted(xp.asarray(a), 1, side="middle")),
        (ValueError, lambda: xp.searchsorted(xp.asarray(a), 1, sorter=xp.asarray([0, 1]))),
        (TypeError, lambda: xp.searchsorted(xp.asarray(a), 1, sorter=xp.asarray(a) * 1.0)),
        (TypeError, lambda: xp.searchsorted(xp.asarray(a) * 1j, 1)),
        (IndexError, lambda: xp.searchsorted(xp.asarray(a), 1, sorter=xp.asarray(a + 1))),
    ]:
        with pytest.raises(error):
            f()


@pytest.mark.parametrize("dtype", [*DTYPES, *COMPLEX])
@pytest.mark.parametrize("count", [0, 1, 10, 17, 500])
def test_isin(dtype, count):
    a, candidates = values(dtype, (30, 7)), values(dtype, (count,))[::2]
    for invert in (False, True):
        same(xp.isin(xp.asarray(a), xp.asarray(candidates), invert=invert), np.isin(a, candidates, invert=invert))
    same(xp.isin(xp.asarray(a)[0, 0], xp.asarray(candidates)), np.isin(a[0, 0], candidates))


def test_isin_of_numbers():
    x = xp.asarray([1, 2, 3], dtype=xp.int8)
    same(xp.isin(x, 2), np.array([False, True, False]))
    same(xp.isin(x, 300), np.array([False, False, False]))
    same(xp.isin(2, x), np.asarray(True))
    same(xp.isin(x, 1.5), np.array([False, False, False]))


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 0, 2), (1, 1, 5)])
def test_repeat(shape, axis):
    a = np.arange(np.prod(shape)).reshape(shape) * 1.5
    extent = a.size if axis is None else shape[axis]
    for repeats in (0, 1, 3, [2], np.arange(extent) % 3, np.zeros(extent, int)):
        if np.ndim(repeats) and len(repeats) not in (1, extent):
            continue
        for x in (xp.asarray(a), xp.asarray(a) + 0):
            ours = xp.asarray(repeats) if np.ndim(repeats) else repeats
            same(xp.repeat(x, ours, axis=axis), np.repeat(a, repeats, axis=axis))
    same(np.repeat(xp.asarray(a), 2, axis=axis), np.repeat(a, 2, axis=axis))


def test_repeat_refuses_what_does_not_fit():
    x = xp.asarray(np.arange(6).reshape(2, 3))
    for error, f in [
        (ValueError, lambda: xp.repeat(x, -1)),
        (ValueError, lambda: xp.repeat(x, xp.asarray([1, -1]), axis=0)),
        (ValueError, lambda: xp.repeat(x, xp.asarray([1, 2, 3]), axis=0)),
        (ValueError, lambda: xp.repeat(x, xp.ones((2, 2), dtype=xp.int64), axis=0)),
        (TypeError, lambda: xp.repeat(x, xp.asarray([1.0, 2.0]), axis=0)),
        (IndexError, lambda: xp.repeat(x, 2, axis=2)),
    ]:
        with pytest.raises(error):
            f()


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_put_along_axis(axis):
    a = np.random.default_rng(3).standard_normal((4, 5))
    order = np.argsort(a, axis=axis) if axis is not None else np.array([3, 19, 3, 0])
    part = order.take([0, 2], axis=axis if axis is not None else 0)
    for index in (order, part):
        for value in (7.0, np.arange(index.size).reshape(index.shape) * 1.0):
            for x in (xp.asarray(a), xp.asarray(a) + 0, (xp.asarray(a) + 0).compute()):
                expected = a.copy()
                np.put_along_axis(expected, index, value, axis=axis)
                xp.put_along_axis(x, xp.asarray(index), value, axis)
                same(x, expected)
    with pytest.raises(IndexError):
        xp.put_along_axis(xp.asarray(a), xp.asarray([[9]]), 1, 0)


@pytest.mark.parametrize("dtype", COMPLEX)
def test_complex_elements(dtype):
    rng = np.random.default_rng(4)
    a = (rng.standard_normal((5, 6)) + 1j * rng.standard_normal((5, 6))).astype(dtype)
    rows, mask = np.array([1, 3, -1]), a.real > 0
    for x in (xp.asarray(a), xp.asarray(a) * 1, xp.asarray(a.T.copy()).T):
        same(x[rows], a[rows])
        same(x[:, rows], a[:, rows])
        same(x[rows, rows], a[rows, rows])
        same(x[mask], a[mask])
        same((x + 1)[rows] * 2, (a + 1)[rows] * 2)
    for x in (xp.asarray(a), xp.asarray(a) * 1, (xp.asarray(a) * 1).compute()):
        b = a.copy()
        for target in (x, b):
            target[1, 2] = 1 + 2j
            target[rows] = 5
            target[:, 1:3] = a[:, 2:4]
            target[::2, ::3] *= 2
            target[mask] = 0
            target[mask] += np.arange(mask.sum())
            target += 1j
        same(x, b)
    with pytest.raises(TypeError):
        xp.ones(2)[0] = 1j


@pytest.mark.parametrize("shape", [(0,), (1,), (100_001,), (3, 70_000), (5, 0, 2), (123, 45, 17), (70_000, 3)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.6, 1.0])
def test_nonzero_of_much(shape, share):
    a = np.random.default_rng(0).random(shape) < share
    x = xp.asarray(a)
    for mask, known in [(a, x), (a[..., ::-1], x[..., ::-1]), (a.T, x.T), (a[::2, ...], x[::2, ...])]:
        for result, expected in zip(xp.nonzero(known), np.nonzero(mask), strict=True):
            same(result, expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_isin_of_integers_close_to_each_other_and_far(dtype):
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    ends = np.array([info.min, info.min + 1, info.max - 1, info.max], dtype)
    near = (info.max - rng.integers(0, 60, 40).astype(dtype)).astype(dtype)
    some = rng.integers(0, 100, 40).astype(dtype)
    elements = np.concatenate([ends, near, some, rng.integers(info.min, info.max, 500, dtype, endpoint=True)])
    for candidates in (near, some, np.concatenate([some, ends]), np.concatenate([near, near])):
        for invert in (False, True):
            x, known = xp.asarray(elements), xp.asarray(candidates)
            same(xp.isin(x, known, invert=invert), np.isin(elements, candidates, invert=invert))
            same(xp.isin(x + 0, known + 0, invert=invert), np.isin(elements, candidates, invert=invert))

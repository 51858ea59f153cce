"""Products of matrices and vectors against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from support import FLOATS, INTEGERS, NUMBERS, close, same, sample

SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((3,), (5, 3, 4)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((5, 2, 0), (5, 0, 4)),
    ((1, 1), (1, 1)),
    ((65, 70), (70, 33)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_matmul(left, right, dtype):
    a, b = sample(dtype, left, 1), sample(dtype, right, 2)
    check = close if dtype in FLOATS else same
    tolerance = {"rtol": 1e-3 if dtype == "float32" else 1e-10} if dtype in FLOATS else {}
    check(xp.matmul(xp.asarray(a), xp.asarray(b)), a @ b, **tolerance)
    check(xp.asarray(a) @ b, a @ b, **tolerance)
    check(a @ xp.asarray(b), a @ b, **tolerance)


def test_matmul_of_views_and_with_a_chain_around_it():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((40, 30)), rng.standard_normal((40, 50))
    x, y = xp.asarray(a), xp.asarray(b)
    close(x.T @ y, a.T @ b)
    close(x[::-1, ::2].T @ y[:, ::-3], a[::-1, ::2].T @ b[:, ::-3])
    close(xp.tanh((x * 2).T @ (y + 1) - 3) * 2, np.tanh((a * 2).T @ (b + 1) - 3) * 2)
    close(xp.sum(x.T @ y, axis=0), (a.T @ b).sum(0))


def test_matmul_of_mixed_dtypes():
    a, b = np.arange(6, dtype=np.int16).reshape(2, 3), np.ones((3, 2), np.float32)
    close(xp.asarray(a) @ xp.asarray(b), a @ b)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_vecdot(dtype):
    a, b = sample(dtype, (4, 1, 5), 1), sample(dtype, (3, 5), 2)
    check = close if dtype in FLOATS else same
    check(xp.vecdot(xp.asarray(a), xp.asarray(b)), np.vecdot(a, b))
    c = sample(dtype, (4, 5), 3)
    check(xp.vecdot(xp.asarray(c), xp.asarray(c), axis=-2), (c * c).sum(0, dtype=c.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("axes", [0, 1, 2, ((1, 2), (1, 0)), ((-1,), (0,)), ([2, 1], [0, 1]), (2, 0)])
def test_tensordot(axes, dtype):
    a, b = sample(dtype, (3, 4, 4), 1), sample(dtype, (4, 4, 2), 2)
    check = close if dtype in FLOATS else same
    with np.errstate(all="ignore"):
        expected = np.tensordot(a, b, axes)
    options = {"rtol": 1e-3 if dtype == "float32" else 1e-10} if dtype in FLOATS else {}
    check(xp.tensordot(xp.asarray(a), xp.asarray(b), axes=axes), expected, **options)


def test_dot_method():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    same(xp.asarray(a).dot(xp.asarray(b)), a.dot(b))
    same(xp.asarray(a).dot(2), a.dot(2))
    same(xp.asarray(a[0]).dot(a[1]), np.asarray(a[0].dot(a[1])))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_products_wrap(dtype):
    a = sample(dtype, (4, 6), 4)
    same(xp.asarray(a) @ xp.asarray(a.T), a @ a.T)


def test_mistakes():
    for call, error, match in [
        (lambda: xp.ones((2, 3)) @ xp.ones((2, 3)), ValueError, r"matmul.*\(2, 3\).*\(2, 3\)"),
        (lambda: xp.ones((2, 2, 3)) @ xp.ones((3, 3, 2)), ValueError, "matmul"),
        (lambda: xp.asarray(1.0) @ xp.ones(3), ValueError, "matmul"),
        (lambda: xp.ones(3) @ 2, (TypeError, ValueError), "matmul"),
        (lambda: xp.vecdot(xp.ones(3), xp.ones(4)), ValueError, "vecdot"),
        (lambda: xp.vecdot(xp.ones(3), xp.ones(3), axis=-2), IndexError, "vecdot"),
        (lambda: xp.tensordot(xp.ones((2, 3)), xp.ones((4, 5))), ValueError, "tensordot"),
        (lambda: xp.tensordot(xp.ones(2), xp.ones(2), axes=3), ValueError, "axes=3"),
        (lambda: xp.tensordot(xp.ones(2), xp.ones(2), axes="a"), TypeError, "axes"),
    ]:
        with pytest.raises(error, match=match):
            call()


def test_products_of_booleans():
    a, b = np.array([[1, 0, 1], [0, 0, 0]], bool), np.array([[1, 0], [0, 1], [0, 0]], bool)
    x, y = xp.asarray(a), xp.asarray(b)
    same(x @ y, a @ b)
    same(xp.tensordot(x, y, axes=1), np.tensordot(a, b, axes=1))
    same(xp.vecdot(x, x), np.vecdot(a, a))

"""Promotion is NumPy 2's: every pair of dtypes, and Python scalars as weak partners."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, NUMBERS, same

PAIRS = list(itertools.product(DTYPES, DTYPES))


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_result_type_of_dtypes_and_arrays(left, right):
    expected = np.result_type(np.dtype(left), np.dtype(right))
    a, b = xp.asarray([1], dtype=left), xp.asarray([1], dtype=right)
    assert xp.result_type(getattr(xp, left), getattr(xp, right)) is expected
    assert xp.result_type(a, right) is expected
    assert xp.result_type(a, b) is expected
    assert xp.where(xp.asarray([True]), a, b).dtype is expected
    assert xp.concat([a, b]).dtype is expected
    assert (a == b).dtype == np.bool_
    assert xp.can_cast(left, getattr(xp, right)) == (expected == np.dtype(right))
    assert xp.add(a, b).dtype == np.add(np.ones(1, left), np.ones(1, right)).dtype


@pytest.mark.parametrize(("left", "right"), [p for p in PAIRS if p[0] in NUMBERS and p[1] in NUMBERS])
@pytest.mark.parametrize("op", [operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod])
def test_arithmetic_of_mixed_dtypes(left, right, op):
    a, b = np.array([7, 3], left), np.array([2, 1], right)
    expected = op(a, b)
    result = op(xp.asarray(a), xp.asarray(b))
    same(result, expected)
    same(op(xp.asarray(a), b), np.asarray(result))
    same(op(a, xp.asarray(b)), np.asarray(result))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scalar", [True, 3, 2.5])
def test_python_scalars_are_weak(dtype, scalar):
    a = np.array([1, 0, 1], dtype)
    x = xp.asarray(a)
    expected = a + scalar
    assert xp.result_type(x, scalar) == np.result_type(a, scalar)
    same(x + scalar, expected)
    same(scalar + x, scalar + a)
    same(xp.maximum(x, scalar), np.maximum(a, scalar))
    same(x < scalar, a < scalar)
    same(xp.where(x > 0, x, scalar), np.where(a > 0, a, np.asarray(scalar).astype(expected.dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scalar", [np.float32(1.5), np.float64(1.5), np.int8(3), np.uint64(3), np.bool_(True)])
def test_numpy_scalars_are_not_weak(dtype, scalar):
    a = np.array([1, 0, 1], dtype)
    same(xp.asarray(a) + scalar, a + scalar)
    same(scalar + xp.asarray(a), scalar + a)
    same(scalar * xp.asarray(a), scalar * a)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_outside_the_dtype(dtype):
    x = xp.asarray([1, 2], dtype=dtype)
    limits = np.iinfo(dtype)
    for outside in (limits.max + 1, limits.min - 1, 2**100, -(2**100)):
        with pytest.raises(OverflowError, match=f"out of bounds for {dtype}"):
            x + outside
        a = np.array([1, 2], dtype)
        same(x < outside, a < outside)
        same(x == outside, a == outside)
        same(outside >= x, outside >= a)
    same(x + 1, np.array([2, 3], dtype))


def test_result_type_needs_something():
    with pytest.raises(ValueError, match="nothing"):
        xp.result_type()
    with pytest.raises(TypeError):
        xp.result_type("no dtype")
    assert xp.result_type(1, 2.0) == np.float64
    assert xp.result_type(1, xp.float32) == np.float32
    assert xp.result_type(np.ones(1, "i2"), np.float32) == np.float32


def test_dtypes_are_numpys():
    for name in DTYPES:
        # As in NumPy's namespace the names are the scalar types.
        assert getattr(xp, name) is np.dtype(name).type
        assert getattr(xp, name) == np.dtype(name)
        # A numpy.dtype("float64") does.
        assert getattr(xp, name) != None  # noqa: E711
        assert xp.zeros(1, dtype=name).dtype is np.dtype(name)
    assert xp.zeros(1, dtype=float).dtype == np.float64
    assert xp.zeros(1, dtype=int).dtype == np.int64
    assert xp.zeros(1, dtype=np.float32).dtype == np.float32
    assert xp.zeros(1, dtype=np.longlong).dtype == np.int64
    assert xp.zeros(1, dtype=">f4").dtype == np.float32
    assert xp.zeros(1, dtype=complex).dtype == np.complex128
    with pytest.raises(TypeError, match="is not supported"):
        xp.zeros(1, dtype=np.longdouble)
    with pytest.raises(TypeError):
        xp.zeros(1, dtype="nonsense")


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_astype_between_all_dtypes(source, target):
    a = np.array([0, 1, 2, 100], source)
    x = xp.asarray(a)
    same(xp.astype(x, getattr(xp, target)), a.astype(target))
    same(x.astype(target), a.astype(target))
    assert x.astype(source, copy=False) is x
    assert x.astype(source) is not x


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("target", DTYPES)
def test_astype_of_what_does_not_fit(source, target):
    a = np.array([np.nan, np.inf, -np.inf, 1e10, -1e10, 1e30, -1.9, 255.5, -128.7, 3e9, 0.5, -0.5], source)
    with np.errstate(all="ignore"):
        expected = a.astype(target)
    # NumPy's vector code and its scalar code disagree here; the scalar result is NumPy's documented one.
    with np.errstate(all="ignore"):
        singly = np.array([v.astype(target) for v in a])
    got = np.asarray(xp.asarray(a).astype(target))
    assert got.dtype == expected.dtype
    agrees = (got == expected) | (got == singly)
    if target in FLOATS:
        agrees |= np.isnan(got) & np.isnan(expected)
    assert agrees.all(), (a[~agrees], got[~agrees], expected[~agrees])


SIGNED = ["int8", "int16", "int32", "int64"]


@pytest.mark.parametrize("signed", SIGNED)
@pytest.mark.parametrize("name", ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"])
def test_signed_integers_and_uint64_compare_by_value(signed, name):
    """float64, their common dtype, holds neither 2**63 - 1 nor 2**64 - 1."""
    limits = np.iinfo(signed)
    a = np.array([[limits.min], [-1], [0], [limits.max - 1], [limits.max]], signed)
    b = np.array([0, limits.max - 1, limits.max, 2**63, 2**64 - 1, 2**64 - 2**7], np.uint64)
    same(getattr(xp, name)(xp.asarray(a), xp.asarray(b)), getattr(np, name)(a, b))
    same(getattr(xp, name)(xp.asarray(b), xp.asarray(a)), getattr(np, name)(b, a))


def test_a_float_among_many_meets_each_integer_by_itself():
    arrays = [np.ones(2, dtype) for dtype in ("int8", "uint16", "float32")]
    for order in itertools.permutations(arrays):
        assert xp.result_type(*map(xp.asarray, order)) is np.result_type(*order)
        same(xp.concat([xp.asarray(a) for a in order]), np.concat(order))
    for a, b in [("int8", "uint16"), ("uint16", "int16"), ("int16", "uint32"), ("uint8", "int16")]:
        x, y = np.ones(2, a), np.ones(2, b)
        same(xp.copysign(xp.asarray(x), xp.asarray(y)), np.copysign(x, y))

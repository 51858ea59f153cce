"""`x[key] = value` with every kind of key, and the in-place operators, against NumPy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import DTYPES, NUMBERS, on_the_host, same, sample

ROWS = np.array([1, 0, -1, 1])
SHAPE = (2, 4, 3)
KEYS: list[Any] = [
    0,
    -1,
    (0, 1),
    (0, 1, 2),
    slice(None),
    ...,
    (),
    (slice(None), 1),
    (slice(None), slice(1, 3)),
    (slice(None), slice(None, None, 2)),
    (slice(None), slice(None, None, -2), slice(1, None)),
    (slice(None, None, -1),),
    (slice(0, 1), slice(1, 2), slice(2, 3)),
    (slice(None), slice(1, 3), slice(0, 2)),
    (None, 0),
    slice(1, 1),
    (..., -1),
    (slice(None), None, 1),
    ROWS,
    (ROWS, ROWS),
    (slice(None), ROWS),
    (0, slice(None), ROWS),
    (0, ROWS),
    (..., ROWS),
    ([0, 1], [2, 1], slice(None, None, 2)),
    (slice(None), 0, ..., [1, 2]),
    [],
    True,
    False,
    ([0, 0, 0], 0, 0),
    (slice(None, None, -1), [1, 1]),
    (np.arange(24).reshape(SHAPE) % 3 == 0),
    np.array([True, False]),
    (0, np.arange(12).reshape(4, 3) % 5 == 0),
    (slice(None), np.array([True, False, True, True])),
    np.zeros(SHAPE, bool),
]


def pending(a: np.ndarray[Any, Any]) -> xp.Array:
    """The array as one that is not computed."""
    return xp.where(xp.asarray(True), xp.asarray(a), xp.asarray(a))


def handles(a: np.ndarray[Any, Any]) -> list[xp.Array]:
    """Arrays with these values: NumPy's memory, nothing computed, memory of one handle, transposed memory."""
    transposed = pending(np.ascontiguousarray(a.T)).compute()
    return [xp.asarray(a.copy()), pending(a), pending(a).compute(), xp.permute_dims(transposed, (2, 1, 0))]


def values(shape: tuple[int, ...]) -> list[Any]:
    """Values that broadcast to a shape in different ways."""
    count = int(np.prod(shape))
    result: list[Any] = [7.5, 3, np.arange(count).reshape(shape) * 10.0, np.ones((1,) * (len(shape) + 1)) * 4]
    if shape:
        result.append(np.arange(shape[-1]) * 3.0)
        result.append(np.arange(shape[0]).reshape((shape[0],) + (1,) * (len(shape) - 1)) + 0.5)
    return result


@pytest.mark.parametrize("key", range(len(KEYS)))
def test_every_key_on_every_kind_of_memory(key):
    a = np.random.default_rng(1).standard_normal(SHAPE)
    key = KEYS[key]
    for number, value in enumerate(values(a[key].shape)):
        for x in handles(a):
            expected = a.copy()
            if np.ndim(value) > np.ndim(expected[key]) and np.ndim(expected[key]) < 2:
                continue  # NumPy refuses a sequence for one element, and other axes for a mask of all
            expected[key] = value
            view, used = x[0], x * 2
            alone = number % 2 == 0
            if alone:
                del view, used
            x[key] = value if number % 2 else xp.asarray(value)
            same(x, expected)
            if not alone:
                same(view, expected[0])
                same(used, a * 2)


@given(
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5).flatmap(
        lambda s: st.tuples(st.just(s), hnp.basic_indices(s, allow_newaxis=True, max_dims=6))
    ),
    st.booleans(),
)
def test_basic_indices(case, computed):
    shape, index = case
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    x = xp.asarray(a) + 0
    if computed:
        x.compute()
    value = -np.arange(a[index].size, dtype=float).reshape(a[index].shape) - 1
    expected = a.copy()
    expected[index] = value
    x[index] = value
    same(x, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", DTYPES)
def test_values_are_converted_to_the_arrays_dtype(dtype, other):
    a, value = sample(dtype, (40,)), np.arange(7).astype(other)
    for x in handles(a.reshape(2, 5, 4)):
        x[..., 0] = value[1]
        expected = a.copy().reshape(2, 5, 4)
        expected[..., 0] = value[1]
        same(x, expected)
    x = pending(a)
    for part in (slice(3, 10), slice(33, 40), [0, 5, 3, 5, 9, 11, 12]):
        expected = np.asarray(x).copy()
        x[part] = value
        expected[part] = value
        same(x, expected)


def test_python_scalars_are_weak_and_checked():
    x = xp.asarray([1, 2, 3], dtype=xp.int8)
    x[0] = 1.9
    x[1] = True
    same(x, np.asarray([1, 1, 3], np.int8))
    with pytest.raises(OverflowError):
        x[0] = 300
    b = xp.asarray([True, False])
    b[1] = 5
    same(b, np.asarray([True, True]))


def test_the_last_of_several_values_stays():
    index = np.random.default_rng(0).integers(0, 50, 10_000)
    value = np.arange(10_000.0)
    expected = np.zeros(50)
    expected[index] = value
    for x in (xp.zeros(50), xp.zeros(50).compute(), xp.asarray(np.zeros(50))):
        x[xp.asarray(index)] = value
        same(x, expected)


@on_the_host
def test_what_nobody_else_holds_is_written_in_place():
    x = (xp.zeros(1_000_000) + 1).compute()
    before = xp.debug.counters()["bytes_allocated"]
    for i in range(100):
        x[i] = i
        x[i * 3 : i * 3 + 100] += 1
        x[[i, i + 1, i]] = [1.0, 2.0, 3.0]
    x[500:900:7] = -1
    assert xp.debug.counters()["bytes_allocated"] - before < 1_000_000
    expected = np.ones(1_000_000)
    for i in range(100):
        expected[i] = i
        expected[i * 3 : i * 3 + 100] += 1
        expected[[i, i + 1, i]] = [1.0, 2.0, 3.0]
    expected[500:900:7] = -1
    same(x, expected)


def test_views_see_assignments_and_others_keep_their_values():
    a = np.arange(6.0)
    x = (xp.asarray(a) + 0).compute()
    y, part, memory, duplicate = x[:], x[2:4], np.asarray(x), copy.copy(x)
    rows = iter(x)
    first = next(rows)
    x[2] = 50
    x += 1
    same(x, np.array([1, 2, 51, 4, 5, 6.0]))
    for other, expected in [(y, np.asarray(x)), (part, np.array([51.0, 4])), (duplicate, a), (first, a[0])]:
        same(other, expected)
    np.testing.assert_array_equal(memory, a)
    shared = np.zeros(3)
    z = xp.asarray(shared)
    z[0] = 1
    np.testing.assert_array_equal(shared, 0)
    same(z, np.array([1.0, 0, 0]))


def test_the_memory_of_a_replaced_node_lives_as_long_as_numpy_needs_it():
    x = (xp.arange(100_000.0) * 2).compute()
    memory = np.asarray(x)
    for _ in range(20):
        x[5] = -1.0
        x = (x + 1).compute()
    np.testing.assert_array_equal(memory, np.arange(100_000.0) * 2)


def test_values_that_come_from_the_array_itself():
    a = np.arange(100.0)
    for prepare in (lambda x: x, lambda x: x.compute()):
        x, b = prepare(xp.asarray(a) + 0), a.copy()
        x[1:-1] = (x[2:] + x[:-2]) / 2
        b[1:-1] = (b[2:] + b[:-2]) / 2
        same(x, b)
        x[1:], b[1:] = x[:-1], b[:-1].copy()
        same(x, b)
        x[::-1], b[::-1] = x, b.copy()
        same(x, b)
        x[[3, 1]] = x[[1, 3]]
        b[[3, 1]] = b[[1, 3]]
        same(x, b)
        x[x > 50] -= 50
        b[b > 50] -= 50
        same(x, b)
        x[...] = x
        same(x, b)


def test_loops_of_assignments():
    x, a = xp.zeros((60, 60)), np.zeros((60, 60))
    for i in range(60):
        x[i, i] = i
        x[i, :3] += 2
        x[:, i] *= 2
        a[i, i] = i
        a[i, :3] += 2
        a[:, i] *= 2
    same(x, a)
    y, b = xp.ones((300, 4)), np.ones((300, 4))
    for i in range(1, 300):
        y[i] = y[i - 1] * 0.5 + i
        b[i] = b[i - 1] * 0.5 + i
    same(y, b)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_in_place_operators(dtype):
    a, b = sample(dtype, (4, 6)), np.full((6,), 2, dtype)
    for name in (
        "__iadd__",
        "__isub__",
        "__imul__",
        "__ifloordiv__",
        "__imod__",
        "__ipow__",
        "__iand__",
        "__ior__",
        "__ixor__",
        "__ilshift__",
        "__irshift__",
        "__itruediv__",
    ):
        for other in (2, b, b.astype("float64"), b.astype("int64")):
            x, expected = xp.asarray(a) + 0, a.copy()
            handle = x
            try:
                with np.errstate(all="ignore"):
                    getattr(expected, name)(other)
            except TypeError:
                with pytest.raises(TypeError):
                    getattr(x, name)(other if isinstance(other, int) else xp.asarray(other))
                continue
            result = getattr(x, name)(other if isinstance(other, int) else xp.asarray(other))
            assert result is handle
            assert x.dtype == a.dtype
            if name != "__ipow__" or a.dtype.kind != "f":
                same(x, expected, ulps=1)


def test_in_place_operators_refuse_what_does_not_fit():
    x = xp.ones((2, 3))
    with pytest.raises(ValueError, match="shape"):
        x += xp.ones((4, 2, 3))
    with pytest.raises(TypeError):
        x += "a"
    m = xp.asarray(np.arange(4.0).reshape(2, 2))
    m @= m
    same(m, np.array([[2.0, 3], [6, 11]]))
    with pytest.raises(TypeError, match="matrix"):
        m @= 2
    with pytest.raises(TypeError, match="int8"):
        xp.asarray([1], dtype=xp.int8).__itruediv__(2)


@pytest.mark.parametrize(
    ("key", "value", "error", "match"),
    [
        (5, 1, IndexError, "index 5 is out of bounds for axis 0 with size 2"),
        ((0, [4]), 1, IndexError, "index 4 is out of bounds for axis 1 with size 4"),
        ((0, 0, 0, 0), 1, IndexError, "too many"),
        (np.ones(3, bool), 1, IndexError, "boolean"),
        ("a", 1, IndexError, "str"),
        (0, [1, 2], ValueError, "could not broadcast input array from shape"),
        ([0, 1], np.ones((3, 4, 3)), ValueError, "could not broadcast"),
        (np.ones(SHAPE, bool), np.ones(3), ValueError, "could not broadcast"),
        (0, "a", TypeError, "str"),
    ],
)
def test_mistakes_are_raised_at_the_call_and_change_nothing(key, value, error, match):
    a = np.arange(24.0).reshape(SHAPE)
    for x in handles(a):
        with pytest.raises(error, match=match):
            x[key] = value
        same(x, a)


def test_computed_indices_are_checked_at_the_call():
    x, index = xp.zeros(10), xp.arange(5) * 3
    with pytest.raises(IndexError, match="index 12 is out of bounds for axis 0 with size 10"):
        x[index] = 1
    same(x, np.zeros(10))
    x[index % 10] = xp.arange(5) + 1
    expected = np.zeros(10)
    expected[np.arange(5) * 3 % 10] = np.arange(5) + 1
    same(x, expected)


def test_empty_and_zero_dimensional():
    x = xp.asarray(5.0)
    x[()] = 6
    same(x, np.asarray(6.0))
    x[...] += 1
    same(x, np.asarray(7.0))
    x[True] = 3
    same(x, np.asarray(3.0))
    e = xp.zeros((0, 3))
    e[:, 1] = 5
    e[[]] = 1
    e[e > 0] = 1
    e += 1
    same(e, np.zeros((0, 3)))


@on_the_host
def test_many_assignments_to_what_is_not_computed_are_made_in_memory(counted):
    n = 300
    x, a = xp.zeros((n, n)) * 2, np.zeros((n, n))
    counted()
    for i in range(n):
        x[i, i] = i
        a[i, i] = i
    # The array is computed once; then elements are written, each moving a few bytes.
    assert counted()["bytes_moved"] < 4 * a.nbytes
    same(x, a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(70_000,), (300, 41, 7), (2, 40_000)])
def test_masks_and_indices_of_many(dtype, shape):
    rng = np.random.default_rng(3)
    a = sample(dtype, shape)
    for share in (0.0, 0.001, 0.5, 1.0):
        mask = rng.random(shape) < share
        values = sample(dtype, (int(mask.sum()),), seed=1)
        x, expected = pending(a).compute(), a.copy()
        x[xp.asarray(mask)] = values
        expected[mask] = values
        same(x, expected)
        same(x[mask], values)
    index = rng.integers(-shape[0], shape[0], 3 * shape[0])
    values = sample(dtype, (len(index), *shape[1:]), seed=2)
    x[index] = values
    expected[index] = values
    same(x, expected)

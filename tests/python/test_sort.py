"""Sorting against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import DTYPES, FLOATS, same, sample

# An emulator takes microseconds for what a machine does in nanoseconds.
LONG = 300_000 if xp.get_default_device() != "simt" else 20_000
SHAPES = [(0,), (1,), (7,), (200,), (3, 5), (0, 4), (4, 0), (2, 3, 37), (1, 1, 1)]


def sorted_by_numpy(a, axis, descending):
    """The order that fusewire promises: stable in both directions, NaN last in both."""
    if not descending:
        order = np.argsort(a, axis=axis, stable=True)
    else:
        # The stable ascending order of the reversed array, read backwards, has NaN first: it is rotated to the end.
        backwards = np.flip(np.argsort(np.flip(a, axis), axis=axis, stable=True), axis)
        order = a.shape[axis] - 1 - backwards
        nans = np.take_along_axis(a != a, order, axis)
        order = np.take_along_axis(order, np.argsort(nans, axis=axis, stable=True), axis)
    return np.take_along_axis(a, order, axis), order


def check(a, x, axis, descending):
    values, order = sorted_by_numpy(a, axis, descending)
    result = xp.sort(x, axis=axis, descending=descending)
    same(result, values)
    assert np.asarray(result).tobytes() == values.tobytes(), "zeros and NaN keep their order"
    same(xp.argsort(x, axis=axis, descending=descending), order)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_argsort(dtype, shape, descending):
    a = sample(dtype, shape)
    if dtype in FLOATS:
        a.flat[3::5] = np.nan
        a.flat[4::7] = -0.0
        a.flat[1::11] = -np.inf
    for axis in range(-len(shape), len(shape)):
        check(a, xp.asarray(a), axis, descending)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", ["int16", "float64", "bool"])
def test_strided_operands_and_computed_ones(dtype, descending):
    a = sample(dtype, (6, 9, 5))
    x = xp.asarray(a)
    for axis in (0, 1, 2):
        check(a[::-1, ::2].T, x[::-1, ::2].T, axis, descending)
        check(np.broadcast_to(a[:, :1], (6, 4, 5)), xp.broadcast_to(x[:, :1], (6, 4, 5)), axis, descending)
    same(xp.sort((x == x) & (x != x)), np.zeros(a.shape, bool))
    twice = xp.sort(xp.flip(xp.sort(x, axis=1), axis=1), axis=1)
    same(twice, np.sort(a, axis=1))


def test_users_of_what_is_sorted():
    a = sample("float32", (40, 6))
    x = xp.asarray(a)
    middle = xp.sort(x, axis=0)[20] - xp.mean(x, axis=0)
    np.testing.assert_allclose(np.asarray(middle), np.sort(a, axis=0)[20] - a.mean(0), rtol=1e-5)


@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf])))
def test_ties_keep_their_order(a):
    check(a, xp.asarray(a), 0, False)
    check(a, xp.asarray(a), 0, True)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint16"])
def test_long_rows_and_any_number_of_threads(dtype):
    a = sample(dtype, (2, LONG), seed=1)
    if dtype in FLOATS:
        a[:, ::1000] = np.nan
    threads = xp.get_num_threads()
    try:
        for count in (1, 2, 5):
            xp.set_num_threads(count)
            check(a, xp.asarray(a), -1, descending=count == 2)
    finally:
        xp.set_num_threads(threads)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 3, 8, 19])
def test_columns(dtype, columns):
    a = sample(dtype, (150, columns), seed=columns)
    check(a, xp.asarray(a), 0, False)
    check(a, xp.asarray(a), 0, True)


@pytest.mark.parametrize("kind", ["sorted", "reversed", "equal", "two values", "saw", "close", "close in a few places"])
@pytest.mark.parametrize("n", [1000, LONG])
def test_patterns(kind, n):
    near = np.nextafter(1.0, 2.0) ** np.random.default_rng(0).integers(0, 50, n)
    a = {
        "sorted": np.arange(n) * 0.5,
        "reversed": np.arange(n)[::-1] * 0.5,
        "equal": np.full(n, 7.0),
        "two values": (np.arange(n) % 2) * 1.0,
        "saw": (np.arange(n) % 1000) * 1.0,
        # Their ranks agree in all leading bits but for the extremes.
        "close": np.concatenate([near[2:], [-1e300, 1e300]]),
        "close in a few places": near * np.resize([1.0, -1e300, 7e-300], n),
    }[kind]
    check(a, xp.asarray(a), 0, False)
    check(a, xp.asarray(a), 0, True)


def test_another_size_compiles_nothing_and_recording_computes_nothing(counted):
    xp.sort(xp.asarray(np.ones((5, 6))) * 2, axis=0).compute()
    counted()
    y = xp.sort(xp.asarray(np.ones((50, 60))) * 2, axis=0)
    assert "op=sort, not computed" in repr(y).replace("permute_dims", "sort")
    y.compute()
    change = counted()
    assert change["plan_misses"] == 0
    assert change["library_calls"] == 1


def test_mistakes_are_raised_at_the_call():
    x = xp.ones((2, 3))
    with pytest.raises(IndexError, match="sort: axis 2"):
        xp.sort(x, axis=2)
    with pytest.raises(IndexError, match="argsort: axis -1"):
        xp.argsort(xp.asarray(1.0))


def test_numpys_functions():
    a = sample("float64", (4, 5))
    x = xp.asarray(a)
    same(np.sort(x, axis=0), np.sort(a, axis=0))
    same(np.argsort(x), np.argsort(a, stable=True))

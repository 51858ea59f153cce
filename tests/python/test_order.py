"""Medians, quantiles and partitions against NumPy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fusewire as xp
from support import FLOATS, INTEGERS, NUMBERS, close, sample

METHODS = [
    "linear", "hazen", "weibull", "median_unbiased", "normal_unbiased", "interpolated_inverted_cdf", "lower", "higher",
    "midpoint", "nearest",
]  # fmt: skip
AXES = (None, 0, -1, (0, 1), (0, 2))


def floats(dtype, shape=(3, 4, 5)):
    return np.random.default_rng(9).standard_normal(shape).astype(dtype)


def like(actual, expected, dtype):
    """Assert NumPy's values in the dtype of the array, whatever NumPy makes of that of q."""
    close(actual, np.asarray(expected, dtype if dtype in FLOATS else "float64"))


@pytest.mark.parametrize("dtype", NUMBERS)
def test_median(dtype):
    a = floats(dtype) if dtype in FLOATS else sample(dtype, (3, 4, 5))
    for b in (a, a.T, a[::-1, ::3], a[:1], a[:2, :1]):
        for axis, keepdims in itertools.product(AXES, (False, True)):
            close(xp.median(xp.asarray(b), axis=axis, keepdims=keepdims), np.median(b, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("dtype", FLOATS)
def test_medians_of_nan_and_nothing_are_nan(dtype):
    a = floats(dtype, (4, 6))
    a[1, 2] = np.nan
    a[2, :4] = np.inf
    a[3, :4] = -np.inf
    close(xp.median(xp.asarray(a), axis=1), np.median(a, axis=1))
    close(xp.median(xp.asarray(a)), np.median(a))
    assert xp.median(xp.asarray(a[:0]), axis=0).shape == (6,)
    assert np.isnan(np.asarray(xp.median(xp.asarray(a[:0])))).all()
    close(xp.median(xp.asarray(a[0, 0])), np.median(a[0, 0]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [*FLOATS, "int16"])
def test_quantile(dtype, method):
    a = (floats("float64") * 100).astype(dtype)
    x = xp.asarray(a)
    # Which interpolates float16 in float16.
    wide = a.astype("float32") if dtype == "float16" else a
    for q in (0, 0.5, 0.3, 1.0, [0.1, 0.25], [[0.0, 0.75], [1.0, 0.999]], np.float64(0.4), []):
        for axis, keepdims in itertools.product(AXES, (False, True)):
            options = {"axis": axis, "keepdims": keepdims, "method": method}
            like(xp.quantile(x, q, **options), np.quantile(wide, q, **options), dtype)
    like(xp.percentile(x, [5, 50], axis=1, method=method), np.percentile(wide, [5, 50], axis=1, method=method), dtype)
    like(xp.quantile(x, xp.asarray([0.2, 0.4]), method=method), np.quantile(wide, [0.2, 0.4], method=method), dtype)
    like(xp.percentile(x, 30, method=method), np.percentile(wide, 30, method=method), dtype)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_quantiles_without_nan(dtype, method):
    a = floats(dtype)
    a[:, ::2, 1] = np.nan
    a[0, 1] = np.nan
    x = xp.asarray(a)
    for q in (0.5, [0.0, 0.2, 0.77, 1.0]):
        for axis, keepdims in itertools.product(AXES, (False, True)):
            options = {"axis": axis, "keepdims": keepdims, "method": method}
            like(xp.nanquantile(x, q, **options), np.nanquantile(a, q, **options), dtype)
    like(xp.nanpercentile(x, 20, axis=1, method=method), np.nanpercentile(a, 20, axis=1, method=method), dtype)
    like(xp.quantile(x, 0.3, axis=1, method=method), np.quantile(a, 0.3, axis=1, method=method), dtype)


@pytest.mark.parametrize("dtype", [*FLOATS, "int8"])
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_nanmedian(dtype):
    a = floats("float64") * 10
    a[:, ::2, 1] = np.nan if dtype in FLOATS else 3
    a[0, 1] = np.nan if dtype in FLOATS else 3
    a = a.astype(dtype)
    for axis, keepdims in itertools.product(AXES, (False, True)):
        close(xp.nanmedian(xp.asarray(a), axis, keepdims=keepdims), np.nanmedian(a, axis, keepdims=keepdims))


def test_quantiles_of_infinities_are_exact():
    x = xp.asarray([1.0, 2.0, np.inf, np.inf])
    assert np.asarray(xp.quantile(x, [0.0, 1 / 3, 0.9, 1.0])).tolist() == [1.0, 2.0, np.inf, np.inf]


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_partition(axis, dtype):
    a = sample(dtype, (5, 6))
    for kth in (0, 2, -1, [1, 3]):
        result = np.asarray(xp.partition(xp.asarray(a), kth, axis=axis))
        expected = np.partition(a, kth, axis=axis)
        assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
        along = -1 if axis is None else axis
        np.testing.assert_array_equal(np.take(result, kth, along), np.take(expected, kth, along))
        positions = np.asarray(xp.argpartition(xp.asarray(a), kth, axis=axis))
        flat = a.ravel() if axis is None else a
        np.testing.assert_array_equal(np.take_along_axis(flat, positions, along), result)


def test_nothing_is_computed_before_it_is_needed():
    x = xp.asarray(floats("float64")) + 1
    results = [xp.median(x), xp.quantile(x, [0.1, 0.9], 0), xp.nanmedian(x, 1), xp.partition(x, 3)]
    assert not any(map(xp.debug.is_computed, [x, *results]))


def test_numpys_functions_come_here():
    a = floats("float64")
    for call in (
        lambda a: np.median(a, 0), lambda a: np.quantile(a, 0.3, axis=1), lambda a: np.percentile(a, [10, 20], 2),
        lambda a: np.nanmedian(a), lambda a: np.nanquantile(a, 0.5, 1, keepdims=True), lambda a: np.sort(a, 0),
    ):  # fmt: skip
        result = call(xp.asarray(a))
        assert isinstance(result, xp.Array)
        close(result, call(a))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: xp.median(x, 2), IndexError, "axis 2"),
        (lambda x: xp.median(x, (0, 0)), ValueError, "repeated"),
        (lambda x: xp.quantile(x, 1.5), ValueError, "between 0 and 1"),
        (lambda x: xp.quantile(x, np.nan), ValueError, "between 0 and 1"),
        (lambda x: xp.nanquantile(x, -0.5), ValueError, "between 0 and 1"),
        (lambda x: xp.quantile(x, 0.5, method="best"), ValueError, "method 'best'"),
        (lambda x: xp.quantile(x[:0], 0.5, axis=0), ValueError, "without elements"),
        (lambda x: xp.partition(x, 3), ValueError, "kth=3"),
        (lambda x: xp.argpartition(x, [0, -4]), ValueError, "kth="),
        (lambda x: xp.partition(x, 0, axis=2), IndexError, "axis|range"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.ones((2, 3)))

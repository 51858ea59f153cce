"""Medians, quantiles and partitions against NumPy's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fusewire as xp
from support import FLOATS, INTEGERS, NUMBERS, close, same, sample

METHODS = [
    "linear", "hazen", "weibull", "median_unbiased", "normal_unbiased", "interpolated_inverted_cdf", "lower", "higher",
    "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
]  # fmt: skip
AXES = (None, 0, -1, (0, 1), (0, 2))


def floats(dtype, shape=(3, 4, 5)):
    return np.random.default_rng(9).standard_normal(shape).astype(dtype)


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


def numpys(name, a, q, **options):
    """NumPy's quantiles, but float16 is interpolated in float32."""
    if a.dtype != np.float16:
        return getattr(np, name)(a, q, **options)
    expected = getattr(np, name)(a.astype(np.float32), q, **options)
    return expected.astype(np.float16) if expected.dtype == np.float32 else expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [*FLOATS, "int16"])
def test_quantile(dtype, method):
    a = (floats("float64") * 100).astype(dtype)
    x = xp.asarray(a)
    for q in (0, 0.5, 0.3, 1.0, [0.1, 0.25], [[0.0, 0.75], [1.0, 0.999]], np.float64(0.4), []):
        for axis, keepdims in itertools.product(AXES, (False, True)):
            options = {"axis": axis, "keepdims": keepdims, "method": method}
            close(xp.quantile(x, q, **options), numpys("quantile", a, q, **options))
    close(xp.percentile(x, [5, 50], axis=1, method=method), numpys("percentile", a, [5, 50], axis=1, method=method))
    close(xp.quantile(x, xp.asarray([0.2, 0.4]), method=method), numpys("quantile", a, [0.2, 0.4], method=method))
    close(xp.percentile(x, 30, method=method), numpys("percentile", a, 30, method=method))


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
            close(xp.nanquantile(x, q, **options), numpys("nanquantile", a, q, **options))
    close(xp.nanpercentile(x, 20, axis=1, method=method), numpys("nanpercentile", a, 20, axis=1, method=method))
    close(xp.quantile(x, 0.3, axis=1, method=method), numpys("quantile", a, 0.3, axis=1, method=method))


@pytest.mark.parametrize("dtype", [*FLOATS, "int8"])
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_nanmedian(dtype):
    a = floats("float64") * 10
    a[:, ::2, 1] = np.nan if dtype in FLOATS else 3
    a[0, 1] = np.nan if dtype in FLOATS else 3
    a = a.astype(dtype)
    for axis, keepdims in itertools.product(AXES, (False, True)):
        close(xp.nanmedian(xp.asarray(a), axis, keepdims=keepdims), np.nanmedian(a, axis, keepdims=keepdims))


@pytest.mark.parametrize("dtype", [*FLOATS, "int16"])
def test_weighted_quantiles(dtype):
    rng = np.random.default_rng(3)
    a = (floats("float64") * 10).astype(dtype)
    x = xp.asarray(a)
    every = rng.integers(0, 4, a.shape)
    every[0] = every[:, 0] = every[..., 0] = 1
    for q in (0, 0.3, 1.0, [0.1, 0.5, 0.9]):
        for axis, weights in (
            (None, every),
            (0, every),
            (1, every),
            ((0, 2), every),
            (2, [0.0, 1, 2, 0, 0.5]),
            (-1, np.ones(5)),
        ):
            for keepdims in (False, True):
                options = {"axis": axis, "weights": weights, "keepdims": keepdims, "method": "inverted_cdf"}
                close(xp.quantile(x, q, **options), np.quantile(a, q, **options))
                if weights is every:
                    close(xp.nanpercentile(x, 30, **options), np.nanpercentile(a, 30, **options))
    if dtype in FLOATS:
        a[1, 2] = np.nan
        a[:, 1, ::2] = np.nan
        x = xp.asarray(a)
        weights = rng.uniform(0.5, 2, a.shape)
        with pytest.warns(RuntimeWarning):
            expected = np.nanquantile(a, 0.4, axis=2, weights=weights, method="inverted_cdf")
        close(xp.nanquantile(x, 0.4, axis=2, weights=weights, method="inverted_cdf"), expected)
        close(
            xp.quantile(x, [0.4, 1], axis=0, weights=weights, method="inverted_cdf"),
            np.quantile(a, [0.4, 1], axis=0, weights=weights, method="inverted_cdf"),
        )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"weights": [1, 2]}, ValueError, "inverted_cdf"),
        ({"weights": [1, 2], "method": "inverted_cdf"}, TypeError, "axis"),
        ({"weights": [1, 2], "axis": 0, "method": "inverted_cdf"}, ValueError, r"\(2,\)"),
        ({"weights": [1, -2, 3], "axis": 0, "method": "inverted_cdf"}, ValueError, "negative"),
        ({"weights": [0, 0, 0], "axis": 0, "method": "inverted_cdf"}, ValueError, "all 0"),
        ({"weights": [1, np.nan, 0], "axis": 0, "method": "inverted_cdf"}, ValueError, "finite"),
        ({"method": "best"}, ValueError, "method 'best'"),
    ],
)
def test_errors_of_weights(options, error, match):
    with pytest.raises(error, match=match):
        xp.quantile(xp.ones((3, 2)), 0.5, **options)


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
def test_lexsort(dtype):
    a = (np.random.default_rng(1).integers(0, 3, (3, 4, 6))).astype(dtype)
    for axis in (-1, 0, 1):
        same(xp.lexsort(xp.asarray(a), axis), np.lexsort(a, axis))
    same(xp.lexsort((a[0, 0], xp.asarray(a[0, 1]))), np.lexsort((a[0, 0], a[0, 1])))
    with pytest.raises(TypeError, match="one key"):
        xp.lexsort(())


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

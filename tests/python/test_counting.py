"""Histograms, counts and sets of elements against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, close, same, sample


@pytest.mark.parametrize("dtype", [*FLOATS, "int16", "uint8", "int64"])
@pytest.mark.parametrize("bins", [1, 7, 10, 50])
def test_histogram(bins, dtype):
    a = (np.random.default_rng(4).standard_normal((20, 30)) * 20).clip(0 if dtype == "uint8" else -100).astype(dtype)
    weights = np.arange(600.0).reshape(20, 30)
    for options in (
        {}, {"range": (-10.5, 30.25)}, {"density": True}, {"weights": weights},
        {"weights": np.arange(600).reshape(20, 30), "range": (0, 9.5)},
    ):  # fmt: skip
        counts, edges = xp.histogram(xp.asarray(a), bins, **options)
        expected, places = np.histogram(a.astype(np.float64), bins, **options)
        close(counts, expected)
        np.testing.assert_allclose(np.asarray(edges), places, rtol=1e-12, atol=1e-12)


def test_histogram_of_given_bins():
    a = np.array([0.0, 1, 1, 2, 3, 3, 3, 5, np.nan, -1])
    for edges in ([0, 1, 3], [0.0, 0.5, 0.5, 3.0], [5, 6], np.linspace(-1, 5, 60)):
        counts, places = xp.histogram(xp.asarray(a), edges)
        close(counts, np.histogram(a, edges)[0])
        np.testing.assert_array_equal(np.asarray(places), edges)
    close(xp.histogram(xp.asarray(a[:0]))[0], np.histogram(a[:0])[0])
    close(xp.histogram(xp.asarray([2.0, 2.0]))[1], np.histogram([2.0, 2.0])[1])
    close(np.histogram(xp.asarray(a[:8]), bins=4)[0], np.histogram(a[:8], bins=4)[0])


@pytest.mark.parametrize("dtype", INTEGERS[:-1])
def test_bincount(dtype):
    a = np.array([3, 1, 1, 0, 7], dtype)
    same(xp.bincount(xp.asarray(a)), np.bincount(a))
    same(xp.bincount(xp.asarray(a), minlength=12), np.bincount(a, minlength=12))
    same(xp.bincount(xp.asarray(a), xp.asarray([0.5, 1, 2, 3, 4])), np.bincount(a, [0.5, 1, 2, 3, 4]))
    same(xp.bincount(xp.asarray(a[:0])), np.bincount(a[:0]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sets(dtype):
    a, b = sample(dtype, (3, 5)), sample(dtype, (4,), seed=2)
    for left, right in [(a, b), (b, a), (a, a[:1]), (a, b[:0]), (a[:0], b)]:
        same(xp.union1d(xp.asarray(left), xp.asarray(right)), np.union1d(left, right))
        same(xp.setdiff1d(xp.asarray(left), xp.asarray(right)), np.setdiff1d(left, right))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: xp.histogram(x, 0), ValueError, "bins=0"),
        (lambda x: xp.histogram(x, [1, 0]), ValueError, "ascending"),
        (lambda x: xp.histogram(x, 3, (1, 0)), ValueError, "range"),
        (lambda x: xp.histogram(x, weights=[1]), ValueError, "1 weights"),
        (lambda x: xp.bincount(x - 1), ValueError, "negative"),
        (lambda x: xp.bincount(x * 1.0), TypeError, "safe"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.asarray([0, 1, 2]))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_histograms_of_several_axes(dtype):
    rng = np.random.default_rng(7)
    a = rng.integers(0, 9, (50, 3)).astype(dtype)
    weights = rng.uniform(size=50)
    edges = [np.array([0.0, 2, 5, 8]), np.array([1.0, 2, 3]), np.array([0.0, 9])]
    for options in (
        {}, {"bins": 3}, {"bins": (2, 3, 4)}, {"bins": edges}, {"bins": 2, "range": [(0, 4), (1, 5), (2, 20)]},
        {"bins": 3, "density": True}, {"bins": 3, "weights": weights},
    ):  # fmt: skip
        counts, bounds = np.histogramdd(a, **options)
        ours, ours_bounds = xp.histogramdd(xp.asarray(a), **options)
        close(ours, counts, rtol=1e-6)
        for mine, numpys in zip(ours_bounds, bounds, strict=True):
            np.testing.assert_allclose(np.asarray(mine), numpys)
    for options in ({}, {"bins": [0, 2, 8]}, {"bins": (3, [0, 2, 8])}, {"bins": 4, "range": [(0, 4), (0, 8)]}):
        expected = np.histogram2d(a[:, 0], a[:, 1], **options)
        for mine, numpys in zip(xp.histogram2d(xp.asarray(a[:, 0]), a[:, 1], **options), expected, strict=True):
            np.testing.assert_allclose(np.asarray(mine), numpys)
    close(np.histogramdd((xp.asarray(a[:, 0]), xp.asarray(a[:, 1])), 3)[0], np.histogramdd((a[:, 0], a[:, 1]), 3)[0])
    with pytest.raises(ValueError, match="3 axes"):
        xp.histogramdd(xp.asarray(a), (2, 2))

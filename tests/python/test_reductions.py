"""Reductions, running folds and searching against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, NUMBERS, accumulated, close, on_the_host, same, sample

AXES = [None, 0, 1, 2, -1, (0, 1), (0, 2), (1, 2), (0, 1, 2), (), (-1, 0)]
SHAPE = (4, 3, 37)
TOLERANCE = {"float16": 2e-3, "float32": 1e-4, "float64": 1e-11}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_products_extremes_truths(dtype, axis, keepdims):
    a = sample(dtype, SHAPE)
    x = xp.asarray(a)
    options = {"axis": axis, "keepdims": keepdims}
    with np.errstate(all="ignore"):
        if dtype in FLOATS:
            close(xp.sum(x, **options), accumulated("sum", a, **options), rtol=TOLERANCE[dtype])
            small = (a / 10).clip(0.5, 2)
            close(xp.prod(xp.asarray(small), **options), accumulated("prod", small, **options), rtol=1e-3)
        else:
            same(xp.sum(x, **options), np.sum(a, **options))
            same(xp.prod(x, **options), np.prod(a, **options))
        same(xp.max(x, **options), np.max(a, **options))
        same(xp.min(x, **options), np.min(a, **options))
        same(xp.any(x, **options), np.any(a, **options))
        same(xp.all(x, **options), np.all(a, **options))
        same(xp.all(xp.asarray(a != a), **options), np.all(a != a, **options))
        expected = np.count_nonzero(a, **options)
        same(xp.count_nonzero(x, **options), np.asarray(expected, np.int64))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_mean_variance_deviation(dtype, axis, correction):
    a = sample(dtype, SHAPE)
    x = xp.asarray(a)
    close(xp.mean(x, axis=axis), accumulated("mean", a, axis))
    if axis != ():
        tolerance = TOLERANCE.get(dtype, 1e-10)
        close(
            xp.var(x, axis=axis, correction=correction),
            accumulated("var", a, axis, correction=correction),
            rtol=tolerance,
        )
        close(
            xp.std(x, axis=axis, correction=correction),
            accumulated("std", a, axis, correction=correction),
            rtol=tolerance,
        )


# Segments of rows, of many columns, and of everything, whole ones and a rest.
SEGMENTS = [(5, 3), (256, 8), (257, 8), (3000, 17), (1, 9), (40, 300), (16, 256), (17, 9000), (3, 400, 5), (70_001,)]


@pytest.mark.parametrize("shape", SEGMENTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_variances_of_segments(shape, dtype, offset):
    a = np.random.default_rng(3).normal(offset, 2.0, shape).astype(dtype)
    longest = a.astype(np.longdouble)
    # The mean is rounded, and the square of what that loses shows in the variance.
    precision = np.finfo(dtype).eps
    tolerance = 20 * precision + (2 * precision * offset) ** 2 if dtype == "float32" else 1e-13
    arrangements = [a, a[::-1], np.repeat(a, 2, axis=0)[::2]]
    for axis in [0, None]:
        expected = longest.var(axis=axis)
        scale = np.where(expected == 0, 1, expected)
        for x in map(xp.asarray, arrangements):
            error = np.abs(np.asarray(xp.var(x, axis=axis)) - expected) / scale
            assert float(np.max(error)) <= tolerance
            # The mean and the deviation from it beside other users of both.
            mean, deviation, centred = xp.compute(
                xp.mean(x, axis=axis), xp.std(x, axis=axis), x - xp.mean(x, axis=axis, keepdims=True)
            )
            assert np.asarray(mean).tobytes() == np.asarray(xp.mean(x, axis=axis)).tobytes()
            assert np.max(np.abs(np.asarray(deviation) ** 2 - expected) / scale) <= 4 * tolerance
            close(centred, np.asarray(x) - np.asarray(mean))


def test_distances_from_what_is_not_the_mean():
    a = np.random.default_rng(4).normal(3.0, 1.0, (5000, 6))
    x = xp.asarray(a)
    for centre, expected in [
        (xp.sum(x, axis=0) / 100.0, a.sum(0) / 100),
        (xp.sum(x, axis=0) * 0.0, a.sum(0) * 0),
        (xp.mean(x * 2, axis=0), a.mean(0) * 2),
    ]:
        close(xp.sum((x - centre) ** 2, axis=0), ((a - expected) ** 2).sum(0), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, None])
def test_variances_of_special_values(axis):
    a = np.ones((70_000, 4), np.float32)
    a[:, 1] = 3e38  # the sum overflows in each segment, and so does the mean
    a[40_000:, 2] = 3e38  # in some segments
    a[::2, 3] = -0.0
    columns = [a[:, [0, 3]], a[:, [1]], a[:, [2]]]
    for special, at in [(np.nan, 5), (np.inf, 69_999), (-np.inf, 300)]:
        columns.append(a[:, [0, 3]].copy())
        columns[-1][at] = special
    for column in columns:
        with np.errstate(all="ignore"):
            close(xp.var(xp.asarray(column), axis=axis), np.var(column, axis=axis))


@on_the_host
def test_bits_of_variances_do_not_depend_on_threads():
    before = xp.get_num_threads()
    a = np.random.default_rng(5).normal(10.0, 1.0, (300_000, 5)).astype(np.float32)
    try:
        results = []
        for threads in [1, 2, 3]:
            xp.set_num_threads(threads)
            x = xp.asarray(a)
            results.append(np.asarray(xp.var(x, axis=0)).tobytes() + np.asarray(xp.std(x)).tobytes())
        assert results[0] == results[1] == results[2]
    finally:
        xp.set_num_threads(before)


def test_accuracy_far_from_zero():
    a = (np.random.default_rng(1).standard_normal(100_003) + 1e4).astype(np.float32)
    x = xp.asarray(a)
    exact = a.astype(np.float64)
    assert abs(float(xp.mean(x)) - exact.mean()) <= abs(float(a.mean()) - exact.mean()) + 1e-3
    assert abs(float(xp.var(x)) / exact.var() - 1) < 1e-3
    assert abs(float(xp.sum(x)) / exact.sum() - 1) < 1e-6


@pytest.mark.parametrize(
    ("shape", "axis"), [((1_000_000,), None), ((8, 100_000), 1), ((100_000, 8), 0), ((3, 70_001), 1)]
)
def test_sums_of_equal_numbers_are_as_accurate_as_in_numpy(shape, axis):
    """Rounding always goes the same way there, so the error shows how many numbers are added one after another."""
    for value in (0.1, 0.3, 1 / 3, 0.7):
        a = np.full(shape, value, np.float32)
        exact = a.astype(np.float64).sum(axis)
        x = xp.asarray(a)
        error = np.abs(np.asarray(xp.sum(x, axis=axis)) / exact - 1).max()
        # NumPy's pairwise sum is along the contiguous axis only.
        numpys = np.abs(np.ascontiguousarray(np.moveaxis(a, axis or 0, -1)).sum(axis=-1) / exact - 1).max()
        assert error <= numpys + 2**-23


@on_the_host
@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed", "columns", "rows"])
@pytest.mark.parametrize("dtype", ["int16", "int64"])
def test_large_arrays_of_every_layout_are_read_once_each(dtype, layout):
    """Large enough that reductions are split into more segments than there are lanes."""
    random = np.random.default_rng(2).integers(0, 1000, (700, 1000)).astype(dtype)
    a = {
        "strided": np.repeat(random.reshape(-1), 2)[::2],
        "reversed": random.reshape(-1)[::-1],
        "transposed": random.T,
        "columns": random.reshape(-1, 7)[::-1, ::-1],
        "rows": random.reshape(7, -1)[:, ::2],
    }[layout]
    x = xp.asarray(a)
    for axis in (None, *range(a.ndim)):
        same(xp.sum(x, axis=axis), np.sum(a, axis=axis))
        same(xp.max(x, axis=axis), np.max(a, axis=axis))
        same(xp.argmax(x, axis=axis), np.argmax(a, axis=axis))
        same(xp.count_nonzero(x % 3, axis=axis), np.count_nonzero(a % 3, axis=axis))


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_and_signed_zero(dtype):
    a = np.array([[1, np.nan, 3], [-0.0, 0.0, -np.inf], [np.inf, 1, 2]], dtype)
    x = xp.asarray(a)
    with np.errstate(all="ignore"):
        for name in ["max", "min", "sum", "prod", "mean", "argmax", "argmin"]:
            for axis in (None, 0, 1):
                same(getattr(xp, name)(x, axis=axis), getattr(np, name)(a, axis=axis))


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize("target", DTYPES)
def test_accumulators(name, target):
    a = np.array([[1, 2, 0], [3, 4, 5]], np.int32)
    same(getattr(xp, name)(xp.asarray(a), axis=1, dtype=target), getattr(np, name)(a, axis=1, dtype=target))


def test_over_nothing():
    empty = xp.ones((0, 3))
    a = np.ones((0, 3))
    for name in ["sum", "prod", "any", "all", "count_nonzero"]:
        same(getattr(xp, name)(empty, axis=0), np.asarray(getattr(np, name)(a, axis=0)))
        same(getattr(xp, name)(empty, axis=1), np.asarray(getattr(np, name)(a, axis=1)))
    same(xp.mean(empty, axis=0), np.full(3, np.nan))
    same(xp.max(empty, axis=1), np.ones(0))
    for name in ["max", "min", "argmax", "argmin"]:
        with pytest.raises(ValueError, match=rf"{name}.*\(0, 3\)"):
            getattr(xp, name)(empty, axis=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_positions(dtype, axis, keepdims):
    for seed in range(3):
        a = sample(dtype, (5, 7), seed)
        same(xp.argmax(xp.asarray(a), axis=axis, keepdims=keepdims), np.argmax(a, axis, keepdims=keepdims))
        same(xp.argmin(xp.asarray(a), axis=axis, keepdims=keepdims), np.argmin(a, axis, keepdims=keepdims))


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("include_initial", [False, True])
def test_running(dtype, axis, include_initial):
    a = sample(dtype, (3, 4, 9))
    x = xp.asarray(a)
    options = {"axis": axis, "include_initial": include_initial}
    check = close if dtype in FLOATS else same
    with np.errstate(all="ignore"):
        check(xp.cumulative_sum(x, **options), accumulated("cumulative_sum", a, **options))
        if dtype in INTEGERS:
            same(xp.cumulative_prod(x, **options), np.cumulative_prod(a, **options))
    small = np.linspace(0.5, 1.5, 108).reshape(3, 4, 9)
    close(xp.cumulative_prod(xp.asarray(small), **options), np.cumulative_prod(small, **options))


def test_running_details():
    a = np.arange(10.0)
    same(xp.cumulative_sum(xp.asarray(a)), np.cumsum(a))
    same(xp.cumulative_sum(xp.asarray(a)[::-2] * 2), np.cumsum(a[::-2] * 2))
    same(xp.cumulative_sum(xp.asarray([1, 2], dtype="int8"), dtype=xp.float32), np.array([1, 3], np.float32))
    same(xp.cumulative_sum(xp.ones((0,))), np.zeros(0))
    same(xp.asarray([[1, 2], [3, 4]]).cumsum(), np.array([1, 3, 6, 10]))
    with pytest.raises(ValueError, match="axis"):
        xp.cumulative_sum(xp.ones((2, 2)))


# Running folds of more elements than a segment has are folded in segments.
SEGMENT = 4096


def bound(a: np.ndarray, axis: int, dtype: str) -> np.ndarray:
    """How far a running sum may be off: a rounding for each group of lanes of a segment, each segment, and a few."""
    roundings = SEGMENT / 8 + a.shape[axis] / SEGMENT + 8
    return roundings * np.finfo(dtype).eps / 2 * np.cumsum(np.abs(a.astype(np.longdouble)), axis=axis)


@pytest.mark.parametrize("n", [SEGMENT - 1, SEGMENT, SEGMENT + 1, SEGMENT + 17, 2 * SEGMENT, 2 * SEGMENT + 1, 40_003])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_long_running_folds(dtype, n):
    rng = np.random.default_rng(n)
    arrays = [(rng.standard_normal(shape) * 9).astype(dtype) for shape in [(n,), (3, n), (n, 2), (n, 20), (2, n, 3)]]
    arrays += [np.repeat(arrays[0], 2)[::2], arrays[0][::-1], arrays[1].T, np.asfortranarray(arrays[1])]
    for a in arrays:
        axis = a.shape.index(n)
        result = xp.cumulative_sum(xp.asarray(a), axis=axis, dtype=dtype)
        expected = np.cumsum(a, axis=axis, dtype=dtype)
        if dtype in INTEGERS:
            same(result, expected)
            same(xp.cumulative_prod(xp.asarray(a), axis=axis), np.cumprod(a, axis=axis))
            continue
        exact = np.cumsum(a.astype(np.longdouble), axis=axis)
        assert (np.abs(np.asarray(result) - exact) <= bound(a, axis, dtype)).all()
        if n <= SEGMENT:
            same(result, expected)
        factors = (1 + a * 1e-4).astype(dtype)
        exact = np.cumprod(factors.astype(np.longdouble), axis=axis)
        close(xp.cumulative_prod(xp.asarray(factors), axis=axis), exact.astype(dtype), rtol=600 * np.finfo(dtype).eps)
    with_initial = xp.cumulative_sum(xp.asarray(arrays[0]) * 2, include_initial=True)
    assert with_initial.shape == (n + 1,)
    np.testing.assert_array_equal(
        np.asarray(with_initial)[1:], np.asarray(xp.cumulative_sum(xp.asarray(arrays[0]) * 2))
    )
    assert float(with_initial[0]) == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_special_values_in_long_running_sums(dtype):
    n = 5 * SEGMENT + 7
    places = {2 * SEGMENT + 100: np.inf, 3 * SEGMENT + 5: -np.inf, 4 * SEGMENT: 1.0}
    a = np.full(n, 2**-10, dtype)
    for place, value in places.items():
        a[place] = value
    result, (first, second, _) = np.asarray(xp.cumulative_sum(xp.asarray(a))), places
    assert np.isfinite(result[:first]).all()
    assert np.isposinf(result[first:second].real).all()
    assert np.isnan(result[second:].real).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_running_sums_of_what_is_not_negative_never_fall(dtype):
    rng = np.random.default_rng(3)
    for scale in [1, 1e-6]:
        a = (rng.random(300_000) ** 8).astype(dtype)
        a[100_000:] *= scale
        assert (np.diff(np.asarray(xp.cumulative_sum(xp.asarray(a)))) >= 0).all()


@on_the_host
def test_long_running_folds_have_one_order():
    """The same bits with any number of threads, fused or not."""
    rng = np.random.default_rng(4)
    threads = xp.get_num_threads()
    for dtype in ["float32", "float64", "complex64", "float16"]:
        for shape, axis in [((100_003,), 0), ((4, 9000), 1), ((9000, 5), 0)]:
            a = rng.standard_normal(shape).astype(dtype)
            results = []
            for count in [1, 2, 5]:
                xp.set_num_threads(count)
                x = xp.asarray(a)
                fused = xp.cumulative_sum(x * x + x, axis=axis) * x
                alone = xp.cumulative_sum((x * x + x).compute(), axis=axis).compute() * x
                results += [np.asarray(fused).tobytes(), np.asarray(alone).tobytes()]
            xp.set_num_threads(threads)
            assert len(set(results)) == 1


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6), elements=st.floats(-1e3, 1e3)),
    st.data(),
)
def test_any_axes_of_any_layout(a, data):
    order = data.draw(st.permutations(range(a.ndim)))
    axes = tuple(data.draw(st.lists(st.integers(0, a.ndim - 1), unique=True)))
    a = a.transpose(order)
    x = xp.asarray(a)
    close(xp.sum(x * 2 + 1, axis=axes), np.sum(a * 2 + 1, axis=axes), rtol=1e-9)
    same(xp.max(x, axis=axes), np.max(a, axis=axes))
    same(xp.sum(x, axis=axes, keepdims=True) * 0 + x, np.zeros(a.shape) + a)


def test_several_together():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((50, 20))
    x = xp.asarray(a)
    soft = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    soft = soft / xp.sum(soft, axis=1, keepdims=True)
    expected = np.exp(a - a.max(1, keepdims=True))
    close(soft, expected / expected.sum(1, keepdims=True))
    close((x - xp.mean(x, axis=0)) / xp.std(x, axis=0), (a - a.mean(0)) / a.std(0), rtol=1e-10)
    total, largest, spread = xp.compute(xp.sum(x), xp.max(x, axis=0), xp.std(x))
    close(total, a.sum(), rtol=1e-10)
    same(largest, a.max(0))
    close(spread, a.std())


def test_methods():
    a = np.arange(12.0).reshape(3, 4) / 7
    x = xp.asarray(a)
    for name in ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "argmax", "argmin", "cumsum"]:
        close(getattr(x, name)(), getattr(a, name)())
        close(getattr(x, name)(1), getattr(a, name)(1))
        close(getattr(x, name)(axis=0), getattr(a, name)(axis=0))
    close(x.std(ddof=1), a.std(ddof=1))
    close(x.var(0, correction=1), a.var(0, ddof=1))
    close(x.sum(0, xp.float32), a.sum(0, np.float32))
    close(x.round(2), a.round(2))
    same(x.round(), a.round())
    with pytest.raises(ValueError, match="ddof"):
        x.std(ddof=1, correction=1)


def test_mistakes():
    x = xp.ones((2, 3))
    for call, error, match in [
        (lambda: xp.sum(x, axis=2), IndexError, "sum: axis 2 is out of bounds"),
        (lambda: xp.mean(x, axis=-3), IndexError, "mean: axis -3"),
        (lambda: xp.sum(x, axis=(0, 0)), ValueError, "twice"),
        (lambda: xp.argmax(x, axis=5), IndexError, "argmax: axis 5"),
        (lambda: xp.cumulative_sum(x, axis=5), IndexError, "cumulative_sum: axis 5"),
        (lambda: xp.sum(x, axis=0.5), TypeError, "integer"),
        (lambda: xp.sum("text"), TypeError, "sum: expected an array"),
        (lambda: xp.sum(x, 0, "f8", True), TypeError, "positional"),
    ]:
        with pytest.raises(error, match=match):
            call()
    close(xp.sum(x), np.float64(6))


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_running_folds_of_booleans_count(name):
    a = np.array([True, True, False, True])
    same(getattr(xp, name)(xp.asarray(a)), getattr(np, name)(a))
    same(getattr(xp, name)(xp.asarray(a), include_initial=True), getattr(np, name)(a, include_initial=True))
    with pytest.raises(TypeError, match="bool"):
        getattr(xp, name)(xp.asarray(a), dtype=xp.bool)


@pytest.mark.parametrize("n", [2, 3, 4, 15, 16, 17, 63, 64, 65, 130, 40_000])
@pytest.mark.parametrize("dtype", ["bool", "int16", "float64"])
def test_one_element_decides(n, dtype):
    """A loop may end as soon as its result is decided, never before."""
    x = np.zeros(n, dtype)
    for i in {0, 1, n // 2, n - 2, n - 1} & set(range(n)):
        x[i] = 1
        one = xp.asarray(x.copy())
        assert bool(xp.any(one > 0))
        assert not bool(xp.all(one > 0))
        assert not bool(xp.all(one < 1))
        results = xp.compute(xp.any(one > 0), xp.all(one < 1), xp.all(one < 2), xp.any(one > 1))
        assert [bool(result) for result in results] == [True, False, True, False]
        x[i] = 0
    assert not bool(xp.any(xp.asarray(x) > 0))

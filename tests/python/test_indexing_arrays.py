"""Indexing with arrays of integers and with masks, `take` and its relatives, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import DTYPES, INTEGERS, on_the_host, same, sample

ROWS = np.array([1, 0, -1, 1])
KEYS: list[Any] = [
    ROWS,
    ROWS.tolist(),
    (ROWS, ROWS),
    (slice(None), ROWS),
    (0, slice(None), ROWS),
    (0, ROWS),
    (slice(None), 0, ROWS % 2),
    (ROWS % 2, slice(1, None), 0),
    (..., ROWS),
    (0, ..., [1, 2]),
    (slice(None), 0, ..., [1, 2]),
    (slice(None), [0], ..., [1]),
    (ROWS[:, None], ROWS % 3),
    (slice(None), None, ROWS % 3),
    (None, ROWS, None),
    (slice(None), ROWS % 3, None, ROWS),
    ([[0, 1], [1, 0]], [[0], [2]], 1),
    ([0], [0], [0]),
    [],
    (slice(None), []),
    (slice(None, None, -1), ROWS),
    (slice(1, None), [0]),
    (slice(0, 0), [0, 1]),
    np.zeros((0, 3), int),
    np.int64(1),
    (np.array(1), ROWS),
    np.array([1, 0], dtype=np.uint8),
]


def mask_keys(a: np.ndarray[Any, Any]) -> list[Any]:
    """Masks of an array of three axes, alone and with other keys."""
    first = a[:, 0, 0] > np.median(a)
    return [
        a > np.median(a),
        a > np.inf,
        a < np.inf,
        first,
        first.tolist(),
        (first, slice(None), [0]),
        (0, a[0] > np.median(a)),
        (slice(None), a[0] > np.median(a)),
        (..., a[0, 0] > np.median(a)),
        (slice(None), a[0, :, 0] > np.median(a), 1),
        True,
        False,
        np.True_,
        (True, 0),
        (slice(None), False),
        (ROWS % 2, True),
        np.zeros(0, bool),
        np.zeros((len(a), 0), bool),
        (slice(None), np.zeros(0, bool)),
    ]


def as_ours(key: Any) -> Any:
    """The key with fusewire arrays in the place of NumPy's."""
    if isinstance(key, tuple):
        return tuple(map(as_ours, key))
    return xp.asarray(key) if isinstance(key, np.ndarray) else key


def views(a: np.ndarray[Any, Any]) -> list[tuple[xp.Array, np.ndarray[Any, Any]]]:
    """Arrays that are computed, that are not, and that lie in memory in other orders."""
    x = xp.asarray(a)
    return [
        (x, a),
        (x + 0, a + 0),
        (xp.asarray(a[::-1, ::-1]), a[::-1, ::-1]),
        (xp.permute_dims(x, (2, 1, 0)), a.T),
        (xp.asarray(np.asfortranarray(a)), a),
        (xp.broadcast_to(x[:1], a.shape), np.broadcast_to(a[:1], a.shape)),
    ]


@pytest.mark.parametrize("key", range(len(KEYS)))
def test_arrays_among_other_keys(key):
    for x, a in views(np.arange(24.0).reshape(2, 3, 4)):
        try:
            expected = a[KEYS[key]]
        except IndexError:
            with pytest.raises(IndexError):
                x[as_ours(KEYS[key])]
            continue
        for ours in (KEYS[key], as_ours(KEYS[key])):
            same(x[ours], expected)
            same(x[ours] * 2 + 1, expected * 2 + 1)
            same(xp.sum(x[ours]), np.sum(expected))


@pytest.mark.parametrize("key", range(len(mask_keys(np.zeros((2, 3, 4))))))
def test_masks_among_other_keys(key):
    for x, a in views(np.random.default_rng(3).standard_normal((2, 3, 4))):
        expected = a[mask_keys(a)[key]]
        for ours in (mask_keys(a)[key], as_ours(mask_keys(a)[key])):
            same(x[ours], expected)
            same(xp.abs(x[ours]) + 1, np.abs(expected) + 1)
    mask = xp.asarray(a) > 0
    same(xp.asarray(a)[mask & (xp.asarray(a) < 1)], a[(a > 0) & (a < 1)])


@given(
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=4).flatmap(
        lambda s: st.tuples(
            st.just(s), hnp.integer_array_indices(s, result_shape=hnp.array_shapes(min_dims=0, min_side=0))
        )
    )
)
def test_one_array_an_axis(case):
    shape, index = case
    a = np.arange(np.prod(shape)).reshape(shape)
    if all(i.ndim == 0 for i in index):
        return
    same(xp.asarray(a)[index], a[index])
    same((xp.asarray(a) - 1)[as_ours(index)], (a - 1)[index])


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_gathered(dtype):
    a = sample(dtype, (7, 37))
    rows = np.random.default_rng(1).integers(-7, 7, (90,))
    columns = np.random.default_rng(2).integers(-37, 37, (90,))
    x = xp.asarray(a)
    same(x[rows], a[rows])
    same(x[:, columns], a[:, columns])
    same(x[rows, columns], a[rows, columns])
    same(x.T[columns[:, None], rows], a.T[columns[:, None], rows])
    same(x[a != 0], a[a != 0])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_indices_of_every_dtype(dtype):
    a, index = np.arange(40.0), np.array([3, 0, 39, 3], dtype)
    same(xp.asarray(a)[xp.asarray(index)], a[index])
    same(xp.take(xp.asarray(a), xp.asarray(index) + xp.asarray(index) * 0), a[index])


def test_indices_fuse_with_what_uses_the_elements(counted):
    x, index = xp.asarray(np.arange(100.0)), xp.asarray(np.arange(50))
    counted()
    y = xp.sum(x[(index * 7 + 3) % 100] * 2)
    assert float(y) == float(np.sum(np.arange(100.0)[(np.arange(50) * 7 + 3) % 100] * 2))
    assert counted()["kernel_launches"] == 1


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([5], "index 5 is out of bounds for axis 0 with size 2"),
        ((slice(None), [1, -4]), "index -4 is out of bounds for axis 1 with size 3"),
        ((0, [3]), "index 3 is out of bounds for axis 1 with size 3"),
        ((None, [2]), "index 2 is out of bounds for axis 0 with size 2"),
        ((..., [0, 9, 8]), "index 9 is out of bounds for axis 2 with size 4"),
        (np.array([2**64 - 1], np.uint64), "out of bounds"),
        ([1.5], "integer"),
        ("a", "str"),
        (([0, 1], [0, 1, 2]), "broadcast"),
        (([0], 0, 0, [0]), "too many"),
        ((..., [0], ...), "ellipsis"),
        (np.ones(3, bool), "boolean index did not match indexed array along axis 0"),
        ((slice(None), np.ones((3, 2), bool)), "along axis 2; size of axis is 4"),
        (np.ones((2, 3, 4, 1), bool), "too many"),
    ],
)
def test_what_is_out_of_range_is_refused_at_the_call(index, message):
    x = xp.asarray(np.arange(24).reshape(2, 3, 4))
    with pytest.raises(IndexError, match=message):
        x[as_ours(index)]
    with pytest.raises(IndexError, match=message):
        (x + 1)[index]


@pytest.mark.parametrize("count", [1, 7, 1000, 3_000_000 if xp.get_default_device() != "simt" else 100_000])
def test_computed_indices_are_checked_when_they_are_used(count):
    a = np.arange(1000.0)
    x, index = xp.asarray(a), xp.arange(count) % 1000
    wrong = xp.where(xp.arange(count) == count - 1, 1000, index)
    for y in (x[wrong], x[wrong] * 2, xp.sum(x[wrong]), xp.take(x, wrong - 2001)):
        for _ in range(2):
            with pytest.raises(IndexError, match=r"index (1000|-\d+) is out of bounds for axis 0 with size 1000"):
                y.compute()
    with pytest.raises(IndexError):  # by now they are known
        x[wrong]
    same(x[index], a[np.arange(count) % 1000])
    table = xp.reshape(x, (10, 100))
    with pytest.raises(IndexError, match="index 1000 is out of bounds for axis 1 with size 100"):
        float(xp.sum(table[:, xp.where(index == 0, 1000, 5)]))


def test_a_mask_may_be_empty_along_any_axis():
    a = np.arange(6.0).reshape(2, 3)
    for mask in (np.zeros((0,), bool), np.zeros((0, 3), bool), np.zeros((2, 0), bool)):
        same(xp.asarray(a)[mask], a[mask])
        x = xp.asarray(a)
        x[mask] = 5
        same(x, a)


def test_nothing_can_be_taken_from_nothing():
    x = xp.zeros((0, 3))
    for f in (lambda: x[[0]], lambda: x[xp.arange(3) * 2], lambda: xp.take(x, xp.asarray([0]), axis=0)):
        with pytest.raises(IndexError, match="size 0"):
            f()
    same(x[[]], np.zeros((0, 3)))
    same(x[:, [2, 0]], np.zeros((0, 2)))
    with pytest.raises(IndexError):
        x[:, [3]]
    same(xp.take(x, xp.zeros((2, 0), dtype=xp.int64), axis=0), np.zeros((2, 0, 3)))


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("indices", [[1, 0, -1], [[0], [1]], [], 1])
def test_take(axis, indices):
    a = np.arange(24.0).reshape(2, 3, 4)
    indices = np.asarray(indices, int)
    same(xp.take(xp.asarray(a), xp.asarray(indices), axis=axis), np.take(a, indices, axis=axis))
    same(np.take(xp.asarray(a), xp.asarray(indices), axis=axis), np.take(a, indices, axis=axis))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_axis(axis):
    a = np.random.default_rng(5).standard_normal((4, 5))
    order = np.argsort(a, axis=axis)
    same(xp.take_along_axis(xp.asarray(a), xp.asarray(order), axis=axis), np.take_along_axis(a, order, axis))
    part = order.take([0, 2], axis=axis)
    same(xp.take_along_axis(xp.asarray(a) + 0, xp.asarray(part), axis=axis), np.take_along_axis(a, part, axis))
    other = order.take([1], axis=1 - axis if axis >= 0 else 0)
    same(xp.take_along_axis(xp.asarray(a), xp.asarray(other), axis=axis), np.take_along_axis(a, other, axis))


def test_arguments_that_do_not_fit():
    x = xp.asarray(np.zeros((2, 3)))
    for error, f in [
        (TypeError, lambda: xp.take(x, xp.asarray([1.0]))),
        (TypeError, lambda: xp.take(x, xp.asarray([True]))),
        (IndexError, lambda: xp.take(x, xp.asarray([0]), axis=2)),
        (IndexError, lambda: xp.take(x, xp.asarray([2]), axis=0)),
        (ValueError, lambda: xp.take_along_axis(x, xp.asarray([0]))),
        (ValueError, lambda: xp.take_along_axis(x, xp.zeros((5, 1), dtype=xp.int64))),
        (IndexError, lambda: xp.take_along_axis(x, xp.asarray([[3]]))),
        (ValueError, lambda: xp.nonzero(xp.asarray(1))),
    ]:
        with pytest.raises(error):
            f()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (1,), (40,), (3, 5), (2, 0, 3), (2, 3, 4)])
def test_nonzero(dtype, shape):
    a = sample(dtype, shape)
    a = np.where(np.arange(a.size).reshape(shape) % 3 == 0, a, 0).astype(dtype)
    for x, b in [(xp.asarray(a), a), (xp.asarray(a).T, a.T), (xp.asarray(a[::-1]), a[::-1])]:
        got, expected = xp.nonzero(x), np.nonzero(b)
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            same(g, e)


@on_the_host
def test_huge_gathers_have_the_same_bits_on_any_number_of_threads():
    a = np.random.default_rng(0).standard_normal(1_000_003).astype(np.float32)
    index = np.random.default_rng(1).integers(-len(a), len(a), 2_000_001)
    before = xp.get_num_threads()
    results = []
    for count in (1, 2, 5):
        xp.set_num_threads(count)
        x = xp.asarray(a)
        results.append((np.asarray(x[index]), float(xp.sum(x[index] * x[index])), np.asarray(x[a > 0])))
    xp.set_num_threads(before)
    np.testing.assert_array_equal(results[0][0], a[index])
    np.testing.assert_array_equal(results[0][2], a[a > 0])
    for other in results[1:]:
        np.testing.assert_array_equal(results[0][0], other[0])
        assert results[0][1] == other[1]
        np.testing.assert_array_equal(results[0][2], other[2])


@on_the_host
def test_what_is_the_same_everywhere_is_not_stored_to_be_picked_from():
    before = xp.debug.counters()["bytes_allocated"]
    index = xp.arange(30_000) % 7
    same(xp.zeros(30_000)[index], np.zeros(30_000))
    assert float(xp.sum(xp.full((30_000, 2), 2.5)[index, 1])) == 75_000
    same(xp.broadcast_to(xp.asarray([1.0]) + 1, (30_000,))[index] * 2, np.full(30_000, 4.0))
    assert xp.debug.counters()["bytes_allocated"] - before < 2_000_000

"""Basic indexing, iteration and containment against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import same

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(SHAPES.flatmap(lambda s: st.tuples(st.just(s), hnp.basic_indices(s, allow_newaxis=True, max_dims=6))))
def test_basic_indices(case):
    shape, index = case
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    computed, recorded = xp.asarray(a), xp.asarray(a) + 1
    same(computed[index], a[index])
    same(recorded[index], (a + 1)[index])
    same(computed[index] * 2, a[index] * 2)


@given(
    st.integers(0, 7),
    st.slices(7) | st.builds(slice, *[st.none() | st.integers(-20, 20)] * 2, st.sampled_from([-3, 1, 2])),
)
def test_slices(extent, part):
    a = np.arange(extent)
    same(xp.asarray(a)[part], a[part])


@pytest.mark.parametrize("index", [2, -1, np.int64(1), np.asarray(1)])
def test_positions(index):
    a = np.arange(12).reshape(3, 4)
    same(xp.asarray(a)[index], a[index])
    same(xp.asarray(a)[xp.asarray(index)], a[index])
    same(xp.asarray(a)[:, index], a[:, index])


def test_huge_bounds():
    a = np.arange(5)
    x = xp.asarray(a)
    for part in (
        slice(-(2**80), 2**80),
        slice(2**63 - 1, None, -(2**63)),
        slice(None, None, 2**90),
        slice(2**70, -(2**70), -1),
    ):
        same(x[part], a[part])
    for position in (2**63, 2**80, -(2**80)):
        with pytest.raises(IndexError, match="out of bounds"):
            x[position]


def test_everything_and_nothing():
    a = np.arange(6.0).reshape(2, 3)
    x = xp.asarray(a)
    same(x[()], a)
    same(x[...], a)
    same(x[..., 0], a[..., 0])
    same(x[None, ..., None, 1], a[None, ..., None, 1])
    same(xp.asarray(5)[()], np.asarray(5))
    same(xp.asarray(5)[None], np.asarray(5)[None])


def test_mistakes():
    x = xp.asarray(np.arange(6.0).reshape(2, 3))
    for index, match in [
        (2, "index 2 is out of bounds for axis 0 with size 2"),
        ((0, -4), "index -4 is out of bounds for axis 1 with size 3"),
        ((0, 0, 0), "too many indices"),
        ((..., ...), "ellipsis"),
        ("a", "str"),
        (1.5, "float"),
    ]:
        with pytest.raises(IndexError, match=match):
            x[index]
    with pytest.raises(ValueError, match="step"):
        x[::0]
    with pytest.raises(TypeError, match="integers or None"):
        x["a":]
    same(x + 1, np.arange(6.0).reshape(2, 3) + 1)


def test_len_and_iteration():
    a = np.arange(6.0).reshape(3, 2)
    x = xp.asarray(a)
    assert len(x) == 3
    for row, expected in zip(x, a, strict=True):
        same(row, expected)
    assert [float(v) for v in xp.asarray([1.0, 2.0])] == [1, 2]
    first, *rest = x + 1
    same(first, a[0] + 1)
    assert len(rest) == 2
    assert max(xp.asarray([3, 1, 2])).item() == 3
    assert sum(xp.asarray([3, 1, 2])).item() == 6
    assert list(xp.ones((0, 3))) == []
    for scalar in (lambda: len(xp.asarray(1)), lambda: iter(xp.asarray(1))):
        with pytest.raises(TypeError, match="0-d"):
            scalar()


def test_iteration_computes_once(counted):
    x = xp.asarray(np.arange(1000.0)) + 1
    iterator = iter(x)
    assert not xp.debug.is_computed(x)
    counted()
    total = 0.0
    for value in iterator:
        total += float(value)
    assert total == 500500
    assert counted()["kernel_launches"] == 1


def test_contains():
    x = xp.asarray([1.0, 2.0, np.nan])
    assert 2 in x
    assert 5 not in x
    assert np.nan not in x
    assert 3.0 not in xp.ones((0,))


def test_elements_of_computed_arrays_need_no_kernel(counted):
    x = (xp.asarray(np.arange(6).reshape(2, 3)) * 2).compute()
    counted()
    assert [int(x[i, j]) for i in range(2) for j in range(-3, 0)] == [0, 2, 4, 6, 8, 10]
    assert counted()["kernel_launches"] == 0

"""Views and the arrays that they are views of see each other's assignments, as NumPy's do."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import same

PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Run the function on an array of 4 x 6 numbers with both packages: it and what is returned must be the same."""
    PROGRAMS[function.__name__] = function
    return function


@program
def an_element_of_a_row(a):
    a[1][2] = 99


@program
def a_mask_of_a_part(a):
    a[1:][a[1:] > 10] = -1
    a[1:][:, 2:][::2] -= 4


@program
def indices_of_a_row(a):
    a[2][[1, 1, 3]] = [5, 6, 7]


@program
def rows_of_a_loop(a):
    for number, row in enumerate(a):
        row *= 2
        row[number] = -1


@program
def elements_of_a_loop_are_values(a):
    for element in a[0]:
        element += 1
    first = a[0, 0]
    first += 1


@program
def transposed(a):
    a.T[3] = 7
    a.mT[1] += 1
    a.transpose(1, 0)[0] = 2
    a.swapaxes(0, -1)[5, 1:] = 3


@program
def reshaped(a):
    a.reshape(-1)[5] = 3
    a.ravel()[7:9] = 1
    a.reshape(2, 12).reshape(24)[20] = 8


@program
def other_axes(a):
    if isinstance(a, np.ndarray):
        np.expand_dims(a, 1)[2, 0, 3] = 4
    else:
        xp.expand_dims(a, axis=1)[2, 0, 3] = 4
    a[None, ..., None].squeeze()[1, 1:3] = 6
    a[:1].squeeze(axis=0)[4] = 5


@program
def reshaped_where_numpy_copies(a):
    a.T.reshape(-1)[5] = 3
    a[:, 1:].reshape(-1)[2] = 3


@program
def views_made_before(a):
    part, whole, row, corner = a[1:], a[...], a[2], a[2:, :2]
    product = part * 2
    a[2] = 0
    part += 1
    row[1:3] = 50
    whole[3] *= 3
    return part, whole, row, corner, product


@program
def views_of_views(a):
    upper, every = a[:3], a[:, ::-2]
    left = upper.T[1:4]
    left[...] = 4
    every[0] = upper[1, 3:]
    return upper, every, left


@program
def views_of_what_is_gone(a):
    b = a + 1
    top, bottom = b[:3], b[1:]
    edge = top[0]
    del b
    top[0] = -1
    return top, edge, bottom[2:]


@program
def values_and_copies(a):
    b, c = a.copy(), a[1:] + 0
    b[0], c[0] = 1, 2
    a[1] = 3
    return b, c


@program
def in_place_operators_and_methods(a):
    row, column = a[0], a[:, 1]
    a += 1
    row.sort()
    column.fill(9)
    a[1:] @= np.eye(6)
    return row, column


@program
def what_reads_the_array_it_writes(a):
    a[1:] = a[:-1] * 2
    a[0] = a[::-1][0]
    a.T[1:3] = a.T[2:4] + a.T[3:5]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("computed", [False, True])
def test_programs(name, computed):
    expected = np.arange(24.0).reshape(4, 6)
    x = xp.asarray(expected.copy()) + 0
    if computed:
        x.compute()
    wanted, found = PROGRAMS[name](expected), PROGRAMS[name](x)
    same(x, expected)
    for own, other in zip(found or (), wanted or (), strict=True):
        same(own, other)


@given(st.data())
def test_random_programs(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    a = np.arange(np.prod(shape), dtype=float).reshape(shape)
    pairs = [(xp.asarray(a.copy()) + 0, a)]
    for number in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(0, len(pairs) - 1))
        x, a = pairs[place]
        match data.draw(
            st.sampled_from(
                ["view", "view", "transposed", "value", "assign", "assign", "add", "mask", "compute", "drop"]
            )
        ):
            case "view":
                key = data.draw(hnp.basic_indices(a.shape, allow_newaxis=True, max_dims=4))
                if np.ndim(a[key]):
                    pairs.append((x[key], a[key]))
            case "transposed":
                pairs.append((x.T, a.T))
            case "value":
                pairs.append((x * 2, a * 2))
            case "assign":
                key = data.draw(hnp.basic_indices(a.shape))
                x[key] = a[key] = float(-number)
            case "add":
                x += 0.5
                a += 0.5
            case "mask":
                x[x > 3] = a[a > 3] = float(number)
            case "compute":
                x.compute()
            case "drop" if len(pairs) > 1:
                del pairs[place]
        del x, a
    for x, a in pairs:
        same(x, a)


def test_a_view_does_not_keep_what_it_was_taken_of():
    rows = [(xp.zeros((1000, 1000)) + i).compute()[3] for i in range(20)]
    before = xp.memory.figures()["allocated"]
    parts = [((xp.ones((1000, 1000)) + i) * 2)[3] for i in range(20)]
    xp.compute(*parts)
    gc.collect()
    assert xp.memory.figures()["allocated"] - before < 1_000_000
    same(rows[2], np.full(1000, 2.0))
    same(parts[2], np.full(1000, 6.0))


def test_long_chains_of_views_end():
    x = xp.arange(3000)
    for _ in range(2000):
        x = x[1:]
    x[0] = 7
    same(x[:2], np.array([7, 2001]))


def test_assignments_to_rows_write_into_the_memory_of_the_array():
    x = (xp.zeros((1000, 1000)) + 1).compute()
    before = xp.debug.counters()["bytes_allocated"]
    for i in range(1000):
        x[i][i] = 5.0
        x[i] *= 2
    same(x, (np.ones((1000, 1000)) + 4 * np.eye(1000)) * 2)
    assert xp.debug.counters()["bytes_allocated"] - before < 60_000_000


def test_an_assignment_that_fails_changes_nothing():
    x = xp.arange(6.0) + 0
    part = x[2:]
    with pytest.raises(ValueError, match="broadcast"):
        part[1:] = [1.0, 2.0]
    with pytest.raises(IndexError):
        part[9] = 1
    same(x, np.arange(6.0))
    same(part, np.arange(2.0, 6.0))

"""Shapes and arrangements against NumPy; hypothesis looks for shapes that broadcast or do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fusewire as xp
from support import DTYPES, same, sample

A = np.arange(24.0).reshape(2, 3, 4)


def x():
    return xp.asarray(A)


@pytest.mark.parametrize("shape", [(24,), (4, 6), (-1, 2), (2, -1, 1, 3), 24, -1, (1, 24, 1)])
def test_reshape(shape):
    same(xp.reshape(x(), shape), A.reshape(shape))
    same(x().reshape(shape), A.reshape(shape))
    same(xp.reshape(xp.asarray(A[:, ::-1].T), shape), A[:, ::-1].T.reshape(shape))


def test_reshape_of_empty_and_zero_dimensional():
    same(xp.reshape(xp.ones((0, 3)), (3, 0, 2)), np.ones((3, 0, 2)))
    same(xp.reshape(xp.asarray(5), (1, 1)), np.full((1, 1), 5))
    same(xp.reshape(xp.asarray([5]), ()), np.asarray(5))
    same(x().reshape(4, -1), A.reshape(4, -1))
    same(x().ravel(), A.ravel())
    same(x().flatten(), A.ravel())
    with pytest.raises(ValueError, match="copy=False"):
        xp.reshape(xp.asarray(A.T), (24,), copy=False)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (-1, 0, -2)])
def test_permute(axes):
    same(xp.permute_dims(x(), axes), np.transpose(A, axes))
    same(x().transpose(*axes), A.transpose(*axes))
    same(x().transpose(axes), A.transpose(axes))


def test_transposes():
    same(x().T, A.T)
    same(x().transpose(), A.T)
    same(x().mT, A.mT)
    same(xp.matrix_transpose(x()), A.mT)
    same(x().swapaxes(0, -1), A.swapaxes(0, -1))
    with pytest.raises(ValueError, match="2 dimensions"):
        _ = xp.ones(3).mT
    with pytest.raises(IndexError, match="axis 5"):
        x().swapaxes(0, 5)


@pytest.mark.parametrize(("source", "destination"), [(0, 2), (-1, 0), ((0, 1), (2, 0)), ((2, 0, 1), (0, 1, 2))])
def test_moveaxis(source, destination):
    same(xp.moveaxis(x(), source, destination), np.moveaxis(A, source, destination))


@pytest.mark.parametrize("axis", [0, 3, -1, (0, 2), (1, -1)])
def test_expand_and_squeeze(axis):
    expanded = np.expand_dims(A, axis)
    same(xp.expand_dims(x(), axis), expanded)
    same(xp.squeeze(xp.asarray(expanded), axis), A)
    same(xp.asarray(expanded).squeeze(), A)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_flip(axis):
    same(xp.flip(x(), axis=axis), np.flip(A, axis))
    same(xp.flip(x() * 2, axis=axis), np.flip(A * 2, axis))


@pytest.mark.parametrize(
    ("shift", "axis"), [(1, None), (-7, None), (2, 1), (-1, -1), ((1, 2), (0, 2)), (50, 2), (0, 0)]
)
def test_roll(shift, axis):
    same(xp.roll(x(), shift, axis=axis), np.roll(A, shift, axis))
    same(xp.roll(xp.ones((0, 2)), shift if isinstance(shift, int) else 1, axis=0), np.ones((0, 2)))


@pytest.mark.parametrize(("shift", "axis"), [(1, ()), ((), 0), ((), ())])
def test_roll_by_nothing(shift, axis):
    same(xp.roll(x(), shift, axis=axis), A)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concat(dtype, axis):
    parts = [sample(dtype, (2, 3)), sample(dtype, (2, 3), 1)[:, ::-1], sample(dtype, (2, 3), 2)]
    same(xp.concat([xp.asarray(p) for p in parts], axis=axis), np.concatenate(parts, axis))
    same(xp.concat(tuple(xp.asarray(p) for p in parts), axis=axis), np.concatenate(parts, axis))


def test_concat_of_unequal_extents_and_dtypes():
    a, b = np.ones((2, 3), np.int8), np.ones((5, 3), np.float32)
    same(xp.concat([xp.asarray(a), xp.asarray(b)]), np.concatenate([a, b]))
    same(xp.concat([xp.asarray(a) * 2, xp.ones((0, 3), dtype="int8")]), a * 2)
    same(xp.concat([xp.asarray(a), xp.asarray(a) + 1], axis=1) * 3, np.concatenate([a, a + 1], 1) * 3)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_stack_and_unstack(axis):
    parts = [A[0], A[1], A[0] * 2]
    stacked = np.stack(parts, axis)
    same(xp.stack([xp.asarray(p) for p in parts], axis=axis), stacked)
    for got, part in zip(xp.unstack(xp.asarray(stacked), axis=axis), parts, strict=True):
        same(got, part)
    same(xp.stack(xp.asarray(A)), A)


@pytest.mark.parametrize("repetitions", [(2,), (2, 1), (1, 2, 3), (2, 1, 1, 2), (0,), 3])
def test_tile(repetitions):
    same(xp.tile(x(), repetitions), np.tile(A, repetitions))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_diff(axis, n):
    same(xp.diff(x() ** 2, axis=axis, n=n), np.diff(A**2, axis=axis, n=n))
    edge = np.zeros_like(np.take(A, [0], axis))
    expected = np.diff(A, n, axis, prepend=edge, append=edge)
    same(xp.diff(x(), axis=axis, n=n, prepend=xp.asarray(edge), append=xp.asarray(edge)), expected)


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=4))
def test_broadcasting(shapes):
    arrays = [np.arange(np.prod(s), dtype=float).reshape(s) for s in shapes.input_shapes]
    ours = [xp.asarray(a) for a in arrays]
    assert xp.broadcast_shapes(*shapes.input_shapes) == shapes.result_shape
    same(ours[0] + ours[1] * ours[2], arrays[0] + arrays[1] * arrays[2])
    for got, expected in zip(xp.broadcast_arrays(*ours), np.broadcast_arrays(*arrays), strict=True):
        same(got, expected)
    same(xp.broadcast_to(ours[0], shapes.result_shape), np.broadcast_to(arrays[0], shapes.result_shape))


@given(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
def test_what_does_not_broadcast_in_numpy_does_not_here(left, right):
    try:
        expected = np.broadcast_shapes(left, right)
    except ValueError:
        for call in (
            lambda: xp.ones(left) + xp.ones(right),
            lambda: xp.broadcast_shapes(left, right),
            lambda: xp.broadcast_arrays(xp.ones(left), xp.ones(right)),
        ):
            with pytest.raises(ValueError, match="broadcast"):
                call()
    else:
        assert (xp.ones(left) + xp.ones(right)).shape == expected


@given(st.data())
def test_chains_of_views(data):
    a = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    x = xp.asarray(a)
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["permute", "flip", "slice", "reshape", "expand", "add"]))
        if kind == "permute":
            order = data.draw(st.permutations(range(a.ndim)))
            a, x = a.transpose(order), xp.permute_dims(x, tuple(order))
        elif kind == "flip" and a.ndim:
            axis = data.draw(st.integers(0, a.ndim - 1))
            a, x = np.flip(a, axis), xp.flip(x, axis=axis)
        elif kind == "slice":
            index = data.draw(hnp.basic_indices(a.shape, allow_newaxis=True, max_dims=4))
            a, x = a[index], x[index]
        elif kind == "reshape":
            a, x = a.reshape(-1), xp.reshape(x, (-1,))
        elif kind == "expand" and a.ndim < 4:
            a, x = np.broadcast_to(a, (2, *a.shape)), xp.broadcast_to(x, (2, *x.shape))
        elif kind == "add":
            a, x = a + 1, x + 1
    same(x, a)
    same(xp.sum(x), np.sum(a))
    same(x * 2 - 1, a * 2 - 1)


def test_mistakes():
    cases = [
        (lambda: xp.reshape(x(), (5, 5)), ValueError, r"\(2, 3, 4\).*\(5, 5\)"),
        (lambda: xp.reshape(x(), (-1, -1)), ValueError, "-1"),
        (lambda: xp.permute_dims(x(), (0, 1)), ValueError, "permute_dims"),
        (lambda: xp.permute_dims(x(), (0, 0, 1)), ValueError, "twice"),
        (lambda: xp.moveaxis(x(), (0, 1), 2), ValueError, "moveaxis"),
        (lambda: xp.expand_dims(x(), 9), IndexError, "axis 9"),
        (lambda: xp.squeeze(x(), 0), ValueError, "squeeze"),
        (lambda: xp.flip(x(), axis=3), IndexError, "flip"),
        (lambda: xp.roll(x(), (1, 2), axis=(0, 1, 2)), ValueError, "roll"),
        (lambda: xp.concat([x(), xp.ones((2, 2))]), ValueError, "concat"),
        (lambda: xp.concat([]), ValueError, "concat"),
        (lambda: xp.concat([xp.asarray(1)]), (ValueError, IndexError), "concat"),
        (lambda: xp.stack([xp.ones(2), xp.ones(3)]), ValueError, "stack"),
        (lambda: xp.stack([]), ValueError, "stack"),
        (lambda: xp.unstack(x(), axis=7), IndexError, "unstack"),
        (lambda: xp.broadcast_to(x(), (2, 3)), ValueError, "broadcast"),
        (lambda: xp.tile(x(), (-1,)), ValueError, "tile"),
        (lambda: xp.diff(x(), n=-1), ValueError, "diff"),
        (lambda: xp.concat(5), TypeError, "iterable"),
        (lambda: xp.reshape(x(), "a"), TypeError, r"\w"),
        (lambda: xp.flip(x(), axis=1.5), TypeError, "integer"),
    ]
    for call, error, match in cases:
        with pytest.raises(error, match=match):
            call()

"""Creation functions against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, close, same


@pytest.mark.parametrize("dtype", [None, *DTYPES])
@pytest.mark.parametrize("shape", [(), 3, (0,), (2, 3), [2, 0, 4]])
def test_zeros_ones_empty_full(dtype, shape):
    same(xp.zeros(shape, dtype=dtype), np.zeros(shape, dtype=dtype))
    same(xp.ones(shape, dtype=dtype), np.ones(shape, dtype=dtype))
    same(xp.empty(shape, dtype=dtype), np.zeros(shape, dtype=dtype))
    same(xp.full(shape, 7, dtype=dtype), np.full(shape, 7, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_like(dtype):
    a = np.ones((2, 3), dtype)
    x = xp.asarray(a)
    for name in ["zeros_like", "ones_like"]:
        same(getattr(xp, name)(x), getattr(np, name)(a))
        same(getattr(xp, name)(x, dtype=xp.float32), getattr(np, name)(a, dtype=np.float32))
    same(xp.full_like(x, 1), np.full_like(a, 1))
    assert xp.empty_like(x).shape == (2, 3)


def test_full_takes_its_dtype_from_the_value():
    same(xp.full(2, True), np.full(2, True))
    same(xp.full(2, 3), np.full(2, 3))
    same(xp.full(2, 3.5), np.full(2, 3.5))
    same(xp.full((2, 2), xp.asarray(3, dtype=xp.int8)), np.full((2, 2), np.int8(3)))
    same(xp.full(2, np.float32(1.5)), np.full(2, np.float32(1.5)))
    with pytest.raises(OverflowError, match="300"):
        xp.full(2, 300, dtype=xp.uint8)


@pytest.mark.parametrize(
    "arguments",
    [(5,), (0,), (-3,), (2, 7), (7, 2), (2, 11, 3), (11, 2, -3), (0, 1, 0.1), (1.5,), (0.5, 3), (3, 0.5, -0.7),
     (2**40, 2**40 + 3), (True,)],
)  # fmt: skip
def test_arange(arguments):
    close(xp.arange(*arguments), np.arange(*arguments))
    close(xp.arange(*arguments, dtype=xp.float32), np.arange(*arguments, dtype=np.float32))


def test_arange_of_keywords_arrays_and_dtypes():
    same(xp.arange(0, stop=4, step=2), np.arange(0, 4, 2))
    same(xp.arange(xp.asarray(3)), np.arange(3))
    same(xp.arange(np.int8(3)), np.arange(3))
    for dtype in [*INTEGERS, *FLOATS]:
        same(xp.arange(100, dtype=dtype), np.arange(100, dtype=dtype))


@pytest.mark.parametrize("num", [0, 1, 2, 5, 100])
@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("dtype", [None, "float32", "int32"])
def test_linspace(num, endpoint, dtype):
    for start, stop in [(0, 1), (2.5, -7), (3, 3)]:
        expected = np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype)
        close(xp.linspace(start, stop, num, endpoint=endpoint, dtype=dtype), expected)


def test_linspace_ends_exactly():
    x = xp.linspace(0.1, 0.7, 49)
    assert x[0].item() == 0.1
    assert x[-1].item() == 0.7


@pytest.mark.parametrize("dtype", DTYPES)
def test_eye_and_triangles(dtype):
    same(xp.eye(3, dtype=dtype), np.eye(3, dtype=dtype))
    for k in (-(2**40), -5, -1, 0, 1, 2, 9):
        same(xp.eye(3, 4, k=k, dtype=dtype), np.eye(3, 4, k=k, dtype=dtype))
        a = np.ones((2, 3, 4), dtype)
        same(xp.tril(xp.asarray(a), k=k), np.tril(a, k=k))
        same(xp.triu(xp.asarray(a), k=k), np.triu(a, k=k))
    for k in (2**63, -(2**63) - 1, 2**100):
        same(xp.eye(3, k=k), np.zeros((3, 3)))
        same(xp.tril(xp.asarray(a), k=k), a if k > 0 else np.zeros_like(a))
        same(xp.triu(xp.asarray(a), k=k), np.zeros_like(a) if k > 0 else a)


@pytest.mark.parametrize("indexing", ["xy", "ij"])
def test_meshgrid(indexing):
    a, b, c = np.arange(2), np.arange(3.0), np.arange(4, dtype=np.int8)
    for arrays in [(a,), (a, b), (a, b, c), (np.asarray(3.0), b)]:
        got = xp.meshgrid(*map(xp.asarray, arrays), indexing=indexing)
        assert type(got) is tuple
        for x, expected in zip(got, np.meshgrid(*arrays, indexing=indexing), strict=True):
            same(x, expected)
    assert xp.meshgrid() == ()


def test_mistakes():
    for call in (
        lambda: xp.zeros(-1),
        lambda: xp.ones((2, -3)),
        lambda: xp.arange(1, 2, 0),
        lambda: xp.arange(0, 1, 0.0),
        lambda: xp.arange(float("nan")),
        lambda: xp.linspace(0, 1, -1),
        lambda: xp.eye(-1),
        lambda: xp.tril(xp.ones(3)),
        lambda: xp.meshgrid(xp.ones((2, 2))),
        lambda: xp.meshgrid(xp.ones(2), indexing="yx"),
        lambda: xp.zeros(1, device="tpu"),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            call()
    for call in (lambda: xp.zeros(1.5), lambda: xp.zeros("a"), lambda: xp.arange("a"), lambda: xp.full(1, None)):
        with pytest.raises(TypeError, match=r"\w"):
            call()
    with pytest.raises(MemoryError, match="too large"):
        xp.zeros((2**40, 2**40))


def test_at_most_64_dimensions():
    x = xp.ones((1,) * 64)
    assert np.asarray(x + 1).ndim == 64
    for call in (
        lambda: xp.ones((1,) * 65),
        lambda: xp.zeros((1,) * 300),
        lambda: x[None],
        lambda: xp.expand_dims(x, axis=0),
        lambda: xp.reshape(x, (1,) * 300),
        lambda: xp.broadcast_to(x, (1,) * 65),
        lambda: xp.stack([x, x]),
        lambda: xp.tensordot(x, x, axes=0),
        lambda: xp.meshgrid(*[xp.ones(1)] * 65),
    ):
        with pytest.raises(ValueError, match="at most 64"):
            call()
    same(xp.tile(x, (1,) * 64), np.ones((1,) * 64))


def test_shapes_that_numpy_cannot_have():
    for call in (
        lambda: xp.zeros((0, 2**40, 2**40)),
        lambda: xp.reshape(xp.zeros((0, 2)), (0, 2**40, 2**40)),
        lambda: xp.tile(xp.ones(10), 10**18),
    ):
        with pytest.raises(MemoryError, match="too large"):
            call()


def test_lists_that_hold_themselves():
    numbers = []
    numbers.append(numbers)
    arrays = [xp.ones(2)]
    arrays.append(arrays)
    for endless in (numbers, arrays):
        with pytest.raises(ValueError, match=r"deep|dimension"):
            xp.asarray(endless)
    deep = xp.ones(2)
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises((TypeError, ValueError), match=r"\w"):
        xp.asarray(deep)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("arguments", [(1, 10, 2.5), (0.5, 6), (0, 1, 0.1), (9.9, 0, -1.5), (0, 3, 0.75)])
def test_arange_steps_by_what_rounding_leaves_of_the_second_element(dtype, arguments):
    same(xp.arange(*arguments, dtype=dtype), np.arange(*arguments, dtype=dtype))


def test_arange_refuses_elements_outside_the_dtype():
    for dtype, arguments in [("uint8", (-5, 5)), ("int8", (0, 2**40, 2**38)), ("int64", (0, 1e300, 1e299))]:
        with pytest.raises(OverflowError, match=r"\d"):
            xp.arange(*arguments, dtype=dtype)
    with pytest.raises(TypeError, match="bool"):
        xp.arange(3, dtype=xp.bool)
    same(xp.arange(2, dtype=xp.bool), np.array([False, True]))


def test_integers_that_only_fit_uint64():
    same(xp.asarray(2**63), np.asarray(2**63))
    same(xp.full(2, 2**64 - 1), np.full(2, 2**64 - 1))
    with pytest.raises(OverflowError, match="bounds"):
        xp.asarray(2**64)

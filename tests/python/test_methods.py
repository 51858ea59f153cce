"""NumPy-style methods and attributes of arrays against NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, NUMBERS, close, sample

VIEWS = [
    lambda a: a, lambda a: a.T, lambda a: a[::-1, ::2], lambda a: a[:1], lambda a: a[:, :0], lambda a: a[0],
    lambda a: a[None, :, None],
]  # fmt: skip


def agree(call, a):
    """Assert that a call on an array of ours gives what it gives on NumPy's, or that both refuse."""
    try:
        expected = call(a)
    except (ValueError, TypeError, IndexError):
        with pytest.raises((ValueError, TypeError, IndexError)):
            call(xp.asarray(a))
        return
    close(call(xp.asarray(a)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reductions(view, dtype):
    # Small enough for sums and products of every dtype to be exact.
    a = view((sample(dtype) % 3).astype(dtype) if dtype in NUMBERS else sample(dtype))
    for call in (
        lambda x: x.sum(), lambda x: x.sum(0), lambda x: x.sum(axis=-1, keepdims=True), lambda x: x.sum(-1, np.float64),
        lambda x: x.prod(), lambda x: x.prod(0, dtype=np.float64), lambda x: x.max(), lambda x: x.max(axis=0),
        lambda x: x.min(axis=-1, keepdims=True), lambda x: x.any(), lambda x: x.any(0), lambda x: x.all(axis=-1),
        lambda x: x.argmax(), lambda x: x.argmax(0), lambda x: x.argmin(axis=-1, keepdims=True),
        lambda x: x.cumsum(), lambda x: x.cumsum(0), lambda x: x.cumprod(-1), lambda x: x.argsort(stable=True),
        lambda x: x.argsort(0, stable=True), lambda x: x.argsort(None, stable=True),
    ):  # fmt: skip
        agree(call, a)
    if dtype in FLOATS or dtype == "int32":
        for call in (
            lambda x: x.mean(), lambda x: x.mean(0), lambda x: x.std(axis=-1), lambda x: x.var(0, ddof=1),
            lambda x: x.mean(-1, keepdims=True), lambda x: x.var(0, ddof=0.5), lambda x: x.std(),
        ):  # fmt: skip
            agree(call, a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_shapes_and_copies(view, dtype):
    a = view(sample(dtype))
    for call in (
        lambda x: x.reshape(-1), lambda x: x.reshape(-1, 1), lambda x: x.reshape((1, -1)), lambda x: x.ravel(),
        lambda x: x.flatten(), lambda x: x.transpose(), lambda x: x.transpose(1, 0), lambda x: x.transpose((1, 0)),
        lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(-1, 0), lambda x: x.squeeze(), lambda x: x.squeeze(0),
        lambda x: x.copy(), lambda x: x.astype(np.float64), lambda x: x.T, lambda x: x.real, lambda x: x.imag,
        lambda x: x.conj(), lambda x: x.conjugate(),
    ):  # fmt: skip
        agree(call, a)
    x = xp.asarray(a)
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == (a.shape, a.ndim, a.size, a.itemsize, a.nbytes)
    np.testing.assert_equal(x.tolist(), a.tolist())
    assert x.tobytes() == a.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_axes(dtype):
    a = sample(dtype)[1, 1, ...]
    for call in (
        lambda x: x.sum(), lambda x: x.max(), lambda x: x.any(), lambda x: x.argmin(), lambda x: x.cumsum(),
        lambda x: x.reshape(1, 1), lambda x: x.ravel(), lambda x: x.transpose(), lambda x: x.squeeze(),
    ):  # fmt: skip
        agree(call, a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_picking_and_assigning(view, dtype):
    a = view(sample(dtype)).copy()

    def changed(method, *arguments):
        def call(x):
            y = x.copy()
            assert getattr(y, method)(*arguments) is None
            return y

        return call

    for call in (
        lambda x: x.take([0, 0]), lambda x: x.take([[0, -1]], axis=0), lambda x: x.take([1, 0], -1),
        lambda x: x.take(10**6), changed("fill", 1), changed("sort"), changed("sort", 0), changed("sort", 7),
    ):  # fmt: skip
        agree(call, a)
    for result, expected in zip(xp.asarray(a).nonzero(), a.nonzero(), strict=True):
        close(result, expected)
    x = xp.asarray(a)
    y = x.copy()
    y.fill(0)
    close(x, a)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_elements(dtype):
    a = sample(dtype)
    x = xp.asarray(a)
    for call in (
        lambda x: x.clip(0, 10), lambda x: x.clip(None, 1), lambda x: x.clip(min=1), lambda x: x.round(),
        lambda x: x.dot(x.T), lambda x: x[0].dot(x[1]),
    ):  # fmt: skip
        agree(call, a % 50 if "dot" in call.__code__.co_names else a)
    assert x.item(0) == a.item(0)
    assert x.item(1, 2) == a.item(1, 2)


@pytest.mark.parametrize("dtype", ["int16", "int64", "uint8", *FLOATS])
@pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
def test_rounding_to_decimals(decimals, dtype):
    a = np.array([0, 1, 5, 15, 25, 35, 149, 150, 250], dtype)
    if dtype in FLOATS:
        a = np.concatenate([a, -a / 8, a / 16, np.array([np.nan, np.inf], dtype)]).astype(dtype)
    with np.errstate(over="ignore"):
        agree(lambda x: x.round(decimals), a)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_more_methods(view, dtype):
    a = view((sample(dtype) % 3).astype(dtype) if dtype in NUMBERS else sample(dtype))

    def changed(method, *arguments):
        def call(x):
            y = x.copy()
            assert getattr(y, method)(*arguments) is None
            return y

        return call

    def parted(x, *arguments):
        return changed("partition", *arguments)(x)

    for call in (
        lambda x: x.repeat(2), lambda x: x.repeat(3, 0), lambda x: x.repeat([1, 2, 0], axis=0), lambda x: x.diagonal(),
        lambda x: x.diagonal(1, -1, -2), lambda x: x.trace(), lambda x: x.trace(-1, dtype=np.float64),
        lambda x: (x.ravel() * 0).searchsorted([0, 1, 2]), lambda x: (x.ravel() * 0).searchsorted(0, "right"),
        lambda x: x.compress([True, False, True], axis=0), lambda x: x.compress([False, True]),
        lambda x: x.reshape(-1, order="F"), lambda x: x.reshape((-1, 1), order="F"), lambda x: x.ravel("F"),
        lambda x: x.flatten("F"), lambda x: x.reshape(5, 3, order="F"),
        lambda x: (x != 0).astype(np.int64).choose([x, x]), lambda x: parted(x, 1, -1)[..., 1],
        lambda x: parted(x, 0, 0)[0],
        changed("put", [0, 2], [1, 0]), changed("put", [[-1]], 1), changed("put", 1000, 1),
        changed("put", [1000, -1000], 1, "clip"), changed("put", [7, 8], [], "wrap"),
        lambda x: x.sum(where=x != 0), lambda x: x.prod(0, initial=2), lambda x: x.max(initial=1),
        lambda x: x.min(where=x > 0),
        lambda x: x.max(where=x > 0, initial=0), lambda x: x.any(where=x > 1), lambda x: x.all(0, where=x < 1),
        lambda x: x.sum(0, None, None, True), lambda x: x.any(-1, keepdims=True),
    ):  # fmt: skip
        agree(call, a)
    if dtype in FLOATS or dtype == "int32":
        for call in (
            lambda x: x.mean(where=x != 0), lambda x: x.var(0, where=x != 1, ddof=1), lambda x: x.std(where=x < 2),
            lambda x: x.var(dtype=np.float64), lambda x: x.std(-1, mean=x.mean(-1, keepdims=True)),
            lambda x: x.mean(0, np.float32), lambda x: x.sum(0, initial=1.5, dtype=np.float64),
        ):  # fmt: skip
            agree(call, a)
    x = xp.asarray(a)
    order = np.asarray(x.ravel().argpartition(2)) if a.size > 2 else []
    assert sorted(order) == list(range(len(order)))
    if 0 not in a.shape:
        assert all(s == t for s, t, extent in zip(x.strides, a.strides, a.shape, strict=True) if extent > 1)
    flags = x.flags
    assert (flags.c_contiguous, flags["F_CONTIGUOUS"]) == (a.flags.c_contiguous, a.flags.f_contiguous)
    assert flags.forc == a.flags.forc
    assert (flags.writeable, flags.aligned) == (True, True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_flat(view, dtype):
    a = view(sample(dtype)).copy()
    x = xp.asarray(a.copy())
    assert len(x.flat) == len(a.flat)
    np.testing.assert_array_equal(np.asarray(x.flat), np.asarray(a.flat))
    np.testing.assert_array_equal([v.item() for v in x.flat], list(a.flat))
    close(x.flat[::2], a.flat[::2])
    for key, value in [(slice(None, None, 2), 1), ([0, 2], [1, 0]), (slice(0), 1)]:
        if a.size > 3:
            x.flat[key] = value
            a.flat[key] = value
            close(x, a)
    x.flat = 1
    a.flat = 1
    close(x, a)


def test_memory_of_what_is_not_computed():
    x = xp.ones((3, 4), dtype=xp.float32) + 1
    assert x.strides == (16, 4)
    assert x.flags.c_contiguous
    assert not xp.debug.is_computed(x)


def test_every_attribute_of_numpys_arrays_is_there_or_listed():
    from fusewire import _methods

    missing = {name for name in dir(np.ndarray) if not name.startswith("_") and not hasattr(xp.Array, name)}
    listed = _methods.__doc__.partition("``base")[2].partition("``")[0]
    assert missing == {"base", *listed.split()}
    for name in ("T", *(name for name in dir(np.ndarray) if not name.startswith("_"))):
        if hasattr(xp.Array, name):
            assert len(getattr(xp.Array, name).__doc__) > 10, name


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum(axis=2), lambda x: xp.mean(x, axis=-3), lambda x: xp.linalg.cross(x, x, axis=5),
        lambda x: xp.fft.fft(x, axis=2), lambda x: xp.sort(x, axis=9), lambda x: xp.stack([x], axis=7),
        lambda x: np.sum(x, axis=4), lambda x: xp.moveaxis(x, 0, 3), lambda x: xp.quantile(x, 0.5, axis=2),
        lambda x: xp.nanmax(x, 8), lambda x: xp.concat([x], axis=2), lambda x: xp.trapezoid(x, axis=3),
        lambda x: xp.expand_dims(x, 4), lambda x: x.swapaxes(0, 2), lambda x: xp.take(x, [0], axis=2),
    ],
)  # fmt: skip
def test_axes_out_of_range_are_numpys_error(call):
    with pytest.raises(np.exceptions.AxisError) as raised:
        call(xp.ones((2, 3)))
    assert isinstance(raised.value, IndexError)
    assert isinstance(raised.value, ValueError)

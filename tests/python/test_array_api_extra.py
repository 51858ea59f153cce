"""array-api-compat and array-api-extra from the package index take fusewire for a namespace like any other."""

from __future__ import annotations

import array_api_compat
import array_api_extra as xpx
import numpy as np
import pytest

import fusewire as xp
from support import close, same

A = np.arange(1.0, 13.0).reshape(3, 4)
INDICES = np.array([[0, 5], [11, 3]])


def both(call):
    """Assert that a call gives fusewire arrays, for fusewire arrays, that are what it gives NumPy's."""
    results, expected = call(xp), call(np)
    several = isinstance(expected, tuple | list)
    for result, e in zip(results, expected, strict=True) if several else [(results, expected)]:
        close(result, e)


def test_compat_knows_the_namespace():
    x = xp.asarray(A)
    assert array_api_compat.is_array_api_obj(x)
    assert array_api_compat.array_namespace(x) is xp
    assert array_api_compat.array_namespace(x, xp.ones(2), 1.0, None) is xp
    assert array_api_compat.device(x) == xp.get_default_device()
    assert array_api_compat.to_device(x, xp.get_default_device()) is x
    assert array_api_compat.size(x) == 12
    assert array_api_compat.is_writeable_array(x)
    # Values are there for whoever asks: a library may branch on them.
    assert not array_api_compat.is_lazy_array(x)
    assert not array_api_compat.is_numpy_namespace(xp)
    with pytest.raises(TypeError, match="Multiple namespaces"):
        array_api_compat.array_namespace(x, A)


@pytest.mark.parametrize(
    "call",
    [
        lambda np: xpx.angle(np.asarray(A)), lambda np: xpx.atleast_nd(np.asarray(A), ndim=4, xp=np),
        lambda np: xpx.cov(np.asarray(A), xp=np), lambda np: xpx.deg2rad(np.asarray(A)),
        lambda np: xpx.isclose(np.asarray(A), np.asarray(A + 1e-12), xp=np),
        lambda np: xpx.kron(np.asarray(A), np.asarray(A[:2]), xp=np),
        lambda np: xpx.nan_to_num(np.asarray(A / 0), xp=np),
        lambda np: xpx.nanmax(np.asarray(A), axis=1, xp=np), lambda np: xpx.nanmean(np.asarray(A), xp=np),
        lambda np: xpx.nanmin(np.asarray(A), xp=np), lambda np: xpx.nansum(np.asarray(A), axis=0, xp=np),
        lambda np: xpx.one_hot(np.asarray(INDICES), 12, xp=np), lambda np: xpx.rad2deg(np.asarray(A)),
        lambda np: xpx.sinc(np.asarray(A / 3), xp=np), lambda np: xpx.isin(np.asarray(A), np.asarray(A[0]), xp=np),
        lambda np: xpx.unravel_index(np.asarray(INDICES), (3, 4)), lambda np: xpx.diag_indices(3, xp=np),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extra_functions(call):
    both(call)


def test_apply_where():
    both(lambda np: (x := np.asarray(A), xpx.apply_where(x > 3, x, lambda a: a * 2, lambda a: a - 1))[1])
    both(lambda np: (x := np.asarray(A), xpx.apply_where(x > 3, (x, x[0]), lambda a, b: a * b, fill_value=0.5))[1])


def test_lazy_apply():
    x = xp.asarray(A) + 1
    close(xpx.lazy_apply(np.linalg.svdvals, x, shape=(3,), as_numpy=True), np.linalg.svdvals(A + 1))
    same(xpx.lazy_apply(lambda a: a * 2, x), (A + 1) * 2)


def test_default_dtypes():
    assert xpx.default_dtype(xp) == np.float64
    assert xpx.default_dtype(xp, "integral") == np.int64


@pytest.mark.parametrize("method", ["set", "add", "subtract", "multiply", "divide", "power", "min", "max"])
@pytest.mark.parametrize("index", [(0, slice(None)), 1, (slice(None), [0, 2]), "mask", (Ellipsis, -1)])
@pytest.mark.parametrize("copy", [True, None])
def test_at(method, index, copy):
    def call(np):
        x = np.asarray(A + 0.5)
        where = x > 3 if index == "mask" else index
        # A copy leaves the array as it is; without one it may change in place, as NumPy's does.
        result = getattr(xpx.at(x)[where], method)(2.0, copy=copy)
        return [result, x] if copy else [result]

    both(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda np: xpx.create_diagonal(np.asarray(A), offset=1), lambda np: xpx.pad(np.asarray(A), 1, xp=np),
        lambda np: xpx.tril_indices(3, xp=np), lambda np: xpx.triu_indices(3, offset=1, xp=np),
        lambda np: xpx.partition(np.asarray(A[::-1]), 1, axis=0, xp=np)[1],
        lambda np: xpx.argpartition(np.asarray(A[::-1]), 1, axis=0, xp=np)[1],
    ],
)  # fmt: skip
def test_extra_functions_that_assign_and_sort(call):
    both(call)

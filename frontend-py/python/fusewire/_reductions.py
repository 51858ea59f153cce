"""Reductions with what NumPy's have besides the standard's: ``where``, ``initial``, ``mean`` and ``out``.

They record plain reductions of arrays in which what does not count is the unit of the reduction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._halves import rounded_once
from fusewire._inspection import kind
from fusewire._out import stored

_Axes = int | tuple[int, ...] | None


def sum(
    x: Any, axis: _Axes = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
    where: Any = None,
) -> Array:  # fmt: skip
    """Return the sum of the elements that count, and of ``initial``."""
    total = xp.sum(_counting(x, where, 0, "sum"), axis=axis, dtype=dtype, keepdims=keepdims)
    return stored(total if initial is None else total + _like(initial, total), out, "sum")


def prod(
    x: Any, axis: _Axes = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
    where: Any = None,
) -> Array:  # fmt: skip
    """Return the product of the elements that count, and of ``initial``."""
    total = xp.prod(_counting(x, where, 1, "prod"), axis=axis, dtype=dtype, keepdims=keepdims)
    return stored(total if initial is None else total * _like(initial, total), out, "prod")


def max(
    x: Any, axis: _Axes = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return the largest of the elements that count, and of ``initial``, which ``where`` needs."""
    return stored(_extreme("max", x, axis, keepdims, initial, where), out, "max")


def min(
    x: Any, axis: _Axes = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return the smallest of the elements that count, and of ``initial``, which ``where`` needs."""
    return stored(_extreme("min", x, axis, keepdims, initial, where), out, "min")


def any(x: Any, axis: _Axes = None, out: Any = None, keepdims: bool = False, where: Any = None) -> Array:
    """Return whether an element that counts is true."""
    truths = xp.astype(xp.asarray(x), xp.bool, copy=False)
    result = xp.any(_counting(truths, where, False, "any"), axis=axis, keepdims=keepdims)
    return stored(result, out, "any", "unsafe")


def all(x: Any, axis: _Axes = None, out: Any = None, keepdims: bool = False, where: Any = None) -> Array:
    """Return whether all elements that count are true."""
    truths = xp.astype(xp.asarray(x), xp.bool, copy=False)
    result = xp.all(_counting(truths, where, True, "all"), axis=axis, keepdims=keepdims)
    return stored(result, out, "all", "unsafe")


def mean(
    x: Any, axis: _Axes = None, dtype: Any = None, out: Any = None, keepdims: bool = False, where: Any = None
) -> Array:
    """Return the mean of the elements that count; NaN where none does."""
    x = _floating(x, dtype)
    if where is None:
        return stored(xp.mean(x, axis=axis, keepdims=keepdims), out, "mean")
    return stored(_mean(x, axis, keepdims, where), out, "mean")


def var(
    x: Any, axis: _Axes = None, dtype: Any = None, out: Any = None, correction: float = 0.0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """Return the variance of the elements that count, from a mean that is known; of complex numbers, too."""
    x = _floating(x, dtype)
    if where is None and mean is None and x.dtype.kind != "c":
        return stored(xp.var(x, axis=axis, correction=correction, keepdims=keepdims), out, "var")
    return stored(_var(x, axis, correction, keepdims, where, mean), out, "var")


def std(
    x: Any, axis: _Axes = None, dtype: Any = None, out: Any = None, correction: float = 0.0, keepdims: bool = False,
    where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """Return the square root of the variance."""
    return stored(_std(_floating(x, dtype), axis, correction, keepdims, where, mean), out, "std")


@rounded_once
def _mean(x: Array, axis: _Axes, keepdims: bool, where: Any) -> Array:
    return sum(x, axis, keepdims=keepdims, where=where) / _number(x, axis, keepdims, where)


@rounded_once
def _var(x: Array, axis: _Axes, correction: float, keepdims: bool, where: Any, mean: Any) -> Array:
    centre = _mean(x, axis, True, where) if mean is None else xp.asarray(mean)
    distances = xp.abs(x - centre)
    squares = sum(distances * distances, axis, keepdims=keepdims, where=where)
    freedom = xp.maximum(_number(x, axis, keepdims, where) - correction, xp.zeros((), dtype=squares.dtype))
    return squares / xp.astype(freedom, squares.dtype, copy=False)


@rounded_once
def _std(x: Array, axis: _Axes, correction: float, keepdims: bool, where: Any, mean: Any) -> Array:
    if where is None and mean is None:
        return xp.std(x, axis=axis, correction=correction, keepdims=keepdims)
    return xp.sqrt(_var(x, axis, correction, keepdims, where, mean))


def _floating(x: Any, dtype: Any) -> Array:
    x = xp.asarray(x)
    wanted = dtype if dtype is not None else x.dtype if kind(x.dtype) in "fc" else xp.float64
    return xp.astype(x, wanted, copy=False)


def _like(value: Any, x: Array) -> Array:
    return xp.astype(xp.asarray(value), x.dtype, copy=False)


def _counting(x: Any, where: Any, unit: Any, name: str) -> Array:
    """Return the array with the unit where elements do not count."""
    array = xp.asarray(x)
    if where is None or where is True:
        return array
    mask = xp.asarray(where)
    if mask.dtype != xp.bool:
        message = f"{name}: where must be of dtype bool, got {mask.dtype}"
        raise TypeError(message)
    return xp.where(xp.broadcast_to(mask, array.shape), array, xp.asarray(unit, dtype=array.dtype))


def _number(x: Array, axis: _Axes, keepdims: bool, where: Any) -> Array:
    """How many elements count, in the dtype of the parts of the array."""
    ones = xp.ones(x.shape, dtype=xp.real(x).dtype)
    return sum(ones, axis, keepdims=keepdims, where=where)


def _extreme(name: str, x: Any, axis: _Axes, keepdims: bool, initial: Any, where: Any) -> Array:
    x = xp.asarray(x)
    if initial is None:
        if where is not None and where is not True:
            message = f"{name}: where needs initial, for what does not count has no unit"
            raise ValueError(message)
        return _plain(name)(x, axis=axis, keepdims=keepdims)
    start = _like(initial, x)
    x = _counting(x, where, start, name)
    if 0 in x.shape:
        return xp.broadcast_to(start, xp.sum(x, axis=axis, keepdims=keepdims).shape)
    larger: Callable[..., Array] = xp.maximum if name == "max" else xp.minimum
    return larger(_plain(name)(x, axis=axis, keepdims=keepdims), start)


def _plain(name: str) -> Callable[..., Array]:
    return xp.max if name == "max" else xp.min

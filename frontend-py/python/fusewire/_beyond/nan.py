"""Reductions that leave NaN out, and ``nan_to_num``. On dtypes without NaN they are the plain reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fusewire._fusewire as xp
from fusewire import _reductions
from fusewire._fusewire import Array
from fusewire._halves import rounded_once
from fusewire._inspection import finfo, isdtype

_Axes = int | tuple[int, ...] | None
_INF, _NAN = float("inf"), float("nan")


def nansum(
    x: Any, /, axis: _Axes = None, *, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return the sum, NaN counting as 0. Dtype and errors as ``sum``; ``initial`` and ``where`` as the method's."""
    return _reductions.sum(_filled(x, 0.0), axis, dtype, keepdims=keepdims, initial=initial, where=where)


def nanprod(
    x: Any, /, axis: _Axes = None, *, dtype: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:
    """Return the product, NaN counting as 1. Dtype and errors as ``prod``; ``initial``, ``where`` as the method's."""
    return _reductions.prod(_filled(x, 1.0), axis, dtype, keepdims=keepdims, initial=initial, where=where)


def nancumsum(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Array:
    """Return running sums, NaN counting as 0; of the flattened array without an axis.

    Raises IndexError for an axis out of range.
    """
    return _filled(x, 0.0).cumsum(axis, dtype)


def nancumprod(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Array:
    """Return running products, NaN counting as 1; of the flattened array without an axis.

    Raises IndexError for an axis out of range.
    """
    return _filled(x, 1.0).cumprod(axis, dtype)


@rounded_once
def nanmean(
    x: Any, /, axis: _Axes = None, *, dtype: Any = None, keepdims: bool = False, where: Any = None
) -> Array:  # fmt: skip
    """Return the mean of what is not NaN; NaN where nothing is. Dtype and errors as ``mean``."""
    x = xp.asarray(x)
    if not _inexact(x):
        return _reductions.mean(x, axis, dtype, keepdims=keepdims, where=where)
    total = nansum(x, axis, dtype=dtype, keepdims=keepdims, where=where)
    return total / xp.astype(_count(x, axis, keepdims, where), xp.real(total).dtype, copy=False)


@rounded_once
def nanvar(
    x: Any, /, axis: _Axes = None, *, dtype: Any = None, correction: float = 0.0, ddof: float | None = None,
    keepdims: bool = False, where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """Return the variance of what is not NaN; NaN where there are not more elements than ``correction``.

    ``ddof`` is NumPy's name of ``correction``; ``mean`` is the mean, with ``keepdims``, where it is known. Dtype and
    errors as ``var``.
    """
    x = xp.asarray(x)
    x = x if dtype is None else xp.astype(x, dtype, copy=False)
    correction = correction if ddof is None else ddof
    if not _inexact(x):
        return _reductions.var(x, axis, None, None, correction, keepdims, where, mean)
    centre = nanmean(x, axis, keepdims=True, where=where) if mean is None else xp.asarray(mean)
    deviations = xp.where(xp.isnan(x), 0.0, xp.abs(x - centre))
    freedom = _count(x, axis, keepdims, where) - correction
    squares = _reductions.sum(deviations * deviations, axis, keepdims=keepdims, where=where)
    return xp.where(freedom > 0, squares / freedom, _NAN)


@rounded_once
def nanstd(
    x: Any, /, axis: _Axes = None, *, dtype: Any = None, correction: float = 0.0, ddof: float | None = None,
    keepdims: bool = False, where: Any = None, mean: Any = None,
) -> Array:  # fmt: skip
    """Return the standard deviation of what is not NaN, the square root of ``nanvar``."""
    variance = nanvar(
        x, axis, dtype=dtype, correction=correction, ddof=ddof, keepdims=keepdims, where=where, mean=mean
    )  # fmt: skip
    return xp.sqrt(variance)


def nanmin(
    x: Any, /, axis: _Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:  # fmt: skip
    """Return the smallest element that is not NaN; NaN where all are. Errors as ``min``."""
    return _nanextreme(_reductions.min, x, _INF, axis, keepdims, initial, where)


def nanmax(
    x: Any, /, axis: _Axes = None, *, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Array:  # fmt: skip
    """Return the largest element that is not NaN; NaN where all are. Errors as ``max``."""
    return _nanextreme(_reductions.max, x, -_INF, axis, keepdims, initial, where)


def nanargmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Return the first position of the smallest element that is not NaN. Computes whether there is one.

    Raises ValueError where all are NaN; other errors as ``argmin``.
    """
    return xp.argmin(_filled(_with_numbers("nanargmin", x, axis), _INF), axis=axis, keepdims=keepdims)


def nanargmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Return the first position of the largest element that is not NaN. Computes whether there is one.

    Raises ValueError where all are NaN; other errors as ``argmax``.
    """
    return xp.argmax(_filled(_with_numbers("nanargmax", x, axis), -_INF), axis=axis, keepdims=keepdims)


def nan_to_num(
    x: Any, /, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """Return the array with numbers for NaN and infinities: 0 and the dtype's largest and smallest by default.

    Shape and dtype: those of ``x``, which stays as it is whatever ``copy`` says.
    """
    result = xp.asarray(x)
    if not _inexact(result):
        return result.copy() if copy else result
    if isdtype(result.dtype, "complex floating"):
        real, imaginary = (nan_to_num(part(result), copy, nan, posinf, neginf) for part in (xp.real, xp.imag))
        return xp.astype(real + 1j * imaginary, result.dtype, copy=False)
    limits = finfo(result)
    result = xp.where(result == _INF, limits.max if posinf is None else posinf, result)
    result = xp.where(result == -_INF, limits.min if neginf is None else neginf, result)
    return xp.where(xp.isnan(result), nan, result)


def _inexact(x: Array) -> bool:
    return isdtype(x.dtype, ("real floating", "complex floating"))


def _filled(x: Any, value: float) -> Array:
    x = xp.asarray(x)
    return xp.where(xp.isnan(x), value, x) if _inexact(x) else x


def _count(x: Array, axis: _Axes, keepdims: bool, where: Any) -> Array:
    """How many are not NaN, in the dtype of the result of ``mean``."""
    real = finfo(x.dtype).dtype
    return _reductions.sum(xp.astype(~xp.isnan(x), real), axis, keepdims=keepdims, where=where)


def _nanextreme(
    reduction: Callable[..., Array], x: Any, none: float, axis: _Axes, keepdims: bool, initial: Any, where: Any
) -> Array:
    x = xp.asarray(x)
    result = reduction(_filled(x, none), axis, keepdims=keepdims, initial=initial, where=where)
    if not _inexact(x) or initial is not None:
        return result
    return xp.where(xp.all(xp.isnan(x), axis=axis, keepdims=keepdims), _NAN, result)


def _with_numbers(name: str, x: Any, axis: int | None) -> Array:
    array = xp.asarray(x)
    if _inexact(array) and bool(xp.any(xp.all(xp.isnan(array), axis=axis))):
        message = f"{name}: all elements of shape {array.shape} along axis {axis} are NaN"
        raise ValueError(message)
    return array

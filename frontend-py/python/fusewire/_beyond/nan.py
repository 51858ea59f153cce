"""Reductions that leave NaN out, and ``nan_to_num``. On dtypes without NaN they are the plain reductions."""

from __future__ import annotations

from typing import Any

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._halves import rounded_once
from fusewire._inspection import finfo, isdtype

_Axes = int | tuple[int, ...] | None
_INF, _NAN = float("inf"), float("nan")


def nansum(x: Any, /, axis: _Axes = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """Return the sum, NaN counting as 0. Dtype and errors as ``sum``."""
    return xp.sum(_filled(x, 0.0), axis=axis, dtype=dtype, keepdims=keepdims)


def nanprod(x: Any, /, axis: _Axes = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """Return the product, NaN counting as 1. Dtype and errors as ``prod``."""
    return xp.prod(_filled(x, 1.0), axis=axis, dtype=dtype, keepdims=keepdims)


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
def nanmean(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the mean of what is not NaN; NaN where nothing is. Dtype and errors as ``mean``."""
    x = xp.asarray(x)
    if not _inexact(x):
        return xp.mean(x, axis=axis, keepdims=keepdims)
    return nansum(x, axis, keepdims=keepdims) / _count(x, axis, keepdims)


@rounded_once
def nanvar(x: Any, /, axis: _Axes = None, *, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Return the variance of what is not NaN; NaN where there are not more elements than ``correction``.

    Dtype and errors as ``var``.
    """
    x = xp.asarray(x)
    if not _inexact(x):
        return xp.var(x, axis=axis, correction=correction, keepdims=keepdims)
    deviations = xp.where(xp.isnan(x), 0.0, xp.abs(x - nanmean(x, axis, keepdims=True)))
    freedom = _count(x, axis, keepdims) - correction
    squares = xp.sum(deviations * deviations, axis=axis, keepdims=keepdims)
    return xp.where(freedom > 0, squares / freedom, _NAN)


@rounded_once
def nanstd(x: Any, /, axis: _Axes = None, *, correction: float = 0.0, keepdims: bool = False) -> Array:
    """Return the standard deviation of what is not NaN, the square root of ``nanvar``."""
    return xp.sqrt(nanvar(x, axis, correction=correction, keepdims=keepdims))


def nanmin(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the smallest element that is not NaN; NaN where all are. Errors as ``min``."""
    x = xp.asarray(x)
    least = xp.min(_filled(x, _INF), axis=axis, keepdims=keepdims)
    return _unless_nothing(least, x, axis, keepdims)


def nanmax(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the largest element that is not NaN; NaN where all are. Errors as ``max``."""
    x = xp.asarray(x)
    most = xp.max(_filled(x, -_INF), axis=axis, keepdims=keepdims)
    return _unless_nothing(most, x, axis, keepdims)


def nanargmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Return the first position of the smallest element that is not NaN; 0 where all are. Errors as ``argmin``."""
    return xp.argmin(_filled(x, _INF), axis=axis, keepdims=keepdims)


def nanargmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Return the first position of the largest element that is not NaN; 0 where all are. Errors as ``argmax``."""
    return xp.argmax(_filled(x, -_INF), axis=axis, keepdims=keepdims)


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


def _count(x: Array, axis: _Axes, keepdims: bool) -> Array:
    """How many are not NaN, in the dtype of the result of ``mean``."""
    real = finfo(x.dtype).dtype
    return xp.sum(xp.astype(~xp.isnan(x), real), axis=axis, keepdims=keepdims)


def _unless_nothing(result: Array, x: Array, axis: _Axes, keepdims: bool) -> Array:
    if not _inexact(x):
        return result
    return xp.where(xp.all(xp.isnan(x), axis=axis, keepdims=keepdims), _NAN, result)

"""Order statistics: medians, quantiles, partitions. All of them sort."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_tuple

import fusewire._fusewire as xp
from fusewire._beyond.nan import _Axes, _inexact
from fusewire._fusewire import Array
from fusewire._halves import rounded_once

_NAN = float("nan")
# Where the quantile q of n ordered elements stands: at n * q + a + q * (1 - a - b) - 1.
_PLOTTING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
# Or, from where "linear" says, at one of the neighbours.
_ROUNDED = ("lower", "higher", "midpoint", "nearest")


@rounded_once
def median(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the element in the middle of the order, or the mean of the two there; NaN where there is one.

    Dtype: that of ``x`` for floats, else float64. Raises IndexError for an axis out of range.
    """
    ordered, shape = _ordered(x, axis, keepdims)
    extent = ordered.shape[-1]
    if extent == 0:
        return xp.full(shape, _NAN, dtype=ordered.dtype)
    low, high = ordered[..., (extent - 1) // 2], ordered[..., extent // 2]
    middle = low if extent % 2 else (low + high) / 2
    return xp.reshape(_unless_nan(middle, ordered), shape)


@rounded_once
def quantile(x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """Return what so many of the elements in order are below: interpolated, as ``method`` says; NaN where there is one.

    ``q`` is a number or an array of numbers from 0 to 1, which is computed. Methods: linear, hazen, weibull,
    median_unbiased, normal_unbiased, interpolated_inverted_cdf, lower, higher, midpoint, nearest.
    Shape: that of ``q``, then that of the reduction. Dtype: that of ``x`` for floats, else float64, whatever ``q`` is.
    Raises ValueError for ``q`` out of range, another method, and an axis without elements; IndexError for an axis out
    of range.
    """
    shares = _shares(q, method, "quantile")
    ordered, shape = _ordered(x, axis, keepdims)
    extent = ordered.shape[-1]
    if extent == 0:
        message = "quantile: an axis without elements has no quantiles"
        raise ValueError(message)
    results = []
    for share in shares.ravel():
        place = float(_place(np, float(share), extent, method))
        low = math.floor(place)
        result = _between(
            ordered[..., low], ordered[..., math.ceil(place)], xp.asarray(place - low, dtype=ordered.dtype)
        )
        results.append(_unless_nan(result, ordered))
    return _stacked(results, ordered, shares.shape + shape)


def percentile(x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """Return the quantiles at ``q`` of a hundred. The rest as ``quantile``."""
    return quantile(x, _hundredths(q), axis, method=method, keepdims=keepdims)


def nanmedian(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the median of what is not NaN; NaN where nothing is. Dtype and errors as ``median``."""
    x = xp.asarray(x)
    return nanquantile(x, 0.5, axis, keepdims=keepdims) if _inexact(x) else median(x, axis, keepdims=keepdims)


@rounded_once
def nanquantile(x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """Return the quantiles of what is not NaN; NaN where nothing is. The rest as ``quantile``."""
    x = xp.asarray(x)
    if not _inexact(x):
        return quantile(x, q, axis, method=method, keepdims=keepdims)
    shares = _shares(q, method, "nanquantile")
    ordered, shape = _ordered(x, axis, keepdims)
    positions = xp.arange(ordered.shape[-1], dtype=xp.float64)
    count = xp.sum(xp.astype(~xp.isnan(ordered), xp.float64), axis=-1, keepdims=True)

    def at(place: Array) -> Array:
        # One element at most is not replaced. Positions are data here, and NaN, which comes last in order, has none.
        return xp.sum(xp.where(positions == place, ordered, 0.0), axis=-1)

    results = []
    for share in shares.ravel():
        place = _place(xp, float(share), xp.maximum(count, 1.0), method)
        low = xp.floor(place)
        weight = xp.astype(xp.squeeze(place - low, axis=-1), ordered.dtype)
        result = _between(at(low), at(xp.ceil(place)), weight)
        results.append(xp.where(xp.squeeze(count, axis=-1) > 0, result, _NAN))
    return _stacked(results, ordered, shares.shape + shape)


def nanpercentile(x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False) -> Array:
    """Return the quantiles of what is not NaN at ``q`` of a hundred. The rest as ``quantile``."""
    return nanquantile(x, _hundredths(q), axis, method=method, keepdims=keepdims)


def partition(x: Any, /, kth: Any, axis: int | None = -1) -> Array:
    """Return the elements with the one that stands at ``kth`` in order there, smaller ones before, larger ones behind.

    All are in order, which no ``kth`` forbids. Without an axis the array is flattened. Raises IndexError for an axis
    out of range, ValueError for a ``kth`` out of range.
    """
    x, axis = _partitioned(x, kth, axis, "partition")
    return xp.sort(x, axis=axis)


def argpartition(x: Any, /, kth: Any, axis: int | None = -1) -> Array:
    """Return the positions of the elements as ``partition`` has them. Dtype: int64."""
    x, axis = _partitioned(x, kth, axis, "argpartition")
    return xp.argsort(x, axis=axis)


def _partitioned(x: Any, kth: Any, axis: int | None, name: str) -> tuple[Array, int]:
    x = xp.asarray(x)
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), -1
    extent = x.shape[axis]
    if any(not -extent <= place < extent for place in np.ravel(kth)):
        message = f"{name}: kth={kth} is out of range for an axis of extent {extent}"
        raise ValueError(message)
    return x, axis


def _ordered(x: Any, axis: _Axes, keepdims: bool) -> tuple[Array, tuple[int, ...]]:
    """Return floats in order, the reduced axes as the last one, and the shape of the reduction."""
    x = xp.asarray(x)
    x = x if _inexact(x) else xp.astype(x, xp.float64)
    reduced = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    others = tuple(place for place in range(x.ndim) if place not in reduced)
    kept = tuple(x.shape[place] for place in others)
    rows = xp.reshape(xp.permute_dims(x, others + reduced), (*kept, math.prod(x.shape[place] for place in reduced)))
    shape = tuple(1 if place in reduced else extent for place, extent in enumerate(x.shape)) if keepdims else kept
    return xp.sort(rows), shape


def _shares(q: Any, method: str, name: str) -> npt.NDArray[np.float64]:
    if method not in _PLOTTING and method not in _ROUNDED:
        message = f"{name}: unknown method {method!r}; known are {', '.join((*_PLOTTING, *_ROUNDED))}"
        raise ValueError(message)
    shares = np.asarray(q, dtype=np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        message = f"{name}: q={q} is not between 0 and 1"
        raise ValueError(message)
    return shares


def _hundredths(q: Any) -> Any:
    return q / 100 if isinstance(q, int | float) else np.asarray(q, dtype=np.float64) / 100


def _place(library: Any, share: float, extent: Any, method: str) -> Any:
    """Where the quantile stands, from 0 to ``extent - 1``, by NumPy's functions for a number and ours for an array."""
    before, after = _PLOTTING.get(method, (1.0, 1.0))
    place = extent * share + (before + share * (1 - before - after) - 1)
    place = library.maximum(library.minimum(place, extent - 1.0), 0.0)
    if method == "midpoint":
        return (library.floor(place) + library.ceil(place)) / 2
    rounding = {"lower": library.floor, "higher": library.ceil, "nearest": library.round}
    return rounding[method](place) if method in rounding else place


def _between(low: Array, high: Array, weight: Any) -> Array:
    """From ``low`` to ``high`` by a weight, which is exact at both ends: as NumPy, from the nearer end."""
    difference = high - low
    near = low + difference * weight
    far = high - difference * (1.0 - weight)
    # Infinities have no difference.
    return xp.where((low == high) | (weight == 0.0), low, xp.where(weight < 0.5, near, far))


def _stacked(results: list[Array], ordered: Array, shape: tuple[int, ...]) -> Array:
    return xp.reshape(xp.stack(results), shape) if results else xp.zeros(shape, dtype=ordered.dtype)


def _unless_nan(result: Array, ordered: Array) -> Array:
    return xp.where(xp.isnan(ordered[..., -1]), _NAN, result)

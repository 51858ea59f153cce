"""Order statistics: medians, quantiles, partitions, orders of several keys. All of them sort."""

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
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
# Methods whose result is one of the elements, and those that interpolate.
_PICKING = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")
_METHODS = ("linear", *_PLOTTING, "averaged_inverted_cdf", "midpoint", *_PICKING)


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
def quantile(
    x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Array:
    """Return what so many of the elements in order are below: interpolated, as ``method`` says; NaN where there is one.

    ``q`` is a number or an array of numbers from 0 to 1, which is computed. Methods: linear, hazen, weibull,
    median_unbiased, normal_unbiased, interpolated_inverted_cdf, averaged_inverted_cdf, midpoint, and those that pick an
    element: inverted_cdf, closest_observation, lower, higher, nearest. ``weights``, for inverted_cdf only, have the
    shape of ``x`` or that of the axes, and are computed.
    Shape: that of ``q``, then that of the reduction. Dtype: that of ``x`` where an element is picked, else float64 or
    that of ``x`` for floats, promoted with an array ``q``. Raises ValueError for ``q`` out of range, another method,
    an axis without elements and weights that are negative, not finite or all 0; IndexError for an axis out of range;
    TypeError for complex numbers.
    """
    return _quantiles("quantile", x, q, axis, method, keepdims, weights, skip=False)


@rounded_once
def percentile(
    x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Array:
    """Return the quantiles at ``q`` of a hundred. The rest as ``quantile``."""
    return _quantiles("percentile", x, _hundredths(q), axis, method, keepdims, weights, skip=False)


def nanmedian(x: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the median of what is not NaN; NaN where nothing is. Dtype and errors as ``median``."""
    x = xp.asarray(x)
    return nanquantile(x, 0.5, axis, keepdims=keepdims) if _inexact(x) else median(x, axis, keepdims=keepdims)


@rounded_once
def nanquantile(
    x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Array:
    """Return the quantiles of what is not NaN; NaN where nothing is. The rest as ``quantile``."""
    return _quantiles("nanquantile", x, q, axis, method, keepdims, weights, skip=True)


@rounded_once
def nanpercentile(
    x: Any, /, q: Any, axis: _Axes = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Array:
    """Return the quantiles of what is not NaN at ``q`` of a hundred. The rest as ``quantile``."""
    return _quantiles("nanpercentile", x, _hundredths(q), axis, method, keepdims, weights, skip=True)


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


def lexsort(keys: Any, /, axis: int = -1) -> Array:
    """Return the positions of the elements in the order of several keys, of which the last one comes first.

    Dtype: int64. Raises TypeError without keys, ValueError when their shapes differ, IndexError for an axis out of
    range.
    """
    arrays = [xp.asarray(key) for key in keys]
    if not arrays:
        message = "lexsort: expected at least one key"
        raise TypeError(message)
    order = xp.argsort(arrays[0], axis=axis)
    for key in arrays[1:]:
        if key.shape != arrays[0].shape:
            message = f"lexsort: keys of shapes {arrays[0].shape} and {key.shape}"
            raise ValueError(message)
        again = xp.argsort(xp.take_along_axis(key, order, axis=axis), axis=axis)
        order = xp.take_along_axis(order, again, axis=axis)
    return order


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
    rows, shape = _rows(x if _inexact(x) else xp.astype(x, xp.float64), axis, keepdims)
    return xp.sort(rows), shape


def _rows(x: Array, axis: _Axes, keepdims: bool) -> tuple[Array, tuple[int, ...]]:
    """Return the array with the reduced axes as the last one, and the shape of the reduction."""
    reduced = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    others = tuple(place for place in range(x.ndim) if place not in reduced)
    kept = tuple(x.shape[place] for place in others)
    rows = xp.reshape(xp.permute_dims(x, others + reduced), (*kept, math.prod(x.shape[place] for place in reduced)))
    shape = tuple(1 if place in reduced else extent for place, extent in enumerate(x.shape)) if keepdims else kept
    return rows, shape


def _quantiles(
    name: str, x: Any, q: Any, axis: _Axes, method: str, keepdims: bool, weights: Any, *, skip: bool
) -> Array:  # fmt: skip
    """Quantiles; with ``skip`` those of what is not NaN."""
    x = xp.asarray(x)
    shares = _shares(name, q, method)
    if x.dtype.kind == "c":
        message = f"{name}: expected real numbers, got {x.dtype}"
        raise TypeError(message)
    dtype = x.dtype
    # As NumPy: 0 and 1 without a point are the first and the last element.
    picks = method in _PICKING or (method == "linear" and np.asarray(q).dtype.kind in "iu")
    if not picks:
        dtype = dtype if _inexact(x) else np.dtype(np.float64)
        dtype = dtype if type(q) in {int, float} else np.result_type(dtype, np.asarray(q).dtype)
    rows, shape = _rows(x, axis, keepdims)
    extent = rows.shape[-1]
    if extent == 0 and not (skip and _inexact(x)):
        message = f"{name}: an axis without elements has no quantiles"
        raise ValueError(message)
    if extent == 0:
        return xp.full(shares.shape + shape, _NAN, dtype=dtype)
    if weights is not None:
        each = _rows(_weights(name, weights, x, axis, method), axis, keepdims)[0]
        results = _weighted(rows, each, shares, skip=skip)
    else:
        ordered = xp.sort(rows if _inexact(x) or picks else xp.astype(rows, dtype, copy=False))
        count = xp.sum(xp.astype(~xp.isnan(ordered), xp.float64), axis=-1) if skip and _inexact(x) else None
        results = [_picked(ordered, float(share), count, method, None if picks else dtype) for share in shares.ravel()]
    if _inexact(x):
        missing = xp.isnan(rows)
        missing = xp.all(missing, axis=-1) if skip else xp.any(missing, axis=-1)
        results = [xp.where(missing, _NAN, result) for result in results]
    if not results:
        return xp.zeros(shares.shape + shape, dtype=dtype)
    return xp.reshape(xp.stack(results), shares.shape + shape)


def _picked(ordered: Array, share: float, count: Array | None, method: str, dtype: Any) -> Array:
    """One quantile of each row, of the first ``count`` elements or all; interpolated if a dtype is given."""
    if count is None:
        low, high, weight = _neighbours(np, share, float(ordered.shape[-1]), method)
        first, second = ordered[..., int(low)], ordered[..., int(high)]
        return first if dtype is None else _between(first, second, xp.asarray(weight, dtype=dtype))
    low, high, weight = _neighbours(xp, share, xp.maximum(count, 1.0), method)

    def at(place: Array) -> Array:
        return xp.take_along_axis(ordered, xp.astype(place, xp.int64)[..., None], axis=-1)[..., 0]

    return at(low) if dtype is None else _between(at(low), at(high), xp.astype(xp.asarray(weight), dtype))


def _weights(name: str, weights: Any, x: Array, axis: _Axes, method: str) -> Array:
    """The weights in the shape of the array."""
    if method != "inverted_cdf":
        message = f"{name}: only method 'inverted_cdf' takes weights, got {method!r}"
        raise ValueError(message)
    each = xp.asarray(weights)
    if each.shape != x.shape:
        if axis is None:
            message = f"{name}: weights of shape {each.shape} for shape {x.shape} need an axis"
            raise TypeError(message)
        axes = normalize_axis_tuple(axis, x.ndim)
        if each.shape != tuple(x.shape[place] for place in axes):
            message = f"{name}: weights of shape {each.shape} do not fit axes {axes} of shape {x.shape}"
            raise ValueError(message)
        each = xp.permute_dims(each, tuple(np.argsort(axes).tolist()))
        each = xp.reshape(each, tuple(extent if place in axes else 1 for place, extent in enumerate(x.shape)))
    if bool(xp.any(each < 0)):
        message = f"{name}: weights must not be negative"
        raise ValueError(message)
    return xp.broadcast_to(each, x.shape)


def _weighted(rows: Array, weights: Array, shares: npt.NDArray[np.float64], *, skip: bool) -> list[Array]:
    """The first elements in order up to which the weights make up a share of all."""
    weights = xp.astype(weights, xp.float64)
    if skip and _inexact(rows):
        weights = xp.where(xp.isnan(rows), 0.0, weights)
    order = xp.argsort(rows)
    ordered = xp.take_along_axis(rows, order)
    sums = xp.cumulative_sum(xp.take_along_axis(weights, order), axis=-1)
    parts = sums / sums[..., -1:]
    # With `skip` a row of NaN has no weight.
    if not skip and bool(xp.any(xp.isnan(parts[..., -1]))):
        message = "quantile: weights are not finite, or all 0"
        raise ValueError(message)
    # What weighs nothing is not even the quantile 0.
    parts = xp.where(parts == 0, -1.0, parts)
    last = rows.shape[-1] - 1
    places = (xp.minimum(xp.count_nonzero(parts < float(share), axis=-1), last) for share in shares.ravel())
    return [xp.take_along_axis(ordered, place[..., None])[..., 0] for place in places]


def _shares(name: str, q: Any, method: str) -> npt.NDArray[np.float64]:
    if method not in _METHODS:
        message = f"{name}: unknown method {method!r}; known are {', '.join(_METHODS)}"
        raise ValueError(message)
    shares = np.asarray(q, dtype=np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        message = f"{name}: q={q} is not between 0 and 1"
        raise ValueError(message)
    return shares


def _hundredths(q: Any) -> Any:
    return q / 100 if type(q) in {int, float} else np.true_divide(np.asarray(q), 100)


def _neighbours(library: Any, share: float, extent: Any, method: str) -> tuple[Any, Any, Any]:
    """The places of two neighbours and how far the quantile is from the first to the second.

    Computed by NumPy's functions for a number of elements, and ours for an array of numbers.
    """
    last = extent - 1.0
    if method in {"lower", "higher", "nearest"}:
        rounding = {"lower": library.floor, "higher": library.ceil, "nearest": library.round}[method]
        place = rounding(last * share)
        return place, place, 0.0
    if method in {"inverted_cdf", "closest_observation"}:
        place = extent * share - (1.0 if method == "inverted_cdf" else 1.5)
        below = library.floor(place)
        exact = place == below
        if method == "closest_observation":
            exact = exact & (library.remainder(below, 2.0) == 1.0)
        place = library.maximum(library.where(exact, below, below + 1.0), 0.0)
        return place, place, 0.0
    if method in _PLOTTING:
        before, after = _PLOTTING[method]
        place = extent * share + (before + share * (1 - before - after)) - 1
    else:
        place = extent * share - 1 if method == "averaged_inverted_cdf" else last * share
    low = library.maximum(library.minimum(library.floor(place), last), 0.0)
    high = library.where((place >= last) | (place < 0), low, low + 1.0)
    weight = place - low
    if method == "averaged_inverted_cdf":
        weight = library.where(weight == 0, 0.5, 1.0)
    if method == "midpoint":
        weight = library.where(weight == 0, 0.0, 0.5)
    return low, high, weight


def _between(low: Array, high: Array, weight: Any) -> Array:
    """From ``low`` to ``high`` by a weight, which is exact at both ends: as NumPy, from the nearer end."""
    difference = high - low
    near = low + difference * weight
    far = high - difference * (1.0 - weight)
    # Infinities have no difference.
    return xp.where((low == high) | (weight == 0.0), low, xp.where(weight < 0.5, near, far))


def _unless_nan(result: Array, ordered: Array) -> Array:
    return xp.where(xp.isnan(ordered[..., -1]), _NAN, result)

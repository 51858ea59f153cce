"""Sums, differences and averages of samples, and positions among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._inspection import kind

_Axes = int | tuple[int, ...] | None


def average(
    a: Any, /, axis: _Axes = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Array | tuple[Array, Array]:
    """Return the mean, of elements that count as much as their weights say; with ``returned`` the sum of weights, too.

    ``weights`` have the shape of ``a`` or that of the axes averaged over. Dtypes are promoted, integers to float64.
    Raises TypeError for weights of another shape without an axis, ValueError for those that do not fit the axes.
    """
    x = xp.asarray(a)
    if weights is None:
        mean = xp.mean(x, axis=axis, keepdims=keepdims)
        if not returned:
            return mean
        return mean, xp.full(mean.shape, x.size / max(mean.size, 1), dtype=mean.dtype)
    each = xp.asarray(weights)
    if each.shape != x.shape:
        if axis is None:
            message = f"average: weights of shape {each.shape} for shape {x.shape} need an axis"
            raise TypeError(message)
        axes = normalize_axis_tuple(axis, x.ndim)
        if each.shape != tuple(x.shape[place] for place in axes):
            message = f"average: weights of shape {each.shape} do not fit axes {axes} of shape {x.shape}"
            raise ValueError(message)
        # The weights' axes are in the order given.
        order = sorted(range(len(axes)), key=lambda place: axes[place])
        each = xp.permute_dims(each, tuple(order))
        each = xp.reshape(each, tuple(extent if place in axes else 1 for place, extent in enumerate(x.shape)))
    dtype = xp.result_type(x, each, *([] if {kind(x.dtype), kind(each.dtype)} & {"f", "c"} else [xp.float64]))
    each = xp.astype(xp.broadcast_to(each, x.shape), dtype, copy=False)
    total = xp.sum(each, axis=axis, keepdims=keepdims)
    mean = xp.sum(xp.astype(x, dtype, copy=False) * each, axis=axis, keepdims=keepdims) / total
    return (mean, total) if returned else mean


def digitize(x: Any, bins: Any, /, right: bool = False) -> Array:
    """Return the number of the bin of each element, from the bins' edges in ascending or descending order.

    Computes the edges. Bins hold their left edge, with ``right`` their right one. Dtype: int64. Raises ValueError for
    edges in no order.
    """
    edges = xp.asarray(bins)
    if edges.ndim != 1:
        message = f"digitize: expected a vector of edges, got shape {edges.shape}"
        raise ValueError(message)
    side: Literal["left", "right"] = "left" if right else "right"
    if bool(xp.all(edges[1:] >= edges[:-1])):
        return xp.searchsorted(edges, x, side=side)
    if not bool(xp.all(edges[1:] <= edges[:-1])):
        message = "digitize: the edges of bins must be in ascending or descending order"
        raise ValueError(message)
    return edges.shape[0] - xp.searchsorted(xp.flip(edges), x, side=side)


def ediff1d(ary: Any, /, to_end: Any = None, to_begin: Any = None) -> Array:
    """Return the differences of neighbours in the flattened array, with values put before and after."""
    flat = xp.reshape(xp.asarray(ary), (-1,))
    parts = [flat[1:] - flat[:-1]]
    for place, values in ((0, to_begin), (len(parts), to_end)):
        if values is not None:
            extra = xp.reshape(xp.asarray(values), (-1,))
            if not np.can_cast(extra.dtype, flat.dtype, "same_kind"):
                message = f"ediff1d: {extra.dtype} cannot be put with {flat.dtype}"
                raise TypeError(message)
            parts.insert(place if place == 0 else len(parts), xp.astype(extra, flat.dtype))
    return xp.concat(parts)


def gradient(f: Any, /, *varargs: Any, axis: _Axes = None, edge_order: int = 1) -> Array | tuple[Array, ...]:
    """Return the slopes along axes (all by default, then a tuple): central differences, at the ends those of one side.

    Distances of samples are 1, or a number for all axes, or for each axis a number or the samples' places. Dtype: that
    of ``f`` for floats, else float64. Raises ValueError for axes with too few samples and places that do not fit.
    """
    x = xp.asarray(f)
    x = x if kind(x.dtype) in "fc" else xp.astype(x, xp.float64)
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)
    distances = varargs * len(axes) if len(varargs) == 1 and np.ndim(varargs[0]) == 0 else varargs or (1.0,) * len(axes)
    if len(distances) != len(axes):
        message = f"gradient: {len(distances)} distances for {len(axes)} axes"
        raise TypeError(message)
    if edge_order not in {1, 2}:
        message = f"gradient: edge_order must be 1 or 2, got {edge_order}"
        raise ValueError(message)
    results = tuple(_slopes(x, place, step, edge_order) for place, step in zip(axes, distances, strict=True))
    return results[0] if len(axes) == 1 else results


def _slopes(x: Array, axis: int, places: Any, edge_order: int) -> Array:
    extent = x.shape[axis]
    if extent < edge_order + 1:
        message = f"gradient: axis {axis} of shape {x.shape} needs at least {edge_order + 1} samples"
        raise ValueError(message)
    x = xp.moveaxis(x, axis, -1)
    steps: Any = places
    if np.ndim(places):
        places = xp.asarray(places)
        if places.shape != (extent,):
            message = f"gradient: {places.shape} places for {extent} samples"
            raise ValueError(message)
        steps = xp.diff(places if kind(places.dtype) == "f" else xp.astype(places, xp.float64))
        before, after = steps[:-1], steps[1:]
        low, high = -after / (before * (before + after)), before / (after * (before + after))
        middle = low * x[..., :-2] + (after - before) / (before * after) * x[..., 1:-1] + high * x[..., 2:]
        first, second, last, other = (steps[place] for place in (0, min(1, extent - 2), -1, max(-2, 1 - extent)))
    else:
        middle = (x[..., 2:] - x[..., :-2]) / (2.0 * places)
        first = second = last = other = places
    if edge_order == 1:
        start = (x[..., 1:2] - x[..., :1]) / first
        end = (x[..., -1:] - x[..., -2:-1]) / last
    else:
        start = _one_sided(x[..., 0:1], x[..., 1:2], x[..., 2:3], first, second)
        end = -_one_sided(x[..., -1:], x[..., -2:-1], x[..., -3:-2], last, other)
    return xp.moveaxis(xp.concat([start, middle, end], axis=-1), -1, axis)


def _one_sided(a: Array, b: Array, c: Array, near: Any, far: Any) -> Array:
    """The slope at ``a`` of the parabola through three samples."""
    both = near + far
    slope: Array = -(2.0 * near + far) / (near * both) * a + both / (near * far) * b - near / (far * both) * c
    return slope


def interp(
    x: Any, xp_: Any, fp: Any, /, left: Any = None, right: Any = None, period: float | None = None
) -> Array:  # fmt: skip
    """Return values of the piecewise linear function through points, whose places are in ascending order.

    Outside them it has the value of the nearest, or ``left`` and ``right``; or it has a period. Dtype: float64, or
    complex128. Raises ValueError for points that are no vectors of one length.
    """
    places, values = xp.asarray(xp_, dtype=xp.float64), xp.asarray(fp)
    values = xp.astype(values, xp.complex128 if values.dtype.kind == "c" else xp.float64, copy=False)
    at = xp.asarray(x)
    at = xp.astype(at, xp.float64, copy=False)
    if places.ndim != 1 or places.shape != values.shape or places.shape[0] == 0:
        message = f"interp: points of shapes {places.shape} and {values.shape} are no vectors of one length"
        raise ValueError(message)
    if period is not None:
        if period == 0:
            message = "interp: the period must not be 0"
            raise ValueError(message)
        period = abs(period)
        at, places = at % period, places % period
        order = xp.argsort(places)
        places, values = places[order], values[order]
        places = xp.concat([places[-1:] - period, places, places[:1] + period])
        values = xp.concat([values[-1:], values, values[:1]])
        left = right = None
    count = places.shape[0]
    above = xp.clip(xp.searchsorted(places, at, side="right"), 1, max(count - 1, 1))
    low = above - 1
    above = xp.minimum(above, count - 1)
    x0, x1, y0, y1 = places[low], places[above], values[low], values[above]
    slope = (y1 - y0) / xp.where(x1 == x0, 1.0, x1 - x0)
    result = xp.where(at == x1, y1, slope * (at - x0) + y0)
    result = xp.where(at < places[0], values[0] if left is None else left, result)
    result = xp.where(at > places[-1], values[-1] if right is None else right, result)
    result = xp.where(at == places[-1], values[-1], result)
    return xp.where(xp.isnan(at), math.nan, result)


def ptp(a: Any, /, axis: _Axes = None, *, keepdims: bool = False) -> Array:
    """Return the largest element less the smallest. Raises ValueError over no elements."""
    x = xp.asarray(a)
    return xp.max(x, axis=axis, keepdims=keepdims) - xp.min(x, axis=axis, keepdims=keepdims)


def trapezoid(y: Any, /, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """Return the integral along an axis by the trapezoidal rule, of samples at places ``x`` or ``dx`` apart.

    Raises ValueError for places that do not fit, IndexError for an axis out of range.
    """
    samples = xp.asarray(y)
    axis = normalize_axis_index(axis, samples.ndim)
    samples = xp.moveaxis(samples, axis, -1)
    step = dx
    if x is not None:
        places = xp.asarray(x)
        places = places if places.ndim == 1 else xp.moveaxis(places, axis, -1)
        step = xp.diff(places, axis=-1)
    return xp.sum(step * (samples[..., 1:] + samples[..., :-1]) / 2.0, axis=-1)


def unwrap(
    p: Any, /, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi
) -> Array:  # fmt: skip
    """Return angles in which no neighbours along an axis are more than ``discont`` apart, by adding whole periods.

    ``discont`` is at least half the period. Dtype: that of ``p`` for floats, else float64.
    """
    x = xp.asarray(p)
    integral = x.dtype.kind in "iu" and isinstance(period, int)
    x = x if integral or kind(x.dtype) == "f" else xp.astype(x, xp.float64)
    axis = normalize_axis_index(axis, x.ndim)
    x = xp.moveaxis(x, axis, -1)
    steps = xp.diff(x, axis=-1)
    high, odd = divmod(period, 2) if integral else (period / 2, 0)
    wrapped = xp.remainder(steps + high, period) - high
    if (integral and odd == 0) or not integral:
        wrapped = xp.where((wrapped == -high) & (steps > 0), high, wrapped)
    limit = high if discont is None else max(discont, high)
    corrections = xp.where(xp.abs(steps) < limit, xp.zeros((), dtype=x.dtype), wrapped - steps)
    unwrapped = x[..., 1:] + xp.cumulative_sum(corrections, axis=-1)
    return xp.moveaxis(xp.concat([x[..., :1], unwrapped], axis=-1), -1, axis)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """Return elements of the first choice whose condition is true, and of ``default`` where none is.

    Raises ValueError when there are not as many conditions as choices or none, TypeError for other than booleans.
    """
    if len(condlist) != len(choicelist) or not condlist:
        message = f"select: {len(condlist)} conditions and {len(choicelist)} choices"
        raise ValueError(message)
    dtype = xp.result_type(*choicelist, default)
    result = xp.asarray(default, dtype=dtype)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        mask = xp.asarray(condition)
        if mask.dtype != xp.bool:
            message = f"select: conditions must be booleans, got {mask.dtype}"
            raise TypeError(message)
        result = xp.where(mask, xp.astype(xp.asarray(choice), dtype, copy=False), result)
    return result

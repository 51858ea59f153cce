"""Counting: ``histogram`` of one axis and of several, ``bincount``."""

from __future__ import annotations

from typing import Any

import numpy as np

import fusewire._fusewire as xp
from fusewire._fusewire import Array

# Up to so many bins every element is compared with every edge, in one pass over the array; sorting takes longer.
_FEW_BINS = 32


def histogram(
    x: Any, /, bins: Any = 10, range: Any = None, *, density: bool = False, weights: Any = None
) -> tuple[Array, Array]:
    """Return how many elements are in each bin, and the edges of the bins, the last of which is part of its bin.

    ``bins`` is a number of bins of one width, between the extremes or those of ``range``, or their edges, ascending.
    ``weights`` are summed instead of counting; with ``density`` the integral is 1. Dtypes: int64, or that of the
    weights, or float64 for a density; edges are at least float64, or those given. Raises
    ValueError for bins, a range or weights that do not fit.
    """
    flat = xp.reshape(xp.asarray(x), (-1,))
    edges = _edges(flat, bins, range)
    if flat.dtype == xp.bool:
        flat = xp.astype(flat, xp.uint8)
    each = None if weights is None else xp.reshape(xp.asarray(weights), (-1,))
    if each is not None and each.shape != flat.shape:
        message = f"histogram: {flat.size} elements have {each.size} weights"
        raise ValueError(message)
    counts = _compared(flat, edges, each) if edges.size <= _FEW_BINS + 1 else _sorted_in(flat, edges, each)
    if density:
        counts = counts / (edges[1:] - edges[:-1]) / xp.sum(counts)
    return counts, edges


def histogramdd(
    sample: Any, /, bins: Any = 10, range: Any = None, density: bool = False, weights: Any = None
) -> tuple[Array, list[Array]]:
    """Return how many points are in each box of a grid, and the edges of the boxes along each axis. Computes.

    Points are the rows of a matrix, or a vector of coordinates for each axis. ``bins`` and ``range`` are as for
    ``histogram``, one for all axes or one for each. Dtype: float64. Raises ValueError for what does not fit.
    """
    points = (
        xp.asarray(sample)
        if not isinstance(sample, list | tuple)
        else xp.stack([xp.asarray(x) for x in sample], axis=1)
    )
    points = xp.reshape(points, (-1, 1)) if points.ndim == 1 else points
    axes = points.shape[1]
    parts = (bins,) * axes if isinstance(bins, int | np.integer) else tuple(bins)
    limits = (None,) * axes if range is None else tuple(range)
    if not len(parts) == len(limits) == axes:
        message = f"histogramdd: {len(parts)} bins and {len(limits)} ranges for {axes} axes"
        raise ValueError(message)
    edges = [_edges(points[:, axis], parts[axis], limits[axis]) for axis in np.arange(axes)]
    shape = tuple(edge.size - 1 for edge in edges)
    place, inside = xp.zeros(points.shape[0], dtype=xp.int64), xp.ones(points.shape[0], dtype=xp.bool)
    for axis, edge in enumerate(edges):
        along = points[:, axis]
        # The last bin holds its right edge.
        number = xp.where(along == edge[-1], shape[axis] - 1, xp.searchsorted(edge, along, side="right") - 1)
        inside &= (number >= 0) & (number < shape[axis])
        place = place * shape[axis] + number
    each = xp.ones(points.shape[0]) if weights is None else xp.asarray(weights)
    counts = bincount(place[inside], xp.astype(each[inside], xp.float64), int(np.prod(shape)))
    counts = xp.reshape(counts, shape)
    if density:
        for axis, edge in enumerate(edges):
            widths = xp.reshape(xp.diff(edge), tuple(-1 if axis == other else 1 for other in np.arange(axes)))
            counts = counts / widths
        counts = counts * (1.0 / xp.sum(each[inside]))
    return counts, edges


def histogram2d(
    x: Any, y: Any, /, bins: Any = 10, range: Any = None, density: bool = False, weights: Any = None
) -> tuple[Array, Array, Array]:
    """Return how many points are in each box of a grid, and the edges of the boxes along both axes. Computes.

    ``bins`` is a number, a pair of those that ``histogram`` takes, or the edges for both. The rest as ``histogramdd``.
    """
    if not isinstance(bins, int | np.integer) and len(bins) not in {1, 2}:
        bins = (bins, bins)
    counts, (first, second) = histogramdd([x, y], bins, range, density, weights)
    return counts, first, second


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Array:
    """Return how often each of the integers from 0 to the largest comes, or the sums of their weights. Computes.

    Shape: one more than the largest, at least ``minlength``. Dtype: int64, float64 with weights. Raises ValueError for
    negative numbers, more than 1 axis and weights that do not fit, TypeError for other than integers.
    """
    # The shape depends on the values, so these are needed at once, and NumPy counts them.
    return xp.asarray(np.bincount(np.asarray(x), None if weights is None else np.asarray(weights), minlength))


def _edges(flat: Array, bins: Any, limits: Any) -> Array:
    if not isinstance(bins, int | np.integer):
        edges = xp.asarray(bins)
        if edges.ndim != 1 or not bool(xp.all(edges[:-1] <= edges[1:])):
            message = "histogram: the edges of bins must be a vector in ascending order"
            raise ValueError(message)
        return edges
    if bins < 1:
        message = f"histogram: bins={bins} must be positive"
        raise ValueError(message)
    if limits is not None:
        first, last = limits
        if not (np.isfinite([first, last]).all() and first <= last):
            message = f"histogram: range={limits} is no finite, ascending range"
            raise ValueError(message)
        low, high = xp.asarray(float(first)), xp.asarray(float(last))
    elif flat.size:
        low, high = (xp.astype(limit, xp.result_type(flat, xp.float64)) for limit in (xp.min(flat), xp.max(flat)))
    else:
        low, high = xp.asarray(0.0), xp.asarray(1.0)
    # A range of nothing is one of 1 around it.
    widening = xp.where(low == high, 0.5, 0.0)
    low, high = low - widening, high + widening
    steps = xp.arange(int(bins) + 1, dtype=xp.float64)
    return xp.where(steps == bins, high, low + steps * ((high - low) / int(bins)))


def _compared(flat: Array, edges: Array, weights: Array | None) -> Array:
    lower, upper = edges[:-1, None], edges[1:, None]
    last = xp.arange(edges.size - 1)[:, None] == edges.size - 2
    inside = (flat >= lower) & ((flat < upper) | (last & (flat == upper)))
    if weights is None:
        return xp.count_nonzero(inside, axis=1)
    return xp.sum(xp.where(inside, weights, xp.zeros((), dtype=weights.dtype)), axis=1, dtype=weights.dtype)


def _sorted_in(flat: Array, edges: Array, weights: Array | None) -> Array:
    order = xp.argsort(flat)
    ordered = xp.take(flat, order)
    below = xp.searchsorted(ordered, edges[:-1], side="left")
    below = xp.concat([below, xp.searchsorted(ordered, edges[-1:], side="right")])
    if weights is None:
        return xp.diff(below)
    sums = xp.cumulative_sum(xp.take(weights, order), dtype=weights.dtype, include_initial=True)
    return xp.diff(xp.take(sums, below))

"""Padding in NumPy's modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import fusewire._fusewire as xp
from fusewire._beyond.order import median
from fusewire._fusewire import Array

_Mode = Literal[
    "constant", "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect", "symmetric", "wrap", "empty"
]
_Widths = npt.NDArray[Any]


def pad(x: Any, /, pad_width: Any, mode: _Mode | Callable[..., Any] = "constant", **options: Any) -> Array:
    """Return the array with elements put before and after along each axis.

    ``pad_width`` is a number, a pair (before, after), a pair for each axis, or a dictionary of these by axis. The new
    elements are those of ``mode``, with its option, which is given as the width is: ``constant`` (``constant_values``,
    0), the nearest one (``edge``), a line to ``end_values`` (``linear_ramp``), a statistic of the ``stat_length`` next
    ones, all by default (``maximum``, ``mean``, ``median``, ``minimum``), mirrored without (``reflect``) or with the
    edge (``symmetric``), and upside down with ``reflect_type="odd"``, those of the other end (``wrap``), anything
    (``empty``), or what a function writes, as NumPy calls it, which computes. Dtype: that of ``x``. Raises TypeError
    for widths that are no integers, ValueError for another mode or option, for negative or ill-shaped widths and for
    extending an axis without elements by its own.
    """
    result = xp.asarray(x)
    widths = _widths(pad_width, result.ndim)
    if callable(mode):
        return xp.asarray(np.pad(np.asarray(result), widths, mode, **options))
    if mode not in _OPTIONS:
        message = f"pad: unknown mode {mode!r}; known are {', '.join(_OPTIONS)}"
        raise ValueError(message)
    unknown = sorted(set(options) - set(_OPTIONS[mode]))
    if unknown:
        message = f"pad: mode {mode!r} has no option {', '.join(unknown)}"
        raise ValueError(message)
    if mode in {"constant", "empty"}:
        values = options.get("constant_values", 0)
        if isinstance(values, dict):
            values = [values.get(axis, 0) for axis in range(result.ndim)]
        return framed(result, widths, np.broadcast_to(np.asarray(values), (result.ndim, 2)))
    for axis, (before, after) in enumerate(widths.tolist()):
        if result.shape[axis] == 0 and before + after > 0:
            message = f"pad: axis {axis} has no elements to extend it by with mode {mode!r}"
            raise ValueError(message)
        if mode == "linear_ramp":
            ends = np.broadcast_to(np.asarray(options.get("end_values", 0)), (result.ndim, 2))[axis]
            parts = [_ramp(result, axis, before, ends[0], 0), _ramp(result, axis, after, ends[1], -1)]
        elif mode in _STATISTICS:
            lengths = options.get("stat_length")
            lengths = np.broadcast_to(
                np.asarray(lengths if lengths is not None else result.shape[axis]), (result.ndim, 2)
            )
            parts = [
                _statistic(result, axis, width, int(length), mode, end)
                for width, length, end in ((before, lengths[axis][0], 0), (after, lengths[axis][1], -1))
            ]
        elif options.get("reflect_type", "even") == "odd":
            result = _turned(result, axis, before, after, mode)
            continue
        else:
            source, extent = _SOURCES[mode], result.shape[axis]
            first = _pieces(result, axis, source(np.arange(-before, 0), extent))
            last = _pieces(result, axis, source(np.arange(extent, extent + after), extent))
            result = xp.concat([*first, result, *last], axis=axis)
            continue
        result = xp.concat([parts[0], result, parts[1]], axis=axis)
    return result


# What each mode may be told.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "edge": (),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "median": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
    "empty": (),
}
_STATISTICS: dict[str, Callable[..., Array]] = {
    "maximum": xp.max, "mean": xp.mean, "median": median, "minimum": xp.min,
}  # fmt: skip


def _widths(pad_width: Any, rank: int) -> _Widths:
    if isinstance(pad_width, dict):
        pairs = np.zeros((rank, 2), dtype=np.int64)
        for axis, width in pad_width.items():
            pairs[axis] = width
        pad_width = pairs
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        message = f"pad: pad_width must be integers, got {pad_width!r}"
        raise TypeError(message)
    widths = np.broadcast_to(widths, (rank, 2))
    if np.any(widths < 0):
        message = f"pad: pad_width must not be negative, got {pad_width!r}"
        raise ValueError(message)
    return widths


def _end(x: Array, axis: int, count: int, end: int) -> Array:
    """The first (``end`` is 0) or last elements along an axis."""
    extent = x.shape[axis]
    chosen = slice(0, count) if end == 0 else slice(max(extent - count, 0), extent)
    return x[(*(slice(None),) * axis, chosen)]


def _ramp(x: Array, axis: int, width: int, value: Any, end: int) -> Array:
    """A line from the value outside to the edge, which is not part of it."""
    edge = _end(x, axis, 1, end)
    steps = xp.reshape(xp.arange(width, dtype=xp.float64), _replaced((1,) * x.ndim, axis, width))
    steps = steps if end == 0 else xp.flip(steps, axis=axis)
    start = xp.asarray(value)
    # As `linspace`: in double precision, with integers rounded down.
    wide = xp.complex128 if "c" in {edge.dtype.kind, start.dtype.kind} else xp.float64
    start = xp.astype(start, wide, copy=False)
    rise = xp.astype(edge, wide, copy=False) - start
    slope = rise / max(width, 1)
    # Where a slope is 0 or too small for a number, NumPy scales the steps first, in all lines.
    line = xp.where(xp.any(slope == 0), steps / max(width, 1) * rise, steps * slope) + start
    return xp.astype(xp.floor(line) if x.dtype.kind in "iu" else line, x.dtype, copy=False)


def _statistic(x: Array, axis: int, width: int, length: int, mode: str, end: int) -> Array:
    if length < 1 and mode in {"maximum", "minimum"} and width >= 0:
        message = f"pad: mode {mode!r} needs a stat_length of at least 1, got {length}"
        raise ValueError(message)
    value = _STATISTICS[mode](_end(x, axis, length, end), axis=axis, keepdims=True)
    if x.dtype.kind in "iu":
        value = xp.round(value)
    return xp.broadcast_to(xp.astype(value, x.dtype, copy=False), _replaced(x.shape, axis, width))


def _turned(x: Array, axis: int, before: int, after: int, mode: str) -> Array:
    """Extended by what is there already, turned around its ends, as often as needed."""
    skipped = 1 if mode == "reflect" else 0
    period = x.shape[axis] - skipped
    if period == 0:
        edges = _pieces(x, axis, np.zeros(before, np.int64)), _pieces(x, axis, np.zeros(after, np.int64))
        return xp.concat([*edges[0], x, *edges[1]], axis=axis)
    counted = xp.int8 if x.dtype == xp.bool else x.dtype
    while before > 0 or after > 0:
        # Whole copies only, or the next piece would begin in the middle of one.
        extent = (x.shape[axis] - skipped) // period * period
        for end, count in ((0, min(before, extent)), (-1, min(after, extent))):
            if count:
                inner = _end(_end(x, axis, count + skipped, end), axis, count, -1 - end)
                edge, inner = (xp.astype(part, counted, copy=False) for part in (_end(x, axis, 1, end), inner))
                piece = xp.astype(2 * edge - xp.flip(inner, axis=axis), x.dtype, copy=False)
                x = xp.concat([piece, x] if end == 0 else [x, piece], axis=axis)
        before, after = max(before - extent, 0), max(after - extent, 0)
    return x


def framed(x: Array, widths: _Widths, values: npt.NDArray[Any]) -> Array:
    for axis in range(x.ndim):
        before, after = (
            xp.full(_replaced(x.shape, axis, int(width)), value, dtype=x.dtype)
            for width, value in zip(widths[axis], values[axis], strict=True)
        )
        x = xp.concat([before, x, after], axis=axis)
    return x


def _nearest(position: npt.NDArray[np.int64], extent: int) -> npt.NDArray[np.int64]:
    return np.clip(position, 0, extent - 1)


def _around(position: npt.NDArray[np.int64], extent: int) -> npt.NDArray[np.int64]:
    return position % extent


def _reflected(position: npt.NDArray[np.int64], extent: int) -> npt.NDArray[np.int64]:
    period = max(2 * (extent - 1), 1)
    position = position % period
    return np.minimum(position, period - position) if extent > 1 else position * 0


def _mirrored(position: npt.NDArray[np.int64], extent: int) -> npt.NDArray[np.int64]:
    position = position % (2 * extent)
    return np.minimum(position, 2 * extent - 1 - position)


# Which element stands at a position outside an axis.
_SOURCES = {"edge": _nearest, "reflect": _reflected, "symmetric": _mirrored, "wrap": _around}


def _pieces(x: Array, axis: int, positions: npt.NDArray[np.int64]) -> Iterator[Array]:
    """Yield the elements at positions along an axis as views, each of a run of neighbours."""
    steps = np.diff(positions)
    start = 0
    while start < len(positions):
        step = int(steps[start]) if start < len(steps) else 0
        breaks = np.flatnonzero(steps[start:] != step)
        stop = start + 1 + (int(breaks[0]) if len(breaks) else len(steps) - start)
        if abs(step) > 1:
            stop = start + 1
        first, last = int(positions[start]), int(positions[stop - 1])
        index: list[Any] = [slice(None)] * x.ndim
        index[axis] = slice(min(first, last), max(first, last) + 1)
        piece = x[tuple(index)]
        if step == 0:
            piece = xp.broadcast_to(piece, _replaced(x.shape, axis, stop - start))
        elif step < 0:
            piece = xp.flip(piece, axis=axis)
        yield piece
        start = stop


def _replaced(shape: tuple[int, ...], axis: int, extent: int) -> tuple[int, ...]:
    return (*shape[:axis], extent, *shape[axis + 1 :])

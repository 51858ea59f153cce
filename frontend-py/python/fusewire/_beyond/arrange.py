"""Padding, diagonals, ranks and positions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import fusewire._fusewire as xp
from fusewire._fusewire import Array

_Mode = Literal["constant", "edge", "reflect", "symmetric", "wrap"]


def pad(x: Any, /, pad_width: Any, mode: _Mode = "constant", *, constant_values: Any = 0) -> Array:
    """Return the array with elements put before and after along each axis.

    ``pad_width`` and ``constant_values`` are a number, a pair (before, after), or a pair for each axis. The new ones
    are constants, the nearest one (``edge``), mirrored without (``reflect``) or with the edge (``symmetric``), or those
    of the other end (``wrap``). Dtype: that of ``x``. Raises TypeError for widths that are no integers, ValueError for
    another mode, negative or ill-shaped widths, and for extending an axis without elements by its own.
    """
    result = xp.asarray(x)
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        message = f"pad: pad_width must be integers, got {pad_width!r}"
        raise TypeError(message)
    widths = np.broadcast_to(widths, (result.ndim, 2))
    if np.any(widths < 0):
        message = f"pad: pad_width must not be negative, got {pad_width!r}"
        raise ValueError(message)
    if mode == "constant":
        return _framed(result, widths, np.broadcast_to(np.asarray(constant_values), (result.ndim, 2)))
    if mode not in _SOURCES:
        message = f"pad: unknown mode {mode!r}; known are constant, {', '.join(_SOURCES)}"
        raise ValueError(message)
    for axis, (before, after) in enumerate(widths.tolist()):
        extent = result.shape[axis]
        if extent == 0 and before + after > 0:
            message = f"pad: axis {axis} has no elements to extend it by with mode {mode!r}"
            raise ValueError(message)
        source = _SOURCES[mode]
        first = _pieces(result, axis, source(np.arange(-before, 0), extent))
        last = _pieces(result, axis, source(np.arange(extent, extent + after), extent))
        result = xp.concat([*first, result, *last], axis=axis)
    return result


def _framed(x: Array, widths: npt.NDArray[Any], values: npt.NDArray[Any]) -> Array:
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


def atleast_1d(*arrays: Any) -> Array | tuple[Array, ...]:
    """Return the array, or a tuple of the arrays, with an axis where there is none."""
    return _each(arrays, lambda x: xp.reshape(x, (1,)) if x.ndim == 0 else x)


def atleast_2d(*arrays: Any) -> Array | tuple[Array, ...]:
    """Return the array, or a tuple of the arrays, with axes of extent 1 put in front up to two."""
    return _each(arrays, lambda x: xp.reshape(x, (1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x)


def atleast_3d(*arrays: Any) -> Array | tuple[Array, ...]:
    """Return the array, or a tuple of the arrays, with three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1)."""

    def raised(x: Array) -> Array:
        shapes = {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}
        return xp.reshape(x, shapes.get(x.ndim, x.shape))

    return _each(arrays, raised)


def _each(arrays: Sequence[Any], change: Any) -> Array | tuple[Array, ...]:
    results = tuple(change(xp.asarray(x)) for x in arrays)
    return results[0] if len(results) == 1 else results


def diag(x: Any, /, k: int = 0) -> Array:
    """Return diagonal ``k`` of a matrix, or the matrix with a vector on its diagonal ``k`` and zeros elsewhere.

    Raises ValueError for other than 1 or 2 axes.
    """
    x = xp.asarray(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        message = f"diag: expected 1 or 2 axes, got shape {x.shape}"
        raise ValueError(message)
    size = x.shape[0] + abs(k)
    padded = _framed(x, np.asarray([[0, abs(k)]]), np.zeros((1, 2)))
    # Row i has element i where the diagonal is to the right, column j has element j where it is below.
    values = xp.reshape(padded, (size, 1) if k >= 0 else (1, size))
    return xp.where(xp.eye(size, k=k, dtype=xp.bool), values, xp.zeros((), dtype=x.dtype))


def diagonal(x: Array, k: int) -> Array:
    """Return diagonals ``k`` of the matrices in the last two axes, as the last axis."""
    rows, columns = x.shape[-2:]
    count = max(0, min(rows + min(k, 0), columns - max(k, 0)))
    # Of the columns, n of them, in one axis: every (n + 1)th element.
    first = k if k >= 0 else -k * columns
    flat = xp.reshape(x, (*x.shape[:-2], rows * columns))
    return flat[..., first : first + count * (columns + 1) : columns + 1][..., :count]


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Return rows and columns of what is on and below diagonal ``k`` of a matrix of n rows and m or n columns.

    Dtype: int64.
    """
    rows, columns = np.tril_indices(n, k, m)
    return xp.asarray(rows), xp.asarray(columns)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, Array]:
    """Return rows and columns of what is on and above diagonal ``k`` of a matrix of n rows and m or n columns.

    Dtype: int64.
    """
    rows, columns = np.triu_indices(n, k, m)
    return xp.asarray(rows), xp.asarray(columns)


def unravel_index(indices: Any, shape: int | tuple[int, ...], /) -> tuple[Array, ...]:
    """Return the coordinates of positions in a flattened array of a shape, an array an axis.

    Positions out of range are not looked for, since that would compute: their first coordinate is out of range.
    Dtype: int64. Raises TypeError for positions that are no integers, ValueError for a shape without elements.
    """
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    rest = xp.asarray(indices)
    if not np.isdtype(rest.dtype, "integral"):
        message = f"unravel_index: expected integers, got {rest.dtype}"
        raise TypeError(message)
    if math.prod(extents) == 0:
        message = f"unravel_index: an array of shape {extents} has no elements"
        raise ValueError(message)
    rest = xp.astype(rest, xp.int64, copy=False)
    coordinates = []
    for extent in reversed(extents[1:]):
        coordinates.append(rest % extent)
        rest = rest // extent
    return (rest, *reversed(coordinates)) if extents else ()

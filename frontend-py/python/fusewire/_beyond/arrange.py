"""Ranks, diagonals and positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

import fusewire._fusewire as xp
from fusewire._beyond.padding import framed
from fusewire._fusewire import Array


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
        return diagonal_of_matrices(x, k)
    if x.ndim != 1:
        message = f"diag: expected 1 or 2 axes, got shape {x.shape}"
        raise ValueError(message)
    size = x.shape[0] + abs(k)
    padded = framed(x, np.asarray([[0, abs(k)]]), np.zeros((1, 2)))
    # Row i has element i where the diagonal is to the right, column j has element j where it is below.
    values = xp.reshape(padded, (size, 1) if k >= 0 else (1, size))
    return xp.where(xp.eye(size, k=k, dtype=xp.bool), values, xp.zeros((), dtype=x.dtype))


def diagonal_of_matrices(x: Array, k: int) -> Array:
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


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """Return the positions of the main diagonal of an array of so many axes, each of extent ``n``. Dtype: int64."""
    return (xp.arange(n),) * ndim


def argwhere(a: Any, /) -> Array:
    """Return the positions of the elements that are not 0, as the rows of an int64 matrix. Computes."""
    x = xp.asarray(a)
    if x.ndim == 0:
        return xp.zeros((int(bool(x)), 0), dtype=xp.int64)
    return xp.stack(xp.nonzero(x), axis=1)


def flatnonzero(a: Any, /) -> Array:
    """Return the positions in the flattened array of the elements that are not 0. Dtype: int64. Computes."""
    return xp.nonzero(xp.reshape(xp.asarray(a), (-1,)))[0]


def compress(condition: Any, a: Any, /, axis: int | None = None) -> Array:
    """Return the elements along an axis for which a vector of conditions is true; of the flattened array without one.

    Computes the conditions, of which there may be fewer than elements. Raises IndexError for one that is true beyond
    the axis or for an axis out of range, ValueError for conditions that are no vector.
    """
    mask = xp.asarray(condition)
    if mask.ndim != 1:
        message = f"compress: expected a vector of conditions, got shape {mask.shape}"
        raise ValueError(message)
    return xp.take(xp.asarray(a), xp.nonzero(mask)[0], axis=axis)


def extract(condition: Any, arr: Any, /) -> Array:
    """Return the elements where a condition is true, in one axis. Computes the condition."""
    return compress(xp.reshape(xp.asarray(condition), (-1,)), xp.asarray(arr))


def ravel_multi_index(
    multi_index: Sequence[Any], dims: Sequence[int], /, mode: Any = "raise", order: Literal["C", "F"] = "C"
) -> Array:
    """Return the positions in a flattened array that coordinates mean. Dtype: int64.

    Those out of range are taken as ``mode`` says, one for all axes or one for each: ``wrap``, ``clip``, or ``raise``,
    which computes them and raises ValueError. Raises TypeError for coordinates that are no integers.
    """
    modes = (mode,) * len(dims) if isinstance(mode, str) else tuple(mode)
    coordinates = [_integers("ravel_multi_index", x) for x in multi_index]
    if not len(coordinates) == len(dims) == len(modes):
        message = f"ravel_multi_index: {len(coordinates)} coordinates and {len(modes)} modes for {len(dims)} axes"
        raise ValueError(message)
    total = xp.zeros((), dtype=xp.int64)
    axes = list(zip(coordinates, dims, modes, strict=True))
    for coordinate, extent, how in axes if order == "C" else reversed(axes):
        total = total * extent + _within("ravel_multi_index", coordinate, extent, how)
    return total


def unravel_index(
    indices: Any, shape: int | Sequence[int], /, order: Literal["C", "F"] = "C"
) -> tuple[Array, ...]:  # fmt: skip
    """Return the coordinates of positions in a flattened array of a shape, an array an axis.

    Computes the positions. Dtype: int64. Raises TypeError for positions that are no integers, ValueError for those out
    of range and for a shape without elements.
    """
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    rest = _integers("unravel_index", indices)
    if math.prod(extents) == 0:
        message = f"unravel_index: an array of shape {extents} has no elements"
        raise ValueError(message)
    _check_inside("unravel_index", rest, math.prod(extents))
    outwards = list(extents if order == "F" else reversed(extents))
    coordinates = []
    for extent in outwards[:-1]:
        coordinates.append(rest % extent)
        rest = rest // extent
    coordinates = [*coordinates, rest] if extents else []
    return tuple(coordinates if order == "F" else reversed(coordinates))


def _integers(name: str, indices: Any) -> Array:
    x = xp.asarray(indices)
    if not np.isdtype(x.dtype, "integral"):
        message = f"{name}: expected integers, got {x.dtype}"
        raise TypeError(message)
    return xp.astype(x, xp.int64, copy=False)


def _within(name: str, positions: Array, extent: int, mode: str) -> Array:
    if mode == "wrap":
        return xp.remainder(positions, extent)
    if mode == "clip":
        return xp.clip(positions, 0, extent - 1)
    _check_inside(name, positions, extent)
    return positions


def _check_inside(name: str, positions: Array, size: int) -> None:
    if positions.size and not bool(xp.all((positions >= 0) & (positions < size))):
        message = f"{name}: a position is out of range for {size} elements"
        raise ValueError(message)

"""Arrays put together and taken apart: stacks, splits, rotations, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

import fusewire._fusewire as xp
from fusewire._beyond.arrange import atleast_1d, atleast_2d, atleast_3d, diagonal_of_matrices
from fusewire._fusewire import Array


def append(arr: Any, values: Any, /, axis: int | None = None) -> Array:
    """Return the array followed by values along an axis; both flattened without one. Dtypes are promoted."""
    return xp.concat([xp.asarray(arr), xp.asarray(values)], axis=axis)


def hstack(tup: Sequence[Any], /) -> Array:
    """Return arrays side by side: along the second axis, vectors along their only one."""
    arrays = [xp.asarray(x) for x in tup]
    return xp.concat([atleast_1d(x) for x in arrays], axis=0 if arrays and arrays[0].ndim <= 1 else 1)


def vstack(tup: Sequence[Any], /) -> Array:
    """Return arrays one above the other: along the first axis, vectors as rows."""
    return xp.concat([atleast_2d(x) for x in tup], axis=0)


def dstack(tup: Sequence[Any], /) -> Array:
    """Return arrays one behind the other: along the third axis."""
    return xp.concat([atleast_3d(x) for x in tup], axis=2)


def column_stack(tup: Sequence[Any], /) -> Array:
    """Return vectors as the columns of a matrix; matrices stand side by side."""
    arrays = [xp.asarray(x) for x in tup]
    return xp.concat([xp.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in arrays], axis=1)


def array_split(ary: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Array]:
    """Return parts along an axis: so many of nearly one extent, or those between indices.

    Raises ValueError when the number of parts is not positive, IndexError for an axis out of range.
    """
    x = xp.asarray(ary)
    axis = normalize_axis_index(axis, x.ndim)
    extent = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        count = int(indices_or_sections)
        if count <= 0:
            message = f"array_split: the number of parts must be positive, got {count}"
            raise ValueError(message)
        bounds = [0, *np.cumsum([extent // count + (part < extent % count) for part in range(count)]).tolist()]
    else:
        bounds = [0, *map(int, indices_or_sections), extent]
    around = (slice(None),) * axis
    return [x[(*around, slice(first, last))] for first, last in pairwise(bounds)]


def split(ary: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Array]:
    """Return parts along an axis: so many of one extent, or those between indices.

    Raises ValueError when the extent cannot be divided, IndexError for an axis out of range.
    """
    x = xp.asarray(ary)
    extent = x.shape[normalize_axis_index(axis, x.ndim)]
    if isinstance(indices_or_sections, int | np.integer) and indices_or_sections > 0 and extent % indices_or_sections:
        message = f"split: an extent of {extent} is not divisible by {indices_or_sections}"
        raise ValueError(message)
    return array_split(x, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any, /) -> list[Array]:
    """Return parts along the second axis, of vectors along their only one; the rest as ``split``."""
    x = xp.asarray(ary)
    if x.ndim == 0:
        message = "hsplit: a 0-d array has no axes"
        raise ValueError(message)
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any, /) -> list[Array]:
    """Return parts along the first axis of arrays of 2 axes or more; the rest as ``split``."""
    return _split_along("vsplit", ary, indices_or_sections, 0, 2)


def dsplit(ary: Any, indices_or_sections: Any, /) -> list[Array]:
    """Return parts along the third axis of arrays of 3 axes or more; the rest as ``split``."""
    return _split_along("dsplit", ary, indices_or_sections, 2, 3)


def _split_along(name: str, ary: Any, parts: Any, axis: int, rank: int) -> list[Array]:
    x = xp.asarray(ary)
    if x.ndim < rank:
        message = f"{name}: expected at least {rank} axes, got shape {x.shape}"
        raise ValueError(message)
    return split(x, parts, axis)


def fliplr(m: Any, /) -> Array:
    """Return the array with its second axis reversed."""
    return xp.flip(m, axis=1)


def flipud(m: Any, /) -> Array:
    """Return the array with its first axis reversed."""
    return xp.flip(m, axis=0)


def rot90(m: Any, /, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """Return the array rotated ``k`` times by 90 degrees in the plane of two axes, from the first towards the second.

    Raises ValueError for other than two different axes, IndexError for an axis out of range.
    """
    x = xp.asarray(m)
    first, second = (normalize_axis_index(axis, x.ndim) for axis in axes)
    if first == second:
        message = f"rot90: the axes {tuple(axes)} must be different"
        raise ValueError(message)
    if k % 2 == 0:
        return xp.flip(x, axis=(first, second)) if k % 4 else x
    turned = swapaxes(xp.flip(x, axis=second), first, second)
    return turned if k % 4 == 1 else xp.flip(turned, axis=(first, second))


def swapaxes(a: Any, axis1: int, axis2: int, /) -> Array:
    """Return the array with two axes exchanged. Raises IndexError for an axis out of range."""
    return xp.asarray(a).swapaxes(axis1, axis2)


def rollaxis(a: Any, axis: int, /, start: int = 0) -> Array:
    """Return the array with an axis moved in front of the one at ``start``. Raises IndexError when out of range."""
    x = xp.asarray(a)
    axis = normalize_axis_index(axis, x.ndim)
    start = normalize_axis_index(start, x.ndim + 1)
    return xp.moveaxis(x, axis, start - 1 if axis < start else start)


def diagonal(a: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Return the diagonals of the matrices along two axes, ``offset`` above the main one, as the last axis.

    ``fusewire.linalg.diagonal`` takes the last two axes. Raises ValueError for fewer than 2 axes, IndexError for an
    axis out of range.
    """
    x = xp.asarray(a)
    if x.ndim < 2:
        message = f"diagonal: expected at least 2 axes, got shape {x.shape}"
        raise ValueError(message)
    return diagonal_of_matrices(xp.moveaxis(x, (axis1, axis2), (-2, -1)), offset)


def trace(a: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Array:
    """Return the sums of diagonals as ``diagonal`` has them. Dtype: as ``sum``."""
    return xp.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def diagflat(v: Any, /, k: int = 0) -> Array:
    """Return a matrix with the elements of an array on its diagonal ``k`` and zeros elsewhere."""
    from fusewire._beyond.arrange import diag

    return diag(xp.reshape(xp.asarray(v), (-1,)), k)

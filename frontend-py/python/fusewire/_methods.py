"""NumPy's methods of arrays that need no speed, put on ``Array`` when the package is imported.

Of NumPy's arrays these attributes are missing, for they are about memory that an array which is not computed lacks, or
that others would have to share: ``base byteswap ctypes data dump dumps getfield resize setfield setflags tofile view``.
``numpy.asarray(x)`` has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

import fusewire._fusewire as xp
from fusewire import _beyond
from fusewire._fusewire import Array
from fusewire._out import stored


class Flags(NamedTuple):
    """How the elements of an array lie in memory; of one that is not computed, how they will."""

    c_contiguous: bool
    f_contiguous: bool
    writeable: bool = True
    aligned: bool = True

    @property
    def contiguous(self) -> bool:
        """Do they lie in row-major order without gaps?"""
        return self.c_contiguous

    @property
    def forc(self) -> bool:
        """Do they lie without gaps in row-major or in column-major order?"""
        return self.c_contiguous or self.f_contiguous

    def __getitem__(self, name: Any) -> Any:
        """Return the flag of that name, in capitals as NumPy has them, too."""
        return getattr(self, name.lower()) if isinstance(name, str) else tuple.__getitem__(self, name)


class Flat:
    """The elements of an array one after another, as ``x.flat``: assigning to them assigns to the array."""

    def __init__(self, base: Array) -> None:
        """Make it of an array."""
        self.base = base

    def __len__(self) -> int:
        """Return how many elements there are."""
        return self.base.size

    def __iter__(self) -> Iterator[Array]:
        """Iterate over the elements."""
        return iter(xp.reshape(self.base, (-1,)))

    def __getitem__(self, key: Any) -> Array:
        """Return elements, by every index that an array of one axis takes."""
        return xp.reshape(self.base, (-1,))[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign to elements; few values are repeated, as by ``put``."""
        places = np.arange(self.base.size)[np.asarray(key) if isinstance(key, Array) else key]
        put(self.base, places, value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the elements as NumPy's array."""
        return xp.reshape(self.base, (-1,)).__array__(dtype, copy)


def flat(self: Array) -> Flat:
    """The elements one after another, to iterate over and to assign to: ``x.flat[::2] = 0``, ``x.flat = 1``."""
    return Flat(self)


def set_flat(self: Array, value: Any) -> None:
    """Assign to all elements in a row."""
    put(self, np.arange(self.size), value)


def flags(self: Array) -> Flags:
    """How the elements lie in memory: attributes ``c_contiguous``, ``f_contiguous``, ``writeable`` ..."""
    return Flags(
        _dense(self.shape, self.strides, self.itemsize), _dense(self.shape[::-1], self.strides[::-1], self.itemsize)
    )


def _dense(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    if 0 in shape:
        return True
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent != 1 and stride != itemsize:
            return False
        itemsize *= extent
    return True


def argpartition(self: Array, kth: Any, axis: int | None = -1) -> Array:
    """The positions of the elements as ``partition`` has them, as the function ``argpartition``."""
    return _beyond.argpartition(self, kth, axis)


def choose(self: Array, choices: Any, out: Any = None, mode: Literal["raise", "wrap", "clip"] = "raise") -> Array:
    """The elements of the choice that each element is the number of; ``choices`` broadcast.

    Numbers out of range are an IndexError, unless ``mode`` is ``wrap`` or ``clip``.
    """
    arrays = xp.broadcast_arrays(self, *choices)
    dtype = xp.result_type(*arrays[1:])
    stacked = xp.stack([xp.astype(x, dtype, copy=False) for x in arrays[1:]])
    number = within(arrays[0], stacked.shape[0], mode)
    return stored(xp.take_along_axis(stacked, number[None], axis=0)[0], out, "choose")


def compress(self: Array, condition: Any, axis: int | None = None, out: Any = None) -> Array:
    """The elements along an axis for which a vector of conditions is true, as the function ``compress``."""
    return stored(_beyond.compress(condition, self, axis), out, "compress")


def diagonal(self: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonals of the matrices along two axes, as the function ``diagonal``."""
    return _beyond.diagonal(self, offset, axis1, axis2)


def partition(self: Array, kth: Any, axis: int = -1) -> None:
    """Puts the elements as the function ``partition`` has them, in this array."""
    self[...] = _beyond.partition(self, kth, axis)


def put(self: Array, indices: Any, values: Any, mode: Literal["raise", "wrap", "clip"] = "raise") -> None:
    """Assigns values to the elements at these positions of the flattened array; few values are repeated.

    Positions out of range are an IndexError, unless ``mode`` is ``wrap`` or ``clip``.
    """
    places = xp.reshape(within(xp.asarray(indices), self.size, mode), (-1,))
    given = xp.reshape(xp.asarray(values), (-1,))
    if places.size and not self.size:
        message = f"put: an array of shape {self.shape} has no elements"
        raise IndexError(message)
    if places.size and given.size:
        xp.put_along_axis(self, places, xp.take(given, xp.arange(places.size) % given.size), None)


def trace(
    self: Array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Array:  # fmt: skip
    """The sums of diagonals along two axes, as the function ``trace``."""
    return stored(_beyond.trace(self, offset, axis1, axis2, dtype), out, "trace")


def within(indices: Array, extent: int, mode: str) -> Array:
    """Return indices that ``mode`` brings into range; ``raise`` leaves them to the call that uses them."""
    if mode == "wrap":
        return xp.remainder(indices, extent)
    if mode == "clip":
        return xp.clip(indices, 0, extent - 1)
    if mode != "raise":
        message = f"mode must be 'raise', 'wrap' or 'clip', not {mode!r}"
        raise ValueError(message)
    return indices


def install() -> None:
    """Put the methods on the class."""
    for method in (argpartition, choose, compress, diagonal, partition, put, trace):
        method.__qualname__ = f"Array.{method.__name__}"
        setattr(Array, method.__name__, method)
    Array.flags = property(flags)  # type: ignore[assignment]
    Array.flat = property(flat, set_flat)  # type: ignore[assignment]

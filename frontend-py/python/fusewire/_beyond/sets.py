"""Set operations on the elements of arrays. They compute, since their shapes depend on the values."""

from __future__ import annotations

from typing import Any

import fusewire._fusewire as xp
from fusewire._fusewire import Array


def union1d(a: Any, b: Any, /) -> Array:
    """Return the elements that are in either array, each once, in order. Dtypes are promoted."""
    return xp.unique_values(xp.concat([xp.asarray(a), xp.asarray(b)], axis=None))


def setdiff1d(a: Any, b: Any, /, assume_unique: bool = False) -> Array:
    """Return the elements of ``a`` that are not in ``b``, each once, in order; as they come with ``assume_unique``."""
    left = xp.reshape(xp.asarray(a), (-1,))
    if not assume_unique:
        left = xp.unique_values(left)
    return left[xp.isin(left, xp.asarray(b), invert=True)]

"""NumPy's ``out=``: a result put into an array that is there already, NumPy's or ours."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

import fusewire._fusewire as xp
from fusewire._fusewire import Array


def stored(result: Array, out: Any, name: str, casting: Any = "same_kind") -> Array:
    """Return ``out`` with the elements of the result, or the result where ``out`` is None.

    Raises TypeError for what is no array and for dtypes that ``casting`` forbids, ValueError for a shape to which the
    result does not broadcast.
    """
    if out is None:
        return result
    if not isinstance(out, Array | np.ndarray):
        message = f"{name}: out must be an array, got {type(out).__name__}"
        raise TypeError(message)
    if not np.can_cast(result.dtype, out.dtype, casting):
        message = f"{name}: cannot cast the result from {result.dtype} to {out.dtype} with casting rule {casting!r}"
        raise TypeError(message)
    if isinstance(out, Array):
        out[...] = xp.astype(result, out.dtype, copy=False)
    else:
        np.copyto(out, np.asarray(result), casting=casting)
    # Ours, or NumPy's where that was given.
    return cast(Array, out)

"""Equality up to rounding."""

from __future__ import annotations

from typing import Any

import fusewire._fusewire as xp
from fusewire._fusewire import Array


def isclose(a: Any, b: Any, /, rtol: Any = 1e-05, atol: Any = 1e-08, *, equal_nan: bool = False) -> Array:
    """Return where ``abs(a - b) <= atol + rtol * abs(b)``; infinities are close to themselves only.

    Shape: that of all arguments, broadcast. Dtype: bool. With ``equal_nan`` NaN is close to NaN.
    Raises ValueError when the shapes do not broadcast.
    """
    left, right = xp.asarray(a), xp.asarray(b)
    # Differences of floats neither wrap nor saturate.
    right = xp.astype(right, xp.result_type(right, 1.0), copy=False)
    near: Array = ((xp.abs(left - right) <= atol + rtol * xp.abs(right)) & xp.isfinite(right)) | (left == right)
    return near | (xp.isnan(left) & xp.isnan(right)) if equal_nan else near


def allclose(a: Any, b: Any, /, rtol: Any = 1e-05, atol: Any = 1e-08, *, equal_nan: bool = False) -> bool:
    """Return whether all elements are close, as ``isclose`` says. Computes.

    Raises ValueError when the shapes do not broadcast.
    """
    return bool(xp.all(isclose(a, b, rtol, atol, equal_nan=equal_nan)))

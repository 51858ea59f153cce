"""NumPy's element-wise functions that no other library has a row for, in terms of those that the op table has."""

from __future__ import annotations

import math
from typing import Any

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._inspection import kind

_INF = math.inf


def angle(z: Any, /, deg: bool = False) -> Array:
    """Return the arguments of complex numbers, in radians or degrees: pi for negative real numbers.

    Dtype: that of the parts; float64 for integers.
    """
    z = _floating(z)
    result = xp.atan2(xp.imag(z), xp.real(z))
    return rad2deg(result) if deg else result


def bitwise_count(x: Any, /) -> Array:
    """Return how many bits of the absolute values are 1. Dtype: uint8. Raises TypeError for other than integers."""
    x = xp.asarray(x)
    if x.dtype.kind not in "biu":
        message = f"bitwise_count: expected integers, got {x.dtype}"
        raise TypeError(message)
    bits = xp.astype(xp.abs(x) if x.dtype.kind == "i" else x, xp.uint64)
    if x.dtype.kind == "i":
        # The absolute value of the least integer is negative again.
        bits = bits & ((1 << 8 * x.itemsize) - 1)
    # Sums of neighbours: in pairs of bits, in fours, in bytes, and with a product those of all bytes in the last one.
    bits = bits - ((bits >> 1) & 0x5555555555555555)
    bits = (bits & 0x3333333333333333) + ((bits >> 2) & 0x3333333333333333)
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0F
    return xp.astype((bits * 0x0101010101010101) >> 56, xp.uint8)


def cbrt(x: Any, /) -> Array:
    """Return the cube roots, to 2 units in the last place.

    Dtype: that of ``x`` for floats, else float64. Raises TypeError for complex numbers.
    """
    x = _real("cbrt", x)
    wide = xp.abs(xp.astype(x, xp.float64, copy=False))
    # A power of 1/3 rounded is off by the rounding of 1/3; a step of Newton's method mends that. Numbers near the
    # smallest are scaled by 2**54, so that the step has digits left.
    small = wide < 2.0**-900
    scaled = xp.where(small, wide * 2.0**54, wide)
    root = xp.pow(scaled, 1 / 3)
    mended = root - (root - scaled / (root * root)) / 3
    root = xp.where((scaled > 0) & (scaled < _INF), mended, scaled)
    root = xp.where(small, root * 2.0**-18, root)
    return xp.astype(xp.copysign(root, xp.astype(x, xp.float64, copy=False)), x.dtype, copy=False)


def deg2rad(x: Any, /) -> Array:
    """Return degrees in radians. Dtype: that of ``x`` for floats, else float64."""
    return _real("deg2rad", x) * (math.pi / 180)


def rad2deg(x: Any, /) -> Array:
    """Return radians in degrees. Dtype: that of ``x`` for floats, else float64."""
    return _real("rad2deg", x) * (180 / math.pi)


def fabs(x: Any, /) -> Array:
    """Return the absolute values of real numbers as floats."""
    return xp.abs(_real("fabs", x))


def fix(x: Any, /) -> Array:
    """Return the integers next to real numbers towards 0, as ``trunc``."""
    return xp.trunc(x)


def fmax(x1: Any, x2: Any, /) -> Array:
    """Return the larger of two elements, the other one where one is NaN. Dtypes are promoted."""
    x1, x2 = xp.asarray(x1), xp.asarray(x2)
    return xp.where(xp.isnan(x1), x2, xp.where(xp.isnan(x2), x1, xp.maximum(x1, x2)))


def fmin(x1: Any, x2: Any, /) -> Array:
    """Return the smaller of two elements, the other one where one is NaN. Dtypes are promoted."""
    x1, x2 = xp.asarray(x1), xp.asarray(x2)
    return xp.where(xp.isnan(x1), x2, xp.where(xp.isnan(x2), x1, xp.minimum(x1, x2)))


def fmod(x1: Any, x2: Any, /) -> Array:
    """Return the remainders of a division that is rounded towards 0, with the sign of ``x1``. Dtypes are promoted."""
    x1, x2 = _pair(x1, x2)
    if kind(xp.result_type(x1, x2)) == "f":
        # Of positive numbers it is the remainder of a division that is rounded down, which is exact.
        return xp.copysign(xp.remainder(xp.abs(x1), xp.abs(x2)), x1)
    below = xp.remainder(x1, x2)
    return xp.where((below != 0) & ((x1 < 0) != (x2 < 0)), below - x2, below)


def heaviside(x1: Any, x2: Any, /) -> Array:
    """Return 0 for negative elements of ``x1``, 1 for positive ones and that of ``x2`` for 0, as floats."""
    x1, x2 = _pair(x1, x2)
    dtype = xp.result_type(x1, x2)
    x1, x2 = (xp.astype(x, dtype if kind(dtype) == "f" else xp.float64, copy=False) for x in (x1, x2))
    return xp.where(x1 == 0, x2, xp.where(xp.isnan(x1), x1, xp.astype(x1 > 0, x1.dtype)))


def isneginf(x: Any, /) -> Array:
    """Return where elements are negative infinity. Dtype: bool."""
    return xp.asarray(x) == -_INF


def isposinf(x: Any, /) -> Array:
    """Return where elements are positive infinity. Dtype: bool."""
    return xp.asarray(x) == _INF


def ldexp(x1: Any, x2: Any, /) -> Array:
    """Return ``x1 * 2**x2`` for integers ``x2``. Dtype: that of ``x1`` for floats, else float64."""
    x1, power = _real("ldexp", x1), xp.asarray(x2)
    if power.dtype.kind not in "biu":
        message = f"ldexp: expected integer powers, got {power.dtype}"
        raise TypeError(message)
    # In three steps, of which none overflows unless the result does, and only the last one rounds.
    power = xp.clip(xp.astype(power, xp.int64), -2400, 2400)
    wide = xp.astype(x1, xp.float64, copy=False)
    part = power // 3
    for step in (part, part, power - 2 * part):
        wide = wide * xp.exp2(xp.astype(step, xp.float64))
    return xp.astype(wide, x1.dtype, copy=False)


def logaddexp2(x1: Any, x2: Any, /) -> Array:
    """Return the binary logarithm of ``2**x1 + 2**x2``, which is not computed. Dtypes are promoted to floats."""
    x1, x2 = _real("logaddexp2", x1), _real("logaddexp2", x2)
    larger = xp.maximum(x1, x2)
    sum_over_larger = xp.log1p(xp.exp2(-xp.abs(x1 - x2))) / math.log(2)
    return xp.where(x1 == x2, larger + 1, larger + sum_over_larger)


def modf(x: Any, /) -> tuple[Array, Array]:
    """Return the fractions and the integers that make up real numbers, with their sign, as floats."""
    x = _real("modf", x)
    whole = xp.trunc(x)
    return xp.copysign(xp.where(xp.isinf(x), xp.zeros((), dtype=x.dtype), x - whole), x), whole


def sinc(x: Any, /) -> Array:
    """Return ``sin(pi * x) / (pi * x)``, and 1 for 0. Dtype: that of ``x`` for floats, else float64."""
    angles = _floating(x) * math.pi
    return xp.where(angles == 0, xp.ones((), dtype=angles.dtype), xp.sin(angles) / xp.where(angles == 0, 1, angles))


def _floating(x: Any) -> Array:
    x = xp.asarray(x)
    return x if kind(x.dtype) in "fc" else xp.astype(x, xp.float64)


def _real(name: str, x: Any) -> Array:
    array = _floating(x)
    if array.dtype.kind == "c":
        message = f"{name}: expected real numbers, got {array.dtype}"
        raise TypeError(message)
    return array


def _pair(x1: Any, x2: Any) -> tuple[Array, Array]:
    """Return two arrays of one dtype, in which Python's numbers have no say."""
    dtype = xp.result_type(x1, x2)
    return xp.astype(xp.asarray(x1), dtype, copy=False), xp.astype(xp.asarray(x2), dtype, copy=False)

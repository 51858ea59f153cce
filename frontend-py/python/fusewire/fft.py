"""Discrete Fourier transforms: the standard's ``fft`` extension.

Transforms are recorded like any other call and computed by a library, each row on one thread, in the precision of their
operand. ``n`` crops the operand or fills it up with zeros; ``norm`` says which direction is divided by the number of
elements (``"backward"``, ``"forward"``), or both by its square root (``"ortho"``). Lengths, axes and norms that do not
fit raise ValueError or IndexError at the call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.exceptions import AxisError

import fusewire._fusewire as xp
from fusewire._fusewire import Array, routines
from fusewire._inspection import kind

if TYPE_CHECKING:
    from fusewire._fusewire import _Device, _DType, _Operand

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

_Norm = Literal["backward", "ortho", "forward"] | None


def fft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the transform along an axis, complex."""
    return _complex("fft", x, n, axis, norm, inverse=False)


def ifft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the inverse transform along an axis, complex."""
    return _complex("ifft", x, n, axis, norm, inverse=True)


def fftn(
    x: _Operand, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: _Norm = "backward"
) -> Array:
    """Return the transform along several axes (all, or the last as many as ``s`` has extents), complex."""
    x = _array(x)
    for extent, axis in _pairs("fftn", x, s, axes):
        x = _complex("fftn", x, extent, axis, norm, inverse=False)
    return _as_complex(x)


def ifftn(
    x: _Operand, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: _Norm = "backward"
) -> Array:
    """Return the inverse transform along several axes (all, or the last as many as ``s`` has extents), complex."""
    x = _array(x)
    for extent, axis in _pairs("ifftn", x, s, axes):
        x = _complex("ifftn", x, extent, axis, norm, inverse=True)
    return _as_complex(x)


def rfft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the first half of the transform of real numbers: ``n // 2 + 1`` complex numbers.

    Raises TypeError for complex numbers.
    """
    return _half("rfft", x, n, axis, norm, inverse=False)


def irfft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the ``n`` real numbers whose transform begins with ``x``; twice one less than ``x`` has unless given."""
    return _whole("irfft", x, n, axis, norm, inverse=True)


def rfftn(
    x: _Operand, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: _Norm = "backward"
) -> Array:
    """Return the transform of real numbers along several axes: half of it along the last, all along the others.

    Raises TypeError for complex numbers.
    """
    x = _array(x)
    *others, (extent, axis) = _pairs("rfftn", x, s, axes, least=1)
    x = _half("rfftn", x, extent, axis, norm, inverse=False)
    for extent, axis in others:
        x = _complex("rfftn", x, extent, axis, norm, inverse=False)
    return x


def irfftn(
    x: _Operand, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: _Norm = "backward"
) -> Array:
    """Return the real numbers of which ``rfftn`` along these axes is ``x``."""
    x = _array(x)
    *others, (extent, axis) = _pairs("irfftn", x, s, axes, least=1)
    for length, other in others:
        x = _complex("irfftn", x, length, other, norm, inverse=True)
    return _whole("irfftn", x, extent, axis, norm, inverse=True)


def hfft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the transform, which is real, of ``n`` numbers that are conjugate to themselves read backwards, of which
    ``x`` is the first half.
    """
    return _whole("hfft", xp.conj(_array(x)), n, axis, norm, inverse=False)


def ihfft(x: _Operand, /, *, n: int | None = None, axis: int = -1, norm: _Norm = "backward") -> Array:
    """Return the first half of the inverse transform of real numbers.

    Raises TypeError for complex numbers.
    """
    return xp.conj(_half("ihfft", x, n, axis, norm, inverse=True))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: _DType | None = None, device: _Device | None = None) -> Array:
    """Return the frequencies of a transform of ``n`` samples ``d`` apart, the negative ones last.

    Raises ValueError when ``n`` is not positive.
    """
    _check_length("fftfreq", n)
    steps = xp.arange(n, device=device)
    signed = xp.where(steps < (n + 1) // 2, steps, steps - n)
    return _frequencies("fftfreq", signed, n, d, dtype)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: _DType | None = None, device: _Device | None = None) -> Array:
    """Return the frequencies of ``rfft`` of ``n`` samples ``d`` apart.

    Raises ValueError when ``n`` is not positive.
    """
    _check_length("rfftfreq", n)
    return _frequencies("rfftfreq", xp.arange(n // 2 + 1, device=device), n, d, dtype)


def fftshift(x: _Operand, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """Return ``x`` with frequency 0 in the middle of the axes given, all by default."""
    x = _array(x)
    axes = _axes(x, axes)
    return xp.roll(x, tuple(x.shape[axis] // 2 for axis in axes), axis=axes) if axes else x


def ifftshift(x: _Operand, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """Return what ``fftshift`` makes ``x`` of."""
    x = _array(x)
    axes = _axes(x, axes)
    return xp.roll(x, tuple(-(x.shape[axis] // 2) for axis in axes), axis=axes) if axes else x


def _complex(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> Array:
    x = _sized(name, _array(x), n, axis)
    return _scaled(name, routines.transform(name, x, axis, inverse), x.shape[axis], norm, inverse=inverse)


def _half(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> Array:
    x = _sized(name, _array(x), n, axis)
    return _scaled(name, routines.transform_real(name, x, axis), x.shape[axis], norm, inverse=inverse)


def _whole(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> Array:
    x = _array(x)
    _check_axis(name, x, axis)
    length = 2 * (x.shape[axis] - 1) if n is None else n
    _check_length(name, length)
    x = _sized(name, x, length // 2 + 1, axis)
    result = routines.transform_to_real(name, x, axis, length % 2 == 1)
    return _scaled(name, result, length, norm, inverse=inverse)


def _scaled(name: str, x: Array, n: int, norm: str | None, *, inverse: bool) -> Array:
    # NumPy's name of the default.
    norm = "backward" if norm is None else norm
    if norm not in {"backward", "ortho", "forward"}:
        message = f"{name}: norm must be 'backward', 'ortho' or 'forward', not {norm!r}"
        raise ValueError(message)
    if norm == "ortho":
        return x * (1 / math.sqrt(n))
    return x * (1 / n) if (norm == "backward") == inverse else x


def _sized(name: str, x: Array, n: int | None, axis: int) -> Array:
    """Cropped to ``n`` elements along the axis, or filled up with zeros."""
    _check_axis(name, x, axis)
    if n is None or n == x.shape[axis]:
        return x
    _check_length(name, n)
    axis %= x.ndim
    if n < x.shape[axis]:
        return x[(slice(None),) * axis + (slice(n),)]
    missing = (*x.shape[:axis], n - x.shape[axis], *x.shape[axis + 1 :])
    return xp.concat([x, xp.zeros(missing, dtype=x.dtype)], axis=axis)


def _pairs(
    name: str, x: Array, s: Sequence[int] | None, axes: Sequence[int] | None, *, least: int = 0
) -> list[tuple[int | None, int]]:
    """Lengths and axes."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(-len(s), 0)
    for axis in axes:
        _check_axis(name, x, axis)
    extents: Sequence[int | None] = [None] * len(axes) if s is None else s
    if len(extents) != len(axes) or len(axes) < least:
        message = f"{name}: {len(extents)} lengths and {len(axes)} axes do not fit"
        raise ValueError(message)
    return list(zip(extents, axes, strict=True))


def _frequencies(name: str, steps: Array, n: int, d: float, dtype: Any) -> Array:
    dtype = np.dtype(np.float64 if dtype is None else dtype)
    if kind(dtype) != "f":
        message = f"{name}: dtype must be a real floating-point dtype, not {dtype}"
        raise ValueError(message)
    return xp.astype(xp.astype(steps, np.dtype(np.float64)) / (n * d), dtype)


def _axes(x: Array, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(x.ndim))
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    for axis in axes:
        _check_axis("fftshift", x, axis)
    return axes


def _array(x: Any) -> Array:
    return x if isinstance(x, Array) else xp.asarray(x)


def _as_complex(x: Array) -> Array:
    return x if x.dtype.kind == "c" else xp.astype(x, xp.result_type(x, np.dtype(np.complex64)))


def _check_axis(name: str, x: Array, axis: int) -> None:
    if not -x.ndim <= axis < x.ndim:
        message = f"{name}: axis {axis} is out of bounds for an array of dimension {x.ndim}"
        raise AxisError(message)


def _check_length(name: str, n: int) -> None:
    if n < 1:
        message = f"{name}: the number of elements must be positive, not {n}"
        raise ValueError(message)

"""Products of arrays: inner and outer, of Kronecker, convolutions, covariances, polynomials."""

from __future__ import annotations

from typing import Any, Literal

import fusewire._fusewire as xp
from fusewire._fusewire import Array

_Overlap = Literal["full", "same", "valid"]


def kron(a: Any, b: Any, /) -> Array:
    """Return the Kronecker product: blocks of ``b``, each multiplied by an element of ``a``.

    Shape: the product of the extents, axes of 1 put in front of the array that has fewer. Dtypes are promoted.
    """
    left, right = xp.asarray(a), xp.asarray(b)
    rank = max(left.ndim, right.ndim)
    outer, inner = ((1,) * (rank - x.ndim) + x.shape for x in (left, right))
    spread = xp.reshape(left, tuple(extent for d in outer for extent in (d, 1)))
    repeated = xp.reshape(right, tuple(extent for d in inner for extent in (1, d)))
    return xp.reshape(spread * repeated, tuple(m * n for m, n in zip(outer, inner, strict=True)))


def inner(a: Any, b: Any, /) -> Array:
    """Return the sums of products along the last axes of both; the product with a number. Dtypes are promoted.

    Raises ValueError when the last extents differ.
    """
    left, right = xp.asarray(a), xp.asarray(b)
    if left.ndim == 0 or right.ndim == 0:
        return left * right
    return xp.tensordot(left, right, axes=((-1,), (-1,)))


def outer(a: Any, b: Any, /) -> Array:
    """Return the products of all pairs of elements of two arrays, flattened. Dtypes are promoted."""
    return xp.reshape(xp.asarray(a), (-1, 1)) * xp.reshape(xp.asarray(b), (1, -1))


def vdot(a: Any, b: Any, /) -> Array:
    """Return the sum of products of two arrays, flattened, the first one conjugated.

    Raises ValueError when they differ in size.
    """
    return xp.vecdot(xp.reshape(xp.asarray(a), (-1,)), xp.reshape(xp.asarray(b), (-1,)))


def convolve(a: Any, v: Any, /, mode: _Overlap = "full") -> Array:
    """Return the convolution of two vectors: all of it, its middle (``same``), or where they overlap fully.

    The middle has the longer one's length. The shorter one is gone through element by element; for two long ones a
    Fourier transform is the better way. Dtypes are promoted. Raises ValueError for other than 1 axis, vectors without
    elements, and another mode.
    """
    long, short = _vectors("convolve", a, v)
    if short.size > long.size:
        long, short = short, long
    return _slid("convolve", long, short, mode)


def correlate(a: Any, v: Any, /, mode: _Overlap = "valid") -> Array:
    """Return the sums of products of a vector and the conjugated other one at each offset: where they overlap fully,
    the middle of all (``same``) or all (``full``). Errors as ``convolve``.
    """
    left, right = _vectors("correlate", a, v)
    right = xp.flip(xp.conj(right))
    if right.size <= left.size:
        return _slid("correlate", left, right, mode)
    # The longer one slides over the shorter one, so the result is the other way round.
    return xp.flip(_slid("correlate", xp.flip(right), xp.flip(left), mode))


def _vectors(name: str, a: Any, v: Any) -> tuple[Array, Array]:
    left, right = xp.asarray(a), xp.asarray(v)
    if left.ndim != 1 or right.ndim != 1 or 0 in {left.size, right.size}:
        message = f"{name}: expected vectors with elements, got shapes {left.shape} and {right.shape}"
        raise ValueError(message)
    return left, right


def _slid(name: str, long: Array, short: Array, mode: str) -> Array:
    """A short vector convolved with a long one."""
    edge = short.size - 1
    bounds = {"full": (0, long.size + edge), "same": (edge // 2, edge // 2 + long.size), "valid": (edge, long.size)}
    if mode not in bounds:
        message = f"{name}: unknown mode {mode!r}; known are {', '.join(bounds)}"
        raise ValueError(message)
    zeros = xp.zeros(edge, dtype=long.dtype)
    padded = xp.concat([zeros, long, zeros])
    first, last = bounds[mode]
    # Element i of all of it is the sum over k of short[k] * long[i - k].
    total = short[0] * padded[edge + first : edge + last]
    for k in range(1, short.size):
        total = total + short[k] * padded[edge - k + first : edge - k + last]
    return total


def polyval(p: Any, x: Any, /) -> Array:
    """Return the values of a polynomial, its highest coefficient first, at places. Dtypes are promoted.

    Raises ValueError for coefficients that are no vector.
    """
    coefficients, places = xp.asarray(p), xp.asarray(x)
    if coefficients.ndim != 1:
        message = f"polyval: expected a vector of coefficients, got shape {coefficients.shape}"
        raise ValueError(message)
    total = xp.zeros(places.shape, dtype=places.dtype)
    for place in range(coefficients.shape[0]):
        total = total * places + coefficients[place]
    return total


def vander(x: Any, /, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803
    """Return the powers of a vector's elements as columns, ``N`` of them (as many as elements), the highest first.

    Dtype: that of ``x``, at least int64. Raises ValueError for other than 1 axis.
    """
    places = xp.asarray(x)
    if places.ndim != 1:
        message = f"vander: expected a vector, got shape {places.shape}"
        raise ValueError(message)
    count = places.shape[0] if N is None else N
    places = xp.astype(places, xp.result_type(places, xp.int64), copy=False)
    if count == 0:
        return xp.zeros((places.shape[0], 0), dtype=places.dtype)
    columns = [xp.ones(places.shape, dtype=places.dtype)]
    for _ in range(1, count):
        columns.append(columns[-1] * places)
    return xp.stack(columns if increasing else columns[::-1], axis=1)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Array:
    """Return the correlations of variables: their covariances over the products of their standard deviations.

    Arguments, dtype and errors as ``cov``.
    """
    covariances = cov(x, y, rowvar, dtype=dtype)
    if covariances.ndim == 0:
        return covariances / covariances
    deviations = xp.sqrt(xp.real(_diagonal(covariances)))
    ratios = covariances / deviations[:, None] / deviations[None, :]
    if ratios.dtype.kind == "c":
        parts = (xp.clip(part(ratios), -1, 1) for part in (xp.real, xp.imag))
        return _complex(*parts)
    return xp.clip(ratios, -1, 1)


def _diagonal(matrix: Array) -> Array:
    return xp.reshape(matrix, (-1,))[:: matrix.shape[0] + 1]


def _complex(real: Array, imaginary: Array) -> Array:
    return real + imaginary * xp.asarray(1j, dtype=xp.result_type(real, xp.complex64))


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Array:
    """Return the covariances of variables: the rows of ``m`` (and ``y``), or with ``rowvar=False`` the columns.

    Divides by the number of observations less ``ddof``: 1 by default, 0 with ``bias``; ``fweights`` says how often each
    was made, ``aweights`` how much it counts. Shape: (n, n) for n variables, () for one. Dtype: at least float64,
    or ``dtype``. Raises ValueError for more than 2 axes, or weights that do not fit.
    """
    x = _variables(m, rowvar)
    if y is not None:
        x = xp.concat([x, _variables(y, rowvar)])
    x = xp.astype(x, xp.result_type(x, xp.float64) if dtype is None else dtype, copy=False)
    freedom = ddof if ddof is not None else 0 if bias else 1
    weights = _weights(fweights, aweights, x.shape[1])
    if weights is None:
        centred = x - xp.mean(x, axis=1, keepdims=True)
        scaled, divisor = centred, xp.asarray(float(x.shape[1] - freedom))
    else:
        total = xp.sum(weights)
        centred = x - xp.sum(x * weights, axis=1, keepdims=True) / total
        scaled, divisor = centred * weights, total
        if freedom and aweights is None:
            divisor = total - freedom
        elif freedom:
            divisor = total - freedom * xp.sum(weights * xp.asarray(aweights)) / total
    product = scaled @ xp.conj(xp.matrix_transpose(centred)) / xp.maximum(divisor, 0.0)
    return xp.squeeze(product, axis=(0, 1)) if product.shape == (1, 1) else product


def _variables(m: Any, rowvar: bool) -> Array:
    x = xp.asarray(m)
    if x.ndim > 2:
        message = f"cov: expected at most 2 axes, got shape {x.shape}"
        raise ValueError(message)
    if x.ndim < 2:
        return xp.reshape(x, (1, -1))
    return x if rowvar else xp.matrix_transpose(x)


def _weights(fweights: Any, aweights: Any, count: int) -> Array | None:
    weights = None
    for given in (xp.asarray(w) for w in (fweights, aweights) if w is not None):
        if given.shape != (count,):
            message = f"cov: expected {count} weights, got shape {given.shape}"
            raise ValueError(message)
        weights = given if weights is None else weights * given
    return weights

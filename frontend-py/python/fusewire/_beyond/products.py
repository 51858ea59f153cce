"""Products of arrays: ``kron``, ``convolve``, ``cov``."""

from __future__ import annotations

from typing import Any, Literal

import fusewire._fusewire as xp
from fusewire._fusewire import Array


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


def convolve(a: Any, v: Any, /, mode: Literal["full", "same", "valid"] = "full") -> Array:
    """Return the convolution of two vectors: all of it, its middle (``same``), or where they overlap fully.

    The middle has the longer one's length. The shorter one is gone through element by element; for two long ones a
    Fourier transform is the better way. Dtypes are promoted. Raises ValueError for other than 1 axis, vectors without
    elements, and another mode.
    """
    long, short = xp.asarray(a), xp.asarray(v)
    if long.ndim != 1 or short.ndim != 1 or 0 in {long.size, short.size}:
        message = f"convolve: expected vectors with elements, got shapes {long.shape} and {short.shape}"
        raise ValueError(message)
    if short.size > long.size:
        long, short = short, long
    edge = short.size - 1
    bounds = {"full": (0, long.size + edge), "same": (edge // 2, edge // 2 + long.size), "valid": (edge, long.size)}
    if mode not in bounds:
        message = f"convolve: unknown mode {mode!r}; known are {', '.join(bounds)}"
        raise ValueError(message)
    zeros = xp.zeros(edge, dtype=long.dtype)
    padded = xp.concat([zeros, long, zeros])
    first, last = bounds[mode]
    # Element i of all of it is the sum over k of short[k] * long[i - k].
    total = short[0] * padded[edge + first : edge + last]
    for k in range(1, short.size):
        total = total + short[k] * padded[edge - k + first : edge - k + last]
    return total


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Array:
    """Return the covariances of variables: the rows of ``m`` (and ``y``), or with ``rowvar=False`` the columns.

    Divides by the number of observations less ``ddof``: 1 by default, 0 with ``bias``; ``fweights`` says how often each
    was made, ``aweights`` how much it counts. Shape: (n, n) for n variables, () for one. Dtype: at least float64.
    Raises ValueError for more than 2 axes, or weights that do not fit.
    """
    x = _variables(m, rowvar)
    if y is not None:
        x = xp.concat([x, _variables(y, rowvar)])
    x = xp.astype(x, xp.result_type(x, xp.float64), copy=False)
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

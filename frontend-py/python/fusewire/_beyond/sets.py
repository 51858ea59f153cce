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


def intersect1d(
    ar1: Any, ar2: Any, /, assume_unique: bool = False, return_indices: bool = False
) -> Array | tuple[Array, ...]:
    """Return the elements that are in both arrays, each once, in order; with ``return_indices`` also their first
    positions in either array, flattened. Dtypes are promoted.
    """
    left, right = (xp.reshape(xp.asarray(x), (-1,)) for x in (ar1, ar2))
    dtype = xp.result_type(left, right)
    left, right = (xp.astype(x, dtype, copy=False) for x in (left, right))
    if not return_indices:
        left = left if assume_unique else xp.unique_values(left)
        return xp.sort(left[xp.isin(left, right)])
    first, second = (xp.argsort(x) for x in (left, right))
    common = xp.unique_values(left)
    common = common[xp.isin(common, right)]
    places = ((left, first), (right, second))
    indices = (xp.take(order, xp.searchsorted(xp.take(x, order), common)) for x, order in places)
    return (common, *indices)


def setxor1d(ar1: Any, ar2: Any, /, assume_unique: bool = False) -> Array:
    """Return the elements that are in one of the arrays only, each once, in order. Dtypes are promoted."""
    left, right = (xp.reshape(xp.asarray(x), (-1,)) for x in (ar1, ar2))
    dtype = xp.result_type(left, right)
    left, right = (xp.astype(x, dtype, copy=False) for x in (left, right))
    if not assume_unique:
        left, right = xp.unique_values(left), xp.unique_values(right)
    return xp.sort(xp.concat([left[xp.isin(left, right, invert=True)], right[xp.isin(right, left, invert=True)]]))


def unique(
    ar: Any,
    /,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    *,
    equal_nan: bool = True,
) -> Array | tuple[Array, ...]:
    """Return the different elements in order, and where asked for, their first positions in the flattened array, the
    position of each element among them, in the shape of the array, and how often each comes.

    NaN is one element unless ``equal_nan`` is false; the standard's ``unique_values`` keeps each.
    """
    x = xp.asarray(ar)
    flat = xp.reshape(x, (-1,))
    order = xp.argsort(flat)
    ordered = xp.take(flat, order)
    differs = ordered[1:] != ordered[:-1]
    if equal_nan:
        differs = differs & ~(xp.isnan(ordered[1:]) & xp.isnan(ordered[:-1]))
    first = xp.concat([xp.ones(min(flat.shape[0], 1), dtype=xp.bool), differs])
    starts = xp.nonzero(first)[0]
    results = [xp.take(ordered, starts)]
    if return_index:
        results.append(xp.take(order, starts))
    if return_inverse:
        ranks = xp.cumulative_sum(xp.astype(first, xp.int64)) - 1
        results.append(xp.reshape(xp.take(ranks, xp.argsort(order)), x.shape))
    if return_counts:
        results.append(xp.diff(xp.concat([starts, xp.asarray([flat.shape[0]])])))
    return results[0] if len(results) == 1 else tuple(results)

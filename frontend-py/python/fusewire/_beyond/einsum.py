"""``einsum``: operands are contracted two at a time, in the order that NumPy's planner finds.

Labels of an operand's axes are strings: letters, and for the axes of an ellipsis their number from the right.
"""

from __future__ import annotations

import math
import operator
import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

import fusewire._fusewire as xp
from fusewire._beyond.arrange import diagonal_of_matrices
from fusewire._fusewire import Array

_Labels = tuple[str, ...]


def einsum(*operands: Any, optimize: Any = "greedy", dtype: Any = None) -> Array:
    """Return the sum of products that NumPy's ``einsum`` describes, such as ``einsum("ij,jk->ik", a, b)``.

    Or with lists of numbers for labels: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``. Axes of one label have one extent,
    or 1, which is broadcast; labels that the result lacks are summed over. ``optimize`` is the order of contractions as
    ``numpy.einsum_path`` takes it; ``False`` is the greedy one, too. Dtypes are promoted, or ``dtype`` is that of
    operands and result. Raises ValueError when subscripts and shapes do not fit, TypeError without subscripts.
    """
    subscripts, arrays = _operands(operands)
    inputs, output = _parsed(subscripts, [x.ndim for x in arrays])
    _check_extents(subscripts, arrays, inputs)
    dtype = xp.result_type(*arrays) if dtype is None else np.dtype(dtype)
    # The planner looks at shapes only.
    placeholders = [np.broadcast_to(np.float64(), x.shape) for x in arrays]
    terms = [(xp.astype(x, dtype, copy=False), labels) for x, labels in zip(arrays, inputs, strict=True)]
    for positions in np.einsum_path(subscripts, *placeholders, optimize=optimize or "greedy")[0][1:]:
        chosen = [terms.pop(position) for position in sorted(positions, reverse=True)]
        needed = {label for _, labels in terms for label in labels} | set(output)
        array, labels = _reduced(*chosen[0], needed | {label for _, ls in chosen[1:] for label in ls})
        for place, other in enumerate(chosen[1:], start=2):
            later = needed | {label for _, ls in chosen[place:] for label in ls}
            array, labels = _product(array, labels, *_reduced(*other, later | set(labels)), later)
        terms.append((array, labels))
    array, labels = _reduced(*terms[0], set(output))
    return _arranged(array, labels, output)


def _operands(operands: tuple[Any, ...]) -> tuple[str, list[Array]]:
    """Return subscripts and operands, of which each may be followed by the numbers of its labels instead."""
    if not operands:
        message = "einsum: expected subscripts and operands"
        raise TypeError(message)
    if isinstance(operands[0], str):
        return operands[0], [xp.asarray(x) for x in operands[1:]]
    arrays = [xp.asarray(x) for x in operands[: len(operands) // 2 * 2 : 2]]
    texts = [_lettered(labels) for labels in operands[1::2]]
    result = "->" + _lettered(operands[-1]) if len(operands) % 2 else ""
    return ",".join(texts) + result, arrays


def _lettered(labels: Any) -> str:
    """Return the letters that stand for the numbers of labels: capitals first, as their order in an implicit result."""
    letters = string.ascii_uppercase + string.ascii_lowercase
    try:
        return "".join("..." if label is Ellipsis else letters[operator.index(label)] for label in labels)
    except (TypeError, IndexError) as error:
        message = f"einsum: labels must be numbers from 0 to {len(letters) - 1} or an ellipsis, got {labels!r}"
        raise TypeError(message) from error


def _parsed(subscripts: str, ranks: Sequence[int]) -> tuple[list[_Labels], _Labels]:
    """Return the labels of each operand's axes and of the result's."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(ranks):
        message = f"einsum: {subscripts!r} describes {len(texts)} operands, got {len(ranks)}"
        raise ValueError(message)
    inputs = []
    for text, rank in zip(texts, ranks, strict=True):
        count = rank - len(text.replace("...", ""))
        if not re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", text) or count < 0 or (count and "..." not in text):
            message = f"einsum: {text!r} in {subscripts!r} does not describe an operand of {rank} axes"
            raise ValueError(message)
        inputs.append(_labelled(text, count))
    most = max((int(label) for labels in inputs for label in labels if label.isdigit()), default=0)
    if arrow:
        output = _labelled(right, most)
        known = {label for labels in inputs for label in labels}
        valid = re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", right)
        if not valid or not known.issuperset(output) or len(set(output)) != len(output):
            message = f"einsum: the result of {subscripts!r} must name labels of the operands, each once"
            raise ValueError(message)
    else:
        counts = Counter(label for labels in inputs for label in labels if not label.isdigit())
        output = _labelled("...", most) + tuple(sorted(label for label, count in counts.items() if count == 1))
    return inputs, output


def _labelled(text: str, count: int) -> _Labels:
    before, _, after = text.partition("...")
    return (*before, *(str(number) for number in range(count, 0, -1)), *after) if "..." in text else tuple(text)


def _check_extents(subscripts: str, arrays: Sequence[Array], inputs: Sequence[_Labels]) -> None:
    extents: dict[str, int] = {}
    for x, labels in zip(arrays, inputs, strict=True):
        own: dict[str, int] = {}
        for label, extent in zip(labels, x.shape, strict=True):
            known = extents.setdefault(label, extent)
            if known == 1:
                extents[label] = extent
            if (extent not in {1, known} and known != 1) or own.setdefault(label, extent) != extent:
                shapes = ", ".join(str(x.shape) for x in arrays)
                message = f"einsum: extents {known} and {extent} of one label in {subscripts!r} on shapes {shapes}"
                raise ValueError(message)


def _reduced(array: Array, labels: _Labels, needed: set[str]) -> tuple[Array, _Labels]:
    """Take diagonals where labels come twice, and sum over those that nobody needs."""
    while len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        first = labels.index(twice)
        second = labels.index(twice, first + 1)
        array = diagonal_of_matrices(xp.moveaxis(array, (first, second), (-2, -1)), 0)
        labels = (*(label for place, label in enumerate(labels) if place not in {first, second}), twice)
    unneeded = tuple(place for place, label in enumerate(labels) if label not in needed)
    return _summed(array, unneeded), tuple(label for label in labels if label in needed)


def _product(a: Array, left: _Labels, b: Array, right: _Labels, needed: set[str]) -> tuple[Array, _Labels]:
    """Contract two operands over the labels that both have and nobody needs afterwards."""
    extents = dict(zip(left, a.shape, strict=True))
    shared = [label for label in left if label in right]
    contracted = tuple(label for label in shared if label not in needed)
    batch = tuple(label for label in shared if label in needed)
    own, other = (tuple(x for x in labels if x not in shared) for labels in (left, right))
    fits = all(extents[label] == extent for label, extent in zip(right, b.shape, strict=True) if label in shared)
    if fits and contracted and own and other:
        # A matrix product; all the axes of a kind are one.
        a = _arranged(a, left, batch + own + contracted)
        b = _arranged(b, right, batch + contracted + other)
        outer, inner = a.shape[: len(batch) + len(own)], b.shape[len(batch) + len(contracted) :]
        depth = math.prod(extents[label] for label in contracted)
        rows = xp.reshape(a, (*outer[: len(batch)], math.prod(outer[len(batch) :]), depth))
        columns = xp.reshape(b, (*outer[: len(batch)], depth, math.prod(inner)))
        return xp.reshape(rows @ columns, (*outer, *inner)), batch + own + other
    labels = batch + own + other + contracted
    spread = [
        xp.reshape(
            _arranged(x, ls, tuple(label for label in labels if label in ls)),
            tuple(x.shape[ls.index(label)] if label in ls else 1 for label in labels),
        )
        for x, ls in ((a, left), (b, right))
    ]
    boolean = a.dtype == xp.bool
    product = spread[0] & spread[1] if boolean else spread[0] * spread[1]
    kept = len(labels) - len(contracted)
    return _summed(product, tuple(range(kept, len(labels)))), labels[:kept]


def _summed(array: Array, axes: tuple[int, ...]) -> Array:
    if not axes:
        return array
    return xp.any(array, axis=axes) if array.dtype == xp.bool else xp.sum(array, axis=axes, dtype=array.dtype)


def _arranged(array: Array, labels: _Labels, wanted: _Labels) -> Array:
    return xp.permute_dims(array, tuple(labels.index(label) for label in wanted)) if labels != wanted else array

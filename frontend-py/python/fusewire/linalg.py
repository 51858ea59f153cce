"""Linear algebra: the standard's ``linalg`` extension, and NumPy's functions beyond it.

Matrices are the last two axes, leading axes a batch. Calls are recorded like any other; factorisations are computed by
a library, each matrix of a batch on one thread, in double precision. Integers and booleans become float64. Shapes that
do not fit raise ValueError at the call; values without a result (a singular matrix, say) raise ``LinAlgError`` when
they are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.exceptions import AxisError

import fusewire._fusewire as xp
from fusewire._devices import follow_arrays
from fusewire._fusewire import Array, matmul, matrix_transpose, routines, tensordot, vecdot
from fusewire._halves import rounded_once
from fusewire._inspection import kind
from fusewire._out import stored

if TYPE_CHECKING:
    from fusewire._fusewire import _DType, _Operand

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]


class LinAlgError(np.linalg.LinAlgError):
    """Values for which a routine of linear algebra has no result; the message names the call and the matrix."""


class EigResult(NamedTuple):
    """What ``eig`` gives."""

    eigenvalues: Array
    eigenvectors: Array


class EighResult(NamedTuple):
    """What ``eigh`` gives."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What ``qr`` gives."""

    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    """What ``slogdet`` gives."""

    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    """What ``svd`` gives."""

    U: Array
    S: Array
    Vh: Array


def cholesky(x: _Operand, /, *, upper: bool = False) -> Array:
    """Return the lower triangular ``L`` with ``x = L @ L^H``, or the upper triangular ``U`` with ``x = U^H @ U``.

    Only that triangle of ``x`` is read. Raises LinAlgError for matrices that are not positive definite.
    """
    return routines.cholesky(x, upper)


def cross(x1: _Operand, x2: _Operand, /, *, axis: int = -1) -> Array:
    """Return the cross products of vectors of three elements along an axis; the other axes broadcast.

    Raises ValueError for other numbers of elements, IndexError for an axis out of range.
    """
    a, b = _array(x1), _array(x2)
    if not -min(a.ndim, b.ndim) <= axis < min(a.ndim, b.ndim):
        message = f"cross: axis {axis} is out of bounds for shapes {a.shape} and {b.shape}"
        raise AxisError(message)
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        message = f"cross: shapes {a.shape} and {b.shape} need 3 elements along axis {axis}"
        raise ValueError(message)
    left, right = (xp.unstack(operand, axis=axis) for operand in xp.broadcast_arrays(a, b))
    parts = [left[i - 2] * right[i - 1] - left[i - 1] * right[i - 2] for i in range(3)]
    return xp.stack(parts, axis=axis)


def det(x: _Operand, /) -> Array:
    """Return the determinants.

    Raises ValueError when the matrices are not square.
    """
    return routines.det(x)


def diagonal(x: _Operand, /, *, offset: int = 0) -> Array:
    """Return the diagonals, ``offset`` above the main one, along the last axis.

    Raises ValueError for fewer than 2 axes.
    """
    x = _matrices(x, "diagonal")
    *batch, rows, columns = x.shape
    # Diagonals of matrices by rows: every (columns + 1)th element from the first one on.
    start = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    flat = xp.reshape(x, (*batch, rows * columns))
    if count == 0:
        return flat[..., :0]
    return flat[..., start : start + (count - 1) * (columns + 1) + 1 : columns + 1]


def eig(x: _Operand, /) -> EigResult:
    """Return the eigenvalues of square matrices, and the eigenvectors, of length 1, as columns; both complex.

    Raises ValueError when the matrices are not square, LinAlgError for NaN and infinity.
    """
    return EigResult(*routines.eig(x))


def eigvals(x: _Operand, /) -> Array:
    """Return the eigenvalues of square matrices, complex.

    Raises ValueError when the matrices are not square, LinAlgError for NaN and infinity.
    """
    return routines.eigvals(x)


def eigh(x: _Operand, /) -> EighResult:
    """Return the eigenvalues of symmetric or Hermitian matrices in ascending order, and the eigenvectors as columns.

    Only the lower triangle is read. Raises ValueError when the matrices are not square.
    """
    return EighResult(*routines.eigh(x))


def eigvalsh(x: _Operand, /) -> Array:
    """Return the eigenvalues of symmetric or Hermitian matrices in ascending order.

    Only the lower triangle is read. Raises ValueError when the matrices are not square.
    """
    return routines.eigvalsh(x)


def inv(x: _Operand, /) -> Array:
    """Return the inverses.

    Raises ValueError when the matrices are not square, LinAlgError for singular ones.
    """
    return routines.inv(x)


@rounded_once
def matrix_norm(x: _Operand, /, *, keepdims: bool = False, ord: float | Literal["fro", "nuc"] | None = "fro") -> Array:
    """Return the norms of matrices: Frobenius, nuclear, the largest (``-``: least) sum of columns (1) or rows (inf), or
    the largest (least) singular value (2).

    Raises ValueError for other orders and for fewer than 2 axes.
    """
    x = _floating(_matrices(x, "matrix_norm"))
    axes = (-2, -1)
    # All norms of a matrix without elements are 0, but for the least of nothing.
    if ord in {"fro", None} or (0 in x.shape[-2:] and ord in {1, 2, np.inf}):
        return xp.sqrt(xp.sum(_squares(x), axis=axes, keepdims=keepdims))
    if ord in {1, -1, np.inf, -np.inf}:
        by_columns = ord in {1, -1}
        sums = xp.sum(xp.abs(x), axis=-2 if by_columns else -1, keepdims=True)
        extreme = xp.max if ord > 0 else xp.min
        return extreme(sums, axis=axes, keepdims=keepdims)
    if ord in {2, -2, "nuc"}:
        values = routines.svdvals(x)
        function = {2: xp.max, -2: xp.min, "nuc": xp.sum}[ord]
        result = function(values, axis=-1)
        return xp.reshape(result, (*x.shape[:-2], 1, 1)) if keepdims else result
    message = f"matrix_norm: there is no order {ord!r}; there are 'fro', 'nuc', 1, -1, 2, -2, inf, -inf"
    raise ValueError(message)


def matrix_power(x: _Operand, n: int, /) -> Array:
    """Return the product of ``n`` copies of square matrices, for negative ``n`` of their inverses.

    Raises ValueError when the matrices are not square, LinAlgError for the inverse of singular ones.
    """
    x = _matrices(x, "matrix_power")
    if x.shape[-1] != x.shape[-2]:
        message = f"matrix_power: the matrices must be square, got shape {x.shape}"
        raise ValueError(message)
    if n == 0:
        return xp.broadcast_to(xp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    if n < 0:
        x, n = inv(x), -n
    result = None
    while n:
        if n & 1:
            result = x if result is None else matmul(result, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    assert result is not None
    return result


def matrix_rank(x: _Operand, /, *, rtol: _Operand | None = None) -> Array:
    """Return how many singular values are greater than ``rtol`` times the greatest.

    ``rtol`` is the larger extent times the dtype's precision unless given. Raises ValueError for fewer than 2 axes.
    """
    x = _matrices(x, "matrix_rank")
    values = routines.svdvals(x)
    return xp.count_nonzero(values > _threshold(values, x, rtol), axis=-1)


def outer(x1: _Operand, x2: _Operand, /) -> Array:
    """Return the products of all pairs of elements of two vectors.

    Raises ValueError for arrays that are no vectors.
    """
    a, b = _array(x1), _array(x2)
    if a.ndim != 1 or b.ndim != 1:
        message = f"outer: needs two vectors, got shapes {a.shape} and {b.shape}"
        raise ValueError(message)
    return a[:, None] * b[None, :]


def pinv(x: _Operand, /, *, rtol: _Operand | None = None) -> Array:
    """Return the pseudo-inverses: singular values up to ``rtol`` times the greatest count as 0.

    ``rtol`` is the larger extent times the dtype's precision unless given. Raises ValueError for fewer than 2 axes.
    """
    x = _matrices(x, "pinv")
    u, s, vh = routines.svd(x, False)
    large = s > _threshold(s, x, rtol)
    inverse = xp.where(large, 1 / xp.where(large, s, 1), 0)
    return matmul(_adjoint(vh) * inverse[..., None, :], _adjoint(u))


def qr(x: _Operand, /, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Return ``Q`` with orthonormal columns and the upper triangular ``R`` with ``x = Q @ R``.

    ``complete`` makes ``Q`` square. Raises ValueError for other modes and for fewer than 2 axes.
    """
    if mode not in {"reduced", "complete"}:
        message = f"qr: mode must be 'reduced' or 'complete', not {mode!r}"
        raise ValueError(message)
    return QRResult(*routines.qr(x, mode == "complete"))


def slogdet(x: _Operand, /) -> SlogdetResult:
    """Return the signs and the logarithms of the absolute values of the determinants; 0 and ``-inf`` where it is 0.

    Raises ValueError when the matrices are not square.
    """
    return SlogdetResult(*routines.slogdet(x))


def solve(x1: _Operand, x2: _Operand, /) -> Array:
    """Return the solutions of ``x1 @ x = x2``; ``x2`` is a vector if it has one axis, else matrices that broadcast.

    Raises ValueError when the shapes do not fit, LinAlgError for singular matrices.
    """
    return routines.solve(x1, x2)


def svd(x: _Operand, /, *, full_matrices: bool = True) -> SVDResult:
    """Return ``U``, the singular values ``S`` in descending order and ``Vh`` with ``x = (U * S) @ Vh``.

    ``full_matrices`` makes ``U`` and ``Vh`` square. Raises ValueError for fewer than 2 axes.
    """
    return SVDResult(*routines.svd(x, full_matrices))


def svdvals(x: _Operand, /) -> Array:
    """Return the singular values in descending order.

    Raises ValueError for fewer than 2 axes.
    """
    return routines.svdvals(x)


def trace(x: _Operand, /, *, offset: int = 0, dtype: _DType | None = None) -> Array:
    """Return the sums of diagonals, ``offset`` above the main one.

    Raises ValueError for fewer than 2 axes.
    """
    return xp.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


@rounded_once
def vector_norm(
    x: _Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, ord: float = 2
) -> Array:
    """Return the ``ord``-norms of vectors along an axis or several, all by default: ``inf`` and ``-inf`` are the
    greatest and least absolute value, 0 counts what is not 0.

    Raises IndexError for an axis out of range.
    """
    x = _floating(_array(x))
    if axis is None:
        norm = vector_norm(xp.reshape(x, (-1,)), axis=0, ord=ord)
        return xp.reshape(norm, (1,) * x.ndim) if keepdims else norm
    if ord == np.inf and x.size > 0:
        return xp.max(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return xp.min(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.astype(xp.count_nonzero(x, axis=axis, keepdims=keepdims), xp.abs(x).dtype)
    if ord in {1, np.inf}:
        return xp.sum(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == 2:
        return xp.sqrt(xp.sum(_squares(x), axis=axis, keepdims=keepdims))
    return xp.sum(xp.abs(x) ** ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def cond(x: _Operand, p: float | Literal["fro", "nuc"] | None = None) -> Array:
    """Return the condition numbers: of norms of order ``p`` those of the matrix times those of its inverse.

    By default, for 2 and -2, from singular values, also for matrices that are not square. Raises LinAlgError for
    singular matrices with other orders, ValueError when these are not square.
    """
    array = _matrices(x, "cond")
    if p in {None, 2, -2}:
        values = routines.svdvals(array)
        first, last = values[..., 0], values[..., -1]
        return last / first if p == -2 else first / last
    order = p if p is not None else 2
    return matrix_norm(array, ord=order) * matrix_norm(inv(array), ord=order)


def lstsq(a: _Operand, b: _Operand, rcond: float | None = None) -> tuple[Array, Array, Array, Array]:
    """Return the shortest ``x`` of least ``norm(a @ x - b)``, the squares of these norms, rank and singular values.

    Singular values up to ``rcond`` times the greatest count as 0: the larger extent times the dtype's precision by
    default, the precision for -1. There are no squares (shape ``(0,)``) where ``a`` has less than full column rank, or
    no more rows than columns; so this computes. Raises ValueError when the shapes do not fit.
    """
    matrix, right = _array(a), _array(b)
    if matrix.ndim != 2 or right.ndim not in {1, 2} or matrix.shape[0] != right.shape[0]:
        message = f"lstsq: shapes {matrix.shape} and {right.shape} are no matrix and right-hand sides of as many rows"
        raise ValueError(message)
    dtype = xp.result_type(
        matrix, right, *([] if {kind(matrix.dtype), kind(right.dtype)} & {"f", "c"} else [xp.float64])
    )
    matrix, right = xp.astype(matrix, dtype, copy=False), xp.astype(right, dtype, copy=False)
    columns = right[:, None] if right.ndim == 1 else right
    u, s, vh = routines.svd(matrix, False)
    if s.shape[0] == 0:
        solution = xp.zeros((matrix.shape[1], columns.shape[1]), dtype=dtype)
        rank = xp.asarray(0)
    else:
        precision = float(np.finfo(s.dtype).eps)
        share = max(matrix.shape) * precision if rcond is None else precision if rcond < 0 else rcond
        large = s > xp.max(s) * share
        inverse = xp.where(large, 1 / xp.where(large, s, 1), 0)
        solution = matmul(_adjoint(vh), inverse[:, None] * matmul(_adjoint(u), columns))
        rank = xp.count_nonzero(large)
    if int(rank) == matrix.shape[1] < matrix.shape[0]:
        residuals = xp.sum(_squares(columns - matmul(matrix, solution)), axis=0)
    else:
        residuals = xp.zeros(0, dtype=s.dtype)
    return solution[:, 0] if right.ndim == 1 else solution, residuals, rank, s


def multi_dot(arrays: Sequence[_Operand], *, out: Any = None) -> Array:
    """Return the matrix product of several arrays, in the order that takes the fewest multiplications.

    The first and the last one may be vectors. Raises ValueError for fewer than 2 and when the shapes do not fit.
    """
    matrices = [_array(x) for x in arrays]
    if len(matrices) < 2:
        message = "multi_dot: expected at least two arrays"
        raise ValueError(message)
    ranks = [x.ndim for x in matrices]
    if any(rank != 2 for rank in ranks[1:-1]) or not {ranks[0], ranks[-1]} <= {1, 2}:
        message = f"multi_dot: expected matrices between vectors or matrices, got shapes {[x.shape for x in matrices]}"
        raise ValueError(message)
    extents = [1 if ranks[0] == 1 else matrices[0].shape[0], *(x.shape[0] for x in matrices[1:])]
    extents = [extents[0], matrices[0].shape[-1], *extents[2:], 1 if ranks[-1] == 1 else matrices[-1].shape[1]]
    places: dict[tuple[int, int], int] = {}
    costs = {(i, i): 0 for i in range(len(matrices))}
    for length in range(1, len(matrices)):
        for first in range(len(matrices) - length):
            last = first + length
            options = (
                (costs[first, k] + costs[k + 1, last] + extents[first] * extents[k + 1] * extents[last + 1], k)
                for k in range(first, last)
            )
            costs[first, last], places[first, last] = min(options)

    def product(first: int, last: int) -> Array:
        if first == last:
            return matrices[first]
        return matmul(product(first, places[first, last]), product(places[first, last] + 1, last))

    return stored(product(0, len(matrices) - 1), out, "multi_dot")


def norm(
    x: _Operand,
    ord: float | Literal["fro", "nuc"] | None = None,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Array:
    """Return the norm of vectors along an axis, or of matrices along two; of all elements without either.

    Orders are those of ``vector_norm`` and ``matrix_norm``, ``None`` is 2 or ``"fro"``. Raises ValueError for an order
    without axes on other than vectors and matrices, for another order, and for more than two axes.
    """
    array = _array(x)
    if axis is None and (ord is None or array.ndim == 1):
        return vector_norm(array, keepdims=keepdims, ord=2 if ord is None else _number(ord))
    axes = tuple(range(array.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(axes) == 1:
        return vector_norm(array, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else _number(ord))
    if len(axes) != 2:
        message = f"norm: {len(axes)} axes of shape {array.shape}; there are norms of vectors and of matrices"
        raise ValueError(message)
    result = matrix_norm(xp.moveaxis(array, axes, (-2, -1)), ord="fro" if ord is None else ord)
    if not keepdims:
        return result
    kept = {place % array.ndim for place in axes}
    return xp.reshape(result, tuple(1 if place in kept else extent for place, extent in enumerate(array.shape)))


def tensorinv(a: _Operand, ind: int = 2) -> Array:
    """Return the inverse for ``tensordot(a, b, ind)``: the first ``ind`` axes of ``a`` are the rows of a matrix.

    Raises ValueError when that is not square or ``ind`` not positive, LinAlgError when it is singular.
    """
    array = _array(a)
    if ind <= 0:
        message = f"tensorinv: ind={ind} must be positive"
        raise ValueError(message)
    shape = array.shape[ind:] + array.shape[:ind]
    return xp.reshape(inv(xp.reshape(array, (math.prod(array.shape[:ind]), -1))), shape)


def tensorsolve(a: _Operand, b: _Operand, axes: Sequence[int] | None = None) -> Array:
    """Return the ``x`` with ``tensordot(a, x, x.ndim) == b``; ``axes`` of ``a`` are moved to its end first.

    Raises ValueError when the shapes do not fit, LinAlgError for singular equations.
    """
    array, right = _array(a), _array(b)
    if axes is not None:
        array = xp.moveaxis(array, tuple(axes), tuple(range(array.ndim - len(axes), array.ndim)))
    shape = array.shape[right.ndim :]
    size = math.prod(shape)
    if math.prod(array.shape[: right.ndim]) != size or size != right.size:
        message = f"tensorsolve: shapes {array.shape} and {right.shape} make no square matrix"
        raise ValueError(message)
    return xp.reshape(solve(xp.reshape(array, (size, size)), xp.reshape(right, (size,))), shape)


def _number(ord: float | str) -> float:
    if isinstance(ord, str):
        message = f"norm: vectors have no norm of order {ord!r}"
        raise ValueError(message)
    return ord


def _array(x: Any) -> Array:
    return x if isinstance(x, Array) else xp.asarray(x)


def _floating(x: Array) -> Array:
    return x if kind(x.dtype) in "fc" else xp.astype(x, np.dtype(np.float64))


def _matrices(x: Any, name: str) -> Array:
    array = _array(x)
    if array.ndim < 2:
        message = f"{name}: needs at least 2 dimensions, got shape {array.shape}"
        raise ValueError(message)
    return array


def _squares(x: Array) -> Array:
    return xp.real(x) ** 2 + xp.imag(x) ** 2 if x.dtype.kind == "c" else x * x


def _adjoint(x: Array) -> Array:
    return matrix_transpose(xp.conj(x))


def _threshold(values: Array, x: Array, rtol: Any) -> Array:
    """What singular values are compared with, an axis more than the batch has."""
    if values.shape[-1] == 0:
        return values
    factor = max(x.shape[-2:]) * float(np.finfo(values.dtype).eps) if rtol is None else rtol
    if isinstance(factor, Array | np.ndarray):
        factor = _array(factor)[..., None]
    return xp.max(values, axis=-1, keepdims=True) * factor


follow_arrays(__name__)

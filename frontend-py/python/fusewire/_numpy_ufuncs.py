"""NumPy's ufuncs on fusewire arrays (NEP 13), as far as they are more than a plain call of an op of the op table: those
in terms of other functions, their keyword arguments, and their methods ``reduce``, ``accumulate`` and ``outer``.

What has no counterpart is a TypeError: NumPy never computes behind the user's back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

import fusewire._fusewire as xp
from fusewire import _beyond, _reductions
from fusewire._fusewire import Array
from fusewire._out import stored

# NumPy's names of functions that the standard calls otherwise.
_OTHER_NAME = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj", "true_divide": "divide", "power": "pow",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift",
    "rint": "round", "degrees": "rad2deg", "radians": "deg2rad",
}  # fmt: skip
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": _reductions.sum, "multiply": _reductions.prod, "maximum": _reductions.max, "minimum": _reductions.min,
    "logical_and": _reductions.all, "logical_or": _reductions.any,
}  # fmt: skip


def call(ufunc: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any] | None) -> Any:
    """Record what ``ufunc.method(*inputs, **keywords)`` means.

    Raises TypeError for ufuncs, methods and arguments without a counterpart.
    """
    options = dict(keywords or {})
    name = ufunc.__name__
    outs = options.pop("out", None)
    casting = options.pop("casting", "same_kind")
    if method == "reduce":
        return _reduced(name, inputs[0], outs, options)
    if method == "accumulate":
        return _accumulated(name, inputs[0], outs, options)
    if method == "outer" and ufunc.nin == 2:
        left, right = map(xp.asarray, inputs)
        inputs = (xp.reshape(left, left.shape + (1,) * right.ndim), right)
    elif method != "__call__":
        raise _without_counterpart(f"{name}.{method}")
    for ignored in ("order", "subok"):
        options.pop(ignored, None)
    where, dtype = options.pop("where", True), options.pop("dtype", None)
    if options:
        message = f"numpy.{name}: {next(iter(options))}= is not supported for fusewire arrays"
        raise TypeError(message)
    if dtype is not None:
        inputs = [xp.astype(xp.asarray(x), dtype, copy=False) for x in inputs]
    results = _function(name)(*inputs)
    if outs is None:
        # Where `where` is false nothing is said of the result.
        return results
    several = isinstance(results, tuple)
    stores = []
    for result, out in zip(results if several else (results,), outs, strict=True):
        masked = out is not None and where is not True
        mixed = xp.where(xp.asarray(where), xp.astype(result, out.dtype), xp.asarray(out)) if masked else result
        stores.append(stored(mixed, out, f"numpy.{name}", casting))
    return tuple(stores) if several else stores[0]


def _reduced(name: str, x: Any, outs: Any, options: dict[str, Any]) -> Any:
    function = _REDUCTIONS.get(name)
    if function is None:
        raise _without_counterpart(f"{name}.reduce")
    if name not in {"add", "multiply"} and options.pop("dtype", None) is not None:
        message = f"numpy.{name}.reduce: dtype= is not supported for fusewire arrays"
        raise TypeError(message)
    options.setdefault("axis", 0)
    if options.get("initial") is np._NoValue:
        del options["initial"]
    return function(x, out=outs[0] if outs else None, **options)


def _accumulated(name: str, x: Any, outs: Any, options: dict[str, Any]) -> Any:
    functions = {"add": xp.cumulative_sum, "multiply": xp.cumulative_prod}
    if name not in functions:
        raise _without_counterpart(f"{name}.accumulate")
    axis, dtype = options.pop("axis", 0), options.pop("dtype", None)
    return stored(functions[name](x, axis=axis, dtype=dtype), outs[0] if outs else None, f"numpy.{name}.accumulate")


def _function(name: str) -> Callable[..., Any]:
    ours = _OTHER_NAME.get(name, name)
    known: list[Any] = [_COMPOSED.get(name), getattr(xp, ours, None), getattr(_beyond, ours, None)]
    for function in known:
        if function is not None:
            return cast(Callable[..., Any], function)
    raise _without_counterpart(name)


def _without_counterpart(name: str) -> TypeError:
    return TypeError(f"fusewire has no counterpart of numpy.{name}; convert with numpy.asarray(x) to use NumPy's")


def _matvec(matrix: Any, vector: Any) -> Array:
    return xp.squeeze(xp.matmul(matrix, xp.asarray(vector)[..., None]), axis=-1)


def _vecmat(vector: Any, matrix: Any) -> Array:
    return xp.squeeze(xp.matmul(xp.conj(xp.asarray(vector))[..., None, :], matrix), axis=-2)


def _float_power(x: Any, y: Any) -> Array:
    wide = xp.result_type(xp.asarray(x), xp.asarray(y), xp.float64)
    return xp.pow(xp.astype(xp.asarray(x), wide), xp.astype(xp.asarray(y), wide))


_COMPOSED: dict[str, Callable[..., Any]] = {
    "divmod": lambda x, y: (xp.floor_divide(x, y), xp.remainder(x, y)),
    "matvec": _matvec,
    "vecmat": _vecmat,
    "float_power": _float_power,
}

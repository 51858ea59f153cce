"""NumPy's functions on fusewire arrays (NEP 18): each name that has a counterpart here, with NumPy's argument names.

A function without a counterpart, or an argument without one, is a TypeError: NumPy never computes behind the user's
back.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np

import fusewire._fusewire as xp
from fusewire import _beyond
from fusewire._inspection import finfo, iinfo

# Functions of one name in both, and NumPy's names of the parameters that go by position here.
_SAME_NAME = {
    "broadcast_arrays": ("args",),
    "expand_dims": ("a",),
    "moveaxis": ("a", "source", "destination"),
    "reshape": ("a",),
    "squeeze": ("a",),
    "flip": ("m",),
    "roll": ("a",),
    "stack": ("arrays",),
    "tile": ("A", "reps"),
    "tril": ("m",),
    "triu": ("m",),
    "where": ("condition", "x", "y"),
    "clip": ("a",),
    "sum": ("a",),
    "prod": ("a",),
    "max": ("a",),
    "min": ("a",),
    "mean": ("a",),
    "var": ("a",),
    "std": ("a",),
    "any": ("a",),
    "all": ("a",),
    "argmax": ("a",),
    "argmin": ("a",),
    "count_nonzero": ("a",),
    "cumulative_sum": ("x",),
    "cumulative_prod": ("x",),
    "matrix_transpose": ("x",),
    "tensordot": ("a", "b"),
    "zeros_like": ("a",),
    "ones_like": ("a",),
    "empty_like": ("prototype",),
    "full_like": ("a",),
    "diff": ("a",),
    "nonzero": ("a",),
    "repeat": ("a", "repeats"),
    "searchsorted": ("a", "v"),
    "unique_all": ("x",),
    "unique_counts": ("x",),
    "unique_inverse": ("x",),
    "unique_values": ("x",),
    "put_along_axis": ("arr", "indices", "values"),
    "take": ("a", "indices"),
    "take_along_axis": ("arr", "indices"),
    "isin": ("element", "test_elements"),
    "unstack": ("x",),
    "permute_dims": ("a",),
    "astype": ("x", "dtype"),
    "broadcast_to": ("array",),
    "concat": ("arrays",),
    "real": ("val",),
    "imag": ("val",),
    "round": ("a",),
    "result_type": ("arrays_and_dtypes",),
    "can_cast": ("from_", "to"),
    "sort": ("a",),
    "argsort": ("a",),
    **{name: ("a",) for name in _beyond.__all__ if name.startswith("nan")},
    "nan_to_num": ("x",),
    "atleast_1d": ("arys",),
    "atleast_2d": ("arys",),
    "atleast_3d": ("arys",),
    "convolve": ("a", "v"),
    "diag": ("v",),
    "einsum": ("operands",),
    "argpartition": ("a",),
    "isclose": ("a", "b"),
    "median": ("a",),
    "partition": ("a",),
    "percentile": ("a",),
    "quantile": ("a",),
    "kron": ("a", "b"),
    "pad": ("array",),
    "unravel_index": ("indices", "shape"),
}
_OTHER_NAME = {"amax": "max", "amin": "min", "around": "round", "concatenate": "concat", "transpose": "permute_dims"}
_RENAMED = {"ddof": "correction", "a_min": "min", "a_max": "max"}
# Arguments that only say how NumPy is to do it; their other values have no counterpart.
_IGNORED = {"out": (None,), "order": (None, "C", "K"), "subok": (True, False), "casting": ("same_kind",)}
# Functions whose answer is no array: they need the values, wherever they are asked.
_CONVERTED = frozenset(
    "allclose array2string array_equal array_equiv iscomplexobj isrealobj may_share_memory save savetxt "
    "savez savez_compressed shares_memory".split()
)
_UFUNC_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}


def call(function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Record what ``numpy.<function>(*arguments, **keywords)`` means.

    Raises TypeError for functions and arguments without a counterpart.
    """
    name = function.__name__
    special = _SPECIAL.get(name)
    if special is not None:
        return special(*arguments, **keywords)
    if name in _CONVERTED:
        return function(*map(_to_numpy, arguments), **{key: _to_numpy(value) for key, value in keywords.items()})
    name = _OTHER_NAME.get(name, name)
    positional = _SAME_NAME.get(name)
    if positional is None:
        message = (
            f"fusewire has no counterpart of numpy.{function.__name__}; convert with numpy.asarray(x) to use NumPy's"
        )
        raise TypeError(message)
    bound = _signature(function).bind(*arguments, **keywords)
    leading: list[Any] = []
    named: dict[str, Any] = {}
    for key, value in bound.arguments.items():
        if value is np._NoValue:
            continue
        if _signature(function).parameters[key].kind is inspect.Parameter.VAR_POSITIONAL:
            leading.extend(value)
        elif key in positional or (not named and key in {"arrays", "a"}):
            leading.append(value)
        elif key in _IGNORED:
            _refuse_unless(value in _IGNORED[key], function, key, value)
        else:
            named[_RENAMED.get(key, key)] = value
    try:
        return _target(name)(*leading, **named)
    except TypeError as error:
        error.add_note(f"in numpy.{function.__name__}, which fusewire records as fusewire.{name}")
        raise


def ufunc_method(name: str, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any] | None) -> Any:
    """Record ``numpy.<name>.<method>``: ``reduce`` and ``accumulate`` where there is a function for it.

    Raises TypeError for everything else.
    """
    arguments = dict(keywords or {})
    arguments = {k: v for k, v in arguments.items() if v is not None or k == "axis"}
    if method == "reduce" and name in _UFUNC_REDUCTIONS:
        arguments.setdefault("axis", 0)
        return getattr(xp, _UFUNC_REDUCTIONS[name])(*inputs, **arguments)
    if method == "accumulate" and name in {"add", "multiply"}:
        arguments.setdefault("axis", 0)
        return getattr(xp, "cumulative_sum" if name == "add" else "cumulative_prod")(*inputs, **arguments)
    message = f"fusewire has no counterpart of numpy.{name}.{method}; convert with numpy.asarray(x) to use NumPy's"
    raise TypeError(message)


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _refuse_unless(known: bool, function: Callable[..., Any], key: str, value: object) -> None:
    if not known:
        message = f"numpy.{function.__name__}: {key}={value!r} is not supported for fusewire arrays"
        raise TypeError(message)


def _target(name: str) -> Callable[..., Any]:
    lenient: dict[str, Callable[..., Any]] = {"round": _rounded, "permute_dims": _permuted, "squeeze": _squeezed}
    return lenient.get(name) or getattr(xp, name, None) or getattr(_beyond, name)


def _rounded(x: xp.Array, decimals: int = 0) -> xp.Array:
    return x.round(decimals)


def _to_numpy(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, xp.Array) else value


def _permuted(x: xp.Array, axes: Sequence[int] | None = None) -> xp.Array:
    return x.transpose() if axes is None else xp.permute_dims(x, tuple(axes))


def _squeezed(x: xp.Array, axis: int | tuple[int, ...] | None = None) -> xp.Array:
    return x.squeeze(axis)


def _dot(a: Any, b: Any, out: None = None) -> xp.Array:
    _refuse_unless(out is None, np.dot, "out", out)
    return xp.asarray(a).dot(b)


def _cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> xp.Array:
    _refuse_unless(out is None, np.cumsum, "out", out)
    return xp.asarray(a).cumsum(axis, dtype)


def _cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> xp.Array:
    _refuse_unless(out is None, np.cumprod, "out", out)
    return xp.asarray(a).cumprod(axis, dtype)


_SPECIAL: dict[str, Callable[..., Any]] = {
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": lambda a, axis=None: a.size if axis is None else a.shape[axis],
    "ravel": lambda a, order="C": a.ravel() if order == "C" else _refuse_unless(False, np.ravel, "order", order),
    "copy": lambda a, order="K", subok=False: a.copy(),
    "array_repr": lambda arr, **_: repr(arr),
    "array_str": lambda a, **_: str(a),
    "dot": _dot,
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "meshgrid": lambda *xi, indexing="xy", copy=True, sparse=False: _meshgrid(xi, indexing, sparse),
    "cov": _beyond.cov,
    "finfo": finfo,
    "iinfo": iinfo,
}


def _meshgrid(arrays: Sequence[Any], indexing: Literal["xy", "ij"], sparse: bool) -> tuple[xp.Array, ...]:
    _refuse_unless(not sparse, np.meshgrid, "sparse", sparse)
    return xp.meshgrid(*arrays, indexing=indexing)

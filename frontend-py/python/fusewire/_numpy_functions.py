"""NumPy's functions on fusewire arrays (NEP 18): each is the function of the same name here, whose parameters have
NumPy's names but for those that go by position. Functions that differ in more stand in the table at the end.

A function without a counterpart, or an argument without one, is a TypeError: NumPy never computes behind the user's
back. Those that assign to a NumPy array, and those whose answer is no array, take the values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal

import numpy as np

import fusewire._fusewire as xp
from fusewire import _beyond, _methods, _reductions, fft, linalg
from fusewire._fusewire import Array
from fusewire._inspection import finfo, iinfo
from fusewire._out import stored

# Where NumPy's function is, and where to look for ours.
_MODULES: dict[str, tuple[ModuleType, ...]] = {
    "numpy": (xp, _beyond),
    "numpy.linalg": (linalg,),
    "numpy.fft": (fft,),
}
_OTHER_NAME = {"amax": "max", "amin": "min", "concatenate": "concat"}
_RENAMED = {"ddof": "correction", "a_min": "min", "a_max": "max"}
# Arguments that only say how NumPy is to do it.
_IGNORED: dict[str, tuple[Any, ...]] = {
    "order": (None, "C", "K", "A"),
    "subok": (True, False),
    "kind": (None, "quicksort", "mergesort", "heapsort", "stable", "introselect"),
    "overwrite_input": (True, False),
    "hermitian": (True, False),
    "sorted": (True, False),
    "casting": ("same_kind", "unsafe"),
}
# Functions whose answer is no array: they need the values, wherever they are asked.
_CONVERTED = frozenset(
    "allclose array2string array_equal array_equiv may_share_memory save savetxt savez savez_compressed "
    "shares_memory".split()
)


def call(function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Record what a function of NumPy means on these arguments.

    Raises TypeError for functions and arguments without a counterpart.
    """
    place = getattr(function, "__module__", "") or ""
    name = f"{place}.{function.__name__}"
    special = _SPECIAL.get(name.removeprefix("numpy."))
    if special is not None:
        return special(*arguments, **keywords)
    if function.__name__ in _CONVERTED:
        return function(*map(_to_numpy, arguments), **{key: _to_numpy(value) for key, value in keywords.items()})
    target = _target(place, function.__name__)
    if target is None:
        message = f"fusewire has no counterpart of {name}; convert with numpy.asarray(x) to use NumPy's"
        raise TypeError(message)
    leading, named, out = _arguments(function, target, arguments, keywords)
    try:
        result = target(*leading, **named)
    except TypeError as error:
        error.add_note(f"in {name}, which fusewire records as its {target.__name__}")
        raise
    return stored(result, out, name)


def _arguments(
    function: Callable[..., Any], target: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], Any]:
    """NumPy's arguments as those of our function: by position, by name, and what its result is to be put into."""
    kinds = inspect.Parameter
    theirs, ours = _signature(function).parameters, _signature(target).parameters
    positional = sum(p.kind is kinds.POSITIONAL_ONLY for p in ours.values())
    takes_any = any(p.kind is kinds.VAR_KEYWORD for p in ours.values())
    leading: list[Any] = []
    named: dict[str, Any] = {}
    out = None
    order = list(theirs)
    for key, value in _signature(function).bind(*arguments, **keywords).arguments.items():
        parameter = theirs[key]
        name = _RENAMED.get(key, key) if key not in ours else key
        if parameter.kind is kinds.VAR_POSITIONAL:
            leading.extend(value)
        elif parameter.kind is kinds.VAR_KEYWORD:
            named.update(value)
        elif value is np._NoValue:
            continue
        elif key == "out":
            out = value[0] if isinstance(value, tuple) else value
        elif order.index(key) < positional:
            leading.append(value)
        elif name in ours or takes_any:
            named[name] = value
        elif value is not parameter.default and value not in _IGNORED.get(key, ()):
            _refuse(function, key, value)
    return leading, named, out


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@cache
def _target(place: str, name: str) -> Callable[..., Any] | None:
    name = _OTHER_NAME.get(name, name)
    if place == "numpy" and name in _REDUCTIONS:
        reduction: Callable[..., Any] = getattr(_reductions, name)
        return _by_position(reduction)
    for module in _MODULES.get(place, ()):
        function: Callable[..., Any] | None = getattr(module, name, None)
        if name in module.__all__ and function is not None:
            return function
    return None


_REDUCTIONS = frozenset("sum prod max min any all mean var std".split())


def _by_position(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """The same with the array by position only, whatever NumPy calls it; ``out`` is the caller's."""
    signature = inspect.signature(reduction)
    first, *others = signature.parameters.values()
    others = [p for p in others if p.name != "out"]

    def called(x: Any, /, **options: Any) -> Any:
        return reduction(x, **options)

    called.__name__ = reduction.__name__
    first = first.replace(kind=inspect.Parameter.POSITIONAL_ONLY)
    called.__signature__ = signature.replace(parameters=[first, *others])  # type: ignore[attr-defined]
    return called


def _refuse(function: Callable[..., Any], key: str, value: object) -> None:
    message = f"{function.__module__}.{function.__name__}: {key}={value!r} is not supported for fusewire arrays"
    raise TypeError(message)


def _to_numpy(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Array) else value


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    return stored(xp.asarray(a).round(decimals), out, "numpy.round")


def _transpose(a: Any, axes: Sequence[int] | None = None) -> Array:
    return xp.asarray(a).transpose() if axes is None else xp.permute_dims(a, tuple(axes))


def _reshape(a: Any, /, shape: Any, order: Any = "C", *, copy: bool | None = None) -> Array:
    return xp.asarray(a).reshape(shape, order=order, copy=copy)


def _sort(a: Any, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: Any = None) -> Array:
    return xp.sort(xp.asarray(a).ravel() if axis is None else a, axis=-1 if axis is None else axis)


def _take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    x, places = xp.asarray(a), xp.asarray(indices)
    extent = x.size if axis is None else x.shape[axis]
    return stored(xp.take(x, _methods.within(places, extent, mode), axis=axis), out, "numpy.take")


def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Array:  # fmt: skip
    x = xp.asarray(a)
    dtype = x.dtype if dtype is None else dtype
    return xp.full(x.shape if shape is None else shape, fill_value, dtype=dtype, device=device)


def _filled_with(value: int) -> Callable[..., Array]:
    return lambda a, *options, **named: _full_like(a, value, *options, **named)


def _meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: Literal["xy", "ij"] = "xy"
) -> tuple[Array, ...]:  # fmt: skip
    if not sparse:
        return xp.meshgrid(*xi, indexing=indexing)
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = [1, 0]
    return tuple(
        xp.reshape(xp.asarray(x), tuple(-1 if axis == place else 1 for axis in range(len(xi))))
        for x, place in zip(xi, places, strict=True)
    )


def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Array:  # fmt: skip
    if axis is not None:
        axisa = axisb = axisc = axis
    left, right = xp.moveaxis(xp.asarray(a), axisa, -1), xp.moveaxis(xp.asarray(b), axisb, -1)
    return xp.moveaxis(linalg.cross(left, right), -1, axisc)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Array:
    x = xp.asarray(arr)
    if axis is None:
        x, axis = x.ravel(), 0
    left = np.delete(np.arange(x.shape[axis]), obj if isinstance(obj, slice) else np.asarray(obj))
    return xp.take(x, xp.asarray(left), axis=axis)


def _resize(a: Any, new_shape: Any) -> Array:
    flat = xp.asarray(a).ravel()
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    count = int(np.prod(shape))
    return xp.reshape(xp.take(flat, xp.arange(count) % max(flat.size, 1)), shape)


def _apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    x = xp.moveaxis(xp.asarray(arr), axis, -1)
    vectors = xp.unstack(xp.reshape(x, (-1, x.shape[-1])))
    if not vectors:
        message = f"numpy.apply_along_axis: shape {x.shape} has no vectors to apply {func1d!r} to"
        raise ValueError(message)
    results = [xp.asarray(func1d(vector, *args, **kwargs)) for vector in vectors]
    rank = results[0].ndim
    stacked = xp.reshape(xp.stack(results), x.shape[:-1] + results[0].shape)
    place = axis % x.ndim
    return xp.moveaxis(stacked, tuple(range(-rank, 0)), tuple(range(place, place + rank))) if rank else stacked


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    if isinstance(dst, Array):
        value = xp.asarray(src)
        if where is not True:
            value = xp.where(xp.asarray(where), xp.astype(value, dst.dtype), dst)
        stored(value, dst, "numpy.copyto", casting)
    else:
        np.copyto(dst, np.asarray(src), casting=casting, where=np.asarray(where))  # type: ignore[arg-type]


def _place(arr: Array, mask: Any, vals: Any) -> None:
    places = _beyond.flatnonzero(mask)
    if places.size:
        arr.put(places, vals)


def _putmask(a: Array, mask: Any, values: Any) -> None:
    given = xp.asarray(values).ravel()
    chosen = xp.reshape(xp.take(given, xp.arange(a.size) % given.size), a.shape)
    a[...] = xp.where(xp.asarray(mask), xp.astype(chosen, a.dtype), a)


def _fill_diagonal(a: Array, val: Any, wrap: bool = False) -> None:
    if a.ndim < 2 or (a.ndim > 2 and len(set(a.shape)) > 1):
        message = f"numpy.fill_diagonal: needs 2 axes, or more of one extent, got shape {a.shape}"
        raise ValueError(message)
    end = a.shape[1] ** 2 if a.ndim == 2 and not wrap else a.size
    step = sum(int(np.prod(a.shape[axis:])) for axis in range(1, a.ndim + 1))
    a.put(xp.arange(0, min(end, a.size), step), val)


def _windows(x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False) -> Array:
    result = xp.asarray(x)
    widths = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    axes = tuple(range(result.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if len(widths) != len(axes):
        message = f"numpy.lib.stride_tricks.sliding_window_view: {len(widths)} extents for {len(axes)} axes"
        raise ValueError(message)
    rank = result.ndim
    for place, width in zip(axes, widths, strict=True):
        count = result.shape[place] - width + 1
        if count < 1 or width < 0:
            message = f"numpy.lib.stride_tricks.sliding_window_view: no window of {width} in shape {result.shape}"
            raise ValueError(message)
        starts = xp.arange(count)[:, None] + xp.arange(width)[None, :]
        result = xp.moveaxis(xp.take(result, starts, axis=place % rank), place % rank + 1, -1)
    return result


def _symmetric(function: Callable[[Array], Any]) -> Callable[..., Any]:
    def called(a: Any, UPLO: str = "L") -> Any:  # noqa: N803
        x = xp.asarray(a)
        if UPLO.upper() not in {"L", "U"}:
            message = f"numpy.linalg.{function.__name__}: UPLO must be 'L' or 'U', not {UPLO!r}"
            raise ValueError(message)
        return function(x if UPLO.upper() == "L" else xp.conj(xp.matrix_transpose(x)))

    return called


def _qr(a: Any, mode: Literal["reduced", "complete", "r"] = "reduced") -> Any:
    return linalg.qr(a).R if mode == "r" else linalg.qr(a, mode=mode)


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    return linalg.svd(a, full_matrices=full_matrices) if compute_uv else linalg.svdvals(a)


def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Array:
    x = xp.asarray(a)
    given = rcond if rcond is not None else None if rtol is np._NoValue else rtol
    # NumPy takes 1e-15 where the standard has the precision of the dtype.
    return linalg.pinv(x, rtol=1e-15 if given is None and rtol is np._NoValue else given)


def _matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Array:  # noqa: N803
    x = xp.asarray(A)
    if x.ndim < 2:
        return xp.astype(xp.any(x != 0), xp.int64)
    if tol is None:
        return linalg.matrix_rank(x, rtol=rtol)
    return xp.count_nonzero(linalg.svdvals(x) > xp.asarray(tol)[..., None], axis=-1)


def _planes(function: Callable[..., Array]) -> Callable[..., Any]:
    def called(a: Any, s: Any = None, axes: Sequence[int] = (-2, -1), norm: Any = None, out: Any = None) -> Any:
        return stored(function(a, s=s, axes=axes, norm=norm), out, function.__name__)

    return called


def _eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: Any = "C", device: Any = None) -> Array:  # noqa: N803
    return xp.eye(N, M, k=k, dtype=dtype, device=device)


def _by_like(constructor: Callable[..., Array]) -> Callable[..., Array]:
    """What ``numpy.zeros(..., like=x)`` calls, without that argument."""

    def called(*arguments: Any, order: Any = None, subok: Any = None, ndmin: int = 0, **options: Any) -> Array:
        result = constructor(*arguments, **options)
        return xp.reshape(result, (1,) * (ndmin - result.ndim) + result.shape) if ndmin > result.ndim else result

    return called


_SPECIAL: dict[str, Callable[..., Any]] = {
    "shape": lambda a: a.shape,
    "ndim": lambda a: a.ndim,
    "size": lambda a, axis=None: a.size if axis is None else a.shape[axis],
    "ravel": lambda a, order="C": a.ravel(order),
    "copy": lambda a, order="K", subok=False: a.copy(),
    "array_repr": lambda arr, **_: repr(arr),
    "array_str": lambda a, **_: str(a),
    "iscomplexobj": lambda x: x.dtype.kind == "c",
    "isrealobj": lambda x: x.dtype.kind != "c",
    "iscomplex": lambda x: xp.imag(x) != 0,
    "isreal": lambda x: xp.imag(x) == 0,
    "dot": lambda a, b, out=None: stored(xp.asarray(a).dot(b), out, "numpy.dot"),
    "cumsum": lambda a, axis=None, dtype=None, out=None: stored(xp.asarray(a).cumsum(axis, dtype), out, "numpy.cumsum"),
    "cumprod": lambda a, axis=None, dtype=None, out=None: stored(
        xp.asarray(a).cumprod(axis, dtype), out, "numpy.cumprod"
    ),
    "round": _round,
    "around": _round,
    "transpose": _transpose,
    "permute_dims": _transpose,
    "squeeze": lambda a, axis=None: xp.asarray(a).squeeze(axis),
    "reshape": _reshape,
    "where": xp.where,
    "sort": _sort,
    "argsort": lambda a, axis=-1, kind=None, order=None, *, stable=None: xp.asarray(a).argsort(axis),
    "take": _take,
    "choose": lambda a, choices, out=None, mode="raise": _methods.choose(xp.asarray(a), choices, out, mode),
    "empty_like": _filled_with(0),
    "zeros_like": _filled_with(0),
    "ones_like": _filled_with(1),
    "full_like": _full_like,
    "meshgrid": _meshgrid,
    "cross": _cross,
    "apply_along_axis": _apply_along_axis,
    "delete": _delete,
    "resize": _resize,
    "copyto": _copyto,
    "put": lambda a, ind, v, mode="raise": a.put(ind, v, mode),
    "place": _place,
    "putmask": _putmask,
    "fill_diagonal": _fill_diagonal,
    "finfo": finfo,
    "iinfo": iinfo,
    "lib.stride_tricks.sliding_window_view": _windows,
    "linalg.eigh": _symmetric(linalg.eigh),
    "linalg.eigvalsh": _symmetric(linalg.eigvalsh),
    "linalg.qr": _qr,
    "linalg.svd": _svd,
    "linalg.pinv": _pinv,
    "linalg.matrix_rank": _matrix_rank,
    "fft.fft2": _planes(fft.fftn),
    "fft.ifft2": _planes(fft.ifftn),
    "fft.rfft2": _planes(fft.rfftn),
    "fft.irfft2": _planes(fft.irfftn),
    **{name: _by_like(getattr(xp, name)) for name in ("zeros", "ones", "empty", "full", "arange", "asarray")},
    "eye": _eye,
    "identity": lambda n, dtype=None: xp.eye(n, dtype=dtype),
    **{name: _by_like(xp.asarray) for name in ("array", "asanyarray", "ascontiguousarray")},
}

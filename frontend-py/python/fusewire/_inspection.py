"""The standard's questions about dtypes and about the namespace itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusewire._fusewire import Array, engine

_KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


class _Limits:
    """NumPy's limits of a dtype, with plain Python numbers for values."""

    _info: Any

    def __getattr__(self, name: str) -> Any:
        # Who makes an object without `__init__` asks before there is anything to ask.
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._info, name)
        return value.item() if isinstance(value, np.generic) else value

    def __reduce__(self) -> tuple[type[_Limits], tuple[np.dtype[Any]]]:
        return type(self), (self._info.dtype,)

    def __repr__(self) -> str:
        return repr(self._info)


class finfo(_Limits):  # noqa: N801 (the standard's name)
    """The limits of a floating-point dtype, or of an array's: the standard's attributes, and NumPy's others.

    Attributes: bits, eps, max, min, smallest_normal, dtype. Raises ValueError for other dtypes.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]

    def __init__(self, type: Any, /) -> None:
        dtype = _dtype_of(type)
        if dtype.name == "bfloat16":
            import ml_dtypes

            self._info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        else:
            self._info = np.finfo(dtype)


class iinfo(_Limits):  # noqa: N801 (the standard's name)
    """The limits of an integer dtype, or of an array's.

    Attributes: bits, max, min, dtype. Raises ValueError for other dtypes.
    """

    bits: int
    max: int
    min: int
    dtype: np.dtype[Any]

    def __init__(self, type: Any, /) -> None:
        self._info = np.iinfo(_dtype_of(type))


def _dtype_of(type: Any) -> np.dtype[Any]:
    return np.dtype(type.dtype if isinstance(type, Array | np.ndarray | np.generic) else type)


def kind(dtype: np.dtype[Any]) -> str:
    """NumPy's letter for the kind of a dtype; that of floats for bfloat16 too, which NumPy takes for no number."""
    return "f" if dtype.name == "bfloat16" else dtype.kind


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return whether a dtype is of a kind: a dtype, a name such as ``"real floating"``, or a tuple of these.

    Raises ValueError or TypeError for unknown kinds.
    """
    dtype = np.dtype(dtype)
    if dtype.name != "bfloat16":
        return bool(np.isdtype(dtype, kind))
    # NumPy does not take it for a number.
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return any(bool(np.isdtype(np.float16, k)) if isinstance(k, str) else dtype == k for k in kinds)


class __array_namespace_info__:  # noqa: N801 (the standard's name)
    """What the namespace supports, as the standard asks."""

    def capabilities(self) -> dict[str, Any]:
        """Return what of the standard's optional behaviour there is."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Return the device of new arrays."""
        return engine.get_default_device()

    def devices(self) -> tuple[str, ...]:
        """Return all devices."""
        return tuple(engine.devices())

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """Return the dtypes of numbers without one."""
        engine.known_device(device)
        names = {"real floating": "float64", "complex floating": "complex128", "integral": "int64", "indexing": "int64"}
        return {kind: np.dtype(name) for kind, name in names.items()}

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """Return the dtypes by name, all or those of the kinds asked for."""
        engine.known_device(device)
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        unknown = [k for k in kinds if k not in _KINDS]
        if unknown:
            message = f"unknown kind {unknown[0]!r}; known are {', '.join(map(repr, _KINDS))}"
            raise ValueError(message)
        return {name: np.dtype(name) for k in kinds for name in _KINDS[k]}

"""The standard's questions about dtypes and about the namespace itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusewire import _fusewire
from fusewire._fusewire import Array

_KINDS: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


def finfo(type: Any, /) -> np.finfo[Any]:
    """Return the machine limits of a floating-point dtype, or of an array's.

    Raises ValueError for other dtypes.
    """
    return np.finfo(type.dtype if isinstance(type, Array) else type)


def iinfo(type: Any, /) -> np.iinfo[Any]:
    """Return the limits of an integer dtype, or of an array's.

    Raises ValueError for other dtypes.
    """
    return np.iinfo(type.dtype if isinstance(type, Array) else type)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return whether a dtype is of a kind: a dtype, a name such as ``"real floating"``, or a tuple of these.

    Raises ValueError or TypeError for unknown kinds.
    """
    return bool(np.isdtype(np.dtype(dtype), kind))


class __array_namespace_info__:  # noqa: N801 (the standard's name)
    """What the namespace supports, as the standard asks."""

    def capabilities(self) -> dict[str, Any]:
        """Return what of the standard's optional behaviour there is."""
        return {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64}

    def default_device(self) -> str:
        """Return the device of new arrays."""
        return "cpu"

    def devices(self) -> list[str]:
        """Return all devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """Return the dtypes of numbers without one."""
        _check_device(device)
        names = {"real floating": "float64", "complex floating": "complex128", "integral": "int64", "indexing": "int64"}
        return {kind: getattr(_fusewire, name) for kind, name in names.items()}

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, np.dtype[Any]]:
        """Return the dtypes by name, all or those of the kinds asked for."""
        _check_device(device)
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        unknown = [k for k in kinds if k not in _KINDS]
        if unknown:
            message = f"unknown kind {unknown[0]!r}; known are {', '.join(map(repr, _KINDS))}"
            raise ValueError(message)
        return {name: getattr(_fusewire, name) for k in kinds for name in _KINDS[k]}


def _check_device(device: str | None) -> None:
    if device not in {None, "cpu"}:
        message = f"unknown device {device!r}; there is: cpu"
        raise ValueError(message)

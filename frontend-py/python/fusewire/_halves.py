"""Statistics of floats of 16 bits: computed in float32 from beginning to end, and rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._inspection import kind

_Options = ParamSpec("_Options")


def rounded_once(
    function: Callable[Concatenate[Any, _Options], Array],
) -> Callable[Concatenate[Any, _Options], Array]:
    """Make a function widen float16 and bfloat16, and round its result to them unless another dtype is asked for."""

    @functools.wraps(function)
    def widened(x: Any, /, *args: _Options.args, **kwargs: _Options.kwargs) -> Array:
        x = xp.asarray(x)
        if x.dtype.itemsize != 2 or kind(x.dtype) != "f":
            return function(x, *args, **kwargs)
        result = function(xp.astype(x, xp.float32), *args, **kwargs)
        chosen = kwargs.get("dtype") is not None or result.dtype != xp.float32
        return result if chosen else xp.astype(result, x.dtype)

    return widened

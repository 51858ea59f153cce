"""Statistics of floats of 16 bits: computed in float32 from beginning to end, and rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import fusewire._fusewire as xp
from fusewire._fusewire import Array
from fusewire._inspection import isdtype

_Options = ParamSpec("_Options")


def rounded_once(
    function: Callable[Concatenate[Any, _Options], Array],
) -> Callable[Concatenate[Any, _Options], Array]:
    """Make a function of an array widen float16 and bfloat16, and round its result to them."""

    @functools.wraps(function)
    def widened(x: Any, /, *args: _Options.args, **kwargs: _Options.kwargs) -> Array:
        x = xp.asarray(x)
        if x.dtype.itemsize != 2 or not isdtype(x.dtype, "real floating"):
            return function(x, *args, **kwargs)
        return xp.astype(function(xp.astype(x, xp.float32), *args, **kwargs), x.dtype)

    return widened

"""The device of new arrays."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from fusewire._fusewire import engine


def get_default_device() -> str:
    """Return the device of new arrays, ``"cpu"`` unless it was set.

    It is where ``asarray`` puts NumPy arrays, lists and numbers, and where ``zeros``, ``arange`` and the like make
    arrays when they are called without ``device``.
    """
    return engine.get_default_device()


def set_default_device(device: str) -> None:
    """Make ``device`` that of new arrays; the environment variable ``FUSEWIRE_DEVICE`` sets it from the start.

    Raises ValueError for a device that is not there.
    """
    engine.set_default_device(device)


def follow_arrays(module: str) -> None:
    """Let what the public functions of a module make on the way be on the device of their arguments."""
    namespace = sys.modules[module]
    for name in namespace.__all__:
        function = getattr(namespace, name)
        if inspect.isfunction(function):
            following = _following(function)
            setattr(sys.modules[function.__module__], name, following)
            setattr(namespace, name, following)


def _following(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return engine.call_with_arrays(function, args, kwargs)

    return call


def _from_environment() -> None:
    name = os.environ.get("FUSEWIRE_DEVICE")
    if name:
        try:
            set_default_device(name)
        except ValueError as error:
            message = f"FUSEWIRE_DEVICE: {error}"
            raise ImportError(message) from error


_from_environment()

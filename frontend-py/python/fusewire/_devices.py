"""The device of new arrays."""

import os

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


def _from_environment() -> None:
    name = os.environ.get("FUSEWIRE_DEVICE")
    if name:
        try:
            set_default_device(name)
        except ValueError as error:
            message = f"FUSEWIRE_DEVICE: {error}"
            raise ImportError(message) from error


_from_environment()

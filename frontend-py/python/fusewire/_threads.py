"""How many threads kernels run on. Results do not depend on it, not in a single bit."""

import atexit
import os
from contextlib import suppress

from fusewire._fusewire import engine


def get_num_threads() -> int:
    """Return how many threads kernels may run on."""
    return engine.get_num_threads()


def set_num_threads(count: int) -> None:
    """Let kernels run on ``count`` threads; the environment variable ``FUSEWIRE_NUM_THREADS`` sets it from the start.

    Raises ValueError when ``count`` is not positive.
    """
    engine.set_num_threads(count)


def _from_environment() -> None:
    text = os.environ.get("FUSEWIRE_NUM_THREADS")
    if text:
        try:
            set_num_threads(int(text))
        except ValueError as error:
            message = f"FUSEWIRE_NUM_THREADS must be a positive integer, not {text!r}"
            raise ImportError(message) from error


_from_environment()
# Where the package is not installed, nobody asks it.
with suppress(ImportError):
    import fusewire._threadpoolctl  # noqa: F401
# A compilation in the background must not meet the end of the process.
atexit.register(engine.finish)

"""Lets ``threadpoolctl`` find and limit fusewire's threads, as it does those of BLAS and OpenMP.

Importing this raises ImportError where the package is not installed, or is older than 3.5 and takes no other libraries.
"""

from threadpoolctl import LibController, register

from fusewire._fusewire import __version__, engine


class FusewireController(LibController):  # type: ignore[misc]
    """What ``threadpool_info()`` and ``threadpool_limits()`` ask for."""

    user_api = "fusewire"
    internal_api = "fusewire"
    filename_prefixes = ("_fusewire",)

    def get_num_threads(self) -> int:
        """Return how many threads kernels may run on."""
        return engine.get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        """Let kernels run on so many threads."""
        engine.set_num_threads(num_threads)

    def get_version(self) -> str:
        """Return the package's version."""
        return __version__


register(FusewireController)

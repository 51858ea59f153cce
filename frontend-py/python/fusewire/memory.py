"""Memory of the engine's own buffers, on the host and on GPUs. Arrays shared with other libraries are not counted.

Freed memory is kept for reuse. Where a GPU has no more, what is kept goes back to the driver before MemoryError is
raised. Each function takes the name of a device and raises ValueError for one that is not there.
"""

from fusewire._fusewire import engine

__all__ = ["figures", "reset_peak", "set_budget", "set_limit", "trim"]


def figures(device: str = "cpu") -> dict[str, int]:
    """Return bytes ``allocated`` now, ``cached`` for reuse, the ``peak`` allocated, and the ``limit`` of the cache.

    For a GPU also how much of its memory is ``free``, whoever has the rest, and the ``total``.
    """
    return dict(engine.memory_figures(device))


def reset_peak(device: str = "cpu") -> None:
    """Let ``peak`` start again from what is allocated now."""
    engine.reset_peak(device)


def trim(device: str = "cpu") -> None:
    """Give memory that is kept for reuse back to the system or the driver."""
    engine.trim_memory(device)


def set_limit(size: int, device: str = "cpu") -> None:
    """Bound the memory that is kept for reuse to ``size`` bytes."""
    engine.set_memory_limit(size, device)


def set_budget(size: int | None, device: str = "cuda:0") -> None:
    """Bound the memory that is taken from a GPU, used and kept, to ``size`` bytes; ``None`` for all that there is.

    Allocations beyond it raise MemoryError. Raises NotImplementedError for ``"cpu"``, whose memory is the system's.
    """
    engine.set_memory_budget(size, device)

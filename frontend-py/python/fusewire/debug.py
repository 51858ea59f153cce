"""What the engine did: counters, and whether an array is computed."""

from fusewire._fusewire import Array, engine

__all__ = ["counters", "is_computed", "reset_counters"]


def counters() -> dict[str, int]:
    """Return counts since the start or the last reset.

    Among them: ``plan_hits`` and ``plan_misses`` (computations whose structure was known or new), ``kernels_compiled``,
    ``kernel_launches``, ``bytes_moved`` (an estimate of memory traffic).
    """
    return dict(engine.counters())


def reset_counters() -> None:
    """Start all counters at 0 again."""
    engine.reset_counters()


def is_computed(x: Array, /) -> bool:
    """Return whether the values of ``x`` are there already; asking does not compute them."""
    return engine.is_computed(x)

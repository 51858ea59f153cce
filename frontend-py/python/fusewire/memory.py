"""Memory of the engine's own buffers. Arrays shared with NumPy are not counted."""

from fusewire._fusewire import engine

__all__ = ["figures", "reset_peak", "set_limit", "trim"]


def figures() -> dict[str, int]:
    """Return bytes ``allocated`` now, ``cached`` for reuse, the ``peak`` allocated, and the ``limit`` of the cache."""
    return dict(engine.memory_figures())


def reset_peak() -> None:
    """Let ``peak`` start again from what is allocated now."""
    engine.reset_peak()


def trim() -> None:
    """Give memory that is kept for reuse back to the system."""
    engine.trim_memory()


def set_limit(size: int) -> None:
    """Bound the memory that is kept for reuse to ``size`` bytes."""
    engine.set_memory_limit(size)

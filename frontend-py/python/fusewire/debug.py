"""What the engine did and would do: counters, whether an array is computed, the stages of compilation."""

from typing import Literal

from fusewire._fusewire import Array, engine

__all__ = ["counters", "dump", "is_computed", "reset_counters", "set_first_run", "synchronize"]


def counters() -> dict[str, int]:
    """Return counts since the start or the last reset.

    Among them: ``plan_hits`` and ``plan_misses`` (computations whose structure was known or new), ``graphs_op_by_op``
    (new ones on little data, computed without compiling them), ``kernels_compiled``, ``kernel_launches``,
    ``bytes_moved`` (an estimate of memory traffic), ``bytes_to_devices`` and ``bytes_from_devices`` (copies between the
    host and GPUs).
    """
    return dict(engine.counters())


def reset_counters() -> None:
    """Start all counters at 0 again."""
    engine.reset_counters()


def set_first_run(mode: Literal["auto", "compiled", "op-by-op"]) -> Literal["auto", "compiled", "op-by-op"]:
    """Set how a structure that was not seen before is computed, and return how it was.

    ``"compiled"``: into few kernels, as it is when it comes back often. ``"op-by-op"``: without compiling more than
    single ops, as far as that gives the same bits. ``"auto"``, the default: whichever should take less time.

    Raises ValueError for other names.
    """
    return engine.set_first_run(mode)


def dump(
    *arrays: Array,
    stage: str = "summary",
    after: str | None = None,
    format: Literal["text", "dot", "svg", "html"] = "text",
) -> str:
    """Return the stages that computing ``arrays`` together would go through; nothing is computed.

    ``stage`` is ``"summary"``, ``"all"`` or one of ``captured``, ``graph``, ``regions``, ``program``, ``kernel``,
    ``kernels``, ``clif``, ``asm``; ``after`` is the name of a pass. ``captured``, ``graph``, ``regions`` and graph
    passes also have pictures (``dot``, ``svg``); ``html`` is one page with everything.

    Raises ValueError for arrays that are computed already and for unknown names.
    """
    return engine.dump(arrays, stage if after is None else f"after {after}", format)


def is_computed(x: Array, /) -> bool:
    """Return whether the values of ``x`` are there already; asking does not compute them."""
    return engine.is_computed(x)


def synchronize(device: str | None = None) -> None:
    """Wait until a device, the default one if none is named, has done all that it was asked for: for measuring.

    GPUs compute while Python goes on; values that Python asks for are waited for anyway. Raises ValueError for a device
    that is not there.
    """
    engine.synchronize(device)

"""fusewire and its peers: how each takes the inputs of a workload and runs it until the result is there.

A peer that is not installed is absent. ``prepare`` returns ``None`` where a peer cannot express a workload.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import installed
from workloads import Workload

Call = Callable[[], Any]
Prepare = Callable[[Workload, tuple[np.ndarray, ...]], Call | None]


def fusewire() -> Prepare:
    """Lazy; computed together."""
    import fusewire as xp

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        inputs = [xp.asarray(a) for a in arrays]

        def call() -> Any:
            result = workload.function(xp, *inputs)
            return xp.compute(*result) if isinstance(result, tuple) else result.compute()

        return call

    return prepare


def numpy() -> Prepare:
    """Each operator by itself."""
    return lambda workload, arrays: functools.partial(workload.function, np, *arrays)


def numexpr() -> Prepare:
    """Expressions by hand."""
    from numexpr_expressions import CALLS

    return lambda workload, arrays: CALLS[workload.name](*arrays) if workload.name in CALLS else None


def numba() -> Prepare:
    """Loops by hand."""
    from numba_loops import CALLS

    return lambda workload, arrays: CALLS[workload.name](*arrays) if workload.name in CALLS else None


def jax() -> Prepare:
    """Under ``jax.jit``."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        compiled = jax.jit(functools.partial(workload.function, jax.numpy))
        inputs = [jax.numpy.asarray(a) for a in arrays]
        return lambda: jax.block_until_ready(compiled(*inputs))

    return prepare


def torch() -> Prepare:
    """Under ``torch.compile``."""
    import array_api_compat.torch as namespace
    import torch as package

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        # Or it would give up compiling after the eighth function.
        package.compiler.reset()
        compiled = package.compile(functools.partial(workload.function, namespace), dynamic=False)
        inputs = [package.from_numpy(a) for a in arrays]
        return lambda: compiled(*inputs)

    return prepare


def set_threads(count: int) -> None:
    """Let every package that is there use so many threads. JAX takes what the process may run on."""
    import fusewire as xp

    xp.set_num_threads(count)
    if installed("numexpr"):
        import numexpr

        numexpr.set_num_threads(count)
    if installed("numba"):
        import numba

        numba.set_num_threads(count)
    if installed("torch"):
        import torch

        torch.set_num_threads(count)


PEERS: dict[str, Callable[[], Prepare]] = {
    "fusewire": fusewire,
    "numpy": numpy,
    "numexpr": numexpr,
    "numba": numba,
    "jax": jax,
    "torch": torch,
}

"""``make bench-gpu``: every workload on a GPU, fusewire beside CuPy, JAX and ``torch.compile``.

Everyone has the inputs on the GPU already, and each call ends when the GPU has the result. The copy is the one that
the driver makes inside the GPU's memory, of as many bytes as the workload reads and writes, in the same run;
bandwidth-bound work cannot be much faster. Small sizes come first, where results are compared with NumPy's.

Nobody's failure ends the run: it is noted, and the others go on. ``--write NAME`` leaves
``benches/results/gpu-NAME.json``, complete after each measurement, of which ``report.py gpu-NAME`` makes tables; after
``--minutes`` nothing new begins. ``FUSEWIRE_SIMT=1 ... --device simt --bytes 4096`` tries it where there is no GPU.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compare import PATIENCE, RESULTS, differs, nbytes
from harness import installed, interleaved, machine, readable
from peers import Call, Prepare
from report import gpu_text
from workloads import WORKLOADS, Workload

TRAFFIC = (10 << 20, 1 << 30)
"""Bytes that inputs and outputs take together."""
BEGUN = 100
"""Computations that are begun one after another before the device is waited for; the driver has room for them."""


def fusewire(device: str) -> Prepare:
    """Lazy; computed together."""
    import fusewire as xp

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        inputs = [xp.asarray(a, device=device) for a in arrays]

        def call() -> Any:
            result = workload.function(xp, *inputs)
            computed = xp.compute(*result) if isinstance(result, tuple) else result.compute()
            xp.debug.synchronize(device)
            return computed

        return call

    return prepare


def cupy(_: str, fused: bool = False) -> Prepare:
    """Each operator by itself, or ``cupy.fuse``, which takes element-wise functions only."""
    import cupy as package

    namespace = package
    if not fused and installed("array_api_compat"):
        import array_api_compat.cupy as namespace

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call | None:
        function = functools.partial(workload.function, namespace)
        inputs = [package.asarray(a) for a in arrays]
        if fused:
            function = package.fuse(function)
            try:
                function(*inputs)
            except Exception:  # It has many ways of saying that it cannot.
                return None

        def call() -> Any:
            result = function(*inputs)
            package.cuda.get_current_stream().synchronize()
            return result

        return call

    return prepare


def jax(_: str) -> Prepare:
    """Under ``jax.jit``."""
    # Else it takes most of the memory that there is, before it needs it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax as package

    package.config.update("jax_enable_x64", True)
    if package.default_backend() != "gpu":
        raise ImportError("this JAX has no GPU")

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        compiled = package.jit(functools.partial(workload.function, package.numpy))
        inputs = [package.numpy.asarray(a) for a in arrays]
        return lambda: package.block_until_ready(compiled(*inputs))

    return prepare


def torch(_: str) -> Prepare:
    """Under ``torch.compile``."""
    import array_api_compat.torch as namespace
    import torch as package

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        package.compiler.reset()
        compiled = package.compile(functools.partial(workload.function, namespace), dynamic=False)
        inputs = [package.from_numpy(a).cuda() for a in arrays]

        def call() -> Any:
            result = compiled(*inputs)
            package.cuda.synchronize()
            return result

        return call

    return prepare


PEERS: dict[str, tuple[str, Callable[[str], Prepare]]] = {
    "fusewire": ("fusewire", fusewire),
    "cupy": ("cupy", cupy),
    "cupy.fuse": ("cupy", functools.partial(cupy, fused=True)),
    "jax": ("jax", jax),
    "torch": ("torch", torch),
}


def on_host(result: Any) -> Any:
    """Return NumPy arrays of whatever a peer computed."""
    if isinstance(result, tuple):
        return tuple(on_host(one) for one in result)
    # CuPy's arrays and PyTorch's come by a method only.
    for method in ("get", "cpu"):
        if hasattr(result, method):
            return np.asarray(getattr(result, method)())
    return np.asarray(result)


def copy(moved: int, device: str) -> Call:
    """Return a copy inside the device's memory that reads and writes so many bytes together: the driver's own."""
    import fusewire as xp

    source = xp.zeros(max(moved // 2, 1), dtype=xp.uint8, device=device).compute()
    if not device.startswith("cuda"):
        return source.copy
    target = source.copy()
    driver = ctypes.CDLL("libcuda.so.1")
    context = ctypes.c_void_p()

    def checked(status: int) -> None:
        if status != 0:
            raise RuntimeError(f"NVIDIA's driver answers {status}")

    # The context that everyone here computes in.
    checked(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    addresses = [ctypes.c_uint64(array.__cuda_array_interface__["data"][0]) for array in (target, source)]
    xp.debug.synchronize(device)

    def call() -> Any:
        checked(driver.cuCtxSetCurrent(context))
        checked(driver.cuMemcpyDtoD_v2(*addresses, ctypes.c_size_t(moved // 2)))
        checked(driver.cuCtxSynchronize())
        # They live as long as the call does.
        return source, target

    return call


def begin(chosen: list[str], device: str) -> tuple[dict[str, Prepare], dict[str, str]]:
    """Return who takes part, and why others do not."""
    peers, absent = {}, {}
    for name in chosen:
        package, start = PEERS[name]
        if not installed(package):
            absent[name] = f"{package} is not installed"
            continue
        try:
            peers[name] = start(device)
        except Exception as error:
            absent[name] = one_line(error)
    return peers, absent


def one_line(error: BaseException) -> str:
    """Return what went wrong, in few words."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def measure(
    workload: Workload, elements: int, peers: dict[str, Prepare], device: str, rounds: int, checks: bool
) -> dict[str, Any]:
    """Time one workload at one size with everyone who can run it."""
    arrays = workload.inputs(elements, workload.dtypes[0], np.random.default_rng(1))
    wanted = workload.function(np, *arrays) if checks else None
    calls: dict[str, Call] = {}
    first, failed, given = {}, {}, 0
    for name, prepare in peers.items():
        try:
            call = prepare(workload, arrays)
            if call is None:
                continue
            start = time.perf_counter()
            found = call()
            took = time.perf_counter() - start
            problem = differs(on_host(found), wanted) if checks else None
            if name == "fusewire":
                several = found if isinstance(found, tuple) else (found,)
                given = sum(math.prod(a.shape) * a.dtype.itemsize for a in several)
            # What one who fails later would take with him.
            once_more = call()
            del found, once_more
        except Exception as error:
            problem = one_line(error)
        if problem:
            failed[name] = problem
        else:
            calls[name], first[name] = call, took
    moved = nbytes(arrays) + given
    result = {"workload": workload.name, "bound": workload.bound, "bytes": moved, "failed": failed}
    if "fusewire" not in calls:
        return result
    calls["copy"] = copy(moved, device)
    seconds = {timing.name: timing.median for timing in interleaved(calls, rounds, PATIENCE)}
    others = [name for name in seconds if name not in ("fusewire", "copy")]
    best = min(others, key=lambda name: seconds[name], default=None)
    return result | {
        "seconds": seconds,
        "first_call_seconds": first,
        "share_of_copy": seconds["copy"] / seconds["fusewire"],
        "best_peer": best,
        "ratio": seconds[best] / seconds["fusewire"] if best else None,
    }


def overhead(device: str, batches: int) -> float:
    """Return the seconds that the host takes to record, find the plan of and launch six ops on few elements."""
    import fusewire as xp

    workload = next(workload for workload in WORKLOADS if workload.name == "six ops")
    x, y = (xp.asarray(a, device=device) for a in workload.inputs(100, "float32", np.random.default_rng(1)))
    samples = []
    for _ in range(batches + 1):
        start = time.perf_counter()
        for _ in range(BEGUN):
            workload.function(xp, x, y).compute()
        samples.append((time.perf_counter() - start) / BEGUN)
        xp.debug.synchronize(device)
    # The first batch compiles.
    return statistics.median(samples[1:])


def tasks(totals: list[int], only: str | None) -> list[tuple[Workload, str, int, bool]]:
    """Return what to measure, small sizes first: a workload, its size in words, its elements, whether to check."""
    found = []
    for place, total in enumerate(totals):
        for workload in WORKLOADS:
            if only and only not in workload.name:
                continue
            probe = workload.inputs(1 << 14, workload.dtypes[0], np.random.default_rng(0))
            moved = nbytes(probe) + nbytes(workload.function(np, *probe))
            found.append((workload, size_in_words(total), max(16, (1 << 14) * total // moved), place == 0))
    return found


def size_in_words(total: int) -> str:
    """Return ``10 MB``."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if total >= size:
            return f"{total // size} {unit}"
    return f"{total} B"


def main() -> None:
    """Measure, write, print."""
    import fusewire as xp

    parser = argparse.ArgumentParser(description=__doc__)
    # The others compute on the first GPU that they see, too: CUDA_VISIBLE_DEVICES says which that is.
    parser.add_argument("--device", default="cuda:0", choices=["cuda:0", "simt"])
    parser.add_argument("--bytes", type=int, nargs="+", default=list(TRAFFIC), help="of inputs and outputs together")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which nothing new begins")
    parser.add_argument("--only", help="workloads whose name contains this")
    parser.add_argument("--write", help="name of the file in the folder")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where results are left")
    arguments = parser.parse_args()
    start = time.monotonic()
    device = arguments.device
    try:
        xp.ones(1, device=device).compute()
    except ValueError as error:
        sys.exit(str(error))
    peers, absent = begin(arguments.peers, device)
    for name, why in absent.items():
        print(f"without {name}: {why}", file=sys.stderr)
    try:
        gpu = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.strip()
    except OSError as error:
        gpu = f"{device} ({one_line(error)})"
    results: list[dict[str, Any]] = []
    contents = {
        "gpu": gpu,
        "machine": machine(["fusewire", "cupy-cuda12x", "jax", "torch"]),
        "absent": absent,
        "launch_overhead_seconds": overhead(device, arguments.rounds),
        "not_begun": 0,
        "results": results,
    }

    def write() -> None:
        if arguments.write:
            arguments.folder.mkdir(exist_ok=True)
            path = arguments.folder / f"gpu-{arguments.write}.json"
            path.write_text(json.dumps(contents, indent=1) + "\n")

    todo = tasks(arguments.bytes, arguments.only)
    for place, (workload, size, elements, checks) in enumerate(todo):
        if time.monotonic() - start > 60 * arguments.minutes:
            contents["not_begun"] = len(todo) - place
            break
        try:
            result = measure(workload, elements, peers, device, arguments.rounds, checks)
        except Exception as error:
            # The copy, or one who ran before and took the whole device with him: what is there is written already.
            result = {"workload": workload.name, "bound": workload.bound, "failed": {"measuring": one_line(error)}}
        results.append(result | {"size": size})
        for name, why in result["failed"].items():
            print(f"{workload.name}, {size}: {name}: {why}", file=sys.stderr)
        if "seconds" in result:
            times = ", ".join(f"{name} {readable(seconds)}" for name, seconds in result["seconds"].items())
            print(f"{workload.name}, {size}: {times}", file=sys.stderr, flush=True)
        write()
    write()
    print(gpu_text(contents, arguments.write or "NAME"))
    if any({"fusewire", "measuring"} & set(result["failed"]) for result in results):
        sys.exit("not everything could be measured")


if __name__ == "__main__":
    main()

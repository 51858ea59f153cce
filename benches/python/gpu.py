"""``make bench-gpu``: the workloads bound by memory on a GPU, fusewire beside CuPy, JAX and ``torch.compile``.

Everyone has the inputs on the GPU already, and each call ends when the GPU has the result. The copy is the one that
the GPU makes inside its own memory, of as many bytes as the workload reads and writes, in the same run;
bandwidth-bound work cannot be much faster. ``--write NAME`` leaves ``benches/results/gpu-NAME.json``. A peer that is
not installed is absent.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import subprocess
import sys
import time
from typing import Any

import numpy as np
from compare import RESULTS, differs, nbytes
from harness import installed, interleaved, machine, readable
from peers import Call, Prepare
from workloads import WORKLOADS, Workload

DEVICE = "cuda:0"
TRAFFIC = {"10 MB": 10 << 20, "1 GB": 1 << 30}
"""Bytes that inputs and outputs take together."""


def fusewire() -> Prepare:
    """Lazy; computed together."""
    import fusewire as xp

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        inputs = [xp.asarray(a, device=DEVICE) for a in arrays]

        def call() -> Any:
            result = workload.function(xp, *inputs)
            computed = xp.compute(*result) if isinstance(result, tuple) else result.compute()
            xp.debug.synchronize(DEVICE)
            return computed

        return call

    return prepare


def cupy(fused: bool) -> Prepare:
    """Each operator by itself, or ``cupy.fuse``, which takes element-wise functions only."""
    import cupy as package

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call | None:
        function = functools.partial(workload.function, package)
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


def jax() -> Prepare:
    """Under ``jax.jit``."""
    import jax as package

    package.config.update("jax_enable_x64", True)
    if package.default_backend() != "gpu":
        raise ImportError("this JAX has no GPU")

    def prepare(workload: Workload, arrays: tuple[np.ndarray, ...]) -> Call:
        compiled = package.jit(functools.partial(workload.function, package.numpy))
        inputs = [package.numpy.asarray(a) for a in arrays]
        return lambda: package.block_until_ready(compiled(*inputs))

    return prepare


def torch() -> Prepare:
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


PEERS = {
    "fusewire": ("fusewire", fusewire),
    "cupy": ("cupy", functools.partial(cupy, False)),
    "cupy.fuse": ("cupy", functools.partial(cupy, True)),
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


def copy(moved: int) -> Call:
    """Return a copy inside the GPU's memory that reads and writes so many bytes together."""
    import fusewire as xp

    source = xp.zeros(moved // 2, dtype=xp.uint8, device=DEVICE).compute()

    def call() -> None:
        source.copy()
        xp.debug.synchronize(DEVICE)

    return call


def measure(workload: Workload, elements: int, peers: dict[str, Prepare], rounds: int) -> dict[str, Any]:
    """Time one workload at one size with everyone who can run it."""
    arrays = workload.inputs(elements, "float32", np.random.default_rng(1))
    wanted = workload.function(np, *arrays)
    calls: dict[str, Call] = {}
    first = {}
    for name, prepare in peers.items():
        start = time.perf_counter()
        call = prepare(workload, arrays)
        if call is not None:
            found = call()
            first[name] = time.perf_counter() - start
            if problem := differs(on_host(found), wanted):
                raise AssertionError(f"{workload.name}: {name} {problem}")
            calls[name] = call
    moved = nbytes(arrays) + nbytes(wanted)
    calls["copy"] = copy(moved)
    seconds = {timing.name: timing.median for timing in interleaved(calls, rounds)}
    others = [name for name in seconds if name not in ("fusewire", "copy")]
    best = min(others, key=lambda name: seconds[name], default=None)
    return {
        "workload": workload.name,
        "bytes": moved,
        "seconds": seconds,
        "first_call_seconds": first,
        "share_of_copy": seconds["copy"] / seconds["fusewire"],
        "best_peer": best,
        "ratio": seconds[best] / seconds["fusewire"] if best else None,
    }


def main() -> None:
    """Measure, print, write."""
    import fusewire as xp

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", help="workloads whose name contains this")
    parser.add_argument("--write", help="name of the file in benches/results")
    arguments = parser.parse_args()
    try:
        xp.ones(1, device=DEVICE).compute()
    except ValueError as error:
        sys.exit(str(error))
    peers = {}
    for name, (package, begin) in PEERS.items():
        if installed(package):
            try:
                peers[name] = begin()
            except ImportError as error:
                print(f"without {name}: {error}")
    gpu = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout.strip()
    about = machine(["fusewire", "cupy-cuda12x", "jax", "torch"])
    print(f"{gpu}\n\n{about}\n")
    names = [*peers, "copy"]
    print(f"| workload | size | {' | '.join(names)} | best peer / fusewire | share of the copy | first call |")
    print("|---" * (len(names) + 5) + "|")
    results = []
    for workload in WORKLOADS:
        if workload.bound != "memory" or (arguments.only and arguments.only not in workload.name):
            continue
        probe = workload.inputs(1 << 14, "float32", np.random.default_rng(0))
        moved = nbytes(probe) + nbytes(workload.function(np, *probe))
        for size, total in TRAFFIC.items():
            try:
                result = measure(workload, (1 << 14) * total // moved, peers, arguments.rounds)
            except NotImplementedError as error:
                print(f"| {workload.name} | {size} | {error} |")
                break
            results.append(result | {"size": size})
            cells = [readable(result["seconds"][name]) if name in result["seconds"] else "" for name in names]
            ratio = f"{result['ratio']:.2f} ({result['best_peer']})" if result["ratio"] else ""
            cells += [ratio, f"{result['share_of_copy']:.0%}", readable(result["first_call_seconds"]["fusewire"])]
            print(f"| {workload.name} | {size} | {' | '.join(cells)} |", flush=True)
    ratios = [result["ratio"] for result in results if result["ratio"]]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"\ngeometric mean of best peer / fusewire: {mean:.2f}, least {min(ratios):.2f}")
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        contents = {"gpu": gpu, "machine": about, "results": results}
        (RESULTS / f"gpu-{arguments.write}.json").write_text(json.dumps(contents, indent=1) + "\n")


if __name__ == "__main__":
    main()

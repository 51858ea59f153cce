"""``make bench``: every workload, fusewire beside its peers, in one process and on the same inputs.

Contenders take turns (``harness.py``), all with the same number of threads; the median over the rounds counts. Beside
the times stand the machine's limits, measured in the same run (``src/bin/limits.rs``), and the share of them that
fusewire reaches. ``--write NAME`` leaves ``benches/results/NAME.json``, ``.png`` and ``.svg``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import installed, interleaved, machine, readable
from peers import PEERS, Prepare, set_threads
from workloads import WORKLOADS, Workload

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benches" / "results"
L2 = 1 << 20
"""Bytes that inputs and outputs take together at the smallest size: half of a common second-level cache."""
TRAFFIC = {"L2": L2, "10 x L2": 20 * L2, "1 GB": 1 << 30}


def nbytes(arrays: Any) -> int:
    """Return the bytes of an array or of several."""
    several = arrays if isinstance(arrays, tuple) else (arrays,)
    return sum(np.asarray(a).nbytes for a in several)


def sizes(workload: Workload, dtype: str) -> list[tuple[str, int]]:
    """Return how many elements make inputs and outputs as large as they should be."""
    if workload.elements:
        return [(f"{n:,}", n) for n in workload.elements]
    probe = workload.inputs(1 << 14, dtype, np.random.default_rng(0))
    moved = nbytes(probe) + nbytes(workload.function(np, *probe))
    return [(name, max(16, (1 << 14) * total // moved)) for name, total in TRAFFIC.items()]


def limits(threads: int, total: int) -> dict[str, float]:
    """Measure the machine: bytes a second read, copied, moved by the triad; multiply-adds a second."""
    command = ["cargo", "rustc", "--release", "-q", "-p", "fusewire-benches", "--bin", "limits"]
    subprocess.run([*command, "--", "-C", "target-cpu=native"], check=True, cwd=ROOT)
    done = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"], check=True, cwd=ROOT, capture_output=True, text=True
    )
    program = Path(json.loads(done.stdout)["target_directory"]) / "release" / "limits"
    done = subprocess.run([program, str(threads), str(total)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(workload: Workload, dtype: str, elements: int, peers: dict[str, Prepare], rounds: int) -> dict[str, Any]:
    """Time one workload at one size with everyone who can run it."""
    import fusewire as xp

    arrays = workload.inputs(elements, dtype, np.random.default_rng(1))
    wanted = workload.function(np, *arrays)
    calls, first = {}, {}
    for name, prepare in peers.items():
        start = time.perf_counter()
        call = prepare(workload, arrays)
        if call is None:
            continue
        found = call()
        first[name] = time.perf_counter() - start
        check(workload, name, found, wanted)
        calls[name] = call
    moved = nbytes(arrays) + nbytes(wanted)
    calls["fusewire"]()
    before = xp.memory.figures()["allocated"]
    xp.memory.reset_peak()
    calls["fusewire"]()
    extra = max(0, xp.memory.figures()["peak"] - before - nbytes(wanted))
    times = {timing.name: timing.median for timing in interleaved(calls, rounds)}
    best_peer = min((name for name in times if name != "fusewire"), key=lambda name: times[name])
    return {
        "workload": workload.name,
        "bound": workload.bound,
        "dtype": dtype,
        "elements": elements,
        "bytes": moved,
        "seconds": times,
        "first_call_seconds": first,
        "extra_bytes": extra,
        "best_peer": best_peer,
        "ratio": times[best_peer] / times["fusewire"],
    }


def check(workload: Workload, name: str, found: Any, wanted: Any) -> None:
    """Raise when a contender computes something else: on average, for single elements may be chaotic or round apart."""
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    for one, other in pairs:
        f, w = np.asarray(one), np.asarray(other)
        if f.shape != w.shape:
            raise AssertionError(f"{workload.name}: {name} has the shape {f.shape}, not {w.shape}")
        scale = float(np.max(np.abs(w.astype(np.float64)), initial=1e-30))
        difference = float(np.mean(np.abs(f.astype(np.float64) - w.astype(np.float64))))
        # NumExpr adds float32 one after another.
        if not difference <= 5e-3 * scale:
            raise AssertionError(f"{workload.name}: {name} differs from NumPy by {difference} of {scale} on average")


def row(result: dict[str, Any], size: str, names: list[str], machine_limits: dict[str, float]) -> str:
    """Return a line of the table."""
    seconds = result["seconds"]
    cells = [readable(seconds[name]) if name in seconds else "" for name in names]
    share = result["bytes"] / seconds["fusewire"] / machine_limits["triad"] if result["bound"] == "memory" else None
    result["share_of_triad"] = share
    cells += [
        f"{result['ratio']:.2f} ({result['best_peer']})",
        f"{share:.0%}" if share is not None else "",
        readable(result["first_call_seconds"]["fusewire"]),
        f"{result['extra_bytes'] / 1e6:.1f}",
    ]
    return f"| {result['workload']} | {result['dtype']} | {size} | " + " | ".join(cells) + " |"


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Draw the ratios, best peer over fusewire, a bar a measurement."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ordered = sorted(results, key=lambda r: r["ratio"])
    labels = [f"{r['workload']}, {r['dtype']}, {r['elements']:,}" for r in ordered]
    figure, axes = plt.subplots(figsize=(9, 0.19 * len(ordered) + 1.5))
    axes.barh(labels, [r["ratio"] for r in ordered], color=["C0" if r["ratio"] >= 1 else "C3" for r in ordered])
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("time of the fastest peer / time of fusewire")
    axes.tick_params(axis="y", labelsize=6)
    axes.margins(y=0.005)
    figure.tight_layout()
    for ending in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{ending}"))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="workloads whose names have this in them")
    parser.add_argument("--size", choices=["small", "middle", "large"], help="one of the sizes")
    parser.add_argument("--dtype", help="one of the dtypes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", help="name of the files in benches/results")
    arguments = parser.parse_args()
    peers = {name: make() for name, make in PEERS.items() if installed(name)}
    set_threads(arguments.threads)
    absent = [name for name in PEERS if name not in peers]
    print(machine(tuple(PEERS)) + (f" Absent: {', '.join(absent)}." if absent else "") + "\n")
    known = {total: limits(arguments.threads, total) for total in TRAFFIC.values()}
    for name, total in TRAFFIC.items():
        figures = ", ".join(f"{key} {value / 1e9:.1f}" for key, value in known[total].items())
        print(f"- limits at {name}: {figures} (10^9 a second)")
    names = list(peers)
    print(f"\n| workload | dtype | size | {' | '.join(names)} | best peer / fusewire | of triad | first | extra MB |")
    print("|---" * (len(names) + 7) + "|")
    results = []
    for workload in WORKLOADS:
        if arguments.only and arguments.only not in workload.name:
            continue
        for dtype in workload.dtypes:
            if arguments.dtype not in {None, dtype}:
                continue
            wanted = sizes(workload, dtype)
            chosen = {"small": wanted[:1], "middle": wanted[1:2], "large": wanted[2:]}
            for size, elements in chosen.get(arguments.size, wanted):
                result = measure(workload, dtype, elements, peers, arguments.rounds)
                nearest = min(known, key=lambda total: abs(math.log(total / result["bytes"])))
                print(row(result, size, names, known[nearest]), flush=True)
                results.append(result)
    ratios = [r["ratio"] for r in results]
    print(f"\nGeometric mean of the ratios {statistics.geometric_mean(ratios):.2f}, worst {min(ratios):.2f}.")
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / arguments.write
        contents = {"machine": machine(tuple(PEERS)), "limits": known, "results": results}
        path.with_suffix(".json").write_text(json.dumps(contents, indent=1) + "\n")
        plot(results, path)


if __name__ == "__main__":
    main()

"""``make bench``: every workload, fusewire beside its peers, in one process and on the same inputs.

Contenders take turns (``harness.py``), all with the same number of threads; the median over the rounds counts. Beside
the times stand the machine's limits, measured in the same run (``src/bin/limits.rs``), the first call and the most
memory in a process of its own (``fresh.py``), and what a second thread brings where the processor is the limit.
``--write NAME`` leaves ``benches/results/NAME.json``, of which ``report.py`` makes tables and plots.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
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
SIZES = {"small": 0, "middle": 1, "large": 2}
PATIENCE = 1.0
"""Seconds after which a slow contender waits for the others."""


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


def chosen(workload: Workload, dtype: str, size: str | None, quick: bool = False) -> list[tuple[str, int]]:
    """Return the sizes that were asked for; of the second dtype only the middle one, if it should be quick."""
    wanted = sizes(workload, dtype)
    if quick and dtype != workload.dtypes[0] and size is None:
        size = "middle"
    return wanted if size is None else wanted[SIZES[size] :][:1]


def limits(threads: int) -> dict[str, dict[str, float]]:
    """Measure the machine at each size: bytes a second read, copied, moved by the triad; multiply-adds a second."""
    with tempfile.TemporaryDirectory() as folder:
        # A file without dependencies: by itself it is compiled in seconds, and for this machine.
        program = Path(folder) / "limits"
        source = ROOT / "benches" / "src" / "bin" / "limits.rs"
        command = ["rustc", "--edition", "2024", "-O", "-C", "target-cpu=native", str(source), "-o", str(program)]
        subprocess.run(command, check=True)
        runs = {
            name: subprocess.run([program, str(threads), str(total)], check=True, capture_output=True, text=True)
            for name, total in TRAFFIC.items()
        }
    return {name: json.loads(run.stdout) for name, run in runs.items()}


def measure(
    workload: Workload, dtype: str, size: str, elements: int, peers: dict[str, Prepare], rounds: int
) -> dict[str, Any]:
    """Time one workload at one size with everyone who can run it."""
    import fusewire as xp

    arrays = workload.inputs(elements, dtype, np.random.default_rng(1))
    calls, first, wrong = {}, {}, {}
    # NumPy says what is right. A peer that is wrong is no contender (NumExpr adds 125M float32 one after another).
    for name, prepare in sorted(peers.items(), key=lambda peer: peer[0] != "numpy"):
        start = time.perf_counter()
        call = prepare(workload, arrays)
        if call is None:
            continue
        found = call()
        if name == "numpy":
            wanted = found
        first[name] = rounded(time.perf_counter() - start)
        # float32 columns that NumPy adds row after row are one per cent off where there are 16M: then float64 decides.
        if differs(found, wanted) and (problem := differs(found, precise(workload, arrays, peers["numpy"]))):
            if name in {"fusewire", "numpy"}:
                raise AssertionError(f"{workload.name}: {name} {problem}")
            wrong[name] = problem
            continue
        calls[name] = call
        del found
    inputs, outputs = nbytes(arrays), nbytes(wanted)
    del wanted
    calls["fusewire"]()
    before = xp.memory.figures()["allocated"]
    xp.memory.reset_peak()
    calls["fusewire"]()
    extra = max(0, xp.memory.figures()["peak"] - before - outputs)
    times = {timing.name: rounded(timing.median) for timing in interleaved(calls, rounds, PATIENCE)}
    best_peer = min((name for name in times if name != "fusewire"), key=lambda name: times[name])
    return {
        "workload": workload.name,
        "bound": workload.bound,
        "dtype": dtype,
        "size": size,
        "elements": elements,
        "inputs": inputs,
        "outputs": outputs,
        "seconds": times,
        "wrong": wrong,
        "first_call_seconds": first,
        "extra_bytes": extra,
        "best_peer": best_peer,
        "ratio": rounded(times[best_peer] / times["fusewire"]),
    }


def rounded(figure: float) -> float:
    """Four digits: more would be noise in a file that is kept."""
    return float(f"{figure:.4g}")


def precise(workload: Workload, arrays: tuple[Any, ...], numpy: Prepare) -> Any:
    """What NumPy computes of float32 inputs in float64."""
    call = numpy(workload, tuple(a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays))
    return call() if call else None


def differs(found: Any, wanted: Any) -> str | None:
    """How results differ: on average, for single elements may be chaotic or round apart."""
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    for one, other in pairs:
        f, w = np.asarray(one), np.asarray(other)
        if f.shape != w.shape:
            return f"has the shape {f.shape}, not {w.shape}"
        # A million elements, spread over all of them, say enough.
        step = max(1, f.size >> 20)
        f, w = (np.ravel(a)[::step].astype(np.float64) for a in (f, w))
        scale = float(np.max(np.abs(w), initial=1e-30))
        difference = float(np.mean(np.abs(f - w))) if w.size else 0.0
        if not difference <= 5e-3 * scale:
            return f"differs from NumPy by {difference} of {scale} on average"
    return None


def fresh(workload: Workload, dtype: str, elements: int, processes: int) -> dict[str, Any]:
    """Measure what happens only once: the medians over some processes."""
    command = [sys.executable, str(Path(__file__).parent / "fresh.py"), workload.name, dtype]
    runs = [
        json.loads(subprocess.run([*command, str(n)], check=True, capture_output=True, text=True).stdout)
        # The memory of one is enough.
        for n in [elements, *[0] * (processes - 1)]
    ]
    return {
        "workload": workload.name,
        "dtype": dtype,
        "first_call_seconds": rounded(statistics.median(run["first_call_seconds"] for run in runs)),
        "extra_bytes": runs[0]["extra_bytes"],
    }


def scaling(workload: Workload, dtype: str, size: str, elements: int, threads: int, rounds: int) -> dict[str, Any]:
    """Time fusewire with one thread and with all."""
    import fusewire as xp

    call = PEERS["fusewire"]()(workload, workload.inputs(elements, dtype, np.random.default_rng(1)))

    def on(count: int) -> Any:
        def run() -> Any:
            xp.set_num_threads(count)
            return call()

        return run

    for _ in range(20):
        call()
    # LLVM compiles in the background what has run for long.
    time.sleep(0.3)
    one, more = interleaved({"1": on(1), str(threads): on(threads)}, rounds, PATIENCE)
    xp.set_num_threads(threads)
    speedup = rounded(one.median / more.median)
    return {"workload": workload.name, "dtype": dtype, "size": size, "threads": threads, "speedup": speedup}


def row(result: dict[str, Any], names: list[str]) -> str:
    """Return a line of the table."""
    seconds = result["seconds"]
    without = dict.fromkeys(result["wrong"], "wrong")
    cells = [readable(seconds[name]) if name in seconds else without.get(name, "") for name in names]
    cells += [f"{result['ratio']:.2f} ({result['best_peer']})", readable(result["first_call_seconds"]["fusewire"])]
    cells.append(f"{result['extra_bytes'] / 1e6:.1f}")
    return f"| {result['workload']} | {result['dtype']} | {result['size']} | " + " | ".join(cells) + " |"


@dataclass(frozen=True)
class Case:
    """A workload at one size."""

    workload: Workload
    dtype: str
    size: str
    elements: int


def all_measured(
    cases: list[Case], peers: dict[str, Prepare], rounds: int, known: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """Time every case, and print a table of them."""
    for name, figures in known.items():
        shown = ", ".join(f"{key} {value / 1e9:.1f}" for key, value in figures.items())
        print(f"- limits at {name}: {shown} (10^9 a second)")
    names = list(peers)
    print(f"\n| workload | dtype | size | {' | '.join(names)} | best peer / fusewire | first | extra MB |")
    print("|---" * (len(names) + 6) + "|")
    results = []
    for case in cases:
        # Larger than half the machine's memory, as far as the smaller sizes tell.
        before = [r for r in results if (r["workload"], r["dtype"]) == (case.workload.name, case.dtype)]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if any(r["extra_bytes"] / r["elements"] * case.elements > memory / 2 for r in before):
            print(f"| {case.workload.name} | {case.dtype} | {case.size} | left out: too much memory |", flush=True)
            continue
        results.append(measure(case.workload, case.dtype, case.size, case.elements, peers, rounds))
        print(row(results[-1], names), flush=True)
    ratios = [r["ratio"] for r in results]
    print(f"\nGeometric mean of the ratios {statistics.geometric_mean(ratios):.2f}, worst {min(ratios):.2f}.")
    return results


def all_fresh(cases: list[Case]) -> list[dict[str, Any]]:
    """Measure each workload once in processes of its own, at its middle size."""
    print("\n| workload | first call on 10,000 elements | memory beyond inputs and results, MB |\n|---|---|---|")
    results = []
    for workload in dict.fromkeys(case.workload for case in cases):
        dtype = workload.dtypes[0]
        results.append(fresh(workload, dtype, chosen(workload, dtype, "middle")[-1][1], 3))
        first, extra = readable(results[-1]["first_call_seconds"]), results[-1]["extra_bytes"] / 1e6
        print(f"| {workload.name} | {first} | {extra:.1f} |", flush=True)
    return results


def all_scaled(cases: list[Case], threads: int, rounds: int) -> list[dict[str, Any]]:
    """Measure what more threads bring where the processor is the limit, at the middle size."""
    print(f"\n| workload | dtype | {threads} threads' speed relative to one's |\n|---|---|---|")
    results = []
    for workload, dtype in dict.fromkeys((case.workload, case.dtype) for case in cases):
        if workload.bound == "compute":
            size, elements = chosen(workload, dtype, "middle")[-1]
            results.append(scaling(workload, dtype, size, elements, threads, rounds))
            print(f"| {workload.name} | {dtype} | {results[-1]['speedup']:.2f} |", flush=True)
    return results


def write(contents: dict[str, Any], path: Path) -> None:
    """Leave a file with a line a measurement, so that differences can be read."""
    lines = []
    for key, value in contents.items():
        if isinstance(value, list):
            entries = ",\n  ".join(json.dumps(entry) for entry in value)
            lines.append(f"{json.dumps(key)}: [\n  {entries}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="workloads whose names have this in them")
    parser.add_argument("--size", choices=SIZES, help="one of the sizes")
    parser.add_argument("--dtype", help="one of the dtypes")
    parser.add_argument("--peers", help="these peers only, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="5 rounds, and float64 at the middle size only")
    parser.add_argument("--scaling", action="store_true", help="only what the second thread brings")
    parser.add_argument("--write", help="name of the file in benches/results")
    arguments = parser.parse_args()
    rounds = min(arguments.rounds, 5) if arguments.quick else arguments.rounds
    started = time.perf_counter()
    wanted = {"fusewire", "numpy", *(arguments.peers or ",".join(PEERS)).split(",")}
    peers = {name: make() for name, make in PEERS.items() if name in wanted and installed(name)}
    set_threads(arguments.threads)
    contents: dict[str, Any] = {"machine": machine(tuple(PEERS)), "threads": arguments.threads, "limits": {}}
    absent = [name for name in PEERS if name not in peers]
    print(contents["machine"] + (f" Absent: {', '.join(absent)}." if absent else "") + "\n", flush=True)
    workloads = [w for w in WORKLOADS if not arguments.only or arguments.only in w.name]
    cases = [
        Case(workload, dtype, size, elements)
        for workload in workloads
        for dtype in workload.dtypes
        if arguments.dtype in {None, dtype}
        for size, elements in chosen(workload, dtype, arguments.size, arguments.quick)
    ]
    if not arguments.scaling:
        contents["limits"] = limits(arguments.threads)
        contents["results"] = all_measured(cases, peers, rounds, contents["limits"])
        contents["fresh"] = all_fresh(cases)
    contents["scaling"] = all_scaled(cases, arguments.threads, rounds)
    contents["minutes"] = rounded((time.perf_counter() - started) / 60)
    print(f"\n{contents['minutes']:.1f} minutes.")
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        write(contents, (RESULTS / arguments.write).with_suffix(".json"))


if __name__ == "__main__":
    main()

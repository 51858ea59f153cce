"""One workload in a process of its own: what can be measured only once. Prints JSON.

Usage: ``python fresh.py WORKLOAD DTYPE ELEMENTS``. First the first call on 10,000 elements, compilation included. Then
the most memory that the process takes beyond what it has, the inputs among it, and the results, while the workload runs
on ELEMENTS for a second, unless ELEMENTS is 0. Compiling in the background is part of that.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from peers import fusewire
from workloads import WORKLOADS

FIRST = 10_000
SECONDS = 1.0
STATUS = Path("/proc/self/status")


def resident(name: str) -> int:
    """Return a figure of the process's memory, in bytes; 0 where the system does not say."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(name + ":")), 0)


def main() -> None:
    """Measure and print."""
    name, dtype, elements = sys.argv[1:]
    workload = next(w for w in WORKLOADS if w.name == name)
    prepare = fusewire()
    call = prepare(workload, workload.inputs(FIRST, dtype, np.random.default_rng(1)))
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    if elements == "0":
        print(json.dumps({"first_call_seconds": first}))
        return
    call = prepare(workload, workload.inputs(int(elements), dtype, np.random.default_rng(1)))
    before = resident("VmRSS")
    if STATUS.exists():
        # The peak counts from here.
        Path("/proc/self/clear_refs").write_text("5")
    results = call()
    outputs = sum(np.asarray(r).nbytes for r in (results if isinstance(results, tuple) else (results,)))
    del results
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        call()
    extra = max(0, resident("VmHWM") - before - outputs)
    print(json.dumps({"first_call_seconds": first, "extra_bytes": extra}))


if __name__ == "__main__":
    main()

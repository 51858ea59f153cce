"""Sorting beside NumPy: dtypes, sizes and patterns, as ratios of NumPy's time to fusewire's.

``python benches/python/sorting.py [--argsort] [--sizes 1000,1000000] [--threads 2]``. Two figures each: by the best
elapsed times, and by the best processor times of all threads, which a busy machine disturbs less: on two free cores
long rows take about half of theirs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import fusewire as xp

DTYPES = ("float64", "float32", "int64", "int32", "int16", "uint8")
PATTERNS = ("random", "sorted", "reversed", "ten values", "a tenth NaN")
ELEMENTS = 3_000_000
"""About so many are sorted for one figure."""


def array(pattern: str, count: int, dtype: str) -> np.ndarray[Any, Any]:
    """An array with such elements."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        x = rng.standard_normal(count).astype(kind)
    else:
        limits = np.iinfo(kind)
        x = rng.integers(limits.min, limits.max, count, kind, endpoint=True)
    if pattern == "sorted":
        x = np.sort(x)
    elif pattern == "reversed":
        x = np.sort(x)[::-1].copy()
    elif pattern == "ten values":
        x = x[:10][rng.integers(0, 10, count)]
    elif pattern == "a tenth NaN":
        x[::10] = np.nan
    return x


def ours(x: xp.Array, argsort: bool) -> Any:
    """What fusewire makes of it."""
    return (xp.argsort(x) if argsort else xp.sort(x)).compute()


def numpys(a: np.ndarray[Any, Any], argsort: bool) -> Any:
    """What NumPy does; its stable order of positions, as ours is."""
    return np.argsort(a, stable=True) if argsort else np.sort(a)


def best(calls: Sequence[Callable[[], object]], repetitions: int) -> list[tuple[float, float]]:
    """The least elapsed and processor time of each; they take turns."""
    times: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _ in range(repetitions):
        for call, samples in zip(calls, times, strict=True):
            elapsed, processor = time.perf_counter(), time.process_time()
            call()
            samples.append((time.perf_counter() - elapsed, time.process_time() - processor))
    return [(min(s[0] for s in samples), min(s[1] for s in samples)) for samples in times]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--argsort", action="store_true")
    parser.add_argument("--sizes", default="100,1000,10000,100000,1000000,10000000")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    xp.set_num_threads(options.threads)
    sizes = [int(size) for size in options.sizes.split(",")]
    print("| | " + " | ".join(f"{size:,}" for size in sizes) + " |\n|---|" + "---|" * len(sizes))
    for dtype in options.dtypes.split(","):
        for pattern in PATTERNS:
            if pattern == "a tenth NaN" and not dtype.startswith("float"):
                continue
            row = []
            for size in sizes:
                a = array(pattern, size, dtype)
                x = xp.asarray(a)
                calls = [partial(ours, x, options.argsort), partial(numpys, a, options.argsort)]
                np.testing.assert_array_equal(calls[0](), calls[1]())
                mine, theirs = best(calls, max(3, min(1000, ELEMENTS // size)))
                row.append(f"{theirs[0] / mine[0]:.2f} ({theirs[1] / mine[1]:.2f})")
            print(f"| {dtype}, {pattern} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()

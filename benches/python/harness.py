"""Timing side by side: contenders take turns, so that what disturbs the machine disturbs all of them alike.

Two kinds of measurement. ``interleaved`` times calls in this process: one round times each contender once, for as
many calls as fill about ``ROUND_SECONDS``; the median over the rounds counts. ``fresh_processes`` starts a new
interpreter for each sample, for what happens only once: the first call.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROUND_SECONDS = 0.02
"""How long one contender's turn lasts, unless a single call takes longer."""
PAUSE_SECONDS = 0.02
"""How long everybody waits before a turn, at least."""
PAUSES = 25
"""How often everybody waits so long, at most, while threads of this process are still busy."""


@dataclass(frozen=True)
class Timing:
    """The times of one contender, in seconds a call."""

    name: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.samples)

    @property
    def least(self) -> float:
        """The best round."""
        return min(self.samples)


def interleaved(contenders: dict[str, Callable[[], object]], rounds: int, patience: float = math.inf) -> list[Timing]:
    """Time each contender once a round; in every round another one begins.

    Who has taken ``patience`` seconds in all, after three rounds at least, waits until the others are done; and who
    takes that long for one call has made it once, before the rounds.
    """
    once = {name: _seconds_once(call) for name, call in contenders.items()}
    samples: dict[str, list[float]] = {name: [once[name]] if once[name] > patience else [] for name in contenders}
    names = [name for name in contenders if once[name] <= patience]
    calls = {name: max(1, min(100_000, int(ROUND_SECONDS / max(once[name], 1e-9)))) for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)] if names else []:
            if number < 3 or sum(samples[name]) * calls[name] < patience:
                _wait_until_idle()
                samples[name].append(_seconds_a_call(contenders[name], calls[name]))
    return [Timing(name, tuple(times)) for name, times in samples.items()]


def fresh_processes(programs: dict[str, str], repetitions: int) -> list[Timing]:
    """Run each program in a new interpreter, in turns. A program prints the seconds that it measured."""
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repetitions):
        for name, program in programs.items():
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{name}: {done.stderr.strip()}")
            samples[name].append(float(done.stdout))
    return [Timing(name, tuple(times)) for name, times in samples.items()]


def _seconds_a_call(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _wait_until_idle() -> None:
    """Wait until no thread of the one before is busy.

    Those of OpenMP and OpenBLAS look out for work before they sleep, for several and for a hundred milliseconds, on the
    cores of whoever is next. (The dense layer on two cores beside OpenBLAS' thread: 2.0 ms, by itself 1.0; Sobel beside
    Numba's: 640 us, by itself 370.)
    """
    for _ in range(PAUSES):
        before = time.process_time()
        time.sleep(PAUSE_SECONDS)
        if time.process_time() - before < PAUSE_SECONDS / 10:
            return


def _seconds_once(call: Callable[[], object]) -> float:
    # The first one may compile.
    once = _seconds_a_call(call, 1)
    return once if once > 10 * ROUND_SECONDS else min(_seconds_a_call(call, 1) for _ in range(3))


def installed(package: str) -> bool:
    """Return whether a package can be imported; the optional contenders are."""
    return importlib.util.find_spec(package) is not None


def readable(seconds: float) -> str:
    """Return a time for people: ``0.31 us``, ``4.2 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size or unit == "us":
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    raise AssertionError


def table(timings: Sequence[Timing], reference: str) -> str:
    """Return a Markdown table; the last column is the median divided by that of ``reference``."""
    base = next(timing.median for timing in timings if timing.name == reference)
    lines = [f"| contender | median | least | relative to {reference} |", "|---|---|---|---|"]
    for timing in timings:
        ratio = f"{timing.median / base:.2f}"
        lines.append(f"| {timing.name} | {readable(timing.median)} | {readable(timing.least)} | {ratio} |")
    return "\n".join(lines)


def machine(packages: Sequence[str]) -> str:
    """Return one line on the machine and one on the versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages if _has_metadata(name)]
    return f"{model}, {cores} cores{load}; Python {platform.python_version()}, {', '.join(versions)}."


def _has_metadata(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

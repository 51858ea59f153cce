"""The figures of ``benches/README.md``: what the engine adds to small work, what it takes from large work.

``python benches/python/main_figures.py`` prints them as Markdown; ``--write`` puts them into the README; ``--only
cold`` measures one; ``--rounds`` says how often. NumPy is always measured beside fusewire, in the same run and in
turns; NumExpr, Numba, JAX and PyTorch where they are installed.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import Timing, fresh_processes, installed, interleaved, machine, table

import fusewire as xp

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PACKAGES = ["fusewire", "numpy", "numexpr", "numba", "jax", "torch"]
THREADS = xp.get_num_threads()


def record(rounds: int) -> str:
    """Time recording one op."""
    a, b = (np.full(100, 0.5, np.float32) for _ in range(2))
    x, y = xp.asarray(a), xp.asarray(b)
    timings = interleaved({"fusewire, recorded only": lambda: x + y, "NumPy, computed": lambda: a + b}, rounds)
    return table(timings, "NumPy, computed")


def six_ops(x: Any, y: Any) -> Any:
    """Return an expression of six ops."""
    return ((x + y) * 2.0 - x) / y + x * 0.5


def small(rounds: int) -> str:
    """Time a planned expression of six ops on 100 elements."""
    a, b = (np.full(100, 0.5, np.float32) for _ in range(2))
    x, y = xp.asarray(a), xp.asarray(b)
    contenders: dict[str, Callable[[], object]] = {
        "fusewire": lambda: six_ops(x, y).compute(),
        "NumPy": lambda: six_ops(a, b),
    }
    if installed("numexpr"):
        import numexpr

        names = {"a": a, "b": b, "two": np.float32(2), "half": np.float32(0.5)}
        contenders["NumExpr"] = lambda: numexpr.evaluate("((a + b) * two - a) / b + a * half", names)
    if installed("jax"):
        import jax

        compiled, p, q = jax.jit(six_ops), jax.numpy.asarray(a), jax.numpy.asarray(b)
        contenders["jax.jit"] = lambda: compiled(p, q).block_until_ready()
    if installed("torch"):
        import torch

        s, t = torch.from_numpy(a), torch.from_numpy(b)
        contenders["PyTorch, eager"] = lambda: six_ops(s, t)
    return table(interleaved(contenders, rounds), "NumPy")


CHAIN = """
def function(xp, x):
    y = (x * 2.0 + 1.0) * x - 0.5
    return xp.mean(xp.sqrt(xp.abs(y / 3.0)) + x, axis=0)
"""
TIMED = """
import time
start = time.perf_counter()
{call}
print(time.perf_counter() - start)
"""
DATA = "import numpy as np\na = np.random.default_rng(0).random((1000, 8), np.float32)\n"
EXPRESSION = "sum(sqrt(abs((((a * c2 + c1) * a - h) / c3))) + a, axis=0)"
COLD: dict[str, tuple[str, str, str]] = {
    # Name: package, set-up, the call that is timed.
    "fusewire": ("fusewire", "import fusewire as xp\nx = xp.asarray(a)", "function(xp, x).compute()"),
    "NumPy": ("numpy", "", "function(np, a)"),
    "NumExpr": (
        "numexpr",
        "import numexpr\nc1, c2, c3, h = (np.float32(v) for v in (1, 2, 3, 0.5))",
        f"numexpr.evaluate('{EXPRESSION}') / 1000",
    ),
    "jax.jit": (
        "jax",
        "import jax, functools\nx = jax.numpy.asarray(a).block_until_ready()",
        "jax.jit(functools.partial(function, jax.numpy))(x).block_until_ready()",
    ),
    "Numba": (
        "numba",
        "import numba\n"
        "def loops(x):\n"
        "    total = np.zeros(x.shape[1], np.float32)\n"
        "    for i in range(x.shape[0]):\n"
        "        for j in range(x.shape[1]):\n"
        "            v = x[i, j]\n"
        "            total[j] += np.sqrt(abs(((v * 2 + 1) * v - np.float32(0.5)) / 3)) + v\n"
        "    return total / np.float32(x.shape[0])",
        "numba.njit(loops)(a)",
    ),
}


def cold(rounds: int) -> str:
    """Time the first call in a fresh process: eight ops and a mean on 1000 x 8 float32."""
    programs = {
        name: DATA + setup + "\n" + CHAIN + TIMED.format(call=call)
        for name, (package, setup, call) in COLD.items()
        if installed(package)
    }
    return table(fresh_processes(programs, rounds), "NumPy")


OPERATORS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: x - y,
    lambda x, y: x / y,
]


def thirty_ops(seed: int, x: Any, y: Any) -> Any:
    """Return an expression of thirty ops; another seed is another structure."""
    choose = random.Random(seed)
    value = x
    for number in range(30):
        value = choose.choice(OPERATORS)(value, y if number % 2 else x)
    return value


def compile_time(rounds: int) -> str:
    """Time an unknown structure of 30 ops against a known one."""
    x, y = (xp.asarray(np.full(100, 0.5, np.float32)) for _ in range(2))
    a, b = np.asarray(x), np.asarray(y)
    samples: dict[str, list[float]] = {
        "fusewire, unknown structure: recorded, compiled, run": [],
        "fusewire, the same again": [],
        "NumPy": [],
    }
    before = xp.debug.set_first_run("compiled")
    for seed in range(rounds):
        for name, times in samples.items():
            start = time.perf_counter()
            if name == "NumPy":
                thirty_ops(seed, a, b)
            else:
                thirty_ops(seed, x, y).compute()
            times.append(time.perf_counter() - start)
    xp.debug.set_first_run(before)
    timings = [Timing(name, tuple(times)) for name, times in samples.items()]
    return table(timings, "NumPy")


STRUCTURES = 5000
BINARY = ["add", "subtract", "multiply", "divide", "maximum", "minimum"]
UNARY = ["abs", "negative", "sqrt", "exp", "square", "floor", "sign"]
FOLDS = ["sum", "max", "min", "mean", "any", "all", ""]
Program = tuple[tuple[tuple[str, int | None], ...], str]


def programs(choose: random.Random, known: set[Program]) -> list[Program]:
    """Return programs of three to seven ops, and perhaps a reduction, each of another structure than all known ones."""
    found: list[Program] = []
    while len(found) < STRUCTURES:
        steps: list[tuple[str, int | None]] = []
        for number in range(choose.randint(3, 7)):
            if choose.random() < 0.6:
                steps.append((choose.choice(BINARY), choose.choice([choose.randint(0, number), -1])))
            else:
                steps.append((choose.choice(UNARY), None))
        program = (tuple(steps), choose.choice(FOLDS))
        if program not in known:
            known.add(program)
            found.append(program)
    return found


def run_program(namespace: Any, program: Program, x: Any) -> Any:
    """Run a program: each op takes the last value and, where it takes two, an earlier one or a number."""
    values = [x]
    for name, operand in program[0]:
        function = getattr(namespace, name)
        other = () if operand is None else (2.0 if operand < 0 else values[operand],)
        values.append(function(values[-1], *other))
    return getattr(namespace, program[1])(values[-1]) if program[1] else values[-1]


def structures(rounds: int) -> str:
    """Time structures that were never seen before, each computed once."""
    a = np.random.default_rng(0).random(100)
    x = xp.asarray(a)
    choose, known = random.Random(0), set[Program]()
    samples: dict[str, list[float]] = {"fusewire": [], "NumPy": []}
    with np.errstate(all="ignore"):
        for _ in range(rounds):
            new = programs(choose, known)
            for name, times in samples.items():
                start = time.perf_counter()
                for program in new:
                    if name == "NumPy":
                        run_program(np, program, a)
                    else:
                        run_program(xp, program, x).compute()
                times.append((time.perf_counter() - start) / STRUCTURES)
    return table([Timing(name, tuple(times)) for name, times in samples.items()], "NumPy")


def three_ops(x: Any) -> Any:
    """Return a chain of three ops on one array."""
    return (x * 1.5 + 2.0) * x


def large(rounds: int) -> str:
    """Time three ops on 16M float32 against NumPy and against copying the array."""
    a = np.random.default_rng(0).random(1 << 24, np.float32)
    x = xp.asarray(a)
    target, first = np.empty_like(a), np.empty_like(a)

    def with_threads(threads: int) -> None:
        xp.set_num_threads(threads)
        three_ops(x).compute()

    def numpy_in_place() -> None:
        np.multiply(a, np.float32(1.5), out=first)
        np.add(first, np.float32(2), out=first)
        np.multiply(first, a, out=target)

    contenders: dict[str, Callable[[], object]] = {
        f"fusewire, {THREADS} threads": lambda: with_threads(THREADS),
        "fusewire, 1 thread": lambda: with_threads(1),
        "NumPy": lambda: three_ops(a),
        "NumPy with `out=` into buffers that are there": numpy_in_place,
        "a plain copy (`np.copyto`), 1 thread": lambda: np.copyto(target, a),
    }
    if installed("numexpr"):
        import numexpr

        names = {"a": a, "k": np.float32(1.5), "c": np.float32(2)}
        name = f"NumExpr into a buffer that is there, {numexpr.nthreads} threads"
        contenders[name] = lambda: numexpr.evaluate("(a * k + c) * a", names, out=target)
    if installed("jax"):
        import jax

        compiled, p = jax.jit(three_ops), jax.numpy.asarray(a)
        contenders["jax.jit"] = lambda: compiled(p).block_until_ready()
    if installed("torch"):
        import torch

        t = torch.from_numpy(a)
        contenders["PyTorch, eager"] = lambda: three_ops(t)
    timings = interleaved(contenders, rounds)
    xp.set_num_threads(THREADS)
    return table(timings, "NumPy")


def micro(_: int) -> str:
    """Run the Rust micro-benchmarks, which have their own rounds."""
    done = subprocess.run(MICRO.split(), capture_output=True, text=True, check=True, cwd=README.parent.parent)
    return done.stdout.strip()


MICRO = "cargo run --release -p fusewire-benches --bin micro"
FIGURES: dict[str, tuple[str, Callable[[int], str], int]] = {
    # Name: heading, measurement, rounds.
    "record": ("Recording one op", record, 31),
    "small": ("A planned expression of six ops on 100 float32, recorded and computed", small, 31),
    "cold": ("The first call in a fresh process: eight ops and `mean(axis=0)` on 1000 x 8 float32", cold, 15),
    "compile": ("A kernel of 30 ops that was never seen, on 100 float32", compile_time, 101),
    "structures": (f"{STRUCTURES} structures that were never seen, on 100 float64, each computed once", structures, 5),
    "large": ("Three ops on 16M float32", large, 15),
    "micro": ("The parts, without Python", micro, 1),
}


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="The figures of benches/README.md.")
    parser.add_argument("--only", choices=FIGURES, help="measure one figure")
    parser.add_argument("--rounds", type=int, help="rounds of each figure")
    parser.add_argument("--write", action="store_true", help="put what was measured into benches/README.md")
    arguments = parser.parse_args()
    measured = {"": machine(PACKAGES)}
    print(measured[""] + "\n", flush=True)
    for name, (heading, measure, rounds) in FIGURES.items():
        if arguments.only in {None, name}:
            command = MICRO if name == "micro" else f"python benches/python/main_figures.py --only {name}"
            table = measure(arguments.rounds or rounds)
            measured[heading] = f"### {heading}\n\n`{command}`\n\n{table}"
            print(measured[heading] + "\n", flush=True)
    if arguments.write:
        before, rest = README.read_text().split(BEGIN)
        known, after = rest.split(END)
        parts = {part.partition("\n")[0]: part for part in known.strip().split("\n\n### ")[1:]}
        sections = [measured[""]]
        for heading, _, _ in FIGURES.values():
            if heading in measured:
                sections.append(measured[heading])
            elif heading in parts:
                sections.append("### " + parts[heading].rstrip())
        README.write_text(before + BEGIN + "\n" + "\n\n".join(sections) + "\n" + END + after)


if __name__ == "__main__":
    main()

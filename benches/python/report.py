"""Tables and plots of a run of ``compare.py``, tables of one of ``gpu.py``.

``python benches/python/report.py NAME`` reads ``benches/results/NAME.json``, draws ``NAME.png`` and ``NAME.svg`` beside
it, and prints the tables; ``--write`` puts them into ``benches/README.md``. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from harness import readable

RESULTS = Path(__file__).parent.parent / "results"
README = Path(__file__).parent.parent / "README.md"
MARKS = {
    "workloads": ("<!-- workloads: begin -->", "<!-- workloads: end -->"),
    "gpu": ("<!-- gpu: begin -->", "<!-- gpu: end -->"),
}
SIZES = ("L2", "10 x L2", "1 GB")
DTYPES = ("float32", "float64")
Result = dict[str, Any]


def limit_of(result: Result) -> str:
    """Return which of the machine's limits bounds a workload of little computing: who hardly writes, reads."""
    return "read" if result["outputs"] * 10 < result["inputs"] else "triad"


def share(result: Result, limits: dict[str, Any]) -> float | None:
    """Return how much of the machine's bandwidth a memory-bound workload reaches, for arrays of its size."""
    if result["bound"] != "memory" or result["size"] not in limits:
        return None
    return (
        (result["inputs"] + result["outputs"])
        / result["seconds"]["fusewire"]
        / limits[result["size"]][limit_of(result)]
    )


def groups(results: list[Result]) -> dict[str, list[Result]]:
    """Return the results of each workload, workloads in the order of their measurement."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result["workload"], []).append(result)
    return found


def summary(results: list[Result]) -> str:
    """Return the geometric means by dtype and size."""
    lines = ["| dtype | size | geometric mean | below 1 | worst |", "|---|---|---|---|---|"]
    several = [(d, s, [r for r in results if r["dtype"] == d and r["size"] == s]) for d in DTYPES for s in SIZES]
    for dtype, size, some in [*several, ("all", "all", results)]:
        if some:
            worst = min(some, key=lambda r: r["ratio"])
            mean = statistics.geometric_mean(r["ratio"] for r in some)
            below = f"{sum(r['ratio'] < 1 for r in some)} of {len(some)}"
            lines.append(f"| {dtype} | {size} | {mean:.2f} | {below} | {worst['ratio']:.2f} ({worst['workload']}) |")
    return "\n".join(lines)


def table(contents: Result) -> str:
    """Return a line a workload: the middle size in full, the others as ratios."""
    limits = contents["limits"]
    heads = [f"{'f' + dtype[5:]}, {size}" for dtype in DTYPES for size in SIZES]
    first = ["workload", "fusewire", "best peer", *heads, "of the limit, 10 x L2", "1 GB", "first call", "memory"]
    lines = ["| " + " | ".join(first) + " |", "|---" * len(first) + "|"]
    fresh = {entry["workload"]: entry for entry in contents.get("fresh", [])}
    for name, some in groups(contents["results"]).items():
        known = {(r["dtype"], r["size"]): r for r in some}
        main = known.get(("float32", "10 x L2"), some[len(some) // 2])
        cells = [name, readable(main["seconds"]["fusewire"])]
        cells.append(f"{readable(main['seconds'][main['best_peer']])} ({main['best_peer']})")
        if any(size in SIZES for _, size in known) and any(dtype in DTYPES for dtype, _ in known):
            at = [known.get((dtype, size)) for dtype in DTYPES for size in SIZES]
        else:
            # Sizes or a dtype of its own, in order.
            at = [*some, *[None] * len(heads)][: len(heads)]
        cells += [f"{r['ratio']:.2f}" if r else "" for r in at]
        for size in SIZES[1:]:
            result = next((r for r in some if r["size"] == size), None)
            reached = share(result, limits) if result else None
            cells.append(f"{reached:.0%} ({limit_of(result)})" if result and reached is not None else "")
        once = fresh.get(name)
        cells += [readable(once["first_call_seconds"]), f"{once['extra_bytes'] / 1e6:.0f} MB"] if once else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def limits_table(limits: dict[str, Any]) -> str:
    """Return the machine's limits."""
    lines = [
        "| size | read, GB/s | copy, GB/s | triad, GB/s | multiply-adds of float32, 10^9/s |",
        "|---|---|---|---|---|",
    ]
    for size, figures in limits.items():
        cells = [f"{figures[key] / 1e9:.1f}" for key in ("read", "copy", "triad", "fma_f32")]
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scaling_table(entries: list[Result]) -> str:
    """Return what more threads bring."""
    lines = [f"| workload | {' | '.join(DTYPES)} |", "|---|---|---|"]
    for name, some in groups(entries).items():
        speeds = {entry["dtype"]: f"{entry['speedup']:.2f}" for entry in some}
        lines.append(f"| {name} | " + " | ".join(speeds.get(dtype, "") for dtype in DTYPES) + " |")
    return "\n".join(lines)


def text(contents: Result, name: str) -> str:
    """Return what stands in the README."""
    command = f"python benches/python/compare.py --write {name}"
    parts = [
        f"`{command}`, {contents['minutes']:.0f} minutes; all figures: [results/{name}.json](results/{name}.json).",
        contents["machine"],
        f"![The best peer's time relative to fusewire's, by workload, dtype and size](results/{name}.svg)",
        "The best peer's time divided by fusewire's, over all workloads:",
        summary(contents["results"]),
        "By workload. Times are those of float32 at ten times the second-level cache, the columns after them the best"
        " peer's time divided by fusewire's. The first call is on 10,000 elements in a process of its own, compilation"
        " included; memory is the most that that process took beyond inputs and results while it ran the middle size,"
        " compiling in the background included.",
        table(contents),
        "The machine's limits, measured in the same run:",
        limits_table(contents["limits"]),
    ]
    if contents.get("scaling"):
        parts += [
            f"How much faster {contents['threads']} threads are than one, where the processor is the limit (10 x L2):",
            scaling_table(contents["scaling"]),
        ]
    return "\n\n".join(parts)


def gpu_summary(contents: Result) -> str:
    """Return what was aimed at on a GPU and what came of it; worst cases by name."""
    done = [r for r in contents["results"] if "seconds" in r]
    ratios = [r for r in done if r["ratio"]]
    sizes = list(dict.fromkeys(r["size"] for r in done))
    bandwidth = [r for r in done if r["bound"] == "memory" and r["size"] == sizes[-1]]

    def of(result: Result) -> str:
        return f"({result['workload']}, {result['size']})"

    lines = ["| what | aim | measured |", "|---|---|---|"]
    if bandwidth:
        least = min(bandwidth, key=lambda r: r["share_of_copy"])
        shares = [r["share_of_copy"] for r in bandwidth]
        reached = f"median {statistics.median(shares):.0%}, least {least['share_of_copy']:.0%} {of(least)}"
        lines.append(f"| bytes a second of the copy's, bound by memory, {sizes[-1]} | 90 % | {reached} |")
    if ratios:
        worst = min(ratios, key=lambda r: r["ratio"])
        mean = statistics.geometric_mean(r["ratio"] for r in ratios)
        lines.append(f"| geometric mean of best peer / fusewire, {len(ratios)} cases | 1.2 | {mean:.2f} |")
        lines.append(f"| worst of best peer / fusewire | 1.0 | {worst['ratio']:.2f} {of(worst)} |")
    if done:
        slow = max(done, key=lambda r: r["first_call_seconds"]["fusewire"])
        lines.append(f"| longest first call | 50 ms | {readable(slow['first_call_seconds']['fusewire'])} {of(slow)} |")
    lines.append(f"| six ops that are planned, on the host | 8 us | {readable(contents['launch_overhead_seconds'])} |")
    return "\n".join(lines)


def gpu_table(contents: Result) -> str:
    """Return a line a workload and size."""
    done = [r for r in contents["results"] if "seconds" in r]
    names = list(dict.fromkeys(name for r in done for name in r["seconds"]))
    heads = ["workload", "size", *names, "best peer / fusewire", "share of the copy", "first call"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for result in done:
        cells = [result["workload"], result["size"]]
        cells += [readable(result["seconds"][name]) if name in result["seconds"] else "" for name in names]
        cells += [f"{result['ratio']:.2f} ({result['best_peer']})" if result["ratio"] else ""]
        cells += [f"{result['share_of_copy']:.0%}", readable(result["first_call_seconds"]["fusewire"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gpu_text(contents: Result, name: str) -> str:
    """Return what stands in the README on a GPU."""
    failures = [
        f"- {r['workload']}, {r['size']}: {who}: {why}" for r in contents["results"] for who, why in r["failed"].items()
    ]
    parts = [
        f"`python benches/python/gpu.py --write {name}`; all figures:"
        f" [results/gpu-{name}.json](results/gpu-{name}.json).",
        contents["gpu"],
        contents["machine"],
        gpu_summary(contents),
        gpu_table(contents),
    ]
    if contents["absent"]:
        parts.append("Absent: " + "; ".join(f"{who} ({why})" for who, why in contents["absent"].items()) + ".")
    if failures:
        parts.append("What went wrong:\n\n" + "\n".join(failures))
    if contents["not_begun"]:
        parts.append(f"{contents['not_begun']} measurements were not begun, for lack of time.")
    return "\n\n".join(parts)


def plot(contents: Result, path: Path) -> None:
    """Draw the ratios, a line a workload, and the shares of the bandwidth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # Text as text, ids that do not change from run to run: the files are kept.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fusewire"})
    by_workload = groups(contents["results"])
    means = {name: statistics.geometric_mean(r["ratio"] for r in some) for name, some in by_workload.items()}
    names = sorted(by_workload, key=lambda name: means[name])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 0.27 * len(names) + 1.2), sharey=True, width_ratios=(2, 1))
    sizes = {"L2": 14, "10 x L2": 28, "1 GB": 52}
    for position, name in enumerate(names):
        for result in by_workload[name]:
            colour = "C1" if result["dtype"] == "float64" else "C0"
            left.scatter(result["ratio"], position, sizes.get(result["size"], 28), colour, alpha=0.75, linewidths=0)
            reached = share(result, contents["limits"])
            if reached is not None:
                right.scatter(reached, position, sizes.get(result["size"], 28), colour, alpha=0.75, linewidths=0)
    left.axvline(1.0, color="black", linewidth=0.8)
    left.set_xscale("log")
    left.set_xlabel("time of the fastest peer / time of fusewire")
    left.set_yticks(range(len(names)), names, fontsize=8)
    right.axvline(1.0, color="black", linewidth=0.8)
    right.set_xlim(left=0)
    right.set_xlabel("share of the machine's bandwidth, where that is the limit")
    for dtype, colour in zip(DTYPES, ("C0", "C1"), strict=True):
        left.scatter([], [], 28, colour, label=dtype)
    for size, area in sizes.items():
        left.scatter([], [], area, "grey", label=size)
    left.legend(loc="lower right", fontsize=7)
    for axes in (left, right):
        axes.grid(axis="y", linewidth=0.3)
        axes.set_axisbelow(True)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    """Draw, print, write."""
    parser = argparse.ArgumentParser(description="Tables and plots of a run of compare.py.")
    parser.add_argument("name", help="of the file in benches/results; those of gpu.py begin with gpu-")
    parser.add_argument("--write", action="store_true", help="put the tables into benches/README.md")
    arguments = parser.parse_args()
    path = (RESULTS / arguments.name).with_suffix(".json")
    contents = json.loads(path.read_text())
    if arguments.name.startswith("gpu-"):
        tables, (begin, end) = gpu_text(contents, arguments.name.removeprefix("gpu-")), MARKS["gpu"]
    else:
        plot(contents, path)
        tables, (begin, end) = text(contents, arguments.name), MARKS["workloads"]
    print(tables)
    if arguments.write:
        before, rest = README.read_text().split(begin)
        after = rest.split(end)[1]
        README.write_text(f"{before}{begin}\n{tables}\n{end}{after}")


if __name__ == "__main__":
    main()

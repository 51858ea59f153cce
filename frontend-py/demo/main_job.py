"""The main job on real data: ``make demo`` runs it and writes pictures to ``demo-output/``.

Each function of ``functions.py`` runs on NumPy arrays and on fusewire arrays. Printed are the largest difference, the
kernels fusewire ran against the arrays NumPy made, the bytes both moved, and the times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_image

import functions
import fusewire as xp

OUTPUT = Path("demo-output")
ROUNDS = 15


class Counted(np.ndarray[Any, Any]):
    """A NumPy array that counts what NumPy makes of it: every result array, and the bytes read and written."""

    arrays = 0
    bytes = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        if out is not None:
            kwargs["out"] = tuple(x.view(np.ndarray) if isinstance(x, Counted) else x for x in out)
        result = getattr(ufunc, method)(*plain, **kwargs)
        operands = [x for x in plain if isinstance(x, np.ndarray)]
        Counted.arrays += out is None
        Counted.bytes += sum(x.nbytes for x in operands) + np.asarray(result).nbytes
        return np.asarray(result).view(Counted)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        result = super().astype(*args, **kwargs)
        Counted.arrays += 1
        Counted.bytes += self.nbytes + result.nbytes
        return result


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def compare(title: str, function: Callable[..., Any], *inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Runs ``function`` both ways, prints one block, and returns fusewire's result."""
    Counted.arrays = Counted.bytes = 0
    function(*(x.view(Counted) for x in inputs))
    arrays = [xp.asarray(x) for x in inputs]
    before = xp.debug.counters()
    first = milliseconds(lambda: function(*arrays).compute())
    after = xp.debug.counters()
    lazy, numpy = [], []
    for _ in range(ROUNDS):
        lazy.append(milliseconds(lambda: function(*arrays).compute()))
        numpy.append(milliseconds(lambda: function(*inputs)))
    repeated = xp.debug.counters()
    result, expected = np.asarray(function(*arrays)), np.asarray(function(*inputs))
    difference = np.max(np.abs(result.astype(np.float64) - expected.astype(np.float64)))
    median, numpy_median = statistics.median(lazy), statistics.median(numpy)
    kernels = after["kernel_launches"] - before["kernel_launches"]
    moved = after["bytes_moved"] - before["bytes_moved"]
    shapes = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
    print(f"{title}  ({shapes} -> {result.dtype}{list(result.shape)})")
    print(f"  largest difference from NumPy   {difference:.3g}")
    print(f"  kernels run / NumPy's arrays    {kernels} / {Counted.arrays}")
    print(f"  megabytes moved / NumPy's       {moved / 1e6:.2f} / {Counted.bytes / 1e6:.2f}")
    print(f"  first call, compiling included  {first:.2f} ms")
    print(
        f"  median of {ROUNDS} / NumPy's           {median:.3f} / {numpy_median:.3f} ms  ({numpy_median / median:.1f}x)"
    )
    print(f"  kernels compiled by the repeats {repeated['kernels_compiled'] - after['kernels_compiled']}")
    print()
    return result


def main() -> int:
    OUTPUT.mkdir(exist_ok=True)
    cancer = load_breast_cancer().data
    digits = load_digits()
    pixels = digits.data.astype(np.float32)
    centroids = np.stack([pixels[digits.target == d].mean(axis=0) for d in range(10)])
    photograph = load_sample_image("china.jpg")

    compare("mean(x, axis=0) + 2 * std(y, axis=0)", functions.mean_plus_two_std, cancer, cancer[::-1])
    compare("standardise", functions.standardise, cancer)
    compare("softmax", functions.softmax, pixels)
    distances = compare("nearest-centroid distances", functions.centroid_distances, pixels, centroids)
    accuracy = float(np.mean(np.argmin(distances, axis=1) == digits.target))
    print(f"  (the nearest centroid names {accuracy:.1%} of the digits)\n")

    compare("luma", lambda image: functions.to_uint8(functions.luma(image)), photograph)
    picture = compare("edges: luma, blur, Sobel, gamma, normalise", functions.edges, photograph)
    Image.fromarray(photograph).save(OUTPUT / "photograph.png")
    image = xp.asarray(photograph)
    Image.fromarray(np.asarray(functions.to_uint8(functions.luma(image)))).save(OUTPUT / "luma.png")
    blurred = functions.to_uint8(functions.gaussian_blur(functions.luma(image)))
    Image.fromarray(np.asarray(blurred)).save(OUTPUT / "blurred.png")
    Image.fromarray(picture).save(OUTPUT / "edges.png")
    x, y = xp.asarray(cancer), xp.asarray(cancer[::-1])
    graphs = {
        "mean_plus_two_std.svg": functions.mean_plus_two_std(x, y),
        "softmax.svg": functions.softmax(xp.asarray(pixels)),
        "edges.svg": functions.edges(image),
    }
    for name, array in graphs.items():
        (OUTPUT / name).write_text(xp.debug.dump(array, stage="regions", format="svg"))
    print("written to demo-output/:", ", ".join(sorted(p.name for p in OUTPUT.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

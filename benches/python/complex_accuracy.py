"""Measure the worst error of each part of each function of complex numbers: the table in ``docs/accuracy.md``.

The measure is NumPy's function in the next wider format: complex128 for complex64, long double parts for complex128.
"""

from __future__ import annotations

import numpy as np

import fusewire as xp

FUNCTIONS = "exp log log2 log10 sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh reciprocal".split()
NUMPY_NAMES = {name: f"arc{name[1:]}" for name in FUNCTIONS if name[0] == "a"}


def operands(dtype: str, count: int = 200_000) -> np.ndarray:
    """Complex numbers of every size, some near 1, near the unit circle and where exponentials overflow."""
    rng = np.random.default_rng(0)
    most, limit = (38, 100) if dtype == "complex64" else (300, 800)
    parts = [
        rng.standard_normal(count),
        rng.standard_normal(count) * 10.0 ** rng.integers(-20, 20, count),
        rng.uniform(-1.5, 1.5, count),
        rng.standard_normal(count) * 10.0 ** rng.integers(-most, most, count),
    ]
    circle = np.exp(1j * rng.uniform(-np.pi, np.pi, count))
    near_one = (
        1 + rng.standard_normal(count) * 1e-9 + 1j * rng.standard_normal(count) * 10.0 ** rng.integers(-20, 0, count)
    )
    tall = rng.uniform(-10, 10, count) + 1j * rng.uniform(-limit, limit, count)
    grid = [re + 1j * rng.permutation(im) for re in parts for im in parts]
    return np.concatenate([*grid, circle, near_one, tall, 1j * tall]).astype(dtype)


def worst(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest distance in units in the last place, where the exact result is finite."""
    rounded = exact.astype(found.dtype)
    finite = np.isfinite(rounded)
    error = np.abs(found[finite].astype(exact.dtype) - exact[finite])
    return float((error / np.spacing(np.abs(rounded[finite])).astype(exact.dtype)).max())


def main() -> None:
    """Print the table."""
    print("| function | complex64: real | imaginary | complex128: real | imaginary | NumPy: real | imaginary |")
    print("|---|---|---|---|---|---|---|")
    for name in FUNCTIONS:
        figures = []
        for dtype, wider in [("complex64", np.complex128), ("complex128", np.clongdouble)]:
            z = operands(dtype)
            reference = getattr(np, NUMPY_NAMES.get(name, name))
            with np.errstate(all="ignore"):
                exact = reference(z.astype(wider))
                rows = [np.asarray(getattr(xp, name)(xp.asarray(z)))]
                rows += [reference(z)] if dtype == "complex128" else []
                figures += [
                    worst(getattr(row, part), getattr(exact, part)) for row in rows for part in ("real", "imag")
                ]
        print(f"| {name} | {' | '.join(f'{figure:.2f}' for figure in figures)} |")


if __name__ == "__main__":
    main()

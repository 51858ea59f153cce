"""The workloads of ``make bench``: each function written once against the Array API, with its inputs.

NumPy, JAX, PyTorch and fusewire run the same function. NumExpr and Numba have no such namespace: what they can express
is in ``numexpr_expressions.py`` and ``numba_loops.py``. Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
Inputs = Callable[[int, str, np.random.Generator], Arrays]
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Workload:
    """One computation: what runs, on what, and what limits it."""

    name: str
    function: Callable[..., Any]
    """Called with a namespace and the inputs as its arrays; returns an array or a tuple of arrays."""
    inputs: Inputs
    """Called with a number of elements, a dtype and a generator."""
    dtypes: tuple[str, ...] = FLOATS
    bound: str = "memory"
    """``memory``: every input is read and every output is written once, at best; ``compute``; ``overhead``."""
    elements: tuple[int, ...] = ()
    """The sizes, where those of the harness make no sense."""


def vectors(count: int, low: float = 0.1, high: float = 2.0) -> Inputs:
    """Return inputs of ``count`` vectors with elements between ``low`` and ``high``."""
    return lambda n, dtype, random: tuple(random.uniform(low, high, n).astype(dtype) for _ in range(count))


def table(columns: int, count: int = 1) -> Inputs:
    """Return inputs of ``count`` tables of so many columns, normally distributed around 1."""

    def make(n: int, dtype: str, random: np.random.Generator) -> Arrays:
        return tuple(random.normal(1.0, 2.0, (max(n // columns, 1), columns)).astype(dtype) for _ in range(count))

    return make


def square(n: int, dtype: str, random: np.random.Generator) -> Arrays:
    """Return a square image."""
    side = max(math.isqrt(n), 8)
    return (random.uniform(0.0, 1.0, (side, side)).astype(dtype),)


def scale_and_add(xp: ModuleType, x: Any, y: Any) -> Any:
    """``2 x + y``."""
    return x * 2.0 + y


def polynomial(xp: ModuleType, x: Any) -> Any:
    """Degree 8, by Horner's rule."""
    result = x * 0.125 + 0.5
    for coefficient in (-0.25, 1.5, -2.0, 0.75, 3.0, -1.25, 0.0625):
        result = result * x + coefficient
    return result


def black_scholes(xp: ModuleType, spot: Any, strike: Any, years: Any) -> Any:
    """Call and put prices (Black and Scholes 1973), the normal distribution by tanh (Page 1977)."""
    rate, volatility = 0.02, 0.3
    deviation = volatility * xp.sqrt(years)
    d1 = (xp.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / deviation
    d2 = d1 - deviation

    def normal(z: Any) -> Any:
        return 0.5 * (1.0 + xp.tanh(0.7978845608 * (z + 0.044715 * z * z * z)))

    discounted = strike * xp.exp(-rate * years)
    call = spot * normal(d1) - discounted * normal(d2)
    return call, call - spot + discounted


def softmax(xp: ModuleType, x: Any) -> Any:
    """Of each row."""
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    return e / xp.sum(e, axis=1, keepdims=True)


def log_sum_exp(xp: ModuleType, x: Any) -> Any:
    """Of each row."""
    most = xp.max(x, axis=1, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - most), axis=1, keepdims=True)) + most


def layer_norm(xp: ModuleType, x: Any) -> Any:
    """Each row around its mean, over its deviation."""
    mean = xp.mean(x, axis=1, keepdims=True)
    centred = x - mean
    return centred / xp.sqrt(xp.mean(centred * centred, axis=1, keepdims=True) + 1e-5)


def mean_and_std(xp: ModuleType, x: Any, y: Any) -> Any:
    """``mean(x, 0) + 2 std(y, 0)``."""
    return xp.mean(x, axis=0) + 2.0 * xp.std(y, axis=0)


def standardise(xp: ModuleType, x: Any) -> Any:
    """Each column to mean 0 and deviation 1."""
    return (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)


def outliers(xp: ModuleType, x: Any) -> Any:
    """How many elements are more than three deviations from the mean."""
    far = xp.abs(x - xp.mean(x)) > 3.0 * xp.std(x)
    return xp.sum(xp.astype(far, xp.int64))


def distances(xp: ModuleType, x: Any, y: Any) -> Any:
    """Euclidean distances of all pairs of rows."""
    difference = x[:, None, :] - y[None, :, :]
    return xp.sqrt(xp.sum(difference * difference, axis=2))


def distance_inputs(n: int, dtype: str, random: np.random.Generator) -> Arrays:
    """Return two sets of points in 8 dimensions with ``n`` pairs."""
    side = max(math.isqrt(n), 2)
    return tuple(random.normal(size=(side, 8)).astype(dtype) for _ in range(2))


def cosine(xp: ModuleType, x: Any, y: Any) -> Any:
    """The cosine between the rows of two tables."""
    product = xp.sum(x * y, axis=1)
    return product / (xp.sqrt(xp.sum(x * x, axis=1)) * xp.sqrt(xp.sum(y * y, axis=1)))


def stencil(xp: ModuleType, u: Any) -> Any:
    """Twenty steps of the five-point stencil; the field shrinks by its border."""
    for _ in range(20):
        u = u[1:-1, 1:-1] * 0.5 + 0.125 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u


def sobel(xp: ModuleType, u: Any) -> Any:
    """The strength of edges."""
    right, left, low, high = u[:, 2:], u[:, :-2], u[2:, :], u[:-2, :]
    across = right[:-2, :] + 2.0 * right[1:-1, :] + right[2:, :] - left[:-2, :] - 2.0 * left[1:-1, :] - left[2:, :]
    down = low[:, :-2] + 2.0 * low[:, 1:-1] + low[:, 2:] - high[:, :-2] - 2.0 * high[:, 1:-1] - high[:, 2:]
    return xp.sqrt(across * across + down * down)


def luma(xp: ModuleType, image: Any) -> Any:
    """An RGB image of bytes as one channel of bytes (ITU-R BT.601)."""
    colour = xp.astype(image, xp.float32)
    grey = 0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2]
    return xp.astype(grey + 0.5, xp.uint8)


def picture(n: int, _: str, random: np.random.Generator) -> Arrays:
    """Return an RGB image of bytes."""
    side = max(math.isqrt(n // 3), 4)
    return (random.integers(0, 256, (side, side, 3), dtype=np.uint8),)


def branches(xp: ModuleType, x: Any) -> Any:
    """A choice between two functions."""
    return xp.where(x > 1.0, xp.log(x), xp.exp(-x))


def circle(xp: ModuleType, x: Any) -> Any:
    """``sin(x)^2 + cos(x)^2``."""
    s, c = xp.sin(x), xp.cos(x)
    return s * s + c * c


def total(xp: ModuleType, x: Any) -> Any:
    """The sum of all elements."""
    return xp.sum(x)


def column_sums(xp: ModuleType, x: Any) -> Any:
    """The sum of each column."""
    return xp.sum(x, axis=0)


def row_sums(xp: ModuleType, x: Any) -> Any:
    """The sum of each row."""
    return xp.sum(x, axis=1)


def argmax(xp: ModuleType, x: Any) -> Any:
    """Where the largest element is."""
    return xp.argmax(x)


def transpose_and_add(xp: ModuleType, x: Any) -> Any:
    """A square matrix and its transpose."""
    return x + xp.permute_dims(x, (1, 0))


def any_and_all(xp: ModuleType, x: Any) -> Any:
    """What the first elements decide."""
    return xp.any(x > 0.05), xp.all(x > 1.0)


def running_sum(xp: ModuleType, x: Any) -> Any:
    """The sum of what came before."""
    return xp.cumulative_sum(x)


def sort(xp: ModuleType, x: Any) -> Any:
    """In order."""
    return xp.sort(x)


def dense_layer(xp: ModuleType, x: Any, weights: Any, bias: Any) -> Any:
    """``relu(x @ w + b)``."""
    return xp.maximum(x @ weights + bias, xp.zeros_like(bias))


def dense_inputs(n: int, dtype: str, random: np.random.Generator) -> Arrays:
    """Return inputs of 256 features, weights to 256 more, and a bias."""
    rows = max(n // 256, 4)
    shapes = ((rows, 256), (256, 256), (256,))
    return tuple(random.normal(size=shape).astype(dtype) for shape in shapes)


def k_means_step(xp: ModuleType, points: Any, centres: Any) -> Any:
    """The nearest centre of each point, and the mean squared distance."""
    squares = xp.sum(points * points, axis=1)[:, None] + xp.sum(centres * centres, axis=1)[None, :]
    squares = squares - 2.0 * (points @ centres.T)
    return xp.argmin(squares, axis=1), xp.mean(xp.min(squares, axis=1))


def k_means_inputs(n: int, dtype: str, random: np.random.Generator) -> Arrays:
    """Return points in 16 dimensions and 8 centres."""
    return random.normal(size=(max(n // 16, 8), 16)).astype(dtype), random.normal(size=(8, 16)).astype(dtype)


def logistic_gradient(xp: ModuleType, x: Any, y: Any, w: Any) -> Any:
    """The gradient of the logistic loss."""
    p = 1.0 / (1.0 + xp.exp(-(x @ w)))
    return (x.T @ (p - y)) / x.shape[0]


def logistic_inputs(n: int, dtype: str, random: np.random.Generator) -> Arrays:
    """Return samples of 32 features, labels, and weights."""
    rows = max(n // 32, 4)
    x, y = random.normal(size=(rows, 32)), random.integers(0, 2, rows)
    return x.astype(dtype), y.astype(dtype), random.normal(size=32).astype(dtype)


def mandelbrot(xp: ModuleType, a: Any, b: Any) -> Any:
    """Fifty steps; in how many a point was still near."""
    x, y, near = a, b, a * 0.0
    for _ in range(50):
        xx, yy = x * x, y * y
        near = near + xp.where(xx + yy < 4.0, xp.ones_like(a), xp.zeros_like(a))
        x, y = xp.clip(xx - yy + a, -1e3, 1e3), xp.clip(2.0 * x * y + b, -1e3, 1e3)
    return near


def six_ops(xp: ModuleType, x: Any, y: Any) -> Any:
    """Six operators."""
    return ((x + y) * 2.0 - x) / y + x * 0.5


def several_outputs(xp: ModuleType, x: Any, y: Any) -> Any:
    """Four results that share their parts."""
    total, difference = x + y, x - y
    return total, difference, total * difference, total / (difference * difference + 1.0)


WORKLOADS: tuple[Workload, ...] = (
    Workload("scale and add", scale_and_add, vectors(2)),
    Workload("polynomial of degree 8", polynomial, vectors(1)),
    Workload("Black-Scholes", black_scholes, vectors(3), bound="compute"),
    Workload("softmax of rows", softmax, table(256), bound="compute"),
    Workload("log-sum-exp of rows", log_sum_exp, table(256), bound="compute"),
    Workload("layer norm", layer_norm, table(256)),
    Workload("mean(x, 0) + 2 std(y, 0)", mean_and_std, table(8, count=2)),
    Workload("standardise columns", standardise, table(32)),
    Workload("outliers", outliers, vectors(1)),
    Workload("pairwise distances", distances, distance_inputs, bound="compute"),
    Workload("cosine of rows", cosine, table(64, count=2)),
    Workload("stencil, 20 steps", stencil, square, bound="compute"),
    Workload("Sobel", sobel, square),
    Workload("RGB bytes to luma", luma, picture, dtypes=("uint8",)),
    Workload("where of log and exp", branches, vectors(1), bound="compute"),
    Workload("sin^2 + cos^2", circle, vectors(1, -3.0, 3.0), bound="compute"),
    Workload("sum", total, vectors(1)),
    Workload("sum of columns", column_sums, table(64)),
    Workload("sum of rows", row_sums, table(64)),
    Workload("argmax", argmax, vectors(1)),
    Workload("transpose and add", transpose_and_add, square),
    Workload("any and all", any_and_all, vectors(1), bound="overhead"),
    Workload("cumulative sum", running_sum, vectors(1)),
    Workload("sort", sort, vectors(1), bound="compute", elements=(100_000, 1_000_000, 10_000_000)),
    Workload("matmul + bias + relu", dense_layer, dense_inputs, bound="compute"),
    Workload("k-means step", k_means_step, k_means_inputs, bound="compute"),
    Workload("logistic gradient", logistic_gradient, logistic_inputs),
    Workload("Mandelbrot, 50 steps", mandelbrot, vectors(2, -1.5, 0.5), bound="compute"),
    Workload("six ops", six_ops, vectors(2), bound="overhead", elements=(100, 10_000)),
    Workload("several outputs", several_outputs, vectors(2, 2.0, 3.0)),
)

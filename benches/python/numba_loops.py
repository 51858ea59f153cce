"""The workloads as loops for Numba, by hand, where a user would write them so: parallel, with IEEE arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange

Call = Callable[[], Any]
Prepare = Callable[..., Call]


@njit(parallel=True)
def scale_and_add(x, y, out):
    for i in prange(x.size):
        out[i] = x[i] * x.dtype.type(2) + y[i]


@njit(parallel=True)
def polynomial(x, out, c):
    for i in prange(x.size):
        result = c[0]
        for k in range(1, c.size):
            result = result * x[i] + c[k]
        out[i] = result


@njit(parallel=True)
def black_scholes(spot, strike, years, call, put, k):
    for i in prange(spot.size):
        deviation = k[1] * math.sqrt(years[i])
        d1 = (math.log(spot[i] / strike[i]) + k[2] * years[i]) / deviation
        d2 = d1 - deviation
        n1 = k[3] * (k[4] + math.tanh(k[5] * (d1 + k[6] * d1 * d1 * d1)))
        n2 = k[3] * (k[4] + math.tanh(k[5] * (d2 + k[6] * d2 * d2 * d2)))
        discounted = strike[i] * math.exp(-k[0] * years[i])
        call[i] = spot[i] * n1 - discounted * n2
        put[i] = call[i] - spot[i] + discounted


@njit(parallel=True)
def softmax(x, out):
    for i in prange(x.shape[0]):
        most = x[i, 0]
        for j in range(x.shape[1]):
            most = max(most, x[i, j])
        total = most - most
        for j in range(x.shape[1]):
            e = math.exp(x[i, j] - most)
            out[i, j] = e
            total += e
        for j in range(x.shape[1]):
            out[i, j] /= total


@njit(parallel=True)
def distances(x, y, out):
    for i in prange(x.shape[0]):
        for j in range(y.shape[0]):
            total = x[0, 0] - x[0, 0]
            for k in range(x.shape[1]):
                difference = x[i, k] - y[j, k]
                total += difference * difference
            out[i, j] = math.sqrt(total)


@njit(parallel=True)
def sobel(u, out):
    two = u.dtype.type(2)
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            across = u[i, j + 2] + two * u[i + 1, j + 2] + u[i + 2, j + 2]
            across -= u[i, j] + two * u[i + 1, j] + u[i + 2, j]
            down = u[i + 2, j] + two * u[i + 2, j + 1] + u[i + 2, j + 2]
            down -= u[i, j] + two * u[i, j + 1] + u[i, j + 2]
            out[i, j] = math.sqrt(across * across + down * down)


@njit(parallel=True)
def luma(image, out):
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            grey = np.float32(0.299) * image[i, j, 0] + np.float32(0.587) * image[i, j, 1]
            out[i, j] = np.uint8(grey + np.float32(0.114) * image[i, j, 2] + np.float32(0.5))


@njit(parallel=True)
def mandelbrot(a, b, out):
    zero, one, two, four = a.dtype.type(0), a.dtype.type(1), a.dtype.type(2), a.dtype.type(4)
    for i in prange(a.size):
        x, y, near = a[i], b[i], zero
        for _ in range(50):
            xx, yy = x * x, y * y
            if xx + yy >= four:
                break
            near += one
            x, y = xx - yy + a[i], two * x * y + b[i]
        out[i] = near


@njit(parallel=True)
def column_sums(x, out):
    for j in prange(x.shape[1]):
        out[j] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j] += x[i, j]


@njit(parallel=True)
def row_sums(x, out):
    for i in prange(x.shape[0]):
        total = x[0, 0] - x[0, 0]
        for j in range(x.shape[1]):
            total += x[i, j]
        out[i] = total


def into(function: Callable[..., None], *shapes: Callable[..., tuple[int, ...]], extra: Any = ()) -> Prepare:
    """Make the results anew each time, as a caller's function would."""

    def prepare(*arrays: np.ndarray) -> Call:
        constants = (np.array(extra, arrays[0].dtype),) if len(extra) else ()

        def call() -> Any:
            results = tuple(np.empty(shape(*arrays), arrays[0].dtype) for shape in shapes)
            function(*arrays, *results, *constants)
            return results if len(results) > 1 else results[0]

        return call

    return prepare


def same(x: np.ndarray, *_: np.ndarray) -> tuple[int, ...]:
    return x.shape


HORNER = (0.125, 0.5, -0.25, 1.5, -2.0, 0.75, 3.0, -1.25, 0.0625)
MARKET = (0.02, 0.3, 0.02 + 0.045, 0.5, 1.0, 0.7978845608, 0.044715)
CALLS: dict[str, Prepare] = {
    "scale and add": into(scale_and_add, same),
    "polynomial of degree 8": into(polynomial, same, extra=HORNER),
    "Black-Scholes": into(black_scholes, same, same, extra=MARKET),
    "softmax of rows": into(softmax, same),
    "pairwise distances": into(distances, lambda x, y: (len(x), len(y))),
    "Sobel": into(sobel, lambda u: (u.shape[0] - 2, u.shape[1] - 2)),
    "RGB bytes to luma": into(luma, lambda image: image.shape[:2]),
    "Mandelbrot, 50 steps": into(mandelbrot, same),
    "sum of columns": into(column_sums, lambda x: x.shape[1:]),
    "sum of rows": into(row_sums, lambda x: x.shape[:1]),
}
"""By the workload's name: from the input arrays to a call without arguments."""

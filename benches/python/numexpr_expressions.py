"""The workloads as expressions for NumExpr, by hand, where it can express them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numexpr
import numpy as np

Call = Callable[[], Any]
Prepare = Callable[..., Call]

CONSTANTS = {
    "2": 2.0,
    "1": 1.0,
    "05": 0.5,
    "0125": 0.125,
    "_025": -0.25,
    "15": 1.5,
    "_2": -2.0,
    "075": 0.75,
    "3": 3.0,
    "_125": -1.25,
    "00625": 0.0625,
}


def evaluate(expression: str, *names: str) -> Prepare:
    def prepare(*arrays: np.ndarray) -> Call:
        # Typed constants, or float32 would become float64.
        kind = arrays[0].dtype.type
        values = dict(zip(names, arrays, strict=True)) | {f"k{i}": kind(value) for i, value in CONSTANTS.items()}
        return lambda: numexpr.evaluate(expression, values)

    return prepare


def several(*prepared: Prepare) -> Prepare:
    def prepare(*arrays: np.ndarray) -> Call:
        calls = [one(*arrays) for one in prepared]
        return lambda: tuple(call() for call in calls)

    return prepare


HORNER = "(x * k0125 + k05)"
for constant in ("k_025", "k15", "k_2", "k075", "k3", "k_125", "k00625"):
    HORNER = f"({HORNER} * x + {constant})"


CALLS: dict[str, Prepare] = {
    "scale and add": evaluate("x * k2 + y", "x", "y"),
    "polynomial of degree 8": evaluate(HORNER, "x"),
    "where of log and exp": evaluate("where(x > k1, log(x), exp(-x))", "x"),
    "sin^2 + cos^2": evaluate("sin(x) * sin(x) + cos(x) * cos(x)", "x"),
    "sum": evaluate("sum(x)", "x"),
    "six ops": evaluate("((x + y) * k2 - x) / y + x * k05", "x", "y"),
    "several outputs": several(
        evaluate("x + y", "x", "y"),
        evaluate("x - y", "x", "y"),
        evaluate("(x + y) * (x - y)", "x", "y"),
        evaluate("(x + y) / ((x - y) * (x - y) + k1)", "x", "y"),
    ),
}
"""By the workload's name: from the input arrays to a call without arguments."""

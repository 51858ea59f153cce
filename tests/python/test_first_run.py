"""How a structure is computed that was not seen before: op by op on little data, with the bits of compiled code."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as xp
from fusewire.debug import set_first_run
from support import on_the_host

# Only the CPU has code that runs op by op.
pytestmark = on_the_host

FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "chain": lambda x, y: xp.exp(x * 0.25 + y) / (y * y + 1.5) - x,
    "powers": lambda x, y: (x + 1) ** 2 + (y - 1) ** 3 + (x * y) ** 5,
    "sum": lambda x, y: xp.sum(x * y + 0.1),
    "product": lambda x, y: xp.prod(1 + (x - y) * 0.01),
    "rows": lambda x, y: xp.sum(xp.exp(x - xp.sum(y, axis=-1, keepdims=True) * 1e-3), axis=-1),
    "columns": lambda x, y: xp.mean(x * x - y, axis=0),
    "norm": lambda x, y: x / xp.sqrt(xp.sum(x * x + y, axis=-1, keepdims=True) + 9),
    "everything": lambda x, y: (x - xp.mean(x)) / (xp.mean(y * y) + 1),
    "heavy": lambda x, y: xp.sum(xp.sin(x) * xp.exp(y * 0.1) + xp.cos(x * y) + xp.tan(x), axis=-1),
    "views": lambda x, y: xp.flip(x * 2, axis=0) + y[::-1] * 3 - xp.reshape(xp.reshape(x + y, (-1,)), x.shape),
    "sums of views": lambda x, y: xp.sum(xp.flip(x + y, axis=-1)[..., ::2] * 1.1),
    "running": lambda x, y: xp.cumulative_sum(xp.reshape(x * y, (-1,))) * 0.5,
    "two running": lambda x, y: xp.cumulative_sum(
        xp.cumulative_sum(x, axis=0) + xp.cumulative_prod(1 + y * 0.01, axis=0), axis=0
    ),
    "product of matrices": lambda x, y: xp.matmul(x * 0.5, xp.matrix_transpose(y + x)) + 1 if x.ndim > 1 else x * y + 1,
    "indices": lambda x, y: xp.take(xp.reshape(x * y, (-1,)), xp.asarray([0, -1, 0]) * 1) + 1,
    "several": lambda x, y: xp.stack([x + y, x * y - 1]),
}
REAL = {
    "spread": lambda x, y: xp.std(x + y, axis=-1) + xp.var(y * 3, axis=-1),
    "spread of columns": lambda x, y: xp.std(x * 2, axis=0) + xp.var(y, axis=0, correction=1),
    "spread of everything": lambda x, y: (x - xp.mean(x)) / xp.std(x) + y,
    "softmax": lambda x, y: (
        (z := xp.exp(x - xp.max(x, axis=-1, keepdims=True))) / xp.sum(z, axis=-1, keepdims=True) + y
    ),
    "sorted": lambda x, y: xp.sort(x * y, axis=-1) + xp.argsort(x - y, axis=-1),
    "masks": lambda x, y: xp.where((x > 0) & (y * 2 < 1), x * y, xp.maximum(x, y)),
    "counts": lambda x, y: xp.count_nonzero(x * y > 0.1, axis=0) + xp.argmax(x + y, axis=0),
}
SHAPES = [
    (1,),
    (3,),
    (300,),
    (5000,),
    (1, 1),
    (7, 5),
    (40, 300),
    (300, 31),
    (16, 1),
    (1, 50),
    (3, 4, 5),
    (20, 33, 2),
    (600, 3),
    (40_000,),
]


def numbers(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if dtype.startswith("complex") else values).astype(dtype)


def arrangements(a: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The values in different memory."""
    return [a, np.asfortranarray(a), np.repeat(a, 2, axis=-1)[..., ::2], np.flip(np.flip(a).copy())]


def computed(mode: Any, call: Callable[[Any, Any], Any], x: Any, y: Any) -> tuple[bytes, bool]:
    before, count = set_first_run(mode), xp.debug.counters()["graphs_op_by_op"]
    try:
        result = np.asarray(call(xp.asarray(x), xp.asarray(y)))
        return result.tobytes(), xp.debug.counters()["graphs_op_by_op"] > count
    finally:
        set_first_run(before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*CALLS, *REAL])
def test_bits_do_not_depend_on_the_first_run(name, dtype):
    if name in REAL and dtype.startswith("complex"):
        return
    call = {**CALLS, **REAL}[name]
    by_op = 0
    for shape in SHAPES:
        x, y = numbers(dtype, shape, 1), numbers(dtype, shape, 2)
        broadcast = [y, y[..., :1], y[:1]] if len(shape) == 2 and name not in {"product of matrices", "views"} else [y]
        for a, b in itertools.product(arrangements(x), broadcast):
            stepped, steps = computed("op-by-op", call, a, b)
            compiled, no_steps = computed("compiled", call, a, b)
            assert not no_steps
            assert stepped == compiled, (shape, a.strides, b.shape)
            by_op += steps
    # Parts of complex numbers lie otherwise in memory, which products of matrices look at.
    assert by_op > 0 or (name == "product of matrices" and dtype.startswith("complex"))


@pytest.fixture
def auto():
    before = set_first_run("auto")
    yield
    set_first_run(before)


@pytest.mark.usefixtures("auto")
def test_new_structures_compile_nothing_after_some():
    x = xp.asarray(np.linspace(0.5, 1.5, 100))
    functions = [xp.add, xp.multiply, xp.subtract, xp.divide]

    def structure(number: int) -> Any:
        value = x
        for digit in np.base_repr(number, 4):
            value = functions[int(digit)](value, x)
        return xp.sum(value)

    for number in range(64, 256):
        structure(number).compute()
    before = xp.debug.counters()
    for number in range(256, 1024):
        structure(number).compute()
    after = xp.debug.counters()
    assert after["kernels_compiled"] == before["kernels_compiled"]
    assert after["graphs_op_by_op"] - before["graphs_op_by_op"] == 1024 - 256


@pytest.mark.usefixtures("auto")
def test_modes_have_names():
    assert set_first_run("compiled") == "auto"
    assert set_first_run("auto") == "compiled"
    with pytest.raises(ValueError, match=r"auto, compiled, op-by-op, got .*never"):
        set_first_run("never")  # type: ignore[arg-type]

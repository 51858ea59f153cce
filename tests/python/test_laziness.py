"""What is computed when, how often, and what recording alone shows: repr, errors, plans, loops."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

import fusewire as xp
from support import close, same

is_computed = xp.debug.is_computed


def test_nothing_is_computed_before_it_is_needed(counted):
    x = xp.asarray(np.arange(6.0).reshape(2, 3))
    y = xp.sqrt(x + 1)
    z = xp.sum(y, axis=0)
    for array in (y, z):
        repr(array), array.shape, array.dtype, array.T, array.size, iter(array), len(array), array[0]
    assert counted()["graphs_captured"] == 0
    assert not is_computed(y)
    assert not is_computed(z)
    float(z[0])
    assert counted()["graphs_captured"] > 0


def test_repr_never_computes():
    x = xp.asarray(np.arange(3, dtype=np.float32))
    assert repr(x) == "fusewire.Array([0., 1., 2.], dtype=float32)"
    y = x + 1
    assert repr(y) == f"fusewire.Array(shape=(3,), dtype=float32, device={x.device}, op=add, not computed)"
    assert not is_computed(y)
    assert str(y) == "[1. 2. 3.]"
    assert repr(y) == "fusewire.Array([1., 2., 3.], dtype=float32)"
    names = {
        "multiply": x * 2, "astype": x.astype("int8"), "slice": x[1:], "reshape": x.reshape(3, 1),
        "scalar": xp.asarray(1), "add": xp.sum(xp.ones((2, 2)), axis=0, keepdims=True), "concat": xp.concat([x, x]),
    }  # fmt: skip
    for name, array in names.items():
        assert f"op={name}, not computed" in repr(array)
    assert repr(xp.ones((2, 0)).compute()) == "fusewire.Array([], shape=(2, 0), dtype=float64)"


def test_compute_fills_in_place_and_returns_the_array(counted):
    x = xp.asarray(np.arange(4.0)) * 2
    assert x.compute() is x
    assert is_computed(x)
    counted()
    for _ in range(5):
        x.compute()
    np.asarray(x), x.tolist(), float(x[1])
    assert counted()["kernel_launches"] == 0


def test_compute_of_several(counted):
    x = xp.asarray(np.arange(1000.0))
    a, b = x + 1, x * 2
    counted()
    result = xp.compute(a, b)
    assert type(result) is tuple
    assert result[0] is a
    assert result[1] is b
    assert counted()["kernel_launches"] == 1
    assert xp.compute(a) is a
    assert xp.compute() == ()
    with pytest.raises(TypeError):
        xp.compute(np.ones(1))


def test_what_somebody_holds_is_computed_once(counted):
    x = xp.asarray(np.arange(1000.0))
    held = xp.exp(x)
    total = xp.sum(held)
    total.compute()
    assert is_computed(held)
    counted()
    held.compute()
    assert counted()["kernel_launches"] == 0
    same(held, np.asarray(held))


def test_values_that_nobody_holds_are_not_stored(counted):
    x = xp.asarray(np.ones(1_000_000, np.float32))
    xp.sum(x).compute()
    counted()
    xp.sum(xp.sqrt(x * 2 + 1) - x).compute()
    assert counted()["bytes_allocated"] < 1_000_000


def test_errors_come_from_the_call_and_leave_everything_usable():
    x = xp.asarray(np.arange(6.0).reshape(2, 3)) * 2
    for call, error in [
        (lambda: x + xp.ones(5), ValueError),
        (lambda: xp.bitwise_and(x, 1), TypeError),
        (lambda: xp.sum(x, axis=4), IndexError),
        (lambda: x[7], IndexError),
        (lambda: xp.asarray([1], dtype=xp.int8) + 1000, OverflowError),
        (lambda: x @ x, ValueError),
    ]:
        with pytest.raises(error):
            call()
        assert not is_computed(x)
    same(x + 1, np.arange(6.0).reshape(2, 3) * 2 + 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: xp.add(xp.ones((2, 3)), xp.ones(4)), ["add", "(2, 3)", "(4,)"]),
        (lambda: xp.ones((2, 3)) | 1, ["bitwise_or", "float64", "(2, 3)"]),
        (lambda: xp.asarray([True]) - xp.asarray([True]), ["subtract", "bool"]),
        (lambda: xp.max(xp.ones((0, 2))), ["max", "(0, 2)"]),
        (lambda: xp.reshape(xp.ones((2, 3)), (4,)), ["reshape", "(2, 3)", "(4"]),
    ],
)
def test_errors_name_op_shapes_and_dtypes(call, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def pipeline(x, rate):
    return xp.sum((x - xp.mean(x, axis=0)) * rate + 1, axis=0)


def test_new_shapes_and_scalars_compile_nothing(counted):
    pipeline(xp.asarray(np.ones((5, 3))), 0.5).compute()
    counted()
    for rows, columns in [(7, 4), (100, 9), (1000, 2), (64, 63)]:
        a = np.random.default_rng(rows).standard_normal((rows, columns))
        for rate in (0.1, 2.0, -7.5):
            got = pipeline(xp.asarray(a), rate)
            close(got, ((a - a.mean(0)) * rate + 1).sum(0), rtol=1e-9)
    changes = counted()
    assert changes["kernels_compiled"] == 0
    assert changes["plan_misses"] == 0
    assert changes["plan_hits"] == 12


def test_new_slices_compile_nothing(counted):
    x = xp.asarray(np.arange(1000.0))
    (x[3:90] + x[5:92]).compute()
    counted()
    for i in range(6, 20):
        same(
            x[i : i + 100] + x[2 * i : 2 * i + 100],
            np.arange(1000.0)[i : i + 100] + np.arange(1000.0)[2 * i : 2 * i + 100],
        )
    assert counted()["kernels_compiled"] == 0


def test_many_structures_do_not_grow_memory():
    rng = np.random.default_rng(0)
    x = xp.asarray(np.arange(8.0))
    sizes = []
    for batch in range(4):
        for _ in range(150):
            y = x
            for op in rng.integers(0, 5, 12):
                y = [y + x, y * x, y - 1, xp.abs(y), xp.maximum(y, x)][op]
            y.compute()
        gc.collect()
        sizes.append(resident())
        assert batch < 2 or sizes[-1] - sizes[1] < 150e6


def resident() -> int:
    """Bytes of memory that the process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_loop_of_100000_steps_runs_in_bounded_memory_and_linear_time(counted):
    x, y = np.linspace(0.5, 1.5, 50), np.linspace(-1, 1, 50)
    a, b = xp.asarray(x), xp.asarray(y)

    def steps(count):
        w = xp.zeros(50)
        start = time.perf_counter()
        for _ in range(count):
            w = w - 0.01 * (w * a - b)
        w.compute()
        return w, time.perf_counter() - start

    steps(5000)
    before = resident()
    counted()
    _, short = steps(10_000)
    w, long = steps(100_000)
    assert counted()["kernels_compiled"] <= 4
    assert resident() - before < 50e6
    assert long < 40 * short
    expected = np.zeros(50)
    for _ in range(100_000):
        expected = expected - 0.01 * (expected * x - y)
    close(w, expected)


def test_a_chain_of_a_million_ops():
    x = xp.asarray(np.zeros(3))
    y = x
    for _ in range(1_000_000):
        y = y + 1
    same(y, np.full(3, 1e6))


def test_wide_graphs():
    parts = [xp.asarray(np.full(4, float(i))) * 2 for i in range(500)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    same(total, np.full(4, float(sum(range(500)) * 2)))
    same(xp.concat(parts), np.repeat(np.arange(500.0) * 2, 4))


def test_diamonds_are_computed_once():
    x = xp.asarray(np.full(5, 1.0))
    for _ in range(60):
        x = (x + x) / 2
    same(x, np.full(5, 1.0))

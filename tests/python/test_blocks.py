"""Kernels and matrix products that run block by block of rows: the results are those of one step after the other."""

import numpy as np
import pytest

import fusewire as xp
from support import on_the_host

# What is in blocks of rows stays in the CPU's caches, on its threads.
pytestmark = on_the_host

RNG = np.random.default_rng(0)


def normal(*shape, dtype="float32"):
    return RNG.normal(size=shape).astype(dtype)


def both(function, *arrays):
    """Compute with fusewire, on one and on three threads, and with NumPy; return fusewire's and whether blocks ran."""
    threads = xp.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            xp.set_num_threads(count)
            before = xp.debug.counters()["block_runs"]
            result = function(xp, *[xp.asarray(a) for a in arrays])
            result = xp.compute(*result) if isinstance(result, tuple) else (result.compute(),)
            found.append([np.asarray(r) for r in result])
            ran = xp.debug.counters()["block_runs"] > before
    finally:
        xp.set_num_threads(threads)
    wanted = function(np, *arrays)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    for one, three, other in zip(*found, wanted, strict=True):
        np.testing.assert_array_equal(one, three)
        tolerance = 2e-4 if one.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1.0, np.abs(other).max(initial=0)))
    return ran


def layer(xp, x, w, b):
    return xp.maximum(x @ w + b, xp.zeros_like(b))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3000, 256, 256), (1001, 130, 301), (5000, 16, 31), (40_000, 3, 8), (700, 2, 999)])
def test_a_layer(shape, dtype):
    m, k, n = shape
    assert both(layer, normal(m, k, dtype=dtype), normal(k, n, dtype=dtype), normal(n, dtype=dtype))


def test_a_layer_of_any_layout():
    w, b = normal(120, 140), normal(140)
    for x in (normal(120, 2000).T, normal(2000, 240)[:, ::2], normal(4000, 120)[::-2], normal(2000, 120)[:, ::-1]):
        assert both(layer, x, w, b)
    assert both(layer, normal(2000, 120), normal(140, 120).T, b)


def test_layers_on_top_of_each_other():
    def network(xp, x, u, v, w, b):
        return xp.tanh(layer(xp, layer(xp, x, u, b), v, b) @ w)

    arrays = normal(4000, 60) / 8, normal(60, 100) / 8, normal(100, 100) / 8, normal(100, 7) / 8, normal(100)
    assert both(network, *arrays)


def test_no_multiplications_at_all():
    both(layer, normal(2000, 0), normal(0, 300), normal(300))
    both(layer, normal(0, 20), normal(20, 300), normal(300))


def test_rows_of_a_product_are_reduced():
    def attention(xp, q, k, v):
        scores = (q @ xp.moveaxis(k, -1, -2)) * 0.125
        e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
        return (e / xp.sum(e, axis=-1, keepdims=True)) @ v

    assert both(attention, normal(900, 64), normal(300, 64), normal(300, 64))
    assert both(attention, *[normal(2, 5, 130, 16) for _ in range(3)])
    assert both(attention, normal(3, 200, 16), normal(3, 70, 16), normal(3, 70, 16))


def test_nearest_centres():
    def step(xp, points, centres):
        squares = xp.sum(points * points, axis=1)[:, None] + xp.sum(centres * centres, axis=1)[None, :]
        squares = squares - 2.0 * (points @ centres.T)
        return xp.argmin(squares, axis=1), xp.mean(xp.min(squares, axis=1))

    for clusters in (8, 31, 32, 100):
        assert both(step, normal(30_000, 16), normal(clusters, 16))


def test_a_gradient_reads_its_samples_once():
    def gradient(xp, x, y, w):
        p = 1.0 / (1.0 + xp.exp(-(x @ w)))
        return (x.T @ (p - y)) / x.shape[0]

    for features in (32, 33, 300):
        samples = 9_000_000 // features // 16
        both(gradient, normal(samples, features), RNG.integers(0, 2, samples).astype("float32"), normal(features) / 8)


def test_what_is_held_is_kept():
    x, w, b = normal(3000, 64), normal(64, 200), normal(200)
    product = xp.asarray(x) @ xp.asarray(w)
    result = xp.maximum(product + xp.asarray(b), 0.0).compute()
    np.testing.assert_allclose(np.asarray(product), x @ w, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.asarray(result), np.maximum(x @ w + b, 0), rtol=1e-4, atol=1e-4)


def test_what_several_read():
    def several(xp, x, w):
        product = x @ w
        return xp.sum(product, axis=1), xp.sum(product, axis=0), product[::-1] + 1.0, product.T * 2.0

    both(several, normal(2500, 80), normal(80, 90))


def test_rows_that_are_not_read_in_order():
    def shuffled(xp, x, w, order):
        return xp.take(x @ w, order, axis=0) + 1.0

    both(shuffled, normal(2500, 80), normal(80, 90), RNG.permutation(2500))
    both(lambda xp, x, w: (x @ w)[::-1] * 2.0 - 1.0, normal(2500, 80), normal(80, 90))
    both(lambda xp, x, w: (x @ w)[100:2000:3] * 2.0 - 1.0, normal(2500, 80), normal(80, 90))
    both(lambda xp, x, w: (x @ w)[1:] - (x @ w)[:-1], normal(2500, 80), normal(80, 90))
    both(lambda xp, x, w: (x @ w).T.copy() * 2.0, normal(2500, 80), normal(80, 90))
    both(lambda xp, x: x.T @ x, normal(3000, 100))
    both(lambda xp, x: (x * 2.0).T @ (x + 1.0), normal(3000, 100))


def test_a_stencil_of_many_steps():
    def stencil(xp, u):
        for _ in range(20):
            u = u[1:-1, 1:-1] * 0.5 + 0.125 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        return u

    for shape in ((700, 900), (901, 333), (50, 20_000), (5000, 45)):
        both(stencil, normal(*shape))


def test_an_index_outside_is_found():
    x, w = xp.asarray(normal(3000, 80)), xp.asarray(normal(80, 90))
    product = x @ w
    outside = xp.asarray(np.full((3000, 1), 90))
    with pytest.raises(IndexError):
        (xp.take_along_axis(product + 1.0, outside, axis=1) + xp.sum(product, axis=1, keepdims=True)).compute()


def test_what_lies_between_takes_no_memory():
    x, w, b = (xp.asarray(a) for a in (normal(8000, 64), normal(64, 512), normal(512)))
    layer(xp, x, w, b).compute()
    result = layer(xp, x, w, b)
    before = xp.memory.figures()["allocated"]
    xp.memory.reset_peak()
    result.compute()
    extra = xp.memory.figures()["peak"] - before
    assert extra < 1.3 * 8000 * 512 * 4


def counted(steps):
    def iterate(xp, a, b):
        x, y, near = a, b, a * 0.0
        for _ in range(steps):
            xx, yy = x * x, y * y
            near = near + xp.where(xx + yy < 4.0, xp.ones_like(a), xp.zeros_like(a))
            x, y = xp.clip(xx - yy + a, -1e3, 1e3), xp.clip(2.0 * x * y + b, -1e3, 1e3)
        return near

    return iterate


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(200_003,), (300, 401), (7,), (), (0, 3)])
def test_a_long_loop_and_what_is_counted_beside_it(shape, dtype):
    a, b = RNG.uniform(-1.5, 0.5, (2, *shape)).astype(dtype)
    assert both(counted(50), a, b) == (a.size > 1000)


def test_a_long_loop_on_arrays_of_any_layout():
    a, b = RNG.uniform(-1.5, 0.5, (2, 400, 700))
    both(counted(40), a.T, np.ascontiguousarray(b.T))
    both(counted(40), a[::-2, ::3], b[:200, :234])
    both(counted(40), a, b[0])


def test_a_loop_that_is_computed_as_it_grows_keeps_no_array_of_each_step():
    n = 100_000
    a, b = (xp.asarray(x) for x in RNG.uniform(-1.5, 0.5, (2, n)))
    counted(300)(xp, a, b).compute()
    before = xp.memory.figures()["allocated"]
    xp.memory.reset_peak()
    counted(300)(xp, a, b).compute()
    assert xp.memory.figures()["peak"] - before < 32 * a.nbytes

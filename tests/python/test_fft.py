"""Fourier transforms against NumPy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fusewire as xp
from support import same

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 36, 97, 100, 128, 221, 1000]
NORMS = ["backward", "ortho", "forward"]


def random(shape, dtype, seed=0):
    rng = np.random.default_rng([seed, *shape])
    a = rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else a * 3).astype(dtype)


def near(actual, expected):
    """NumPy's dtype and shape, and its values up to a few units in the last place of the largest."""
    assert isinstance(actual, xp.Array)
    got = np.asarray(actual)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    eps = np.finfo(expected.dtype).eps
    scale = np.max(np.abs(expected), initial=0)
    assert np.max(np.abs(got - expected), initial=0) <= 6 * eps * np.log2(2 + expected.size) * max(scale, 1e-30)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128", "float32", "float64", "int32"])
@pytest.mark.parametrize("n", LENGTHS)
def test_along_one_axis(n, dtype, norm):
    a = random((3, n), dtype)
    x = xp.asarray(a)
    near(xp.fft.fft(x, norm=norm), np.fft.fft(a, norm=norm))
    near(xp.fft.ifft(x, norm=norm), np.fft.ifft(a, norm=norm))
    near(xp.fft.fft(xp.matrix_transpose(x), axis=0, norm=norm), np.fft.fft(a.T, axis=0, norm=norm))
    if np.dtype(dtype).kind == "c":
        for length in (2 * n - 2, 2 * n - 1):
            if length > 0:
                near(xp.fft.irfft(x, n=length, norm=norm), np.fft.irfft(a, n=length, norm=norm))
                near(xp.fft.hfft(x, n=length, norm=norm), np.fft.hfft(a, n=length, norm=norm))
    else:
        near(xp.fft.rfft(x, norm=norm), np.fft.rfft(a, norm=norm))
        near(xp.fft.ihfft(x, norm=norm), np.fft.ihfft(a, norm=norm))
        near(xp.fft.rfft(x.T, axis=0, norm=norm), np.fft.rfft(a.T, axis=0, norm=norm))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "ihfft", "irfft", "hfft"])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 9, 20])
def test_other_lengths_crop_and_fill(name, n):
    a = random((4, 6, 3), "float32" if name in {"rfft", "ihfft"} else "complex64")
    for axis in (0, 1, -1):
        near(getattr(xp.fft, name)(xp.asarray(a), n=n, axis=axis), getattr(np.fft, name)(a, n=n, axis=axis))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(4, 6), (5, 3, 8), (2, 1, 7)])
@pytest.mark.parametrize(
    ("s", "axes"), [(None, None), (None, (0,)), (None, (-1, 0)), ((3, 4), (0, 1)), ((4, 5), (-2, -1))]
)
def test_along_several_axes(s, axes, shape, norm):
    a, b = random(shape, "complex128"), random(shape, "float64")
    options = {"s": s, "axes": axes, "norm": norm}
    near(xp.fft.fftn(xp.asarray(a), **options), np.fft.fftn(a, **options))
    near(xp.fft.ifftn(xp.asarray(a), **options), np.fft.ifftn(a, **options))
    near(xp.fft.rfftn(xp.asarray(b), **options), np.fft.rfftn(b, **options))
    if s is not None or a.shape[axes[-1] if axes else -1] > 1:
        near(xp.fft.irfftn(xp.asarray(a), **options), np.fft.irfftn(a, **options))


def test_there_and_back_again():
    for n in (1, 2, 9, 10, 64, 101):
        a, b = random((n, 2), "complex128"), random((n, 2), "float64")
        near(xp.fft.ifft(xp.fft.fft(xp.asarray(a), axis=0), axis=0), a)
        near(xp.fft.irfft(xp.fft.rfft(xp.asarray(b), axis=0), n=n, axis=0), b)


def test_parts_that_real_numbers_cannot_have_do_not_count():
    a = random((5,), "complex128")
    near(xp.fft.irfft(xp.asarray(a)), np.fft.irfft(a))
    near(xp.fft.irfft(xp.asarray(a), n=9), np.fft.irfft(a, n=9))


@pytest.mark.parametrize("n", [1, 2, 5, 8, 101])
def test_frequencies_and_shifts(n):
    for d in (1.0, 0.1, 3.0):
        np.testing.assert_allclose(np.asarray(xp.fft.fftfreq(n, d=d)), np.fft.fftfreq(n, d=d), rtol=1e-15)
        np.testing.assert_allclose(np.asarray(xp.fft.rfftfreq(n, d=d)), np.fft.rfftfreq(n, d=d), rtol=1e-15)
    assert xp.fft.fftfreq(n, dtype=xp.float32).dtype == np.float32
    a = np.arange(6 * n).reshape(n, 2, 3)
    for axes in (None, 0, (0, 2), (-1,), ()):
        same(xp.fft.fftshift(xp.asarray(a), axes=axes), np.fft.fftshift(a, axes=axes))
        same(xp.fft.ifftshift(xp.asarray(a), axes=axes), np.fft.ifftshift(a, axes=axes))


def test_strided_and_computed_operands():
    a = random((6, 10), "complex128")
    x = xp.asarray(a)
    near(xp.fft.fft(x[::2, ::-3]), np.fft.fft(a[::2, ::-3]))
    near(xp.fft.fft(x * x + 1), np.fft.fft(a * a + 1))
    near(xp.fft.fft(xp.broadcast_to(x[:, :1], (6, 4))), np.fft.fft(np.broadcast_to(a[:, :1], (6, 4))))
    near(xp.fft.rfft(xp.real(x)), np.fft.rfft(a.real))
    near(xp.abs(xp.fft.rfft(xp.imag(x))) ** 2, np.abs(np.fft.rfft(a.imag)) ** 2)
    near(xp.fft.fft(xp.zeros((0, 4))), np.fft.fft(np.zeros((0, 4))))


def test_any_number_of_threads_gives_the_same_bits_and_another_size_compiles_nothing(counted):
    a = random((300, 250), "complex64")
    threads = xp.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            xp.set_num_threads(count)
            found.append(np.asarray(xp.fft.fftn(xp.asarray(a))).tobytes())
    finally:
        xp.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
    counted()
    y = xp.fft.fftn(xp.asarray(random((30, 20), "complex64")))
    assert "not computed" in repr(y)
    y.compute()
    change = counted()
    assert change["plan_misses"] == 0
    assert change["library_calls"] == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: xp.fft.fft(x, axis=2), IndexError, "fft: axis 2 is out of bounds"),
        (lambda x: xp.fft.fft(x, n=0), ValueError, "fft: the number of elements must be positive"),
        (lambda x: xp.fft.fft(x[:0], axis=0), ValueError, "fft: axis 0 has no elements"),
        (lambda x: xp.fft.rfft(x * 1j), TypeError, "rfft: takes real numbers, not complex128"),
        (lambda x: xp.fft.ihfft(x * 1j), TypeError, "ihfft: takes real numbers"),
        (lambda x: xp.fft.irfft(x[:, :1]), ValueError, "irfft: the number of elements must be positive, not 0"),
        (lambda x: xp.fft.ifft(x, norm="none"), ValueError, "ifft: norm must be"),
        (lambda x: xp.fft.fftn(x, s=(3,), axes=(0, 1)), ValueError, "fftn: 1 lengths and 2 axes"),
        (lambda x: xp.fft.rfftn(x, axes=()), ValueError, "rfftn"),
        (lambda x: xp.fft.fftfreq(0), ValueError, "fftfreq"),
        (lambda x: xp.fft.rfftfreq(4, dtype=xp.int32), ValueError, "dtype"),
    ],
)
def test_mistakes_are_raised_at_the_call(call, error, message):
    with pytest.raises(error, match=message):
        call(xp.ones((2, 3)))


def test_the_module_can_be_imported_first():
    code = "import fusewire.fft as fft; print(fft.rfft([1.0, 2.0, 3.0, 4.0])[0].real.item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 10

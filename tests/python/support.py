"""What several test files need: dtypes, inputs, and comparison with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as xp

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["float16", "float32", "float64"]
INTEGERS = DTYPES[1:9]
FLOATS = DTYPES[9:]
NUMBERS = DTYPES[1:]
# What libraries compute with: linear algebra takes no float16.
WIDE_FLOATS = FLOATS[1:]

TOLERANCES = {"float16": 2e-3, "float32": 2e-5, "complex64": 2e-5}

# For tests of what the host has and a GPU has not: memory shared with NumPy, its threads and its pool, Ctrl-C in the
# middle of a kernel, assignment in place, code that runs op by op or block by block. They run on the CPU whatever the
# default device is. Everything else runs on every device.
on_the_host = pytest.mark.usefixtures("host_device")


def sample(dtype: str, shape: tuple[int, ...] = (3, 5), seed: int = 0) -> np.ndarray[Any, Any]:
    """Values of a dtype that hold its extremes and special values, as far as there is room."""
    rng = np.random.default_rng([seed, DTYPES.index(dtype)])
    count = int(np.prod(shape))
    if dtype == "bool":
        values = rng.integers(0, 2, count).astype(bool)
    elif dtype in FLOATS:
        values = (rng.standard_normal(count) * 10).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, count, dtype=dtype, endpoint=True)
    special = {
        "bool": [],
        **{name: [0, 1, np.iinfo(name).max, np.iinfo(name).min] for name in INTEGERS},
        **{name: [0.0, -0.0, 1.0, -1.5, 2.5] for name in FLOATS},
    }[dtype]
    values[: min(count, len(special))] = special[:count]
    return values.reshape(shape)


def accumulated(name: str, a: np.ndarray[Any, Any], *args: Any, **options: Any) -> Any:
    """NumPy's reduction, but of float16 in float32: along outer axes NumPy rounds each sum on the way."""
    if a.dtype != np.float16:
        return getattr(np, name)(a, *args, **options)
    return np.asarray(getattr(np, name)(a.astype(np.float32), *args, **options)).astype(np.float16)


def same(actual: Any, expected: Any, *, ulps: int = 0) -> None:
    """Assert that a fusewire array has NumPy's dtype, shape and values, to so many units in the last place."""
    assert isinstance(actual, xp.Array)
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    got = np.asarray(actual)
    if ulps and expected.dtype.kind == "f":
        finite = np.isfinite(got) & np.isfinite(expected)
        np.testing.assert_array_equal(got[~finite], expected[~finite])
        np.testing.assert_array_almost_equal_nulp(got[finite], expected[finite], ulps)
    else:
        np.testing.assert_array_equal(got, expected)


def close(actual: Any, expected: Any, *, rtol: float | None = None) -> None:
    """Assert that a fusewire array has NumPy's dtype and shape, and its values up to rounding."""
    assert isinstance(actual, xp.Array)
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    tolerance = rtol or TOLERANCES.get(expected.dtype.name, 1e-12)
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=tolerance, atol=tolerance)

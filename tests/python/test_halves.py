"""float16 and bfloat16: all numbers, functions against NumPy on float32 rounded once, the same bits fused or not."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import fusewire as xp
from support import on_the_host, same

# NumPy's, of the special values.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = [np.dtype(np.float16), BFLOAT16]
ALL_BITS = np.arange(2**16, dtype=np.uint16)

EXACT = """
abs negative positive square sqrt floor ceil trunc round reciprocal sign signbit isnan isinf isfinite logical_not
""".split()
MATHS = """
exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
""".split()
EXACT_BINARY = """
add subtract multiply divide remainder maximum minimum copysign nextafter equal not_equal less less_equal greater
greater_equal logical_and logical_or logical_xor
""".split()
DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()


def agree(actual, expected, ulps=0):
    """Same dtype and shape, and the same bits but for which NaN, or so many numbers apart."""
    actual = np.asarray(actual)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype not in HALVES:
        np.testing.assert_array_equal(actual, expected)
        return
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(actual), nan)
    a, b = (line(x[~nan]) for x in (actual, expected))
    assert np.all(np.abs(a - b) <= ulps)
    if ulps:
        # What is between two numbers rarely goes to the other one.
        assert np.count_nonzero(a != b) <= max(1, a.size // 500)


def line(x):
    """The bits in the order of the numbers, with a place between the zeros."""
    bits = np.ascontiguousarray(x).view(np.int16).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFF) - 1, bits)


def wide(function, *operands):
    """NumPy's result on float32, rounded to the operands' dtype where it is a float."""
    result = getattr(np, function)(*(x.astype(np.float32) for x in operands))
    return result.astype(operands[0].dtype) if result.dtype == np.float32 else result


def pairs(dtype):
    """Random numbers of all sizes, and each of some special ones with each."""
    rng = np.random.default_rng(8)
    random = rng.integers(0, 2**16, (2, 50_000), dtype=np.uint16).view(dtype)
    # Signalling ones are another matter.
    random[np.isnan(random)] = np.nan
    top = float(ml_dtypes.finfo(dtype).max)
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    special = np.array([0.0, 1, 1.5, 2, 3, 7, 0.1, top, tiny, 3 * tiny, np.inf, np.nan]).astype(dtype)
    special = np.concatenate([special, -special])
    left, right = (x.ravel() for x in np.meshgrid(special, special))
    return np.concatenate([random[0], left]), np.concatenate([random[1], right])


def sample(dtype, shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", EXACT)
def test_exact_functions_of_all_numbers(name, dtype):
    values = ALL_BITS.view(dtype)
    agree(getattr(xp, name)(xp.asarray(values)), wide(name, values))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", MATHS)
def test_maths_functions_of_all_numbers(name, dtype):
    values = ALL_BITS.view(dtype)
    agree(getattr(xp, name)(xp.asarray(values)), wide(name, values), ulps=1)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", EXACT_BINARY)
def test_exact_functions_of_pairs(name, dtype):
    a, b = pairs(dtype)
    if name == "nextafter" or (name == "remainder" and dtype == np.float16):
        expected = getattr(np, name)(a, b)
    else:
        expected = wide(name, a, b)
    actual = np.asarray(getattr(xp, name)(xp.asarray(a), xp.asarray(b)))
    if name in {"maximum", "minimum", "nextafter"}:
        # Which of the zeros is larger or next to the other, NumPy leaves open.
        actual, expected = actual + np.array(0, dtype), expected + np.array(0, dtype)
    agree(actual, expected)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["atan2", "hypot", "logaddexp", "pow"])
def test_maths_functions_of_pairs(name, dtype):
    a, b = pairs(dtype)
    agree(getattr(xp, name)(xp.asarray(a), xp.asarray(b)), wide(name, a, b), ulps=1)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("other", [*DTYPES, "float16"])
def test_conversions_of_all_numbers(dtype, other):
    values = ALL_BITS.view(dtype)
    if "int" in other:
        # Beyond these, what NumPy makes of a float depends on the machine.
        limits = np.iinfo(other)
        wide = values.astype(np.float64)
        values = values[(wide > max(limits.min, -(2.0**62)) - 1) & (wide < min(limits.max, 2.0**62) + 1)]
    expected = values.astype(np.float32).astype(other)
    agree(xp.astype(xp.asarray(values), other), expected)


@pytest.mark.parametrize("other", [name for name in DTYPES if "complex" not in name])
def test_conversions_to_float16(other):
    values = of_all_sizes(other)
    agree(xp.astype(xp.asarray(values), xp.float16), values.astype(np.float16))


@pytest.mark.parametrize("other", [name for name in DTYPES if "complex" not in name])
def test_conversions_to_bfloat16_round_once(other):
    values = of_all_sizes(other)
    result = np.array(xp.astype(xp.asarray(values), xp.bfloat16))
    assert result.dtype == BFLOAT16
    # The nearest one is no further away than its neighbours.
    distances = []
    for step in (0, -1, 1):
        near = (np.abs(result).view(np.int16) + np.int16(step)).view(BFLOAT16).astype(np.longdouble)
        distances.append(np.abs(np.abs(values.astype(np.longdouble)) - near))
    result[~np.isfinite(result)] = 0
    inner = np.isfinite(values) & np.isfinite(result.astype(np.float32)) & (result != 0)
    assert np.count_nonzero(inner) > values.size // 4
    for further in distances[1:]:
        assert np.all(distances[0][inner] <= further[inner])


def of_all_sizes(dtype):
    rng = np.random.default_rng(9)
    if dtype == "bool":
        return np.array([True, False])
    if dtype.startswith("float"):
        random = rng.standard_normal(30_000) * 2.0 ** rng.integers(-40, 40, 30_000)
        return np.concatenate([random, [0.0, -0.0, np.inf, -np.inf, np.nan, 65519.99, 65520.0]]).astype(dtype)
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, 30_000, dtype=dtype, endpoint=True)
    values >>= rng.integers(0, limits.bits, 30_000).astype(dtype)
    return np.concatenate([values, np.array([limits.min, limits.max, 0, 1], dtype)])


def test_integers_between_two_bfloat16_are_rounded_once():
    middle = 2**62 + 2**54
    values = np.array([middle, middle + 1, middle - 1, -middle, -middle - 1])
    bits = np.asarray(xp.astype(xp.asarray(values), xp.bfloat16)).view(np.uint16)
    assert bits.tolist() == [0x5E80, 0x5E81, 0x5E80, 0xDE80, 0xDE81]
    doubles = np.array([1 + 2.0**-8 + 2.0**-50, 1 + 2.0**-8])
    assert np.asarray(xp.astype(xp.asarray(doubles), xp.bfloat16)).view(np.uint16).tolist() == [0x3F81, 0x3F80]


@pytest.mark.parametrize("dtype", HALVES)
def test_fused_or_not_the_bits_are_the_same(dtype):
    a, b = pairs(dtype)

    def steps(x, y, stop):
        for operation in (xp.add, xp.multiply, xp.subtract, xp.divide, xp.atan2):
            x = stop(operation(x, y))
            y = stop(xp.sqrt(xp.abs(stop(x + 0.1))))
        return stop(xp.cumulative_sum(xp.where(x < y, x, y), axis=0)), stop(x)

    fused = steps(xp.asarray(a), xp.asarray(b), lambda x: x)
    apart = steps(xp.asarray(a), xp.asarray(b), lambda x: x.compute())
    for one, other in zip(fused, apart, strict=True):
        agree(one, np.asarray(other))


def test_a_chain_is_numpys():
    a, b = sample(np.float16, (7, 33)), sample(np.float16, 33, 1)
    expected = np.sqrt(np.abs((a + b) * a - b / np.float16(3))) * np.float16(0.1)
    x, y = xp.asarray(a), xp.asarray(b)
    agree(xp.sqrt(xp.abs((x + y) * x - y / 3)) * 0.1, expected)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", [(), (1,), (33,), (4, 50), (3, 4, 40)])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin", "all"])
def test_reductions_are_rounded_once(name, shape, dtype):
    a = sample(dtype, shape)
    for axis in [None, *range(len(shape))]:
        for values in (a, a.T):
            expected = getattr(np, name)(values.astype(np.float64), axis=axis)
            expected = np.asarray(expected.astype(dtype) if expected.dtype == np.float64 else expected)
            # The sum in float32 may be on the other side of the middle between two halves.
            agree(getattr(xp, name)(xp.asarray(values), axis=axis), expected, ulps=1 if expected.dtype == dtype else 0)


@pytest.mark.parametrize("dtype", HALVES)
def test_sums_do_not_stop_where_halves_have_no_fractions(dtype):
    ones = xp.ones(4096, dtype=dtype)
    assert float(xp.sum(ones)) == 4096
    assert float(xp.cumulative_sum(ones)[-1]) == 4096
    assert float(xp.mean(xp.full(4096, 1000.0, dtype=dtype))) == 1000
    assert float(xp.var(xp.asarray([300.0, -300.0], dtype=dtype))) == float(asarray(90000, dtype))
    assert float(xp.linalg.vector_norm(xp.full(4, 1000.0, dtype=dtype))) == 2000
    assert float(xp.nanmean(xp.full(70_000, 3.0, dtype=dtype))) == 3
    assert float(xp.quantile(xp.asarray([1.0, 1000.0], dtype=dtype), 0.5)) == float(asarray(500.5, dtype))
    assert xp.median(ones).dtype == xp.nanstd(ones).dtype == dtype
    assert float(xp.vecdot(xp.full(300, 1.0, dtype=dtype), xp.full(300, 1.0, dtype=dtype))) == 300


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(("left", "right"), [((5, 300), (300, 7)), ((2, 3, 4), (4, 3)), ((4,), (4,)), ((6, 0), (0, 2))])
def test_products_are_rounded_once(left, right, dtype):
    # Where nothing cancels, float32 sums are far more accurate than the result.
    a, b = np.abs(sample(dtype, left)), np.abs(sample(dtype, right, 1))
    expected = np.asarray(np.matmul(a.astype(np.float64), b.astype(np.float64))).astype(dtype)
    agree(xp.asarray(a) @ xp.asarray(b), expected, ulps=1)
    agree(xp.matmul(xp.asarray(a), xp.asarray(b)) * 2, expected * np.array(2, dtype), ulps=1)


@pytest.mark.parametrize("dtype", HALVES)
def test_order(dtype):
    a = np.random.default_rng(1).permutation(ALL_BITS)[:5000].view(dtype)
    a = a[~np.isnan(a)]
    x = xp.asarray(a)
    agree(xp.sort(x), np.sort(a.astype(np.float32)).astype(dtype))
    agree(xp.argsort(x, stable=True), np.argsort(a.astype(np.float32), kind="stable"))
    agree(xp.searchsorted(xp.sort(x), x), np.searchsorted(np.sort(a.astype(np.float32)), a.astype(np.float32)))
    values, counts = np.unique(a.astype(np.float32), return_counts=True)
    found = xp.unique_counts(x)
    assert found.values.dtype == dtype
    np.testing.assert_array_equal(np.asarray(found.values, np.float32), values)
    np.testing.assert_array_equal(np.asarray(found.counts), counts)
    agree(xp.isin(x, x[::2]), np.isin(a.astype(np.float32), a[::2].astype(np.float32)))
    last = xp.sort(xp.asarray(np.array([np.nan, 1, -np.inf, np.nan, 0], dtype)))
    assert np.isnan(np.asarray(last, np.float32)).tolist() == [False] * 3 + [True] * 2


@pytest.mark.parametrize("dtype", HALVES)
def test_moving_elements_keeps_every_bit(dtype):
    a = ALL_BITS.view(dtype).reshape(256, 256)
    mask = a > 1
    x = xp.asarray(a)
    rows = np.random.default_rng(3).integers(-256, 256, 100)
    cases = {
        "flip": (x[::-3, 5:], a[::-3, 5:]),
        "transpose": (xp.concat([x.T, x], axis=1), np.concatenate([a.T, a], axis=1)),
        "take": (xp.take(x, xp.asarray(rows), axis=0), a[rows]),
        "mask": (x[x > 1], a[mask]),
        "roll": (xp.roll(x, 3), np.roll(a, 3)),
        "broadcast": (xp.broadcast_to(x[0], (3, 256)), np.broadcast_to(a[0], (3, 256))),
        "repeat": (xp.repeat(x, 2, axis=1), np.repeat(a, 2, axis=1)),
    }
    for name, (actual, expected) in cases.items():
        actual = np.ascontiguousarray(np.asarray(actual))
        assert actual.dtype == dtype, name
        np.testing.assert_array_equal(actual.view(np.uint16), np.ascontiguousarray(expected).view(np.uint16), name)


@pytest.mark.parametrize("dtype", HALVES)
def test_assignment(dtype):
    a = sample(dtype, (5, 6))
    for key, value in [((1, 2), 2.5), (slice(None, None, -2), 0.1), (np.array([0, 3]), 7), (a > 0, -1.0)]:
        x, expected = xp.asarray(a, copy=True), a.copy()
        x[key], expected[key] = value, value
        agree(x, expected)
    x = xp.asarray(a) + 1
    x[0] = xp.asarray([1.0, 2, 3, 4, 5, 6.1])
    x += 0.25
    assert x.dtype == dtype
    expected = a + np.array(1, dtype)
    expected[0] = np.array([1, 2, 3, 4, 5, 6.1], dtype)
    agree(x, expected + np.array(0.25, dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_creation(dtype):
    same(xp.zeros((2, 3), dtype=dtype), np.zeros((2, 3), dtype))
    same(xp.full((3,), 0.1, dtype=dtype), np.full((3,), 0.1, dtype))
    same(xp.eye(3, dtype=dtype), np.eye(3).astype(dtype))
    same(xp.asarray([1, 2.5, 6e4], dtype=dtype), asarray([1, 2.5, 6e4], dtype))
    agree(xp.linspace(0, 1, 17, dtype=dtype), np.linspace(0, 1, 17).astype(dtype))
    same(xp.zeros_like(xp.ones(3, dtype=dtype)), np.zeros(3, dtype))
    same(xp.tril(xp.ones((3, 3), dtype=dtype)), np.tril(np.ones((3, 3))).astype(dtype))
    same(xp.arange(5, dtype=dtype), np.arange(5).astype(dtype))


def asarray(values, dtype):
    return np.array(values).astype(dtype)


def test_ranges_are_numpys():
    for start, stop, step in [(0, 1, 0.1), (5, -3, -0.3), (0, 3000, 1), (1e4, 6e4, 777)]:
        agree(xp.arange(start, stop, step, dtype=xp.float16), np.arange(start, stop, step, dtype=np.float16))


@pytest.mark.parametrize("other", DTYPES)
def test_promotion(other):
    float16, bfloat16 = xp.ones(2, dtype=xp.float16), xp.ones(2, dtype=xp.bfloat16)
    x = xp.ones(2, dtype=other)
    expected = np.promote_types(np.float16, other)
    assert xp.result_type(float16, x) == expected
    assert (float16 * x).dtype == (x * float16).dtype == expected
    # As float16, which is what ml_dtypes says too where it says something.
    expected = BFLOAT16 if expected == np.float16 else expected
    assert xp.result_type(bfloat16, other) == expected
    assert (bfloat16 + x).dtype == expected
    if expected == BFLOAT16 or other.startswith(("float", "complex")):
        assert np.promote_types(BFLOAT16, other) == expected
    assert xp.can_cast(x, xp.bfloat16) == (expected == BFLOAT16)
    assert xp.concat([bfloat16, x]).dtype == expected


@pytest.mark.parametrize("dtype", HALVES)
def test_python_scalars_are_weak(dtype):
    x = xp.ones(3, dtype=dtype)
    for scalar in (True, 3, 2.5):
        assert (x + scalar).dtype == (scalar - x).dtype == xp.result_type(x, scalar) == dtype
        assert xp.where(x > 0, x, scalar).dtype == xp.maximum(x, scalar).dtype == dtype
    assert (x + 1j).dtype == np.complex64
    assert float((x * 70000)[0]) == float(asarray(70000, dtype))
    assert xp.clip(x, 0.3, 0.7).dtype == dtype
    assert float(xp.clip(x, 0.3, 0.7)[0]) == float(np.array(0.7, dtype))


def test_halves_of_two_kinds_meet_in_float32():
    a, b = sample(np.float16, 9), sample(BFLOAT16, 9, 1)
    same(xp.asarray(a) + xp.asarray(b), a.astype(np.float32) + b.astype(np.float32))
    agree(xp.astype(xp.asarray(a), xp.bfloat16), a.astype(np.float32).astype(BFLOAT16))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8"])
@pytest.mark.parametrize("name", ["sin", "exp", "sqrt", "log1p", "atan", "cosh"])
def test_functions_of_8_bits_give_float16(name, dtype):
    a = np.arange(2) > 0 if dtype == "bool" else np.arange(256).astype(np.uint8).view(dtype)
    expected = getattr(np, name)(a)
    assert expected.dtype == np.float16
    agree(getattr(xp, name)(xp.asarray(a)), expected, ulps=1)
    agree(xp.atan2(xp.asarray(a), xp.asarray(a)), np.atan2(a, a), ulps=1)


@on_the_host
@pytest.mark.parametrize("dtype", HALVES)
def test_arrays_go_in_and_out_without_a_copy(dtype):
    a = sample(dtype, (6, 8))
    for view in (a, a.T, a[::2, ::-3], a[:, 1]):
        x = xp.asarray(view)
        out = np.asarray(x)
        assert out.dtype == dtype
        assert out.dtype is np.asarray(x + 1).dtype
        assert out.ctypes.data == view.ctypes.data
        assert out.strides == view.strides
        agree(out, view)
    computed = (xp.asarray(a) * 2).compute()
    assert np.asarray(computed).ctypes.data == np.asarray(computed).ctypes.data
    swapped = a.astype(np.float16).astype(">f2")
    agree(xp.asarray(swapped), swapped.astype(np.float16))


@pytest.mark.parametrize("dtype", HALVES)
def test_copies_and_numbers(dtype):
    x = xp.asarray(sample(dtype, (2, 3))) * 2
    for again in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert again.dtype == dtype
        agree(again, np.asarray(x))
    one = xp.asarray(1.5, dtype=dtype) + 1
    assert float(one) == 2.5
    assert isinstance(one.item(), float)
    assert int(one) == 2
    assert bool(one)
    assert one.tolist() == 2.5
    assert f"{one:.3f}" == "2.500"
    assert one.nbytes == one.itemsize == 2
    assert f"dtype={dtype.name}" in repr(one)
    assert f"dtype={dtype.name}" in repr(one.compute())
    assert str(one) == "2.5"


@pytest.mark.parametrize("dtype", HALVES)
def test_questions_about_dtypes(dtype):
    assert xp.isdtype(dtype, "real floating")
    assert xp.isdtype(dtype, ("integral", "numeric"))
    assert not xp.isdtype(dtype, "integral")
    assert xp.isdtype(dtype, dtype)
    info = xp.finfo(dtype)
    expected = ml_dtypes.finfo(dtype)
    for name in ("bits", "eps", "max", "min", "smallest_normal"):
        value = getattr(info, name)
        assert type(value) in {int, float}
        assert value == getattr(expected, name)
    assert info.dtype == dtype
    for spelled in (dtype, dtype.type, dtype.name):
        assert xp.zeros(1, dtype=spelled).dtype == dtype
    assert getattr(xp, dtype.name) is dtype.type
    assert dtype.name not in xp.__array_namespace_info__().dtypes()


@pytest.mark.parametrize("dtype", HALVES)
def test_libraries_take_no_halves_or_widen_them(dtype):
    x = xp.asarray(sample(dtype, (4, 4)))
    for name in ("inv", "det", "cholesky", "eigh", "svdvals", "qr", "pinv", "slogdet", "matrix_rank"):
        with pytest.raises(TypeError, match=dtype.name):
            getattr(xp.linalg, name)(x)
    with pytest.raises(TypeError, match=dtype.name):
        xp.linalg.solve(x, x)
    assert xp.linalg.matrix_norm(x).dtype == dtype
    assert xp.fft.fft(x).dtype == xp.fft.rfft(x).dtype == np.complex64
    np.testing.assert_allclose(np.asarray(xp.fft.rfft(x)), np.fft.rfft(np.asarray(x, np.float32)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", HALVES)
def test_bits_are_no_business_of_halves(dtype):
    x = xp.ones(3, dtype=dtype)
    with pytest.raises(TypeError, match=f"bitwise_and.*{dtype.name}"):
        xp.bitwise_and(x, x)
    with pytest.raises(IndexError):
        xp.ones(3)[x]


def test_without_the_package_bfloat16_says_what_is_missing():
    program = """
import sys
sys.modules["ml_dtypes"] = None
import fusewire as xp
assert not hasattr(xp, "bfloat16")
try:
    xp.zeros(3, dtype="bfloat16")
except ImportError as error:
    assert "ml_dtypes" in str(error)
else:
    raise AssertionError
try:
    xp.bfloat16
except AttributeError as error:
    assert "ml_dtypes" in str(error)
assert xp.zeros(3, dtype="float16").compute().dtype == xp.float16
try:
    xp.asarray(["a"])
except TypeError as error:
    assert "not supported" in str(error) or "cannot become" in str(error)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_arrays_of_numpy_become_bfloat16_in_one_rounding():
    a = np.array([1 + 2**-8 + 2**-40, -(1 + 2**-8 - 2**-40), np.inf, 0.0])
    x = xp.asarray(a, dtype=xp.bfloat16)
    a[:] = 0
    assert [float(value) for value in x] == [1 + 2**-7, -1.0, np.inf, 0.0]

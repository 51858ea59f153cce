"""Element-wise functions against NumPy: every function and dtype, operators in all forms, integers at their limits."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, FLOATS, INTEGERS, NUMBERS, close, same, sample

EXACT_UNARY = {
    "abs": NUMBERS,
    "negative": NUMBERS,
    "positive": NUMBERS,
    "square": NUMBERS,
    "sign": NUMBERS,
    "sqrt": FLOATS,
    "floor": NUMBERS,
    "ceil": NUMBERS,
    "trunc": NUMBERS,
    "round": NUMBERS,
    "isnan": DTYPES,
    "isinf": DTYPES,
    "isfinite": DTYPES,
    "signbit": FLOATS,
    "bitwise_invert": ["bool", *INTEGERS],
    "logical_not": DTYPES,
    "reciprocal": FLOATS,
}
EXACT_BINARY = {
    "add": DTYPES,
    "subtract": NUMBERS,
    "multiply": DTYPES,
    "divide": ["int32", "int64", "uint32", "uint64", *FLOATS],
    "floor_divide": NUMBERS,
    "remainder": NUMBERS,
    "maximum": DTYPES,
    "minimum": DTYPES,
    "copysign": FLOATS,
    "nextafter": FLOATS,
    "bitwise_and": ["bool", *INTEGERS],
    "bitwise_or": ["bool", *INTEGERS],
    "bitwise_xor": ["bool", *INTEGERS],
    "bitwise_left_shift": INTEGERS,
    "bitwise_right_shift": INTEGERS,
    "equal": DTYPES,
    "not_equal": DTYPES,
    "less": DTYPES,
    "less_equal": DTYPES,
    "greater": DTYPES,
    "greater_equal": DTYPES,
    "logical_and": DTYPES,
    "logical_or": DTYPES,
    "logical_xor": DTYPES,
}
MATHS = {
    "exp": (-80, 80),
    "expm1": (-10, 80),
    "log": (0, 1e6),
    "log1p": (-1, 1e6),
    "log2": (0, 1e6),
    "log10": (0, 1e6),
    "sin": (-1e4, 1e4),
    "cos": (-1e4, 1e4),
    "tan": (-100, 100),
    "asin": (-1, 1),
    "acos": (-1, 1),
    "atan": (-1e6, 1e6),
    "sinh": (-80, 80),
    "cosh": (-80, 80),
    "tanh": (-20, 20),
    "asinh": (-1e6, 1e6),
    "acosh": (1, 1e6),
    "atanh": (-1, 1),
}
MATHS_BINARY = {"atan2": (-10, 10), "hypot": (-1e10, 1e10), "logaddexp": (-50, 50), "pow": (0.01, 9)}


def flat(table):
    return [(name, dtype) for name, dtypes in table.items() for dtype in dtypes]


@pytest.mark.parametrize(("name", "dtype"), flat(EXACT_UNARY))
def test_exact_functions_of_one_operand(name, dtype):
    for shape in [(), (0,), (7,), (33,), (3, 5)]:
        a = sample(dtype, shape)
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(a)
        same(getattr(xp, name)(xp.asarray(a)), expected)


@pytest.mark.parametrize(("name", "dtype"), flat(EXACT_BINARY))
def test_exact_functions_of_two_operands(name, dtype):
    for left, right in [((), ()), ((9,), ()), ((0,), (1,)), ((35,), (35,)), ((4, 1, 3), (5, 1)), ((3, 5), (5,))]:
        a, b = sample(dtype, left, 1), sample(dtype, right, 2)
        if name.endswith("shift"):
            b = np.abs(b.astype(np.int64) % 40).astype(dtype)
            expected = shifted(name, a, b)
        else:
            with np.errstate(all="ignore"):
                expected = getattr(np, name)(a, b)
        same(getattr(xp, name)(xp.asarray(a), xp.asarray(b)), expected)


def shifted(name, a, b):
    """What Python's integers say, which NumPy says too where the count is less than the width."""
    bits = np.iinfo(a.dtype).bits
    a, b = np.broadcast_arrays(a, b)
    count = np.minimum(b.astype(int), bits)
    left = name == "bitwise_left_shift"
    values = [int(x) << int(n) if left else int(x) >> int(n) for x, n in zip(a.flat, count.flat, strict=True)]
    values = [v & (2**bits - 1) for v in values]
    return np.array(values, np.uint64).astype(f"u{bits // 8}").view(a.dtype).reshape(a.shape)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MATHS)
def test_maths_functions(name, dtype):
    low, high = MATHS[name]
    with np.errstate(over="ignore"):
        a = np.linspace(low, high, 513).astype(dtype)[1:-1]
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
    for values in (a, special):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(values)
        same(getattr(xp, name)(xp.asarray(values)), expected, ulps=6)
    # What becomes of the sign of zero; a NaN's sign means nothing.
    zeros = np.asarray(getattr(xp, name)(xp.asarray(special[:2])))
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(special[:2])
    np.testing.assert_array_equal(np.signbit(zeros)[~np.isnan(expected)], np.signbit(expected)[~np.isnan(expected)])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MATHS_BINARY)
def test_maths_functions_of_two_operands(name, dtype):
    low, high = MATHS_BINARY[name]
    rng = np.random.default_rng(3)
    with np.errstate(all="ignore"):
        a, b = rng.uniform(low, high, (2, 501)).astype(dtype)
        same(getattr(xp, name)(xp.asarray(a), xp.asarray(b)), getattr(np, name)(a, b), ulps=8)
        special = np.array([0.0, -0.0, 1, -1, 2, 0.5, -3, np.inf, -np.inf, np.nan], dtype)
        left, right = (g.ravel() for g in np.meshgrid(special, special))
        same(getattr(xp, name)(xp.asarray(left), xp.asarray(right)), getattr(np, name)(left, right), ulps=8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_floor_divide_has_the_standards_special_cases(dtype):
    # Of and by infinities NumPy has NaN and -1 instead.
    inf, nan = np.inf, np.nan
    rows = [(inf, 2, inf), (inf, -2, -inf), (-inf, 2, -inf), (-inf, -2, inf), (inf, inf, nan), (inf, -inf, nan),
            (3, inf, 0.0), (3, -inf, -0.0), (-3, inf, -0.0), (-3, -inf, 0.0), (0.0, -inf, -0.0), (-0.0, inf, -0.0),
            (1, 0.0, inf), (1, -0.0, -inf), (-1, 0.0, -inf), (0.0, 0.0, nan), (nan, inf, nan), (inf, nan, nan),
            (inf, 0.0, inf), (-7, 2, -4), (7, -2, -4), (0.0, -2, -0.0), (-0.0, 2, -0.0)]  # fmt: skip
    for repeats in (1, 5):
        x1, x2, expected = np.array(rows * repeats, dtype).T
        result = xp.floor_divide(xp.asarray(x1), xp.asarray(x2))
        same(result, expected)
        numbers, result = ~np.isnan(expected), np.asarray(result)
        np.testing.assert_array_equal(np.signbit(result)[numbers], np.signbit(expected)[numbers])


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
@pytest.mark.parametrize("name", ["exp", "sin", "sqrt", "log1p"])
def test_functions_of_floats_take_integers(name, dtype):
    a = np.array([0, 1, 3, 7], dtype)
    result = getattr(xp, name)(xp.asarray(a))
    expected = getattr(np, name)(a)
    close(result, expected)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_at_their_limits(dtype):
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.min + 1, 0, 1, 2, 7, limits.max - 1, limits.max], dtype)
    if limits.min:
        values = np.concatenate([values, np.array([-1, -2, -7], dtype)])
    a, b = (g.ravel() for g in np.meshgrid(values, values))
    x, y = xp.asarray(a), xp.asarray(b)
    with np.errstate(all="ignore"):
        for name in ["add", "subtract", "multiply", "floor_divide", "remainder", "maximum", "minimum"]:
            same(getattr(xp, name)(x, y), getattr(np, name)(a, b))
        for name in ["negative", "abs", "square", "sign"]:
            same(getattr(xp, name)(x), getattr(np, name)(a))
        same(x // 0, a // np.zeros_like(a))
        same(x % 0, a % np.zeros_like(a))
    exponents = np.array([0, 1, 2, 3, 5, 13], dtype)
    bases, powers = (g.ravel() for g in np.meshgrid(values, exponents))
    same(xp.asarray(bases) ** xp.asarray(powers), bases**powers)
    same(x**3, a**3)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_past_the_width(dtype):
    limits = np.iinfo(dtype)
    a = np.array([1, limits.max, limits.min, 5], dtype)
    counts = np.array([limits.bits - 1, limits.bits, limits.bits + 1, min(limits.max, 127)], dtype)
    a, counts = (g.ravel() for g in np.meshgrid(a, counts))
    same(xp.asarray(a) << xp.asarray(counts), shifted("bitwise_left_shift", a, counts))
    same(xp.asarray(a) >> xp.asarray(counts), shifted("bitwise_right_shift", a, counts))


OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_operators_in_all_forms(name, dtype):
    op = getattr(operator, name)
    a, b = np.array([1, 5, 9], dtype), np.array([2, 2, 3], dtype)
    x, y = xp.asarray(a), xp.asarray(b)
    check = same if name != "pow" or dtype == "int32" else close
    check(op(x, y), op(a, b))
    check(op(x, b), op(a, b))
    check(op(a, y), op(a, b))
    check(op(x, 2), op(a, 2))
    check(op(2, y), op(2, b))
    check(op(x, np.int32(2)), op(a, np.int32(2)))
    check(op(np.int32(2), y), op(np.int32(2), b))
    check(op(x, np.asarray(2, dtype)), op(a, np.asarray(2, dtype)))
    check(op(np.asarray(2, dtype), y), op(np.asarray(2, dtype), b))
    check(op(x, [2, 2, 3]), op(a, [2, 2, 3]))


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift"])
def test_bitwise_operators(name):
    op = getattr(operator, name)
    a, b = np.array([1, 5, 9]), np.array([2, 2, 3])
    x, y = xp.asarray(a), xp.asarray(b)
    for left, right, expected in [(x, y, op(a, b)), (x, 2, op(a, 2)), (2, y, op(2, b)), (a, y, op(a, b))]:
        same(op(left, right), expected)
    if "shift" not in name:
        same(op(x > 1, y > 2), op(a > 1, b > 2))
        same(op(x > 1, True), op(a > 1, True))


def test_unary_operators_divmod_and_in_place():
    a = np.array([-3.5, 2.0])
    x = xp.asarray(a)
    same(-x, -a)
    same(+x, a)
    same(abs(x), abs(a))
    same(~xp.asarray([1, 2]), ~np.array([1, 2]))
    for left, right in [(x, 2), (7, x)]:
        expected = divmod(np.asarray(left), np.asarray(right))
        for got, want in zip(divmod(left, right), expected, strict=True):
            same(got, want)
    kept, view, other = x, x[:], x * 1
    x += 1
    assert kept is x
    same(x, a + 1)
    same(view, a + 1)
    same(other, a)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_clip(dtype):
    a = np.arange(10).astype(dtype)
    x = xp.asarray(a)
    same(xp.clip(x, 2, 5), np.clip(a, 2, 5))
    same(xp.clip(x, min=3), np.clip(a, 3, None))
    same(xp.clip(x, max=3), np.clip(a, None, 3))
    same(xp.clip(x), a)
    same(x.clip(xp.asarray(2, dtype=dtype), xp.asarray(np.arange(10).astype(dtype)[::-1])), np.clip(a, 2, a[::-1]))


def test_clip_of_nan_and_outside_the_dtype():
    a = np.array([np.nan, -1.0, 5.0])
    same(xp.clip(xp.asarray(a), 0.0, 2.0), np.clip(a, 0.0, 2.0))
    small = xp.asarray([1, 200], dtype=xp.uint8)
    same(xp.clip(small, -5, 1000), np.array([1, 200], np.uint8))
    with pytest.raises(TypeError, match="clip"):
        xp.clip(xp.asarray([True]), False, True)


def test_where_broadcasts_and_takes_scalars():
    condition = np.array([[True], [False]])
    a, b = np.arange(3.0), np.arange(6.0).reshape(2, 3) * 10
    same(xp.where(xp.asarray(condition), xp.asarray(a), xp.asarray(b)), np.where(condition, a, b))
    same(xp.where(xp.asarray(condition), 1.0, xp.asarray(a)), np.where(condition, 1.0, a))
    same(xp.where(xp.asarray([3, 0]), 1, xp.asarray([7, 8], dtype=xp.int8)), np.array([1, 8], np.int8))


def test_complex_functions_of_reals():
    x = xp.asarray([1.0, -2.0])
    same(xp.real(x), np.array([1.0, -2.0]))
    same(xp.conj(x), np.array([1.0, -2.0]))
    same(xp.imag(x), np.zeros(2))
    same(x.real + x.imag + x.conj(), np.array([2.0, -4.0]))


def test_isin():
    a, b = np.array([[1, 2], [3, 4]]), np.array([2, 4, 9])
    same(xp.isin(xp.asarray(a), xp.asarray(b)), np.isin(a, b))
    same(xp.isin(xp.asarray(a), xp.asarray(b), invert=True), ~np.isin(a, b))
    same(xp.isin(4, xp.asarray(b)), np.isin(4, b))
    same(xp.isin(xp.asarray(a), xp.asarray([], dtype=xp.int64)), np.zeros((2, 2), bool))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(127, 257), (128, 128), (129, 2), (300, 143)])
def test_transposed_operands_around_the_edges_of_blocks(shape, dtype):
    a = np.random.default_rng(5).integers(0, 100, shape).astype(dtype)
    b = np.random.default_rng(6).integers(0, 100, shape[::-1]).astype(dtype)
    chosen = np.random.default_rng(7).integers(0, 2, b.shape) == 1
    same(xp.where(xp.asarray(chosen), xp.asarray(a).T, xp.asarray(b)), np.where(chosen, a.T, b))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_strided_and_transposed_operands(order):
    a = np.arange(60.0).reshape(3, 4, 5).transpose(order)
    b = np.arange(60.0, 0, -1).reshape(3, 4, 5)[::-1].transpose(order)
    same(xp.asarray(a) * xp.asarray(b) - 1, a * b - 1)
    same(xp.asarray(a)[::2, :, ::-1] + xp.asarray(b)[::2], a[::2, :, ::-1] + b[::2])


def test_nan_and_signed_zero_survive():
    a = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf])
    x = xp.asarray(a)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(np.signbit(np.asarray(x * 0)), np.signbit(a * 0))
        same(x * 0, a * 0)
        same(x - x, a - a)
        np.testing.assert_array_equal(np.signbit(np.asarray(x + 0.0)), np.signbit(a + 0.0))


@pytest.mark.parametrize("name", ["abs", "floor", "ceil", "trunc", "square", "reciprocal", "signbit"])
def test_numbers_of_booleans(name):
    a = np.array([True, False])
    with np.errstate(all="ignore"):
        same(getattr(xp, name)(xp.asarray(a)), getattr(np, name)(a))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_reciprocals_of_integers(dtype):
    a = np.array([0, 1, 2, 100], dtype)
    with np.errstate(all="ignore"):
        same(xp.reciprocal(xp.asarray(a)), np.reciprocal(a))

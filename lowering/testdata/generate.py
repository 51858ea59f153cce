"""Writes the correctly rounded float64 results that the maths expansions are tested against: NAME.txt beside this file.

Each line: the bits of the operands and of the result in hexadecimal, and what the result lacks of the exact value, in
thousandths of a unit in the last place. NaN and infinity lack 0. Deterministic: run it again and nothing changes.
Run: python3 generate.py [name ...]. Needs mpmath.
"""

import math
import pathlib
import random
import struct
import sys

from mpmath import mp, mpf

mp.prec = 400
INF, NAN = math.inf, math.nan
TINY, NORMAL, HUGE = 5e-324, 2.0**-1022, sys.float_info.max


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def from_bits(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def place(x):
    """The exponent of the last place of a finite float64."""
    return max(math.frexp(x)[1] - 53, -1074) if x else -1074


def rounded(value):
    """The nearest float64, and what it lacks in thousandths of a unit in the last place."""
    if value == 0:
        return 0.0, 0
    exponent = max(int(mp.floor(mp.log(abs(value), 2))) - 52, -1074)
    scaled = mp.ldexp(value, -exponent)
    nearest = int(mp.nint(scaled))
    if abs(nearest) == 2**53 and exponent == 971 or exponent > 971:
        return math.copysign(INF, value), 0
    result = math.copysign(math.ldexp(abs(nearest), exponent), value)
    lacks = mp.ldexp(value - mpf(result), -place(result)) * 1000
    return result, int(mp.nint(lacks))


def near(x, steps=3):
    """The float64 nearest to a number, and its neighbours."""
    b = bits(float(x))
    return [from_bits(b + i) for i in range(-steps, steps + 1) if 0 <= b + i < 1 << 64]


SPECIAL = [s * x for s in (1, -1) for x in
           (0.0, TINY, 3 * TINY, NORMAL / 3, NORMAL - TINY, NORMAL, 1e-300, 1e-30, 2.0**-53, 0.5, 1.0, 2.0, 10.0, 1e30, HUGE, INF)] + [NAN]
SPECIAL += near(1) + near(-1) + near(0.5) + near(2)


def random_bits(source, count):
    return [from_bits(source.getrandbits(64)) for _ in range(count)]


def uniform(source, low, high, count):
    return [source.uniform(low, high) for _ in range(count)]


def spread(source, low, high, count, signs=(1, -1)):
    """Both signs, magnitudes 2^low to 2^high."""
    return [source.choice(signs) * 2.0 ** source.uniform(low, high) for _ in range(count)]


def exp_points(source, low, high, unit):
    points = uniform(source, low, high, 500) + uniform(source, -2, 2, 300) + spread(source, -60, 9, 300)
    points += near(low) + near(high) + uniform(source, low - 2, low + 40, 200) + uniform(source, high - 2, high + 1, 60)
    # Half-way between two multiples of the reduction's unit, and the multiples themselves.
    for _ in range(150):
        points += near(source.randint(int(2 * low / unit), int(2 * high / unit)) * unit / 2, 1)
    return points + [float(n) for n in range(-60, 60)]


def log_points(source):
    points = spread(source, -1074, 1024, 300, (1,)) + uniform(source, 0, 4, 500) + [1 + x for x in spread(source, -52, -1, 500)]
    for _ in range(150):
        points += near(math.ldexp(math.sqrt(0.5), source.randint(-1020, 1023)), 1)
    for n in range(-1074, 1024, 37):
        points += near(2.0**n, 1)
    return points + near(math.sqrt(0.5)) + near(math.sqrt(2)) + [float(n) for n in range(1, 60)] + [10.0**n for n in range(-20, 23)]


def log1p_points(source):
    points = [x - 1 for x in log_points(source)] + spread(source, -1074, 1024, 300, (1,)) + spread(source, -60, 4, 500)
    return points + [-1 + x for x in spread(source, -53, -1, 200, (1,))]


def hyperbolic_points(source, high):
    return uniform(source, -high, high, 400) + uniform(source, -3, 3, 600) + spread(source, -60, 5, 400) + near(high) + near(-high) \
        + uniform(source, high - 3, high + 1, 60) + uniform(source, -0.6, 0.6, 300)


def inverse_points(source, limit=None):
    points = spread(source, -60, 60, 500) + spread(source, -1, 4, 400) + spread(source, -1074, 1024, 200)
    for power in (28, 50, 100, 511, 512):
        points += near(2.0**power)
    if limit:
        points += uniform(source, -limit, limit, 600) + [limit - x for x in spread(source, -53, -1, 300, (1,))]
    return points + [1 + x for x in spread(source, -52, 3, 400, (1,))]


def hypot_points(source):
    points = []
    for _ in range(900):
        x = spread(source, -1074, 1024, 1)[0]
        points += [(x, x * 2.0 ** source.uniform(-30, 30) if abs(x) < 1e290 else x * source.uniform(-1, 1))]
    points += [(source.uniform(-9, 9), source.uniform(-9, 9)) for _ in range(700)]
    for power in (-600, -450, 500, 511, 1023):
        points += [(x, y) for x in near(2.0**power, 1) for y in near(2.0 ** (power - 1), 1)]
    points += [(3.0 * 2.0**n, 4.0 * 2.0**n) for n in range(-1060, 1000, 103)] + [(HUGE, HUGE), (HUGE * 0.7, HUGE * 0.7)]
    return points + [(x, y) for x in SPECIAL[:33] for y in SPECIAL[:33:2]]


def pow_points(source):
    points = []
    for _ in range(700):  # Results all over the range.
        x = 2.0 ** source.uniform(-1070, 1020) if source.random() < 0.5 else 2.0 ** source.uniform(-3, 3)
        points.append((x, source.uniform(-1100, 1030) / math.log2(x)))
    for _ in range(500):  # Bases near 1, huge exponents.
        x = 1 + source.choice((1, -1)) * 2.0 ** source.uniform(-53, -6)
        if x != 1:
            points.append((x, source.uniform(-1080, 1030) / math.log2(x)))
    for _ in range(400):  # Results near the largest and smallest numbers.
        x = 2.0 ** source.uniform(0.01, 40)
        points.append((x, source.choice((-1074, -1022, 1024)) / math.log2(x) * (1 + source.uniform(-1, 1) * 2.0**-45)))
    points += [(source.uniform(0, 20), source.uniform(-5, 5)) for _ in range(300)]
    points += [(float(source.randint(-40, 40)), float(source.randint(-30, 30))) for _ in range(200)]
    points += [(-x, float(source.randint(-9, 9))) for x in spread(source, -20, 20, 100, (1,))]
    points += [(x, p) for x in spread(source, -300, 300, 60, (1,)) for p in (0.5, -0.5, 2.0, 3.0, -1.0)]
    points += list(zip(random_bits(source, 200), random_bits(source, 200)))
    edge = [s * x for s in (1, -1) for x in (0.0, TINY, NORMAL, 0.5, 1 - 2.0**-53, 1.0, 1 + 2.0**-52, 2.0, 3.0, 2.5, 2.0**53 - 1, 2.0**53, 2.0**63, HUGE, INF)] + [NAN]
    return points + [(x, y) for x in edge for y in edge]


def exact_exp(x, function, base):
    if x > 2000:
        return INF
    return function(mpf(x)) if x > -2000 else mp.power(base, -2000)


def exact_expm1(x):
    return INF if x > 2000 else mp.expm1(mpf(x)) if x > -2000 else mpf(-1)


def exact_log(x, scale, shift=0):
    if x + shift <= 0:
        return -INF if x == -shift else NAN
    return mp.log1p(mpf(x)) / scale if shift else mp.log(mpf(x)) / scale


def exact_large(x, function):
    """sinh and cosh, which mpmath would compute to millions of digits."""
    return function(mpf(max(-2000.0, min(2000.0, x))))


def exact_pow(x, y):
    """Any finite operands, by C99's rules; mpmath's own power has no signed zeros."""
    if y == 0 or x == 1:
        return mpf(1)
    odd = y == math.floor(y) and math.fmod(y, 2) != 0
    sign = -1 if odd and math.copysign(1, x) < 0 else 1
    if x == 0:
        return sign * (INF if y < 0 else 0.0)
    if x < 0 and y != math.floor(y):
        return NAN
    exponent = mpf(y) * mp.log(abs(mpf(x)))
    if abs(exponent) > 2000:
        return sign * (INF if exponent > 0 else 0.0)
    return sign * mp.exp(exponent)


def pow_at_infinity(x, y):
    """What C99 says when an operand is infinite or NaN; Python's own power follows it."""
    return math.pow(x, y)


LN2, LN10 = mp.log(2), mp.log(10)
UNARY = {
    # Points, the exact function of a finite float64, and the results at infinity, minus infinity and for signed zeros
    # (None: the function of 0 is not 0).
    "exp": (lambda s: exp_points(s, -745.2, 709.8, math.log(2)), lambda x: exact_exp(x, mp.exp, mp.e), INF, 0.0, False),
    "exp2": (lambda s: exp_points(s, -1075.0, 1024.0, 1.0), lambda x: exact_exp(x, lambda v: mpf(2) ** v, 2), INF, 0.0, False),
    "expm1": (lambda s: exp_points(s, -40.0, 709.8, math.log(2)), exact_expm1, INF, -1.0, True),
    "log": (log_points, lambda x: exact_log(x, 1), INF, NAN, False),
    "log2": (log_points, lambda x: exact_log(x, LN2), INF, NAN, False),
    "log10": (log_points, lambda x: exact_log(x, LN10), INF, NAN, False),
    "log1p": (log1p_points, lambda x: exact_log(x, 1, 1), INF, NAN, True),
    "sinh": (lambda s: hyperbolic_points(s, 710.4758600739439), lambda x: exact_large(x, mp.sinh), INF, -INF, True),
    "cosh": (lambda s: hyperbolic_points(s, 710.4758600739439), lambda x: exact_large(x, mp.cosh), INF, INF, False),
    "tanh": (lambda s: hyperbolic_points(s, 20.0), lambda x: exact_large(x, mp.tanh), 1.0, -1.0, True),
    "asinh": (inverse_points, lambda x: mp.asinh(mpf(x)), INF, -INF, True),
    "acosh": (inverse_points, lambda x: mp.acosh(mpf(x)) if x >= 1 else NAN, INF, NAN, False),
    "atanh": (lambda s: inverse_points(s, 1.0), lambda x: mp.atanh(mpf(x)) if abs(x) < 1 else x * INF if abs(x) == 1 else NAN, NAN, NAN, True),
}
BINARY = {
    "hypot": (hypot_points, lambda x, y: mp.sqrt(mpf(x) ** 2 + mpf(y) ** 2), math.hypot),
    "pow": (pow_points, exact_pow, pow_at_infinity),
}


def finish(value):
    if isinstance(value, float):
        return value, 0
    return rounded(value)


def unary_lines(name):
    points, exact, at_infinity, at_minus_infinity, odd_at_zero = UNARY[name]
    source = random.Random(name)
    for x in dict.fromkeys(bits(x) for x in SPECIAL + points(source) + random_bits(source, 300)):
        x = from_bits(x)
        if math.isnan(x):
            result, lacks = NAN, 0
        elif math.isinf(x):
            result, lacks = at_infinity if x > 0 else at_minus_infinity, 0
        elif x == 0 and odd_at_zero:
            result, lacks = x, 0
        else:
            result, lacks = finish(exact(x))
        yield f"{bits(x):x} {bits(result):x} {lacks}"


def binary_lines(name):
    points, exact, special = BINARY[name]
    source = random.Random(name)
    for x, y in dict.fromkeys((bits(x), bits(y)) for x, y in points(source)):
        x, y = from_bits(x), from_bits(y)
        result, lacks = finish(exact(x, y)) if math.isfinite(x) and math.isfinite(y) else (special(x, y), 0)
        yield f"{bits(x):x} {bits(y):x} {bits(result):x} {lacks}"


if __name__ == "__main__":
    for name in sys.argv[1:] or [*UNARY, *BINARY]:
        lines = unary_lines(name) if name in UNARY else binary_lines(name)
        (pathlib.Path(__file__).parent / f"{name}.txt").write_text("".join(line + "\n" for line in lines))

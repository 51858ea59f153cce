"""Writes the reference values of the trigonometric functions. Needs mpmath; run from the repository's root.

`lowering/testdata/trig_<function>.txt`: one line a case, the bits of the operands, the bits of the correctly rounded
result, and by how many hundredths of a unit in the last place the true result lies above it.
`ir/testdata/huge_trig_<dtype>.txt`: the bits of the argument, the bits of its remainder modulo pi/2, the quadrant.
"""

import math
import random
import struct

import mpmath
from mpmath import mp, mpf

mp.prec = 2500
INFINITY = float("inf")


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def from_bits(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def bits_f32(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def from_bits_f32(b):
    return struct.unpack("<f", struct.pack("<I", b))[0]


def unit_f32(x):
    """The distance of the float32s around x."""
    exponent = max(mpmath.frexp(abs(x))[1] - 24, -149) if x else -149
    return mpmath.ldexp(mpf(1), exponent)


def unit(x):
    """The distance of the float64s around x."""
    exponent = max(mpmath.frexp(abs(x))[1] - 53, -1074) if x else -1074
    return mpmath.ldexp(mpf(1), exponent)


def nearest(x, unit=unit):
    step = unit(x)
    return math.copysign(float(mpmath.nint(x / step) * step), x)


def huge_arguments(generator):
    yield 6381956970095103.0 * 2.0**797
    yield from (2.0**20, -(2.0**20), 1.7976931348623157e308, -1.7976931348623157e308, 2.0**63, 1e22, 2.0**1023)
    for _ in range(700):
        x = from_bits(generator.randrange(bits(2.0**20), bits(INFINITY)))
        yield generator.choice((x, -x))
    for exponent in range(20, 1024):
        # The float64 nearest to some multiple of pi/2 of that size.
        n = int(mpmath.floor(mpmath.ldexp(mpf(generator.uniform(1, 2)), exponent) * 2 / mp.pi))
        x = nearest(n * mp.pi / 2)
        if 2.0**20 <= x < INFINITY:
            yield x


def huge_arguments_f32(generator):
    yield from (2.0**20, -(2.0**20), from_bits_f32(0x7F7FFFFF), from_bits_f32(0xFF7FFFFF))
    for _ in range(1500):
        x = from_bits_f32(generator.randrange(bits_f32(2.0**20), 0x7F800000))
        yield generator.choice((x, -x))
    for n in (generator.randrange(700000, 2**60) >> generator.randrange(30) for _ in range(500)):
        x = nearest(max(n, 700000) * mp.pi / 2, unit_f32)
        yield x


def write_huge(name, arguments, to_bits, width, unit):
    with open(f"ir/testdata/huge_trig_{name}.txt", "w") as file:
        for x in arguments:
            quotient = mpmath.nint(mpf(x) * 2 / mp.pi)
            remainder = nearest(mpf(x) - quotient * mp.pi / 2, unit)
            file.write(f"{to_bits(x):0{width}x} {to_bits(remainder):0{width}x} {int(quotient) % 4}\n")


def anything(generator):
    """Random bits; subnormals are in the first and last of every 2048."""
    while True:
        x = from_bits(generator.getrandbits(64))
        if abs(x) < INFINITY:
            return x


def between(generator, low, high):
    x = from_bits(generator.randrange(bits(low), bits(high)))
    return generator.choice((x, -x))


def neighbours(x):
    yield from (from_bits(bits(x) + step) for step in range(-2, 3))


def periodic(generator):
    yield from (5e-324, -5e-324, 2.2250738585072014e-308, 1e-300, 6381956970095103.0 * 2.0**797)
    yield from (1.7976931348623157e308, -1.7976931348623157e308)
    for x in (2.0**20, 2.0**-26, 2.0**-27, 0.7853981633974483, 1.5707963267948966, 3.141592653589793):
        yield from neighbours(x)
    for _ in range(250):
        yield anything(generator)
    for _ in range(200):
        yield between(generator, 2.0**20, INFINITY)
    for _ in range(450):
        yield between(generator, 2.0**-12, 2.0**20)
    for _ in range(450):
        yield generator.uniform(-10, 10)
    for _ in range(350):
        yield nearest(generator.randrange(1, 667544) * mp.pi / 4)
    for exponent in range(1, 1024, 8):
        n = int(mpmath.floor(mpmath.ldexp(mpf(generator.uniform(1, 2)), exponent) * 2 / mp.pi))
        if n:
            yield nearest(n * mp.pi / 2)


def inside_one(generator):
    yield from (5e-324, -5e-324, 2.2250738585072014e-308, 1e-300, 1.0, -1.0)
    for x in (0.5, -0.5):
        yield from neighbours(x)
    for step in range(1, 40):
        yield from (from_bits(bits(1.0) - step), from_bits(bits(-1.0) - step))
    for _ in range(250):
        yield between(generator, 0.0, 2.0**-30)
    for _ in range(500):
        yield between(generator, 2.0**-30, 1.0)
    for _ in range(900):
        yield generator.uniform(-1, 1)
    for _ in range(250):
        yield generator.choice((1, -1)) * (1.0 - 2.0 ** -generator.uniform(1, 53))


def unbounded(generator):
    yield from (5e-324, -5e-324, 2.2250738585072014e-308, 1e-300, 1.7976931348623157e308, -1.7976931348623157e308)
    for x in (1.0, -1.0, 2.0**53, 2.0**-27):
        yield from neighbours(x)
    for _ in range(500):
        yield anything(generator)
    for _ in range(700):
        yield between(generator, 2.0**-30, 2.0**60)
    for _ in range(400):
        yield generator.uniform(-1.5, 1.5)
    for _ in range(400):
        yield generator.uniform(-10, 10)


def points(generator):
    for _ in range(500):
        yield anything(generator), anything(generator)
    for _ in range(1000):
        y, x = generator.uniform(-1, 1), generator.uniform(-1, 1)
        scale = 2.0 ** generator.randrange(-1000, 1000)
        yield y * scale, x * scale
    for _ in range(300):
        x = anything(generator)
        yield x * generator.choice((1, -1)), x
        yield x * generator.choice((1.0000000000000002, 0.9999999999999999)), x
    for _ in range(150):
        yield generator.choice((5e-324, 1e-310, 3e-308, 1e-300)), generator.uniform(-4, 4)
        yield generator.uniform(-4, 4), generator.choice((5e-324, 1e-310, -3e-308, -1e-300))


def write(name, function, cases):
    seen = set()
    with open(f"lowering/testdata/trig_{name}.txt", "w") as file:
        for case in cases:
            operands = case if isinstance(case, tuple) else (case,)
            if operands in seen or not all(0 < abs(x) < INFINITY for x in operands):
                continue
            seen.add(operands)
            with mp.workprec(2500 if name in ("sin", "cos", "tan") and abs(operands[0]) > 1e6 else 300):
                exact = function(*map(mpf, operands))
                rounded = nearest(exact)
                rest = int(mpmath.nint((exact - mpf(rounded)) / unit(exact) * 100))
            words = [f"{bits(x):016x}" for x in (*operands, rounded)]
            file.write(f"{' '.join(words)} {rest}\n")


def angle(y, x):
    """mpmath's atan2 adds pi where the quotient is tiny and so loses bits; the sum is done in a wide context here."""
    with mp.workprec(4500):
        value = mpmath.atan(y / x)
        if x < 0:
            value += mp.pi if y > 0 else -mp.pi
    return value


if __name__ == "__main__":
    seed = random.Random(20)
    write_huge("f64", huge_arguments(seed), bits, 16, unit)
    write_huge("f32", huge_arguments_f32(seed), bits_f32, 8, unit_f32)
    for name in ("sin", "cos", "tan"):
        write(name, getattr(mpmath, name), periodic(seed))
    for name in ("asin", "acos"):
        write(name, getattr(mpmath, name), inside_one(seed))
    write("atan", mpmath.atan, unbounded(seed))
    write("atan2", angle, points(seed))

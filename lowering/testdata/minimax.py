"""Derives the polynomial coefficients of lowering/src/math: a weighted Remez exchange in high precision.

Prints each table as Rust, with the largest error that is left after rounding the coefficients to their format. On an
interval that starts at 0 they are rounded one after another, from the lowest power up, and the rest is fitted again
after each, so that the successors make up for the rounding.
Run: python3 minimax.py [name ...]. Needs mpmath.
"""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 60


def round_to(bits, value):
    """The nearest float32 (bits = 32) or float64 to an mpf."""
    nearest = float(value)
    return mpf(nearest if bits == 64 else struct.unpack("f", struct.pack("f", nearest))[0])


def remez(function, weight, low, high, degree, power0=0):
    """The polynomial p = sum c[i] x^(power0 + i) of least max |weight (function - p)| on [low, high]."""
    unknowns = degree + 1
    points = [low + (high - low) * (1 - mp.cos(mp.pi * (2 * i + 1) / (2 * unknowns + 2))) / 2 for i in range(unknowns + 1)]
    coefficients = []
    for _ in range(12):
        matrix = mp.matrix(unknowns + 1, unknowns + 1)
        right = mp.matrix(unknowns + 1, 1)
        for row, x in enumerate(points):
            for column in range(unknowns):
                matrix[row, column] = weight(x) * x ** (power0 + column)
            matrix[row, unknowns] = (-1) ** row
            right[row] = weight(x) * function(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(unknowns)]

        def error(x):
            return weight(x) * (function(x) - x**power0 * mp.polyval(coefficients[::-1], x))

        # The new points: the largest error of each run of one sign.
        grid = [low + (high - low) * mpf(i) / (60 * unknowns) for i in range(60 * unknowns + 1)]
        runs, values = [], [error(x) for x in grid]
        for x, value in zip(grid, values):
            if value == 0:
                continue
            if runs and (runs[-1][1] > 0) == (value > 0):
                if abs(value) > abs(runs[-1][1]):
                    runs[-1] = (x, value)
            else:
                runs.append((x, value))
        while len(runs) > unknowns + 1:
            runs.pop(0 if abs(runs[0][1]) < abs(runs[-1][1]) else -1)
        if len(runs) < unknowns + 1:
            break
        points = [x for x, _ in runs]
        sizes = [abs(value) for _, value in runs]
        if max(sizes) < min(sizes) * mpf("1.01"):
            break
    return coefficients, max(abs(error(x)) for x in grid)


def fit(bits, function, weight, low, high, degree):
    """Coefficients rounded to the format, and the largest weighted error."""
    fixed = []
    if low < 0:
        fixed = [round_to(bits, c) for c in remez(function, weight, low, high, degree)[0]]
    for step in range(len(fixed), degree + 1):
        def rest(x, fixed=tuple(fixed)):
            return function(x) - mp.polyval(list(fixed)[::-1], x)
        coefficients, _ = remez(rest, weight, low, high, degree - step, power0=step)
        fixed.append(round_to(bits, coefficients[0]))
    grid = [low + (high - low) * mpf(i) / 4001 for i in range(4002)]
    worst = max(abs(weight(x) * (function(x) - mp.polyval(fixed[::-1], x))) for x in grid)
    return fixed, worst


def guarded(function, at_zero):
    """The function with its removable singularity at 0 filled in."""
    return lambda x: at_zero if abs(x) < mpf(10) ** -25 else function(x)


def one(_):
    return mpf(1)


HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
ROOT = (1 / mp.sqrt(2) - 1, mp.sqrt(2) - 1)
S2 = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mpf("1.0001")


def exp_tail(degree, bits):
    # exp(r) = 1 + r + r^2 q(r).
    q = guarded(lambda r: (mp.expm1(r) - r) / r**2, mpf(1) / 2)
    return fit(bits, q, lambda r: r**2 / mp.exp(r), -HALF_LN2, HALF_LN2, degree)


def expm1_tail(degree, bits):
    # As exp_tail, but the error counts relative to exp(r) - 1.
    q = guarded(lambda r: (mp.expm1(r) - r) / r**2, mpf(1) / 2)
    return fit(bits, q, guarded(lambda r: abs(r**2 / mp.expm1(r)), mpf(0)), -HALF_LN2, HALF_LN2, degree)


def exp2_tail(degree, bits):
    # 2^r = 1 + r q(r).
    q = guarded(lambda r: mp.expm1(r * mp.log(2)) / r, mp.log(2))
    return fit(bits, q, lambda r: abs(r) / 2**r, mpf("-0.50001"), mpf("0.50001"), degree)


def log_tail(degree, bits):
    # log(1 + f) = f + f^2 q(f).
    q = guarded(lambda f: (mp.log1p(f) - f) / f**2, mpf(-1) / 2)
    return fit(bits, q, guarded(lambda f: abs(f**2 / mp.log1p(f)), mpf(0)), *ROOT, degree)


def log_quotient_tail(degree, bits, skip=1):
    # log(1 + f) = 2 s + s R, s = f / (2 + f), z = s^2: R = z q(z) (skip = 1), or R = 2 z / 3 + z^2 q(z) (skip = 2).
    def q(z):
        s = mp.sqrt(z)
        series = 2 * mp.atanh(s) / s - 2 - (2 * z / 3 if skip == 2 else 0)
        return series / z**skip
    return fit(bits, guarded(q, mpf(2) / (2 * skip + 1)), lambda z: z**skip, mpf(0), S2, degree)


def log2_tail(degree, bits):
    # log2(1 + f) = f log2(e) + f^2 q(f).
    q = guarded(lambda f: (mp.log1p(f) - f) / f**2 / mp.log(2), -1 / mp.log(2) / 2)
    return fit(bits, q, guarded(lambda f: abs(f**2 / mp.log1p(f) * mp.log(2)), mpf(0)), *ROOT, degree)


def tanh_tail(degree, bits):
    # tanh(x) = x + x^3 q(x^2) for |x| <= 0.55.
    q = guarded(lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(-1) / 3)
    return fit(bits, q, lambda z: z, mpf(0), mpf("0.3026"), degree)


def sinh_tail(degree, bits):
    # sinh(x) = x + x^3 q(x^2) for |x| <= 1.
    q = guarded(lambda z: (mp.sinh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(1) / 6)
    return fit(bits, q, lambda z: z, mpf(0), mpf("1.001"), degree)


TABLES = {
    "EXP_F32": (exp_tail, 4, 32),
    "EXP_F64": (exp_tail, 9, 64),
    "EXPM1_F32": (expm1_tail, 5, 32),
    "EXPM1_F64": (expm1_tail, 10, 64),
    "EXP2_F32": (exp2_tail, 5, 32),
    "EXP2_F64": (exp2_tail, 10, 64),
    "LOG_F32": (log_tail, 8, 32),
    "LOG_F64": (log_quotient_tail, 6, 64),
    "LOG_FOR_F32": (log_quotient_tail, 3, 64),
    "EXP_FOR_F32": (exp_tail, 4, 64),
    "LOG_FOR_F64": (lambda degree, bits: log_quotient_tail(degree, bits, 2), 9, 64),
    "LOG2_F32": (log2_tail, 9, 32),
    "TANH_F32": (tanh_tail, 4, 32),
    "TANH_F64": (tanh_tail, 9, 64),
    "SINH_F32": (sinh_tail, 3, 32),
    "SINH_F64": (sinh_tail, 7, 64),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        build, degree, bits = TABLES[name]
        coefficients, worst = build(degree, bits)
        print(f"/// Largest error 2^{float(mp.log(worst, 2)):.1f}.")
        print(f"const {name}: [f64; {len(coefficients)}] = [")
        for c in coefficients:
            print(f"    {float(c)!r},")
        print("];")

"""Prints the polynomial coefficients of lowering/src/math/{trig,inverse_trig}.rs. Needs mpmath.

Each polynomial P is the weighted minimax fit (Remez exchange) of a function of z, the square of the reduced argument.
The weight turns the error of P into the relative error of the whole function. Coefficients are rounded to the target
precision one after another from the constant term up, and the rest are fitted again after each rounding.
"""

import struct
import sys

from mpmath import asin, atan, cos, log, matrix, lu_solve, mp, mpf, pi, sin, sqrt, tan

mp.prec = 250


def as_f32(value):
    return struct.unpack("<f", struct.pack("<f", float(value)))[0]


def remez(function, weight, low, high, count):
    """The `count` coefficients of the best polynomial, and its largest weighted error."""
    nodes = [(low + high) / 2 - (high - low) / 2 * cos(pi * i / count) for i in range(count + 1)]
    for _ in range(40):
        rows, right = matrix(count + 1, count + 1), matrix(count + 1, 1)
        for i, z in enumerate(nodes):
            for j in range(count):
                rows[i, j] = z**j
            rows[i, count] = (-1) ** i / weight(z)
            right[i] = function(z)
        solution = lu_solve(rows, right)
        coefficients = [solution[j] for j in range(count)]

        def error(z):
            value = mpf(0)
            for c in reversed(coefficients):
                value = value * z + c
            return weight(z) * (value - function(z))

        # The extrema lie between neighbouring zeros of the error, which lie between the nodes.
        zeros = []
        for left, right_end in zip(nodes, nodes[1:]):
            a, b, fa = left, right_end, error(left)
            for _ in range(40):
                middle = (a + b) / 2
                fm = error(middle)
                if (fa > 0) == (fm > 0):
                    a, fa = middle, fm
                else:
                    b = middle
            zeros.append((a + b) / 2)
        bounds = [low, *zeros, high]
        moved = []
        for a, b in zip(bounds, bounds[1:]):
            for _ in range(30):
                c, d = a + (b - a) * 0.382, a + (b - a) * 0.618
                if abs(error(c)) > abs(error(d)):
                    b = d
                else:
                    a = c
            moved.append((a + b) / 2)
        nodes = moved
        sizes = [abs(error(z)) for z in nodes]
        if max(sizes) < min(sizes) * mpf("1.001"):
            break
    return coefficients, max(sizes)


def largest(function, weight, coefficients, high):
    """The largest weighted error of rounded coefficients."""
    grid = (mpf(high) * i / 3000 for i in range(1, 3001))
    return max(abs(weight(z) * (sum(c * z**j for j, c in enumerate(coefficients)) - function(z))) for z in grid)


def fit(name, function, weight, high, count, rounding):
    low = mpf(high) / 10000
    best = None
    fixed = []
    for refits in range(min(4, count)):
        def rest(z):
            value = function(z)
            for c in fixed:
                value = (value - c) / z
            return value

        coefficients, error = remez(rest, lambda z: weight(z) * z ** len(fixed), low, mpf(high), count - len(fixed))
        if refits == 0:
            ideal = error
        candidate = fixed + [mpf(rounding(c)) for c in coefficients]
        worst = largest(function, weight, candidate, high)
        if best is None or worst < best[0]:
            best = (worst, candidate)
        fixed = candidate[: refits + 1]
    print(f"{name}: ideal 2^{float(log(ideal, 2)):.1f}, rounded 2^{float(log(best[0], 2)):.1f}")
    for c in best[1]:
        print(f"    {float(c)!r},")
    sys.stdout.flush()


def odd(function):
    """f(x) = x + x z P(z): P, and the weight of its error."""
    return (
        lambda z: (function(sqrt(z)) / sqrt(z) - 1) / z,
        lambda z: z * sqrt(z) / abs(function(sqrt(z))),
    )


def even_cosine():
    """cos(x) = 1 - z/2 + z z P(z)."""
    return lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2 / cos(sqrt(z))


if __name__ == "__main__":
    # float32 reduction picks a neighbouring multiple near the boundary when x is large: |r| goes up to 0.82.
    fit("sin f32", *odd(sin), "0.6724", 3, as_f32)
    fit("cos f32", *even_cosine(), "0.6724", 3, as_f32)
    fit("tan f32", *odd(tan), "0.6724", 8, as_f32)
    fit("sin f64", *odd(sin), "0.61686", 6, float)
    fit("cos f64", *even_cosine(), "0.61686", 6, float)
    fit("tan f64", *odd(tan), "0.61686", 14, float)
    fit("asin f32", *odd(asin), "0.25", 5, as_f32)
    fit("asin f64", *odd(asin), "0.25", 12, float)
    fit("atan f32", *odd(atan), "1.0", 8, as_f32)
    fit("atan f64", *odd(atan), "1.0", 19, float)

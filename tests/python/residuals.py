"""What factorisations and solutions leave of matrices, beside NumPy's.

``python tests/python/residuals.py`` prints the table of docs/accuracy.md."""

from __future__ import annotations

import contextlib

import numpy as np

import fusewire as xp


def classes(n, rng):
    """A random matrix, ill-conditioned ones and structured ones."""
    a = rng.standard_normal((n, n))
    u, _, vh = np.linalg.svd(a)
    sums = np.arange(n)[:, None] + np.arange(n)
    yield "random", a
    yield "conditioned", u @ np.diag(np.logspace(0, -12, n)) @ vh
    yield "vandermonde", np.vander(np.sort(rng.uniform(0.1, 1, n)), n)
    yield "hilbert", 1 / (sums + 1 + rng.uniform(0, 0.1))
    yield "graded", a * np.logspace(0, -8, n)[:, None]
    yield "toeplitz", rng.standard_normal(2 * n - 1)[np.arange(n)[:, None] - np.arange(n) + n - 1]
    yield "tridiagonal", np.diag(2 + rng.uniform(0, 0.1, n)) - np.eye(n, k=1) - np.eye(n, k=-1)


def backward_errors(namespace, a, b):
    """Of each factorisation and solution, relative to the operands: what is left of them, in extended precision."""

    def left(expected, *factors):
        product = np.asarray(factors[0]).astype(np.longdouble)
        for factor in factors[1:]:
            product = product @ np.asarray(factor).astype(np.longdouble)
        return np.linalg.norm((product - expected).astype(np.float64))

    array, linalg = namespace.asarray, namespace.linalg
    scale = np.linalg.norm(a)
    q, r = linalg.qr(array(a))
    u, s, vh = map(np.asarray, linalg.svd(array(a), full_matrices=False))
    symmetric = a + a.T
    values, vectors = map(np.asarray, linalg.eigh(array(symmetric)))
    positive = a @ a.T + 1e-3 * scale**2 * np.eye(len(a))
    lower = np.asarray(linalg.cholesky(array(positive)))
    errors = {
        "qr": left(a, q, r) / scale,
        "svd": left(a, u * s, vh) / scale,
        "eigh": left(symmetric, vectors * values, vectors.T) / np.linalg.norm(symmetric),
        "cholesky": left(positive, lower, lower.T) / np.linalg.norm(positive),
    }
    # LAPACK finds a pivot of 0 in some of these, where another order of sums finds a tiny one.
    with contextlib.suppress(np.linalg.LinAlgError):
        solution, inverse = np.asarray(linalg.solve(array(a), array(b))), np.asarray(linalg.inv(array(a)))
        errors["solve"] = left(b, a, solution) / (scale * np.linalg.norm(solution) + np.linalg.norm(b))
        errors["inv"] = left(np.eye(len(a)), a, inverse) / (scale * np.linalg.norm(inverse))
    return errors


def mean_ratios(sizes):
    """For each routine the ratios to NumPy's of mean residuals, by ``(class, n)``.

    ``sizes`` are pairs of n and how many matrices of each class. Single residuals of a few units in the last place are
    luck, so means are compared."""
    ratios = {}
    for n, repetitions in sizes:
        sums = {}
        for seed in range(repetitions):
            rng = np.random.default_rng(seed)
            for name, a in classes(n, rng):
                b = rng.standard_normal((n, 3))
                ours, theirs = backward_errors(xp, a, b), backward_errors(np, a, b)
                for routine in ours.keys() & theirs.keys():
                    both = sums.setdefault((routine, name), np.zeros(2))
                    both += ours[routine], theirs[routine]
        for (routine, name), (our, their) in sums.items():
            # Below a hundredth of the precision both are as good as none.
            nothing = repetitions * 0.01 * np.finfo(float).eps
            ratios.setdefault(routine, {})[name, n] = float((our + nothing) / (their + nothing))
    return ratios


def geometric_mean(ratios):
    return float(np.exp(np.mean(np.log(list(ratios.values())))))


if __name__ == "__main__":
    print("| routine | geometric mean | largest |\n|---|---|---|")
    for routine, ratios in mean_ratios([(2, 40), (5, 40), (20, 20), (50, 10), (200, 3)]).items():
        where = max(ratios, key=ratios.get)
        print(f"| {routine} | {geometric_mean(ratios):.2f} | {ratios[where]:.2f} ({where[0]}, n = {where[1]}) |")

"""Linear algebra leaves no more of matrices than NumPy does."""

from __future__ import annotations

import residuals


def test_mean_residuals_are_no_worse_than_numpys():
    """On the average over classes and sizes; of a single class at most three times NumPy's."""
    ratios = residuals.mean_ratios([(2, 30), (5, 30), (20, 20), (50, 6)])
    assert ratios.keys() == {"qr", "svd", "eigh", "cholesky", "solve", "inv"}
    for routine, by_class in ratios.items():
        assert residuals.geometric_mean(by_class) <= 1.1, (routine, by_class)
        assert max(by_class.values()) <= 3, (routine, by_class)

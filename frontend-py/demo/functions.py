"""Library functions written once for every array library: each asks its argument for the namespace and imports none.

``make demo`` runs them on NumPy arrays and on fusewire arrays and compares.
"""

from __future__ import annotations

from typing import Any

Array = Any


def mean_plus_two_std(x: Array, y: Array) -> Array:
    """Column means of ``x`` plus twice the column standard deviations of ``y``; both (n, m), the result (m,)."""
    xp = x.__array_namespace__()
    return xp.mean(x, axis=0) + 2 * xp.std(y, axis=0)


def standardise(x: Array) -> Array:
    """Columns of ``x`` (n, m) shifted to mean 0 and scaled to standard deviation 1."""
    xp = x.__array_namespace__()
    return (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)


def softmax(x: Array) -> Array:
    """Row-wise softmax of ``x`` (n, m)."""
    xp = x.__array_namespace__()
    shifted = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return shifted / xp.sum(shifted, axis=-1, keepdims=True)


def centroid_distances(points: Array, centroids: Array) -> Array:
    """Euclidean distances of points (n, d) from centroids (k, d), as (n, k)."""
    xp = points.__array_namespace__()
    difference = points[:, None, :] - centroids[None, :, :]
    return xp.sqrt(xp.sum(difference * difference, axis=-1))


def luma(image: Array) -> Array:
    """Rec. 601 luma in [0, 1] of an RGB image (height, width, 3) of uint8, as float32."""
    xp = image.__array_namespace__()
    rgb = xp.astype(image, xp.float32) / 255
    return 0.299 * rgb[:, :, 0] + 0.587 * rgb[:, :, 1] + 0.114 * rgb[:, :, 2]


def gaussian_blur(image: Array) -> Array:
    """5 x 5 binomial blur by slicing; the result is 4 smaller on each axis."""
    weights = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
    height, width = image.shape
    rows = sum(w * image[i : height - 4 + i, :] for i, w in enumerate(weights))
    return sum(w * rows[:, i : width - 4 + i] for i, w in enumerate(weights))


def sobel(image: Array) -> Array:
    """Gradient magnitude by the Sobel operator; the result is 2 smaller on each axis."""
    xp = image.__array_namespace__()
    horizontal = (image[:-2, 2:] + 2 * image[1:-1, 2:] + image[2:, 2:]) - (
        image[:-2, :-2] + 2 * image[1:-1, :-2] + image[2:, :-2]
    )
    vertical = (image[2:, :-2] + 2 * image[2:, 1:-1] + image[2:, 2:]) - (
        image[:-2, :-2] + 2 * image[:-2, 1:-1] + image[:-2, 2:]
    )
    return xp.sqrt(horizontal * horizontal + vertical * vertical)


def to_uint8(image: Array) -> Array:
    """[0, 1] to 0 ... 255, rounded."""
    xp = image.__array_namespace__()
    return xp.astype(xp.round(255 * xp.clip(image, 0, 1)), xp.uint8)


def edges(image: Array, gamma: float = 0.5) -> Array:
    """Edges of an RGB photograph: luma, blur, Sobel, gamma, normalised; (h, w, 3) to (h - 6, w - 6) of uint8."""
    xp = image.__array_namespace__()
    magnitude = sobel(gaussian_blur(luma(image))) ** gamma
    return to_uint8(magnitude / xp.max(magnitude))

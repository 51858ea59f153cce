"""Functions beyond the standard that libraries reach for, in terms of the standard's.

They record what their parts record, so they are as lazy and fuse as well. Nothing here knows the engine.
"""

from fusewire._beyond.arrange import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    diag,
    pad,
    tril_indices,
    triu_indices,
    unravel_index,
)
from fusewire._beyond.close import allclose, isclose
from fusewire._beyond.einsum import einsum
from fusewire._beyond.nan import (
    nan_to_num,
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
)
from fusewire._beyond.order import (
    argpartition,
    median,
    nanmedian,
    nanpercentile,
    nanquantile,
    partition,
    percentile,
    quantile,
)
from fusewire._beyond.products import convolve, cov, kron

__all__ = [
    "allclose",
    "argpartition",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "convolve",
    "cov",
    "diag",
    "einsum",
    "isclose",
    "kron",
    "median",
    "nan_to_num",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "pad",
    "partition",
    "percentile",
    "quantile",
    "tril_indices",
    "triu_indices",
    "unravel_index",
]

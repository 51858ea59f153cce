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
from fusewire._beyond.counting import bincount, histogram
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
from fusewire._beyond.sets import setdiff1d, union1d

__all__ = [
    "allclose",
    "argpartition",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "bincount",
    "convolve",
    "cov",
    "diag",
    "einsum",
    "histogram",
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
    "setdiff1d",
    "tril_indices",
    "triu_indices",
    "union1d",
    "unravel_index",
]

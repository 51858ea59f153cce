"""The namespace itself: what it has besides the standard, documentation, stubs that are fresh."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusewire as xp
from standard import MAIN

# Beyond the standard, with parameters as NumPy's functions of the same names have them, as far as they exist here.
BEYOND = """
allclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False)
angle(z, /, deg=False)
append(arr, values, /, axis=None)
argpartition(x, /, kth, axis=-1)
argwhere(a, /)
array_split(ary, indices_or_sections, /, axis=0)
atleast_1d(*arrays)
atleast_2d(*arrays)
atleast_3d(*arrays)
average(a, /, axis=None, weights=None, returned=False, *, keepdims=False)
bincount(x, /, weights=None, minlength=0)
bitwise_count(x, /)
cbrt(x, /)
column_stack(tup, /)
compress(condition, a, /, axis=None)
convolve(a, v, /, mode='full')
corrcoef(x, y=None, rowvar=True, *, dtype=None)
correlate(a, v, /, mode='valid')
cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None)
deg2rad(x, /)
diag(x, /, k=0)
diag_indices(n, ndim=2)
diagflat(v, /, k=0)
diagonal(a, /, offset=0, axis1=0, axis2=1)
digitize(x, bins, /, right=False)
dsplit(ary, indices_or_sections, /)
dstack(tup, /)
ediff1d(ary, /, to_end=None, to_begin=None)
einsum(*operands, optimize='greedy', dtype=None)
exp2(x, /)
extract(condition, arr, /)
fabs(x, /)
fix(x, /)
flatnonzero(a, /)
fliplr(m, /)
flipud(m, /)
fmax(x1, x2, /)
fmin(x1, x2, /)
fmod(x1, x2, /)
gradient(f, /, *varargs, axis=None, edge_order=1)
heaviside(x1, x2, /)
histogram(x, /, bins=10, range=None, *, density=False, weights=None)
histogram2d(x, y, /, bins=10, range=None, density=False, weights=None)
histogramdd(sample, /, bins=10, range=None, density=False, weights=None)
hsplit(ary, indices_or_sections, /)
hstack(tup, /)
inner(a, b, /)
interp(x, xp_, fp, /, left=None, right=None, period=None)
intersect1d(ar1, ar2, /, assume_unique=False, return_indices=False)
isclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False)
isneginf(x, /)
isposinf(x, /)
kron(a, b, /)
ldexp(x1, x2, /)
lexsort(keys, /, axis=-1)
logaddexp2(x1, x2, /)
median(x, /, axis=None, *, keepdims=False)
modf(x, /)
nan_to_num(x, /, copy=True, nan=0.0, posinf=None, neginf=None)
nanargmax(x, /, axis=None, *, keepdims=False)
nanargmin(x, /, axis=None, *, keepdims=False)
nancumprod(x, /, axis=None, *, dtype=None)
nancumsum(x, /, axis=None, *, dtype=None)
nanmax(x, /, axis=None, *, keepdims=False, initial=None, where=None)
nanmean(x, /, axis=None, *, dtype=None, keepdims=False, where=None)
nanmedian(x, /, axis=None, *, keepdims=False)
nanmin(x, /, axis=None, *, keepdims=False, initial=None, where=None)
nanpercentile(x, /, q, axis=None, *, method='linear', keepdims=False, weights=None)
nanprod(x, /, axis=None, *, dtype=None, keepdims=False, initial=None, where=None)
nanquantile(x, /, q, axis=None, *, method='linear', keepdims=False, weights=None)
nanstd(x, /, axis=None, *, dtype=None, correction=0.0, ddof=None, keepdims=False, where=None, mean=None)
nansum(x, /, axis=None, *, dtype=None, keepdims=False, initial=None, where=None)
nanvar(x, /, axis=None, *, dtype=None, correction=0.0, ddof=None, keepdims=False, where=None, mean=None)
outer(a, b, /)
pad(x, /, pad_width, mode='constant', **options)
partition(x, /, kth, axis=-1)
percentile(x, /, q, axis=None, *, method='linear', keepdims=False, weights=None)
polyval(p, x, /)
ptp(a, /, axis=None, *, keepdims=False)
put_along_axis(arr, indices, values, /, axis)
quantile(x, /, q, axis=None, *, method='linear', keepdims=False, weights=None)
rad2deg(x, /)
ravel_multi_index(multi_index, dims, /, mode='raise', order='C')
rollaxis(a, axis, /, start=0)
rot90(m, /, k=1, axes=(0, 1))
select(condlist, choicelist, default=0)
setdiff1d(a, b, /, assume_unique=False)
setxor1d(ar1, ar2, /, assume_unique=False)
sinc(x, /)
split(ary, indices_or_sections, /, axis=0)
swapaxes(a, axis1, axis2, /)
trace(a, /, offset=0, axis1=0, axis2=1, dtype=None)
trapezoid(y, /, x=None, dx=1.0, axis=-1)
tril_indices(n, k=0, m=None)
triu_indices(n, k=0, m=None)
union1d(a, b, /)
unique(ar, /, return_index=False, return_inverse=False, return_counts=False, *, equal_nan=True)
unravel_index(indices, shape, /, order='C')
unwrap(p, /, discont=None, axis=-1, *, period=6.283185307179586)
vander(x, /, N=None, increasing=False)
vdot(a, b, /)
vsplit(ary, indices_or_sections, /)
vstack(tup, /)
""".strip().splitlines()

OPERATORS = """
abs add and bool complex divmod eq float floordiv format ge getitem gt index int invert iter le len
lshift lt matmul mod mul ne neg or pos pow rshift sub truediv xor radd rand rfloordiv rlshift
rmatmul rmod rmul ror rpow rrshift rsub rtruediv rxor array array_namespace array_ufunc
array_function dlpack dlpack_device contains reduce copy deepcopy round repr
""".split()


@pytest.mark.parametrize("line", BEYOND)
def test_functions_beyond_the_standard_have_numpys_signatures(line):
    name = line.partition("(")[0]
    function = getattr(xp, name)
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values()]
    assert name + str(inspect.Signature(parameters)) == line
    assert function.__name__ == name
    assert len(inspect.getdoc(function)) > 20


def test_arguments_go_by_position_where_numpys_do():
    a = np.arange(12.0).reshape(3, 4)
    x = xp.asarray(a)
    for call in (
        lambda m, a: m.sum(a, 0), lambda m, a: m.mean(a, 1), lambda m, a: m.std(a, 0), lambda m, a: m.max(a, (0, 1)),
        lambda m, a: m.argmax(a, 1), lambda m, a: m.any(a, 0), lambda m, a: m.sort(a, 0), lambda m, a: m.argsort(a, 0),
        lambda m, a: m.diff(a, 2), lambda m, a: m.diff(a, 1, 0), lambda m, a: m.concat([a, a], 1),
        lambda m, a: m.stack([a, a], 2), lambda m, a: m.take(a, m.asarray([1]), 1), lambda m, a: m.repeat(a, 2, 0),
        lambda m, a: m.roll(a, 1, 1), lambda m, a: m.flip(a, 1), lambda m, a: m.zeros((2, 3), np.float32),
        lambda m, a: m.full(3, 2, np.int8), lambda m, a: m.ones_like(a, np.int16),
        lambda m, a: m.asarray(a, np.float32),
        lambda m, a: m.arange(0, 9, 2, np.float64), lambda m, a: m.where(a > 4)[1], lambda m, a: m.tril(a, 1),
        lambda m, a: m.searchsorted(a[0], m.asarray([2.0]), "right"), lambda m, a: m.cumulative_sum(a[0]),
        lambda m, a: m.tensordot(a, a, 2), lambda m, a: m.count_nonzero(a, 0),
    ):  # fmt: skip
        result, expected = call(xp, x), call(np, a)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(np.asarray(result), expected)


def test_element_wise_functions_document_themselves():
    text = inspect.getdoc(xp.bitwise_and)
    for words in ["logical) and", "booleans and integers", "Raises TypeError", "broadcast"]:
        assert words in text
    assert repr(xp.add) == "<fusewire function 'add'>"
    with pytest.raises(TypeError, match=r"add\(\) takes 2 positional arguments but 1 were given"):
        xp.add(1)
    with pytest.raises(TypeError, match="expected an array or a number, got str"):
        xp.add(xp.ones(1), "a")


def test_nothing_but_the_namespace_is_exported():
    public = {name for name in dir(xp) if not name.startswith("_")}
    standard = {line.partition("(")[0] for line in MAIN}
    dtypes = {"bool", "bool_", *(f"{k}{b}" for k in ("int", "uint") for b in (8, 16, 32, 64)), "float32", "float64"}
    dtypes |= {"float16", "complex64", "complex128"}
    own = {"Array", "compute", "debug", "fft", "linalg", "memory", "get_num_threads", "set_num_threads"}
    own |= {"get_default_device", "set_default_device"}
    constants = {"e", "inf", "nan", "newaxis", "pi"}
    beyond = {line.partition("(")[0] for line in BEYOND}
    assert public == (standard - {"__array_namespace_info__"}) | beyond | dtypes | own | constants


def test_operators_and_protocols_are_there():
    for name in OPERATORS:
        assert hasattr(xp.Array, f"__{name}__"), name
    assert xp.Array.__module__ == "fusewire"


def test_constants():
    assert (xp.e, xp.inf, xp.pi, xp.newaxis) == (np.e, np.inf, np.pi, None)
    assert np.isnan(xp.nan)


def test_arrays_are_made_by_functions_only():
    with pytest.raises(TypeError):
        xp.Array()


def test_attributes():
    x = xp.ones((2, 3), dtype=xp.float32)
    assert (x.ndim, x.size, x.itemsize, x.nbytes, x.shape, x.device) == (2, 6, 4, 24, (2, 3), xp.get_default_device())
    with pytest.raises(AttributeError):
        x.shape = (6,)


def test_stubs_are_fresh():
    generate = Path(__file__).parents[2] / "frontend-py" / "stubs" / "generate.py"
    result = subprocess.run([sys.executable, generate, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, "run `make stubs`\n" + result.stdout + result.stderr

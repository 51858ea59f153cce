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
argpartition(x, /, kth, axis=-1)
bincount(x, /, weights=None, minlength=0)
histogram(x, /, bins=10, range=None, *, density=False, weights=None)
setdiff1d(a, b, /, assume_unique=False)
union1d(a, b, /)
median(x, /, axis=None, *, keepdims=False)
nanmedian(x, /, axis=None, *, keepdims=False)
nanpercentile(x, /, q, axis=None, *, method='linear', keepdims=False)
nanquantile(x, /, q, axis=None, *, method='linear', keepdims=False)
partition(x, /, kth, axis=-1)
percentile(x, /, q, axis=None, *, method='linear', keepdims=False)
quantile(x, /, q, axis=None, *, method='linear', keepdims=False)
allclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False)
atleast_1d(*arrays)
atleast_2d(*arrays)
atleast_3d(*arrays)
convolve(a, v, /, mode='full')
cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None)
diag(x, /, k=0)
einsum(subscripts, /, *operands)
isclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False)
kron(a, b, /)
nan_to_num(x, /, copy=True, nan=0.0, posinf=None, neginf=None)
nanargmax(x, /, axis=None, *, keepdims=False)
nanargmin(x, /, axis=None, *, keepdims=False)
nancumprod(x, /, axis=None, *, dtype=None)
nancumsum(x, /, axis=None, *, dtype=None)
nanmax(x, /, axis=None, *, keepdims=False)
nanmean(x, /, axis=None, *, keepdims=False)
nanmin(x, /, axis=None, *, keepdims=False)
nanprod(x, /, axis=None, *, dtype=None, keepdims=False)
nanstd(x, /, axis=None, *, correction=0.0, keepdims=False)
nansum(x, /, axis=None, *, dtype=None, keepdims=False)
nanvar(x, /, axis=None, *, correction=0.0, keepdims=False)
pad(x, /, pad_width, mode='constant', *, constant_values=0)
put_along_axis(arr, indices, values, /, axis)
tril_indices(n, k=0, m=None)
triu_indices(n, k=0, m=None)
unravel_index(indices, shape, /)
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
    dtypes |= {"complex64", "complex128"}
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
    assert (x.ndim, x.size, x.itemsize, x.nbytes, x.shape, x.device) == (2, 6, 4, 24, (2, 3), "cpu")
    with pytest.raises(AttributeError):
        x.shape = (6,)


def test_stubs_are_fresh():
    generate = Path(__file__).parents[2] / "frontend-py" / "stubs" / "generate.py"
    result = subprocess.run([sys.executable, generate, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, "run `make stubs`\n" + result.stdout + result.stderr

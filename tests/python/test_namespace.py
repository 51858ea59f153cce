"""The namespace itself: names, signatures and documentation against the standard, stubs that are fresh."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusewire as xp

# The functions of the standard (2025.12) that are here, by chapter: name(parameters).
SIGNATURES = """
arange(start, /, stop=None, step=1, *, dtype=None, device=None)
asarray(obj, /, *, dtype=None, device=None, copy=None)
empty(shape, *, dtype=None, device=None)
empty_like(x, /, *, dtype=None, device=None)
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)
from_dlpack(x, /, *, device=None, copy=None)
full(shape, fill_value, *, dtype=None, device=None)
full_like(x, /, fill_value, *, dtype=None, device=None)
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True)
meshgrid(*arrays, indexing='xy')
ones(shape, *, dtype=None, device=None)
ones_like(x, /, *, dtype=None, device=None)
tril(x, /, *, k=0)
triu(x, /, *, k=0)
zeros(shape, *, dtype=None, device=None)
zeros_like(x, /, *, dtype=None, device=None)
astype(x, dtype, /, *, copy=True, device=None)
can_cast(from_, to, /)
finfo(type, /)
iinfo(type, /)
isdtype(dtype, kind)
result_type(*arrays_and_dtypes)
abs(x, /)
acos(x, /)
acosh(x, /)
add(x1, x2, /)
asin(x, /)
asinh(x, /)
atan(x, /)
atan2(x1, x2, /)
atanh(x, /)
bitwise_and(x1, x2, /)
bitwise_left_shift(x1, x2, /)
bitwise_invert(x, /)
bitwise_or(x1, x2, /)
bitwise_right_shift(x1, x2, /)
bitwise_xor(x1, x2, /)
ceil(x, /)
clip(x, /, min=None, max=None)
conj(x, /)
copysign(x1, x2, /)
cos(x, /)
cosh(x, /)
divide(x1, x2, /)
equal(x1, x2, /)
exp(x, /)
expm1(x, /)
floor(x, /)
floor_divide(x1, x2, /)
greater(x1, x2, /)
greater_equal(x1, x2, /)
hypot(x1, x2, /)
imag(x, /)
isfinite(x, /)
isinf(x, /)
isnan(x, /)
less(x1, x2, /)
less_equal(x1, x2, /)
log(x, /)
log1p(x, /)
log2(x, /)
log10(x, /)
logaddexp(x1, x2, /)
logical_and(x1, x2, /)
logical_not(x, /)
logical_or(x1, x2, /)
logical_xor(x1, x2, /)
maximum(x1, x2, /)
minimum(x1, x2, /)
multiply(x1, x2, /)
negative(x, /)
nextafter(x1, x2, /)
not_equal(x1, x2, /)
positive(x, /)
pow(x1, x2, /)
real(x, /)
reciprocal(x, /)
remainder(x1, x2, /)
round(x, /)
sign(x, /)
signbit(x, /)
sin(x, /)
sinh(x, /)
square(x, /)
sqrt(x, /)
subtract(x1, x2, /)
tan(x, /)
tanh(x, /)
trunc(x, /)
matmul(x1, x2, /)
matrix_transpose(x, /)
tensordot(x1, x2, /, *, axes=2)
vecdot(x1, x2, /, *, axis=-1)
broadcast_arrays(*arrays)
broadcast_shapes(*shapes)
broadcast_to(x, /, shape)
concat(arrays, /, *, axis=0)
expand_dims(x, /, axis)
flip(x, /, *, axis=None)
moveaxis(x, source, destination, /)
permute_dims(x, /, axes)
reshape(x, /, shape, *, copy=None)
roll(x, /, shift, *, axis=None)
squeeze(x, /, axis)
stack(arrays, /, *, axis=0)
tile(x, repetitions, /)
unstack(x, /, *, axis=0)
argmax(x, /, *, axis=None, keepdims=False)
argmin(x, /, *, axis=None, keepdims=False)
count_nonzero(x, /, *, axis=None, keepdims=False)
where(condition, x1, x2, /)
isin(x1, x2, /, *, invert=False)
nonzero(x, /)
repeat(x, repeats, /, *, axis=None)
searchsorted(x1, x2, /, *, side='left', sorter=None)
unique_all(x, /)
unique_counts(x, /)
unique_inverse(x, /)
unique_values(x, /)
take(x, indices, /, *, axis=None)
take_along_axis(x, indices, /, *, axis=-1)
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False)
argsort(x, /, *, axis=-1, descending=False, stable=True)
sort(x, /, *, axis=-1, descending=False, stable=True)
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False)
max(x, /, *, axis=None, keepdims=False)
mean(x, /, *, axis=None, keepdims=False)
min(x, /, *, axis=None, keepdims=False)
prod(x, /, *, axis=None, dtype=None, keepdims=False)
std(x, /, *, axis=None, correction=0.0, keepdims=False)
sum(x, /, *, axis=None, dtype=None, keepdims=False)
var(x, /, *, axis=None, correction=0.0, keepdims=False)
all(x, /, *, axis=None, keepdims=False)
any(x, /, *, axis=None, keepdims=False)
diff(x, /, *, axis=-1, n=1, prepend=None, append=None)
__array_namespace_info__()
""".strip().splitlines()

# Beyond the standard, with parameters as NumPy's functions of the same names have them, as far as they exist here.
BEYOND = """
argpartition(x, /, kth, axis=-1)
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


@pytest.mark.parametrize("line", SIGNATURES + BEYOND)
def test_signatures_are_the_standards(line):
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
    standard = {line.partition("(")[0] for line in SIGNATURES}
    dtypes = {"bool", "bool_", *(f"{k}{b}" for k in ("int", "uint") for b in (8, 16, 32, 64)), "float32", "float64"}
    dtypes |= {"complex64", "complex128"}
    own = {"Array", "compute", "debug", "linalg", "memory", "get_num_threads", "set_num_threads"}
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

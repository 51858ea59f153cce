"""Every name of the standard is here with the standard's signature, but for those that are named as absent."""

from __future__ import annotations

import inspect
import math

import pytest

import fusewire as xp
from standard import ATTRIBUTES, CONSTANTS, DTYPES, FFT, INSPECTION, LINALG, MAIN, METHODS, OPERATORS

# What is not here yet.
ABSENT = {"linalg", "fft"}


def name_of(line):
    return line.partition("(")[0]


def signature(function, skip=0):
    """The signature without annotations."""
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    return str(inspect.Signature([p.replace(annotation=p.empty) for p in parameters]))


@pytest.mark.parametrize("line", [line for line in MAIN if name_of(line) not in ABSENT])
def test_functions_have_the_standards_signatures(line):
    function = getattr(xp, name_of(line))
    assert name_of(line) + signature(function) == line
    assert function.__name__ == name_of(line)
    assert len(inspect.getdoc(function)) > 20


@pytest.mark.parametrize(("extension", "line"), [("linalg", line) for line in LINALG] + [("fft", line) for line in FFT])
def test_extensions_have_the_standards_signatures(extension, line):
    if extension in ABSENT:
        assert not hasattr(xp, extension)
        return
    function = getattr(getattr(xp, extension), name_of(line))
    assert name_of(line) + signature(function) == line
    assert len(inspect.getdoc(function)) > 20


@pytest.mark.parametrize("line", [line for line in METHODS if name_of(line) not in ABSENT])
def test_methods_have_the_standards_signatures(line):
    method = getattr(xp.Array, name_of(line))
    wanted = line[len(name_of(line)) :]
    if name_of(line) in {"__array_namespace__", "__dlpack__", "to_device"}:
        assert signature(method, skip=1) == wanted
        return
    # The interpreter gives the parameters of its own protocols no names; `pow` has a modulus, too.
    parameters = list(inspect.signature(method).parameters.values())[1:]
    required = [p for p in parameters if p.default is p.empty]
    assert len(required) == wanted.count(",")
    assert all(p.kind is p.POSITIONAL_ONLY for p in parameters)


def test_what_is_absent_is_absent():
    here = {name for name in ABSENT if hasattr(xp, name) or hasattr(xp.Array, name)}
    assert not here, f"no longer absent: {sorted(here)}"


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_have_reflected_and_in_place_forms(name):
    assert hasattr(xp.Array, f"__r{name}__")
    x = y = xp.asarray([[5, 7], [2, 3]], dtype=xp.float64 if name == "truediv" else xp.int64)
    operator = getattr(x, f"__{name}__")
    expected = operator(xp.asarray([[1, 2], [1, 1]], dtype=x.dtype))
    namespace = {"x": x, "y": xp.asarray([[1, 2], [1, 1]], dtype=x.dtype)}
    symbols = {
        "add": "+", "and": "&", "floordiv": "//", "lshift": "<<", "matmul": "@", "mod": "%", "mul": "*", "or": "|",
        "pow": "**", "rshift": ">>", "sub": "-", "truediv": "/", "xor": "^",
    }  # fmt: skip
    exec(f"x {symbols[name]}= y", namespace)
    assert bool(xp.all(namespace["x"] == expected))
    assert namespace["x"].dtype == y.dtype


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes(name):
    assert inspect.getdoc(getattr(xp.Array, name))
    getattr(xp.ones((2, 3)), name)


@pytest.mark.parametrize("name", [name for name in DTYPES if name not in ABSENT])
def test_dtypes(name):
    dtype = xp.ones(1, dtype=getattr(xp, name)).dtype
    assert dtype.name == name
    assert dtype == getattr(xp, name)
    assert name in xp.__array_namespace_info__().dtypes()


def test_constants():
    values = {"e": math.e, "inf": math.inf, "newaxis": None, "pi": math.pi}
    for name in CONSTANTS:
        value = getattr(xp, name)
        assert math.isnan(value) if name == "nan" else value == values[name]


def test_inspection():
    assert xp.__array_api_version__ == "2025.12"
    for name in INSPECTION:
        assert inspect.getdoc(getattr(xp.__array_namespace_info__(), name))

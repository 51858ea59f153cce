"""Other libraries' ways in: NumPy's dispatch, the array namespace, scikit-learn."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

import fusewire as xp
from support import INTEGERS, close, on_the_host, same

A = np.arange(1.0, 13.0).reshape(3, 4)


def test_ufuncs_record():
    x = xp.asarray(A)
    for ufunc in [
        np.negative, np.absolute, np.sqrt, np.exp, np.log, np.sin, np.arctan, np.tanh, np.rint, np.floor, np.isfinite,
        np.square, np.sign, np.reciprocal, np.positive, np.logical_not, np.conjugate,
    ]:  # fmt: skip
        result = ufunc(x)
        assert isinstance(result, xp.Array)
        close(result, ufunc(A))
    for ufunc in [
        np.add, np.subtract, np.multiply, np.divide, np.true_divide, np.floor_divide, np.remainder, np.mod, np.power,
        np.maximum, np.minimum, np.arctan2, np.hypot, np.less, np.equal, np.logical_and, np.copysign, np.logaddexp,
    ]:  # fmt: skip
        for arguments in [(x, A), (A, x), (x, 2.0), (2.0, x), (x, x), (x, np.float64(2))]:
            result = ufunc(*arguments)
            assert isinstance(result, xp.Array)
            close(result, ufunc(*(np.asarray(a) for a in arguments)))
    assert not xp.debug.is_computed(np.exp(x + 1))
    close(np.matmul(x, A.T), A @ A.T)
    close(np.vecdot(A, x), np.vecdot(A, A))


def test_numpy_on_the_left():
    x = xp.asarray(A)
    close(A + x, A + A)
    close(A[0] * x, A[0] * A)
    close(A @ x.T, A @ A.T)
    close(np.float32(2) * x, np.float32(2) * A)
    close(np.int64(2) ** x, np.int64(2) ** A)
    same(A > x, A > A)
    same(A == x, A == A)
    b = A.copy()
    alias = b
    b += x
    assert b is alias
    np.testing.assert_array_equal(b, A + A)
    with pytest.raises(TypeError, match="same_kind"):
        np.add(x, x, out=np.zeros((3, 4), np.int64))


def test_ufunc_reductions():
    x = xp.asarray(A)
    close(np.add.reduce(x), np.add.reduce(A))
    close(np.add.reduce(x, axis=None), np.add.reduce(A, axis=None))
    close(np.maximum.reduce(x, axis=1), np.maximum.reduce(A, axis=1))
    close(np.add.accumulate(x, axis=1), np.add.accumulate(A, axis=1))


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.mean(a), lambda a: np.mean(a, 0), lambda a: np.std(a, axis=1, ddof=1), lambda a: np.sum(a, -1),
        lambda a: np.sum(a, axis=0, keepdims=True), lambda a: np.max(a, 0), lambda a: np.amin(a, axis=1),
        lambda a: np.argmax(a, 1), lambda a: np.any(a > 3, axis=0), lambda a: np.prod(a, axis=1, dtype=np.float32),
        lambda a: np.reshape(a, (4, 3)), lambda a: np.transpose(a), lambda a: np.transpose(a, (1, 0)),
        lambda a: np.concatenate([a, a], axis=1), lambda a: np.concatenate((a, a)), lambda a: np.stack([a, a], 1),
        lambda a: np.where(a > 2, a, 0.0), lambda a: np.clip(a, 2, 5), lambda a: np.flip(a, 0), lambda a: np.tile(a, 2),
        lambda a: np.roll(a, 1, axis=0), lambda a: np.expand_dims(a, 0), lambda a: np.squeeze(a[None]),
        lambda a: np.broadcast_to(a, (2, 3, 4)), lambda a: np.zeros_like(a), lambda a: np.full_like(a, 3),
        lambda a: np.ravel(a), lambda a: np.cumsum(a), lambda a: np.cumsum(a, axis=1), lambda a: np.dot(a, a.T),
        lambda a: np.tensordot(a, a, axes=2), lambda a: np.diff(a), lambda a: np.diff(a, 2, 0),
        lambda a: np.round(a / 3, 1), lambda a: np.moveaxis(a, 0, 1), lambda a: np.tril(a),
        lambda a: np.triu(a, 1), lambda a: np.copy(a),
        lambda a: np.count_nonzero(a > 3, axis=1), lambda a: np.isin(a, [1, 2]),
    ],
)  # fmt: skip
def test_functions_record(call):
    result = call(xp.asarray(A))
    assert isinstance(result, xp.Array)
    expected = call(A)
    close(result, expected)


def test_functions_about_shapes():
    x = xp.asarray(A)
    assert np.shape(x) == (3, 4)
    assert np.ndim(x) == 2
    assert np.size(x) == 12
    assert np.iterable(x)
    assert np.result_type(x, np.float32) == np.float64
    assert np.array2string(x) == np.array2string(A)


@on_the_host
def test_answers_that_are_no_arrays(tmp_path):
    x = xp.asarray(A) + 1
    assert np.allclose(x, A + 1)
    assert np.array_equal(x, A + 1)
    assert np.may_share_memory(x, np.asarray(x))
    np.testing.assert_allclose(x, A + 1)
    np.testing.assert_array_equal(x, A + 1)
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), A + 1)


def test_the_namespace():
    x = xp.asarray([1.0])
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2025.12") is xp
    assert xp.__array_api_version__ == "2025.12"
    with pytest.raises(ValueError, match="2019"):
        x.__array_namespace__(api_version="2019.01")
    assert hash(xp)


def test_library_code_that_asks_for_its_namespace():
    def f(x, y):
        xp = x.__array_namespace__()
        return xp.mean(x, axis=0) + 2 * xp.std(y, axis=0)

    close(f(xp.asarray(A), xp.asarray(A[::-1])), f(A, A[::-1]))


def test_inspection():
    info = xp.__array_namespace_info__()
    assert info.default_device() == xp.get_default_device()
    assert info.devices() == (("cpu", "simt") if os.environ.get("FUSEWIRE_SIMT") in ("1", "races") else ("cpu",))
    assert info.default_dtypes() == {
        "real floating": np.float64,
        "complex floating": np.complex128,
        "integral": np.int64,
        "indexing": np.int64,
    }
    assert info.dtypes(kind="real floating") == {"float32": np.float32, "float64": np.float64}
    assert set(info.dtypes()) == {*info.dtypes(kind="bool"), *info.dtypes(kind="numeric")}
    assert set(info.dtypes(kind=("signed integer", "bool"))) == {"int8", "int16", "int32", "int64", "bool"}
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    with pytest.raises(ValueError, match="kind"):
        info.dtypes(kind="fancy")
    with pytest.raises(ValueError, match="device"):
        info.dtypes(device="tpu")


def test_dtype_questions():
    assert xp.isdtype(xp.float32, "real floating")
    assert xp.isdtype(xp.int8, ("unsigned integer", "signed integer"))
    assert not xp.isdtype(xp.int8, xp.int16)
    assert xp.can_cast(xp.int8, xp.int16)
    assert not xp.can_cast(xp.asarray([1.0]), xp.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_of_floats(dtype):
    expected = np.finfo(dtype)
    for asked in (dtype, np.dtype(dtype), np.dtype(dtype).type, xp.ones(2, dtype=dtype), np.ones(2, dtype)):
        info = xp.finfo(asked)
        assert info.dtype is np.dtype(dtype)
        assert (type(info.bits), info.bits) == (int, expected.bits)
        for name in ("eps", "max", "min", "smallest_normal", "tiny", "epsneg", "resolution", "smallest_subnormal"):
            assert type(getattr(info, name)) is float
            assert getattr(info, name) == getattr(expected, name)
    assert pickle.loads(pickle.dumps(xp.finfo(dtype))).eps == expected.eps
    assert repr(xp.finfo(dtype)) == repr(expected)
    with pytest.raises(AttributeError, match="largest"):
        _ = xp.finfo(dtype).largest
    with pytest.raises(ValueError, match="int"):
        xp.finfo(xp.int32)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_limits_of_integers(dtype):
    expected = np.iinfo(dtype)
    for asked in (dtype, np.dtype(dtype), np.dtype(dtype).type, xp.ones(2, dtype=dtype)):
        info = xp.iinfo(asked)
        assert info.dtype is np.dtype(dtype)
        for name in ("bits", "max", "min"):
            assert (type(getattr(info, name)), getattr(info, name)) == (int, getattr(expected, name))
    with pytest.raises(ValueError, match="integer"):
        xp.iinfo(xp.float32)


def test_scikit_learn_takes_arrays():
    from sklearn.preprocessing import StandardScaler

    data = np.random.default_rng(0).standard_normal((20, 3))
    scaled = StandardScaler().fit_transform(xp.asarray(data))
    np.testing.assert_allclose(scaled, StandardScaler().fit_transform(data))

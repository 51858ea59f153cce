"""Arrays in and out: sharing memory, copying, Python numbers, pickling, DLPack, the buffer protocol."""

from __future__ import annotations

import array
import copy
import ctypes
import gc
import pickle
import weakref

import numpy as np
import pytest

import fusewire as xp
from support import DTYPES, INTEGERS, on_the_host, same, sample


def address(x):
    return np.asarray(x).__array_interface__["data"][0]


@on_the_host
@pytest.mark.parametrize("dtype", DTYPES)
def test_asarray_and_back_shares_memory(dtype):
    a = sample(dtype)
    x = xp.asarray(a)
    same(x, a)
    assert address(x) == address(a)
    assert x.dtype is np.dtype(dtype)


@on_the_host
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-2],
        lambda a: a[::2, 1::3],
        lambda a: a.T,
        lambda a: np.broadcast_to(a[0], (4, 6)),
        lambda a: np.broadcast_to(a[0, 0], (2, 3)),
        lambda a: a[1:1],
        lambda a: a[0, 0, ...],
        lambda a: a[None, :, None, :],
        lambda a: np.asfortranarray(a),
    ],
)
def test_any_strides_are_shared(view):
    a = view(np.arange(24.0).reshape(4, 6))
    x = xp.asarray(a)
    assert address(x) == address(a) or a.size == 0
    same(x, a)
    same(x + 1, a + 1)


@on_the_host
@pytest.mark.parametrize("take", [xp.asarray, xp.from_dlpack])
def test_memory_outlives_the_numpy_array(take):
    a = np.arange(1000.0)
    x = take(a)
    alive = weakref.ref(a)
    del a
    gc.collect()
    assert alive() is not None
    same(x * 2, np.arange(1000.0) * 2)
    del x
    gc.collect()
    assert alive() is None


@on_the_host
def test_changes_of_shared_memory_show():
    a = np.zeros(3)
    x, y = xp.asarray(a), xp.asarray(a, copy=True)
    a[0] = 7
    assert float(x[0]) == 7
    assert float(y[0]) == 0


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint16", "float32", "float64"])
def test_other_byte_order_is_converted(dtype):
    a = sample(dtype).astype(np.dtype(dtype).newbyteorder(">"))
    x = xp.asarray(a)
    assert x.dtype is np.dtype(dtype)
    same(x, a.astype(dtype))
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray(a, copy=False)


def test_unaligned_and_odd_strides_are_copied():
    raw = np.zeros(65, np.uint8)
    unaligned = raw[1:].view(np.float64)
    unaligned[:] = np.arange(8)
    same(xp.asarray(unaligned), np.arange(8.0))
    record = np.zeros(4, np.dtype([("flag", "i1"), ("value", "f8")]))
    record["value"] = np.arange(4)
    same(xp.asarray(record["value"]), np.arange(4.0))


@on_the_host
def test_read_only_stays_read_only():
    a = np.arange(3.0)
    assert np.asarray(xp.asarray(a)).flags.writeable
    a.flags.writeable = False
    assert not np.asarray(xp.asarray(a)).flags.writeable
    same(xp.asarray(a) + 1, np.arange(3.0) + 1)


@on_the_host
def test_results_can_be_written_to_only_by_their_one_owner():
    x = (xp.asarray(np.arange(3.0)) + 1).compute()
    assert np.asarray(x).flags.writeable
    y = x * 2
    assert not np.asarray(x).flags.writeable
    same(y, np.array([2.0, 4.0, 6.0]))


@pytest.mark.parametrize(
    ("value", "dtype"), [(True, "bool"), (3, "int64"), (2.5, "float64"), (np.float32(1), "float32")]
)
def test_numbers(value, dtype):
    x = xp.asarray(value)
    assert (x.shape, x.dtype) == ((), np.dtype(dtype))
    assert x.item() == value
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray(value, copy=False)


def test_numbers_with_a_dtype():
    assert xp.asarray(3, dtype=xp.uint8).dtype == np.uint8
    assert xp.asarray(2.7, dtype=xp.int32).item() == 2
    with pytest.raises(OverflowError, match="300"):
        xp.asarray(300, dtype=xp.uint8)
    with pytest.raises(OverflowError):
        xp.asarray(10**50)


def test_nested_lists():
    same(xp.asarray([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))
    same(xp.asarray([[1, 2.5]], dtype="float32"), np.array([[1, 2.5]], np.float32))
    same(xp.asarray([]), np.array([]))
    same(xp.asarray(((True, False),)), np.array([[True, False]]))
    with pytest.raises(ValueError, match="inhomogeneous"):
        xp.asarray([[1], [2, 3]])


def test_lists_of_arrays_stay_lazy():
    x = xp.asarray([1.0, 2.0]) * 2
    y = xp.asarray([[x, x + 1], (x + 2, [5, 6])])
    assert not xp.debug.is_computed(x)
    same(y, np.array([[[2.0, 4], [3, 5]], [[4, 6], [5, 6]]]))


def test_buffers_and_scalars_of_other_libraries():
    same(xp.asarray(array.array("f", [1, 2, 3])), np.array([1, 2, 3], np.float32))
    same(xp.asarray(bytearray(b"ab")), np.array([97, 98], np.uint8))
    same(xp.asarray(memoryview(b"ab")), np.array([97, 98], np.uint8))


@pytest.mark.parametrize("value", ["text", None, [None], np.zeros(2, np.clongdouble), np.zeros(2, "M8[s]"), {1, 2}])
def test_what_has_no_dtype_here_is_refused(value):
    with pytest.raises(TypeError):
        xp.asarray(value)


@on_the_host
def test_arrays_are_returned_as_they_are():
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x) is x
    assert xp.asarray(x, dtype=xp.float64, copy=False) is x
    same(xp.asarray(x, dtype=xp.int8), np.array([1, 2], np.int8))
    with pytest.raises(ValueError, match="copy=False"):
        xp.asarray(x, dtype=xp.int8, copy=False)
    assert address(xp.asarray(x, copy=True)) != address(x)


def test_devices():
    x = xp.asarray([1], device="cpu")
    assert x.device == "cpu"
    assert x.to_device("cpu") is x
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(ValueError, match="unknown device"):
        xp.asarray([1], device="cuda:0")


@on_the_host
def test_array_protocol():
    x = xp.asarray(np.arange(3.0)) + 1
    same_memory = x.__array__()
    assert same_memory.base is not None
    assert address(x) == same_memory.__array_interface__["data"][0]
    assert np.array(x).__array_interface__["data"][0] != address(x)
    assert x.__array__(np.int32).dtype == np.int32
    assert x.__array__(copy=True).__array_interface__["data"][0] != address(x)
    with pytest.raises(ValueError, match="copy=False"):
        x.__array__(np.int32, copy=False)
    assert np.asarray(x, dtype="f4").dtype == np.float32


@pytest.mark.parametrize("dtype", DTYPES)
def test_buffer_protocol(dtype):
    a = sample(dtype)
    view = memoryview(xp.asarray(a))
    assert view.shape == a.shape
    assert view.format == memoryview(a).format
    np.testing.assert_array_equal(np.asarray(view), a)
    assert np.asarray(view).dtype is np.dtype(dtype)
    # Python's own views know no float16.
    if dtype not in {"bool", "float16"}:
        assert view.tolist() == a.tolist()


def test_buffer_keeps_the_array_alive():
    view = memoryview(xp.asarray(np.arange(4.0)) * 2)
    gc.collect()
    assert view.tolist() == [0, 2, 4, 6]


@on_the_host
def test_dlpack():
    a = np.arange(6.0).reshape(2, 3)
    x = xp.from_dlpack(a)
    assert address(x) == address(a)
    back = np.from_dlpack(x)
    assert back.__array_interface__["data"][0] == address(a)
    same(xp.from_dlpack(a, copy=True), a)
    np.testing.assert_array_equal(np.from_dlpack(x + 1), a + 1)
    same(xp.from_dlpack(x * 2), a * 2)


def capsule_name(capsule):
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return name(capsule).decode()


class Producer:
    """An object that knows DLPack only, as other libraries' arrays."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device, self.asked = array, device, {}

    def __dlpack__(self, **options):
        self.asked = options
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


class LegacyProducer(Producer):
    """One from before versions and keywords."""

    def __dlpack__(self, *, stream=None):
        return self.array.__dlpack__(stream=stream)


@on_the_host
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("producer", [lambda a: a, Producer, LegacyProducer])
def test_dlpack_in(producer, dtype):
    a = sample(dtype)
    for b in (a, a.T, a[:, ::2], a[0, 0, ...], a[:0]):
        x = xp.from_dlpack(producer(b))
        same(x, b)
        assert address(x) == address(b) or b.size == 0
        copied = xp.from_dlpack(Producer(b), copy=True)
        same(copied, b)
        assert address(copied) != address(b) or b.size == 0
        shared = xp.from_dlpack(Producer(b), device="cpu", copy=False)
        assert address(shared) == address(b) or b.size == 0


def test_dlpack_in_says_what_is_wrong():
    with pytest.raises(TypeError, match="from_dlpack: list has no __dlpack__"):
        xp.from_dlpack([1, 2])
    with pytest.raises(ValueError, match="unknown device"):
        xp.from_dlpack(np.ones(2), device="tpu")
    # An object elsewhere is asked to bring itself here.
    elsewhere = Producer(np.ones(2), device=(2, 0))
    same(xp.from_dlpack(elsewhere, device="cpu"), np.ones(2))
    assert elsewhere.asked["dl_device"] == (1, 0)


@on_the_host
def test_read_only_memory_stays_so_through_dlpack():
    a = np.arange(3.0)
    a.flags.writeable = False
    x = xp.from_dlpack(a)
    assert address(x) == address(a)
    assert not np.asarray(x).flags.writeable
    assert not np.from_dlpack(x).flags.writeable
    assert np.from_dlpack(xp.from_dlpack(np.arange(3.0))).flags.writeable


@on_the_host
@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_out(dtype):
    a = sample(dtype)
    for b in (a, a.T, a[:, ::2], a[0, 0, ...], a[:0]):
        x = xp.asarray(b)
        for options in ({}, {"copy": None}, {"copy": False}, {"device": "cpu"}):
            result = np.from_dlpack(x, **options)
            assert result.dtype == b.dtype
            np.testing.assert_array_equal(result, b)
            assert address(result) == address(x) or b.size == 0
        result = np.from_dlpack(x, copy=True)
        np.testing.assert_array_equal(result, b)
        assert address(result) != address(x) or b.size == 0


def test_dlpack_out_computes_and_keeps_the_memory():
    x = xp.asarray(np.arange(1000.0)) * 2
    result = np.from_dlpack(x)
    assert xp.debug.is_computed(x)
    del x
    gc.collect()
    np.testing.assert_array_equal(result, np.arange(1000.0) * 2)


def test_dlpack_capsules_have_the_version_that_is_understood():
    x = xp.asarray(np.arange(3.0))
    for options, name in [
        ({}, "dltensor"), ({"max_version": None}, "dltensor"), ({"max_version": (0, 8)}, "dltensor"),
        ({"max_version": (1, 0)}, "dltensor_versioned"), ({"max_version": (2, 1)}, "dltensor_versioned"),
        ({"max_version": (1, 0), "copy": True, "dl_device": (1, 0), "stream": None}, "dltensor_versioned"),
    ]:  # fmt: skip
        assert capsule_name(x.__dlpack__(**options)) == name


@on_the_host
def test_dlpack_copies_what_the_consumer_could_not_take():
    x = (xp.asarray(np.arange(3.0)) + 1).compute()
    y = x * 2  # waits for the values of x, which are read-only now
    assert capsule_name(x.__dlpack__()) == "dltensor"
    assert address(np.from_dlpack(LegacyProducer(x))) != address(x)
    with pytest.raises(BufferError, match="readonly"):
        x.__dlpack__(copy=False)
    same(y, np.array([2.0, 4.0, 6.0]))
    backwards = xp.asarray(np.arange(3.0)[::-1])
    result = np.from_dlpack(backwards)
    assert result.strides == (8,)
    np.testing.assert_array_equal(result, [2.0, 1.0, 0.0])


@on_the_host
def test_dlpack_refuses_other_devices_and_streams():
    x = xp.ones(2)
    with pytest.raises(BufferError, match="device"):
        x.__dlpack__(dl_device=(2, 0), max_version=(1, 0))
    with pytest.raises((BufferError, RuntimeError), match="stream"):
        x.__dlpack__(stream=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers(dtype):
    a = sample(dtype, (4,))
    x = xp.asarray(a)
    for i, value in enumerate(a.tolist()):
        assert x[i].item() == value
        assert type(x[i].item()) is type(value)
        assert bool(x[i]) == bool(value)
        assert float(x[i]) == float(value)
        assert int(x[i]) == int(value)
        assert complex(x[i]) == complex(value)
    assert x.tolist() == a.tolist()
    assert x.tobytes() == a.tobytes()
    assert x.item(2) == a.item(2)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_index(dtype):
    x = xp.asarray(2, dtype=dtype)
    assert [10, 20, 30][x] == 30
    assert list(range(x)) == [0, 1]


def test_conversions_need_one_element():
    x = xp.asarray([1.0, 2.0])
    for convert, error in [(float, TypeError), (int, TypeError), (complex, TypeError), (bool, ValueError)]:
        with pytest.raises(error, match=r"\(2,\)"):
            convert(x)
    with pytest.raises(ValueError, match=r"\(2,\)"):
        x.item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(xp.asarray([]))
    for wrong in (xp.asarray([1, 2]), xp.asarray(1.0), xp.asarray(True)):
        with pytest.raises(TypeError, match="index"):
            wrong.__index__()
    with pytest.raises(ValueError, match="NaN"):
        int(xp.asarray(np.nan))
    with pytest.raises(OverflowError):
        int(xp.asarray(np.inf))
    assert float(xp.asarray([[3]])) == 3


def test_format_and_round():
    x = xp.asarray(2.71828)
    assert f"{x:.2f}" == "2.72"
    assert f"{xp.asarray(255, dtype=xp.uint8):x}" == "ff"
    assert f"{xp.asarray([1, 2])}" == "[1 2]"
    assert round(x) == 3
    assert round(x, 2) == 2.72
    with pytest.raises(TypeError, match="0-d"):
        f"{xp.asarray([1.0]):.2f}"


@on_the_host
def test_pickle_and_copy():
    x = xp.asarray([1.0, 2.0]) + 1
    for other in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x), x.copy(), x.flatten()):
        same(other, np.array([2.0, 3.0]))
    assert copy.copy(x) is not x
    assert address(copy.deepcopy(x)) != address(x)
    assert pickle.loads(pickle.dumps(xp.add)) is xp.add
    assert pickle.loads(pickle.dumps(xp.sum)) is xp.sum


def test_arrays_have_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(xp.asarray(1))

"""Devices: arrays go where they are told, stay there, and meet only their like. The device is the emulator of a GPU."""

import os
import subprocess
import sys
import textwrap

import pytest


def run(program: str, **environment: str) -> str:
    """What a program prints, in a process that has the emulator."""
    process = subprocess.run(
        [sys.executable, "-c", "import numpy as np\nimport fusewire as xp\n" + textwrap.dedent(program)],
        env=os.environ | {"FUSEWIRE_SIMT": "1", "FUSEWIRE_DEVICE": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_the_emulator_is_a_device_when_the_environment_asks_for_it():
    question = "print(xp.__array_namespace_info__().devices())"
    assert run(question) == "('cpu', 'simt')"
    assert run(question, FUSEWIRE_SIMT="0") == "('cpu',)"


def test_arrays_go_to_a_device_and_back():
    run("""
        a = np.arange(60, dtype=np.float32).reshape(5, 12)
        for view in (a, a.T, a[::-1, ::3], a[:, 3], a[:0], a[2, 2], np.broadcast_to(a[0], (4, 12))):
            x = xp.asarray(view, device="simt")
            assert x.device == "simt"
            assert x.to_device("simt") is x
            assert x.to_device("cpu").device == "cpu"
            np.testing.assert_array_equal(np.asarray(x), view)
            np.testing.assert_array_equal(np.asarray(x.to_device("cpu")), view)
        x = xp.asarray(a, device="simt")
        assert (float(x[1, 1]), int(xp.sum(x)), x[0].tolist()) == (13.0, 1770, a[0].tolist())
        a[:] = 0
        assert float(x[1, 1]) == 13.0
        z = xp.asarray([1 + 2j, 3j], device="simt")
        assert complex(z[0] * z[1]) == -6 + 3j
    """)


def test_every_creation_function_takes_a_device():
    run("""
        x = xp.asarray([[1.0, 2.0]], device="simt")
        made = [
            xp.zeros((2, 2), device="simt"), xp.ones(3, device="simt"), xp.empty(2, device="simt"),
            xp.full((2,), 7, device="simt"), xp.arange(5, device="simt"), xp.linspace(0, 1, 5, device="simt"),
            xp.eye(3, device="simt"), xp.asarray(3.5, device="simt"), xp.zeros_like(x), xp.ones_like(x),
            xp.full_like(x, 2), xp.empty_like(x), xp.zeros_like(xp.ones(2), device="simt"),
            xp.from_dlpack(np.ones(3), device="simt"), xp.astype(xp.ones(2), "float32", device="simt"),
            xp.fft.fftfreq(4, device="simt"), xp.asarray(xp.ones(2), device="simt"), x.copy(), x + 1, x.T, 2 * x,
        ]
        assert [y.device for y in made] == ["simt"] * len(made)
        for y in made:
            assert (y + y).device == "simt"
            assert np.asarray(y + y).shape == y.shape
        assert xp.zeros_like(x, device="cpu").device == "cpu"
    """)


def test_arrays_of_different_devices_do_not_meet():
    run("""
        x, y = xp.asarray([1.0, 2.0], device="simt"), xp.asarray([1.0, 2.0])
        calls = [
            (lambda: x + y, "add: arrays on simt and cpu; move one of them with to_device"),
            (lambda: y * x, "multiply: arrays on cpu and simt"), (lambda: xp.concat([x, y]), "concat: arrays on"),
            (lambda: x @ y, "arrays on"), (lambda: xp.where(x > 0, y, x), "where: arrays on"),
            (lambda: x + np.ones(2), "add: arrays on simt and cpu"),
            (lambda: xp.take(x, xp.asarray([0])), "take: arrays on"),
            (lambda: x + xp.zeros(2), "add: arrays on"),
            (lambda: x + xp.asarray(1.0), "add: arrays on"),
        ]
        for call, message in calls:
            try:
                call()
            except TypeError as error:
                assert message in str(error), error
            else:
                raise AssertionError(message)
        # Numbers are at home everywhere.
        assert (x + 1).device == (x + np.float64(1)).device == (np.float32(2) * x).device == "simt"
        assert x.device == xp.asarray(x).device == "simt"
    """)


def test_errors_name_what_is_wrong():
    run("""
        x = xp.arange(3, device="simt")
        for call, kind, message in [
            (lambda: xp.ones(2, device="tpu"), ValueError, "unknown device 'tpu'; there is: cpu, simt"),
            (lambda: xp.ones(2).to_device(3), ValueError, "unknown device 3"),
            (lambda: xp.asarray(np.ones(2), device="simt", copy=False), ValueError, "copy=False"),
            (lambda: xp.asarray(xp.ones(2), device="simt", copy=False), ValueError, "an array from cpu to simt"),
            (lambda: xp.take(x, xp.asarray([5], device="simt")), IndexError, "index 5 is out of"),
        ]:
            try:
                call()
            except kind as error:
                assert message in str(error), error
            else:
                raise AssertionError(message)
        try:
            xp.take(x, x * 2).compute()
        except IndexError as error:
            assert "index 4 is out of bounds" in str(error)
        else:
            raise AssertionError
        assert x.__dlpack_device__() == (12, 0)
    """)


def test_the_default_device_is_where_new_arrays_go():
    assert run("print(xp.get_default_device(), xp.ones(1).device)", FUSEWIRE_DEVICE="simt") == "simt simt"
    run("""
        xp.set_default_device("simt")
        info = xp.__array_namespace_info__()
        assert info.default_device() == xp.get_default_device() == "simt"
        assert [y.device for y in (xp.ones(2), xp.asarray(np.ones(2)), xp.asarray([1]), xp.arange(3))] == ["simt"] * 4
        assert (xp.ones(2) + np.ones(2)).device == "simt"
        assert xp.ones(2, device="cpu").device == "cpu"
        xp.set_default_device("cpu")
        assert xp.ones(2).device == "cpu"
    """)


def test_results_on_the_emulator_have_the_bits_of_the_cpu():
    run("""
        random = np.random.default_rng(5)
        matrix = random.standard_normal((67, 300)).astype(np.float32)

        def assigned(x):
            y = (x * 2).compute()
            y[xp.asarray([3, -1, 3], device=x.device), 5:] = x[:3, :-5]
            return y

        def assigned_to_a_mask(x):
            y = x + 1
            y[x > 2] = xp.arange(int(xp.count_nonzero(x > 2)), dtype=xp.float32, device=x.device)
            return y

        programs = {
            "chain": lambda x: xp.exp(x) * 2 - x / 3, "rows": lambda x: xp.sum(x, axis=1),
            "columns": lambda x: xp.sum(x, axis=0), "all": lambda x: xp.mean(x) + xp.std(x),
            "softmax": lambda x: xp.exp(x - xp.max(x, axis=1, keepdims=True)), "transposed": lambda x: x.T + 1,
            "scan": lambda x: xp.cumulative_sum(x, axis=1),
            "long scan": lambda x: xp.cumulative_sum(xp.reshape(x, (-1,))) * 2,
            "argmax": lambda x: xp.argmax(x, axis=0),
            "gather": lambda x: xp.take(x, xp.asarray([3, -1, 0], device=x.device), axis=1),
            "mask": lambda x: x[x > 1], "slices": lambda x: x[::-2, 5::3] * x[::-2, 5::3],
            "product": lambda x: x @ x.T, "sort": lambda x: xp.sort(x, axis=1),
            "nonzero": lambda x: xp.nonzero(x > 2)[1], "argsort": lambda x: xp.argsort(x, axis=0, descending=True),
            "long rows": lambda x: xp.argsort(xp.reshape(x, (-1,))), "sets": lambda x: xp.unique_values(xp.round(x)),
            "inverse": lambda x: xp.unique_inverse(xp.round(x)).inverse_indices,
            "repeat": lambda x: xp.repeat(x, xp.astype(xp.argmax(x, axis=0), xp.int64) % 3, axis=1),
            "search": lambda x: xp.searchsorted(xp.sort(x[0]), x), "quantile": lambda x: xp.quantile(x, 0.3, axis=1),
            "assigned": assigned, "assigned to a mask": assigned_to_a_mask,
        }
        for name, program in programs.items():
            here = np.asarray(program(xp.asarray(matrix)))
            there = np.asarray(program(xp.asarray(matrix, device="simt")))
            if name == "product":
                np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)
            else:
                np.testing.assert_array_equal(there.view(f"V{there.itemsize}"), here.view(f"V{here.itemsize}"), name)
    """)


@pytest.mark.parametrize("name", ["gpu", "cuda:0", ""])
def test_a_device_in_the_environment_must_exist(name):
    program = "import fusewire as xp; print(xp.get_default_device())"
    environment = os.environ | {"FUSEWIRE_DEVICE": name}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    if name:
        assert process.returncode != 0
        assert "FUSEWIRE_DEVICE: unknown device" in process.stderr
    else:
        assert process.stdout.strip() == "cpu"


def test_what_functions_make_on_the_way_is_where_their_arguments_are():
    """Every function of the namespaces that takes arrays, called with some on the emulator; the default is the CPU."""
    run("""
        import inspect

        matrix = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]])
        vector, places = np.array([0.5, 1.5, 2.5, 4.0]), np.array([3, 1, 2, 1])

        def arguments(device):
            m, v, i, cube = (xp.asarray(a, device=device) for a in (matrix, vector, places, np.ones((2, 3, 4))))
            special = {
                "concat": ([v, v],), "dsplit": (cube, 2), "einsum": ("ij,jk->ik", m, m), "pad": (v, 2, "reflect"),
                "permute_dims": (cube, (2, 0, 1)), "ravel_multi_index": ((i, i), (4, 4)), "squeeze": (cube[:1], 0),
                "select": ([v > 1, v > 2], [v, 2 * v], 7.0), "stack": ([v, v],), "where": (v > 1, v, 0.0),
                "linalg.tensorinv": (xp.reshape(xp.eye(4, device=device), (4, 2, 2)), 1),
                "linalg.tensorsolve": (m, m[0]), "linalg.matrix_power": (m, 0), "nan_to_num": (v,),
            }
            usual = [
                (m,), (m, m), (v,), (v, v), (i,), (i, i), (m, 0), (v, i), (i, (4, 4)), (v, 3), (m, 2), ([m, m],),
                (v, v, v), (m, (3, 3)), (v, 0.5), (m, 0, 1), (0, m), (m, [1]), (v > 1, v),
            ]
            return special, usual

        def arrays(result):
            if isinstance(result, xp.Array):
                return [result]
            return [a for part in result for a in arrays(part)] if isinstance(result, (tuple, list)) else []

        def first_of(function, several):
            for number, given in enumerate(several):
                try:
                    result = arrays(function(*given))
                    [np.asarray(a) for a in result]
                except Exception:
                    continue
                if result:
                    return number, result
            return None, []

        special, usual = arguments("cpu")
        special_there, usual_there = arguments("simt")
        uncalled = set()
        for prefix, namespace in (("", xp), ("linalg.", xp.linalg), ("fft.", xp.fft)):
            names = namespace.__all__ if prefix else [n for n in dir(xp) if not n.startswith("_")]
            for name in (prefix + name for name in names):
                function = getattr(namespace, name.removeprefix(prefix))
                if not callable(function) or inspect.isclass(function):
                    continue
                number, expected = first_of(function, [special[name]] if name in special else usual)
                if number is None:
                    uncalled.add(name)
                    continue
                given = special_there[name] if name in special else usual_there[number]
                results = arrays(function(*given))
                # Shapes are no arrays.
                placed = name not in {"zeros", "ones", "empty"}
                assert not placed or [a.device for a in results] == ["simt"] * len(expected), name
                for there, here in zip(results, expected):
                    np.testing.assert_allclose(np.asarray(there), np.asarray(here), rtol=1e-12, err_msg=name)
        assert xp.get_default_device() == "cpu"
        # They take no array or give none.
        assert uncalled == {
            "allclose", "arange", "broadcast_shapes", "can_cast", "diag_indices", "eye", "fft.fftfreq", "fft.rfftfreq",
            "full", "get_default_device", "get_num_threads", "isdtype", "linspace", "put_along_axis", "result_type",
            "set_default_device", "set_num_threads", "tril_indices", "triu_indices",
        }, uncalled
    """)

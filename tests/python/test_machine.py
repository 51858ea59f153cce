"""The machine's side: threads, fork, Ctrl-C, memory that runs out, the same results on any number of threads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import fusewire as xp
from support import close, on_the_host, same


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def test_threads_compute_at_once():
    a = np.random.default_rng(0).standard_normal((300, 400))
    shared = xp.asarray(a) * 2 + 1
    failures = []

    def work(seed):
        try:
            rng = np.random.default_rng(seed)
            for _ in range(20):
                b = rng.standard_normal((int(rng.integers(1, 50)), 400))
                got = xp.sum(xp.asarray(b) * shared[0] - xp.mean(shared, axis=0), axis=1)
                close(got, (b * (a[0] * 2 + 1) - (a * 2 + 1).mean(0)).sum(1), rtol=1e-8)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_one_array_computed_by_many_threads():
    for _ in range(20):
        x = xp.exp(xp.asarray(np.linspace(0, 1, 100_000))) + 1
        results = []
        barrier = threading.Barrier(4)

        def work(x=x, results=results, barrier=barrier):
            barrier.wait()
            results.append(np.asarray(x).sum())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(results)) == 1
        assert len(results) == 4


@contextlib.contextmanager
def ticking(period):
    """A list that another Python thread makes longer every so many seconds."""
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(None)
            time.sleep(period)

    thread = threading.Thread(target=tick)
    thread.start()
    yield ticks
    done.set()
    thread.join()


@on_the_host
def test_the_interpreter_runs_on_while_a_long_computation_does():
    x = xp.asarray(np.linspace(0, 1, 20_000_000))
    y = x
    for _ in range(12):
        y = xp.sin(y) + x
    with ticking(0.002) as ticks:
        start = time.perf_counter()
        y.compute()
        elapsed = time.perf_counter() - start
    assert len(ticks) > elapsed / 0.002 / 20


def test_results_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((700, 1100)).astype(np.float32)
    before = xp.get_num_threads()
    results = []
    try:
        for count in (1, 2, 5):
            xp.set_num_threads(count)
            assert xp.get_num_threads() == count
            x = xp.asarray(a)
            parts = [
                xp.sum(x),
                xp.sum(x, axis=0),
                xp.var(x, axis=1),
                xp.exp(x) / xp.sum(xp.exp(x), axis=1, keepdims=True),
            ]
            results.append([np.asarray(p).tobytes() for p in xp.compute(*parts)])
    finally:
        xp.set_num_threads(before)
    assert results[0] == results[1] == results[2]
    with pytest.raises(ValueError, match="positive"):
        xp.set_num_threads(0)


def test_threads_from_the_environment():
    code = "import fusewire; print(fusewire.get_num_threads())"
    assert run(code, FUSEWIRE_NUM_THREADS="3").stdout == "3\n"
    assert "FUSEWIRE_NUM_THREADS" in run(code, FUSEWIRE_NUM_THREADS="many").stderr


def test_threads_limited_by_threadpoolctl():
    import threadpoolctl

    before = xp.get_num_threads()
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert xp.get_num_threads() == before
    with threadpoolctl.threadpool_limits(3):
        assert xp.get_num_threads() == 3
        (ours,) = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "fusewire"]
        assert ours["num_threads"] == 3
        assert ours["version"] == xp.__version__
    assert xp.get_num_threads() == before


def test_fork_then_compute_in_the_child():
    result = run("""
        import os, sys
        import numpy as np
        import fusewire as xp
        a = np.arange(3_000_000.0)
        x = xp.asarray(a)
        shared = (x + 1).compute()
        xp.sum(x * 2).compute()
        pid = os.fork()
        if pid == 0:
            good = float(xp.sum(x * 2)) == a.sum() * 2 and float(xp.max(shared * 3)) == 9e6
            fresh = float(xp.sum(xp.sqrt(x) + xp.cos(x)))
            os._exit(0 if good and np.isfinite(fresh) else 1)
        _, status = os.waitpid(pid, 0)
        assert float(xp.sum(x * 2)) == a.sum() * 2
        sys.exit(os.waitstatus_to_exitcode(status))
    """)
    assert result.returncode == 0, result.stderr


@on_the_host
def test_the_process_ends_while_something_is_compiled():
    for _ in range(3):
        result = run("""
            import fusewire as xp
            x = xp.linspace(0.0, 1.0, 3_000_000)
            for i in range(8):
                y = x
                for _ in range(i + 1):
                    y = xp.sin(y) * xp.exp(y)
                float(xp.sum(y))
        """)
        assert (result.returncode, result.stderr) == (0, "")


def test_a_pool_of_processes():
    result = run("""
        import multiprocessing
        import numpy as np
        import fusewire as xp
        def work(n):
            return float(xp.sum(xp.asarray(np.arange(float(n))) ** 2))
        if __name__ == "__main__":
            float(xp.sum(xp.ones(1_000_000)))
            with multiprocessing.get_context("fork").Pool(3) as pool:
                got = pool.map(work, range(1000, 1010))
            assert got == [float((np.arange(float(n)) ** 2).sum()) for n in range(1000, 1010)], got
    """)
    assert result.returncode == 0, result.stderr


@on_the_host
def test_control_c_stops_a_long_computation():
    code = """
        import os, signal, sys, threading, time
        import numpy as np
        import fusewire as xp
        x = xp.asarray(np.linspace(0, 1, 50_000_000))
        y = x
        for _ in range(30):
            y = xp.sin(y) + x
        xp.sum(xp.sin(xp.asarray(np.ones(10))) + 1).compute()
        sent = 0.0
        def interrupt():
            global sent
            time.sleep(0.7)
            sent = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            xp.sum(y).compute()
        except KeyboardInterrupt:
            late = time.perf_counter() - sent
        else:
            sys.exit("the computation was not interrupted")
        assert not xp.debug.is_computed(y)
        assert float(xp.sum(x[:3])) >= 0
        print(late)
    """
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 0.3


@on_the_host
@pytest.mark.parametrize(
    "expression",
    [
        "xp.sum(xp.tan(xp.sin(xp.broadcast_to(x, (8, n)))))",
        "xp.sum(xp.tan(xp.sin(xp.broadcast_to(x, (8, n)))), axis=1)",
        "xp.sum(xp.broadcast_to(xp.asarray(np.ones((1, 1))), (1000, 10**12)), axis=1)",
        "xp.cumulative_sum(xp.sin(xp.cumulative_sum(xp.broadcast_to(x[:1], (20 * n,)))))[-1]",
        "square @ square",
        "xp.sort(xp.concat([xp.sin(xp.arange(n) * 1e3)] * 5))",
        "xp.argsort(xp.concat([xp.sin(xp.arange(n) * 1e3)] * 5))",
    ],
)
def test_control_c_stops_in_the_middle(expression):
    code = """
        import os, signal, sys, threading, time
        import numpy as np
        import fusewire as xp
        n = 20_000_000
        x = xp.asarray(np.ones(n, np.float32))
        square = xp.asarray(np.ones((5000, 5000)))
        long = EXPRESSION
        sent = 0.0
        def interrupt():
            global sent
            time.sleep(0.2)
            sent = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            long.compute()
        except KeyboardInterrupt:
            late = time.perf_counter() - sent
        else:
            sys.exit("the computation was not interrupted")
        assert not xp.debug.is_computed(long)
        assert float(xp.sum(x[:3])) == 3
        print(late)
    """
    result = run(code.replace("EXPRESSION", expression))
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 0.5


def test_a_reduction_of_much_to_little_leaves_the_interpreter_to_others():
    x = xp.asarray(np.ones(50_000_000, np.float32))
    with ticking(0.001) as ticks:
        before = len(ticks)
        total = float(xp.sum(x))
        during = len(ticks) - before
    assert total == 5e7
    assert during >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_memory_that_runs_out_is_memory_error():
    result = run("""
        import resource
        import numpy as np
        import fusewire as xp
        x = xp.asarray(np.arange(1000.0))
        float(xp.sum(x + 1))
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, used + 400_000_000))
        y = xp.reshape(x, (1000, 1)) + xp.zeros((1, 1_000_000))
        for attempt in range(3):
            try:
                y.compute()
            except MemoryError as error:
                assert "bytes" in str(error), error
            else:
                raise SystemExit("8 GB were had")
        assert not xp.debug.is_computed(y)
        assert float(xp.sum(x)) == 499500.0
        del y
        assert float(xp.sum(x * 2)) == 999000.0
        print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


@on_the_host
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
@pytest.mark.parametrize("function", ["sort", "argsort"])
def test_sorting_without_memory_is_memory_error(function):
    result = run(f"""
        import resource
        import numpy as np
        import fusewire as xp
        x = xp.asarray(np.arange(30_000_000.0)[::-1])
        first = xp.{function}(x[:100_000]).compute()
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, used + 120_000_000))
        try:
            xp.{function}(x).compute()
        except MemoryError as error:
            assert "bytes" in str(error), error
        else:
            raise SystemExit("240 MB were had")
        assert np.array_equal(xp.{function}(x[:100_000]), first)
        print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


@on_the_host
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_without_memory_for_threads_one_computes():
    result = run("""
        import resource
        import numpy as np
        import fusewire as xp
        xp.set_num_threads(16)
        x = xp.asarray(np.ones(20_000_000, np.float32))
        float(xp.sum(x[:1000]))
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 8_000_000, used + 8_000_000))
        assert float(xp.sum(x)) == 2e7
        print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


def test_a_matrix_product_without_memory_for_its_workspace_is_memory_error():
    result = run("""
        import resource
        import numpy as np
        import fusewire as xp
        xp.set_num_threads(1)
        square = xp.asarray(np.ones((1000, 1000)))
        product = square @ square
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 12_000_000, resource.RLIM_INFINITY))
        try:
            product.compute()
        except MemoryError as error:
            assert "bytes" in str(error), error
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert float(product[3, 4]) == 1000
            print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


@on_the_host
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_libraries_without_memory_are_memory_error():
    """Each routine in a child with little memory left: it computes or says MemoryError."""
    result = run("""
        import os, resource
        import numpy as np
        import fusewire as xp
        xp.set_num_threads(1)
        rng = np.random.default_rng(0)
        a = rng.standard_normal((400, 400))
        definite = a @ a.T + 400 * np.eye(400)
        x, y, z = xp.asarray(a), xp.asarray(definite), xp.asarray(a + 1j * definite)
        row = xp.asarray(rng.standard_normal(100_003))
        calls = [
            lambda: xp.linalg.cholesky(y), lambda: xp.linalg.slogdet(x)[1], lambda: xp.linalg.solve(x, y),
            lambda: xp.linalg.qr(x)[0], lambda: xp.linalg.svd(x)[0], lambda: xp.linalg.svdvals(z),
            lambda: xp.linalg.eigh(y)[1], lambda: xp.linalg.eig(x)[1], lambda: xp.linalg.eigvals(z),
            lambda: xp.linalg.solve(z, z), lambda: xp.fft.fft(row), lambda: xp.fft.rfft(row),
            lambda: xp.fft.irfft(row), lambda: xp.sort(row), lambda: xp.argsort(row),
        ]
        failures = 0
        for number, call in enumerate(calls):
            for megabytes in (0.5, 2, 4, 8, 16):
                recorded = call()
                child = os.fork()
                if child == 0:
                    used = int(open("/proc/self/statm").read().split()[0]) * 4096
                    resource.setrlimit(resource.RLIMIT_AS, (used + int(megabytes * 1e6), resource.RLIM_INFINITY))
                    try:
                        recorded.compute()
                    except MemoryError:
                        os._exit(1)
                    os._exit(0)
                status = os.waitpid(child, 0)[1]
                assert os.WIFEXITED(status), (number, megabytes, status)
                failures += os.WEXITSTATUS(status)
        assert failures > 5, failures
        print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


@on_the_host
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_memory_that_runs_out_while_planning_is_memory_error():
    result = run("""
        import random, resource
        import numpy as np
        import fusewire as xp
        x = xp.asarray(np.arange(100.0))
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + 3_000_000, resource.RLIM_INFINITY))
        functions = [xp.sin, xp.abs, xp.flip, lambda y: y * 2, lambda y: y + x, lambda y: y - xp.sum(y)]
        kept, failed = [], 0
        random = random.Random(1)
        while failed < 3:
            y = x
            for _ in range(12):
                y = random.choice(functions)(y)
            kept.append(y)
            try:
                y.compute()
            except MemoryError as error:
                assert "bytes" in str(error), error
                failed += 1
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        xp.compute(*kept)
        assert float(xp.sum(x * 2)) == 9900
        print("fine")
    """)
    assert result.stdout == "fine\n", result.stderr


@on_the_host
def test_memory_figures():
    xp.memory.trim()
    x = (xp.asarray(np.ones(1_000_000)) + 1).compute()
    figures = xp.memory.figures()
    assert figures["allocated"] >= 8_000_000
    assert figures["peak"] >= figures["allocated"]
    del x
    after = xp.memory.figures()
    assert after["allocated"] <= figures["allocated"] - 8_000_000
    xp.memory.trim()
    assert xp.memory.figures()["cached"] < figures["peak"]
    xp.memory.reset_peak()
    assert xp.memory.figures()["peak"] < figures["peak"]


def test_no_signal_from_any_integer():
    values = np.array([np.iinfo(np.int64).min, -1, 0, 1, np.iinfo(np.int64).max])
    a, b = (g.ravel() for g in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        same(xp.asarray(a) // xp.asarray(b), a // b)
        same(xp.asarray(a) % xp.asarray(b), a % b)
    assert signal.getsignal(signal.SIGFPE) == signal.SIG_DFL

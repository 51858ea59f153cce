"""The comparison on a GPU, tried on the emulator: who fails is noted, and everything else is measured and written."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

BENCHES = Path(__file__).parents[2] / "benches" / "python"


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``gpu.py`` on the emulator, changed by a program before it begins."""
    start = f"import sys\nsys.path.insert(0, {str(BENCHES)!r})\nimport gpu\n"
    options = ["--device", "simt", "--rounds", "1", "--write", "try", "--folder", str(folder), *arguments]
    return subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(program) + "\ngpu.main()", *options],
        env=os.environ | {"FUSEWIRE_SIMT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_comparison_goes_on_where_somebody_fails(tmp_path):
    program = """
        import numpy as np

        def host(_):
            return lambda workload, arrays: lambda: workload.function(np, *arrays)

        def refuses(_):
            raise RuntimeError("it has no GPU")

        def fails(_):
            def prepare(workload, arrays):
                def call():
                    raise ValueError("it cannot")
                return call if "rows" in workload.name else lambda: np.zeros(3)
            return prepare

        gpu.PEERS |= {"host": ("numpy", host), "refuses": ("numpy", refuses), "fails": ("numpy", fails)}
        gpu.PEERS["gone"] = ("no_such_package", host)
    """
    peers = ["--peers", "fusewire", "fails", "host", "refuses", "gone"]
    done = run(tmp_path, program, "--bytes", "2048", "4096", "--only", "sum of", *peers)
    assert done.returncode == 0, done.stderr
    contents = json.loads((tmp_path / "gpu-try.json").read_text())
    assert contents["absent"] == {"refuses": "RuntimeError: it has no GPU", "gone": "no_such_package is not installed"}
    assert contents["launch_overhead_seconds"] > 0
    assert contents["not_begun"] == 0
    measured = {(r["workload"], r["size"]): r for r in contents["results"]}
    assert list(measured) == [(f"sum of {which}", size) for size in ("2 kB", "4 kB") for which in ("columns", "rows")]
    for (workload, size), result in measured.items():
        # Results are compared at the first size; who failed in any way has no time.
        if workload == "sum of rows":
            assert result["failed"] == {"fails": "ValueError: it cannot"}
        elif size == "2 kB":
            assert "has the shape (3,)" in result["failed"]["fails"]
        else:
            assert result["failed"] == {}
            assert "fails" in result["seconds"]
        assert {"fusewire", "host", "copy"} <= set(result["seconds"])
        assert set(result["first_call_seconds"]) == set(result["seconds"]) - {"copy"}
        assert result["ratio"] > 0
        assert result["share_of_copy"] > 0
        assert 1024 < result["bytes"] < 8192
    for part in ("geometric mean", "90 %", "50 ms", "8 us", "What went wrong", "it cannot", "it has no GPU"):
        assert part in done.stdout, part


def test_what_fusewire_cannot_do_is_an_error_in_the_end(tmp_path):
    program = """
        def broken(device):
            def prepare(workload, arrays):
                if "columns" in workload.name:
                    raise MemoryError("no room")
                return gpu.fusewire(device)(workload, arrays)
            return prepare

        gpu.PEERS["fusewire"] = ("fusewire", broken)
    """
    done = run(tmp_path, program, "--bytes", "2048", "--only", "sum of", "--peers", "fusewire")
    assert done.returncode != 0
    assert "not everything could be measured" in done.stderr
    columns, rows = json.loads((tmp_path / "gpu-try.json").read_text())["results"]
    assert columns["failed"] == {"fusewire": "MemoryError: no room"}
    assert "seconds" not in columns
    assert rows["seconds"]["fusewire"] > 0
    done = run(tmp_path, "", "--bytes", "2048", "--only", "sum of", "--minutes", "0")
    assert json.loads((tmp_path / "gpu-try.json").read_text())["not_begun"] == 2, done.stderr


def test_without_the_device_it_says_so(tmp_path):
    done = run(tmp_path, "import os\nos.environ['FUSEWIRE_SIMT'] = '0'")
    assert done.returncode != 0
    assert "unknown device 'simt'" in done.stderr

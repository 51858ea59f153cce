"""`debug.dump` and `dump-ir`: the stages of what is recorded, as text and pictures, without computing it."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import fusewire as xp


def softmax():
    x = xp.asarray(np.ones((4, 5), np.float32))
    shifted = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    return shifted / xp.sum(shifted, axis=1, keepdims=True)


def test_dump_computes_nothing(counted):
    y = softmax()
    text = xp.debug.dump(y)
    assert "graph @f(%a0: f32[m, n]) -> f32[m, n]" in text
    assert "kernel @" in text
    assert not xp.debug.is_computed(y)
    assert counted()["kernel_launches"] == 0


def test_stages_passes_and_formats():
    assert xp.debug.dump(softmax(), stage="captured").startswith("graph @f")
    assert "region 0" in xp.debug.dump(softmax(), stage="regions")
    assert "function" in xp.debug.dump(softmax(), stage="clif")
    assert "define void @phase" in xp.debug.dump(softmax(), stage="llvm")
    assert "graph @f" in xp.debug.dump(softmax(), after="eliminate-dead")
    assert xp.debug.dump(softmax(), stage="regions", format="dot").startswith("digraph")
    ElementTree.fromstring(xp.debug.dump(softmax(), stage="regions", format="svg"))
    assert "<html" in xp.debug.dump(softmax(), format="html")
    assert xp.debug.dump(softmax(), stage="all") == xp.debug.dump(softmax(), stage="all")


def test_several_roots_are_one_graph():
    x = xp.asarray(np.ones(3))
    assert "-> (f64[m], f64[m])" in xp.debug.dump(x + 1, x * 2, stage="captured")


def test_mistakes():
    with pytest.raises(ValueError, match="not computed yet"):
        xp.debug.dump(softmax().compute())
    with pytest.raises(ValueError, match="not computed yet"):
        xp.debug.dump()
    with pytest.raises(ValueError, match="unknown stage `nope`; known are captured"):
        xp.debug.dump(softmax(), stage="nope")
    with pytest.raises(ValueError, match="unknown format"):
        xp.debug.dump(softmax(), format="pdf")
    with pytest.raises(ValueError, match="unknown pass"):
        xp.debug.dump(softmax(), after="nope")


def dump_ir(*arguments, standard_input=None):
    command = [sys.executable, "-m", "fusewire.dump_ir", *map(str, arguments)]
    return subprocess.run(command, input=standard_input, capture_output=True, text=True, check=False)


def test_a_python_file(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(
        "import sys\nimport fusewire as xp\nx = xp.asarray([1.0, 2.0])\n"
        "for _ in range(3):\n    print(float(xp.sum(x * 2)), sys.argv[1:])\nprint(xp.exp(x))\n"
    )
    result = dump_ir("--stage", "captured", file, "word")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("graph @f") == 2
    assert f"; ==== graph 1, computed at {file}:5" in result.stdout
    assert result.stdout.count("6.0 ['word']") == 3
    picture = tmp_path / "picture.svg"
    dump_ir("--stage", "regions", "--format", "svg", "--output", picture, file)
    ElementTree.fromstring(picture.read_text())
    ElementTree.fromstring((tmp_path / "picture-2.svg").read_text())


def test_a_file_of_text(tmp_path):
    file = tmp_path / "graph.ir"
    file.write_text(xp.debug.dump(softmax(), stage="captured"))
    result = dump_ir("--stage", "captured", file)
    assert result.stdout == file.read_text()
    file.write_text("graph @f(")
    assert dump_ir(file).returncode == 2
    assert f"{file}:1" in dump_ir(file).stderr
    file.write_bytes(b"\xff\xfe")
    assert f"{file}: 'utf-8'" in dump_ir(file).stderr


def test_one_stage_is_the_next_calls_input():
    kernel = dump_ir(
        "--stage", "kernel", "-", standard_input=xp.debug.dump(xp.asarray([1.0, 2.0]) + 2, stage="captured")
    )
    assert kernel.stdout.startswith("kernel @")
    assert " vector " in dump_ir("--after", "vectorise", "-", standard_input=kernel.stdout).stdout


def test_the_list_names_stages_and_passes():
    words = dump_ir("--list").stdout.split()
    assert {"captured", "asm", "simplify", "vectorise"} <= set(words)


def test_mistakes_of_the_command(tmp_path):
    assert dump_ir().returncode == 2
    file = tmp_path / "nothing.py"
    file.write_text("x = 1\n")
    assert "computes nothing" in dump_ir(file).stderr
    file.write_text("import fusewire as xp\nfloat(xp.asarray(1.0) + 1)\n")
    assert "unknown stage `nope`" in dump_ir("--stage", "nope", file).stderr
    assert dump_ir(tmp_path / "missing.ir").returncode == 2

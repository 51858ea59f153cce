"""The examples of the README and of the package's own documentation, line by line."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

import fusewire as xp
from support import on_the_host

README = Path(__file__).parents[2] / "README.md"


@on_the_host
@pytest.mark.parametrize("text", [README.read_text(), xp.__doc__], ids=["README", "package"])
def test_examples(text):
    # Inside a code block the closing fence would count as output.
    text = text.replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "examples", None, None)
    assert test.examples
    failures = []
    doctest.DocTestRunner(verbose=False).run(test, out=failures.append)
    assert not failures, "".join(failures)


def test_kernels_of_the_readmes_example(counted):
    x = xp.asarray(np.random.default_rng(0).normal(size=(1000, 8)))
    z = (x - xp.mean(x, axis=0)) / xp.std(x, axis=0)
    xp.count_nonzero(xp.abs(z) > 3, axis=0).compute()
    assert counted()["kernel_launches"] == 3
    assert xp.debug.is_computed(z)

"""Settings of all Python tests."""

from __future__ import annotations

import os

import hypothesis
import pytest

import fusewire as xp

hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=150)
hypothesis.settings.load_profile("default")


def pytest_configure():
    # SciPy reads it when it is imported, which scikit-learn does.
    os.environ["SCIPY_ARRAY_API"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    """Tests that are on the CPU whatever the default device is run with the CPU as the default one, and not again."""
    if xp.get_default_device() == "cpu":
        return
    again = [item for item in items if "host_device" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=again)
    items[:] = [item for item in items if item not in set(again)]


@pytest.fixture
def host_device(monkeypatch):
    """The CPU as the default device, also of processes that the test starts."""
    before = xp.get_default_device()
    xp.set_default_device("cpu")
    monkeypatch.setenv("FUSEWIRE_DEVICE", "cpu")
    yield
    xp.set_default_device(before)


@pytest.fixture
def counted():
    """A function that says how the counters changed since the test began or the function was last called.

    The test is about plans of whole structures, so they are compiled the first time.
    """
    before = xp.debug.set_first_run("compiled")
    last = xp.debug.counters()

    def difference() -> dict[str, int]:
        nonlocal last
        now = xp.debug.counters()
        result = {name: now[name] - last[name] for name in now}
        last = now
        return result

    yield difference
    xp.debug.set_first_run(before)

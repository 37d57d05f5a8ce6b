"""What every test needs of its surroundings."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest

_OBJECTS_A_COLLECTION = 50_000


def pytest_configure(config: pytest.Config) -> None:
    """Have each worker of pytest-xdist measured once, so that a test marked `no_cover` is not measured at all.

    Before pytest-cov measures a worker as such, it measures it as if it were the only process, and coverage measures it
    as a subprocess, which the variable tells it to. What the tests start finds the variable set again by the worker.
    """
    plugin = config.pluginmanager.get_plugin("_cov")
    measuring = plugin.cov_controller if plugin else None
    if measuring and hasattr(config, "workerinput"):
        measuring.cov.stop()
    elif measuring and config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end: to look through them for garbage would take a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_A_COLLECTION, *gc.get_threshold()[1:])


@pytest.fixture(scope="session", autouse=True)
def sigint_interrupts() -> Iterator[None]:
    """A background job of a shell starts with SIGINT ignored, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from the cache folder of whoever runs the tests, or written there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield

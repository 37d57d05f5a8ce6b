"""What every test needs of its surroundings."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.unmeasured import UNMEASURED

_OBJECTS_A_COLLECTION = 50_000
_PROCESS_CONFIG = "COVERAGE_PROCESS_CONFIG"
"""The variable that has coverage measure the processes that a test starts."""


def _measuring(config: pytest.Config) -> Any:
    """pytest-cov's controller, or None where nothing is measured."""
    plugin = config.pluginmanager.get_plugin("_cov")
    return plugin.cov_controller if plugin else None


def pytest_configure(config: pytest.Config) -> None:
    """Have each worker of pytest-xdist measured once, and what hands out the tests not at all.

    Before pytest-cov measures a worker as such, it measures it as if it were the only process, and coverage measures it
    as a subprocess, which the variable tells it to. What the tests start finds the variable set again by the worker.
    """
    measuring = _measuring(config)
    if measuring and hasattr(config, "workerinput"):
        measuring.cov.stop()
    elif measuring and config.getoption("numprocesses", None):
        measuring.cov.stop()
        os.environ.pop(_PROCESS_CONFIG, None)


def pytest_collection(session: pytest.Session) -> None:
    """All workers import the same while they collect; one of them is measured meanwhile."""
    measuring = _measuring(session.config)
    if measuring and os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        measuring.pause()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.partition("::")[0] in UNMEASURED:
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure nothing of a test marked `no_cover`: pytest-cov leaves out its call, this its fixtures and processes."""
    measuring = _measuring(item.config)
    if measuring is None or item.get_closest_marker("no_cover") is None:
        return (yield)
    process_config = os.environ.pop(_PROCESS_CONFIG, None)
    measuring.pause()
    try:
        return (yield)
    finally:
        # pytest-cov does so after the call; coverage that is started twice traces twice.
        if not measuring.started:
            measuring.resume()
        if process_config is not None:
            os.environ[_PROCESS_CONFIG] = process_config


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of collected tests stay to the end: to look through them for garbage would take a fifth of the time."""
    measuring = _measuring(session.config)
    if measuring and hasattr(session.config, "workerinput") and not measuring.started:
        measuring.resume()
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


@pytest.fixture(scope="session", autouse=True)
def short_lives_of_servers() -> Iterator[None]:
    """Prometheus, promtool and VictoriaMetrics run for seconds here: a third of their time would go into garbage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOGC", "300")
        yield

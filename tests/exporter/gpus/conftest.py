"""A node of stub GPUs for each test."""

from __future__ import annotations

import atexit
import ctypes
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pynvml
import pytest

from exporter.config import Gpu
from exporter.exposition import Section, render
from exporter.gpus.owners import Owner
from exporter.gpus.source import GpuSource
from tests.exporter.gpus.stub import STATE_VARIABLE, Rule, StubState, build


@cache
def _loaded_stub() -> Path:
    """One a process: pynvml takes the first library of its soname, and another one would see none of its calls."""
    folder = tempfile.mkdtemp(prefix="stub-nvml-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = build(Path(folder))
    ctypes.CDLL(str(library))
    return library


@pytest.fixture(scope="session")
def stub_library() -> Path:
    """The stub, compiled; loaded by its soname, so that pynvml finds it."""
    return _loaded_stub()


class Node:
    """The stub's node, and the sources that read it."""

    def __init__(self, path: Path, library: Path) -> None:
        self._path = path
        self._library = ctypes.CDLL(str(library))
        self.state = StubState()
        self._sources: list[GpuSource] = []

    def become(self, **changes: object) -> None:
        """Change the state."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        self.state.write(self._path)

    def rules(self, *rules: Rule) -> None:
        """Replace the rules."""
        self.become(rules=rules)

    def source(self, config: Gpu | None = None, **options: Callable[[], object]) -> GpuSource:
        """A source that reads this node, closed with the test."""
        source = GpuSource(config or Gpu(profiling=False), "node-a", **options)  # type: ignore[arg-type]
        self._sources.append(source)
        return source

    def live_samples(self) -> int:
        """How many GPM samples are allocated and not freed."""
        return int(self._library.stub_live_samples())

    def close(self) -> None:
        """Let go of what hangs and close the sources."""
        self.become(rules=())
        for source in self._sources:
            source.close()


@pytest.fixture
def node(stub_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    path = tmp_path / "state"
    monkeypatch.setenv(STATE_VARIABLE, str(path))
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    node = Node(path, stub_library)
    node.become()
    yield node
    node.close()


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def uuid_of(gpu: int) -> str:
    return f"GPU-00000000-0000-0000-0000-{gpu:012d}"


def collect(source: GpuSource, owners: Mapping[str, tuple[Owner, ...]] | None = None, seconds: float = 20.0) -> Section:
    """One collection that is given time enough on a busy machine."""
    return source.collect(time.monotonic() + seconds, owners or {})


def collect_again(source: GpuSource, owners: Mapping[str, tuple[Owner, ...]] | None = None) -> Section:
    """A second collection, far enough from the first for values of what is sampled: NVML wants 100 ms."""
    collect(source, owners)
    time.sleep(0.12)
    return collect(source, owners)


def text(section: Section) -> str:
    return render([section], openmetrics=False).decode()


def series(section: Section) -> dict[str, dict[str, float]]:
    """Values by family and by the text of the labels."""
    found: dict[str, dict[str, float]] = {}
    for family, block in section.items():
        for line in block.decode().splitlines():
            head, _, value = line.rpartition(" ")
            name, _, labels = head.partition("{")
            assert name == family.name
            assert labels.removesuffix("}") not in found.setdefault(name, {}), f"twice: {head}"
            found[name][labels.removesuffix("}")] = float(value)
    return found


def of_gpu(section: Section, name: str, gpu: int = 0, containing: str = "") -> float | None:
    """The one value of a family for a GPU; None where there is none."""
    wanted = f'UUID="{uuid_of(gpu)}"'
    values = [
        value for labels, value in series(section).get(name, {}).items() if wanted in labels and containing in labels
    ]
    assert len(values) <= 1, f"{name}: {len(values)} values"
    return values[0] if values else None


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)

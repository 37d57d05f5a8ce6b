"""Parts of a node for tests: sources that give what they are told to give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from exporter.config import Engines
from exporter.engines.fleet import Engine
from exporter.engines.scrape import EngineReading, EngineScraper
from exporter.engines.target import EngineTarget
from exporter.exposition import Family, Section
from exporter.gpus.inventory import SourceState
from exporter.gpus.owners import Owners
from exporter.gpus.source import GpuSource, GpuStatus
from exporter.lanes import Task
from exporter.pods.watch import PodView, PodWatcher
from exporter.selfmetrics import SelfMetrics

P = "inferwatch_exporter_"
UTIL = Family("DCGM_FI_DEV_GPU_UTIL", "gauge", "Busy.")


@dataclass
class StubGpus:
    """Stands for a GpuSource: what it says is set by the test."""

    state: SourceState = field(default_factory=lambda: SourceState("ready"))
    statuses: tuple[GpuStatus, ...] = ()
    section: Section = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None
    closed: bool = False

    @property
    def source(self) -> GpuSource:
        return cast(GpuSource, self)

    @property
    def expected_gpus(self) -> int:
        return len(self.statuses)

    @property
    def visible_gpus(self) -> int:
        return sum(status.is_up for status in self.statuses)

    def status(self) -> tuple[GpuStatus, ...]:
        return self.statuses

    def error_counts(self) -> Mapping[str, int]:
        return dict(self.errors)

    def collect(self, deadline_monotonic_seconds: float, owners: Owners) -> Section:
        del deadline_monotonic_seconds, owners
        if self.error is not None:
            raise self.error
        return self.section


@dataclass
class StubPods:
    """Stands for a PodWatcher."""

    view: PodView = field(default_factory=PodView)

    @property
    def watcher(self) -> PodWatcher:
        return cast(PodWatcher, self)


def gpu(index: int = 0, *, is_up: bool = True, problem: str = "", **more: object) -> GpuStatus:
    fields: dict[str, object] = {
        "uuid": f"GPU-{index}",
        "name": "NVIDIA H200",
        "pci_bus_id": "0",
        "instances": (),
        "last_read_unix_seconds": None,
        "minor": index,
        **more,
    }
    return GpuStatus(index=index, is_up=is_up, problem=problem, **fields)  # type: ignore[arg-type]


def reading(*, up: bool | None = True, **more: object) -> EngineReading:
    fields: dict[str, object] = {
        "section": {},
        "engine": "vllm",
        "version": "0.24.0",
        "models": ("llama",),
        "url": "http://127.0.0.1:8000/metrics",
        **more,
    }
    return EngineReading(up=up, **fields)  # type: ignore[arg-type]


def engine(pod: str = "p-0", given: EngineReading | None = None, **more: object) -> Engine:
    target = EngineTarget(("http://127.0.0.1:8000/metrics",), "prod", pod, "engine")
    scraper = EngineScraper(target, Engines(), "n1")
    return Engine(target, scraper, Task(scraper.scrape), given, **more)  # type: ignore[arg-type]


def place(pod: str = "p-0") -> dict[str, str]:
    return {"namespace": "prod", "pod": pod, "container": "engine"}


def shown(metrics: SelfMetrics) -> dict[str, dict[tuple[str, ...], float]]:
    """The exporter's own series: values by name, without the prefix, and by the labels' values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family, block in metrics.section().items():
        for line in block.decode().splitlines():
            head, _, value = line.rpartition(" ")
            labels = tuple(head.partition("{")[2].removesuffix("}").split('"')[1::2])
            found.setdefault(family.name.removeprefix(P), {})[labels] = float(value)
    return found

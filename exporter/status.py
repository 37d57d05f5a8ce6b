"""What a person or a probe asks: is it ready, and what does it see?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from exporter.collector import Collector
from exporter.engines.fleet import Engine
from exporter.gpus.owners import Owners
from exporter.gpus.source import GpuStatus
from exporter.serving.app import Readiness
from exporter.serving.status_view import EngineRow, GpuRow, StatusView

__all__ = ["readiness", "status_view"]


def readiness(collector: Collector) -> Readiness:
    """Ready with the first snapshot. What is missing is said all the same: engines are served without a GPU."""
    if collector.snapshot is None:
        return Readiness(ready=False, reasons=("no collection has finished yet", *_problems(collector)))
    return Readiness(ready=True, reasons=tuple(_problems(collector)))


def status_view(collector: Collector, version: str, node: str) -> StatusView:
    """Return what the status page shows."""
    now = time.time()
    snapshot = collector.snapshot
    owners = collector.pods.view.owners.by_device
    return StatusView(
        version=version,
        node=node,
        snapshot_age_seconds=now - snapshot.created_unix_seconds if snapshot else None,
        gpus=tuple(_gpu_row(status, owners) for status in collector.gpus.status()),
        engines=tuple(_engine_row(engine, now) for engine in collector.engines if _is_shown(engine)),
        problems=tuple(_problems(collector)),
    )


def _problems(collector: Collector) -> Iterator[str]:
    state = collector.gpus.state
    if state.name not in {"ready", "disabled"}:
        yield f"GPUs: {state.reason or state.name}"
    missing = collector.gpus.expected_gpus - collector.gpus.visible_gpus
    if missing and state.name == "ready":
        yield f"GPUs: {missing} of {collector.gpus.expected_gpus} did not answer"
    for problem in collector.pods.view.problems:
        yield f"{problem.source}: {problem.detail}"
    if collector.dcgm.problem:
        yield collector.dcgm.problem
    for target in collector.refused:
        yield f"{target.urls[0]}: left out, as another target has the same namespace, pod and container"
    for engine in collector.engines:
        if engine.reading is not None and engine.reading.up is False:
            yield f"engine {engine.target.pod}: {engine.reading.message}"


def _is_shown(engine: Engine) -> bool:
    return engine.reading is not None and engine.reading.up is not None


def _gpu_row(status: GpuStatus, owners: Owners) -> GpuRow:
    holders = ", ".join(f"{owner.namespace}/{owner.pod}/{owner.container}" for owner in owners.get(status.uuid, ()))
    profiles = ", ".join(instance.profile for instance in status.instances)
    name = f"{status.name} ({profiles})" if profiles else status.name
    return GpuRow(str(status.index), status.uuid, name, status.is_up, holders, status.problem)


def _engine_row(engine: Engine, now: float) -> EngineRow:
    reading = engine.reading
    assert reading is not None  # noqa: S101 - _is_shown looked
    answered = engine.answered_unix_seconds
    return EngineRow(
        url=reading.url,
        engine=reading.engine,
        version=reading.version,
        model=", ".join(reading.models),
        pod="/".join(filter(None, engine.target.identity)),
        up=bool(reading.up),
        scrape_age_seconds=None if answered is None else now - answered,
        series=reading.series,
        problem=reading.message,
    )

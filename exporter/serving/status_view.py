"""What the status page shows, as data."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["EngineRow", "GpuRow", "StatusView"]


class GpuRow(Struct, frozen=True):
    """One GPU. `holder` is who holds it (namespace/pod/container), empty if nobody; `problem` is empty if none."""

    gpu: str
    uuid: str
    name: str
    up: bool
    holder: str = ""
    problem: str = ""


class EngineRow(Struct, frozen=True):
    """One engine. `scrape_age_seconds` is since its last good scrape, None before the first."""

    url: str
    engine: str
    version: str
    model: str
    pod: str
    up: bool
    scrape_age_seconds: float | None
    series: int
    problem: str = ""


class StatusView(Struct, frozen=True):
    """All that the page shows. `snapshot_age_seconds` is None before the first collection."""

    version: str
    node: str
    snapshot_age_seconds: float | None
    gpus: tuple[GpuRow, ...] = ()
    engines: tuple[EngineRow, ...] = ()
    problems: tuple[str, ...] = ()

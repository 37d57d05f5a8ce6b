"""Keeps the exporter's own series up to date from what each collection gave."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from exporter.dcgm import DcgmReader
from exporter.engines.fleet import Engine
from exporter.exposition import Section
from exporter.gpus.source import GpuSource
from exporter.pods.watch import PodView
from exporter.selfmetrics import SelfMetrics

__all__ = ["Accounts"]

_P = "inferwatch_exporter_"
_PER_ENGINE = (
    f"{_P}engine_scrape_duration_seconds",
    f"{_P}engine_scrape_errors_total",
    f"{_P}engine_dropped_total",
)
_Place = tuple[str, str, str]


class Accounts:
    """Turns outcomes into counters. One thread calls it."""

    def __init__(self, metrics: SelfMetrics) -> None:
        self._metrics = metrics
        self._places: set[_Place] = set()
        self._counted: dict[tuple[str, str], int] = {}

    def collection(self, duration_seconds: float, cpu_seconds: float) -> None:
        """Count one collection."""
        self._metrics.add(f"{_P}collections_total")
        self._metrics.set(f"{_P}collection_duration_seconds", duration_seconds)
        self._metrics.add(f"{_P}collection_cpu_seconds_total", cpu_seconds)

    def defect(self) -> None:
        """Count a collection that ended in a defect of this program."""
        self._metrics.add(f"{_P}source_errors_total", source="collector", reason="internal")

    def engines(self, engines: Iterable[Engine]) -> None:
        """Count what the engines' scrapes gave; forget engines that are gone."""
        places: set[_Place] = set()
        series = 0
        for engine in engines:
            target, reading = engine.target, engine.reading
            if reading is None or reading.up is None:
                continue
            places.add(target.identity)
            place = dict(zip(("namespace", "pod", "container"), target.identity, strict=True))
            self._metrics.set(_PER_ENGINE[0], engine.duration_seconds, **place)
            series += reading.series
            if not engine.is_fresh:
                continue
            if reading.reason is not None:
                self._metrics.add(_PER_ENGINE[1], 1, reason=reading.reason, **place)
            for reason, count in (
                ("bad_line", reading.bad_lines),
                ("repeated_series", reading.repeated_series),
                ("series_limit", reading.series_over_limit),
            ):
                if count:
                    self._metrics.add(_PER_ENGINE[2], count, reason=reason, **place)
        for gone in self._places - places:
            for name in _PER_ENGINE:
                self._metrics.forget(name, **dict(zip(("namespace", "pod", "container"), gone, strict=True)))
        self._places = places
        self._metrics.set(f"{_P}series", series, source="engines")
        self._success("engines")

    def gpus(self, gpus: GpuSource, section: Section) -> None:
        """Count what the GPUs gave."""
        self._metrics.set(f"{_P}gpus_expected", gpus.expected_gpus)
        self._metrics.set(f"{_P}gpus_visible", gpus.visible_gpus)
        self._metrics.set(f"{_P}series", _series(section), source="gpu")
        self._errors("gpu", gpus.error_counts())
        if gpus.state.name == "ready" and gpus.visible_gpus == gpus.expected_gpus:
            self._success("gpu")

    def pods(self, view: PodView) -> None:
        """Count what is known of pods."""
        counts: dict[str, int] = {}
        for (source, reason), count in view.errors.items():
            counts[f"{source}:{reason}"] = count
        self._errors("pods", counts)
        if view.updated_unix_seconds and not view.problems:
            self._metrics.set(f"{_P}last_success_timestamp_seconds", view.updated_unix_seconds, source="pods")

    def dcgm(self, dcgm: DcgmReader, section: Section) -> None:
        """Count what a dcgm-exporter gave, if there is one."""
        if not dcgm.url:
            self._metrics.forget(f"{_P}series", source="dcgm")
        else:
            self._metrics.set(f"{_P}series", _series(section), source="dcgm")
            self._errors("dcgm", dcgm.errors)
            if not dcgm.problem:
                self._success("dcgm")

    def otlp(self, failures: Mapping[Any, int]) -> None:
        """Count pushes that failed."""
        self._errors("otlp", failures)

    def configuration(self, *, in_force: bool) -> None:
        """Say whether the configuration in force is the one in the file."""
        self._metrics.set(f"{_P}config_last_reload_successful", int(in_force))

    def _success(self, source: str) -> None:
        self._metrics.set(f"{_P}last_success_timestamp_seconds", time.time(), source=source)

    def _errors(self, source: str, counts: Mapping[Any, int]) -> None:
        """Bring a source's own running counts over."""
        for reason, count in counts.items():
            before = self._counted.get((source, reason), 0)
            if count == before:
                continue
            # A source that was made anew counts from 0 again.
            new = count - before if count >= before else count
            if new > 0:
                self._metrics.add(f"{_P}source_errors_total", new, source=source, reason=reason)
            self._counted[source, reason] = count


def _series(section: Section) -> int:
    return sum(block.count(b"\n") for block in section.values())

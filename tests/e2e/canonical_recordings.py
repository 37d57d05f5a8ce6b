"""Recordings as the exporter would have shown them: canonical series under a pod's labels, at the recorded times."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from catalog.engines import recognise
from catalog.exposition import Sample, parse
from catalog.gpu import GPU_FIELDS
from exporter.engines.canonical import CanonicalSeries
from exporter.engines.relabel import Relabeller
from exporter.exposition import label_text
from recordings.reader import load, scrapes
from tests.e2e.stores import Line

_DCGM = frozenset(name for field in GPU_FIELDS.values() for name in field.names)


def canonical(name: str, end_seconds: float) -> Iterator[Line]:
    """A recording whose last scrape lies within the second before a time; namespace and pod are named after it."""
    shift = float(int(end_seconds - scrapes(load(name))[-1].time_seconds))
    return (line._replace(time_seconds=line.time_seconds + shift) for line in _as_recorded(name))


@cache
def _as_recorded(name: str) -> tuple[Line, ...]:
    return tuple(_translated(name))


def _translated(name: str) -> Iterator[Line]:
    recording = load(name)
    pages = scrapes(recording)
    place = {"node": f"node-{name}", "namespace": name, "pod": f"{name}-0", "container": "engine"}
    shown = next((page.exposition for page in pages if page.up), b"")
    engine = recognise(sample.name for sample in parse(shown).samples)
    relabeller = None
    if engine is not None:
        series = CanonicalSeries(engine, recording.engine_version.split()[0])
        relabeller = Relabeller(series, place, max_series=10_000)
    for page in pages:
        at = page.time_seconds
        up = {"engine": recording.engine, **place}
        yield Line("llm_up", _labels(up), str(int(page.up)), at)
        for sample in parse(page.exposition).samples:
            if sample.name in _DCGM:
                yield _line(sample._replace(labels={**sample.labels, **place}), at)
        if relabeller is not None and page.up:
            for text in relabeller.relabel(page.exposition).section.values():
                for sample in parse(text).samples:
                    yield _line(sample, at)


def _line(sample: Sample, at: float) -> Line:
    return Line(sample.name, _labels(sample.labels), repr(sample.value), at)


def _labels(labels: dict[str, str]) -> str:
    return label_text(labels)

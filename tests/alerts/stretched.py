"""Recordings as a Prometheus would have stored them had the exporter watched the engines for much longer.

A recording holds a minute or less; rules want ten minutes of a condition and more. So time is stretched: what was
recorded from the moment the engine was ready (or from its start, if it never was) lasts `SPAN_SECONDS`, and counters
are multiplied by the same factor, so that every rate, ratio, quantile and queue stays what it was. The load goes on for
longer, nothing else. A start is left out because it would last for hours; when the engine's process began is moved to
be as long before as it was.

One thing cannot be kept: how much counters grew no longer fits by how much gauges did (requests begun, less those
ended, are no longer those that run). For rules that compare the two, a recording is also stored in slow motion, its
counters not multiplied: rates are too low there by the factor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from catalog.engines import recognise
from catalog.exposition import Sample, parse
from catalog.gpu import GPU_FIELDS, GPU_LABELS
from catalog.translate import PLACE_LABELS
from exporter.engines.canonical import CanonicalSeries
from exporter.engines.relabel import Relabeller
from exporter.exposition import Section, series_head
from recordings.reader import Recording, load, scrapes
from tests.alerts.promql_tree import counters

SPAN_SECONDS = 2400
SLOW_MOTION = "-in-slow-motion"
Written = tuple[str, str, float]
"""A sample's name, the text of its series, its value."""

_DCGM = frozenset(name for field in GPU_FIELDS.values() for name in field.names)


@dataclass(frozen=True)
class Stretched:
    """A recording in canonical series; `lines` are OpenMetrics samples by name."""

    name: str
    factor: float
    lines: dict[str, list[str]]


def stretched(name: str, end_unix_seconds: float, *, slow_motion: bool = False) -> Stretched:
    """A bundled recording whose last scrape is at `end_unix_seconds`.

    Label `namespace` is its name, with `SLOW_MOTION` behind it where counters are not multiplied.
    """
    recording = load(name)
    begun = recording.ready_unix_seconds or recording.started_unix_seconds
    kept = [scrape for scrape in scrapes(recording) if scrape.time_seconds >= begun]
    factor = SPAN_SECONDS / (kept[-1].time_seconds - kept[0].time_seconds)
    lines: dict[str, list[str]] = {}
    times = 1.0 if slow_motion else factor
    name += SLOW_MOTION if slow_motion else ""
    relabeller = _relabeller(recording, _place(name, recording), next((one.exposition for one in kept if one.up), b""))
    for scrape in kept:
        at = end_unix_seconds - (kept[-1].time_seconds - scrape.time_seconds) * factor
        up = Sample("llm_up", _place(name, recording), float(scrape.up), None)
        info = Sample("llm_engine_info", {**up.labels, "version": recording.engine_version}, 1.0, None)
        found = [*map(written, (up, *([info] if scrape.up else []), *_gpu(scrape.exposition, name)))]
        if relabeller is not None and scrape.up:
            found += relabelled(relabeller.relabel(scrape.exposition).section)
        for sample_name, series, raw in found:
            value = raw * times if sample_name in counters() else raw
            if sample_name == "llm_process_start_time_seconds":
                value += end_unix_seconds - SPAN_SECONDS - begun
            lines.setdefault(sample_name, []).append(f"{series} {value!r} {at:.3f}")
    return Stretched(name, factor, lines)


def relabelled(section: Section) -> Iterator[Written]:
    """The samples that the exporter wrote, their text as it stands."""
    for block in section.values():
        for line in block.decode().splitlines():
            series, _, value = line.rpartition(" ")
            yield series.partition("{")[0], series, float(value)


def written(sample: Sample) -> Written:
    """A sample as the exporter would write it."""
    return sample.name, series_head(sample.name, sample.labels), sample.value


def open_metrics(recordings: list[Stretched]) -> Iterator[str]:
    """The recordings as one OpenMetrics text; types do not matter to what stores it."""
    names = sorted({name for one in recordings for name in one.lines})
    for name in names:
        yield f"# TYPE {name} unknown\n"
        for one in recordings:
            yield from (line + "\n" for line in one.lines.get(name, ()))
    yield "# EOF\n"


def _place(name: str, recording: Recording) -> dict[str, str]:
    engine = recording.engine
    model = {"model": recording.model} if recording.ready_unix_seconds is not None else {}
    return {
        "engine": engine,
        **model,
        "rank": "0",
        "node": f"node-{name}",
        "namespace": name,
        "pod": f"{name}-0",
        "container": "engine",
    }


def _relabeller(recording: Recording, labels: dict[str, str], body: bytes) -> Relabeller | None:
    engine = recognise(sample.name for sample in parse(body).samples)
    if engine is None:
        return None
    place = {key: value for key, value in labels.items() if key in PLACE_LABELS}
    return Relabeller(CanonicalSeries(engine, recording.engine_version.split()[0]), place, max_series=10_000)


def _gpu(exposition: bytes, name: str) -> Iterator[Sample]:
    """The GPU's series under the labels that the exporter gives: the recorder knew neither UUID nor pod."""
    for sample in parse(exposition).samples:
        if sample.name in _DCGM:
            own = {"Hostname": f"node-{name}", "UUID": f"GPU-{name}", "namespace": name, "pod": f"{name}-0"}
            kept = {key: value for key, value in sample.labels.items() if key in GPU_LABELS}
            yield Sample(sample.name, {**kept, **own, "container": "engine"}, sample.value, None)

"""Raw scrapes -> a timeline of canonical series, by the catalogue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from catalog.engines import recognise_all
from catalog.exposition import Sample, base_name, parse
from catalog.signals import COMMON_LABELS, SIGNALS
from catalog.translate import Translator
from troubleshoot.metrics.timeline import Timeline

_KEPT_AS_IS = ("DCGM_FI_", "process_", "container_", "kube_", "inferwatch_")
_CANONICAL = "llm_"
_UP = "llm_up"


@dataclass(frozen=True, slots=True)
class MetricsData:
    """What the metrics say. `engines` are those recognised by their series, the one with most series first.

    `note` names what could not be read. `raw_names` maps a canonical series to the engine's own name of it.
    """

    timeline: Timeline
    engines: tuple[str, ...] = ()
    version: str = ""
    model: str = ""
    note: str = ""
    raw_names: dict[str, str] = field(default_factory=dict)
    failures: tuple[tuple[float, str], ...] = ()

    @property
    def engine(self) -> str:
        """The engine's name, or "" where none was recognised."""
        return self.engines[0] if self.engines else ""


class Body(NamedTuple):
    """One scrape, or a file of many. `source` tells inputs apart; `scraped_at` is unix seconds, None for a file."""

    source: int
    scraped_at: float | None
    text: bytes


Server = tuple[int, str]
"""What keeps servers apart, each with counters of its own: the input, and a name within it."""


def load_metrics(
    bodies: Sequence[Body],
    failures: Sequence[tuple[float, str]] = (),
    stored: Mapping[Server, Sequence[Sample]] = MappingProxyType({}),
) -> MetricsData:
    """Read scrapes; samples that carry a time of their own keep it. `stored` are samples that a store gave.

    Servers are kept apart, by input and by their `instance` label (canonical series: by pod). Never raises on content:
    lines that are no samples are counted and named in `note`.
    """
    servers: dict[Server, list[Sample]] = {}
    bad, first_bad = 0, ""
    for body in bodies:
        parsed = parse(body.text)
        bad += parsed.bad_lines
        first_bad = first_bad or parsed.first_bad_line
        for sample in parsed.samples:
            timed = sample if sample.timestamp is not None else sample._replace(timestamp=body.scraped_at or 0.0)
            servers.setdefault((body.source, server_name(sample)), []).append(timed)
    note = f"{bad} lines are no samples, the first: {first_bad[:80]!r}" if bad else ""
    for server, more in stored.items():
        servers.setdefault(server, []).extend(more)
    return _loaded(servers, failures, note)


def server_name(sample: Sample) -> str:
    """Which server of an input a sample is of. One exporter's `instance` shows the engines of many pods."""
    labels = sample.labels
    if sample.name.startswith(_CANONICAL) and labels.get("pod"):
        return f"{labels.get('namespace', '')}/{labels['pod']}"
    return labels.get("instance", "")


def _loaded(
    servers: Mapping[Server, Sequence[Sample]], failures: Sequence[tuple[float, str]], note: str
) -> MetricsData:
    timeline, raw_names = Timeline(), dict[str, str]()
    samples = [sample for server in servers.values() for sample in server]
    found = recognise_all(sample.name for sample in samples)
    version = _version(samples)
    engines_seen = [server for server in servers if _shows_engine(servers[server])]
    for number, server in enumerate(servers):
        extra = {"server": str(number)} if len(engines_seen) > 1 else {}
        _fill(timeline, servers[server], [Translator(engine, version) for engine in found], raw_names, extra)
    if not timeline.scrape_times:
        timeline.scrape_times = sorted({sample.timestamp or 0.0 for sample in samples})
    for time_seconds, _ in failures:
        timeline.add("up", {}, time_seconds, 0.0)
    engines = tuple(engine.name for engine in found) or _named_engines(samples)
    return MetricsData(timeline, engines, version, _model(timeline), note, raw_names, tuple(failures))


def _shows_engine(samples: Sequence[Sample]) -> bool:
    return any(sample.name.startswith(_CANONICAL) for sample in samples) or bool(
        recognise_all(sample.name for sample in samples)
    )


def _named_engines(samples: Iterable[Sample]) -> tuple[str, ...]:
    """The engines that canonical series name, the one with most samples first. One that never answered shows none."""
    counts = Counter(
        sample.labels.get("engine", "")
        for sample in samples
        if sample.name.startswith(_CANONICAL) and sample.name != _UP
    )
    return tuple(name for name, _ in counts.most_common() if name)


def _fill(
    timeline: Timeline,
    samples: Sequence[Sample],
    translators: Sequence[Translator],
    raw_names: dict[str, str],
    extra: Mapping[str, str],
) -> None:
    """Add one server's series. The server with most scrapes gives the times by which all are judged."""
    owner: dict[str, Translator | None] = {}
    for sample in samples:
        name = sample.name
        if name not in owner:
            owner[name] = translator = next((t for t in translators if t.account(name) == "mapped"), None)
            for mapping in translator.engine.mappings if translator else ():
                if mapping.series in (name, base_name(name)):
                    raw_names.setdefault(mapping.signal, mapping.series)
        if name == "up" or name.startswith(_KEPT_AS_IS):
            timeline.add(name, {**sample.labels, **extra}, sample.timestamp or 0.0, sample.value)
    times: set[float] = set()
    for sample in samples:
        if sample.name.startswith(_CANONICAL):
            time_seconds = sample.timestamp or 0.0
            if sample.name == _UP:
                timeline.add("up", {"job": "engine", **extra}, time_seconds, sample.value)
            else:
                timeline.add(sample.name, {**_own_labels(sample), **extra}, time_seconds, sample.value)
                times.add(time_seconds)
    for translator in translators:
        mine = [sample for sample in samples if owner[sample.name] is translator]
        for sample in translator.translate_all(mine):
            timeline.add(sample.name, {**sample.labels, **extra}, sample.timestamp or 0.0, sample.value)
            times.add(sample.timestamp or 0.0)
    if len(times) > len(timeline.scrape_times):
        timeline.scrape_times = sorted(times)


def _own_labels(sample: Sample) -> dict[str, str]:
    """A canonical sample's labels without those that a scrape adds: a series outlives the exporter that shows it."""
    signal = SIGNALS.get(sample.name) or SIGNALS.get(base_name(sample.name))
    kept = {*COMMON_LABELS, "le", *(signal.labels if signal else ())}
    return {name: value for name, value in sample.labels.items() if name in kept}


def _version(samples: Iterable[Sample]) -> str:
    """The newest: an engine may have been replaced meanwhile."""
    newest, version = -math.inf, ""
    for sample in samples:
        if (
            sample.name.endswith(("engine_info", "build_info"))
            and "version" in sample.labels
            and not sample.name.startswith("python")
            and (sample.timestamp or 0.0) > newest
        ):
            newest, version = sample.timestamp or 0.0, sample.labels["version"]
    return version


def _model(timeline: Timeline) -> str:
    for name in timeline.names():
        for series in timeline.all(name):
            model = series.labels.get("model", "")
            if model and name.startswith("llm_"):
                return model
    return ""

"""Raw scrapes -> a timeline of canonical series, by the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from catalog.engines import recognise_all
from catalog.exposition import Sample, parse
from catalog.translate import Translator
from troubleshoot.metrics.timeline import Timeline

_KEPT_AS_IS = ("DCGM_FI_", "process_", "container_", "kube_")


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


def load_metrics(bodies: Sequence[Body], failures: Sequence[tuple[float, str]] = ()) -> MetricsData:
    """Read scrapes; samples that carry a time of their own keep it.

    Servers are kept apart, by input and by their `instance` label: each has counters of its own. Never raises on
    content: lines that are no samples are counted and named in `note`.
    """
    servers: dict[tuple[int, str], list[Sample]] = {}
    bad, first_bad = 0, ""
    for body in bodies:
        parsed = parse(body.text)
        bad += parsed.bad_lines
        first_bad = first_bad or parsed.first_bad_line
        for sample in parsed.samples:
            timed = sample if sample.timestamp is not None else sample._replace(timestamp=body.scraped_at or 0.0)
            servers.setdefault((body.source, sample.labels.get("instance", "")), []).append(timed)
    timeline, raw_names = Timeline(), dict[str, str]()
    samples = [sample for server in servers.values() for sample in server]
    found = recognise_all(sample.name for sample in samples)
    version = _version(samples)
    engines_seen = [server for server in servers if recognise_all(sample.name for sample in servers[server])]
    for number, server in enumerate(servers):
        extra = {"server": str(number)} if len(engines_seen) > 1 else {}
        _fill(timeline, servers[server], [Translator(engine, version) for engine in found], raw_names, extra)
    if not timeline.scrape_times:
        timeline.scrape_times = sorted({sample.timestamp or 0.0 for sample in samples})
    for time_seconds, _ in failures:
        timeline.add("up", {}, time_seconds, 0.0)
    note = f"{bad} lines are no samples, the first: {first_bad[:80]!r}" if bad else ""
    engines = tuple(engine.name for engine in found)
    return MetricsData(timeline, engines, version, _model(timeline), note, raw_names, tuple(failures))


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
                if mapping.series in (name, _family(name)):
                    raw_names.setdefault(mapping.signal, mapping.series)
        if name == "up" or name.startswith(_KEPT_AS_IS):
            timeline.add(name, {**sample.labels, **extra}, sample.timestamp or 0.0, sample.value)
    times: set[float] = set()
    for translator in translators:
        mine = [sample for sample in samples if owner[sample.name] is translator]
        for sample in translator.translate_all(mine):
            timeline.add(sample.name, {**sample.labels, **extra}, sample.timestamp or 0.0, sample.value)
            times.add(sample.timestamp or 0.0)
    if len(times) > len(timeline.scrape_times):
        timeline.scrape_times = sorted(times)


def _family(name: str) -> str:
    for part in ("_bucket", "_sum", "_count"):
        if name.endswith(part):
            return name.removesuffix(part)
    return name


def _version(samples: Iterable[Sample]) -> str:
    for sample in samples:
        if (
            sample.name.endswith(("engine_info", "build_info"))
            and "version" in sample.labels
            and not sample.name.startswith("python")
        ):
            return sample.labels["version"]
    return ""


def _model(timeline: Timeline) -> str:
    for name in timeline.names():
        for series in timeline.all(name):
            model = series.labels.get("model", "")
            if model and name.startswith("llm_"):
                return model
    return ""

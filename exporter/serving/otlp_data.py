"""From an exposition to OpenTelemetry's metrics data: gauges, cumulative sums and explicit-bucket histograms.

Imported only when a push is configured: it needs the extra `otlp`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, field
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from catalog.exposition import Parsed, Sample, parse
from catalog.signals import OTEL_NAMES, SIGNALS

__all__ = ["Converter"]

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_SUFFIXES = ("_bucket", "_sum", "_count")
# The catalogue's units in UCUM, which OpenTelemetry wants; what is counted becomes an annotation.
_UNITS: Mapping[str, str] = MappingProxyType({"seconds": "s", "bytes": "By", "ratio": "1", "bool": "1", "1": "1"})

_Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, _Labels]


class _Cumulative(Struct):
    """The parts of one histogram's series as they are found; `buckets` is cumulative count by upper bound."""

    attributes: dict[str, str]
    buckets: dict[float, float] = field(default_factory=dict)
    total: float | None = None
    count: float | None = None


class Converter:
    """Turns one exposition after the other into metrics data.

    It remembers when each cumulative series began, as OpenTelemetry wants a start time that changes with a
    reset: the time at which the series was first seen, or the last push before its value fell. `dropped` counts
    series of the last exposition that have no place in the data model: a counter or histogram that is not
    finite, negative, or whose buckets fall.
    """

    def __init__(self, resource: Mapping[str, str], version: str) -> None:
        self._resource = Resource(resource)
        self._scope = InstrumentationScope("inferwatch", version)
        self._starts: dict[_Key, tuple[int, float]] = {}
        self._last_ns = 0
        self.dropped = 0

    def convert(self, text: bytes, time_unix_ns: int) -> MetricsData:
        """Return the data of an exposition in the text format that was collected at this time."""
        parsed = parse(text)
        known, self._starts, self.dropped = self._starts, {}, 0
        numbers: dict[str, list[Sample]] = {}
        histograms: dict[str, dict[_Labels, _Cumulative]] = {}
        for sample in parsed.samples:
            base = _histogram_of(sample.name, parsed)
            if base:
                _gather(histograms.setdefault(base, {}), sample, sample.name.removeprefix(base))
            else:
                numbers.setdefault(sample.name, []).append(sample)
        metrics = [self._number(name, found, parsed, known, time_unix_ns) for name, found in numbers.items()]
        metrics += [self._histogram(name, found, known, time_unix_ns) for name, found in histograms.items()]
        self._last_ns = time_unix_ns
        scope = ScopeMetrics(self._scope, [metric for metric in metrics if metric.data.data_points], "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _number(
        self, name: str, samples: Iterable[Sample], parsed: Parsed, known: Mapping[_Key, tuple[int, float]], now: int
    ) -> Metric:
        if not _is_counter(name, parsed):
            points = [NumberDataPoint(sample.labels, 0, now, sample.value) for sample in samples]
            return Metric(name, _meaning(name), _unit(name), Gauge(points))
        points = []
        for sample in samples:
            if not (math.isfinite(sample.value) and sample.value >= 0):
                self.dropped += 1
                continue
            start = self._start((name, _key(sample.labels)), sample.value, known, now)
            points.append(NumberDataPoint(sample.labels, start, now, sample.value))
        return Metric(name, _meaning(name), _unit(name), Sum(points, _CUMULATIVE, is_monotonic=True))

    def _histogram(
        self, name: str, series: Mapping[_Labels, _Cumulative], known: Mapping[_Key, tuple[int, float]], now: int
    ) -> Metric:
        points: list[HistogramDataPoint] = []
        for labels, found in series.items():
            counts = _bucket_counts(found)
            if counts is None:
                self.dropped += 1
                continue
            start = self._start((name, labels), float(sum(counts)), known, now)
            points.append(_histogram_point(found, counts, start, now))
        return Metric(OTEL_NAMES.get(name, name), _meaning(name), _unit(name), Histogram(points, _CUMULATIVE))

    def _start(self, key: _Key, value: float, known: Mapping[_Key, tuple[int, float]], now: int) -> int:
        start, before = known.get(key, (now, value))
        if value < before:
            start = self._last_ns
        self._starts[key] = (start, value)
        return start


def _key(labels: Mapping[str, str]) -> _Labels:
    return tuple(sorted(labels.items()))


def _histogram_of(name: str, parsed: Parsed) -> str:
    """The family of a histogram's sample, or nothing."""
    for suffix in _SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and parsed.kinds.get(base) == "histogram":
            return base
    return ""


def _is_counter(name: str, parsed: Parsed) -> bool:
    """A counter, or the sum and count of a summary, for which the data model has no other place."""
    if parsed.kinds.get(name) == "counter":
        return True
    return any(name.endswith(end) and parsed.kinds.get(name.removesuffix(end)) == "summary" for end in _SUFFIXES[1:])


def _gather(series: dict[_Labels, _Cumulative], sample: Sample, suffix: str) -> None:
    attributes = {name: value for name, value in sample.labels.items() if name != "le"}
    found = series.setdefault(_key(attributes), _Cumulative(attributes))
    if suffix == "_sum":
        found.total = sample.value
    elif suffix == "_count":
        found.count = sample.value
    else:
        try:
            bound = float(sample.labels["le"])
        except (KeyError, ValueError):
            bound = math.nan
        found.buckets[bound] = sample.value


def _bucket_counts(found: _Cumulative) -> list[int] | None:
    """Counts of each bucket alone, the last of them above every bound; None if they are no histogram."""
    if math.inf not in found.buckets and found.count is not None:
        found.buckets[math.inf] = found.count
    if math.inf not in found.buckets or any(math.isnan(bound) for bound in found.buckets):
        return None
    cumulative = [found.buckets[bound] for bound in sorted(found.buckets)]
    if not all(math.isfinite(value) for value in cumulative):
        return None
    counts = list(_differences(cumulative))
    return counts if min(counts) >= 0 else None


def _differences(cumulative: Iterable[float]) -> Iterator[int]:
    before = 0.0
    for value in cumulative:
        yield round(value - before)
        before = value


def _histogram_point(found: _Cumulative, counts: list[int], start_ns: int, now_ns: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=found.attributes,
        start_time_unix_nano=start_ns,
        time_unix_nano=now_ns,
        count=sum(counts),
        # Absent where the engine exposes none: the fields are optional in the protocol, though not in the SDK's types.
        sum=found.total,  # type: ignore[arg-type]
        bucket_counts=counts,
        explicit_bounds=sorted(found.buckets)[:-1],
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _unit(name: str) -> str:
    signal = SIGNALS.get(name)
    return _UNITS.get(signal.unit, f"{{{signal.unit}}}") if signal else ""


def _meaning(name: str) -> str:
    signal = SIGNALS.get(name)
    return signal.meaning if signal else ""

"""The shape of an engine's catalogue: which raw series mean which canonical signal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Version = tuple[int, ...]
RawKind = Literal["gauge", "counter", "histogram", "summary", "info"]
Core = Literal["", "V0", "V1"]

_DIGITS = re.compile(r"\d+(?:\.\d+)*")


def parse_version(text: str) -> Version:
    """Return the leading release numbers of a version: "0.8.5.post1" -> (0, 8, 5), "v1.2" -> (1, 2).

    Suffixes (".post1", "rc2", "+cpu", "-dev") are dropped. An unreadable or empty text gives ().
    """
    match = _DIGITS.search(text.strip().lstrip("vV").split("+", 1)[0])
    return tuple(int(part) for part in match.group().split(".")) if match else ()


@dataclass(frozen=True, slots=True)
class SeriesMapping:
    """One raw series and the canonical signal it feeds.

    `series` is the name in the exposition: counters with `_total` where the engine prints it, histograms
    without `_bucket`, `_sum`, `_count`. A counter may also name one part of a histogram
    (`tgi_request_input_length_sum`). `part` feeds only that part of a canonical histogram ("sum" or "count"),
    for engines that keep bare counters. `select` keeps samples with these label values. `labels` renames raw
    labels to canonical ones; `values` renames label values by canonical label, where the key "*" is what any
    other value becomes; `fixed` adds constant labels. Canonical = raw * `scale`; `le` bounds are scaled
    alike. `minimum` drops sentinels below it (a hit rate of -1). `value_labels` reads the value from labels
    instead: alternatives, each a product of numeric labels, the first complete one wins. `factor` marks one
    of several raw series whose product is the signal (blocks * tokens a block). `since` and `until` bound the
    releases that expose it, both inclusive, None for open; a boundary may be a patch release off. They
    inform; only with `needs_version` (the unit differs outside) is the range enforced, and then an unknown
    version drops the series. `core` names vLLM's engine core where only one of the two has the series.
    """

    signal: str
    series: str
    kind: RawKind
    scale: float = 1.0
    part: Literal["", "sum", "count"] = ""
    select: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = None
    value_labels: tuple[tuple[str, ...], ...] = ()
    factor: bool = False
    since: Version | None = None
    until: Version | None = None
    needs_version: bool = False
    core: Core = ""
    note: str = ""

    def holds_for(self, version: Version) -> bool:
        """Tell whether `version` (or () when unknown) exposes this series with this unit."""
        if not version:
            return not self.needs_version
        after = self.since is None or version >= self.since
        return after and (self.until is None or version[: len(self.until)] <= self.until)


@dataclass(frozen=True, slots=True)
class Ignored:
    """Raw series that are knowingly not mapped: a regular expression over the whole base name, and why."""

    pattern: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How an engine is told from metric names alone.

    It is recognised when a name starts with one of `prefixes`, or when at least `needed` of `names` are
    there.
    """

    prefixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    needed: int = 1


@dataclass(frozen=True, slots=True)
class EngineCatalog:
    """Everything known about one engine's metrics.

    `model_label` is the raw label that becomes `model` ("" where there is none); `rank_labels` the raw labels
    that become `rank`, in order of preference. `repeat_labels` are labels over which the same value repeats
    (tensor and pipeline ranks report the same requests): the maximum is taken over them. `aliases` are other
    prefixes under which the same names appear, as (raw prefix, prefix used in `mappings`). `ports` and
    `metrics_path` are the defaults; `opt_in` is the flag that turns the metrics on, "" where they are always
    on. `version_path` answers JSON in which `version_key` is the engine's version; "" where there is none.
    """

    name: str
    title: str
    fingerprint: Fingerprint
    mappings: tuple[SeriesMapping, ...]
    ignored: tuple[Ignored, ...] = ()
    model_label: str = ""
    rank_labels: tuple[str, ...] = ()
    repeat_labels: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = ()
    metrics_path: str = "/metrics"
    opt_in: str = ""
    version_path: str = ""
    version_key: str = "version"
    source: str = ""

    def mappings_of(self, signal: str) -> tuple[SeriesMapping, ...]:
        """Return the mappings that feed `signal`, in catalogue order (newest name first)."""
        return tuple(mapping for mapping in self.mappings if mapping.signal == signal)


GENERIC_SERIES: tuple[Ignored, ...] = (
    Ignored(r"process_.*|python_.*", "Python client library"),
    Ignored(r"go_.*|promhttp_.*", "Go client library"),
    Ignored(r"up|scrape_.*|target_info|ALERTS.*", "Prometheus itself"),
    Ignored(r"http_.*", "HTTP instrumentation of the web framework"),
    Ignored(r"DCGM_.*", "GPU fields, catalogued in catalog.gpu"),
    Ignored(r".*_created", "creation time that client libraries add"),
)
"""Series that any server may expose beside its own."""

PROCESS_MAPPINGS: tuple[SeriesMapping, ...] = (
    SeriesMapping("llm_process_cpu_seconds_total", "process_cpu_seconds_total", "counter"),
    SeriesMapping("llm_process_resident_memory_bytes", "process_resident_memory_bytes", "gauge"),
    SeriesMapping("llm_process_start_time_seconds", "process_start_time_seconds", "gauge"),
)
"""What the Python client library says about the API server process. Absent in multi-process mode."""

"""Scraping an engine without the exporter: relabelings that give its series canonical names as they are scraped.

Relabeling sees a name and labels, never a value, and leads one series to one. So a series is renamed where that is
all there is to do; each that is not is listed with the reason, and keeps its own name. No series is dropped.

Labels that the canonical schema does not know stay: taken away, they could make two series one. A raw label is
taken away only where another has its whole content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.signals import SIGNALS

__all__ = ["DirectScrape", "LeftOut", "Relabeling", "direct_scrape", "pod_monitor"]

_NAME = "__name__"
_FIRST_GROUP = "$1"
_PARTS = ("_bucket", "_sum", "_count")
_CANONICAL_NAMES = "llm_.+"
_SELECTING_LABEL = "inferwatch.dev/direct-scrape"
# Engines count cached prompt tokens once, where the schema knows them as tokens and as look-ups. As tokens, their
# share of all prompt tokens can still be worked out.
_YIELDING = frozenset(SIGNALS[name] for name in ("llm_prefix_cache_hits_total", "llm_prefix_cache_queries_total"))


@dataclass(frozen=True, slots=True)
class Relabeling:
    """One rule of action `replace`, in Prometheus's terms; an empty result takes the label away."""

    source_labels: tuple[str, ...]
    regex: str
    target_label: str
    replacement: str = _FIRST_GROUP

    def for_prometheus(self) -> dict[str, Any]:
        """As an entry of `metric_relabel_configs`."""
        rule: dict[str, Any] = {
            "source_labels": list(self.source_labels),
            "regex": self.regex,
            "target_label": self.target_label,
        }
        # Older operators leave an empty replacement out, so none is ever used: it is the default or a text.
        return rule if self.replacement == _FIRST_GROUP else {**rule, "replacement": self.replacement}

    def for_operator(self) -> dict[str, Any]:
        """As an entry of a PodMonitor's `metricRelabelings`."""
        return {_camel(key): value for key, value in self.for_prometheus().items()}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A raw series that relabeling cannot make this signal, and why."""

    series: str
    signal: str
    reason: str


@dataclass(frozen=True, slots=True)
class DirectScrape:
    """What relabeling can do for an engine: the mappings it carries out, by which rules, and the rest."""

    engine: EngineCatalog
    mappings: tuple[SeriesMapping, ...]
    relabelings: tuple[Relabeling, ...]
    left_out: tuple[LeftOut, ...]


def direct_scrape(engine: EngineCatalog) -> DirectScrape:
    """Work out which of an engine's series relabeling can rename, and the rules."""
    done: list[SeriesMapping] = []
    left_out: list[LeftOut] = []
    for mapping in sorted(engine.mappings, key=_precedence):
        reason = _obstacle(mapping) or _conflict(mapping, done)
        if reason:
            left_out.append(LeftOut(mapping.series, mapping.signal, reason))
        else:
            done.append(mapping)
    done.sort(key=engine.mappings.index)
    rules = chain.from_iterable(_renaming(engine, mapping) for mapping in done)
    return DirectScrape(engine, tuple(done), (*rules, *_identity(engine)), tuple(left_out))


def pod_monitor(direct: DirectScrape) -> dict[str, Any]:
    """Return a PodMonitor for pods with the label `inferwatch.dev/direct-scrape: <engine>`, in any namespace."""
    engine = direct.engine
    ports = "|".join(str(port) for port in engine.ports)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": f"inferwatch-direct-{engine.name.replace('_', '-')}"},
        "spec": {
            "selector": {"matchLabels": {_SELECTING_LABEL: engine.name}},
            "namespaceSelector": {"any": True},
            "podMetricsEndpoints": [
                {
                    "path": engine.metrics_path,
                    "interval": "15s",
                    "relabelings": [
                        {
                            "sourceLabels": ["__meta_kubernetes_pod_container_port_number"],
                            "regex": ports,
                            "action": "keep",
                        },
                        {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
                    ],
                    "metricRelabelings": [rule.for_operator() for rule in direct.relabelings],
                }
            ],
        },
    }


def _precedence(mapping: SeriesMapping) -> tuple[bool, bool]:
    """Sort key; beyond it the catalogue's order holds. A histogram is worth more than one of its parts."""
    return mapping.kind != "histogram", SIGNALS[mapping.signal] in _YIELDING


def _obstacle(mapping: SeriesMapping) -> str:
    """Say what in the mapping itself relabeling cannot do; empty when there is nothing."""
    if mapping.scale != 1.0:
        return f"its unit changes (times {mapping.scale:g}), and relabeling changes no value"
    if mapping.factor:
        return "it is one factor of a product"
    if mapping.value_labels:
        return "its value stands in labels"
    if mapping.minimum is not None:
        return f"values below {mapping.minimum:g} mean that there is none, and relabeling sees no value"
    if mapping.needs_version:
        return "its unit depends on the release"
    if any(raw == canonical and canonical in mapping.values for raw, canonical in mapping.labels.items()):
        return "several values of a label become one, which asks for a sum"
    return ""


def _conflict(mapping: SeriesMapping, done: list[SeriesMapping]) -> str:
    """Say which mapping already carried out stands in the way; empty when none does."""
    for other in done:
        if _share_a_series(mapping, other):
            return f"the same series is {other.signal} already, and relabeling makes no copies"
        if _may_coincide(mapping, other):
            return f"{other.series} may be there beside it, and which one counts is for a merge to say"
    return ""


def _share_a_series(one: SeriesMapping, other: SeriesMapping) -> bool:
    if not _sample_names(one) & _sample_names(other):
        return False
    return all(one.select[label] == other.select[label] for label in one.select.keys() & other.select.keys())


def _sample_names(mapping: SeriesMapping) -> set[str]:
    if mapping.kind == "histogram":
        return {mapping.series + part for part in _PARTS}
    return {mapping.series}


def _may_coincide(one: SeriesMapping, other: SeriesMapping) -> bool:
    """Tell whether samples of both may land on one canonical series."""
    if (one.signal, one.part) != (other.signal, other.part):
        return False
    if _ends_before(one, other) or _ends_before(other, one):
        return False
    values, other_values = _closed_values(one), _closed_values(other)
    return all(values[label] & other_values[label] for label in values.keys() & other_values.keys())


def _ends_before(one: SeriesMapping, other: SeriesMapping) -> bool:
    return one.until is not None and other.since is not None and one.until < other.since


def _closed_values(mapping: SeriesMapping) -> dict[str, set[str]]:
    """The labels of which all values that they can have are known."""
    closed = {label: {value} for label, value in mapping.fixed.items() if label not in mapping.labels.values()}
    for label, renames in mapping.values.items():
        if "*" in renames:
            closed[label] = set(renames.values()) | ({mapping.fixed[label]} if label in mapping.fixed else set())
    return closed


# Rules for one mapping


def _renaming(engine: EngineCatalog, mapping: SeriesMapping) -> Iterator[Relabeling]:
    """The mapping's labels first, while the raw name tells where the series is from; its name last."""
    is_histogram = mapping.kind == "histogram"
    name = _spellings(engine, mapping) + (f"({'|'.join(_PARTS)})" if is_histogram else "")
    sources = (_NAME, *mapping.select)
    series = ";".join([name, *(re.escape(value) for value in mapping.select.values())])
    for label, value in mapping.fixed.items():
        yield Relabeling(sources, series, label, value)
    group = 2 if is_histogram else 1
    for raw, canonical in mapping.labels.items():
        for value, replacement in _label_values(mapping.values.get(canonical), canonical, group):
            is_there_already = raw == canonical and replacement == f"${group}"
            if not is_there_already:
                yield Relabeling((*sources, raw), f"{series};{value}", canonical, replacement)
    signal = f"{mapping.signal}_{mapping.part}" if mapping.part else mapping.signal
    yield Relabeling(sources, series, _NAME, f"{signal}$1" if is_histogram else signal)


def _spellings(engine: EngineCatalog, mapping: SeriesMapping) -> str:
    """The name as a regular expression: its own, and with other prefixes, under which `_total` may be missing."""
    series = mapping.series
    aliases = [(raw, own) for raw, own in engine.aliases if series.startswith(own)]
    if not aliases:
        return series
    rest = series.removeprefix(aliases[0][1])
    if mapping.kind != "histogram" and rest.endswith("_total"):
        others = "|".join(raw for raw, _ in aliases)
        return f"(?:{series}|(?:{others}){rest.removesuffix('_total')}(?:_total)?)"
    return f"(?:{'|'.join([aliases[0][1], *(raw for raw, _ in aliases)])}){rest}"


def _label_values(renames: Mapping[str, str] | None, canonical: str, group: int) -> Iterator[tuple[str, str]]:
    """(regular expression, replacement) in the order of the rules: what holds for any value comes first."""
    yield (".+", renames["*"]) if renames and "*" in renames else ("(.+)", f"${group}")
    for value, renamed in (renames or {}).items():
        if value != "*":
            yield re.escape(value), renamed
    if canonical == "code_class":
        yield "([0-9])[0-9]{2}", f"${{{group}}}xx"


# Rules for every canonical series of the engine


def _identity(engine: EngineCatalog) -> Iterator[Relabeling]:
    """Model, rank and engine. The last rule that matches wins, so the most preferred label comes last."""
    label = engine.model_label
    if label == "model":
        yield Relabeling((_NAME, "model", "model_name"), f"{_CANONICAL_NAMES};;(.+)", "model")
    else:
        yield _copied("model_name", "model")
        if label not in {"", "model_name"}:
            yield _copied(label, "model")
    yield Relabeling((_NAME,), _CANONICAL_NAMES, "rank", "0")
    for rank in reversed(engine.rank_labels):
        yield _copied(rank, "rank")
    yield Relabeling((_NAME,), _CANONICAL_NAMES, "engine", engine.name)
    # What was copied whole: the preferred label of the model, and the rank's where there is one label for it.
    copied = {label or "model_name", *(engine.rank_labels if len(engine.rank_labels) == 1 else ())}
    for whole in sorted(copied - {"model", "engine"}):
        yield Relabeling((_NAME, whole), f"{_CANONICAL_NAMES};.+()", whole)


def _copied(label: str, target: str) -> Relabeling:
    return Relabeling((_NAME, label), f"{_CANONICAL_NAMES};(.+)", target)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)

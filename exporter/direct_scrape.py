"""Scraping an engine without the exporter: relabelings that give its series canonical names as they are scraped.

`catalog.direct_scrape` says which series; each that is not renamed keeps its own name. No series is dropped.

Labels that the canonical schema does not know stay: taken away, they could make two series one. A raw label is
taken away only where another has its whole content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from msgspec import Struct

from catalog.direct_scrape import DirectScrape, direct_scrape, monitor_name
from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.exposition import HISTOGRAM_PARTS

__all__ = ["DirectScrape", "Relabeling", "direct_scrape", "pod_monitor", "relabelings"]

_NAME = "__name__"
_FIRST_GROUP = "$1"
_CANONICAL_NAMES = "llm_.+"
_SELECTING_LABEL = "inferwatch.dev/direct-scrape"


class Relabeling(Struct, frozen=True):
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


def relabelings(direct: DirectScrape) -> tuple[Relabeling, ...]:
    """Return the rules that carry out what relabeling can do for an engine."""
    rules = chain.from_iterable(_renaming(direct.engine, mapping) for mapping in direct.mappings)
    return (*rules, *_identity(direct.engine))


def pod_monitor(direct: DirectScrape) -> dict[str, Any]:
    """Return a PodMonitor for pods with the label `inferwatch.dev/direct-scrape: <engine>`, in any namespace."""
    engine = direct.engine
    ports = "|".join(str(port) for port in engine.ports)
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": monitor_name(engine)},
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
                    "metricRelabelings": [rule.for_operator() for rule in relabelings(direct)],
                }
            ],
        },
    }


# Rules for one mapping


def _renaming(engine: EngineCatalog, mapping: SeriesMapping) -> Iterator[Relabeling]:
    """The mapping's labels first, while the raw name tells where the series is from; its name last."""
    is_histogram = mapping.kind == "histogram"
    name = _spellings(engine, mapping) + (f"({'|'.join(HISTOGRAM_PARTS)})" if is_histogram else "")
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

"""Engines that Prometheus scrapes itself: which series relabeling renames, and why not the others.

Relabeling sees a name and labels, never a value, and leads one series to one. So a series is renamed where that is all
there is to do. The exporter's PodMonitors rename by this, and recording rules make what they leave.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.exposition import HISTOGRAM_PARTS
from catalog.signals import SIGNALS

__all__ = [
    "DirectScrape",
    "LeftOut",
    "closed_values",
    "direct_scrape",
    "may_coincide",
    "monitor_name",
]

# Engines count cached prompt tokens once, where the schema knows them as tokens and as look-ups. As tokens, their
# share of all prompt tokens can still be worked out.
_YIELDING = frozenset(SIGNALS[name] for name in ("llm_prefix_cache_hits_total", "llm_prefix_cache_queries_total"))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A raw series that relabeling cannot make its signal, and why."""

    mapping: SeriesMapping
    reason: str


@dataclass(frozen=True, slots=True)
class DirectScrape:
    """What relabeling does for an engine: the mappings that it carries out, in the catalogue's order, and the rest."""

    engine: EngineCatalog
    mappings: tuple[SeriesMapping, ...]
    left_out: tuple[LeftOut, ...]

    def renamed_by(self, mapping: SeriesMapping, part: str = "") -> SeriesMapping | None:
        """Return the mapping that has renamed this one's raw series; of a histogram, of the part "_count" and so on."""
        samples = {mapping.series + part} if mapping.kind == "histogram" else {mapping.series}
        return next((other for other in self.mappings if _share(samples, mapping, other)), None)


def monitor_name(engine: EngineCatalog) -> str:
    """Return the name of the PodMonitor that scrapes an engine: Prometheus's label `job` is NAMESPACE/NAME."""
    return f"inferwatch-direct-{engine.name.replace('_', '-')}"


def direct_scrape(engine: EngineCatalog) -> DirectScrape:
    """Work out which of an engine's series relabeling can rename."""
    done: list[SeriesMapping] = []
    left_out: list[LeftOut] = []
    for mapping in sorted(engine.mappings, key=_precedence):
        reason = _obstacle(mapping) or _conflict(mapping, done)
        if reason:
            left_out.append(LeftOut(mapping, reason))
        else:
            done.append(mapping)
    done.sort(key=engine.mappings.index)
    return DirectScrape(engine, tuple(done), tuple(left_out))


def may_coincide(one: SeriesMapping, other: SeriesMapping) -> bool:
    """Tell whether samples of both may land on one canonical series."""
    if (one.signal, one.part) != (other.signal, other.part):
        return False
    if _ends_before(one, other) or _ends_before(other, one):
        return False
    values, other_values = closed_values(one), closed_values(other)
    return all(values[label] & other_values[label] for label in values.keys() & other_values.keys())


def closed_values(mapping: SeriesMapping) -> dict[str, set[str]]:
    """Return the canonical labels of which all values that they can have are known, with these."""
    closed = {label: {value} for label, value in mapping.fixed.items() if label not in mapping.labels.values()}
    for label, renames in mapping.values.items():
        if "*" in renames:
            closed[label] = set(renames.values()) | ({mapping.fixed[label]} if label in mapping.fixed else set())
    return closed


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
        if _share(_sample_names(mapping), mapping, other):
            return f"the same series is {other.signal} already, and relabeling makes no copies"
        if may_coincide(mapping, other):
            return f"{other.series} may be there beside it, and which one counts is for a merge to say"
    return ""


def _share(samples: set[str], one: SeriesMapping, other: SeriesMapping) -> bool:
    """Tell whether the other mapping takes any of these samples of one."""
    if not samples & _sample_names(other):
        return False
    return all(one.select[label] == other.select[label] for label in one.select.keys() & other.select.keys())


def _sample_names(mapping: SeriesMapping) -> set[str]:
    if mapping.kind == "histogram":
        return {mapping.series + part for part in HISTOGRAM_PARTS}
    return {mapping.series}


def _ends_before(one: SeriesMapping, other: SeriesMapping) -> bool:
    return one.until is not None and other.since is not None and one.until < other.since

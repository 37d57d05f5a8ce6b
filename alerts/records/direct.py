"""What relabeling leaves of directly scraped engines: units, sums, products, copies, second names, `llm_up`.

The PodMonitors that come with the exporter rename most series as Prometheus scrapes them. These rules read what is
left, of these PodMonitors' jobs only, and record it under the canonical names; they touch nothing that the exporter
gives. What they record carries no label `job`, so that no rule reads what it wrote.

Where an engine shows an amount under two names, the one that relabeling renamed counts, and the other stands in where
it is missing. Two amounts that are both there (the queue of a server, and of the engine in it) count as the larger.

Some things cannot be had: `left_out` lists them. An engine that names no model has none, and none has a version, so
there is no `llm_engine_info`. While an engine is down, its model is the last one seen within six hours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import log10

from alerts.config import Config
from alerts.rule import Group, Record
from catalog.direct_scrape import (
    DirectScrape,
    closed_values,
    direct_scrape,
    may_coincide,
    monitor_name,
)
from catalog.engines import ENGINES
from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.exposition import HISTOGRAM_PARTS
from catalog.recorded.levels import by, labels
from catalog.signals import SIGNALS
from catalog.translate import combine

__all__ = ["NotRecorded", "group", "left_out"]

_PROCESS = ("cluster", "namespace", "pod", "container")
_REPLICA = (*_PROCESS, "node", "model", "rank")
_MATCHED = (*_PROCESS, "model", "rank")
_MODEL_KEPT_FOR = "6h"
_NUMBER = "[0-9]+([.][0-9]+)?"


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """A raw series of a directly scraped engine that no rule can make its signal, and why."""

    engine: str
    series: str
    signal: str
    reason: str


def group(config: Config) -> Group:
    """Return the group that finishes what relabeling began."""
    rules = (rule for engine in ENGINES.values() for rule in _merged(_of_engine(direct_scrape(engine))))
    return Group(name="inferwatch-records-direct", interval=config.interval, rules=tuple(rules))


def left_out() -> tuple[NotRecorded, ...]:
    """Return what neither relabeling nor these rules can do."""
    return tuple(
        NotRecorded(direct.engine.name, mapping.series, mapping.signal, reason)
        for direct in map(direct_scrape, ENGINES.values())
        for mapping in (left.mapping for left in direct.left_out)
        if (reason := _obstacle(direct, mapping))
    )


def _of_engine(direct: DirectScrape) -> Iterator[Record]:
    yield _up(direct)
    products: set[str] = set()
    for mapping in (left.mapping for left in direct.left_out if not _obstacle(direct, left.mapping)):
        if not mapping.factor:
            yield from _Source(direct, mapping).records()
        elif mapping.signal not in products:
            products.add(mapping.signal)
            yield _product(direct, mapping.signal)


def _merged(rules: Iterable[Record]) -> Iterator[Record]:
    """Rules that record the same series as one, in which the first of them holds: two would overwrite each other."""
    alike: dict[tuple[str, tuple[tuple[str, str], ...]], list[Record]] = {}
    for rule in rules:
        alike.setdefault((rule.record, tuple(rule.labels.items())), []).append(rule)
    for first, *others in alike.values():
        yield replace(first, expr="\nor\n".join((first.expr, *(rule.expr for rule in others))))


def _obstacle(direct: DirectScrape, mapping: SeriesMapping) -> str:
    """Say what rules cannot do about a mapping; empty when there is nothing."""
    if mapping.value_labels:
        return "its value stands in labels, and PromQL calculates with values only"
    if mapping.needs_version:
        return "its unit depends on the release, which no label names"
    taken = direct.renamed_by(mapping)
    lost = _lost_labels(direct.engine, taken) & (mapping.labels.keys() | mapping.select.keys()) if taken else set()
    if taken and lost:
        return f"its label {', '.join(sorted(lost))} is gone since the series became {taken.signal}"
    return ""


def _lost_labels(engine: EngineCatalog, taken: SeriesMapping) -> set[str]:
    """Raw labels that relabeling wrote over or took away when it renamed a series."""
    written = {canonical for raw, canonical in taken.labels.items() if raw != canonical or canonical in taken.values}
    return written | set(taken.fixed) | {"engine", "rank", engine.model_label or "model_name"}


# One raw series, wherever it is now


@dataclass(frozen=True, slots=True)
class _Source:
    """A raw series that is left, or that has become another signal and is copied from there."""

    direct: DirectScrape
    mapping: SeriesMapping

    def records(self) -> Iterator[Record]:
        """Yield the rules of each of its parts, and for each value of a label whose values are renamed."""
        mapping = self.mapping
        parts = HISTOGRAM_PARTS if mapping.kind == "histogram" else (f"_{mapping.part}" if mapping.part else "",)
        for part in parts:
            record = mapping.signal + part
            constant = self.constant_labels(part)
            for fixed, matchers in self._values():
                expr = self.value(part, matchers)
                if mapping.scale != 1.0 and (part == "_sum" or not part):
                    expr += f" * {mapping.scale:g}"
                yield Record(record=record, expr=self._beside(expr, record, constant), labels={**constant, **fixed})

    def constant_labels(self, part: str = "") -> dict[str, str]:
        """The labels that are the same on every series of the engine."""
        has_rank = self.direct.engine.rank_labels or self._taken(part)
        return {"engine": self.direct.engine.name, **({} if has_rank else {"rank": "0"})}

    def value(self, part: str = "", matchers: tuple[str, ...] = ()) -> str:
        """The series with canonical labels, put together as their signal is."""
        mapping = self.mapping
        own = () if mapping.values else SIGNALS[mapping.signal].labels
        bound = ("le",) if part == "_bucket" else ()
        constant = {*self.constant_labels(part), *mapping.fixed}
        level = tuple(label for label in (*_REPLICA, *own, *bound) if label not in constant)
        return f"{combine(mapping.signal)} {by(level)} ({self._labelled(part, matchers)})"

    def _taken(self, part: str) -> SeriesMapping | None:
        return self.direct.renamed_by(self.mapping, part)

    def _values(self) -> Iterator[tuple[Mapping[str, str], tuple[str, ...]]]:
        """Constant labels of a rule, and the matchers of the raw series that it is for.

        Of a label whose values are renamed, each new value has a rule of its own: what becomes one is added up.
        """
        mapping = self.mapping
        fixed = {label: value for label, value in mapping.fixed.items() if label not in mapping.values}
        if not mapping.values:
            yield fixed, ()
        for raw, canonical in mapping.labels.items():
            renames = mapping.values.get(canonical, {})
            for target in dict.fromkeys(renames.values()):
                others = [value for value, renamed in renames.items() if renamed != target]
                mine = [value for value, renamed in renames.items() if renamed == target]
                matcher = _one_of(raw, others, negated=True) if "*" in mine else _one_of(raw, mine)
                yield {**fixed, canonical: target}, (matcher,)

    def _labelled(self, part: str, matchers: tuple[str, ...]) -> str:
        """The raw series with its model, rank and own labels under canonical names."""
        mapping, engine = self.mapping, self.direct.engine
        value = " or ".join(self._selectors(part, matchers))
        if mapping.minimum is not None:
            value = f"({value}) >= {mapping.minimum:g}"
        if self._taken(part) is None:
            if engine.model_label != "model":
                for label in dict.fromkeys(("model_name", engine.model_label or "model_name")):
                    value = _copied(value, label, "model")
            if engine.rank_labels:
                value = f'label_replace({value}, "rank", "0", "rank", "")'
            for label in reversed(engine.rank_labels):
                value = _copied(value, label, "rank")
        for raw, canonical in mapping.labels.items():
            if raw != canonical and canonical not in mapping.values:
                # Where the raw label is missing, what the renaming wrote in its place is none of this signal's.
                value = f'label_replace({value}, "{canonical}", "$1", "{raw}", "(.*)")'
        return _with_scaled_bounds(value, mapping.scale) if part == "_bucket" and mapping.scale != 1.0 else value

    def _selectors(self, part: str, matchers: tuple[str, ...]) -> Iterator[str]:
        """What selects the series, under each name that it may have."""
        mapping, direct = self.mapping, self.direct
        matching = [_job(direct.engine), *(_one_of(*item) for item in mapping.select.items()), *matchers]
        taken = self._taken(part)
        if taken is not None:
            if any(other.signal == taken.signal for other in direct.mappings if other is not taken):
                matching += [_one_of(label, sorted(values)) for label, values in closed_values(taken).items()]
            suffix = mapping.series.removeprefix(taken.series) if taken.kind == "histogram" else ""
            name = f"{taken.signal}_{taken.part}" if taken.part else taken.signal + suffix
            yield f"{name}{{{', '.join(matching)}}}"
            return
        if part == "_bucket" and mapping.scale != 1.0:
            matching.append(f'le=~"{_NUMBER}|[+]Inf"')
        for name in _spellings(direct.engine, mapping):
            yield f"{name}{part if mapping.kind == 'histogram' else ''}{{{', '.join(matching)}}}"

    def _beside(self, expr: str, record: str, constant: Mapping[str, str]) -> str:
        """The value where the same amount is not there already; of two amounts in use, what the larger has more."""
        if not any(self._may_be_beside(other) for other in self.direct.mappings):
            return expr
        there = f"{record}{{{_job(self.direct.engine)}}}"
        matched = labels(tuple(label for label in _MATCHED if label not in constant))
        absent = f"{expr}\n  unless on ({matched}) {there}"
        if SIGNALS[self.mapping.signal].kind != "gauge" or combine(self.mapping.signal) != "sum":
            return absent
        more = f"clamp_min({expr}\n    - on ({matched}) group_left () sum by ({matched}) ({there}), 0)"
        return f"{more}\n  or {absent}"

    def _may_be_beside(self, other: SeriesMapping) -> bool:
        """Whether a renamed series may be the same amount. Parts of a histogram are beside a whole one."""
        if other.signal != self.mapping.signal:
            return False
        return may_coincide(self.mapping, other) or (bool(self.mapping.part) and other.kind == "histogram")


def _product(direct: DirectScrape, signal: str) -> Record:
    sources = [_Source(direct, mapping) for mapping in direct.engine.mappings_of(signal) if mapping.factor]
    return Record(
        record=signal,
        expr="\n  * ".join(source.value() for source in sources),
        labels=sources[0].constant_labels(),
    )


# Whether it answers


def _up(direct: DirectScrape) -> Record:
    """Whether Prometheus's last scrape succeeded, with the model if the process has one."""
    engine = direct.engine
    up = f"max {by((*_PROCESS, 'node'))} (up{{{_job(engine)}}})"
    constant = {"engine": engine.name, "rank": "0"}
    named = _named_series(direct)
    if not named:
        return Record(record="llm_up", expr=up, labels=constant)
    models = f"group {by((*_PROCESS, 'model'))} (last_over_time({named}[{_MODEL_KEPT_FOR}]))"
    only = f"({models}\n    and on ({labels(_PROCESS)}) count {by(_PROCESS)} ({models}) < 2)"
    return Record(
        record="llm_up",
        expr=f"{up}\n  * on ({labels(_PROCESS)}) group_left (model) {only}\n  or on ({labels(_PROCESS)}) {up}",
        labels=constant,
    )


def _named_series(direct: DirectScrape) -> str:
    """The engine's first series, if its model is a label: catalogues begin with what is there from the start."""
    if not direct.engine.model_label:
        return ""
    first = direct.mappings[0]
    suffix = "_count" if first.kind == "histogram" else ""
    return f'{first.signal}{suffix}{{{_job(direct.engine)}, model!=""}}'


# PromQL


def _job(engine: EngineCatalog) -> str:
    return f'job=~"(.+/)?{monitor_name(engine)}"'


def _one_of(label: str, values: str | Iterable[str], *, negated: bool = False) -> str:
    """A matcher of a label that has one of these values, or none of them."""
    several = [values] if isinstance(values, str) else list(values)
    if len(several) == 1:
        return f"{label}{'!=' if negated else '='}{_quoted(several[0])}"
    return f"{label}{'!~' if negated else '=~'}{_quoted('|'.join(map(re.escape, several)))}"


def _copied(value: str, raw: str, canonical: str) -> str:
    return f'label_replace({value}, "{canonical}", "$1", "{raw}", "(.+)")'


def _spellings(engine: EngineCatalog, mapping: SeriesMapping) -> Iterator[str]:
    """The name, and the same with other prefixes, under which `_total` may be missing."""
    series = mapping.series
    yield series
    for raw, own in engine.aliases:
        if series.startswith(own):
            name = raw + series.removeprefix(own)
            yield name
            if mapping.kind != "histogram" and name.endswith("_total"):
                yield name.removesuffix("_total")


def _with_scaled_bounds(value: str, scale: float) -> str:
    """Bounds divided by a power of ten, by moving the decimal point: "2000" ms becomes "2.0" s, as engines write it.

    PromQL calculates with values only, but the point of a text can be moved: pad with zeros, set it, strip zeros.
    """
    digits = round(-log10(scale))
    padded = f'label_replace({value}, "le", "{"0" * digits}$1", "le", "({_NUMBER})")'
    moved = f'label_replace({padded}, "le", "$1.$2$4", "le", "0*?(0|[1-9][0-9]*)([0-9]{{{digits}}})([.]([0-9]+))?")'
    return f'label_replace({moved}, "le", "$1", "le", "([0-9]+[.][0-9]+?)0*")'


def _quoted(value: str) -> str:
    """A string as PromQL writes it."""
    return json.dumps(value, ensure_ascii=False)

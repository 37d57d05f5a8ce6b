"""Raw samples of an engine -> canonical samples.

`Translator.translate` looks at one sample and is cheap: what a name means is worked out once. Several raw
samples may land on one canonical series within a scrape, for three reasons, and each merges in its own way:

1. the engine shows one amount under an old and a new name (vLLM 0.9.2 to 0.10.2): max;
2. ranks repeat the same amount (SGLang's `tp_rank`): max;
3. a label that splits an amount is dropped (the HTTP method): `combine(signal)`, which is "sum" for amounts
   and "max" for ratios, limits and facts.

`Translator.translate_all` does all three. A caller that sees the same series again and again works out once
where each leads (`Translator.routes`), then takes `Route.value` of every new value and merges by `merged`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from catalog.engines.base import GENERIC_SERIES, EngineCatalog, Ignored, SeriesMapping, parse_version
from catalog.exposition import Sample, base_name
from catalog.signals import SIGNALS, Combine

Canonical = tuple[str, dict[str, str], float]
_Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, _Labels, float | None]
Part = tuple[str, _Labels]
Account = Literal["mapped", "ignored", "generic", "unknown"]

PLACE_LABELS: tuple[str, ...] = ("node", "namespace", "pod", "container")
"""Labels that say where an engine runs; kept when a raw sample already carries them."""

_PRODUCT: Part = ("", ())
_MODEL_LABELS = ("model_name", "model")


def combine(signal: str) -> Combine:
    """Say how parts of one canonical series merge within a scrape; see the module text.

    `signal` may be a sample name (`..._bucket`). An unknown name merges by "max", which never invents an
    amount.
    """
    known = SIGNALS.get(signal) or SIGNALS.get(base_name(signal))
    return known.combine if known else "max"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do with one raw sample name for one mapping."""

    mapping: SeriesMapping
    index: int
    name: str
    scales_value: bool
    scales_bound: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Where one raw series leads: its canonical series, and how a raw value becomes a canonical one.

    `labels` are the canonical labels, `part` says which amount it is a part of (see `merged`). `constant` is the
    value where labels give it. A route with a `factor` is one of several whose product is the signal.
    """

    name: str
    labels: Mapping[str, str]
    part: Part
    scale: float = 1.0
    minimum: float | None = None
    constant: float | None = None
    factor: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the canonical value is the raw one, always."""
        return self.scale == 1.0 and self.minimum is None and self.constant is None and self.factor is None

    def value(self, raw: float) -> float | None:
        """Return the canonical value (of a factor: this factor's), or None for a sentinel."""
        value = raw if self.constant is None else self.constant
        if self.minimum is not None and not value >= self.minimum:
            return None
        return value * self.scale


class Translator:
    """Translates the samples of one engine server. `version` is the engine's, "" when unknown.

    It keeps the factors of products (blocks, tokens a block) between calls, so use one translator for one
    server.
    """

    def __init__(self, engine: EngineCatalog, version: str = "") -> None:
        self.engine = engine
        self.version = version
        release = parse_version(version)
        self._mappings = [(i, m) for i, m in enumerate(engine.mappings) if m.holds_for(release)]
        self._plans: dict[str, tuple[_Plan, ...]] = {}
        self._factors: dict[tuple[str, _Labels], dict[int, float]] = {}
        self._factor_count: dict[str, int] = {}
        for _, mapping in self._mappings:
            if mapping.factor:
                self._factor_count[mapping.signal] = self._factor_count.get(mapping.signal, 0) + 1

    def translate(self, name: str, labels: Mapping[str, str], value: float) -> list[Canonical]:
        """Return the canonical samples that one raw sample feeds; empty for a series that is not mapped."""
        return [(route.name, dict(route.labels), fed) for route, fed in self._fed(name, labels, value)]

    def _fed(self, name: str, labels: Mapping[str, str], value: float) -> Iterator[tuple[Route, float]]:
        for plan in self._plans_of(name):
            route = self._route(plan, name, labels)
            if route is None:
                continue
            canonical = route.value(value)
            if canonical is not None and route.factor is not None:
                canonical = self.product(route, canonical)
            if canonical is not None:
                yield route, canonical

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return where a raw series leads, whatever its value; empty for a series that is not mapped."""
        found = (self._route(plan, name, labels) for plan in self._plans_of(name))
        return tuple(route for route in found if route is not None)

    def product(self, route: Route, value: float) -> float | None:
        """Keep one factor of a product; return the product, or None while other factors are unknown."""
        known = self._factors.setdefault((route.name, tuple(route.labels.items())), {})
        known[route.factor or 0] = value
        return math.prod(known.values()) if len(known) == self._factor_count[route.name] else None

    def translate_all(self, samples: Iterable[Sample]) -> list[Sample]:
        """Translate and merge the samples of a scrape, or of many: only samples of equal timestamp merge."""
        first: dict[_Key, tuple[Sample, Part]] = {}
        clashes: dict[_Key, dict[Part, float]] = {}
        for raw in samples:
            for route, value in self._fed(raw.name, raw.labels, raw.value):
                labels = dict(route.labels)
                key = (route.name, tuple(labels.items()), raw.timestamp)
                if key not in first:
                    first[key] = (Sample(route.name, labels, value, raw.timestamp), route.part)
                    continue
                earlier, part = first[key]
                gather(clashes.setdefault(key, {part: earlier.value}), route, value)
        return [
            sample._replace(value=merged(sample.name, clashes[key])) if key in clashes else sample
            for key, (sample, _) in first.items()
        ]

    def account(self, name: str) -> Account:
        """Say what becomes of a raw sample name: "unknown" is a gap in the catalogue."""
        name = self._unaliased(name)
        if any(mapping.series in (name, base_name(name)) for mapping in self.engine.mappings):
            return "mapped"
        if _matches(self.engine.ignored, name):
            return "ignored"
        return "generic" if _matches(GENERIC_SERIES, name) else "unknown"

    def _unaliased(self, name: str) -> str:
        """Undo another prefix (`ray_vllm_`), under which counters may also lack `_total`."""
        for raw, own in self.engine.aliases:
            if name.startswith(raw):
                plain = own + name.removeprefix(raw)
                known = {mapping.series for mapping in self.engine.mappings}
                return plain if plain in known or plain + "_total" not in known else plain + "_total"
        return name

    def _plans_of(self, name: str) -> tuple[_Plan, ...]:
        plans = self._plans.get(name)
        if plans is None:
            plans = self._plans[name] = self._plans_for(name)
        return plans

    def _plans_for(self, name: str) -> tuple[_Plan, ...]:
        name = self._unaliased(name)
        base = base_name(name)
        plans = []
        for index, mapping in self._mappings:
            if mapping.kind == "histogram" and base != name and mapping.series == base:
                suffix = name.removeprefix(base)
                scaled = mapping.scale != 1.0
                plans.append(
                    _Plan(
                        mapping,
                        index,
                        mapping.signal + suffix,
                        scaled and suffix == "_sum",
                        scaled and suffix == "_bucket",
                    )
                )
            elif mapping.kind != "histogram" and mapping.series == name:
                target = f"{mapping.signal}_{mapping.part}" if mapping.part else mapping.signal
                plans.append(_Plan(mapping, index, target, mapping.scale != 1.0, scales_bound=False))
        return tuple(plans)

    def _route(self, plan: _Plan, raw_name: str, labels: Mapping[str, str]) -> Route | None:
        mapping = plan.mapping
        if mapping.select and any(labels.get(key) != wanted for key, wanted in mapping.select.items()):
            return None
        constant = None
        if mapping.value_labels:
            constant = _from_labels(mapping.value_labels, labels)
            if constant is None:
                return None
        return Route(
            plan.name,
            self._labels(plan, labels),
            _PRODUCT if mapping.factor else self._part(raw_name, labels),
            mapping.scale if plan.scales_value else 1.0,
            mapping.minimum,
            constant,
            plan.index if mapping.factor else None,
        )

    def _labels(self, plan: _Plan, labels: Mapping[str, str]) -> dict[str, str]:
        mapping, engine = plan.mapping, self.engine
        out = {"engine": engine.name}
        model = labels.get(engine.model_label) or _first(labels, _MODEL_LABELS, "")
        if model:
            out["model"] = model
        out["rank"] = _first(labels, engine.rank_labels, "0")
        for place in PLACE_LABELS:
            if place in labels:
                out[place] = labels[place]
        out.update(mapping.fixed)
        for raw, canonical in mapping.labels.items():
            found = labels.get(raw)
            if found is not None:
                out[canonical] = _renamed(canonical, found, mapping.values.get(canonical))
        bound = labels.get("le")
        if bound is not None:
            out["le"] = _scaled_bound(bound, mapping.scale) if plan.scales_bound else bound
        return out

    def _part(self, name: str, labels: Mapping[str, str]) -> Part:
        """Identify what a raw sample is a part of: its series without the labels over which values repeat."""
        repeats = self.engine.repeat_labels
        return name, tuple(pair for pair in labels.items() if pair[0] not in repeats)


def gather(parts: dict[Part, float], route: Route, value: float) -> None:
    """Put a value among the parts of its series: of equal parts the maximum stays, of products the latest.

    A product that was worked out before all of its factors were seen has factors of the scrape before.
    """
    known = parts.get(route.part)
    parts[route.part] = value if known is None or route.factor is not None else max(value, known)


def merged(name: str, parts: Mapping[Part, float]) -> float:
    """Put the parts of each raw name together as `combine` says, then take the maximum over renames.

    `parts` are the values that landed on one canonical series, by `Route.part` (see `gather`).
    """
    together: Callable[[Iterable[float]], float] = max if combine(name) == "max" else math.fsum
    by_name: dict[str, list[float]] = {}
    for (raw_name, _), value in parts.items():
        by_name.setdefault(raw_name, []).append(value)
    return max(together(values) for values in by_name.values())


def _first(labels: Mapping[str, str], names: Iterable[str], default: str) -> str:
    for name in names:
        value = labels.get(name)
        if value:
            return value
    return default


def _renamed(canonical: str, value: str, renames: Mapping[str, str] | None) -> str:
    if canonical == "code_class" and len(value) == 3 and value.isdigit():
        return value[0] + "xx"
    if renames is None:
        return value
    return renames.get(value) or renames.get("*") or value


def _scaled_bound(bound: str, scale: float) -> str:
    """Scale an `le`: "100" ms -> "0.1" s. Rounded to 12 digits, so that no binary noise makes a new bound."""
    try:
        number = float(bound)
    except ValueError:
        return bound
    return "+Inf" if math.isinf(number) else repr(float(f"{number * scale:.12g}"))


def _from_labels(alternatives: tuple[tuple[str, ...], ...], labels: Mapping[str, str]) -> float | None:
    """Return the product of the first alternative whose labels are all numbers ("None" is not)."""
    for names in alternatives:
        try:
            return math.prod(float(labels[name]) for name in names)
        except (KeyError, ValueError):
            continue
    return None


def _matches(ignored: tuple[Ignored, ...], name: str) -> bool:
    base = base_name(name)
    return any(re.fullmatch(entry.pattern, name) or re.fullmatch(entry.pattern, base) for entry in ignored)

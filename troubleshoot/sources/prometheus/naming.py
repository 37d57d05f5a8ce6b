"""How a store names the signals: canonical series, an engine's own, or both; and PromQL over them.

Which of them it has is asked once (`probe`); every expression after that names only series that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from catalog.engines import ENGINES, recognise_all
from catalog.engines.base import EngineCatalog, SeriesMapping
from catalog.signals import SIGNALS
from troubleshoot.sources.prometheus.api import PrometheusApi
from troubleshoot.sources.prometheus.selector import Matcher, Matchers, any_of, for_engine, text

UP = "up"
PLACE: tuple[str, ...] = ("cluster", "namespace", "exported_namespace", "pod", "exported_pod")
"""Labels that name a pod. Prometheus prefixes a series' own label with `exported_` where its target has one too."""
TARGET: tuple[str, ...] = ("cluster", "node", "instance", "engine", "model")
"""Labels that name an engine by canonical series where no pod does."""
RAW_TARGET: tuple[str, ...] = ("cluster", "instance")
"""The same for an engine's own series. vLLM's label `engine` is a rank of one server."""

_GAUGES = ("llm_requests_running", "llm_requests_waiting", "llm_kv_cache_usage_ratio")
_COUNTERS = ("llm_generation_tokens_total", "llm_preemptions_total")
_HISTOGRAMS = ("llm_time_to_first_token_seconds", "llm_request_prompt_tokens")
_ANCHORS = (*_GAUGES, "llm_generation_tokens_total", "llm_requests_total", "llm_up")
"""Signals one of which every engine shows."""

Part = Literal["", "_sum", "_count", "_bucket"]


@dataclass(frozen=True, slots=True)
class _Series:
    """One raw or canonical series that feeds a signal: its name, how it is chosen and scaled."""

    name: str
    matchers: Matchers
    scale: float = 1.0


@dataclass(frozen=True)
class Naming:
    """What a store has of a selection. `engines` is empty where it has canonical series alone.

    `names` are the series' names that the probe saw. `place` are the labels by which replicas are told apart.
    """

    selection: Matchers
    names: frozenset[str] = frozenset()
    engines: tuple[EngineCatalog, ...] = ()
    canonical: bool = False
    place: tuple[str, ...] = TARGET
    _cache: dict[tuple[str, str], tuple[_Series, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def found(self) -> bool:
        """Whether any engine's series matches."""
        return self.canonical or bool(self.engines)

    def anchor(self, extra: Matchers = ()) -> list[str]:
        """Selectors that together give at least one series of each engine."""
        return list(dict.fromkeys(one for signal in _ANCHORS for one in self.selectors(signal, extra=extra)))

    def selectors(self, signal: str, part: Part = "", extra: Matchers = ()) -> list[str]:
        """The vector selectors that feed a signal; empty where the store has none."""
        return [text((*one.matchers, *extra), one.name) for one in self._series(signal, part)]

    def expression(
        self, signal: str, wrap: str, part: Part = "", extra: Matchers = (), by: str = "", outer: str = "sum"
    ) -> str:
        """`wrap` (with `%s` for a selector) over a signal, aggregated by `by`; renames and engines joined with `or`.

        Empty where the store has no series of the signal.
        """
        parts = [
            f"{outer} by ({by}) ({wrap % text((*one.matchers, *extra), one.name)})"
            + (f" * {one.scale!r}" if one.scale != 1.0 else "")
            for one in self._series(signal, part)
        ]
        return f"({' or '.join(parts)})" if parts else ""

    def matchers_of(self, engine: EngineCatalog | None) -> Matchers:
        """The selection as an engine's own series bear it; of canonical ones for None."""
        return self.selection if engine is None else for_engine(self.selection, engine) or ()

    def _series(self, signal: str, part: Part) -> tuple[_Series, ...]:
        key = (signal, part)
        if key not in self._cache:
            self._cache[key] = tuple(self._find(signal, part))
        return self._cache[key]

    def _find(self, signal: str, part: Part) -> Iterable[_Series]:
        # Canonical series stand for the engine's own, from which they were made: never both.
        if self.canonical and signal + part in self.names:
            yield _Series(signal + part, self.selection)
            return
        for engine in self.engines:
            seen = False
            for name, mapping in _raw_names(engine, signal, part):
                # Of two names for one amount (a rename) both are there for a release or two: the first is taken.
                if name in self.names and not (seen and mapping.kind == "gauge"):
                    seen = True
                    chosen = tuple(Matcher(label, "=", value) for label, value in mapping.select.items())
                    yield _Series(
                        name, (*self.matchers_of(engine), *chosen), 1.0 if part == "_count" else mapping.scale
                    )


def probe(api: PrometheusApi, selection: Matchers, at_seconds: float, window_seconds: float) -> Naming:
    """Ask which of the known names the selection has, in one query an engine at most. Raises `InputError`."""
    groups: dict[Matchers, set[str]] = {selection: _canonical_names()}
    for engine in ENGINES.values():
        matchers = for_engine(selection, engine)
        if matchers is not None:
            groups.setdefault(matchers, set()).update(_names_of(engine))
    counts: dict[str, float] = {}
    for matchers, names in groups.items():
        seen = f"last_over_time({text((any_of(names), *matchers))}[{window_seconds:.0f}s])"
        for row in api.query(f"count by (__name__) ({seen})", at_seconds):
            counts[row.labels.get("__name__", "")] = row.value
    canonical = bool(counts.keys() & _canonical_names())
    # Triton shows its backend's series too: a name that two engines have does not tell which of them it is.
    named = tuple(engine for engine in ENGINES.values() if counts.keys() & _names_of(engine))
    engines = recognise_all(counts) or named
    naming = Naming(selection, frozenset(counts), () if canonical else engines, canonical)
    with_pods: set[str] = set()
    for one in naming.anchor()[:1]:
        pods = f"count by ({', '.join(PLACE[2:])}) (last_over_time({one}[{window_seconds:.0f}s]))"
        # One row tells: `topk` keeps the answer small whatever the fleet's size.
        with_pods |= {label for row in api.query(f"topk(1, {pods})", at_seconds) for label in row.labels}
    has_pods = bool(with_pods & {"pod", "exported_pod"})
    place = PLACE if has_pods else TARGET if canonical else RAW_TARGET
    return Naming(selection, naming.names, naming.engines, canonical, place)


def _canonical_names() -> set[str]:
    found = {name for name in (*_GAUGES, *_COUNTERS, "llm_requests_total", "llm_up") if name in SIGNALS}
    return found | {f"{name}{part}" for name in _HISTOGRAMS for part in ("_sum", "_count")}


def _names_of(engine: EngineCatalog) -> set[str]:
    """The raw names of an engine that feed the signals which are looked at first."""
    found = set()
    for signal in dict.fromkeys((*_GAUGES, *_COUNTERS, *_ANCHORS)):
        found |= {name for name, _ in _raw_names(engine, signal, "")}
    for signal in _HISTOGRAMS:
        for part in ("_sum", "_count"):
            found |= {name for name, _ in _raw_names(engine, signal, part)}
    return found


def _raw_names(engine: EngineCatalog, signal: str, part: str) -> list[tuple[str, SeriesMapping]]:
    """Names under which an engine shows a signal (of a histogram: a part of it), newest first, other prefixes last."""
    own = []
    for mapping in engine.mappings_of(signal):
        if mapping.value_labels or mapping.factor:
            continue
        if mapping.kind == "histogram":
            own.append((mapping.series + part, mapping))
        elif f"_{mapping.part}" == (part or "_"):
            own.append((mapping.series, mapping))
    prefixed = [
        (raw + spelled, mapping)
        for raw, prefix in engine.aliases
        for name, mapping in own
        if name.startswith(prefix)
        for spelled in {name.removeprefix(prefix), name.removeprefix(prefix).removesuffix("_total")}
    ]
    return own + prefixed


def every_name(engine: EngineCatalog) -> set[str]:
    """All names under which an engine's mapped series may stand in a store, parts of histograms included."""
    found = set(engine.fingerprint.names)
    for mapping in engine.mappings:
        parts = ("_bucket", "_sum", "_count") if mapping.kind in {"histogram", "summary"} else ("",)
        found |= {mapping.series + part for part in parts}
    for raw, prefix in engine.aliases:
        for name in [name for name in found if name.startswith(prefix)]:
            spelled = raw + name.removeprefix(prefix)
            found |= {spelled, spelled.removesuffix("_total")}
    return found


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels of a replica to read: `NAMESPACE/POD`, or the target's address and what else tells it apart."""
    namespace = labels.get("exported_namespace") or labels.get("namespace", "")
    pod = labels.get("exported_pod") or labels.get("pod", "")
    if pod:
        return f"{namespace}/{pod}" if namespace else pod
    return " ".join(labels[name] for name in ("instance", "node", "engine", "model") if labels.get(name)) or "all"

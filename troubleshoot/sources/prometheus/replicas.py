"""Which of a selection's replicas to look at: a few aggregated queries find the worst, a typical one, those down.

No query here answers with more than a handful of series, however many replicas there are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from troubleshoot.sources.prometheus.api import PrometheusApi
from troubleshoot.sources.prometheus.naming import UP, Naming, labels_text
from troubleshoot.sources.prometheus.selector import Matcher, Matchers, equal_to, of_place, text

WORST = 3
"""How many of the worst replicas are looked at, and of each measure considered."""

_DOWN_NAMED = 3
_TYPICAL = 0.5
_Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Measure:
    """What replicas are compared by. A difference below `floor` is none; `low_is_bad` for rates."""

    name: str
    expression: str
    floor: float
    low_is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica: the labels that name it, its measures by name, and how far it stands from the typical one."""

    labels: Mapping[str, str]
    measures: Mapping[str, float] = field(default_factory=dict)
    distance: float = 0.0
    is_down: bool = False
    is_typical: bool = False

    @property
    def name(self) -> str:
        """Its name in a report."""
        return labels_text(self.labels)

    @property
    def matchers(self) -> Matchers:
        """Which series are its own."""
        return equal_to(self.labels)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All replicas: their number, how many are down, the medians, and those chosen to be looked at, worst first."""

    total: int
    down: int = 0
    medians: Mapping[str, float] = field(default_factory=dict)
    chosen: tuple[Replica, ...] = ()


def survey(api: PrometheusApi, naming: Naming, at_seconds: float, window_seconds: float) -> Fleet:
    """Count the replicas of the window that ends at a time and choose which to look at. Raises `InputError`."""
    place = ", ".join(naming.place)
    window = f"{window_seconds:.0f}s"
    present = " or ".join(f"count by ({place}) (last_over_time({one}[{window}]))" for one in naming.anchor())
    if not present:
        return Fleet(0)
    total = int(api.value(f"count({present})", at_seconds) or 0)
    if total <= 1:
        rows = api.query(f"topk(1, {present})", at_seconds)
        return Fleet(total, chosen=tuple(Replica(row.labels) for row in rows))
    down_expression = _down(naming, present, place)
    down_rows = api.query(f"topk({_DOWN_NAMED}, {down_expression})", at_seconds)
    down = int(api.value(f"count({down_expression})", at_seconds) or 0)
    measures = _measures(naming, place, window)
    candidates: dict[_Key, Mapping[str, str]] = {_key(row.labels): row.labels for row in down_rows}
    for one in measures:
        pick = "bottomk" if one.low_is_bad else "topk"
        found = api.query(f"{pick}({WORST}, {one.expression})", at_seconds)
        candidates |= {_key(row.labels): row.labels for row in found}
    typical = _typical(api, measures, at_seconds)
    candidates |= {_key(row): row for row in typical}
    candidates |= {_key(row.labels): row.labels for row in api.query(f"topk({WORST}, {present})", at_seconds)}
    medians = {
        one.name: value
        for one in measures
        if (value := api.value(f"quantile({_TYPICAL}, {one.expression})", at_seconds)) is not None
        and math.isfinite(value)
    }
    values = _values(api, naming, list(candidates.values()), window, at_seconds)
    replicas = [
        Replica(
            labels,
            values.get(key, {}),
            _distance(values.get(key, {}), medians, measures),
            key in {_key(row.labels) for row in down_rows},
            key in {_key(row) for row in typical},
        )
        for key, labels in candidates.items()
    ]
    return Fleet(total, down, medians, _chosen(replicas))


def _chosen(replicas: Sequence[Replica]) -> tuple[Replica, ...]:
    """One that is down, the worst of the others by distance, and the typical one behind them."""
    ordered = sorted(replicas, key=lambda one: (-one.distance, one.name))
    down = [one for one in ordered if one.is_down][:1]
    others = [one for one in ordered if one not in down and not one.is_typical]
    worst = [*down, *others][:WORST]
    return (*worst, *[one for one in ordered if one.is_typical and one not in worst][:1])


def _measures(naming: Naming, place: str, window: str, extra: Matchers = ()) -> list[_Measure]:
    """What this store can be asked. A tenth of the window in trouble is enough to be seen."""
    high = f"quantile_over_time(0.9, %s[{window}])"
    grown = f"increase(%s[{window}])"
    ttft = "llm_time_to_first_token_seconds"
    total = naming.expression(ttft, grown, "_sum", extra, place)
    count = naming.expression(ttft, grown, "_count", extra, place)
    rate = naming.expression("llm_generation_tokens_total", f"rate(%s[{window}])", "", extra, place)
    running = naming.expression("llm_requests_running", f"avg_over_time(%s[{window}])", "", extra, place)
    found = [
        _Measure("requests_waiting", naming.expression("llm_requests_waiting", high, "", extra, place), 1.0),
        _Measure(
            "kv_cache_usage_ratio", naming.expression("llm_kv_cache_usage_ratio", high, "", extra, place, "max"), 0.1
        ),
        _Measure("ttft_mean_seconds", f"{total} / ({count} > 0)" if total and count else "", 0.1),
        _Measure(
            "tokens_per_second_per_sequence",
            f"{rate} / ({running} > 0)" if rate and running else "",
            5.0,
            low_is_bad=True,
        ),
    ]
    return [one for one in found if one.expression]


def _down(naming: Naming, present: str, place: str) -> str:
    """Replicas that were there in the window and do not answer at its end: `up` is 0, or their series ended."""
    now = " or ".join(f"count by ({place}) ({one})" for one in naming.anchor() if not one.startswith("llm_up{"))
    gone = f"(({present}) unless ({now}))" if now else ""
    if naming.canonical:
        silent = naming.expression("llm_up", "%s", by=place, outer="max") if naming.selectors("llm_up") else ""
        silent = f"({silent} == 0)" if silent else ""
    else:
        silent = f"((max by ({place}) ({text(of_place(naming.selection), UP)}) == 0) and ({present}))"
    return f"({' or '.join(part for part in (silent, gone) if part)})"


def _typical(api: PrometheusApi, measures: Sequence[_Measure], at_seconds: float) -> list[Mapping[str, str]]:
    """The replica that stands nearest to the median of the first measure in which replicas differ."""
    for name in ("ttft_mean_seconds", "kv_cache_usage_ratio", "requests_waiting"):
        for one in measures:
            if one.name == name:
                median = f"scalar(quantile({_TYPICAL}, {one.expression}))"
                rows = api.query(f"bottomk(1, abs({one.expression} - {median}))", at_seconds)
                if rows:
                    return [rows[0].labels]
    return []


def _values(
    api: PrometheusApi, naming: Naming, candidates: Sequence[Mapping[str, str]], window: str, at_seconds: float
) -> dict[_Key, dict[str, float]]:
    """Every measure of the candidates alone."""
    distinct = next(
        (
            name
            for name in ("exported_pod", "pod", "instance", "node", "model")
            if name in naming.place and all(labels.get(name) for labels in candidates)
        ),
        None,
    )
    extra: Matchers = ()
    if distinct:
        extra = (Matcher(distinct, "=~", "|".join(sorted({re.escape(labels[distinct]) for labels in candidates}))),)
    wanted = {_key(labels) for labels in candidates}
    found: dict[_Key, dict[str, float]] = {}
    for one in _measures(naming, ", ".join(naming.place), window, extra):
        for row in api.query(one.expression, at_seconds) if distinct else ():
            if _key(row.labels) in wanted and math.isfinite(row.value):
                found.setdefault(_key(row.labels), {})[one.name] = row.value
    return found


def _distance(values: Mapping[str, float], medians: Mapping[str, float], measures: Sequence[_Measure]) -> float:
    """How many doublings a replica is worse than the typical one, added up over the measures."""
    total = 0.0
    for one in measures:
        if one.name in values and one.name in medians:
            mine, typical = values[one.name] + one.floor, medians[one.name] + one.floor
            doublings = math.log2(typical / mine if one.low_is_bad else mine / typical)
            total += max(doublings, 0.0)
    return total


def _key(labels: Mapping[str, str]) -> _Key:
    return tuple(sorted(labels.items()))

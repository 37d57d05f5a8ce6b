"""The same measures before the incident: right before it, a day and a week before, and when each left its level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from catalog import kubernetes
from troubleshoot.changes import Shift, differs, falls, in_order, rises, shift
from troubleshoot.findings import Change
from troubleshoot.metrics.timeline import Point, Window
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.prometheus.api import PrometheusApi
from troubleshoot.sources.prometheus.naming import Naming
from troubleshoot.sources.prometheus.selector import Matchers, equal_to, text

_POINTS = 60
"""Points a window; one and the same before it."""
_EARLIER = (("day_before", "1 day before", 86_400.0), ("week_before", "1 week before", 604_800.0))
_VERSION_SIGNAL = "llm_engine_info"


@dataclass(frozen=True, slots=True)
class _Watched:
    """A measure to follow. `key` is its name in `numbers`; a change by less than `floor` is none.

    `bad` is the direction in which it is a symptom: its change then dates the incident.
    """

    what: str
    key: str
    unit: str
    signal: str
    kind: Literal["sum", "max", "rate", "mean"]
    floor: float
    bad: Literal["up", "down", ""] = ""


_WATCHED = (
    _Watched("requests waiting", "requests_waiting", "", "llm_requests_waiting", "sum", 1.0, "up"),
    _Watched("requests running", "requests_running", "", "llm_requests_running", "sum", 2.0),
    _Watched("KV cache use", "kv_cache_usage_ratio", "ratio", "llm_kv_cache_usage_ratio", "max", 0.1, "up"),
    _Watched("TTFT mean", "ttft_mean_seconds", "seconds", "llm_time_to_first_token_seconds", "mean", 0.1, "up"),
    _Watched("preemptions", "preemptions_per_second", "per_second", "llm_preemptions_total", "rate", 0.1, "up"),
    _Watched(
        "generated tokens", "generation_tokens_per_second", "per_second", "llm_generation_tokens_total", "rate", 10.0
    ),
    _Watched("finished requests", "requests_per_second", "per_second", "llm_requests_total", "rate", 0.2),
    _Watched("prompt length", "prompt_tokens_mean", "tokens", "llm_request_prompt_tokens", "mean", 50.0),
)


@dataclass(frozen=True)
class Baseline:
    """What changed, the earliest first; `since` is when the first symptom began, None where none is dated.

    `numbers` are the earlier levels by name with their unit. `notes` say what could not be compared.
    """

    changes: tuple[Change, ...] = ()
    since: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def compare(api: PrometheusApi, naming: Naming, own: Matchers, window: Window, interval_seconds: float) -> Baseline:
    """Compare a window of one replica with the same length before it, and all replicas with a day and a week before.

    `interval_seconds` is how often it is scraped. A query that fails is said in the notes, not raised.
    """
    changes: list[Change] = []
    numbers: dict[str, float] = {}
    notes: list[str] = []
    symptoms: list[float] = []
    try:
        for watched in _WATCHED:
            points = _course(api, naming, own, watched, window, interval_seconds)
            earlier = [value for at, value in points if at < window[0]]
            if earlier:
                numbers[f"{watched.key}_before"] = sum(earlier) / len(earlier)
            found = shift(points, window, watched.floor)
            if found:
                changes.append(Change(watched.what, found.before, found.after, watched.unit, found.since))
                numbers[f"{watched.key}_before"] = found.before
                symptoms += [found.since] if _is_symptom(watched, found) else []
        restarts = _restarts(api, naming, own, window, interval_seconds)
        symptoms += [one.since for one in restarts if one.since is not None]
        changes += restarts + _versions(api, naming, own, window, interval_seconds)
        for key, against, seconds in _EARLIER:
            changes += _earlier(api, naming, window, seconds, key, against, numbers)
    except InputError as error:
        notes.append(f"the comparison with before is not whole: {error.problem}")
    if not numbers and not notes:
        notes.append("no series before this window: there is nothing to compare with")
    since = min(symptoms, default=None)
    numbers |= {} if since is None else {"first_symptom_unix_seconds": since}
    return Baseline(in_order(changes), since, numbers, tuple(notes))


def _is_symptom(watched: _Watched, found: Shift) -> bool:
    return watched.bad == ("up" if found.after > found.before else "down")


def _step(window: Window, interval_seconds: float) -> float:
    return float(math.ceil(max((window[1] - window[0]) / _POINTS, interval_seconds, 1.0)))


def _over_time(api: PrometheusApi, expression: str, window: Window, step: float) -> list[Point]:
    """An expression over the window and the same length before it."""
    if not expression:
        return []
    span = 2 * (window[1] - window[0])
    rows = api.query(f"({expression})[{span:.0f}s:{step:.0f}s]", window[1])
    return [point for point in rows[0].points if math.isfinite(point[1])] if rows else []


def _course(
    api: PrometheusApi, naming: Naming, own: Matchers, watched: _Watched, window: Window, interval_seconds: float
) -> list[Point]:
    step = _step(window, interval_seconds)
    look_back = f"{max(2 * step, 4 * interval_seconds):.0f}s"
    return _over_time(api, _expression(naming, watched, look_back, step, own), window, step)


def _expression(naming: Naming, watched: _Watched, look_back: str, step: float, own: Matchers, by: str = "") -> str:
    """A measure as PromQL: a gauge's mean over a step, a rate, or sum over count of a histogram."""
    if watched.kind in {"sum", "max"}:
        return naming.expression(watched.signal, f"avg_over_time(%s[{step:.0f}s])", "", own, by, watched.kind)
    if watched.kind == "rate":
        return naming.expression(watched.signal, f"rate(%s[{look_back}])", "", own, by)
    total = naming.expression(watched.signal, f"increase(%s[{look_back}])", "_sum", own, by)
    count = naming.expression(watched.signal, f"increase(%s[{look_back}])", "_count", own, by)
    return f"{total} / ({count} > 0)" if total and count else ""


def _restarts(
    api: PrometheusApi, naming: Naming, own: Matchers, window: Window, interval_seconds: float
) -> list[Change]:
    """Restarts by the engine's own counters and by Kubernetes, with why the container last ended."""
    step = _step(window, interval_seconds)
    found = []
    tokens = naming.expression("llm_generation_tokens_total", "%s", "", own)
    times = falls(_over_time(api, tokens, window, step))
    if times:
        found.append(Change("engine restarts", 0.0, float(len(times)), "", times[0]))
    pod = {one.label.removeprefix("exported_"): one.value for one in own}
    if "pod" in pod:
        place = equal_to({name: pod[name] for name in ("namespace", "pod") if name in pod})
        counted = f"sum({text(place, kubernetes.CONTAINER_RESTARTS.name)})"
        times = rises(_over_time(api, counted, window, step))
        if times:
            why = api.query(f"{text(place, kubernetes.LAST_TERMINATED_REASON.name)} == 1", window[1])
            reasons = sorted({row.labels.get("reason", "") for row in why} - {""})
            named = f"container restarts ({', '.join(reasons)})" if reasons else "container restarts"
            found.append(Change(named, 0.0, float(len(times)), "", times[0]))
    return found


def _versions(
    api: PrometheusApi, naming: Naming, own: Matchers, window: Window, interval_seconds: float
) -> list[Change]:
    """The engine's version, where it changed meanwhile."""
    if not naming.canonical:
        return []
    span = 2 * (window[1] - window[0])
    counted = f"(count by (version) ({text((*naming.selection, *own), _VERSION_SIGNAL)}))"
    rows = api.query(f"{counted}[{span:.0f}s:{_step(window, interval_seconds):.0f}s]", window[1])
    seen = [(row.points[0][0], row.labels.get("version", "")) for row in rows]
    seen.sort()
    if len(seen) < 2:
        return []
    return [Change("version", seen[0][1], seen[-1][1], "", seen[-1][0])]


def _earlier(
    api: PrometheusApi,
    naming: Naming,
    window: Window,
    seconds: float,
    key: str,
    against: str,
    numbers: dict[str, float],
) -> list[Change]:
    """The means of all replicas in the window against those in the same window earlier; pods have other names then."""
    length = window[1] - window[0]
    place = ", ".join(naming.place)
    found = []
    for watched in _WATCHED:
        by = "" if watched.kind == "mean" else place
        expression = _expression(naming, watched, f"{length:.0f}s", length, (), by)
        if not expression:
            continue
        before = api.value(f"avg({expression})", window[1] - seconds)
        if before is None or not math.isfinite(before):
            continue
        numbers[f"{watched.key}_{key}"] = before
        after = api.value(f"avg({expression})", window[1])
        if after is not None and math.isfinite(after) and differs(before, after, watched.floor):
            found.append(Change(watched.what, before, after, watched.unit, None, against))
    return found

"""An alert as Prometheus keeps it: since when it holds, and which labels say where.

While an alert is pending or firing, Prometheus writes `ALERTS_FOR_STATE`, whose value is the time from which its
expression has held. Rulers that do not (an older vmalert) still write `ALERTS`, whose samples begin then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from troubleshoot.sources.errors import InputError
from troubleshoot.sources.prometheus.api import PrometheusApi, Row
from troubleshoot.sources.prometheus.selector import Matcher, Matchers, equal_to, text

_LABELS_KEPT = (
    "cluster",
    "namespace",
    "exported_namespace",
    "pod",
    "exported_pod",
    "container",
    "node",
    "instance",
    "job",
    "service",
    "engine",
    "model",
    "model_name",
)
"""Labels of an alert that its series have too. Others, as `severity`, are the rule's own."""

_INSTANCES_READ = 50
_LOOK_BACK = "1d"
_LOOK_BACK_SECONDS = 86_400.0
_STEP_SECONDS = 60.0
_NAMED = 5


class AlertStart(NamedTuple):
    """Since when an alert holds (unix seconds), and the series that it speaks of. `note` says what was chosen."""

    since: float
    selection: Matchers
    note: str = ""


def find_alert(api: PrometheusApi, name: str, selection: Matchers, at_seconds: float) -> AlertStart:
    """The alert's instance that has held longest at a time, else the one that began last in the day before it.

    `selection` narrows its instances, as far as they have its labels: many alerts are about a model as a whole. Raises
    `InputError` where there is none.
    """
    named = (Matcher("alertname", "=", name),)
    for alert in dict.fromkeys(((*named, *selection), named)):
        found = _find(api, name, alert, selection, at_seconds)
        if found:
            return found
    raise _unknown(api, name, at_seconds)


def _find(api: PrometheusApi, name: str, alert: Matchers, selection: Matchers, at_seconds: float) -> AlertStart | None:
    """The alert among the series that `alert` matches, without those that the selection excludes."""

    def ask(expression: str) -> list[Row]:
        rows = api.query(expression, at_seconds)
        return [row for row in rows if _belongs(row, selection)]

    state = text(alert, "ALERTS_FOR_STATE")
    rows = ask(f"bottomk({_INSTANCES_READ}, {state})")
    if rows:
        return _start(name, api.name, selection, rows, min(row.value for row in rows))
    rows = ask(f"topk({_INSTANCES_READ}, last_over_time({state}[{_LOOK_BACK}]))")
    if rows:
        newest = max(row.value for row in rows)
        ended = _start(name, api.name, selection, [row for row in rows if row.value == newest], newest)
        return ended._replace(note="; ".join(filter(None, (ended.note, "the alert has ended"))))
    rows = ask(f"topk({_INSTANCES_READ}, last_over_time({text(alert, 'ALERTS')}[{_LOOK_BACK}]))")
    return _start(name, api.name, selection, rows, _last_run(api, rows[0], at_seconds)) if rows else None


def _belongs(row: Row, selection: Matchers) -> bool:
    return all(one.label not in row.labels or one.holds(row.labels[one.label]) for one in selection)


def _start(name: str, store: str, selection: Matchers, rows: Sequence[Row], since: float) -> AlertStart:
    """The labels that all instances share. Where they differ, the replicas are compared with each other."""
    shared = {
        label: rows[0].labels[label]
        for label in _LABELS_KEPT
        if rows[0].labels.get(label) and all(row.labels.get(label) == rows[0].labels[label] for row in rows)
    }
    found = (*selection, *(one for one in equal_to(shared) if one.label not in {given.label for given in selection}))
    if not found:
        problem = f"the alert {name} has no label that says which engine it is about"
        raise InputError(store, problem, "give --selector too")
    more = "or more " if len(rows) == _INSTANCES_READ else ""
    note = f"{len(rows)} {more}alerts {name}: the first is taken for the start" if len(rows) > 1 else ""
    return AlertStart(since, found, note)


def _last_run(api: PrometheusApi, row: Row, at_seconds: float) -> float:
    """When the newest unbroken run of an alert's samples began."""
    labels = {label: value for label, value in row.labels.items() if label != "__name__"}
    times = f"timestamp({text(equal_to(labels), 'ALERTS')})[{_LOOK_BACK}:{_STEP_SECONDS:.0f}s]"
    points = [point for found in api.query(times, at_seconds) for point in found.points]
    since = points[-1][1] if points else at_seconds - _LOOK_BACK_SECONDS
    for (_, earlier), (at, _) in zip(reversed(points[:-1]), reversed(points[1:]), strict=True):
        if at - earlier > 6 * _STEP_SECONDS:
            break
        since = earlier
    return since


def _unknown(api: PrometheusApi, name: str, at_seconds: float) -> InputError:
    seen = f"topk({_NAMED}, count by (alertname) (last_over_time(ALERTS[{_LOOK_BACK}])))"
    names = sorted({row.labels.get("alertname", "") for row in api.query(seen, at_seconds)} - {"", name})
    advice = f"there were {', '.join(names)}" if names else "check that the rules are evaluated here, or give --at TIME"
    return InputError(api.name, f"no alert {name} in the day before", advice)

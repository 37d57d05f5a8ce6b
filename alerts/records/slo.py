"""Service level indicators.

Events and bad events are counted from the engines over five minutes. Longer windows are means of those, which is the
same ratio and reads one series a model where a rate over three days would read every bucket of every replica.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from alerts.config import Config, Slos
from alerts.durations import seconds
from alerts.objectives import bound, matchers, narrower, selector
from alerts.rule import Group, Record
from alerts.slo import SLO_SIGNALS, Objective, SloName
from catalog.engines import ENGINES
from catalog.recorded.levels import MODEL, by, labels
from catalog.recorded.slo import BURN_WINDOWS, WINDOWS, burn_rate, error_ratio, events

__all__ = ["group"]

_SLOS: tuple[SloName, ...] = get_args(SloName)
_SHORTEST = WINDOWS[0]
_FINE_UP_TO = "2h"
_PROCESS = ("cluster", "namespace", "pod", "container", "rank")
# Engines whose rejections are among their failed requests already.
_REJECTED_IS_AN_ERROR = tuple(
    name
    for name, engine in ENGINES.items()
    if {mapping.series for mapping in engine.mappings_of("llm_requests_total")}
    & {mapping.series for mapping in engine.mappings_of("llm_requests_rejected_total")}
)


def group(config: Config) -> Group:
    """Return the group of indicators, budgets and burn rates."""
    rules = [rule for slo in _SLOS for rule in _of_slo(slo, config.slos)]
    rules += [rule for window in WINDOWS[1:] for rule in _of_window(window)]
    rules += [
        Record(record=error_ratio(window), expr=f"{events(window, bad=True)} / ({events(window)} > 0)")
        for window in WINDOWS
    ]
    rules += _budget(config)
    return Group(name="inferwatch-records-slo", interval=config.interval, rules=tuple(rules))


def _of_slo(slo: SloName, slos: Slos) -> Iterator[Record]:
    """Events, bad events, budget and threshold of an SLO: one rule each, whatever the number of objectives.

    Each objective holds for the models that no narrower one holds for, so the parts of a rule never overlap.
    """
    objectives = [objective for objective in (*slos.objectives, *slos.default) if objective.slo == slo]
    if not objectives:
        return
    counted = [_Availability(one) if slo == "availability" else _Latency(one) for one in objectives]
    rules = {
        events(_SHORTEST): [one.events() for one in counted],
        events(_SHORTEST, bad=True): [one.bad() for one in counted],
        "model:llm_slo_error_budget:ratio": [f"{_events_of(one)} * 0 + {one.budget:f}" for one in objectives],
        "model:llm_slo_threshold:seconds": [
            f"{_events_of(one)} * 0 + {one.seconds:g}" for one in objectives if one.seconds is not None
        ],
    }
    # A rule reads what rules before it recorded: failed requests are part of the events, late ones of their bad ones.
    if slo == "availability":
        rules = {events(_SHORTEST, bad=True): rules.pop(events(_SHORTEST, bad=True)), **rules}
    for name, parts in rules.items():
        if parts:
            narrowed = (
                _without(part, narrower(one, objectives), counted[0].carrier)
                for part, one in zip(parts, objectives, strict=True)
            )
            yield Record(record=name, labels={"slo": slo}, expr="\nor\n".join(narrowed))


def _events_of(objective: Objective) -> str:
    return selector(events(_SHORTEST), f'slo="{objective.slo}"', *matchers(objective))


class _Latency:
    """Requests over a bucket bound. A replica without that bound counts as nothing, rather than as good."""

    def __init__(self, objective: Objective) -> None:
        limit = objective.seconds
        assert limit is not None, "checked when the configuration was read"  # noqa: S101
        self.carrier = f"{SLO_SIGNALS[objective.slo]}_count"
        buckets, mine = f"{SLO_SIGNALS[objective.slo]}_bucket", matchers(objective)
        self._all = selector(buckets, 'le="+Inf"', *mine)
        self._good = selector(buckets, bound(limit), *mine)

    def events(self) -> str:
        return f"sum {by(MODEL)} (rate({self._all}[{_SHORTEST}])\n  and ignoring (le) {self._good})"

    def bad(self) -> str:
        return f"clamp_min({self.events()}\n  - sum {by(MODEL)} (rate({self._good}[{_SHORTEST}])), 0)"


class _Availability:
    """Requests that failed: ended in an error, were turned away, or answered with 5xx, whichever shows more.

    A failed request may be counted by the engine, by its HTTP server, or by both, so the two are not added up. Aborted
    requests are neither good nor bad: their client left.
    """

    carrier = "llm_requests_total"

    def __init__(self, objective: Objective) -> None:
        self._matchers = matchers(objective)

    def events(self) -> str:
        served, bad = self._served(), events(_SHORTEST, bad=True)
        recorded = selector(bad, 'slo="availability"', *self._matchers)
        failed = f"sum {by(MODEL)} ({recorded})"
        return f"{served}\n  + {failed}\n  or {failed}"

    def bad(self) -> str:
        engine, server = self._failed_by_engine(), self._failed_by_server()
        return f"({engine} >= {server})\n  or {server}\n  or {engine}\n  or {self._served()} * 0"

    def _served(self) -> str:
        served = selector("llm_requests_total", 'reason=~"stop|length|other"', *self._matchers)
        return f"sum {by(MODEL)} (rate({served}[{_SHORTEST}]))"

    def _failed_by_engine(self) -> str:
        errors = selector("llm_requests_total", 'reason="error"', *self._matchers)
        elsewhere = f'engine!~"{"|".join(_REJECTED_IS_AN_ERROR)}"'
        rejected = selector("llm_requests_rejected_total", elsewhere, *self._matchers)
        return f"sum {by(MODEL)} (rate({errors}[{_SHORTEST}]) or rate({rejected}[{_SHORTEST}]))"

    def _failed_by_server(self) -> str:
        """HTTP series name no model: the process's own name of it is joined to them, where there is one.

        Processes outside of pods may all be alike in their labels, and then none of them can be told.
        """
        rate = f'rate(llm_http_requests_total{{code_class="5xx"}}[{_SHORTEST}])'
        process = f"on ({labels(_PROCESS)})"
        level = by((*_PROCESS, "model"))
        up = selector("llm_up", 'model!=""', *self._matchers)
        named = f"group {level} ({up})"
        only = f'({named}\n    and {process} count {by(_PROCESS)} (group {level} (llm_up{{model!=""}})) < 2)'
        return f"sum {by(MODEL)} ({rate}\n  * {process} group_left (model) {only})"


def _of_window(window: str) -> Iterator[Record]:
    """The mean over a window in which a time without a sample counts as one without events.

    A mean over what samples there are would let a minute of traffic stand for an hour of it.
    """
    step = "1m" if seconds(window) <= seconds(_FINE_UP_TO) else _SHORTEST
    for bad in (False, True):
        name = events(_SHORTEST, bad=bad)
        samples = seconds(window) // seconds(step)
        yield Record(record=events(window, bad=bad), expr=f"sum_over_time({name}[{window}:{step}]) / {samples}")


def _budget(config: Config) -> list[Record]:
    period, budget = config.slos.period, "model:llm_slo_error_budget:ratio"
    spent = (
        f"sum_over_time({events('1h', bad=True)}[{period}:1h])\n  / (sum_over_time({events('1h')}[{period}:1h]) > 0)"
    )
    return [
        *(Record(record=burn_rate(window), expr=f"{error_ratio(window)} / {budget}") for window in BURN_WINDOWS),
        Record(record="model:llm_slo_error_budget_remaining:ratio", expr=f"1 - ({spent})\n  / {budget}"),
    ]


def _without(expr: str, narrower: tuple[Objective, ...], carrier: str) -> str:
    if not narrower:
        return expr
    taken = "\n    or ".join(selector(carrier, *matchers(other)) for other in narrower)
    return f"({expr})\n  unless on ({labels(MODEL)}) ({taken})"

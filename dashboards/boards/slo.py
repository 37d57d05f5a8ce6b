"""SLO: burn rates, budgets, and the requests that burnt them."""

from __future__ import annotations

from catalog import boards
from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import MODEL, REPLICA, by
from catalog.recorded.slo import WINDOWS, error_ratio, events
from dashboards.board import Board, Row
from dashboards.colours import BAD, GOOD, WARN, colours
from dashboards.links import from_row, from_series
from dashboards.panels import BarGauge, BoardPanel, Column, Label, Stat, Table, TimeSeries, steps_from
from dashboards.promql import rate, sum_rate
from dashboards.query import line
from dashboards.rows.firing import firing_row
from dashboards.rows.latency import phases_row
from dashboards.rows.requests import endings_row
from dashboards.scope import MODELS

__all__ = ["board"]

_SELECT = MODELS.select
_LEVEL = (*MODEL, "slo")
_LEGEND = "{{slo}} {{cluster}} {{namespace}} {{engine}} {{model}}"
_TITLES = {"slo": "Objective", "cluster": "Cluster", "namespace": "Namespace", "engine": "Engine", "model": "Model"}
_BUDGET = "model:llm_slo_error_budget:ratio"
_LEFT = "model:llm_slo_error_budget_remaining:ratio"
_SLOS = {
    "availability": "Availability",
    "time_to_first_token": "Time to first token",
    "time_per_output_token": "Time per output token",
}
_LEFT_STEPS = steps_from((0, WARN), (0.25, GOOD), base=BAD)
# The workbook's factors for 30 days: a month's budget in a month, in five days, in two.
_BURN_STEPS = steps_from((1, WARN), (6, WARN), (14.4, BAD))


def board() -> Board:
    """Return the board."""
    return Board(
        identity=boards.SLO,
        description="Objectives of models: how much error budget is left, how fast it burns, and on which requests.",
        variables=("cluster", "namespace", "engine", "model"),
        since="now-6h",
        rows=(
            Row("Budgets", (_left(), _left_course(), _attained(), _objectives())),
            Row("Burn rates", tuple(_burn(slo, title) for slo, title in _SLOS.items())),
            Row("Bad requests", (_bad(), _bad_share(), _events())),
            firing_row(MODELS.select),
            Row("Which replicas", (_slow_replicas(), _failing_replicas())),
            endings_row(MODELS),
            phases_row(MODELS),
        ),
    )


def _left() -> BoardPanel:
    return BarGauge(
        title="Error budget left",
        what="Share of the period's error budget that is left: 100 % whole, below 0 overdrawn.",
        good="Above 25 % until the period's end.",
        act="Overdrawn: stop risky changes until it has recovered.",
        targets=[line(_SELECT(_LEFT), _LEGEND)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=_LEFT_STEPS,
        leads=(from_series(boards.MODEL, MODEL),),
    )


def _left_course() -> BoardPanel:
    return TimeSeries(
        title="Error budget left, over time",
        what="The same over time: it falls while requests are bad and recovers as bad hours leave the period.",
        good="Level, or rising.",
        act="A step down is an incident: zoom in on it and look at the marks.",
        targets=[line(_SELECT(_LEFT), _LEGEND)],
        unit="percentunit",
        maximum=1,
        colours=colours(*_SLOS),
    )


def _attained() -> BoardPanel:
    return Stat(
        title="Attained, last day",
        what="Share of requests that met each objective in the last day.",
        good="At or above the target.",
        act="The burn rates tell whether it is still going on.",
        targets=[line(f"1 - {_SELECT(error_ratio('1d'))}", _LEGEND)],
        unit="percentunit",
        decimals=2,
        text="value_and_name",
        columns=8,
        lines=8,
    )


def _objectives() -> BoardPanel:
    keep = by(_LEVEL)
    lead = from_row(boards.MODEL, {label: title for label, title in _TITLES.items() if label != "slo"})

    def burning(window: str) -> str:
        return f"sum {keep} ({_SELECT(error_ratio(window))} / ({_SELECT(_BUDGET)} > 0))"

    return Table(
        title="Objectives",
        what="Each objective: its target, what an event must not pass, what is left, how fast it burns.",
        good="Burn rates below 1.",
        act="A burn rate above 14.4 in the last hour pages; above 6 in six hours too.",
        labels=tuple(Label(name, title, (lead,) if name == "model" else ()) for name, title in _TITLES.items()),
        values=(
            Column(title="Target", expr=f"1 - sum {keep} ({_SELECT(_BUDGET)})", unit="percentunit", decimals=2),
            Column(title="Threshold", expr=f"sum {keep} ({_SELECT('model:llm_slo_threshold:seconds')})", unit="s"),
            Column(title="Budget left", expr=f"sum {keep} ({_SELECT(_LEFT)})", unit="percentunit", steps=_LEFT_STEPS),
            *(Column(title=f"Burn {one}", expr=burning(one), unit="suffix:x", steps=_BURN_STEPS) for one in WINDOWS),
        ),
        sort="Burn 1h",
    )


def _burn(slo: str, title: str) -> BoardPanel:
    only = f'slo="{slo}"'
    budget = _SELECT(_BUDGET, only)
    return TimeSeries(
        title=f"Burn rate: {title.lower()}",
        what="How fast the error budget burns, by window: 1 spends it exactly within its period.",
        good="All windows below 1.",
        act="Short windows alone: it has just begun, or is over. Short and long ones: it goes on; act now.",
        targets=[
            line(
                f"{_SELECT(error_ratio(window), only)} / ({budget} > 0)",
                f"{window} {{{{cluster}}}} {{{{namespace}}}} {{{{engine}}}} {{{{model}}}}",
            )
            for window in WINDOWS
        ],
        unit="suffix:x",
        minimum=0,
        steps=_BURN_STEPS,
    )


def _bad() -> BoardPanel:
    return TimeSeries(
        title="Bad requests per second",
        what="Requests that broke an objective: failed, or too slow.",
        good="Near zero.",
        act="Which objective it is says where to look: errors, queue and prefill, or decode.",
        targets=[line(_SELECT(events("5m", bad=True)), _LEGEND)],
        unit="reqps",
        minimum=0,
        colours=colours(*_SLOS),
    )


def _bad_share() -> BoardPanel:
    return TimeSeries(
        title="Share of bad requests",
        what="Bad requests of those that count, over five minutes; dashed: the share that the objective allows.",
        good="Below the dashed line.",
        act="Above it for longer than a burst, the budget burns.",
        targets=[line(_SELECT(error_ratio("5m")), _LEGEND), line(_SELECT(_BUDGET), f"limit {_LEGEND}")],
        unit="percentunit",
        minimum=0,
        colours=colours(*_SLOS, "limit"),
    )


def _events() -> BoardPanel:
    return TimeSeries(
        title="Requests that count",
        what="Requests that count for each objective. Aborted ones do not count for availability: their client left.",
        good="Enough for a share to mean something: a hundred in a window.",
        act="With few requests wait for more before you act on a burn rate.",
        targets=[line(_SELECT(events("5m")), _LEGEND)],
        unit="reqps",
        minimum=0,
        colours=colours(*_SLOS),
    )


def _slow_replicas() -> BoardPanel:
    return TimeSeries(
        title="Time to first token, p95, by replica",
        what="p95 of each replica, with the objective's threshold.",
        good="Replicas near each other, below the dashed line.",
        act="One above its peers: its GPU, its node or its queue. All: capacity.",
        targets=[
            line(
                _SELECT(quantile_of("llm_time_to_first_token_seconds", "p95", "replica")),
                "{{cluster}} {{pod}} {{rank}} {{model}}",
            ),
            line(
                _SELECT("model:llm_slo_threshold:seconds", 'slo="time_to_first_token"'),
                "target {{cluster}} {{namespace}} {{engine}} {{model}}",
            ),
        ],
        unit="s",
        minimum=0,
        colours=colours("target"),
        leads=(from_series(boards.REPLICA, (*MODEL, "pod")),),
        columns=12,
    )


def _failing_replicas() -> BoardPanel:
    server = MODELS.serving(rate(MODELS.process("llm_http_requests_total", 'code_class="5xx"')))
    level = tuple(label for label in REPLICA if label != "model")
    return TimeSeries(
        title="Errors by replica",
        what="Requests that ended in an error, and answers with 5xx. An engine may count a failure in both.",
        good="None.",
        act="One replica: its log. All: what they share, a model's files, a storage, a change.",
        targets=[
            line(
                sum_rate(_SELECT("llm_requests_total", 'reason="error"'), REPLICA),
                "error {{cluster}} {{pod}} {{rank}} {{model}}",
            ),
            line(f"sum {by(level)} ({server})", "5xx {{cluster}} {{pod}} {{rank}}"),
        ],
        unit="reqps",
        minimum=0,
        leads=(from_series(boards.REPLICA, (*(one for one in MODEL if one != "model"), "pod")),),
        columns=12,
    )

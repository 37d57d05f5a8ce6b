"""Fleet: every model and engine at a glance."""

from __future__ import annotations

from catalog import boards
from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import MODEL, by
from dashboards.board import Board, Row
from dashboards.colours import BAD, GOOD, WARN
from dashboards.links import from_row, from_series
from dashboards.metrics import FIRING_ALERTS, OUR_ALERTS
from dashboards.panels import BarGauge, Column, Label, Stat, Table, TimeSeries, steps_from
from dashboards.promql import Selector
from dashboards.query import line
from dashboards.rows.capacity import SATURATION_STEPS, saturation_panel
from dashboards.rows.firing import firing_row
from dashboards.rows.first import first_row
from dashboards.scope import FLEET

__all__ = ["board"]

_SELECT, _KEEP, _LEGEND = FLEET.select, by(MODEL), FLEET.legend
_TO_MODEL, _TO_SLO = from_series(boards.MODEL, MODEL), from_series(boards.SLO, MODEL)
_TO_COST = from_series(boards.COST, MODEL)
_TITLES = {"cluster": "Cluster", "namespace": "Namespace", "engine": "Engine", "model": "Model"}
_BUDGET = steps_from((0, WARN), (0.25, GOOD), base=BAD)


def board() -> Board:
    """Return the board."""
    return Board(
        identity=boards.FLEET,
        description="Every model and engine: objectives, demand, saturation, cost, and which alerts are firing.",
        variables=("cluster", "namespace", "engine"),
        rows=(
            first_row(FLEET, _TO_MODEL, every_quantile=False),
            Row("Right now", tuple(_numbers())),
            Row("Models", (_models(),)),
            firing_row(Selector(("cluster", "namespace"))),
            Row("Objectives", (_budgets(), _bad_share())),
            Row("Demand and saturation", (saturation_panel(FLEET), _waiting(), _replicas())),
            Row("GPUs and cost", (_gpu_activity(), _cost(), _idle())),
        ),
    )


def _numbers() -> tuple[Stat, ...]:
    up, known = _SELECT("model:llm_replicas_up:count"), _SELECT("model:llm_replicas:count")
    where = Selector(("cluster",))
    return (
        Stat(
            title="Models",
            what="Models that are served, each namespace and engine on its own.",
            good="As many as are meant to be.",
            act="A missing one has no replica at all; look at its deployment.",
            targets=[line(f"count({up} > 0)", "models")],
            unit="short",
        ),
        Stat(
            title="Replicas down",
            what="Engine processes that are known and do not answer.",
            good="0.",
            act="Open the model, then the replica; `inferwatch diagnose --log` names the cause of a crash.",
            targets=[line(f"sum({known}) - sum({up})", "down")],
            unit="short",
            steps=steps_from((1, BAD)),
        ),
        Stat(
            title="Firing alerts",
            what="Alerts of engines, GPUs and the monitoring that are firing.",
            good="0.",
            act="See the table below; each alert links to its runbook.",
            targets=[
                line(f"count({Selector(('cluster', 'namespace'))(FIRING_ALERTS, OUR_ALERTS)}) or vector(0)", "firing")
            ],
            unit="short",
            steps=steps_from((1, BAD)),
        ),
        Stat(
            title="Requests waiting",
            what="Requests that wait to be scheduled, all models together.",
            good="Near 0.",
            act="The table shows whose; saturation below tells whether the cache or the batch is full.",
            targets=[line(f"sum({_SELECT('model:llm_requests_waiting:sum')})", "waiting")],
            unit="short",
        ),
        Stat(
            title="GPUs missing",
            what="GPUs that the exporters saw before and that do not answer now.",
            good="0.",
            act="Open the GPU board: XIDs tell why; drain the node.",
            targets=[
                line(
                    f"sum({where('inferwatch_exporter_gpus_expected')}) - sum({where('inferwatch_exporter_gpus_visible')})",
                    "missing",
                )
            ],
            unit="short",
            steps=steps_from((1, BAD)),
        ),
        Stat(
            title="Price of idle GPUs",
            what="Dollars an hour of GPUs that do nothing.",
            good="A small part of the bill.",
            act="Open the cost board; scale down, or move small models together.",
            targets=[line(f"sum({where('cluster:inferwatch_idle_cost:dollars_per_hour')})", "idle")],
            unit="currencyUSD",
            decimals=2,
        ),
    )


def _models() -> Table:
    lead = from_row(boards.MODEL, _TITLES)

    def summed(series: str, *fixed: str) -> str:
        return f"sum {_KEEP} ({_SELECT(series, *fixed)})"

    budget = "model:llm_slo_error_budget_remaining:ratio"
    return Table(
        title="Models",
        what="Each model as a service, with its figures at the end of the time range.",
        good="All replicas up, budget left, nothing waiting.",
        act="Click the model for its own board.",
        labels=tuple(Label(name, title, (lead,) if name == "model" else ()) for name, title in _TITLES.items()),
        values=(
            Column(title="Known", expr=summed("model:llm_replicas:count"), unit="short"),
            Column(
                title="Up",
                expr=summed("model:llm_replicas_up:count"),
                unit="short",
                steps=steps_from((1, GOOD), base=BAD),
            ),
            Column(title="Requests", expr=summed("model:llm_requests:rate5m"), unit="reqps"),
            Column(title="TTFT p95", expr=summed(quantile_of("llm_time_to_first_token_seconds", "p95")), unit="s"),
            Column(title="Generated", expr=summed("model:llm_generation_tokens:rate5m"), unit="count:tok/s"),
            Column(title="Waiting", expr=summed("model:llm_requests_waiting:sum"), unit="short"),
            Column(
                title="Saturation",
                expr=summed("model:llm_saturation:ratio"),
                unit="percentunit",
                steps=SATURATION_STEPS,
                bar=True,
            ),
            Column(
                title="Availability budget",
                expr=summed(budget, 'slo="availability"'),
                unit="percentunit",
                steps=_BUDGET,
            ),
            Column(
                title="TTFT budget", expr=summed(budget, 'slo="time_to_first_token"'), unit="percentunit", steps=_BUDGET
            ),
            Column(
                title="Dollars a million tokens",
                expr=summed("model:llm_cost_dollars_per_million_tokens"),
                unit="currencyUSD",
                decimals=2,
            ),
        ),
        sort="Waiting",
    )


def _budgets() -> BarGauge:
    legend = "{{slo}} {{cluster}} {{namespace}} {{engine}} {{model}}"
    return BarGauge(
        title="Error budget left",
        what="Share of the period's error budget that is left: 100 % whole, below 0 overdrawn.",
        good="Above 25 % until the period's end.",
        act="Open the SLO board: which window burns, and which requests.",
        targets=[line(_SELECT("model:llm_slo_error_budget_remaining:ratio"), legend)],
        unit="percentunit",
        minimum=0,
        maximum=1,
        steps=_BUDGET,
        leads=(_TO_SLO,),
        columns=12,
    )


def _bad_share() -> TimeSeries:
    return TimeSeries(
        title="Burn rate, last hour",
        what="How fast the error budget burns: 1 spends it exactly within its period.",
        good="Below 1.",
        act="Above 14 the budget of a month is gone in two days: open the SLO board.",
        targets=[
            line(
                _SELECT("model:llm_slo_burn_rate:ratio_rate1h"),
                "{{slo}} {{cluster}} {{namespace}} {{engine}} {{model}}",
            )
        ],
        unit="suffix:x",
        minimum=0,
        steps=steps_from((1, WARN), (14.4, BAD)),
        leads=(_TO_SLO,),
        columns=12,
    )


def _waiting() -> TimeSeries:
    return TimeSeries(
        title="Waiting requests per replica",
        what="Queue length, divided by the replicas that answer.",
        good="Near zero; a burst's queue shrinks within minutes.",
        act="A queue that grows for a quarter of an hour asks for replicas.",
        targets=[line(_SELECT("model:llm_requests_waiting:per_replica"), _LEGEND)],
        unit="short",
        minimum=0,
        leads=(_TO_MODEL,),
    )


def _replicas() -> TimeSeries:
    return TimeSeries(
        title="Replicas that answer",
        what="Engine processes whose metrics endpoint answered.",
        good="As many as the autoscaler asks for.",
        act="A step down without a deployment is a crash; see restarts and OOM kills among the marks.",
        targets=[line(_SELECT("model:llm_replicas_up:count"), _LEGEND)],
        unit="short",
        decimals=0,
        minimum=0,
        leads=(_TO_MODEL,),
    )


def _gpu_activity() -> TimeSeries:
    field = Selector(("cluster",)).field
    names = {
        "busy": "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "tensor": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "memory": "DCGM_FI_PROF_DRAM_ACTIVE",
    }
    return TimeSeries(
        title="GPU activity, mean of the cluster",
        what="Time with any work, cycles with a busy tensor pipe, and memory bandwidth used, the mean over all GPUs.",
        good="Memory bandwidth above a third while decoding, tensor pipes above a third in prefills.",
        act="Busy without either is small batches: one serial client keeps a GPU busy all the time.",
        targets=[line(f"avg by (cluster) ({field(name)})", f"{word} {{{{cluster}}}}") for word, name in names.items()],
        unit="percentunit",
        minimum=0,
        maximum=1,
        leads=(from_series(boards.GPU, ("cluster",)),),
    )


def _cost() -> TimeSeries:
    return TimeSeries(
        title="Price of the GPUs held",
        what="Dollars an hour of the GPUs that a model's replicas hold.",
        good="Follows demand.",
        act="Steady through the night: let an autoscaler take replicas away.",
        targets=[line(_SELECT("model:llm_cost:dollars_per_hour"), _LEGEND)],
        unit="currencyUSD",
        minimum=0,
        stacked=True,
        leads=(_TO_COST,),
    )


def _idle() -> TimeSeries:
    return TimeSeries(
        title="Price of idle GPUs",
        what="Dollars an hour of GPUs that do nothing, held or not.",
        good="Spare capacity that somebody has decided on.",
        act="Open the cost board for the GPUs.",
        targets=[line(Selector(("cluster",))("cluster:inferwatch_idle_cost:dollars_per_hour"), "{{cluster}} idle")],
        unit="currencyUSD",
        minimum=0,
    )

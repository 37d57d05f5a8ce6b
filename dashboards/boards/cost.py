"""Cost and capacity: what tokens cost, what stands idle, how much more fits."""

from __future__ import annotations

from catalog import boards
from catalog.recorded.levels import MODEL, by
from dashboards.board import Board, Row
from dashboards.links import from_row, from_series
from dashboards.panels import BoardPanel, Column, Label, Stat, Table, TimeSeries
from dashboards.promql import Selector, ratio
from dashboards.query import line
from dashboards.rows.capacity import SATURATION_STEPS, autoscaling_row, headroom_row
from dashboards.rows.roofline import roofline_row
from dashboards.scope import MODELS

__all__ = ["board"]

_SELECT, _LEGEND, _KEEP = MODELS.select, MODELS.legend, by(MODEL)
_CLUSTER = Selector(("cluster",))
_TITLES = {"cluster": "Cluster", "namespace": "Namespace", "engine": "Engine", "model": "Model"}
_TO_MODEL = from_series(boards.MODEL, MODEL)
_COST = "model:llm_cost_dollars_per_million_tokens"
_HELD = "model:llm_gpus_held:count"
_TOKENS = "model:llm_generation_tokens:rate5m"


def board() -> Board:
    """Return the board."""
    return Board(
        identity=boards.COST,
        description="What a million tokens costs, which GPUs are paid for and idle, how near models are to their limits.",
        variables=("cluster", "namespace", "engine", "model"),
        since="now-24h",
        refresh="5m",
        rows=(
            Row("Money", (_per_million(), _hourly(), _idle(), *_numbers())),
            Row("Models", (_models(),)),
            Row("Idle GPUs", (_idle_gpus(),)),
            roofline_row(MODELS),
            headroom_row(MODELS),
            autoscaling_row(MODELS),
        ),
    )


def _per_million() -> BoardPanel:
    return TimeSeries(
        title="Cost per million tokens",
        what="Price of the GPUs held over the last hour, for each million tokens generated in it.",
        good="Steady by day. It rises when GPUs are held for little traffic.",
        act="Scale down at night, fill the batch, or serve small models on a part of a GPU.",
        targets=[line(_SELECT(_COST), _LEGEND)],
        unit="currencyUSD",
        decimals=2,
        minimum=0,
        leads=(_TO_MODEL,),
    )


def _hourly() -> BoardPanel:
    return TimeSeries(
        title="Price of the GPUs held, by model",
        what="Dollars an hour of the GPUs that a model's replicas hold. Prices are those of the rules' settings.",
        good="Follows demand.",
        act="Steady through the night: let an autoscaler take replicas away.",
        targets=[line(_SELECT("model:llm_cost:dollars_per_hour"), _LEGEND)],
        unit="currencyUSD",
        minimum=0,
        stacked=True,
        leads=(_TO_MODEL,),
    )


def _idle() -> BoardPanel:
    return TimeSeries(
        title="Price of idle GPUs",
        what="Dollars an hour of GPUs that do nothing, held by a pod or not.",
        good="Spare capacity that somebody has decided on.",
        act="The table below names the GPUs.",
        targets=[line(_CLUSTER("cluster:inferwatch_idle_cost:dollars_per_hour"), "{{cluster}} idle")],
        unit="currencyUSD",
        minimum=0,
    )


def _numbers() -> tuple[BoardPanel, ...]:
    cost, tokens = _SELECT("model:llm_cost:dollars_per_hour"), _SELECT(_TOKENS)
    idle = _CLUSTER("cluster:inferwatch_idle_cost:dollars_per_hour")
    return (
        Stat(
            title="Dollars an hour",
            what="Price of the GPUs that the chosen models hold.",
            good="What was planned.",
            act="The table shows which model it is.",
            targets=[line(f"sum({cost})", "held")],
            unit="currencyUSD",
            decimals=2,
            columns=6,
        ),
        Stat(
            title="Dollars a month at this rate",
            what="The same over 730 hours.",
            good="Within the plan.",
            act="Compare with the mean over the day: a peak is no month.",
            targets=[line(f"sum({cost}) * 730", "month")],
            unit="currencyUSD",
            decimals=0,
            columns=6,
        ),
        Stat(
            title="Idle dollars a month at this rate",
            what="Price of GPUs that do nothing, over 730 hours.",
            good="A small part of the bill.",
            act="Scale down, or move small models together.",
            targets=[line(f"sum({idle}) * 730", "idle")],
            unit="currencyUSD",
            decimals=0,
            columns=6,
        ),
        Stat(
            title="Tokens per dollar",
            what="Tokens generated for each dollar, all chosen models together.",
            good="Rises with load.",
            act="Low under load: an engine far from its roofline, see below.",
            targets=[line(ratio(f"sum({tokens}) * 3600", f"sum({cost})"), "tokens")],
            unit="count:tok",
            columns=6,
        ),
    )


def _models() -> BoardPanel:
    lead = from_row(boards.MODEL, _TITLES)

    def summed(series: str) -> str:
        return f"sum {_KEEP} ({_SELECT(series)})"

    return Table(
        title="Models by price",
        what="What each model holds and gives for it, at the end of the time range.",
        good="Dear models are busy ones.",
        act="Dear and idle: fewer replicas. Dear and busy: look at its place under the roofline.",
        labels=tuple(Label(name, title, (lead,) if name == "model" else ()) for name, title in _TITLES.items()),
        values=(
            Column(title="GPUs", expr=summed(_HELD), unit="short"),
            Column(
                title="Dollars an hour", expr=summed("model:llm_cost:dollars_per_hour"), unit="currencyUSD", decimals=2
            ),
            Column(title="Dollars a million tokens", expr=summed(_COST), unit="currencyUSD", decimals=2),
            Column(title="Generated", expr=summed(_TOKENS), unit="count:tok/s"),
            Column(title="Tokens per GPU", expr=ratio(summed(_TOKENS), summed(_HELD)), unit="count:tok/s"),
            Column(
                title="Saturation",
                expr=summed("model:llm_saturation:ratio"),
                unit="percentunit",
                steps=SATURATION_STEPS,
                bar=True,
            ),
        ),
        sort="Dollars an hour",
    )


def _idle_gpus() -> BoardPanel:
    labels = ("cluster", "node", "model_name", "UUID")
    titles = dict(zip(labels, ("Cluster", "Node", "Kind", "GPU"), strict=True))
    lead = from_row(boards.GPU, {"cluster": "Cluster", "node": "Node", "UUID": "GPU"})
    return Table(
        title="GPUs that do nothing",
        what="GPUs that are paid for and idle, with their price.",
        good="Empty, or spare capacity.",
        act="Open the GPU: it tells which pod holds it.",
        labels=tuple(Label(name, title, (lead,) if name == "UUID" else ()) for name, title in titles.items()),
        values=(
            Column(
                title="Dollars an hour",
                expr=f"sum {by(labels)} ({_CLUSTER('gpu:inferwatch_idle_cost:dollars_per_hour')} > 0)",
                unit="currencyUSD",
                decimals=2,
            ),
        ),
        sort="Dollars an hour",
        no_value="none",
        lines=7,
    )

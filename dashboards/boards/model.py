"""Model: one model as a service, over all of its replicas."""

from __future__ import annotations

from catalog.boards import MODEL, REPLICA
from catalog.recorded.latency import quantile_of
from catalog.recorded.levels import by
from dashboards.board import Board, Row
from dashboards.colours import BAD, GOOD, WARN
from dashboards.links import from_row
from dashboards.panels import Column, Label, Table, steps_from
from dashboards.promql import sum_rate
from dashboards.rows.batch import batch_row, cache_row
from dashboards.rows.first import first_row
from dashboards.rows.latency import latency_row, phases_row
from dashboards.rows.requests import endings_row, lengths_row, speculation_row
from dashboards.scope import MODELS

__all__ = ["board"]

_REPLICA = ("cluster", "namespace", "engine", "model", "pod", "rank")
_TITLES = {
    "cluster": "Cluster",
    "namespace": "Namespace",
    "engine": "Engine",
    "model": "Model",
    "pod": "Pod",
    "rank": "Rank",
}


def board() -> Board:
    """Return the board."""
    return Board(
        identity=MODEL,
        description="One model as a service: demand, latency and where it goes, tokens, cache, errors, its replicas.",
        variables=("cluster", "namespace", "engine", "model"),
        rows=(
            first_row(MODELS),
            latency_row(MODELS),
            phases_row(MODELS),
            batch_row(MODELS),
            cache_row(MODELS),
            lengths_row(MODELS),
            endings_row(MODELS),
            speculation_row(MODELS),
            Row("Replicas", (_replicas(),)),
        ),
    )


def _replicas() -> Table:
    select, keep = MODELS.select, by(_REPLICA)
    titles = {label: title for label, title in _TITLES.items() if label != "rank"}
    lead = from_row(REPLICA, titles)
    return Table(
        title="Replicas",
        what="Each engine process of the model, or each data-parallel rank of it.",
        good="All up, with like figures.",
        act="Open the one that differs. A replica that is down is an alert of its own.",
        labels=tuple(Label(name, title, (lead,) if name == "pod" else ()) for name, title in _TITLES.items()),
        values=(
            Column(title="Up", expr=f"max {keep} ({select('llm_up')})", unit="bool_yes_no", steps=_UP),
            Column(title="Running", expr=f"sum {keep} ({select('llm_requests_running')})", unit="short"),
            Column(title="Waiting", expr=f"sum {keep} ({select('llm_requests_waiting')})", unit="short"),
            Column(
                title="KV cache",
                expr=f"max {keep} ({select('llm_kv_cache_usage_ratio')})",
                unit="percentunit",
                steps=steps_from((0.9, WARN), (0.97, BAD)),
                bar=True,
            ),
            Column(
                title="Generated",
                expr=f"sum {keep} ({select('replica:llm_generation_tokens:rate5m')})",
                unit="count:tok/s",
            ),
            Column(
                title="TTFT p95",
                expr=f"max {keep} ({select(quantile_of('llm_time_to_first_token_seconds', 'p95', 'replica'))})",
                unit="s",
            ),
            Column(title="Preemptions", expr=sum_rate(select("llm_preemptions_total"), _REPLICA), unit="ops"),
        ),
        sort="Waiting",
    )


_UP = steps_from((1, GOOD), base=BAD)

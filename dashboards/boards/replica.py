"""Replica: one engine process, its GPUs, its pod, its log."""

from __future__ import annotations

from catalog.boards import REPLICA
from dashboards.board import Board, Row
from dashboards.panels import Logs
from dashboards.query import LogQuery
from dashboards.rows.batch import batch_row, cache_row
from dashboards.rows.first import first_row
from dashboards.rows.held_gpus import held_gpus_row
from dashboards.rows.latency import latency_row, phases_row
from dashboards.rows.pod import pod_row
from dashboards.rows.process import process_row
from dashboards.rows.requests import endings_row, lengths_row, speculation_row
from dashboards.scope import REPLICAS

__all__ = ["board"]


def board() -> Board:
    """Return the board."""
    return Board(
        identity=REPLICA,
        description="One engine process: its settings and figures, the GPUs that it holds, its pod, its log.",
        variables=("cluster", "namespace", "engine", "model", "pod"),
        logs=True,
        rows=(
            first_row(REPLICAS),
            process_row(REPLICAS),
            Row("Log", (_log(),)),
            latency_row(REPLICAS),
            phases_row(REPLICAS),
            batch_row(REPLICAS),
            cache_row(REPLICAS),
            lengths_row(REPLICAS),
            endings_row(REPLICAS),
            held_gpus_row(REPLICAS),
            pod_row(REPLICAS),
            speculation_row(REPLICAS),
        ),
    )


def _log() -> Logs:
    return Logs(
        title="Engine log",
        what="Log lines of the chosen pods, from a Loki that keeps labels namespace and pod.",
        good="Requests, and a line of figures now and then.",
        act="Save the lines before a crash and give them to `inferwatch diagnose --log`.",
        targets=[LogQuery(expr='{namespace=~"$namespace", pod=~"$pod"}')],
    )

"""GPU: each GPU and MIG instance, what it does, what holds it back, who holds it."""

from __future__ import annotations

from catalog.boards import GPU
from dashboards.board import Board
from dashboards.gpus.activity import activity_row, memory_row
from dashboards.gpus.health import faults_row, links_row
from dashboards.gpus.holding import glance_row, table_row
from dashboards.gpus.power import power_row

__all__ = ["board"]


def board() -> Board:
    """Return the board."""
    return Board(
        identity=GPU,
        description="Each GPU and MIG instance: activity, memory, power and clocks, faults, links, and who holds it.",
        variables=("cluster", "node", "gpu"),
        rows=(
            glance_row(),
            table_row(),
            activity_row(),
            memory_row(),
            power_row(),
            faults_row(),
            links_row(),
        ),
    )

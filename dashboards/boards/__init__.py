"""The boards, one module each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dashboards.board import Board
from dashboards.boards import cost, fleet, gpu, model, replica, slo

__all__ = ["BOARDS"]

BOARDS: Mapping[str, Callable[[], Board]] = MappingProxyType(
    {
        "fleet": fleet.board,
        "model": model.board,
        "replica": replica.board,
        "gpu": gpu.board,
        "slo": slo.board,
        "cost": cost.board,
    }
)
"""What builds a board, by its name, in the order in which one drills down."""

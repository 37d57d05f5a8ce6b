"""The boards, one module each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dashboards.board import Board
from dashboards.boards import model

__all__ = ["BOARDS"]

BOARDS: Mapping[str, Callable[[], Board]] = MappingProxyType({"model": model.board})
"""What builds a board, by its name, in the order in which one drills down."""

"""A board before it is JSON: rows of panels, and which variables narrow them."""

from __future__ import annotations

from dataclasses import dataclass

from catalog import boards
from dashboards.panels import BoardPanel

__all__ = ["Board", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading, in reading order. A `folded` row is opened by those whom it concerns."""

    title: str
    panels: tuple[BoardPanel, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. `variables` are those of `dashboards.variables`, in order; `logs` adds a Loki to choose."""

    identity: boards.Board
    description: str
    variables: tuple[str, ...]
    rows: tuple[Row, ...]
    since: str = "now-1h"
    refresh: str = "1m"
    logs: bool = False

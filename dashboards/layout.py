"""Where panels stand: a cursor that goes over 24 columns from left to right, so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grafanalib import core

from dashboards.board import Row
from dashboards.panels import BoardPanel

__all__ = ["COLUMNS", "place"]

COLUMNS = 24
_HEADING_LINES = 1


def place(rows: Iterable[Row]) -> list[core.Panel]:
    """Give every panel its place and return headings and panels in order.

    A panel that does not fit beside the last one starts a new line, below the tallest of the line before. Raises
    ValueError for a panel that is wider than the board.
    """
    placed: list[core.Panel] = []
    top = 0
    for row in rows:
        heading = core.RowPanel(
            title=row.title, collapsed=row.folded, gridPos=core.GridPos(_HEADING_LINES, COLUMNS, 0, top)
        )
        placed.append(heading)
        panels = list(_flow(row.panels, top + _HEADING_LINES))
        if row.folded:
            heading.panels = panels
            top += _HEADING_LINES
        else:
            placed += panels
            top = max(panel.gridPos.y + panel.gridPos.h for panel in panels)
    return placed


def _flow(panels: Iterable[BoardPanel], top: int) -> Iterator[BoardPanel]:
    left, bottom = 0, top
    for panel in panels:
        if panel.columns > COLUMNS:
            raise ValueError(f"panel {panel.title!r} is {panel.columns} columns wide; a board has {COLUMNS}")
        if left + panel.columns > COLUMNS:
            left, top = 0, bottom
        panel.gridPos = core.GridPos(h=panel.lines, w=panel.columns, x=left, y=top)
        left += panel.columns
        bottom = max(bottom, top + panel.lines)
        yield panel

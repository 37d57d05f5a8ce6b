"""Ways from one board to another, which keep the data source, the variables and the time range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafanalib import core

from catalog.boards import BOARDS, Board
from dashboards.variables import DATASOURCE

__all__ = ["DataLink", "board_links", "from_row", "from_series"]


@dataclass(frozen=True, slots=True)
class DataLink:
    """A link of a value or a cell."""

    title: str
    url: str

    def to_json_data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"title": self.title, "url": self.url}


def board_links(here: Board) -> list[core.DashboardLink]:
    """Return links to all other boards, for the board's head."""
    return [
        core.DashboardLink(
            title=board.title.rpartition(" / ")[2],
            type="link",
            icon="dashboard",
            uri=f"/d/{board.uid}",
            tooltip=f"{board.title}, same time and variables",
            includeVars=True,
            keepTime=True,
        )
        for board in BOARDS.values()
        if board != here
    ]


def from_series(board: Board, labels: tuple[str, ...]) -> DataLink:
    """Return a link from a series: its `labels` set the other board's variables, the others stay as they are."""
    known = {label: f"${{__field.labels.{label}:percentencode}}" for label in labels}
    return _lead(board, known)


def from_row(board: Board, columns: Mapping[str, str]) -> DataLink:
    """Return a link from a table's row: label -> title of its column."""
    known = {label: f'${{__data.fields["{title}"]:percentencode}}' for label, title in columns.items()}
    return _lead(board, known)


def _lead(board: Board, known: Mapping[str, str]) -> DataLink:
    """A label that a series lacks leaves its variable empty."""
    parts = [f"${{{DATASOURCE}:queryparam}}"]
    parts += [f"var-{variable}={known[label]}" for variable, label in board.variables.items() if label in known]
    url = f"/d/{board.uid}?{'&'.join(parts)}&${{__url_time_range}}"
    return DataLink(f"Open {board.title.rpartition(' / ')[2]}", url)

"""Every query of every panel of every board, with what a person sees beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from dashboards.boards import BOARDS
from dashboards.generate import board_by_name
from dashboards.preview.board_json import BoardJson, PanelJson, Target, field_of, panels_of, read_board
from dashboards.preview.variables import Period, Scope, chosen, durations

SCRAPE_SECONDS = 60
"""Recordings stretched to 40 minutes have a sample a minute."""


@dataclass(frozen=True)
class PanelQuery:
    """A query: where it stands, its PromQL as the board has it, and the unit in which its values are shown."""

    board: str
    row: str
    panel: str
    number: int
    expr: str
    unit: str
    is_instant: bool

    @property
    def names_engine(self) -> bool:
        """Whether the variable `engine` narrows it."""
        return "$engine" in self.expr

    def __str__(self) -> str:
        return f"{self.board} / {self.row} / {self.panel} / {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[self.number]}"


@cache
def boards() -> Mapping[str, BoardJson]:
    """The boards by name, as the preview reads them."""
    return {name: read_board(board_by_name(name)) for name in BOARDS}


@cache
def panel_queries() -> tuple[PanelQuery, ...]:
    """All queries to Prometheus, in the order in which a person reads them."""
    return tuple(
        query for name, board in boards().items() for row, panel in _panels(board) for query in _of(name, row, panel)
    )


@cache
def other_panels() -> tuple[tuple[str, str, str], ...]:
    """(board, panel, kind of data source) of what asks something else than Prometheus."""
    return tuple(
        (name, panel.title, panel.datasource_type(target))
        for name, board in boards().items()
        for _, panel in _panels(board)
        for target in panel.targets
        if panel.datasource_type(target) != "prometheus"
    )


def asked(query: PanelQuery, period: Period, **wanted: str) -> str:
    """The query as Grafana would send it; variables that are not `wanted` stand at All."""
    board = boards()[query.board]
    choices = chosen(board, {name: (value,) for name, value in wanted.items()})
    return Scope(choices, durations(period, SCRAPE_SECONDS)).query(query.expr)


def _panels(board: BoardJson) -> Iterator[tuple[str, PanelJson]]:
    for row in panels_of(board):
        for panel in row.panels:
            yield row.title, panel


def _of(board: str, row: str, panel: PanelJson) -> Iterator[PanelQuery]:
    titles: Mapping[str, str] = next(
        (dict(one.options["renameByName"]) for one in panel.transformations if one.id == "organize"), {}
    )
    for number, target in enumerate(panel.targets):
        if panel.datasource_type(target) == "prometheus":
            name = _column(panel, target, titles)
            unit = field_of(panel, name, target.ref_id).unit
            yield PanelQuery(board, row, panel.title, number, target.expr, unit, target.instant)


def _column(panel: PanelJson, target: Target, titles: Mapping[str, str]) -> str:
    """The title under which a table shows a query's values; elsewhere, its legend."""
    if panel.type != "table":
        return target.legend_format
    return titles.get("Value" if len(panel.targets) == 1 else f"Value #{target.ref_id}", "")

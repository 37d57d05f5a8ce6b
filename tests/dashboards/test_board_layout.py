"""Panels flow over 24 columns, line by line."""

from __future__ import annotations

import pytest

from dashboards.board import Row
from dashboards.layout import place
from dashboards.panels import TimeSeries


def panel(title: str, columns: int, lines: int = 8) -> TimeSeries:
    return TimeSeries(title=title, columns=columns, lines=lines, unit="s", what="", good="", act="")


def places(*rows: Row) -> list[tuple[str, int, int, int, int]]:
    found = [inner for one in place(rows) for inner in (one, *getattr(one, "panels", ()))]
    return [(one.title, one.gridPos.x, one.gridPos.y, one.gridPos.w, one.gridPos.h) for one in found]


def test_a_line_is_filled_before_the_next_begins_below_its_tallest() -> None:
    row = Row("Row", (panel("a", 12, 4), panel("b", 12, 8), panel("c", 6)))
    assert places(row) == [("Row", 0, 0, 24, 1), ("a", 0, 1, 12, 4), ("b", 12, 1, 12, 8), ("c", 0, 9, 6, 8)]


def test_the_next_row_begins_below() -> None:
    assert [each[2] for each in places(Row("1", (panel("a", 8),)), Row("2", (panel("b", 8),)))] == [0, 1, 9, 10]


def test_a_folded_row_takes_its_heading_alone() -> None:
    found = places(Row("folded", (panel("a", 8),), folded=True), Row("open", (panel("b", 8),)))
    assert [(title, top) for title, _, top, _, _ in found] == [("folded", 0), ("a", 1), ("open", 1), ("b", 2)]


def test_a_panel_wider_than_the_board_is_refused() -> None:
    with pytest.raises(ValueError, match="panel 'wide' is 25 columns wide; a board has 24"):
        place([Row("Row", (panel("wide", 25),))])

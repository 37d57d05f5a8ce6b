"""Boards as they are read: rows, places, fields."""

from __future__ import annotations

import pytest

from dashboards.preview.board_json import BoardError, field_of, panels_of, read_board
from tests.dashboards.preview.boards import panel, small


def test_rows_hold_their_panels_folded_or_not() -> None:
    rows = panels_of(small())
    assert [(row.title, len(row.panels)) for row in rows] == [("", 1), ("Latency of $model", 2), ("Load", 9)]


def test_places_count_from_the_rows_top() -> None:
    for row in panels_of(small()):
        assert min(panel.grid_pos.y for panel in row.panels) == 0


def test_panels_are_read_in_the_order_of_the_eye() -> None:
    places = [(8, 0), (0, 12), (0, 0)]
    panels = [{"type": "text", "title": f"{y}/{x}", "gridPos": {"x": x, "y": y, "w": 8, "h": 4}} for y, x in places]
    (row,) = panels_of(read_board({"title": "T", "panels": panels}))
    assert [one.title for one in row.panels] == ["0/0", "0/12", "8/0"]


def test_nulls_are_defaults() -> None:
    board = read_board(
        {"title": "T", "description": None, "panels": [{"type": "stat", "targets": None, "gridPos": None}]}
    )
    assert board.description == ""
    assert board.panels[0].targets == ()


def test_what_an_api_answers_is_read_too() -> None:
    assert read_board({"meta": {}, "dashboard": {"title": "T", "panels": []}}).title == "T"


@pytest.mark.parametrize(
    ("board", "complaint"),
    [
        ([], "no dashboard of Grafana: Expected `object`, got `array`"),
        ({"panels": []}, "no dashboard of Grafana: Object missing required field `title`"),
        ({"title": "T"}, "no dashboard of Grafana: Object missing required field `panels`"),
        ({"title": "T", "panels": [{"type": 5}]}, "no dashboard of Grafana: panels[0].type: Expected `str`, got `int`"),
    ],
)
def test_what_is_no_board_is_refused_in_a_line(board: object, complaint: str) -> None:
    with pytest.raises(BoardError) as refused:
        read_board(board)
    assert str(refused.value) == complaint


@pytest.mark.parametrize(
    ("matcher", "name", "ref_id", "is_hit"),
    [
        ({"id": "byName", "options": "p95"}, "p95", "A", True),
        ({"id": "byName", "options": "p95"}, "p95 llama", "A", False),
        ({"id": "byRegexp", "options": "/^p95\\b/"}, "p95 llama", "A", True),
        ({"id": "byRegexp", "options": "/^p95\\b/"}, "p50 llama", "A", False),
        ({"id": "byRegexp", "options": "/(/"}, "p95", "A", False),
        ({"id": "byFrameRefID", "options": "B"}, "p95", "B", True),
        ({"id": "byType", "options": "number"}, "p95", "A", False),
    ],
)
def test_an_override_holds_for_what_it_matches(matcher: dict[str, str], name: str, ref_id: str, is_hit: bool) -> None:
    properties = [{"id": "unit", "value": "s"}, {"id": "custom.fillOpacity", "value": 30}]
    read = panel(
        "timeseries", {"unit": "ms", "custom": {"lineWidth": 2}}, [{"matcher": matcher, "properties": properties}]
    )
    field = field_of(read, name, ref_id)
    assert field.unit == ("s" if is_hit else "ms")
    assert field.custom.fill_opacity == (30 if is_hit else 0)
    assert field.custom.line_width == 2


def test_a_field_that_cannot_be_read_names_its_panel() -> None:
    with pytest.raises(BoardError, match="panel 'Odd'"):
        field_of(panel("stat", {"min": "low"}, title="Odd"), "")

"""Panels as blocks of the page."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest

from charts.blocks import BarGauge, Heatmap, Notice, Segment, Stat, StateTimeline, Table, Text, TimeSeries
from dashboards.preview.drawing import block
from dashboards.preview.results import reduced
from dashboards.preview.variables import Period
from tests.dashboards.preview.boards import panel, result, steps

PERIOD = Period(0, 30, 10)


def test_a_time_series_has_its_units_colours_and_bounds() -> None:
    defaults = {
        "unit": "s",
        "min": 0,
        "custom": {"fillOpacity": 10, "stacking": {"mode": "normal"}, "lineInterpolation": "stepAfter"},
    }
    blue = {"id": "color", "value": {"mode": "fixed", "fixedColor": "#0072B2"}}
    own = {"id": "unit", "value": "reqps"}
    overrides = [{"matcher": {"id": "byName", "options": "b"}, "properties": [blue, own]}]
    read = panel("timeseries", defaults, overrides)
    drawn = block(read, [result(read, "a", 1.0, 2.0, None, 4.0), result(read, "b", 1.0, 1.0, 1.0, 1.0)], PERIOD, ())
    assert isinstance(drawn, TimeSeries)
    assert (drawn.unit, drawn.minimum, drawn.stacked, drawn.times) == ("s", 0, True, (0.0, 10.0, 20.0, 30.0))
    assert [(one.name, one.unit, one.colour, one.draw) for one in drawn.series] == [
        ("a", "", "", "steps"),
        ("b", "reqps", "#0072B2", "steps"),
    ]
    assert drawn.series[0].fill == pytest.approx(0.1)


def test_a_heatmap_shows_each_bucket_without_those_below() -> None:
    read = panel("heatmap", options={"yAxis": {"unit": "s"}, "cellValues": {"unit": "reqps"}})
    series = [
        result(read, "+Inf", 10.0, 10.0, None, 7.0, labels={"le": "+Inf"}),
        result(read, "0.5", 4.0, 5.0, None, 7.5, labels={"le": "0.5"}),
        result(read, "1.0", 9.0, 5.0, None, nan, labels={"le": "1.0"}),
        result(read, "sum", 1.0, 1.0, 1.0, 1.0, labels={"le": "none"}),
    ]
    drawn = block(read, series, PERIOD, ())
    assert isinstance(drawn, Heatmap)
    assert (drawn.bounds, drawn.unit, drawn.count_unit) == ((0.5, 1.0, inf), "s", "reqps")
    # Rates of buckets that were scraped one by one can fall a little from one to the next: never below none.
    assert drawn.counts == ((4.0, 5.0, None, 7.5), (5.0, 0.0, None, None), (1.0, 5.0, None, 0.0))


@pytest.mark.parametrize(
    ("calculation", "expected"),
    [
        ("lastNotNull", 3.0),
        ("last", None),
        ("mean", 2.0),
        ("max", 3.0),
        ("min", 1.0),
        ("sum", 4.0),
        ("count", 2.0),
        ("range", 2.0),
        ("firstNotNull", 1.0),
        ("unknown", 3.0),
    ],
)
def test_many_values_become_one(calculation: str, expected: float | None) -> None:
    assert reduced((1.0, nan, 3.0, None), calculation) == expected
    assert reduced((None, nan), calculation) is None


def test_a_stat_is_its_series_last_values() -> None:
    read = panel("stat", {"unit": "s", "thresholds": steps((None, "green"), (2, "red"))}, options={"graphMode": "area"})
    drawn = block(read, [result(read, "a", 1.0, None, 3.0, None)], PERIOD, ())
    assert isinstance(drawn, Stat)
    (value,) = drawn.values
    assert (value.value, value.colour, value.unit, len(value.trend)) == (3.0, "#D55E00", "s", 4)


@pytest.mark.parametrize(
    ("options", "defaults", "expected"),
    [
        ({"textMode": "name"}, {}, ("a", "#009E73")),
        ({"colorMode": "none"}, {}, ("", "")),
        ({}, {"mappings": [{"type": "value", "options": {"3": {"text": "three"}}}]}, ("three", "#009E73")),
    ],
)
def test_a_stat_says_what_its_options_ask_for(
    options: dict[str, Any], defaults: dict[str, Any], expected: tuple[str, str]
) -> None:
    read = panel("stat", {**defaults, "thresholds": steps((None, "green"))}, options=options)
    drawn = block(read, [result(read, "a", 3.0)], PERIOD, ())
    assert isinstance(drawn, Stat)
    assert (drawn.values[0].text, drawn.values[0].colour) == expected


@pytest.mark.parametrize("kind", ["gauge", "bargauge"])
def test_a_gauge_is_bars_between_its_bounds(kind: str) -> None:
    read = panel(kind, {"min": 0, "max": 1, "unit": "percentunit"})
    drawn = block(read, [result(read, "a", 0.25), result(read, "b", 0.75)], PERIOD, ())
    assert isinstance(drawn, BarGauge)
    assert ([value.value for value in drawn.values], drawn.minimum, drawn.maximum) == ([0.25, 0.75], 0, 1)


def test_a_state_lasts_until_the_next() -> None:
    words = [
        {"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up", "color": "green"}}}
    ]
    read = panel("state-timeline", {"mappings": words})
    drawn = block(read, [result(read, "a", 0.0, 0.0, 1.0, None)], PERIOD, ())
    assert isinstance(drawn, StateTimeline)
    assert drawn.lanes == (("a", (Segment(0, 20, "down", "#D55E00"), Segment(20, 30, "up", "#009E73"))),)


def test_text_and_what_is_not_known() -> None:
    assert block(panel("text", options={"content": "**x**"}), [], PERIOD, ()) == Text("**x**", "markdown")
    assert block(panel("text", options={"content": "<p>", "mode": "html"}), [], PERIOD, ()) == Text("<p>", "code")
    odd = panel("geomap")
    assert block(odd, [result(odd, "a", 1.0)], PERIOD, ()) == Notice("The preview does not draw panels of type geomap.")


def table(transformations: list[dict[str, Any]], **more: Any) -> Table:
    waiting = {"matcher": {"id": "byName", "options": "Waiting"}, "properties": [{"id": "unit", "value": "short"}]}
    waiting["properties"].append({"id": "thresholds", "value": steps((None, "green"), (5, "red"))})  # type: ignore[attr-defined]
    read = panel("table", {}, [waiting], transformations=transformations, **more)
    series = [
        result(read, "", 3.0, labels={"pod": "a", "model": "m"}, ref_id="A"),
        result(read, "", 1.0, labels={"pod": "b", "model": "m"}, ref_id="A"),
        result(read, "", 9.0, labels={"pod": "b", "model": "m"}, ref_id="B"),
    ]
    drawn = block(read, series, PERIOD, ())
    assert isinstance(drawn, Table)
    return drawn


RENAMED = {
    "id": "organize",
    "options": {
        "excludeByName": {"Time": True, "model": True},
        "renameByName": {"Value #A": "Running", "Value #B": "Waiting"},
        "indexByName": {"Value #A": 1, "Value #B": 0, "pod": 2},
    },
}


def test_queries_stand_side_by_side_for_equal_labels() -> None:
    drawn = table([{"id": "merge", "options": {}}])
    assert [column.name for column in drawn.columns] == ["model", "pod", "Value #A", "Value #B"]
    assert drawn.rows == (("m", "a", 3.0, None), ("m", "b", 1.0, 9.0))


def test_columns_are_renamed_hidden_ordered_and_coloured() -> None:
    drawn = table([{"id": "merge", "options": {}}, RENAMED])
    assert [column.name for column in drawn.columns] == ["Waiting", "Running", "pod"]
    assert drawn.columns[0].unit == "short"
    assert drawn.rows == ((None, 3.0, "a"), (9.0, 1.0, "b"))
    assert drawn.colours == {(1, 0): "#D55E00"}


@pytest.mark.parametrize(("is_falling", "pods"), [(True, ["a", "b"]), (False, ["b", "a"])])
def test_rows_are_sorted_as_the_panel_says(is_falling: bool, pods: list[str]) -> None:
    drawn = table([RENAMED], options={"sortBy": [{"displayName": "Running", "desc": is_falling}]})
    assert [row[2] for row in drawn.rows] == pods


@pytest.mark.parametrize(("is_falling", "running"), [(True, [3.0, 1.0]), (False, [1.0, 3.0])])
def test_a_transformation_sorts_and_another_keeps_columns(is_falling: bool, running: list[float]) -> None:
    sort = {"id": "sortBy", "options": {"sort": [{"field": "Running", "desc": is_falling}]}}
    kept = {"id": "filterFieldsByName", "options": {"include": {"names": ["Value #A"]}}}
    drawn = table([RENAMED, sort, kept])
    assert [column.name for column in drawn.columns] == ["Running"]
    assert [row[0] for row in drawn.rows] == running


def test_rows_without_a_value_come_last_either_way() -> None:
    for is_falling in (True, False):
        drawn = table([RENAMED], options={"sortBy": [{"displayName": "Waiting", "desc": is_falling}]})
        assert [row[0] for row in drawn.rows] == [9.0, None]


def test_a_join_needs_one_label_alone() -> None:
    read = panel("table", transformations=[{"id": "joinByField", "options": {"byField": "pod"}}])
    series = [
        result(read, "", 3.0, labels={"pod": "a", "model": "m"}, ref_id="A"),
        result(read, "", 7.0, labels={"pod": "a", "node": "n"}, ref_id="B"),
    ]
    drawn = block(read, series, PERIOD, ())
    assert isinstance(drawn, Table)
    assert drawn.rows == (("m", "a", 3.0, "n", 7.0),)

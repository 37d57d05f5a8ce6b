"""Figures for plotly: the numbers, the axes, and names that are not read as markup."""

from __future__ import annotations

from math import inf, nan

import pytest

from charts.blocks import Heatmap, Moment, Series, Span, Threshold, TimeSeries
from charts.plots import figure, plot_text
from tests.charts.blocks import HOSTILE, TIMES


def test_values_are_in_one_scale_that_the_axis_names() -> None:
    drawn = figure(TimeSeries(TIMES, (Series("p50", (0.1, 0.2, 0.3, None)), Series("p99", (0.4,) * 4)), "s"))
    assert drawn["times"] == [100_000, 115_000, 130_000, 145_000]
    assert [trace["y"] for trace in drawn["traces"]] == [[100, 200, 300, None], [400] * 4]
    assert drawn["layout"]["yaxis"]["ticksuffix"] == " ms"


def test_a_series_with_a_unit_of_its_own_has_an_axis_of_its_own() -> None:
    drawn = figure(
        TimeSeries(TIMES, (Series("rate", (1.0,) * 4), Series("use", (0.5,) * 4, unit="percentunit")), "reqps")
    )
    assert [trace["yaxis"] for trace in drawn["traces"]] == ["y", "y2"]
    assert drawn["traces"][1]["y"] == [50.0] * 4
    assert drawn["layout"]["yaxis2"]["side"] == "right"
    assert drawn["layout"]["yaxis2"]["ticksuffix"] == " %"


def test_bounds_and_thresholds_are_in_the_axis_scale() -> None:
    block = TimeSeries(
        TIMES, (Series("p95", (0.1,) * 4),), "s", (Threshold(0.5, "#D55E00", "SLO"),), minimum=0.0, maximum=0.8
    )
    layout = figure(block)["layout"]
    assert layout["yaxis"]["range"] == [0.0, 800.0]
    (line,) = layout["shapes"]
    assert (line["y0"], line["y1"], line["line"]["color"]) == (500.0, 500.0, "#D55E00")


@pytest.mark.parametrize(
    ("minimum", "maximum", "given"), [(0.0, None, {"minallowed": 0.0}), (None, 1.0, {"maxallowed": 1000.0})]
)
def test_one_bound_leaves_the_other_to_the_values(
    minimum: float | None, maximum: float | None, given: dict[str, float]
) -> None:
    block = TimeSeries(TIMES, (Series("a", (0.1,) * 4),), "s", minimum=minimum, maximum=maximum)
    assert figure(block)["layout"]["yaxis"]["autorangeoptions"] == given


def test_an_axis_may_be_logarithmic() -> None:
    layout = figure(TimeSeries(TIMES, (Series("a", (1.0, 10.0, 100.0, 1000.0)),), logarithmic=True))["layout"]
    assert layout["yaxis"]["type"] == "log"


def test_what_no_axis_can_show_is_a_gap() -> None:
    (trace,) = figure(TimeSeries(TIMES, (Series("a", (nan, inf, -inf, 1.0)),)))["traces"]
    assert trace["y"] == [None, None, None, 1.0]


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ((1.0, 2.0, None, 3.0), "lines+markers"),
        ((1.0, 2.0, 3.0, 4.0), "lines"),
        ((None, 1.0, 2.0, None), "lines"),
        ((None, 1.0, None, None), "lines+markers"),
    ],
)
def test_a_value_without_neighbours_is_drawn_as_a_point(values: tuple[float | None, ...], mode: str) -> None:
    assert figure(TimeSeries(TIMES, (Series("a", values),)))["traces"][0]["mode"] == mode


def test_series_stand_on_each_other_and_their_sum_sets_the_scale() -> None:
    drawn = figure(TimeSeries(TIMES, (Series("a", (600.0,) * 4), Series("b", (600.0,) * 4)), "short", stacked=True))
    assert {trace["stackgroup"] for trace in drawn["traces"]} == {"y"}
    assert drawn["traces"][0]["y"] == [0.6] * 4
    assert drawn["layout"]["yaxis"]["ticksuffix"] == " k"


@pytest.mark.parametrize(("draw", "kind"), [("bars", "bar"), ("line", "scatter"), ("points", "scatter")])
def test_a_series_is_drawn_as_it_says(draw: str, kind: str) -> None:
    series = Series("a", (1.0,) * 4, draw=draw)  # type: ignore[arg-type]
    assert figure(TimeSeries(TIMES, (series,)))["traces"][0]["type"] == kind


def test_colours_are_the_callers_or_the_palettes_and_nothing_else() -> None:
    series = (
        Series("a", (1.0,) * 4, colour="#123456"),
        Series("b", (1.0,) * 4),
        Series("c", (1.0,) * 4, colour="url(x)"),
    )
    colours = [trace["line"]["color"] for trace in figure(TimeSeries(TIMES, series))["traces"]]
    assert colours[0] == "#123456"
    assert len(set(colours)) == 3
    assert "url(x)" not in colours


def test_moments_are_lines_across_the_plot() -> None:
    drawn = figure(TimeSeries(TIMES, (Series("a", (1.0,) * 4),), moments=(Moment(115.0, "restart", "#0072B2"),)))
    (line,) = drawn["layout"]["shapes"]
    assert (line["x0"], line["x1"], line["yref"]) == (115_000, 115_000, "paper")


def test_a_heatmap_names_its_buckets_and_leaves_empty_ones_blank() -> None:
    block = Heatmap(TIMES, (0.25, 1.0, inf), ((1.0, 0.0, None, 4.0), (0.0,) * 4, (2.0,) * 4), "s")
    (trace,) = figure(block)["traces"]
    assert trace["y"] == ["≤ 250 ms", "≤ 1 s", "&gt; 1 s"]
    assert trace["z"] == [[1.0, None, None, 4.0], [None] * 4, [2.0] * 4]


def test_a_heatmap_leaves_out_buckets_far_from_any_that_was_hit() -> None:
    none, some = (0.0,) * 4, (1.0,) * 4
    block = Heatmap(TIMES, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, inf), (none, none, none, some, none, none, none))
    (trace,) = figure(block)["traces"]
    assert trace["y"] == ["≤ 3", "≤ 4", "≤ 5"]
    empty = Heatmap(TIMES, (1.0, 2.0), (none, none))
    assert figure(empty)["traces"][0]["y"] == ["≤ 1", "≤ 2"]


def test_names_are_no_markup_for_plotly() -> None:
    assert plot_text("<b>&lt;</b>") == "&lt;b&gt;&amp;lt;&lt;/b&gt;"
    block = TimeSeries(TIMES, (Series(HOSTILE, (1.0,) * 4),), thresholds=(Threshold(1.0, "red", HOSTILE),))
    drawn = figure(block)
    assert drawn["traces"][0]["name"] == plot_text(HOSTILE)
    # A template would fill in what stands in braces: no name stands in one.
    assert "struck" not in drawn["traces"][0]["hovertemplate"]
    assert "<" not in drawn["layout"]["shapes"][0]["label"]["text"]


def test_nothing_at_all_can_be_drawn() -> None:
    assert figure(TimeSeries((), ()))["traces"] == []
    assert figure(Heatmap((), (), ()))["traces"][0]["z"] == []


def test_a_span_is_a_tint_behind_the_lines() -> None:
    (tint,) = figure(TimeSeries(TIMES, (Series("a", (1.0,) * 4),), spans=(Span(110.0, 130.0, "#D55E00"),)))["layout"][
        "shapes"
    ]
    assert (tint["x0"], tint["x1"], tint["fillcolor"], tint["layer"]) == (110_000, 130_000, "#D55E00", "below")


def test_elapsed_times_are_seconds_and_no_dates() -> None:
    marks, spans = (Moment(15.0, "m"),), (Span(15.0, 30.0),)
    drawn = figure(TimeSeries((0.0, 15.0, 30.0), (Series("a", (1.0,) * 3),), moments=marks, spans=spans, elapsed=True))
    axis = drawn["layout"]["xaxis"]
    assert drawn["times"] == [0, 15, 30]
    assert (axis["type"], axis["range"], axis["ticksuffix"]) == ("linear", [0, 30], " s")
    assert [(shape["x0"], shape["x1"]) for shape in drawn["layout"]["shapes"]] == [(15, 30), (15, 15)]


def test_the_axis_has_room_for_the_first_and_the_last_bar() -> None:
    lines = figure(TimeSeries(TIMES, (Series("a", (1.0,) * 4),)))["layout"]["xaxis"]["range"]
    bars = figure(TimeSeries(TIMES, (Series("a", (1.0,) * 4, draw="bars"),)))["layout"]["xaxis"]["range"]
    assert (lines, bars) == ([100_000, 145_000], [92_500, 152_500])


def test_a_series_apart_is_not_stacked_upon_the_others() -> None:
    series = (Series("queue", (1.0,) * 4), Series("p95", (3.0,) * 4, apart=True))
    stacked, apart = figure(TimeSeries(TIMES, series, stacked=True))["traces"]
    assert "stackgroup" in stacked
    assert "stackgroup" not in apart

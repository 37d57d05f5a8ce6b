"""A panel with its results -> a block of the page, for each type of panel that the boards have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from charts.blocks import (
    BarGauge,
    Block,
    Heatmap,
    Moment,
    Notice,
    Segment,
    Series,
    Stat,
    StateTimeline,
    Text,
    TimeSeries,
    Value,
    Values,
)
from charts.units import text
from dashboards.preview.appearance import fixed_colour, lines, mapped, state_colour
from dashboards.preview.board_json import Field, PanelJson, field_of
from dashboards.preview.results import Result, reduced
from dashboards.preview.tables import table
from dashboards.preview.variables import Period

__all__ = ["block"]

_PERCENT = 100
Draw = Literal["line", "steps", "bars", "points"]


def block(panel: PanelJson, results: Sequence[Result], period: Period, moments: tuple[Moment, ...]) -> Block:
    """Return what a panel shows. Raises BoardError for a field that cannot be read."""
    match panel.type:
        case "timeseries":
            return _time_series(panel, results, period, moments)
        case "heatmap":
            return _heatmap(panel, results, period, moments)
        case "stat":
            return Stat(tuple(_values(panel, results)))
        case "gauge" | "bargauge":
            field = field_of(panel, "")
            return BarGauge(tuple(_values(panel, results)), field.min or 0.0, field.max)
        case "table":
            return table(panel, results)
        case "state-timeline":
            return _state_timeline(results, period)
        case "text":
            return text_block(panel)
        case other:
            return Notice(f"The preview does not draw panels of type {other}.")


def text_block(panel: PanelJson) -> Text:
    """Return a text panel's words; HTML is shown as it is written."""
    content = str(panel.options.get("content", ""))
    return Text(content, "markdown" if panel.options.get("mode", "markdown") == "markdown" else "code")


def _time_series(
    panel: PanelJson, results: Sequence[Result], period: Period, moments: tuple[Moment, ...]
) -> TimeSeries:
    field = field_of(panel, "")
    return TimeSeries(
        times=period.times,
        series=tuple(_series(result, field) for result in results),
        unit=field.unit,
        thresholds=lines(field),
        moments=moments,
        stacked=field.custom.stacking.mode in ("normal", "percent"),
        minimum=field.min,
        maximum=field.max,
        logarithmic=field.custom.scale_distribution.type == "log",
    )


def _series(result: Result, panels: Field) -> Series:
    drawing = result.field.custom
    draw: Draw = "line"
    if drawing.draw_style in ("bars", "points"):
        draw = "bars" if drawing.draw_style == "bars" else "points"
    elif drawing.line_interpolation.startswith("step"):
        draw = "steps"
    return Series(
        name=result.name,
        values=result.values,
        colour=fixed_colour(result.field),
        unit="" if result.field.unit == panels.unit else result.field.unit,
        draw=draw,
        fill=drawing.fill_opacity / _PERCENT,
        width=drawing.line_width,
        dashed=drawing.line_style.fill in ("dash", "dot"),
    )


def _values(panel: PanelJson, results: Sequence[Result]) -> Iterator[Value]:
    """One value a series, as the panel's options reduce it; coloured unless the panel says not to."""
    reduce = panel.options.get("reduceOptions", {})
    calculation = next(iter(reduce.get("calcs", ())), "lastNotNull")
    is_plain = panel.options.get("colorMode") == "none"
    has_trend = panel.type == "stat" and panel.options.get("graphMode", "area") == "area"
    for result in results:
        value = reduced(result.values, calculation)
        words = mapped(result.field, value) or (result.field.no_value if value is None else "")
        if panel.options.get("textMode") == "name":
            words = result.name
        yield Value(
            value=value,
            name=result.name,
            unit=result.field.unit,
            colour="" if is_plain else state_colour(result.field, value),
            text=words,
            trend=result.values if has_trend else (),
            decimals=result.field.decimals,
        )


def _heatmap(panel: PanelJson, results: Sequence[Result], period: Period, moments: tuple[Moment, ...]) -> Heatmap:
    """Buckets as Prometheus counts them hold all those below: each is shown without."""
    bounds: dict[float, list[Values]] = {}
    for result in results:
        bound = _bound(result)
        if bound is not None:
            bounds.setdefault(bound, []).append(result.values)
    counts: list[Values] = []
    below: Values = (0.0,) * len(period.times)
    for bound in sorted(bounds):
        total = tuple(_sum(column) for column in zip(*bounds[bound], strict=True))
        counts.append(tuple(_difference(value, low) for value, low in zip(total, below, strict=True)))
        below = tuple(low if value is None else value for value, low in zip(total, below, strict=True))
    unit = str(panel.options.get("yAxis", {}).get("unit", "")) or field_of(panel, "").unit
    cells = str(panel.options.get("cellValues", {}).get("unit", "")) or "short"
    return Heatmap(period.times, tuple(sorted(bounds)), tuple(counts), unit, cells, moments)


def _bound(result: Result) -> float | None:
    try:
        return float(result.labels.get("le", result.name).replace("+Inf", "inf"))
    except ValueError:
        return None


def _sum(column: Sequence[float | None]) -> float | None:
    there = [value for value in column if value is not None and math.isfinite(value)]
    return math.fsum(there) if there else None


def _difference(value: float | None, below: float | None) -> float | None:
    return None if value is None else max(0.0, value - (below or 0.0))


def _state_timeline(results: Sequence[Result], period: Period) -> StateTimeline:
    lanes = tuple((result.name, tuple(_segments(result, period))) for result in results)
    return StateTimeline(period.start, period.end, lanes)


def _segments(result: Result, period: Period) -> Iterator[Segment]:
    """Runs of equal states; a value holds to the next one of the grid."""
    states = [
        (time, mapped(result.field, value) or text(value, result.field.unit, result.field.decimals), value)
        for time, value in zip(period.times, result.values, strict=True)
    ]
    for (words, is_there), run in groupby(states, key=lambda state: (state[1], state[2] is not None)):
        held = list(run)
        if is_there:
            end = min(held[-1][0] + period.step, float(period.end))
            yield Segment(held[0][0], end, words, state_colour(result.field, held[0][2]))

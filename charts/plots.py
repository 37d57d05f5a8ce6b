"""Blocks that plotly draws, as its figures: plain data, of which only the numbers and names are the caller's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from charts.blocks import Heatmap, Moment, Series, Span, Threshold, TimeSeries, Values
from charts.colours import checked, or_palette
from charts.units import Scale, scale_for, text

__all__ = ["figure", "plot_text"]

_CLEAR = "rgba(0,0,0,0)"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S UTC"
_NUMBER = ",.4~r"
# A tick's time says as much as its distance to the next one needs.
_TICK_FORMATS = (
    {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
    {"dtickrange": [60_000, 86_400_000], "value": "%H:%M"},
    {"dtickrange": [86_400_000, None], "value": "%b %d"},
)
# Cividis, its steps set so that few are told from fewer: half of the colours go to the lower quarter.
_HEAT_COLOURS = (
    "#00224e",
    "#123570",
    "#3b496c",
    "#575d6d",
    "#707173",
    "#8a8678",
    "#a59c74",
    "#c3b369",
    "#e1cc55",
    "#fee838",
)
_HEAT = tuple(((number / (len(_HEAT_COLOURS) - 1)) ** 2, colour) for number, colour in enumerate(_HEAT_COLOURS))

Figure = dict[str, Any]


def plot_text(words: str) -> str:
    """Return text that plotly shows as it is: it reads tags and entities in every label."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(block: TimeSeries | Heatmap) -> Figure:
    """Return `times` in milliseconds (elapsed ones in seconds), plotly's `traces` over them, and `layout`."""
    drawn = _time_series(block) if isinstance(block, TimeSeries) else _heatmap(_without_empty_ends(block))
    scale = _time_scale(block)
    return {"times": [round(time * scale) for time in block.times], **drawn}


def _time_scale(block: TimeSeries | Heatmap) -> int:
    """What a second is on the axis: dates count milliseconds."""
    return 1 if isinstance(block, TimeSeries) and block.elapsed else 1000


def _time_series(block: TimeSeries) -> Figure:
    units = list(dict.fromkeys([*(series.unit or block.unit for series in block.series), block.unit]))
    if block.unit in units:
        units.sort(key=lambda unit: unit != block.unit)
    scales = {unit: _common_scale(unit, _of_unit(block, unit), block) for unit in units}
    axes = {unit: "y" if number == 0 else f"y{number + 1}" for number, unit in enumerate(units)}
    traces = [
        _trace(series, colour, scales[series.unit or block.unit], axes[series.unit or block.unit], block.stacked)
        for series, colour in zip(block.series, or_palette(one.colour for one in block.series), strict=True)
    ]
    second = _time_scale(block)
    marks = [*_tints(block.spans, second), *_marks(block.moments, second)]
    layout = _layout(block.times, [*_threshold_shapes(block.thresholds, scales[block.unit]), *marks])
    if block.times:
        room = _half_a_step(block.times) if any(series.draw == "bars" for series in block.series) else 0.0
        ends = (block.times[0] - room, block.times[-1] + room)
        layout["xaxis"]["range"] = [round(time * second) for time in ends]
    if block.elapsed:
        layout["xaxis"] |= {"type": "linear", "ticksuffix": " s", "tickformat": ",", "hoverformat": ","}
    for number, unit in enumerate(units):
        layout[f"yaxis{number + 1 if number else ''}"] = _value_axis(block, scales[unit], unit, secondary=number)
    layout["barmode"] = "stack" if block.stacked else "group"
    return {"traces": traces, "layout": layout}


def _half_a_step(times: Sequence[float]) -> float:
    """What the first and the last bar need beside their time, so that all of them is seen."""
    return (times[-1] - times[0]) / (len(times) - 1) / 2 if len(times) > 1 else 0.0


def _of_unit(block: TimeSeries, unit: str) -> Iterable[Values]:
    return (series.values for series in block.series if (series.unit or block.unit) == unit)


def _common_scale(unit: str, rows: Iterable[Values], block: TimeSeries) -> Scale:
    """One scale for an axis: that of its largest value; stacked ones add up."""
    sizes = [[abs(value) for value in _numbers(row)] for row in rows]
    largest = [max(row, default=0.0) for row in sizes]
    return scale_for(unit, sum(largest) if block.stacked else max(largest, default=0.0))


def _numbers(values: Values) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _scaled(values: Values, scale: Scale) -> list[float | None]:
    """Plot values: none for what no axis can show, seven digits of the rest."""
    return [
        float(f"{value / scale.divisor:.7g}") if value is not None and math.isfinite(value) else None
        for value in values
    ]


def _trace(series: Series, colour: str, scale: Scale, axis: str, stacked: bool) -> Figure:
    values = _scaled(series.values, scale)
    trace: Figure = {
        "name": plot_text(series.name),
        "y": values,
        "yaxis": axis,
        "hovertemplate": f"%{{y:{_NUMBER}}}{plot_text(scale.suffix)}<extra>%{{fullData.name}}</extra>",
    }
    if series.draw == "bars":
        return {**trace, "type": "bar", "marker": {"color": colour}}
    trace |= {
        "type": "scatter",
        "mode": "markers" if series.draw == "points" else "lines+markers" if _has_lone_value(values) else "lines",
        "line": {
            "color": colour,
            "width": series.width,
            "shape": "hv" if series.draw == "steps" else "linear",
            "dash": "dash" if series.dashed else "solid",
        },
        "marker": {"color": colour, "size": 5 if series.draw == "points" else 3},
    }
    if stacked and not series.apart:
        trace |= {"stackgroup": axis, "fillcolor": _translucent(colour, series.fill or 0.25)}
    elif series.fill:
        trace |= {"fill": "tozeroy", "fillcolor": _translucent(colour, series.fill)}
    return trace


def _has_lone_value(values: Sequence[float | None]) -> bool:
    """Whether some value has no neighbour: a line would not show it."""
    around = [None, *values, None]
    return any(
        around[i] is not None and around[i - 1] is None and around[i + 1] is None for i in range(1, len(around) - 1)
    )


def _translucent(colour: str, opacity: float) -> str:
    """The colour of an area; a name or a function keeps its own opacity."""
    if len(colour) != 7 or not colour.startswith("#"):
        return colour
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _value_axis(block: TimeSeries, scale: Scale, unit: str, secondary: int) -> Figure:
    axis: Figure = {
        "ticksuffix": plot_text(scale.suffix),
        "tickprefix": plot_text(scale.prefix),
        "tickformat": _NUMBER,
        "automargin": True,
        "zeroline": False,
        "nticks": 6,
    }
    if secondary:
        axis |= {"overlaying": "y", "side": "right", "anchor": "free" if secondary > 1 else "x", "showgrid": False}
        axis |= {"autoshift": True} if secondary > 1 else {}
    if block.logarithmic:
        return {**axis, "type": "log"}
    if all(value >= 0 for row in _of_unit(block, unit) for value in _numbers(row)):
        axis["rangemode"] = "tozero" if block.stacked else "nonnegative"
    bounds = {"minallowed": block.minimum, "maxallowed": block.maximum}
    given = {name: bound / scale.divisor for name, bound in bounds.items() if bound is not None}
    if secondary or not given:
        return axis
    if len(given) == len(bounds):
        return {**axis, "range": list(given.values())}
    return {**axis, "autorange": True, "autorangeoptions": given}


def _layout(times: tuple[float, ...], shapes: list[Figure]) -> Figure:
    return {
        "autosize": True,
        "margin": {"l": 8, "r": 8, "t": 10, "b": 8, "pad": 2},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "showlegend": False,
        "hovermode": "x unified",
        "dragmode": "zoom",
        "font": {"size": 11, "family": "system-ui, sans-serif"},
        "shapes": shapes,
        "xaxis": {
            "type": "date",
            "range": [round(times[0] * 1000), round(times[-1] * 1000)] if times else None,
            "hoverformat": _TIME_FORMAT,
            "tickformatstops": _TICK_FORMATS,
            "tickangle": 0,
            "automargin": True,
            "zeroline": False,
        },
    }


def _threshold_shapes(thresholds: Iterable[Threshold], scale: Scale) -> list[Figure]:
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": threshold.value / scale.divisor,
            "y1": threshold.value / scale.divisor,
            "line": {"color": checked(threshold.colour) or "#999999", "width": 1, "dash": "dash"},
            "label": {"text": plot_text(threshold.name), "textposition": "end", "font": {"size": 10}},
        }
        for threshold in thresholds
        if math.isfinite(threshold.value)
    ]


def _tints(spans: Iterable[Span], second: int) -> list[Figure]:
    return [
        {
            "type": "rect",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": round(span.start * second),
            "x1": round(span.end * second),
            "fillcolor": checked(span.colour) or "#999999",
            "opacity": 0.1,
            "layer": "below",
            "line": {"width": 0},
        }
        for span in spans
    ]


def _marks(moments: Iterable[Moment], second: int) -> list[Figure]:
    return [
        {
            "type": "line",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": round(moment.time * second),
            "x1": round(moment.time * second),
            "line": {"color": checked(moment.colour) or "#999999", "width": 1, "dash": "dot"},
        }
        for moment in moments
    ]


def _without_empty_ends(block: Heatmap) -> Heatmap:
    """Leave out the buckets below and above all that were ever hit, but for one on either side."""
    hit = [number for number, row in enumerate(block.counts) if any(_numbers(row))]
    if not hit:
        return block
    kept = slice(max(0, hit[0] - 1), hit[-1] + 2)
    return replace(block, bounds=block.bounds[kept], counts=block.counts[kept])


def _heatmap(block: Heatmap) -> Figure:
    largest = max((abs(value) for row in block.counts for value in _numbers(row)), default=0.0)
    scale = scale_for(block.count_unit, largest)
    trace: Mapping[str, Any] = {
        "type": "heatmap",
        # Nothing is no colour: a bucket that was never hit shows the page.
        "z": [[value or None for value in _scaled(row, scale)] for row in block.counts],
        "y": [plot_text(_bound_text(bound, block)) for bound in block.bounds],
        "colorscale": _HEAT,
        "zmin": 0,
        "hoverongaps": False,
        "colorbar": {"thickness": 8, "outlinewidth": 0, "ticksuffix": plot_text(scale.suffix), "tickformat": _NUMBER},
        "hovertemplate": f"%{{x}}<br>%{{y}}: %{{z:{_NUMBER}}}{plot_text(scale.suffix)}<extra></extra>",
    }
    layout = _layout(block.times, _marks(block.moments, _time_scale(block)))
    layout |= {"hovermode": "closest"}
    layout["yaxis"] = {"type": "category", "automargin": True, "showgrid": False, "nticks": 9, "zeroline": False}
    return {"traces": [trace], "layout": layout}


def _bound_text(bound: float, block: Heatmap) -> str:
    if math.isinf(bound):
        finite = [one for one in block.bounds if math.isfinite(one)]
        return f"> {text(finite[-1], block.unit)}" if finite else "any"
    return f"≤ {text(bound, block.unit)}"

"""Blocks as HTML. Whatever comes from data is escaped here, and nowhere else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from charts.blocks import (
    BarGauge,
    Block,
    Heatmap,
    Notice,
    Segment,
    Stat,
    StateTimeline,
    Table,
    Text,
    TimeSeries,
    Value,
    Values,
)
from charts.colours import checked, or_palette
from charts.library import ChartsUnavailableError
from charts.plots import figure
from charts.units import text
from charts.words import clock, last, summary

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["is_plot", "markdown", "markup"]

_JSON_ESCAPES: Mapping[int, str] = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
_TREND_WIDTH, _TREND_HEIGHT = 100.0, 30.0


def is_plot(block: Block) -> bool:
    """Whether the chart library draws it."""
    return isinstance(block, TimeSeries | Heatmap)


def markup(block: Block, title: str, key: str) -> str:
    """Return a block as HTML; `key` makes its ids its own on the page."""
    match block:
        case TimeSeries() | Heatmap():
            return _plot(block, title, key)
        case Stat():
            return f'<div class="stats">{"".join(_stat(value, len(block.values)) for value in block.values)}</div>'
        case BarGauge():
            return _bars(block)
        case Table():
            return _table(block, title)
        case StateTimeline():
            return _timeline(block)
        case Text():
            return _text(block)
        case Notice():
            return f'<p class="notice {block.kind}" role="note">{escape(block.text)}</p>'


def json_for_html(value: object) -> str:
    """Return JSON that can stand in a script element: no sign in it ends the element or opens another."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_JSON_ESCAPES)


def markdown(body: str) -> str:
    """Return CommonMark as HTML. HTML in it is shown as text; links to scripts stay text.

    Raises ChartsUnavailableError when its reader is not installed.
    """
    return str(_commonmark().render(body))


@cache
def _commonmark() -> MarkdownIt:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise ChartsUnavailableError("words need markdown-it-py: pip install 'inferwatch[preview]'") from error
    # Images are the one thing in CommonMark that a browser fetches by itself.
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _plot(block: TimeSeries | Heatmap, title: str, key: str) -> str:
    described = escape(summary(block, title))
    drawing = (
        f'<div class="chart" id="plot-{key}" role="img" aria-label="{described}" data-figure="figure-{key}"></div>'
        f'<script type="application/json" id="figure-{key}">{json_for_html(figure(block))}</script>'
    )
    return drawing + (_legend(block, key) if isinstance(block, TimeSeries) else "")


def _legend(block: TimeSeries, key: str) -> str:
    colours = or_palette(series.colour for series in block.series)
    entries = "".join(
        f'<li><button type="button" aria-pressed="true" data-plot="plot-{key}" data-trace="{number}">'
        f'<i class="key"{_style(background=colour)}></i><bdi>{escape(series.name)}</bdi></button>'
        f'<span class="last">{escape(text(last(series.values), series.unit or block.unit))}</span></li>'
        for number, (series, colour) in enumerate(zip(block.series, colours, strict=True))
    )
    return f'<ul class="series" aria-label="Series, with their last values">{entries}</ul>'


def _stat(value: Value, count: int) -> str:
    shown = value.text or text(value.value, value.unit, value.decimals)
    name = f'<span class="name"><bdi>{escape(value.name)}</bdi></span>' if value.name and count > 1 else ""
    words = " words" if value.text else ""
    return (
        f'<div class="stat"{_style(color=value.colour)}>{_trend(value.trend)}{name}'
        f'<span class="number{words}"><bdi>{escape(shown)}</bdi></span></div>'
    )


def _trend(values: Values) -> str:
    """The values before, as a line behind the number; gaps are left out."""
    there = [(i, value) for i, value in enumerate(values) if value is not None and math.isfinite(value)]
    if len(there) < 2:
        return ""
    low, high = min(value for _, value in there), max(value for _, value in there)
    rise = (high - low) or 1.0
    across = _TREND_WIDTH / max(len(values) - 1, 1)
    points = " ".join(f"{i * across:.1f},{_TREND_HEIGHT * (1 - (value - low) / rise):.1f}" for i, value in there)
    return (
        f'<svg class="trend" viewBox="0 -1 {_TREND_WIDTH:g} {_TREND_HEIGHT + 2:g}" preserveAspectRatio="none" '
        f'aria-hidden="true"><polyline points="{points}"/></svg>'
    )


def _bars(block: BarGauge) -> str:
    numbers = [value.value for value in block.values if value.value is not None and math.isfinite(value.value)]
    top = block.maximum if block.maximum is not None else max(numbers, default=1.0)
    rows = []
    for value, colour in zip(block.values, or_palette(one.colour for one in block.values), strict=True):
        shown = escape(value.text or text(value.value, value.unit, value.decimals))
        share = _share(value.value, block.minimum, top)
        rows.append(
            f'<li><span class="name"><bdi>{escape(value.name)}</bdi></span>'
            f'<span class="bar" aria-hidden="true"><i{_style(background=colour, width=f"{share:.1f}%")}></i></span>'
            f'<span class="number">{shown}</span></li>'
        )
    return f'<ul class="bars">{"".join(rows)}</ul>'


def _share(value: float | None, low: float, high: float) -> float:
    if value is None or not math.isfinite(value) or high <= low:
        return 0.0
    return 100 * min(1.0, max(0.0, (value - low) / (high - low)))


def _table(block: Table, title: str) -> str:
    head = "".join(f'<th scope="col"><bdi>{escape(column.name)}</bdi></th>' for column in block.columns)
    rows = "".join(
        f"<tr>{''.join(_table_cell(block, i, j, content) for j, content in enumerate(row))}</tr>"
        for i, row in enumerate(block.rows)
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title) or "Table"}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _table_cell(block: Table, i: int, j: int, content: str | float | None) -> str:
    colour = _style(**{"border-color": block.colours.get((i, j), "")})
    marked = ' class="state"' if colour else ""
    if isinstance(content, str):
        return f"<td{marked}{colour}><bdi>{escape(content)}</bdi></td>"
    column = block.columns[j]
    kind = ' class="value state"' if colour else ' class="value"'
    return f"<td{kind}{colour}>{escape(text(content, column.unit, column.decimals))}</td>"


def _timeline(block: StateTimeline) -> str:
    states = list(dict.fromkeys(segment.text for _, lane in block.lanes for segment in lane))
    chosen = {segment.text: segment.colour for _, lane in block.lanes for segment in lane if segment.colour}
    colours = dict(zip(states, or_palette(chosen.get(state, "") for state in states), strict=True))
    lanes = "".join(
        f'<li><span class="name"><bdi>{escape(name)}</bdi></span>'
        f'<span class="lane">{"".join(_segment(block, one, colours[one.text]) for one in lane)}</span></li>'
        for name, lane in block.lanes
    )
    middle = (block.start + block.end) / 2
    times = "".join(f"<span>{escape(clock(time)[11:])}</span>" for time in (block.start, middle, block.end))
    return (
        f'<ul class="timeline">{lanes}<li class="times" aria-hidden="true"><span></span><span>{times}</span></li></ul>'
    )


def _segment(block: StateTimeline, segment: Segment, colour: str) -> str:
    left = _share(segment.start, block.start, block.end)
    width = _share(segment.end, block.start, block.end) - left
    told = f"{segment.text}: {clock(segment.start)} to {clock(segment.end)}"
    place = _style(background=segment.colour or colour, left=f"{left:.2f}%", width=f"{width:.2f}%")
    return f'<span class="segment" title="{escape(told)}"{place}><bdi>{escape(segment.text)}</bdi></span>'


def _text(block: Text) -> str:
    match block.kind:
        case "markdown":
            return f'<div class="prose">{markdown(block.body)}</div>'
        case "code":
            return f'<pre tabindex="0"><code>{escape(block.body)}</code></pre>'
        case "plain":
            return f'<p class="plain">{escape(block.body)}</p>'


def _style(**properties: str) -> str:
    """A style attribute. Colours are checked; widths and places are numbers that this module wrote."""
    kept: Iterable[tuple[str, str]] = (
        (name, value if name in ("left", "width") else checked(value)) for name, value in properties.items()
    )
    written = ";".join(f"{name}:{value}" for name, value in kept if value)
    return f' style="{written}"' if written else ""

"""What a page is made of: blocks of data, with the units, colours and thresholds that the caller chose.

Times are unix seconds. Values are in the base of their unit (seconds, bytes, ratios); a missing one is None. Colours
are CSS colours (`#0072B2`); "" takes the next colour of the palette, or the colour of the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "BarGauge",
    "Block",
    "Cell",
    "Column",
    "Heatmap",
    "Moment",
    "Notice",
    "Panel",
    "Section",
    "Segment",
    "Series",
    "Span",
    "Stat",
    "StateTimeline",
    "Table",
    "Text",
    "Threshold",
    "TimeSeries",
    "Value",
    "Values",
]

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value from which on something is in another state: `colour` holds from `value` up."""

    value: float
    colour: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that is worth a mark on every time axis: a deployment, a restart, an alert."""

    time: float
    text: str
    colour: str = "#999999"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that is worth a tint behind every line: an incident, a maintenance window."""

    start: float
    end: float
    colour: str = "#999999"


@dataclass(frozen=True, slots=True)
class Series:
    """One line: `values` stand at the block's times. `unit` "" takes the block's; a unit of its own has an axis.

    `draw` says how: a line, a line with steps, bars, or points. `fill` is the opacity of the area below, 0 for none.
    One that stands `apart` is not stacked upon the others of a stacked block.
    """

    name: str
    values: Values
    colour: str = ""
    unit: str = ""
    draw: Literal["line", "steps", "bars", "points"] = "line"
    fill: float = 0.0
    width: float = 1.5
    dashed: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values over time. Thresholds are drawn as lines; `minimum` and `maximum` bound the axis where they are given.

    `elapsed` times are seconds since a start that has no date, and are written so.
    """

    times: tuple[float, ...]
    series: tuple[Series, ...]
    unit: str = ""
    thresholds: tuple[Threshold, ...] = ()
    moments: tuple[Moment, ...] = ()
    stacked: bool = False
    minimum: float | None = None
    maximum: float | None = None
    logarithmic: bool = False
    spans: tuple[Span, ...] = ()
    elapsed: bool = False


@dataclass(frozen=True, slots=True)
class Heatmap:
    """How often values fell into each bucket over time.

    `bounds` are the buckets' upper bounds in `unit`, ascending, the last may be infinite; `counts[bucket][time]` is
    how many fell into that bucket alone, not into it and those below.
    """

    times: tuple[float, ...]
    bounds: tuple[float, ...]
    counts: tuple[Values, ...]
    unit: str = ""
    count_unit: str = "short"
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """One named value, with the colour that its state gives it and, for a trend, the values before it."""

    value: float | None
    name: str = ""
    unit: str = ""
    colour: str = ""
    text: str = ""
    trend: Values = ()
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Stat:
    """Values written large, side by side; `text` of a value stands in the number's place."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class BarGauge:
    """Values as bars between two bounds; without `maximum`, the largest value fills its bar."""

    values: tuple[Value, ...]
    minimum: float = 0.0
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: how its numbers are written."""

    name: str
    unit: str = ""
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text and numbers; `colours` has the colour of a cell by (row, column)."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    colours: Mapping[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A state that held from `start` to `end`."""

    start: float
    end: float
    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class StateTimeline:
    """The states of several things over one time: a lane of segments each."""

    start: float
    end: float
    lanes: tuple[tuple[str, tuple[Segment, ...]], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Words. `kind`: "plain" keeps line breaks, "code" has a fixed width, "markdown" is CommonMark without HTML."""

    body: str
    kind: Literal["plain", "code", "markdown"] = "plain"


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands where data is missing: why there is none, or what went wrong."""

    text: str
    kind: Literal["empty", "problem"] = "empty"


Block = TimeSeries | Heatmap | Stat | BarGauge | Table | StateTimeline | Text | Notice


@dataclass(frozen=True, slots=True)
class Panel:
    """A block with its title; `about` (CommonMark) is folded away, `notes` stand below the block."""

    block: Block
    title: str = ""
    about: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """A panel's place in its section's 24 columns.

    `column` and `row` count from 0; None lets the panel flow behind the one before. `height` is in rows of 38 px;
    None takes what the content needs.
    """

    panel: Panel
    width: int = 24
    height: int | None = None
    column: int | None = None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Panels under one heading. Sections that `opens_chapter` are what the page's contents list."""

    title: str
    cells: tuple[Cell, ...] = ()
    lead: str = ""
    moments: tuple[Moment, ...] = ()
    opens_chapter: bool = False

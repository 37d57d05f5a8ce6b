"""What a block says in words: for those who hear the page, and for the search in it."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from charts.blocks import Heatmap, Series, TimeSeries, Values
from charts.units import text

__all__ = ["clock", "last", "summary", "time_of_day"]

_MOST_SERIES = 8


def clock(unix_seconds: float) -> str:
    """Return a time of day in UTC, with its date; of a time that no calendar has, its seconds."""
    return _written(unix_seconds, "%Y-%m-%d %H:%M:%S UTC")


def time_of_day(unix_seconds: float) -> str:
    """Return a time of day in UTC, without its date."""
    return _written(unix_seconds, "%H:%M:%S UTC")


def _written(unix_seconds: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return f"{unix_seconds:g} s since 1970"


def last(values: Values) -> float | None:
    """Return the last value that there is."""
    return next((value for value in reversed(values) if value is not None and math.isfinite(value)), None)


def summary(block: TimeSeries | Heatmap, title: str) -> str:
    """Return what a plot shows in one paragraph: kind, time, and the extremes of each series."""
    told_time = _elapsed if isinstance(block, TimeSeries) and block.elapsed else clock
    span = f" from {told_time(block.times[0])} to {told_time(block.times[-1])}" if block.times else ""
    if isinstance(block, Heatmap):
        total = sum(value for row in block.counts for value in row if value is not None and math.isfinite(value))
        return f"Heatmap: {title}{span}, {len(block.bounds)} buckets, {text(total, block.count_unit)} in all."
    told = "; ".join(_told(series, series.unit or block.unit) for series in block.series[:_MOST_SERIES])
    more = len(block.series) - _MOST_SERIES
    return f"Line chart: {title}{span}. {told}{f'; and {more} more' if more > 0 else ''}."


def _elapsed(seconds: float) -> str:
    return f"{seconds:,.0f} s"


def _told(series: Series, unit: str) -> str:
    there = [value for value in series.values if value is not None and math.isfinite(value)]
    if not there:
        return f"{series.name}: no values"
    return (
        f"{series.name}: last {text(there[-1], unit)}, lowest {text(min(there), unit)}, "
        f"highest {text(max(there), unit)}"
    )

"""What a plot says in words."""

from __future__ import annotations

from math import inf, nan

from charts.blocks import Heatmap, Series, TimeSeries
from charts.words import clock, last, summary, time_of_day
from tests.charts.blocks import TIMES

_SPAN = "from 1970-01-01 00:01:40 UTC to 1970-01-01 00:02:25 UTC"


def test_a_time_series_tells_the_extremes_of_its_series() -> None:
    block = TimeSeries(TIMES, (Series("p95", (0.1, 0.4, 0.2, None)), Series("gone", (None, nan, inf, None))), "s")
    assert summary(block, "TTFT") == (
        f"Line chart: TTFT {_SPAN}. p95: last 200 ms, lowest 100 ms, highest 400 ms; gone: no values."
    )


def test_of_many_series_some_are_told() -> None:
    block = TimeSeries(TIMES, tuple(Series(f"s{number}", (1.0,) * 4) for number in range(12)))
    assert summary(block, "T").endswith("s7: last 1, lowest 1, highest 1; and 4 more.")


def test_a_heatmap_tells_how_much_it_counts() -> None:
    block = Heatmap(TIMES, (0.5, inf), ((1.0, 2.0, None, 0.0), (4.0, nan, 0.0, 0.0)), "s", "reqps")
    assert summary(block, "TTFT") == f"Heatmap: TTFT {_SPAN}, 2 buckets, 7 req/s in all."


def test_the_last_value_is_the_last_that_there_is() -> None:
    assert last((1.0, 2.0, None, nan)) == 2.0
    assert last((None,)) is None


def test_elapsed_time_is_told_in_seconds() -> None:
    block = TimeSeries((0.0, 1500.0), (Series("a", (1.0, 2.0)),), elapsed=True)
    assert summary(block, "T").startswith("Line chart: T from 0 s to 1,500 s. ")


def test_a_time_that_no_calendar_has_is_told_in_seconds() -> None:
    assert (clock(100.0), time_of_day(100.0)) == ("1970-01-01 00:01:40 UTC", "00:01:40 UTC")
    assert clock(1e300) == time_of_day(1e300) == "1e+300 s since 1970"

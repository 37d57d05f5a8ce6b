"""Series over time: increases that survive restarts, quantiles as Prometheus computes them, gauges over ranks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.metrics.timeline import Histogram, Series, Timeline


def series(*points: tuple[float, float]) -> Series:
    found = Series({})
    for time, value in points:
        found.add(time, value)
    return found


def counter(name: str, *points: tuple[float, float], **labels: str) -> Timeline:
    timeline = Timeline()
    for time, value in points:
        timeline.add(name, labels, time, value)
    return timeline


def test_an_increase_is_what_a_counter_grew_in_the_window() -> None:
    found = series((0, 100), (10, 130), (20, 170), (30, 171))

    assert found.increase((0, 30)) == 71
    assert found.increase((10, 20)) == 40


def test_a_window_between_scrapes_begins_at_the_last_one_before_it() -> None:
    assert series((0, 0), (10, 10), (20, 20)).increase((15, 20)) == 10


def test_a_restart_is_bridged_and_never_negative() -> None:
    found = series((0, 1000), (10, 1010), (20, 5), (30, 12))

    # 10 before the restart; after it 5 from zero, then 7.
    assert found.increase((0, 30)) == 10 + 5 + 7
    assert found.restarts() == 1


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_an_increase_is_never_negative(values: list[float], start: int, end: int) -> None:
    found = series(*enumerate(values))

    assert found.increase((min(start, end), max(start, end))) >= 0


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=20), st.integers(1, 18))
def test_increases_of_neighbouring_windows_add_up(values: list[float], cut: int) -> None:
    found = series(*enumerate(values))
    last = len(values) - 1
    middle = min(cut, last)

    assert found.increase((0, middle)) + found.increase((middle, last)) == pytest.approx(found.increase((0, last)))


def test_a_counter_seen_once_tells_no_increase() -> None:
    timeline = counter("c", (5, 100))

    assert timeline.increase("c", (0, 10)) is None
    assert timeline.rate("c", (0, 10)) is None
    assert timeline.increase("absent", (0, 10)) is None


def test_increases_are_summed_over_ranks_and_chosen_by_label() -> None:
    timeline = counter("c", (0, 0), (10, 5), rank="0")
    for time, value in ((0, 100), (10, 120)):
        timeline.add("c", {"rank": "1"}, time, value)

    assert timeline.increase("c", (0, 10)) == 25
    assert timeline.increase("c", (0, 10), rank="1") == 20
    assert timeline.rate("c", (0, 10)) == 2.5


def test_a_window_without_length_has_no_rate() -> None:
    assert counter("c", (0, 0), (10, 5)).rate("c", (10, 10)) is None


def test_points_may_come_out_of_order_and_twice() -> None:
    found = series((20, 2), (0, 0), (10, 1), (10, 1.5))

    assert found.times == [0, 10, 20]
    assert found.values == [0, 1.5, 2]


def test_gauges_of_several_ranks_are_combined_at_each_time() -> None:
    timeline = counter("g", (0, 1), (10, 2), rank="0")
    timeline.add("g", {"rank": "1"}, 10, 5)

    assert timeline.points("g") == [(0, 1), (10, 7)]
    assert timeline.points("g", max) == [(0, 1), (10, 5)]
    assert timeline.values("g", sum, (5, 15)) == [7]
    assert timeline.last("g") == 7
    assert timeline.last("absent") is None


def test_nan_says_nothing() -> None:
    timeline = counter("g", (0, 1), (10, math.nan))

    assert timeline.points("g") == [(0, 1)]
    assert not counter("only_nan", (0, math.nan)).has("only_nan")


def histogram(*buckets: tuple[float, float], count: float | None = None, total: float = 0.0) -> Histogram:
    bounds, cumulative = zip(*buckets, strict=True)
    return Histogram(bounds, cumulative, cumulative[-1] if count is None else count, total)


def test_quantiles_are_interpolated_inside_their_bucket_as_prometheus_does() -> None:
    found = histogram((0.1, 10), (0.5, 30), (1.0, 40))

    # Rank 20 of 40 lies half way between 10 and 30: 0.1 + 0.4 x 0.5.
    assert found.quantile(0.5) == pytest.approx(0.3)
    # Rank 38: 8 of the 10 in the last bucket: 0.5 + 0.5 x 0.8.
    assert found.quantile(0.95) == pytest.approx(0.9)
    # Rank 5 of the first bucket, whose lower bound is 0.
    assert found.quantile(0.125) == pytest.approx(0.05)


def test_beyond_the_last_finite_bound_the_bound_is_the_answer() -> None:
    assert histogram((0.1, 10), (0.5, 30), count=100).quantile(0.95) == 0.5


def test_an_empty_histogram_has_neither_mean_nor_quantile() -> None:
    found = histogram((0.1, 0), (0.5, 0))

    assert found.mean is None
    assert found.quantile(0.5) is None
    assert Histogram((), (), 5, 10).quantile(0.5) is None


def test_the_mean_is_sum_over_count() -> None:
    assert histogram((0.1, 10), count=40, total=20.0).mean == 0.5


def test_a_histogram_is_read_as_its_increase_over_the_window_and_over_ranks() -> None:
    timeline = Timeline()
    for rank, scale in (("0", 1), ("1", 2)):
        for time, done in ((0, 1000), (10, 1010), (20, 1040)):
            number = done * scale
            for bound, share in (("0.1", 0.5), ("1.0", 1.0), ("+Inf", 1.0)):
                timeline.add("h_bucket", {"rank": rank, "le": bound}, time, number * share)
            timeline.add("h_count", {"rank": rank}, time, number)
            timeline.add("h_sum", {"rank": rank}, time, number * 0.25)

    found = timeline.histogram("h", (10, 20))
    assert found is not None
    # 30 more of rank 0 and 60 of rank 1; half of them within 0.1.
    assert (found.count, found.bounds, found.cumulative) == (90, (0.1, 1.0), (45, 90))
    assert found.mean == 0.25


def test_a_histogram_that_restarts_in_the_window_stays_sound() -> None:
    timeline = Timeline()
    for time, number in ((0, 1000), (10, 4), (20, 10)):
        timeline.add("h_bucket", {"le": "1.0"}, time, number)
        timeline.add("h_count", {}, time, number)
        timeline.add("h_sum", {}, time, number * 0.5)

    found = timeline.histogram("h", (0, 20))
    assert found is not None
    assert (found.count, found.mean, found.cumulative) == (10, 0.5, (10,))


def test_a_bound_that_is_no_number_is_left_out() -> None:
    timeline = counter("h_bucket", (0, 0), (10, 5), le="many")
    timeline.add("h_bucket", {"le": "1"}, 0, 0)
    timeline.add("h_bucket", {"le": "1"}, 10, 5)
    for name in ("h_count", "h_sum"):
        timeline.add(name, {}, 0, 0)
        timeline.add(name, {}, 10, 5)

    found = timeline.histogram("h", (0, 10))
    assert found is not None
    assert found.bounds == (1.0,)


def test_the_window_spans_the_scrapes() -> None:
    timeline = Timeline()
    assert timeline.window is None

    timeline.scrape_times = [3.0, 5.0, 9.0]
    assert timeline.window == (3.0, 9.0)

"""What a report draws: which time, how many points, and what each of them says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.troubleshoot.conftest import EngineLog, Scrapes
from tests.troubleshoot.test_moments import BUSY, QUEUED, stretch
from troubleshoot.collect import Request, collect
from troubleshoot.curves import MOST_POINTS, levels, means, per_second, quantiles, rates, shown, thinned
from troubleshoot.diagnosis import diagnose
from troubleshoot.evidence import Evidence
from troubleshoot.metrics.timeline import Timeline
from troubleshoot.moments import Moment
from troubleshoot.report.html import render_html


def evidence(tmp_path: Path, metrics: str = "", log: str = "") -> Evidence:
    request: dict[str, list[str]] = {"metrics": [], "logs": []}
    for kind, text in (("metrics", metrics), ("logs", log)):
        if text:
            (tmp_path / kind).write_text(text)
            request[kind].append(str(tmp_path / kind))
    found = collect(Request(**request)).evidence  # type: ignore[arg-type]
    assert found is not None
    return found


def test_few_moments_stay_as_they_are() -> None:
    moments = stretch(60, **BUSY)
    assert thinned(moments) == tuple(moments)
    assert thinned([]) == ()


@pytest.mark.parametrize("count", [MOST_POINTS + 1, 1000, 10_000])
def test_many_moments_become_few_that_cover_the_same_time(count: int) -> None:
    few = thinned(stretch(2.0 * count, **BUSY))
    assert MOST_POINTS / 2 <= len(few) <= MOST_POINTS
    assert (few[0].start_seconds, few[-1].end_seconds) == (0, 2 * count)
    assert all(one.end_seconds == other.start_seconds for one, other in pairwise(few))


def test_a_merged_moment_keeps_peaks_means_and_sums() -> None:
    low = Moment(0, 2, 1.0, 0.0, 0.2, 100.0, None, 1.0, 10.0)
    high = Moment(2, 8, 3.0, 9.0, 0.9, 200.0, None, 2.0, 20.0)
    (merged,) = thinned([low, high], most=1)
    assert merged == Moment(0, 8, 3.0, 9.0, 0.9, 175.0, None, 3.0, 30.0)


def test_the_window_is_shown_with_as_much_before_it(tmp_path: Path) -> None:
    busy: dict[str, Any] = {"running": 8, "generation": 500.0, "steps": 50.0, "finished": 2.0}
    scrapes = Scrapes(step=10).phase(900, **busy).phase(120, **busy, waiting=30).phase(900, **busy)
    (drawn,) = shown(evidence(tmp_path, metrics=scrapes.text))
    assert drawn.window is not None
    start, end = drawn.window
    assert end - start == pytest.approx(120, abs=20)
    assert drawn.moments[0].start_seconds == pytest.approx(start - 120, abs=20)
    assert drawn.moments[-1].end_seconds == pytest.approx(end + 60, abs=20)


def test_metrics_are_shown_and_the_log_only_without_them(tmp_path: Path) -> None:
    log = EngineLog().healthy_start().stats(8).stats(8).stats(8).text
    scrapes = Scrapes().phase(60, running=8, generation=500.0, steps=50.0).text
    assert [one.source for one in shown(evidence(tmp_path, scrapes, log))] == ["metrics"]
    assert [one.source for one in shown(evidence(tmp_path, "", log))] == ["log"]


def test_metrics_of_a_gpu_alone_leave_the_engine_to_the_log(tmp_path: Path) -> None:
    log = EngineLog().healthy_start().stats(8).stats(8).stats(8).text
    gpu = "".join(f'DCGM_FI_DEV_GPU_UTIL{{gpu="0"}} 50 {1_700_000_000 + 2 * n}\n' for n in range(10)) + "# EOF\n"
    assert [one.source for one in shown(evidence(tmp_path, gpu, log))] == ["metrics", "log"]


@pytest.mark.parametrize("stamp", ["NaN", "+Inf", "1e300", "-5e13", "9e15"])
def test_a_time_that_no_calendar_has_is_not_drawn(tmp_path: Path, stamp: str) -> None:
    text = Scrapes().phase(40, running=8, waiting=30, generation=500.0, steps=50.0).text
    last = text.splitlines()[-2].rsplit(" ", 1)[1]
    found = evidence(tmp_path, metrics=text.replace(f" {last}\n", f" {stamp}\n"))
    for drawn in shown(found):
        assert all(1.6e9 < time < 1.8e9 for time in drawn.times)
        assert drawn.window is None or 1.6e9 < drawn.window[0] <= drawn.window[1] < 1.8e9
    assert render_html(diagnose(found), found)


def test_one_scrape_or_one_line_is_no_window(tmp_path: Path) -> None:
    assert shown(evidence(tmp_path, Scrapes().text)) == ()
    assert shown(evidence(tmp_path, "", EngineLog().healthy_start().stats(8).text)) == ()
    assert shown(Evidence()) == ()


def test_lines_of_logs_that_overlap_in_time_are_left_out_and_counted(tmp_path: Path) -> None:
    one = EngineLog().healthy_start().stats(8).stats(8).stats(8).text
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(one)
    found = collect(Request([str(tmp_path / "a.log"), str(tmp_path / "b.log")])).evidence
    assert found is not None
    (drawn,) = shown(found)
    assert (len(drawn.moments), drawn.left_out) == (3, 3)


def counted() -> Timeline:
    """A counter of 5 a second and a histogram whose one observation in the second moment is 0.4."""
    timeline = Timeline()
    for second in (0, 2, 4):
        timeline.add("c", {}, second, 5.0 * second)
        seen = 1.0 if second == 4 else 0.0
        for name, value in (("h_count", seen), ("h_sum", 0.4 * seen)):
            timeline.add(name, {}, second, value)
        for bound, value in (("0.2", 0.0), ("0.6", seen), ("+Inf", seen)):
            timeline.add("h_bucket", {"le": bound}, second, value)
    return timeline


MOMENTS = [Moment(0, 2), Moment(2, 4)]


def test_rates_means_and_quantiles_are_of_each_moment() -> None:
    timeline = counted()
    assert rates(timeline, "c", MOMENTS) == (5.0, 5.0)
    assert rates(timeline, "absent", MOMENTS) == (None, None)
    assert list(means(timeline, "h", MOMENTS)) == [None, pytest.approx(0.4)]
    assert list(quantiles(timeline, "h", 0.5, MOMENTS)) == [None, pytest.approx(0.4)]
    assert per_second([4.0, None], MOMENTS) == (2.0, None)
    assert per_second([4.0], [Moment(2, 2)]) == (None,)


def test_quantiles_of_very_many_series_are_left_out() -> None:
    timeline = counted()
    for number in range(2000):
        timeline.add("h_bucket", {"le": "0.6", "server": str(number)}, 0, 0.0)
    assert set(quantiles(timeline, "h", 0.5, stretch(480))) == {None}


def test_a_gauge_is_its_mean_within_a_moment_and_its_last_value_for_a_minute() -> None:
    timeline = Timeline()
    for second, value in ((0, 9.0), (1, 1.0), (2, 3.0)):
        timeline.add("g", {}, second, value)
    (series,) = timeline.all("g")
    assert levels(series, [*MOMENTS, Moment(4, 200)]) == (2.0, 3.0, None)


def test_queued_moments_are_shown_whole() -> None:
    assert len(thinned(stretch(100, **QUEUED))) == 50

"""Serving moment by moment: which moments are trouble, and that a quiet hour around it does not dilute the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from troubleshoot.logs.events import Event
from troubleshoot.logs.statistics import LogStats
from troubleshoot.metrics.load import Body, load_metrics
from troubleshoot.moments import Moment, focus, from_log, from_metrics, longest_stall, window_of

if TYPE_CHECKING:
    from tests.troubleshoot.conftest import Scrapes


def stretch(seconds: float, start: float = 0.0, step: float = 2.0, **values: Any) -> list[Moment]:
    """Neighbouring moments of equal values."""
    return [Moment(start + i * step, start + (i + 1) * step, **values) for i in range(int(seconds / step))]


BUSY: dict[str, Any] = {"running": 8.0, "waiting": 0.0, "generation_rate": 500.0, "steps": 60.0}
QUEUED: dict[str, Any] = {"running": 8.0, "waiting": 20.0, "generation_rate": 500.0, "steps": 60.0}
IDLE: dict[str, Any] = {"running": 0.0, "waiting": 0.0, "generation_rate": 0.0, "steps": 0.0}
STUCK: dict[str, Any] = {"running": 8.0, "waiting": 0.0, "generation_rate": 0.0, "prompt_rate": 0.0, "steps": 0.0}


@pytest.mark.parametrize(
    ("values", "busy", "stalled", "distressed"),
    [
        pytest.param(BUSY, True, False, False, id="busy"),
        pytest.param(QUEUED, True, False, True, id="queued"),
        pytest.param(IDLE, False, False, False, id="idle"),
        pytest.param(STUCK, True, True, True, id="stuck"),
        pytest.param({**BUSY, "preemptions": 2.0}, True, False, True, id="preempting"),
        pytest.param({"running": 8.0}, True, False, False, id="nothing-counted"),
        pytest.param({**IDLE, "generation_rate": 40.0}, True, False, False, id="done-between-scrapes"),
        pytest.param({}, False, False, False, id="nothing-known"),
    ],
)
def test_what_a_moment_is(values: dict[str, Any], busy: bool, stalled: bool, distressed: bool) -> None:
    moment = Moment(0, 2, **values)

    assert (moment.is_busy, moment.is_stalled, moment.is_distressed) == (busy, stalled, distressed)
    assert moment.seconds == 2


def test_trouble_is_looked_at_without_the_healthy_hour_before_and_the_idle_one_after() -> None:
    before, trouble = stretch(3600, **BUSY), stretch(60, 3600, **QUEUED)
    after = stretch(3600, 3660, **IDLE)

    assert focus(before + trouble + after) == tuple(trouble)


def test_without_trouble_the_latest_busy_time_is_looked_at() -> None:
    chosen = focus(stretch(3600, **BUSY) + stretch(3600, 3600, **IDLE))

    assert chosen
    assert chosen[-1].end_seconds == 3600
    assert all(moment.is_busy for moment in chosen)
    assert chosen[0].start_seconds > 3000


def test_the_latest_trouble_counts_not_the_earliest() -> None:
    first, second = stretch(60, 0, **QUEUED), stretch(60, 2000, **QUEUED)

    assert focus(first + stretch(1940, 60, **BUSY) + second) == tuple(second)


def test_one_moment_of_waiting_in_a_busy_hour_is_no_trouble() -> None:
    moments = stretch(1800, **BUSY) + stretch(2, 1800, **QUEUED) + stretch(1800, 1802, **BUSY)

    chosen = focus(moments)
    assert len(chosen) > 1
    assert chosen[-1].end_seconds == 3602


def test_trouble_with_short_pauses_is_one_stretch() -> None:
    moments = stretch(20, 0, **QUEUED) + stretch(10, 20, **BUSY) + stretch(20, 30, **QUEUED)

    assert window_of(focus(moments)) == (0, 50)


def test_long_trouble_is_judged_by_its_latest_minutes() -> None:
    window = window_of(focus(stretch(7200, **QUEUED)))

    assert window is not None
    assert window[1] == 7200
    assert 60 <= window[1] - window[0] <= 600


def test_an_engine_that_was_never_busy_has_nothing_to_look_at() -> None:
    assert focus(stretch(600, **IDLE)) == ()
    assert focus([]) == ()
    assert window_of(()) is None


def test_the_longest_stall_is_of_neighbouring_moments() -> None:
    short, long = stretch(10, 20, **STUCK), stretch(30, 40, **STUCK)
    moments = stretch(20, **BUSY) + short + stretch(10, 30, **BUSY) + long

    assert longest_stall(moments) == tuple(long)
    assert longest_stall(stretch(20, **BUSY)) == ()


def test_scrapes_become_moments_between_them(scrapes: type[Scrapes]) -> None:
    seen = scrapes(preemptions=1000.0).phase(4, running=5, waiting=2, kv=0.8, generation=100, prompt=50, preemptions=1)
    moments = from_metrics(load_metrics([Body(0, None, seen.text.encode())]).timeline)

    assert len(moments) == 2
    assert [(m.seconds, m.running, m.waiting, m.kv_usage_ratio) for m in moments] == [(2, 5, 2, 0.8)] * 2
    assert [(m.generation_rate, m.prompt_rate, m.preemptions) for m in moments] == [(100, 50, 2)] * 2


def test_a_restart_between_scrapes_makes_no_negative_rate(scrapes: type[Scrapes]) -> None:
    seen = scrapes(generation=1e6).phase(4, running=1, generation=100).restart().phase(4, running=1, generation=100)
    moments = from_metrics(load_metrics([Body(0, None, seen.text.encode())]).timeline)

    assert all(m.generation_rate == 100 for m in moments)


def line(time: float | None, running: int, waiting: int = 0, rank: str = "", offset: int = 0) -> LogStats:
    event = Event("vllm_stats", "engine.log", 1, offset, "", "", time_seconds=time)
    return LogStats(event, rank, running, waiting, 0.5, 10.0, 20.0)


def test_statistics_lines_become_moments_that_end_with_them() -> None:
    moments = from_log([line(100.0, 3), line(110.0, 5)])

    assert [(m.start_seconds, m.end_seconds, m.running) for m in moments] == [(90, 100, 3), (100, 110, 5)]


def test_ranks_that_log_at_one_time_are_added_up() -> None:
    moments = from_log([line(100.0, 3, 1, "000"), line(100.0, 4, 2, "001"), line(110.0, 1, 0, "000")])

    assert [(m.running, m.waiting, m.generation_rate) for m in moments] == [(7, 3, 40), (1, 0, 20)]


def test_lines_without_a_time_are_ten_seconds_apart() -> None:
    moments = from_log([line(None, 3), line(None, 4)])

    assert [moment.seconds for moment in moments] == [10, 10]


def test_a_silence_between_lines_is_no_long_moment() -> None:
    """An idle vLLM prints nothing: the hour before a line does not belong to it."""
    moments = from_log([line(100.0, 3), line(3700.0, 5)])

    assert moments[1].seconds == 10

"""Pauses after failures, and how long an answer outlives its source."""

from __future__ import annotations

import pytest

from exporter.pods.last_good import KEEP_SECONDS, MAX_PAUSE_SECONDS, LastGood
from exporter.pods.problems import SourceError


class Source:
    """Answers with `answer`, or fails with it."""

    def __init__(self) -> None:
        self.answer: tuple[str, ...] | SourceError = ("a",)
        self.asked = 0

    def __call__(self) -> tuple[str, ...]:
        self.asked += 1
        if isinstance(self.answer, SourceError):
            raise self.answer
        return self.answer


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def last_good(source: Source) -> LastGood[tuple[str, ...]]:
    return LastGood("pods_api", source, pause_seconds=15.0)


def asked_at(last_good: LastGood[tuple[str, ...]], until_seconds: int, from_seconds: int = 0) -> list[int]:
    """The seconds at which the source is asked, when it is refreshed every second."""
    times = []
    for second in range(from_seconds, until_seconds):
        last_good.refresh(second)
        if last_good.attempted:
            times.append(second)
    return times


def test_a_source_that_answers_is_asked_at_each_refresh(source: Source, last_good: LastGood[tuple[str, ...]]) -> None:
    assert last_good.refresh(0.0) == ("a",)
    source.answer = ()
    assert last_good.refresh(1.0) == ()
    assert last_good.has_answer
    assert last_good.problem is None
    assert source.asked == 2


def test_pauses_grow_to_a_limit(source: Source, last_good: LastGood[tuple[str, ...]]) -> None:
    source.answer = SourceError("socket_missing", "no socket")
    assert asked_at(last_good, 300) == [0, 15, 45, 105, 165, 225, 285]
    assert MAX_PAUSE_SECONDS == 60.0


def test_pauses_begin_anew_after_a_good_answer(source: Source, last_good: LastGood[tuple[str, ...]]) -> None:
    source.answer = SourceError("socket_missing", "no socket")
    asked_at(last_good, 100)
    source.answer = ("a",)
    assert last_good.refresh(200) == ("a",)
    source.answer = SourceError("socket_missing", "no socket")
    assert asked_at(last_good, 240, from_seconds=201) == [201, 216]


def test_a_refresh_slower_than_the_limit_keeps_its_own_pace(source: Source) -> None:
    slow = LastGood("pods_api", source, pause_seconds=120.0)
    source.answer = SourceError("socket_missing", "no socket")
    assert asked_at(slow, 500) == [0, 120, 240, 360, 480]


@pytest.mark.parametrize(("asked_for", "second_time"), [(100.0, 100), (1.0, 15), (86400.0, 300)])
def test_the_servers_own_wish_for_a_pause_is_obeyed_within_reason(
    source: Source, last_good: LastGood[tuple[str, ...]], asked_for: float, second_time: int
) -> None:
    source.answer = SourceError("throttled", "too many", asked_for)
    assert asked_at(last_good, 310)[:2] == [0, second_time]


def test_the_last_good_answer_is_kept_for_a_bounded_time(source: Source, last_good: LastGood[tuple[str, ...]]) -> None:
    last_good.refresh(0.0)
    source.answer = SourceError("connection_refused", "restarting")
    assert last_good.refresh(1.0) == ("a",)
    assert last_good.problem is not None
    assert (last_good.problem.source, last_good.problem.reason) == ("pods_api", "connection_refused")
    assert last_good.refresh(KEEP_SECONDS) == ("a",)
    assert last_good.refresh(KEEP_SECONDS + 1) is None
    assert not last_good.has_answer
    source.answer = ("b",)
    assert last_good.refresh(KEEP_SECONDS + 100) == ("b",)
    assert last_good.problem is None


def test_many_failures_do_not_overflow_the_pause(source: Source, last_good: LastGood[tuple[str, ...]]) -> None:
    source.answer = SourceError("unavailable", "down")
    for attempt in range(2000):
        last_good.refresh(attempt * 1000.0)
    assert source.asked == 2000

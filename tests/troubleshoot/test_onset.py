"""When things began, as a window's moments and its series tell it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.troubleshoot.test_moments import BUSY, QUEUED, STUCK, stretch
from troubleshoot.metrics.timeline import Timeline
from troubleshoot.onset import Mark, restarts, troubles

FULL: dict[str, Any] = {**QUEUED, "kv_usage_ratio": 0.95}


def told(marks: tuple[Mark, ...]) -> list[tuple[float, str]]:
    return [(mark.seconds, mark.text) for mark in marks]


def test_each_sign_stands_where_it_was_first_read() -> None:
    moments = [
        *stretch(20, **BUSY),
        *stretch(10, 20, **QUEUED),
        *stretch(10, 30, **FULL),
        *stretch(10, 40, **{**FULL, "preemptions": 3.0}),
    ]
    assert told(troubles(moments, stuck=False)) == [
        (22, "requests wait"),
        (32, "KV cache use over 90%"),
        (42, "running requests are preempted"),
    ]


def test_signs_of_an_earlier_trouble_are_not_told() -> None:
    moments = [*stretch(20, **QUEUED), *stretch(600, 20, **BUSY), *stretch(20, 620, **FULL)]
    assert [seconds for seconds, _ in told(troubles(moments, stuck=False))] == [622, 622]


def test_what_the_data_begins_with_has_no_time() -> None:
    (mark,) = troubles(stretch(20, **QUEUED), stuck=False)
    assert (mark.seconds, mark.already) == (0, True)


def test_a_healthy_time_has_no_signs() -> None:
    assert troubles(stretch(60, **BUSY), stuck=False) == ()
    assert troubles([], stuck=True) == ()


@pytest.mark.parametrize("stuck", [True, False])
def test_a_stall_is_the_story_of_a_hang_alone(stuck: bool) -> None:
    moments = [*stretch(20, **BUSY), *stretch(30, 20, **STUCK), *stretch(10, 50, **BUSY)]
    story = [(20, "no engine step from here on"), (50, "the engine steps again")] if stuck else []
    assert told(troubles(moments, stuck=stuck)) == story


def test_a_stall_to_the_end_has_no_end() -> None:
    moments = [*stretch(20, **BUSY), *stretch(30, 20, **STUCK)]
    assert told(troubles(moments, stuck=True)) == [(20, "no engine step from here on")]


def timeline(name: str, *points: tuple[float, float]) -> Timeline:
    found = Timeline()
    for time_seconds, value in points:
        found.add(name, {}, time_seconds, value)
    return found


def test_a_server_that_goes_and_comes_back() -> None:
    marks = restarts(timeline("up", (0, 0), (10, 1), (20, 1), (30, 0), (40, 0), (50, 1)))
    assert told(marks) == [
        (10, "the server begins to answer"),
        (30, "the server does not answer"),
        (50, "the server answers again"),
    ]
    assert [mark.kind for mark in marks] == ["recovery", "trouble", "recovery"]


def test_counters_that_fall_are_a_restart() -> None:
    (mark,) = restarts(timeline("llm_generation_tokens_total", (0, 100), (10, 200), (20, 5), (30, 50)))
    assert (mark.seconds, mark.kind) == (20, "restart")

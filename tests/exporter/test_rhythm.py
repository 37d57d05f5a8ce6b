"""When a scraper will come again, so that nothing is packed for nobody, and nobody waits for the packing."""

from __future__ import annotations

import pytest

from exporter.rhythm import Rhythm


def due(times: list[float], upto: int, ahead: float = 2.0) -> list[int]:
    """The seconds after the last request at which one is due."""
    rhythm = Rhythm()
    for at in times:
        rhythm.asked(at)
    return [second for second in range(upto) if rhythm.is_due(times[-1] + second, ahead)]


def test_nobody_who_never_asked_is_waited_for() -> None:
    assert not Rhythm().is_due(5.0, 1000.0)


def test_after_one_request_another_may_come_any_time() -> None:
    assert due([100.0], 20) == list(range(20))


@pytest.mark.parametrize("interval", [15.0, 30.0, 60.0])
def test_a_steady_scraper_is_due_shortly_before_it_comes_and_from_then_on(interval: float) -> None:
    times = [number * interval for number in range(5)]
    found = due(times, 100)
    assert found == list(range(found[0], 100))
    assert 0.8 * interval - 2 <= found[0] < interval - 2


def test_whoever_asks_as_often_as_is_collected_is_always_due() -> None:
    assert due([1.0, 2.0, 3.0], 10) == list(range(10))


def test_of_several_scrapers_the_next_may_be_any() -> None:
    """Two of them, ten seconds apart: the shorter gap counts."""
    times = [0.0, 10.0, 30.0, 40.0, 60.0]
    assert due(times, 12) == list(range(7, 12))


def test_a_scraper_that_slows_down_is_believed_after_a_while() -> None:
    times = [float(number) for number in range(10)] + [10.0 + 30.0 * number for number in range(1, 20)]
    assert due(times, 40)[0] == 25


def test_one_that_is_gone_is_not_waited_for() -> None:
    assert due([0.0, 15.0], 200)[-1] == 149


def test_the_same_request_counts_once() -> None:
    assert due([0.0, 15.0, 30.0, 30.0, 15.0, 30.0], 20) == due([0.0, 15.0, 30.0], 20)

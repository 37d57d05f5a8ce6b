"""Where a measure left its level: found in steps, noise, pulses; not found where nothing happened."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.changes import differs, falls, in_order, rises, shift
from troubleshoot.findings import Change

WINDOW = (600.0, 1200.0)


def course(*levels: tuple[int, float], noise: float = 0.0, seed: int = 1) -> list[tuple[float, float]]:
    """Points 10 s apart: (how many, at which level) after each other."""
    draw = random.Random(seed)
    values = [level + draw.uniform(-noise, noise) for count, level in levels for _ in range(count)]
    return [(10.0 * index, value) for index, value in enumerate(values)]


def test_a_step_in_the_window_is_dated() -> None:
    found = shift(course((80, 0.0), (40, 43.0)), WINDOW, 1.0)
    assert found is not None
    assert (found.since, found.until, found.before, found.after) == (800.0, 1190.0, 0.0, 43.0)


def test_a_step_before_the_window_is_dated_too() -> None:
    found = shift(course((30, 2.0), (90, 12.0)), WINDOW, 1.0)
    assert found is not None
    assert found.since == 300.0


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_hide_a_step(seed: int) -> None:
    found = shift(course((75, 10.0), (45, 25.0), noise=4.0, seed=seed), WINDOW, 1.0)
    assert found is not None
    assert found.since == pytest.approx(750.0, abs=20)
    assert found.before == pytest.approx(10.0, abs=2)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_step(seed: int) -> None:
    assert shift(course((120, 10.0), noise=8.0, seed=seed), WINDOW, 1.0) is None


def test_a_trouble_that_passed_is_dated_with_its_end() -> None:
    found = shift(course((70, 0.0), (20, 50.0), (30, 0.0)), WINDOW, 1.0)
    assert found is not None
    assert (found.since, found.until, found.before) == (700.0, 890.0, 0.0)


def test_a_fall_is_a_change() -> None:
    found = shift(course((90, 3000.0), (30, 10.0)), WINDOW, 10.0)
    assert found is not None
    assert (found.since, found.after) == (900.0, 10.0)


@pytest.mark.parametrize(
    "points",
    [
        [],
        course((5, 0.0)),
        course((120, 7.0)),
        course((10, 0.0), (10, 50.0), (100, 0.0)),  # over before the window
        course((60, 100.0), (60, 120.0)),  # a fifth more
        course((60, 0.0), (60, 0.4)),  # less than the floor
        course((300, 0.0)),
    ],
)
def test_what_did_not_change_has_no_date(points: list[tuple[float, float]]) -> None:
    assert shift(points, WINDOW, 1.0) is None


@given(st.lists(st.floats(0, 1e6), max_size=60), st.floats(0.01, 100))
def test_whatever_comes_a_shift_is_within_the_points_and_real(values: list[float], floor: float) -> None:
    points = [(10.0 * index, value) for index, value in enumerate(values)]
    found = shift(points, (0.0, 1e9), floor)
    if found:
        assert 30.0 <= found.since <= found.until <= points[-1][0]
        assert differs(found.before, found.after, floor)


def test_levels_differ_by_a_floor_and_a_half() -> None:
    assert differs(0.0, 1.0, 1.0)
    assert not differs(0.0, 0.9, 1.0)
    assert differs(20.0, 10.0, 1.0)
    assert not differs(10.0, 14.0, 1.0)


def test_restarts_are_falls_and_rare_events_rises() -> None:
    points = [(1.0, 5.0), (2.0, 9.0), (3.0, 1.0), (4.0, 1.0), (5.0, 0.5)]
    assert falls(points) == [3.0, 5.0]
    assert rises(points) == [2.0]
    assert falls([]) == rises([(1.0, 1.0)]) == []


def test_changes_stand_in_order_of_time() -> None:
    late, early, undated = Change("a", 0, 1, since=9.0), Change("b", 0, 1, since=2.0), Change("c", 0, 1, against="x")
    assert in_order([undated, late, early]) == (early, late, undated)

"""Since when, and what changed: where a measure left the level that it had before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from troubleshoot.findings import Change
from troubleshoot.metrics.timeline import Point, Window

_LEAST_POINTS = 3
"""Fewer points are no level: a scrape or two may differ."""
_LEAST_RATIO = 1.5
"""A smaller step is what load does from minute to minute."""
_LEAST_EXPLAINED = 0.5
"""Share of a measure's variance that two levels must explain; the rest is noise within them."""
_MOST_POINTS = 240
"""The search for the best stretch is quadratic."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch at another level than the rest: its first and last time, and both medians."""

    since: float
    until: float
    before: float
    after: float


def shift(points: Sequence[Point], window: Window, floor: float) -> Shift | None:
    """The stretch that differs most from the rest, if it reaches into the window and differs by more than `floor`.

    It begins after at least three points at the earlier level: what was always so has not changed. Two levels that
    explain the points best are found by least squares, as one does for a change point.
    """
    if not 2 * _LEAST_POINTS <= len(points) <= _MOST_POINTS:
        return None
    values = [value for _, value in points]
    count, mean = len(values), sum(values) / len(values)
    sums = [0.0, *accumulate(value - mean for value in values)]
    variation = sum((value - mean) ** 2 for value in values)
    best, best_gain = (0, 0), 0.0
    for start in range(_LEAST_POINTS, count - _LEAST_POINTS + 1):
        for end in range(start + _LEAST_POINTS, count + 1):
            inside = end - start
            gain = (sums[end] - sums[start]) ** 2 * count / (inside * (count - inside))
            if gain > best_gain:
                best, best_gain = (start, end), gain
    start, end = best
    if best_gain < _LEAST_EXPLAINED * variation or end <= start or points[end - 1][0] < window[0]:
        return None
    # Medians, since a level's edges hold values on the way to the next.
    after, before = median(values[start:end]), median(values[:start] + values[end:])
    return Shift(points[start][0], points[end - 1][0], before, after) if differs(before, after, floor) else None


def differs(before: float, after: float, floor: float) -> bool:
    """Whether two levels differ by more than `floor` and by half as much again."""
    low, high = sorted((before, after))
    return high - low >= floor and (high + floor) >= _LEAST_RATIO * (low + floor)


def falls(points: Sequence[Point]) -> list[float]:
    """When a counter fell: its server began again."""
    return [at for (_, before), (at, after) in pairwise(points) if after < before]


def rises(points: Sequence[Point]) -> list[float]:
    """When a counter of rare events rose."""
    return [at for (_, before), (at, after) in pairwise(points) if after > before]


def in_order(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The earliest first; what has no time of its own stands last."""
    return tuple(sorted(changes, key=lambda one: (one.since is None, one.since or 0.0)))

"""Scrapes -> canonical series over time.

A counter that falls is a restart: its increase goes on from zero and is never negative. Histograms are read as the
increase of their buckets over a window, never as lifetime totals.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
Point = tuple[float, float]
Window = tuple[float, float]
RECENT_SECONDS = 60.0


@dataclass(slots=True)
class Series:
    """One labelled series: times (unix seconds, rising) and values."""

    labels: Mapping[str, str]
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time_seconds: float, value: float) -> None:
        """Append a point; a second point of the same time replaces the first."""
        if self.times and time_seconds <= self.times[-1]:
            place = bisect_left(self.times, time_seconds)
            if self.times[place] == time_seconds:
                self.values[place] = value
            else:
                self.times.insert(place, time_seconds)
                self.values.insert(place, value)
            return
        self.times.append(time_seconds)
        self.values.append(value)

    def increase(self, window: Window) -> float:
        """How much a counter grew in the window, restarts bridged. Starts at the last point at or before it."""
        first = max(bisect_right(self.times, window[0]) - 1, 0)
        last = bisect_right(self.times, window[1])
        total = 0.0
        for index in range(first + 1, last):
            step = self.values[index] - self.values[index - 1]
            total += step if step >= 0 else self.values[index]
        return total

    def recent(self, time_seconds: float) -> float | None:
        """The last value at or before a time, if it is not older than a minute."""
        place = bisect_right(self.times, time_seconds) - 1
        if place < 0 or time_seconds - self.times[place] > RECENT_SECONDS:
            return None
        return self.values[place]

    def restarts(self) -> int:
        """How often the counter fell."""
        return sum(1 for before, after in zip(self.values, self.values[1:], strict=False) if after < before)

    def within(self, window: Window) -> list[Point]:
        """The points in the window."""
        first, last = bisect_left(self.times, window[0]), bisect_right(self.times, window[1])
        return list(zip(self.times[first:last], self.values[first:last], strict=True))


@dataclass(frozen=True, slots=True)
class Histogram:
    """The increase of a histogram over a window: finite upper bounds with cumulative counts, total count and sum."""

    bounds: tuple[float, ...]
    cumulative: tuple[float, ...]
    count: float
    total: float

    @property
    def mean(self) -> float | None:
        """Sum over count; None without observations."""
        return self.total / self.count if self.count > 0 else None

    def quantile(self, share: float) -> float | None:
        """The quantile by linear interpolation inside its bucket, as Prometheus does; the top bound is a ceiling."""
        if self.count <= 0 or not self.bounds:
            return None
        rank = share * self.count
        for index, (bound, reached) in enumerate(zip(self.bounds, self.cumulative, strict=True)):
            if reached >= rank:
                low = self.bounds[index - 1] if index else 0.0
                before = self.cumulative[index - 1] if index else 0.0
                inside = reached - before
                return low + (bound - low) * ((rank - before) / inside) if inside > 0 else bound
        return self.bounds[-1]


class Timeline:
    """Every series of one server, by canonical name."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Labels, Series]] = {}
        self.scrape_times: list[float] = []

    def add(self, name: str, labels: Mapping[str, str], time_seconds: float, value: float) -> None:
        """Record one point. NaN and infinities are dropped: they say nothing."""
        if not math.isfinite(value):
            return
        key = tuple(sorted(labels.items()))
        family = self._series.setdefault(name, {})
        series = family.get(key)
        if series is None:
            series = family[key] = Series(dict(labels))
        series.add(time_seconds, value)

    def has(self, name: str) -> bool:
        """True where any point of the series was seen."""
        return name in self._series

    def names(self) -> Iterable[str]:
        """All series names."""
        return self._series.keys()

    def all(self, name: str, **match: str) -> list[Series]:
        """The labelled series of a name whose labels match."""
        return [
            series
            for series in self._series.get(name, {}).values()
            if all(series.labels.get(label) == value for label, value in match.items())
        ]

    @property
    def window(self) -> Window | None:
        """From the first to the last scrape; None without any."""
        return (self.scrape_times[0], self.scrape_times[-1]) if self.scrape_times else None

    def increase(self, name: str, window: Window, **match: str) -> float | None:
        """Summed increase over all matching label sets; None where the series is absent or was seen once."""
        found = [series for series in self.all(name, **match) if len(series.times) > 1]
        return sum(series.increase(window) for series in found) if found else None

    def rate(self, name: str, window: Window, **match: str) -> float | None:
        """`increase` per second."""
        grown = self.increase(name, window, **match)
        span = window[1] - window[0]
        return grown / span if grown is not None and span > 0 else None

    def points(
        self,
        name: str,
        combine: Callable[[Sequence[float]], float] = sum,
        window: Window | None = None,
        **match: str,
    ) -> list[Point]:
        """A gauge over time, its label sets (ranks, servers) combined at each time that one of them was read.

        Servers are read at times of their own: one that was not read just then counts with its last value.
        """
        found = self.all(name, **match)
        times = sorted({t for series in found for t in series.times if window is None or window[0] <= t <= window[1]})
        points = []
        for time_seconds in times:
            values = [value for series in found if (value := series.recent(time_seconds)) is not None]
            points.append((time_seconds, combine(values)))
        return points

    def values(
        self,
        name: str,
        combine: Callable[[Sequence[float]], float] = sum,
        window: Window | None = None,
        **match: str,
    ) -> list[float]:
        """The values of `points`."""
        return [value for _, value in self.points(name, combine, window, **match)]

    def last(self, name: str, combine: Callable[[Sequence[float]], float] = sum) -> float | None:
        """The newest value of a gauge."""
        points = self.points(name, combine)
        return points[-1][1] if points else None

    def histogram(self, name: str, window: Window, **match: str) -> Histogram | None:
        """The histogram's increase over the window, over all ranks; None where it is absent or was seen once."""
        count = self.increase(f"{name}_count", window, **match)
        total = self.increase(f"{name}_sum", window, **match)
        if count is None or total is None:
            return None
        buckets: dict[float, float] = {}
        for series in self.all(f"{name}_bucket", **match):
            bound = _bound(series.labels.get("le", ""))
            if bound is not None and not math.isinf(bound):
                buckets[bound] = buckets.get(bound, 0.0) + series.increase(window)
        bounds = tuple(sorted(buckets))
        return Histogram(bounds, tuple(buckets[bound] for bound in bounds), count, total)

    def restarts(self, name: str) -> int:
        """How often a counter of this name fell back, at most over its label sets."""
        return max((series.restarts() for series in self.all(name)), default=0)


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

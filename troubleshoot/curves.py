"""What a report draws: serving over the time around the window under judgement, in few enough points to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from troubleshoot.moments import Moment, from_log, from_metrics

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence
    from troubleshoot.metrics.timeline import Series, Timeline, Window

Values = tuple[float | None, ...]

MOST_POINTS = 240
"""A plot is some 500 pixels wide."""
_LEAST_CONTEXT_SECONDS = 60.0
_LAST_SECOND = 253_402_300_800.0
"""The end of the year 9999 in unix seconds."""
_MOST_BUCKET_LOOKUPS = 400_000
"""A quantile over time looks at every bucket in every moment: of hundreds of servers that takes seconds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The moments to draw, neighbours merged where there are many.

    `all_moments` are those of the input. Times of metrics are unix seconds; those of a log have no date. `window` is
    what was judged, `left_out` how many of a log's lines have no place in its order of time.
    """

    source: Literal["metrics", "log"]
    moments: tuple[Moment, ...]
    all_moments: tuple[Moment, ...]
    window: Window | None = None
    timeline: Timeline | None = None
    left_out: int = 0

    @property
    def times(self) -> tuple[float, ...]:
        """When each moment ends."""
        return tuple(moment.end_seconds for moment in self.moments)


def shown(evidence: Evidence) -> tuple[Shown, ...]:
    """What metrics tell over time; where they tell nothing of the engine, what the log's statistics lines tell."""
    found = []
    serving = evidence.serving
    timeline = evidence.metrics.timeline if evidence.metrics else None
    told_by_metrics = False
    if timeline is not None and len(timeline.scrape_times) > 1:
        by_metrics = serving is not None and serving.source == "metrics"
        moments = _in_time(serving.all_moments if serving and by_metrics else from_metrics(timeline))
        window = serving.window if serving and by_metrics else None
        told_by_metrics = any(moment.running is not None or moment.generation_rate is not None for moment in moments)
        found.append(Shown("metrics", thinned(_around(moments, window)), moments, _within(window, moments), timeline))
    if not told_by_metrics and evidence.log and evidence.log.statistics:
        lines = from_log(evidence.log.statistics)
        rising = _rising(_in_time(lines))
        seen = evidence.log_serving
        window = seen.window if seen else None
        drawn, left_out = thinned(_around(rising, window)), len(lines) - len(rising)
        found.append(Shown("log", drawn, rising, _within(window, rising), None, left_out))
    return tuple(one for one in found if len(one.moments) > 1)


def _in_time(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Those at times that a calendar has: an input may say anything, NaN and the year 10 000 included."""
    return tuple(
        moment
        for moment in moments
        if moment.start_seconds > -_LAST_SECOND and moment.start_seconds < moment.end_seconds < _LAST_SECOND
    )


def _rising(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Those that come after all before them: lines of several logs may overlap in time."""
    kept: list[Moment] = []
    for moment in moments:
        if not kept or moment.end_seconds > kept[-1].end_seconds:
            kept.append(moment)
    return tuple(kept)


def _around(moments: Sequence[Moment], window: Window | None) -> tuple[Moment, ...]:
    """The window with as much time before it, and half after it: an incident of minutes in a day would be a stroke."""
    if window is None:
        return tuple(moments)
    context = max(window[1] - window[0], _LEAST_CONTEXT_SECONDS)
    first, last = window[0] - context, window[1] + context / 2
    return tuple(moment for moment in moments if first <= moment.start_seconds and moment.end_seconds <= last)


def _within(window: Window | None, moments: Sequence[Moment]) -> Window | None:
    """The window as far as the moments go."""
    if window is None or not moments:
        return None
    return max(window[0], moments[0].start_seconds), min(window[1], moments[-1].end_seconds)


def thinned(moments: Sequence[Moment], most: int = MOST_POINTS) -> tuple[Moment, ...]:
    """At most so many moments: of merged ones the highest gauges, the mean rates and the sum of what is counted."""
    size = -(-len(moments) // most) if moments else 1
    if size == 1:
        return tuple(moments)
    return tuple(_merged(moments[start : start + size]) for start in range(0, len(moments), size))


def _merged(group: Sequence[Moment]) -> Moment:
    return Moment(
        group[0].start_seconds,
        group[-1].end_seconds,
        running=_highest(moment.running for moment in group),
        waiting=_highest(moment.waiting for moment in group),
        kv_usage_ratio=_highest(moment.kv_usage_ratio for moment in group),
        generation_rate=_mean_rate([(moment.generation_rate, moment.seconds) for moment in group]),
        prompt_rate=_mean_rate([(moment.prompt_rate, moment.seconds) for moment in group]),
        preemptions=_sum(moment.preemptions for moment in group),
        steps=_sum(moment.steps for moment in group),
        finished=_sum(moment.finished for moment in group),
        deferred=_highest(moment.deferred for moment in group),
    )


def _highest(values: Iterator[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _sum(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _mean_rate(rates: Sequence[tuple[float | None, float]]) -> float | None:
    known = [(rate, seconds) for rate, seconds in rates if rate is not None]
    seconds = sum(length for _, length in known)
    return sum(rate * length for rate, length in known) / seconds if seconds > 0 else None


def per_second(counts: Sequence[float | None], moments: Sequence[Moment]) -> Values:
    """What was counted within each moment, by its length."""
    return tuple(
        count / moment.seconds if count is not None and moment.seconds > 0 else None
        for count, moment in zip(counts, moments, strict=True)
    )


def rates(timeline: Timeline, name: str, moments: Sequence[Moment], **match: str) -> Values:
    """A counter's increase per second in each moment."""
    return tuple(timeline.rate(name, (moment.start_seconds, moment.end_seconds), **match) for moment in moments)


def means(timeline: Timeline, name: str, moments: Sequence[Moment]) -> Values:
    """The mean of what a histogram observed in each moment; None where it observed nothing."""
    found: list[float | None] = []
    for moment in moments:
        window = (moment.start_seconds, moment.end_seconds)
        count = timeline.increase(f"{name}_count", window)
        total = timeline.increase(f"{name}_sum", window)
        found.append(total / count if count and total is not None else None)
    return tuple(found)


def quantiles(timeline: Timeline, name: str, share: float, moments: Sequence[Moment]) -> Values:
    """A quantile of what a histogram observed in each moment; all None where it has too many series to look at."""
    buckets = len(timeline.all(f"{name}_bucket"))
    if not buckets or buckets * len(moments) > _MOST_BUCKET_LOOKUPS:
        return (None,) * len(moments)
    found = (timeline.histogram(name, (moment.start_seconds, moment.end_seconds)) for moment in moments)
    return tuple(histogram.quantile(share) if histogram else None for histogram in found)


def levels(series: Series, moments: Sequence[Moment]) -> Values:
    """The mean of a gauge's points in each moment, else its last value; None where it was not read for a minute."""
    found: list[float | None] = []
    for moment in moments:
        points = [
            value
            for time_seconds, value in series.within((moment.start_seconds, moment.end_seconds))
            if time_seconds > moment.start_seconds
        ]
        found.append(sum(points) / len(points) if points else series.recent(moment.end_seconds))
    return tuple(found)

"""Serving, moment by moment: the same view whether metrics or the engine's statistics lines tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from troubleshoot.logs.statistics import HARDLY_ANY_TOKENS

if TYPE_CHECKING:
    from troubleshoot.logs.statistics import LogStats
    from troubleshoot.metrics.timeline import Timeline, Window

_LOG_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The time between two scrapes, or before one statistics line. None where the source does not tell.

    Gauges (`running`, `waiting`, `kv_usage_ratio`) are read at its end; rates are over it, in tokens per second;
    `preemptions`, `steps` and `finished` requests are counts within it. `deferred`
    requests wait for something else than room.
    """

    start_seconds: float
    end_seconds: float
    running: float | None = None
    waiting: float | None = None
    kv_usage_ratio: float | None = None
    generation_rate: float | None = None
    prompt_rate: float | None = None
    preemptions: float | None = None
    steps: float | None = None
    finished: float | None = None
    deferred: float | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_seconds - self.start_seconds

    @property
    def has_work(self) -> bool:
        """A request runs or waits."""
        return (self.running or 0) > 0 or (self.waiting or 0) > 0

    @property
    def produces(self) -> bool:
        """Steps, tokens (more than the rest of an interval that began before a stop) or finished requests."""
        hardly = HARDLY_ANY_TOKENS * max(self.running or 0.0, 1.0) if self.steps is None else 0.0
        if (self.generation_rate or 0.0) > hardly:
            return True
        return any((value or 0) > 0 for value in (self.prompt_rate, self.steps, self.finished))

    @property
    def is_busy(self) -> bool:
        """Work is there or was done."""
        return self.has_work or self.produces

    @property
    def is_stalled(self) -> bool:
        """Work is there and, as far as it is counted at all, none is done."""
        counted = any(value is not None for value in (self.generation_rate, self.prompt_rate, self.steps))
        return self.has_work and counted and not self.produces

    @property
    def is_distressed(self) -> bool:
        """Something to look at: requests wait, are preempted, or stand still."""
        return (self.waiting or 0) > 0 or (self.preemptions or 0) > 0 or self.is_stalled


def from_metrics(timeline: Timeline) -> tuple[Moment, ...]:
    """A moment for each pair of neighbouring scrapes."""
    times = timeline.scrape_times
    gauges = {
        "running": dict(timeline.points("llm_requests_running")),
        "waiting": dict(timeline.points("llm_requests_waiting")),
        "kv": dict(timeline.points("llm_kv_cache_usage_ratio", max)),
    }
    moments = []
    for start, end in pairwise(times):
        window = (start, end)
        moments.append(
            Moment(
                start,
                end,
                gauges["running"].get(end),
                gauges["waiting"].get(end),
                gauges["kv"].get(end),
                timeline.rate("llm_generation_tokens_total", window),
                timeline.rate("llm_prompt_tokens_total", window),
                timeline.increase("llm_preemptions_total", window),
                _first_known(
                    timeline.increase("llm_engine_steps_total", window),
                    timeline.increase("llm_inter_token_latency_seconds_count", window),
                ),
                timeline.increase("llm_requests_total", window),
            )
        )
    return tuple(moments)


def _first_known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def from_log(statistics: Sequence[LogStats]) -> tuple[Moment, ...]:
    """A moment for each statistics line. Engines of one server that log at the same time are added up."""
    moments: list[Moment] = []
    for index, group in enumerate(_same_time(statistics)):
        end = group[0].time_seconds
        if end is None:
            end = (index + 1) * _LOG_INTERVAL_SECONDS
        before = moments[-1].end_seconds if moments else end - _LOG_INTERVAL_SECONDS
        start = before if 0 < end - before <= 6 * _LOG_INTERVAL_SECONDS else end - _LOG_INTERVAL_SECONDS
        moments.append(
            Moment(
                start,
                end,
                sum(line.running for line in group),
                sum(line.waiting for line in group),
                max((line.kv_usage_ratio for line in group if line.kv_usage_ratio is not None), default=None),
                _sum(line.generation_tokens_per_second for line in group),
                _sum(line.prompt_tokens_per_second for line in group),
                deferred=sum(line.deferred for line in group),
            )
        )
    return tuple(moments)


def _same_time(statistics: Sequence[LogStats]) -> Iterable[list[LogStats]]:
    """Lines of different ranks at one time form a group; a rank that comes again begins the next."""
    group: list[LogStats] = []
    for line in statistics:
        again = any(line.rank == other.rank for other in group)
        if group and (again or line.time_seconds != group[0].time_seconds or line.event.file != group[0].event.file):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


_JOIN_SECONDS = 30.0
_FOCUS_SECONDS = 300.0
_QUIET_FOCUS_SECONDS = 120.0
_SHORT_DISTRESS_SECONDS = 4.0


def focus(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """The moments to judge: the latest stretch of distress, else the latest busy time.

    A healthy hour before trouble, or an idle one after it, must not dilute the figures. A single moment in which
    something waited is ordinary scheduling, not distress, when much else was busy.
    """
    busy = [moment for moment in moments if moment.is_busy]
    if not busy:
        return ()
    stretch = latest_distress(moments)
    if stretch and (_is_lasting(stretch, moments) or len(busy) <= 2):
        first, last = stretch[0].start_seconds, stretch[-1].end_seconds
        return tuple(m for m in busy if max(first, last - _FOCUS_SECONDS) <= m.start_seconds and m.end_seconds <= last)
    end = busy[-1].end_seconds
    return tuple(moment for moment in busy if moment.end_seconds > end - _QUIET_FOCUS_SECONDS)


def _is_lasting(stretch: Sequence[Moment], moments: Sequence[Moment]) -> bool:
    """Distress in most of the moments it spans, and in more than one: gauges are read at single points in time."""
    spanned = [
        m for m in moments if stretch[0].start_seconds <= m.start_seconds and m.end_seconds <= stretch[-1].end_seconds
    ]
    seconds = sum(moment.seconds for moment in stretch)
    return len(stretch) >= 2 and 2 * len(stretch) >= len(spanned) and seconds >= _SHORT_DISTRESS_SECONDS


def latest_distress(moments: Sequence[Moment]) -> list[Moment]:
    """The latest stretch of moments in distress, short pauses bridged; a spell of a few seconds counts if it is all."""
    stretch: list[Moment] = []
    for moment in reversed([moment for moment in moments if moment.is_distressed]):
        if stretch and stretch[-1].start_seconds - moment.end_seconds > _JOIN_SECONDS:
            if sum(part.seconds for part in stretch) >= _SHORT_DISTRESS_SECONDS:
                break
            stretch = []
        stretch.append(moment)
    return stretch[::-1]


def window_of(moments: Sequence[Moment]) -> Window | None:
    """From the start of the first to the end of the last."""
    return (moments[0].start_seconds, moments[-1].end_seconds) if moments else None


def longest_stall(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """The longest run of neighbouring stalled moments."""
    best: list[Moment] = []
    run: list[Moment] = []
    for moment in moments:
        run = [*run, moment] if moment.is_stalled else []
        if sum(part.seconds for part in run) > sum(part.seconds for part in best):
            best = run
    return tuple(best)

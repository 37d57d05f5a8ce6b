"""When things began: the moments of a window that tell the story, in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from troubleshoot.evidence import KV_FULL_RATIO
from troubleshoot.moments import Moment, latest_distress, longest_stall

if TYPE_CHECKING:
    from troubleshoot.metrics.timeline import Timeline

Kind = Literal["trouble", "recovery", "restart"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that began at a time (in the clock of the moments) or, `already`, before the data does."""

    seconds: float
    text: str
    kind: Kind = "trouble"
    already: bool = False


def troubles(moments: Sequence[Moment], *, stuck: bool) -> tuple[Mark, ...]:
    """The first signs of the latest distress. `stuck`: the diagnosis is a hang, so that its stall is the story.

    Gauges are read at the end of a moment, so what a mark names began between the read before and its time.
    """
    found = [*_stall(moments)] if stuck else []
    stretch = latest_distress(moments)
    for text, holds in _SIGNS:
        first = next((moment for moment in stretch if holds(moment)), None)
        if first is not None:
            already = first is moments[0]
            found.append(Mark(first.start_seconds if already else first.end_seconds, text, already=already))
    return tuple(sorted(found, key=lambda mark: mark.seconds))


_SIGNS: tuple[tuple[str, Callable[[Moment], bool]], ...] = (
    (f"KV cache use over {KV_FULL_RATIO:.0%}", lambda moment: (moment.kv_usage_ratio or 0.0) >= KV_FULL_RATIO),
    ("requests wait", lambda moment: (moment.waiting or 0.0) > 0),
    ("running requests are preempted", lambda moment: (moment.preemptions or 0.0) > 0),
)


def _stall(moments: Sequence[Moment]) -> Iterator[Mark]:
    stall = longest_stall(moments)
    if not stall:
        return
    yield Mark(stall[0].start_seconds, "no engine step from here on", already=stall[0] is moments[0])
    if stall[-1].end_seconds < moments[-1].end_seconds:
        yield Mark(stall[-1].end_seconds, "the engine steps again", "recovery")


def restarts(timeline: Timeline) -> tuple[Mark, ...]:
    """When the server went away, came back, or was replaced by a new process."""
    marks = []
    answered = False
    for (_, before), (time_seconds, after) in pairwise(timeline.points("up", min)):
        answered = answered or before > 0
        if before > after:
            marks.append(Mark(time_seconds, "the server does not answer"))
        elif after > before:
            marks.append(
                Mark(time_seconds, f"the server {'answers again' if answered else 'begins to answer'}", "recovery")
            )
    for series in timeline.all("llm_generation_tokens_total"):
        marks += [
            Mark(time_seconds, "counters begin anew: the server was restarted", "restart")
            for (before, after), time_seconds in zip(pairwise(series.values), series.times[1:], strict=True)
            if after < before
        ]
    return tuple(sorted(dict.fromkeys(marks), key=lambda mark: mark.seconds))

"""The figures of serving over the window under judgement, each None where nothing tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from troubleshoot.moments import Moment, focus, longest_stall, window_of

if TYPE_CHECKING:
    from troubleshoot.metrics.timeline import Histogram, Timeline, Window


@dataclass(frozen=True, slots=True)
class Serving:
    """What the engine did in `window`. Counts are increases within it; nothing is a lifetime total."""

    source: Literal["metrics", "log"]
    moments: tuple[Moment, ...]
    all_moments: tuple[Moment, ...]
    window: Window
    timeline: Timeline | None = None
    ends_idle: bool = False

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.window[1] - self.window[0]

    def _known(self, read: Callable[[Moment], float | None], moments: Sequence[Moment] | None = None) -> list[float]:
        return [value for moment in (moments or self.moments) if (value := read(moment)) is not None]

    @property
    def running_mean(self) -> float | None:
        """Mean running requests."""
        return _mean(self._known(lambda m: m.running))

    @property
    def running_max(self) -> float | None:
        """Most running requests."""
        return max(self._known(lambda m: m.running), default=None)

    @property
    def waiting_mean(self) -> float | None:
        """Mean waiting requests."""
        return _mean(self._known(lambda m: m.waiting))

    @property
    def waiting_max(self) -> float | None:
        """Most waiting requests."""
        return max(self._known(lambda m: m.waiting), default=None)

    @property
    def waiting_share(self) -> float:
        """Share of the moments in which something waits."""
        known = self._known(lambda m: m.waiting)
        return sum(1 for value in known if value > 0) / len(known) if known else 0.0

    @property
    def kv_max(self) -> float | None:
        """Highest KV cache usage, 0..1."""
        return max(self._known(lambda m: m.kv_usage_ratio), default=None)

    @property
    def kv_while_waiting(self) -> float | None:
        """Median KV cache usage of the moments in which requests wait; of all moments where none does."""
        waiting = [m for m in self.moments if (m.waiting or 0) > 0]
        known = self._known(lambda m: m.kv_usage_ratio, waiting or self.moments)
        return _median(known) if known else None

    @property
    def generation_rate(self) -> float | None:
        """Generated tokens per second over the window."""
        return self._weighted(lambda m: m.generation_rate)

    @property
    def prompt_rate(self) -> float | None:
        """Prompt tokens per second over the window."""
        return self._weighted(lambda m: m.prompt_rate)

    def _weighted(self, read: Callable[[Moment], float | None]) -> float | None:
        known = [(value, moment.seconds) for moment in self.moments if (value := read(moment)) is not None]
        seconds = sum(length for _, length in known)
        return sum(value * length for value, length in known) / seconds if seconds > 0 else None

    @property
    def rate_per_sequence(self) -> float | None:
        """Generated tokens per second of one running sequence.

        From inter-token latency where the engine exposes it (a sequence's own pace); else aggregate over running.
        """
        gap = self.histogram("llm_inter_token_latency_seconds")
        if gap and gap.mean:
            return 1 / gap.mean
        per_request = self.histogram("llm_time_per_output_token_seconds")
        if per_request and per_request.mean:
            return 1 / per_request.mean
        decoding = [m for m in self.moments if (m.running or 0) > 0 and (m.generation_rate or 0) > 0]
        rates = [(m.generation_rate or 0) / (m.running or 1) for m in decoding]
        return _median(rates) if rates else None

    @property
    def preemptions(self) -> float | None:
        """Preemptions within the window; None where no counter tells (vLLM V1 never logs them)."""
        known = self._known(lambda m: m.preemptions)
        return sum(known) if known else None

    @property
    def preemption_rate(self) -> float | None:
        """Preemptions per second."""
        return self.preemptions / self.seconds if self.preemptions is not None and self.seconds > 0 else None

    @property
    def steps(self) -> float | None:
        """Engine steps within the window."""
        known = self._known(lambda m: m.steps)
        return sum(known) if known else None

    def pinned_at(self) -> float | None:
        """The number of running requests that the engine does not exceed while others wait; None without such.

        Pinned means: whenever requests wait, running is at this number or just under it (a slot is empty between
        two requests for a moment).
        """
        while_waiting = [m.running for m in self.moments if (m.waiting or 0) > 0 and m.running is not None]
        if len(while_waiting) < 2:
            return None
        top = max(while_waiting)
        slack = max(1.0, 0.1 * top)
        near = sum(1 for value in while_waiting if value >= top - slack)
        return top if top > 0 and near / len(while_waiting) >= 0.8 else None

    def histogram(self, name: str, **match: str) -> Histogram | None:
        """A histogram's increase over the window; None without metrics or observations."""
        if self.timeline is None:
            return None
        found = self.timeline.histogram(name, self.window, **match)
        return found if found and found.count > 0 else None

    def increase(self, name: str, **match: str) -> float | None:
        """A counter's increase over the window."""
        return self.timeline.increase(name, self.window, **match) if self.timeline else None

    def mean_of(self, name: str) -> float | None:
        """Mean of a histogram over the window."""
        found = self.histogram(name)
        return found.mean if found else None

    @property
    def mean_prompt_tokens(self) -> float | None:
        """Mean prompt length of finished requests, in tokens."""
        return self.mean_of("llm_request_prompt_tokens")

    @property
    def mean_generation_tokens(self) -> float | None:
        """Mean output length of finished requests, in tokens."""
        return self.mean_of("llm_request_generation_tokens")

    @property
    def queue_share_of_ttft(self) -> float | None:
        """Queue over queue plus prefill, by their means; None where the engine does not split it."""
        queue, prefill = (
            self.mean_of("llm_request_queue_seconds"),
            self.mean_of("llm_request_prefill_seconds"),
        )
        if queue is None or prefill is None or queue + prefill <= 0:
            return None
        return queue / (queue + prefill)

    @property
    def stall(self) -> tuple[Moment, ...]:
        """The longest stretch of all moments in which work was there and nothing was done."""
        return longest_stall(self.all_moments)


def serving_from(
    moments: tuple[Moment, ...], source: Literal["metrics", "log"], timeline: Timeline | None
) -> Serving | None:
    """The window under judgement and its figures; None where the engine was never busy."""
    chosen = focus(moments)
    window = window_of(chosen)
    if window is None:
        return None
    return Serving(source, chosen, moments, window, timeline, ends_idle=not moments[-1].is_busy)


def _median(values: Sequence[float]) -> float:
    """As `statistics.median`, whose module takes 3 ms to import."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

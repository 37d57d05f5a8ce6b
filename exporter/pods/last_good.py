"""A source that may fail: asked with growing pauses, its last good answer kept for a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from exporter.pods.problems import Problem, Source, SourceError

T = TypeVar("T")

KEEP_SECONDS = 300.0
"""How long an answer outlives its source. Kubernetes lets pods stay on a silent node for the same 300 s by default
(`tolerationSeconds` of node.kubernetes.io/unreachable), and a kubelet that restarts, which takes seconds, starts
and ends no pod meanwhile. Longer, and a GPU would be booked on a pod that may be gone: then none is better."""

MAX_PAUSE_SECONDS = 60.0
"""The longest pause between attempts, unless the server asks for more: five attempts within `KEEP_SECONDS`."""

MAX_RETRY_AFTER_SECONDS = 300.0
"""The most that a server's own wish for a pause is obeyed."""


class LastGood(Generic[T]):
    """Asks `read` when it is due, and remembers. Not safe for several threads: one thread refreshes."""

    def __init__(self, source: Source, read: Callable[[], T], *, pause_seconds: float) -> None:
        self._source: Source = source
        self._read = read
        self._pause_seconds = pause_seconds
        self._value: T | None = None
        self._good_seconds = self._due_seconds = float("-inf")
        self._failures = 0
        self.problem: Problem | None = None
        """Why the last attempt failed; None after one that did not."""
        self.attempted = False
        """Whether the last `refresh` asked the source, or only waited."""

    @property
    def has_answer(self) -> bool:
        """Whether there is a good answer that was not too old at the last `refresh`."""
        return self._value is not None

    def refresh(self, now_monotonic_seconds: float) -> T | None:
        """Ask the source if its pause is over; return the newest answer that is not too old, or None."""
        self.attempted = now_monotonic_seconds >= self._due_seconds
        if self.attempted:
            try:
                self._value = self._read()
            except SourceError as error:
                self._failed(error, now_monotonic_seconds)
            else:
                self.problem = None
                self._failures = 0
                self._good_seconds = now_monotonic_seconds
        if now_monotonic_seconds - self._good_seconds > KEEP_SECONDS:
            self._value = None
        return self._value

    def _failed(self, error: SourceError, now_monotonic_seconds: float) -> None:
        self.problem = Problem(self._source, error.reason, error.detail)
        longest = max(MAX_PAUSE_SECONDS, self._pause_seconds)
        pause_seconds = min(self._pause_seconds * 2.0 ** min(self._failures, 16), longest)
        asked_seconds = min(error.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
        self._due_seconds = now_monotonic_seconds + max(pause_seconds, asked_seconds)
        self._failures += 1

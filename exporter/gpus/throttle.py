"""Clock events in a sliding window: how many of the last five minutes' samples had each reason."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from catalog.gpu import CLOCK_EVENTS

__all__ = ["WINDOW_SECONDS", "ThrottleSamples"]

WINDOW_SECONDS = 300.0
"""dcgm-exporter's default window."""


class ThrottleSamples:
    """The masks of one GPU, newest last, and how often each is in the window: few differ."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._times: Counter[int] = Counter()

    def add(self, now_seconds: float, mask: int) -> None:
        """Add a sample (monotonic seconds) and drop those that left the window."""
        self._samples.append((now_seconds, mask))
        self._times[mask] += 1
        while self._samples[0][0] <= now_seconds - WINDOW_SECONDS:
            _, gone = self._samples.popleft()
            self._times[gone] -= 1
            if not self._times[gone]:
                del self._times[gone]

    def counts(self) -> Mapping[str, int]:
        """Return the samples of each clock event, none left out."""
        return {
            name: sum(times for mask, times in self._times.items() if mask & bit) for bit, name in CLOCK_EVENTS.items()
        }

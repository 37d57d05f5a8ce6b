"""Clock events in a sliding window: how many of the last five minutes' samples had each reason."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from catalog.gpu import CLOCK_EVENTS

__all__ = ["WINDOW_SECONDS", "ThrottleSamples"]

WINDOW_SECONDS = 300.0
"""dcgm-exporter's default window."""


class ThrottleSamples:
    """The masks of one GPU, newest last."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now_seconds: float, mask: int) -> None:
        """Add a sample (monotonic seconds) and drop those that left the window."""
        self._samples.append((now_seconds, mask))
        while self._samples[0][0] <= now_seconds - WINDOW_SECONDS:
            self._samples.popleft()

    def counts(self) -> Mapping[str, int]:
        """Return the samples of each clock event, none left out."""
        return {name: sum(1 for _, mask in self._samples if mask & bit) for bit, name in CLOCK_EVENTS.items()}

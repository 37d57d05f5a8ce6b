"""When somebody who asks over and over will ask next."""

from __future__ import annotations

from collections import deque

__all__ = ["Rhythm"]

# Several scrapers have several gaps between them, over and over: enough to have seen all of a few.
_GAPS = 16
# A scraper is never early by more.
_SHORTEST_SHARE = 0.9
# Whoever did not ask in this time, twice what a scrape interval usually is at most, is gone.
_GONE_SECONDS = 150.0


class Rhythm:
    """The times at which something was asked for. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._last_seconds = float("-inf")
        self._gaps_seconds: deque[float] = deque(maxlen=_GAPS)

    def asked(self, at_seconds: float) -> None:
        """Take the time of a request; the same one again, or an earlier one, changes nothing."""
        if at_seconds <= self._last_seconds:
            return
        if self._last_seconds > float("-inf"):
            self._gaps_seconds.append(at_seconds - self._last_seconds)
        self._last_seconds = at_seconds

    def is_due(self, now_seconds: float, ahead_seconds: float) -> bool:
        """Tell whether a request may come within `ahead_seconds`: any time, while only one has come."""
        if now_seconds - self._last_seconds >= _GONE_SECONDS:
            return False
        shortest = min(self._gaps_seconds, default=0.0)
        return now_seconds + ahead_seconds >= self._last_seconds + _SHORTEST_SHARE * shortest

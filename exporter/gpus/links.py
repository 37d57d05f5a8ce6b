"""NVLink traffic from counters: DCGM's rate, and the bytes themselves."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.gpus.plan import PlannedLink, is_total

__all__ = ["LinkCounters", "LinkTraffic"]

_KIB = 1024
_MEGA = 1_000_000


class LinkTraffic:
    """The counters of one GPU's links at the last reading."""

    def __init__(self, planned: tuple[PlannedLink, ...]) -> None:
        self._planned = planned
        self._last: dict[int, tuple[float, int]] = {}

    def rates(self, now_seconds: float, counters: LinkCounters) -> list[tuple[int, float | None]]:
        """Return MB/s (10^6 bytes, both directions) by slot: None at first, and after a counter began anew.

        `counters` are KiB by field id and scope, `now_seconds` is monotonic.
        """
        rates: list[tuple[int, float | None]] = []
        for link in self._planned:
            both = _both(link, counters)
            if both is None:
                self._last.pop(link.slot.index, None)
                continue
            total = sum(both)
            before = self._last.get(link.slot.index)
            self._last[link.slot.index] = (now_seconds, total)
            rate = None
            if before is not None and now_seconds > before[0] and total >= before[1]:
                rate = round((total - before[1]) * _KIB / _MEGA / (now_seconds - before[0]), 6)
            rates.append((link.slot.index, rate))
        return rates

    def total_bytes(self, counters: LinkCounters) -> tuple[int, int] | None:
        """Return bytes received and transmitted over all links; None where NVML does not count them."""
        for link in self._planned:
            if is_total(link):
                both = _both(link, counters)
                return (both[0] * _KIB, both[1] * _KIB) if both else None
        return None


LinkCounters = Mapping[tuple[int, int], int]
"""Raw counters by field id and scope, in KiB."""


def _both(link: PlannedLink, counters: LinkCounters) -> tuple[int, int] | None:
    received = counters.get((link.read.received_id, link.read.scope))
    transmitted = counters.get((link.read.transmitted_id, link.read.scope))
    return None if received is None or transmitted is None else (received, transmitted)

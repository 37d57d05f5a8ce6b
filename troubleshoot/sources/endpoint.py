"""Scrapes live metrics endpoints, with a bound on time and on memory for whatever answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from troubleshoot.sources.access import Access
from troubleshoot.sources.address import looks_like_url
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.scraper import MAX_BODY_BYTES, TIMEOUT_SECONDS, Scraper

__all__ = ["Clock", "Watch", "fetch", "looks_like_url", "watch", "watch_by"]

SHORT_WINDOW_SECONDS: Final = 30.0
SHORT_INTERVAL_SECONDS: Final = 2.0
LONG_WINDOW_INTERVALS: Final = 15


@dataclass(frozen=True, slots=True)
class Clock:
    """The time as the watch sees it; tests give their own."""

    unix: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watch saw: (unix seconds, body) of each scrape, (unix seconds, problem) of each that failed."""

    scrapes: list[tuple[float, bytes]] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)


def fetch(
    url: str,
    *,
    access: Access | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    max_bytes: int = MAX_BODY_BYTES,
) -> bytes:
    """Return the exposition at `url`, an address with or without scheme and path.

    `access` says how to be let in; its own time limit is for stores. `timeout_seconds` bounds each
    request as a whole, however slowly its answer drips. Raises `InputError`.
    """
    with Scraper(url, timeout_seconds, max_bytes, access) as scraper:
        return scraper.scrape()


def watch(
    url: str,
    window_seconds: float,
    *,
    interval_seconds: float | None = None,
    access: Access | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    max_bytes: int = MAX_BODY_BYTES,
    clock: Clock | None = None,
    on_scrape: Callable[[float, bytes], None] | None = None,
) -> Watch:
    """Scrape `url` over `window_seconds`, the first and the last time that far apart.

    A time stamp is the middle of its request in unix seconds; it does not jump when the system clock is set.
    Raises `InputError` when the first scrape fails. A later failure is kept: an engine that dies while it is
    watched is evidence.
    """
    with Scraper(url, timeout_seconds, max_bytes, access) as scraper:
        return watch_by(scraper.scrape, window_seconds, interval_seconds, clock, on_scrape)


def watch_by(
    scrape: Callable[[], bytes],
    window_seconds: float,
    interval_seconds: float | None = None,
    clock: Clock | None = None,
    on_scrape: Callable[[float, bytes], None] | None = None,
) -> Watch:
    """`watch` by any means that gives an exposition or raises `InputError`."""
    clock = clock or Clock()
    offsets = scrape_offsets(window_seconds, interval_seconds)
    result = Watch()
    unix_epoch = clock.unix() - clock.monotonic()
    start = clock.monotonic()
    for offset, following in pairwise([*offsets, math.inf]):
        elapsed = clock.monotonic() - start
        if elapsed >= following:  # a slow scrape took this one's turn
            continue
        clock.sleep(max(0.0, offset - elapsed))
        before = clock.monotonic()
        try:
            body = scrape()
        except InputError as error:
            if not result.scrapes:
                raise
            result.failures.append((unix_epoch + (before + clock.monotonic()) / 2, error.problem))
            continue
        at = unix_epoch + (before + clock.monotonic()) / 2
        result.scrapes.append((at, body))
        if on_scrape:
            on_scrape(at, body)
    return result


def scrape_offsets(window_seconds: float, interval_seconds: float | None = None) -> list[float]:
    """Return when to scrape, in seconds from the start: evenly, first at 0 and last at `window_seconds`."""
    if not (math.isfinite(window_seconds) and window_seconds > 0):
        raise ValueError(f"a window is a positive number of seconds, not {window_seconds}")
    if interval_seconds is None:
        long = window_seconds > SHORT_WINDOW_SECONDS
        interval_seconds = window_seconds / LONG_WINDOW_INTERVALS if long else SHORT_INTERVAL_SECONDS
    if not interval_seconds > 0:
        raise ValueError(f"an interval is a positive number of seconds, not {interval_seconds}")
    count = max(1, round(window_seconds / interval_seconds))
    return [window_seconds * index / count for index in range(count + 1)]

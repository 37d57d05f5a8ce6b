"""All engines of the node, read in parallel, each under its own deadline."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from msgspec import Struct

from exporter.config import Engines
from exporter.engines.layout import Layouts
from exporter.engines.scrape import EngineReading, EngineScraper
from exporter.engines.target import EngineTarget
from exporter.lanes import Lanes, Task
from exporter.workers import Outcome

__all__ = ["Engine", "EngineFleet"]

_log = logging.getLogger(__name__)
# The collector's deadline is the timeout's end, seen from a moment before the scrape began.
_SLACK_SECONDS = 0.05
# An engine on the same node answers within a few milliseconds.
_TURN_SECONDS = 0.02
# More engines than that, all of them slow at once, wait for each other.
_MOST_LANES = 64


class Engine(Struct, eq=False):
    """One replica: its scraper, and what it gave last.

    `is_fresh` says that `reading` came with the last `collect`; else it is the one before, still standing.
    """

    target: EngineTarget
    scraper: EngineScraper
    task: Task[EngineReading]
    reading: EngineReading | None = None
    duration_seconds: float = 0.0
    answered_unix_seconds: float | None = None
    is_fresh: bool = False


class EngineFleet:
    """Scrapes the targets of `set_targets`. One thread calls `collect`."""

    def __init__(self, settings: Engines, node: str) -> None:
        self._settings = settings
        self._node = node
        self._engines: dict[tuple[str, str, str], Engine] = {}
        self._layouts: dict[tuple[frozenset[str], str, str], Layouts] = {}
        self._lanes = Lanes("engines", turn_seconds=_TURN_SECONDS, most=_MOST_LANES)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The replicas, in the order of their targets."""
        return tuple(self._engines.values())

    def set_targets(self, targets: Iterable[EngineTarget]) -> tuple[EngineTarget, ...]:
        """Scrape these from now on; those that were scraped already go on as they are.

        Returns the targets left out because an earlier one has the same labels: their series would clash.
        """
        wanted: dict[tuple[str, str, str], Engine] = {}
        refused: list[EngineTarget] = []
        for target in targets:
            if target.identity in wanted:
                refused.append(target)
                continue
            known = self._engines.get(target.identity)
            wanted[target.identity] = known if known and known.target == target else self._opened(target)
        for engine in self._engines.values():
            if engine not in wanted.values():
                engine.scraper.close()
        self._engines = wanted
        return tuple(refused)

    def collect(self, deadline_monotonic_seconds: float) -> tuple[EngineReading, ...]:
        """Scrape every engine whose last scrape has returned; return what each gave by the deadline.

        A scrape may take `timeout_seconds`, which can be longer than to the deadline: until then an engine's last
        reading stands. One that overruns is ended and read as failed.
        """
        engines = tuple(self._engines.values())
        before = [engine.reading for engine in engines]
        for engine in engines:
            # A scrape that took longer than the last collection waited has ended since.
            self._take(engine, engine.task.outcome)
        self._lanes.run([engine.task for engine in engines], deadline_monotonic_seconds)
        for engine, earlier in zip(engines, before, strict=True):
            self._take(engine, engine.task.outcome)
            engine.is_fresh = engine.reading is not earlier
            if engine.is_fresh and engine.reading is not None and engine.reading.up:
                engine.answered_unix_seconds = time.time()
        return tuple(engine.reading for engine in engines if engine.reading is not None)

    def close(self) -> None:
        """End all threads and connections; a scrape under way is cut short."""
        for engine in self._engines.values():
            engine.scraper.close()
        self._engines = {}
        self._lanes.close()

    def _take(self, engine: Engine, outcome: Outcome[EngineReading]) -> None:
        engine.duration_seconds = outcome.duration_seconds
        if outcome.state == "done":
            engine.reading = outcome.value
        elif outcome.state == "failed":
            _log.error("defect while scraping %s", engine.target.urls[0], exc_info=outcome.error)
            engine.reading = engine.scraper.failure("internal", f"{type(outcome.error).__name__}: see the log")
        elif outcome.state == "running" and outcome.duration_seconds >= self._settings.timeout_seconds - _SLACK_SECONDS:
            engine.scraper.abort()
            limit = self._settings.timeout_seconds
            engine.reading = engine.scraper.failure("timeout", f"no whole answer within {limit:g} s")

    def _opened(self, target: EngineTarget) -> Engine:
        labels = frozenset(target.place(self._node))

        def layouts(engine: str, version: str) -> Layouts:
            return self._layouts.setdefault((labels, engine, version), Layouts())

        scraper = EngineScraper(target, self._settings, self._node, layouts=layouts)
        return Engine(target, scraper, Task(scraper.scrape))

"""Scrapes one replica: finds the engine behind its addresses, reads it, gives canonical series."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from catalog.engines import ENGINES, recognise
from catalog.engines.base import EngineCatalog
from exporter.config import Engines
from exporter.engines.canonical import CanonicalSeries, RawSeries
from exporter.engines.fetch import Endpoint, FetchError, Reason
from exporter.engines.layout import Layouts
from exporter.engines.relabel import Relabelled, Relabeller
from exporter.engines.resolver import Resolver
from exporter.engines.target import EngineTarget
from exporter.exposition import Family, Section, series_head
from exporter.signal_families import signal_family

__all__ = ["EngineReading", "EngineScraper"]

_NAMES = re.compile(rb"(?m)^[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)")
_VERSION_SHOWN = 64
# An address that is no engine is asked again, more and more rarely: a server may still be loading its model.
_FIRST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 120.0
_UP, _INFO = "llm_up", "llm_engine_info"


class EngineReading(Struct, frozen=True):
    """What one scrape gave. `up` is None for an address that was never recognised and that nobody declared.

    `reason` and `message` say why it is not up; "" when it is.
    """

    section: Section
    up: bool | None
    engine: str
    version: str
    models: tuple[str, ...]
    url: str
    series: int = 0
    body_bytes: int = 0
    bad_lines: int = 0
    repeated_series: int = 0
    series_over_limit: int = 0
    reason: Reason | None = None
    message: str = ""


class _Known(Struct):
    """An engine that was recognised, with what is kept for it between scrapes."""

    engine: EngineCatalog
    version: str
    endpoint: Endpoint
    canonical: Relabeller
    raw: Relabeller | None
    models: tuple[str, ...] = ()
    was_down: bool = False
    own_of: tuple[str, ...] | None = None
    own: dict[Family, bytes] = field(default_factory=dict)


class EngineScraper:
    """Scrapes a target again and again, on one thread; `abort` may be called from any.

    `layouts` gives what all replicas of an engine's version share, and with "" for both, all that are passed through.
    """

    def __init__(
        self,
        target: EngineTarget,
        settings: Engines,
        node: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        layouts: Callable[[str, str], Layouts] = lambda _engine, _version: Layouts(),
    ) -> None:
        self.target = target
        self._settings = settings
        self._clock = clock
        self._layouts = layouts
        self._place = target.place(node)
        self._known: _Known | None = None
        self._endpoints = tuple(
            Endpoint(
                url,
                target.access,
                timeout_seconds=settings.timeout_seconds,
                max_body_bytes=settings.max_body_bytes,
            )
            for url in target.urls
        )
        self._current: Endpoint | None = None
        self._closed = False
        self._pause_seconds = 0.0
        self._asked_seconds = -_LONGEST_PAUSE_SECONDS
        self._refusal: tuple[Reason, str] = ("unknown_engine", "not asked yet")

    def abort(self) -> None:
        """End the fetch that is under way: its deadline has passed."""
        current = self._current
        if current is not None:
            current.abort()

    def close(self) -> None:
        """End a scrape that is under way, and let no other ask anything."""
        self._closed = True
        for endpoint in self._endpoints:
            endpoint.end()

    def scrape(self) -> EngineReading:
        """Read the engine once."""
        try:
            if self._known is None:
                return self._find()
            body = self._fetch(self._known.endpoint)
            if self._known.was_down:
                self._known = self._back(self._known)
            return self._read(self._known, body)
        except FetchError as error:
            if self._known is not None:
                self._known.was_down = True
            return self.failure(error.reason, str(error))

    def failure(self, reason: Reason, message: str) -> EngineReading:
        """Return the reading of a scrape that gave nothing."""
        known, target = self._known, self.target
        engine = known.engine.name if known else target.engine
        url = known.endpoint.url if known else target.urls[0]
        models = known.models if known else ()
        if known is None and not target.declared:
            return EngineReading({}, None, engine, "", (), url, reason=reason, message=message)
        section = {signal_family(_UP): self._head(_UP, engine or "unknown", models) + b"0\n"}
        version = known.version if known else ""
        return EngineReading(section, False, engine, version, models, url, reason=reason, message=message)

    def _find(self) -> EngineReading:
        """Ask the addresses in order until one is an engine."""
        if self._clock() - self._asked_seconds < self._pause_seconds:
            return self.failure(*self._refusal)
        self._asked_seconds = self._clock()
        for endpoint in self._endpoints:
            try:
                body = self._fetch(endpoint)
            except FetchError as error:
                self._refusal = (error.reason, str(error))
                continue
            engine = self._recognised(body)
            if engine is not None:
                self._known = self._opened(engine, endpoint)
                return self._read(self._known, body)
        if not self.target.declared:
            self._pause_seconds = min(max(2 * self._pause_seconds, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        return self.failure(*self._refusal)

    def _recognised(self, body: bytes) -> EngineCatalog | None:
        names = {name.decode("ascii") for name in _NAMES.findall(body)}
        if self.target.engine:
            if names:
                return ENGINES[self.target.engine]
            self._refusal = ("not_metrics", "the answer holds no metrics")
            return None
        engine = recognise(names)
        if engine is None and b"# TYPE" in body:
            self._refusal = ("unknown_engine", "the metrics are of no known inference engine")
        elif engine is None:
            self._refusal = ("not_metrics", "the answer holds no metrics")
        return engine

    def _fetch(self, endpoint: Endpoint, path: str = "") -> bytes:
        if self._closed:
            raise FetchError("timeout", "the exporter does not ask it any more")
        self._current = endpoint
        try:
            return endpoint.fetch(path)
        finally:
            self._current = None

    def _opened(self, engine: EngineCatalog, endpoint: Endpoint) -> _Known:
        version = self._version(engine, endpoint)
        canonical = self._relabeller(CanonicalSeries(engine, version), engine.name, version)
        raw = self._relabeller(RawSeries(self._place), "", "") if self._settings.passthrough else None
        return _Known(engine, version, endpoint, canonical, raw)

    def _relabeller(self, resolver: Resolver, engine: str, version: str) -> Relabeller:
        limit = self._settings.max_series
        return Relabeller(resolver, self._place, max_series=limit, layouts=self._layouts(engine, version))

    def _back(self, known: _Known) -> _Known:
        """What answers again after a failure may be another release."""
        known.was_down = False
        version = self._version(known.engine, known.endpoint)
        return known if version == known.version else self._opened(known.engine, known.endpoint)

    def _version(self, engine: EngineCatalog, endpoint: Endpoint) -> str:
        """Ask the engine for its version; "" where it does not say. Some units depend on it."""
        if not engine.version_path:
            return ""
        try:
            answer = json.loads(self._fetch(endpoint, engine.version_path))
        except (FetchError, ValueError, RecursionError):
            return ""
        found = answer.get(engine.version_key) if isinstance(answer, Mapping) else None
        return found[:_VERSION_SHOWN] if isinstance(found, str) else ""

    def _read(self, known: _Known, body: bytes) -> EngineReading:
        result = known.canonical.relabel(body)
        if not result.series:
            engine = self._recognised(body)
            if engine is None:
                known.was_down = True
                return self.failure(*self._refusal)
            if engine.name != known.engine.name:
                self._known = self._opened(engine, known.endpoint)
                return self._read(self._known, body)
        known.models = known.canonical.models
        if known.own_of != known.models:
            known.own_of, known.own = known.models, self._own_series(known)
        section = {**known.own, **result.section}
        raw = known.raw.relabel(body) if known.raw is not None else None
        if raw is not None:
            section.update(raw.section)
        return self._reading(known, body, section, result, raw)

    def _own_series(self, known: _Known) -> dict[Family, bytes]:
        """What the exporter says of an engine that answers."""
        own = {signal_family(_UP): self._head(_UP, known.engine.name, known.models) + b"1\n"}
        if known.version:
            head = self._head(_INFO, known.engine.name, known.models, version=known.version)
            own[signal_family(_INFO)] = head + b"1\n"
        return own

    def _reading(
        self, known: _Known, body: bytes, section: Section, result: Relabelled, raw: Relabelled | None
    ) -> EngineReading:
        passed = (raw.series, raw.repeated_series, raw.series_over_limit) if raw is not None else (0, 0, 0)
        return EngineReading(
            section,
            True,
            known.engine.name,
            known.version,
            known.models,
            known.endpoint.url,
            series=result.series + passed[0],
            body_bytes=len(body),
            bad_lines=result.bad_lines,
            repeated_series=result.repeated_series + passed[1],
            series_over_limit=result.series_over_limit + passed[2],
        )

    def _head(self, name: str, engine: str, models: tuple[str, ...], **more: str) -> bytes:
        model = {"model": models[0]} if len(models) == 1 else {}
        return series_head(name, {"engine": engine, **model, "rank": "0", **more, **self._place}).encode() + b" "

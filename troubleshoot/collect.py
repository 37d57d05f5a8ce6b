"""From what the user names to evidence: read every input, keep what can be read, say what cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import scan
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.sources.address import looks_like_url
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import open_bytes

if TYPE_CHECKING:
    from troubleshoot.evidence import Evidence
    from troubleshoot.findings import InputSummary
    from troubleshoot.logs.events import Event
    from troubleshoot.logs.facts import LogFacts
    from troubleshoot.logs.scan import ByteSource, ScanResult
    from troubleshoot.metrics.load import Body, MetricsData
    from troubleshoot.sources.access import Access
    from troubleshoot.sources.loki import LokiRequest
    from troubleshoot.stores import Stored, StoreRequest

Report = Callable[[str, int, int | None], None]
"""Called with (input, done, total): bytes of a file, seconds of a watched URL; total None where unknown."""


class Request(NamedTuple):
    """What to read. `window_seconds` and `access` are for live URLs; `store` and `loki` have their own."""

    logs: Sequence[str] = ()
    metrics: Sequence[str] = ()
    window_seconds: float = 15.0
    engine: str = ""
    symptom: str = ""
    store: StoreRequest | None = None
    loki: LokiRequest | None = None
    access: Access | None = None


class Collected:
    """Evidence of the inputs that could be read; None where none could. `problems` has a line for each other."""

    def __init__(self) -> None:
        self.evidence: Evidence | None = None
        self.inputs: list[InputSummary] = []
        self.problems: list[str] = []
        self.interrupted = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collected) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def add(
        self, name: str, kind: Literal["log", "metrics"], size_bytes: int = 0, lines: int = 0, note: str = ""
    ) -> None:
        """Add the summary of an input."""
        from troubleshoot.findings import InputSummary

        self.inputs.append(InputSummary(name, kind, size_bytes, lines, note=note))

    def not_read(self, error: InputError, kind: Literal["log", "metrics"]) -> None:
        """Note an input that gave nothing: the diagnosis goes on without it."""
        self.problems.append(str(error))
        self.add(error.name, kind, note=f"not read: {error.problem}")


def _silent(_name: str, _done: int, _total: int | None) -> None:
    """No progress wanted."""


def collect(request: Request, report: Report = _silent, meanwhile: Callable[[], None] | None = None) -> Collected:
    """Read every input. Ctrl-C ends the reading: what is known so far is the evidence.

    `meanwhile` is called while other processes search a large log, where they do: it may import what comes after.
    """
    result = Collected()
    # Logs after metrics: what an engine writes while its endpoint is watched belongs to the picture.
    stored = _read_store(request, result) if request.store else None
    metrics = _read_metrics(request, report, result, stored)
    parts = _read_logs(request, report, result, meanwhile)
    if request.loki:
        from troubleshoot.collect_stores import collect_loki

        parts += collect_loki(request.loki, stored, report, result)
    log = facts_of(parts) if parts else None
    if log is not None or metrics is not None:
        from dataclasses import replace

        from troubleshoot.evidence import Evidence

        result.evidence = Evidence(log, metrics, request.symptom, request.engine)
        if stored is not None:
            result.evidence = replace(result.evidence, circumstances=stored.circumstances, pod=stored.pod)
    return result


def _read_logs(
    request: Request, report: Report, result: Collected, meanwhile: Callable[[], None] | None
) -> list[ScanResult]:
    parts: list[ScanResult] = []
    matcher: Matcher | None = None
    for spec in dict.fromkeys(request.logs):
        try:
            with open_bytes(spec) as source:
                matcher = matcher or Matcher(SIGNATURES)
                told = partial(_told, report, source)
                found = scan(source, SIGNATURES, matcher, told, meanwhile=meanwhile)
                note = source.note
        except InputError as error:
            result.not_read(error, "log")
            continue
        if found.size_bytes == 0 and note:
            result.problems.append(f"{source.name}: {note}; give another log")
            continue
        parts.append(found)
        result.interrupted = result.interrupted or found.interrupted
        result.add(found.name, "log", found.size_bytes, found.lines, note)
    return parts


def _read_store(request: Request, result: Collected) -> Stored | None:
    from troubleshoot.collect_stores import collect_store

    return collect_store(request, result)


def _told(report: Report, source: ByteSource, done: int) -> None:
    report(source.name, done, source.size_bytes)


def facts_of(parts: Sequence[ScanResult]) -> LogFacts:
    """What the logs of one engine say together."""
    from troubleshoot.logs.events import events_of, merge, without_strangers
    from troubleshoot.logs.facts import LogFacts

    counts: dict[str, int] = {}
    for part in parts:
        for name, number in part.counts.items():
            counts[name] = counts.get(name, 0) + number
    kept = {name: sum(len(part.located.get(name, ())) for part in parts) for name in counts}
    events: dict[str, tuple[Event, ...]] = without_strangers(merge([events_of(part, SIGNATURES) for part in parts]))
    for name, number in kept.items():
        mine = len(events.get(name, ()))
        if mine < number:
            counts[name] = round(counts[name] * mine / number)
    return LogFacts(events, counts, sum(part.lines for part in parts))


def _read_metrics(
    request: Request, report: Report, result: Collected, stored: Stored | None = None
) -> MetricsData | None:
    given = list(dict.fromkeys(request.metrics))
    watched = [spec for spec in given if looks_like_url(spec)]
    watches = _watch_all(watched, request, report, result) if watched else {}
    bodies: list[Body] = []
    failures: list[tuple[float, str]] = []
    for source, spec in enumerate(given):
        try:
            if spec in watches:
                bodies += _seen(source, spec, watches[spec], failures, result)
            else:
                bodies.append(_saved(source, spec, result))
        except InputError as error:
            result.not_read(error, "metrics")
    if stored is not None:
        result.add(stored.name, "metrics", stored.size_bytes, note=stored.note)
    if not bodies and stored is None:
        return None
    from dataclasses import replace

    from troubleshoot.metrics.load import load_metrics

    servers = (
        {(len(given) + number, name): samples for (number, name), samples in stored.servers.items()} if stored else {}
    )
    data = load_metrics(bodies, failures, servers)
    window = data.timeline.window
    span = window[1] - window[0] if window else None
    note = data.note or ("one scrape: rates cannot be computed" if len(data.timeline.scrape_times) < 2 else "")
    for index, read in enumerate(result.inputs):
        if read.kind == "metrics" and read.size_bytes:
            notes = "; ".join(part for part in (read.note, note) if part)
            result.inputs[index] = replace(read, span_seconds=span, note=notes)
    return data


def _saved(source: int, spec: str, result: Collected) -> Body:
    from troubleshoot.metrics.load import Body
    from troubleshoot.sources.exposition import read_exposition

    scrapes = read_exposition(spec)
    result.add(scrapes.name, "metrics", len(scrapes.body), note=scrapes.note)
    return Body(source, None, scrapes.body)


class _Watched:
    """One live endpoint: what was seen of it so far, what failed, and why it could not be watched at all."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, bytes]] = []
        self.failures: Sequence[tuple[float, str]] = ()
        self.error: InputError | None = None


def _watch_all(specs: Sequence[str], request: Request, report: Report, result: Collected) -> dict[str, _Watched]:
    """Watch every endpoint over the same time, so that their figures can be added up."""
    import threading

    watches = {spec: _Watched() for spec in specs}
    first, *others = watches
    threads = [threading.Thread(target=_watch, args=(o, watches[o], request, _silent), daemon=True) for o in others]
    for thread in threads:
        thread.start()
    try:
        _watch(first, watches[first], request, report)
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        result.interrupted = True
    return watches


def _watch(spec: str, watched: _Watched, request: Request, report: Report) -> None:
    from troubleshoot.sources.address import redacted
    from troubleshoot.sources.endpoint import watch

    def keep(time_seconds: float, body: bytes) -> None:
        watched.seen.append((time_seconds, body))
        report(redacted(spec), int(time_seconds - watched.seen[0][0]), int(request.window_seconds))

    try:
        watched.failures = watch(spec, request.window_seconds, access=request.access, on_scrape=keep).failures
    except InputError as error:
        watched.error = error


def _seen(
    source: int, spec: str, watched: _Watched, failures: list[tuple[float, str]], result: Collected
) -> list[Body]:
    from troubleshoot.metrics.load import Body
    from troubleshoot.sources.address import redacted

    if watched.error is not None:
        raise watched.error
    note = ""
    if watched.failures:
        failures += watched.failures
        number, total = len(watched.failures), len(watched.failures) + len(watched.seen)
        note = f"{number} of {total} scrapes failed, the first: {watched.failures[0][1]}"
    size_bytes = sum(len(body) for _, body in watched.seen)
    if watched.seen:
        result.add(redacted(spec), "metrics", size_bytes, note=note)
    return [Body(source, time_seconds, body) for time_seconds, body in watched.seen]

"""From what the user names to evidence: read every input, keep what can be read, say what cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from troubleshoot.evidence import Evidence
from troubleshoot.findings import InputSummary
from troubleshoot.logs.events import Event, events_of, merge, without_strangers
from troubleshoot.logs.facts import LogFacts
from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import ScanResult, scan
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.sources.address import looks_like_url
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import open_bytes

if TYPE_CHECKING:
    from troubleshoot.metrics.load import MetricsData

Report = Callable[[str, int, int | None], None]
"""Called with (input, done, total): bytes of a file, seconds of a watched URL; total None where unknown."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read. `window_seconds` is for live URLs."""

    logs: Sequence[str] = ()
    metrics: Sequence[str] = ()
    window_seconds: float = 15.0
    engine: str = ""
    symptom: str = ""


@dataclass(slots=True)
class Collected:
    """Evidence of the inputs that could be read; None where none could. `problems` has a line for each other."""

    evidence: Evidence | None = None
    inputs: list[InputSummary] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False


def _silent(_name: str, _done: int, _total: int | None) -> None:
    """No progress wanted."""


def collect(request: Request, report: Report = _silent) -> Collected:
    """Read every input. Ctrl-C ends the reading: what is known so far is the evidence."""
    result = Collected()
    # Logs after metrics: what an engine writes while its endpoint is watched belongs to the picture.
    metrics = _read_metrics(request, report, result)
    parts = _read_logs(request, report, result)
    log = _facts(parts) if parts else None
    if log is not None or metrics is not None:
        result.evidence = Evidence(log, metrics, request.symptom, request.engine)
    return result


def _read_logs(request: Request, report: Report, result: Collected) -> list[ScanResult]:
    parts: list[ScanResult] = []
    matcher: Matcher | None = None
    for spec in request.logs:
        try:
            with open_bytes(spec) as source:
                matcher = matcher or Matcher(SIGNATURES)
                total = source.size_bytes
                found = scan(source, SIGNATURES, matcher, lambda done, n=source.name, t=total: report(n, done, t))  # type: ignore[misc]
                note = source.note
        except InputError as error:
            _not_read(result, error, "log")
            continue
        if found.size_bytes == 0 and note:
            result.problems.append(f"{source.name}: {note}; give another log")
            continue
        parts.append(found)
        result.interrupted = result.interrupted or found.interrupted
        result.inputs.append(InputSummary(found.name, "log", found.size_bytes, found.lines, note=note))
    return parts


def _not_read(result: Collected, error: InputError, kind: Literal["log", "metrics"]) -> None:
    result.problems.append(str(error))
    result.inputs.append(InputSummary(error.name, kind, note=f"not read: {error.problem}"))


def _facts(parts: Sequence[ScanResult]) -> LogFacts:
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


def _read_metrics(request: Request, report: Report, result: Collected) -> MetricsData | None:
    bodies: list[tuple[float | None, bytes]] = []
    failures: list[tuple[float, str]] = []
    first = len(result.inputs)
    for spec in request.metrics:
        try:
            if looks_like_url(spec):
                bodies += _watch(spec, request, report, failures, result)
            else:
                from troubleshoot.sources.exposition import read_exposition

                scrapes = read_exposition(spec)
                bodies.append((None, scrapes.body))
                result.inputs.append(InputSummary(scrapes.name, "metrics", len(scrapes.body), note=scrapes.note))
        except InputError as error:
            _not_read(result, error, "metrics")
    if not bodies:
        return None
    from troubleshoot.metrics.load import load_metrics

    data = load_metrics(bodies, failures)
    window = data.timeline.window
    span = window[1] - window[0] if window else None
    note = data.note or ("one scrape: rates cannot be computed" if len(data.timeline.scrape_times) < 2 else "")
    for index in range(first, len(result.inputs)):
        own = result.inputs[index]
        result.inputs[index] = replace(
            own, span_seconds=span, note="; ".join(part for part in (own.note, note) if part)
        )
    return data


def _watch(
    spec: str, request: Request, report: Report, failures: list[tuple[float, str]], result: Collected
) -> list[tuple[float | None, bytes]]:
    from troubleshoot.sources.address import redacted
    from troubleshoot.sources.endpoint import watch

    seen: list[tuple[float | None, bytes]] = []

    def keep(time_seconds: float, body: bytes) -> None:
        seen.append((time_seconds, body))
        start = seen[0][0] or time_seconds
        report(redacted(spec), int(time_seconds - start), int(request.window_seconds))

    note = ""
    try:
        watched = watch(spec, request.window_seconds, on_scrape=keep)
        failures += watched.failures
        if watched.failures:
            number, total = len(watched.failures), len(watched.failures) + len(watched.scrapes)
            note = f"{number} of {total} scrapes failed, the first: {watched.failures[0][1]}"
    except KeyboardInterrupt:
        result.interrupted = True
        if not seen:
            return []
    result.inputs.append(InputSummary(redacted(spec), "metrics", sum(len(body) for _, body in seen), note=note))
    return seen

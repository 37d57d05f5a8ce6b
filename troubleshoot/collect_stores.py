"""Reading from stores of metrics and logs, each failure noted: what `troubleshoot.collect` does for files."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from troubleshoot.logs.matcher import Matcher
from troubleshoot.logs.scan import scan
from troubleshoot.logs.signatures import SIGNATURES
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import open_bytes
from troubleshoot.sources.loki import LokiRequest, loki_logs
from troubleshoot.stores import Stored, read_store

if TYPE_CHECKING:
    from troubleshoot.collect import Collected, Report, Request
    from troubleshoot.logs.scan import ScanResult


def collect_store(request: Request, result: Collected) -> Stored | None:
    """Read the store of metrics; None where it gave nothing."""
    if request.store is None:
        return None
    try:
        return read_store(request.store, request.engine, request.symptom)
    except InputError as error:
        result.not_read(error, "metrics")
    except KeyboardInterrupt:
        result.interrupted = True
    return None


def collect_loki(loki: LokiRequest, stored: Stored | None, report: Report, result: Collected) -> list[ScanResult]:
    """Scan the logs of Loki over the window of the store's metrics, which an alert may have moved, or over its own."""
    end_seconds = stored.window[1] if stored else loki.at_seconds or time.time()
    parts: list[ScanResult] = []
    try:
        with loki_logs(loki, end_seconds, lambda done: report("loki", done, None)) as found:
            result.interrupted = result.interrupted or found.interrupted
            matcher = Matcher(SIGNATURES)
            for name, path in found.logs:
                with open_bytes(str(path)) as source:
                    source.name = name
                    parts.append(scan(source, SIGNATURES, matcher, partial(_told, report, name)))
                result.interrupted = result.interrupted or parts[-1].interrupted
                result.add(name, "log", parts[-1].size_bytes, parts[-1].lines, found.note)
    except InputError as error:
        result.not_read(error, "log")
    return parts


def _told(report: Report, name: str, done: int) -> None:
    report(name, done, None)

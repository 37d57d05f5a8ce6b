"""`inferwatch record`: an engine watched for a while, its log and metrics made into a recording."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from catalog.exposition import parse
from recordings.writer import MetricsText, meta_text, stem, write
from troubleshoot.capture.log_copy import LogCopy
from troubleshoot.capture.masking import Masking, known_secrets
from troubleshoot.sources.access import Access
from troubleshoot.sources.endpoint import Clock, watch
from troubleshoot.sources.errors import InputError
from troubleshoot.sources.files import open_bytes

SCRAPE_SECONDS: Final = 2.0
MAX_METRICS_BYTES: Final = 256 << 20
"""Of all scrapes together; the rest of the time is then not recorded, and it is said."""

_MOST_REQUESTS_BYTES: Final = 64 << 20
_STARTED: Final = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record. `log` and `requests` "": none; `log` "-": standard input. `access` is for the metrics."""

    metrics: str
    log: str
    output: Path
    seconds: float
    requests: str = ""
    version: str = ""
    access: Access | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=Clock)


@dataclass(slots=True)
class Taken:
    """What was recorded; `problems` has a line for what was not."""

    scrapes: int = 0
    log_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_something(self) -> bool:
        """Whether there was anything to write."""
        return bool(self.scrapes or self.log_bytes)


def record(plan: Plan, told: Callable[[int], None]) -> Taken:
    """Watch, copy, mask, write. Nothing is written where neither metrics nor log could be read.

    Ctrl-C ends the watching; what was seen until then is written. Raises OSError where the output cannot be written.
    """
    _refuse_what_is_there(plan.output)
    taken = Taken()
    masking = Masking(known_secrets([plan.metrics], plan.environment))
    log = LogCopy(plan.log) if plan.log else None
    begun = plan.clock.unix()
    metrics, started = _watched(plan, masking, taken, told)
    text = _log(log, masking, taken)
    requests = _requests(plan, masking, taken)
    if not taken.is_something:
        return taken
    files = {"engine.log": text, "metrics.om.gz": metrics.text().encode()}
    if requests:
        files["requests.csv.gz"] = requests
    meta = {"started_unix_s": round(started or begun, 3), "ended_unix_s": round(plan.clock.unix(), 3)}
    meta["ready_unix_s"] = meta["started_unix_s"] if metrics.scrapes else None  # type: ignore[assignment]
    write(plan.output, {"meta.yaml": _meta(plan, files, meta).encode(), **files})
    return taken


def _refuse_what_is_there(path: Path) -> None:
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(path)


def _watched(
    plan: Plan, masking: Masking, taken: Taken, told: Callable[[int], None]
) -> tuple[MetricsText, float | None]:
    """The scrapes, masked, and when the engine's process was started, where it says so."""
    parts = urlsplit(plan.metrics if "://" in plan.metrics else f"//{plan.metrics}")
    # Not the host's name: the recording is to be shared.
    metrics = MetricsText(f"engine:{parts.port or 80}")
    started: float | None = None
    size = 0

    def keep(time_seconds: float, body: bytes) -> None:
        nonlocal started, size
        size += len(body)
        told(len(body))
        if size > MAX_METRICS_BYTES:
            raise KeyboardInterrupt
        parsed = parse(body)
        found = [masking.sample(sample) for sample in parsed.samples]
        started = next((sample.value for sample in found if sample.name == _STARTED), started)
        metrics.add(time_seconds, found, parsed.kinds)

    if not plan.metrics:
        return metrics, None
    try:
        seen = watch(
            plan.metrics,
            plan.seconds,
            interval_seconds=SCRAPE_SECONDS,
            access=plan.access,
            clock=plan.clock,
            on_scrape=keep,
        )
        for time_seconds, problem in seen.failures:
            metrics.add_up(time_seconds, False)
            taken.problems.append(f"a scrape failed: {problem}")
    except InputError as error:
        taken.problems.append(str(error))
        metrics.add_up(plan.clock.unix(), False)
    except KeyboardInterrupt:
        taken.problems.append("ended early: what was seen until then is recorded")
    taken.scrapes = metrics.scrapes
    return metrics, started


def _log(log: LogCopy | None, masking: Masking, taken: Taken) -> bytes:
    if log is None:
        return b""
    try:
        text, note = log.finish(masking)
    except InputError as error:
        taken.problems.append(str(error))
        return b""
    if note:
        taken.problems.append(f"log: {note}")
    taken.log_bytes = len(text)
    return text


def _requests(plan: Plan, masking: Masking, taken: Taken) -> bytes:
    """The client's own list of requests, masked line by line."""
    if not plan.requests:
        return b""
    try:
        with open_bytes(plan.requests) as source:
            buffer = bytearray(_MOST_REQUESTS_BYTES)
            content = bytes(buffer[: source.readinto(buffer)])
    except InputError as error:
        taken.problems.append(str(error))
        return b""
    return b"".join(masking.lines(content.splitlines(keepends=True)))


def _meta(plan: Plan, files: Mapping[str, bytes], times: Mapping[str, object]) -> str:
    """What the reader needs to know, found in the masked files themselves. The cause is for people to fill in."""
    from troubleshoot.collect import Request, collect

    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        paths = {name: Path(folder) / name.removesuffix(".gz") for name in ("engine.log", "metrics.om.gz")}
        for name, path in paths.items():
            path.write_bytes(files[name])
        given = [str(path) for name, path in paths.items() if files[name]]
        evidence = collect(Request(given[:1] if files["engine.log"] else (), [str(paths["metrics.om.gz"])])).evidence
    return meta_text(
        {
            "name": stem(plan.output),
            "engine": (evidence.engine if evidence else "") or "unknown",
            "engine_version": (evidence.version if evidence else "") or "unknown",
            "gpu": (evidence.gpu_name if evidence else "")
            or ("none (CPU)" if evidence and evidence.on_cpu else "unknown"),
            "model": (evidence.model if evidence else "") or "unknown",
            "cause": "unknown",
            "secondary": [],
            "why": "recorded by inferwatch; nobody has said yet what the cause is",
            "recorded_by": f"inferwatch {plan.version}".strip(),
            "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(plan.clock.unix())),
            **times,
            "exit_code": None,
        }
    )

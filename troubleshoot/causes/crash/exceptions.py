"""Exceptions in a log that are a process's own, not its report of another's death."""

from __future__ import annotations

import re

from troubleshoot.evidence import Evidence
from troubleshoot.logs.events import Event

_EXCEPTION = re.compile(
    r"^(?:\[rank\d+\]: ?)?(?P<name>(?:[\w]+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout|Failure))(?::|$)"
)
_CONSEQUENCE = re.compile(
    r"EngineDeadError|AsyncEngineDeadError|MQEngineDeadError|Engine core initialization failed|Engine process failed|See root cause|CancelledError|KeyboardInterrupt|SystemExit|WorkerProc initialization failed|Background loop"
)


def named_errors(evidence: Evidence) -> list[str]:
    """Exceptions in the log that are no report of another process's death."""
    events = evidence.log.all("python_error") if evidence.log else []
    raised = [event for event in events if event.level not in ("DEBUG", "INFO", "WARNING")]
    errors = [event.fields.get("error", event.message).strip() for event in raised]
    return [error for error in errors if not _CONSEQUENCE.search(error)]


def first_exception(events: list[Event]) -> str:
    """The first exception in or around these lines that is no report of another process's death; "" without one."""
    for event in events:
        for line in (*event.context, event.message, *event.after):
            if _EXCEPTION.match(line.strip()) and not _CONSEQUENCE.search(line):
                return line.strip()
    return ""

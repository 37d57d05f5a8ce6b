"""An engine that is gone: killed from outside, or by an exception that no other cause knows."""

from __future__ import annotations

import re

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, MetricEvidence, Severity
from troubleshoot.logs.events import Event

_EXCEPTION = re.compile(
    r"^(?:\[rank\d+\]: ?)?(?P<name>(?:[\w]+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout|Failure))(?::|$)"
)
_CONSEQUENCE = re.compile(
    r"EngineDeadError|AsyncEngineDeadError|MQEngineDeadError|Engine core initialization failed|Engine process failed|See root cause|CancelledError|KeyboardInterrupt|SystemExit|WorkerProc initialization failed|Background loop"
)


_FIXES = (
    Fix(
        "who killed it",
        None,
        "kernel log (`dmesg -T | grep -i oom`), container's last state, node pressure",
        "the out-of-memory killer is the usual one; then see oom_host_memory",
    ),
    Fix("liveness probe", None, "on /health", "restarts a server whose engine is gone"),
)


class EngineKilled(Cause):
    """The engine's process ended without a word: somebody killed it."""

    id = "crash_engine_dead_killed"
    family = "crash"
    title = "The engine process was killed from outside"
    needs = ("log: engine output",)
    consequences = frozenset(
        {
            "crash_unrecognised_exception",
            "hang_shm_broadcast",
            "hang_engine_stuck",
            "thr_client_disconnects",
            "crash_backend_request_error",
        }
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """Holds where a SIGKILL is named, or where the front end reports a death that no error precedes."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        killed = [
            *log.all("killed_by_signal"),
            *(
                e
                for e in log.all("engine_process_died")
                if e.fields.get("code") in ("-9", "137") or e.fields.get("signal") == "9"
            ),
        ]
        silent = [event for event in log.all("engine_process_died") if _is_silent(event, evidence)]
        events = sorted([*killed, *(e for e in silent if e not in killed)], key=lambda e: (e.file, e.offset))
        if not events and (gone := self._vanished(evidence)):
            return gone
        if not events:
            return (
                self.ruled_out("no process died unexpectedly in the log")
                if log.begins_at_start
                else self.not_evaluated("log: from the engine's start")
            )
        sure = 0.92 if killed else 0.8
        recovered = log.served_after(events[-1])
        return self.finding(
            Severity.WARNING if recovered else Severity.CRITICAL,
            sure,
            "The engine's process ended by SIGKILL."
            if killed
            else "The engine's process vanished without any error of its own: that is what SIGKILL looks like. The front end then answers 500.",
            [evidence.quote(event) for event in events[:3]],
            _FIXES,
        )

    def _vanished(self, evidence: Evidence) -> Judgement | None:
        """The endpoint stopped answering under load, and the log ends without a shutdown or an error."""
        log, metrics = evidence.log, evidence.metrics
        serving = evidence.serving
        if log is None or metrics is None or serving is None or serving.source != "metrics":
            return None
        ups = [
            series
            for series in metrics.timeline.all("up")
            if series.labels.get("job") != "gpu" and 1.0 in series.values
        ]
        down = next((s for s in ups if len(s.values) > 2 and s.values[-1] == s.values[-2] == 0.0), None)
        if (
            down is None
            or log.has("shutdown", "traceback", "engine_dead_consequence")
            or not serving.all_moments[-1].has_work
        ):
            return None
        last_up = max(t for t, v in zip(down.times, down.values, strict=True) if v == 1.0)
        running = serving.all_moments[-1].running or 0
        return self.finding(
            Severity.CRITICAL,
            0.75,
            f"The server stopped answering with {running:.0f} requests running, and its log ends there: no shutdown, no error. That is what SIGKILL looks like.",
            [MetricEvidence("up", 0.0, "", (last_up, down.times[-1]), "stays 0")],
            _FIXES,
        )


def _is_silent(event: Event, evidence: Evidence) -> bool:
    """The front end's report of a death before which the dead process printed no error."""
    log = evidence.log
    if log is None or event.fields.get("code") not in (None, "-9", "137"):
        return False
    errors = log.all(
        "traceback",
        "cuda_oom",
        "cuda_fault",
        "nccl_error",
        "segfault",
        "driver_mismatch",
        "unsupported_hardware",
    )
    if _named_errors(evidence):
        return False
    own = [
        e
        for e in errors
        if e.file == event.file
        and e.offset < event.offset
        and e.process != event.process
        and ("Engine" in e.process or "Worker" in e.process or not e.process)
    ]
    explained = any(
        e.file == event.file and e.offset < event.offset
        for e in log.all("engine_dead_consequence")
        if "Engine" in e.process or "Worker" in e.process
    )
    return not own and not explained


class UnrecognisedException(Cause):
    """The engine failed with an exception that no other cause claims."""

    id = "crash_unrecognised_exception"
    family = "crash"
    title = "The engine failed with an exception that no rule knows"
    needs = ("log: engine output",)

    def judge(self, evidence: Evidence) -> Judgement:
        """Holds where an engine reports its own death or failed start; the exception is quoted, not explained."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        deaths = [
            event for event in log.all("engine_dead_consequence", "engine_process_died") if not log.served_after(event)
        ]
        fatal = deaths or [
            event
            for event in log.all("traceback")
            if not log.served_after(event) and not log.was_ready_before(event) and log.begins_at_start
        ]
        if not fatal:
            return self.ruled_out("no engine died in the log")
        exception = next(iter(_named_errors(evidence)), "") or _first_exception(fatal)
        quoted = f" It is: {exception}" if exception else ""
        return self.finding(
            Severity.CRITICAL,
            0.4,
            f"The engine did not start, or died, and the log gives an exception for which there is no rule.{quoted[:200]} Read the first traceback of the engine's own process, not the last.",
            [evidence.quote(event) for event in fatal[:3]],
        )


def _named_errors(evidence: Evidence) -> list[str]:
    """Exceptions in the log that are no report of another process's death."""
    events = evidence.log.all("python_error") if evidence.log else []
    raised = [event for event in events if event.level not in ("DEBUG", "INFO", "WARNING")]
    errors = [event.fields.get("error", event.message).strip() for event in raised]
    return [error for error in errors if not _CONSEQUENCE.search(error)]


def _first_exception(events: list[Event]) -> str:
    for event in events:
        for line in (*event.context, event.message, *event.after):
            if _EXCEPTION.match(line.strip()) and not _CONSEQUENCE.search(line):
                return line.strip()
    return ""

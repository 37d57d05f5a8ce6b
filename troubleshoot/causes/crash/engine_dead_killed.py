"""`crash_engine_dead_killed`: the engine process was killed from outside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.crash.exceptions import named_errors
from troubleshoot.causes.crash.killed_in_kubernetes import killing_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Finding, Fix, MetricEvidence, Severity
from troubleshoot.logs.events import Event

if TYPE_CHECKING:
    from troubleshoot.metrics.timeline import Timeline, Window


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
    min_restarts = 2
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
        """By log and metrics; and by the container's status and the events, which say who killed it."""
        judged = self._by_log(evidence)
        killing = killing_of(evidence.pod) if evidence.pod else None
        if killing is None:
            return judged
        if isinstance(judged, Finding):
            return replace(
                judged,
                evidence=(*killing.proof, *judged.evidence),
                title=killing.title or judged.title,
                explanation=killing.explanation,
                fixes=killing.fixes,
                confidence=max(judged.confidence, killing.confidence),
            )
        return self.finding(
            killing.severity, killing.confidence, killing.explanation, killing.proof, killing.fixes, title=killing.title
        )

    def _by_log(self, evidence: Evidence) -> Judgement:
        """Holds where a SIGKILL is named, or where the front end reports a death that no error precedes."""
        log = evidence.log
        if log is None:
            return self._by_metrics(evidence)
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

    def _by_metrics(self, evidence: Evidence) -> Judgement:
        """Without a log it is only seen that the server is gone, or comes and goes; not why."""
        metrics = evidence.metrics
        if metrics is None or not metrics.engine:
            return self.not_evaluated()
        down = gone_at_the_end(metrics.timeline)
        if down is not None:
            text = "The server answered and then stopped answering, to the end of the record. Why does not stand in the metrics: give its log."
            proof = MetricEvidence("up", 0.0, "", down, "stays 0")
            return self.finding(Severity.WARNING, 0.5, text, [proof], _FIXES, title="The server stopped answering")
        counters = ("llm_generation_tokens_total", "llm_engine_steps_total")
        starts = max(metrics.timeline.restarts(name) for name in counters)
        if starts >= self.min_restarts:
            text = f"Its counters began again {starts} times: the server keeps restarting. Why does not stand in the metrics: give its log."
            proof = evidence.metric("llm_generation_tokens_total", starts, "resets")
            return self.finding(Severity.WARNING, 0.5, text, [proof], _FIXES, title="The server keeps restarting")
        return self.not_evaluated()

    def _vanished(self, evidence: Evidence) -> Judgement | None:
        """The endpoint stopped answering under load, and the log ends without a shutdown or an error."""
        log, metrics, serving = evidence.log, evidence.metrics, evidence.serving
        if log is None or metrics is None or serving is None or serving.source != "metrics":
            return None
        down = gone_at_the_end(metrics.timeline)
        said = log.has("shutdown", "traceback", "engine_dead_consequence")
        if down is None or said or not serving.all_moments[-1].has_work:
            return None
        running = serving.all_moments[-1].running or 0
        return self.finding(
            Severity.CRITICAL,
            0.75,
            f"The server stopped answering with {running:.0f} requests running, and its log ends there: no shutdown, no error. That is what SIGKILL looks like.",
            [MetricEvidence("up", 0.0, "", down, "stays 0")],
            _FIXES,
        )


def gone_at_the_end(timeline: Timeline) -> Window | None:
    """From the last answer to the end of the record, where at least two scrapes in a row failed; None otherwise."""
    ups = [series for series in timeline.all("up") if series.labels.get("job") != "gpu"]
    points = [point for series in ups for point in zip(series.times, series.values, strict=True)]
    answered = [time for time, value in points if value == 1.0] or timeline.scrape_times
    last = max(answered, default=None)
    after = sorted(time for time, value in points if value == 0.0 and last is not None and time > last)
    return (last, after[-1]) if last is not None and len(after) >= 2 else None


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
    if named_errors(evidence):
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

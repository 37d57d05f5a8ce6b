"""`crash_unrecognised_exception`: the engine failed with an exception that no rule knows."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.crash.exceptions import first_exception, named_errors
from troubleshoot.causes.pod_ends import failed_ends, severity_of
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Severity


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
            return self._by_exit_code(evidence) or self.not_evaluated()
        deaths = [
            event for event in log.all("engine_dead_consequence", "engine_process_died") if not log.served_after(event)
        ]
        fatal = deaths or [
            event
            for event in log.all("traceback")
            if not log.served_after(event) and not log.was_ready_before(event) and log.begins_at_start
        ]
        if not fatal:
            return self._by_exit_code(evidence) or self.ruled_out("no engine died in the log")
        exception = next(iter(named_errors(evidence)), "") or first_exception(fatal)
        quoted = f" It is: {exception}" if exception else ""
        return self.finding(
            Severity.CRITICAL,
            0.4,
            f"The engine did not start, or died, and the log gives an exception for which there is no rule.{quoted[:200]} Read the first traceback of the engine's own process, not the last.",
            [evidence.quote(event) for event in fatal[:3]],
        )

    def _by_exit_code(self, evidence: Evidence) -> Judgement | None:
        """A container that ended with an error status, of which its log says nothing."""
        pod = evidence.pod
        ends = failed_ends(pod) if pod else []
        if pod is None or not ends:
            return None
        text = f"The container ended with status {ends[0].exit_code}, and no line of its log that was read says why. Read its last lines."
        title = "The container ended with an error status, and its log names no reason"
        return self.finding(severity_of(pod, ends[0]), 0.35, text, [pod.end_proof(ends[0])], title=title)

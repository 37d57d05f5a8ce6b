"""`thr_logging_or_metrics_overhead`: debug or request logging costs time for every request."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity


class LoggingOverhead(Cause):
    """Request or debug logging."""

    id = "thr_logging_or_metrics_overhead"
    family = "throughput"
    title = "Debug or request logging costs time for every request"
    needs = ("log: engine output",)

    def judge(self, evidence: Evidence) -> Judgement:
        """What is logged is seen; what it costs is not: a note, unless most of a serving engine's log is debug lines."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        traced = log.all("trace_function")
        if traced:
            text = "Every Python function call is recorded (VLLM_TRACE_FUNCTION): a tool for finding hangs, far too slow to serve with."
            return self.finding(
                Severity.WARNING,
                0.9,
                text,
                [evidence.quote(e) for e in traced[:2]],
                [Fix("VLLM_TRACE_FUNCTION", "1", "remove", "for debugging only")],
            )
        debug, requests = log.has("debug_logging"), log.has("request_logging")
        if not debug and not requests:
            return self.ruled_out("neither debug nor request lines in the log")
        events = log.all("debug_logging", "request_logging")[:2]
        what = " and ".join(
            [
                *(["debug lines"] if debug else []),
                *(["a line with the prompt or parameters of each request"] if requests else []),
            ]
        )
        heavy = log.lines > 0 and log.count("debug_logging") >= 0.5 * log.lines and evidence.serving is not None
        severity = Severity.WARNING if heavy or evidence.symptom == "throughput" else Severity.INFO
        fixes = (
            [Fix("VLLM_LOGGING_LEVEL", "DEBUG", "INFO", "debug lines are written in the engine's own loop")]
            if debug
            else []
        )
        if requests and evidence.engine in ("", "vllm"):
            fixes.append(
                Fix(
                    "--enable-log-requests",
                    evidence.settings.get("enable_log_requests"),
                    "remove (before 0.10: add --disable-log-requests)",
                    "prompts also do not belong into logs",
                )
            )
        return self.finding(severity, 0.55, f"The log holds {what}.", [evidence.quote(e) for e in events], fixes)

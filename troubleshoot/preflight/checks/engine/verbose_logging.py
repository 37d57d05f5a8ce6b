"""Logging that costs."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class VerboseLogging(WorkloadCheck):
    """A line for each request or step costs time on the engine's busiest thread, and shows prompts."""

    id = "verbose_logging"
    severity = Severity.INFO
    title = "Verbose logging"
    needs = "the engine's arguments and environment"
    reads_arguments = True

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        level = engine.container.environment.get("VLLM_LOGGING_LEVEL")
        verbose = engine.settings.get("--log-verbose")
        if level is not None and level.text.upper() == "DEBUG":
            yield self.finding(
                subject.title,
                level,
                "VLLM_LOGGING_LEVEL DEBUG logs in every step.",
                Fix("VLLM_LOGGING_LEVEL", level.text, "INFO", "the default"),
            )
        if engine.name == "triton" and verbose is not None and verbose.integer:
            yield self.finding(
                subject.title,
                verbose.field,
                f"--log-verbose={verbose.value} logs every request several times.",
                Fix("--log-verbose", verbose.integer, 0, "the default; it can be raised while the server runs"),
            )

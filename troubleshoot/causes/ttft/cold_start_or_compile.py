"""`ttft_cold_start_or_compile`: compilation or kernel building delays the start or the first requests."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event


class ColdStart(Cause):
    """Compilation, graph capture or kernels built while requests wait."""

    id = "ttft_cold_start_or_compile"
    family = "ttft"
    title = "Compilation or kernel building delays the start or the first requests"
    needs = ("log: start-up lines",)
    slow_start_seconds = 240.0
    slow_part_seconds = 120.0

    def judge(self, evidence: Evidence) -> Judgement:
        """A kernel compiled while serving; or a start that compiles for minutes."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        serving = [
            e
            for e in log.all("jit_while_serving")
            if "will be logged" not in e.message and "activated" not in e.message
        ]
        if serving:
            return self.finding(
                Severity.WARNING,
                0.85,
                f"Kernels were compiled while requests were being served ({len(serving)} notices): the requests that needed them waited.",
                [evidence.quote(e) for e in serving[:3]],
                self._fixes(),
            )
        slow = [
            (event, seconds)
            for event in log.all("compile_time")
            for seconds in [self._seconds(event)]
            if seconds >= (self.slow_start_seconds if "init" in event.fields else self.slow_part_seconds)
        ]
        if slow:
            event, seconds = max(slow, key=lambda pair: pair[1])
            return self.finding(
                Severity.WARNING,
                0.75,
                f"The start spends {seconds:.0f} s on compilation, graph capture and warm-up; until then no request is served.",
                [evidence.quote(event)],
                self._fixes(),
            )
        return self.ruled_out("no long compilation in the log") if log.has("compile_time") else self.not_evaluated()

    @staticmethod
    def _seconds(event: Event) -> float:
        return max(
            (
                value
                for name in ("compile", "graph", "capture", "init", "dynamo", "sglang")
                if (value := event.number(name)) is not None
            ),
            default=0.0,
        )

    @staticmethod
    def _fixes() -> list[Fix]:
        return [
            Fix("VLLM_CACHE_ROOT", None, "a persistent volume", "compiled kernels survive a restart"),
            Fix(
                "warm-up",
                None,
                "send requests of the real shapes before the replica is ready",
                "what is compiled then does not hit users",
            ),
        ]

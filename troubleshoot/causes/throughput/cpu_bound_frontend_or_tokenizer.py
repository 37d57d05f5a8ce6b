"""`thr_cpu_bound_frontend_or_tokenizer`: the API process, tokeniser or scheduler is limited by the CPU."""

from __future__ import annotations

from troubleshoot.causes.advice import change
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity


class CpuBoundFrontend(Cause):
    """API process, tokeniser or scheduler are at the limit of a CPU core."""

    id = "thr_cpu_bound_frontend_or_tokenizer"
    family = "throughput"
    title = "The API process, tokeniser or scheduler is limited by the CPU"
    needs = ("metrics: process CPU seconds", "log: engine output")
    saturated_cores = 0.9

    def judge(self, evidence: Evidence) -> Judgement:
        """The API process uses a whole core; or the engine says that its tokenizer is the slow one."""
        log, serving = evidence.log, evidence.serving
        slow = [e for e in log.all("slow_tokenizer", "cpu_starved") if e.level not in ("DEBUG",)] if log else []
        cores = self._cores(evidence)
        if cores is not None and serving and cores >= self.saturated_cores:
            text = f"The API process uses {cores:.2f} CPU cores of the one that Python gives it, {serving.running_mean or 0:.0f} requests run."
            proof = [evidence.metric("llm_process_cpu_seconds_total", round(cores, 2), "cores")]
            return self.finding(
                Severity.WARNING,
                0.75,
                text,
                [*proof, *(evidence.quote(e) for e in slow[:1])],
                self._fixes(evidence),
            )
        if slow:
            return self.finding(
                Severity.WARNING,
                0.7,
                "The engine warns that the CPU side is slow: the tokenizer is the Python one, or the CPU is limited.",
                [evidence.quote(e) for e in slow[:2]],
                self._fixes(evidence),
            )
        if cores is not None:
            return self.ruled_out(f"the API process uses {cores:.2f} cores")
        return self.not_evaluated()

    @staticmethod
    def _cores(evidence: Evidence) -> float | None:
        serving = evidence.serving
        if serving is None or serving.timeline is None:
            return None
        for name in ("llm_process_cpu_seconds_total", "process_cpu_seconds_total"):
            rate = serving.timeline.rate(name, serving.window)
            if rate is not None:
                return rate
        return None

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        fixes: list[Fix] = []
        if evidence.engine in ("", "vllm"):
            fixes += change(evidence, "api_server_count", 2, "tokenising and streaming spread over processes")
        fixes.append(
            Fix(
                "CPU limit and request",
                None,
                "at least one core for each process of the engine, no CFS throttling",
                "the scheduler must not wait for a core",
            )
        )
        fixes.append(
            Fix(
                "tokenizer",
                None,
                "a fast (Rust) one: tokenizer.json",
                "the Python tokenizer is many times slower",
            )
        )
        return fixes

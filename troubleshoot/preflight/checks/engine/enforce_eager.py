"""CUDA graphs in production."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck


class EnforceEager(WorkloadCheck):
    """Without CUDA graphs each step is launched kernel by kernel: see runbook thr_enforce_eager."""

    id = "enforce_eager"
    severity = Severity.WARNING
    title = "CUDA graphs are off"
    needs = "the engine's arguments"
    reads_arguments = True

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        engine = subject.engine
        if engine is None:
            return
        found = engine.is_on("no CUDA graphs")
        graphs = engine.settings.get("--cuda-graphs") if engine.name == "tgi" else None
        if graphs is not None and graphs.value == "0":
            found = graphs
        if found is not None:
            yield self.finding(
                subject.title,
                found.field,
                f"{found.flag} is for debugging: decoding is bound by the launch of kernels (a 7B model on an H200 at 4 clients reached 21 % of the memory's speed with it).",
                Fix(
                    found.flag,
                    found.value or "set",
                    "remove",
                    "two to three times the decode rate of small batches; graphs take about 1 GiB",
                ),
            )

"""`thr_insufficient_load`: the engine is healthy; it is given too few requests at a time to be fast in total."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.pace import crawls, roofline_share
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.roofline import LAUNCH_BOUND_DECODE_SHARE


class InsufficientLoad(Cause):
    """The engine is healthy and gets one request at a time."""

    id = "thr_insufficient_load"
    family = "throughput"
    title = "The engine is healthy; it is given too few requests at a time to be fast in total"
    needs = ("metrics: two scrapes under load", "log: statistics lines")
    most_running = 2.5

    def judge(self, evidence: Evidence) -> Judgement:
        """Few run, none waits, and each goes at a pace that the hardware explains. By itself no incident."""
        serving = evidence.serving
        if serving is None or serving.running_max is None:
            return self.not_evaluated()
        if (serving.waiting_max or 0) > 0 and serving.waiting_share > 0.2:
            return self.ruled_out("requests wait")
        if serving.running_max > self.most_running or not (serving.generation_rate or 0) > 0:
            return self.ruled_out(
                f"up to {serving.running_max:.0f} requests run at once"
                if serving.running_max > self.most_running
                else "nothing is generated"
            )
        share = roofline_share(evidence)
        if share is not None and share < LAUNCH_BOUND_DECODE_SHARE:
            return self.ruled_out(f"a sequence decodes at {share:.0%} of the HBM roofline: the engine itself is slow")
        if share is None and crawls(serving):
            return self.ruled_out(
                f"a sequence decodes at {serving.rate_per_sequence or 0:.1f} tokens/s: the engine is slow"
            )
        rate = serving.rate_per_sequence
        pace = f"{rate:.0f} tokens/s a sequence" if rate else "at its own pace"
        limit = f", {share:.0%} of what the memory bandwidth allows" if share is not None else ""
        proof: list[EvidenceItem] = [
            evidence.metric("llm_requests_running", round(serving.running_mean or 0, 2), "requests", "mean"),
            evidence.metric("llm_generation_tokens_total", round(serving.generation_rate or 0, 1), "per_second"),
        ]
        severity = Severity.WARNING if evidence.symptom == "throughput" else Severity.INFO
        return self.finding(
            severity,
            0.9 if share is not None else 0.7,
            f"At most {serving.running_max:.0f} requests run at once (mean {serving.running_mean or 0:.1f}), none waits; {pace}{limit}. GPU utilisation near 100 % does not contradict this: it only says that a kernel was resident.",
            proof,
            [
                Fix(
                    "client concurrency",
                    max(1, round(serving.running_mean or 1)),
                    "higher, or batch requests",
                    "a decode step reads all weights once, for one sequence or for many",
                    "no server change",
                )
            ],
        )

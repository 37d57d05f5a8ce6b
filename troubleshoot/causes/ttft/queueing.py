"""`ttft_queueing`: requests wait before their prefill: demand exceeds what this server does."""

from __future__ import annotations

from troubleshoot.causes.advice import spelling
from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.causes.kv_cache import kv_fixes
from troubleshoot.causes.waiting import NEEDS_SERVING, describe, mostly_deferred, queue_is_significant, serving_proof
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.serving import Serving


class Queueing(Cause):
    """Demand exceeds what the server does at its limits."""

    id = "ttft_queueing"
    family = "ttft"
    title = "Requests wait before their prefill: demand exceeds what this server does"
    needs = NEEDS_SERVING
    consequences = frozenset({"thr_client_disconnects"})

    def judge(self, evidence: Evidence) -> Judgement:
        """Requests wait most of the time. Which limit they wait for goes into the explanation."""
        serving = evidence.serving
        if serving is None:
            return self.not_evaluated()
        if serving.waiting_mean is None:
            return self.not_evaluated("metrics: waiting requests")
        if serving.waiting_mean == 0:
            return self.ruled_out("no request waits")
        if mostly_deferred(serving):
            return self.ruled_out("what waits is deferred, not short of capacity")
        if not queue_is_significant(serving):
            return self.ruled_out(f"few requests wait, and briefly (mean {serving.waiting_mean:.1f})")
        if serving.stall and sum(moment.seconds for moment in serving.stall) >= 0.5 * serving.seconds:
            return self.ruled_out("the engine makes no steps: see hang_engine_stuck")
        return self.finding(
            self._severity(serving),
            self._sure(serving),
            f"{self._reason(evidence)}: {describe(serving)}.",
            serving_proof(evidence, serving),
            self._fixes(evidence),
        )

    @staticmethod
    def _severity(serving: Serving) -> Severity:
        running = serving.running_mean or 1.0
        return Severity.CRITICAL if (serving.waiting_mean or 0) >= 2 * running else Severity.WARNING

    @staticmethod
    def _sure(serving: Serving) -> float:
        return 0.88 if serving.source == "metrics" else 0.8

    @staticmethod
    def _reason(evidence: Evidence) -> str:
        if evidence.kv_is_full:
            return "Requests wait for KV cache"
        if evidence.serving and evidence.serving.pinned_at() is not None:
            return "Every slot is taken"
        return "The engine is busy with the requests it has"

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        fixes = kv_fixes(evidence) if evidence.kv_is_full or evidence.kv_is_plentiful is False else []
        fixes = [fix for fix in fixes if fix.setting != spelling(evidence, "max_num_seqs")]
        fixes.append(Fix("replicas", None, "more", "demand exceeds one server"))
        fixes.append(
            Fix(
                "admission control at the edge",
                None,
                "refuse early (429) when the queue is long",
                "a refused request can be retried elsewhere, a queued one only waits",
            )
        )
        return fixes

"""`thr_preemption_thrash`: the KV cache is too small for this load: requests are preempted and recomputed."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement, times
from troubleshoot.causes.kv_cache import kv_fixes
from troubleshoot.causes.waiting import describe, serving_proof
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Severity
from troubleshoot.logs.events import Event
from troubleshoot.moments import Moment
from troubleshoot.serving import Serving

MIN_PREEMPTION_RATE = 0.05
"""Preemptions per second: each recomputes a whole request. One in 20 s is the first that shows in latency."""
CRITICAL_PREEMPTION_RATE = 1.0
MIN_PREEMPTIONS = 10
"""Fewer are an episode: a burst of long answers that ended together."""
MIN_PREEMPTED_SHARE = 0.25
"""Preemptions for each finished request: below this, requests wait for KV cache more than they lose it."""


class PreemptionThrash(Cause):
    """Running requests lose their KV cache to others and are computed again."""

    id = "thr_preemption_thrash"
    family = "throughput"
    title = "The KV cache is too small for this load: requests are preempted and recomputed"
    needs = ("metrics: two scrapes (V1 never logs preemptions)",)
    consequences = frozenset(
        {
            "ttft_queueing",
            "thr_small_batch_or_max_num_seqs",
            "thr_client_disconnects",
            "ttft_decode_starvation",
            "ttft_long_prefill",
            "thr_requests_rejected_queue_full",
        }
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """By the counter, else by V0's and SGLang's own lines, else by statistics lines that show it happen."""
        serving = evidence.serving
        if serving and serving.preemption_rate is not None:
            return self._by_counter(evidence, serving)
        logged = evidence.log.all("preemption") if evidence.log else []
        if logged:
            return self._by_lines(evidence, logged)
        seen = evidence.log_serving
        falls = preempting_moments(seen) if seen else []
        if seen and falls:
            queued_anyway = all((before.waiting or 0) > 0 for before, _ in falls)
            return self._holds(
                evidence,
                Severity.WARNING,
                0.45 if queued_anyway else 0.75,
                f"With the KV cache full, requests went from running back to waiting {times(len(falls))}: {describe(seen)}.",
            )
        return self.not_evaluated()

    def _by_counter(self, evidence: Evidence, serving: Serving) -> Judgement:
        rate, number = serving.preemption_rate or 0.0, serving.preemptions or 0.0
        if number < 1:
            return self.ruled_out(f"no preemption in {serving.seconds:.0f} s")
        if rate < MIN_PREEMPTION_RATE or number < 3:
            return self.ruled_out(f"only {number:.0f} preemptions in {serving.seconds:.0f} s")
        critical = rate >= CRITICAL_PREEMPTION_RATE and number >= MIN_PREEMPTIONS
        finished = serving.increase("llm_requests_total") or 0.0
        few = not critical and (number < MIN_PREEMPTED_SHARE * finished or number < MIN_PREEMPTIONS)
        if number < MIN_PREEMPTIONS and (serving.waiting_mean or 0) < 1:
            return self.ruled_out(f"only {number:.0f} preemptions, and no request waits")
        text = f"{rate:.1f} preemptions a second ({number:.0f} in {serving.seconds:.0f} s): {describe(serving)}."
        capacity = evidence.kv_capacity_tokens
        if capacity:
            text += f" The KV cache holds {capacity} tokens."
        return self._holds(
            evidence,
            Severity.CRITICAL if critical else Severity.WARNING,
            0.97 if critical else 0.45 if few else 0.88,
            text,
            [evidence.metric("llm_preemptions_total", number, "increase")],
        )

    def _by_lines(self, evidence: Evidence, logged: list[Event]) -> Judgement:
        totals = [
            value for event in logged for name in ("total", "retracted") if (value := event.number(name)) is not None
        ]
        number = max([*totals, evidence.log.count("preemption") if evidence.log else 0])
        return self._holds(
            evidence,
            Severity.WARNING,
            0.9,
            f"The engine reports preemptions for lack of KV cache ({number:.0f} so far).",
            [evidence.quote(event) for event in logged[:2]],
        )

    def _holds(
        self,
        evidence: Evidence,
        severity: Severity,
        sure: float,
        text: str,
        proof: list[EvidenceItem] | None = None,
    ) -> Judgement:
        serving = evidence.serving
        limits = (
            [evidence.quote(event) for event in evidence.log.all("kv_override", "kv_tokens")[-2:]]
            if evidence.log
            else []
        )
        return self.finding(
            severity,
            sure,
            text,
            [*(proof or []), *(serving_proof(evidence, serving) if serving else []), *limits],
            kv_fixes(evidence),
        )


def preempting_moments(serving: Serving) -> list[tuple[Moment, Moment]]:
    """Neighbouring moments between which, with the KV cache nearly full, requests moved from running to waiting."""
    found = []
    for before, after in zip(serving.all_moments, serving.all_moments[1:], strict=False):
        full = max(before.kv_usage_ratio or 0, after.kv_usage_ratio or 0) >= 0.97
        fell = (after.running or 0) < (before.running or 0)
        rose = (after.waiting or 0) > (before.waiting or 0)
        if full and fell and rose:
            found.append((before, after))
    return found

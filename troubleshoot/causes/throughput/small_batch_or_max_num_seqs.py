"""`thr_small_batch_or_max_num_seqs`: the limit of concurrent sequences is reached while the KV cache has room."""

from __future__ import annotations

from troubleshoot.capacity import safe_max_num_seqs
from troubleshoot.causes.advice import change, current
from troubleshoot.causes.base import Cause, Judgement, times
from troubleshoot.causes.kv_cache import tokens_a_request
from troubleshoot.causes.waiting import NEEDS_SERVING, describe, mostly_deferred, queue_is_significant, serving_proof
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.serving import Serving


def ranks(serving: Serving) -> int:
    """Data-parallel engines (and servers) whose requests are added up: each has limits of its own."""
    if serving.timeline is None:
        return 1
    return max(1, len(serving.timeline.all("llm_requests_running")))


class SequenceCap(Cause):
    """The limit of sequences at once is reached while the KV cache has room."""

    id = "thr_small_batch_or_max_num_seqs"
    family = "throughput"
    title = "The limit of concurrent sequences is reached while the KV cache has room"
    needs = NEEDS_SERVING
    consequences = frozenset({"ttft_queueing", "thr_client_disconnects"})
    min_deferred = 3

    def judge(self, evidence: Evidence) -> Judgement:
        """Requests wait, running is pinned at a constant, the cache is clearly below its limit."""
        serving = evidence.serving
        deferred = evidence.log.all("slot_deferred") if evidence.log else []
        if (serving is None or serving.source == "log") and len(deferred) >= self.min_deferred:
            return self._by_slots(evidence, deferred)
        if serving is None:
            return self.not_evaluated()
        if not queue_is_significant(serving):
            return self.ruled_out("requests do not wait")
        if mostly_deferred(serving):
            return self.ruled_out("what waits is deferred, not short of a slot")
        one_limit = self._limit(evidence)
        limit = one_limit * ranks(serving) if one_limit else None
        pinned = serving.pinned_at()
        if pinned is None and limit and (serving.running_max or 0) >= limit and serving.waiting_share >= 0.9:
            # Short requests: a scrape often falls between two of them, so the gauge reads below the cap it touches.
            pinned = limit
        if pinned is None:
            top = serving.running_max
            return (
                self.ruled_out(f"running is not pinned (up to {top:.0f})")
                if top is not None
                else self.not_evaluated("metrics: running requests")
            )
        if evidence.kv_is_full:
            return self.ruled_out(f"the KV cache is full ({serving.kv_while_waiting:.0%})")
        if limit and pinned < 0.9 * limit:
            return self.ruled_out(f"running {pinned:.0f} is below the cap of {limit:.0f}")
        if evidence.kv_is_plentiful is False:
            return self.ruled_out(f"the KV cache is nearly full ({serving.kv_while_waiting:.0%})")
        sure = 0.95 if limit else 0.75
        if evidence.kv_is_plentiful is None:
            sure -= 0.1
        why = f"{pinned:.0f} requests run, never more{f' (the cap is {limit:.0f})' if limit else ''}: {describe(serving)}."
        critical = (serving.waiting_mean or 0) >= 2 * pinned
        return self.finding(
            Severity.CRITICAL if critical else Severity.WARNING,
            sure,
            why,
            serving_proof(evidence, serving),
            self._fixes(evidence, serving, pinned / ranks(serving), one_limit),
        )

    def _by_slots(self, evidence: Evidence, deferred: list[Event]) -> Judgement:
        slots = self._limit(evidence)
        text = f"Requests found no free slot {times(evidence.log.count('slot_deferred') if evidence.log else 0)} and were deferred{f'; the server has {slots:.0f}' if slots else ''}."
        fixes = change(
            evidence,
            "max_num_seqs",
            "higher",
            "slots decode together; --ctx-size must grow with them, each slot gets its share",
            "",
            int(slots) if slots else None,
        )
        return self.finding(Severity.WARNING, 0.7, text, [evidence.quote(event) for event in deferred[:2]], fixes)

    @staticmethod
    def _limit(evidence: Evidence) -> float | None:
        value = current(evidence, "max_num_seqs")
        if isinstance(value, int | float):
            return float(value)
        log = evidence.log
        slots = log.last("llamacpp_slots") if log else None
        if slots and (number := slots.number("slots")) is not None:
            return number
        limits = log.last("sglang_limits") if log else None
        if limits and (number := limits.number("running")) is not None:
            return number
        exposed = evidence.metrics.timeline.last("llm_requests_running_limit", max) if evidence.metrics else None
        return exposed or None

    @staticmethod
    def _fixes(evidence: Evidence, serving: Serving, pinned: float, limit: float | None) -> list[Fix]:
        demand = int(pinned + (serving.waiting_mean or 0) / ranks(serving))
        per_request, capacity = tokens_a_request(evidence), evidence.kv_capacity_tokens
        wanted = max(int(pinned) + 1, -(-demand // 8) * 8)
        why = f"{demand} requests were there on average"
        if per_request and capacity:
            safe = safe_max_num_seqs(0.9 * capacity, per_request)
            wanted = max(int(pinned) + 1, min(wanted, safe))
            why += (
                f"; the KV cache holds about {safe} ({capacity} tokens / {per_request:.0f} a request, 10 % kept free)"
            )
        before = int(limit or pinned)
        if evidence.engine == "llamacpp":
            context = evidence.log.last("llamacpp_slots") if evidence.log else None
            per_slot = context.number("context") if context else None
            total = f"; --ctx-size must grow with it, each slot gets its share{f' ({per_slot:.0f} tokens now)' if per_slot else ''}"
            return change(evidence, "max_num_seqs", wanted, why + total, "more sequences share a decode step", before)
        fixes = change(
            evidence,
            "max_num_seqs",
            wanted,
            why,
            "more sequences share a decode step; each gets a little slower",
            before,
        )
        fixes.append(Fix("replicas", None, "more", "where latency of running requests must not grow"))
        return fixes

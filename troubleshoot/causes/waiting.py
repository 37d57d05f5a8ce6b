"""When waiting requests are a queue, what they wait for, and how a report shows it."""

from __future__ import annotations

from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem
from troubleshoot.serving import Serving

NEEDS_SERVING = ("metrics: two scrapes under load", "log: statistics lines")
MIN_WAITING_SHARE = 0.5
"""Below this share of the moments, waiting is what a scheduler does between two steps."""


def queue_is_significant(serving: Serving) -> bool:
    """Requests wait most of the time, and long enough to be felt.

    One request waiting for the batch before it (Triton's dynamic batching, continuous batching at light load) is no
    queue. Where queue time is measured it must be 0.3 s or more.
    """
    waiting = serving.waiting_mean
    if waiting is None or waiting < 1 or serving.waiting_share < MIN_WAITING_SHARE:
        return False
    queue = serving.mean_of("llm_request_queue_seconds")
    return queue is None or queue >= 0.3 or (serving.waiting_max or 0) >= 10


def mostly_deferred(serving: Serving) -> bool:
    """Most waiting requests wait for something else than room: a compiled schema, an adapter, a KV transfer.

    vLLM tells since 0.20 (`num_requests_waiting_by_reason`).
    """
    if serving.timeline is None:
        lines = serving.moments
        return sum(moment.deferred or 0 for moment in lines) > 2 * sum(moment.waiting or 0 for moment in lines)
    deferred = sum(serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="deferred"))
    capacity = sum(serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="capacity"))
    return deferred > 2 * capacity and deferred > 0


def serving_proof(evidence: Evidence, serving: Serving) -> list[EvidenceItem]:
    """Queue, KV cache and time to first token of the window."""
    proof: list[EvidenceItem] = []
    if serving.waiting_mean is not None:
        proof.append(evidence.metric("llm_requests_waiting", round(serving.waiting_mean, 1), "requests", "mean"))
    if serving.running_mean is not None:
        proof.append(evidence.metric("llm_requests_running", round(serving.running_mean, 1), "requests", "mean"))
    if serving.kv_max is not None:
        proof.append(evidence.metric("llm_kv_cache_usage_ratio", round(serving.kv_max, 3), "ratio", "highest"))
    first = serving.histogram("llm_time_to_first_token_seconds")
    if first and (p95 := first.quantile(0.95)) is not None:
        proof.append(evidence.metric("llm_time_to_first_token_seconds", round(p95, 3), "seconds", "p95"))
    if serving.source == "log" and evidence.log:
        inside = [s for s in evidence.log.statistics if s.waiting > 0 or s.running > 0]
        proof += [evidence.quote(line.event) for line in inside[-2:]]
    return proof


def describe(serving: Serving) -> str:
    """ "KV use 99 %, 22 running, 36 waiting, TTFT p95 17.0 s of which 95 % is queue"."""
    parts = []
    if serving.kv_while_waiting is not None:
        parts.append(f"KV cache use {serving.kv_while_waiting:.0%}")
    if serving.running_mean is not None:
        parts.append(f"{serving.running_mean:.0f} running")
    if serving.waiting_mean is not None:
        parts.append(f"{serving.waiting_mean:.0f} waiting")
    first = serving.histogram("llm_time_to_first_token_seconds")
    if first and (p95 := first.quantile(0.95)) is not None:
        share = serving.queue_share_of_ttft
        parts.append(f"TTFT p95 {p95:.1f} s" + (f" ({share:.0%} of its mean is queue)" if share is not None else ""))
    return ", ".join(parts)

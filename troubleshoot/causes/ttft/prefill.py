"""What a prefill step may hold, and when a first token is late."""

from __future__ import annotations

from troubleshoot.causes.advice import current
from troubleshoot.evidence import Evidence

SLOW_TTFT_SECONDS = 1.0
_DEFAULT_BUDGET_TOKENS = 8192


def chunk_budget(evidence: Evidence) -> float:
    """Tokens that one step may hold: as set, as printed, else vLLM's default for serving."""
    value = current(evidence, "max_num_batched_tokens")
    if isinstance(value, int | float) and value > 0:
        return float(value)
    printed = evidence.log.last("chunk_budget") if evidence.log else None
    return (printed.number("value") if printed else None) or _DEFAULT_BUDGET_TOKENS

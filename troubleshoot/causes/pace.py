"""How fast a sequence decodes, against what its hardware allows and what a reader notices."""

from __future__ import annotations

from troubleshoot.evidence import Evidence
from troubleshoot.roofline import decode_limit, decode_share
from troubleshoot.serving import Serving

CRAWLING_TOKENS_PER_SECOND = 15.0
"""A sequence slower than reading speed on a GPU that serves few: no data sheet is needed to call this slow."""


def roofline_share(evidence: Evidence) -> float | None:
    """Decode rate of one sequence over what the HBM bandwidth allows; None where GPU, weights or rate are unknown."""
    serving, gpu, weights = evidence.serving, evidence.gpu, evidence.weights_gib
    rate = serving.rate_per_sequence if serving else None
    if rate is None or gpu is None or not weights or evidence.on_cpu:
        return None
    return decode_share(rate, decode_limit(gpu.hbm_bandwidth_bytes_per_second, weights * 2**30))


def decodes_mostly(serving: Serving) -> bool:
    """The window is about decoding: prefill does not take most of the steps' work."""
    return (serving.prompt_rate or 0) < max(20 * (serving.generation_rate or 0), 500.0)


def crawls(serving: Serving | None) -> bool:
    """A few sequences decode slower than anybody reads, and prefill is not the reason."""
    if serving is None or serving.running_mean is None:
        return False
    rate = serving.rate_per_sequence
    few = 0 < serving.running_mean <= 4 and (serving.waiting_mean or 0) < 1
    return rate is not None and few and rate < CRAWLING_TOKENS_PER_SECOND and decodes_mostly(serving)

"""Bucket bounds of latency histograms, in seconds, that engines have by default.

An SLO counts the requests over a bound, so its target must be one. Source: the metric classes of the releases, as
vLLM 0.3.3 to 0.33 and SGLang 0.4.6 to 0.5.10 expose them; only bounds that all of these have are listed. Other
engines' bounds are set by their operators or were not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["LATENCY_BOUNDS_SECONDS"]

_TTFT = "llm_time_to_first_token_seconds"
_TPOT = "llm_time_per_output_token_seconds"

LATENCY_BOUNDS_SECONDS: Mapping[tuple[str, str], tuple[float, ...]] = MappingProxyType(
    {
        ("vllm", _TTFT): (
            *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08),
            *(0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        ),
        ("vllm", _TPOT): (
            *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
            *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
        ),
        ("sglang", _TTFT): (
            *(0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0),
            *(10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0),
        ),
    }
)
"""(engine, canonical histogram) -> bounds that every release read here has."""

"""Quantiles and means of the latency histograms.

Buckets are added up over replicas of one engine and model only, and only those bounds that all of these replicas
have: releases differ in theirs, and a sum over some of the replicas is no distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from catalog.recorded.levels import MODEL, REPLICA, RecordedSeries
from catalog.signals import SIGNALS

__all__ = ["LATENCIES", "QUANTILES", "SERIES", "mean_of", "quantile_of"]

LATENCIES: tuple[str, ...] = (
    "llm_time_to_first_token_seconds",
    "llm_inter_token_latency_seconds",
    "llm_time_per_output_token_seconds",
    "llm_request_duration_seconds",
    "llm_request_queue_seconds",
    "llm_request_prefill_seconds",
    "llm_request_decode_seconds",
)
"""The histograms of which quantiles are recorded."""

QUANTILES: Mapping[str, str] = MappingProxyType({"p50": "0.5", "p95": "0.95", "p99": "0.99"})
"""Quantiles by their name."""


def quantile_of(signal: str, quantile: str, level: str = "model") -> str:
    """Return the name of a recorded quantile: ("llm_request_queue_seconds", "p95") or of a replica."""
    return f"{level}:{signal}:{quantile}_rate5m"


def mean_of(signal: str) -> str:
    """Return the name of a recorded mean."""
    return f"model:{signal}:mean_rate5m"


def _of(signal: str) -> tuple[RecordedSeries, ...]:
    meaning = SIGNALS[signal].meaning
    quantiles = (
        RecordedSeries(quantile_of(signal, quantile), MODEL, "seconds", f"{quantile} over five minutes. {meaning}")
        for quantile in QUANTILES
    )
    return (*quantiles, RecordedSeries(mean_of(signal), MODEL, "seconds", f"Mean over five minutes. {meaning}"))


SERIES: tuple[RecordedSeries, ...] = (
    *(series for signal in LATENCIES for series in _of(signal)),
    RecordedSeries(
        quantile_of("llm_time_to_first_token_seconds", "p95", "replica"),
        REPLICA,
        "seconds",
        "p95 over five minutes of one replica. Arrival to the first token.",
    ),
)

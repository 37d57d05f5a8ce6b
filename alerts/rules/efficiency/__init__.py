"""Alerts on the quality of answers, the balance between replicas, and money."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.efficiency import (
    gpu_paid_but_idle,
    llm_abort_rate_high,
    llm_prefix_hit_rate_dropped,
    llm_replica_imbalance,
    llm_replica_latency_outlier,
    llm_replica_slow,
    llm_role_imbalance,
    llm_spec_decode_acceptance_low,
    llm_truncation_shift,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    llm_abort_rate_high.alerts,
    llm_truncation_shift.alerts,
    llm_prefix_hit_rate_dropped.alerts,
    llm_spec_decode_acceptance_low.alerts,
    llm_replica_imbalance.alerts,
    llm_replica_latency_outlier.alerts,
    llm_replica_slow.alerts,
    gpu_paid_but_idle.alerts,
    llm_role_imbalance.alerts,
)

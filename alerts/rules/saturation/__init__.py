"""Alerts on demand that has outgrown capacity."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.saturation import (
    llm_autoscaler_at_max,
    llm_kv_cache_saturated,
    llm_preemption_storm,
    llm_queue_growing,
    llm_queue_time_high,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    llm_queue_growing.alerts,
    llm_queue_time_high.alerts,
    llm_kv_cache_saturated.alerts,
    llm_preemption_storm.alerts,
    llm_autoscaler_at_max.alerts,
)

"""Alerts on the engine's process and pod: hung, down, restarted, killed, slow to start, without GPU or series."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.engine import (
    llm_cold_start_slow,
    llm_engine_crash_looping,
    llm_engine_oom_killed,
    llm_engine_restarted,
    llm_engine_stuck,
    llm_metrics_missing,
    llm_pod_pending_for_gpu,
    llm_target_down,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    llm_engine_stuck.alerts,
    llm_target_down.alerts,
    llm_engine_restarted.alerts,
    llm_engine_crash_looping.alerts,
    llm_engine_oom_killed.alerts,
    llm_cold_start_slow.alerts,
    llm_pod_pending_for_gpu.alerts,
    llm_metrics_missing.alerts,
)

"""Alerts on the monitoring itself: what must be there for any other alert to be trusted."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.monitoring import (
    gpu_fields_missing,
    inferwatch_exporter_down,
    inferwatch_exporter_stale,
    rule_evaluation_failing,
    watchdog,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    inferwatch_exporter_down.alerts,
    inferwatch_exporter_stale.alerts,
    gpu_fields_missing.alerts,
    watchdog.alerts,
    rule_evaluation_failing.alerts,
)

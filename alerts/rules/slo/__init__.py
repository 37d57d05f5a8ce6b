"""Alerts on what users notice: budgets that burn, models that are gone, traffic that stays away."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.slo import (
    llm_availability_budget_burn,
    llm_model_unavailable,
    llm_slo_bound_missing,
    llm_tpot_budget_burn,
    llm_traffic_dropped,
    llm_ttft_budget_burn,
)

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    llm_availability_budget_burn.alerts,
    llm_ttft_budget_burn.alerts,
    llm_tpot_budget_burn.alerts,
    llm_model_unavailable.alerts,
    llm_traffic_dropped.alerts,
    llm_slo_bound_missing.alerts,
)

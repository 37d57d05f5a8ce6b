"""Alerts on what users notice: budgets that burn, models that are gone, traffic that stays away."""

from __future__ import annotations

from collections.abc import Callable

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.slo import llm_availability_budget_burn, llm_tpot_budget_burn, llm_ttft_budget_burn

__all__ = ["ALERTS"]

ALERTS: tuple[Callable[[Config], tuple[Alert, ...]], ...] = (
    llm_availability_budget_burn.alerts,
    llm_ttft_budget_burn.alerts,
    llm_tpot_budget_burn.alerts,
)

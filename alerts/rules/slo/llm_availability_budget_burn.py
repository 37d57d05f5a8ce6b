"""LLMAvailabilityBudgetBurn."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.slo.budget_burn import budget_burn

__all__ = ["alerts"]

_WHY = "Errors, rejections and 5xx against a budget: a page only while the budget of the month is at stake."


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert a burn-rate window."""
    return budget_burn(config, "LLMAvailabilityBudgetBurn", "availability", "failed or were turned away", _WHY)

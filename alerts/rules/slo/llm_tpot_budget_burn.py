"""LLMTPOTBudgetBurn."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.slo.budget_burn import budget_burn

__all__ = ["alerts"]

_WHY = "Text that comes more slowly than it is read is felt, but nobody is cut off: a ticket, never a page."


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert a burn-rate window."""
    return budget_burn(config, "LLMTPOTBudgetBurn", "time_per_output_token", "got their tokens too slowly", _WHY)

"""LLMTTFTBudgetBurn."""

from __future__ import annotations

from alerts.config import Config
from alerts.rule import Alert
from alerts.rules.slo.budget_burn import budget_burn

__all__ = ["alerts"]

_WHY = (
    "People watch a cursor until the first token. A share of slow requests against a budget tells a bad hour from one "
    "long prompt, which a p99 over a fixed bound does not."
)


def alerts(config: Config) -> tuple[Alert, ...]:
    """Return an alert a burn-rate window."""
    return budget_burn(config, "LLMTTFTBudgetBurn", "time_to_first_token", "got their first token too late", _WHY)

"""The alerting rules, a folder a family and a module an alert, named as the alert is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from alerts.config import Config
from alerts.rule import Alert, Group
from alerts.rules import efficiency, engine, gpu, monitoring, saturation, slo

__all__ = ["FAMILIES", "alerts_of", "groups"]

FAMILIES: Mapping[str, tuple[Callable[[Config], tuple[Alert, ...]], ...]] = MappingProxyType(
    {
        "slo": slo.ALERTS,
        "engine": engine.ALERTS,
        "saturation": saturation.ALERTS,
        "efficiency": efficiency.ALERTS,
        "gpu": gpu.ALERTS,
        "monitoring": monitoring.ALERTS,
    }
)
"""Family -> what makes its alerts from a configuration."""


def groups(config: Config) -> tuple[Group, ...]:
    """Return the groups of alerting rules, one a family."""
    return tuple(
        Group(
            name=f"inferwatch-alerts-{family}",
            interval=config.interval,
            rules=tuple(alert for make in makers for alert in make(config)),
        )
        for family, makers in FAMILIES.items()
    )


def alerts_of(config: Config) -> dict[str, tuple[Alert, ...]]:
    """Return the alerting rules by name: an alert of several severities has several."""
    found: dict[str, tuple[Alert, ...]] = {}
    for group in groups(config):
        for rule in group.rules:
            if isinstance(rule, Alert):
                found[rule.name] = (*found.get(rule.name, ()), rule)
    return found

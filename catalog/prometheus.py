"""Series of Prometheus itself that rules read: whether the rules are evaluated at all.

Source: prometheus/rules/group.go. They exist only where Prometheus scrapes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["PROMETHEUS", "PrometheusSeries"]


@dataclass(frozen=True, slots=True)
class PrometheusSeries:
    """One series: what it means, and the labels that rules use."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...]


PROMETHEUS: Mapping[str, PrometheusSeries] = MappingProxyType(
    {
        series.name: series
        for series in (
            PrometheusSeries(
                "prometheus_rule_evaluation_failures_total",
                "counter",
                "Evaluations that ended in an error; rule_group is the file and the group, joined by a semicolon.",
                ("rule_group",),
            ),
        )
    }
)
"""Series by name."""

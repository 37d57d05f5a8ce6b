"""The recording rules, one module a subject; each returns one group."""

from __future__ import annotations

from alerts.config import Config
from alerts.records import cost, direct, latency, saturation, slo, traffic
from alerts.rule import Group

__all__ = ["groups"]

_SUBJECTS = (direct, traffic, latency, saturation, slo, cost)


def groups(config: Config) -> tuple[Group, ...]:
    """Return the groups of recording rules."""
    return tuple(subject.group(config) for subject in _SUBJECTS)

"""Objectives in PromQL: which series one is about, and which models another takes away from it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from alerts.slo import Objective

__all__ = ["bound", "matchers", "narrower", "selector"]


def matchers(objective: Objective) -> tuple[str, ...]:
    """Return the label matchers of the models that an objective names; none for all models."""
    named = {"model": objective.model, "namespace": objective.namespace, "engine": objective.engine}
    # Names come from a user's file: PromQL's strings are JSON's.
    return tuple(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in named.items() if value)


def narrower(objective: Objective, objectives: Iterable[Objective]) -> tuple[Objective, ...]:
    """Return the objectives of the same SLO that hold for a part of this one's models instead of it."""
    mine = set(matchers(objective))
    return tuple(other for other in objectives if other.slo == objective.slo and set(matchers(other)) > mine)


def bound(limit_seconds: float) -> str:
    """Return the matcher of a bucket bound as engines write it; Prometheus 3 puts ".0" behind whole ones."""
    text = f"{limit_seconds:g}"
    return f'le=~"{text}([.]0)?"' if text.isdigit() else f'le="{text}"'


def selector(series: str, *of_labels: str) -> str:
    """Return a series with its matchers."""
    return f"{series}{{{', '.join(of_labels)}}}" if of_labels else series

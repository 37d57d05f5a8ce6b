"""The levels at which rules aggregate, as the labels that survive, and the shape of a recorded series.

`cluster` is an external label that one Prometheus's own series lack: aggregating by an absent label changes nothing,
and a global store that holds several clusters keeps them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLUSTER", "MODEL", "POD", "REPLICA", "RecordedSeries", "by", "labels"]

CLUSTER: tuple[str, ...] = ("cluster",)
MODEL: tuple[str, ...] = ("cluster", "namespace", "engine", "model")
"""A model as one service: the same name in another namespace is another service."""
POD: tuple[str, ...] = ("cluster", "namespace", "pod")
REPLICA: tuple[str, ...] = (*MODEL, "node", "pod", "container", "rank")
"""One engine process, or one data-parallel rank of it."""


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """A series that a recording rule makes: `labels` are all that it carries."""

    name: str
    labels: tuple[str, ...]
    unit: str
    meaning: str


def labels(level: tuple[str, ...]) -> str:
    """Return the labels as PromQL lists them."""
    return ", ".join(level)


def by(level: tuple[str, ...]) -> str:
    """Return the aggregation clause that keeps exactly these labels."""
    return f"by ({labels(level)})"

"""The families of the canonical schema's samples, each as one object: sections that share a family agree on it."""

from __future__ import annotations

from functools import cache

from catalog.exposition import base_name
from catalog.signals import SIGNALS
from exporter.exposition import Family

__all__ = ["signal_family"]


@cache
def signal_family(sample_name: str) -> Family:
    """Return the family of a canonical sample; KeyError for a name that is not in the schema."""
    signal = SIGNALS.get(sample_name) or SIGNALS[base_name(sample_name)]
    return Family(signal.name, "gauge" if signal.kind == "info" else signal.kind, signal.meaning)

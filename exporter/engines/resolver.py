"""What a relabeller asks: where a raw series leads, and what its family is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from catalog.translate import Route
from exporter.exposition import Family

__all__ = ["Resolver"]


class Resolver(Protocol):
    """What a series means: decided once for each series, not for each sample."""

    def routes(self, name: str, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the series that this raw one feeds; empty to leave it out."""

    def product(self, route: Route, value: float) -> float | None:
        """Return the product of which `value` is one factor, or None while others are unknown."""

    def family(self, sample_name: str) -> Family:
        """Return the family of a sample that `routes` named."""

    def comment(self, line: bytes) -> None:
        """See a comment line, the first time that it comes."""

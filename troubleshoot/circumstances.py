"""What surrounds an incident: since when, what changed with it, and how the other replicas do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from troubleshoot.findings import Change, FleetSummary


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a store of metrics tells beside the series themselves; empty for files and live endpoints.

    `since` is when the first symptom began (unix seconds). `numbers` are earlier levels by name with their unit.
    """

    since: float | None = None
    changes: tuple[Change, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    fleet: FleetSummary | None = None

    @property
    def rounded_numbers(self) -> dict[str, float]:
        """`numbers` as a report shows them."""
        return {name: round(value, 4) for name, value in self.numbers.items()}

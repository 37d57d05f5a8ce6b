"""The dashboards by identity: what an alert links to and a board's file carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["BOARDS", "COST", "FLEET", "GPU", "MODEL", "REPLICA", "SLO", "Board"]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `variables` maps a variable of the board to the label of a series that sets it, in link order."""

    name: str
    title: str
    variables: Mapping[str, str]

    @property
    def uid(self) -> str:
        """Grafana's identity of the board: it stays when the title changes."""
        return f"inferwatch-{self.name}"


_PLACE = {"cluster": "cluster", "namespace": "namespace"}
_MODEL = {**_PLACE, "engine": "engine", "model": "model"}

FLEET = Board("fleet", "InferWatch / Fleet", MappingProxyType({"cluster": "cluster"}))
MODEL = Board("model", "InferWatch / Model", MappingProxyType(_MODEL))
REPLICA = Board("replica", "InferWatch / Replica", MappingProxyType({**_MODEL, "pod": "pod"}))
GPU = Board("gpu", "InferWatch / GPU", MappingProxyType({"cluster": "cluster", "node": "node", "gpu": "UUID"}))
SLO = Board("slo", "InferWatch / SLO", MappingProxyType(_MODEL))
COST = Board("cost", "InferWatch / Cost and capacity", MappingProxyType(_MODEL))

BOARDS: Mapping[str, Board] = MappingProxyType({board.name: board for board in (FLEET, MODEL, REPLICA, GPU, SLO, COST)})
"""Boards by name, in the order in which one drills down."""

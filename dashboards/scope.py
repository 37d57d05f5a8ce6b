"""What a board's rows look at: models or replicas, and how one of them is called in a legend."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.recorded import RECORDED
from catalog.recorded.levels import MODEL, REPLICA, labels
from dashboards.promql import PROCESS, Selector

__all__ = ["FLEET", "MODELS", "REPLICAS", "Scope"]

_WITHOUT_MODEL = ("model",)


@dataclass(frozen=True, slots=True)
class Scope:
    """Series of the board's variables, by these labels, with this legend; a legend's parts are labels of the level."""

    select: Selector
    level: tuple[str, ...]
    legend: str

    @property
    def is_model(self) -> bool:
        """Whether the recorded series of models fit."""
        return self.level == MODEL

    def recorded_or(self, recorded: str, otherwise: str) -> str:
        """Return a recorded series where the scope has the labels of its level, else the expression."""
        has = set(RECORDED[recorded].labels) - {"reason"}
        return self.select(recorded) if has == set(self.level) else otherwise

    def process(self, name: str, *matchers: str) -> str:
        """Return the selector of a series that names no model."""
        return self.select(name, *matchers, without=_WITHOUT_MODEL)

    def serving(self, expr: str) -> str:
        """Return those series of processes that serve the chosen models."""
        return f"({expr}) and on ({labels(PROCESS)}) {self.select('llm_up')}"


_ENGINES = ("cluster", "namespace", "engine", "model")

FLEET = Scope(Selector(("cluster", "namespace", "engine")), MODEL, "{{cluster}} {{namespace}} {{engine}} {{model}}")
MODELS = Scope(Selector(_ENGINES), MODEL, "{{cluster}} {{namespace}} {{engine}} {{model}}")
REPLICAS = Scope(Selector((*_ENGINES, "pod")), REPLICA, "{{cluster}} {{pod}} {{rank}} {{model}}")

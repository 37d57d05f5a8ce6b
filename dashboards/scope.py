"""What a board's rows look at: models or replicas, and how one of them is called in a legend."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.recorded import RECORDED
from catalog.recorded.levels import MODEL, POD, REPLICA, labels
from dashboards.promql import PROCESS, Selector

__all__ = ["FLEET", "MODELS", "REPLICAS", "Scope"]


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

    def process(self, name: str, *fixed: str) -> str:
        """Return the selector of an engine's series that names no model."""
        return self.select(name, *fixed, without=("model",))

    def pod(self, name: str, *fixed: str) -> str:
        """Return the selector of a series of Kubernetes, which knows neither engines nor models."""
        return self.select(name, *fixed, without=("engine", "model"))

    def serving(self, expr: str) -> str:
        """Return those series of processes that serve the chosen models."""
        return f"({expr}) and on ({labels(PROCESS)}) {self.select('llm_up')}"

    def of_pods(self, expr: str) -> str:
        """Return those series of pods that serve the chosen models."""
        return f"({expr}) and on ({labels(POD)}) {self.select('llm_up')}"

    def limit(self, resource: str) -> str:
        """Return the limits of the chosen pods' containers: cpu in cores, memory in bytes."""
        return self.of_pods(self.pod("kube_pod_container_resource_limits", f'resource="{resource}"'))


_ENGINES = ("cluster", "namespace", "engine", "model")

FLEET = Scope(Selector(("cluster", "namespace", "engine")), MODEL, "{{cluster}} {{namespace}} {{engine}} {{model}}")
MODELS = Scope(Selector(_ENGINES), MODEL, "{{cluster}} {{namespace}} {{engine}} {{model}}")
REPLICAS = Scope(Selector((*_ENGINES, "pod")), REPLICA, "{{cluster}} {{pod}} {{rank}} {{model}}")

"""What a check on a workload sees: the workload, its engine, everything around it, and the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.engine import Engine, engine_of
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.sizing import Card, Model, card_of, model_of
from troubleshoot.preflight.workload import Container, Workload

AUTOSCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})
"""Kinds that set the number of replicas of another object."""

_SCALED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "LeaderWorkerSet"})
"""Kinds that they set it of; KServe's services have bounds of their own."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person says of the surroundings. `load_bytes_per_second`: how fast weights are read, None if unsaid."""

    load_bytes_per_second: float | None = None


@dataclass(frozen=True)
class Subject:
    """One workload and what belongs to it."""

    workload: Workload
    cluster: Cluster
    options: Options = Options()

    @property
    def title(self) -> str:
        """`Deployment prod/llama`."""
        return self.workload.title

    @cached_property
    def engine(self) -> Engine | None:
        """The engine of the first container that runs one."""
        found = (engine_of(self.workload, container) for container in self.workload.containers)
        return next((engine for engine in found if engine is not None), None)

    @property
    def container(self) -> Container | None:
        """The container that serves: the engine's, else the first that asks for a GPU."""
        if self.engine is not None:
            return self.engine.container
        return next((container for container in self.workload.containers if container.gpus), None)

    @property
    def serves(self) -> bool:
        """Whether it is inference at all: it runs an engine, asks for a GPU, or is a part of a KServe service."""
        kserve = self.workload.owner.kind in {"InferenceService", "LLMInferenceService"}
        return self.container is not None or kserve

    @cached_property
    def model(self) -> Model | None:
        """The model and its weights, as far as its name tells; None where it tells nothing."""
        return model_of(self.engine) if self.engine else None

    @cached_property
    def card(self) -> Card | None:
        """The GPU or MIG slice that its nodes or resources name; None where none does."""
        return card_of(self.workload, self.container) if self.container else None

    @cached_property
    def autoscalers(self) -> list[KubeObject]:
        """The autoscalers that set its replicas."""
        return self.cluster.autoscalers(self.workload)

    @cached_property
    def unread(self) -> frozenset[str]:
        """Kinds of which an object that is not known could say something about this workload."""
        kinds = frozenset(self.cluster.surroundings.unread)
        is_scaling_known = bool(self.autoscalers) or self.workload.owner.kind not in _SCALED
        return kinds - AUTOSCALERS if is_scaling_known else kinds

    @property
    def parallelism(self) -> int | None:
        """How many GPUs one engine spans: tensor times pipeline parallel; None where a value cannot be read."""
        if self.engine is None:
            return None
        tensor, pipeline = self.engine.count("tensor parallel"), self.engine.count("pipeline parallel")
        return tensor * pipeline if tensor and pipeline else None

    @property
    def fewest_replicas(self) -> int:
        """The replicas that it may be scaled down to; its own number where nothing scales it."""
        lowest = [floor for _, floor in self._floors()]
        return min(lowest) if lowest else self.workload.own_replicas

    @property
    def replicas_field(self) -> Field:
        """The field that says `fewest_replicas`."""
        floors = sorted(self._floors(), key=lambda pair: pair[1])
        return floors[0][0] if floors else self.workload.replicas

    def _floors(self) -> Iterator[tuple[Field, int]]:
        for item in self.autoscalers:
            name = "minReplicas" if item.kind == "HorizontalPodAutoscaler" else "minReplicaCount"
            floor = item.root.at("spec", name)
            default = 1 if item.kind == "HorizontalPodAutoscaler" else 0
            yield floor, default if floor.integer is None else floor.integer

"""From an object of any kind that makes pods to its workloads: one module a family of kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from troubleshoot.preflight.kinds import builtin, groups, kserve
from troubleshoot.preflight.kinds.setting import Setting
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.workload import Workload

__all__ = ["READERS", "Setting", "workloads_of"]

READERS: Mapping[str, Callable[[KubeObject, Setting], list[Workload]]] = MappingProxyType(
    {
        "Deployment": builtin.templated,
        "StatefulSet": builtin.templated,
        "ReplicaSet": builtin.templated,
        "DaemonSet": builtin.templated,
        "Pod": builtin.pod,
        "LeaderWorkerSet": groups.leader_worker_set,
        "InferenceService": kserve.inference_service,
        "LLMInferenceService": kserve.llm_inference_service,
    }
)
"""Kind -> its reader. A ServingRuntime makes no pods by itself: InferenceServices take it in."""


def workloads_of(item: KubeObject, setting: Setting) -> list[Workload]:
    """The workloads of an object; none for a kind that makes no pods."""
    reader = READERS.get(item.kind)
    return reader(item, setting) if reader else []

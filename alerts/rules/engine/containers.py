"""Which containers the alerts of this family are about, and joins of kube-state-metrics to engines.

A container is an engine's when the exporter knows it as one (`llm_up`, which stays while the engine is dead), or when
it requests a GPU: one that dies before it first answers is known by nothing else.
"""

from __future__ import annotations

from catalog.kubernetes import GPU_RESOURCES
from catalog.recorded.levels import REPLICA, by, labels

__all__ = ["CONTAINER", "GPU_REQUESTS", "KUBE_STATE_METRICS", "engines_with", "on_container"]

CONTAINER: tuple[str, ...] = ("cluster", "namespace", "pod", "container")
"""Labels that engines' and Kubernetes' series share."""

KUBE_STATE_METRICS = "kube-state-metrics"

GPU_REQUESTS = f'kube_pod_container_resource_requests{{resource=~"{GPU_RESOURCES}"}}'
"""Containers that request a GPU, or a part of one."""

on_container = f"on ({labels(CONTAINER)})"


def engines_with(expr: str, engines: str = "llm_up") -> str:
    """Return the value of `expr`, one a container, with the labels of the engine in it.

    `expr` must be aggregated by CONTAINER, so that one series matches.
    """
    return f"0 * max {by(REPLICA)} ({engines})\n+ {on_container} group_left () {expr}"

"""What stands around engines in a cluster and is recorded nowhere: made up, in the shapes that its sources give.

kube-state-metrics, the kubelet's cAdvisor, alerts, which GPU a recorded engine's pod held, and a node with an older GPU
that a dcgm-exporter watches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from catalog import kubernetes
from catalog.exposition import Sample

_GIB = 2.0**30
_STARTS_SECONDS = 120
_OLD_GPU = {"gpu": "0", "UUID": "GPU-old", "device": "nvidia0", "modelName": "Tesla T4", "Hostname": "node-old"}


@dataclass(frozen=True)
class Pod:
    """A pod with one container; `uuid` is the GPU that it holds, for pods whose exporter did not say."""

    namespace: str
    name: str
    node: str
    uuid: str = ""
    container: str = "engine"

    @property
    def labels(self) -> dict[str, str]:
        return {"namespace": self.namespace, "pod": self.name, "container": self.container}


@dataclass(frozen=True)
class Firing:
    """An alert that fires in the second half of the time."""

    alert: str
    namespace: str
    engine: str


def cluster_series(pods: list[Pod], alerts: list[Firing], times: list[float]) -> Iterator[tuple[float, Sample]]:
    """All of it at these times."""
    for at in times:
        since = at - times[0]
        is_later = since * 2 > times[-1] - times[0]
        for number, pod in enumerate(pods):
            # One pod is killed for its memory half-way; the restart makes a mark on the boards.
            for name, labels, value in _of_pod(pod, since, killed=number == 0 and is_later):
                yield at, Sample(name, {**pod.labels, **labels}, value, None)
        for namespace in sorted({pod.namespace for pod in pods}):
            for sample in _of_namespace(namespace, is_later=is_later):
                yield at, sample
        for one in alerts if is_later else ():
            labels = {"alertname": one.alert, "namespace": one.namespace, "engine": one.engine}
            yield at, Sample("ALERTS", {**labels, "alertstate": "firing", "severity": "warning"}, 1.0, None)
        yield at, Sample("DCGM_FI_DEV_RETIRED_PENDING", _OLD_GPU, 0.0, None)


def _of_pod(pod: Pod, since: float, *, killed: bool) -> Iterator[tuple[str, dict[str, str], float]]:
    if pod.uuid:
        gpu = {"gpu": "0", "UUID": pod.uuid, "model_name": "NVIDIA H200", "Hostname": pod.node}
        yield "inferwatch_pod_gpu_info", gpu, 1.0
        yield "inferwatch_gpu_up", gpu, 1.0
    for resource, unit, limit in (("cpu", "core", 16.0), ("memory", "byte", 64 * _GIB)):
        named = {"node": pod.node, "resource": resource, "unit": unit}
        yield kubernetes.RESOURCE_LIMITS.name, named, limit
        yield kubernetes.RESOURCE_REQUESTS.name, named, limit / 2
    yield kubernetes.CONTAINER_RESTARTS.name, {}, 1.0 if killed else 0.0
    yield kubernetes.CONTAINER_RUNNING.name, {}, 1.0
    yield kubernetes.CONTAINER_STARTED.name, {}, 1.0
    yield kubernetes.LAST_TERMINATED_REASON.name, {"reason": "OOMKilled"}, 1.0
    yield kubernetes.WAITING_REASON.name, {"reason": "ContainerCreating"}, 1.0 if since <= _STARTS_SECONDS else 0.0
    yield kubernetes.MEMORY_WORKING_SET.name, {}, 20 * _GIB
    yield kubernetes.MEMORY_RSS.name, {}, 18 * _GIB
    yield kubernetes.MEMORY_LIMIT.name, {}, 64 * _GIB
    yield kubernetes.OOM_EVENTS.name, {}, 1.0 if killed else 0.0
    yield kubernetes.CPU_USAGE.name, {}, 3.0 * since
    yield kubernetes.CPU_PERIODS.name, {}, 10.0 * since
    yield kubernetes.CPU_THROTTLED_PERIODS.name, {}, 0.4 * since
    yield kubernetes.START_TIME.name, {}, 1.0
    yield kubernetes.POD_READY.name, {"condition": "true"}, 1.0
    yield kubernetes.POD_PHASE.name, {"phase": "Running"}, 1.0


def _of_namespace(namespace: str, *, is_later: bool) -> Iterator[Sample]:
    autoscaler = {"namespace": namespace, "horizontalpodautoscaler": "engine"}
    yield Sample(kubernetes.HPA_CURRENT.name, autoscaler, 1.0, None)
    yield Sample(kubernetes.HPA_DESIRED.name, autoscaler, 2.0 if is_later else 1.0, None)
    yield Sample(kubernetes.HPA_MAX.name, autoscaler, 4.0, None)
    waits = {"namespace": namespace, "pod": "engine-that-waits"}
    yield Sample(kubernetes.POD_UNSCHEDULABLE.name, waits, 1.0 if is_later else 0.0, None)

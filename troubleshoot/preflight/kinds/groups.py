"""LeaderWorkerSets: each replica is a group of pods that serve one model together.

Source: leaderworkerset.x-k8s.io/v1. `size` counts the leader; without a leader template the worker's serves for both.
"""

from __future__ import annotations

from troubleshoot.preflight.kinds.setting import Setting
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.workload import Container, Workload


def leader_worker_set(item: KubeObject, setting: Setting) -> list[Workload]:
    """The leader, which runs the server, and the workers where they have a template of their own."""
    group = item.root.at("spec", "leaderWorkerTemplate")
    size = group.at("size").integer or 1
    own_leader = group.at("leaderTemplate").exists
    leader = group.at("leaderTemplate" if own_leader else "workerTemplate")
    worker = group.at("workerTemplate")
    leaders = setting.containers(leader.at("spec"), item.namespace)
    workers = setting.containers(worker.at("spec"), item.namespace)
    gpus = _gpus(leaders) + (size - 1) * _gpus(workers)
    found = [_workload(item, leader, leaders, size, gpus, is_leader=True)]
    if own_leader and size > 1:
        found.append(_workload(item, worker, workers, size, gpus, is_leader=False))
    return found


def _gpus(containers: tuple[Container, ...]) -> int:
    return sum(container.gpus for container in containers)


def _workload(
    item: KubeObject, template: Field, containers: tuple[Container, ...], size: int, gpus: int, *, is_leader: bool
) -> Workload:
    return Workload(
        owner=item,
        pod=template.at("spec"),
        labels={**template.at("metadata", "labels").labels, "leaderworkerset.sigs.k8s.io/name": item.name},
        annotations=template.at("metadata", "annotations").labels,
        replicas=item.root.at("spec", "replicas"),
        containers=containers,
        role="server" if is_leader else "worker",
        group_size=size,
        group_gpus=gpus,
    )

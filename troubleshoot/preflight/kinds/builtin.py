"""Deployments, StatefulSets, DaemonSets, ReplicaSets and bare Pods."""

from __future__ import annotations

from troubleshoot.preflight.kinds.setting import Setting
from troubleshoot.preflight.objects import KubeObject
from troubleshoot.preflight.workload import Workload


def templated(item: KubeObject, setting: Setting) -> list[Workload]:
    """A kind with a pod template under `spec.template`."""
    template = item.root.at("spec", "template")
    pod = template.at("spec")
    return [
        Workload(
            owner=item,
            pod=pod,
            labels=template.at("metadata", "labels").labels,
            annotations=template.at("metadata", "annotations").labels,
            replicas=item.root.at("spec", "replicas"),
            containers=setting.containers(pod, item.namespace),
        )
    ]


def pod(item: KubeObject, setting: Setting) -> list[Workload]:
    """A Pod of its own."""
    spec = item.root.at("spec")
    return [
        Workload(
            owner=item,
            pod=spec,
            labels=item.root.at("metadata", "labels").labels,
            annotations=item.root.at("metadata", "annotations").labels,
            replicas=spec.at("replicas"),
            containers=setting.containers(spec, item.namespace),
        )
    ]

"""What the stub of the API server serves, and a request's path as RBAC sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass

SERVED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "pods": ("Pod", "", ("v1",)),
    "events": ("Event", "", ("v1",)),
    "nodes": ("Node", "", ("v1",)),
    "services": ("Service", "", ("v1",)),
    "configmaps": ("ConfigMap", "", ("v1",)),
    "secrets": ("Secret", "", ("v1",)),
    "deployments": ("Deployment", "apps", ("v1",)),
    "statefulsets": ("StatefulSet", "apps", ("v1",)),
    "daemonsets": ("DaemonSet", "apps", ("v1",)),
    "replicasets": ("ReplicaSet", "apps", ("v1",)),
    "horizontalpodautoscalers": ("HorizontalPodAutoscaler", "autoscaling", ("v1", "v2")),
    "poddisruptionbudgets": ("PodDisruptionBudget", "policy", ("v1",)),
    "leaderworkersets": ("LeaderWorkerSet", "leaderworkerset.x-k8s.io", ("v1",)),
    "inferenceservices": ("InferenceService", "serving.kserve.io", ("v1beta1",)),
    "llminferenceservices": ("LLMInferenceService", "serving.kserve.io", ("v1alpha1",)),
    "servingruntimes": ("ServingRuntime", "serving.kserve.io", ("v1alpha1",)),
    "clusterservingruntimes": ("ClusterServingRuntime", "serving.kserve.io", ("v1alpha1",)),
    "scaledobjects": ("ScaledObject", "keda.sh", ("v1alpha1",)),
    "podmonitors": ("PodMonitor", "monitoring.coreos.com", ("v1",)),
    "servicemonitors": ("ServiceMonitor", "monitoring.coreos.com", ("v1",)),
    "prometheusrules": ("PrometheusRule", "monitoring.coreos.com", ("v1",)),
}
"""Resource -> kind, group, versions. Groups with a dot are custom resources: a cluster may be without them."""

BUILT_IN = frozenset(resource for resource, (_, group, _) in SERVED.items() if "." not in group)
PLURALS = {kind: resource for resource, (kind, _, _) in SERVED.items()}

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[\w.-]+))/(?P<version>v\w+)(?:/namespaces/(?P<ns>[^/]+))?"
    r"/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?(?P<rest>/.*)?"
)
_DISCOVERY = re.compile(r"/apis/(?P<group>[\w.-]+)/(?P<version>v\w+)")


@dataclass
class Asked:
    """One request that came, as RBAC sees it."""

    verb: str
    group: str
    resource: str
    namespace: str
    path: str
    query: dict[str, str]
    version: str = ""
    name: str = ""
    rest: str = ""


def as_rbac_sees(path: str, query: dict[str, str]) -> Asked | None:
    """The request; None for a path that no API server has."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    rest = match["rest"] or ""
    sub = f"/{rest.split('/')[1]}" if rest else ""
    verb = "get" if match["name"] else "list"
    return Asked(
        verb,
        match["group"] or "",
        match["kind"] + sub,
        match["ns"] or "",
        path,
        query,
        match["version"],
        match["name"] or "",
        rest,
    )


def is_served(asked: Asked, absent: set[str]) -> bool:
    """Whether the cluster has the resource in this group and version."""
    resource = asked.resource.partition("/")[0]
    _, group, versions = SERVED.get(resource, ("", "none", ()))
    return resource not in absent and asked.group == group and asked.version in versions


def discovered(path: str, absent: set[str]) -> dict[str, object] | None:
    """The resources of a group in a version; None where the path asks for no such thing, or there are none."""
    match = _DISCOVERY.fullmatch(path)
    if match is None:
        return None
    found = [
        {"name": resource, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
        for resource, (kind, group, versions) in SERVED.items()
        if group == match["group"] and match["version"] in versions and resource not in absent
    ]
    group_version = f"{match['group']}/{match['version']}"
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": found} if found else None

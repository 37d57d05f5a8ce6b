"""The kinds that `preflight --kube` lists, where they are served, and the right that each needs.

Source: the API reference of Kubernetes 1.25 and later (apps/v1, autoscaling/v2, policy/v1), of LeaderWorkerSet (v1),
KServe (v1beta1; runtimes v1alpha1; LLMInferenceService v1alpha1, and v1alpha2 where that is gone), KEDA (v1alpha1) and
the Prometheus operator (v1). Of several versions the first that is served is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from troubleshoot.sources.kube.calls import Call
from troubleshoot.sources.kube.target import Kind

PAGE: Final = "docs/preflight.md"

Scope = Literal["namespace", "everywhere", "cluster"]
"""Where objects matter: in the workloads' namespace, in every namespace (they reach into others), or outside of any."""


@dataclass(frozen=True, slots=True)
class ListedKind:
    """A kind and where it is served. A group of which nothing is installed is one that nobody uses."""

    kind: str
    resource: str
    group: str
    versions: tuple[str, ...] = ("v1",)
    scope: Scope = "namespace"

    @property
    def plural(self) -> str:
        """For messages: `PodDisruptionBudgets`."""
        return f"{self.kind}s"

    @property
    def is_optional(self) -> bool:
        """Whether it is a custom resource: a cluster without it is whole. Built-in groups have no dot."""
        return "." in self.group

    @property
    def full_resource(self) -> str:
        """As kubectl and RBAC's messages name it: `scaledobjects.keda.sh`."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def api_version(self, version: str) -> str:
        """`apps/v1`."""
        return f"{self.group}/{version}" if self.group else version

    def call(self, version: str, namespace: str) -> Call:
        """List them in a namespace, of none in all."""
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        where = "/namespaces/{namespace}" if namespace else ""
        return Call(f"{root}{where}/{self.resource}", "list", self.group, self.resource, self.plural, PAGE)


_KSERVE: Final = "serving.kserve.io"
_OPERATOR: Final = "monitoring.coreos.com"

WORKLOADS: Final = (
    ListedKind("Deployment", "deployments", "apps"),
    ListedKind("StatefulSet", "statefulsets", "apps"),
    ListedKind("DaemonSet", "daemonsets", "apps"),
    ListedKind("ReplicaSet", "replicasets", "apps"),
    ListedKind("Pod", "pods", ""),
    ListedKind("LeaderWorkerSet", "leaderworkersets", "leaderworkerset.x-k8s.io"),
    ListedKind("InferenceService", "inferenceservices", _KSERVE, ("v1beta1",)),
    ListedKind("LLMInferenceService", "llminferenceservices", _KSERVE, ("v1alpha1", "v1alpha2")),
)
"""Kinds that make pods."""

BESIDE: Final = (
    ListedKind("ServingRuntime", "servingruntimes", _KSERVE, ("v1alpha1",)),
    ListedKind("ClusterServingRuntime", "clusterservingruntimes", _KSERVE, ("v1alpha1",), "cluster"),
    ListedKind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", ("v2",)),
    ListedKind("ScaledObject", "scaledobjects", "keda.sh", ("v1alpha1",)),
    ListedKind("PodDisruptionBudget", "poddisruptionbudgets", "policy"),
    ListedKind("Service", "services", ""),
    ListedKind("PodMonitor", "podmonitors", _OPERATOR, scope="everywhere"),
    ListedKind("ServiceMonitor", "servicemonitors", _OPERATOR, scope="everywhere"),
)
"""Kinds that workloads are joined with."""

RULES: Final = ListedKind("PrometheusRule", "prometheusrules", _OPERATOR, scope="everywhere")
"""Rules stand for themselves; one may read what another records, in any namespace."""

KINDS: Final = (*WORKLOADS, *BESIDE, RULES)

BY_TARGET: Final[dict[Kind, ListedKind]] = {
    "deployment": WORKLOADS[0],
    "statefulset": WORKLOADS[1],
    "daemonset": WORKLOADS[2],
    "pod": WORKLOADS[4],
    "leaderworkerset": WORKLOADS[5],
    "inferenceservice": WORKLOADS[6],
    "llminferenceservice": WORKLOADS[7],
}
"""The kinds that can be named, by the words for them."""

GET_CONFIG_MAP: Final = Call(
    "/api/v1/namespaces/{namespace}/configmaps/{name}", "get", "", "configmaps", "scripts that start engines", PAGE
)

CALLS: Final = (GET_CONFIG_MAP, *(kind.call(kind.versions[0], "") for kind in KINDS))
"""One call for each right that is needed."""

DISCOVER: Final = Call("/apis/{group}/{version}", "get", "", "", "what the cluster serves", PAGE)
"""Whether a kind that may not be listed is installed at all. Every user may ask (the role system:discovery)."""

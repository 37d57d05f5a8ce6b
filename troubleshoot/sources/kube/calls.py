"""Every call that `diagnose --kube` makes to the API server, with the right that it needs. None of them writes.

Those of `preflight --kube` are in `kinds`.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Call(NamedTuple):
    """A request's path and its right as RBAC names it. `gives` is what stays unknown without it; `page` tells more."""

    path: str
    verb: str
    group: str
    resource: str
    gives: str
    page: str = "docs/oncall-kubernetes.md"

    @property
    def right(self) -> str:
        """For messages: "get on pods/log"."""
        return f"{self.verb} on {self.resource}{'.' + self.group if self.group else ''}"


_PODS: Final = "/api/v1/namespaces/{namespace}/pods"
_APPS: Final = "/apis/apps/v1/namespaces/{namespace}"

GET_POD: Final = Call(f"{_PODS}/{{name}}", "get", "", "pods", "arguments, limits, restarts and exit codes")
LIST_PODS: Final = Call(_PODS, "list", "", "pods", "the replicas")
READ_LOG: Final = Call(f"{_PODS}/{{name}}/log", "get", "", "pods/log", "the container's log")
SCRAPE: Final = Call(f"{_PODS}/{{name}}/proxy/{{path}}", "get", "", "pods/proxy", "the engine's metrics")
LIST_EVENTS: Final = Call("/api/v1/namespaces/{namespace}/events", "list", "", "events", "the pod's events")
GET_NODE: Final = Call("/api/v1/nodes/{name}", "get", "", "nodes", "the node's conditions and GPUs")
GET_DEPLOYMENT: Final = Call(f"{_APPS}/deployments/{{name}}", "get", "apps", "deployments", "which pods it has")
GET_STATEFUL_SET: Final = Call(f"{_APPS}/statefulsets/{{name}}", "get", "apps", "statefulsets", "which pods it has")
GET_INFERENCE_SERVICE: Final = Call(
    "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}",
    "get",
    "serving.kserve.io",
    "inferenceservices",
    "whether it exists and is ready",
)

CALLS: Final = (
    GET_POD,
    LIST_PODS,
    READ_LOG,
    SCRAPE,
    LIST_EVENTS,
    GET_NODE,
    GET_DEPLOYMENT,
    GET_STATEFUL_SET,
    GET_INFERENCE_SERVICE,
)

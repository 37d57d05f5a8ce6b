"""From values to Kubernetes objects. What each option needs is decided here, once, for kustomize and Helm alike."""

from __future__ import annotations

from collections.abc import Mapping

from catalog.yaml_text import document
from exporter.deploy.daemonset import daemon_set
from exporter.deploy.release import NAMESPACE, Release, asks_api_server, metadata, selector
from exporter.deploy.values import Object, Values

__all__ = ["COMMENTS", "kubernetes_objects", "namespace_object"]

COMMENTS: Mapping[str, Mapping[str, str]] = {
    "Namespace": {
        "metadata.labels.pod-security.kubernetes.io/enforce": "Pod Security Standards below privileged allow no "
        "hostPath volume, and the kubelet's sockets are reached by one.",
    },
    "ServiceAccount": {
        "automountServiceAccountToken": "A token is mounted only where pods are asked of the API server.",
    },
    "ConfigMap": {
        "data": "A change is read within a minute or two, without a restart.",
    },
    "DaemonSet": {
        "spec.template.metadata.annotations.inferwatch.dev/scrape": "Not an engine: not to be probed.",
        "spec.template.spec.runtimeClassName": "Gives the container the driver's libraries and devices.",
        "spec.template.spec.containers.env": "Read every GPU, without asking the scheduler for any.",
        "spec.template.spec.containers.livenessProbe": "The process answers. A scrape never waits for a GPU or an "
        "engine, so neither does this.",
        "spec.template.spec.containers.readinessProbe": "The first collection is done.",
        "spec.template.spec.containers.resources": "No CPU limit: throttling would make collections late.",
        "spec.template.spec.containers.securityContext.runAsUser": "The kubelet's sockets belong to root and only "
        "their owner may connect. Owning is enough: uid 0 without any capability, in a read-only file system.",
        "spec.template.spec.volumes": "Directories, not the sockets in them: a restarted kubelet makes new ones. A "
        "kubelet without the Pods API has no directory for it: an empty one lets the pod start and say so.",
    },
    "PodMonitor": {
        "spec.podMetricsEndpoints.honorLabels": "Series name the pod that they are about. Without this Prometheus "
        "renames those labels to exported_pod and puts the exporter's own pod in their place.",
        "spec.podMetricsEndpoints.relabelings": "Series of an idle GPU are about no pod: without this they would get "
        "the exporter's.",
    },
    "NetworkPolicy": {
        "spec.ingress": "Probes come from the node itself, which is always allowed.",
        "spec.egress": "Engines may be any pod, on a port that its annotations say. A policy cannot say 'on the same "
        "node' or 'holds a GPU'; the exporter itself asks only such pods.",
    },
    "ClusterRole": {
        "rules": "Of the whole cluster, for RBAC knows no nodes; the exporter asks for its own node's pods alone.",
    },
}
"""Reasons that stand in the written files, by kind and path."""


def kubernetes_objects(values: Values, release: Release) -> list[Object]:
    """Return every object but the namespace."""
    objects = [_service_account(values, release), _config_map(values, release), daemon_set(values, release)]
    if asks_api_server(values):
        objects += _rights(release)
    if values.network_policy.enabled:
        objects.append(_network_policy(values, release))
    if values.pod_monitor.enabled:
        objects.append(_pod_monitor(values, release))
    return objects


def namespace_object() -> Object:
    """Return the namespace with the Pod Security level that the DaemonSet needs."""
    levels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": levels}}


def _service_account(values: Values, release: Release) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(release),
        "automountServiceAccountToken": asks_api_server(values),
    }


def _config_map(values: Values, release: Release) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(release),
        "data": {"config.yaml": document(values.config)},
    }


def _rights(release: Release) -> list[Object]:
    cluster_wide = metadata(release, f"{release.namespace}-{release.name}")
    del cluster_wide["namespace"]
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": cluster_wide,
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": cluster_wide,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": cluster_wide["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": release.name, "namespace": release.namespace}],
    }
    return [role, binding]


def _network_policy(values: Values, release: Release) -> Object:
    egress: list[Object] = [{"to": [{"namespaceSelector": {}}]}]
    if asks_api_server(values):
        egress.append({"ports": [{"protocol": "TCP", "port": port} for port in (443, 6443)]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(release),
        "spec": {
            "podSelector": {"matchLabels": selector(release)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": list(values.network_policy.ingress_from),
                    "ports": [{"protocol": "TCP", "port": values.port}],
                }
            ],
            "egress": [*egress, *values.network_policy.extra_egress],
        },
    }


def _pod_monitor(values: Values, release: Release) -> Object:
    monitor = values.pod_monitor
    endpoint: Object = {
        "port": "metrics",
        "path": "/metrics",
        "interval": monitor.interval,
        "scrapeTimeout": monitor.scrape_timeout,
        "honorLabels": True,
        "relabelings": [
            {"action": "labeldrop", "regex": "namespace|pod|container"},
            {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
        ],
    }
    if monitor.scheme != "http":
        endpoint["scheme"] = monitor.scheme
    if monitor.tls_config:
        endpoint["tlsConfig"] = monitor.tls_config
    if monitor.basic_auth:
        endpoint["basicAuth"] = monitor.basic_auth
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": metadata(release, labels=monitor.labels),
        "spec": {"selector": {"matchLabels": selector(release)}, "podMetricsEndpoints": [endpoint]},
    }

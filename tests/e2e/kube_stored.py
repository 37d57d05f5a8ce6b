"""What an API server makes of a manifest: its record of who wrote it, and every default.

The defaults are those that the API reference of Kubernetes documents ("Defaults to ..."), for the fixtures' kinds.
Custom resources get what their CRD says (PodMonitor, ServiceMonitor and InferenceService: nothing here).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
NAMESPACE = "inference"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_POD: Object = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER: Object = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE: Object = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_HTTP_GET: Object = {"path": "/", "scheme": "HTTP"}
_ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_SPECS: Mapping[str, Object] = {
    "Deployment": {"progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10, "strategy": _ROLLING},
    "StatefulSet": {"podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10},
    "HorizontalPodAutoscaler": {"minReplicas": 1},
    "Service": {
        "internalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
        "type": "ClusterIP",
    },
}
_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def stored(manifest: Object, *, annotated: bool = True) -> Object:
    """As it comes back from the API server after `kubectl apply`: the manifest with the server's record."""
    item = copy.deepcopy(manifest)
    metadata = item["metadata"]
    metadata.setdefault("namespace", NAMESPACE)
    if annotated:
        metadata["annotations"] = {**metadata.get("annotations", {}), LAST_APPLIED: json.dumps(manifest)}
    metadata |= {
        "uid": f"uid-{item['kind']}-{metadata['name']}",
        "resourceVersion": "4711",
        "generation": 1,
        "creationTimestamp": "2026-11-22T01:00:00Z",
        "managedFields": [
            {
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "fieldsType": "FieldsV1",
                # An update's record holds the defaults as well.
                "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}},
            }
        ],
    }
    item["status"] = {"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True"}]}
    return item


def defaulted(manifest: Object) -> Object:
    """As it is stored, with the defaults of its kind."""
    item = stored(manifest)
    spec = item.get("spec", {})
    _fill(spec, _SPECS.get(item["kind"], {}))
    if item["kind"] in _KINDS:
        _KINDS[item["kind"]](spec)
    return item


def _fill(value: Object, defaults: Mapping[str, Any]) -> None:
    for key, default in defaults.items():
        value.setdefault(key, copy.deepcopy(default))


def _template(spec: Object) -> None:
    template = spec.get("template", {})
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    _pod(template.get("spec", {}))


def _bare_pod(spec: Object) -> None:
    """A pod gets more than a template: requests from its limits, and what admission adds."""
    for container in spec.get("containers", []):
        resources = container.setdefault("resources", {})
        if limits := resources.get("limits"):
            resources["requests"] = {**limits, **resources.get("requests", {})}
        container.setdefault("volumeMounts", []).append(
            {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
        )
    spec.setdefault("volumes", []).append({"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": []}})
    spec.setdefault("tolerations", []).append(
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    )
    _fill(spec, {"serviceAccountName": "default", "nodeName": "gpu-1"})
    _pod(spec)


def _pod(spec: Object) -> None:
    _fill(spec, _POD)
    for container in spec.get("containers", []):
        _container(container)
    for volume in spec.get("volumes", []):
        if isinstance(volume.get("configMap"), dict):
            volume["configMap"].setdefault("defaultMode", 420)


def _container(container: Object) -> None:
    _fill(container, _CONTAINER)
    for amounts in container["resources"].values():
        amounts |= {name: str(amount) for name, amount in amounts.items()}
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", []):
        field_ref = variable.get("valueFrom", {}).get("fieldRef")
        if field_ref:
            field_ref.setdefault("apiVersion", "v1")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        if name in container:
            _fill(container[name], _PROBE)
            if "httpGet" in container[name]:
                _fill(container[name]["httpGet"], _HTTP_GET)


def _scaler(spec: Object) -> None:
    if not spec.get("metrics"):
        spec["metrics"] = [copy.deepcopy(_CPU)]
    for name, rules in spec.get("behavior", {}).items():
        rules.setdefault("selectPolicy", "Max")
        rules.setdefault("stabilizationWindowSeconds", 300 if name == "scaleDown" else 0)


def _service(spec: Object) -> None:
    spec.setdefault("clusterIP", "10.0.0.7")
    for port in spec.get("ports", []):
        _fill(port, {"protocol": "TCP", "targetPort": port["port"]})


_KINDS: Mapping[str, Callable[[Object], None]] = {
    "Deployment": _template,
    "StatefulSet": _template,
    "DaemonSet": _template,
    "ReplicaSet": _template,
    "Pod": _bare_pod,
    "HorizontalPodAutoscaler": _scaler,
    "Service": _service,
}
